"""Conversations: one for each pair, the list, read marks and the arithmetic of unread."""

import concurrent.futures

import pytest

from chat import Caller, check_problem, new_handle, people


def test_opening(shared):
    """One conversation for a pair, whoever opens it and however often."""
    ann, bob, eve = people(shared, 3)
    first = ann.call("POST", "/v1/conversations", {"with": bob.handle})
    assert first.status == 201
    made = first.body
    assert made["kind"] == "dm" and (made["head_seq"], made["n"], made["read_n"], made["unread"]) == (1, 0, 0, 0)
    members = [{"id": person.id, "handle": person.handle, "role": "member"} for person in (ann, bob)]
    assert made["members"] == members and "last" not in made
    for person, other in ((ann, bob), (bob, ann), (ann, bob)):
        again = person.call("POST", "/v1/conversations", {"with": other.handle})
        assert again.status == 200 and again.body == made
    assert ann.open(eve) != made["id"]


def test_opening_again_tells_how_it_stands(shared):
    """The answer for a conversation that was there is that of the list, unread and last message included."""
    ann, bob = people(shared, 2)
    c = ann.open(bob)
    for i in range(3):
        ann.send(c, f"message {i}")
    bob.read(c, 3)
    for person, other, unread in ((ann, bob, 0), (bob, ann, 1)):
        again = person.ok("POST", "/v1/conversations", {"with": other.handle})
        assert again == person.inbox()[c]
        assert again["unread"] == unread and again["last"]["body"]["text"] == "message 2"


def test_opening_from_both_sides_at_once(shared):
    """However many ask at the same moment there is one conversation, made once."""
    for _ in range(5):
        ann, bob = people(shared, 2)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(
                lambda i, a=ann, b=bob: (a if i % 2 else b).call(
                    "POST", "/v1/conversations", {"with": (b if i % 2 else a).handle}), range(16)))
        assert sorted(answer.status for answer in answers) == [200] * 15 + [201]
        assert len({answer.body["id"] for answer in answers}) == 1
        c = answers[0].body["id"]
        assert list(ann.inbox()) == list(bob.inbox()) == [c]
        assert [(event["seq"], event["type"]) for event in ann.events(c)] == [(1, "conversation.created")]


@pytest.mark.parametrize("body, status, code", [
    ({}, 400, "bad-field"), ({"with": None}, 400, "bad-field"), ({"with": 7}, 400, "bad-field"),
    ({"with": ["ann"]}, 400, "bad-field"), ({"with": ""}, 404, "no-such-user"), ({"with": "x"}, 404, "no-such-user"),
    ({"with": "nobody-at-all"}, 404, "no-such-user"), ({"with": "n" * 33}, 404, "no-such-user"),
    ({"with": "zoë"}, 404, "no-such-user"), ({"with": "a\0b"}, 404, "no-such-user"),
])
def test_opening_with_nobody(shared, body, status, code):
    person = people(shared, 1)[0]
    check_problem(person.call("POST", "/v1/conversations", body), status, code)
    assert person.inbox() == {}


def test_nobody_talks_to_himself(shared):
    person = people(shared, 1)[0]
    answer = person.call("POST", "/v1/conversations", {"with": person.handle.upper()})
    check_problem(answer, 400, "bad-field", "with must be somebody else's handle")


def test_list_by_pages(shared):
    """Every conversation is on exactly one page, whatever the limit."""
    ann = people(shared, 1)[0]
    opened = {ann.open(other) for other in people(shared, 7)}
    for limit in (1, 2, 3, 7, 8, 200):
        found = []
        cursor = ""
        while cursor is not None:
            page = ann.ok("GET", f"/v1/conversations?limit={limit}&cursor={cursor}")
            assert len(page["items"]) <= limit
            found += [item["id"] for item in page["items"]]
            cursor = page["next"]
        assert len(found) == 7 and set(found) == opened
    for limit in ("0", "201", "-1", "x", "1.5", "9999999999999999"):
        check_problem(ann.call("GET", f"/v1/conversations?limit={limit}"), 400, "bad-field",
                      "limit must be 1 to 200")


