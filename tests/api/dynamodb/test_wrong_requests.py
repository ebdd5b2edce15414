"""Wrong requests made from the server's own field tables: each member with each wrong JSON type, absent, and one beyond each bound.

Each is refused with a 400 that names what is wrong, and changes nothing: no commit is made, and tables and streams are the same.
"""

import copy
import json
import re
import subprocess

import pytest

import headwater
from api import Refused

pytestmark = pytest.mark.headwater

S = {"S": "a"}
KEY = {"pk": S}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/none/stream/2026-01-01T00:00:00.000"
TABLE_ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/no.such.table"
SHARD = "shardId-00000001573689847184-864758bb"
TOKENS = {"ExpressionAttributeNames": {"#a": "a"}, "ExpressionAttributeValues": {":v": S}}
WRITE = {"TableName": "wrong", "ReturnConsumedCapacity": "TOTAL", "ReturnItemCollectionMetrics": "SIZE",
         "ReturnValuesOnConditionCheckFailure": "ALL_OLD", "ConditionExpression": "#a = :v", **TOKENS}
ACTION = {name: value for name, value in WRITE.items() if name not in ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics")}
# A request of each operation with every member it may have; reads of what is not there, and writes whose condition fails.
WHOLE = {
    "CreateTable": {
        "TableName": "never.made", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        "OnDemandThroughput": {"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}, "TableClass": "STANDARD",
        "SSESpecification": {"Enabled": False, "SSEType": "KMS", "KMSMasterKeyId": "k"}, "DeletionProtectionEnabled": False,
        "Tags": [{"Key": "k", "Value": "v"}]},
    "UpdateTable": {
        "TableName": "wrong", "BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "OnDemandThroughput": {"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1},
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}, "TableClass": "STANDARD",
        "SSESpecification": {"Enabled": False, "SSEType": "KMS", "KMSMasterKeyId": "k"}, "DeletionProtectionEnabled": False},
    "DescribeTable": {"TableName": "wrong"}, "DeleteTable": {"TableName": "no.such.table"},
    "ListTables": {"ExclusiveStartTableName": "abc", "Limit": 1},
    "PutItem": {**WRITE, "Item": KEY, "ReturnValues": "ALL_OLD"}, "DeleteItem": {**WRITE, "Key": KEY, "ReturnValues": "ALL_OLD"},
    "UpdateItem": {**WRITE, "Key": KEY, "ReturnValues": "ALL_OLD", "UpdateExpression": "SET b = :v"},
    "GetItem": {"TableName": "wrong", "Key": KEY, "ReturnConsumedCapacity": "TOTAL", "ConsistentRead": True, "ProjectionExpression": "#a",
                "ExpressionAttributeNames": {"#a": "a"}},
    "Query": {"TableName": "wrong", "Limit": 1, "ReturnConsumedCapacity": "TOTAL", "Select": "SPECIFIC_ATTRIBUTES",
              "KeyConditionExpression": "pk = :v", "FilterExpression": "#a = :v", "ProjectionExpression": "#a", **TOKENS,
              "ExclusiveStartKey": KEY, "IndexName": "index", "ScanIndexForward": True, "ConsistentRead": True},
    "Scan": {"TableName": "wrong", "Limit": 1, "Segment": 1, "TotalSegments": 2, "ReturnConsumedCapacity": "TOTAL",
             "Select": "SPECIFIC_ATTRIBUTES", "FilterExpression": "#a = :v", "ProjectionExpression": "#a", **TOKENS,
             "ExclusiveStartKey": KEY, "IndexName": "index", "ConsistentRead": True},
    "TransactWriteItems": {
        "TransactItems": [{"Put": {**ACTION, "Item": KEY}}, {"Update": {**ACTION, "Key": KEY, "UpdateExpression": "SET b = :v"}},
                          {"Delete": {**ACTION, "Key": KEY}}, {"ConditionCheck": {**ACTION, "Key": KEY}}],
        "ClientRequestToken": "token", "ReturnConsumedCapacity": "TOTAL", "ReturnItemCollectionMetrics": "SIZE"},
    "TransactGetItems": {"TransactItems": [{"Get": {"TableName": "wrong", "Key": KEY, "ProjectionExpression": "#a", "ExpressionAttributeNames": {"#a": "a"}}}],
                         "ReturnConsumedCapacity": "TOTAL"},
    "BatchGetItem": {"RequestItems": {"wrong": {"Keys": [KEY], "ProjectionExpression": "#a", "ExpressionAttributeNames": {"#a": "a"}, "ConsistentRead": True}},
                     "ReturnConsumedCapacity": "TOTAL"},
    "BatchWriteItem": {"RequestItems": {"wrong": [{"DeleteRequest": {"Key": KEY}}, {"PutRequest": {"Item": {"pk": {"S": "b"}, "v": {"N": "1"}}}}]},
                       "ReturnConsumedCapacity": "TOTAL", "ReturnItemCollectionMetrics": "SIZE"},
    "TagResource": {"ResourceArn": TABLE_ARN, "Tags": [{"Key": "k", "Value": "v"}]},
    "UntagResource": {"ResourceArn": TABLE_ARN, "TagKeys": ["k"]}, "ListTagsOfResource": {"ResourceArn": TABLE_ARN, "NextToken": "x"},
    "DescribeLimits": {}, "DescribeEndpoints": {}, "DescribeTimeToLive": {"TableName": "wrong"},
    "UpdateTimeToLive": {"TableName": "no.such.table", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "ttl"}},
    "ListStreams": {"TableName": "wrong", "Limit": 1, "ExclusiveStartStreamArn": ARN},
    "DescribeStream": {"StreamArn": ARN, "Limit": 1, "ExclusiveStartShardId": SHARD,
                       "ShardFilter": {"Type": "CHILD_SHARDS", "ShardId": SHARD}},
    "GetShardIterator": {"StreamArn": ARN, "ShardId": SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "1" * 24},
    "GetRecords": {"ShardIterator": "x" * 50, "Limit": 1},
}


