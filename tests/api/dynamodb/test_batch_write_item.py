"""BatchWriteItem: what it writes, each entry by itself, what it costs, and what it refuses."""

import collections
import re
import threading

import pytest

from api import CAPACITY_SET, ENVELOPE, METRICS_SET, NO_MATCH, NOT_FOUND, NOT_VALID, Refused, errors, must

S = {"S": "s"}
LIST_RULE = ("Map value must satisfy constraint: [Member must have length less than or equal to 25, "
             "Member must have length greater than or equal to 1]")
KEYS_RULE = ("Map keys must satisfy constraint: [Member must have length less than or equal to 255, "
             "Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]")
DATATYPES = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"


def put(name, **more):
    return {"PutRequest": {"Item": {"pk": {"S": name}, **more}}}


def delete(name):
    return {"DeleteRequest": {"Key": {"pk": {"S": name}}}}


def batch(api, tables, **more):
    return api.call("BatchWriteItem", RequestItems=tables, **more)


def refusal(api, tables, **more):
    return api.refusal("BatchWriteItem", RequestItems=tables, **more)


@pytest.fixture
def table(api):
    return api.create("pk:S")


# ---- what it writes ----


def test_puts_and_deletes_in_two_tables(api, table):
    other = api.create("pk:S")
    api.put(other, pk={"S": "old"}, v=S)
    assert batch(api, {table: [put("a", v=S), put("b")], other: [delete("old"), put("new"), delete("no")]}) == {"UnprocessedItems": {}}
    assert api.get(table, pk={"S": "a"}) == {"pk": {"S": "a"}, "v": S} and api.get(table, pk={"S": "b"}) == {"pk": {"S": "b"}}
    assert api.get(other, pk={"S": "old"}) is None and api.get(other, pk={"S": "new"}) == {"pk": {"S": "new"}}


def test_boto3_writes_25_and_pages_through_more(api, table):
    requests = [put(f"k{i}", v={"N": str(i)}) for i in range(25)]
    assert api.dynamodb.batch_write_item(RequestItems={table: requests})["UnprocessedItems"] == {}
    assert api.call("Scan", TableName=table)["Count"] == 25
    assert api.dynamodb.batch_write_item(RequestItems={table: [delete(f"k{i}") for i in range(25)]})["UnprocessedItems"] == {}
    assert api.call("Scan", TableName=table)["Count"] == 0


def test_every_entry_is_a_record_and_a_commit_of_its_own(api):
    table = api.create("pk:S", view="NEW_AND_OLD_IMAGES")
    batch(api, {table: [put("a"), put("b"), delete("no"), put("c")]})
    records = api.records(table)
    assert [(one["eventName"], one["dynamodb"]["Keys"]["pk"]["S"]) for one in records] == [("INSERT", "a"), ("INSERT", "b"), ("INSERT", "c")]
    commits = {one["dynamodb"]["SequenceNumber"][4:19] for one in records}
    assert len(commits) == 3
    batch(api, {table: [put("a"), put("b", v=S)]})
    assert [one["eventName"] for one in api.records(table)] == ["INSERT"] * 3 + ["MODIFY"]


def test_an_arn_names_the_table_too(api, table):
    arn = api.describe(table)["TableArn"]
    batch(api, {arn: [put("a")]})
    assert api.get(table, pk={"S": "a"}) == {"pk": {"S": "a"}}
    assert refusal(api, {arn: [put("a")], table: [delete("a")]}) == "Provided list of item keys contains duplicates"


# ---- capacity ----


def test_capacity_is_summed_by_table(api, table):
    other = api.create("pk:S")
    api.put(other, pk={"S": "old"}, v={"S": "x" * 3000})
    asked = {table: [put("a"), put("b", v={"S": "x" * 2000})], other: [delete("old"), delete("no")]}
    found = batch(api, asked, ReturnConsumedCapacity="INDEXES", ReturnItemCollectionMetrics="SIZE")
    assert sorted(found["ConsumedCapacity"], key=lambda one: one["CapacityUnits"]) == [
        {"TableName": name, "CapacityUnits": units, "Table": {"CapacityUnits": units}} for name, units in ((table, 3.0), (other, 4.0))]
    assert "ItemCollectionMetrics" not in found
    assert batch(api, {table: [put("a")]}, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 1.0}]


# ---- what it refuses ----


def test_nothing_asked_for(api):
    assert api.refusal("BatchWriteItem", {}) == refusal(api, {}) == "The requestItems parameter is required for BatchWriteItem"


def test_lists_are_told_with_both_enums_and_names_after(api, table):
    many = [put(f"k{i}") for i in range(26)]
    one = refusal(api, {table: many, "other": [delete("k")]})
    assert re.fullmatch(re.escape(f"{ENVELOPE}Value '{{{table}=[") + ".+" + re.escape("], other=[") + ".+" + re.escape(
        f"]}}' at 'requestItems' failed to satisfy constraint: {LIST_RULE}"), one)
    told = refusal(api, {"a!": many}, ReturnConsumedCapacity="x", ReturnItemCollectionMetrics="y")
    assert told.startswith("3 validation errors detected: Value '{") and told.endswith(
        f"at 'requestItems' failed to satisfy constraint: {LIST_RULE}; " + must("x", "returnConsumedCapacity", CAPACITY_SET) + "; "
        + must("y", "returnItemCollectionMetrics", METRICS_SET))
    told = refusal(api, {"a!": [{}]})
    assert told.startswith(ENVELOPE) and told.endswith(f"at 'requestItems' failed to satisfy constraint: {KEYS_RULE}")


