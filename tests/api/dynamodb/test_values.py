"""Attribute values: every type comes back as it went in, numbers are decimals, limits hold at and one beyond."""

import base64
import decimal
import pathlib
import random

import boto3.dynamodb.types
import pytest

from api import ENVELOPE, INVALID, NOT_VALID, TOO_DEEP, Refused, nested

EVERY_TYPE = {
    "string": {"S": "text"}, "empty": {"S": ""}, "quotes": {"S": "\"\\\b\f\n\r\t\x00\x1f"},
    "unicode": {"S": "é € 😀 \u2028"}, "number": {"N": "-12.5"}, "binary": {"B": "AAH/"}, "no bytes": {"B": ""},
    "true": {"BOOL": True}, "false": {"BOOL": False}, "null": {"NULL": True},
    "list": {"L": [{"N": "1"}, {"S": "x"}, {"L": []}, {"NULL": True}]}, "no list": {"L": []},
    "map": {"M": {"a": {"M": {"é": {"BOOL": False}}}, "b.c[0]": {"S": "d"}}}, "no map": {"M": {}},
    "strings": {"SS": ["a", "b", ""]}, "numbers": {"NS": ["1", "-2.5", "3E+100"]}, "binaries": {"BS": ["AA==", ""]},
}


def unordered(value):
    """Sets compare without order."""
    kind, body = next(iter(value.items()))
    return {kind: sorted(body)} if kind in ("SS", "NS", "BS") else value


def same(one, two):
    return {name: unordered(value) for name, value in one.items()} == \
        {name: unordered(value) for name, value in two.items()}


def test_every_type_comes_back(api, hashed, key):
    api.put(hashed, pk=key, **EVERY_TYPE)
    assert same(api.get(hashed, pk=key), {"pk": key, **EVERY_TYPE})


def test_boto3_writes_and_reads_every_type(api, hashed, key):
    serialize, read = boto3.dynamodb.types.TypeSerializer(), boto3.dynamodb.types.TypeDeserializer()
    native = {"s": "x", "n": decimal.Decimal("1.5"), "b": b"\x00\xff", "t": True, "z": None, "l": [1, ["a"]],
              "m": {"k": {"i": decimal.Decimal(-3)}}, "ss": {"a", "b"}, "ns": {1, 2}, "bs": {b"a", b"b"}}
    item = {"pk": key, **{name: serialize.serialize(value) for name, value in native.items()}}
    api.dynamodb.put_item(TableName=hashed, Item=item)
    back = api.dynamodb.get_item(TableName=hashed, Key={"pk": key}, ConsistentRead=True)["Item"]
    assert {name: read.deserialize(value) for name, value in back.items() if name != "pk"} == native


def test_sets_are_told_in_order(api, hashed, key):
    api.put(hashed, pk=key, s={"SS": ["b", "é", "a"]}, n={"NS": ["10", "9", "-1.5"]}, b={"BS": ["/w==", "AA=="]})
    item = api.get(hashed, pk=key)
    assert (item["s"], item["n"], item["b"]) == \
        ({"SS": ["a", "b", "é"]}, {"NS": ["-1.5", "9", "10"]}, {"BS": ["AA==", "/w=="]})


# ---- numbers ----

NUMBERS = [
    ("0", "0"), ("-0", "0"), ("0.0", "0"), ("+5", "5"), ("5.", "5"), (".5", "0.5"), ("007", "7"), ("1.50", "1.5"),
    ("1e3", "1000"), ("1E-3", "0.001"), ("-1.25e+2", "-125"), ("99999999999999999999999999999999999999",) * 2,
    ("-0.12345678901234567890123456789012345678",) * 2,
    ("9.9999999999999999999999999999999999999E+125", None), ("-9.9999999999999999999999999999999999999E+125", None),
    ("1E-130", None), ("-1E-130", None), ("1E+125", None), ("1234567890E-120", None),
    ("0e125", "0"), ("0e-130", "0"), ("0.0e126", "0"), ("-0.00e-128", "0"),
]


