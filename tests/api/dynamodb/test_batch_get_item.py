"""BatchGetItem: what it reads, what it leaves over, what it costs, and what it refuses."""

import pytest

from api import CAPACITY_SET, ENVELOPE, NO_MATCH, NOT_FOUND, NOT_VALID, errors, must

S = {"S": "s"}
KEYS_RULE = ("Map keys must satisfy constraint: [Member must have length less than or equal to 255, "
             "Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]")
DUPLICATES = "Provided list of item keys contains duplicates"


def key(name):
    return {"pk": {"S": name}}


def batch(api, tables, **more):
    return api.call("BatchGetItem", RequestItems=tables, **more)


def refusal(api, tables, **more):
    return api.refusal("BatchGetItem", RequestItems=tables, **more)


@pytest.fixture(scope="module")
def table(api):
    """Items k0 to k9; each has a number, a text and a map."""
    made = api.create("pk:S")
    for i in range(10):
        api.put(made, pk={"S": f"k{i}"}, v={"N": str(i)}, text={"S": "t" * 5000}, m={"M": {"x": S, "y": S}})
    return made


def names(items):
    return sorted(item["pk"]["S"] for item in items)


# ---- what it reads ----


def test_items_of_two_tables_and_none_for_absent_keys(api, table):
    other = api.create("pk:S,sk:N")
    api.put(other, pk=S, sk={"N": "1"}, v=S)
    found = batch(api, {table: {"Keys": [key("k1"), key("no"), key("k3")]}, other: {"Keys": [{"sk": {"N": "1.0"}, "pk": S}]}})
    assert names(found["Responses"][table]) == ["k1", "k3"]
    assert found["Responses"][other] == [{"pk": S, "sk": {"N": "1"}, "v": S}]
    assert found["UnprocessedKeys"] == {} and "ConsumedCapacity" not in found


def test_a_table_without_any_of_its_items_is_an_empty_list(api, table):
    assert batch(api, {table: {"Keys": [key("no")]}}) == {"Responses": {table: []}, "UnprocessedKeys": {}}


def test_boto3_reads_a_hundred(api, table):
    asked = [key(f"k{i}") for i in range(100)]
    found = api.dynamodb.batch_get_item(RequestItems={table: {"Keys": asked}})
    assert names(found["Responses"][table]) == [f"k{i}" for i in range(10)]


def test_an_arn_names_the_table_too(api, table):
    arn = api.describe(table)["TableArn"]
    assert names(batch(api, {arn: {"Keys": [key("k1")]}})["Responses"][arn]) == ["k1"]


def test_one_key_under_both_names_of_a_table(api, table):
    arn = api.describe(table)["TableArn"]
    found = batch(api, {arn: {"Keys": [key("k1")]}, table: {"Keys": [key("k2")]}})["Responses"]
    assert (names(found[arn]), names(found[table])) == (["k1"], ["k2"])
    assert refusal(api, {arn: {"Keys": [key("k1"), key("k3")]}, table: {"Keys": [key("k2"), key("k3")]}}) == DUPLICATES


def test_projection_is_of_its_table(api, table):
    other = api.create("pk:S")
    api.put(other, pk=S, v=S)
    found = batch(api, {table: {"Keys": [key("k1")], "ProjectionExpression": "m.#x, v", "ExpressionAttributeNames": {"#x": "x"}},
                        other: {"Keys": [{"pk": S}]}})
    assert found["Responses"] == {table: [{"v": {"N": "1"}, "m": {"M": {"x": S}}}], other: [{"pk": S, "v": S}]}


def test_a_name_that_comes_twice_is_the_last(api, table):
    body = f'{{"RequestItems":{{"{table}":{{"Keys":[{{"pk":{{"S":"k1"}}}}]}},"{table}":{{"Keys":[{{"pk":{{"S":"k2"}}}}]}}}}}}'
    assert names(api.call("BatchGetItem", body.encode())["Responses"][table]) == ["k2"]


# ---- 16 MB ----


def test_the_answer_ends_at_16_mb(api):
    big = api.create("pk:S")
    for i in range(45):
        api.put(big, pk={"S": f"k{i}"}, v={"S": "x" * 400_000})
    names_of = {"#v": "v", "#p": "pk"}
    asked = {"Keys": [key(f"k{i}") for i in range(45)], "ConsistentRead": True, "ProjectionExpression": "#v, #p",
             "ExpressionAttributeNames": names_of}
    found = batch(api, {big: asked}, ReturnConsumedCapacity="TOTAL")
    read, left = found["Responses"][big], found["UnprocessedKeys"][big]
    assert len(read) == (16 << 20) // 400_005 == 41
    assert {name: left[name] for name in asked if name != "Keys"} == {name: asked[name] for name in asked if name != "Keys"}
    assert found["ConsumedCapacity"] == [{"TableName": big, "CapacityUnits": 41 * 98.0}]
    rest = batch(api, {big: left})
    assert rest["UnprocessedKeys"] == {} and names(read + rest["Responses"][big]) == sorted(f"k{i}" for i in range(45))


@pytest.mark.headwater
def test_the_answer_ends_where_its_json_does(api):
    """Items whose JSON is nine times their size: 100 of 50,000 bytes would be 45 MB of it."""
    dense = api.create("pk:S")
    for i in range(100):
        api.put(dense, pk={"S": f"k{i}"}, v={"L": [{"S": ""}] * 50_000})
    left, seen, answers = {dense: {"Keys": [key(f"k{i}") for i in range(100)]}}, [], 0
    while left:
        found = batch(api, left)
        seen += names(found["Responses"][dense])
        left, answers = found["UnprocessedKeys"], answers + 1
    assert sorted(seen) == sorted(f"k{i}" for i in range(100)) and answers == 2


