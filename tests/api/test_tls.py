"""TLS: what is spoken and what is refused, by real clients and by sockets; certificates renewed under load; handshakes that never end."""

import asyncio
import concurrent.futures
import http.client
import json
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

import boto3
import botocore.exceptions
import pytest
import websockets.asyncio.client

import headwater
from chat import people


def make_certificate(folder, name, kind=("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), password=None, days=30):
    """(certificate, key) of this machine, signed by itself."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    lock = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, *lock, "-keyout", key, "-out", certificate, "-days", str(days), "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {"one": make_certificate(folder, "one"), "two": make_certificate(folder, "two"), "rsa": make_certificate(folder, "rsa", ["rsa:2048"]),
            "locked": make_certificate(folder, "locked", password="secret")}


@pytest.fixture
def sealed(start_server, certificates):
    """Starts a server with a certificate of these: sealed(*options, name="one")."""

    def start(*options, name="one"):
        certificate, key = certificates[name]
        return start_server("--tls-cert", certificate, "--tls-key", key, *options, authority=certificate)

    return start


def trusting(server, least=None, most=None, ciphers=None, protocols=None):
    made = ssl.create_default_context(cafile=server.authority)
    if least:
        made.minimum_version = least
    if most:
        made.maximum_version = most
    if ciphers:
        made.set_ciphers(ciphers)
    if protocols:
        made.set_alpn_protocols(protocols)
    return made


def connect(server, **how):
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=headwater.WAIT_S)
    try:
        return trusting(server, **how).wrap_socket(plain, server_hostname="localhost")
    except (OSError, ssl.SSLError):
        plain.close()
        raise


def ask(peer, path="/healthz"):
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = http.client.HTTPResponse(peer)
    answer.begin()
    return answer.status, answer.read()


def serial_of(server):
    with connect(server) as peer:
        return dict(pair[0] for pair in peer.getpeercert()["subject"])["commonName"]


# ---- real clients ----


def test_boto3_and_the_cli(sealed):
    server = sealed()
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", server.url)
    assert (server.data / "url").read_text(encoding="ascii").strip() == server.url
    server.dynamodb.create_table(TableName="Music", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                                 AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])
    server.dynamodb.get_waiter("table_exists").wait(TableName="Music", WaiterConfig={"Delay": 1})
    server.dynamodb.put_item(TableName="Music", Item={"pk": {"S": "a"}, "x": {"S": "y" * 390_000}})
    assert server.dynamodb.get_item(TableName="Music", Key={"pk": {"S": "a"}})["Item"]["x"]["S"] == "y" * 390_000
    assert server.aws("dynamodb", "list-tables") == {"TableNames": ["Music"]}
    assert server.metrics()["headwater_tls_handshakes_total"] > 0


def test_boto3_refuses_another_certificate(sealed, certificates):
    server = sealed()
    client = boto3.client("dynamodb", endpoint_url=server.url, region_name=headwater.REGION, aws_access_key_id="a", aws_secret_access_key="b",
                          verify=str(certificates["two"][0]))
    with pytest.raises(botocore.exceptions.SSLError):
        client.list_tables()


def test_the_javascript_sdk(sealed, certificates):
    server = sealed(name="rsa")
    script = headwater.ROOT / "tests/api/dynamodb/clients.mjs"
    key, secret = server.credentials
    run = subprocess.run([headwater.ROOT / ".deps/venv/bin/node", script, server.url, "t"], capture_output=True, text=True, timeout=120, check=False,
                         env=headwater.plain_environment({"NODE_EXTRA_CA_CERTS": str(certificates["rsa"][0]), "AWS_ACCESS_KEY_ID": key,
                                                          "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": headwater.REGION, "AWS_MAX_ATTEMPTS": "1"}))
    assert run.returncode == 0, run.stderr


def test_our_own_commands(sealed):
    server = sealed()
    words = ["table", "list", "--data", str(server.data)]
    listed = subprocess.run([headwater.program(), *words], capture_output=True, text=True, timeout=60, check=False,
                            env=headwater.plain_environment({"AWS_CA_BUNDLE": str(server.authority)}))
    assert (listed.returncode, listed.stdout) == (0, ""), listed.stderr
    refused = subprocess.run([headwater.program(), *words], capture_output=True, text=True, timeout=60, check=False, env=headwater.plain_environment())
    assert refused.returncode == 1 and "certificate" in refused.stderr


async def open_chat(server, person):
    """A chat socket of asyncio: in Python 3.11 two threads on one TLS socket, as in chat.Socket, lose what one of them writes."""
    web = await websockets.asyncio.client.connect(server.url.replace("http", "ws", 1) + "/v1/ws", ssl=trusting(server), subprotocols=["chat.v1"],
                                                  max_size=None, compression=None, open_timeout=headwater.WAIT_S)
    await ask_chat(web, "connect", token=person.token)
    return web


async def frame_with(web, name):
    while True:
        for line in (await asyncio.wait_for(web.recv(), headwater.WAIT_S)).split("\n"):
            frame = json.loads(line)
            assert "error" not in frame, frame
            if name in frame:
                return frame[name]


async def ask_chat(web, name, **what):
    await web.send(json.dumps({"id": 1, name: what}))
    return await frame_with(web, name)


def test_a_chat_socket(sealed):
    server = sealed()
    ann, bob = people(server, 2)
    conversation = ann.open(bob)
    text = "sealed ü" * 400

    async def speak():
        async with await open_chat(server, ann) as one, await open_chat(server, bob) as two:
            sent = await ask_chat(one, "send", c=conversation, key="k", body={"text": text})
            return sent, await frame_with(two, "ev")

    sent, event = asyncio.run(speak())
    assert sent["replayed"] is False
    assert event["data"]["body"]["text"] == text


def test_the_page_is_only_for_tls_from_then_on(sealed, server):
    page = {"Accept": "text/html"}
    assert sealed().http("GET", "/", headers=page)[1]["Strict-Transport-Security"] == "max-age=31536000"
    assert server.http("GET", "/", headers=page)[1]["Strict-Transport-Security"] is None


# ---- what is spoken ----


@pytest.mark.parametrize("version, name", [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_versions_that_are_spoken(sealed, version, name):
    with connect(sealed(), least=version, most=version) as peer:
        assert peer.version() == name and ask(peer) == (200, b"ok\n")
        assert re.search("GCM|CHACHA20", peer.cipher()[0])


@pytest.mark.parametrize("how", [
    {"least": ssl.TLSVersion.TLSv1, "most": ssl.TLSVersion.TLSv1, "ciphers": "ALL:@SECLEVEL=0"},
    {"least": ssl.TLSVersion.TLSv1_1, "most": ssl.TLSVersion.TLSv1_1, "ciphers": "ALL:@SECLEVEL=0"},
    *({"most": ssl.TLSVersion.TLSv1_2, "ciphers": f"{names}:@SECLEVEL=0"} for names in (
        "ECDHE+AES128+SHA256:!AESGCM", "ECDHE-RSA-AES256-SHA", "AES128-SHA", "AES256-GCM-SHA384", "DHE+AESGCM", "AESCCM", "CAMELLIA", "aNULL"))])
def test_what_is_not_spoken(sealed, how):
    server = sealed(name="rsa")
    with pytest.raises(ssl.SSLError, match="(?i)alert|handshake failure|protocol version"):
        connect(server, **how)
    with connect(server) as peer:
        assert ask(peer) == (200, b"ok\n")


@pytest.mark.parametrize("offered, chosen", [(None, None), (["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1")])
def test_protocols(sealed, offered, chosen):
    with connect(sealed(), protocols=offered) as peer:
        assert peer.selected_alpn_protocol() == chosen and ask(peer) == (200, b"ok\n")


def test_a_client_that_speaks_only_http_2(sealed):
    with pytest.raises(ssl.SSLError, match="(?i)no application protocol|alert"):
        connect(sealed(), protocols=["h2"])


def test_renegotiation_is_refused(sealed):
    """By OpenSSL's own client, whose line R asks for it."""
    server = sealed()
    run = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-CAfile", server.authority], input=b"R\n",
                         capture_output=True, timeout=60, check=False)
    assert b"RENEGOTIATING" in run.stdout + run.stderr and b"no renegotiation" in run.stdout + run.stderr
    with connect(server) as peer:
        assert ask(peer) == (200, b"ok\n")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(sealed, version):
    server = sealed("--loops=2")
    trust = trusting(server, least=version, most=version)

    def once(session):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain, \
                trust.wrap_socket(plain, server_hostname="localhost", session=session) as peer:
            assert ask(peer) == (200, b"ok\n")
            return peer.session, peer.session_reused

    session, reused = once(None)
    assert not reused
    for _ in range(4):
        session, reused = once(session)
        assert reused


def test_tickets_end_with_their_keys(sealed):
    """A renewal makes new ones, also when the files are the same."""
    server = sealed("--tls-renew-ms=86400000")
    trust = trusting(server)

    def once(session):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain, \
                trust.wrap_socket(plain, server_hostname="localhost", session=session) as peer:
            assert ask(peer) == (200, b"ok\n")
            return peer.session, peer.session_reused

    session, _ = once(None)
    session, reused = once(session)
    assert reused
    server.process.signal(signal.SIGHUP)
    assert server.process.err.wait_for("tls.certificate_renewed")
    end = time.monotonic() + 30
    while once(session)[1]:
        assert time.monotonic() < end, "old tickets are still taken"


def test_the_files_are_read_again_without_being_asked(start_server, certificates, tmp_path):
    place, lock = tmp_path / "tls.crt", tmp_path / "tls.key"
    both = tmp_path / "both.crt"
    both.write_bytes(b"".join(certificates[name][0].read_bytes() for name in ("one", "two")))
    place.write_bytes(certificates["one"][0].read_bytes())
    lock.write_bytes(certificates["one"][1].read_bytes())
    server = start_server("--tls-cert", place, "--tls-key", lock, "--tls-renew-ms=200", authority=both)
    assert serial_of(server) == "one"
    place.write_bytes(certificates["two"][0].read_bytes())
    lock.write_bytes(certificates["two"][1].read_bytes())
    end = time.monotonic() + 60
    while serial_of(server) != "two":
        assert time.monotonic() < end, "it was not read again"
    server.stop()


def test_refusals_and_continuations_can_be_read(sealed):
    server = sealed()
    with connect(server) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        stream = peer.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n" and stream.readline() == b"\r\n"
        peer.sendall(b"2\r\n{}\r\n0\r\n\r\n")
        assert stream.readline() == b"HTTP/1.1 404 Not Found\r\n"
    with connect(server) as peer:
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 300_000)
        assert peer.makefile("rb").read().startswith(b"HTTP/1.1 413 "), "and the end is told, or read() would fail"


