"""headwater key, and what a key's policy lets it do: every operation, each entry of a batch or a transaction, at once (server I6, I8)."""

import concurrent.futures
import hashlib
import json
import random
import stat
import subprocess

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

import api as api_module
import headwater

ACCOUNT = "000000000000"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/"
GONE = "UnrecognizedClientException: The security token included in the request is invalid."


def run(server, *words, data=None):
    """(exit status, standard output, standard error)"""
    ran = subprocess.run([str(headwater.program()), "key", *words, "--data", str(data or server.data)], capture_output=True, text=True,
                         env=headwater.plain_environment(), timeout=headwater.WAIT_S, check=False)
    return ran.returncode, ran.stdout, ran.stderr


def statement(actions="dynamodb:*", resources="*", effect="Allow", **condition):
    made = {"Effect": effect, "Action": actions, "Resource": resources}
    return {**made, "Condition": {operator.replace("_", ":"): keys for operator, keys in condition.items()}} if condition else made


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def own(client, operation, **members):
    """A call about keys."""
    return client.call(operation, headers={"X-Amz-Target": f"Headwater_20261130.{operation}"}, **members)


def denied(action, resource, name="ann", explicit=False):
    why = "with an explicit deny in an identity-based policy" if explicit else f"because no identity-based policy allows the {action} action"
    return f"AccessDeniedException: User: arn:aws:iam::{ACCOUNT}:user/{name} is not authorized to perform: {action} on resource: {resource} {why}"


class World:
    """A server, its owner, and keys by their policies."""

    def __init__(self, server):
        self.server = server
        self.owner = api_module.Api(server.url, *server.credentials)

    def key(self, *statements, name="ann"):
        """Makes a key, or gives the one of that name another policy."""
        try:
            made = own(self.owner, "CreateKey", Name=name, Policy=policy(*statements))["Key"]
        except api_module.Refused as refused:
            assert refused.type == "ResourceInUseException"
            own(self.owner, "DeleteKey", Name=name)
            made = own(self.owner, "CreateKey", Name=name, Policy=policy(*statements))["Key"]
        return api_module.Api(self.server.url, made["AccessKeyId"], made["SecretAccessKey"])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with headwater.Server(tmp_path_factory.mktemp("keys"), "--loops=2") as server:
        made = World(server)
        made.owner.create("pk:S,sk:N", "NEW_IMAGE", name="Games")
        made.owner.create("pk:N", name="Numbers")
        made.owner.create("pk:B", name="Blobs")
        for owner in ("ann", "bob"):
            made.owner.put("Games", pk={"S": owner}, sk={"N": "1"}, score={"N": "7"}, secret={"S": "x"})
        yield made


GAME = {"pk": {"S": "ann"}, "sk": {"N": "1"}}
OTHER = {"pk": {"S": "bob"}, "sk": {"N": "1"}}

