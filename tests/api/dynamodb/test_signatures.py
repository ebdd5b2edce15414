"""Signatures: every way in which one is wrong, in DynamoDB's order and words; a wrong one changes nothing and tells nothing (net I7, I8; server I1)."""

import datetime
import json
import re

import pytest

import headwater

pytestmark = pytest.mark.headwater

MISSING = ("MissingAuthenticationTokenException", "Request is missing Authentication Token")
INVALID_TOKEN = ("UnrecognizedClientException", "The security token included in the request is invalid.")
NO_MATCH = ("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. "
            "Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'POST\n/\n\n")


@pytest.fixture
def headers(shared):
    """The headers of a right PutItem into a table that is not there: so a right signature is answered ResourceNotFoundException."""
    return shared.signed_headers("PutItem", BODY)


BODY = json.dumps({"TableName": "no.such.table", "Item": {"pk": {"S": "a"}}}).encode()


@pytest.fixture
def send(shared):
    """Sends headers and a body as they are: (type, message) of the fault."""

    def post(headers, body=BODY, path="/"):
        status, fields, answer = shared.http("POST", path, body, headers)
        told = json.loads(answer)
        assert status == 400 and re.fullmatch("[A-Z0-9]{52}", fields["x-amzn-RequestId"]) and "x-amz-crc32" in fields
        return told["__type"].split("#")[1], told.get("message", told.get("Message"))

    return post


def parts(headers):
    """The Authorization header's algorithm and fields."""
    algorithm, rest = headers["Authorization"].split(" ", 1)
    return algorithm, dict(field.strip().split("=", 1) for field in rest.split(","))


def authorized(headers, algorithm=None, **changes):
    """The headers with some fields of Authorization changed; None takes one out."""
    kept, fields = parts(headers)
    fields = {name: value for name, value in {**fields, **changes}.items() if value is not None}
    return {**headers, "Authorization": f"{algorithm or kept} " + ", ".join(f"{name}={value}" for name, value in fields.items())}


def scoped(headers, place, value):
    credential = parts(headers)[1]["Credential"].split("/")
    credential[place] = value
    return authorized(headers, Credential="/".join(credential))


def without(headers, *names):
    return {name: value for name, value in headers.items() if name not in names}


def test_a_right_signature(headers, send):
    assert send(headers)[0] == "ResourceNotFoundException"


@pytest.mark.parametrize("between", [",", ", ", " ,  ", ",\t", " ", "\t", "  "])
def test_fields_may_stand_close_or_apart(headers, send, between):
    algorithm, fields = parts(headers)
    spelled = between.join(f"{name}={value}" for name, value in fields.items())
    assert send({**headers, "Authorization": f"{algorithm} {spelled}"})[0] == "ResourceNotFoundException"


def test_no_authorization(headers, send):
    assert send(without(headers, "Authorization")) == MISSING
    for other in ("Basic QQ==", "Bearer x", "", "x"):
        assert send({**headers, "Authorization": other}) == MISSING


def test_missing_fields_are_told_together(headers, send):
    texts = {"Credential": "Authorization header requires 'Credential' parameter. ", "Signature": "Authorization header requires 'Signature' parameter. ",
             "SignedHeaders": "Authorization header requires 'SignedHeaders' parameter. "}
    for gone in (["Credential"], ["Signature"], ["SignedHeaders"], ["Credential", "Signature"], list(texts)):
        changed = authorized(headers, **dict.fromkeys(gone))
        kind, message = send(changed)
        assert kind == "IncompleteSignatureException"
        assert message == "".join(texts[name] for name in texts if name in gone) + "Authorization=" + changed["Authorization"].strip()
    kind, message = send(without(authorized(headers, Signature=None), "X-Amz-Date"))
    assert message.startswith(texts["Signature"] + "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Auth")


def test_dates(headers, send):
    for text in ("201", "20261125", "2026-11-25T00:00:00Z", "20261325T000000Z", "20260230T000000Z", "20261125T000000"):
        assert send({**headers, "X-Amz-Date": text}) == ("IncompleteSignatureException",
            f"Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601")
    now = datetime.datetime.now(datetime.timezone.utc)
    for minutes, words in ((-16, "Signature expired: {} is now earlier than "), (16, "Signature not yet current: {} is still later than ")):
        stamp = (now + datetime.timedelta(minutes=minutes)).strftime("%Y%m%dT%H%M%SZ")
        kind, message = send({**headers, "X-Amz-Date": stamp})
        assert kind == "InvalidSignatureException" and message.startswith(words.format(stamp))
        assert re.search(r"\d{8}T\d{6}Z \(\d{8}T\d{6}Z [-+] 15 min\.\)$", message)


@pytest.mark.parametrize(("stamp", "words"), [("20170101T010101Z", "Signature expired: "), ("30200101T010101Z", "Signature not yet current: ")])
def test_an_age_goes_before_a_scope(headers, send, stamp, words):
    changed = authorized({**headers, "X-Amz-Date": stamp}, Credential="someone/2/3/4/aws4_request", Signature="123")
    kind, message = send(changed)
    assert kind == "InvalidSignatureException" and message.startswith(words)