def described():
    run = subprocess.run([headwater.program(), "describe-operations"], capture_output=True, text=True, check=True)
    return {operation["name"]: operation["in"] for operation in json.loads(run.stdout)}


FIELDS = described()


# ---- places in a request ----


def places(fields, whole, path=()):
    """(path, field) of every member of a request; the path is what leads to it."""
    for field in fields:
        here = (*path, field["name"])
        yield here, field
        value = whole.get(field["name"]) if isinstance(whole, dict) else None
        if field["type"] == "struct" and value is not None:
            yield from places(field["members"], value, here)
        elif field["type"] == "list" and value:
            for i, element in enumerate(value):
                members = [one for one in field["members"] if one["type"] != "struct" or one["name"] in element]
                yield from places(members, element, (*here, i))
        elif field["type"] == "map" and value:
            for name in value:
                yield from places([{**one, "name": name} for one in field["members"]], value, here)


def changed(whole, path, value):
    """The request with that member set; ABSENT takes it out."""
    whole = copy.deepcopy(whole)
    at = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    if value is ABSENT:
        del at[path[-1]]
    return whole


ABSENT = object()


def shown(path):
    return ".".join(f"{step}" if isinstance(step, str) else str(step) for step in path)


# ---- wrong types ----

JSON_VALUES = {"string": "maybe", "integer": 5, "decimal": 0.5, "true": True, "false": False, "list": [], "map": {}}
TOKEN_NAMES = {"string": "STRING_VALUE", "integer": "NUMBER_VALUE", "decimal": "DECIMAL_VALUE", "true": "TRUE_VALUE", "false": "FALSE_VALUE"}
RIGHT = {"string": {"string"}, "enum": {"string"}, "boolean": {"true", "false"}, "integer": {"integer", "decimal"},
         "long": {"integer", "decimal"}, "item": {"map"}, "names": {"map"}, "struct": {"map"}, "list": {"list"},
         "strings": {"list"}, "items": {"list"}, "map": {"map"}}
