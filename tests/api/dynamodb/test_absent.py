"""Operations of DynamoDB's that are not here say why, by the names that botocore knows; and those that are here do not."""

import json
import pathlib

import pytest

import headwater

pytestmark = pytest.mark.headwater
KIND = "com.amazon.coral.service#UnknownOperationException"


def absent_operations():
    text = (headwater.ROOT / "src/op/absent.def").read_text(encoding="ascii")
    return [line.split("(")[1].split(",")[0] for line in text.splitlines() if line.startswith("ABSENT(")]


def ask(api, operation):
    status, _, answer = api.send(operation, b"{}")
    return status, json.loads(answer)


def test_every_operation_of_botocores_is_here_or_told_of(api):
    """None of DynamoDB's is answered as one that nobody knows."""
    here = set()
    for operation in api.dynamodb.meta.service_model.operation_names:
        status, answer = ask(api, operation)
        if answer.get("__type") != KIND:
            here.add(operation)
            continue
        assert status == 400 and operation in absent_operations()
        assert answer["message"].startswith(f"Headwater does not support {operation} yet") or answer["message"].startswith(f"Headwater does not have {operation}: ")
    page = (pathlib.Path(headwater.ROOT) / "doc/operations.md").read_text(encoding="utf-8")
    assert here and all(f"`DynamoDB_20120810.{operation}`" in page for operation in here)


@pytest.mark.parametrize("operation, words", [
    ("CreateGlobalTable", "Headwater does not have CreateGlobalTable: it is about several Regions of AWS, and this is one server"),
    ("DescribeContributorInsights", "Headwater does not have DescribeContributorInsights: it is about a service of AWS; figures are in /metrics"),
    ("ImportTable", "Headwater does not support ImportTable yet"), ("StartBulkPutItems", "Headwater does not support StartBulkPutItems yet"),
    ("GlobalTable", "Headwater does not know the operation DynamoDB_20120810.GlobalTable"),
    ("importtable", "Headwater does not know the operation DynamoDB_20120810.importtable")])
def test_what_is_said(api, operation, words):
    assert ask(api, operation) == (400, {"__type": KIND, "message": words})


def test_boto3_gets_an_error_that_names_it(api):
    with pytest.raises(api.dynamodb.exceptions.ClientError) as caught:
        api.dynamodb.list_global_tables()
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
    assert "ListGlobalTables" in caught.value.response["Error"]["Message"]
