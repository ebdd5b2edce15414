"""What time does to streams: those that are closed stay listed and readable until their last record is trimmed, then they are gone.

Records are trimmed 24 hours after they were written. The server's clock is moved, so these need the test hooks.
"""

import pytest

import api as api_module
from api import INVALID, Refused, wait_until

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
SLACK_MS = 60000 # more than any of these tests takes
S = {"S": "s"}
TRIMMED = "TrimmedDataAccessException: The operation attempted to read past the oldest stream record in a shard"
EXPIRED = "ExpiredIteratorException: The shard iterator has expired and can no longer be used to retrieve stream records"


def n(number):
    return {"N": str(number)}


@pytest.fixture
def api(hooked):
    made = api_module.Api(hooked.url, *hooked.credentials, before_sign=hooked.set_signing_clock)
    made.server = hooked
    return made


def switch_off(api, table):
    api.call("UpdateTable", TableName=table, StreamSpecification={"StreamEnabled": False})


def delete(api, table):
    api.call("DeleteTable", TableName=table)


def listed(api, table):
    return [stream["StreamArn"] for stream in api.call("ListStreams", TableName=table)["Streams"]]


def numbers(api, arn):
    """Of the records that are left. None when the trim point came between an iterator and its use."""
    try:
        return [int(record["dynamodb"]["NewImage"]["i"]["N"]) for record in api.records(arn=arn)]
    except Refused as refused:
        assert refused.type == "TrimmedDataAccessException", refused
        return None


def is_gone(api, arn):
    try:
        return not api.call("DescribeStream", StreamArn=arn)
    except Refused as refused:
        assert refused.type == "ResourceNotFoundException", refused
        return True


