"""Paths, methods and bodies of the chat's HTTP interface, and the page's own files."""

import re

import pytest

from chat import Caller, check_problem, people

PATHS = [
    ("/v1/users", {"POST"}), ("/v1/sessions", {"POST"}), ("/v1/sessions/current", {"DELETE"}),
    ("/v1/conversations", {"GET", "POST"}), ("/v1/conversations/C/messages", {"GET", "POST"}),
    ("/v1/conversations/C/events", {"GET"}), ("/v1/conversations/C/read", {"PUT"}),
]
BODIES = [(method, path) for path, methods in PATHS for method in sorted(methods & {"POST", "PUT"})]


@pytest.fixture(scope="module")
def ann(shared):
    person, other = people(shared, 2)
    person.c = person.open(other)
    return person


@pytest.mark.parametrize("path, methods", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
def test_methods(ann, path, methods, method):
    """A path says what it knows."""
    if method in methods:
        return
    answer = ann.call(method, path.replace("C", ann.c))
    assert answer.status == 405 and set(answer.headers["Allow"].split(", ")) == methods
    if method != "HEAD":
        check_problem(answer, 405, "method-not-allowed")


@pytest.mark.parametrize("path", [
    "/v1/", "/v1/nothing", "/v1/users/", "/v1/users/ann", "/v1/sessions/other", "/v1/conversations/",
    "/v1/conversations/C", "/v1/conversations/C/", "/v1/conversations/C/other", "/v1/conversations//messages",
    "/v1/conversations/C/messages/", "/v1/conversations/" + "x" * 65 + "/messages", "/v1//users", "/v1/USERS",
])
def test_unknown_paths(ann, path):
    for caller in (ann, Caller(ann.server)):
        check_problem(caller.call("GET", path.replace("/C", "/" + ann.c)), 404, "not-found")


@pytest.mark.parametrize("method, path", BODIES)
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"x"', b"{}{}", b"\xff", b"[" * 100000, b'{"a":1,}'])
def test_a_body_is_a_json_object(ann, method, path, data):
    check_problem(ann.call(method, path.replace("C", ann.c), data), 400, "bad-json")


@pytest.mark.parametrize("method, path", BODIES)
@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                                  "application/jsonx", "text/json"])
def test_a_body_says_that_it_is_json(ann, method, path, kind):
    """So that no form of a foreign page is ever one."""
    answer = ann.call(method, path.replace("C", ann.c), b'{"handle":"formed","password":"12345678"}',
                      {"Content-Type": kind})
    check_problem(answer, 415, "not-json")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_by_its_names(ann, kind):
    answer = ann.call("PUT", f"/v1/conversations/{ann.c}/read", b'{"seq":1}', {"Content-Type": kind})
    assert answer.status == 200


@pytest.mark.parametrize("path, methods", PATHS[2:])
def test_a_session_comes_first(ann, path, methods):
    for method in methods:
        body = b"not json" if method in ("POST", "PUT") else None
        for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}):
            answer = Caller(ann.server).call(method, path.replace("C", ann.c), body, headers)
            check_problem(answer, 401, "bad-token")


def test_cross_origin(ann):
    """No page of another origin may read an answer, nor is it allowed to ask."""
    path = f"/v1/conversations/{ann.c}/messages"
    for method in ("GET", "POST", "OPTIONS"):
        answer = ann.call(method, path, {"body": {"text": "x"}} if method == "POST" else None,
                          {"Origin": "https://evil.example"})
        check_problem(answer, 403, "bad-origin")
        assert "Access-Control-Allow-Origin" not in answer.headers
    own = ann.call("GET", path, headers={"Origin": ann.server.url})
    assert own.status == 200 and "Access-Control-Allow-Origin" not in own.headers
    assert ann.history(ann.c) == []


def test_answers_are_not_kept(ann):
    for answer in (ann.call("GET", "/v1/conversations"), ann.call("GET", "/v1/nothing")):
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("headers, status", [
    ({}, 426), ({"Upgrade": "websocket"}, 426),
    ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "8",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}, 426),
    ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}, 400),
    ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}, 400),
])
def test_bad_handshakes(ann, headers, status):
    answer = ann.call("GET", "/v1/ws", headers=headers)
    assert answer.status == status
    assert ann.call("GET", "/v1/conversations").status == 200


def test_the_page_and_its_files(ann):
    """Everything that the page names is there, of its type, under a policy that allows no other code."""
    page = ann.call("GET", "/", headers={"Accept": "text/html,application/xhtml+xml"})
    html = page.body.decode()
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'",
                 "frame-ancestors 'none'", "form-action 'none'"):
        assert rule in policy.split("; ")
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", html)
    named = set(re.findall(r'(?:src|href)="(/[^"]+)"', html))
    assert {path.rsplit(".", 1)[1] for path in named} >= {"js", "css"}
    scripts = {path for path in named if path.endswith(".js")}
    while scripts:
        path = scripts.pop()
        named.add(path)
        text = ann.call("GET", path).body.decode()
        scripts |= {"/" + name for name in re.findall(r'from "\./([^"]+)"', text)} - named
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "png": "image/png"}
    for path in named:
        answer = ann.call("GET", path)
        assert answer.status == 200 and answer.headers["Content-Type"].startswith(types[path.rsplit(".", 1)[1]])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert ann.call("GET", "/nothing.js").status == 404
    assert ann.call("GET", "/", headers={"Accept": "*/*"}).body.startswith(b"healthy: dynamodb.")
