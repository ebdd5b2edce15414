"""A DynamoDB by its address: real clients, and calls that no client would make.

Every test of tests/api/dynamodb that says what DynamoDB does gets one of these, so the same tests run against any server:

    DYNAMODB_URL=http://127.0.0.1:8000 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... pytest tests/api/dynamodb

What every answer must have (type, request id, checksum) is checked at each call here; of another server by one case alone,
test_tables.py's, so that a header it lacks does not hide what it answers.
"""

import http.client
import itertools
import json
import os
import re
import time
import urllib.parse
import zlib

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

DYNAMODB = "DynamoDB_20120810"
STREAMS = "DynamoDBStreams_20120810"
STREAM_OPERATIONS = {"ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"}
WITHOUT_BODY = {"TagResource", "UntagResource"}
REQUEST_ID = re.compile(r"[A-Z0-9]{52}")
WAIT_S = 60

ENVELOPE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "
NOT_VALID = "One or more parameter values are not valid. "
NAME_PATTERN = "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
CAPACITY_SET = "satisfy enum value set: [INDEXES, TOTAL, NONE]"
METRICS_SET = "satisfy enum value set: [SIZE, NONE]"
ON_FAILURE_SET = "satisfy enum value set: [ALL_OLD, NONE]"
RETURN_VALUES = ("Failed to satisfy constraint: Member must satisfy enum value set: "
                 "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]")
NOT_FOUND = "ResourceNotFoundException: Requested resource not found"
NO_MATCH = "The provided key element does not match the schema"
TOO_DEEP = ("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond "
            "supported limit")


def nested(levels, kind="L"):
    """A text inside that many lists or maps."""
    value = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]} if kind == "L" else {"M": {"k": value}}
    return value


def must(value, place, rule):
    """A constraint's text; value None: null, "": no value is shown."""
    shown = "Value" if value == "" else "Value null" if value is None else f"Value '{value}'"
    return f"{shown} at '{place}' failed to satisfy constraint: Member must {rule}"


def errors(*texts):
    """Several faults told together."""
    count = len(texts)
    return f"{count} validation error{'s' if count > 1 else ''} detected: " + "; ".join(texts)


