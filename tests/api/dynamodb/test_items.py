"""PutItem, GetItem, UpdateItem and DeleteItem: what they do, give back, and refuse."""

import pytest

from api import (CAPACITY_SET, ENVELOPE, INVALID, METRICS_SET, NAME_PATTERN, NO_MATCH, NOT_FOUND, ON_FAILURE_SET,
                 RETURN_VALUES, Refused, errors, must)

S = {"S": "s"}


def n(number):
    return {"N": str(number)}


# ---- what they do ----


def test_put_replaces_the_whole_item(api, hashed, key):
    assert api.put(hashed, pk=key, a=S, b=S) == {}
    assert api.put(hashed, pk=key, c=S) == {}
    assert api.get(hashed, pk=key) == {"pk": key, "c": S}


def test_get_of_nothing_has_no_item(api, hashed, key):
    assert api.call("GetItem", TableName=hashed, Key={"pk": key}) == {}


def test_delete_of_nothing_succeeds(api, hashed, key):
    assert api.call("DeleteItem", TableName=hashed, Key={"pk": key}) == {}
    api.put(hashed, pk=key)
    assert api.call("DeleteItem", TableName=hashed, Key={"pk": key}) == {}
    assert api.get(hashed, pk=key) is None


def test_update_makes_an_item(api, hashed, sorted_table, key):
    assert api.call("UpdateItem", TableName=hashed, Key={"pk": key}) == {}
    assert api.get(hashed, pk=key) == {"pk": key}
    api.call("UpdateItem", TableName=sorted_table, Key={"pk": key, "sk": n(1)}, UpdateExpression="ADD c :one",
             ExpressionAttributeValues={":one": n(1)})
    assert api.get(sorted_table, pk=key, sk=n(1)) == {"pk": key, "sk": n(1), "c": n(1)}


def test_tables_may_be_named_by_arn(api, hashed, key):
    arn = api.describe(hashed)["TableArn"]
    api.put(arn, pk=key, a=S)
    assert api.get(arn, pk=key) == api.get(hashed, pk=key) == {"pk": key, "a": S}


def test_items_of_different_tables_and_keys_are_apart(api, sorted_table, key):
    other = api.create("pk:S,sk:N")
    for i in range(3):
        api.put(sorted_table, pk=key, sk=n(i), v=n(i))
    assert api.get(other, pk=key, sk=n(1)) is None
    assert [api.get(sorted_table, pk=key, sk=n(i))["v"] for i in range(3)] == [n(0), n(1), n(2)]


# ---- projections ----

ITEM = {"a": {"M": {"b": {"L": [n(0), {"M": {"c": n(1), "d": n(2)}}, n(3)]}, "e.f": S, "g": n(4)}},
        "l": {"L": [n(0), n(1), n(2), n(3)]}, "s": S}


@pytest.mark.parametrize(("projection", "names", "expected"), [
    ("s", None, {"s": S}),
    ("nope", None, {}),
    ("s, nope, a.nope, l[9], g.x, h[0]", None, {"s": S}),
    ("a.b[1].c", None, {"a": {"M": {"b": {"L": [{"M": {"c": n(1)}}]}}}}),
    ("a.b[1].d, a.b[0]", None, {"a": {"M": {"b": {"L": [n(0), {"M": {"d": n(2)}}]}}}}),
    ("a.b[1].d, a.b[1].c", None, {"a": {"M": {"b": {"L": [{"M": {"c": n(1), "d": n(2)}}]}}}}),
    ("l[3], l[1]", None, {"l": {"L": [n(1), n(3)]}}),
    ("a.#ef, a.g", {"#ef": "e.f"}, {"a": {"M": {"e.f": S, "g": n(4)}}}),
    ("#a.#b[2]", {"#a": "a", "#b": "b"}, {"a": {"M": {"b": {"L": [n(3)]}}}}),
    (" \t\n s ", None, {"s": S}),
])
def test_projections(api, hashed, key, projection, names, expected):
    api.put(hashed, pk=key, **ITEM)
    more = {"ExpressionAttributeNames": names} if names else {}
    answer = api.call("GetItem", TableName=hashed, Key={"pk": key}, ProjectionExpression=projection, **more)
    assert answer["Item"] == expected


