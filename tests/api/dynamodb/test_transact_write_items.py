"""TransactWriteItems: all or nothing, its reasons, its token, and what it refuses."""

import uuid

import pytest

from api import (CAPACITY_SET, ENVELOPE, INVALID, METRICS_SET, NAME_PATTERN, NO_MATCH, NOT_FOUND, NOT_VALID, ON_FAILURE_SET,
                 TOO_DEEP, Refused, errors, must, nested)

S = {"S": "s"}
ONE = {":one": {"N": "1"}}

TOO_LONG = INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"

def n(number):
    return {"N": str(number)}


def put(table, key, **more):
    return {"Put": {"TableName": table, "Item": {"pk": key, "v": S}, **more}}


def update(table, key, expression="ADD c :one", **more):
    more.setdefault("ExpressionAttributeValues", ONE)
    return {"Update": {"TableName": table, "Key": {"pk": key}, "UpdateExpression": expression, **more}}


def delete(table, key, **more):
    return {"Delete": {"TableName": table, "Key": {"pk": key}, **more}}


def check(table, key, condition="attribute_exists(pk)", **more):
    return {"ConditionCheck": {"TableName": table, "Key": {"pk": key}, "ConditionExpression": condition, **more}}


def transact(api, *actions, **more):
    return api.call("TransactWriteItems", TransactItems=list(actions), **more)


def reasons(api, *actions, **more):
    """The reasons a transaction is cancelled with; its message says their codes."""
    with pytest.raises(Refused) as refused:
        transact(api, *actions, **more)
    body = refused.value.body
    assert refused.value.type == "TransactionCanceledException" and refused.value.status == 400
    found = body["CancellationReasons"]
    assert body["Message"] == ("Transaction cancelled, please refer cancellation reasons for specific reasons "
                               f"[{', '.join(reason['Code'] for reason in found)}]")
    return found


@pytest.fixture
def keys(api):
    return [{"S": api.name("k")} for _ in range(4)]


# ---- what it does ----


def test_all_four_actions_in_two_tables(api, hashed, keys):
    other = api.create()
    for key in keys[1:]:
        api.put(hashed, pk=key, c=n(1))
    assert transact(api, put(other, keys[0]), update(hashed, keys[1]), delete(hashed, keys[2]), check(hashed, keys[3])) == {}
    assert api.get(other, pk=keys[0]) == {"pk": keys[0], "v": S}
    assert api.get(hashed, pk=keys[1])["c"] == n(2)
    assert api.get(hashed, pk=keys[2]) is None
    assert api.get(hashed, pk=keys[3]) == {"pk": keys[3], "c": n(1)}


@pytest.mark.parametrize("count", [1, 100])
def test_1_to_100_actions(api, hashed, count):
    prefix = api.name("k")
    transact(api, *[put(hashed, {"S": f"{prefix}.{i}"}) for i in range(count)])
    assert api.get(hashed, pk={"S": f"{prefix}.{count - 1}"})


def test_a_failed_action_undoes_all(api, hashed, keys):
    api.put(hashed, pk=keys[1], c=n(5))
    found = reasons(api, put(hashed, keys[0]), update(hashed, keys[1]), check(hashed, keys[2]), delete(hashed, keys[3]))
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert found == [{"Code": "None"}, {"Code": "None"}, failed, {"Code": "None"}]
    assert api.get(hashed, pk=keys[0]) is None
    assert api.get(hashed, pk=keys[1])["c"] == n(5)