@pytest.mark.parametrize(("given", "shown"), NUMBERS)
def test_numbers_come_back(api, hashed, key, given, shown):
    """Short ones in plain digits; of long ones only the value is promised, in a form that boto3 can read."""
    api.put(hashed, pk=key, n={"N": given})
    back = api.get(hashed, pk=key)["n"]["N"]
    assert back == shown if shown else decimal.Decimal(back) == decimal.Decimal(given)
    assert boto3.dynamodb.types.TypeDeserializer().deserialize({"N": back}) == decimal.Decimal(given)


LONG = ["9.9999999999999999999999999999999999999E+125", "-9.9999999999999999999999999999999999999E+125", "1E+125", "-1E+125", "1E-130", "-1E-130",
        "9.9999999999999999999999999999999999999E-93", "1E+38", "1.0000000000000000000000000000000000001E+38", "1E-39"]
PLAIN = ["9" * 38, "-1" + "0" * 37, "0." + "0" * 37 + "1", "0." + "9" * 38, "1." + "1" * 37]


@pytest.mark.headwater
@pytest.mark.parametrize("text", LONG + PLAIN)
def test_what_38_digits_cannot_write_is_in_exponent_form(api, hashed, key, text):
    """DynamoDB writes up to 126 digits out, which boto3 cannot read back."""
    api.put(hashed, pk=key, n={"N": text}, s={"NS": [text]})
    assert api.get(hashed, pk=key) == {"pk": key, "n": {"N": text}, "s": {"NS": [text]}}
    item = api.dynamodb.get_item(TableName=hashed, Key={"pk": key})["Item"]
    assert boto3.dynamodb.types.TypeDeserializer().deserialize(item["s"]) == {decimal.Decimal(text)}


OVER = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDER = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
PRECISE = "Attempting to store more than 38 significant digits in a Number"
NOT_A_NUMBER = "The parameter cannot be converted to a numeric value: "


@pytest.mark.parametrize(("given", "text"), [
    ("1e126", OVER), ("-1e126", OVER), ("10E+125", OVER), ("1e-131", UNDER), ("-1e-131", UNDER), ("0e126", OVER),
    ("0e-131", UNDER), ("0.0e-130", UNDER), ("0.0e127", OVER), ("1e2147483647", OVER), ("1" * 39, PRECISE),
    ("1." + "2" * 38, PRECISE), ("", NOT_A_NUMBER), ("abc", NOT_A_NUMBER + "abc"), (" 1", NOT_A_NUMBER + " 1"),
    ("1 ", NOT_A_NUMBER + "1 "), ("1e", NOT_A_NUMBER + "1e"), ("1.2.3", NOT_A_NUMBER + "1.2.3"),
    (".", NOT_A_NUMBER + "."), ("--1", NOT_A_NUMBER + "--1"), ("0x1", NOT_A_NUMBER + "0x1"),
    ("NaN", NOT_A_NUMBER + "NaN"), ("Infinity", NOT_A_NUMBER + "Infinity"), ("1_000", NOT_A_NUMBER + "1_000"),
])
def test_numbers_are_refused(api, hashed, key, given, text):
    assert api.refusal("PutItem", TableName=hashed, Item={"pk": key, "n": {"N": given}}) == ENVELOPE + text
    assert api.get(hashed, pk=key) is None


def test_zeros_do_not_count_as_digits(api, hashed, key):
    for given in ("1" + "0" * 60, "0." + "0" * 60 + "1", "1" * 38 + "0" * 40):
        api.put(hashed, pk=key, n={"N": given})
        assert decimal.Decimal(api.get(hashed, pk=key)["n"]["N"]) == decimal.Decimal(given)


