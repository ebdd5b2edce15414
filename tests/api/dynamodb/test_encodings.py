"""Packed bodies both ways: what DynamoDB was seen to accept, refuse and choose, and the bound that is ours. The signature is over the bytes as sent."""

import contextlib
import gzip
import json
import zlib

import pytest

PACKED_FROM = 4097  # bytes of an answer
BODY_MAX = 16 << 20


@pytest.fixture(scope="module")
def big(api, hashed):
    """The key of an item of 100,000 bytes that pack well."""
    key = {"S": api.name("big")}
    api.put(hashed, pk=key, x={"S": "abcdefgh" * 12500})
    return key


def get_body(table, key, **more):
    return json.dumps({"TableName": table, "Key": {"pk": key}, **more}).encode()


def put_body(table, key, pad=0):
    return json.dumps({"TableName": table, "Item": {"pk": key}}).encode() + b" " * pad


def unpacked(headers, body):
    encoding = headers.get("Content-Encoding")
    return gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body) if encoding == "deflate" else body


@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)])
def test_packed_requests(api, hashed, key, encoding, pack):
    for pad in (0, 100, 5000, 2_000_000):
        one = {"S": f"{key['S']}.{pad}"}
        status, _, answer = api.send("PutItem", pack(put_body(hashed, one, pad)), {"Content-Encoding": encoding})
        assert (status, answer) == (200, b"{}") and api.get(hashed, pk=one) == {"pk": one}


def test_a_request_of_two_gzip_members(api, hashed, key):
    body = put_body(hashed, key)
    assert api.send("PutItem", gzip.compress(body[:10]) + gzip.compress(body[10:]), {"Content-Encoding": "gzip"})[0] == 200
    assert api.get(hashed, pk=key) == {"pk": key}


@pytest.mark.parametrize("encoding, change", [
    ("garbage", lambda body: body), ("br", lambda body: body), ("x-gzip", gzip.compress), ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    ("gzip", lambda body: body), ("gzip", lambda body: b""), ("gzip", lambda body: gzip.compress(body)[:-1]), ("gzip", lambda body: gzip.compress(body)[:20]),
    ("gzip", lambda body: zlib.compress(body)), ("deflate", gzip.compress), ("deflate", lambda body: zlib.compress(body)[:-1]),
    ("gzip", lambda body: gzip.compress(body)[:-8] + b"\0" * 8)])
def test_what_cannot_be_unpacked(api, hashed, key, encoding, change):
    """DynamoDB answers 500."""
    status, _, answer = api.send("PutItem", change(put_body(hashed, key)), {"Content-Encoding": encoding})
    assert status == 500 and json.loads(answer)["__type"].endswith("#InternalServerError")
    assert api.get(hashed, pk=key) is None


def test_junk_behind_gzip(api, hashed, key):
    """DynamoDB overlooks it; what could be read in two ways is refused here."""
    status, _, _ = api.send("PutItem", gzip.compress(put_body(hashed, key)) + b"junk", {"Content-Encoding": "gzip"})
    assert status in (200, 500)
    assert (api.get(hashed, pk=key) is None) == (status == 500)


@pytest.mark.headwater
@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_the_bound_is_of_the_unpacked_body(api, hashed, key, encoding, pack):
    body = put_body(hashed, key)
    status, _, _ = api.send("PutItem", pack(put_body(hashed, key, BODY_MAX - len(body))), {"Content-Encoding": encoding})
    assert status == 200 and api.get(hashed, pk=key) == {"pk": key}
    for pad in (BODY_MAX - len(body) + 1, 300 << 20):
        packed = pack(put_body(hashed, key, pad))
        assert len(packed) < 1 << 20
        status, headers, answer = api.exchange("POST", "/", packed, signed(api, packed, encoding))
        assert (status, answer) == (413, b"Payload Too Large\n") and headers["x-amz-crc32"] == str(zlib.crc32(answer))
    assert api.get(hashed, pk=key) == {"pk": key}, "the connection goes on"


