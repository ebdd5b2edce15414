"""Messages: sending once whatever happens, history and events without holes."""

import concurrent.futures
import re

import pytest

from chat import Caller, check_problem, people

SIX_BYTES_EACH = "\x01" * 16384  # once it is JSON


@pytest.fixture
def pair(shared):
    """Two people and their conversation."""
    ann, bob = people(shared, 2)
    return ann, bob, ann.open(bob)


def test_a_message(pair):
    """What is sent is what both read, with all the fields that the interface promises."""
    ann, bob, c = pair
    sent = ann.post(c, "hello", key="k-1")
    assert sent.status == 201 and "Idempotent-Replayed" not in sent.headers
    message = sent.body
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message.pop("ts"))
    assert message == {"seq": 2, "n": 1, "sender": {"id": ann.id, "handle": ann.handle}, "client_id": "k-1",
                       "body": {"text": "hello"}, "ver": 1}
    for person in (ann, bob):
        assert person.history(c) == [{**message, "ts": sent.body.get("ts", person.history(c)[0]["ts"])}]
        events = person.events(c)
        assert [(event["c"], event["seq"], event["n"], event["type"]) for event in events] == [
            (c, 1, 0, "conversation.created"), (c, 2, 1, "message.created")]
        assert events[1]["data"] == person.history(c)[0]


@pytest.mark.parametrize("text", [
    "x", "é", "x" * 700, "x" * 701, "ß" * 350, "ß" * 351, "x" * 16384, "😀" * 4096, "日" * 5461 + "x", "\n" * 16384,
    SIX_BYTES_EACH, "\"\\" * 8192, "\0", " ", "<script>alert(1)</script>", "\u202eright to left\u2066",
    "\U0010ffff\ufffd", "line\r\nline\tend",
], ids=lambda text: f"{len(text.encode())}-bytes-{text[:3]!r}")
def test_texts(pair, text):
    """1 to 16,384 bytes of any UTF-8 arrive as they were sent, by page, event and socket."""
    ann, bob, c = pair
    with bob.socket() as socket:
        socket.connect()
        sent = ann.send(c, text)
        assert sent["body"]["text"] == text
        assert socket.wait_events(1)[0]["data"] == sent
    assert bob.history(c) == [sent]
    assert bob.events(c)[1]["data"] == sent
    assert bob.inbox()[c]["last"] == sent


def test_a_body_that_no_message_needs_is_not_read(pair):
    ann, _, c = pair
    before = ann.inbox()
    assert ann.call("POST", f"/v1/conversations/{c}/messages", {"body": {"text": "x" * 262144}}).status == 413
    assert Caller(ann.server).call("POST", "/v1/users", b" " * 262145).status == 413
    assert ann.inbox() == before


@pytest.mark.parametrize("body, detail", [
    ({"body": {"text": ""}}, "body.text must be 1 to 16384 bytes long"),
    ({"body": {"text": "x" * 16385}}, "body.text must be 1 to 16384 bytes long"),
    ({"body": {"text": "😀" * 4096 + "x"}}, "body.text must be 1 to 16384 bytes long"),
    ({"body": {"text": "x" * 200000}}, "body.text must be 1 to 16384 bytes long"),
    ({}, "body.text must be a string"), ({"body": None}, "body.text must be a string"),
    ({"body": "x"}, "body.text must be a string"), ({"body": []}, "body.text must be a string"),
    ({"body": {}}, "body.text must be a string"), ({"body": {"text": None}}, "body.text must be a string"),
    ({"body": {"text": 5}}, "body.text must be a string"), ({"body": {"text": ["x"]}}, "body.text must be a string"),
    ({"body": {"text": {"text": "x"}}}, "body.text must be a string"),
    ({"body": {"text": "x"}, "client_id": 5},
     "client_id must be a string, and the Idempotency-Key when both are given"),
    ({"body": {"text": "x"}, "client_id": ""}, "the idempotency key must be 1 to 64 printable ASCII characters"),
])
def test_wrong_messages_change_nothing(pair, body, detail):
    ann, _, c = pair
    before = ann.inbox()
    check_problem(ann.call("POST", f"/v1/conversations/{c}/messages", body), 400, "bad-field", detail)
    assert ann.inbox() == before and ann.history(c) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"5", b"null", b'{"body":{"text":"\xff"}}',
                                  b'{"body":{"text":"\\ud800"}}', b'{"body":{"text":"x"}} {}'])
def test_what_is_no_json(pair, data):
    ann, _, c = pair
    check_problem(ann.call("POST", f"/v1/conversations/{c}/messages", data), 400, "bad-json")
    assert ann.history(c) == []


# ---- idempotency ----


def test_the_same_key_again(pair):
    """The first outcome again, byte for byte, marked as a replay; another text is refused."""
    ann, bob, c = pair
    first = ann.post(c, "hello", "once")
    for _ in range(3):
        again = ann.post(c, "hello", "once")
        assert again.status == 201 and again.body == first.body
        assert again.headers["Idempotent-Replayed"] == "true"
    check_problem(ann.post(c, "hello!", "once"), 422, "idempotency-key-reuse")
    assert ann.history(c) == [first.body]
    # A key is its user's.
    assert bob.post(c, "mine", "once").headers.get("Idempotent-Replayed") is None
    assert [message["n"] for message in ann.history(c)] == [1, 2]


