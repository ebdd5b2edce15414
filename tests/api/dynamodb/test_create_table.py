"""CreateTable: what it makes, echoes and refuses."""

import re
import time

import pytest

from api import ENVELOPE, INVALID, NAME_PATTERN, errors, must

HASH = {"AttributeName": "pk", "KeyType": "HASH"}
RANGE = {"AttributeName": "sk", "KeyType": "RANGE"}
PK = {"AttributeName": "pk", "AttributeType": "S"}
SK = {"AttributeName": "sk", "AttributeType": "N"}


def request(name, **members):
    """A right request, with some members changed; None takes one out."""
    whole = {"TableName": name, "BillingMode": "PAY_PER_REQUEST", "KeySchema": [HASH],
             "AttributeDefinitions": [PK], **members}
    return {name: value for name, value in whole.items() if value is not None}


def test_is_creating_then_active(api):
    name = api.name()
    made = api.call("CreateTable", request(name))["TableDescription"]
    assert made["TableStatus"] == "CREATING"
    api.dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    table = api.describe(name)
    assert table["TableStatus"] == "ACTIVE"
    assert {**made, "TableStatus": "ACTIVE"} == table


def test_describes_what_was_asked_for(api):
    name = api.name()
    made = api.call("CreateTable", request(
        name, KeySchema=[HASH, RANGE], AttributeDefinitions=[SK, PK],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        TableClass="STANDARD_INFREQUENT_ACCESS", DeletionProtectionEnabled=False,
        Tags=[{"Key": "a", "Value": "b"}]))["TableDescription"]
    assert made["TableName"] == name
    assert made["KeySchema"] == [HASH, RANGE]
    assert sorted(made["AttributeDefinitions"], key=str) == sorted([PK, SK], key=str)
    assert re.fullmatch(rf"arn:aws:dynamodb:{api.region}:\d{{12}}:table/{name}", made["TableArn"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["TableId"])
    assert abs(made["CreationDateTime"] - time.time()) < 60
    assert (made["ItemCount"], made["TableSizeBytes"]) == (0, 0)
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert made["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", made["LatestStreamLabel"])
    assert made["LatestStreamArn"] == f"{made['TableArn']}/stream/{made['LatestStreamLabel']}"
    assert made["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert made["DeletionProtectionEnabled"] is False


def test_throughput_is_kept(api):
    made = api.call("CreateTable", request(
        api.name(), BillingMode=None,
        ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}))
    throughput = made["TableDescription"]["ProvisionedThroughput"]
    assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (3, 4)
    assert throughput["NumberOfDecreasesToday"] == 0
    assert "BillingModeSummary" not in made["TableDescription"]


def test_on_demand_has_no_throughput(api):
    made = api.call("CreateTable", request(
        api.name(), OnDemandThroughput={"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}))
    table = made["TableDescription"]
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    assert table["OnDemandThroughput"] == {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": 6}


@pytest.mark.parametrize("length", [3, 255])
def test_name_at_its_bounds(api, length):
    name = (api.name() + "." + "x" * 255)[-length:] if length == 255 else api.name()[-3:].replace(".", "_")
    try:
        api.call("CreateTable", request(name))
        assert api.describe(name)["TableName"] == name
    finally:
        api.call("DeleteTable", TableName=name)


def test_name_is_taken(api, hashed):
    assert api.refusal("CreateTable", request(hashed)) == \
        f"ResourceInUseException: Table already exists: {hashed}"


BILLING = must("x", "billingMode", "satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]")
READ = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
REFUSED = [
    ("no name", {"TableName": None},
     "The parameter 'TableName' is required but was not present in the request"),
    ("short name", {"TableName": "ab"}, errors(must("ab", "tableName", "have length greater than or equal to 3"))),
    ("long name", {"TableName": "a" * 256}, errors(must("a" * 256, "tableName", "have length less than or equal to 255"))),
    ("empty name beside other members", {"TableName": "", "KeySchema": []},
     "3 validation errors detected: Value '' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3; "
     f"Value '' at 'tableName' failed to satisfy constraint: Member must {NAME_PATTERN}; "
     + must("[]", "keySchema", "have length greater than or equal to 1")),
    ("name with a blank", {"TableName": "a bc"}, ENVELOPE + must("a bc", "tableName", NAME_PATTERN)),
    ("bad members are told together", {"TableName": "a!c", "BillingMode": "x", "KeySchema": None},
     errors(must("a!c", "tableName", NAME_PATTERN), BILLING, must(None, "keySchema", "not be null"))),
    ("no definitions", {"AttributeDefinitions": None},
     ENVELOPE + must(None, "attributeDefinitions", "not be null")),
    ("no schema", {"KeySchema": []},
     ENVELOPE + must("[]", "keySchema", "have length greater than or equal to 1")),
    ("provisioned without throughput", {"BillingMode": "PROVISIONED"},
     INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"),
    ("no billing mode without throughput", {"BillingMode": None},
     INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"),
    ("on demand with throughput", {"ProvisionedThroughput": READ},
     INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"),
    ("throughput of 0", {"BillingMode": None, "ProvisionedThroughput": {**READ, "ReadCapacityUnits": 0}},
     ENVELOPE + must("0", "provisionedThroughput.readCapacityUnits", "have value greater than or equal to 1")),
    ("half a throughput", {"BillingMode": None, "ProvisionedThroughput": {"ReadCapacityUnits": 1}},
     ENVELOPE + must(None, "provisionedThroughput.writeCapacityUnits", "not be null")),
    ("throughput out of bounds", {"BillingMode": None, "ProvisionedThroughput": {**READ, "WriteCapacityUnits": 10**12 + 1}},
     "Given value 1000000000001 for WriteCapacityUnits is out of bounds"),
    ("table class", {"TableClass": "x"}, "Invalid table-class parameter provided. Please try again with a valid table-class value: "
     "[STANDARD, STANDARD_INFREQUENT_ACCESS]."),
    ("first key is a range", {"KeySchema": [{**HASH, "KeyType": "RANGE"}]},
     "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"),
    ("two hash keys", {"KeySchema": [HASH, {**RANGE, "KeyType": "HASH"}], "AttributeDefinitions": [PK, SK]},
     "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"),
    ("one name twice with one definition", {"KeySchema": [HASH, {**RANGE, "AttributeName": "pk"}]},
     "Invalid KeySchema: Some index key attribute have no definition"),
    ("one name defined twice", {"AttributeDefinitions": [PK, PK]}, "Attribute Name is duplicated: pk"),
    ("undefined names before key types", {"KeySchema": [{**RANGE, "AttributeName": "x"}], "AttributeDefinitions": [PK]},
     INVALID + "Some index key attributes are not defined in AttributeDefinitions. Keys: [x], AttributeDefinitions: [pk]"),
    ("one name twice", {"KeySchema": [HASH, {**HASH}], "AttributeDefinitions": [PK, SK]},
     "Both the Hash Key and the Range Key element in the KeySchema have the same name"),
    ("three keys", {"KeySchema": [HASH, RANGE, {"AttributeName": "x", "KeyType": "y"}]},
     errors(must("[KeySchemaElement(attributeName=pk, keyType=HASH), KeySchemaElement(attributeName=sk, keyType=RANGE), "
                 "KeySchemaElement(attributeName=x, keyType=y)]", "keySchema", "have length less than or equal to 2"))),
    ("three keys, two without members", {"KeySchema": [HASH, {}, {"KeyType": "RANGE"}]},
     errors(must("[KeySchemaElement(attributeName=pk, keyType=HASH), KeySchemaElement(attributeName=null, keyType=null), "
                 "KeySchemaElement(attributeName=null, keyType=RANGE)]", "keySchema", "have length less than or equal to 2"))),
    ("key type", {"KeySchema": [{**HASH, "KeyType": "x"}]},
     ENVELOPE + must("x", "keySchema.1.member.keyType", "satisfy enum value set: [HASH, RANGE]")),
    ("attribute type", {"AttributeDefinitions": [{**PK, "AttributeType": "BOOL"}]},
     ENVELOPE + must("BOOL", "attributeDefinitions.1.member.attributeType", "satisfy enum value set: [B, N, S]")),
    ("a definition is missing", {"KeySchema": [HASH, RANGE]},
     "Invalid KeySchema: Some index key attribute have no definition"),
    ("a definition too many", {"AttributeDefinitions": [PK, SK]},
     INVALID + "Number of attributes in KeySchema does not exactly match number of attributes "
     "defined in AttributeDefinitions"),
    ("another attribute is defined", {"AttributeDefinitions": [SK]},
     INVALID + "Some index key attributes are not defined in AttributeDefinitions. Keys: [pk], "
     "AttributeDefinitions: [sk]"),
    ("an entry of the schema without members", {"KeySchema": [{}]},
     errors(must(None, "keySchema.1.member.attributeName", "not be null"), must(None, "keySchema.1.member.keyType", "not be null"))),
    ("a definition without members", {"AttributeDefinitions": [{}]},
     errors(must(None, "attributeDefinitions.1.member.attributeType", "not be null"),
            must(None, "attributeDefinitions.1.member.attributeName", "not be null"))),
    ("a tag without members", {"Tags": [{}]}, "The Tag Key provided is invalid, Key: null"),
    ("too many tags", {"Tags": [{"Key": f"k{i}", "Value": ""} for i in range(51)]},
     "Number of Tags exceed the current limit for the provided ResourceArn"),
    ("one tag twice", {"Tags": [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]},
     "Duplicate Tag Keys provided as input: Duplicate Tag Key found k"),
    ("stream without members", {"StreamSpecification": {}},
     ENVELOPE + must(None, "streamSpecification.streamEnabled", "not be null")),
    ("encryption type", {"SSESpecification": {"Enabled": True, "SSEType": "AES256"}}, INVALID + "SSEType AES256 is not supported"),
    ("no encryption with a type", {"SSESpecification": {"Enabled": False, "SSEType": "KMS"}},
     INVALID + "SSEType can not be specified if Enabled is false"),
    ("stream without a view", {"StreamSpecification": {"StreamEnabled": True}},
     INVALID + "Table is being created with a stream enabled, UpdateViewType is required"),
    ("view without a stream", {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}},
     INVALID + "Table is being created with a stream disabled, UpdateViewType should not be specified"),
    ("view type", {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "x"}},
     ENVELOPE + must("x", "streamSpecification.streamViewType",
                     "satisfy enum value set: [OLD_IMAGE, KEYS_ONLY, NEW_AND_OLD_IMAGES, NEW_IMAGE]")),
    ("on-demand bound when provisioned",
     {"BillingMode": None, "ProvisionedThroughput": READ, "OnDemandThroughput": {"MaxReadRequestUnits": 1}},
     INVALID + "MaxReadRequestUnits for OnDemandThroughput cannot be specified when table BillingMode is PROVISIONED."),
    ("on-demand bound of 0", {"OnDemandThroughput": {"MaxWriteRequestUnits": 0}},
     INVALID + "Requested MaxWriteRequestUnits for OnDemandThroughput for table is outside of valid range"),
]


@pytest.mark.parametrize(("change", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refusals(api, change, text):
    name = change.get("TableName", api.name())
    told = api.refusal("CreateTable", request(name, **{k: v for k, v in change.items() if k != "TableName"}))
    assert told == text if not text.startswith("have ") else told.endswith(text)
    if "TableName" not in change:
        assert name not in api.call("ListTables", ExclusiveStartTableName=name[:200])["TableNames"]


@pytest.mark.headwater
@pytest.mark.parametrize("member", ["GlobalSecondaryIndexes", "LocalSecondaryIndexes", "WarmThroughput", "ResourcePolicy", "VectorIndexes"])
def test_what_is_not_built_is_refused(api, member):
    assert api.refusal("CreateTable", request(api.name(), **{member: {}})) == \
        f"Headwater does not support {member} yet"


@pytest.mark.parametrize("specification", [{}, {"Enabled": False}])
def test_the_default_encryption_may_be_asked_for(api, specification):
    assert "SSEDescription" not in api.call("CreateTable", request(api.name(), SSESpecification=specification))["TableDescription"]


@pytest.mark.headwater
def test_encryption_with_keys_is_refused(api):
    for specification in ({"Enabled": True}, {"SSEType": "KMS"}, {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "x"}):
        assert api.refusal("CreateTable", request(api.name(), SSESpecification=specification)) == \
            "Headwater does not support SSESpecification with keys yet"


@pytest.mark.headwater
def test_reserved_names_are_the_servers(api):
    assert api.refusal("CreateTable", request("headwater.mine")) == \
        "Tables named headwater.* belong to the server and cannot be created"
    assert not [name for name in api.call("ListTables")["TableNames"] if name.startswith("headwater.")]
    assert api.describe("headwater.chat_log")["TableStatus"] == "ACTIVE"


@pytest.mark.headwater
def test_tables_outlive_a_restart(own):
    api = own()
    made = api.call("CreateTable", request("kept", StreamSpecification={
        "StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}))["TableDescription"]
    api.server.restart()
    assert api.describe("kept") == {**made, "TableStatus": "ACTIVE"}