def test_every_failed_condition_is_told_with_its_item(api, hashed, keys):
    api.put(hashed, pk=keys[0], a=n(1))
    absent, old = {"ConditionExpression": "attribute_not_exists(pk)"}, {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    found = reasons(api, put(hashed, keys[0], **absent, **old), check(hashed, keys[1], **old), put(hashed, keys[2]),
                    delete(hashed, keys[3], ConditionExpression="attribute_exists(pk)"))
    assert [reason["Code"] for reason in found] == ["ConditionalCheckFailed"] * 2 + ["None", "ConditionalCheckFailed"]
    assert found[0]["Item"] == {"pk": keys[0], "a": n(1)}
    assert "Item" not in found[1] and "Item" not in found[3]


def test_actions_see_the_items_before_the_transaction(api, hashed, keys):
    api.put(hashed, pk=keys[0], c=n(1))
    transact(api, update(hashed, keys[0], "SET c = c + :one", ConditionExpression="c = :one"), put(hashed, keys[1]))
    assert api.get(hashed, pk=keys[0])["c"] == n(2)


def test_delete_and_check_of_nothing_succeed(api, hashed, keys):
    assert transact(api, delete(hashed, keys[0]), check(hashed, keys[1], "attribute_not_exists(pk)")) == {}


def test_boto3_gives_the_reasons(api, hashed, keys):
    with pytest.raises(api.dynamodb.exceptions.TransactionCanceledException) as failed:
        api.dynamodb.transact_write_items(TransactItems=[check(hashed, keys[0]), put(hashed, keys[1])])
    assert [reason["Code"] for reason in failed.value.response["CancellationReasons"]] == ["ConditionalCheckFailed", "None"]


@pytest.mark.parametrize("asked", ["TOTAL", "INDEXES"])
def test_capacity_is_double_and_by_table(api, hashed, keys, asked):
    other = api.create()
    api.put(hashed, pk=keys[1], big={"S": "x" * 2000})
    answer = transact(api, put(hashed, keys[0]), delete(hashed, keys[1]), put(other, keys[2]), check(other, keys[3], "attribute_not_exists(pk)"),
                      ReturnConsumedCapacity=asked)
    for one, table, units in zip(answer["ConsumedCapacity"], (hashed, other), (6, 4), strict=True):
        both = {"CapacityUnits": units, "WriteCapacityUnits": units}
        assert one == {"TableName": table, **both, **({"Table": both} if asked == "INDEXES" else {})}


# ---- the token ----


def test_a_token_makes_a_repeat_do_nothing(api, hashed, keys):
    token = str(uuid.uuid4())
    for _ in range(3):
        assert transact(api, update(hashed, keys[0]), ClientRequestToken=token) == {}
    assert api.get(hashed, pk=keys[0])["c"] == n(1)
    api.call("DeleteItem", TableName=hashed, Key={"pk": keys[0]})
    transact(api, update(hashed, keys[0]), ClientRequestToken=token)
    assert api.get(hashed, pk=keys[0]) is None
    assert transact(api, update(hashed, keys[0]), ClientRequestToken=token + "x"[:0]) == {}
    transact(api, update(hashed, keys[0]), ClientRequestToken=str(uuid.uuid4()))
    assert api.get(hashed, pk=keys[0])["c"] == n(1)


@pytest.mark.parametrize("change", [
    lambda table, key, other: [update(table, other)],
    lambda table, key, other: [update(table, key), put(table, other)],
    lambda table, key, other: [delete(table, key)],
    lambda table, key, other: [update(table, key, "ADD d :one")],
    lambda table, key, other: [update(table, key, ExpressionAttributeValues={":one": n(2)})],
    lambda table, key, other: [update(table, key, ConditionExpression="attribute_exists(pk)")],
    lambda table, key, other: [update(table, key, ReturnValuesOnConditionCheckFailure="ALL_OLD")],
])
def test_a_token_belongs_to_one_request(api, hashed, keys, change):
    token = str(uuid.uuid4())
    transact(api, update(hashed, keys[0]), ClientRequestToken=token)
    with pytest.raises(Refused) as refused:
        transact(api, *change(hashed, keys[0], keys[1]), ClientRequestToken=token)
    assert refused.value.type == "IdempotentParameterMismatchException" and "Message" in refused.value.body
    assert api.get(hashed, pk=keys[0]) == {"pk": keys[0], "c": n(1)} and api.get(hashed, pk=keys[1]) is None


def test_a_replay_reports_reads(api, hashed, keys):
    token = str(uuid.uuid4())
    request = {"ClientRequestToken": token, "ReturnConsumedCapacity": "INDEXES"}
    first = transact(api, put(hashed, keys[0]), **request)["ConsumedCapacity"]
    again = transact(api, put(hashed, keys[0]), **request)["ConsumedCapacity"]
    for answer, kind in ((first, "WriteCapacityUnits"), (again, "ReadCapacityUnits")):
        both = {"CapacityUnits": 2, kind: 2}
        assert answer == [{"TableName": hashed, **both, "Table": both}]


def test_capacity_is_no_part_of_the_match(api, hashed, keys):
    token = str(uuid.uuid4())
    transact(api, update(hashed, keys[0]), ClientRequestToken=token)
    transact(api, update(hashed, keys[0]), ClientRequestToken=token, ReturnConsumedCapacity="TOTAL")
    assert api.get(hashed, pk=keys[0])["c"] == n(1)


def test_a_cancelled_call_is_not_remembered(api, hashed, keys):
    token = str(uuid.uuid4())
    reasons(api, check(hashed, keys[0]), update(hashed, keys[1]), ClientRequestToken=token)
    api.put(hashed, pk=keys[0])
    transact(api, check(hashed, keys[0]), update(hashed, keys[1]), ClientRequestToken=token)
    assert api.get(hashed, pk=keys[1])["c"] == n(1)


def test_replays_are_checked_too(api, hashed, keys):
    token = str(uuid.uuid4())
    transact(api, put(hashed, keys[0]), ClientRequestToken=token)
    assert api.refusal("TransactWriteItems", TransactItems=[put(hashed, keys[0], ConditionExpression="")],
                       ClientRequestToken=token) == "Invalid ConditionExpression: The expression can not be empty;"


@pytest.mark.headwater
def test_a_token_outlives_a_kill_and_ends_after_10_minutes(own):
    api = own(hooks=True)
    table, token = api.create(), str(uuid.uuid4())
    transact(api, update(table, S), ClientRequestToken=token)
    for end in (api.server.kill, api.server.stop):
        end()
        api.server.start()
        transact(api, update(table, S), ClientRequestToken=token)
        assert api.get(table, pk=S)["c"] == n(1)
        with pytest.raises(Refused, match="IdempotentParameterMismatch"):
            transact(api, delete(table, S), ClientRequestToken=token)
    api.server.move_clock(10 * 60 * 1000 - 5000)
    transact(api, update(table, S), ClientRequestToken=token)
    assert api.get(table, pk=S)["c"] == n(1)
    api.server.move_clock(10 * 60 * 1000 + 60000)
    transact(api, update(table, S), ClientRequestToken=token)
    assert api.get(table, pk=S)["c"] == n(2)
    transact(api, update(table, S), ClientRequestToken=token)
    assert api.get(table, pk=S)["c"] == n(2)


# ---- refusals ----

NO_ACTION = "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"
ONE_OF = "TransactItems can only contain one of Check, Put, Update or Delete"
UNKNOWN = "no.such.table"
SHAPES = [
    ({}, ENVELOPE + must(None, "transactItems", "not be null")),
    ({"TransactItems": []}, ENVELOPE + must("[]", "transactItems", "have length greater than or equal to 1")),
    ({"TransactItems": [], "ReturnConsumedCapacity": "x"}, ENVELOPE + must("[]", "transactItems", "have length greater than or equal to 1")),
    ({"TransactItems": [put("a!", S), {"Put": {"TableName": UNKNOWN, "Item": {"pk": {"SS": []}}}}, update(UNKNOWN, S, "SET a = ")]},
     errors(must("a!", "transactItems.1.member.put.tableName", "have length greater than or equal to 3"),
            must("a!", "transactItems.1.member.put.tableName", NAME_PATTERN))),
    ({"TransactItems": [update(UNKNOWN, S, "SET a = "), {"Put": {"TableName": UNKNOWN, "Item": {"pk": {"SS": []}}}}]},
     INVALID + "An string set  may not be empty"),
    ({"TransactItems": [put(UNKNOWN, S)] * 101}, "have length less than or equal to 100"),
    ({"TransactItems": [{}]}, NO_ACTION), ({"TransactItems": [put(UNKNOWN, S), {"Nothing": {}}]}, NO_ACTION),
    ({"TransactItems": [{**put(UNKNOWN, S), **delete(UNKNOWN, S)}]}, ONE_OF),
    ({"TransactItems": [put(UNKNOWN, S, ReturnValuesOnConditionCheckFailure="x")], "ClientRequestToken": "t" * 37,
      "ReturnConsumedCapacity": "x", "ReturnItemCollectionMetrics": "x"},
     errors(must("x", "transactItems.1.member.put.returnValuesOnConditionCheckFailure", ON_FAILURE_SET),
            must("t" * 37, "clientRequestToken", "have length less than or equal to 36"),
            must("x", "returnConsumedCapacity", CAPACITY_SET), must("x", "returnItemCollectionMetrics", METRICS_SET))),
    ({"TransactItems": [{}], "ReturnConsumedCapacity": "x"}, errors(must("x", "returnConsumedCapacity", CAPACITY_SET))),
    ({"TransactItems": [put(UNKNOWN, S), update("a!", S)]},
     errors(must("a!", "transactItems.2.member.update.tableName", "have length greater than or equal to 3"),
            must("a!", "transactItems.2.member.update.tableName", NAME_PATTERN))),
    ({"TransactItems": [{"Delete": {"TableName": UNKNOWN}}, {"Put": {"TableName": UNKNOWN}}]},
     errors(must(None, "transactItems.1.member.delete.key", "not be null"),
            must(None, "transactItems.2.member.put.item", "not be null"))),
    ({"TransactItems": [{"ConditionCheck": {"TableName": UNKNOWN, "Key": {"pk": S}}}]},
     errors(must(None, "transactItems.1.member.conditionCheck.conditionExpression", "not be null"))),
    ({"TransactItems": [{"Update": {"TableName": UNKNOWN, "Key": {"pk": S}}}]},
     errors(must(None, "transactItems.1.member.update.updateExpression", "not be null"))),
    ({"TransactItems": [{"Put": {"TableName": UNKNOWN, "Item": {"pk": S, "a": {"N": "x"}}}},
                        {"Put": {"TableName": UNKNOWN, "Item": {"pk": S, "a": {"SS": []}}}}]},
     INVALID + "An string set  may not be empty"),
    ({"TransactItems": [{"Put": {"TableName": UNKNOWN, "Item": {"a": {"N": ""}}}}]},
     "The parameter cannot be converted to a numeric value"),
    ({"TransactItems": [update(UNKNOWN, S, ExpressionAttributeValues={":one": {"NS": ["1", "1.0"]}})]},
     "ExpressionAttributeValues contains invalid value: Input collection contains duplicates for key :one"),
    ({"TransactItems": [update(UNKNOWN, S, "SET a = ")]},
     'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "= "'),
    ({"TransactItems": [update(UNKNOWN, S, "SET a = :one, b = :two")]},
     "Invalid UpdateExpression: An expression attribute value used in expression is not defined; attribute value: :two"),
    ({"TransactItems": [update(UNKNOWN, S, "SET a = :one, a.b = :one",
                               ExpressionAttributeValues={**ONE, ":two": S})]},
     "Value provided in ExpressionAttributeValues unused in expressions: keys: {:two}"),
    ({"TransactItems": [update(UNKNOWN, S, "SET a = :one, a.b = :one")]},
     "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: "
     "[a], path two: [a, b]"),
    ({"TransactItems": [{"Put": {"TableName": UNKNOWN, "Item": {"pk": S, "v": {"S": "x" * 400 * 1024}}}}]},
     "Item size has exceeded the maximum allowed size"),
    ({"TransactItems": [put(UNKNOWN, S)]}, NOT_FOUND),
    ({"TransactItems": [put(UNKNOWN, S, ExpressionAttributeValues=ONE)]}, NOT_FOUND),
]


@pytest.mark.parametrize(("request_body", "text"), SHAPES)
def test_refusals(api, request_body, text):
    told = api.refusal("TransactWriteItems", request_body)
    assert told == text if not text.startswith("have") else told.endswith(text)


def test_one_item_twice(api, hashed, sorted_table, keys):
    twice = "Transaction request cannot include multiple operations on one item"
    assert api.refusal("TransactWriteItems", TransactItems=[put(hashed, keys[0]), check(hashed, keys[0])]) == twice
    actions = [{"Delete": {"TableName": sorted_table, "Key": {"pk": S, "sk": n(sort)}}} for sort in ("1", "1.0")]
    assert api.refusal("TransactWriteItems", TransactItems=actions) == twice
    assert api.refusal("TransactWriteItems", TransactItems=[
        put(hashed, {"S": ""}), put(hashed, keys[0]), delete(hashed, keys[0])]) == twice


def test_keys_cancel_or_refuse(api, hashed, keys):
    empty = NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
    long = {"S": "x" * 2049}
    assert api.refusal("TransactWriteItems", TransactItems=[put(hashed, keys[0]), delete(hashed, {"S": ""})]) == empty
    for action, text in (
            ({"Put": {"TableName": hashed, "Item": {"v": S}}}, INVALID + "Missing the key pk in the item"),
            (put(hashed, n(1)), INVALID + "Type mismatch for key pk expected: S actual: N"),
            (delete(hashed, n(1)), NO_MATCH),
            ({"Delete": {"TableName": hashed, "Key": {"pk": S, "x": S}}}, NO_MATCH),
            (update(hashed, {"M": {}}), NO_MATCH), (check(hashed, {"NULL": True}), NO_MATCH),
            (put(hashed, long), TOO_LONG), (update(hashed, long), TOO_LONG), (delete(hashed, long), TOO_LONG), (check(hashed, long), TOO_LONG)):
        found = reasons(api, put(hashed, keys[0]), action, action)
        assert found == [{"Code": "None"}, {"Code": "ValidationError", "Message": text}, {"Code": "None"}]  # the first alone is told
    assert api.get(hashed, pk=keys[0]) is None


def test_an_update_in_a_transaction_is_measured_by_its_item_alone(api, hashed, keys):
    """The charge that a single UpdateItem is refused for is none here."""
    room = 400 * 1024 - len("pk") - len(keys[0]["S"]) - len("a")
    value = {":v": {"S": "x" * room}}
    assert room + 3 + 19 + 1 > 400 * 1024
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": keys[0]}, UpdateExpression="SET a = :v", ExpressionAttributeValues=value) == \
        "Item size to update has exceeded the maximum allowed size"
    transact(api, update(hashed, keys[0], "SET a = :v", ExpressionAttributeValues=value))
    assert len(api.get(hashed, pk=keys[0])["a"]["S"]) == room
    value[":v"]["S"] += "x"
    assert reasons(api, update(hashed, keys[0], "SET a = :v", ExpressionAttributeValues=value))[0]["Message"] == \
        "Item size to update has exceeded the maximum allowed size"


def test_what_an_item_decides_cancels(api, hashed, keys):
    api.put(hashed, pk=keys[0], s=S)
    for expression, values, text in (
            ("SET a.b = :one", ONE, "The document path provided in the update expression is invalid for update"),
            ("SET a = nope", None, "The provided expression refers to an attribute that does not exist in the item"),
            ("ADD s :one", ONE, "An operand in the update expression has an incorrect data type"),
            ("SET pk = :one", ONE, INVALID + "Cannot update attribute pk. This attribute is part of the key"),
            ("SET s = :big, t = :big", {":big": {"S": "x" * 210000}}, "Item size to update has exceeded the maximum allowed size")):
        more = {"ExpressionAttributeValues": values} if values else {}
        action = update(hashed, keys[0], expression, **more)
        if not values:
            action["Update"].pop("ExpressionAttributeValues")
        found = reasons(api, put(hashed, keys[1]), action)
        assert found == [{"Code": "None"}, {"Code": "ValidationError", "Message": text}]
    assert api.get(hashed, pk=keys[1]) is None and api.get(hashed, pk=keys[0]) == {"pk": keys[0], "s": S}


# ---- nesting: a value is read to one level more than may be stored ----

VALUE_TOO_DEEP = f"ExpressionAttributeValues contains invalid value: {TOO_DEEP} for key :v"


def test_a_condition_may_have_a_value_of_32_levels(api, hashed, keys):
    def conditions(levels):
        more = {"ConditionExpression": "attribute_not_exists(a) OR a = :v", "ExpressionAttributeValues": {":v": nested(levels)}}
        return [put(hashed, keys[0], **more), update(hashed, keys[1], "SET b = pk", **more), delete(hashed, keys[2], **more),
                check(hashed, keys[3], more["ConditionExpression"], ExpressionAttributeValues={":v": nested(levels)})]
    for levels in (31, 32):
        transact(api, *conditions(levels))
    for action in conditions(33):
        assert api.refusal("TransactWriteItems", TransactItems=[action]) == VALUE_TOO_DEEP


def test_a_condition_is_evaluated_with_a_value_of_32_levels(api, hashed, keys):
    values = {":v": nested(32)}
    api.put(hashed, pk=keys[0], a=nested(31))
    transact(api, check(hashed, keys[0], "a <> :v AND NOT contains(a, :v) AND size(:v) = size(a)", ExpressionAttributeValues=values))
    assert reasons(api, check(hashed, keys[0], "a = :v", ExpressionAttributeValues=values)) == [
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}]