# Every operation: how it is called, the action that policies know it by, and on what.
CALLS = [
    ("GetItem", {"TableName": "Games", "Key": GAME}, "dynamodb:GetItem", TABLE + "Games"),
    ("PutItem", {"TableName": "Games", "Item": GAME}, "dynamodb:PutItem", TABLE + "Games"),
    ("UpdateItem", {"TableName": "Games", "Key": GAME}, "dynamodb:UpdateItem", TABLE + "Games"),
    ("DeleteItem", {"TableName": "Games", "Key": OTHER, "ConditionExpression": "attribute_exists(nothing) OR attribute_not_exists(nothing)"}, "dynamodb:DeleteItem", TABLE + "Games"),
    ("Query", {"TableName": "Games", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "ann"}}}, "dynamodb:Query", TABLE + "Games"),
    ("Scan", {"TableName": "Games"}, "dynamodb:Scan", TABLE + "Games"),
    ("BatchGetItem", {"RequestItems": {"Games": {"Keys": [GAME]}}}, "dynamodb:BatchGetItem", TABLE + "Games"),
    ("BatchWriteItem", {"RequestItems": {"Games": [{"PutRequest": {"Item": GAME}}]}}, "dynamodb:BatchWriteItem", TABLE + "Games"),
    ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "Games", "Key": GAME}}]}, "dynamodb:GetItem", TABLE + "Games"),
    ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "Games", "Item": GAME}}]}, "dynamodb:PutItem", TABLE + "Games"),
    ("TransactWriteItems", {"TransactItems": [{"Delete": {"TableName": "Games", "Key": OTHER}}]}, "dynamodb:DeleteItem", TABLE + "Games"),
    ("TransactWriteItems", {"TransactItems": [{"Update": {"TableName": "Games", "Key": GAME, "UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"N": "1"}}}}]},
     "dynamodb:UpdateItem", TABLE + "Games"),
    ("TransactWriteItems", {"TransactItems": [{"ConditionCheck": {"TableName": "Games", "Key": GAME, "ConditionExpression": "attribute_exists(pk)"}}]},
     "dynamodb:ConditionCheckItem", TABLE + "Games"),
    ("DescribeTable", {"TableName": "Games"}, "dynamodb:DescribeTable", TABLE + "Games"),
    ("UpdateTable", {"TableName": "Games", "DeletionProtectionEnabled": False}, "dynamodb:UpdateTable", TABLE + "Games"),
    ("DescribeTimeToLive", {"TableName": "Games"}, "dynamodb:DescribeTimeToLive", TABLE + "Games"),
    ("UpdateTimeToLive", {"TableName": "Numbers", "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True}}, "dynamodb:UpdateTimeToLive", TABLE + "Numbers"),
    ("TagResource", {"ResourceArn": TABLE + "Games", "Tags": [{"Key": "a", "Value": "b"}]}, "dynamodb:TagResource", TABLE + "Games"),
    ("UntagResource", {"ResourceArn": TABLE + "Games", "TagKeys": ["a"]}, "dynamodb:UntagResource", TABLE + "Games"),
    ("ListTagsOfResource", {"ResourceArn": TABLE + "Games"}, "dynamodb:ListTagsOfResource", TABLE + "Games"),
    ("CreateTable", {"TableName": "Fresh", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                     "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}]}, "dynamodb:CreateTable", TABLE + "Fresh"),
    ("DeleteTable", {"TableName": "Fresh"}, "dynamodb:DeleteTable", TABLE + "Fresh"),
    ("ListTables", {}, "dynamodb:ListTables", TABLE + "*"),
    ("DescribeLimits", {}, "dynamodb:DescribeLimits", TABLE + "*"),
    ("DescribeEndpoints", {}, "dynamodb:DescribeEndpoints", TABLE + "*"),
    ("ListStreams", {"TableName": "Games"}, "dynamodb:ListStreams", TABLE + "Games/stream/*"),
]


def test_every_operation_is_named_here(world):
    described = json.loads(subprocess.run([str(headwater.program()), "describe-operations"], capture_output=True, check=True).stdout)
    names = {one["name"] for one in (described["operations"] if isinstance(described, dict) else described)}
    assert names - {call[0] for call in CALLS} == {"DescribeStream", "GetShardIterator", "GetRecords"}


def test_every_operation_asks_for_its_action_on_its_resource(world):
    """Without it the refusal says which; with it alone the call is served; a deny of it wins."""
    for operation, body, action, resource in CALLS:
        exact = resource.replace("table/*", "table/?") if resource.endswith("table/*") else resource
        nothing = world.key(statement(["dynamodb:Nothing"]))
        assert nothing.refusal(operation, body) == denied(action, resource)
        others = world.key({"Effect": "Allow", "NotAction": action, "Resource": "*"})
        assert others.refusal(operation, body) == denied(action, resource)
        wrong = world.key(statement(action, TABLE + "Elsewhere"))
        assert wrong.refusal(operation, body) == denied(action, resource)
        against = world.key(statement("*"), statement(action, exact, "Deny"))
        assert against.refusal(operation, body) == denied(action, resource, explicit=True)
        world.key(statement(action, exact)).call(operation, body)
        world.owner.put("Games", pk={"S": "bob"}, sk={"N": "1"}, score={"N": "7"}, secret={"S": "x"})


def test_streams_are_resources_of_their_own(world):
    arn = world.owner.stream_arn("Games")
    shard = world.owner.shards(arn)[0]["ShardId"]
    iterator = world.owner.iterator(arn)
    calls = [("DescribeStream", {"StreamArn": arn}), ("GetShardIterator", {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "LATEST"}),
             ("GetRecords", {"ShardIterator": iterator})]
    table_only = world.key(statement("dynamodb:*", TABLE + "Games"), name="ann")
    for operation, body in calls:
        assert table_only.refusal(operation, body) == denied(f"dynamodb:{operation}", arn)
    reader = world.key(statement("dynamodb:*", TABLE + "Games/stream/*"), name="reader")
    for operation, body in calls:
        reader.call(operation, body)
    assert reader.refusal("GetItem", TableName="Games", Key=GAME) == denied("dynamodb:GetItem", TABLE + "Games", "reader")
    assert reader.refusal("GetRecords", ShardIterator="x" * 40) == denied("dynamodb:GetRecords", TABLE + "*/stream/*", "reader")


def test_a_table_named_by_its_arn_is_the_same_resource(world):
    ann = world.key(statement("dynamodb:GetItem", TABLE + "Games"))
    assert ann.call("GetItem", TableName=TABLE + "Games", Key=GAME)
    assert ann.refusal("GetItem", TableName=TABLE + "Numbers", Key={"pk": {"N": "1"}}) == denied("dynamodb:GetItem", TABLE + "Numbers")
    assert ann.refusal("GetItem", TableName=TABLE.replace("us-", "eu-") + "Games", Key=GAME) == denied("dynamodb:GetItem", TABLE.replace("us-", "eu-") + "Games")
    assert ann.refusal("GetItem", TableName="NoSuchTable", Key=GAME) == denied("dynamodb:GetItem", TABLE + "NoSuchTable")


def test_leading_keys(world):
    ann = world.key(statement(["dynamodb:*Item", "dynamodb:Query"], TABLE + "*", **{"ForAllValues_StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}))
    mine, yours = GAME, OTHER
    query = {"TableName": "Games", "ExpressionAttributeNames": {"#p": "pk"}, "KeyConditionExpression": "#p = :p AND sk > :s"}
    for key, allowed in ((mine, True), (yours, False)):
        calls = [("GetItem", {"TableName": "Games", "Key": key}), ("PutItem", {"TableName": "Games", "Item": {**key, "x": {"S": "ann"}}}),
                 ("UpdateItem", {"TableName": "Games", "Key": key}), ("DeleteItem", {"TableName": "Games", "Key": {**key, "sk": {"N": "9"}}}),
                 ("Query", {**query, "ExpressionAttributeValues": {":p": key["pk"], ":s": {"N": "0"}}}),
                 ("BatchGetItem", {"RequestItems": {"Games": {"Keys": [mine, {**key, "sk": {"N": "2"}}]}}}),
                 ("BatchWriteItem", {"RequestItems": {"Games": [{"PutRequest": {"Item": mine}}, {"DeleteRequest": {"Key": {**key, "sk": {"N": "9"}}}}]}}),
                 ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "Games", "Key": mine}}, {"Get": {"TableName": "Games", "Key": {**key, "sk": {"N": "2"}}}}]}),
                 ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "Games", "Item": mine}}, {"Delete": {"TableName": "Games", "Key": {**key, "sk": {"N": "9"}}}}]}),
                 ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "Games", "Item": mine}},
                                                           {"ConditionCheck": {"TableName": "Games", "Key": {**key, "sk": {"N": "9"}}, "ConditionExpression": "attribute_not_exists(q)"}}]})]
        for operation, body in calls:
            if allowed:
                ann.call(operation, body)
            else:
                assert ann.refusal(operation, body).startswith(denied("dynamodb:", "").split(" on ", maxsplit=1)[0]), operation
    assert ann.refusal("Query", {**query, "KeyConditionExpression": "pk = ", "ExpressionAttributeValues": {":p": {"S": "ann"}}}) == denied("dynamodb:Query", TABLE + "Games")
    assert ann.refusal("GetItem", TableName="Games", Key={"other": {"S": "ann"}}) == denied("dynamodb:GetItem", TABLE + "Games")
    assert ann.refusal("GetItem", TableName="NoSuchTable", Key=mine) == denied("dynamodb:GetItem", TABLE + "NoSuchTable")
    assert world.owner.get("Games", **OTHER)["secret"] == {"S": "x"}


