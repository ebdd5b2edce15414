"""Accounts, sessions and what keeps guessers out."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import resource
import select
import signal
import socket

import pytest
from websockets.exceptions import ConnectionClosed

import chat
import headwater
from chat import PASSWORD, Caller, Person, check_problem, new_handle, people

HOUR_MS = 3600 * 1000


def create(caller, handle, password=PASSWORD):
    return caller.call("POST", "/v1/users", {"handle": handle, "password": password})


def log_in(caller, handle, password=PASSWORD):
    return caller.call("POST", "/v1/sessions", {"handle": handle, "password": password})


def test_account_and_session(shared):
    """An account is created, a session opened, used and ended."""
    caller = Caller(shared)
    handle = new_handle("Ann")
    made = create(caller, handle)
    assert made.status == 201 and made.body["handle"] == handle and len(made.body["id"]) == 26
    session = log_in(caller, handle)
    assert session.status == 201
    assert session.body["user"] == made.body
    assert len(session.body["token"]) == 64 and session.body["expires"].endswith("Z")
    caller.token = session.body["token"]
    assert caller.ok("GET", "/v1/conversations") == {"items": [], "next": None}
    ended = caller.call("DELETE", "/v1/sessions/current")
    assert ended.status == 204 and not ended.body
    answer = caller.call("GET", "/v1/conversations")
    check_problem(answer, 401, "bad-token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_handles_are_unique_in_any_case(shared):
    """A handle is shown as it was chosen and found however its letters are written."""
    caller = Caller(shared)
    handle = new_handle("MiXed")
    assert create(caller, handle).status == 201
    for taken in (handle, handle.lower(), handle.upper()):
        check_problem(create(caller, taken), 409, "handle-taken")
        assert log_in(caller, taken).body["user"]["handle"] == handle
    other = people(shared, 1)[0]
    opened = other.ok("POST", "/v1/conversations", {"with": handle.upper()})
    assert sorted(member["handle"] for member in opened["members"]) == sorted([handle, other.handle])


def test_a_handle_raced_for_has_one_owner(shared):
    """Of many who want the same handle at once one gets it, and only that one's password works."""
    handle = new_handle("race")
    caller = Caller(shared)
    passwords = [f"password {i}" for i in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda password: create(caller, handle, password), passwords))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11
    winner = [answer.status for answer in answers].index(201)
    assert log_in(caller, handle, passwords[winner]).status == 201
    check_problem(log_in(caller, handle, passwords[winner - 1]), 401, "bad-credentials")


@pytest.mark.parametrize("handle, good", [
    ("ab", True), ("a" * 32, True), ("A.b-c_9", True), ("a", False), ("a" * 33, False), ("", False),
    ("with space", False), ("with/slash", False), ("tab\tbed", False), ("zoë", False), ("nul\0", False),
])
def test_handles(shared, handle, good):
    """2 to 32 of letters, digits, dot, dash and underscore; the bounds and one beyond."""
    answer = create(Caller(shared), handle)
    if good:
        assert answer.status == 201
    else:
        check_problem(answer, 400, "bad-field", "handle must be 2 to 32 of a-z, A-Z, 0-9, '_', '-' and '.'")
        check_problem(log_in(Caller(shared), handle), 401, "bad-credentials")


@pytest.mark.parametrize("password, good", [
    ("x" * 7, False), ("x" * 8, True), ("x" * 1024, True), ("x" * 1025, False), ("ß" * 4, True), ("", False),
])
def test_passwords(shared, password, good):
    """8 to 1,024 bytes, whatever they are."""
    caller = Caller(shared)
    handle = new_handle()
    answer = create(caller, handle, password)
    if good:
        assert answer.status == 201
        assert log_in(caller, handle, password).status == 201
        check_problem(log_in(caller, handle, password[:-1] + "y"), 401, "bad-credentials")
    else:
        check_problem(answer, 400, "bad-field", "password must be 8 to 1024 bytes long")
        check_problem(log_in(caller, handle), 401, "bad-credentials")


