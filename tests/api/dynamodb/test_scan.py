"""Scan: pages, segments, filters, projections, counts, capacity, and what it refuses."""

import threading

import pytest

from api import CAPACITY_SET, ENVELOPE, INVALID, NAME_PATTERN, NOT_FOUND, NOT_VALID, TOO_DEEP, Refused, errors, must, nested

COUNT = 120
SELECT = "satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
START = "The provided starting key is invalid"


def n(number):
    return {"N": str(number)}


@pytest.fixture(scope="module")
def numbers(api):
    """COUNT items in 30 partitions, written in batches of one."""
    table = api.create("pk:S,sk:N")
    for i in range(COUNT):
        api.put(table, pk={"S": f"p{i % 30}"}, sk=n(i), v=n(i % 10), big={"S": "x" * 100}, m={"M": {"l": {"L": [n(i), n(0)]}}})
    return table


def scan(api, table, **more):
    return api.call("Scan", {"TableName": table, **more})


def pages(api, table, **more):
    """All pages of a scan."""
    found = []
    while True:
        found.append(scan(api, table, **more))
        if "LastEvaluatedKey" not in found[-1]:
            return found
        more["ExclusiveStartKey"] = found[-1]["LastEvaluatedKey"]


def sorts(*many):
    return [int(item["sk"]["N"]) for page in many for item in page["Items"]]


# ---- pages ----


def test_everything_is_found_once(api, numbers):
    page = scan(api, numbers)
    assert sorted(sorts(page)) == list(range(COUNT))
    assert page["Count"] == page["ScannedCount"] == COUNT and "LastEvaluatedKey" not in page
    assert scan(api, numbers, ConsistentRead=True) == page


def test_items_of_a_partition_come_together_in_order(api, numbers):
    found = [(item["pk"]["S"], int(item["sk"]["N"])) for item in scan(api, numbers)["Items"]]
    partitions = [pk for pk, _ in found]
    assert len({i for i, pk in enumerate(partitions) if i == 0 or partitions[i - 1] != pk}) == 30
    assert all(one[1] < next_one[1] for one, next_one in zip(found, found[1:]) if one[0] == next_one[0])


@pytest.mark.parametrize("limit", [1, 7, COUNT - 1, COUNT, COUNT + 1])
def test_limit_pages_through_everything_once(api, numbers, limit):
    all_pages = pages(api, numbers, Limit=limit)
    assert sorts(*all_pages) == sorts(scan(api, numbers))
    assert all(page["ScannedCount"] == page["Count"] == len(page["Items"]) <= limit for page in all_pages)
    for page in all_pages[:-1]:
        assert page["LastEvaluatedKey"] == {name: page["Items"][-1][name] for name in ("pk", "sk")}
    assert COUNT // limit <= len(all_pages) <= COUNT // limit + 1


def test_limit_counts_before_the_filter(api, numbers):
    all_pages = pages(api, numbers, Limit=50, FilterExpression="v = :v", ExpressionAttributeValues={":v": n(3)})
    assert [page["ScannedCount"] for page in all_pages] == [50, 50, 20]
    assert sum(page["Count"] for page in all_pages) == len(sorts(*all_pages)) == COUNT // 10
    page = scan(api, numbers, Limit=10, FilterExpression="v = :v", ExpressionAttributeValues={":v": n(99)})
    assert (page["Items"], page["Count"], page["ScannedCount"]) == ([], 0, 10) and "LastEvaluatedKey" in page


def test_an_empty_table(api):
    assert scan(api, api.create("pk:S")) == {"Items": [], "Count": 0, "ScannedCount": 0}


def test_a_start_key_need_not_exist(api, numbers):
    order = [(item["pk"]["S"], int(item["sk"]["N"])) for item in scan(api, numbers)["Items"]]
    pk, sk = order[40]
    page = scan(api, numbers, ExclusiveStartKey={"pk": {"S": pk}, "sk": n(f"{sk}.5")})
    assert [(item["pk"]["S"], int(item["sk"]["N"])) for item in page["Items"]] == order[41:]


def test_names_may_be_arns(api, numbers):
    arn = api.describe(numbers)["TableArn"]
    assert scan(api, arn, Select="COUNT") == {"Count": COUNT, "ScannedCount": COUNT}


def test_boto3_paginates(api, numbers):
    found = api.dynamodb.get_paginator("scan").paginate(TableName=numbers, PaginationConfig={"PageSize": 11})
    assert sorted(int(item["sk"]["N"]) for page in found for item in page["Items"]) == list(range(COUNT))