def test_leading_keys_are_numbers_and_binary_too(world):
    for table, value, wanted in (("Numbers", {"N": "007.50"}, "7.5"), ("Blobs", {"B": "aGk="}, "aGk=")):
        ann = world.key(statement("dynamodb:PutItem", "*", StringEquals={"dynamodb:LeadingKeys": wanted}))
        ann.put(table, pk=value)
        other = {"N": "8"} if "N" in value else {"B": "aGo="}
        assert ann.refusal("PutItem", TableName=table, Item={"pk": other}) == denied("dynamodb:PutItem", TABLE + table)


def test_attributes_and_what_is_given_back(world):
    rule = {"ForAllValues_StringEquals": {"dynamodb:Attributes": ["pk", "sk", "score"]},
            "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES", "dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"]}}
    ann = world.key(statement("dynamodb:*", TABLE + "Games", **rule))
    values = {":v": {"N": "7"}}
    get = {"TableName": "Games", "Key": GAME}
    query = {"TableName": "Games", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "ann"}}}
    write = {"TableName": "Games", "Key": GAME, "UpdateExpression": "SET score = :v", "ExpressionAttributeValues": values}
    for operation, body in [
            ("GetItem", {**get, "ProjectionExpression": "score, pk"}), ("GetItem", {**get, "ProjectionExpression": "#s", "ExpressionAttributeNames": {"#s": "score"}}),
            ("Query", {**query, "ProjectionExpression": "score"}), ("Query", {**query, "ProjectionExpression": "score", "Select": "SPECIFIC_ATTRIBUTES"}),
            ("UpdateItem", write), ("UpdateItem", {**write, "ReturnValues": "UPDATED_NEW"}),
            ("PutItem", {"TableName": "Games", "Item": {**GAME, "score": {"N": "7"}}}),
            ("Scan", {"TableName": "Games", "FilterExpression": "score = :v", "ExpressionAttributeValues": values, "ProjectionExpression": "pk"}),
            ("DeleteItem", {"TableName": "Games", "Key": {**GAME, "sk": {"N": "5"}}})]:
        ann.call(operation, body)
    for operation, body in [
            ("GetItem", get), ("GetItem", {**get, "ProjectionExpression": "secret"}), ("GetItem", {**get, "ProjectionExpression": "score, secret.a[0]"}),
            ("GetItem", {**get, "ProjectionExpression": "#s", "ExpressionAttributeNames": {"#s": "secret"}}),
            ("Query", query), ("Query", {**query, "Select": "COUNT"}), ("Query", {**query, "Select": "ALL_ATTRIBUTES"}),
            ("Query", {**query, "ProjectionExpression": "score", "FilterExpression": "secret = :p"}),
            ("Scan", {"TableName": "Games", "FilterExpression": "begins_with(secret, :v)", "ExpressionAttributeValues": {":v": {"S": "x"}}, "ProjectionExpression": "pk"}),
            ("UpdateItem", {**write, "ReturnValues": "ALL_NEW"}), ("UpdateItem", {**write, "ReturnValuesOnConditionCheckFailure": "ALL_OLD", "ConditionExpression": "score = :v"}),
            ("UpdateItem", {**write, "UpdateExpression": "SET score = secret", "ExpressionAttributeValues": {":v": {"N": "1"}}}),
            ("UpdateItem", {**write, "UpdateExpression": "SET score = :v REMOVE secret"}), ("UpdateItem", {**write, "ConditionExpression": "size(secret) > :v"}),
            ("PutItem", {"TableName": "Games", "Item": {**GAME, "secret": {"S": "y"}}}), ("PutItem", {"TableName": "Games", "Item": GAME, "ReturnValues": "ALL_OLD"}),
            ("DeleteItem", {"TableName": "Games", "Key": GAME, "ReturnValues": "ALL_OLD"})]:
        assert ann.refusal(operation, body) == denied(f"dynamodb:{operation}", TABLE + "Games"), body