def signed(api, body, encoding):
    """The headers of a signed PutItem."""
    import botocore.auth
    import botocore.awsrequest
    request = botocore.awsrequest.AWSRequest("POST", api.url + "/", {
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.PutItem", "Content-Encoding": encoding}, body)
    if api.before_sign:
        api.before_sign()
    botocore.auth.SigV4Auth(api.credentials, "dynamodb", api.region).add_auth(request)
    return dict(request.headers)


def test_a_packed_request_is_signed_as_sent(api, hashed, key):
    body = gzip.compress(put_body(hashed, key), mtime=0)
    headers = signed(api, body, "gzip")
    other = gzip.compress(put_body(hashed, key), mtime=1)
    status, _, answer = api.exchange("POST", "/", other, headers)
    assert status == 400 and json.loads(answer)["__type"].endswith("#InvalidSignatureException")
    assert api.exchange("POST", "/", body, headers)[0] == 200


@pytest.mark.parametrize("accepted, encoding", [
    (None, None), ("identity", None), ("br", None), ("x-gzip", None), ("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate", "gzip"),
    ("br, identity, deflate, gzip", "deflate"), ("GZIP", "gzip"), ("*", "gzip"), ("*, gzip;q=0.5", "deflate"), ("gzip;q=0", None),
    ("gzip;q=0.5,identity;q=0.8", "gzip"), ("gzip, deflate, br, zstd", "gzip")])
def test_packed_answers(api, hashed, big, accepted, encoding):
    status, headers, body = api.send("GetItem", get_body(hashed, big), {"Accept-Encoding": accepted} if accepted else {})
    assert status == 200 and headers.get("Content-Encoding") == encoding
    assert json.loads(unpacked(headers, body))["Item"]["x"]["S"] == "abcdefgh" * 12500
    assert (len(body) < 5000) == (encoding is not None)


def test_answers_are_packed_from_a_length_on(api, hashed, key):
    asked = {"Accept-Encoding": "gzip"}
    frame = len(json.dumps({"Item": {"x": {"S": ""}}}, separators=(",", ":")))
    for length, packed in ((PACKED_FROM - 1, None), (PACKED_FROM, "gzip")):
        api.put(hashed, pk=key, x={"S": "x" * (length - frame)})
        status, headers, body = api.send("GetItem", get_body(hashed, key, ProjectionExpression="x"), asked)
        assert status == 200 and headers.get("Content-Encoding") == packed and len(unpacked(headers, body)) == length


@pytest.mark.headwater
def test_answers_that_do_not_shrink_or_are_too_long_go_as_they_are(api, key):
    """Packing is done between other answers, so what would take long is sent plain."""
    table = api.create("pk:S,sk:N")
    for sk in range(25):
        api.put(table, pk=key, sk={"N": str(sk)}, x={"S": "ü" * 100_000})
    keys = [{"pk": key, "sk": {"N": str(sk)}} for sk in range(25)]
    for count, packed in ((5, "gzip"), (25, None)):
        body = json.dumps({"RequestItems": {table: {"Keys": keys[:count]}}}).encode()
        status, headers, answer = api.send("BatchGetItem", body, {"Accept-Encoding": "gzip"})
        assert status == 200 and headers.get("Content-Encoding") == packed
        assert len(json.loads(unpacked(headers, answer))["Responses"][table]) == count


def test_boto3_packs_and_unpacks(api, hashed, key):
    """boto3 as it is, told to pack its requests by the model and to ask for packed answers."""
    client = api.client(request_min_compression_size_bytes=1)
    for operation in ("PutItem", "GetItem"):
        client.meta.service_model._service_description["operations"][operation]["requestcompression"] = {"encodings": ["gzip"]}  # pylint: disable=protected-access
    sent, got = [], []

    def ask(params, **_):
        params["headers"]["Accept-Encoding"] = "gzip"

    def look(request, **_):
        sent.append(request.headers.get("Content-Encoding"))

    def unpack(response_dict, **_):
        got.append(response_dict["headers"].get("Content-Encoding"))
        response_dict["body"] = unpacked(response_dict["headers"], response_dict["body"])

    for event, handler in (("before-call", ask), ("before-send", look), ("before-parse", unpack)):
        client.meta.events.register(event, handler)
    with contextlib.closing(client):
        client.put_item(TableName=hashed, Item={"pk": key, "x": {"S": "y" * 9000}})
        assert client.get_item(TableName=hashed, Key={"pk": key})["Item"]["x"] == {"S": "y" * 9000}
    assert [one if isinstance(one, str) else one.decode() for one in sent] == ["gzip", "gzip"] and got == [None, "gzip"]