def test_numbers_sort_as_numbers(api):
    """A random sample over all signs, exponents and lengths, both directions."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    choose = random.Random(seed)
    table = api.create("pk:S,sk:N")
    numbers = {decimal.Decimal(0)}
    while len(numbers) < 400:
        digits = "".join(choose.choices("0123456789", k=choose.randint(1, 38))).lstrip("0") or "1"
        exponent = choose.choice((choose.randint(-130, 125), choose.randint(-5, 5)))
        number = decimal.Decimal(f"{choose.choice(('', '-'))}{digits[0]}.{digits[1:] or '0'}E{exponent}")
        numbers.add(number)
    for number in numbers:
        api.put(table, pk={"S": "a"}, sk={"N": str(number)})
    query = {"TableName": table, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    for forward in (True, False):
        items = api.call("Query", ScanIndexForward=forward, **query)["Items"]
        assert [decimal.Decimal(item["sk"]["N"]) for item in items] == sorted(numbers, reverse=not forward)


# ---- refused values ----

EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
MANY = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
NULL = INVALID + "Null attribute value types must have the value of true"
DUPLICATES = "contains duplicates."
SERIAL = "SerializationException: "
VALUES = [
    ("no type", {}, EMPTY), ("null type", {"S": None}, EMPTY), ("unknown type", {"X": "a"}, EMPTY),
    ("two types", {"S": "a", "N": "1"}, MANY),
    ("two types, one wrong", {"S": "a", "N": "x"}, NOT_A_NUMBER + "x"),
    ("a wrong boolean before an empty set", {"SS": [], "BOOL": "maybe"}, SERIAL + "Unexpected token received from parser"),
    ("an empty set before a bad number", {"N": "x", "SS": []}, INVALID + "An string set  may not be empty"),
    ("a bad number before a false null", {"NULL": False, "N": "x"}, NOT_A_NUMBER + "x"),
    ("a false null before two types", {"S": "a", "NULL": False}, NULL),
    ("false null", {"NULL": False}, ENVELOPE + NULL), ("false null as text", {"NULL": "no"}, NULL),
    ("no strings", {"SS": []}, ENVELOPE + INVALID + "An string set  may not be empty"),
    ("no numbers", {"NS": []}, ENVELOPE + INVALID + "An number set  may not be empty"),
    ("no binaries", {"BS": []}, ENVELOPE + INVALID + "Binary sets should not be empty"),
    ("a string twice", {"SS": ["b", "a", "b", "c"]},
     ENVELOPE + INVALID + f'Input collection ["a", "b", "b", "c"] {DUPLICATES}'),
    ("a number twice", {"NS": ["1", "1.0"]}, ENVELOPE + INVALID + f"Input collection {DUPLICATES}"),
    ("bytes twice", {"BS": ["AA==", "AA=="]},
     ENVELOPE + INVALID + f'Input collection ["AA==","AA=="]of type BS {DUPLICATES}'),
    ("empty name inside", {"M": {"": {"S": "a"}}}, ENVELOPE + "Empty attribute name"),
    ("string of true", {"S": True}, SERIAL + "TRUE_VALUE cannot be converted to String"),
    ("number of false", {"N": False}, SERIAL + "FALSE_VALUE cannot be converted to String"),
    ("string of a number", {"S": 1}, SERIAL + "NUMBER_VALUE cannot be converted to String"),
    ("number of a number", {"N": 1.5}, SERIAL + "DECIMAL_VALUE cannot be converted to String"),
    ("string of a list", {"S": ["a"]}, SERIAL + "Unrecognized collection type class java.lang.String"),
    ("string of a map", {"S": {}}, SERIAL + "Start of structure or map found where not expected"),
    ("boolean of a word", {"BOOL": "maybe"}, SERIAL + "Unexpected token received from parser"),
    ("boolean of a number", {"BOOL": 10**30}, SERIAL + "NUMBER_VALUE cannot be converted to Boolean"),
    ("boolean of a decimal", {"BOOL": 0.5}, SERIAL + "DECIMAL_VALUE cannot be converted to Boolean"),
    ("boolean with an exponent", {"BOOL": 1e300}, SERIAL + "DECIMAL_VALUE cannot be converted to Boolean"),
    ("null of a number", {"NULL": 0}, SERIAL + "NUMBER_VALUE cannot be converted to Boolean"),
    ("null of a word", {"NULL": " true"}, SERIAL + "Unexpected token received from parser"),
    ("boolean of a list", {"BOOL": []}, "SerializationException"),
    ("boolean of a map", {"BOOL": {}}, SERIAL + "Start of structure or map found where not expected"),
    ("list of a map", {"L": {}}, SERIAL + "Start of structure or map found where not expected"),
    ("list of a word", {"L": "a"}, SERIAL + "Unexpected field type"),
    ("list of words", {"L": ["a"]}, SERIAL + "Unexpected value type in payload"),
    ("map of a list", {"M": []}, SERIAL + "Unrecognized collection type java.util.Map<java.lang.String, "
     "com.amazonaws.dynamodb.v20120810.AttributeValue>"),
    ("set of numbers", {"SS": [1]}, SERIAL + "NUMBER_VALUE cannot be converted to String"),
    ("a list", [], SERIAL + "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"),
    ("a word", "a", SERIAL + "Unexpected field type"),
]


@pytest.mark.parametrize(("value", "text"), [row[1:] for row in VALUES], ids=[row[0] for row in VALUES])
def test_values_are_refused(api, hashed, key, value, text):
    assert api.refusal("PutItem", TableName=hashed, Item={"pk": key, "a": value}) == text
    assert api.get(hashed, pk=key) is None


@pytest.mark.headwater
@pytest.mark.parametrize("text", ["A", "A===", "====", "AA=A", "A!==", "AAA=="])
def test_base64_is_refused(api, hashed, key, text):
    assert api.refusal("PutItem", TableName=hashed, Item={"pk": key, "a": {"B": text}}) == \
        SERIAL + "Invalid Base64 data"


@pytest.mark.parametrize("word", ["true", "T", "YES", "y", "1", "False", "f", "no", "N", "0"])
def test_booleans_may_be_words(api, hashed, key, word):
    api.put(hashed, pk=key, a={"BOOL": word})
    assert api.get(hashed, pk=key)["a"] == {"BOOL": word.lower() in ("true", "t", "yes", "y", "1")}


def test_minus_zero_is_a_number_and_no_boolean(api, hashed):
    assert api.refusal("PutItem", b'{"TableName":"%s","Item":{"pk":{"BOOL":-0}}}' % hashed.encode()) == \
        SERIAL + "NUMBER_VALUE cannot be converted to Boolean"


@pytest.mark.parametrize("word", ["true", "T", "YES", "y", "1"])
def test_members_that_are_booleans_may_be_words_too(api, sorted_table, key, word):
    api.put(sorted_table, pk=key, sk={"N": "1"}, z={"NULL": word})
    api.put(sorted_table, pk=key, sk={"N": "2"})
    query = {"TableName": sorted_table, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": key}, "Select": "COUNT",
             "ReturnConsumedCapacity": "TOTAL", "Limit": 1}
    assert api.get(sorted_table, pk=key, sk={"N": "1"})["z"] == {"NULL": True}
    for said, units in ((word, 1), ("No", 0.5)):
        told = api.call("Query", ScanIndexForward=said, ConsistentRead=said, **query)
        assert told["ConsumedCapacity"]["CapacityUnits"] == units
        assert told["LastEvaluatedKey"]["sk"]["N"] == ("1" if said == word else "2")
    assert api.refusal("Query", ScanIndexForward="maybe", **query) == SERIAL + "Unexpected token received from parser"


EMPTY_NAME = "Empty attribute name"


def test_no_name_is_empty(api):
    """Told before the table; in the envelope by writes, with the key of no expression value."""
    table, name = {"TableName": "no.such.table"}, {"": {"S": "a"}}
    for operation in ("DeleteItem", "UpdateItem"):
        assert api.refusal(operation, Key=name, **table) == ENVELOPE + EMPTY_NAME
    assert api.refusal("PutItem", Item=name, **table) == ENVELOPE + EMPTY_NAME
    assert api.refusal("PutItem", Item={"pk": {"S": "a"}}, ConditionExpression="a = :v", ExpressionAttributeValues=name, **table) == ENVELOPE + EMPTY_NAME
    assert api.refusal("GetItem", Key=name, **table) == api.refusal("Scan", ExclusiveStartKey=name, **table) == EMPTY_NAME


def test_a_fault_has_the_member_of_its_type(api, hashed, key):
    """"Message" of a SerializationException, "message" of the others that one item's calls give."""
    capital = {"Item": {"pk": {"S": 1}}}, {"Item": []}
    small = {"Item": {"pk": {"S": ""}}}, {"Item": {"pk": key}, "ConditionExpression": "attribute_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    for member, requests in (("Message", capital), ("message", small)):
        for request in requests:
            with pytest.raises(Refused) as refused:
                api.call("PutItem", {"TableName": hashed, **request})
            assert set(refused.value.body) == {"__type", member}


@pytest.mark.parametrize("other", [{"BOOL": "true"}, {"L": [{"NULL": "t"}]}, {"M": {"x": {"S": "a", "N": "1"}}}])
@pytest.mark.parametrize(("value", "text"), [
    ({"N": ""}, "The parameter cannot be converted to a numeric value"),
    ({"N": "1e2147483647"}, UNDER),
    ({"SS": ["b", "a", "b"]}, INVALID + f"Input collection [b, a, b] {DUPLICATES}"),
    ({"NS": ["1", "1"]}, "Input collection contains duplicates"),
])
def test_old_forms_bring_old_words(api, hashed, key, other, value, text):
    """A BOOL as text or a value of two types anywhere: the request is told of as DynamoDB's older layer does."""
    assert api.refusal("PutItem", TableName=hashed, Item={"pk": key, "a": value, "z": other}) == text
    if "M" not in other:
        assert api.refusal("PutItem", TableName=hashed, Item={"pk": key, "z": other}, ConditionExpression="a = :v",
                           ExpressionAttributeValues={":v": value}) == \
            f"ExpressionAttributeValues contains invalid value: {text} for key :v"


# What each operation is asked with: a value in the place of a key, of an item, or of an expression's.
LAYERS = {
    "GetItem": (True, lambda table, value: {"TableName": table, "Key": {"pk": value}}),
    "BatchGetItem": (True, lambda table, value: {"RequestItems": {table: {"Keys": [{"pk": value}]}}}),
    "Query": (True, lambda table, value: {"TableName": table, "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": value}}),
    "Scan": (True, lambda table, value: {"TableName": table, "FilterExpression": "pk = :v", "ExpressionAttributeValues": {":v": value}}),
    "BatchWriteItem": (False, lambda table, value: {"RequestItems": {table: [{"PutRequest": {"Item": {"pk": {"S": "a"}, "v": value}}}]}}),
    "TransactWriteItems": (False, lambda table, value: {"TransactItems": [{"Put": {"TableName": table, "Item": {"pk": {"S": "a"}, "v": value}}}]}),
    "TransactGetItems": (False, lambda table, value: {"TransactItems": [{"Get": {"TableName": table, "Key": {"pk": value}}}]}),
}