def test_the_enclosing_transaction(world):
    ann = world.key(statement("dynamodb:PutItem", "*", StringEquals={"dynamodb:EnclosingOperation": "TransactWriteItems"}))
    item = {"TableName": "Games", "Item": {**GAME, "score": {"N": "7"}}}
    ann.call("TransactWriteItems", TransactItems=[{"Put": item}])
    assert ann.refusal("PutItem", item) == denied("dynamodb:PutItem", TABLE + "Games")
    mixed = [{"Put": item}, {"Delete": {"TableName": "Games", "Key": OTHER}}]
    assert ann.refusal("TransactWriteItems", TransactItems=mixed) == denied("dynamodb:DeleteItem", TABLE + "Games")
    assert world.owner.get("Games", **OTHER)


# ---- keys ----


def test_changes_hold_at_once_on_kept_connections(world):
    """Through both loops: six connections were open before, and each is refused after the answer."""
    ann = world.key(statement("dynamodb:GetItem", "*"))
    clients = [api_module.Api(world.server.url, ann.credentials.access_key, ann.credentials.secret_key) for _ in range(6)]
    for turn in range(20):
        for one in clients:
            assert one.get("Games", **OTHER)
        own(world.owner, "UpdateKey", Name="ann", Status="Inactive")
        assert [one.refusal("GetItem", TableName="Games", Key=OTHER) for one in clients] == [GONE] * 6, turn
        own(world.owner, "UpdateKey", Name=ann.credentials.access_key, Status="Active")
    own(world.owner, "UpdateKey", Name="ann", Policy=policy(statement("dynamodb:Scan", "*")))
    assert [one.refusal("GetItem", TableName="Games", Key=OTHER) for one in clients] == [denied("dynamodb:GetItem", TABLE + "Games")] * 6
    own(world.owner, "DeleteKey", Name="ann")
    assert [one.refusal("GetItem", TableName="Games", Key=OTHER) for one in clients] == [GONE] * 6