def test_the_same_key_in_another_conversation(pair, shared):
    ann, _, c = pair
    other = ann.open(people(shared, 1)[0])
    ann.send(c, "hello", "k")
    check_problem(ann.post(other, "hello", "k"), 422, "idempotency-key-reuse")
    assert ann.history(other) == []


def test_header_and_client_id_are_the_same_key(pair):
    ann, bob, c = pair
    path = f"/v1/conversations/{c}/messages"
    first = ann.ok("POST", path, {"body": {"text": "x"}, "client_id": "k"})
    assert first["client_id"] == "k"
    assert ann.post(c, "x", "k").headers["Idempotent-Replayed"] == "true"
    assert ann.post(c, "x", '"k"').headers["Idempotent-Replayed"] == "true", "the quoted form of the draft"
    both = {"body": {"text": "x"}, "client_id": "k"}
    assert ann.call("POST", path, both, {"Idempotency-Key": "k"}).headers["Idempotent-Replayed"] == "true"
    check_problem(ann.call("POST", path, both, {"Idempotency-Key": "other"}), 400, "bad-field")
    with ann.socket() as socket:
        socket.connect()
        answer = socket.ask(send={"c": c, "key": "k", "body": {"text": "x"}})["send"]
        assert answer == {"seq": first["seq"], "n": 1, "ts": first["ts"], "replayed": True}
    assert bob.history(c) == [first]


@pytest.mark.parametrize("key, good", [
    ("x", True), ("x" * 64, True), ("a key with spaces!~", True), ("x" * 65, False), ("", False), ('""', False),
    ("é", False), ("tab\there", False),
])
def test_keys(pair, key, good):
    ann, _, c = pair
    answer = ann.post(c, "hello", key.encode("utf-8") if key == "é" else key)
    if good:
        assert answer.status == 201 and answer.body["client_id"] == key
        assert ann.post(c, "hello", key).headers["Idempotent-Replayed"] == "true"
    else:
        check_problem(answer, 400, "bad-field", "the idempotency key must be 1 to 64 printable ASCII characters")
        assert ann.history(c) == []


def test_without_a_key_each_is_a_message(pair):
    ann, _, c = pair
    sent = [ann.send(c, "the same words") for _ in range(3)]
    assert [message["n"] for message in sent] == [1, 2, 3]
    assert len({message["client_id"] for message in sent}) == 3


def test_concurrent_twins(pair):
    """However many send one key at once, one message is made and all get its answer."""
    ann, bob, c = pair
    for round_number in range(5):
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _, key=f"twin-{round_number}": ann.post(c, "hello", key), range(12)))
        assert {answer.status for answer in answers} == {201}
        assert len({answer.body["seq"] for answer in answers}) == 1
        assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert [message["client_id"] for message in bob.history(c)] == [f"twin-{i}" for i in range(5)]


def test_concurrent_twins_of_different_texts(pair):
    """One text wins; the others learn that the key is taken."""
    ann, bob, c = pair
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: ann.post(c, f"text {i}", "twin"), range(12)))
    assert sorted(answer.status for answer in answers) == [201] + [422] * 11
    assert len(bob.history(c)) == 1


def test_a_key_outlives_a_kill_and_is_kept_seven_days(start_server):
    server = start_server(hooks=True)
    ann, bob = people(server, 2)
    c = ann.open(bob)
    first = ann.send(c, "hello", "k")
    server.kill()
    server.start()
    again = ann.post(c, "hello", "k")
    assert again.body == first and again.headers["Idempotent-Replayed"] == "true"
    server.move_clock((7 * 24 * 3600 - 60) * 1000)
    ann.log_in()
    assert ann.post(c, "hello", "k").headers["Idempotent-Replayed"] == "true"
    server.move_clock((7 * 24 * 3600 + 60) * 1000)
    later = ann.post(c, "hello", "k")
    assert "Idempotent-Replayed" not in later.headers and later.body["n"] == 2
    bob.log_in()
    assert [message["n"] for message in bob.history(c)] == [1, 2]


def test_time_does_not_run_backwards_in_a_conversation(hooked):
    ann, bob = people(hooked, 2)
    c = ann.open(bob)
    hooked.move_clock(3600 * 1000)
    first = ann.send(c, "an hour ahead")
    hooked.move_clock(0)
    assert ann.send(c, "back again")["ts"] == first["ts"]


# ---- order ----


def test_many_senders_make_one_dense_order(pair):
    """Over two members and many connections: seq without a gap, every key once, both see the same."""
    ann, bob, c = pair
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        sent = list(pool.map(lambda i: (ann if i % 2 else bob).send(c, f"message {i}", f"key-{i}"), range(200)))
    assert sorted(message["seq"] for message in sent) == list(range(2, 202))
    history = bob.history(c)
    assert history == ann.history(c) == sorted(sent, key=lambda message: message["seq"])
    assert [message["n"] for message in history] == list(range(1, 201))
    assert [event["seq"] for event in ann.events(c)] == list(range(1, 202))