@pytest.mark.parametrize("operation", LAYERS)
@pytest.mark.parametrize(("value", "new", "old"), [
    ({"N": "x"}, NOT_A_NUMBER + "x", NOT_A_NUMBER + "x"), ({"N": ""}, NOT_A_NUMBER, "The parameter cannot be converted to a numeric value"),
    ({"N": "1e2147483647"}, OVER, UNDER), ({"NS": ["1", "1"]}, INVALID + f"Input collection {DUPLICATES}", "Input collection contains duplicates"),
    ({"SS": ["b", "a", "b"]}, INVALID + f'Input collection ["a", "b", "b"] {DUPLICATES}',
     INVALID + f"Input collection [b, a, b] {DUPLICATES}"),
    ({"BS": []}, INVALID + "Binary sets should not be empty", INVALID + "Binary sets should not be empty"), ({"NULL": False}, NULL, NULL),
    ({"M": {"": {"S": "a"}}}, "Empty attribute name", "Empty attribute name"), ({}, EMPTY, EMPTY),
])
def test_the_words_of_each_operations_layer(api, hashed, operation, value, new, old):
    newer, request = LAYERS[operation]
    assert api.refusal(operation, request(hashed, value)) == (new if newer else old)


def test_null_is_absence(api, hashed, key):
    api.call("PutItem", {"TableName": hashed, "Item": {"pk": key, "a": None, "b": {"S": "x", "N": None}},
                         "ConditionExpression": None, "ExpressionAttributeValues": None, "Nobody": {"knows": 1}})
    assert api.get(hashed, pk=key) == {"pk": key, "b": {"S": "x"}}