JAVA = {"string": "String", "enum": "String", "integer": "Integer", "long": "Long"}
MAP = "Start of structure or map found where not expected"


def type_text(kind, given):
    """The pattern of what DynamoDB says of this JSON type in a place of that kind."""
    if kind in JAVA:
        return (re.escape(MAP) if given == "map" else f"Unrecognized collection type class java\\.lang\\.{JAVA[kind]}" if given == "list"
                else f"{TOKEN_NAMES[given]} cannot be converted to {JAVA[kind]}")
    if kind == "boolean":
        return {"map": re.escape(MAP), "list": None, "string": "Unexpected token received from parser"}.get(
            given, f"{TOKEN_NAMES.get(given)} cannot be converted to Boolean")
    if given == "list":
        return {"struct": r"Unrecognized collection type class com\.amazonaws\.dynamodb\.v20120810\.\w+",
                "item": r"Unrecognized collection type java\.util\.Map<java\.lang\.String, com\.amazonaws\.dynamodb\.v20120810\.AttributeValue>",
                "names": r"Unrecognized collection type java\.util\.Map<java\.lang\.String, java\.lang\.String>",
                "map": r"Unrecognized collection type java\.util\.Map<java\.lang\.String, "
                       r"(java\.util\.List<com\.amazonaws\.dynamodb\.v20120810\.\w+>|com\.amazonaws\.dynamodb\.v20120810\.\w+)>"}[kind]
    return re.escape(MAP) if given == "map" else "Unexpected field type"


def wrong_types():
    for operation, fields in FIELDS.items():
        for path, field in places(fields, WHOLE[operation]):
            for given, value in JSON_VALUES.items():
                if field["type"] != "unbuilt" and given not in RIGHT[field["type"]]:
                    text = type_text(field["type"], given)
                    yield pytest.param(operation, path, value, text, id=f"{operation}-{shown(path)}-{given}")
            if field["type"] in ("list", "items"):
                yield pytest.param(operation, path, ["a"], "Unexpected value type in payload", id=f"{operation}-{shown(path)}-elements")
            if field["type"] == "strings":
                yield pytest.param(operation, path, ["a", 1], "NUMBER_VALUE cannot be converted to String", id=f"{operation}-{shown(path)}-elements")


@pytest.fixture(scope="module")
def world(api):
    """Tables with items and streams, and what they hold: nothing of it may change."""
    if not hasattr(api, "wrong_world"):
        api.create(name="wrong", view="NEW_AND_OLD_IMAGES")
        api.put("wrong", pk={"S": "b"}, v={"N": "1"})
        api.wrong_world = True
    before = snapshot(api)
    yield
    assert snapshot(api) == before


def snapshot(api):
    tables = [name for page in api.dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]]
    page = [api.get("wrong", pk={"S": letter}) for letter in "ab"]
    return tables, api.describe("wrong"), page, api.records("wrong")


@pytest.fixture
def refused(api, shared, world):
    """Sends a wrong request: (type, message). No commit was made."""

    def send(operation, body):
        before = shared.metrics()["headwater_commits_total"]
        with pytest.raises(Refused) as told:
            api.call(operation, body)
        assert told.value.status == 400
        assert shared.metrics()["headwater_commits_total"] == before
        return told.value.type, told.value.message

    return send


@pytest.mark.parametrize(("operation", "path", "value", "text"), list(wrong_types()))
def test_wrong_types(refused, operation, path, value, text):
    kind, message = refused(operation, changed(WHOLE[operation], path, value))
    assert kind == "SerializationException"
    assert (message is None) if text is None else re.fullmatch(text, message)


# ---- constraints ----


