"""Data directories that earlier versions have written: how one is made, and what must be read back from it.

tests/data/README.md says what they are for. Answers are compared as they came over the wire, so nothing is lost in a client's
types.
"""

import base64
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import time

import api
import chat
import headwater

DATA = headwater.ROOT / "tests/data"
# Records of any age are read: the directories only get older.
KEEP = "--retention-ms=3155760000000"
SMALL = ("--segment-bytes=262144", "--memtable-bytes=65536", "--flush-bytes=131072")
VIEWS = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY")
HANDLES = ("ada", "grace")


def ok(server, operation, streams=False, **body):
    service = "DynamoDBStreams_20120810" if streams else "DynamoDB_20120810"
    status, answer = server.call(operation, body, service)
    assert status == 200, answer
    return answer


# ---- making ----

def create(server, name, view=None, range_type=None):
    keys = [{"AttributeName": "h", "KeyType": "HASH"}]
    types = [{"AttributeName": "h", "AttributeType": "S"}]
    if range_type:
        keys.append({"AttributeName": "r", "KeyType": "RANGE"})
        types.append({"AttributeName": "r", "AttributeType": range_type})
    stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}} if view else {}
    ok(server, "CreateTable", TableName=name, KeySchema=keys, AttributeDefinitions=types,
       BillingMode="PAY_PER_REQUEST", **stream)


def nested(levels):
    value = {"S": "innermost"}
    for level in range(levels):
        value = {"L": [value]} if level % 2 else {"M": {"m": value}}
    return value


def every_type():
    binary = base64.b64encode(bytes(range(256))).decode()
    return {
        "string": {"S": "Grüße, 世界 \u0000\u001f\"\\"}, "empty": {"S": ""}, "binary": {"B": binary},
        "numbers": {"NS": ["0", "-1", "1E-130", "9.9999999999999999999999999999999999999E+125",
                           "-9.9999999999999999999999999999999999999E+125", "12345678901234567890.123456789"]},
        "strings": {"SS": ["a", "b", "ä"]}, "binaries": {"BS": ["AA==", "AQI=", binary]},
        "true": {"BOOL": True}, "false": {"BOOL": False}, "null": {"NULL": True},
        "list": {"L": [{"N": "1"}, {"S": "two"}, {"L": []}]}, "map": {"M": {"inner": {"N": "0"}, "none": {"M": {}}}},
        "deep": nested(30),
    }


def fill(server):
    """Every kind of record and value. Returns the keys that must be asked for, some of them of nothing."""
    asked = []
    for view in VIEWS:
        create(server, view, view, "N")
    create(server, "quiet", None, "B")
    create(server, "simple", "NEW_AND_OLD_IMAGES")
    create(server, "dropped", "NEW_AND_OLD_IMAGES")
    for view in VIEWS:
        for number in ("-1.5", "0", "1", "1E+100"):
            key = {"h": {"S": view}, "r": {"N": number}}
            asked.append((view, key))
            ok(server, "PutItem", TableName=view, Item={**key, **every_type()})
            ok(server, "UpdateItem", TableName=view, Key=key,
               UpdateExpression="SET #l = list_append(#l, :l), n = if_not_exists(n, :n) + :n ADD #s :s REMOVE #e",
               ExpressionAttributeNames={"#l": "list", "#s": "strings", "#e": "empty"},
               ExpressionAttributeValues={":l": {"L": [{"N": "3"}]}, ":n": {"N": "0.5"}, ":s": {"SS": ["c"]}})
        ok(server, "PutItem", TableName=view, Item={**key, **every_type()})
        ok(server, "DeleteItem", TableName=view, Key=key)
    for number in range(16):
        key = {"h": {"S": f"large {number % 4}"}}
        asked.append(("simple", key))
        ok(server, "PutItem", TableName="simple", Item={**key, "text": {"S": f"{number} " * 15000}})
    key = {"h": {"S": "q"}, "r": {"B": "/w=="}}
    asked.append(("quiet", key))
    ok(server, "PutItem", TableName="quiet", Item={**key, "a": {"N": "1"}})
    asked += [("simple", {"h": {"S": name}}) for name in ("one", "two", "three")]
    ok(server, "PutItem", TableName="simple", Item={"h": {"S": "three"}, "n": {"N": "3"}})
    ok(server, "TransactWriteItems", ClientRequestToken="golden", TransactItems=[
        {"Put": {"TableName": "simple", "Item": {"h": {"S": "one"}, "n": {"N": "1"}}}},
        {"Update": {"TableName": "simple", "Key": {"h": {"S": "two"}}, "UpdateExpression": "ADD n :two",
                    "ExpressionAttributeValues": {":two": {"N": "2"}}}},
        {"Delete": {"TableName": "simple", "Key": {"h": {"S": "three"}}}},
        {"ConditionCheck": {"TableName": "quiet", "Key": key, "ConditionExpression": "attribute_exists(h)"}}])
    ok(server, "PutItem", TableName="dropped", Item={"h": {"S": "gone with its table"}})
    ok(server, "DeleteTable", TableName="dropped")
    ann, bob = [chat.Person(server, handle) for handle in HANDLES]
    conversation = ann.open(bob)
    for text in ("Hello", "x" * 700, "y" * 701, "世" * 5000):
        ann.send(conversation, text)
    bob.send(conversation, "Hello yourself")
    bob.read(conversation, 3)
    return asked