@pytest.mark.parametrize("path", ["/v1/users", "/v1/sessions"])
@pytest.mark.parametrize("field", ["handle", "password"])
@pytest.mark.parametrize("wrong", [None, True, 5, 0.5, [], {}, "absent"])
def test_wrong_types(shared, path, field, wrong):
    body = {"handle": new_handle(), "password": PASSWORD, field: wrong}
    if wrong == "absent":
        del body[field]
    answer = Caller(shared).call("POST", path, body)
    check_problem(answer, 400, "bad-field", field + " must be a string")


def test_a_wrong_password_tells_no_more_than_an_unknown_handle(shared):
    person = people(shared, 1)[0]
    caller = Caller(shared)
    wrong = log_in(caller, person.handle, "not the password")
    unknown = log_in(caller, new_handle("nobody"), "not the password")
    check_problem(wrong, 401, "bad-credentials")
    assert wrong.body == unknown.body


def test_tokens(shared):
    """Only a whole token of a session that stands is one; each session has its own."""
    person = people(shared, 1)[0]
    first = person.token
    second = person.log_in()["token"]
    assert first != second
    for token in ("", "x", first[:-1], first + "0", first.upper(), "0" * 64, first[::-1]):
        check_problem(Caller(shared, token).call("GET", "/v1/conversations"), 401, "bad-token")
    check_problem(Caller(shared).call("GET", "/v1/conversations"), 401, "bad-token")
    person.log_out()
    check_problem(person.call("GET", "/v1/conversations"), 401, "bad-token")
    assert Caller(shared, first).ok("GET", "/v1/conversations")["items"] == []


def test_nothing_secret_is_on_disk(server):
    """Neither a token nor a password is anywhere in the data directory; argon2id's parameters are as promised."""
    person = Person(server, "ann", "a password to be looked for")
    server.stop()
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) > 10000
    found = b"".join(path.read_bytes() for path in files)
    assert b"a password to be looked for" not in found
    assert person.token.encode() not in found and bytes.fromhex(person.token) not in found
    assert b"$argon2id$v=19$m=19456,t=2,p=1$" in found


def test_a_session_outlives_a_kill(server):
    person = people(server, 1)[0]
    server.kill()
    server.start()
    assert person.ok("GET", "/v1/conversations")["items"] == []
    person.log_out()
    server.kill()
    server.start()
    check_problem(person.call("GET", "/v1/conversations"), 401, "bad-token")


def test_a_session_ends_after_twelve_hours(hooked):
    """For calls, for new sockets, and for a socket that is open."""
    person = people(hooked, 1)[0]
    with person.socket() as socket:
        socket.connect()
        hooked.move_clock(12 * HOUR_MS - 60000)
        assert person.ok("GET", "/v1/conversations")["items"] == []
        assert socket.ask(ping={})["pong"] == {}
        hooked.move_clock(12 * HOUR_MS + 1000)
        check_problem(person.call("GET", "/v1/conversations"), 401, "bad-token")
        assert socket.wait_closed() == (4500, "session expired")
    with person.socket() as socket:
        chat.check_error(socket.ask(connect={"token": person.token}), "bad-token")
        assert socket.wait_closed() == (4500, "bad token")


def test_logging_out_closes_the_session_s_sockets_on_every_loop(start_server):
    """And no other's. The news comes with the stream, so it reaches loops that did not see the call."""
    server = start_server("--loops", "4")
    ann, bob = people(server, 2)
    again = Caller(server, ann.token)
    kept = ann.log_in()["token"]
    sockets = [ann.socket() for _ in range(12)]
    for socket in sockets:
        socket.connect(token=again.token)
    others = [chat.Socket(server, kept), bob.socket()]
    for socket in others:
        socket.connect()
    again.ok("DELETE", "/v1/sessions/current")
    assert [socket.wait_closed() for socket in sockets] == [(4503, "logged out")] * 12
    for socket in others:
        assert socket.ask(ping={})["pong"] == {}
        socket.close()


def test_a_session_ended_while_a_socket_connects(start_server):
    """Whichever comes first, no socket of an ended session stays open."""
    server = start_server("--loops", "3")
    person = people(server, 1)[0]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for _ in range(30):
            person.log_in()
            socket = person.socket()
            ended = pool.submit(Caller(server, person.token).ok, "DELETE", "/v1/sessions/current")
            socket.start(connect={"token": person.token})
            assert socket.wait_closed()[0] in (4500, 4503)
            ended.result()


