"""Bodies: as deep, as long and as wrong as they fit. Each gets one answer, and the connection goes on."""

import json
import time

import forms
import wire as wires
import world as worlds

DEEP = 1_000_000
LONG = 10_000_000
SERIALIZATION = {"__type": "com.amazon.coral.service#SerializationException"}
BODY = 16 * 1024 * 1024
NS_PER_BYTE = 250  # most that any body may take from its first byte to the answer; a machine that does other work too

BAD_UTF8 = {"a lone byte": b"\x80", "cut short": b"\xe2\x82", "too long a form": b"\xc0\xaf", "too long a zero": b"\xc0\x80", "a surrogate": b"\xed\xa0\x80",
            "above U+10FFFF": b"\xf4\x90\x80\x80", "five bytes": b"\xf8\x88\x80\x80\x80", "no byte of it": b"\xff"}


def cases():
    for name, operation, body, status, told in wrong_bodies():
        yield f"body: {name}", lambda world, o=operation, b=body, s=status, t=told: answered(world, o, b, s, t)
    for name, body in stranger_bodies():
        yield f"stranger's body: {name}", lambda world, b=body: answered_stranger(world, b)
    yield "stranger's body: one byte more than may be", large_body_of_a_stranger
    yield "body: 10^7 elements", too_many_elements
    yield "body: one byte more than may be, by length and by chunks", one_byte_more
    yield "body: names that come twice", doubled_names


def attribute(value):
    return b'{"TableName":"ttt","Item":{"pk":{"S":"a"},"v":' + value + b"}}"