def fill_over_time(server):
    """What comes only with time: a stream that is closed and another opened in its table, items that expire one day, records
    that have grown old, and segments that were cleaned without them."""
    create(server, "reopened", "KEYS_ONLY")
    ok(server, "PutItem", TableName="reopened", Item={"h": {"S": "before"}})
    ok(server, "UpdateTable", TableName="reopened", StreamSpecification={"StreamEnabled": False})
    api.wait_until(lambda: ok(server, "DescribeTable", TableName="reopened")["Table"]["TableStatus"] == "ACTIVE")
    ok(server, "PutItem", TableName="reopened", Item={"h": {"S": "between"}})
    ok(server, "UpdateTable", TableName="reopened", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    api.wait_until(lambda: ok(server, "DescribeTable", TableName="reopened")["Table"]["TableStatus"] == "ACTIVE")
    ok(server, "PutItem", TableName="reopened", Item={"h": {"S": "after"}})
    create(server, "expiring")
    ok(server, "UpdateTimeToLive", TableName="expiring", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    ok(server, "PutItem", TableName="expiring", Item={"h": {"S": "one day"}, "until": {"N": "4102444800"}})
    create(server, "brief", "NEW_AND_OLD_IMAGES")
    arn = ok(server, "DescribeTable", TableName="brief")["Table"]["TableArn"]
    ok(server, "TagResource", ResourceArn=arn, Tags=[{"Key": "headwater:stream-retention", "Value": "1m"}])
    for number in range(40):
        ok(server, "PutItem", TableName="brief", Item={"h": {"S": f"brief {number % 4}"}, "t": {"S": f"{number} " * 8000}})
        ok(server, "PutItem", TableName="simple", Item={"h": {"S": f"kept {number % 4}"}, "t": {"S": f"{number} " * 40}})
    create(server, "ended", "NEW_IMAGE")
    ended = ok(server, "DescribeTable", TableName="ended")["Table"]
    ok(server, "TagResource", ResourceArn=ended["TableArn"], Tags=[{"Key": "headwater:stream-retention", "Value": "1m"}])
    ok(server, "PutItem", TableName="ended", Item={"h": {"S": "of a stream that is no more"}})
    ok(server, "UpdateTable", TableName="ended", StreamSpecification={"StreamEnabled": False})
    print("waiting until records of a minute have grown old", flush=True)
    api.wait_until(lambda: dead(server, "brief") and list(server.data.glob("log/*-*.log")), 240)
    create(server, "forever")
    ok(server, "PutItem", TableName="forever", Item={"h": {"S": "after all"}, "until": {"N": "4102444800"}})
    for enabled in (True, False):  # what was there before is filled in, and goes
        ok(server, "UpdateTimeToLive", TableName="forever", TimeToLiveSpecification={"Enabled": enabled, "AttributeName": "until"})
    print("waiting until a token of ten minutes is forgotten, and a stream without records", flush=True)
    api.wait_until(lambda: {"token_drop", "stream_drop"} <= kinds_in_copy(server), 1800)
    assert ended["LatestStreamArn"] not in {stream["StreamArn"] for stream in ok(server, "ListStreams", streams=True)["Streams"]}
    asked = [("reopened", {"h": {"S": name}}) for name in ("before", "between", "after")]
    asked += [("ended", {"h": {"S": "of a stream that is no more"}})]
    asked += [("expiring", {"h": {"S": "one day"}}), ("forever", {"h": {"S": "after all"}})]
    return asked + [(table, {"h": {"S": f"{name} {number}"}}) for table, name in (("brief", "brief"), ("simple", "kept"))
                    for number in range(4)]


def kinds():
    """Names of all kinds of records."""
    text = (headwater.ROOT / "src/table/record.def").read_text(encoding="ascii")
    return set(re.findall(r'^RECORD\(\w+, *\d+, "(\w+)"', text, re.MULTILINE))


def kinds_in(data):
    """Those that a log holds."""
    dump = subprocess.run([str(headwater.program()), "log", "dump", "--data", str(data)], capture_output=True, text=True,
                          timeout=headwater.WAIT_S, check=True)
    return {json.loads(line)["kind"] for line in dump.stdout.splitlines()}


def kinds_in_copy(server):
    """The same while the server runs, which writes little then."""
    time.sleep(10)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(server.data, f"{folder}/data", ignore=shutil.ignore_patterns("LOCK", "view"))
        return kinds_in(copy)


def dead(server, table):
    """Is all of its stream gone?"""
    arn = ok(server, "DescribeTable", TableName=table)["Table"]["LatestStreamArn"]
    for shard in ok(server, "DescribeStream", streams=True, StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = ok(server, "GetShardIterator", streams=True, StreamArn=arn, ShardId=shard["ShardId"],
                      ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        status, page = server.call("GetRecords", {"ShardIterator": iterator}, "DynamoDBStreams_20120810")
        if status != 200 or page["Records"]:  # it may have been trimmed since
            return False
    return True


def pack(server, archive):
    """The directory without what belongs to a running server, and without its key."""
    left_out = {"data/credentials", "data/url", "data/LOCK"}
    with tarfile.open(archive, "w:xz") as out:
        out.add(server.data, "data", filter=lambda entry: None if entry.name in left_out else entry)


# ---- reading ----

def records(server, arn, shard):
    found = []
    iterator = ok(server, "GetShardIterator", streams=True, StreamArn=arn, ShardId=shard,
                  ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    while iterator:
        page = ok(server, "GetRecords", streams=True, ShardIterator=iterator)
        found += page["Records"]
        iterator = page.get("NextShardIterator") if page["Records"] else None
    return found


def read_streams(server):
    found = {}
    for stream in ok(server, "ListStreams", streams=True)["Streams"]:
        told = ok(server, "DescribeStream", streams=True, StreamArn=stream["StreamArn"])["StreamDescription"]
        found[stream["StreamArn"]] = {
            "description": told,
            "records": [records(server, stream["StreamArn"], shard["ShardId"]) for shard in told["Shards"]]}
    return found


def read_chat(server):
    found = {}
    for handle in HANDLES:
        person = chat.Person(server, handle, known=True)
        inbox = person.inbox()
        found[handle] = {"inbox": inbox, "events": {c: person.events(c) for c in inbox},
                         "history": {c: person.history(c) for c in inbox}}
    return found


def read_all(server, asked):
    """Everything that a client can learn."""
    names = ok(server, "ListTables")["TableNames"]
    return {
        "tables": [ok(server, "DescribeTable", TableName=name) for name in names],
        "asked": [[table, key] for table, key in asked],
        "items": [ok(server, "GetItem", TableName=table, Key=key) for table, key in asked],
        "queries": [ok(server, "Query", TableName=table, KeyConditionExpression="h = :h", ScanIndexForward=forward,
                       ExpressionAttributeValues={":h": {"S": table}}) for table in VIEWS for forward in (True, False)],
        "streams": read_streams(server),
        "chat": read_chat(server),
    }


def unordered(told):
    """The same with number sets by text: in which order a call gives them is not stored."""
    if isinstance(told, dict):
        return {name: sorted(value) if name == "NS" else unordered(value) for name, value in told.items()}
    return [unordered(value) for value in told] if isinstance(told, list) else told


def verify_log(server):
    run = subprocess.run([str(headwater.program()), "log", "verify", "--data", str(server.data)], capture_output=True,
                         text=True, timeout=headwater.WAIT_S, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
