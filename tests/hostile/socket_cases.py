"""WebSocket frames that RFC 6455 forbids, and floods of those that it allows. All of it comes from strangers: nobody has logged in."""

import base64
import os
import struct

import forms
import world as worlds

PROTOCOL, UTF8, POLICY, TOO_BIG = 1002, 1007, 1008, 1009
MESSAGE_MAX = 131072
PARTS_MAX = 1024
KB_A_SOCKET = 64
CONTINUED, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
MASK = b"\x01\x02\x03\x04"


def frame(opcode, data=b"", fin=True, rsv=0, masked=True, length=None):
    """length: what the frame says of itself, in its shortest form."""
    length = len(data) if length is None else length
    bit = 0x80 if masked else 0
    if length < 126:
        size = bytes([bit | length])
    elif length < 65536:
        size = struct.pack("!BH", bit | 126, length)
    else:
        size = struct.pack("!BQ", bit | 127, length)
    pattern = MASK * (len(data) // 4 + 1)
    body = bytes(a ^ b for a, b in zip(data, pattern)) if masked and len(data) < 4096 else data
    return bytes([(0x80 if fin else 0) | rsv << 4 | opcode]) + size + (MASK if masked else b"") + body


class Socket:
    """A handshake and then any bytes."""

    def __init__(self, world, behind=b""):
        self.wire = world.wire()
        key = base64.b64encode(os.urandom(16))
        self.wire.send(b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n" + behind)
        while b"\r\n\r\n" not in self.wire.read:
            assert self.wire.more()
        head, _, self.wire.read = self.wire.read.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, data):
        try:
            self.wire.send(data)
        except ConnectionError:
            pass

    def take(self, size):
        while len(self.wire.read) < size:
            assert self.wire.more(), self.wire.read
        data, self.wire.read = self.wire.read[:size], self.wire.read[size:]
        return data

    def frame(self):
        """(opcode, payload) of the next frame; the server's are whole and unmasked."""
        first, length = self.take(2)
        assert first & 0x70 == 0 and first & 0x80 and length & 0x80 == 0
        if length == 126:
            length = struct.unpack("!H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self.take(8))[0]
        return first & 15, self.take(length)

    def close_code(self):
        """The code that the server ends it with, after which nothing comes; other frames before are passed over."""
        opcode, payload = self.frame()
        while opcode != CLOSE:
            opcode, payload = self.frame()
        assert self.wire.is_closed()
        return struct.unpack("!H", payload[:2])[0] if payload else None

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.wire.socket.close()


def close_frame(code, reason=b""):
    return frame(CLOSE, struct.pack("!H", code) + reason)


def wrong_frames():
    """(name, bytes, code of the close frame)."""
    yield "a text that is not masked", frame(TEXT, b"{}", masked=False), PROTOCOL
    yield "a ping that is not masked", frame(PING, masked=False), PROTOCOL
    for bits in range(1, 8):
        yield f"reserved bits {bits}", frame(TEXT, b"{}", rsv=bits), PROTOCOL
        yield f"reserved bits {bits} of a ping", frame(PING, rsv=bits), PROTOCOL
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"opcode {opcode}", frame(opcode, b"{}"), PROTOCOL
    for opcode in (CLOSE, PING, PONG):
        yield f"126 bytes of opcode {opcode}", frame(opcode, b"a" * 126), PROTOCOL
        yield f"2^63 - 1 bytes of opcode {opcode}", frame(opcode, length=2**63 - 1), PROTOCOL
        yield f"a part of opcode {opcode}", frame(opcode, b"", fin=False), PROTOCOL
    yield "a part of nothing", frame(CONTINUED, b"a"), PROTOCOL
    yield "a text within a text", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), PROTOCOL
    yield "a part behind a pong", frame(PONG) + frame(CONTINUED, b"b"), PROTOCOL
    yield "a text of who has not logged in", frame(TEXT, b"{}"), 4500
    yield "one byte more than may be", frame(TEXT, length=MESSAGE_MAX + 1) + b"a", TOO_BIG
    yield "one byte more in two parts", frame(TEXT, b"a" * MESSAGE_MAX, fin=False) + frame(CONTINUED, b"a"), TOO_BIG
    yield "2^63 - 1 bytes", frame(TEXT, length=2**63 - 1) + b"a", TOO_BIG
    yield "2^64 - 1 bytes", frame(TEXT, length=2**64 - 1), PROTOCOL
    yield "a short length in two bytes", b"\x81\xfe\x00\x05" + MASK + bytes(5), PROTOCOL
    yield "a short length in eight bytes", b"\x81\xff" + struct.pack("!Q", 5) + MASK + bytes(5), PROTOCOL
    yield "a middle length in eight bytes", b"\x81\xff" + struct.pack("!Q", 300) + MASK + bytes(300), PROTOCOL
    yield "a close of one byte", frame(CLOSE, b"\x03"), PROTOCOL
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"close code {code}", close_frame(code), PROTOCOL
    yield "a close reason that is no UTF-8", close_frame(1000, b"\xff"), UTF8
    for name, data in {"a lone byte": b"\x80", "cut short": b"\xe2\x82", "too long a form": b"\xc0\xaf", "a surrogate": b"\xed\xa0\x80", "above U+10FFFF": b"\xf4\x90\x80\x80"}.items():
        yield f"bad UTF-8, {name}", frame(TEXT, b'{"a":"' + data + b'"}'), UTF8
        half = len(data) // 2
        yield f"bad UTF-8 in two parts, {name}", frame(TEXT, b"a" + data[:half], fin=False) + frame(CONTINUED, data[half:] + b"a"), UTF8
    yield "HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PROTOCOL
    yield "bytes of 255", b"\xff" * 100, PROTOCOL


def cases():
    for name, data, code in wrong_frames():
        yield f"frame: {name}", lambda world, d=data, c=code: closed_with(world, d, c)
    yield "frame: what is right goes on", right_frames
    yield "frame: parts of one byte", parts_of_one_byte
    yield "frame: parts of nothing", parts_of_nothing
    yield "frame: a flood of tiny ones", flood_of_tiny
    yield "frame: a flood of close frames", flood_of_closes
    yield "handshakes that are none", wrong_handshakes


def closed_with(world, data, code):
    """Sent by itself, behind the handshake in one write, and in single bytes: the same close frame, once, and the end."""
    with Socket(world) as socket:
        socket.send(data + frame(PING) * 10)
        code_is(socket, code)
    with Socket(world, behind=data) as socket:
        code_is(socket, code)
    if len(data) < 200:
        with Socket(world) as socket:
            for byte in data:
                socket.send(bytes([byte]))
            code_is(socket, code)


def right_frames(world):
    """Parts, also empty ones, with pings between them, make one text; a close is answered in its own code."""
    with Socket(world) as socket:
        text = b'{"id":1,"ping":{}}'
        parts = [frame(TEXT, b"", fin=False)] + [frame(CONTINUED, text[i:i + 1], fin=False) + frame(PING, b"%d" % i) for i in range(len(text))] + [frame(CONTINUED)]
        socket.send(b"".join(parts))
        for i in range(len(text)):
            assert socket.frame() == (PONG, b"%d" % i)
        opcode, answer = socket.frame()
        assert opcode == TEXT and b"bad-token" in answer
        code_is(socket, 4500)
    with Socket(world) as socket:
        socket.send(close_frame(3000, "ü".encode()))
        code_is(socket, 3000)
    for code in (1000, 1001, 1003, 1007, 1011, 3999, 4000, 4999):
        with Socket(world) as socket:
            socket.send(close_frame(code))
            code_is(socket, code)


def parts_of_one_byte(world):
    """A message may come in 1,024 parts, so that what its parts cost is bounded, too."""
    with Socket(world) as socket:
        part = frame(CONTINUED, b" ", fin=False)
        socket.send(frame(TEXT, b"{", fin=False) + part * (PARTS_MAX - 2) + frame(CONTINUED, b"}"))
        assert socket.frame()[0] == TEXT
    with Socket(world) as socket:
        socket.send(frame(TEXT, b"{", fin=False) + part * (PARTS_MAX - 1) + frame(CONTINUED, b"}"))
        code_is(socket, POLICY)
    return f"{held_in_parts(world, part * 1000):.0f} KB a socket with 1,000 parts, {held_in_parts(world, part * 100_000):.0f} KB with 100,000"


def held_in_parts(world, parts):
    """KB that a socket costs while a message of it is under way."""
    with worlds.own(world) as attacked:
        before = attacked.resident()
        sockets = [Socket(attacked) for _ in range(100)]
        for socket in sockets:
            socket.send(frame(TEXT, b"{", fin=False) + parts + frame(PING))
        assert {socket.frame()[0] for socket in sockets} <= {PONG, CLOSE}
        each = (attacked.resident() - before) / len(sockets) / 1024
        for socket in sockets:
            socket.wire.socket.close()
    assert each < 2 * KB_A_SOCKET or not worlds.PLAIN, each
    return each


def parts_of_nothing(world):
    with Socket(world) as socket:
        socket.send(frame(TEXT, b"", fin=False) + frame(CONTINUED, b"", fin=False) * 100_000)
        code_is(socket, POLICY)


def flood_of_tiny(world):
    """A million empty texts and pongs: they say nothing, and nothing is kept of them."""
    before = world.resident()
    with Socket(world) as socket:
        for _ in range(100):
            socket.send(frame(PONG) * 10_000)
        socket.send(frame(PING, b"still"))
        assert socket.frame() == (PONG, b"still")
    grown = (world.resident() - before) / 1024
    assert grown < 4096 or not worlds.PLAIN, grown
    return f"{grown:.0f} KB more"


def flood_of_closes(world):
    with Socket(world) as socket:
        socket.send(close_frame(1000) * 10_000)
        code_is(socket, 1000)


def wrong_handshakes(world):
    """400 or 426 with words, and the connection is HTTP's still."""
    good = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    wrong = [(name, value, 426) for name, value in (("Upgrade", "h2c"), ("Upgrade", "websocketx"), ("Connection", "close-not"), ("Sec-WebSocket-Version", "12"), ("Sec-WebSocket-Version", "013"), ("Sec-WebSocket-Version", ""))]
    wrong += [("Sec-WebSocket-Key", value, 400) for value in ("", "AAAA", "A" * 24, "AAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAA===", "!" * 22 + "==", "A" * 4000)]
    for name, value, expected in wrong:
        fields = {**good, name: value}
        lines = "".join(f"{field}: {text}\r\n" for field, text in fields.items()).encode()
        with world.wire() as wire:
            wire.send(b"GET /v1/ws HTTP/1.1\r\n" + forms.HOST + lines + b"\r\n")
            status, _, body = wire.answer()
            assert status == expected and body, (name, value, status)
            wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wire.answer()[0] == 200


def code_is(socket, expected):
    found = socket.close_code()
    assert found == expected, found
