"""UpdateTable: what it changes at once, what it echoes, and what it refuses."""

import threading
import time

import pytest

from api import INVALID, Refused, errors, must, wait_until

S = {"S": "s"}
ENABLED = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
DISABLED = {"StreamEnabled": False}
TWO = {"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}
NOTHING = ("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, SSESpecification, "
           "ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, DeletionProtectionEnabled, "
           "OnDemandThroughput, WarmThroughput or TableClass is required")


def update(api, table, **change):
    """The answer's description; the table is ACTIVE afterwards."""
    told = api.call("UpdateTable", TableName=table, **change)["TableDescription"]
    wait_until(lambda: api.describe(table)["TableStatus"] == "ACTIVE")
    return told


def provisioned(api):
    return api.create(BillingMode="PROVISIONED", ProvisionedThroughput=TWO)


def units(described):
    shown = described["ProvisionedThroughput"]
    return shown["ReadCapacityUnits"], shown["WriteCapacityUnits"]


# ---- throughput, billing, class, protection ----


def test_throughput_is_changed_and_the_answer_shows_what_was(api):
    table = provisioned(api)
    told = update(api, table, ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 3})
    assert (told["TableStatus"], units(told)) == ("UPDATING", (2, 3))
    assert units(api.describe(table)) == (7, 3)


def test_billing_goes_both_ways(api):
    table = provisioned(api)
    assert "BillingModeSummary" not in api.describe(table)
    assert update(api, table, BillingMode="PAY_PER_REQUEST")["TableStatus"] == "UPDATING"
    described = api.describe(table)
    assert (described["BillingModeSummary"]["BillingMode"], units(described)) == ("PAY_PER_REQUEST", (0, 0))
    since = described["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"]
    assert since >= described["CreationDateTime"]
    update(api, table, BillingMode="PROVISIONED", ProvisionedThroughput=TWO)
    described = api.describe(table)
    assert described["BillingModeSummary"] == {"BillingMode": "PROVISIONED", "LastUpdateToPayPerRequestDateTime": since}
    assert units(described) == (2, 3)


def test_a_table_made_on_demand_stays_known_for_it(api):
    table = api.create()
    created = api.describe(table)["CreationDateTime"]
    update(api, table, BillingMode="PROVISIONED", ProvisionedThroughput=TWO)
    assert api.describe(table)["BillingModeSummary"] == {"BillingMode": "PROVISIONED", "LastUpdateToPayPerRequestDateTime": created}


def test_what_is_so_already_may_be_asked_for_again(api):
    table = api.create()
    before = api.describe(table)
    assert update(api, table, BillingMode="PAY_PER_REQUEST")["TableStatus"] == "UPDATING"
    assert update(api, table, TableClass="STANDARD")["TableStatus"] == "UPDATING"
    assert update(api, table, DeletionProtectionEnabled=False)["TableStatus"] == "ACTIVE"
    assert api.describe(table) == before


def test_on_demand_bounds_are_merged_and_taken_away(api):
    table = api.create()
    assert update(api, table, OnDemandThroughput={"MaxReadRequestUnits": 5})["OnDemandThroughput"] == {"MaxReadRequestUnits": 5}
    update(api, table, OnDemandThroughput={"MaxWriteRequestUnits": 6})
    assert api.describe(table)["OnDemandThroughput"] == {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}
    update(api, table, OnDemandThroughput={"MaxReadRequestUnits": -1})
    assert api.describe(table)["OnDemandThroughput"] == {"MaxWriteRequestUnits": 6}
    update(api, table, BillingMode="PROVISIONED", ProvisionedThroughput=TWO)
    assert "OnDemandThroughput" not in api.describe(table)
    update(api, table, BillingMode="PAY_PER_REQUEST", OnDemandThroughput={"MaxReadRequestUnits": 9})
    assert api.describe(table)["OnDemandThroughput"] == {"MaxReadRequestUnits": 9}


