"""Query: ranges of one partition, both directions, pages, filters, projections, counts, and what it refuses."""

import base64
import decimal
import random

import pytest

from api import CAPACITY_SET, ENVELOPE, INVALID, NAME_PATTERN, NOT_FOUND, NOT_VALID, TOO_DEEP, errors, must, nested

PK = {"S": "p"}
SORTS = [-10, -1.5, 0, 1, 2, 3, 10, 100]


def n(number):
    return {"N": str(number)}


@pytest.fixture(scope="module")
def numbers(api):
    """Keys pk: S, sk: N; one partition with SORTS, and its neighbours."""
    table = api.create("pk:S,sk:N")
    for sort in SORTS:
        api.put(table, pk=PK, sk=n(sort), v=n(sort), big={"S": "x" * 10})
    for other in ("o", "p\x00", "pp", "q"):
        api.put(table, pk={"S": other}, sk=n(1), v={"S": "other"})
    return table


@pytest.fixture(scope="module")
def strings(api):
    table = api.create("pk:S,sk:S")
    for sort in ("a", "ab", "abc", "abd", "b", "é", "\U0010ffff"):
        api.put(table, pk=PK, sk={"S": sort})
    return table


@pytest.fixture(scope="module")
def binaries(api):
    table = api.create("pk:S,sk:B")
    for sort in (b"\x00", b"\xff", b"\xff\xff", b"\xff\xff\x01", b"\xfe\xff"):
        api.put(table, pk=PK, sk={"B": base64.b64encode(sort).decode()})
    return table


def query(api, table, condition="pk = :p", values=None, **more):
    more.setdefault("ExpressionAttributeValues", {":p": PK, **(values or {})})
    return api.call("Query", {"TableName": table, "KeyConditionExpression": condition, **more})


def sorts(page):
    return [float(item["sk"]["N"]) for item in page["Items"]]


RANGES = [
    ("pk = :p", {}, SORTS),
    (":p = pk", {}, SORTS),
    ("pk = :p AND sk = :a", {":a": n("2.0")}, [2]),
    ("pk = :p AND sk = :a", {":a": n(4)}, []),
    ("pk = :p AND sk < :a", {":a": n(1)}, [-10, -1.5, 0]),
    ("pk = :p AND sk <= :a", {":a": n(1)}, [-10, -1.5, 0, 1]),
    ("pk = :p AND sk > :a", {":a": n(2)}, [3, 10, 100]),
    ("pk = :p AND sk >= :a", {":a": n(2)}, [2, 3, 10, 100]),
    ("pk = :p AND :a > sk", {":a": n(0)}, [-10, -1.5]),
    ("sk >= :a AND pk = :p", {":a": n(11)}, [100]),
    ("pk = :p AND sk BETWEEN :a AND :b", {":a": n(-2), ":b": n(2)}, [-1.5, 0, 1, 2]),
    ("pk = :p AND sk BETWEEN :a AND :b", {":a": n(3), ":b": n(3)}, [3]),
    ("(pk = :p) AND (sk > :a)", {":a": n(10)}, [100]),
    ("pk=:p and sk>:a", {":a": n(10)}, [100]),
]


@pytest.mark.parametrize(("condition", "values", "expected"), RANGES)
def test_ranges_in_both_directions(api, numbers, condition, values, expected):
    assert sorts(query(api, numbers, condition, values)) == expected
    assert sorts(query(api, numbers, condition, values, ScanIndexForward=False)) == expected[::-1]
    page = query(api, numbers, condition, values, Select="COUNT")
    assert page == {"Count": len(expected), "ScannedCount": len(expected)}


@pytest.mark.parametrize(("prefix", "expected"), [
    ("a", ["a", "ab", "abc", "abd"]), ("ab", ["ab", "abc", "abd"]), ("abc", ["abc"]), ("x", []), ("\U0010ffff", ["\U0010ffff"])])
def test_begins_with(api, strings, prefix, expected):
    for forward in (True, False):
        page = query(api, strings, "pk = :p AND begins_with(sk, :s)", {":s": {"S": prefix}}, ScanIndexForward=forward)
        assert [item["sk"]["S"] for item in page["Items"]] == (expected if forward else expected[::-1])