def test_many_changes_at_a_time(world):
    def make(number):
        client = api_module.Api(world.server.url, *world.server.credentials)
        name = f"many-{number}"
        own(client, "CreateKey", Name=name, Policy=policy(statement()))
        own(client, "UpdateKey", Name=name, Status="Inactive")
        if number % 2:
            own(client, "DeleteKey", Name=name)
        return name

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        names = list(pool.map(make, range(24)))
    left = {key["Name"]: key["Status"] for key in own(world.owner, "ListKeys")["Keys"]}
    assert {name: left.get(name) for name in names} == {name: None if number % 2 else "Inactive" for number, name in enumerate(names)}


def test_keys_are_managed_by_policy_too(world):
    ann = world.key(statement("dynamodb:*"))
    listing = f"arn:aws:headwater:us-east-1:{ACCOUNT}:key/"
    for operation, members, resource in (("ListKeys", {}, "*"), ("CreateKey", {"Name": "eve", "Policy": policy(statement("*"))}, "eve"),
                                         ("UpdateKey", {"Name": "ann", "Policy": policy(statement("*"))}, "ann"), ("DeleteKey", {"Name": "ann"}, "ann")):
        with pytest.raises(api_module.Refused) as refused:
            own(ann, operation, **members)
        assert f"{refused.value.type}: {refused.value.message}" == denied(f"headwater:{operation}", listing + resource)
    admin = world.key(statement("headwater:*", listing + "ann"), statement("headwater:ListKeys", "*"), name="admin")
    own(admin, "UpdateKey", Name=ann.credentials.access_key, Status="Inactive")
    assert "ann" in [key["Name"] for key in own(admin, "ListKeys")["Keys"]]
    with pytest.raises(api_module.Refused, match="headwater:DeleteKey"):
        own(admin, "DeleteKey", Name="admin")


