"""Calls of any operation, one after another on one connection, signed with the standard library alone.

The driver knows calls of one item; what takes several is called from here. One call at a time makes every commit a group
of its own, so that what a call costs does not depend on others.
"""

import datetime
import hashlib
import hmac
import http.client
import json
import re
import urllib.parse

import servers

REGION = "us-east-1"
CONTENT_TYPE = "application/x-amz-json-1.0"


class Caller:
    """A connection to a Headwater server, with its key."""

    def __init__(self, server):
        self.host = urllib.parse.urlsplit(server.endpoint).netloc
        self.connection = http.client.HTTPConnection(self.host, timeout=120)
        text = (server.data / "db/credentials").read_text(encoding="utf-8")
        self.key_id, self.secret = (re.search(rf"{name}\s*=\s*(\S+)", text).group(1)
                                    for name in ("aws_access_key_id", "aws_secret_access_key"))

    def call(self, operation, body):
        data = json.dumps(body).encode()
        self.connection.request("POST", "/", data, self.headers("DynamoDB_20120810." + operation, data))
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise servers.Failure(f"{operation}: HTTP {answer.status}: {text[:300]}")
        return json.loads(text)

    def headers(self, target, data):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"content-type": CONTENT_TYPE, "host": self.host, "x-amz-date": now, "x-amz-target": target}
        scope = f"{now[:8]}/{REGION}/dynamodb/aws4_request"
        names = ";".join(headers)
        canonical = "".join(["POST\n/\n\n", *(f"{name}:{value}\n" for name, value in headers.items()), f"\n{names}\n", hashlib.sha256(data).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signed = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(key, signed.encode(), "sha256").hex()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return headers

    def create(self, table):
        """A table with the keys pk: S and sk: N, ACTIVE."""
        self.call("CreateTable", {
            "TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]})
        while self.call("DescribeTable", {"TableName": table})["Table"]["TableStatus"] != "ACTIVE":
            pass

    def fill(self, table, partition, count, size):
        """Items 0 to count - 1 of one partition, with values of that many bytes."""
        for first in range(0, count, 25):
            self.call("BatchWriteItem", {"RequestItems": {table: [
                {"PutRequest": {"Item": item(partition, i, size)}} for i in range(first, min(first + 25, count))]}})


def item(partition, i, size):
    return {"pk": {"S": partition}, "sk": {"N": str(i)}, "v": {"S": f"{i:09}" * (size // 9 + 1)}}