def wrong_bodies():
    """(name, operation, body, status, what is told: a value, or a word of the message)."""
    yield "10^6 open lists", "PutItem", b'{"a":' + b"[" * DEEP, 400, SERIALIZATION
    yield "10^6 lists", "PutItem", b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}", 400, SERIALIZATION
    yield "10^6 objects", "PutItem", b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400, SERIALIZATION
    yield "10^6 list values", "PutItem", attribute(b'{"L":[' * DEEP + b"]}" * DEEP), 400, SERIALIZATION
    yield "10^6 map values", "PutItem", attribute(b'{"M":{"a":' * DEEP + b'{"NULL":true}' + b"}}" * DEEP), 400, SERIALIZATION
    yield "33 list values", "PutItem", attribute(b'{"L":[' * 33 + b"]}" * 33), 400, "Nesting Levels have exceeded supported limits"
    yield "8 * 10^6 elements", "ListTables", b'{"Unknown":[1' + b",1" * 8_000_000 + b"]}", 200, ""
    yield "10^6 list values side by side", "PutItem", attribute(b'{"L":[{"N":"1"}' + b',{"N":"1"}' * 1_000_000 + b"]}"), 400, ""
    yield "10^6 members", "ListTables", b"{" + b",".join(b'"a%d":1' % i for i in range(1_000_000)) + b"}", 200, ""
    yield "10^6 times one member", "ListTables", b"{" + b'"a":1,' * 1_000_000 + b'"Limit":1}', 200, ""
    yield "a text of 16 MB", "DescribeTable", b'{"TableName":"' + b"a" * (BODY - 16) + b'"}', 400, "1 validation error detected: Value 'aaaaaaaaaa"
    yield "16 MB of escapes", "DescribeTable", b'{"TableName":"' + b"\\u0041" * ((BODY - 16) // 6) + b'"}', 400, "1 validation error detected: Value 'AAAAAAAAAA"
    yield "16 MB of blanks", "ListTables", b" " * (BODY - 2) + b"{}", 200, ""
    yield "16 MB of quotes", "ListTables", b'"' * BODY, 400, SERIALIZATION
    yield "16 MB of backslashes", "ListTables", b'{"' + b"\\" * (BODY - 2), 400, SERIALIZATION
    yield "16 MB of commas", "ListTables", b'{"a":[' + b"," * (BODY - 8) + b"]}", 400, SERIALIZATION
    yield "16 MB of zeros", "ListTables", bytes(BODY), 400, SERIALIZATION
    yield "a whole number of 10^7 digits", "ListTables", b'{"Unknown":' + b"9" * LONG + b"}", 200, ""
    yield "a fraction of 10^7 digits", "ListTables", b'{"Unknown":0.' + b"9" * LONG + b"}", 200, ""
    yield "an exponent of 10^7 digits", "ListTables", b'{"Unknown":1e' + b"9" * LONG + b"}", 200, ""
    yield "10^6 numbers too large", "ListTables", b'{"Unknown":[' + b"1e999," * 1_000_000 + b"0]}", 200, ""
    for name, text in {"10^7 digits": b"9" * LONG, "10^7 zeros and a one": b"0" * LONG + b"1x", "a large exponent": b"1e126", "a huge exponent": b"1e99999999999999999999",
                       "a small exponent": b"1e-131", "39 digits": b"1" * 39, "10^7 digits of an exponent": b"1e" + b"9" * LONG, "not a number": b"NaN", "infinite": b"Infinity",
                       "hexadecimal": b"0x10", "blank": b" ", "nothing": b"", "full-width digits": "１".encode(), "two signs": b"--1", "two points": b"1.1.1"}.items():
        yield f"number: {name}", "PutItem", attribute(b'{"N":"' + text + b'"}'), 400, ""
    for name, data in BAD_UTF8.items():
        yield f"bad UTF-8 in a value, {name}", "PutItem", attribute(b'{"S":"' + data + b'"}'), 400, SERIALIZATION
        yield f"bad UTF-8 in a name, {name}", "PutItem", b'{"TableName":"ttt","Item":{"' + data + b'":{"S":"a"}}}', 400, SERIALIZATION
    yield "a surrogate's escape", "PutItem", attribute(b'{"S":"\\ud800"}'), 400, SERIALIZATION
    for kind in ("FilterExpression", "KeyConditionExpression", "ProjectionExpression"):
        for name, text in {"10^6 brackets": "(" * DEEP, "10^6 brackets closed": "(" * DEEP + "a=:a" + ")" * DEEP, "10^6 times NOT": "NOT " * DEEP + "a=:a", "10^6 steps": "a" + ".a" * DEEP,
                           "10^6 indexes": "a" + "[0]" * DEEP, "10^6 operators": "a=:a AND " * DEEP + "a=:a"}.items():
            body = json.dumps({"TableName": "ttt", kind: text, "ExpressionAttributeValues": {":a": {"S": "a"}}}).encode()
            yield f"{kind} of {name}", "Query", body, 400, ""
    for name, text in {"4096 brackets": "(" * 2046 + "a=:a" + ")" * 2046, "1000 times NOT": "NOT " * 1000 + "a=:a", "2000 steps": "attribute_exists(a" + ".a" * 2000 + ")"}.items():
        body = json.dumps({"TableName": "ttt", "Item": {"pk": {"S": "a"}}, "ConditionExpression": text, "ExpressionAttributeValues": {":a": {"S": "a"}}}).encode()
        yield f"ConditionExpression of {name}", "PutItem", body, 400, ""


def answered(world, operation, body, status, told):
    """One answer, soon; the same connection is served after it."""
    request = world.signed(operation, body)
    with world.wire() as wire:
        begun = time.monotonic()
        wire.send(request)
        got, headers, answer = wire.answer()
        took = time.monotonic() - begun
        assert got == status, (got, answer[:300])
        decoded = json.loads(answer)
        if isinstance(told, dict):
            assert decoded == told, answer[:300]
        elif told:
            assert told in decoded["message"], answer[:300]
        assert "connection" not in headers and len(answer) < 5000
        assert took < 1 + NS_PER_BYTE * len(body) / 1e9 or not worlds.PLAIN, took
        wire.send(world.signed("ListTables", b"{}"))
        assert wire.answer()[0] == 200
    return f"{len(body) >> 20} MB, {took * 1e9 / len(body):.0f} ns a byte" if len(body) > 8 << 20 else None


def stranger_bodies():
    yield "10^5 lists", b"[" * 100_000 + b"]" * 100_000
    yield "40,000 objects", b'{"a":' * 40_000 + b"1" + b"}" * 40_000
    yield "120,000 elements", b'{"handle":[1' + b",1" * 120_000 + b"]}"
    yield "a handle of 256 KB", b'{"handle":"' + b"a" * (forms.OTHER_BODY_MAX - 50) + b'","password":"correct horse battery"}'
    yield "a password of 256 KB", b'{"handle":"ann","password":"' + b"a" * (forms.OTHER_BODY_MAX - 50) + b'"}'
    for name, data in BAD_UTF8.items():
        yield f"bad UTF-8, {name}", b'{"handle":"' + data + b'","password":"correct horse battery"}'


def answered_stranger(world, body):
    """Nobody has vouched for who calls the chat's log-in."""
    for path in (b"/v1/users", b"/v1/sessions"):
        with world.wire() as wire:
            wire.send(b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            status, headers, answer = wire.answer()
            assert 400 <= status < 500 and headers["content-type"] == "application/problem+json", (status, answer[:300])
            assert len(answer) < 1000
            wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wire.answer()[0] == 200


def large_body_of_a_stranger(world):
    """More than any chat needs is refused before it is read, or where it passes the bound."""
    size = forms.OTHER_BODY_MAX + 1
    for path in (b"/v1/users", b"/v1/sessions"):
        head = b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        refused(world, head + b"Content-Length: %d\r\n\r\n" % size, 413)
        refused(world, head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b" " * size, 413)


def too_many_elements(world):
    """20 MB: refused before it is read, or where it passes the bound."""
    body = b'{"Unknown":[1' + b",1" * (LONG - 1) + b"]}"
    for data in (wires.signed(world.api, "ListTables", body), forms.CHUNKED + b"\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"):
        refused(world, data, 413)


def one_byte_more(world):
    """At the bound a body is read; its content is then refused."""
    body = b'{"TableName":"' + b"a" * (forms.BODY_MAX - 16) + b'"}'
    with world.wire() as wire:
        wire.send(world.signed("DescribeTable", body))
        assert wire.answer()[0] == 400
    refused(world, world.signed("DescribeTable", body + b" "), 413)
    refused(world, forms.CHUNKED + b"\r\n%x\r\n" % (len(body) + 1) + body + b" ", 413)


def refused(world, data, expected):
    with world.wire() as wire:
        try:
            wire.send(data)
        except ConnectionError:
            pass
        status, headers, body = wire.answer()
        assert (status, headers["connection"], body) == (expected, "close", forms.REASONS[expected])
        assert wire.is_closed()


def doubled_names(world):
    """The last one counts, everywhere."""
    body = b'{"TableName":"%s","TableName":"%s","Item":{"pk":{"S":"x"},"pk":{"S":"doubled"},"v":{"S":"a","N":"1"}}}' % (b"none", world.table.encode())
    answered(world, "PutItem", body, 400, "Supplied AttributeValue has more than one datatypes set")
    answered(world, "PutItem", body.replace(b'"S":"a",', b""), 200, "")
    assert world.api.get(world.table, pk={"S": "doubled"}) == {"pk": {"S": "doubled"}, "v": {"N": "1"}}
    assert world.api.get(world.table, pk={"S": "x"}) is None
