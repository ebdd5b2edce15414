"""The chat's socket: frames, events, resuming, and every way it ends."""

import base64
import concurrent.futures
import json
import os
import socket as sockets
import struct

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import chat
from chat import check_error, people


@pytest.fixture
def pair(shared):
    ann, bob = people(shared, 2)
    return ann, bob, ann.open(bob)


# ---- frames ----


def test_connect(pair):
    """The answer says who one is and what the limits are; the subprotocol is agreed."""
    ann, _, _ = pair
    with ann.socket() as socket:
        assert socket.web.subprotocol == "chat.v1"
        answer = socket.connect()
        assert answer["user"] == {"id": ann.id, "handle": ann.handle}
        assert (answer["ping"], answer["pong"], answer["max_frame"]) == (25, True, 131072)
        assert answer["recovered"] is True and answer["conv"] == {} and answer["session"]


def test_send_and_event(pair):
    """A send is answered with its place, and comes as an event to every socket of both, the sender's included."""
    ann, bob, c = pair
    with ann.socket() as one, ann.socket() as two, bob.socket() as three:
        for socket in (one, two, three):
            socket.connect()
        answer = one.ask(send={"c": c, "key": "k1", "body": {"text": "hello"}})["send"]
        assert (answer["seq"], answer["n"], answer["replayed"]) == (2, 1, False)
        expected = {"c": c, "seq": 2, "type": "message.created", "n": 1, "data": bob.history(c)[0]}
        assert expected["data"]["ts"] == answer["ts"]
        for socket in (one, two, three):
            assert socket.wait_events(1) == [expected]


def test_ping(pair):
    ann, _, _ = pair
    with ann.socket() as socket:
        socket.connect()
        assert socket.ask(ping={}) == {"id": 2, "pong": {}}
        assert socket.ask(ping=None) == {"id": 3, "pong": {}}


def test_several_frames_in_one_message(pair):
    """Objects are separated by newlines; each is answered, in order; empty lines say nothing."""
    ann, bob, c = pair
    frames = [{"id": 10, "connect": {"token": ann.token}}]
    with ann.socket() as socket:
        socket.connect()
        frames = [{"id": 10 + i, "send": {"c": c, "key": f"k{i}", "body": {"text": f"line {i}"}}} for i in range(50)]
        socket.send_text("\n\n".join(json.dumps(frame) for frame in frames) + "\n")
        assert [socket.answer(10 + i)["send"]["n"] for i in range(50)] == list(range(1, 51))
    assert [message["body"]["text"] for message in bob.history(c)] == [f"line {i}" for i in range(50)]


@pytest.mark.parametrize("frame, code, detail", [
    ("{", "bad-json", None), ("[]", "bad-json", None), ("5", "bad-json", None), ('"connect"', "bad-json", None),
    ("{}", "bad-frame", None), ('{"id":1}', "bad-frame", None), ('{"id":1,"sent":{}}', "bad-frame", None),
    ('{"id":1,"send":5}', "bad-frame", None), ('{"id":1,"send":null}', "bad-frame", None),
    ('{"id":1,"send":{}}', "bad-field", "send.c must be a conversation's id"),
    ('{"id":1,"send":{"c":5,"body":{"text":"x"}}}', "bad-field", "send.c must be a conversation's id"),
    ('{"id":1,"send":{"c":"C","key":5,"body":{"text":"x"}}}', "bad-field", "send.key must be a string"),
    ('{"id":1,"send":{"c":"C","key":"","body":{"text":"x"}}}', "bad-field",
     "the idempotency key must be 1 to 64 printable ASCII characters"),
    ('{"id":1,"send":{"c":"C","key":"' + "k" * 65 + '","body":{"text":"x"}}}', "bad-field",
     "the idempotency key must be 1 to 64 printable ASCII characters"),
    ('{"id":1,"send":{"c":"C"}}', "bad-field", "body.text must be a string"),
    ('{"id":1,"send":{"c":"C","body":{"text":""}}}', "bad-field", "body.text must be 1 to 16384 bytes long"),
    ('{"id":1,"send":{"c":"C","body":{"text":"' + "x" * 16385 + '"}}}', "bad-field",
     "body.text must be 1 to 16384 bytes long"),
    ('{"id":1,"send":{"c":"d_nothing","body":{"text":"x"}}}', "not-a-member", None),
    ('{"id":1,"send":{"c":"' + "x" * 65 + '","body":{"text":"x"}}}', "bad-field", "send.c must be a conversation's id"),
    ('{"id":1,"send":{"c":"","body":{"text":"x"}}}', "bad-field", "send.c must be a conversation's id"),
])
def test_wrong_frames_get_an_error_and_the_socket_goes_on(pair, frame, code, detail):
    ann, _, c = pair
    with ann.socket() as socket:
        socket.connect()
        socket.send_text(frame.replace('"C"', json.dumps(c)))
        check_error(socket.answer(1 if '"id":1' in frame else 0), code, detail)
        assert socket.ask(ping={})["pong"] == {}
    assert ann.history(c) == []