@pytest.mark.parametrize("kind", ["L", "M"])
def test_an_update_to_32_levels_cancels(api, hashed, keys, kind):
    def setting(levels, expression="SET a = :v"):
        return update(hashed, keys[0], expression, ExpressionAttributeValues={":v": nested(levels, kind)})
    transact(api, setting(31))
    assert reasons(api, put(hashed, keys[1]), setting(32)) == [
        {"Code": "None"}, {"Code": "ValidationError", "Message": "Nesting Levels have exceeded supported limits"}]
    assert reasons(api, setting(31, "SET m = :v, a[0] = :v" if kind == "L" else "SET m = :v, a.k = :v"))[0]["Message"] == \
        "Nesting Levels have exceeded supported limits"
    assert api.refusal("TransactWriteItems", TransactItems=[put(hashed, keys[1]), setting(33)]) == VALUE_TOO_DEEP
    transact(api, setting(32, "SET b = if_not_exists(a, :v)"))
    stored = nested(31, kind)
    assert api.get(hashed, pk=keys[0]) == {"pk": keys[0], "a": stored, "b": stored} and api.get(hashed, pk=keys[1]) is None


@pytest.mark.parametrize(("levels", "text"), [(1900, VALUE_TOO_DEEP), (6000, "SerializationException"), (1_000_000, "SerializationException")])
def test_absurd_nesting_of_a_value(api, hashed, levels, text):
    body = b'{"TransactItems":[{"ConditionCheck":{"TableName":"%s","Key":{"pk":{"S":"a"}},"ConditionExpression":"a = :v",' \
        b'"ExpressionAttributeValues":{":v":%s{"S":"x"}%s}}}]}' % (hashed.encode(), b'{"L":[' * levels, b"]}" * levels)
    assert api.refusal("TransactWriteItems", body) == text