@pytest.mark.parametrize(("prefix", "expected"), [(b"\xff", [b"\xff", b"\xff\xff", b"\xff\xff\x01"]),
                                                  (b"\xff\xff", [b"\xff\xff", b"\xff\xff\x01"]), (b"\xfe", [b"\xfe\xff"])])
def test_begins_with_the_highest_bytes(api, binaries, prefix, expected):
    page = query(api, binaries, "pk = :p AND begins_with(sk, :s)", {":s": {"B": base64.b64encode(prefix).decode()}})
    assert [base64.b64decode(item["sk"]["B"]) for item in page["Items"]] == expected


def test_strings_sort_by_their_bytes(api, strings):
    assert [item["sk"]["S"] for item in query(api, strings)["Items"]] == ["a", "ab", "abc", "abd", "b", "é", "\U0010ffff"]


def test_a_table_without_sort_key(api):
    table = api.create("pk:S")
    api.put(table, pk=PK, v=n(1))
    assert query(api, table)["Items"] == [{"pk": PK, "v": n(1)}]
    assert query(api, table, values=None, ExpressionAttributeValues={":p": {"S": "nobody"}}) == \
        {"Items": [], "Count": 0, "ScannedCount": 0}


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 7, 8, 9])
def test_limit_pages_through_everything_once(api, numbers, limit, forward):
    found, more, pages = [], {}, 0
    while True:
        page = query(api, numbers, Limit=limit, ScanIndexForward=forward, **more)
        assert page["ScannedCount"] == page["Count"] == len(page["Items"]) <= limit
        found += sorts(page)
        pages += 1
        if "LastEvaluatedKey" not in page:
            break
        assert page["LastEvaluatedKey"] == {name: page["Items"][-1][name] for name in ("pk", "sk")}
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == (SORTS if forward else SORTS[::-1])
    assert len(SORTS) // limit <= pages <= len(SORTS) // limit + 1


def test_boto3_paginates(api, numbers):
    pages = api.dynamodb.get_paginator("query").paginate(
        TableName=numbers, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": PK},
        PaginationConfig={"PageSize": 3})
    assert [float(item["sk"]["N"]) for page in pages for item in page["Items"]] == SORTS


def test_a_start_key_need_not_exist(api, numbers):
    assert sorts(query(api, numbers, ExclusiveStartKey={"pk": PK, "sk": n("2.5")})) == [3, 10, 100]
    assert sorts(query(api, numbers, ExclusiveStartKey={"pk": PK, "sk": n("2.5")}, ScanIndexForward=False)) == \
        [2, 1, 0, -1.5, -10]


def test_limit_counts_before_the_filter(api, numbers):
    page = query(api, numbers, values={":v": n(3)}, FilterExpression="v >= :v", Limit=6)
    assert (page["Count"], page["ScannedCount"], sorts(page)) == (1, 6, [3])
    assert page["LastEvaluatedKey"] == {"pk": PK, "sk": n(3)}
    page = query(api, numbers, values={":v": n(3)}, FilterExpression="v >= :v", Limit=2)
    assert (page["Count"], page["ScannedCount"], page["Items"]) == (0, 2, []) and "LastEvaluatedKey" in page
    page = query(api, numbers, values={":v": n(3)}, FilterExpression="v >= :v", Select="COUNT")
    assert page == {"Count": 3, "ScannedCount": 8}


def test_projection(api, numbers):
    page = query(api, numbers, "pk = :p AND sk > :a", {":a": n(3)}, ProjectionExpression="v, #s",
                 ExpressionAttributeNames={"#s": "sk"})
    assert page["Items"] == [{"v": n(10), "sk": n(10)}, {"v": n(100), "sk": n(100)}]
    assert query(api, numbers, "pk = :p AND sk > :a", {":a": n(10)}, ProjectionExpression="nope",
                 Select="SPECIFIC_ATTRIBUTES")["Items"] == [{}]


# ---- pages of 1 MB ----

