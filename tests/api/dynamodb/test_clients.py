"""The JavaScript SDK and the AWS CLI, unmodified: every operation once, values read back, typed errors."""

import json
import pathlib
import subprocess
import urllib.parse

import boto3
import pytest

import headwater
import lossy

NODE = headwater.ROOT / ".deps/venv/bin/node"
SCRIPT = pathlib.Path(__file__).with_name("clients.mjs")
RETRYING = pathlib.Path(__file__).with_name("retry.mjs")


@pytest.fixture
def environment(api):
    return headwater.plain_environment({
        "AWS_ACCESS_KEY_ID": api.credentials.access_key, "AWS_SECRET_ACCESS_KEY": api.credentials.secret_key,
        "AWS_REGION": api.region, "AWS_DEFAULT_REGION": api.region, "AWS_MAX_ATTEMPTS": "1"})


def test_a_session_token_beside_a_key_that_needs_none(api):
    """dynamodb-admin sends one; it is signed like every other header, and means nothing."""
    client = boto3.client("dynamodb", endpoint_url=api.url, region_name=api.region, aws_access_key_id=api.credentials.access_key,
                          aws_secret_access_key=api.credentials.secret_key, aws_session_token="of/no+session=")
    if api.before_sign:
        client.meta.events.register("before-sign", api.before_sign)
    assert client.list_tables(Limit=1)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_the_javascript_sdk(api, environment):
    run = subprocess.run([NODE, SCRIPT, api.url, api.name()], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert (seen["created"], seen["waited"], seen["described"]) == ("CREATING", "SUCCESS", ["ACTIVE", True])
    assert len(seen["listed"]) == 1 and seen["listed"][0].endswith(".js")
    assert seen["capacity"] == 1
    number = seen["item"].pop("n")["N"]
    assert float(number) == 1e125
    assert seen["item"] == {
        "pk": {"S": "é"}, "sk": {"N": "1"}, "b": {"B": [0, 255]}, "t": {"BOOL": True}, "z": {"NULL": True}, "l": {"L": [{"N": "1.5"}]},
        "m": {"M": {"x": {"S": ""}}}, "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2"]}, "bs": {"BS": [[1]]}}
    assert seen["updated"] == {"c": {"N": "1"}}
    assert seen["condition"] == ["ConditionalCheckFailedException", "The conditional request failed", {"N": "1"}, 400]
    assert seen["cancelled"] == ["TransactionCanceledException",
                                 [{"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}]]
    assert (seen["queried"], seen["paged"], seen["deleted"]) == (["4", "3"], [["1", "2", "3"], ["4"]], "2")
    assert seen["scanned"] == ["2", "3", "4"]
    assert seen["events"] == ["INSERT", "MODIFY", "INSERT", "INSERT", "INSERT", "REMOVE"]
    assert (seen["image"], seen["time"], seen["deleting"], seen["gone"]) == ({"N": "1"}, True, "DELETING", "SUCCESS")
    assert (seen["updating"], seen["stream"]) == ("UPDATING", ["DISABLED", True])
    assert seen["off"][0] == "ValidationException" and seen["off"][1].startswith("Table has no stream to disable: TableName: ")
    assert seen["missing"][0] == "ResourceNotFoundException"


@pytest.fixture
def aws(api, environment):
    """Runs the CLI: its decoded answer, or its complaint."""

    def run(*words, fails=False):
        done = subprocess.run([headwater.AWS, *words, "--endpoint-url", api.url, "--output", "json"], env=environment,
                              capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_the_aws_cli(api, aws):
    name = api.name("cli")
    key = json.dumps({"pk": {"S": "a"}})
    table = ("--table-name", name)
    made = aws("dynamodb", "create-table", *table, "--billing-mode", "PAY_PER_REQUEST", "--key-schema", "AttributeName=pk,KeyType=HASH",
               "--attribute-definitions", "AttributeName=pk,AttributeType=S",
               "--stream-specification", "StreamEnabled=true,StreamViewType=NEW_IMAGE")
    assert made["TableDescription"]["TableStatus"] == "CREATING"
    aws("dynamodb", "wait", "table-exists", *table)
    described = aws("dynamodb", "describe-table", *table)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert name in aws("dynamodb", "list-tables")["TableNames"]
    item = {"pk": {"S": "a"}, "n": {"N": "12345678901234567890.5"}, "b": {"B": "AAH/"}}
    assert aws("dynamodb", "put-item", *table, "--item", json.dumps(item)) is None
    item["b"]["B"] = "QUFILw=="  # this CLI takes binaries as they are and shows them in base 64
    assert aws("dynamodb", "get-item", *table, "--key", key)["Item"] == item
    updated = aws("dynamodb", "update-item", *table, "--key", key, "--update-expression", "SET #c = :v", "--return-values", "ALL_NEW",
                  "--expression-attribute-names", '{"#c": "count"}', "--expression-attribute-values", '{":v": {"N": "1"}}')
    assert updated["Attributes"] == {**item, "count": {"N": "1"}}
    complaint = aws("dynamodb", "put-item", *table, "--item", key, "--condition-expression", "attribute_not_exists(pk)", fails=True)
    assert "(ConditionalCheckFailedException)" in complaint and "The conditional request failed" in complaint
    found = aws("dynamodb", "query", *table, "--key-condition-expression", "pk = :p", "--expression-attribute-values", '{":p": {"S": "a"}}')
    assert (found["Count"], found["Items"][0]["count"]) == (1, {"N": "1"})
    found = aws("dynamodb", "scan", *table, "--filter-expression", "attribute_exists(b)", "--projection-expression", "n, b",
                "--page-size", "1", "--return-consumed-capacity", "TOTAL")
    assert (found["Count"], found["Items"]) == (1, [{"n": item["n"], "b": item["b"]}])
    actions = [{"Put": {"TableName": name, "Item": {"pk": {"S": letter}}}} for letter in "bc"]
    aws("dynamodb", "transact-write-items", "--transact-items", json.dumps(actions), "--client-request-token", "one")
    aws("dynamodb", "delete-item", *table, "--key", json.dumps({"pk": {"S": "b"}}))
    arn = described["LatestStreamArn"]
    assert aws("dynamodbstreams", "list-streams", "--table-name", name)["Streams"][0]["StreamArn"] == arn
    shard = aws("dynamodbstreams", "describe-stream", "--stream-arn", arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = aws("dynamodbstreams", "get-shard-iterator", "--stream-arn", arn, "--shard-id", shard, "--shard-iterator-type",
                   "TRIM_HORIZON")["ShardIterator"]
    records = aws("dynamodbstreams", "get-records", "--shard-iterator", iterator)["Records"]
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "INSERT", "INSERT", "REMOVE"]
    off = aws("dynamodb", "update-table", *table, "--stream-specification", "StreamEnabled=false")["TableDescription"]
    assert (off["TableStatus"], off["StreamSpecification"]) == ("UPDATING", {"StreamEnabled": False})
    aws("dynamodb", "wait", "table-exists", *table)
    assert aws("dynamodbstreams", "describe-stream", "--stream-arn", arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    aws("dynamodb", "delete-table", *table)
    aws("dynamodb", "wait", "table-not-exists", *table)
    assert "(ResourceNotFoundException)" in aws("dynamodb", "describe-table", *table, fails=True)


COUNT_ONE = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}, "Key": {"pk": {"S": "counted"}}}


def by_boto3(url, table, environment):
    client = boto3.client("dynamodb", endpoint_url=url, region_name=environment["AWS_REGION"],
                          aws_access_key_id=environment["AWS_ACCESS_KEY_ID"], aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"])
    answer = client.transact_write_items(TransactItems=[{"Update": {**COUNT_ONE, "TableName": table}}])
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def by_cli(url, table, environment):
    actions = json.dumps([{"Update": {**COUNT_ONE, "TableName": table}}])
    subprocess.run([headwater.AWS, "dynamodb", "transact-write-items", "--transact-items", actions, "--endpoint-url", url],
                   env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True)


def by_javascript(url, table, environment):
    done = subprocess.run([NODE, RETRYING, url, table], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


@pytest.mark.parametrize("by", [by_boto3, by_cli, by_javascript])
def test_a_transaction_whose_answers_are_lost_is_retried_and_done_once(api, hashed, environment, by):
    """The SDK's own token makes one of the three that the server is sent."""
    del environment["AWS_MAX_ATTEMPTS"]
    api.dynamodb.delete_item(TableName=hashed, Key=COUNT_ONE["Key"])
    with lossy.Lossy(urllib.parse.urlsplit(api.url).port) as way:
        way.lose(2)
        by(way.url, hashed, environment)
        assert way.lost == 2
    assert api.dynamodb.get_item(TableName=hashed, Key=COUNT_ONE["Key"], ConsistentRead=True)["Item"]["n"] == {"N": "1"}