@pytest.mark.parametrize("operation, members, words", [
    ("CreateKey", {"Name": "a"}, "ValidationException: Policy is missing: a policy document as a string"),
    ("CreateKey", {"Policy": "{}"}, "ValidationException: Name is missing: a string, the key's name or access key id"),
    ("CreateKey", {"Name": "a b", "Policy": policy(statement())}, "ValidationException: a name is of 1 to 64 letters, digits and +=,.@_-, and no access key id"),
    ("CreateKey", {"Name": "AKIA" + 16 * "B", "Policy": policy(statement())}, "ValidationException: a name is of 1 to 64 letters, digits and +=,.@_-, and no access key id"),
    ("CreateKey", {"Name": "a", "Policy": "{}"}, "ValidationException: it has no Statement"),
    ("CreateKey", {"Name": "a", "Policy": policy(statement(StringEquals={"aws:SourceIp": "x"}))}, "ValidationException: the condition key aws:SourceIp is not known"),
    ("UpdateKey", {"Name": "nobody", "Status": "Active"}, "ResourceNotFoundException: There is no managed key of that name or id"),
    ("UpdateKey", {"Name": "nobody", "Status": "on"}, "ValidationException: Status must be Active or Inactive"),
    ("DeleteKey", {"Name": "nobody"}, "ResourceNotFoundException: There is no managed key of that name or id"),
    ("RenameKey", {"Name": "nobody"}, "UnknownOperationException: Headwater does not know the operation Headwater_20261130.RenameKey"),
])
def test_wrong_changes(world, operation, members, words):
    with pytest.raises(api_module.Refused) as refused:
        own(world.owner, operation, **members)
    assert f"{refused.value.type}: {refused.value.message}" == words