@pytest.mark.parametrize("close", [switch_off, delete])
def test_a_closed_stream_stays_until_its_last_record_is_trimmed(api, close):
    table = api.create(view="NEW_IMAGE")
    arn = api.stream_arn(table)
    api.put(table, pk=S, i=n(1))
    api.server.move_clock(HOUR_MS)
    api.put(table, pk=S, i=n(2))
    api.server.move_clock(2 * HOUR_MS)
    close(api, table)
    api.server.move_clock(DAY_MS - SLACK_MS)
    assert listed(api, table) == [arn] and numbers(api, arn) == [1, 2]
    assert api.call("DescribeStream", StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"

    api.server.move_clock(DAY_MS + SLACK_MS)
    wait_until(lambda: numbers(api, arn) == [2])
    api.server.kill()
    api.server.start()
    assert listed(api, table) == [arn] and numbers(api, arn) == [2]

    api.server.move_clock(DAY_MS + HOUR_MS + SLACK_MS)
    wait_until(lambda: numbers(api, arn) == [])
    for kind in ("TRIM_HORIZON", "LATEST"):
        page = api.call("GetRecords", ShardIterator=api.iterator(arn, kind))
        assert page["Records"] == [] and "NextShardIterator" not in page

    iterator = api.iterator(arn)
    api.server.move_clock(DAY_MS + 2 * HOUR_MS + SLACK_MS)
    wait_until(lambda: is_gone(api, arn))
    assert listed(api, table) == []
    fresh = api.refusal("GetShardIterator", StreamArn=arn, ShardId="shardId-00000001573689847184-864758bb", ShardIteratorType="LATEST")
    assert fresh == f"ResourceNotFoundException: Requested resource not found: Stream: {arn} not found"
    assert api.refusal("GetRecords", ShardIterator=iterator) == EXPIRED


def test_the_trim_point_is_the_first_place_that_can_be_read(api):
    table = api.create(view="NEW_IMAGE")
    arn = api.stream_arn(table)
    for i in range(3):
        api.put(table, pk=S, i=n(i))
    sequence = [record["dynamodb"]["SequenceNumber"] for record in api.records(arn=arn, count=3)]
    api.server.move_clock(DAY_MS - 5 * 60000)
    old = api.iterator(arn)
    api.put(table, pk=S, i=n(3))
    api.server.move_clock(DAY_MS + 5 * 60000)
    wait_until(lambda: numbers(api, arn) == [3])
    shard = api.shards(arn)[0]["ShardId"]
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        for number in sequence:
            assert api.refusal("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType=kind, SequenceNumber=number) == TRIMMED
    assert api.refusal("GetRecords", ShardIterator=old) == TRIMMED
    left, = api.records(arn=arn)
    for kind, count in (("AT_SEQUENCE_NUMBER", 1), ("AFTER_SEQUENCE_NUMBER", 0)):
        iterator = api.iterator(arn, kind, SequenceNumber=left["dynamodb"]["SequenceNumber"])
        assert len(api.read_shard(iterator)) == count


def test_a_clock_that_goes_back_trims_nothing_and_expires_nothing(api):
    table = api.create(view="NEW_IMAGE")
    arn = api.stream_arn(table)
    api.server.move_clock(-10 * 365 * DAY_MS)
    api.put(table, pk=S, i=n(1))
    iterator = api.iterator(arn)
    assert numbers(api, arn) == [1]
    api.server.move_clock(10 * 60000)
    assert [record["dynamodb"]["NewImage"]["i"] for record in api.read_shard(iterator)] == [n(1)]
    api.server.move_clock(16 * 60000)
    assert api.refusal("GetRecords", ShardIterator=iterator) == EXPIRED
    assert numbers(api, arn) == [1]


def test_streams_of_one_table_come_in_pages(api):
    table = api.create(view="NEW_IMAGE")
    arns = [api.stream_arn(table)]
    for _ in range(4):
        switch_off(api, table)
        api.call("UpdateTable", TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
        arns.append(api.stream_arn(table))
    delete(api, table)
    assert listed(api, table) == sorted(arns)
    found, more = [], {}
    while True:
        page = api.call("ListStreams", TableName=table, Limit=2, **more)
        found.append([stream["StreamArn"] for stream in page["Streams"]])
        if "LastEvaluatedStreamArn" not in page:
            break
        more = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
        assert page["LastEvaluatedStreamArn"] == found[-1][-1]
    assert found == [sorted(arns)[i:i + 2] for i in (0, 2, 4)]
    for arn in arns:
        shard, = api.shards(arn)
        page = api.call("DescribeStream", StreamArn=arn, Limit=1, ExclusiveStartShardId=shard["ShardId"])
        assert page["StreamDescription"]["Shards"] == []
        assert "LastEvaluatedShardId" not in page["StreamDescription"]


# ---- a table's own period ----

RETENTION = "headwater:stream-retention"


def keep(api, table, period):
    arn = api.describe(table)["TableArn"]
    if period is None:
        api.call("UntagResource", ResourceArn=arn, TagKeys=[RETENTION])
    else:
        api.call("TagResource", ResourceArn=arn, Tags=[{"Key": RETENTION, "Value": period}])


def tagged(api, period):
    return api.create(view="NEW_IMAGE", Tags=[{"Key": RETENTION, "Value": period}])


def test_a_tag_keeps_records_for_minutes_days_or_ever(api):
    tables = {period: tagged(api, period) for period in ("30m", "12h", "7d", "forever")}
    tables["default"] = api.create(view="NEW_IMAGE")
    arns = {period: api.stream_arn(table) for period, table in tables.items()}
    for table in tables.values():
        api.put(table, pk=S, i=n(1))
    for shift, gone in ((30 * 60000, ["30m"]), (12 * HOUR_MS, ["12h"]), (DAY_MS, ["default"]), (7 * DAY_MS, ["7d"])):
        api.server.move_clock(shift - SLACK_MS)
        assert [numbers(api, arns[period]) for period in gone] == [[1]]
        api.server.move_clock(shift + SLACK_MS)
        wait_until(lambda: all(numbers(api, arns[period]) == [] for period in gone))
    api.server.move_clock(99 * 365 * DAY_MS)
    api.server.kill()
    api.server.start()
    assert {period: numbers(api, arn) for period, arn in arns.items()} == {**dict.fromkeys(arns, []), "forever": [1]}


def test_a_longer_period_is_for_what_is_not_hidden_yet(api):
    table = tagged(api, "60m")
    arn = api.stream_arn(table)
    api.put(table, pk=S, i=n(1))
    api.server.move_clock(40 * 60000)
    api.put(table, pk=S, i=n(2))
    api.server.move_clock(70 * 60000)
    wait_until(lambda: numbers(api, arn) == [2])
    keep(api, table, "forever")
    api.server.move_clock(200 * DAY_MS)
    api.put(table, pk=S, i=n(3))
    for _ in range(2):
        assert numbers(api, arn) == [2, 3]
        api.server.kill()
        api.server.start()
    keep(api, table, None) # the server's own: a day
    wait_until(lambda: numbers(api, arn) == [3])
    keep(api, table, "300d")
    assert numbers(api, arn) == [3]


def test_what_was_hidden_stays_hidden_when_a_killed_server_starts_with_an_older_clock(api):
    tables = {"1h": tagged(api, "1h"), "default": api.create(view="NEW_IMAGE")}
    arns = {period: api.stream_arn(table) for period, table in tables.items()}
    for table in tables.values():
        api.put(table, pk=S, i=n(1))
    api.server.move_clock(2 * HOUR_MS)
    wait_until(lambda: numbers(api, arns["1h"]) == [])
    assert numbers(api, arns["default"]) == [1]
    for clock in (0, -300 * DAY_MS, 0):
        api.server.kill()
        api.server.move_clock(clock)
        api.server.start()
        assert {period: numbers(api, arn) for period, arn in arns.items()} == {"1h": [], "default": [1]}
    keep(api, tables["1h"], "forever")
    api.put(tables["1h"], pk=S, i=n(2))
    api.server.kill()
    api.server.start()
    assert numbers(api, arns["1h"]) == [2]
    assert api.server.metrics()["headwater_commits_total"] == 0 # a start that hides nothing more writes nothing


def test_the_period_is_for_later_streams_too_and_closed_ones_keep_theirs(api):
    table = tagged(api, "60m")
    first = api.stream_arn(table)
    api.put(table, pk=S, i=n(1))
    switch_off(api, table)
    keep(api, table, "forever")
    api.call("UpdateTable", TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    second = api.stream_arn(table)
    api.put(table, pk=S, i=n(2))
    delete(api, table)
    api.server.kill()
    api.server.start()
    assert numbers(api, first) == [1]
    api.server.move_clock(2 * HOUR_MS)
    wait_until(lambda: is_gone(api, first))
    api.server.move_clock(1000 * DAY_MS)
    assert numbers(api, second) == [2]


@pytest.mark.parametrize("value", ["", "0m", "m", "1", "1s", "-1d", "1.5h", "99999999m", "36526d", "876601h", "1D", "1d ", "ever", "1h30m"])
def test_what_is_no_period(shared, value):
    api = api_module.Api(shared.url, *shared.credentials, before_sign=shared.set_signing_clock)
    told = INVALID + (f"The tag {RETENTION} takes minutes, hours or days (90m, 12h, 7d), up to 100 years, or forever: {value}")
    tags = [{"Key": RETENTION, "Value": value}]
    table = api.create(view="NEW_IMAGE")
    arn = api.describe(table)["TableArn"]
    assert api.refusal("TagResource", ResourceArn=arn, Tags=tags) == told
    assert api.call("ListTagsOfResource", ResourceArn=arn)["Tags"] == []
    body = {"BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}
    assert api.refusal("CreateTable", TableName=api.name(), Tags=tags, **body) == told
    for right in ("1m", "36525d", "876600h", "52596000m"):
        keep(api, table, right)