def test_what_must_be_signed(headers, send):
    signed = parts(headers)[1]["SignedHeaders"]
    assert send(authorized(headers, SignedHeaders=signed.replace("host;", ""))) == \
        ("InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name in ("x-amz-target", "x-amz-date"):
        kind, message = send(authorized(headers, SignedHeaders=";".join(one for one in signed.split(";") if one != name)))
        assert kind == "InvalidSignatureException" and message.lower() == f"'{name}' must be a 'signedheader' in the aws authorization."
    kind, message = send({**headers, "X-Amz-Security-Token": "t"})
    assert kind == "InvalidSignatureException" and "'X-Amz-Security-Token'" in message


def test_algorithm_and_credential(headers, send):
    assert send(authorized(headers, algorithm="AWS4-HMAC-SHA25")) == \
        ("IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ")
    for credential in ("a", "a/b/c/d", "a/b/c/d/e/f"):
        assert send(authorized(headers, Credential=credential)) == ("IncompleteSignatureException",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + credential + "'")


def test_scope(headers, send):
    stamp = headers["X-Amz-Date"]
    date = f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20000101' != '{stamp[:8]}', from '{stamp}'."
    service = "Credential should be scoped to correct service: 'dynamodb'. "
    terminator = "Credential should be scoped with a valid terminator: 'aws4_request', not 'x'. "
    region = "Credential should be scoped to a valid region, not ''. "
    for change, text in (({1: "20000101"}, date), ({3: "s3"}, service), ({4: "x"}, terminator), ({2: ""}, region),
                         ({1: "20000101", 2: "", 3: "s3", 4: "x"}, region + service + terminator + date)):
        changed = headers
        for place, value in change.items():
            changed = scoped(changed, place, value)
        assert send(changed) == ("InvalidSignatureException", text)


def test_unknown_keys_and_wrong_signatures(headers, send):
    assert send(scoped(headers, 0, "AKIDNOBODY")) == INVALID_TOKEN
    signature = parts(headers)[1]["Signature"]
    for wrong in ("0" * 64, signature[:-1], signature + "0", signature.upper(), signature[:-1] + ("0" if signature[-1] != "0" else "1")):
        kind, message = send(authorized(headers, Signature=wrong))
        assert kind == "InvalidSignatureException" and message.startswith(NO_MATCH)
        assert "The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n" + headers["X-Amz-Date"] in message


def test_what_was_signed_may_not_change(headers, send):
    for changed in ({**headers, "X-Amz-Target": "DynamoDB_20120810.DeleteItem"}, {**headers, "Content-Type": "application/json"}):
        assert send(changed)[0] == "InvalidSignatureException"
    assert send(headers, BODY.replace(b"no.such.table", b"another.table"))[0] == "InvalidSignatureException"
    assert send(headers, BODY + b" ")[0] == "InvalidSignatureException"
    assert send(headers, path="/?a=b")[0] == "InvalidSignatureException"


def test_a_declared_body_hash_must_be_right(shared, send):
    changed = shared.signed_headers("PutItem", BODY, headers={"X-Amz-Content-SHA256": "0" * 64})
    assert send(changed)[0] == "InvalidSignatureException"


def test_both_forms_at_once(headers, send):
    assert send(headers, path="/?X-Amz-Algorithm=AWS4-HMAC-SHA256") == ("InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")


def test_the_earlier_fault_is_told(headers, send):
    """Each request has this fault and all that follow; the first one is told."""
    everything = scoped(scoped(authorized(headers, algorithm="AWS4-X", Signature="0", SignedHeaders="x-amz-date;x-amz-target"), 0, "x"), 3, "s3")
    assert "now earlier" in send({**everything, "X-Amz-Date": "20000101T000000Z"})[1]
    assert "'Host'" in send(everything)[1]
    signed = {"SignedHeaders": parts(headers)[1]["SignedHeaders"]}
    assert "algorithm" in send(authorized(everything, **signed))[1]
    assert "service" in send(authorized(everything, algorithm="AWS4-HMAC-SHA256", **signed))[1]
    assert send(scoped(authorized(everything, algorithm="AWS4-HMAC-SHA256", **signed), 3, "dynamodb")) == INVALID_TOKEN


def test_the_signature_goes_before_the_body(headers, send):
    """No body of a stranger is decoded, and a bad target is all that a stranger is told of."""
    for body in (b"{", b"[]", b'{"TableName":1}'):
        assert send(without(headers, "Authorization"), body) == MISSING
    assert send({**without(headers, "Authorization"), "X-Amz-Target": "x"})[0] == "UnknownOperationException"


def test_a_wrong_signature_writes_nothing(shared, api, headers, send):
    table = api.create()
    body = json.dumps({"TableName": table, "Item": {"pk": {"S": "a"}}}).encode()
    right = shared.signed_headers("PutItem", body)
    before = shared.metrics()["headwater_commits_total"]
    for wrong in (without(right, "Authorization"), scoped(right, 0, "x"), authorized(right, Signature="0" * 64)):
        send(wrong, body)
    assert shared.metrics()["headwater_commits_total"] == before and api.get(table, pk={"S": "a"}) is None


def test_any_region_unless_one_was_given(start_server):
    server = start_server("--region", "eu-west-1")
    status, answer = server.call("ListTables", {})
    assert status == 400 and answer["message"] == f"Credential should be scoped to a valid region, not '{headwater.REGION}'. "