def test_an_error_is_the_problem_of_the_http_interface(pair, shared):
    ann, _, c = pair
    eve = people(shared, 1)[0]
    with eve.socket() as socket:
        socket.connect()
        answer = socket.ask(send={"c": c, "key": "k", "body": {"text": "x"}})
        assert answer["error"] == eve.post(c, "x").body
        assert answer["error"]["code"] == "not-a-member"
    with ann.socket() as socket:
        socket.connect()
        socket.ask(send={"c": c, "key": "k", "body": {"text": "x"}})
        check_error(socket.ask(send={"c": c, "key": "k", "body": {"text": "y"}}), "idempotency-key-reuse")
        assert socket.ask(send={"c": c, "key": "k", "body": {"text": "x"}})["send"]["replayed"] is True


def test_a_stranger_hears_nothing(pair, shared):
    ann, _, c = pair
    eve = people(shared, 1)[0]
    with eve.socket() as socket:
        socket.connect()
        ann.send(c, "not for eve")
        mine = eve.open(ann)
        eve.send(mine, "for both")
        assert [event["c"] for event in socket.wait_events(2)] == [mine, mine]


# ---- who may ----


@pytest.mark.parametrize("frame", [{"send": {"c": "x", "body": {"text": "x"}}}, {"ping": {}}, {"other": {}}])
def test_connect_comes_first(shared, frame):
    with chat.Socket(shared) as socket:
        check_error(socket.ask(**frame), "bad-token", "connect first")
        assert socket.wait_closed() == (4500, "bad token")


@pytest.mark.parametrize("connect", [{}, {"token": None}, {"token": 5}, {"token": ""}, {"token": "x"}, {"token": "0" * 64},
                                     {"token": "é" * 32}])
def test_wrong_tokens(shared, connect):
    with chat.Socket(shared) as socket:
        check_error(socket.ask(connect=connect), "bad-token")
        assert socket.wait_closed() == (4500, "bad token")


def test_connecting_twice(pair):
    """Also in one message, before the first has its answer: one socket is one session."""
    ann, bob, c = pair
    with ann.socket() as socket:
        socket.connect()
        check_error(socket.ask(connect={"token": ann.token}), "bad-token", "connect once, with a token")
        assert socket.wait_closed() == (4500, "bad token")
    with ann.socket() as socket:
        frame = json.dumps({"id": 1, "connect": {"token": ann.token}})
        socket.send_text("\n".join([frame] * 5))
        assert socket.wait_closed() == (4500, "bad token")
    with ann.socket() as socket, bob.socket() as other:
        socket.connect()
        other.connect()
        bob.send(c, "still here?")
        assert socket.wait_events(1)[0]["n"] == other.wait_events(1)[0]["n"] == 1


@pytest.mark.parametrize("origin, good", [
    (None, True), ("own", True), ("https://own", True), ("http://evil.example", False), ("null", False),
    ("http://127.0.0.1", False), ("http://127.0.0.1:1", False), ("HTTP://OWN.evil.example", False),
    ("https://app.example", True), ("https://second.example:8443", True), ("https://app.example.evil", False),
    ("https://app.exampl", False),
])
def test_origins(start_server, origin, good):
    """A page may use the chat if it is ours or listed; programs name no origin."""
    server = start_server("--chat-origins", "https://app.example,https://second.example:8443")
    host = f"127.0.0.1:{server.port}"
    if origin == "own":
        origin = "http://" + host
    elif origin == "https://own":
        origin = "https://" + host
    if good:
        with chat.Socket(server, origin=origin) as socket:
            check_error(socket.ask(ping={}), "bad-token")
    else:
        with pytest.raises(InvalidStatus) as refused:
            chat.Socket(server, origin=origin)
        assert refused.value.response.status_code == 403
        answer = chat.Caller(server).call("POST", "/v1/users", {"handle": "evil", "password": "x" * 8},
                                          {"Origin": origin})
        chat.check_problem(answer, 403, "bad-origin")


