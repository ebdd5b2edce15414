"""ListStreams, DescribeStream, GetShardIterator and GetRecords: what a stream shows of writes, and where reading may start."""

import re

import pytest

from api import INVALID, Refused, errors, must, wait_until

S = {"S": "s"}
VIEWS = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]
NO_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/none/stream/2026-01-01T00:00:00.000"
NO_SHARD = "shardId-00000001573689847184-864758bb"


def n(number):
    return {"N": str(number)}


def shown(record):
    """What a record says: name, keys, and images if it has them."""
    body = record["dynamodb"]
    return (record["eventName"], body["Keys"], body.get("OldImage"), body.get("NewImage"))


def write_one_of_each(api, table):
    api.put(table, pk=S, a=n(1))
    api.call("UpdateItem", TableName=table, Key={"pk": S}, UpdateExpression="SET a = :v", ExpressionAttributeValues={":v": n(2)})
    api.put(table, pk=S, b=n(3))
    api.call("DeleteItem", TableName=table, Key={"pk": S})


# ---- records ----


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_shows_its_images(api, view):
    table = api.create(view=view)
    write_one_of_each(api, table)
    images = [{"pk": S, "a": n(1)}, {"pk": S, "a": n(2)}, {"pk": S, "b": n(3)}]
    old = [None, *images] if view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES") else [None] * 4
    new = [*images, None] if view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES") else [None] * 4
    records = api.records(table, count=4)
    assert [shown(record) for record in records] == [
        (name, {"pk": S}, old[i], new[i]) for i, name in enumerate(("INSERT", "MODIFY", "MODIFY", "REMOVE"))]
    assert {record["dynamodb"]["StreamViewType"] for record in records} == {view}


def test_what_every_record_says(api):
    table = api.create("pk:S,sk:N", view="NEW_AND_OLD_IMAGES")
    api.put(table, pk=S, sk=n(1), a={"S": "x"})
    first, = api.records(table, count=1)
    body = first["dynamodb"]
    assert (first["eventVersion"], first["eventSource"], first["awsRegion"]) == ("1.1", "aws:dynamodb", api.region)
    assert re.fullmatch(r"[0-9a-f]{32}", first["eventID"])
    assert body["Keys"] == {"pk": S, "sk": n(1)}
    assert re.fullmatch(r"\d{21,40}", body["SequenceNumber"])
    assert isinstance(body["ApproximateCreationDateTime"], int)
    assert "userIdentity" not in first
    again, = api.records(table, count=1)
    assert again == first


@pytest.mark.parametrize(("before", "after", "size"), [
    # Keys pk + 10 bytes: 12. The first four were recorded on DynamoDB.
    (None, {"a": {"S": "x" * 14}}, 12 + 27), ({"a": {"S": "x" * 14}}, None, 12 + 27), (None, {}, 24), ({}, {"z": {"NULL": True}}, 12 + 12 + 14),
])
def test_size_is_keys_and_images(api, before, after, size):
    table = api.create(view="NEW_AND_OLD_IMAGES")
    key = {"S": "k" * 10}
    count = 0
    if before is not None:
        api.put(table, pk=key, **before)
        count = 1
    if after is None:
        api.call("DeleteItem", TableName=table, Key={"pk": key})
    else:
        api.put(table, pk=key, **after)
    assert api.records(table, count=count + 1)[-1]["dynamodb"]["SizeBytes"] == size


def test_size_of_keys_only(api):
    table = api.create(view="KEYS_ONLY")
    api.put(table, pk={"S": "k" * 10}, a={"S": "x" * 1000})
    assert api.records(table, count=1)[0]["dynamodb"]["SizeBytes"] == 12