# ---- ReturnValues ----

OLD = {"a": n(1), "b": {"M": {"x": n(1), "y": n(2)}}, "c": S}
CHANGE = {"UpdateExpression": "SET a = a + :v, b.x = :v, d = :v REMOVE c", "ExpressionAttributeValues": {":v": n(5)}}


@pytest.mark.parametrize(("asked", "expected"), [
    ("NONE", None),
    ("ALL_OLD", OLD),
    ("UPDATED_OLD", {"a": n(1), "b": {"M": {"x": n(1)}}, "c": S}),
    ("ALL_NEW", {"a": n(6), "b": {"M": {"x": n(5), "y": n(2)}}, "d": n(5)}),
    ("UPDATED_NEW", {"a": n(6), "b": {"M": {"x": n(5)}}, "d": n(5)}),
])
def test_update_gives_back(api, hashed, key, asked, expected):
    api.put(hashed, pk=key, **OLD)
    answer = api.call("UpdateItem", TableName=hashed, Key={"pk": key}, ReturnValues=asked, **CHANGE)
    if expected and asked.startswith("ALL"):
        expected = {"pk": key, **expected}
    assert answer == ({} if expected is None else {"Attributes": expected})


@pytest.mark.parametrize(("asked", "expected"), [("ALL_OLD", None), ("UPDATED_OLD", None), ("NONE", None),
                                                 ("ALL_NEW", ("pk", "a")), ("UPDATED_NEW", ("a",))])
def test_update_of_nothing_gives_back(api, hashed, key, asked, expected):
    answer = api.call("UpdateItem", TableName=hashed, Key={"pk": key}, ReturnValues=asked,
                      UpdateExpression="SET a = :v", ExpressionAttributeValues={":v": S})
    assert tuple(sorted(answer.get("Attributes", ()))) == tuple(sorted(expected or ()))


def test_update_that_only_removes_gives_back_nothing_new(api, hashed, key):
    api.put(hashed, pk=key, a=S)
    assert api.call("UpdateItem", TableName=hashed, Key={"pk": key}, ReturnValues="UPDATED_NEW",
                    UpdateExpression="REMOVE a") == {}


@pytest.mark.parametrize("operation", ["PutItem", "DeleteItem"])
def test_put_and_delete_give_back_the_old_item(api, hashed, key, operation):
    request = {"TableName": hashed, "Item" if operation == "PutItem" else "Key": {"pk": key}}
    assert api.call(operation, ReturnValues="ALL_OLD", **request) == {}
    api.put(hashed, pk=key, a=S)
    assert api.call(operation, ReturnValues="ALL_OLD", **request) == {"Attributes": {"pk": key, "a": S}}
    assert api.call(operation, ReturnValues="NONE", **request) == {}
    for wrong in ("ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"):
        assert api.refusal(operation, ReturnValues=wrong, **request) == "ReturnValues can only be ALL_OLD or NONE"


# ---- failed conditions ----

FAILED = "ConditionalCheckFailedException: The conditional request failed"


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem", "DeleteItem"])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("asked", ["ALL_OLD", "NONE", None])
def test_a_failed_condition_changes_nothing(api, hashed, key, operation, there, asked):
    if there:
        api.put(hashed, pk=key, a=S)
    before = api.get(hashed, pk=key)
    request = {"TableName": hashed, "Item" if operation == "PutItem" else "Key": {"pk": key},
               "ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": n(1)},
               **({"ReturnValuesOnConditionCheckFailure": asked} if asked else {})}
    with pytest.raises(Refused) as refused:
        api.call(operation, request)
    assert (refused.value.type, refused.value.message) == tuple(FAILED.split(": "))
    assert refused.value.body.get("Item") == (before if asked == "ALL_OLD" else None)
    assert api.get(hashed, pk=key) == before