def test_what_is_stored_or_a_key_of_32_levels_is_refused(api, hashed, keys):
    transact(api, {"Put": {"TableName": hashed, "Item": {"pk": keys[0], "a": nested(31)}}})
    for action in ({"Put": {"TableName": hashed, "Item": {"pk": keys[0], "a": nested(32)}}},
                   update(hashed, nested(32)), delete(hashed, nested(32)), check(hashed, nested(32))):
        assert api.refusal("TransactWriteItems", TransactItems=[action]) == TOO_DEEP


def test_the_first_action_that_fails_wins(api, hashed, keys):
    """Depth of values, depth of the item, its size, then expressions: action by action; tables after all."""
    unknown = update(UNKNOWN, keys[0])
    syntax = update(hashed, keys[1], "SET a = ")
    deep_value = put(hashed, keys[2], ConditionExpression="a = ", ExpressionAttributeValues={":v": nested(33)})
    deep_item = {"Put": {"TableName": hashed, "Item": {"pk": keys[2], "a": nested(32)}}}
    both = {"Put": {**deep_value["Put"], **deep_item["Put"]}}
    syntax_text = 'Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "= "'
    for actions, text in (((unknown, syntax, deep_value), syntax_text), ((unknown, deep_value, syntax), VALUE_TOO_DEEP),
                          ((deep_item, syntax, deep_value), TOO_DEEP), ((syntax, deep_item), syntax_text), ((both,), VALUE_TOO_DEEP)):
        assert api.refusal("TransactWriteItems", TransactItems=list(actions)) == text