# ---- events ----


def test_a_conversation_that_somebody_opens_arrives(pair, shared):
    """Without asking for it, with its members, and its messages after it."""
    ann, bob, _ = pair
    eve = people(shared, 1)[0]
    with ann.socket() as socket:
        socket.connect()
        c = eve.open(ann)
        eve.send(c, "hello from eve")
        created, message = socket.wait_events(2)
        assert created == {"c": c, "seq": 1, "type": "conversation.created", "n": 0, "data": {
            "id": c, "kind": "dm", "members": [{"id": person.id, "handle": person.handle, "role": "member"}
                                               for person in (eve, ann)]}}
        assert (message["c"], message["seq"], message["data"]["body"]["text"]) == (c, 2, "hello from eve")


def test_events_are_the_history(pair):
    """Under many senders, by call and by socket: every reader's events are dense, in order, and the table's."""
    ann, bob, c = pair
    texts = [f"{i} " + "x" * (1000 if i % 3 == 0 else 10) for i in range(300)]
    with ann.socket() as one, bob.socket() as two:
        one.connect()
        two.connect()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = [pool.submit((ann if i % 2 else bob).send, c, texts[i], f"call-{i}") for i in range(0, 300, 2)]
            for i in range(1, 300, 2):
                two.start(send={"c": c, "key": f"frame-{i}", "body": {"text": texts[i]}})
            for answer in done:
                answer.result()
        for socket in (one, two):
            assert [event["seq"] for event in socket.wait_events(300)] == list(range(2, 302))
        history = ann.history(c)
        assert [event["data"] for event in one.events] == [event["data"] for event in two.events] == history
        assert sorted(message["body"]["text"] for message in history) == sorted(texts)


def test_with_followers_held_a_send_is_answered_and_nobody_sees_it(hooked):
    """The delivery is the stream: what the follower does not hand over reaches no socket, not even the sender's."""
    ann, bob = people(hooked, 2)
    c = ann.open(bob)
    with ann.socket() as one, bob.socket() as two:
        one.connect()
        two.connect()
        hooked.hold_followers()
        sent = [one.ask(send={"c": c, "key": f"k{i}", "body": {"text": f"held {i}"}})["send"]["seq"] for i in range(5)]
        assert sent == [2, 3, 4, 5, 6]
        for socket in (one, two):
            assert socket.ask(ping={})["pong"] == {}
            assert socket.events == []
        assert [message["seq"] for message in bob.history(c)] == sent, "who asks is told what is durable"
        hooked.hold_followers(False)
        for socket in (one, two):
            assert [event["seq"] for event in socket.wait_events(5)] == sent


def test_a_transaction_on_the_table_is_a_message(server):
    """Whoever writes HEAD and the message's row by the AWS CLI has sent: it arrives like any other."""
    ann, bob = people(server, 2)
    c = ann.open(bob)
    ann.send(c, "by the page")
    with ann.socket() as one, bob.socket() as two:
        one.connect()
        two.connect()
        server.aws("dynamodb", "transact-write-items", "--transact-items",
                   json.dumps(append_by_hand(server, ann, c, "by the CLI")))
        for socket in (one, two):
            event = socket.wait_events(1)[0]
            assert (event["seq"], event["n"], event["data"]["body"]["text"]) == (3, 2, "by the CLI")
            assert event["data"]["sender"]["handle"] == ann.handle
        assert [message["body"]["text"] for message in bob.history(c)] == ["by the page", "by the CLI"]
        assert one.ask(send={"c": c, "key": "k", "body": {"text": "and on"}})["send"]["seq"] == 4