def test_the_class_is_changed(api):
    table = api.create()
    assert "TableClassSummary" not in update(api, table, TableClass="STANDARD_INFREQUENT_ACCESS")
    rare = api.describe(table)["TableClassSummary"]
    assert rare["TableClass"] == "STANDARD_INFREQUENT_ACCESS" and abs(rare["LastUpdateDateTime"] - time.time()) < 60
    update(api, table, TableClass="STANDARD_INFREQUENT_ACCESS")
    assert api.describe(table)["TableClassSummary"] == rare
    update(api, table, TableClass="STANDARD")
    usual = api.describe(table)["TableClassSummary"]
    assert usual["TableClass"] == "STANDARD" and usual["LastUpdateDateTime"] >= rare["LastUpdateDateTime"]


def test_protection_keeps_a_table_until_it_is_taken_away(api):
    table = api.create()
    told = update(api, table, DeletionProtectionEnabled=True)
    assert (told["TableStatus"], told["DeletionProtectionEnabled"]) == ("ACTIVE", True)
    assert api.refusal("DeleteTable", TableName=table) == \
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
    assert update(api, table, DeletionProtectionEnabled=False)["DeletionProtectionEnabled"] is False
    assert api.call("DeleteTable", TableName=table)["TableDescription"]["TableStatus"] == "DELETING"


def test_the_rest_of_a_table_stays(api):
    table = api.create("pk:S,sk:N", Tags=[{"Key": "a", "Value": "b"}])
    api.put(table, pk=S, sk={"N": "1"}, v=S)
    before = api.describe(table)
    update(api, table, DeletionProtectionEnabled=True)
    update(api, table, StreamSpecification=ENABLED)
    described = api.describe(table)
    added = {"StreamSpecification", "LatestStreamArn", "LatestStreamLabel"}
    assert {name: value for name, value in described.items() if name not in added} == {**before, "DeletionProtectionEnabled": True}
    assert api.get(table, pk=S, sk={"N": "1"}) == {"pk": S, "sk": {"N": "1"}, "v": S}