def test_conditions_guard_creation(api, hashed, key):
    create = {"TableName": hashed, "Item": {"pk": key}, "ConditionExpression": "attribute_not_exists(pk)"}
    assert api.call("PutItem", create) == {}
    assert api.refusal("PutItem", create) == FAILED


def test_boto3_raises_a_typed_exception_with_the_item(api, hashed, key):
    api.put(hashed, pk=key, a=S)
    with pytest.raises(api.dynamodb.exceptions.ConditionalCheckFailedException) as failed:
        api.dynamodb.delete_item(TableName=hashed, Key={"pk": key}, ConditionExpression="attribute_not_exists(a)",
                                 ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert failed.value.response["Item"] == {"pk": key, "a": S}


# ---- capacity ----


def units(answer):
    capacity = answer["ConsumedCapacity"]
    return capacity["CapacityUnits"]


@pytest.mark.parametrize(("size", "write", "strong"), [(100, 1, 1), (1024, 1, 1), (1025, 2, 1), (4096, 4, 1),
                                                       (4097, 5, 2), (400 * 1024, 400, 100)])
def test_capacity_of_an_item(api, hashed, key, size, write, strong):
    item = {"pk": key, "a": {"S": "x" * (size - 3 - len(key["S"]))}}
    total = {"TableName": hashed, "ReturnConsumedCapacity": "TOTAL"}
    put = api.call("PutItem", Item=item, **total)
    assert put["ConsumedCapacity"] == {"TableName": hashed, "CapacityUnits": write}
    assert units(api.call("GetItem", Key={"pk": key}, ConsistentRead=True, **total)) == strong
    assert units(api.call("GetItem", Key={"pk": key}, **total)) == strong / 2
    assert units(api.call("GetItem", Key={"pk": key}, ProjectionExpression="pk", **total)) == strong / 2
    assert units(api.call("UpdateItem", Key={"pk": key}, UpdateExpression="REMOVE a", **total)) == write
    assert units(api.call("PutItem", Item=item, **total)) == write
    assert units(api.call("PutItem", Item={"pk": key}, **total)) == write
    api.call("PutItem", Item=item, **total)
    assert units(api.call("DeleteItem", Key={"pk": key}, **total)) == write


def test_capacity_of_nothing(api, hashed, key):
    total = {"TableName": hashed, "ReturnConsumedCapacity": "TOTAL", "Key": {"pk": key}}
    assert units(api.call("GetItem", **total)) == 0.5
    assert units(api.call("GetItem", ConsistentRead=True, **total)) == 1
    assert units(api.call("DeleteItem", **total)) == 1
    assert "ConsumedCapacity" not in api.call("GetItem", {**total, "ReturnConsumedCapacity": "NONE"})


def test_capacity_by_index(api, hashed, key):
    answer = api.call("PutItem", TableName=hashed, Item={"pk": key}, ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == {"TableName": hashed, "CapacityUnits": 1, "Table": {"CapacityUnits": 1}}


# ---- refusals ----

REQUESTS = {"PutItem": "Item", "GetItem": "Key", "UpdateItem": "Key", "DeleteItem": "Key"}


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize(("name", "text"), [
    ("", ENVELOPE + must("", "TableName", "have length greater than or equal to 1")),
    ("ab", ENVELOPE + must("ab", "tableName", "have length greater than or equal to 3")),
    ("a" * 256, ENVELOPE + must("a" * 256, "tableName", "have length less than or equal to 255")),
    ("a!c", ENVELOPE + must("a!c", "tableName", NAME_PATTERN)),
    ("no.such.table", NOT_FOUND), ("arn:aws:dynamodb:us-east-1:000000000000:table/no.such.table", NOT_FOUND),
])
def test_table_names(api, operation, name, text):
    assert api.refusal(operation, {"TableName": name, REQUESTS[operation]: {"pk": S}}) == text


@pytest.mark.parametrize(("operation", "name", "text"), [
    ("PutItem", "a!", ENVELOPE + must("a!", "tableName", "have length greater than or equal to 3")),
    ("UpdateItem", "a!", errors(must("a!", "tableName", NAME_PATTERN),
                                must("a!", "tableName", "have length greater than or equal to 3"))),
])
def test_names_with_two_faults(api, operation, name, text):
    assert api.refusal(operation, {"TableName": name, REQUESTS[operation]: {"pk": S}}) == text


NULL_NAME, NULL_KEY = must(None, "tableName", "not be null"), must(None, "key", "not be null")
CAPACITY = must("x", "returnConsumedCapacity", CAPACITY_SET)
METRICS = must("x", "returnItemCollectionMetrics", METRICS_SET)
ON_FAILURE = must("x", "returnValuesOnConditionCheckFailure", ON_FAILURE_SET)
OLD_RETURN_VALUES = must("x", "returnValues", "satisfy enum value set: [ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]")
ALL_WRONG = {"ReturnConsumedCapacity": "x", "ReturnValues": "x", "ReturnItemCollectionMetrics": "x",
             "ReturnValuesOnConditionCheckFailure": "x"}
MEMBERS = [
    ("PutItem", {"TableName": "a!c", "Item": {"pk": S}, **ALL_WRONG},
     errors(must("a!c", "tableName", NAME_PATTERN), CAPACITY, RETURN_VALUES, METRICS, ON_FAILURE)),
    ("DeleteItem", {"TableName": "a!c", "Key": {"pk": S}, **ALL_WRONG},
     errors(must("a!c", "tableName", NAME_PATTERN), CAPACITY, RETURN_VALUES, METRICS, ON_FAILURE)),
    ("DeleteItem", {"TableName": "abc", "Key": {"pk": S}, "ReturnValues": "ALL_NEW", "ReturnConsumedCapacity": "x"},
     errors(CAPACITY, "ReturnValues can only be ALL_OLD or NONE")),
    ("PutItem", {"TableName": "abc", "Item": {"pk": S}, "ReturnValues": "ALL_NEW", "ReturnConsumedCapacity": "x"},
     errors(CAPACITY)),
    ("GetItem", {"TableName": "a!c", "Key": {"pk": S}, "ReturnConsumedCapacity": "x"},
     errors(must("a!c", "tableName", NAME_PATTERN), CAPACITY)),
    ("UpdateItem", {"TableName": "a!c", "Key": {"pk": S}, **ALL_WRONG},
     errors(must("a!c", "tableName", NAME_PATTERN))),
    ("UpdateItem", {"TableName": "abc", "Key": {"pk": S}, **ALL_WRONG}, errors(RETURN_VALUES)),
    ("UpdateItem", {"TableName": "abc", "Key": {"pk": S}, **ALL_WRONG, "ReturnValues": "NONE"}, ON_FAILURE),
    ("UpdateItem", {"TableName": "abc", "Key": {"pk": S}, "ReturnConsumedCapacity": "x",
                    "ReturnItemCollectionMetrics": "x"}, errors(METRICS)),
    ("UpdateItem", {"TableName": "abc", "Key": {"pk": S}, "ReturnConsumedCapacity": "x"}, CAPACITY),
    ("UpdateItem", {"TableName": "a!c", **ALL_WRONG, "ReturnValues": "NONE"},
     errors(CAPACITY, ON_FAILURE, METRICS, NULL_KEY)),
    ("UpdateItem", {**ALL_WRONG}, errors(CAPACITY, NULL_NAME, OLD_RETURN_VALUES, ON_FAILURE, METRICS, NULL_KEY)),
    ("GetItem", {}, errors(NULL_NAME, NULL_KEY)),
    ("DeleteItem", {"TableName": "abc"}, errors(NULL_KEY)),
    ("PutItem", {"TableName": "abc"}, errors(must(None, "item", "not be null"))),
]


@pytest.mark.parametrize(("operation", "request_body", "text"), MEMBERS)
def test_members_are_told_as_each_operation_does(api, operation, request_body, text):
    assert api.refusal(operation, request_body) == text


@pytest.mark.parametrize(("operation", "members"), [("PutItem", {"Item": {"pk": S}}), ("DeleteItem", {"Key": {"pk": S}})])
def test_return_values_are_told_before_expressions_and_table(api, operation, members):
    asked = {"TableName": "no.such.table", "ReturnValues": "UPDATED_NEW", "ConditionExpression": "a =", **members}
    told = api.refusal(operation, asked)
    assert told.removeprefix(ENVELOPE) == "ReturnValues can only be ALL_OLD or NONE"
    assert api.refusal(operation, {**asked, "ReturnValues": "NONE"}).startswith(ENVELOPE + "Invalid ConditionExpression: Syntax error")


@pytest.mark.parametrize(("item", "text"), [
    ({"pk": S}, INVALID + "Missing the key sk in the item"),
    ({"sk": n(1)}, INVALID + "Missing the key pk in the item"),
    ({"pk": n(1), "sk": n(1)}, INVALID + "Type mismatch for key pk expected: S actual: N"),
    ({"pk": S, "sk": {"M": {}}}, INVALID + "Type mismatch for key sk expected: N actual: M"),
    ({"pk": S, "sk": {"NULL": True}}, INVALID + "Type mismatch for key sk expected: N actual: NULL"),
])
def test_items_without_their_keys(api, sorted_table, item, text):
    assert api.refusal("PutItem", TableName=sorted_table, Item=item) == text


@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem", "DeleteItem"])
@pytest.mark.parametrize("key_given", [{}, {"pk": S}, {"sk": n(1)}, {"pk": S, "sk": n(1), "x": S}, {"pk": n(1), "sk": n(1)},
                                       {"pk": S, "sk": S}, {"pk": S, "sk": {"L": []}}, {"pk": S, "x": n(1)}])
def test_keys_that_do_not_match(api, sorted_table, operation, key_given):
    assert api.refusal(operation, TableName=sorted_table, Key=key_given) == NO_MATCH


@pytest.mark.parametrize(("operation", "given", "legacy", "expressions"), [
    ("PutItem", {"Expected": {}, "ConditionExpression": "a"}, "Expected", "ConditionExpression"),
    ("DeleteItem", {"ConditionalOperator": "AND", "Expected": {}, "ConditionExpression": ""}, "Expected, ConditionalOperator", "ConditionExpression"),
    ("UpdateItem", {"Expected": {}, "AttributeUpdates": {}, "ConditionExpression": "", "UpdateExpression": ""}, "AttributeUpdates, Expected",
     "UpdateExpression, ConditionExpression"),
    ("GetItem", {"AttributesToGet": ["a"], "ProjectionExpression": "a"}, "AttributesToGet", "ProjectionExpression")])
def test_legacy_parameters_beside_expressions(api, operation, given, legacy, expressions):
    told = api.refusal(operation, {"TableName": "no.such.table", REQUESTS[operation]: {"pk": S}, **given})
    assert told.removeprefix("" if operation == "GetItem" else ENVELOPE) == \
        "Can not use both expression and non-expression parameters in the same request: " \
        f"Non-expression parameters: {{{legacy}}} Expression parameters: {{{expressions}}}"
    assert told.startswith(ENVELOPE) == (operation != "GetItem")


@pytest.mark.headwater
@pytest.mark.parametrize(("operation", "member"), [
    ("PutItem", "Expected"), ("PutItem", "ConditionalOperator"), ("GetItem", "AttributesToGet"),
    ("UpdateItem", "AttributeUpdates"), ("UpdateItem", "Expected"), ("DeleteItem", "Expected")])
def test_what_is_not_built_is_refused(api, hashed, operation, member):
    request = {"TableName": hashed, REQUESTS[operation]: {"pk": S}, member: {"a": {}}}
    assert api.refusal(operation, request) == f"Headwater does not support {member} yet"


@pytest.mark.headwater
def test_items_outlive_a_kill(own):
    api = own()
    table = api.create()
    for i in range(20):
        api.put(table, pk={"S": str(i)}, v=n(i))
    api.server.kill()
    api.server.start()
    assert [api.get(table, pk={"S": str(i)})["v"] for i in range(20)] == [n(i) for i in range(20)]