def test_absent_items_are_told_with_their_place(api, table):
    assert refusal(api, {table: [put("a"), {"PutRequest": {}}]}) == ENVELOPE + must(
        None, f"requestItems.{table}.member.2.member.putRequest.item", "not be null")
    assert refusal(api, {table: [{"DeleteRequest": {}}]}, ReturnConsumedCapacity="x") == errors(
        must(None, f"requestItems.{table}.member.1.member.deleteRequest.key", "not be null"), must("x", "returnConsumedCapacity", CAPACITY_SET))


def test_lists_and_entries(api, table):
    assert refusal(api, {table: []}) == f"{ENVELOPE}Value '{{{table}=[]}}' at 'requestItems' failed to satisfy constraint: {LIST_RULE}"
    assert refusal(api, {table: None}) == f"The batch write request list for a table cannot be null or empty: {table}"
    assert refusal(api, {table: [{}]}) == DATATYPES
    assert refusal(api, {table: [{**put("a"), **delete("b")}]}) == DATATYPES


def test_more_than_25_together(api, table):
    tables = {table: [put(f"k{i}") for i in range(25)], "no.such.table": [put("a")]}
    assert refusal(api, tables) == "Too many items requested for the BatchWriteItem call"
    assert refusal(api, {f"table{i}": [put("a")] for i in range(300)}) == "Too many items requested for the BatchWriteItem call"


def test_duplicates(api, table):
    for entries in ([put("a"), put("a", v=S)], [put("a"), delete("a")], [delete("a"), delete("b"), delete("a")]):
        assert refusal(api, {table: entries}) == "Provided list of item keys contains duplicates"


def test_tables_and_keys_are_told_before_anything_is_written(api, table):
    assert refusal(api, {table: [put("a")], "no.such.table": [put("a")]}) == NOT_FOUND
    assert refusal(api, {table: [put("a"), {"PutRequest": {"Item": {"v": S}}}]}) == NO_MATCH
    assert refusal(api, {table: [put("a"), {"PutRequest": {"Item": {"pk": {"N": "1"}}}}]}) == NO_MATCH
    assert refusal(api, {table: [put("a"), {"DeleteRequest": {"Key": {"pk": S, "v": S}}}]}) == NO_MATCH
    empty = NOT_VALID + "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
    assert refusal(api, {table: [put("a"), put("")]}) == empty
    assert refusal(api, {table: [put("a"), delete("")]}) == empty
    assert refusal(api, {table: [put("a"), put("b", v={"S": "x" * 409_600})]}) == "Item size has exceeded the maximum allowed size"
    assert refusal(api, {table: [put("a"), put("b", v={"N": "abc"})]}) == "The parameter cannot be converted to a numeric value: abc"
    assert api.call("Scan", TableName=table)["Count"] == 0


def test_an_item_of_400_kb(api, table):
    assert batch(api, {table: [put("b", v={"S": "x" * (409_600 - 4)})]}) == {"UnprocessedItems": {}}
    assert refusal(api, {table: [put("b", v={"S": "x" * (409_600 - 3)})]}) == "Item size has exceeded the maximum allowed size"


def test_sixteen_megabytes(api, table):
    """25 items of 400 KB fit well; a request past 16 MB is no request."""
    assert batch(api, {table: [put(f"k{i:02}", v={"S": "x" * 409_000}) for i in range(25)]}) == {"UnprocessedItems": {}}
    status, _, _ = api.send("BatchWriteItem", b" " * (17 << 20))
    assert status == 413


# ---- a table that is deleted meanwhile ----


def test_no_entry_is_written_by_a_batch_that_is_refused(api):
    """Batches of a table that stays and of one that is deleted at the same time: refused, or with the entries of the latter unprocessed."""
    stays, outcomes = api.create("pk:S"), collections.Counter()
    for turn in range(40):
        goes = api.create("pk:S")
        deleter = threading.Thread(target=api.client().delete_table, kwargs={"TableName": goes})
        deleter.start()
        try:
            for i in range(10_000):
                found = batch(api, {goes: [put(f"{i}.{j}") for j in range(24)], stays: [put(f"{turn}.{i}")]})
                if found["UnprocessedItems"]:
                    outcomes["unprocessed"] += 1
                    assert set(found["UnprocessedItems"]) == {goes}
        except Refused as told:
            assert told.type == "ResourceNotFoundException"
            outcomes["refused"] += 1
            assert api.get(stays, pk={"S": f"{turn}.{i}"}) is None
        deleter.join()
    assert outcomes["refused"] == 40, outcomes