class Refused(Exception):
    """A fault of the server: its type, its words, and the whole body."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.type = body["__type"].split("#")[-1]
        self.message = body.get("message", body.get("Message"))


class Api:
    """One endpoint. Tables are named anew by every test, so that all of them share it."""

    numbers = itertools.count()

    def __init__(self, url, key_id, secret, region="us-east-1", before_sign=None, foreign=False):
        self.url = url.rstrip("/")
        self.region = region
        self.credentials = botocore.credentials.Credentials(key_id, secret)
        self.before_sign = before_sign
        self.foreign = foreign
        self.connection = None
        self.dynamodb = self.client("dynamodb")
        self.streams = self.client("dynamodbstreams")

    def client(self, service="dynamodb", **config):
        """A boto3 client that tries once and sends what it is given, right or wrong."""
        made = boto3.client(
            service, endpoint_url=self.url, region_name=self.region,
            aws_access_key_id=self.credentials.access_key,
            aws_secret_access_key=self.credentials.secret_key,
            config=botocore.config.Config(
                **{"retries": {"mode": "standard", "total_max_attempts": 1},
                   "parameter_validation": False, **config}))
        if self.before_sign:
            made.meta.events.register("before-sign", self.before_sign)
        return made

    # ---- calls on the wire ----

    def send(self, operation, body, headers=None):
        """A signed call of any bytes: (status, headers, body as sent)."""
        target = f"{STREAMS if operation in STREAM_OPERATIONS else DYNAMODB}.{operation}"
        request = botocore.awsrequest.AWSRequest(
            method="POST", url=self.url + "/", data=body,
            headers={"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target, **(headers or {})})
        if self.before_sign:
            self.before_sign()
        botocore.auth.SigV4Auth(self.credentials, "dynamodb", self.region).add_auth(request)
        return self.exchange("POST", "/", body, dict(request.headers))

    def exchange(self, method, path, body, headers):
        """One request on a connection that is kept: (status, headers, body)."""
        for last in (False, True):
            if self.connection is None:
                place = urllib.parse.urlsplit(self.url)
                self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=WAIT_S)
            try:
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                return answer.status, answer.headers, answer.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                self._hang_up() # the server may end an idle one
                if last:
                    raise
            except BaseException: # what comes late is no answer to the next request
                self._hang_up()
                raise
        raise AssertionError("unreachable")

    def _hang_up(self):
        self.connection.close()
        self.connection = None

    def call(self, operation, body=None, headers=None, **members):
        """A signed call: the decoded answer, or Refused. body: bytes, or what JSON can say, or members."""
        body = members if body is None else body
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, fields, answer = self.send(operation, data, headers)
        if not self.foreign:
            check_answer(fields, answer)
        decoded = {} if answer == b"" and operation in WITHOUT_BODY else json.loads(answer)
        if status != 200:
            raise Refused(status, decoded)
        return decoded

    def refusal(self, operation, body=None, **members):
        """The words a call is refused with; another type than ValidationException stands before them."""
        try:
            answer = self.call(operation, body, **members)
        except Refused as refused:
            assert refused.status == 400, refused
            if refused.type == "ValidationException":
                return refused.message
            return refused.type if refused.message is None else f"{refused.type}: {refused.message}"
        raise AssertionError(f"{operation} was not refused: {answer}")

    # ---- tables and streams ----

    def name(self, prefix="t"):
        return f"{prefix}.{os.getpid()}.{next(self.numbers)}"

    def create(self, key="pk:S", view=None, name=None, **more):
        """A table that is ACTIVE; key: "pk:S" or "pk:S,sk:N"."""
        parts = [part.split(":") for part in key.split(",")]
        name = name or self.name()
        stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}} if view else {}
        self.call("CreateTable", {
            "TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": part, "AttributeType": kind} for part, kind in parts],
            "KeySchema": [{"AttributeName": part[0], "KeyType": kind}
                          for part, kind in zip(parts, ("HASH", "RANGE"))], **stream, **more})
        wait_until(lambda: self.describe(name)["TableStatus"] == "ACTIVE")
        return name

    def describe(self, table):
        return self.call("DescribeTable", TableName=table)["Table"]

    def put(self, table, **item):
        """Puts an item of attribute values."""
        return self.call("PutItem", TableName=table, Item=item)

    def get(self, table, **key):
        return self.call("GetItem", TableName=table, Key=key, ConsistentRead=True).get("Item")

    def stream_arn(self, table):
        return self.describe(table)["LatestStreamArn"]

    def shards(self, arn):
        return self.call("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]

    def iterator(self, arn, kind="TRIM_HORIZON", shard=None, **more):
        shard = shard or self.shards(arn)[0]["ShardId"]
        return self.call("GetShardIterator", StreamArn=arn, ShardId=shard, ShardIteratorType=kind,
                         **more)["ShardIterator"]

    def records(self, table=None, arn=None, count=0):
        """All records of a stream, of its shards in order; waits for `count` of them."""
        arn = arn or self.stream_arn(table)
        end = time.monotonic() + WAIT_S
        while True:
            found = []
            for shard in self.shards(arn):
                found += self.read_shard(self.iterator(arn, shard=shard["ShardId"]))
            if len(found) >= count:
                return found
            assert time.monotonic() < end, f"{len(found)} records of {count}"

    def read_shard(self, iterator):
        """To the end of a closed shard, or until an open one has given an empty page twice."""
        found, empty = [], 0
        while iterator and empty < 2:
            page = self.call("GetRecords", ShardIterator=iterator)
            found += page["Records"]
            empty = 0 if page["Records"] else empty + 1
            iterator = page.get("NextShardIterator")
        return found


def check_answer(headers, body):
    """What each answer of the AWS face has, of a success and of a fault."""
    assert headers["Content-Type"] == "application/x-amz-json-1.0"
    assert REQUEST_ID.fullmatch(headers["x-amzn-RequestId"]), headers["x-amzn-RequestId"]
    assert int(headers["x-amz-crc32"]) == zlib.crc32(body)
    assert int(headers["Content-Length"]) == len(body)


def wait_until(condition, seconds=WAIT_S):
    """Asks again until it holds: for states that DynamoDB reaches on its own."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