def test_guesses_are_slowed(hooked):
    """Ten attempts at once, then one a minute, for one handle from one address; a right password costs nothing."""
    ann, bob = people(hooked, 2)
    caller = Caller(hooked)
    for _ in range(15):
        ann.log_in()
    for _ in range(10):
        check_problem(log_in(caller, ann.handle, "a wrong guess"), 401, "bad-credentials")
    refused = log_in(caller, ann.handle.upper())
    check_problem(refused, 429, "too-many-attempts")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.body["detail"] == f"try again in {refused.headers['Retry-After']} s"
    assert refused.body["retryable"] is True
    bob.log_in()
    assert log_in_from("127.0.0.2", hooked, ann.handle) == 201
    hooked.move_clock(61 * 1000)
    check_problem(log_in(caller, ann.handle, "a wrong guess"), 401, "bad-credentials")
    check_problem(log_in(caller, ann.handle), 429, "too-many-attempts")
    hooked.move_clock(122 * 1000)
    ann.log_in()
    hooked.move_clock(-24 * HOUR_MS)
    ann.log_in()


def log_in_from(address, server, handle):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, source_address=(address, 0))
    body = json.dumps({"handle": handle, "password": PASSWORD})
    connection.request("POST", "/v1/sessions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


@pytest.mark.skipif(headwater.PRESET in ("asan", "tsan"), reason="a sanitizer's own memory hides the server's")
def test_a_crowd_that_logs_in_takes_little_memory(server):
    """Two hashes of 19 MiB at a time, however many wait; other calls are answered meanwhile."""
    crowd = people(server, 1)
    status = f"/proc/{server.process.pid}/status"
    crowd[0].log_in()
    before = peak_kib(status)
    caller = Caller(server)
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(log_in, caller, new_handle("nobody")) for _ in range(60)]
        for _ in range(20):
            crowd[0].ok("GET", "/v1/conversations")
        assert {answer.result().status for answer in waiting} == {401}
    assert peak_kib(status) - before < 50 * 1024


def peak_kib(status):
    for line in open(status, encoding="ascii"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def test_who_waits_for_a_hash_is_told_when_there_are_too_many(server):
    """66 fit: two at work, 64 in the queue."""
    caller = Caller(server)
    with concurrent.futures.ThreadPoolExecutor(120) as pool:
        answers = list(pool.map(lambda i: log_in(caller, f"nobody-{i}"), range(120)))
    refused = [answer for answer in answers if answer.status == 503]
    assert {answer.status for answer in answers} == {401, 503}
    check_problem(refused[0], 503, "busy")
    assert refused[0].headers["Retry-After"] == "1"


def test_a_stop_does_not_wait_for_hashes(start_server):
    """What cannot be answered any more is not worked for. One processor has more of it than the drain gives time for."""
    server = start_server(under=("taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))))
    server.stop()
    every_hash = processor_s(server, lambda peers: [peer.recv(65536) for peer in peers])
    until_stop = processor_s(server, lambda peers: select.select(peers, [], []))
    assert until_stop < every_hash * 0.8


def processor_s(server, wait):
    """Processor seconds of a server that 60 log-ins at once reach, and that is stopped after the wait for them."""
    request = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" \
              b"Content-Length: %d\r\n\r\n%b"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    server.start()
    with contextlib.ExitStack() as crowd:
        peers = [crowd.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
                 for _ in range(60)]
        for i, peer in enumerate(peers):
            body = json.dumps({"handle": f"nobody-{i}", "password": PASSWORD}).encode()
            peer.sendall(request % (len(body), body))
        wait(peers)
        server.stop(number=signal.SIGINT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_socket_of_an_ended_session_hears_nothing(server):
    ann, bob = people(server, 2)
    c = ann.open(bob)
    with bob.socket() as socket:
        socket.connect()
        bob.log_out()
        assert socket.wait_closed() == (4503, "logged out")
        ann.send(c, "for those who are there")
        with pytest.raises(ConnectionClosed):
            socket.wait_events(1)