# ---- segments ----


@pytest.mark.parametrize("total", [1, 2, 3, 7, 64])
def test_segments_are_disjoint_and_complete(api, numbers, total):
    found = [sorts(*pages(api, numbers, Segment=segment, TotalSegments=total, Limit=13)) for segment in range(total)]
    assert sorted(sum(found, [])) == list(range(COUNT))
    if total <= 3:
        assert all(found), "partitions spread over few segments"


def test_the_most_segments(api, numbers):
    for segment in (0, 500_000, 999_999):
        assert scan(api, numbers, Segment=segment, TotalSegments=1_000_000)["Count"] <= COUNT


def test_a_start_key_belongs_to_its_segment(api, numbers):
    last = scan(api, numbers, Limit=1)["LastEvaluatedKey"]
    wrong = []
    for segment in range(4):
        try:
            scan(api, numbers, Segment=segment, TotalSegments=4, ExclusiveStartKey=last)
        except Refused as refused:
            assert refused.message == (f"{START}: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. "
                                       f"TotalSegments: 4 Segment: {segment}")
            wrong.append(segment)
    assert len(wrong) == 3


@pytest.mark.headwater
def test_segments_hold_while_items_are_written(api):
    """What is there all the time is found once, whatever else comes and goes beside it."""
    table = api.create("pk:S")
    for i in range(60):
        api.put(table, pk={"S": f"stays{i}"})
    stop = threading.Event()
    client = api.client()

    def disturb():
        i = 0
        while not stop.is_set():
            client.put_item(TableName=table, Item={"pk": {"S": f"goes{i % 50}"}})
            client.delete_item(TableName=table, Key={"pk": {"S": f"goes{i % 50}"}})
            i += 1

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(5):
            found = [item["pk"]["S"] for segment in range(3) for page in pages(api, table, Segment=segment, TotalSegments=3, Limit=9)
                     for item in page["Items"]]
            assert sorted(pk for pk in found if pk.startswith("stays")) == sorted(f"stays{i}" for i in range(60))
    finally:
        stop.set()
        thread.join()


# ---- what comes back ----


def test_filters_may_name_keys(api, numbers):
    page = scan(api, numbers, FilterExpression="pk = :p AND sk > :n", ExpressionAttributeValues={":p": {"S": "p7"}, ":n": n(37)})
    assert (sorts(page), page["Count"], page["ScannedCount"]) == ([67, 97], 2, COUNT)


def test_select(api, numbers):
    assert scan(api, numbers, Select="COUNT") == {"Count": COUNT, "ScannedCount": COUNT}
    assert scan(api, numbers, Select="ALL_ATTRIBUTES") == scan(api, numbers)
    page = scan(api, numbers, Select="SPECIFIC_ATTRIBUTES", ProjectionExpression="sk, m.l[0], nope", Limit=1)
    number = page["Items"][0]["sk"]
    assert page["Items"] == [{"sk": number, "m": {"M": {"l": {"L": [number]}}}}]
    page = scan(api, numbers, Select="COUNT", FilterExpression="#v < :v", ExpressionAttributeNames={"#v": "v"},
                ExpressionAttributeValues={":v": n(2)}, Limit=100)
    assert page["ScannedCount"] == 100 and "Items" not in page and "LastEvaluatedKey" in page


def test_projections_may_match_nothing(api, numbers):
    page = scan(api, numbers, ProjectionExpression="nope", Limit=3)
    assert page["Items"] == [{}, {}, {}] and page["Count"] == 3


def test_capacity_is_of_what_was_read(api, numbers):
    # An item: pk 2 + 2 or 3, sk 2 + 2 or 3 (1 for 0), v 1 + 2 (1 for 0), big 3 + 100, m 1 + 3 + (1 + 1 + 3 + 2 + numbers).
    units = scan(api, numbers, ReturnConsumedCapacity="TOTAL", ConsistentRead=True)["ConsumedCapacity"]
    assert units == {"TableName": numbers, "CapacityUnits": 4.0}
    assert scan(api, numbers, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]["CapacityUnits"] == 2.0
    same = scan(api, numbers, ReturnConsumedCapacity="INDEXES", Select="COUNT", FilterExpression="v = :v",
                ExpressionAttributeValues={":v": n(99)})["ConsumedCapacity"]
    assert same == {"TableName": numbers, "CapacityUnits": 2.0, "Table": {"CapacityUnits": 2.0}}
    assert scan(api, numbers, ReturnConsumedCapacity="TOTAL", Limit=1)["ConsumedCapacity"]["CapacityUnits"] == 0.5
    assert "ConsumedCapacity" not in scan(api, numbers, ReturnConsumedCapacity="NONE", Limit=1)


