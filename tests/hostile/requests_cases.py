"""Malformed requests: alone, behind a good one, and a few bytes at a time."""

import time

import forms

GOOD = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
HIDDEN = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER_S = 2  # for one refusal, on a machine that does other work too
PIECE = 3


def cases():
    for name, data, statuses in forms.all_forms():
        yield f"{name}, alone", lambda world, data=data, statuses=statuses: refused(world, data, statuses)
        yield f"{name}, behind a good request", lambda world, data=data, statuses=statuses: refused(world, data, statuses, good=True)
        if len(data) < 1000:
            yield f"{name}, in pieces", lambda world, data=data, statuses=statuses: refused(world, data, statuses, piece=PIECE)
    yield "what only looks odd is served", odd_but_right


def odd_but_right(world):
    """What everybody reads in one way."""
    for line in (b"GET http://a/healthz HTTP/1.1", b"GET HTTP://A/healthz HTTP/1.1", b"GET https://a/healthz HTTP/1.1", b"GET http://b/healthz HTTP/1.0", b"GET /healthz?http://b HTTP/1.1"):
        host = b"" if line.endswith(b"1.0") else b"HOST:\t a \t\r\n"
        with world.wire() as wire:
            wire.send(b"\r\n" + line + b"\r\n" + host + b"X: a\tb\xff\r\nempty:\r\n\r\n")
            status, _, body = wire.answer()
            assert (status, body) == (200, b"ok\n"), (line, status, body)
    with world.wire() as wire:
        wire.send(b"GET http://a?x=/healthz HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + GOOD)
        assert wire.answer()[2].startswith(b"healthy: ")
        assert wire.answer()[0] != 400
        assert wire.answer()[2] == b"ok\n"


def refused(world, data, statuses, good=False, piece=None):
    """One answer with the words of its status, and the end: what follows is not read as a request."""
    with world.wire() as wire:
        begun = time.monotonic()
        send(wire, (GOOD if good else b"") + data + HIDDEN, piece)
        if good:
            status, _, body = wire.answer()
            assert (status, body) == (200, b"ok\n")
        status, headers, body = wire.answer()
        took = time.monotonic() - begun
        assert status in statuses and body == forms.REASONS[status], (status, body)
        assert headers["connection"] == "close"
        assert wire.is_closed()
        assert took < ANSWER_S, took


def send(wire, data, piece):
    """The server may have ended it before all was sent."""
    try:
        for at in range(0, len(data), piece or len(data)):
            wire.send(data[at:at + (piece or len(data))])
    except ConnectionError:
        pass