# ---- nesting ----

@pytest.mark.parametrize("kind", ["L", "M"])
def test_31_levels_around_a_scalar(api, hashed, key, kind):
    api.put(hashed, pk=key, a=nested(31, kind))
    assert api.get(hashed, pk=key)["a"] == nested(31, kind)


@pytest.mark.parametrize(("levels", "text"), [(32, ENVELOPE + TOO_DEEP), (62, ENVELOPE + TOO_DEEP), (63, TOO_DEEP),
                                              (250, TOO_DEEP)])
def test_32_levels_are_refused(api, hashed, key, levels, text):
    assert api.refusal("PutItem", TableName=hashed, Item={"pk": key, "a": nested(levels)}) == text
    assert api.refusal("GetItem", TableName=hashed, Key={"pk": nested(levels)}) == TOO_DEEP
    for operation in ("DeleteItem", "UpdateItem"):
        assert api.refusal(operation, TableName=hashed, Key={"pk": nested(levels)}) == text


@pytest.mark.parametrize(("levels", "text"), [(31, None), (32, ENVELOPE + TOO_DEEP), (62, ENVELOPE + TOO_DEEP),
                                              (63, f"ExpressionAttributeValues contains invalid value: {TOO_DEEP} for key :v")])
def test_32_levels_are_refused_as_a_value(api, hashed, key, levels, text):
    tokens = {":a": None, ":v": nested(levels)}
    for operation, more in (("PutItem", {"Item": {"pk": key}, "ConditionExpression": "pk <> :v"}),
                            ("UpdateItem", {"Key": {"pk": key}, "UpdateExpression": "SET a = :v"}),
                            ("DeleteItem", {"Key": {"pk": key}, "ConditionExpression": "a = :v"})):
        if text is None:
            api.call(operation, TableName=hashed, ExpressionAttributeValues=tokens, **more)
        else:
            assert api.refusal(operation, TableName=hashed, ExpressionAttributeValues=tokens, **more) == text
    told = api.refusal("Scan", TableName=hashed, FilterExpression="a = :v", ExpressionAttributeValues={":v": nested(max(levels, 32))})
    assert told == (TOO_DEEP if levels < 63 else text)