def append_by_hand(server, person, c, text):
    """The transaction that appends a message, from the head as it is now."""
    key = {"pk": {"S": f"0|C#{c}"}, "sk": {"S": "#HEAD"}}
    head = server.dynamodb.get_item(TableName="headwater.chat_log", Key=key)["Item"]
    seq = int(head["seq"]["N"])
    message = {"type": {"S": "message.created"}, "seq": {"N": str(seq + 1)}, "n": {"N": str(int(head["n"]["N"]) + 1)},
               "ts": head["ts"], "sender": {"M": {"id": {"S": person.id}, "handle": {"S": person.handle}}},
               "client_id": {"S": f"cli-{seq}"}, "ver": {"N": "1"}, "body": {"M": {"text": {"S": text}}}}
    row = {"pk": {"S": f"0|L#{c}#{(seq + 1) >> 12}"}, "sk": {"S": f"m#{seq + 1:012}"}, **message}
    return [
        {"Update": {"TableName": "headwater.chat_log", "Key": key,
                    "UpdateExpression": "SET seq = :s1, n = :n, ev = :ev", "ConditionExpression": "seq = :s0",
                    "ExpressionAttributeValues": {":s0": {"N": str(seq)}, ":s1": message["seq"], ":n": message["n"],
                                                  ":ev": {"L": [{"M": message}]}}}},
        {"Put": {"TableName": "headwater.chat_log", "Item": row, "ConditionExpression": "attribute_not_exists(pk)"}}]


# ---- resuming ----


def test_resume(pair):
    """What was missed comes before the answer to connect, in order; nothing that was had comes again."""
    ann, bob, c = pair
    for i in range(10):
        ann.send(c, f"message {i}" + "x" * 800 * (i % 2))
    for had in (0, 1, 5, 10):
        with bob.socket() as socket:
            answer = socket.connect({c: had})
            assert answer["conv"] == {c: {"from": had + 1, "to": 11, "recovered": True}}
            assert answer["recovered"] is True
            assert socket.events == bob.events(c, had)
    with bob.socket() as socket:
        for had in (11, 12, 2**53):
            with bob.socket() as current:
                answer = current.connect({c: had})
                assert answer["conv"][c]["recovered"] is True and current.events == []
        socket.connect({})
        ann.send(c, "live")
        assert socket.wait_events(1)[0]["seq"] == 12


def test_resume_while_others_write(pair):
    """Events that come while one resumes are not lost: pushed or found, by seq each is had at least once."""
    ann, bob, c = pair
    for i in range(100):
        ann.send(c, f"before {i}")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [ann.send(c, f"while {i}")["seq"] for i in range(100)])
        with bob.socket() as socket:
            socket.connect({c: 1})
            last = writing.result()[-1]
            seen = set()
            while last not in seen:
                socket.wait_events(len(socket.events) + 1)
                seen = {event["seq"] for event in socket.events}
            assert seen >= set(range(2, last + 1))


def test_too_far_behind(pair):
    """More than 1,000 events, or more than 512 KiB of them, are read by pages instead."""
    ann, bob, c = pair
    other = bob.open(people(bob.server, 1)[0])
    with ann.socket() as socket:
        socket.connect()
        for first in range(0, 1000, 250):
            numbers = [socket.start(send={"c": c, "key": f"k{i}", "body": {"text": "x"}})
                       for i in range(first, first + 250)]
            for number in numbers:
                assert "send" in socket.answer(number)
    with bob.socket() as socket:
        answer = socket.connect({c: 0, other: 0})
        assert answer["conv"] == {c: {"from": 1, "to": 1001, "recovered": False},
                                  other: {"from": 1, "to": 1, "recovered": True}}
        assert answer["recovered"] is False
        assert [event["c"] for event in socket.events] == [other]
    with bob.socket() as socket:
        assert socket.connect({c: 1})["conv"][c] == {"from": 2, "to": 1001, "recovered": True}
        assert [event["seq"] for event in socket.events] == list(range(2, 1002))


def test_too_much_to_resume(pair):
    ann, bob, c = pair
    for i in range(40):
        ann.send(c, f"{i}" + "x" * 16000)
    with bob.socket() as socket:
        answer = socket.connect({c: 1})
        assert answer["conv"] == {c: {"from": 2, "to": 41, "recovered": False}} and answer["recovered"] is False
        had = [event["seq"] for event in socket.events]
        assert had == list(range(2, 2 + len(had))) and 25 < len(had) < 40, "what fits has come"
    assert [event["seq"] for event in bob.events(c, had[-1])] == list(range(had[-1] + 1, 42))


def test_resuming_what_one_is_not_in(pair):
    """It is not recovered, and nothing is told of it; the others are."""
    ann, bob, c = pair
    eve = people(ann.server, 1)[0]
    mine = eve.open(ann)
    with eve.socket() as socket:
        answer = socket.connect({c: 0, "d_nothing": 0, mine: 0})
        assert answer["conv"] == {c: {"from": 1, "to": 0, "recovered": False},
                                  "d_nothing": {"from": 1, "to": 0, "recovered": False},
                                  mine: {"from": 1, "to": 1, "recovered": True}}
        assert [event["c"] for event in socket.events] == [mine]