def test_unread_is_arithmetic(shared):
    """Unread is what was said since one's own last word or mark."""
    ann, bob = people(shared, 2)
    c = ann.open(bob)

    def unread():
        return [person.inbox()[c]["unread"] for person in (ann, bob)]

    assert unread() == [0, 0]
    seqs = [ann.send(c, f"to bob {i}")["seq"] for i in range(5)]
    assert unread() == [0, 5]
    assert bob.read(c, seqs[2]) == {"read_seq": seqs[2], "read_n": 3, "unread": 2}
    assert unread() == [0, 2]
    bob.send(c, "an answer")
    assert unread() == [1, 0]
    ann.read(c, ann.inbox()[c]["head_seq"])
    assert unread() == [0, 0]


def test_a_read_mark_only_moves_forward(shared):
    """The greatest wins, however late or often the others come."""
    ann, bob = people(shared, 2)
    c = ann.open(bob)
    seqs = [ann.send(c, f"message {i}")["seq"] for i in range(20)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seq: bob.read(c, seq), seqs[:15] + seqs[:15][::-1]))
    assert max(answer["read_seq"] for answer in answers) == seqs[14]
    inbox = bob.inbox()[c]
    assert (inbox["read_n"], inbox["unread"]) == (15, 5)
    assert bob.read(c, seqs[3]) == {"read_seq": seqs[14], "read_n": 15, "unread": 5}
    assert ann.inbox()[c]["unread"] == 0


@pytest.mark.parametrize("body, detail", [
    ({}, "seq must be a number of at least 1"), ({"seq": 0}, "seq must be a number of at least 1"),
    ({"seq": -1}, "seq must be a number of at least 1"), ({"seq": "1"}, "seq must be a number of at least 1"),
    ({"seq": 1.5}, "seq must be a number of at least 1"), ({"seq": None}, "seq must be a number of at least 1"),
    ({"seq": [1]}, "seq must be a number of at least 1"), ({"seq": 2**63}, "seq is past the newest event"),
    ({"seq": 3}, "seq is past the newest event"), ({"seq": 2**63 - 1}, "seq is past the newest event"),
])
def test_wrong_read_marks_change_nothing(shared, body, detail):
    ann, bob = people(shared, 2)
    c = ann.open(bob)
    ann.send(c, "one")
    check_problem(bob.call("PUT", f"/v1/conversations/{c}/read", body), 400, "bad-field", detail)
    assert bob.inbox()[c]["read_n"] == 0


@pytest.mark.parametrize("method, path", [
    ("GET", "messages"), ("POST", "messages"), ("GET", "events?after=0"), ("PUT", "read"),
])
def test_a_conversation_is_for_its_members(shared, method, path):
    """A stranger and whoever names a conversation that is not there get the same answer."""
    ann, bob, eve = people(shared, 3)
    c = ann.open(bob)
    sent = ann.send(c, "not for eve")
    body = {"POST": {"body": {"text": "from eve"}}, "PUT": {"seq": 1}}.get(method)
    answers = [eve.call(method, f"/v1/conversations/{name}/{path}", body) for name in (c, "d_nothing", "x" * 64)]
    for answer in answers:
        check_problem(answer, 403, "not-a-member")
        assert answer.body == answers[0].body
    assert ann.history(c) == [sent] and eve.inbox() == {}


def test_a_conversation_outlives_a_kill(server):
    ann, bob = people(server, 2)
    c = ann.open(bob)
    ann.send(c, "hello")
    bob.read(c, 2)
    ann.send(c, "again")
    before = (ann.inbox(), bob.inbox())
    server.kill()
    server.start()
    assert (ann.inbox(), bob.inbox()) == before
    assert before[1][c]["unread"] == 1
    assert ann.open(bob) == c


def test_a_handle_is_all_it_takes(shared):
    """No list of users: who knows a handle may write to it."""
    ann, bob = people(shared, 2)
    assert Caller(shared, ann.token).ok("POST", "/v1/conversations", {"with": bob.handle})["n"] == 0
    check_problem(ann.call("POST", "/v1/conversations", {"with": new_handle()}), 404, "no-such-user")