def test_depth_is_told_after_members_and_before_expressions(api, key):
    deep = {"TableName": "no.such.table", "Item": {"pk": key, "a": nested(32)}, "ConditionExpression": "a ="}
    assert api.refusal("PutItem", deep) == ENVELOPE + TOO_DEEP
    assert api.refusal("PutItem", {**deep, "ReturnConsumedCapacity": "x"}).startswith(ENVELOPE + "Value 'x' at 'returnConsumedCapacity'")


@pytest.mark.parametrize(("levels", "text"), [(1900, TOO_DEEP), (6000, "SerializationException"),
                                              (200000, "SerializationException")])
def test_absurd_nesting(api, hashed, levels, text):
    body = b'{"TableName":"%s","Item":{"pk":{"S":"deep"},"a":%s{"S":"x"}%s}}' % (
        hashed.encode(), b'{"L":[' * levels, b"]}" * levels)
    assert api.refusal("PutItem", body) == text


# ---- sizes ----

SIZE_MAX = 400 * 1024
TOO_BIG = "Item size has exceeded the maximum allowed size"


def sized(key, total):
    """An item of exactly that size: names and values."""
    left = total - len("pk") - len(key["S"]) - len("a")
    return {"pk": key, "a": {"S": "x" * left}}


def test_400_kb_and_one_more(api, hashed, key):
    api.put(hashed, **sized(key, SIZE_MAX))
    assert len(api.get(hashed, pk=key)["a"]["S"]) == SIZE_MAX - 2 - len(key["S"]) - 1
    assert api.refusal("PutItem", TableName=hashed, Item=sized(key, SIZE_MAX + 1)) == TOO_BIG
    assert api.refusal("PutItem", TableName="no.such.table", Item=sized(key, SIZE_MAX + 1)) == TOO_BIG