def test_a_table_is_named_by_its_arn_too(api):
    table = api.create()
    update(api, api.describe(table)["TableArn"], TableClass="STANDARD_INFREQUENT_ACCESS")
    assert api.describe(table)["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"


@pytest.mark.headwater
def test_changes_outlive_a_kill(own):
    api = own()
    table = provisioned(api)
    update(api, table, ProvisionedThroughput={"ReadCapacityUnits": 8, "WriteCapacityUnits": 9})
    update(api, table, StreamSpecification=ENABLED)
    update(api, table, DeletionProtectionEnabled=True)
    before = api.describe(table)
    for end in (api.server.kill, api.server.stop):
        end()
        api.server.start()
        assert api.describe(table) == before


# ---- streams ----


def shown(records):
    return [(record["eventName"], record["dynamodb"]["Keys"]["pk"]["S"]) for record in records]


def test_a_stream_is_switched_on(api):
    table = api.create()
    api.put(table, pk={"S": "before"})
    told = update(api, table, StreamSpecification=ENABLED)
    assert (told["TableStatus"], told["StreamSpecification"]) == ("UPDATING", ENABLED)
    described = api.describe(table)
    assert described["StreamSpecification"] == ENABLED
    assert described["LatestStreamArn"] == f"{described['TableArn']}/stream/{described['LatestStreamLabel']}"
    api.put(table, pk={"S": "after"})
    assert shown(api.records(table, count=1)) == [("INSERT", "after")]
    stream = api.call("DescribeStream", StreamArn=described["LatestStreamArn"])["StreamDescription"]
    assert (stream["StreamStatus"], stream["StreamViewType"], stream["TableName"]) == ("ENABLED", "NEW_IMAGE", table)


def test_a_stream_is_switched_off_and_read_to_its_end(api):
    table = api.create(view="NEW_IMAGE")
    arn = api.stream_arn(table)
    waiting = api.iterator(arn, "LATEST")
    api.put(table, pk={"S": "in"})
    told = update(api, table, StreamSpecification=DISABLED)
    assert (told["TableStatus"], told["StreamSpecification"]) == ("UPDATING", DISABLED)
    described = api.describe(table)
    assert "StreamSpecification" not in described
    assert described["LatestStreamArn"] == arn
    api.put(table, pk={"S": "out"})
    stream = api.call("DescribeStream", StreamArn=arn)["StreamDescription"]
    assert stream["StreamStatus"] == "DISABLED"
    shard, = stream["Shards"]
    start, end = (int(shard["SequenceNumberRange"][f"{name}SequenceNumber"]) for name in ("Starting", "Ending"))
    assert start <= end
    page = api.call("GetRecords", ShardIterator=waiting)
    assert shown(page["Records"]) == [("INSERT", "in")]
    assert "NextShardIterator" not in page
    assert start <= int(page["Records"][0]["dynamodb"]["SequenceNumber"]) <= end
    assert api.call("GetRecords", ShardIterator=api.iterator(arn, "LATEST")) == {"Records": []}


def test_each_time_a_stream_is_another_one(api):
    table = api.create(view="KEYS_ONLY")
    arns = [api.stream_arn(table)]
    for view in ("NEW_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES"):
        api.put(table, pk={"S": f"of {len(arns)}"})
        update(api, table, StreamSpecification=DISABLED)
        api.put(table, pk={"S": f"after {len(arns)}"})
        update(api, table, StreamSpecification={"StreamEnabled": True, "StreamViewType": view})
        arns.append(api.stream_arn(table))
        assert api.records(arn=arns[-1]) == []
    assert len(set(arns)) == 4
    listed = [stream["StreamArn"] for stream in api.call("ListStreams", TableName=table)["Streams"]]
    assert sorted(listed) == sorted(arns)
    for i, arn in enumerate(arns[:-1]):
        assert shown(api.records(arn=arn)) == [("INSERT", f"of {i + 1}")]
    assert {api.call("DescribeStream", StreamArn=arn)["StreamDescription"]["StreamStatus"] for arn in arns[:-1]} == {"DISABLED"}


def test_a_stream_comes_with_a_change_of_billing(api):
    table = provisioned(api)
    update(api, table, BillingMode="PAY_PER_REQUEST", StreamSpecification=ENABLED)
    described = api.describe(table)
    assert (described["BillingModeSummary"]["BillingMode"], described["StreamSpecification"]) == ("PAY_PER_REQUEST", ENABLED)


def test_a_switch_is_exact_at_a_commit(api):
    """Writers go on while the stream is switched. Every write is in one stream or in none, in order, and what a writer wrote before a
    switch was asked for and after it was answered is where it must be."""
    table = api.create(view="NEW_IMAGE")
    arns, marks, stop = [api.stream_arn(table)], [], threading.Event()
    written = [0, 0]

    def write(writer):
        client = api.client()
        while not stop.is_set():
            client.put_item(TableName=table, Item={"pk": {"S": str(writer)}, "i": {"N": str(written[writer] + 1)}})
            written[writer] += 1

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            for change in (DISABLED, ENABLED):
                reached = [count + 3 for count in written]
                wait_until(lambda reached=reached: all(now >= least for now, least in zip(written, reached)))
                before = list(written)
                update(api, table, StreamSpecification=change)
                marks.append((before, list(written)))
            arns.append(api.stream_arn(table))
        reached = [count + 1 for count in written]
        wait_until(lambda: all(now >= least for now, least in zip(written, reached)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for writer in range(2):
        at = 0
        for i, arn in enumerate(arns):
            found = [int(record["dynamodb"]["NewImage"]["i"]["N"]) for record in api.records(arn=arn)
                     if record["dynamodb"]["Keys"]["pk"]["S"] == str(writer)]
            assert found == list(range(found[0], found[-1] + 1))
            assert found[0] > at
            at = found[-1]
            if i < len(arns) - 1:
                before, after = (mark[writer] for mark in marks[2 * i])  # when it was switched off
                assert before <= found[-1] <= after + 1
            if i > 0:
                before, after = (mark[writer] for mark in marks[2 * i - 1])  # when it was switched on
                assert before < found[0] <= after + 2
        assert at == written[writer]


# ---- refusals ----

VIEWS = "satisfy enum value set: [OLD_IMAGE, KEYS_ONLY, NEW_AND_OLD_IMAGES, NEW_IMAGE]"


def alone(what):
    return INVALID + f"{what} modification must be the only operation in the request"


REFUSED = [
    ("no change", {}, NOTHING),
    ("definitions alone", {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}, NOTHING),
    ("an empty bound", {"OnDemandThroughput": {}}, NOTHING),
    ("billing mode", {"BillingMode": "x"}, errors(must("x", "billingMode", "satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"))),
    ("table class", {"TableClass": "x"}, "Invalid table-class parameter provided. Please try again with a valid table-class value: "
     "[STANDARD, STANDARD_INFREQUENT_ACCESS]."),
    ("throughput out of bounds", {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 10**12 + 1, "WriteCapacityUnits": 1}},
     "Given value 1000000000001 for ReadCapacityUnits is out of bounds"),
    ("throughput without members", {"ProvisionedThroughput": {}},
     errors(must(None, "provisionedThroughput.writeCapacityUnits", "not be null"),
            must(None, "provisionedThroughput.readCapacityUnits", "not be null"))),
    ("throughput of 0", {"ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}},
     errors(must("0", "provisionedThroughput.writeCapacityUnits", "have value greater than or equal to 1"),
            must("0", "provisionedThroughput.readCapacityUnits", "have value greater than or equal to 1"))),
    ("stream without members", {"StreamSpecification": {}}, errors(must(None, "streamSpecification.streamEnabled", "not be null"))),
    ("view type", {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": ""}},
     errors(f"Value '' at 'streamSpecification.streamViewType' failed to satisfy constraint: Member must {VIEWS}")),
    ("stream on without a view", {"StreamSpecification": {"StreamEnabled": True}},
     INVALID + "If stream is being enabled then UpdateViewType is required"),
    ("stream off with a view", {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}},
     INVALID + "If stream is being disabled, then UpdateViewType must not be specified"),
    ("provisioned without throughput", {"BillingMode": "PROVISIONED"},
     INVALID + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED"),
    ("on demand with throughput", {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": TWO},
     INVALID + "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST"),
    ("throughput of a table on demand", {"ProvisionedThroughput": TWO},
     INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"),
    ("bound of 0", {"OnDemandThroughput": {"MaxReadRequestUnits": 0}},
     INVALID + "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range"),
    ("bound of -2", {"OnDemandThroughput": {"MaxWriteRequestUnits": -2}},
     INVALID + "Requested MaxWriteRequestUnits for OnDemandThroughput for table is outside of valid range"),
    ("bound when it becomes provisioned",
     {"BillingMode": "PROVISIONED", "ProvisionedThroughput": TWO, "OnDemandThroughput": {"MaxWriteRequestUnits": 1}},
     INVALID + "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"),
    ("no stream to switch off", {"StreamSpecification": DISABLED}, "Table has no stream to disable: TableName: {table}"),
    ("encryption by default", {"SSESpecification": {"Enabled": False}}, INVALID + "Table is already encrypted by default"),
    ("encryption without members", {"SSESpecification": {}}, INVALID + "Table is already encrypted by default"),
    ("no encryption with a type", {"SSESpecification": {"Enabled": False, "SSEType": "KMS"}},
     INVALID + "SSEType can not be specified if Enabled is false"),
    ("no encryption with a key", {"SSESpecification": {"Enabled": False, "KMSMasterKeyId": "x"}},
     INVALID + "KMSMasterKeyId can not be specified if Enabled is false"),
    ("encryption type", {"SSESpecification": {"Enabled": True, "SSEType": "AES256"}}, INVALID + "SSEType AES256 is not supported"),
    ("encryption and protection", {"SSESpecification": {"Enabled": False}, "DeletionProtectionEnabled": True}, alone("Server-Side Encryption")),
    ("class and protection", {"TableClass": "STANDARD", "DeletionProtectionEnabled": True}, alone("TableClass")),
    ("protection and billing", {"BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": True}, alone("DeletionProtection")),
    ("protection and stream", {"StreamSpecification": ENABLED, "DeletionProtectionEnabled": False}, alone("DeletionProtection")),
    ("stream and throughput", {"StreamSpecification": ENABLED, "ProvisionedThroughput": TWO},
     INVALID + "You cannot modify stream status while updating table IOPS"),
    ("stream and provisioned", {"StreamSpecification": ENABLED, "BillingMode": "PROVISIONED", "ProvisionedThroughput": TWO},
     INVALID + "You cannot modify stream status while updating table IOPS"),
    ("stream and bound", {"StreamSpecification": ENABLED, "OnDemandThroughput": {"MaxReadRequestUnits": 1}},
     INVALID + "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"),
]


@pytest.mark.parametrize(("change", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refusals_change_nothing(api, hashed, change, text):
    before = api.describe(hashed)
    assert api.refusal("UpdateTable", {"TableName": hashed, **change}) == text.format(table=hashed)
    assert api.describe(hashed) == before


def test_a_stream_that_is_on_stays_as_it_is(api):
    table = api.create(view="KEYS_ONLY")
    for view in ("KEYS_ONLY", "NEW_IMAGE"):
        assert api.refusal("UpdateTable", TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": view}) == \
            f"Table already has an enabled stream: TableName: {table}"
    assert api.describe(table)["StreamSpecification"]["StreamViewType"] == "KEYS_ONLY"


def test_throughput_that_is_so_already(api):
    table = provisioned(api)
    text = ("The provisioned throughput for the table will not change. The requested value equals the current value. Current "
            "ReadCapacityUnits provisioned for the table: 2. Requested ReadCapacityUnits: 2. Current WriteCapacityUnits provisioned for "
            "the table: 3. Requested WriteCapacityUnits: 3. Refer to the Amazon DynamoDB Developer Guide for current limits and how to "
            "request higher limits.")
    for mode in ({}, {"BillingMode": "PROVISIONED"}):
        assert api.refusal("UpdateTable", TableName=table, ProvisionedThroughput=TWO, **mode) == text
    assert api.refusal("UpdateTable", TableName=table, OnDemandThroughput={"MaxReadRequestUnits": 1}) == \
        INVALID + "MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED"


def test_an_unknown_table(api):
    assert api.refusal("UpdateTable", TableName="no.such.table", DeletionProtectionEnabled=True) == \
        "ResourceNotFoundException: Requested resource not found: Table: no.such.table not found"


@pytest.mark.headwater
@pytest.mark.parametrize("member", ["GlobalSecondaryIndexUpdates", "ReplicaUpdates", "MultiRegionConsistency", "GlobalTableWitnessUpdates",
                                    "GlobalTableSettingsReplicationMode", "WarmThroughput", "VectorIndexUpdates"])
def test_what_is_not_built_is_refused(api, hashed, member):
    assert api.refusal("UpdateTable", {"TableName": hashed, member: []}) == f"Headwater does not support {member} yet"


@pytest.mark.headwater
def test_what_belongs_to_the_server_stays(api, hashed):
    assert api.refusal("UpdateTable", TableName="headwater.chat_log", StreamSpecification=DISABLED) == \
        "Tables named headwater.* belong to the server and cannot be changed"
    assert api.refusal("UpdateTable", TableName=hashed, SSESpecification={"Enabled": True}) == \
        "Headwater does not support SSESpecification with keys yet"


def test_boto3_updates_a_table(api):
    table = api.create()
    told = api.dynamodb.update_table(TableName=table, StreamSpecification=ENABLED)["TableDescription"]
    assert told["TableStatus"] == "UPDATING"
    api.dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
    with pytest.raises(api.dynamodb.exceptions.ResourceNotFoundException):
        api.dynamodb.update_table(TableName=table + ".not", StreamSpecification=ENABLED)
    with pytest.raises(Refused, match="already has an enabled stream"):
        api.call("UpdateTable", TableName=table, StreamSpecification=ENABLED)