def beyond(field, value):
    """(wrong value, what must hold instead) of each bound of a member."""
    kind, least, most = field["type"], field.get("min", 0), field.get("max", 0)
    if kind == "string":
        if least:
            yield (value * 50)[:least - 1], f"have length greater than or equal to {least if least > 1 and least - 1 else 1}"
        if most:
            yield "a" * (most + 1), f"have length less than or equal to {most}"
        if "pattern" in field:
            for character in "! /é\u0000":
                yield "abc" + character, f"satisfy regular expression pattern: {field['pattern']}"
    elif kind == "enum":
        for wrong in ("", "x", field["values"][0].lower(), field["values"][0] + " "):
            yield wrong, "satisfy enum value set: "
    elif kind in ("integer", "long"):
        if "min" in field:
            yield least - 1, f"have value greater than or equal to {least}"
            yield -2**62, f"have value greater than or equal to {least}"
        if most:
            yield most + 1, f"have value less than or equal to {most}"
            yield 2**62, f"have value less than or equal to {most}"
    elif kind in ("list", "items"):
        if least:
            yield value[:least - 1], f"have length greater than or equal to {least}"
        if most:
            yield [value[0]] * (most + 1), f"have length less than or equal to {most}"
    elif kind == "map" and least:
        yield {}, f"have length greater than or equal to {least}"


def constraints():
    for operation, fields in FIELDS.items():
        for path, field in places(fields, WHOLE[operation]):
            value = WHOLE[operation]
            for step in path:
                value = value.get(step) if isinstance(value, dict) else value[step]
                if value is None:
                    break
            if value is None:
                continue
            for i, (wrong, rule) in enumerate(beyond(field, value)):
                yield pytest.param(operation, path, wrong, rule, id=f"{operation}-{shown(path)}-{i}")
            if field.get("required"):
                yield pytest.param(operation, path, ABSENT, "not be null", id=f"{operation}-{shown(path)}-absent")
                yield pytest.param(operation, path, None, "not be null", id=f"{operation}-{shown(path)}-null")


# The control plane tells a name's absence, tags and table classes in words of its own, BatchWriteItem the length of a table's list; ReturnValues shows no member.
OWN_WORDS = ("The batch write request list for a table cannot be null or empty: wrong",
             *(f"1 validation error detected: Value '{{wrong=[{few}]}}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: "
               "[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]" for few in ("", "...")),
             "The parameter 'TableName' is required", "The Tag Key provided is invalid, Key: ", "The Tag Value provided is invalid, Value: ",
             "Invalid table-class parameter provided. ", "Failed to satisfy constraint")


@pytest.mark.parametrize(("operation", "path", "value", "rule"), list(constraints()))
def test_constraints(refused, operation, path, value, rule):
    kind, message = refused(operation, changed(WHOLE[operation], path, value))
    assert kind == "ValidationException"
    named = f"{path[-1]}' failed to satisfy constraint: Member must {rule}".lower() in message.lower()
    assert named or message.startswith(OWN_WORDS) or (OWN_WORDS[-1] in message and path[-1] == "ReturnValues"), message


def test_every_member_is_tried():
    """A new operation or member needs a place in WHOLE."""
    missing = [f"{operation}.{shown(path)}" for operation, fields in FIELDS.items() for path, field in places(fields, WHOLE[operation])
               if field["type"] != "unbuilt" and len(path) == 1 and path[0] not in WHOLE[operation]]
    assert not missing and set(FIELDS) == set(WHOLE)


@pytest.mark.parametrize("operation", WHOLE)
def test_the_right_requests_are_right(api, world, operation):
    """So that what refuses the others is the change made to them."""
    try:
        api.call(operation, WHOLE[operation])
    except Refused as told:
        allowed = {"ConditionalCheckFailedException", "ResourceNotFoundException"}
        words = ("Neither ReadCapacityUnits", "Filter Expression", "The provided", "The table does not have", "Transaction request cannot", "Invalid ShardIterator", "Invalid NextToken", "Cannot",
                 "Server-Side Encryption modification must be the only operation")
        assert told.type in allowed or told.message.removeprefix("One or more parameter values were invalid: ").startswith(words), told