@pytest.mark.parametrize("resume", [{"c": "5"}, {"c": -1}, {"c": 1.5}, {"c": None}, {"x" * 65: 1}])
def test_wrong_resumes(pair, resume):
    ann, _, _ = pair
    with ann.socket() as socket:
        answer = socket.ask(connect={"token": ann.token, "resume": {"conv": resume}})
        check_error(answer, "bad-field", "resume.conv must map conversations to sequence numbers")


def test_resuming_very_many(pair):
    """500 conversations may be named, and need no more stack than one."""
    ann, _, _ = pair
    with ann.socket() as socket:
        names = {f"d_{i}": 0 for i in range(500)}
        assert len(socket.connect(names)["conv"]) == 500
    with ann.socket() as socket:
        names["one-more"] = 0
        answer = socket.ask(connect={"token": ann.token, "resume": {"conv": names}})
        check_error(answer, "bad-field", "resume.conv may name 500 conversations")


# ---- bounds ----


def test_a_frame_that_is_too_long(pair):
    """131,072 bytes are read, one more closes; the longest text fits in whatever form."""
    ann, bob, c = pair
    with ann.socket() as socket:
        socket.connect()
        frame = {"id": 9, "send": {"c": c, "key": "k" * 64, "body": {"text": "\x01" * 16384}}}
        text = json.dumps(frame)
        assert len(text) > 98304
        socket.send_text(text + " " * (131072 - len(text)))
        assert socket.answer(9)["send"]["n"] == 1
        socket.send_text(text + " " * (131073 - len(text)))
        assert socket.wait_closed()[0] == 1009
    assert len(bob.history(c)) == 1


def test_a_binary_frame(pair):
    ann, _, _ = pair
    with ann.socket() as socket:
        socket.connect()
        socket.web.send(b"{}")
        assert socket.wait_closed() == (1003, "text frames only")


def test_a_text_frame_that_is_no_utf8(pair):
    ann, _, _ = pair
    with ann.socket() as socket:
        socket.connect()
        socket.web.send(b'{"id":1,"ping":"\xff"}', text=True)
        assert socket.wait_closed()[0] == 1007


def test_too_many_frames_under_way(pair):
    """Past 1,024 unanswered frames of one socket the next are told so; they may be sent again with their keys."""
    ann, bob, c = pair
    frames = [{"id": 10 + i, "send": {"c": c, "key": f"k{i}", "body": {"text": str(i)}}} for i in range(3000)]
    with ann.socket() as socket:
        socket.connect()
        while frames:
            for first in range(0, len(frames), 1000):
                socket.send_text("\n".join(json.dumps(frame) for frame in frames[first:first + 1000]))
            again = []
            for frame in frames:
                answer = socket.answer(frame["id"])
                if "error" in answer:
                    check_error(answer, "busy")
                    assert answer["error"]["retryable"] is True
                    again.append(frame)
            frames = again
    assert sorted(int(message["body"]["text"]) for message in bob.history(c)) == list(range(3000))


def test_a_flood_of_one_key_needs_no_stack(start_server):
    """Thousands of sends that are answered at once, one after the other, in one turn."""
    server = start_server("--loops", "1")
    ann, bob = people(server, 2)
    c = ann.open(bob)
    line = '{"id":%d,"send":{"c":"' + c + '","key":"same","body":{"text":"x"}}}'
    flood = [ann.socket() for _ in range(4)]
    for socket in flood:
        socket.connect()
    for socket in flood:
        socket.send_text("\n".join(line % (10 + i) for i in range(1000)))
    for socket in flood:
        assert {socket.answer(10 + i)["send"]["seq"] for i in range(1000)} == {2}
        socket.close()
    assert len(bob.history(c)) == 1