def test_the_command_and_a_restart(server, tmp_path):
    rules = tmp_path / "rules.json"
    rules.write_text(policy(statement("dynamodb:ListTables")), encoding="utf-8")
    status, out, err = run(server, "create", "ann", "--policy", str(rules))
    assert (status, err) == (0, "")
    made = json.loads(out)
    assert set(made) == {"Name", "AccessKeyId", "Status", "CreateDate", "Policy", "SecretAccessKey"} and len(made["SecretAccessKey"]) == 40
    status, out, err = run(server, "list")
    assert (status, err) == (0, "")
    listed = [json.loads(line) for line in out.splitlines()]
    assert listed == [{name: value for name, value in made.items() if name != "SecretAccessKey"}]
    for path in (server.data / "keys", server.data.with_name("data.key")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server.kill()
    server.start()
    ann = api_module.Api(server.url, made["AccessKeyId"], made["SecretAccessKey"])
    assert "TableNames" in ann.call("ListTables", {})
    assert run(server, "disable", "ann")[0] == 0
    server.restart()
    ann = api_module.Api(server.url, made["AccessKeyId"], made["SecretAccessKey"])
    assert ann.refusal("ListTables", {}) == GONE
    assert run(server, "enable", made["AccessKeyId"])[0] == 0
    rules.write_text(policy(statement("dynamodb:Scan")), encoding="utf-8")
    assert run(server, "policy", "ann", "--policy", str(rules))[0] == 0
    assert ann.refusal("ListTables", {}) == denied("dynamodb:ListTables", TABLE + "*")
    assert run(server, "delete", "ann") == (0, "", "")
    assert run(server, "list") == (0, "", "")
    status, _, err = run(server, "delete", "ann")
    assert status == 1 and "ResourceNotFoundException: There is no managed key of that name or id" in err


@pytest.mark.parametrize("words, text", [
    ((), "key can list, create, disable, enable, policy and delete"),
    (("create", "a"), "key create needs --policy FILE"),
    (("create",), "key create needs a key's name"),
    (("list", "a"), "key list takes no name"),
    (("delete", "a", "--policy", "x"), "key delete takes no --policy"),
    (("create", "a", "--policy", "/no/such/file"), "cannot read the policy in /no/such/file, or it is longer than 10240 bytes"),
])
def test_wrong_words(server, words, text):
    status, out, err = run(server, *words)
    assert status in (1, 2) and not out and f"headwater: {text}\n" in err


def ends_with(server, text):
    """The server does not start, and says why."""
    with pytest.raises(RuntimeError) as told:
        server.start()
    assert text in str(told.value)


def test_the_master_key_opens_the_keys_and_is_never_beside_them(server):
    own(api_module.Api(server.url, *server.credentials), "CreateKey", Name="ann", Policy=policy(statement()))
    server.stop()
    master, keys = server.data.with_name("data.key"), server.data / "keys"
    right, sealed = master.read_text(encoding="ascii"), keys.read_bytes()
    master.write_text("0" * 64 + "\n", encoding="ascii")
    ends_with(server, "do not open with the master key in")
    master.write_text("short", encoding="ascii")
    ends_with(server, "it must be 64 hexadecimal digits")
    master.unlink()
    ends_with(server, "need their master key, and there is none in")
    server.options = ("--master-key", str(server.data / "master"))
    ends_with(server, "it must not be in the data directory")
    for at in (0, 20, len(sealed) // 2, len(sealed) - 1):
        keys.write_bytes(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1:])
        server.options = ("--master-key", str(master))
        master.write_text(right, encoding="ascii")
        ends_with(server, "do not open with the master key in")
    keys.write_bytes(sealed)
    credentials = server.data.with_name("systemd")
    credentials.mkdir()
    (credentials / "headwater-master-key").write_text(right, encoding="ascii")
    master.unlink()
    server.options, server.environment = (), {"CREDENTIALS_DIRECTORY": str(credentials)}
    server.start()
    assert [key["Name"] for key in own(api_module.Api(server.url, *server.credentials), "ListKeys")["Keys"]] == ["ann"]


def test_what_cannot_be_written_is_not_changed(start_server, tmp_path):
    """Neither made nor ended: the answer says why, and the keys go on as they are."""
    server = start_server("--master-key", str(tmp_path / "folder" / "master"))
    owner = api_module.Api(server.url, *server.credentials)

    def refusal(operation, **members):
        with pytest.raises(api_module.Refused) as refused:
            own(owner, operation, **members)
        assert refused.value.status == 500 and refused.value.type == "InternalServerError"
        return refused.value.message

    assert refusal("CreateKey", Name="ann", Policy=policy(statement())).startswith("the master key cannot be written to ")
    assert own(owner, "ListKeys")["Keys"] == []
    (tmp_path / "folder").mkdir()
    made = own(owner, "CreateKey", Name="ann", Policy=policy(statement()))["Key"]
    keys = server.data / "keys"
    keys.unlink()
    keys.mkdir()
    for operation, members in (("CreateKey", {"Name": "bob", "Policy": policy(statement())}), ("UpdateKey", {"Name": "ann", "Status": "Inactive"}),
                               ("DeleteKey", {"Name": "ann"})):
        assert refusal(operation, **members) == f"the keys cannot be written to {keys}"
    assert [(key["Name"], key["Status"]) for key in own(owner, "ListKeys")["Keys"]] == [("ann", "Active")]
    assert "TableNames" in api_module.Api(server.url, made["AccessKeyId"], made["SecretAccessKey"]).call("ListTables", {})
    keys.rmdir()
    own(owner, "DeleteKey", Name="ann")
    assert keys.is_file()


def test_secrets_are_nowhere_but_in_their_answer(start_server, tmp_path):
    """Log lines of every level, metrics, refusals, the log's dump, and every file of the data directory."""
    server = start_server("--log-level", "debug")
    owner = api_module.Api(server.url, *server.credentials)
    made = [own(owner, "CreateKey", Name=f"key-{number}", Policy=policy(statement("dynamodb:ListTables")))["Key"] for number in range(3)]
    ann = api_module.Api(server.url, made[0]["AccessKeyId"], made[0]["SecretAccessKey"])
    told = [json.dumps(own(owner, "ListKeys")), json.dumps(own(owner, "UpdateKey", Name="key-1", Status="Inactive"))]
    told.append(ann.refusal("GetItem", TableName="Games", Key=GAME))
    forged = api_module.Api(server.url, made[0]["AccessKeyId"], "x" * 40)
    told.append(forged.refusal("ListTables", {}))
    told.append(str(server.http("GET", "/metrics")[2]))
    own(owner, "DeleteKey", Name="key-2")
    owner.create("pk:S", "NEW_AND_OLD_IMAGES")
    server.stop()
    dump = subprocess.run([str(headwater.program()), "log", "dump", "--data", str(server.data)], capture_output=True, text=True, check=True).stdout
    assert "pk" in dump
    told += [dump, server.process.out.text(), server.process.err.text()]
    assert '"event":"key.created","name":"key-0"' in told[-1] and '"level":"debug"' in told[-1]
    secrets = [key["SecretAccessKey"] for key in made] + [server.credentials[1], server.data.with_name("data.key").read_text(encoding="ascii").strip()]
    found = [(secret, text[:60]) for secret in secrets for text in told if secret in text]
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert server.data / "keys" in files
    found += [(secret, str(path)) for secret in secrets for path in files if path.name != "credentials" and secret.encode() in path.read_bytes()]
    assert not found


def test_a_presigned_request_ends_with_its_key(world):
    """A signature in the query is of a key as any other, and what that key may not do no link of it can."""
    ann = world.key(statement("dynamodb:ListTables", "*"))
    body = b'{"Limit":1}'

    class Signer(botocore.auth.SigV4QueryAuth):
        def payload(self, request):
            return hashlib.sha256(body).hexdigest()

    def link(operation):
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        request = botocore.awsrequest.AWSRequest("POST", world.server.url + "/", headers, b"")
        Signer(ann.credentials, "dynamodb", "us-east-1", expires=600).add_auth(request)
        return "POST", request.url[len(world.server.url):], body, headers

    listing, limits = link("ListTables"), link("DescribeLimits")
    assert ann.exchange(*listing)[0] == 200
    status, _, answer = ann.exchange(*limits)
    assert status == 400 and b"is not authorized to perform: dynamodb:DescribeLimits" in answer
    own(world.owner, "UpdateKey", Name="ann", Status="Inactive")
    status, _, answer = ann.exchange(*listing)
    assert status == 400 and b"UnrecognizedClientException" in answer
    own(world.owner, "UpdateKey", Name="ann", Status="Active")
    assert ann.exchange(*listing)[0] == 200
    own(world.owner, "DeleteKey", Name="ann")
    assert b"UnrecognizedClientException" in ann.exchange(*listing)[2]


def test_forged_requests_change_nothing(world):
    """A sample of tests/forge over HTTP: of a managed key that may write, each of 400 with one thing changed that was not signed."""
    ann = world.key(statement("dynamodb:PutItem", "*"))
    table = world.owner.create("pk:S")
    rng = random.Random(5)
    body = json.dumps({"TableName": table, "Item": {"pk": {"S": "forged"}, "n": {"N": "1"}}}).encode()

    def signed(secret=ann.credentials.secret_key):
        request = botocore.awsrequest.AWSRequest(method="POST", url=world.server.url + "/", data=body, headers={
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.PutItem"})
        botocore.auth.SigV4Auth(botocore.credentials.Credentials(ann.credentials.access_key, secret), "dynamodb", "us-east-1").add_auth(request)
        return dict(request.headers)

    def flip(text, at):
        return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1:]

    def change(headers, kind):
        """(headers, body)"""
        authorization = headers["Authorization"]
        digits = authorization.index("Signature=") + 10
        return [
            lambda: ({**headers, "Authorization": flip(authorization, digits + rng.randrange(64))}, body),
            lambda: ({**headers, "Authorization": authorization.replace(ann.credentials.access_key, world.server.credentials[0])}, body),
            lambda: (headers, body.replace(b'"1"', str(rng.randrange(2, 9999)).encode().join([b'"', b'"']))),
            lambda: ({**headers, "X-Amz-Target": "DynamoDB_20120810.UpdateItem"}, body),
            lambda: ({**headers, "X-Amz-Date": flip(headers["X-Amz-Date"], 14)}, body),
            lambda: ({**headers, "Content-Type": "application/x-amz-json-1.0; x"}, body),
            lambda: (signed(flip(ann.credentials.secret_key, rng.randrange(40))), body),
            lambda: ({**headers, "Authorization": authorization.replace(";x-amz-target", "")}, body),
        ][kind]()

    for number in range(400):
        headers, sent = change(signed(), number % 8)
        status, _, answer = ann.exchange("POST", "/", sent, headers)
        assert status == 400 and json.loads(answer)["__type"].split("#")[1] in ("InvalidSignatureException", "IncompleteSignatureException"), (number, answer)
    assert world.owner.call("Scan", TableName=table)["Count"] == 0
    assert ann.exchange("POST", "/", body, signed())[0] == 200
    assert world.owner.call("Scan", TableName=table)["Count"] == 1
