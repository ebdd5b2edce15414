"""DescribeTable, ListTables and DeleteTable."""

import pytest

from api import ENVELOPE, NAME_PATTERN, Refused, check_answer, errors, must

REQUIRED = "The parameter 'TableName' is required but was not present in the request"
SHORT = "have length greater than or equal to 3"
LONG = "have length less than or equal to 255"


def told(name, *rules, place="tableName"):
    """What the control plane says of a name, which it always shows."""
    return errors(*(f"Value '{name}' at '{place}' failed to satisfy constraint: Member must {rule}" for rule in rules))


@pytest.mark.parametrize("operation", ["DescribeTable", "DeleteTable"])
@pytest.mark.parametrize(("name", "text"), [
    (None, REQUIRED), ("", told("", SHORT, NAME_PATTERN)), ("ab", told("ab", SHORT)), ("a!", told("a!", SHORT, NAME_PATTERN)),
    ("a" * 256, told("a" * 256, LONG)), ("a!c", told("a!c", NAME_PATTERN)),
    ("no.such.table", "ResourceNotFoundException: Requested resource not found: Table: no.such.table not found"),
])
def test_names_are_refused(api, operation, name, text):
    assert api.refusal(operation, {} if name is None else {"TableName": name}) == text


def test_describe_by_arn(api, hashed):
    table = api.describe(hashed)
    assert api.describe(table["TableArn"]) == table


def test_delete_says_deleting_then_it_is_gone(api):
    name = api.create(view="NEW_IMAGE")
    api.put(name, pk={"S": "a"})
    gone = api.call("DeleteTable", TableName=name)["TableDescription"]
    assert (gone["TableName"], gone["TableStatus"]) == (name, "DELETING")
    assert {"TableArn", "TableId", "ItemCount", "TableSizeBytes", "ProvisionedThroughput", "BillingModeSummary"} <= set(gone)
    assert not {"KeySchema", "AttributeDefinitions", "CreationDateTime"} & set(gone)
    api.dynamodb.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    with pytest.raises(Refused, match="ResourceNotFoundException"):
        api.get(name, pk={"S": "a"})


def test_a_new_table_of_the_same_name_is_empty(api):
    name = api.create()
    first = api.describe(name)
    api.put(name, pk={"S": "a"})
    api.call("DeleteTable", TableName=name)
    api.dynamodb.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    api.create(name=name)
    assert api.get(name, pk={"S": "a"}) is None
    assert api.describe(name)["TableId"] != first["TableId"]


def test_a_protected_table_stays(api):
    name = api.create(DeletionProtectionEnabled=True)
    assert api.describe(name)["DeletionProtectionEnabled"] is True
    assert api.refusal("DeleteTable", TableName=name) == \
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
    assert api.describe(name)["TableStatus"] == "ACTIVE"


@pytest.mark.headwater
def test_the_servers_own_tables_stay(api):
    assert api.refusal("DeleteTable", TableName="headwater.chat_log") == \
        "Tables named headwater.* belong to the server and cannot be deleted"


def test_listing_pages_in_order(api):
    prefix = api.name("list")
    names = [api.create(name=f"{prefix}.{i}") for i in range(5)]
    found, after = [], prefix
    for limit in (1, 2, 2):
        page = api.call("ListTables", ExclusiveStartTableName=after, Limit=limit)
        assert len(page["TableNames"]) == limit
        found += page["TableNames"]
        after = found[-1]
        assert page.get("LastEvaluatedTableName", after) == after
    assert found == names


def test_listing_needs_no_table_to_start_at(api):
    name = api.create(name=api.name("zz"))
    assert name in api.call("ListTables", ExclusiveStartTableName=name[:-1])["TableNames"]
    assert name not in api.call("ListTables", ExclusiveStartTableName=name)["TableNames"]


def test_boto3_pages_and_the_end_has_no_last_name(api):
    names = [name for page in api.dynamodb.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 3})
             for name in page["TableNames"]]
    assert names == sorted(set(names))
    last = api.call("ListTables", ExclusiveStartTableName=names[-1])
    assert last == {"TableNames": []}


@pytest.mark.parametrize(("limit", "rule"), [(0, "greater than or equal to 1"), (101, "less than or equal to 100"),
                                             (-1, "greater than or equal to 1")])
def test_limit_is_bounded(api, limit, rule):
    assert api.refusal("ListTables", Limit=limit) == ENVELOPE + must(str(limit), "limit", f"have value {rule}")


def test_limit_at_its_bounds(api):
    for limit in (1, 100):
        assert len(api.call("ListTables", Limit=limit)["TableNames"]) <= limit


def test_what_every_answer_carries(api):
    for body, status in ((b"{}", 200), (b'{"Limit":0}', 400), (b"no JSON", 400)):
        told, headers, answer = api.send("ListTables", body)
        assert told == status
        check_answer(headers, answer)
