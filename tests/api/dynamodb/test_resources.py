"""boto3's resources, which most Python programs use: Python's own values there and back, built conditions, batches that are filled up."""

import decimal

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary

D = decimal.Decimal


@pytest.fixture(scope="module")
def resource(api):
    made = boto3.resource("dynamodb", endpoint_url=api.url, region_name=api.region, aws_access_key_id=api.credentials.access_key,
                          aws_secret_access_key=api.credentials.secret_key)
    if api.before_sign:
        made.meta.client.meta.events.register("before-sign", api.before_sign)
    return made


@pytest.fixture(scope="module")
def table(api, resource):
    made = resource.create_table(
        TableName=api.name("resource"), BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}])
    made.wait_until_exists()
    return made


def test_a_table_is_described_and_removed(api, resource):
    made = resource.create_table(TableName=api.name("resource"), BillingMode="PAY_PER_REQUEST",
                                 KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                                 AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])
    made.wait_until_exists()
    made.reload()
    assert (made.table_status, made.item_count, made.billing_mode_summary["BillingMode"]) == ("ACTIVE", 0, "PAY_PER_REQUEST")
    assert made.table_arn.endswith(f":table/{made.name}")
    assert made.name in [one.name for one in resource.tables.all()]
    made.delete()
    made.wait_until_not_exists()
    with pytest.raises(resource.meta.client.exceptions.ResourceNotFoundException, match="Requested resource not found"):
        made.reload()


def test_values_of_every_type_are_read_back(api, table):
    item = {
        "pk": api.name("k"), "sk": 1, "text": "é", "number": D("-12345678901234567890123456789012345678"), "part": D("1E-130"),
        "bytes": Binary(b"\x00\xff"), "yes": True, "none": None, "texts": {"a", "b"}, "numbers": {D("1"), D("2.5")},
        "blobs": {Binary(b"1"), Binary(b"2")}, "list": [D(1), [], {"deep": [""]}], "map": {}}
    table.put_item(Item=item)
    assert table.get_item(Key={"pk": item["pk"], "sk": 1}, ConsistentRead=True)["Item"] == item


def test_a_batch_writer_writes_more_than_one_batch(api, table):
    pk = api.name("k")
    with table.batch_writer(overwrite_by_pkeys=["pk", "sk"]) as batch:
        for number in range(60):
            batch.put_item(Item={"pk": pk, "sk": number, "n": 1})
            batch.put_item(Item={"pk": pk, "sk": number, "n": number})
    with table.batch_writer() as batch:
        for number in range(0, 60, 2):
            batch.delete_item(Key={"pk": pk, "sk": number})
    found = table.query(KeyConditionExpression=Key("pk").eq(pk))
    assert [(one["sk"], one["n"]) for one in found["Items"]] == [(number, number) for number in range(1, 60, 2)]


def test_built_conditions_find_what_they_say(api, table):
    pk = api.name("k")
    with table.batch_writer() as batch:
        for number in range(10):
            batch.put_item(Item={"pk": pk, "sk": number, "tags": {f"t{number % 3}"}, "in": {"deep": number}, "name": f"n{number}"})
    between = Key("pk").eq(pk) & Key("sk").between(1, 8)

    def found(condition):
        return [int(one["sk"]) for one in table.query(KeyConditionExpression=between, FilterExpression=condition)["Items"]]

    assert found(Attr("tags").contains("t0")) == [3, 6]
    assert found(Attr("in.deep").gt(6) | Attr("name").is_in(["n1", "n2"])) == [1, 2, 7, 8]
    assert found(~Attr("name").begins_with("n") | Attr("name").eq("n4")) == [4]
    assert found(Attr("tags").size().eq(1) & Attr("missing").not_exists() & Attr("in").attribute_type("M") & Attr("in.deep").lte(2)) == [1, 2]
    assert found(Attr("in.deep").ne(5) & Attr("in.deep").between(4, 6)) == [4, 6]


def test_pages_go_on_where_the_last_one_ended(api, table):
    pk = api.name("k")
    with table.batch_writer() as batch:
        for number in range(25):
            batch.put_item(Item={"pk": pk, "sk": number})
    for read, how in (table.query, {"KeyConditionExpression": Key("pk").eq(pk)}), (table.scan, {"FilterExpression": Attr("pk").eq(pk)}):
        seen, more = [], {}
        while True:
            page = read(Limit=10, ConsistentRead=True, **how, **more)
            seen += [int(one["sk"]) for one in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert seen == list(range(25))


def test_an_update_returns_pythons_values(api, table):
    key = {"pk": api.name("k"), "sk": 1}
    changed = table.update_item(Key=key, UpdateExpression="SET #n = if_not_exists(#n, :zero) + :by, tags = :tags", ReturnValues="ALL_NEW",
                                ExpressionAttributeNames={"#n": "count"},
                                ExpressionAttributeValues={":zero": 0, ":by": D("1.5"), ":tags": {"a"}}, ConditionExpression=Attr("pk").not_exists())
    assert changed["Attributes"] == {**key, "count": D("1.5"), "tags": {"a"}}
    with pytest.raises(table.meta.client.exceptions.ConditionalCheckFailedException) as refused:
        table.delete_item(Key=key, ConditionExpression=Attr("count").gt(2), ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert refused.value.response["Error"]["Message"] == "The conditional request failed"
    assert refused.value.response["Item"]["count"] == {"N": "1.5"}  # boto3 leaves what an error brings as it came
    assert table.delete_item(Key=key, ReturnValues="ALL_OLD")["Attributes"]["count"] == D("1.5")


def test_calls_beside_the_table_take_pythons_values(api, resource, table):
    pk, client = api.name("k"), resource.meta.client
    client.transact_write_items(TransactItems=[{"Put": {"TableName": table.name, "Item": {"pk": pk, "sk": number, "s": {1}}}} for number in (1, 2)])
    got = client.transact_get_items(TransactItems=[{"Get": {"TableName": table.name, "Key": {"pk": pk, "sk": number}}} for number in (1, 3)])
    assert [one.get("Item") for one in got["Responses"]] == [{"pk": pk, "sk": 1, "s": {D(1)}}, None]
    read = resource.batch_get_item(RequestItems={table.name: {"Keys": [{"pk": pk, "sk": number} for number in (1, 2, 3)], "ConsistentRead": True}})
    assert sorted(int(one["sk"]) for one in read["Responses"][table.name]) == [1, 2] and not read["UnprocessedKeys"]
    with pytest.raises(client.exceptions.TransactionCanceledException) as refused:
        client.transact_write_items(TransactItems=[{"Delete": {"TableName": table.name, "Key": {"pk": pk, "sk": 1},
                                                              "ConditionExpression": "attribute_not_exists(pk)"}}])
    assert [one["Code"] for one in refused.value.response["CancellationReasons"]] == ["ConditionalCheckFailed"]