def test_4_mb_of_request(api, hashed, keys):
    def actions(last):
        sizes = [400 * 1024 - 100] * 10 + [last]
        prefix = api.name("k")
        return [{"Put": {"TableName": hashed, "Item": {"pk": {"S": f"{prefix}.{i}"}, "v": {"S": "x" * size}}}}
                for i, size in enumerate(sizes)]
    transact(api, *actions(98000))
    assert "4 MB" in api.refusal("TransactWriteItems", TransactItems=actions(98000 + 2000))


def test_deleting_more_than_4_mb_is_allowed(api, hashed):
    prefix = api.name("k")
    for i in range(12):
        api.put(hashed, pk={"S": f"{prefix}.{i}"}, v={"S": "x" * 390000})
    transact(api, *[delete(hashed, {"S": f"{prefix}.{i}"}) for i in range(12)])
    assert api.get(hashed, pk={"S": f"{prefix}.11"}) is None


@pytest.mark.headwater
def test_old_items_are_told_as_long_as_the_answer_has_room(api, dense):
    """DynamoDB's own answer is not known; every reason is told in any case."""
    with pytest.raises(Refused) as told:
        transact(api, *(check(dense, {"S": f"k{i}"}, "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD") for i in range(10)))
    found = told.value.body["CancellationReasons"]
    assert [one["Code"] for one in found] == ["ConditionalCheckFailed"] * 10
    whole = [len(one["Item"]["v"]["L"]) for one in found if "Item" in one]
    assert whole == [409_000] * len(whole) and 5 <= len(whole) < 10 and all("Item" in one for one in found[:len(whole)])