def test_a_page_ends_past_1_mb(api):
    """Counted before the filter and the projection."""
    table = api.create("pk:S")
    for i in range(30):
        api.put(table, pk={"S": f"{i:02}"}, x={"S": "x" * (50000 - 5)})
    fits = 1024 * 1024 // 50000
    for more in ({}, {"ProjectionExpression": "pk"}, {"FilterExpression": "attribute_not_exists(pk)"}, {"Select": "COUNT"}):
        all_pages = pages(api, table, **more)
        assert len(all_pages) == 2 and all_pages[0]["ScannedCount"] in (fits, fits + 1)
        assert sum(page["ScannedCount"] for page in all_pages) == 30
        assert sum(page["Count"] for page in all_pages) == (0 if "FilterExpression" in more else 30)


# ---- refusals ----

MEMBERS = [
    ({}, ENVELOPE + must(None, "tableName", "not be null")),
    ({"TableName": "abc", "Limit": 0}, ENVELOPE + must("", "Limit", "have value greater than or equal to 1")),
    ({"TableName": "abc", "Segment": -1, "TotalSegments": 1}, ENVELOPE + must("", "Segment", "have value greater than or equal to 0")),
    ({"TableName": "abc", "Segment": 1000000, "TotalSegments": 1}, ENVELOPE + must("", "Segment", "have value less than or equal to 999999")),
    ({"TableName": "abc", "Segment": 0, "TotalSegments": 0}, ENVELOPE + must("", "TotalSegments", "have value greater than or equal to 1")),
    ({"TableName": "abc", "Segment": 0, "TotalSegments": 1000001},
     ENVELOPE + must("", "TotalSegments", "have value less than or equal to 1000000")),
    ({"TableName": "", "Limit": 0, "Segment": -1, "TotalSegments": 0, "Select": "x", "ReturnConsumedCapacity": "x"},
     errors(must("", "Limit", "have value greater than or equal to 1"), must("", "Segment", "have value greater than or equal to 0"),
            must("", "TotalSegments", "have value greater than or equal to 1"),
            must("", "TableName", "have length greater than or equal to 1"))),
    ({"TableName": "a!c", "ReturnConsumedCapacity": "x", "Select": "x", "Segment": 0},
     errors(must("a!c", "tableName", NAME_PATTERN), must("x", "returnConsumedCapacity", CAPACITY_SET))),
    ({"Limit": 0, "Segment": -1, "TotalSegments": 0, "Select": "x", "ReturnConsumedCapacity": "x"},
     errors(must("x", "select", SELECT), must("0", "totalSegments", "have value greater than or equal to 1"),
            must("x", "returnConsumedCapacity", CAPACITY_SET), must(None, "tableName", "not be null"),
            must("-1", "segment", "have value greater than or equal to 0"), must("0", "limit", "have value greater than or equal to 1"))),
    ({"TableName": "abc", "Segment": -0.5, "TotalSegments": 0.5, "Select": "x"},
     errors(must("x", "select", SELECT), must("0", "totalSegments", "have value greater than or equal to 1"))),
    ({"TableName": "abc", "Limit": "1"}, "SerializationException: STRING_VALUE cannot be converted to Integer"),
    ({"TableName": "abc", "FilterExpression": "a = :a", "ExpressionAttributeValues": {":a": {"N": "x"}}, "Select": "x"},
     "The parameter cannot be converted to a numeric value: x"),
    ({"TableName": "abc", "FilterExpression": "", "Select": "x", "Segment": 0}, "Invalid FilterExpression: The expression can not be empty;"),
    ({"TableName": "abc", "FilterExpression": "a = :a", "Select": "x"},
     "Invalid FilterExpression: An expression attribute value used in expression is not defined; attribute value: :a"),
    ({"TableName": "abc", "ProjectionExpression": "a, a.b", "Segment": 0},
     "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; "
     "path one: [a], path two: [a, b]"),
    ({"TableName": "abc", "ExpressionAttributeNames": {"#a": "a"}},
     "ExpressionAttributeNames can only be specified when using expressions"),
    ({"TableName": "abc", "Select": "x", "Segment": 0}, ENVELOPE + must("x", "select", SELECT)),
    ({"TableName": "abc", "Select": "COUNT", "ProjectionExpression": "a", "Segment": 0},
     ENVELOPE + "Cannot specify the ProjectionExpression when choosing to get only the Count"),
    ({"TableName": "abc", "Select": "SPECIFIC_ATTRIBUTES"},
     ENVELOPE + "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"),
    ({"TableName": "abc", "Select": "ALL_PROJECTED_ATTRIBUTES"},
     ENVELOPE + "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"),
    ({"TableName": "no.such.table", "Segment": 1},
     "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"),
    ({"TableName": "no.such.table", "TotalSegments": 1},
     "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"),
    ({"TableName": "no.such.table", "Segment": 5, "TotalSegments": 5},
     "The Segment parameter is zero-based and must be less than parameter TotalSegments"),
    ({"TableName": "no.such.table", "ExclusiveStartKey": {}}, NOT_FOUND),
]