@pytest.mark.parametrize(("value", "size"), [
    ({"S": "é€😀"}, 9), ({"B": base64.b64encode(b"12345").decode()}, 5), ({"BOOL": True}, 1), ({"NULL": True}, 1),
    ({"N": "0"}, 1), ({"N": "100"}, 2), ({"N": "1.5"}, 3), ({"N": "-1.5"}, 4), ({"N": "1E+125"}, 2),
    ({"N": "9" * 38}, 20), ({"N": "-" + "9" * 37 + ".9"}, 22), ({"L": []}, 3), ({"L": [{"S": "ab"}, {"N": "1"}]}, 9),
    ({"M": {}}, 3), ({"M": {"key": {"S": "ab"}}}, 9), ({"SS": ["a", "bc"]}, 3), ({"NS": ["1", "-100"]}, 5),
    ({"BS": ["AA==", "AAA="]}, 3),
])
def test_sizes_of_values(api, hashed, key, value, size):
    """A value's size shows where an item that holds it meets the limit."""
    rest = sized(key, SIZE_MAX - len("v") - size)
    api.put(hashed, v=value, **rest)
    rest["a"]["S"] += "x"
    assert api.refusal("PutItem", TableName=hashed, Item={"v": value, **rest}) == TOO_BIG


def test_names_at_their_limit(api, hashed, key):
    name = "n" * 65535
    api.put(hashed, pk=key, **{name: {"S": "x"}})
    assert api.get(hashed, pk=key)[name] == {"S": "x"}
    too_large = "Attribute name is too large, must be less than 65536 bytes"
    for item in ({name + "n": {"S": "x"}}, {"m": {"M": {name + "n": {"S": "x"}}}}):
        assert api.refusal("PutItem", TableName=hashed, Item={"pk": key, **item}) == ENVELOPE + too_large
    update = {"TableName": hashed, "Key": {"pk": key}, "UpdateExpression": "SET #n = :v", "ExpressionAttributeValues": {":v": {"S": "y"}}}
    api.call("UpdateItem", **update, ExpressionAttributeNames={"#n": name})
    assert api.get(hashed, pk=key)[name] == {"S": "y"}
    told = f"ExpressionAttributeNames contains invalid value: {too_large} for key #n"
    assert api.refusal("UpdateItem", **update, ExpressionAttributeNames={"#n": name + "n"}) == ENVELOPE + told
    assert api.refusal("GetItem", TableName=hashed, Key={"pk": key}, ProjectionExpression="#n",
                       ExpressionAttributeNames={"#n": name + "n"}) == told


# ---- keys ----