PAGE = 1024 * 1024


@pytest.fixture(scope="module")
def large(api):
    """Forty items of 50,000 bytes each."""
    table = api.create("pk:S,sk:N")
    for i in range(40):
        size = 50000 - len("pk") - 1 - len("sk") - len_of(i) - len("v") - len("x")
        api.put(table, pk=PK, sk=n(i), v=n(i % 10), x={"S": "x" * (size - len_of(i % 10))})
    return table


def len_of(number):
    """Bytes of a number of up to two digits."""
    return 1 if number == 0 else 2


def test_a_page_ends_past_1_mb(api, large):
    """The item that crosses 1 MB is still in the page, or the first one left out: DynamoDB's pages hold at most 1 MB and one item."""
    found, more, counts = [], {}, []
    while True:
        page = query(api, large, **more)
        counts.append(page["Count"])
        found += sorts(page)
        if "LastEvaluatedKey" not in page:
            break
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == [float(i) for i in range(40)]
    assert counts[0] in (PAGE // 50000, PAGE // 50000 + 1) and len(counts) == 2


def test_a_page_is_measured_before_filter_and_projection(api, large):
    page = query(api, large, values={":v": n(5)}, FilterExpression="v = :v", ProjectionExpression="sk")
    assert page["ScannedCount"] in (PAGE // 50000, PAGE // 50000 + 1)
    assert page["Count"] == len([i for i in range(page["ScannedCount"]) if i % 10 == 5])
    assert "LastEvaluatedKey" in page


def test_capacity_is_of_what_was_read(api, numbers, large):
    def units(table, **more):
        return query(api, table, ReturnConsumedCapacity="TOTAL", **more)["ConsumedCapacity"]
    assert units(numbers) == {"TableName": numbers, "CapacityUnits": 0.5}
    assert units(numbers, ConsistentRead=True)["CapacityUnits"] == 1
    four = -(-4 * 50000 // 4096)
    assert units(large, Limit=4, ConsistentRead=True)["CapacityUnits"] == four
    assert units(large, Limit=4)["CapacityUnits"] == four / 2
    assert units(large, Limit=4, Select="COUNT")["CapacityUnits"] == four / 2
    assert query(api, numbers, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"] == \
        {"TableName": numbers, "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.5}}


# ---- refusals ----

IN_KEY = " in KeyConditionExpression: "
KEY = "Invalid KeyConditionExpression: "
FORM = [
    ("", KEY + "The expression can not be empty;"),
    ("pk", KEY + 'Syntax error; token: "<EOF>", near: "pk"'),
    ("pk = :p AND begins_with(sk, :n)", KEY + "Incorrect operand type for operator or function; operator or function: "
     "begins_with, operand type: N"),
    ("pk = :p AND sk > :l", KEY + "Incorrect operand type for operator or function; operator or function: >, operand type: L"),
    ("pk = :p AND sk BETWEEN :n AND :one", KEY + "The BETWEEN operator requires upper bound to be greater than or equal to lower "
     "bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"),
    ("pk = :p OR sk = :n", "Invalid operator used" + IN_KEY + "OR"),
    ("NOT pk = :p", "Invalid operator used" + IN_KEY + "NOT"),
    ("pk <> :p", "Invalid operator used" + IN_KEY + "<>"),
    ("pk = :p AND sk IN (:n)", "Invalid operator used" + IN_KEY + "IN"),
    ("attribute_exists(pk)", "Invalid operator used" + IN_KEY + "attribute_exists"),
    ("pk = :p AND contains(sk, :n)", "Invalid operator used" + IN_KEY + "contains"),
    ("pk = :p AND attribute_type(sk, :t)", "Invalid operator used" + IN_KEY + "attribute_type"),
    ("pk = :p AND size(sk) = :n", "KeyConditionExpressions cannot contain nested operations"),
    ("pk = :p AND sk = pk", "Invalid condition" + IN_KEY + "Multiple attribute names used in one condition"),
    (":p = :n", "Invalid condition" + IN_KEY + "No key attribute specified"),
    (":n BETWEEN sk AND :n", "Invalid condition" + IN_KEY + "BETWEEN operator must have the key attribute as its first operand"),
    ("begins_with(:p, pk)", "Invalid condition" + IN_KEY + "begins_with operator must have the key attribute as its first operand"),
    ("pk = :p AND pk = :p", "KeyConditionExpressions must only contain one condition per key"),
    ("pk = :p AND sk > :one AND sk < :n", "KeyConditionExpressions must only contain one condition per key"),
    ("pk.x = :p", "KeyConditionExpressions cannot have conditions on nested attributes"),
]
TOKENS = {":p": PK, ":n": n(2), ":one": n(1), ":l": {"L": []}, ":t": {"S": "S"}, ":s": {"S": "s"}, ":e": {"S": ""}, ":m": {"M": {}}}


def used(condition):
    return {name: value for name, value in TOKENS.items() if f"{name} " in f"{condition} ".replace(",", " ").replace(")", " ")}


@pytest.mark.parametrize(("condition", "text"), FORM)
def test_the_form_is_told_before_the_table(api, numbers, condition, text):
    for table in (numbers, "no.such.table"):
        values = {"ExpressionAttributeValues": used(condition)} if used(condition) else {}
        assert api.refusal("Query", TableName=table, KeyConditionExpression=condition, **values) == text


SCHEMA = [
    ("pk = :n", INVALID + "Condition parameter type does not match schema type"),
    ("pk = :p AND sk = :s", INVALID + "Condition parameter type does not match schema type"),
    ("pk = :p AND sk = :m", INVALID + "Condition parameter type does not match schema type"),
    ("pk = :p AND begins_with(sk, :s)", INVALID + "Condition parameter type does not match schema type"),
    ("pk = :n AND sk = :n AND v = :one", INVALID + "Condition parameter type does not match schema type"),
    ("pk = :p AND sk = :n AND v = :one",
     "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)"),
    ("sk = :n", "Query condition missed key schema element: pk"),
    ("v = :n", "Query condition missed key schema element: pk"),
    ("pk = :p AND v = :n", "Query condition missed key schema element: sk"),
    ("pk > :p", "Query key condition not supported"),
    ("begins_with(pk, :p)", "Query key condition not supported"),
    ("pk BETWEEN :p AND :s", "Query key condition not supported"),
    ("pk = :e", NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"),
]


@pytest.mark.parametrize(("condition", "text"), SCHEMA)
def test_conditions_against_the_schema(api, numbers, condition, text):
    assert api.refusal("Query", TableName=numbers, KeyConditionExpression=condition,
                       ExpressionAttributeValues=used(condition)) == text
    assert api.refusal("Query", TableName="no.such.table", KeyConditionExpression=condition,
                       ExpressionAttributeValues=used(condition)) == NOT_FOUND


def test_a_partition_key_that_is_too_long(api, numbers):
    assert api.call("Query", TableName=numbers, KeyConditionExpression="pk = :p",
                    ExpressionAttributeValues={":p": {"S": "p" * 2048}})["Count"] == 0
    assert api.refusal("Query", TableName=numbers, KeyConditionExpression="pk = :p",
                       ExpressionAttributeValues={":p": {"S": "p" * 2049}}) == \
        INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"


@pytest.mark.parametrize("longest", ["n" * 1024, "é" * 512])
@pytest.mark.parametrize("condition", ["sk = :k", "sk > :k", "sk BETWEEN :a AND :k", "sk BETWEEN :k AND :z", "begins_with(sk, :k)"])
def test_no_sort_key_of_1025_bytes_is_asked_for(api, condition, longest):
    table = api.create("pk:S,sk:S")

    def asked(key):
        values = {":k": {"S": key}, ":a": {"S": "a"}, ":z": {"S": "\uffff"}}
        return {"TableName": table, "KeyConditionExpression": f"pk = :p AND {condition}",
                "ExpressionAttributeValues": {":p": PK, **{name: value for name, value in values.items() if name in condition}}}
    assert api.call("Query", asked(longest))["Count"] == 0
    assert api.refusal("Query", asked(longest + "n")) == INVALID + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"


def test_too_many_conditions_for_a_hash_key(api, hashed):
    assert api.refusal("Query", TableName=hashed, KeyConditionExpression="pk = :p AND a = :p",
                       ExpressionAttributeValues={":p": PK}) == \
        "The number of query conditions (2) exceeds the number of key attributes defined in the schema (1)"


def test_filters_may_not_name_keys(api, numbers):
    for name, expression in (("sk", "sk = :n"), ("pk", "v = :n OR attribute_exists(pk)")):
        values = {":p": PK, ":n": n(1)}
        assert api.refusal("Query", TableName=numbers, KeyConditionExpression="pk = :p", FilterExpression=expression,
                           ExpressionAttributeValues=values) == \
            f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"


START = "The provided starting key is invalid"
STARTS = [
    ({}, START), ({"pk": PK}, START), ({"sk": n(1)}, START), ({"pk": PK, "sk": n(1), "v": n(1)}, START),
    ({"pk": n(1), "sk": n(1)}, START), ({"pk": PK, "sk": {"S": "a"}}, START),
    ({"pk": PK, "sk": {}}, START + ": Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    ({"pk": PK, "sk": {"N": "x"}}, "The parameter cannot be converted to a numeric value: x"),
    ({"pk": PK, "sk": nested(32)}, TOO_DEEP),
    ({"pk": {"S": ""}, "sk": n(1)},
     NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"),
    ({"pk": {"S": "q"}, "sk": n(1)}, "The provided starting key is outside query boundaries based on provided conditions"),
]


@pytest.mark.parametrize(("start", "text"), STARTS)
def test_start_keys_are_checked(api, numbers, start, text):
    assert api.refusal("Query", TableName=numbers, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": PK},
                       ExclusiveStartKey=start) == text


def test_start_keys_against_the_condition(api, numbers, hashed):
    ranged = {"TableName": numbers, "KeyConditionExpression": "pk = :p AND sk > :n",
              "ExpressionAttributeValues": {":p": PK, ":n": n(1)}}
    assert api.refusal("Query", ExclusiveStartKey={"pk": PK, "sk": n(1)}, **ranged) == \
        "The provided starting key does not match the range key predicate"
    assert api.refusal("Query", ExclusiveStartKey={"pk": {"S": "q"}, "sk": n(2)}, **ranged) == \
        "The query can return at most one row and cannot be restarted"
    assert api.refusal("Query", ExclusiveStartKey={"pk": {"S": "q"}, "sk": n(1)}, **ranged) == \
        "The provided starting key does not match the range key predicate"
    assert api.refusal("Query", TableName=hashed, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": PK},
                       ExclusiveStartKey={"pk": {"S": "q"}}) == "The provided exclusive start key is invalid"


SELECT = "satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
MEMBERS = [
    ({"TableName": "abc"}, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."),
    ({"TableName": "abc", "Limit": 0}, ENVELOPE + must("", "Limit", "have value greater than or equal to 1")),
    ({"TableName": "abc", "Limit": -1}, ENVELOPE + must("", "Limit", "have value greater than or equal to 1")),
    ({"TableName": "", "Limit": 0, "Select": "x"}, errors(must("", "Limit", "have value greater than or equal to 1"),
                                                          must("", "TableName", "have length greater than or equal to 1"))),
    ({"TableName": "a!c", "ReturnConsumedCapacity": "x", "Select": "x"},
     errors(must("a!c", "tableName", NAME_PATTERN), must("x", "returnConsumedCapacity", CAPACITY_SET))),
    ({"TableName": "abc", "Select": "x"}, errors(must("x", "select", SELECT))),
    ({"Limit": 0, "Select": "x", "ReturnConsumedCapacity": "x"},
     errors(must("x", "select", SELECT), must("x", "returnConsumedCapacity", CAPACITY_SET),
            must(None, "tableName", "not be null"), must("0", "limit", "have value greater than or equal to 1"))),
    ({"TableName": "abc", "Limit": 0.5, "Select": "x"},
     errors(must("x", "select", SELECT), must("0", "limit", "have value greater than or equal to 1"))),
    ({"TableName": "abc", "Select": "COUNT", "ProjectionExpression": "a"},
     ENVELOPE + "Cannot specify the ProjectionExpression when choosing to get only the Count"),
    ({"TableName": "abc", "Select": "ALL_ATTRIBUTES", "ProjectionExpression": "a"},
     ENVELOPE + "Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES"),
    ({"TableName": "abc", "Select": "ALL_PROJECTED_ATTRIBUTES", "ProjectionExpression": "a"},
     ENVELOPE + "Cannot specify the ProjectionExpression when choosing to get ALL_PROJECTED_ATTRIBUTES"),
    ({"TableName": "abc", "Select": "SPECIFIC_ATTRIBUTES"},
     ENVELOPE + "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"),
    ({"TableName": "abc", "Select": "ALL_PROJECTED_ATTRIBUTES"},
     ENVELOPE + "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"),
    ({"TableName": "no.such.table", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": PK}}, NOT_FOUND),
]


@pytest.mark.parametrize(("request_body", "text"), MEMBERS)
def test_members_are_refused(api, request_body, text):
    assert api.refusal("Query", request_body) == text


@pytest.mark.parametrize("limit", [1.5, 4294967296, 10**30, 1e300])
def test_limits_are_cut_and_saturate(api, numbers, limit):
    page = query(api, numbers, Limit=limit)
    assert page["Count"] == (1 if limit == 1.5 else len(SORTS))


MIXED = "Can not use both expression and non-expression parameters in the same request: "


@pytest.mark.parametrize(("given", "legacy", "expressions"), [
    ({"KeyConditions": {}}, "KeyConditions", "KeyConditionExpression"),
    ({"QueryFilter": {}, "FilterExpression": ""}, "QueryFilter", "FilterExpression, KeyConditionExpression"),
    ({"KeyConditions": {}, "AttributesToGet": ["a"], "ConditionalOperator": "AND", "QueryFilter": {}, "FilterExpression": "a", "ProjectionExpression": "",
      "Select": "x"},
     "AttributesToGet, QueryFilter, ConditionalOperator, KeyConditions", "ProjectionExpression, FilterExpression, KeyConditionExpression")])
def test_legacy_parameters_beside_expressions(api, given, legacy, expressions):
    assert api.refusal("Query", {"TableName": "no.such.table", "KeyConditionExpression": "pk", **given}) == \
        f"{MIXED}Non-expression parameters: {{{legacy}}} Expression parameters: {{{expressions}}}"


def test_constraints_are_told_before_mixing(api):
    assert api.refusal("Query", {"TableName": "no!", "KeyConditionExpression": "", "KeyConditions": {}}) == \
        ENVELOPE + must("no!", "tableName", NAME_PATTERN)


def test_no_table_has_that_index(api, numbers):
    index = {"IndexName": "idx", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": PK}}
    missing = "The table does not have the specified index: idx"
    for more in ({}, {"ConsistentRead": True}, {"Select": "ALL_PROJECTED_ATTRIBUTES"}, {"KeyConditionExpression": "zzz = :p"}):
        assert api.refusal("Query", {"TableName": numbers, **index, **more}) == missing
    assert api.refusal("Query", {"TableName": numbers, **index, "KeyConditionExpression": "pk = :q"}).startswith("Invalid KeyConditionExpression: ")
    assert api.refusal("Query", {"TableName": "no.such.table", **index}) == NOT_FOUND
    assert api.refusal("Query", {"TableName": numbers, **index, "IndexName": "ix"}) == \
        ENVELOPE + must("ix", "indexName", "have length greater than or equal to 3")


@pytest.mark.headwater
@pytest.mark.parametrize("member", ["AttributesToGet", "KeyConditions", "QueryFilter", "ConditionalOperator"])
def test_what_is_not_built_is_refused(api, numbers, member):
    assert api.refusal("Query", {"TableName": numbers, member: "x"}) == f"Headwater does not support {member} yet"


# ---- random queries against a list ----


def number_keys(drawn):
    digits = ("".join(drawn.choices("0123456789", k=drawn.choice((1, 2, 18, 19, 38)))) for _ in range(60))
    return {decimal.Decimal(f"{drawn.choice('-+')}{text}E{drawn.choice((0, 0, -1, 1, -60, 60))}") for text in digits} | {decimal.Decimal(0)}


def text_keys(drawn):
    return {"".join(drawn.choices("aab\x00\x7f\xe9\uffff\U0001f600", k=drawn.randint(1, 4))).encode() for _ in range(60)}


def byte_keys(drawn):
    return {bytes(drawn.choices((0, 1, 127, 128, 254, 255), k=drawn.randint(1, 4))) for _ in range(60)}


# By type of the sort key: what makes keys, and how one is written. Decimal numbers and bytes order as DynamoDB's keys do.
KEY_TYPES = {"N": (number_keys, str), "S": (text_keys, bytes.decode), "B": (byte_keys, lambda key: base64.b64encode(key).decode())}
COMPARISONS = {"=": lambda key, a: key == a, "<": lambda key, a: key < a, "<=": lambda key, a: key <= a, ">": lambda key, a: key > a,
               ">=": lambda key, a: key >= a}
SWAPPED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def random_condition(drawn, kind, pool):
    """(text, operands, what holds) of a condition on the sort key."""
    a, b = sorted(drawn.choices(pool, k=2))
    form = drawn.random()
    if form < 0.15:
        return "pk = :p", (), lambda key: True
    if form < 0.35:
        return "pk = :p AND sk BETWEEN :a AND :b", (a, b), lambda key: a <= key <= b
    if form < 0.6 and kind != "N":
        prefix = a.decode()[:drawn.randint(1, 2)].encode() if kind == "S" else a[:drawn.randint(1, 2)]
        return "begins_with(sk, :a) AND pk = :p", (prefix,), lambda key: key.startswith(prefix)
    operator = drawn.choice(list(COMPARISONS))
    text = drawn.choice((f"sk {operator} :a", f":a {SWAPPED[operator]} sk"))
    return f"pk = :p AND ({text})", (a,), lambda key: COMPARISONS[operator](key, a)


def pages_of(api, request):
    while True:
        page = api.call("Query", request)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_random_queries_find_what_a_list_does(api, kind):
    """Ranges of every form, both directions, pages of every length, and filters, which count after them."""
    seed = random.SystemRandom().randrange(2**32)
    drawn = random.Random(seed)
    make, write = KEY_TYPES[kind]
    keys = sorted(make(drawn))
    table = api.create(f"pk:S,sk:{kind}")
    for i, key in enumerate(keys):
        api.put(table, pk=PK, sk={kind: write(key)}, i=n(i), even={"BOOL": i % 2 == 0})
    pool = keys + sorted(make(drawn))
    for _ in range(400):
        text, operands, holds = random_condition(drawn, kind, pool)
        forward, filtered, limit = drawn.random() < 0.5, drawn.random() < 0.3, drawn.choice((None, 1, 2, 3, 7, 100))
        found = [i for i, key in enumerate(keys) if holds(key)]
        expected = [i for i in (found if forward else found[::-1]) if not filtered or i % 2 == 0]
        values = {":p": PK, **{name: {kind: write(operand)} for name, operand in zip((":a", ":b"), operands)}}
        request = {"TableName": table, "KeyConditionExpression": text, "ExpressionAttributeValues": values, "ScanIndexForward": forward}
        if filtered:
            request["FilterExpression"], values[":t"] = "even = :t", {"BOOL": True}
        if limit:
            request["Limit"] = limit
        pages = list(pages_of(api, request))
        told = f"seed {seed}: {request}"
        assert [int(item["i"]["N"]) for page in pages for item in page["Items"]] == expected, told
        assert sum(page["ScannedCount"] for page in pages) == len(found), told
        assert all(page["ScannedCount"] == limit for page in pages if limit and "LastEvaluatedKey" in page), told
        assert all(page["Count"] == len(page["Items"]) for page in pages), told
