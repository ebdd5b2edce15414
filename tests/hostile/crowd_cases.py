"""Crowds: many connections that each hold a little, or a few that hold much. What they cost has a bound, and others go on."""

import concurrent.futures
import contextlib
import resource
import statistics
import threading
import time

import forms
import world as worlds

CROWD = 1000
KB_BEFORE_HEAD = 64
MB = 1024 * 1024
POOL = 64 * MB  # of bodies that are being read
SLACK = 24 * MB  # what the allocator keeps for itself
ROUNDS = 5
TRIES = 3
SHARE = 0.95
GOOD = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
HALF_HEADS = {"one byte": b"G", "half a line": b"GET /healthz HT", "all but the end": GOOD[:-2], "16 KB of a value": GOOD[:-2] + b"X: " + b"x" * 16000, "63 lines": GOOD[:-2] + b"a: b\r\n" * 63,
              "empty lines": b"\r\n" * 8000, "16 KB behind a good request": GOOD + GOOD[:-2] + b"X: " + b"x" * 16000}


def cases():
    for name, data in HALF_HEADS.items():
        yield f"crowd: 1,000 of {name}", lambda world, d=data: half_heads(world, d)
    yield "crowd: others beside 1,000 half requests", others_go_on
    yield "crowd: half a request is told so after 10 s", told_after_10_s
    yield "crowd: a large body is not kept for the next head", large_body_then_half_a_head
    yield "crowd: bodies that nobody ends", bodies_without_end
    yield "crowd: a body that slows down", slowing_body
    yield "crowd: answers that nobody reads", unread_answers
    yield "crowd: answers read a byte at a time", trickled_answers
    yield "crowd: one address and the others", one_address


@contextlib.contextmanager
def crowd(world, count, data, **how):
    """So many connections that have sent this, and the server has read it."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with contextlib.ExitStack() as open_ones:
        wires_ = []
        for _ in range(count):
            wires_.append(open_ones.enter_context(world.wire(**how)))
            wires_[-1].send(data)
        world.check()  # it answers behind all of them
        yield wires_


def half_heads(world, data):
    """On a server that has done nothing else: what others used and freed would be used again."""
    with worlds.own(world) as attacked:
        before = attacked.resident()
        with crowd(attacked, CROWD, data):
            each = (attacked.resident() - before) / CROWD / 1024
        assert each <= KB_BEFORE_HEAD or not worlds.PLAIN, each
    return f"{each:.1f} KB a connection"


def others_go_on(world):
    """Rounds with the crowd and without take turns; the medians are compared, of the time and of the server's own processor time."""
    request = world.signed("GetItem", b'{"TableName":"%s","Key":{"pk":{"S":"kept"}}}' % world.table.encode())
    told = []
    for _ in range(TRIES):
        alone, beside = [], []
        measure(world, request)
        for _ in range(ROUNDS):
            alone.append(measure(world, request))
            with crowd(world, CROWD, HALF_HEADS["16 KB of a value"]):
                beside.append(measure(world, request))
            while world.server.metrics()["headwater_connections"] > CROWD / 10:
                pass
        shares = [statistics.median(row[i] for row in alone) / statistics.median(row[i] for row in beside) for i in range(2)]
        told.append(f"throughput {shares[0]:.3f}, work {shares[1]:.3f}")
        if max(shares) >= SHARE:
            return f"share of others with 1,000 half requests: {'; '.join(told)}"
    raise AssertionError(told)


def measure(world, request):
    """Seconds for 5,000 requests on one connection, 100 at a time, and the server's processor seconds for them."""
    with world.wire() as wire:
        ticks = cpu(world)
        begun = time.monotonic()
        for _ in range(50):
            wire.send(request * 100)
            for _ in range(100):
                assert wire.answer()[0] == 200
        return time.monotonic() - begun, cpu(world) - ticks


def cpu(world):
    return world.server.metrics()["headwater_cpu_us_total"] / 1e6


def told_after_10_s(world):
    """One 408 in its words, not before its time and not long after."""
    with crowd(world, 20, GOOD[:-2]) as waiting:
        begun = time.monotonic()
        for wire in waiting:
            status, headers, body = wire.answer()
            assert (status, headers["connection"], body) == (408, "close", forms.REASONS[408])
            assert wire.is_closed()
        took = time.monotonic() - begun
    assert 8.5 < took < 13, took
    return f"after {took:.1f} s"


def large_body_then_half_a_head(world):
    """What a message of 15 MB took is given back with its answer, also when a part of the next one came with it."""
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (15 * MB) + bytes(15 * MB) + b"GET"
    with worlds.own(world) as attacked, contextlib.ExitStack() as open_ones:
        before = attacked.resident()
        for _ in range(20):
            wire = open_ones.enter_context(attacked.wire())
            wire.send(data)
            assert wire.answer()[0] == 404
        grown = attacked.resident() - before
    assert grown < POOL or not worlds.PLAIN, grown
    return f"{grown / MB:.0f} MB of 300 held"


def bodies_without_end(world):
    """A few strangers fill all there is for bodies and hold it. Who comes after is served; the slowest are told so; what all hold has its bound."""
    part = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (15 * MB) + bytes(14 * MB)
    with worlds.own(world, "--head-timeout-ms", "4000", "--loops", "1") as attacked, contextlib.ExitStack() as open_ones:
        before = attacked.resident()
        hostile = []
        for _ in range(8):
            hostile.append(open_ones.enter_context(attacked.wire()))
            with contextlib.suppress(ConnectionError):
                hostile[-1].send(part)
        grown = attacked.resident() - before
        served_beside(attacked)
        told = [wire.answer()[0] for wire in hostile[:4]]
        assert set(told) <= {408, 503}, told
    assert grown < POOL + SLACK + 16 * MB or not worlds.PLAIN, grown
    return f"{grown / MB:.0f} MB held, {told[0]} to the first"


