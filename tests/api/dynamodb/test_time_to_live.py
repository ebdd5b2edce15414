"""UpdateTimeToLive, DescribeTimeToLive, and that items expire: by the right attribute, when their time has come, and with a record that says so."""

import time

import pytest

from api import errors, must, wait_until

SPECIFICATION = "timeToLiveSpecification"
IDENTITY = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
DAY_S = 24 * 3600


def n(number):
    return {"N": str(number)}


def now():
    return int(time.time())


def expire(api, table, attribute="ttl", enabled=True):
    return api.call("UpdateTimeToLive", TableName=table, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute})


def described(api, table):
    return api.call("DescribeTimeToLive", TableName=table)["TimeToLiveDescription"]


def keys(api, table):
    found = [item["pk"]["S"] for page in api.dynamodb.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]
    return sorted(found)


def put(api, table, key, **attributes):
    api.put(table, pk={"S": key}, **attributes)


# ---- what is told ----


def test_it_is_switched_on_and_off(api):
    table = api.create()
    assert described(api, table) == {"TimeToLiveStatus": "DISABLED"}
    assert expire(api, table, "until") == {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "until"}}
    wait_until(lambda: described(api, table) == {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"})
    assert expire(api, table, "until", False) == {"TimeToLiveSpecification": {"Enabled": False, "AttributeName": "until"}}
    wait_until(lambda: described(api, table) == {"TimeToLiveStatus": "DISABLED"})


@pytest.mark.headwater
def test_what_is_so_already_is_refused(api):
    table = api.create()
    assert api.refusal("UpdateTimeToLive", TableName=table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "a"}) == \
        "TimeToLive is already disabled"
    expire(api, table, "a")
    for enabled in (True, False):
        assert api.refusal("UpdateTimeToLive", TableName=table, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": "b"}) == \
            "TimeToLive is active on a different AttributeName: current AttributeName is a"
    assert api.refusal("UpdateTimeToLive", TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "a"}) == \
        "TimeToLive is already enabled"


@pytest.mark.parametrize(("specification", "text"), [
    ({"Enabled": True, "AttributeName": ""}, errors(must("", f"{SPECIFICATION}.attributeName", "have length greater than or equal to 1")
                                                    .replace("Value at", "Value '' at"))),
    ({"Enabled": True, "AttributeName": "a" * 256}, errors(must("a" * 256, f"{SPECIFICATION}.attributeName", "have length less than or equal to 255"))),
    ({}, errors(must(None, f"{SPECIFICATION}.attributeName", "not be null"), must(None, f"{SPECIFICATION}.enabled", "not be null"))),
    (None, errors(must(None, SPECIFICATION, "not be null"))),
])
def test_refusals(api, hashed, specification, text):
    assert api.refusal("UpdateTimeToLive", TableName=hashed, TimeToLiveSpecification=specification) == text


def test_the_longest_name_and_an_unknown_table(api):
    table = api.create()
    expire(api, table, "a" * 255)
    told = "ResourceNotFoundException: Requested resource not found: Table: no.such.table not found"
    assert api.refusal("DescribeTimeToLive", TableName="no.such.table") == told
    assert api.refusal("UpdateTimeToLive", TableName="no.such.table", TimeToLiveSpecification={"Enabled": True, "AttributeName": "a"}) == told


@pytest.mark.headwater
def test_what_belongs_to_the_server_does_not_expire(api):
    assert api.refusal("UpdateTimeToLive", TableName="headwater.chat_log", TimeToLiveSpecification={"Enabled": True, "AttributeName": "a"}) == \
        "Tables named headwater.* belong to the server and cannot be changed"


# ---- what expires: AWS does it within days, so these are of Headwater's own ----

own_promise = pytest.mark.headwater


@own_promise
@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_a_due_item_goes_and_its_record_names_the_service(api, view):
    table = api.create(view=view)
    expire(api, table)
    old = {"pk": {"S": "due"}, "ttl": n(now() - 1), "a": n(1)}
    put(api, table, "due", ttl=old["ttl"], a=n(1))
    wait_until(lambda: keys(api, table) == [])
    insert, remove = api.records(table, count=2)
    assert (insert["eventName"], remove["eventName"]) == ("INSERT", "REMOVE")
    assert remove["userIdentity"] == IDENTITY and "userIdentity" not in insert
    assert remove["dynamodb"]["Keys"] == {"pk": {"S": "due"}}
    assert remove["dynamodb"].get("OldImage") == (old if view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES") else None)
    assert "NewImage" not in remove["dynamodb"]


@own_promise
def test_only_numbers_of_seconds_that_have_come_expire(api):
    table = api.create(view="NEW_AND_OLD_IMAGES")
    expire(api, table)
    due = now() - 5
    kept = {"text": {"S": str(due)}, "set": {"NS": [str(due)]}, "map": {"M": {"ttl": n(due)}}, "list": {"L": [n(due)]}, "null": {"NULL": True},
            "later": n(now() + 3600), "ms": n(due * 1000), "zero": n(0), "negative": n(-due), "later fraction": n(f"{now() + 3600}.25"), "less than one": n("0.5"), "large": n("9" * 38),
            "huge": n("1E+125"), "ancient": n(due - 5 * 365 * DAY_S - 60)}
    for key, value in kept.items():
        put(api, table, key, ttl=value)
    put(api, table, "none")
    put(api, table, "other", until=n(due))
    gone = {"now": n(due), "fraction": n(f"{due}.5"), "small fraction": n(f"{due}.000000001"), "exponent": n(f"{due}E0"), "five years": n(due - 5 * 365 * DAY_S + 3600)}
    for key, value in gone.items():
        put(api, table, key, ttl=value)
    wait_until(lambda: keys(api, table) == sorted([*kept, "none", "other"]))
    put(api, table, "last", ttl=n(due))
    wait_until(lambda: "last" not in keys(api, table))
    removed = {record["dynamodb"]["Keys"]["pk"]["S"] for record in api.records(table) if record["eventName"] == "REMOVE"}
    assert removed == {*gone, "last"}


@own_promise
def test_items_that_were_there_before_expire_too(api):
    table = api.create("pk:S,sk:N", view="KEYS_ONLY")
    for i in range(1200):
        api.put(table, pk={"S": f"p{i % 7}"}, sk=n(i), ttl=n(now() - 10 if i % 2 else now() + 3600))
    expire(api, table)
    wait_until(lambda: api.call("Scan", TableName=table, Select="COUNT")["Count"] == 600)
    left = api.call("Scan", TableName=table)["Items"]
    assert all(int(item["sk"]["N"]) % 2 == 0 for item in left)


@own_promise
def test_an_item_that_is_given_more_time_stays(own):
    api = own(hooks=True)
    table = api.create(view="NEW_IMAGE")
    expire(api, table)
    for key in ("updated", "put", "taken", "deleted", "left"):
        put(api, table, key, ttl=n(now() + 600))
    api.call("UpdateItem", TableName=table, Key={"pk": {"S": "updated"}}, UpdateExpression="SET #t = :t",
             ExpressionAttributeNames={"#t": "ttl"}, ExpressionAttributeValues={":t": n(now() + 7200)})
    put(api, table, "put", ttl=n(now() + 7200))
    api.call("UpdateItem", TableName=table, Key={"pk": {"S": "taken"}}, UpdateExpression="REMOVE #t", ExpressionAttributeNames={"#t": "ttl"})
    api.call("DeleteItem", TableName=table, Key={"pk": {"S": "deleted"}})
    assert keys(api, table) == ["left", "put", "taken", "updated"]
    api.server.move_clock(660 * 1000)
    wait_until(lambda: keys(api, table) == ["put", "taken", "updated"])
    api.server.move_clock(7260 * 1000)
    wait_until(lambda: keys(api, table) == ["taken"])
    assert [record["eventName"] for record in api.records(table) if "userIdentity" in record] == ["REMOVE"] * 3


@own_promise
def test_transactions_leave_items_that_expire(api):
    table = api.create()
    expire(api, table)
    api.call("TransactWriteItems", TransactItems=[
        {"Put": {"TableName": table, "Item": {"pk": {"S": key}, "ttl": n(when)}}} for key, when in (("a", now() - 5), ("b", now() + 3600))])
    wait_until(lambda: keys(api, table) == ["b"])


@own_promise
def test_switched_off_nothing_expires(own):
    api = own(hooks=True)
    table = api.create()
    expire(api, table)
    put(api, table, "first", ttl=n(now() + 600), until=n(now() + 600))
    expire(api, table, enabled=False)
    put(api, table, "second", ttl=n(now() + 600))
    other = api.create()
    expire(api, other)
    put(api, other, "third", ttl=n(now() + 600))
    api.server.move_clock(700 * 1000)
    wait_until(lambda: keys(api, other) == [])
    assert keys(api, table) == ["first", "second"]
    expire(api, table, "until")
    wait_until(lambda: keys(api, table) == ["second"])
    expire(api, table, "until", False)
    expire(api, table)
    wait_until(lambda: keys(api, table) == [])


@own_promise
def test_it_survives_kills(own):
    api = own("--memtable-bytes=65536", "--flush-bytes=262144", hooks=True)
    table = api.create(view="KEYS_ONLY")
    for i in range(900):
        put(api, table, f"{i:04}", ttl=n(now() + 600 + i % 3 * 600))
    expire(api, table)
    for _ in range(2):
        api.server.kill() # in the middle of making rows, likely
        api.server.start()
    put(api, table, "new", ttl=n(now() + 1200))
    api.server.move_clock(660 * 1000)
    wait_until(lambda: len(keys(api, table)) == 601)
    api.server.kill()
    api.server.start()
    assert len(keys(api, table)) == 601
    api.server.move_clock(1260 * 1000)
    wait_until(lambda: len(keys(api, table)) == 300)
    api.server.stop()
    api.server.start()
    api.server.move_clock(1860 * 1000)
    wait_until(lambda: keys(api, table) == [])
    removed = [record["dynamodb"]["Keys"]["pk"]["S"] for record in api.records(table) if record["eventName"] == "REMOVE"]
    assert len(removed) == len(set(removed)) == 901


@own_promise
def test_a_deleted_table_leaves_nothing_to_a_new_one(own):
    api = own(hooks=True)
    table = api.create()
    expire(api, table)
    put(api, table, "a", ttl=n(now() + 600))
    api.call("DeleteTable", TableName=table)
    api.create(name=table)
    assert described(api, table) == {"TimeToLiveStatus": "DISABLED"}
    put(api, table, "a", ttl=n(now() + 600))
    other = api.create()
    expire(api, other)
    put(api, other, "b", ttl=n(now() + 600))
    api.server.move_clock(700 * 1000)
    wait_until(lambda: keys(api, other) == [])
    assert keys(api, table) == ["a"]


def test_boto3_switches_it(api):
    table = api.create()
    api.dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    assert api.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]["AttributeName"] == "ttl"
