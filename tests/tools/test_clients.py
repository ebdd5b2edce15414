"""doc/clients.md names the versions that the tests use."""

import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLD = {name.strip(): version for name, version in
        re.findall(r"^\| ([^|]+) \| (v?\d[\d.]*) \|", (ROOT / "doc/clients.md").read_text(encoding="utf-8"), re.MULTILINE)}


def of_python(name):
    return re.search(rf"^{name}==(\S+)$", (ROOT / "tests/requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]


def of_node(name):
    return json.loads((ROOT / "tests/package.json").read_text(encoding="utf-8"))["dependencies"][name]


def of_go(name):
    return re.search(rf"^\s*\S+/{name} (\S+)$", (ROOT / "tests/clients/go/go.mod").read_text(encoding="utf-8"), re.MULTILINE)[1]


def of_java(name):
    return re.search(rf"<artifactId>{name}</artifactId>\s*<version>(.*?)</version>",
                     (ROOT / "tests/clients/java/pom.xml").read_text(encoding="utf-8"))[1]


USED = {
    "boto3, for Python": (of_python, "boto3"), "its resources: `Table`, `batch_writer`, `Key` and `Attr`": (of_python, "boto3"),
    "AWS CLI": (of_python, "awscli"), "PynamoDB, for Python": (of_python, "pynamodb"),
    "AWS SDK for JavaScript v3, in Node": (of_node, "@aws-sdk/client-dynamodb"),
    "the same, in a page of another origin in Chromium": (of_node, "@aws-sdk/client-dynamodb-streams"),
    "its document client, `lib-dynamodb`": (of_node, "@aws-sdk/lib-dynamodb"),
    "Dynamoose, for Node": (of_node, "dynamoose"), "dynamodb-admin, a console": (of_node, "dynamodb-admin"),
    "AWS SDK for Go v2: `service/dynamodb`": (of_go, "service/dynamodb"), "its `service/dynamodbstreams`": (of_go, "service/dynamodbstreams"),
    "its `feature/dynamodb/attributevalue`": (of_go, "feature/dynamodb/attributevalue"),
    "its `feature/dynamodb/expression`": (of_go, "feature/dynamodb/expression"),
    "AWS SDK for Java 2": (of_java, "bom"), "its enhanced client": (of_java, "bom")}


def test_every_client_told_of_is_known_here():
    assert TOLD.keys() == USED.keys()


@pytest.mark.parametrize("client", USED)
def test_the_version_told_is_the_one_used(client):
    find, name = USED[client]
    assert TOLD[client] == find(name)