def test_keys_at_their_limits(api, sorted_table):
    table = api.create("pk:S,sk:B")
    sort = base64.b64encode(b"\x00" * 1024).decode()
    api.put(table, pk={"S": "p" * 2048}, sk={"B": sort})
    assert api.get(table, pk={"S": "p" * 2048}, sk={"B": sort})
    over = base64.b64encode(b"\x00" * 1025).decode()
    assert api.refusal("PutItem", TableName=table, Item={"pk": {"S": "p" * 2049}, "sk": {"B": sort}}) == \
        INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"
    assert api.refusal("PutItem", TableName=table, Item={"pk": {"S": "p"}, "sk": {"B": over}}) == \
        INVALID + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
    for operation in ("GetItem", "DeleteItem", "UpdateItem"):
        assert api.refusal(operation, TableName=table, Key={"pk": {"S": "é" * 1025}, "sk": {"B": sort}}) == \
            INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"


@pytest.mark.parametrize("kind", ["S", "N", "B"])
def test_keys_of_every_type(api, kind):
    table = api.create(f"pk:{kind},sk:{kind}")
    values = {"S": ["a", "é"], "N": ["1", "-1E-130"], "B": ["AA==", "/w=="]}[kind]
    for value in values:
        api.put(table, pk={kind: value}, sk={kind: value}, v={"S": value})
    for value in values:
        assert api.get(table, pk={kind: value}, sk={kind: value})["v"] == {"S": value}
    if kind == "N":
        assert api.get(table, pk={"N": "1.00"}, sk={"N": "10e-1"})["v"] == {"S": "1"}


@pytest.mark.parametrize(("value", "word"), [({"S": ""}, "string"), ({"B": ""}, "binary")])
def test_keys_are_not_empty(api, value, word):
    kind = next(iter(value))
    table = api.create(f"pk:{kind}")
    text = NOT_VALID + f"The AttributeValue for a key attribute cannot contain an empty {word} value. Key: pk"
    assert api.refusal("PutItem", TableName=table, Item={"pk": value}) == text
    for operation in ("GetItem", "DeleteItem", "UpdateItem"):
        assert api.refusal(operation, TableName=table, Key={"pk": value}) == text


# ---- the order of number sets ----

# Lines that Java has printed: the numbers of a HashSet<BigDecimal>, to which they were added rising.
HASH_SETS = [line.split() for line in (pathlib.Path(__file__).parent / "hash_sets.txt").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("numbers", HASH_SETS, ids=len)
def test_number_sets_are_in_the_order_of_their_operation(api, numbers):
    table = api.create("pk:S", view="NEW_AND_OLD_IMAGES")
    key, item = {"pk": {"S": "a"}}, {"pk": {"S": "a"}, "v": {"NS": numbers}, "l": {"L": [{"M": {"v": {"NS": numbers}}}]}}
    api.put(table, **item)
    api.put(table, **item, more={"NULL": True})
    get = {"TransactItems": [{"Get": {"TableName": table, "Key": key}}]}
    check = {"ConditionCheck": {"TableName": table, "Key": key, "ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}
    with pytest.raises(Refused) as cancelled:
        api.call("TransactWriteItems", TransactItems=[check])
    with pytest.raises(Refused) as refused:
        api.call("DeleteItem", TableName=table, Key=key, ConditionExpression="attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD")
    query = {"TableName": table, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    images = [one["dynamodb"] for one in api.records(table, count=2)]
    hashed = [api.call("Scan", TableName=table)["Items"][0], api.call("TransactGetItems", get)["Responses"][0]["Item"],
              cancelled.value.body["CancellationReasons"][0]["Item"], images[0]["NewImage"], images[1]["OldImage"], images[1]["NewImage"]]
    rising = [api.get(table, **key), api.call("Query", query)["Items"][0], refused.value.body["Item"],
              api.call("BatchGetItem", RequestItems={table: {"Keys": [key]}})["Responses"][table][0],
              api.call("DeleteItem", TableName=table, Key=key, ReturnValues="ALL_OLD")["Attributes"]]
    decimals = [decimal.Decimal(number) for number in numbers]
    for found, expected in [*((one, decimals) for one in hashed), *((one, sorted(decimals)) for one in rising)]:
        for told in (found["v"]["NS"], found["l"]["L"][0]["M"]["v"]["NS"]):
            assert [decimal.Decimal(number) for number in told] == expected