def served_beside(world):
    """A body of 4 MB that comes in two parts, again until it is let in: within 3 s, since nobody is slow in the first."""
    body = b'{"Unknown":"' + b"a" * (4 * MB) + b'"}'
    request = world.signed("ListTables", body)
    end = time.monotonic() + 3
    while True:
        with world.wire() as wire, contextlib.suppress(ConnectionError):
            wire.send(request[:MB])
            wire.send(request[MB:])
            status = wire.answer()[0]
            if status == 200:
                return
            assert status == 503
        assert time.monotonic() < end, "nobody else is served"


def slowing_body(world):
    """1 MB at once does not buy a quarter of an hour for the rest."""
    with worlds.own(world, "--head-timeout-ms", "2000") as attacked, attacked.wire() as slow, attacked.wire() as steady:
        begun = time.monotonic()
        slow.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (2 * MB) + bytes(MB))
        steady.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n")
        for _ in range(25):
            time.sleep(0.2)
            steady.send(bytes(2000))
            with contextlib.suppress(ConnectionError):
                slow.send(b"a")
        assert steady.answer()[0] == 404
        assert slow.answer()[0] == 408 and time.monotonic() - begun < 8


def large_item(world):
    """Bytes of a request whose answer has 390 KB."""
    world.api.call("PutItem", TableName=world.table, Item={"pk": {"S": "large"}, "v": {"S": "x" * 390_000}})
    return world.signed("GetItem", b'{"TableName":"%s","Key":{"pk":{"S":"large"}}}' % world.table.encode())


def unread_answers(world):
    """1,000 connections ask for 20 answers of 390 KB each and read none. Beside them a reader who takes his time gets all of his."""
    most = 16 * MB
    with worlds.own(world, "--loops", "1", "--unsent-bytes-max", str(most)) as attacked:
        request = large_item(attacked)
        before = attacked.resident()
        with crowd(attacked, 20, request * 20, room=4096), concurrent.futures.ThreadPoolExecutor() as threads:
            known = threading.Event()  # as somebody who takes answers: of those who are all new the wrong one may be closed
            reader = threads.submit(read_at_leisure, attacked, request, known)
            known.wait(30)
            with crowd(attacked, 1000, request * 20, room=4096):
                while not reader.done():
                    attacked.check()
                    figures = attacked.server.metrics()
                    assert figures["headwater_http_unsent_bytes"] <= 2 * most
                reader.result()
                assert figures["headwater_http_slow_closed_total"] > 0
                grown = attacked.resident() - before
                assert grown < 128 * MB or not worlds.PLAIN, grown  # of 640 MB that wait, were there no bound; what the requests themselves take comes on top of it
        held = figures["headwater_http_unsent_bytes"]
    return f"{held / MB:.0f} MB held, {figures['headwater_http_slow_closed_total']:.0f} closed, {grown / MB:.0f} MB more memory"


def read_at_leisure(attacked, request, known):
    """Ten answers by somebody who is not fast, and never has more to take than those who take nothing."""
    with attacked.wire(room=65536) as reader:
        for _ in range(10):
            reader.send(request)
            status, _, body = reader.answer()
            assert status == 200 and len(body) > 390_000
            known.set()
            time.sleep(0.1)


def trickled_answers(world):
    """Whoever takes less than 1 KB a second is closed, whoever takes more is not."""
    with worlds.own(world, "--loops", "1", "--idle-timeout-ms", "4000") as attacked:
        request = large_item(attacked)
        with attacked.wire(room=4096) as slow, attacked.wire(room=4096) as steady:
            slow.send(request * 20)
            steady.send(request * 20)
            begun = time.monotonic()
            while attacked.server.metrics()["headwater_http_slow_closed_total"] == 0:
                assert time.monotonic() - begun < 20, "it may go on for ever"
                time.sleep(0.25)
                slow.socket.recv(100)
                for _ in range(4):
                    steady.socket.recv(4096)
            took = time.monotonic() - begun
            for _ in range(3):
                assert steady.socket.recv(4096)
        assert attacked.server.metrics()["headwater_http_slow_closed_total"] == 1
    return f"closed after {took:.1f} s"


def one_address(world):
    """Past its share an address is answered 503; others are served, and so is it again when it has let one go."""
    with worlds.own(world, "--peer-connections-max", "3") as attacked:
        held = [attacked.wire(source="127.0.0.2") for _ in range(3)]
        for wire in held:
            wire.send(GOOD)
            assert wire.answer()[0] == 200
        with attacked.wire(source="127.0.0.2") as past:
            status, headers, body = past.answer()
            assert (status, headers["connection"], body) == (503, "close", forms.REASONS[503]) and past.is_closed()
        with attacked.wire(source="127.0.0.3") as other:
            other.send(GOOD)
            assert other.answer()[0] == 200
        held.pop().socket.close()
        end = time.monotonic() + 10
        while True:
            with attacked.wire(source="127.0.0.2") as again:
                again.send(GOOD)
                if again.answer()[0] == 200:
                    break
            assert time.monotonic() < end
        flood = [attacked.wire(source="127.0.0.2") for _ in range(500)]
        attacked.check()
        assert attacked.server.metrics()["headwater_connections_refused_total"] >= 400
        for wire in held + flood:
            wire.socket.close()
