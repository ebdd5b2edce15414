"""Presigned requests: the signature in the query string, made by others' signers and by one written here; each parameter that is missing or wrong
in DynamoDB's words; links end when their maker said (net I7, I8)."""

import datetime
import hashlib
import hmac
import json
import pathlib
import re
import subprocess
import urllib.parse

import botocore.auth
import botocore.awsrequest
import pytest

import headwater

TARGET = "DynamoDB_20120810."
TYPE = "application/x-amz-json-1.0"
EXPIRES = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
NOT_GIVEN = "AWS query-string parameters must include '{}'. "


def call_headers(operation):
    return {"Content-Type": TYPE, "X-Amz-Target": TARGET + operation}


def send(api, url, headers, body=b"", method="POST"):
    """By an HTTP client that knows nothing of AWS: (status, answer)."""
    place = urllib.parse.urlsplit(url)
    status, _, answer = api.exchange(method, f"{place.path or '/'}?{place.query}", body, headers)
    return status, json.loads(answer)


def refusal(api, url, headers, body=b"{}"):
    status, answer = send(api, url, headers, body)
    assert status == 400
    return answer["__type"].split("#")[1], answer.get("message", answer.get("Message"))


def presign(api, operation, body, changes=None, minutes=0, host=None):
    """The query of a signed request, by the steps of AWS's description. changes: parameters that differ, before signing; None takes one out."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{api.region}/dynamodb/aws4_request"
    given = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{api.credentials.access_key}/{scope}", "X-Amz-Date": stamp,
             "X-Amz-Expires": "60", "X-Amz-SignedHeaders": "content-type;host;x-amz-target", **(changes or {})}
    pairs = sorted((name, value) for name, value in given.items() if value is not None)
    query = "&".join(f"{name}={urllib.parse.quote(value, safe='-_.~')}" for name, value in pairs)
    host = host or urllib.parse.urlsplit(api.url).netloc
    canonical = "\n".join(["POST", "/", query, f"content-type:{TYPE}", f"host:{host}", f"x-amz-target:{TARGET}{operation}", "",
                           "content-type;host;x-amz-target", hashlib.sha256(body).hexdigest()])
    key = ("AWS4" + api.credentials.secret_key).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return f"{api.url}/?{query}&X-Amz-Signature={hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()}"


def test_a_call_with_a_body(api, sorted_table, key):
    body = json.dumps({"TableName": sorted_table, "Item": {"pk": key, "sk": {"N": "1"}}}).encode()
    link = presign(api, "PutItem", body)
    assert send(api, link, call_headers("PutItem"), body) == (200, {})
    assert send(api, link, call_headers("PutItem"), body) == (200, {}), "a link may be used until it ends"
    assert api.get(sorted_table, pk=key, sk={"N": "1"}) == {"pk": key, "sk": {"N": "1"}}


def test_what_was_signed_may_not_change(api, sorted_table, key):
    body = json.dumps({"TableName": sorted_table, "Item": {"pk": key, "sk": {"N": "1"}}}).encode()
    link = presign(api, "PutItem", body)
    other = (link, call_headers("DeleteItem"), body), (link, call_headers("PutItem"), body + b" "), (link + "&a=b", call_headers("PutItem"), body), \
            (link.replace("X-Amz-Expires=60", "X-Amz-Expires=61"), call_headers("PutItem"), body), (link[:-1], call_headers("PutItem"), body)
    for changed in other:
        kind, words = refusal(api, *changed)
        assert kind == "InvalidSignatureException" and words.startswith("The request signature we calculated does not match"), words
    assert api.get(sorted_table, pk=key, sk={"N": "1"}) is None


def test_a_session_token_stands_in_the_query(api):
    assert send(api, presign(api, "ListTables", b"{}", {"X-Amz-Security-Token": "a/token+="}), call_headers("ListTables"), b"{}")[0] == 200


def test_boto3s_own_link(api):
    """It signs an empty body: its signature is right, and DynamoDB then says that there is no JSON (boto3's issue 1354)."""
    link = api.dynamodb.generate_presigned_url("list_tables", ExpiresIn=60)
    status, answer = send(api, link, call_headers("ListTables"))
    assert (status, answer["__type"]) == (400, "com.amazon.coral.service#SerializationException")
    kind, _ = refusal(api, link[:-1] + ("0" if link[-1] != "0" else "1"), call_headers("ListTables"), b"")
    assert kind == "InvalidSignatureException"


def test_botocores_signer_with_a_body(api):
    """Its query form of a service with a body in JSON, the body kept out of the query as in all of its other signers."""

    class Signer(botocore.auth.SigV4QueryAuth):
        def payload(self, request):
            return hashlib.sha256(b'{"Limit":1}').hexdigest()

    request = botocore.awsrequest.AWSRequest("POST", api.url + "/", call_headers("ListTables"), b"")
    Signer(api.credentials, "dynamodb", api.region, expires=60).add_auth(request)
    status, answer = send(api, request.url, call_headers("ListTables"), b'{"Limit":1}')
    assert status == 200 and len(answer["TableNames"]) <= 1


def test_the_javascript_signer(api):
    run = subprocess.run([headwater.ROOT / ".deps/venv/bin/node", pathlib.Path(__file__).with_name("presign.mjs"), api.url], capture_output=True, text=True,
                         timeout=60, check=False, env=headwater.plain_environment({
                             "AWS_ACCESS_KEY_ID": api.credentials.access_key, "AWS_SECRET_ACCESS_KEY": api.credentials.secret_key, "AWS_REGION": api.region}))
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert seen["status"] == 200 and isinstance(seen["answer"]["TableNames"], list)
    assert "X-Amz-Signature" in seen["url"] and seen["changed"] == "com.amazon.coral.service#InvalidSignatureException"


def test_missing_parameters_are_told_together(api):
    names = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"]
    link = presign(api, "ListTables", b"{}")
    for gone in (["X-Amz-Credential"], ["X-Amz-Signature"], ["X-Amz-SignedHeaders"], ["X-Amz-Date"], ["X-Amz-Credential", "X-Amz-Date"], names[1:]):
        query = "&".join(pair for pair in urllib.parse.urlsplit(link).query.split("&") if pair.split("=")[0] not in gone)
        assert refusal(api, f"{api.url}/?{query}", call_headers("ListTables")) == (
            "IncompleteSignatureException", "".join(NOT_GIVEN.format(name) for name in names if name in gone) + "Re-examine the query-string parameters.")
    assert refusal(api, f"{api.url}/?X-Amz-Algorithm=", call_headers("ListTables")) == (
        "IncompleteSignatureException", "".join(NOT_GIVEN.format(name) for name in names) + "Re-examine the query-string parameters.")


def test_without_an_algorithm_there_is_no_token(api):
    query = urllib.parse.urlsplit(presign(api, "ListTables", b"{}")).query
    assert refusal(api, f"{api.url}/?{query.replace('X-Amz-Algorithm=AWS4-HMAC-SHA256&', '')}", call_headers("ListTables")) == (
        "MissingAuthenticationTokenException", "Request is missing Authentication Token")


def test_both_forms_at_once(api):
    request = botocore.awsrequest.AWSRequest("POST", api.url + "/", call_headers("ListTables"), b"{}")
    botocore.auth.SigV4Auth(api.credentials, "dynamodb", api.region).add_auth(request)
    assert refusal(api, presign(api, "ListTables", b"{}"), dict(request.headers)) == (
        "InvalidSignatureException", "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")


@pytest.mark.parametrize("change, kind, words", [
    ({"X-Amz-Algorithm": "AWS4-X"}, "IncompleteSignatureException", "Unsupported AWS 'algorithm': 'AWS4-X' (only AWS4-HMAC-SHA256 for now). "),
    ({"X-Amz-Credential": "a/b"}, "IncompleteSignatureException",
     "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b'"),
    ({"X-Amz-Date": "2026"}, "IncompleteSignatureException",
     "Date must be in ISO-8601 'basic format'. Got '2026'. See http://en.wikipedia.org/wiki/ISO_8601"),
    ({"X-Amz-SignedHeaders": "content-type;x-amz-target"}, "InvalidSignatureException",
     "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
    ({"X-Amz-SignedHeaders": "content-type;host"}, "InvalidSignatureException", "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."),
    ({"X-Amz-Expires": "604801"}, "IncompleteSignatureException", EXPIRES),
    ({"X-Amz-Expires": "0"}, "IncompleteSignatureException", "X-Amz-Expires must be greater than 0"),
    ({"X-Amz-Expires": "-1"}, "IncompleteSignatureException", "X-Amz-Expires must be non-negative"),
    ({"X-Amz-Expires": "soon"}, "IncompleteSignatureException", "X-Amz-Expires should be a number")])
def test_wrong_parameters(api, change, kind, words):
    assert refusal(api, presign(api, "ListTables", b"{}", change), call_headers("ListTables")) == (kind, words)


def test_an_unknown_key(api):
    link = presign(api, "ListTables", b"{}").replace("X-Amz-Credential=", "X-Amz-Credential=NOBODY")
    assert refusal(api, link, call_headers("ListTables")) == ("UnrecognizedClientException", "The security token included in the request is invalid.")


def test_links_end_when_their_maker_said(api):
    ask = lambda expires, minutes: send(api, presign(api, "ListTables", b"{}", {"X-Amz-Expires": expires}, minutes), call_headers("ListTables"), b"{}")
    for expires, minutes in (("604800", -7 * 24 * 60 + 1), ("120", -1), (None, -14), ("60", 14)):
        assert ask(expires, minutes)[0] == 200, (expires, minutes)
    for expires, minutes, words in (("604800", -7 * 24 * 60 - 1, r"Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 10080 min\.\)"),
                                    ("90", -2, r"Signature expired: .* - 90 sec\.\)"), (None, -16, r"Signature expired: .* - 15 min\.\)"),
                                    ("60", 16, r"Signature not yet current: .* \+ 15 min\.\)")):
        status, answer = ask(expires, minutes)
        assert status == 400 and answer["__type"].endswith("#InvalidSignatureException") and re.fullmatch(words, answer["message"]), answer