# ---- capacity ----


@pytest.mark.parametrize(("more", "units"), [({}, 0.5 + 0.5 + 1.0), ({"ConsistentRead": True}, 4.0)])
def test_capacity_is_rounded_by_item(api, table, more, units):
    api.put(table, pk=S, v=S)
    asked = {table: {"Keys": [{"pk": S}, key("no"), key("k1")], **more}}
    assert batch(api, asked, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": units}]
    assert batch(api, asked, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"] == [
        {"TableName": table, "CapacityUnits": units, "Table": {"CapacityUnits": units}}]
    assert "ConsumedCapacity" not in batch(api, asked, ReturnConsumedCapacity="NONE")


# ---- what it refuses ----


def test_nothing_asked_for(api):
    assert api.refusal("BatchGetItem", {}) == ENVELOPE + must(None, "requestItems", "not be null")
    assert refusal(api, {}) == ENVELOPE + must("", "RequestItems", "have length greater than or equal to 1")
    assert refusal(api, {}, ReturnConsumedCapacity="x") == ENVELOPE + must("", "RequestItems", "have length greater than or equal to 1")


def test_too_few_and_too_many_keys_are_told_alone(api, table):
    place = f"RequestItems.{table}.member.Keys"
    many = [key(f"k{i}") for i in range(101)]
    few = ENVELOPE + must("", place, "have length greater than or equal to 1")
    assert refusal(api, {table: {"Keys": []}}) == few
    assert refusal(api, {table: {"Keys": []}, "other": {"Keys": many}}, ReturnConsumedCapacity="x") == few
    assert refusal(api, {table: {"Keys": many}}) == ENVELOPE + must("", place, "have length less than or equal to 100")


def test_names_are_told_with_the_enum_before_the_count(api):
    many = {"a!": {"Keys": [key(f"k{i}") for i in range(100)]}, "other": {"Keys": [key("k")]}}
    told = refusal(api, many, ReturnConsumedCapacity="x")
    assert told.startswith("2 validation errors detected: Value '{")
    assert told.endswith(f"at 'requestItems' failed to satisfy constraint: {KEYS_RULE}; " + must("x", "returnConsumedCapacity", CAPACITY_SET))
    for name in ("ab", "a" * 256, "", "a b"):
        told = refusal(api, {name: {"Keys": [key("k")]}})
        assert told.startswith(ENVELOPE) and told.endswith(f"at 'requestItems' failed to satisfy constraint: {KEYS_RULE}")


def test_more_than_a_hundred_keys_together(api, table):
    tables = {table: {"Keys": [key(f"k{i}") for i in range(100)]}, "no.such.table": {"Keys": [key("k")]}}
    assert refusal(api, tables) == "Too many items requested for the BatchGetItem call"
    many = {f"table{i}": {"Keys": [key("k")]} for i in range(300)}
    assert refusal(api, many) == "Too many items requested for the BatchGetItem call"


def test_duplicates_are_told_before_the_table(api, table):
    assert refusal(api, {table: {"Keys": [key("k1"), key("k2"), key("k1")]}}) == DUPLICATES
    assert refusal(api, {"no.such.table": {"Keys": [key("k"), key("k")]}}) == DUPLICATES
    two = {"pk": S, "sk": {"N": "1"}}
    again = {"sk": {"N": "1.0"}, "pk": S}
    assert refusal(api, {"no.such.table": {"Keys": [two, again]}}) == DUPLICATES


def test_expressions_are_told_before_duplicates(api):
    wrong = {"no.such.table": {"Keys": [key("k"), key("k")], "ProjectionExpression": "a,,b"}}
    assert refusal(api, wrong) == 'Invalid ProjectionExpression: Syntax error; token: ",", near: ",,b"'
    unused = {"no.such.table": {"Keys": [key("k")], "ExpressionAttributeNames": {"#a": "a"}}}
    assert refusal(api, unused) == "ExpressionAttributeNames can only be specified when using expressions"


def test_tables_and_keys(api, table):
    assert refusal(api, {"no.such.table": {"Keys": [key("k")]}}) == NOT_FOUND
    assert refusal(api, {table: {"Keys": [{"no": S}]}, "no.such.table": {"Keys": [key("k")]}}) == NOT_FOUND
    assert refusal(api, {table: {"Keys": [key("k"), {"pk": {"N": "1"}}]}}) == NO_MATCH
    assert refusal(api, {table: {"Keys": [{"pk": S, "more": S}]}}) == NO_MATCH
    assert refusal(api, {table: {"Keys": [{"pk": {"S": ""}}]}}) == (
        NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk")


def test_values(api, table):
    assert refusal(api, {table: {"Keys": [{"pk": {"N": "abc"}}]}}) == "The parameter cannot be converted to a numeric value: abc"
    assert refusal(api, {table: {"Keys": [{"pk": {}}]}}) == (
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")


def test_two_faults_of_constraints_are_joined(api):
    told = api.refusal("BatchGetItem", {"ReturnConsumedCapacity": "x"})
    assert told == errors(must(None, "requestItems", "not be null"), must("x", "returnConsumedCapacity", CAPACITY_SET))


@pytest.mark.headwater
def test_legacy_parameters_beside_expressions_of_another_table(api):
    assert refusal(api, {"no.such.table": {"Keys": [key("k")], "AttributesToGet": ["v"]}, "nor.this": {"Keys": [key("k")], "ProjectionExpression": "v"}}) == \
        "Can not use both expression and non-expression parameters in the same request: " \
        "Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}"


def test_attributes_to_get_is_not_built(api, table):
    assert refusal(api, {table: {"Keys": [key("k")], "AttributesToGet": ["v"]}}) == "Headwater does not support AttributesToGet yet"
