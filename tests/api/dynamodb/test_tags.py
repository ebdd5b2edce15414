"""TagResource, UntagResource and ListTagsOfResource; and DescribeLimits and DescribeEndpoints, which say what clients ask before anything else."""

import json

import pytest

from api import INVALID, errors, must

NO_TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/no.such.table"
TOO_MANY = "Number of Tags exceed the current limit for the provided ResourceArn"


def tags(**values):
    return [{"Key": key, "Value": value} for key, value in values.items()]


def listed(api, arn):
    return {tag["Key"]: tag["Value"] for tag in api.call("ListTagsOfResource", ResourceArn=arn)["Tags"]}


@pytest.fixture
def arn(api):
    return api.describe(api.create())["TableArn"]


def test_tags_are_given_changed_and_taken(api, arn):
    assert api.call("ListTagsOfResource", ResourceArn=arn) == {"Tags": []}
    assert api.call("TagResource", ResourceArn=arn, Tags=tags(a="1", b="")) == {}
    assert listed(api, arn) == {"a": "1", "b": ""}
    api.call("TagResource", ResourceArn=arn, Tags=tags(b="2", c="3"))
    assert listed(api, arn) == {"a": "1", "b": "2", "c": "3"}
    assert api.call("UntagResource", ResourceArn=arn, TagKeys=["a", "c", "none"]) == {}
    assert listed(api, arn) == {"b": "2"}


@pytest.mark.parametrize(("operation", "members"), [("TagResource", {"Tags": [{"Key": "a", "Value": "b"}]}), ("UntagResource", {"TagKeys": ["a"]})])
def test_a_change_of_tags_is_answered_without_a_body(api, arn, operation, members):
    status, headers, body = api.send(operation, json.dumps({"ResourceArn": arn, **members}).encode())
    assert (status, headers["Content-Type"], body) == (200, "application/x-amz-json-1.0", b"")
    if "x-amz-crc32" in headers:
        assert headers["x-amz-crc32"] == "0"


def test_tags_of_a_new_table(api):
    table = api.create(Tags=tags(team="blue", empty=""))
    assert listed(api, api.describe(table)["TableArn"]) == {"team": "blue", "empty": ""}


def test_tags_change_nothing_else(api):
    table = api.create(view="NEW_IMAGE")
    before = api.describe(table)
    api.put(table, pk={"S": "a"})
    api.call("TagResource", ResourceArn=before["TableArn"], Tags=tags(a="1"))
    api.put(table, pk={"S": "b"})
    assert api.describe(table) == before
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in api.records(table, count=2)] == ["a", "b"]


@pytest.mark.headwater
def test_tags_outlive_a_kill_and_an_update(own):
    api = own()
    table = api.create(Tags=tags(a="1"))
    arn = api.describe(table)["TableArn"]
    api.call("TagResource", ResourceArn=arn, Tags=tags(b="2"))
    api.call("UpdateTable", TableName=table, DeletionProtectionEnabled=True)
    api.server.kill()
    api.server.start()
    assert listed(api, arn) == {"a": "1", "b": "2"}


def test_fifty_tags_are_the_most(api, arn):
    api.call("TagResource", ResourceArn=arn, Tags=tags(**{f"k{i}": "v" for i in range(49)}))
    assert api.refusal("TagResource", ResourceArn=arn, Tags=tags(one="1", two="2")) == TOO_MANY
    api.call("TagResource", ResourceArn=arn, Tags=tags(one="1"))
    assert len(listed(api, arn)) == 50
    api.call("TagResource", ResourceArn=arn, Tags=tags(one="again"))
    assert api.refusal("TagResource", ResourceArn=arn, Tags=tags(two="2")) == TOO_MANY
    assert listed(api, arn)["one"] == "again"
    assert api.dynamodb.list_tags_of_resource(ResourceArn=arn).get("NextToken") is None


@pytest.mark.parametrize("count", [51, 128, 129])
def test_no_request_gives_more(api, arn, count):
    assert api.refusal("TagResource", ResourceArn=arn, Tags=tags(**{f"k{i}": "v" for i in range(count)})) == TOO_MANY
    assert listed(api, arn) == {}


def test_lengths_at_their_bounds(api, arn):
    api.call("TagResource", ResourceArn=arn, Tags=tags(**{"k" * 128: "v" * 256, "k": ""}))
    assert listed(api, arn) == {"k" * 128: "v" * 256, "k": ""}
    api.call("UntagResource", ResourceArn=arn, TagKeys=["k" * 128])
    assert listed(api, arn) == {"k": ""}
    api.create(Tags=tags(**{f"k{i}": "v" * 256 for i in range(50)}))


NO_KEY = "The Tag Key provided is invalid, Key: "
NO_VALUE = "The Tag Value provided is invalid, Value: "


def test_letters_of_every_script(api, arn):
    given = {"ключ": "café", "表": "a+b-c=d.e_f:g/h@i", "a\u00a0b\u3000c": " ", "é" * 128: "é" * 256}
    api.call("TagResource", ResourceArn=arn, Tags=tags(**given))
    assert listed(api, arn) == given