def test_writes_that_change_nothing_leave_no_record(api):
    table = api.create(view="NEW_AND_OLD_IMAGES")
    item = {"pk": S, "n": n("1.0"), "s": {"SS": ["a", "b"]}, "m": {"M": {"x": n(1), "y": n(2)}}}
    api.put(table, **item)
    api.put(table, **{**item, "n": n("1.00"), "s": {"SS": ["b", "a"]}, "m": {"M": {"y": n("2.0"), "x": n(1)}}})
    call = {"TableName": table, "Key": {"pk": S}}
    api.call("UpdateItem", **call)
    api.call("UpdateItem", UpdateExpression="SET n = :v", ExpressionAttributeValues={":v": n("10e-1")}, **call)
    api.call("UpdateItem", UpdateExpression="REMOVE nope", **call)
    api.call("UpdateItem", UpdateExpression="ADD s :v", ExpressionAttributeValues={":v": {"SS": ["a"]}}, **call)
    api.call("UpdateItem", UpdateExpression="DELETE s :v", ExpressionAttributeValues={":v": {"SS": ["c"]}}, **call)
    api.call("DeleteItem", TableName=table, Key={"pk": {"S": "nobody"}})
    api.call("UpdateItem", TableName=table, Key={"pk": {"S": "nobody"}}, UpdateExpression="REMOVE nope")
    with pytest.raises(Refused):
        api.call("DeleteItem", ConditionExpression="attribute_not_exists(pk)", **call)
    api.call("TransactWriteItems", TransactItems=[
        {"Put": {"TableName": table, "Item": item}}, {"Delete": {"TableName": table, "Key": {"pk": {"S": "nobody"}}}},
        {"ConditionCheck": {"TableName": table, "Key": {"pk": {"S": "x"}}, "ConditionExpression": "attribute_not_exists(pk)"}}])
    api.call("DeleteItem", **call)
    assert [record["eventName"] for record in api.records(table, count=2)] == ["INSERT", "REMOVE"]


def test_an_update_that_makes_an_item_inserts_it_and_an_item_of_its_key_has_an_image(api):
    table = api.create(view="NEW_AND_OLD_IMAGES")
    for more in ({}, {"UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": n(1)}}):
        api.call("UpdateItem", TableName=table, Key={"pk": S}, **more)
    assert [shown(record) for record in api.records(table, count=2)] == [
        ("INSERT", {"pk": S}, None, {"pk": S}), ("MODIFY", {"pk": S}, {"pk": S}, {"pk": S, "a": n(1)})]


def test_the_records_of_a_transaction(api):
    table = api.create(view="NEW_IMAGE")
    api.call("TransactWriteItems", TransactItems=[
        {"Put": {"TableName": table, "Item": {"pk": {"S": str(i)}}}} for i in range(10)])
    records = api.records(table, count=10)
    assert sorted(record["dynamodb"]["Keys"]["pk"]["S"] for record in records) == [str(i) for i in range(10)]
    assert len({record["dynamodb"]["SequenceNumber"] for record in records}) == 10


def test_replaying_a_stream_gives_the_table(api):
    table = api.create("pk:S,sk:N", view="NEW_IMAGE")
    for i in range(60):
        key = {"pk": {"S": str(i % 3)}, "sk": n(i % 7)}
        if i % 5 == 4:
            api.call("DeleteItem", TableName=table, Key=key)
        else:
            api.call("UpdateItem", TableName=table, Key=key, UpdateExpression="SET v = :v", ExpressionAttributeValues={":v": n(i)})
    replayed = {}
    for name, keys, _, new in map(shown, api.records(table, count=50)):
        place = (keys["pk"]["S"], keys["sk"]["N"])
        replayed.pop(place, None) if name == "REMOVE" else replayed.update({place: new})
    stored = {}
    for partition in "012":
        page = api.call("Query", TableName=table, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": partition}})
        stored |= {(item["pk"]["S"], item["sk"]["N"]): item for item in page["Items"]}
    assert replayed == stored


def test_sequence_numbers_grow(api):
    table = api.create(view="KEYS_ONLY")
    for i in range(30):
        api.put(table, pk={"S": str(i)})
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in api.records(table, count=30)]
    assert numbers == sorted(set(numbers))


# ---- DescribeStream and ListStreams ----