def test_a_large_answer_to_a_slow_reader(sealed):
    server = sealed()
    with connect(server) as peer:
        for _ in range(40):
            peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 25)
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = bytearray()
        while chunk := peer.recv(20_000):
            got += chunk
        assert got.count(b"HTTP/1.1 200 OK") == 1001 and got.endswith(b"ok\n") and len(got) > 5 << 20


def test_bytes_arrive_one_by_one_and_all_at_once(sealed):
    server = sealed()
    with connect(server) as peer:
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
            peer.sendall(bytes([byte]))
        assert http_status(peer) == 200
    with connect(server) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
        peer.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        whole = peer.makefile("rb").read()
        assert whole.count(b"HTTP/1.1 200 OK") == 301 and whole.endswith(b"ready\n")


def http_status(peer):
    answer = http.client.HTTPResponse(peer)
    answer.begin()
    answer.read()
    return answer.status


# ---- what is not TLS ----


@pytest.mark.parametrize("request_text", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"])
def test_plain_http_is_told_where_it_is(sealed, request_text):
    server = sealed()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as peer:
        peer.sendall(request_text)
        head, body = peer.makefile("rb").read().split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n") and body == b"This port speaks HTTPS: call it by https://\n"
    assert server.metrics()["headwater_tls_failed_total"] == 1


@pytest.mark.parametrize("data", [b"\0", b"\x16\x03\x01\x00\x05hello", b"\x16" * 40, b"\x80\x2e\x01\x00\x02" + b"\0" * 60, b"\x16\x03\x01\x40\x01" + b"\1" * 16385])
def test_what_is_no_handshake_ends_the_connection(sealed, data):
    server = sealed()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as peer:
        peer.sendall(data)
        peer.settimeout(30)
        try:
            assert len(peer.makefile("rb").read()) < 100
        except ConnectionResetError:
            pass
    assert server.http("GET", "/healthz")[::2] == (200, b"ok\n")


def test_a_changed_record_ends_the_connection(sealed):
    server = sealed()
    with connect(server) as peer:
        assert ask(peer) == (200, b"ok\n")
        with socket.socket(fileno=socket.dup(peer.fileno())) as below:
            below.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            assert peer.recv(1) != b""
            pytest.fail("it went on")
    assert server.metrics()["headwater_tls_failed_total"] == 1


def test_slow_handshakes_end_and_hold_nobody_up(sealed):
    server = sealed("--head-timeout-ms=500")
    hello = client_hello(server)
    slow = []
    for length in (0, 1, 5, len(hello) - 1, len(hello)):
        peer = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        peer.sendall(hello[:length])
        slow.append(peer)
    begun = time.monotonic()
    with connect(server) as peer:
        assert ask(peer) == (200, b"ok\n")
    assert time.monotonic() - begun < 10
    for peer in slow:
        with peer:
            try:
                while peer.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    assert server.http("GET", "/healthz")[0] == 200


def client_hello(server):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    halted = trusting(server).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        halted.do_handshake()
    return outgoing.read()


def test_aborted_handshakes_leave_nothing(sealed):
    server = sealed()
    hello = client_hello(server)
    for number in range(200):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as peer:
            if number % 2:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(hello[:1 + number * 7 % len(hello)])
    end = time.monotonic() + 30
    while server.metrics()["headwater_connections"] > 1:
        assert time.monotonic() < end, "connections are left"
    assert server.http("GET", "/healthz")[0] == 200


# ---- certificates ----


def test_renewal_under_load_drops_nothing(start_server, certificates, tmp_path):
    """Connections that are there go on, those to come see the new certificate, no request fails."""
    place, lock = tmp_path / "tls.crt", tmp_path / "tls.key"
    both = tmp_path / "both.crt"
    both.write_bytes(b"".join(certificates[name][0].read_bytes() for name in ("one", "two")))

    def put(name):
        place.write_bytes(certificates[name][0].read_bytes())
        lock.write_bytes(certificates[name][1].read_bytes())

    put("one")
    server = start_server("--tls-cert", place, "--tls-key", lock, "--loops=2", authority=both)
    stop = threading.Event()

    def load(keep):
        count = 0
        peer = connect(server)
        while not stop.is_set():
            assert ask(peer) == (200, b"ok\n")
            count += 1
            if not keep:
                peer.close()
                peer = connect(server)
        peer.close()
        return count

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        loads = [pool.submit(load, number < 3) for number in range(6)]
        try:
            names = ("two", "one") * 5
            for name in names:
                put(name)
                server.process.signal(signal.SIGHUP)
                end = time.monotonic() + 60
                while serial_of(server) != name or serial_of(server) != name:
                    assert time.monotonic() < end, f"{name} was not taken"
        finally:
            stop.set()
        counts = [load.result() for load in loads]
    assert min(counts) > 0 and sum(counts) > 50, counts
    assert server.process.err.text().count("tls.certificate_renewed") == len(names)


@pytest.mark.parametrize("change", ["not PEM", "other key", "gone"])
def test_a_bad_certificate_is_not_taken(start_server, certificates, tmp_path, change):
    place, lock = tmp_path / "tls.crt", tmp_path / "tls.key"
    place.write_bytes(certificates["one"][0].read_bytes())
    lock.write_bytes(certificates["one"][1].read_bytes())
    server = start_server("--tls-cert", place, "--tls-key", lock, authority=certificates["one"][0])
    ends = server.metrics()["headwater_tls_certificate_end_seconds"]
    assert 29 * 86400 < ends - time.time() < 31 * 86400
    if change == "gone":
        lock.unlink()
    elif change == "not PEM":
        place.write_bytes(b"not a certificate\n")
    else:
        lock.write_bytes(certificates["two"][1].read_bytes())
    server.process.signal(signal.SIGHUP)
    assert server.process.err.wait_for(r"tls\.certificate_kept.*reason.*" + re.escape(str(place if change == "not PEM" else lock)))
    assert serial_of(server) == "one" and server.http("GET", "/healthz")[0] == 200
    assert server.metrics()["headwater_tls_certificate_end_seconds"] == ends


@pytest.mark.parametrize("certificate, key, words", [
    ("one", None, "option tls-cert is given without tls-key: TLS needs both"), (None, "one", "option tls-key is given without tls-cert: TLS needs both"),
    ("missing", "one", "cannot read the certificate .*missing.*: no such file or directory"), ("one", "missing", "cannot read the key .*missing.*: no such file or directory"),
    ("one", "two", "cannot read the key .*two.key: key values mismatch"), ("key", "one", "cannot read the certificate .*one.key: no start line"),
    ("locked", "locked", "cannot read the key .*locked.key: .*")])
def test_wrong_files_are_told_at_the_start(tmp_path, certificates, certificate, key, words):
    files = lambda name, place: tmp_path / "missing" if name == "missing" else certificates["one"][1] if name == "key" else certificates[name][place]
    options = [*(["--tls-cert", files(certificate, 0)] if certificate else []), *(["--tls-key", files(key, 1)] if key else [])]
    process = headwater.Process("serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", *options)
    assert process.wait() == 2
    assert re.search(f"^headwater: {words}$", process.err.finish(), re.MULTILINE), process.err.text()
    assert not (tmp_path / "data").exists()


def test_with_tls_it_listens_beyond_loopback(sealed):
    server = sealed("--listen", "0.0.0.0:0")
    assert urllib.parse.urlsplit(server.url).hostname == "0.0.0.0"
    assert server.http("GET", "/healthz")[0] == 200


def test_a_stop_during_handshakes_is_quick(sealed):
    server = sealed()
    peers = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(5)]
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 4
    for peer in peers:
        peer.close()