@pytest.mark.parametrize(("operation", "body", "text"), [
    *(("TagResource", {"Tags": [*tags(good="v"), {"Key": key, "Value": "v"}]}, NO_KEY + key) for key in ("k" * 129, "", "a%", "a,b", "\U0001f511", "a\u2026")),
    *(("TagResource", {"Tags": [*tags(good="v"), {"Key": "k", "Value": value}]}, NO_VALUE + value) for value in ("v" * 257, "100%", "it's", "\u00d7")),
    ("TagResource", {"Tags": [{}]}, NO_KEY + "null"),
    ("TagResource", {"Tags": [{"Value": "v"}]}, NO_KEY + "null"),
    ("TagResource", {"Tags": [{"Key": "k"}]}, NO_VALUE + "null"),
    ("TagResource", {"Tags": [*tags(a="1", b="2"), *tags(a="3")]}, "Duplicate Tag Keys provided as input: Duplicate Tag Key found a"),
    ("TagResource", {"Tags": []}, "Atleast one Tag needs to be provided as Input."),
    ("TagResource", {}, errors(must(None, "tags", "not be null"))),
    ("TagResource", {"Tags": tags(**{"aws:a": "v"})}, "Tag Key cannot be prefixed with aws:, Key: aws:a"),
    ("UntagResource", {"TagKeys": []}, "Atleast one Tag Key needs to be provided as Input."),
    ("UntagResource", {}, errors(must(None, "tagKeys", "not be null"))),
    *(("UntagResource", {"TagKeys": ["k", key]}, NO_KEY + key) for key in ("", "k" * 129)),
    ("UntagResource", {"TagKeys": ["k"] * 51}, TOO_MANY),
    ("ListTagsOfResource", {"NextToken": "x"}, "Invalid NextToken"),
])
def test_refusals_change_nothing(api, arn, operation, body, text):
    api.call("TagResource", ResourceArn=arn, Tags=tags(k="kept"))
    assert api.refusal(operation, ResourceArn=arn, **body) == text
    assert listed(api, arn) == {"k": "kept"}


WORDS = {"TagResource": {"Tags": tags(a="1")}, "UntagResource": {"TagKeys": ["a"]}, "ListTagsOfResource": {}}


@pytest.mark.parametrize("operation", WORDS)
def test_what_is_no_table(api, operation):
    for wrong, text in (("x", INVALID + "ARNs must start with 'arn:': x"), ("no.such.table", INVALID + "ARNs must start with 'arn:': no.such.table"),
                        (NO_TABLE + "/index/x", INVALID + "Invalid resource arn provided, only table or stream is accepted. "
                         f"Provided resource arn: {NO_TABLE}/index/x"),
                        (NO_TABLE + "/", f"Invalid TableArn: Invalid ResourceArn provided as input {NO_TABLE}/")):
        assert api.refusal(operation, ResourceArn=wrong, **WORDS[operation]) == text
    assert api.refusal(operation, ResourceArn="", **WORDS[operation]).endswith("'resourceArn' failed to satisfy constraint: "
                                                                               "Member must have length greater than or equal to 1")
    assert api.refusal(operation, **WORDS[operation]) == errors(must(None, "resourceArn", "not be null"))
    told = api.refusal(operation, ResourceArn=NO_TABLE, **WORDS[operation])
    if operation == "ListTagsOfResource":
        assert told.startswith("AccessDeniedException: User: arn:aws:iam::")
        assert told.endswith(" is not authorized to perform: dynamodb:ListTagsOfResource on resource: *")
    else:
        assert told == f"ResourceNotFoundException: Requested resource not found: ResourcArn: {NO_TABLE} not found"


@pytest.mark.headwater
def test_what_belongs_to_the_server_has_no_tags(api):
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/headwater.chat_log"
    assert api.refusal("TagResource", ResourceArn=arn, Tags=tags(a="1")) == \
        "Tables named headwater.* belong to the server and cannot be changed"


def test_boto3_tags_a_table(api, arn):
    api.dynamodb.tag_resource(ResourceArn=arn, Tags=tags(a="1"))
    assert api.dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == tags(a="1")
    pages = list(api.dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn))
    assert [page["Tags"] for page in pages] == [tags(a="1")]
    api.dynamodb.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert api.dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == []


# ---- what an account and its endpoint are ----


def test_limits_are_those_of_an_account(api):
    limits = api.dynamodb.describe_limits()
    names = ("AccountMaxReadCapacityUnits", "AccountMaxWriteCapacityUnits", "TableMaxReadCapacityUnits", "TableMaxWriteCapacityUnits")
    assert [limits[name] for name in names] == [80000, 80000, 40000, 40000]


def test_the_endpoint_is_the_one_that_was_asked(api):
    endpoint, = api.dynamodb.describe_endpoints()["Endpoints"]
    assert endpoint == {"Address": api.url.split("//")[1], "CachePeriodInMinutes": 1440}


@pytest.mark.headwater
def test_a_client_that_discovers_its_endpoint_stays_here(api, arn):
    client = api.client(endpoint_discovery_enabled=True)
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == []
