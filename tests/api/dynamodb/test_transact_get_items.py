"""TransactGetItems: one state of all its items, reasons, cost, and what it refuses."""

import threading

import pytest

from api import CAPACITY_SET, ENVELOPE, NAME_PATTERN, NO_MATCH, NOT_FOUND, NOT_VALID, Refused, errors, must

S = {"S": "s"}
TOO_BIG = "The aggregate size of the items in the transaction cannot exceed 4 MB"


def get(table, key, **more):
    return {"Get": {"TableName": table, "Key": {"pk": key}, **more}}


def transact(api, *actions, **more):
    return api.call("TransactGetItems", TransactItems=list(actions), **more)


def refusal(api, *actions, **more):
    return api.refusal("TransactGetItems", TransactItems=list(actions), **more)


@pytest.fixture
def keys(api, hashed):
    made = [{"S": api.name("k")} for _ in range(3)]
    for i, key in enumerate(made):
        api.put(hashed, pk=key, v={"N": str(i)}, m={"M": {"x": S}})
    return made


# ---- what it reads ----


def test_items_in_the_order_asked_for(api, hashed, keys):
    other = api.create("pk:S")
    api.put(other, pk=S, v=S)
    found = transact(api, get(hashed, keys[1]), get(other, S), get(hashed, {"S": "no"}), get(hashed, keys[0]))
    assert [one.get("Item", {}).get("v") for one in found["Responses"]] == [{"N": "1"}, S, None, {"N": "0"}]
    assert found["Responses"][2] == {} and "ConsumedCapacity" not in found


def test_projections_are_each_ones_own(api, hashed, keys):
    names = {"ExpressionAttributeNames": {"#x": "x"}}
    found = transact(api, get(hashed, keys[0], ProjectionExpression="m.#x", **names), get(hashed, keys[1]),
                     get(hashed, keys[2], ProjectionExpression="nothing"))
    assert found["Responses"][0] == {"Item": {"m": {"M": {"x": S}}}}
    assert found["Responses"][1]["Item"]["v"] == {"N": "1"} and found["Responses"][2] == {}


def test_boto3_reads_a_hundred(api, hashed, keys):
    actions = [get(hashed, {"S": f"no{i}"}) for i in range(98)] + [get(hashed, key) for key in keys[:2]]
    found = api.dynamodb.transact_get_items(TransactItems=actions)["Responses"]
    assert len(found) == 100 and found[98]["Item"]["pk"] == keys[0] and found[97] == {}


def test_no_transaction_is_seen_in_part(api, hashed):
    """Writers move all of twenty items from one number to the next; every reading finds one number."""
    table = api.create("pk:S")
    many = [{"S": f"k{i}"} for i in range(20)]
    client = api.client()

    def write(number):
        put = [{"Put": {"TableName": table, "Item": {"pk": key, "v": {"N": str(number)}}}} for key in many]
        client.transact_write_items(TransactItems=put)

    write(0)
    done = threading.Event()

    def write_on():
        for number in range(1, 400):
            write(number)
        done.set()

    writer = threading.Thread(target=write_on)
    writer.start()
    seen = set()
    while not done.is_set():
        found = transact(api, *(get(table, key) for key in many))["Responses"]
        numbers = {one["Item"]["v"]["N"] for one in found}
        assert len(numbers) == 1
        seen |= numbers
    writer.join()
    assert len(seen) > 10


# ---- capacity and size ----


@pytest.mark.parametrize("asked", ["TOTAL", "INDEXES"])
def test_capacity_is_twice_that_of_consistent_reads(api, hashed, keys, asked):
    other = api.create("pk:S")
    api.put(other, pk=S, v={"S": "x" * 5000})
    found = transact(api, get(hashed, keys[0]), get(other, S), get(hashed, {"S": "no"}), ReturnConsumedCapacity=asked)
    by_table = {one["TableName"]: one for one in found["ConsumedCapacity"]}
    assert set(by_table) == {hashed, other}
    four = {"CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}
    for table in (hashed, other):
        assert by_table[table] == {"TableName": table, **four, **({"Table": four} if asked == "INDEXES" else {})}


def test_four_megabytes(api):
    table = api.create("pk:S")
    for i in range(11):
        api.put(table, pk={"S": f"k{i:02}"}, v={"S": "x" * 399_990})
    assert len(transact(api, *(get(table, {"S": f"k{i:02}"}) for i in range(10)))["Responses"]) == 10
    assert refusal(api, *(get(table, {"S": f"k{i:02}"}) for i in range(11))) == TOO_BIG


def test_four_megabytes_of_many_small_values(api, dense):
    found = transact(api, *(get(dense, {"S": f"k{i}"}) for i in range(10)))["Responses"]
    assert [len(one["Item"]["v"]["L"]) for one in found] == [409_000] * 10


# ---- reasons ----


def test_every_key_that_does_not_fit_is_a_reason(api, hashed, keys):
    with pytest.raises(Refused) as told:
        transact(api, get(hashed, keys[0]), get(hashed, {"N": "1"}), {"Get": {"TableName": hashed, "Key": {"no": S}}}, get(hashed, {"S": ""}))
    empty = NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
    assert told.value.type == "TransactionCanceledException"
    assert told.value.body["CancellationReasons"] == [
        {"Code": "None"}, {"Code": "ValidationError", "Message": NO_MATCH}, {"Code": "ValidationError", "Message": NO_MATCH},
        {"Code": "ValidationError", "Message": empty}]
    assert told.value.message == ("Transaction cancelled, please refer cancellation reasons for specific reasons "
                                  "[None, ValidationError, ValidationError, ValidationError]")


# ---- what it refuses ----


def test_the_number_of_actions(api, hashed):
    assert api.refusal("TransactGetItems", {}) == ENVELOPE + must(None, "transactItems", "not be null")
    assert refusal(api) == ENVELOPE + must("[]", "transactItems", "have length greater than or equal to 1")
    told = refusal(api, *[get(hashed, S)] * 101)
    assert told.startswith(ENVELOPE + "Value '[") and told.endswith(
        "' at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100")


def test_absent_gets_are_told_with_the_enum_before_names(api, hashed):
    assert refusal(api, {}, get("a!", S), ReturnConsumedCapacity="x") == errors(
        must(None, "transactItems.1.member.get", "not be null"), must("x", "returnConsumedCapacity", CAPACITY_SET))
    place = "transactItems.2.member.get.tableName"
    assert refusal(api, get(hashed, S), get("a!", S)) == errors(
        must("a!", place, "have length greater than or equal to 3"), must("a!", place, NAME_PATTERN))


def test_projections_are_told_before_tables(api):
    wrong = get("no.such.table", S, ProjectionExpression="a,,b")
    assert refusal(api, wrong) == 'Invalid ProjectionExpression: Syntax error; token: ",", near: ",,b"'
    unused = get("no.such.table", S, ProjectionExpression="a", ExpressionAttributeNames={"#a": "a"})
    assert refusal(api, unused) == "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}"


def test_tables_and_duplicates(api, hashed, keys):
    assert refusal(api, get(hashed, keys[0]), get("no.such.table", S)) == NOT_FOUND
    assert refusal(api, get(hashed, keys[0]), get(hashed, keys[1]), get(hashed, keys[0])) == (
        "Transaction request cannot include multiple operations on one item")
    assert refusal(api, get(hashed, {"N": "abc"})) == "The parameter cannot be converted to a numeric value: abc"