@pytest.mark.parametrize(("request_body", "text"), MEMBERS)
def test_members_are_refused(api, request_body, text):
    assert api.refusal("Scan", request_body) == text


STARTS = [
    ({}, START), ({"pk": {"S": "p"}}, START), ({"sk": n(1)}, START), ({"pk": {"S": "p"}, "sk": n(1), "v": n(1)}, START),
    ({"pk": n(1), "sk": n(1)}, START), ({"pk": {"S": "p"}, "sk": {"L": []}}, START),
    ({"pk": {"S": "p"}, "sk": {}}, START + ": Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    ({"pk": {"S": "p"}, "sk": {"N": "1", "S": "1"}},
     START + ": Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"),
    ({"pk": {"S": "p"}, "sk": {"N": "x"}}, "The parameter cannot be converted to a numeric value: x"),
    ({"pk": {"S": ""}, "sk": n(1)}, NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"),
    ({"pk": {"S": "x" * 2049}, "sk": n(1)}, INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
]


@pytest.mark.parametrize(("start", "text"), STARTS)
def test_start_keys_are_checked(api, numbers, start, text):
    assert api.refusal("Scan", TableName=numbers, ExclusiveStartKey=start) == text


def test_a_start_key_of_32_levels_is_too_deep(api, numbers):
    assert api.refusal("Scan", TableName=numbers, ExclusiveStartKey={"pk": nested(32), "sk": n(1)}) == f"{START}: {TOO_DEEP}"
    assert api.refusal("Scan", TableName=numbers, ExclusiveStartKey={"pk": nested(31), "sk": n(1)}) == START


@pytest.mark.parametrize("limit", [1.5, 4294967296, 1e300])
def test_limits_are_cut_and_saturate(api, numbers, limit):
    assert scan(api, numbers, Limit=limit)["Count"] == (1 if limit == 1.5 else COUNT)


def test_segments_are_cut_and_saturate(api, numbers):
    assert scan(api, numbers, Segment=1.5, TotalSegments=3.9) == scan(api, numbers, Segment=1, TotalSegments=3)
    assert api.refusal("Scan", TableName=numbers, Segment=0, TotalSegments=4294967297) == \
        ENVELOPE + must("2147483647", "totalSegments", "have value less than or equal to 1000000")


def test_legacy_parameters_beside_expressions(api):
    assert api.refusal("Scan", {"TableName": "no.such.table", "FilterExpression": "", "ProjectionExpression": "a,", "Select": "x", "Segment": 1,
                                "ConditionalOperator": "OR", "ScanFilter": {}, "AttributesToGet": []}) == \
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: " \
        "{AttributesToGet, ScanFilter, ConditionalOperator} Expression parameters: {ProjectionExpression, FilterExpression}"


def test_no_table_has_that_index(api, numbers):
    assert api.refusal("Scan", {"TableName": numbers, "IndexName": "idx", "ConsistentRead": True}) == "The table does not have the specified index: idx"
    assert api.refusal("Scan", {"TableName": "no.such.table", "IndexName": "idx"}) == NOT_FOUND


@pytest.mark.headwater
@pytest.mark.parametrize("member", ["AttributesToGet", "ScanFilter", "ConditionalOperator"])
def test_what_is_not_built_is_refused(api, numbers, member):
    assert api.refusal("Scan", {"TableName": numbers, member: "x"}) == f"Headwater does not support {member} yet"
