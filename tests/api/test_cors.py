"""Which pages may make signed calls and read the answers: --cors-origin."""

import json

import pytest

import headwater

EXPOSED = "x-amzn-RequestId,x-amz-crc32,x-amzn-ErrorType,x-amzn-ErrorMessage,Date"
CONSOLE, OTHER = "https://console.example", "http://localhost:3000"


def preflight(server, origin):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-amz-target"}
    return server.http("OPTIONS", "/", headers={**asked, **({"Origin": origin} if origin else {})})


def call(server, origin):
    """A signed call of a page: its headers."""
    headers = {**server.signed_headers("ListTables", b"{}"), "Origin": origin}
    status, fields, answer = server.http("POST", "/", b"{}", headers)
    assert (status, json.loads(answer)) == (200, {"TableNames": []})
    return fields


@pytest.mark.parametrize("options, allowed", [
    ([], {CONSOLE: "*", OTHER: "*", "null": "*"}), (["--cors-origin=*"], {CONSOLE: "*", OTHER: "*"}),
    (["--cors-origin", CONSOLE], {CONSOLE: CONSOLE, OTHER: None, "null": None, CONSOLE + ".evil.example": None, CONSOLE + ":8443": None,
                                  "http://console.example": None, "https://CONSOLE.example": None, CONSOLE + ",": None, "": None}),
    (["--cors-origin", f"{CONSOLE}, {OTHER}"], {CONSOLE: CONSOLE, OTHER: OTHER, "http://localhost": None, f"{CONSOLE}, {OTHER}": None}),
    (["--cors-origin=none"], {CONSOLE: None, OTHER: None, "none": "none"}),
    (["--auth=none"], {CONSOLE: None, OTHER: None})])
def test_origins(start_server, options, allowed):
    server = start_server(*options)
    for origin, named in allowed.items():
        if origin == "none":
            continue
        status, headers, body = preflight(server, origin)
        assert (status, headers["Access-Control-Allow-Origin"]) == (200 if named else 403, named), origin
        assert "Origin" in headers["Vary"] and (body == b"") == (named is not None)
        if named:
            assert headers["Access-Control-Allow-Headers"] == "authorization,x-amz-target" and headers["Access-Control-Max-Age"] == "172800"
        if origin and not (options == ["--auth=none"] and origin == CONSOLE):  # that call itself is refused: test_serve.py
            fields = call(server, origin)
            assert fields["Access-Control-Allow-Origin"] == named and fields["Vary"] == "Origin"
            assert fields["Access-Control-Expose-Headers"] == (EXPOSED if named else None)
    plain = server.http("POST", "/", b"{}", server.signed_headers("ListTables", b"{}"))[1]
    assert "Vary" not in plain and "Access-Control-Allow-Origin" not in plain


def test_a_preflight_answers_what_is_asked(server):
    status, headers, _ = server.http("OPTIONS", "/", headers={"Origin": CONSOLE})
    assert status == 200 and headers["Access-Control-Expose-Headers"] == EXPOSED
    assert "Access-Control-Allow-Methods" not in headers and "Access-Control-Allow-Headers" not in headers
    asked = {"Access-Control-Request-Method": "DOG", "Access-Control-Request-Headers": "cat, meerkat"}
    status, headers, _ = server.http("OPTIONS", "/", headers={"Origin": CONSOLE, **asked})
    assert (status, headers["Access-Control-Allow-Methods"], headers["Access-Control-Allow-Headers"]) == (200, "DOG", "cat, meerkat")


def test_the_health_text_can_be_read_too(server):
    plain = server.http("GET", "/")
    status, headers, body = server.http("GET", "/", headers={"Origin": CONSOLE, "Access-Control-Request-Method": "DOG"})
    assert (status, body) == (plain[0], plain[2]) and body.startswith(b"healthy: ")
    assert (headers["Access-Control-Allow-Origin"], headers["Access-Control-Expose-Headers"]) == ("*", EXPOSED)
    for name in ("Access-Control-Max-Age", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"):
        assert name not in headers
    assert not [name for name in plain[1] if name.startswith("Access-Control")]


def test_refusals_can_be_read_too(server):
    status, headers, _ = server.http("POST", "/", b"{}", {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables",
                                                          "Origin": CONSOLE})
    assert status == 400 and headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("text", ["", "console.example", "https://", "https://a/", "https://a/b", "https://A", "ftp://a", "https://a,*", "https://*.a", "https://a,,https://b",
                                  "none,https://a", "https://a b"])
def test_what_is_no_origin_is_told_at_the_start(tmp_path, text):
    process = headwater.Process("serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", f"--cors-origin={text}")
    assert process.wait() == 2
    assert f"option cors-origin is '{text}': it must be *, none, or origins such as" in process.err.finish()
