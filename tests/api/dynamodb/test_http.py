"""The server's HTTP, by raw sockets: what is malformed gets one clear 4xx and changes nothing, limits are where they are stated.

net I2 to I5, server I1 and I2, base I6 and I8.
"""

import json
import re
import socket
import time
import zlib

import pytest

from wire import Wire, signed

pytestmark = pytest.mark.headwater

WAIT_S = 30


@pytest.fixture
def wire(api):
    with Wire(api) as made:
        yield made


# ---- malformed ----

HOST = b"Host: a\r\n"
MALFORMED = [
    ("length and encoding", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", 400),
    ("encoding and length", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nX", 400),
    ("two lengths", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    ("one length twice", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
    ("a list of lengths", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2, 2\r\n\r\nab", 400),
    ("a signed length", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +2\r\n\r\nab", 400),
    ("a negative length", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
    ("an empty length", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\n", 400),
    ("a length of letters", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x2\r\n\r\nab", 400),
    ("a length past 64 bits", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
    ("two encodings", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("gzip, chunked", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("chunked, identity", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ("xchunked", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("blank before the colon", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked over HTTP/1.0", b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("a chunk of letters", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    ("a chunk past 64 bits", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", 400),
    ("a trailer", b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Hidden: 1\r\n\r\n", 400),
    ("a folded line", b"GET / HTTP/1.1\r\n" + HOST + b"X-Long: a\r\n b\r\n\r\n", 400),
    ("a folded line by tab", b"GET / HTTP/1.1\r\n" + HOST + b"X-Long: a\r\n\tb\r\n\r\n", 400),
    ("bare line feeds", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("one bare line feed", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    ("a bare carriage return", b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("a blank in a name", b"GET / HTTP/1.1\r\n" + HOST + b"X y: 1\r\n\r\n", 400),
    ("no name", b"GET / HTTP/1.1\r\n" + HOST + b": 1\r\n\r\n", 400),
    ("no colon", b"GET / HTTP/1.1\r\n" + HOST + b"nothing\r\n\r\n", 400),
    ("a zero in a value", b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
    ("an unknown method", b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ("CONNECT", b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    ("no version", b"GET /\r\n\r\n", 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("HTTP/3.0", b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", (400, 505)),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50, 400),
    ("zeros", b"\x00" * 100, 400),
    ("a foreign expectation", b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\nExpect: miracles\r\n\r\n", 417),
]


@pytest.mark.parametrize(("data", "status"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_malformed_requests(wire, data, status):
    """One answer that says so, and the end of the connection: what follows is not read as another request."""
    wire.send(data + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    told, headers, body = wire.answer()
    assert told in (status if isinstance(status, tuple) else (status,)), body
    assert headers["connection"] == "close" and body
    assert wire.is_closed()


# ---- limits ----


def heads(count):
    return b"".join(b"X-%d: 1\r\n" % i for i in range(count))


def test_64_header_lines(wire, api):
    wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + heads(63) + b"\r\n")
    assert wire.answer()[0] == 200
    with Wire(api) as other:
        other.send(b"GET /healthz HTTP/1.1\r\n" + HOST + heads(64) + b"\r\n")
        assert other.answer()[0] == 431 and other.is_closed()


@pytest.mark.parametrize(("size", "status"), [(15900, 200), (16500, 431), (2_000_000, 431)])
def test_16_kb_of_head(wire, size, status):
    try:
        wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"x" * size + b"\r\n\r\n")
    except ConnectionError:
        pass
    assert wire.answer()[0] == status


def test_a_long_path(wire):
    wire.send(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert wire.answer()[0] in (414, 431)


def test_16_mb_of_body(api, wire):
    """A body of 16 MB is read (and refused for what it says); what says it is one byte larger is refused at once."""
    body = b'{"TableName":"' + b"a" * (16 * 1024 * 1024 - 16) + b'"}'
    assert len(body) == 16 * 1024 * 1024
    wire.send(signed(api, "DescribeTable", body))
    assert wire.answer()[0] == 400
    with Wire(api) as other:
        other.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 16777217\r\n\r\n")
        status, headers, _ = other.answer()
        assert (status, headers["connection"]) == (413, "close") and other.is_closed()


@pytest.mark.parametrize(("more", "status"), [(b"", 404), (b"1\r\nx\r\n", 413)])
def test_16_mb_of_chunks(wire, more, status):
    """Read to its end and refused as no call, or refused for one byte too many."""
    wire.send(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    try:
        for _ in range(16):
            wire.send(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
        wire.send(more + b"0\r\n\r\n")
    except ConnectionError:
        pass
    assert wire.answer()[0] == status


def test_a_slow_head_and_an_idle_connection(own):
    api = own("--head-timeout-ms", "300", "--idle-timeout-ms", "400")
    with Wire(api) as slow, Wire(api) as idle:
        slow.send(b"GET / HTTP/1.1\r\nHo")
        idle.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert idle.answer()[0] == 200
        status, headers, _ = slow.answer()
        assert (status, headers["connection"]) == (408, "close") and slow.is_closed()
        assert idle.is_closed()


def test_a_slow_body(own):
    api = own("--head-timeout-ms", "300")
    with Wire(api) as slow:
        slow.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\nabc")
        assert slow.answer()[0] == 408 and slow.is_closed()


def test_connections_past_the_limit(own):
    api = own("--connections-max", "3")
    held = [Wire(api) for _ in range(3)]
    for one in held:
        one.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert one.answer()[0] == 200
    with Wire(api) as past:
        status, headers, _ = past.answer()
        assert (status, headers["connection"]) == (503, "close") and past.is_closed()
    for one in held:
        one.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert one.answer()[0] == 200
    held.pop().socket.close()
    end = time.monotonic() + WAIT_S
    while True:
        with Wire(api) as again:
            again.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            if again.answer()[0] == 200:
                break
        assert time.monotonic() < end
    for one in held:
        one.socket.close()


# ---- what works ----


def test_keep_alive_and_pipelining(api, wire):
    """Answers come in the order of the requests, also when a slow one is first."""
    bodies = [json.dumps({"Limit": i}).encode() for i in range(1, 31)]
    wire.send(b"".join(signed(api, "ListTables", body) for body in bodies) + b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
    for body in bodies:
        status, headers, answer = wire.answer()
        assert status == 200 and len(json.loads(answer)["TableNames"]) <= json.loads(body)["Limit"]
        assert "connection" not in headers
    assert wire.answer()[2] == b"ok\n"


def test_a_request_in_single_bytes(api, wire):
    for i, byte in enumerate(data := signed(api)):
        wire.send(data[i:i + 1])
        assert byte is not None
    assert wire.answer()[0] == 200


def test_chunked_bodies(api, wire):
    body = b'{"Limit":1,"ExclusiveStartTableName":"abc"}'
    head = signed(api, "ListTables", body, extra=b"Transfer-Encoding: chunked\r\n", length=False)
    for sizes in ((len(body),), (1,) * len(body), (5, 7, len(body) - 12)):
        data, at = head, 0
        for size in sizes:
            data += b"%x;note=1\r\n" % size + body[at:at + size] + b"\r\n"
            at += size
        wire.send(data + b"0\r\n\r\n")
        assert wire.answer()[0] == 200


def test_expect_100_continue(api, wire):
    whole = signed(api, extra=b"Expect: 100-continue\r\n")
    head, _, body = whole.partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.answer()[0] == 100
    wire.send(body)
    assert wire.answer()[0] == 200


def test_connection_close_and_http_1_0(api, wire):
    wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    status, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (200, "close") and wire.is_closed()
    with Wire(api) as old:
        old.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        status, headers, _ = old.answer()
        assert (status, headers["connection"]) == (200, "close") and old.is_closed()
    with Wire(api) as kept:
        for _ in range(2):
            kept.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            status, headers, _ = kept.answer()
            assert (status, headers["connection"]) == (200, "keep-alive")


def test_half_closed_peers_get_their_answers(api, wire):
    wire.send(signed(api) + signed(api))
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.answer()[0] == wire.answer()[0] == 200
    assert wire.is_closed()


def test_head_has_no_body(wire):
    wire.send(b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
    status, headers, _ = wire.answer(head_only=True)
    assert (status, headers["content-length"]) == (200, "3")
    assert wire.answer()[2] == b"ok\n"


def test_preflights_of_browser_consoles(wire):
    wire.send(b"OPTIONS / HTTP/1.1\r\n" + HOST + b"Origin: http://b\r\nAccess-Control-Request-Method: POST\r\n"
              b"Access-Control-Request-Headers: authorization,x-amz-date,x-amz-target\r\n\r\n")
    status, headers, body = wire.answer()
    assert (status, body) == (200, b"")
    assert headers["access-control-allow-origin"] == "*" and headers["access-control-max-age"] == "172800"
    assert headers["access-control-allow-methods"] == "POST"
    assert headers["access-control-allow-headers"] == "authorization,x-amz-date,x-amz-target"
    assert headers["vary"] == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


# ---- what is no call ----

UNKNOWN = b"<UnknownOperationException/>\n"


def test_what_is_no_call_of_the_protocol(api, wire):
    for head in (b"PUT / HTTP/1.1\r\n", b"DELETE /x HTTP/1.1\r\n", b"PATCH / HTTP/1.1\r\n", b"POST /other HTTP/1.1\r\n",
                 b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\n", b"POST / HTTP/1.1\r\n"):
        wire.send(head + HOST + b"Content-Length: 2\r\n\r\n{}")
        status, headers, body = wire.answer()
        assert (status, body) == (404, UNKNOWN)
        assert int(headers["x-amz-crc32"]) == zlib.crc32(body) and re.fullmatch("[A-Z0-9]{52}", headers["x-amzn-requestid"])


@pytest.mark.parametrize("target", [b"DynamoDB_20120810.Nothing", b"DynamoDB_20111205.ListTables", b"DynamoDB_20120810.ListStreams", b"ListTables",
                                    b"DynamoDBStreams_20120810.GetItem", b"DynamoDB_20120810.listtables", b"DynamoDB_20120810.", b"."])
def test_unknown_operations(wire, target):
    wire.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-amz-json-1.0\r\nX-Amz-Target: " + target + b"\r\nContent-Length: 2\r\n\r\n{}")
    status, headers, body = wire.answer()
    told = json.loads(body)
    assert status == 400 and told["__type"] == "com.amazon.coral.service#UnknownOperationException"
    assert target.decode() in told["message"]
    assert int(headers["x-amz-crc32"]) == zlib.crc32(body)


@pytest.mark.parametrize("path", [b"/nope", b"/..", b"/%2e%2e/etc/passwd", b"/healthz/x", b"/metrics2", b"//", b"/\xff"])
def test_unknown_paths(wire, path):
    wire.send(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert wire.answer()[0] in (400, 404)


def test_the_root_says_that_it_is_healthy(wire, api):
    wire.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
    status, _, body = wire.answer()
    assert (status, body.decode()) == (200, f"healthy: dynamodb.{api.region}.amazonaws.com ")


BAD_JSON = [b"", b"{", b"}", b"[]", b"null", b'"x"', b"1", b"{}x", b"{} {}", b"{'a':1}", b'{"a":}', b'{"a":1,}', b'{"a" 1}', b'{"a":01}', b'{"a":1.}',
            b'{"a":tru}', b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\x"}', b'{"a":"\n"}', b"\xef\xbb\xbf{}", b'{"a":NaN}',
            b'{"a":1e999x}', b"{" * 10000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"\x00", b"{\x00}"]


@pytest.mark.parametrize("body", BAD_JSON, ids=range(len(BAD_JSON)))
def test_what_is_not_json(api, wire, body):
    wire.send(signed(api, "PutItem", body))
    status, _, answer = wire.answer()
    assert status == 400 and json.loads(answer) == {"__type": "com.amazon.coral.service#SerializationException"}
    wire.send(signed(api))
    assert wire.answer()[0] == 200


def test_numbers_of_any_size_are_json(api, wire):
    for number in (b"1" * 400, b"-" + b"9" * 30, b"1e999", b"-1.5e-9999", b"1E+400"):
        wire.send(signed(api, "ListTables", b'{"Unknown":' + number + b"}"))
        assert wire.answer()[0] == 200


# ---- logs ----


def test_log_lines_are_json_without_secrets_or_items(own):
    api = own("--log-level", "debug")
    table = api.create()
    secret = api.credentials.secret_key
    api.put(table, pk={"S": "PRIVATE-KEY"}, v={"S": "PRIVATE-VALUE"})
    api.refusal("PutItem", TableName=table, Item={"pk": {"S": "PRIVATE-KEY"}}, ConditionExpression="v = :v",
                ExpressionAttributeValues={":v": {"S": "PRIVATE-OTHER"}})
    api.refusal("PutItem", TableName=table, Item={"pk": {"N": "PRIVATE-NUMBER"}})
    with Wire(api) as wire:
        wire.send(signed(api).replace(b"Signature=", b"Signature=0"))
        assert wire.answer()[0] == 400
    api.server.stop()
    text = api.server.process.err.text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) > 3 and all({"time", "level", "event"} <= set(line) for line in lines)
    assert "PRIVATE" not in text and secret not in text