# ---- pages ----


def test_pages(pair):
    """before and after walk both ways without a hole or an overlap, whatever the limit."""
    ann, bob, c = pair
    everything = [ann.send(c, f"message {i}") for i in range(23)]
    for limit in (1, 2, 5, 22, 23, 24, 200):
        page = bob.page(c, limit=limit)
        backwards = page["items"]
        assert len(backwards) == min(limit, 23) and page["head_seq"] == 24 and page["next"] is None
        while page["prev"] is not None:
            page = bob.page(c, before=page["prev"], limit=limit)
            assert 1 <= len(page["items"]) <= limit
            backwards = page["items"] + backwards
        assert backwards == everything
        page = bob.page(c, after=0, limit=limit)
        forwards = page["items"]
        assert page["prev"] is None
        while page["next"] is not None:
            page = bob.page(c, after=page["next"], limit=limit)
            assert 1 <= len(page["items"]) <= limit
            forwards += page["items"]
        assert forwards == everything
        events = bob.page(c, "events", after=0, limit=limit)
        found = events["items"]
        while events["next"] is not None:
            events = bob.page(c, "events", after=events["next"], limit=limit)
            found += events["items"]
        assert [event["seq"] for event in found] == list(range(1, 25))
    assert len(bob.page(c)["items"]) == 23, "50 are the default"
    for bounds in ({"before": 1}, {"before": 2}, {"after": 24}, {"after": 999999999999999}):
        page = bob.page(c, **bounds)
        assert (page["items"], page["next"], page["prev"], page["head_seq"]) == ([], None, None, 24)
    assert bob.page(c, "events", after=24)["items"] == []


def test_pages_of_the_longest_messages(pair):
    """A full page of texts that JSON makes six times as long: 200 of 16,384 bytes."""
    ann, bob, c = pair
    with ann.socket() as socket:
        socket.connect()
        for first in range(1, 201, 5):  # fewer bytes than make a slow consumer of who sends before reading
            numbers = [socket.start(send={"c": c, "key": f"k{n}", "body": {"text": SIX_BYTES_EACH}})
                       for n in range(first, first + 5)]
            assert [socket.answer(number)["send"]["n"] for number in numbers] == list(range(first, first + 5))
    page = bob.page(c, limit=200)
    assert [message["n"] for message in page["items"]] == list(range(1, 201))
    assert {message["body"]["text"] for message in page["items"]} == {SIX_BYTES_EACH}
    assert [message["n"] for message in bob.history(c)] == list(range(1, 201))
    assert [event["n"] for event in bob.events(c)] == list(range(201))


def test_pages_across_buckets(server):
    """4,096 sequence numbers share a key: a page crosses to the next one both ways."""
    ann, bob = people(server, 2)
    c = ann.open(bob)
    total = 4200
    with ann.socket() as socket:
        socket.connect()
        for first in range(0, total, 500):
            numbers = [socket.start(send={"c": c, "key": f"k{i}", "body": {"text": str(i)}})
                       for i in range(first, min(first + 500, total))]
            for number in numbers:
                assert "send" in socket.answer(number)
        socket.wait_events(total)
        assert [event["data"]["body"]["text"] for event in socket.events] == [str(i) for i in range(total)]
    assert [message["body"]["text"] for message in bob.history(c)] == [str(i) for i in range(total)]
    assert [event["seq"] for event in bob.events(c)] == list(range(1, total + 2))
    for low in (4090, 4094, 4095, 4096, 4097):
        expected = [seq for seq in range(low + 1, low + 11)]
        assert [message["seq"] for message in bob.page(c, after=low, limit=10)["items"]] == expected
        assert [message["seq"] for message in bob.page(c, before=low + 11, limit=10)["items"]] == expected
        assert [event["seq"] for event in bob.page(c, "events", after=low, limit=10)["items"]] == [
            seq for seq in expected if seq >> 12 == (low + 1) >> 12]


@pytest.mark.parametrize("query", ["before=x", "before=-1", "after=1.5", "before=1&after=1", "limit=0", "limit=201",
                                   "limit=x", "before=1000000000000000", "after=%31"])
def test_wrong_pages(pair, query):
    ann, _, c = pair
    check_problem(ann.call("GET", f"/v1/conversations/{c}/messages?{query}"), 400, "bad-field",
                  "before or after must be a sequence number, limit 1 to 200")


@pytest.mark.parametrize("query", ["", "after=", "after=x", "after=-1", "after=1&limit=0", "after=1&limit=201"])
def test_wrong_event_pages(pair, query):
    ann, _, c = pair
    check_problem(ann.call("GET", f"/v1/conversations/{c}/events?{query}"), 400, "bad-field",
                  "after must be a sequence number, limit 1 to 200")