def test_describing_a_stream(api):
    table = api.create("pk:S,sk:N", view="NEW_IMAGE")
    described = api.describe(table)
    arn = described["LatestStreamArn"]
    stream = api.call("DescribeStream", StreamArn=arn)["StreamDescription"]
    assert (stream["StreamArn"], stream["StreamLabel"]) == (arn, described["LatestStreamLabel"])
    assert (stream["StreamStatus"], stream["StreamViewType"], stream["TableName"]) == ("ENABLED", "NEW_IMAGE", table)
    assert stream["KeySchema"] == described["KeySchema"]
    assert abs(stream["CreationRequestDateTime"] - described["CreationDateTime"]) < 60
    assert "LastEvaluatedShardId" not in stream
    open_shards = [shard for shard in stream["Shards"] if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
    assert open_shards
    for shard in stream["Shards"]:
        assert re.fullmatch(r"shardId-\d{20}-[0-9a-f]{8}", shard["ShardId"])
        assert re.fullmatch(r"\d{21,40}", shard["SequenceNumberRange"]["StartingSequenceNumber"])


def test_pages_of_shards(api):
    arn = api.stream_arn(api.create(view="KEYS_ONLY"))
    shards = api.shards(arn)
    assert api.call("DescribeStream", StreamArn=arn, Limit=100)["StreamDescription"]["Shards"] == shards
    rest = api.call("DescribeStream", StreamArn=arn, ExclusiveStartShardId=shards[-1]["ShardId"])["StreamDescription"]
    assert rest["Shards"] == [] and "LastEvaluatedShardId" not in rest
    children = api.call("DescribeStream", StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": shards[-1]["ShardId"]})
    assert children["StreamDescription"]["Shards"] == []


def test_listing_streams(api):
    table = api.create(view="KEYS_ONLY")
    arn = api.stream_arn(table)
    assert api.call("ListStreams", TableName=table) == {
        "Streams": [{"StreamArn": arn, "TableName": table, "StreamLabel": arn.rsplit("/", 1)[1]}]}
    assert api.call("ListStreams", TableName=api.create())["Streams"] == []
    for _ in range(3):
        api.create(view="KEYS_ONLY")
    found, more = [], {}
    while True:
        page = api.call("ListStreams", Limit=2, **more)
        assert len(page["Streams"]) <= 2
        found += [stream["StreamArn"] for stream in page["Streams"]]
        if "LastEvaluatedStreamArn" not in page:
            break
        assert page["LastEvaluatedStreamArn"] == found[-1]
        more = {"ExclusiveStartStreamArn": found[-1]}
    assert len(found) == len(set(found)) >= 4 and arn in found
    assert not [one for one in found if "/headwater." in one]


def test_listing_goes_on_after_a_stream_that_is_not_there(api):
    first, second = sorted(api.stream_arn(api.create(view="KEYS_ONLY")) for _ in range(2))
    for unknown in (first[:-1] + chr(ord(first[-1]) + 1), first.replace("/stream/", ".gone/stream/")):
        table = second.split("/")[1]
        listed = api.call("ListStreams", TableName=table, ExclusiveStartStreamArn=unknown)["Streams"]
        assert [stream["StreamArn"] for stream in listed] == ([second] if unknown < second else [])
    foreign = second.replace("arn:aws:dynamodb:", "arn:aws:dynamodb:zz-")
    assert api.call("ListStreams", ExclusiveStartStreamArn=foreign)["Streams"] == []


# ---- iterators ----


def numbers_from(api, arn, kind, **more):
    return [int(record["dynamodb"]["NewImage"]["i"]["N"]) for record in api.read_shard(api.iterator(arn, kind, **more))]


@pytest.fixture(scope="module")
def ten(api):
    """The ARN of a stream of ten inserts, and their sequence numbers."""
    table = api.create(view="NEW_IMAGE")
    for i in range(10):
        api.put(table, pk={"S": "one"}, i=n(i))
    return api.stream_arn(table), [record["dynamodb"]["SequenceNumber"] for record in api.records(table, count=10)]


def test_where_reading_starts(api, ten):
    arn, sequence = ten
    assert numbers_from(api, arn, "TRIM_HORIZON") == list(range(10))
    assert numbers_from(api, arn, "LATEST") == []
    for i in range(10):
        assert numbers_from(api, arn, "AT_SEQUENCE_NUMBER", SequenceNumber=sequence[i]) == list(range(i, 10))
        assert numbers_from(api, arn, "AFTER_SEQUENCE_NUMBER", SequenceNumber=sequence[i]) == list(range(i + 1, 10))


def test_the_start_of_a_shard_is_a_place(api, ten):
    arn, _ = ten
    start = api.shards(arn)[0]["SequenceNumberRange"]["StartingSequenceNumber"]
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        assert numbers_from(api, arn, kind, SequenceNumber=start) == list(range(10))


def test_latest_is_after_what_was_written(api):
    table = api.create(view="NEW_IMAGE")
    api.put(table, pk=S, i=n(1))
    arn = api.stream_arn(table)
    iterator = api.iterator(arn, "LATEST")
    api.put(table, pk=S, i=n(2))
    api.put(table, pk=S, i=n(3))
    assert [record["dynamodb"]["NewImage"]["i"]["N"] for record in api.read_shard(iterator)] == ["2", "3"]


@pytest.mark.parametrize("limit", [1, 3, 10, 1000])
def test_pages_of_records(api, ten, limit):
    arn, sequence = ten
    iterator, found = api.iterator(arn), []
    while len(found) < 10:
        page = api.call("GetRecords", ShardIterator=iterator, Limit=limit)
        assert len(page["Records"]) <= limit
        assert page["NextShardIterator"] != iterator
        found += [record["dynamodb"]["SequenceNumber"] for record in page["Records"]]
        iterator = page["NextShardIterator"]
    assert found == sequence
    assert len(iterator) <= 2048


def test_an_iterator_may_be_used_again(api, ten):
    arn, _ = ten
    iterator = api.iterator(arn)
    assert api.call("GetRecords", ShardIterator=iterator)["Records"] == api.call("GetRecords", ShardIterator=iterator)["Records"]


def test_a_page_holds_1_mb_at_most(api):
    table = api.create(view="NEW_AND_OLD_IMAGES")
    for i in range(12):
        api.put(table, pk=S, i=n(i), x={"S": "x" * 150000})
    iterator, pages = api.iterator(api.stream_arn(table)), []
    while sum(map(len, pages)) < 12:
        page = api.call("GetRecords", ShardIterator=iterator)
        pages.append(page["Records"])
        iterator = page["NextShardIterator"]
        assert sum(record["dynamodb"]["SizeBytes"] for record in page["Records"]) <= 1024 * 1024 + 300000
    assert [record["dynamodb"]["NewImage"]["i"]["N"] for page in pages for record in page] == [str(i) for i in range(12)]
    assert len([page for page in pages if page]) >= 3


def test_a_record_of_the_largest_images(api):
    table = api.create(view="NEW_AND_OLD_IMAGES")
    for letter in "ab":
        api.put(table, pk=S, x={"S": letter * (400 * 1024 - 5)})
    records = api.records(table, count=2)
    assert records[1]["dynamodb"]["OldImage"]["x"]["S"][0] == "a" and records[1]["dynamodb"]["NewImage"]["x"]["S"][0] == "b"


def test_boto3_reads_records(api, ten):
    arn, sequence = ten
    shard = api.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = api.streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    records = api.streams.get_records(ShardIterator=iterator)["Records"]
    assert [record["dynamodb"]["SequenceNumber"] for record in records] == sequence
    assert records[0]["dynamodb"]["ApproximateCreationDateTime"].year >= 2025


# ---- the end of a stream ----


def test_the_stream_of_a_deleted_table_is_read_to_its_end(api):
    table = api.create(view="NEW_IMAGE")
    write_one_of_each(api, table)
    arn = api.stream_arn(table)
    waiting = api.iterator(arn, "LATEST")
    api.call("DeleteTable", TableName=table)
    api.dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    stream = api.call("DescribeStream", StreamArn=arn)["StreamDescription"]
    assert stream["StreamStatus"] == "DISABLED"
    shard, = stream["Shards"]
    assert int(shard["SequenceNumberRange"]["EndingSequenceNumber"]) >= int(shard["SequenceNumberRange"]["StartingSequenceNumber"])
    page = api.call("GetRecords", ShardIterator=api.iterator(arn), Limit=3)
    assert len(page["Records"]) == 3
    page = api.call("GetRecords", ShardIterator=page["NextShardIterator"])
    assert len(page["Records"]) == 1 and "NextShardIterator" not in page
    page = api.call("GetRecords", ShardIterator=waiting)
    assert page == {"Records": []}
    assert [stream["StreamArn"] for stream in api.call("ListStreams", TableName=table)["Streams"]] == [arn]


def test_a_new_table_of_the_same_name_has_a_new_stream(api):
    table = api.create(view="NEW_IMAGE")
    api.put(table, pk=S)
    first = api.stream_arn(table)
    api.call("DeleteTable", TableName=table)
    api.dynamodb.get_waiter("table_not_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    api.create(view="KEYS_ONLY", name=table)
    second = api.stream_arn(table)
    assert first != second and api.records(arn=second) == []
    assert len(api.records(arn=first)) == 1
    assert {stream["StreamArn"] for stream in api.call("ListStreams", TableName=table)["Streams"]} == {first, second}


@pytest.mark.headwater
def test_iterators_expire_after_15_minutes_and_outlive_restarts(own):
    api = own(hooks=True)
    table = api.create(view="NEW_IMAGE")
    api.put(table, pk=S, i=n(1))
    arn = api.stream_arn(table)
    first, latest = api.iterator(arn), api.iterator(arn, "LATEST")
    for end in (api.server.kill, api.server.stop):
        end()
        api.server.start()
        assert len(api.call("GetRecords", ShardIterator=first)["Records"]) == 1
    api.put(table, pk=S, i=n(2))
    assert [record["dynamodb"]["NewImage"]["i"] for record in api.read_shard(latest)] == [n(2)]
    api.server.move_clock(15 * 60 * 1000 - 30000)
    fresh = api.call("GetRecords", ShardIterator=first)["NextShardIterator"]
    api.server.move_clock(15 * 60 * 1000 + 60000)
    assert api.refusal("GetRecords", ShardIterator=first) == \
        "ExpiredIteratorException: The shard iterator has expired and can no longer be used to retrieve stream records"
    api.call("GetRecords", ShardIterator=fresh)


def images_left(api, table):
    """An iterator whose records are trimmed before it is used is refused, as DynamoDB documents it: then it is not over yet."""
    try:
        return [record["dynamodb"]["NewImage"]["i"] for record in api.records(table)]
    except Refused as refused:
        assert refused.type == "TrimmedDataAccessException"
        return None


@pytest.mark.headwater
def test_records_are_trimmed_after_24_hours(own):
    api = own(hooks=True)
    table = api.create(view="NEW_IMAGE")
    api.put(table, pk=S, i=n(1))
    arn = api.stream_arn(table)
    first, = api.records(table, count=1)
    api.server.move_clock(23 * 3600 * 1000)
    assert len(api.records(table)) == 1
    api.server.move_clock(24 * 3600 * 1000 + 60000)
    api.put(table, pk=S, i=n(2))
    wait_until(lambda: images_left(api, table) == [n(2)])
    told = api.refusal("GetShardIterator", StreamArn=arn, ShardId=api.shards(arn)[0]["ShardId"], ShardIteratorType="AT_SEQUENCE_NUMBER",
                       SequenceNumber=first["dynamodb"]["SequenceNumber"])
    assert told == "TrimmedDataAccessException: The operation attempted to read past the oldest stream record in a shard"


# ---- refusals ----

NO_STREAM = f"ResourceNotFoundException: Requested resource not found: Stream: {NO_ARN} not found"
AT = {"StreamArn": NO_ARN, "ShardId": NO_SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER"}
TYPES = "satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
REFUSED = [
    ("ListStreams", {"Limit": 0}, errors(must("0", "limit", "have value greater than or equal to 1"))),
    ("ListStreams", {"Limit": 101}, errors(must("101", "limit", "have value less than or equal to 100"))),
    ("ListStreams", {"TableName": "ab"}, errors(must("ab", "tableName", "have length greater than or equal to 3"))),
    ("ListStreams", {"ExclusiveStartStreamArn": "x"},
     errors(must("x", "exclusiveStartStreamArn", "have length greater than or equal to 37"))),
    ("ListStreams", {"ExclusiveStartStreamArn": "x" * 40}, "Invalid StreamArn: " + "x" * 40),
    ("DescribeStream", {}, errors(must(None, "streamArn", "not be null"))),
    ("DescribeStream", {"StreamArn": "x"}, errors(must("x", "streamArn", "have length greater than or equal to 37"))),
    ("DescribeStream", {"StreamArn": "x" * 40}, "Invalid StreamArn: " + "x" * 40),
    ("DescribeStream", {"StreamArn": NO_ARN}, NO_STREAM),
    ("DescribeStream", {"StreamArn": NO_ARN, "Limit": 0}, errors(must("0", "limit", "have value greater than or equal to 1"))),
    ("DescribeStream", {"StreamArn": NO_ARN, "Limit": 101}, errors(must("101", "limit", "have value less than or equal to 100"))),
    ("DescribeStream", {"StreamArn": NO_ARN, "ExclusiveStartShardId": "x"},
     errors(must("x", "exclusiveStartShardId", "have length greater than or equal to 28"))),
    ("DescribeStream", {"StreamArn": NO_ARN, "ShardFilter": {"Type": "x", "ShardId": "y"}},
     errors(must("x", "shardFilter.type", "satisfy enum value set: [CHILD_SHARDS]"),
            must("y", "shardFilter.shardId", "have length greater than or equal to 28"))),
    ("DescribeStream", {"StreamArn": NO_ARN, "ShardFilter": {}},
     errors(must(None, "shardFilter.type", "not be null"), must(None, "shardFilter.shardId", "not be null"))),
    ("GetShardIterator", {}, errors(*(must(None, name, "not be null") for name in ("streamArn", "shardId", "shardIteratorType")))),
    ("GetShardIterator", {**AT, "ShardIteratorType": "AT_TIMESTAMP"}, errors(must("AT_TIMESTAMP", "shardIteratorType", TYPES))),
    ("GetShardIterator", {**AT, "SequenceNumber": "1" * 20}, errors(must("", "sequenceNumber", "have length greater than or equal to 21"))),
    ("GetShardIterator", {**AT, "SequenceNumber": "1" * 41}, errors(must("", "sequenceNumber", "have length less than or equal to 40"))),
    ("GetShardIterator", AT, INVALID + "SequenceNumber cannot be null"),
    ("GetShardIterator", {**AT, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}, INVALID + "SequenceNumber cannot be null"),
    *(("GetShardIterator", {**AT, "ShardIteratorType": kind, "SequenceNumber": "1" * 24},
       INVALID + "SequenceNumber should not be passed for this iterator type") for kind in ("LATEST", "TRIM_HORIZON")),
    ("GetShardIterator", {**AT, "ShardIteratorType": "LATEST"}, NO_STREAM),
    ("GetRecords", {}, errors(must(None, "shardIterator", "not be null"))),
    ("GetRecords", {"ShardIterator": ""}, errors(must("", "shardIterator", "have length greater than or equal to 1").replace("Value", "Value ''"))),
    ("GetRecords", {"ShardIterator": "x", "Limit": 0}, errors(must("0", "limit", "have value greater than or equal to 1"))),
    ("GetRecords", {"ShardIterator": "x", "Limit": 1001}, errors(must("1001", "limit", "have value less than or equal to 1000"))),
    ("GetRecords", {"ShardIterator": "x"}, "Invalid ShardIterator"),
]


@pytest.mark.parametrize(("operation", "request_body", "text"), REFUSED)
def test_refusals(api, operation, request_body, text):
    assert api.refusal(operation, request_body) == text


def test_unknown_shards_and_sequence_numbers(api, ten):
    arn, sequence = ten
    shard = api.shards(arn)[0]["ShardId"]
    told = api.refusal("GetShardIterator", StreamArn=arn, ShardId=NO_SHARD, ShardIteratorType="LATEST")
    assert told.startswith("ResourceNotFoundException: Requested resource not found: Shard")
    for number in ("9" * 24, "0" * 24, "x" * 24, str(int(sequence[-1]) + 10**12)):
        assert api.refusal("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER",
                           SequenceNumber=number) == "Invalid SequenceNumber for the shard"


@pytest.mark.headwater
def test_a_changed_iterator_is_refused(api, ten):
    """Each character of it in turn: no other place of no other stream is reached by chance."""
    iterator = api.iterator(ten[0])
    for i in range(len(iterator)):
        other = iterator[:i] + ("B" if iterator[i] != "B" else "C") + iterator[i + 1:]
        assert api.refusal("GetRecords", ShardIterator=other) in ("Invalid ShardIterator",)