def test_a_slow_reader_is_closed_at_its_bound(start_server):
    """Past 1 MiB that waits for it. What it had is a dense beginning; resuming brings the rest."""
    server = start_server("--loops", "1")
    ann, bob = people(server, 2)
    c = ann.open(bob)
    with bob.socket(max_queue=1) as slow:
        slow.connect()
        sent = 0
        while server.metrics()["headwater_chat_deliveries_total"] == sent:
            assert sent < 3000, "it is still not closed"
            for _ in range(20):
                ann.send(c, "x" * 16384)
            sent += 20
            before = server.metrics()["headwater_chat_events_total"]
            while before < sent + 1:
                before = server.metrics()["headwater_chat_events_total"]
        assert sent * 16384 > 1024 * 1024
        assert slow.wait_closed() == (4008, "slow consumer")
        had = [event["seq"] for event in slow.events]
    assert had == list(range(2, 2 + len(had))) and len(had) < sent
    rest = bob.events(c, had[-1])
    assert [event["seq"] for event in rest] == list(range(had[-1] + 1, sent + 2))


def test_a_flood_of_pings_is_bounded(start_server):
    """Pongs wait for who does not read them, up to the bound of all that waits; then the socket is closed."""
    server = start_server("--loops", "1")
    flood = RawSocket(server)
    ping = struct.pack("!BB4s", 0x89, 0x80 | 125, bytes(4)) + bytes(125)
    for _ in range(250):
        flood.tcp.sendall(ping * 1000)  # 32 MB in all, far more than the kernel keeps of the pongs
    opcode, payload = flood.frame()
    pongs = 0
    while opcode == 10:
        pongs += 1
        opcode, payload = flood.frame()
    assert opcode == 8 and struct.unpack("!H", payload[:2])[0] == 4008 and payload[2:] == b"slow consumer"
    assert pongs < 250 * 1000


def test_who_answers_no_ping_is_closed(start_server):
    """After two pings without a word. Who answers them stays."""
    server = start_server("--ping-ms", "1000")
    ann = people(server, 1)[0]
    with ann.socket() as alive:
        assert alive.connect()["ping"] == 1
        dead = RawSocket(server)
        opcodes = []
        while True:
            opcode, payload = dead.frame()
            opcodes.append(opcode)
            if opcode == 8:
                break
        assert opcodes == [9, 9, 8]
        assert struct.unpack("!H", payload[:2])[0] == 4012 and payload[2:] == b"no pong"
        assert alive.ask(ping={})["pong"] == {}


class RawSocket:
    """A WebSocket that answers nothing by itself."""

    def __init__(self, server):
        self.tcp = sockets.create_connection(("127.0.0.1", server.port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.tcp.sendall(f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.stream = self.tcp.makefile("rb")
        assert self.stream.readline().startswith(b"HTTP/1.1 101")
        while self.stream.readline() != b"\r\n":
            pass

    def frame(self):
        first, length = self.stream.read(2)
        assert length < 126
        return first & 15, self.stream.read(length)


def test_a_stop_closes_sockets_so_that_they_come_back(start_server):
    """4001: the server restarts; the client's resume brings what it missed."""
    server = start_server()
    ann, bob = people(server, 2)
    c = ann.open(bob)
    with bob.socket() as socket:
        socket.connect()
        ann.send(c, "one")
        socket.wait_events(1)
        server.stop()
        assert socket.wait_closed()[0] == 4001
    server.start()
    ann.send(c, "two")
    with bob.socket() as socket:
        socket.connect({c: 2})
        assert [event["seq"] for event in socket.events] == [3]


def test_a_kill_loses_nothing_that_was_answered(start_server):
    """200 frames under way: what was answered is there, the rest is sent again by its key, each is there once."""
    server = start_server()
    ann, bob = people(server, 2)
    c = ann.open(bob)
    frames = {10 + i: {"id": 10 + i, "send": {"c": c, "key": f"k{i}", "body": {"text": str(i)}}} for i in range(200)}
    answered = {}
    with ann.socket() as socket:
        socket.connect()
        socket.send_text("\n".join(json.dumps(frame) for frame in frames.values()))
        socket.answer(30)
        server.kill()
        with pytest.raises(ConnectionClosed):
            for number in frames:
                answered[number] = socket.answer(number)["send"]["seq"]
    server.start()
    seqs = {message["client_id"]: message["seq"] for message in bob.history(c)}
    for number, seq in answered.items():
        assert seqs[f"k{number - 10}"] == seq
    with ann.socket() as socket:
        socket.connect({c: 1})
        socket.send_text("\n".join(json.dumps(frame) for frame in frames.values()))
        for number in frames:
            assert "send" in socket.answer(number)
    history = bob.history(c)
    assert [message["body"]["text"] for message in history] == [str(i) for i in range(200)]
    assert [message["seq"] for message in history] == list(range(2, 202))
