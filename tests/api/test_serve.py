"""headwater serve: what it says, what it refuses, whom it answers, and how it ends."""

import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.parse

import botocore.exceptions
import pytest
import websockets.exceptions
import websockets.sync.client
from prometheus_client.parser import text_string_to_metric_families

import ending
import headwater
from headwater import Process, Server

TABLE = {"TableName": "Music", "BillingMode": "PAY_PER_REQUEST",
         "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"}],
         "AttributeDefinitions": [{"AttributeName": "Artist", "AttributeType": "S"}]}
UNSIGNED = {"Content-Type": "application/x-amz-json-1.0"}


def unsigned_call(server, operation, body, **headers):
    """A call without a signature: (status, decoded answer)."""
    target = {"X-Amz-Target": f"DynamoDB_20120810.{operation}"}
    status, _, answer = server.http("POST", "/", json.dumps(body), {**UNSIGNED, **target, **headers})
    return status, json.loads(answer)


def refused(*arguments, environment=None, hooks=False):
    """(exit status, standard error) of a start that must fail."""
    process = Process("serve", *arguments, environment=environment, hooks=hooks)
    status = process.wait()
    assert "listening" not in process.out.text()
    data = arguments[arguments.index("--data") + 1] if "--data" in arguments else pathlib.Path("data").absolute()
    assert ending.lacks(process.err.text(), status, data) is None
    return status, process.err.text()


# ---- what it says ----


@pytest.mark.parametrize("folder", ["plain", "it's a \"folder\" with $spaces"])
def test_the_first_lines_work_when_pasted(tmp_path, start_server, folder):
    """A shell, the lines as printed, the real AWS CLI: nothing else is needed."""
    server = start_server(folder=tmp_path / folder)
    lines = [line.strip() for line in server.process.out.text().splitlines()]
    pasted = [line for line in lines if line.startswith(("export ", "aws "))]
    assert len(pasted) == 3
    path = f"{headwater.ROOT}/.deps/venv/bin:/usr/bin:/bin"
    ran = subprocess.run(["/bin/sh", "-c", "\n".join(pasted)], env={"PATH": path, "HOME": str(tmp_path)},
                         capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"TableNames": []}


def test_the_first_lines_name_page_endpoint_and_both_regions(server):
    text = server.process.out.text()
    assert re.search(rf"^ *chat page +{re.escape(server.url)}/$", text, re.MULTILINE)
    assert re.search(rf"^ *endpoint +{re.escape(server.url)}$", text, re.MULTILINE)
    exported = dict(word.split("=", 1) for line in text.splitlines() if line.strip().startswith("export ")
                    for word in shlex.split(line)[1:])
    assert exported == server.client_environment()
    assert (server.data / "url").read_text() == server.url + "\n"


def test_the_secret_is_for_the_file_alone(server):
    """Neither the first start, which makes it, nor a later one prints it; only the owner may read the file."""
    key, secret = server.credentials
    said = server.process.out.text()
    server.restart("--log-level", "debug")
    server.dynamodb.list_tables()
    server.stop()
    for text in (said, server.process.out.text(), server.process.err.text()):
        assert secret not in text
    assert len(key) == 20 and len(secret) == 40
    assert stat.S_IMODE(server.credentials_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700


def test_the_key_is_kept(server):
    before = server.credentials
    server.restart()
    assert server.credentials == before


def test_the_url_file_is_there_only_while_it_serves(server):
    assert (server.data / "url").exists()
    server.stop()
    assert not (server.data / "url").exists()


def test_help_names_every_option():
    process = Process("serve", "--help")
    assert process.wait() == 0
    rows = re.findall(r'^OPTION\("([^"]+)"', (headwater.ROOT / "src/server/config.def").read_text(),
                      re.MULTILINE)
    assert len(rows) > 15
    for key in ["config", *rows]:
        assert f"--{key} " in process.out.text()


# ---- what it refuses ----


@pytest.mark.skipif(headwater.PRESET in ("asan", "tsan"), reason="a sanitizer's library must be loaded first")
def test_each_thread_that_the_system_does_not_give(tmp_path):
    """Whichever thread is the first that cannot be had, the start ends with status 1 and says so; nothing ends it by a signal."""
    told = []
    names = set()
    for number in range(1, 100):
        process = Process("serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data",
                          environment={"HWFAIL": f"thread:EAGAIN:{number}", "HWFAIL_ROOT": str(tmp_path),
                                       "LD_PRELOAD": str(headwater.program("libhwfail.so"))})
        if process.out.wait_for(r"^listening url="):
            process.kill()
            break
        assert process.wait() == 1, process.err.text()
        told += re.findall("^headwater: (?:the system gives no thread for|a library .RocksDB. cannot go on:) (.*)",
                           process.err.text(), re.MULTILINE)
        assert len(told) == number, process.err.text()
        assert ending.lacks(process.err.text(), 1, tmp_path / "data") is None
        names |= set(re.findall("^headwater: the system gives no thread for (.*): .* limits of tasks", process.err.text(), re.MULTILINE))
    assert names == {"hw-segments", "hw-cleaner", "scrubber", "reader", "committer", "flusher", "keeper", "expirer", "hasher", "hw-loop"}


def test_a_crowd_leaves_the_store_its_files(start_server):
    """Peers get half of the descriptors: a flush of the view, which opens files, goes on beside any number of them."""
    server = start_server("--segment-bytes", "262144", "--memtable-bytes", "65536", "--flush-bytes", "65536",
                          under=("prlimit", "--nofile=200:200"))
    assert json.loads(server.process.err.wait_for(r'^.*"server.connections".*$')[0])["connections_max"] == 50
    server.dynamodb.create_table(**TABLE)
    with contextlib.ExitStack() as crowd:
        for _ in range(250):
            crowd.enter_context(socket.create_connection(server.address.split(":"), timeout=headwater.WAIT_S))
        for i in range(100):
            server.dynamodb.put_item(TableName="Music", Item={"Artist": {"S": str(i)}, "Noise": {"B": os.urandom(20000)}})
    assert server.process.is_running()
    assert server.process.err.text().count('"accept"') == 0


def test_an_address_in_use(server, tmp_path):
    status, said = refused("--listen", server.address, "--data", tmp_path / "other")
    assert status == 5
    assert server.address in said and "in use" in said and "--listen" in said


def test_an_address_of_another_machine(tmp_path):
    """192.0.2.0/24 is for documentation: no machine has one of it."""
    status, said = refused("--listen", "192.0.2.1:0", "--data", tmp_path / "data", "--allow-plaintext")
    assert status == 1
    assert "headwater: cannot listen on 192.0.2.1:0: Cannot assign requested address. Choose an address of this machine" in said


def test_a_data_directory_in_use(server):
    status, said = refused("--listen", "127.0.0.1:0", "--data", server.data)
    assert status == 5
    assert str(server.data) in said and f"process {server.process.pid}" in said
    assert server.dynamodb.list_tables()["TableNames"] == []
    assert (server.data / "url").read_text() == server.url + "\n"


def test_a_data_directory_that_cannot_be_opened(tmp_path):
    """The file and the cause are named."""
    (tmp_path / "file").write_text("")
    status, said = refused("--listen", "127.0.0.1:0", "--data", tmp_path / "file")
    told = [line for line in said.splitlines() if line.startswith("headwater: ")]
    assert status == 4
    assert told == [f"headwater: cannot open the data directory {tmp_path}/file: open of {tmp_path}/file/LOCK: Not a directory. "
                    "Name a directory with --data, or move the file aside."]


def own_volume(folder, megabytes):
    """What to start a program under, so that it sees a volume of this size at folder."""
    mount = f'mount -t tmpfs -o size={megabytes}m tmpfs "$0" && exec "$@"'
    under = ("unshare", "-m", "sh", "-c", mount, folder)
    if subprocess.run([*under, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace")
    return under


def test_a_first_start_without_room(tmp_path):
    """Three memtables and two segments stay free; their sizes follow from the volume unless they are given."""
    process = Process("serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", "--memtable-bytes", "64m",
                      "--segment-bytes", "64m", under=own_volume(tmp_path, 300))
    assert process.wait() == 4 and "listening" not in process.out.text()
    assert re.search(rf"^headwater: the first start needs 320 MB of free disk for the data directory {tmp_path}/data, which has "
                     r"\d+ MB: three of --memtable-bytes and two of --segment-bytes are kept free. Make room, or make these smaller.$",
                     process.err.text(), re.MULTILINE)


def test_a_full_disk_refuses_what_adds_to_it(tmp_path, start_server):
    """With an error that SDKs retry, in words of its own; it is over when there is room again."""
    server = start_server("--memtable-bytes", "1m", "--segment-bytes", "256k", folder=tmp_path, under=own_volume(tmp_path, 64))
    server.data = pathlib.Path(f"/proc/{server.process.pid}/root{server.data}")
    client = server.dynamodb
    client.create_table(**TABLE)
    client.put_item(TableName="Music", Item={"Artist": {"S": "Acme"}})
    ballast = server.data.parent / "ballast"
    left = os.statvfs(server.data).f_bavail * os.statvfs(server.data).f_frsize
    with ballast.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, left - 3 * 1024 * 1024)  # of 3.5 MB that are kept free

    def refusal():
        try:
            client.put_item(TableName="Music", Item={"Artist": {"S": "Blue"}, "Noise": {"B": os.urandom(8)}})
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]
        return None

    assert eventually(refusal) == {
        "Code": "ProvisionedThroughputExceededException",
        "Message": "The disk of the data directory is full: writes are refused until there is room again, deletes last; reads go on."}
    assert client.get_item(TableName="Music", Key={"Artist": {"S": "Acme"}})["Item"] == {"Artist": {"S": "Acme"}}
    check_batch(client)
    ballast.unlink()
    assert eventually(lambda: refusal() is None)


def check_batch(client):
    """On a full disk: the deletes of a batch are done and its puts come back; a batch of puts is refused as one put is."""
    puts = [{"PutRequest": {"Item": {"Artist": {"S": name}}}} for name in ("Blue", "Cyan")]
    delete = {"DeleteRequest": {"Key": {"Artist": {"S": "Acme"}}}}
    answer = client.batch_write_item(RequestItems={"Music": [puts[0], delete, puts[1]]}, ReturnConsumedCapacity="TOTAL")
    assert answer["UnprocessedItems"] == {"Music": puts}
    assert answer["ConsumedCapacity"] == [{"TableName": "Music", "CapacityUnits": 1.0}]
    assert "Item" not in client.get_item(TableName="Music", Key={"Artist": {"S": "Acme"}})
    with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
        client.batch_write_item(RequestItems={"Music": puts})


def eventually(look):
    """What look gives once that is true; at last whatever it gives."""
    end = time.monotonic() + headwater.WAIT_S
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("arguments, says", [
    (["--nonsense"], "unknown option '--nonsense'"),
    (["--nonsense=3"], "unknown option '--nonsense'"),
    (["word"], "unexpected argument 'word'"),
    (["--listen"], "option '--listen' needs a value"),
    (["--listen", "8000"], "option listen is '8000': it must be address:port"),
    (["--listen", "127.0.0.1:"], "it must be address:port"),
    (["--listen", "127.0.0.1:65536"], "it must be address:port"),
    (["--listen", "127.0.0.1:80x"], "it must be address:port"),
    (["--listen", ":8000"], "it must be address:port"),
    (["--auth", "basic"], "option auth is 'basic': it must be sigv4 or none"),
    (["--log-level", "loud"], "option log-level is 'loud': it must be debug, info, warn or error"),
    (["--loops", "65"], "option loops (flag) is '65': it must be a number from 0 to 64"),
    (["--loops", "-1"], "option loops (flag) is '-1'"),
    (["--loops", "two"], "option loops (flag) is 'two'"),
    (["--loops", ""], "option loops (flag) is ''"),
    (["--read-workers=0"], "it must be a number from 1 to 256"),
    (["--segment-bytes", "262143"], "it must be a number from 262144 to 1073741824, with k, m or g"),
    (["--segment-bytes", "1025m"], "option segment-bytes (flag) is '1025m'"),
    (["--segment-bytes", "1mb"], "option segment-bytes (flag) is '1mb'"),
    (["--log-budget", "-1"], "option log-budget (flag) is '-1'"),
    (["--log-budget", "1125899906842625"], "it must be a number from 0 to 1125899906842624, with k, m or g"),
    (["--cache-bytes", "99999999999999999999"], "option cache-bytes (flag)"),
    (["--cache-bytes", "17179869185g"], "option cache-bytes (flag)"),
    (["--allow-plaintext=perhaps"], "option allow-plaintext (flag) is 'perhaps': it must be yes or no"),
    (["--config", "/nonexistent/file"], "cannot read the configuration file /nonexistent/file"),
    (["--listen", "0.0.0.0:0"], "0.0.0.0 is not a loopback address"),
    (["--listen", "[::]:0"], ":: is not a loopback address"),
    (["--listen", "0.0.0.0:0", "--auth=none", "--allow-plaintext"], "--auth=none is for loopback only"),
])
def test_a_wrong_option(tmp_path, arguments, says):
    status, said = refused("--data", tmp_path / "data", *arguments)
    assert (status, says in said) == (2, True), said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("text, says", [
    ("loops = 3\nnonsense = 4\n", "line 2: unknown option 'nonsense'"),
    ("\n# comment\nloops\n", "line 3: expected 'key = value' at 'loops'"),
    ("loops = 99\n", "is '99': it must be a number from 0 to 64"),
    ("config = other\n", "line 1: unknown option 'config'"),
    ("region = eu\0west\n", "holds a zero byte"),
])
def test_a_wrong_configuration_file(tmp_path, text, says):
    file = tmp_path / "settings"
    file.write_text(text)
    status, said = refused("--data", tmp_path / "data", "--config", file)
    assert (status, says in said) == (2, True), said
    assert str(file) in said


def test_a_wrong_variable(tmp_path):
    status, said = refused("--data", tmp_path / "data", environment={"HEADWATER_LOOPS": "many"})
    assert status == 2
    assert "option loops (HEADWATER_LOOPS) is 'many'" in said


def test_release_builds_have_no_test_hooks(tmp_path):
    if headwater.PRESET != "release":
        pytest.skip("this preset has them")
    status, said = refused("--data", tmp_path / "data", "--test-clock", tmp_path / "clock")
    assert (status, "unknown option '--test-clock'" in said) == (2, True), said


@pytest.mark.parametrize("arguments, status", [([], 2), (["fly"], 2), (["--version"], 0), (["--help"], 0)])
def test_the_program_without_serve(arguments, status):
    process = Process(*arguments)
    assert process.wait() == status
    said = process.out.text() + process.err.text()
    assert "headwater" in said.lower()
    assert arguments != ["fly"] or "there is no command 'fly'" in said


@pytest.mark.parametrize("text", ["", "[default]\naws_access_key_id = AKIA\n", None])
def test_a_credentials_file_without_a_key(tmp_path, text):
    file = tmp_path / "keys"
    if text is not None:
        file.write_text(text)
    status, said = refused("--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--credentials", file)
    assert status == 2
    assert str(file) in said


# ---- where its options come from ----


def region_of(server):
    """As it names a table."""
    status, answer = unsigned_call(server, "CreateTable", TABLE)
    assert status == 200, answer
    return answer["TableDescription"]["TableArn"].split(":")[3]


@pytest.mark.parametrize("sources, region", [
    ("", "us-east-1"),
    ("default-region", "eu-north-1"),
    ("default-region region", "eu-south-1"),
    ("default-region region file", "eu-west-1"),
    ("file variable", "eu-west-2"),
    ("file flag", "eu-west-3"),
    ("default-region region file variable flag", "eu-west-3"),
])
def test_flag_over_variable_over_file_over_default(tmp_path, start_server, sources, region):
    sources = sources.split()
    file = tmp_path / "settings"
    file.write_text("# ours\n  auth=none  \n" + ("region = eu-west-1\n" if "file" in sources else ""))
    environment = {"HEADWATER_CONFIG": str(file)}
    environment.update({"AWS_DEFAULT_REGION": "eu-north-1"} if "default-region" in sources else {})
    environment.update({"AWS_REGION": "eu-south-1"} if "region" in sources else {})
    environment.update({"HEADWATER_REGION": "eu-west-2"} if "variable" in sources else {})
    flags = ["--region", "eu-west-3"] if "flag" in sources else []
    assert region_of(start_server(*flags, environment=environment)) == region


def test_the_config_flag_wins_over_its_variable(tmp_path, start_server):
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"auth = none\nregion = {name}\n")
    server = start_server("--config", tmp_path / "two", environment={"HEADWATER_CONFIG": str(tmp_path / "one")})
    assert region_of(server) == "two"


# ---- whom it answers ----


def test_every_profile_of_the_credentials_file_is_a_key(tmp_path, start_server):
    file = tmp_path / "keys"
    file.write_text("".join(f"[{name}]\naws_access_key_id = ID{name}\naws_secret_access_key = secret-{name}\n"
                            for name in ("one", "two")))
    server = start_server("--credentials", file)
    assert not server.credentials_file.exists()

    def client(key, secret):
        server.__class__ = type("Keyed", (Server,), {"credentials": (key, secret)})
        return server.client()

    for name in ("one", "two"):
        assert client(f"ID{name}", f"secret-{name}").list_tables()["TableNames"] == []
    for key, secret, code in (("IDone", "secret-two", "InvalidSignatureException"),
                              ("IDthree", "secret-one", "UnrecognizedClientException")):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            client(key, secret).create_table(**TABLE)
        assert caught.value.response["Error"]["Code"] == code
    assert client("IDone", "secret-one").list_tables()["TableNames"] == []


def test_calls_without_a_signature_are_refused(server):
    status, answer = unsigned_call(server, "CreateTable", TABLE)
    assert status == 400 and "MissingAuthenticationToken" in answer["__type"]
    assert server.dynamodb.list_tables()["TableNames"] == []


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"},
    {"Origin": "https://localhost.evil.example"},
    {"Origin": "null"},
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example:8000"},
    {"Host": "localhost", "Origin": "http://evil.example:8000"},
])
def test_without_signatures_strangers_are_refused(start_server, headers):
    server = start_server("--auth=none")
    status, answer = unsigned_call(server, "CreateTable", TABLE, **headers)
    assert status == 400 and "AccessDenied" in answer["__type"], answer
    assert unsigned_call(server, "ListTables", {})[1] == {"TableNames": []}


@pytest.mark.parametrize("headers", [
    {}, {"Host": "localhost:8000"}, {"Host": "127.0.0.1"}, {"Host": "[::1]:8000"},
    {"Origin": "http://localhost:3000"}, {"Origin": "http://127.0.0.1"}, {"Origin": "http://[::1]:1"},
])
def test_without_signatures_this_machine_is_served(start_server, headers):
    server = start_server("--auth=none")
    assert unsigned_call(server, "ListTables", {}, **headers) == (200, {"TableNames": []})
    assert "need no signature" in server.process.out.text()


def test_beyond_loopback_only_when_told(start_server):
    """With --allow-plaintext it listens on every address, and still wants signatures."""
    server = start_server("--listen", "0.0.0.0:0", "--allow-plaintext")
    port = urllib.parse.urlsplit(server.url).port
    with socket.create_connection(("127.0.0.2", port), timeout=60) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert peer.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"


def test_the_page_is_for_browsers_and_the_health_text_for_others(server):
    status, headers, body = server.http("GET", "/", headers={"Accept": "text/html,*/*"})
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<html" in body and "default-src" in headers["Content-Security-Policy"]
    status, headers, body = server.http("GET", "/")
    assert (status, body) == (200, b"healthy: dynamodb.us-east-1.amazonaws.com ")


# ---- what an operator reads ----


def test_health(server):
    assert server.http("GET", "/healthz")[::2] == (200, b"ok\n")
    assert server.http("GET", "/readyz")[::2] == (200, b"ready\n")
    assert server.http("HEAD", "/readyz")[::2] == (200, b"")


def test_metrics_are_valid_prometheus_text(server):
    """By Prometheus' own parser; and by its rules for names, families and histograms, which that lets pass."""
    server.dynamodb.create_table(**TABLE)
    server.dynamodb.put_item(TableName="Music", Item={"Artist": {"S": "Acme"}})
    status, headers, body = server.http("GET", "/metrics")
    text = body.decode()
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert text.endswith("\n") and text.count("# TYPE ") > 30
    families = list(text_string_to_metric_families(text))
    names = re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)
    assert len(names) == len(set(names)) and all(name.startswith("headwater_") for name in names)
    samples = [(sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples]
    assert len(samples) == len(set(samples))
    for family in families:
        assert family.type in ("counter", "gauge", "histogram") and family.documentation, family.name
        for sample in family.samples:
            assert sample.value >= 0
            assert family.type != "counter" or sample.name.endswith("_total"), sample.name
        if family.type == "histogram":
            check_histogram(family)


def check_histogram(family):
    """Each of its series grows in bound and count, and ends with +Inf, which counts everything."""
    series = {}
    for sample in family.samples:
        labels = tuple(value for name, value in sample.labels.items() if name != "le")
        series.setdefault(labels, []).append(sample)
    for samples in series.values():
        buckets = [(float(sample.labels["le"]), sample.value) for sample in samples
                   if sample.name.endswith("_bucket")]
        total, count = (next(sample.value for sample in samples if sample.name.endswith(end))
                        for end in ("_sum", "_count"))
        bounds, values = zip(*buckets)
        assert len(set(bounds)) == len(bounds) and sorted(bounds) == list(bounds) and sorted(values) == list(values)
        assert buckets[-1] == (float("inf"), count) and (total > 0) == (count > 0)


def test_metrics_count_what_happens(server):
    server.dynamodb.create_table(**TABLE)
    before = server.metrics()
    for number in range(20):
        server.dynamodb.put_item(TableName="Music", Item={"Artist": {"S": str(number)}})
    unsigned_call(server, "ListTables", {})
    after = server.metrics()
    grown = {name: after[name] - before[name] for name in after}
    labelled = re.findall(r'^headwater_operation_(\w+)\{operation="PutItem"\} (\d+)$',
                          server.http("GET", "/metrics")[2].decode(), re.MULTILINE)
    assert dict(labelled) == {"requests_total": "20", "faults_total": "0", "errors_total": "0", "seconds_count": "20"}
    assert grown["headwater_commits_total"] == grown["headwater_visible_commit"] == 20
    assert 1 <= grown["headwater_log_syncs_total"] <= 20
    assert grown["headwater_signatures_refused_total"] == 1
    assert after["headwater_durable_commit"] == after["headwater_visible_commit"]


def test_log_lines_are_json(server):
    server.stop()
    lines = [json.loads(line) for line in server.process.err.text().splitlines()]
    assert [line["event"] for line in lines][-2:] == ["server.stopping", "server.stopped"]
    assert all(line["time"].endswith("Z") and line["level"] in ("info", "warn") for line in lines)


# ---- how it ends ----


def test_data_outlives_a_stop_and_a_kill(server):
    """What was acknowledged is there after a clean stop and after a kill."""
    server.dynamodb.create_table(**TABLE)
    item = {"Artist": {"S": "Acme"}, "Year": {"N": "1999"}}
    server.dynamodb.put_item(TableName="Music", Item=item)
    server.restart()
    assert server.dynamodb.get_item(TableName="Music", Key={"Artist": {"S": "Acme"}})["Item"] == item
    server.kill()
    server.start()
    assert server.dynamodb.get_item(TableName="Music", Key={"Artist": {"S": "Acme"}})["Item"] == item


def half_sent_put(server):
    """A socket on which all of a signed PutItem but its last byte was sent, and that byte."""
    body = json.dumps({"TableName": "Music", "Item": {"Artist": {"S": "late"}}}).encode()
    headers = server.signed_headers("PutItem", body)
    lines = ["POST / HTTP/1.1", f"Host: {server.address}", f"Content-Length: {len(body)}",
             "Expect: 100-continue", *(f"{name}: {value}" for name, value in headers.items())]
    peer = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    assert peer.recv(100).startswith(b"HTTP/1.1 100 ")  # so the server has its head
    peer.sendall(body[:-1])
    return peer, body[-1:]


def test_sigterm_lets_a_request_in_flight_have_its_answer(server):
    server.dynamodb.create_table(**TABLE)
    peer, last = half_sent_put(server)
    with peer:
        server.process.signal(signal.SIGTERM)
        server.process.err.wait_for("server.stopping")
        wait_until_refused(server)
        peer.sendall(last)
        answer = peer.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\nConnection: close\r\n" in answer
    assert server.process.wait() == 0
    server.start()
    assert "Item" in server.dynamodb.get_item(TableName="Music", Key={"Artist": {"S": "late"}})


def wait_until_refused(server):
    """Until nobody new is let in: each try is answered by a refusal, or by a close without an answer."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as peer:
                peer.recv(1)
        except ConnectionError:
            return


def test_an_idle_sigterm_is_a_clean_stop(server):
    """Idle connections do not hold it up; the next start replays nothing."""
    with socket.create_connection(("127.0.0.1", server.port)):
        server.dynamodb.create_table(**TABLE)
        server.stop()
    server.start()
    assert server.metrics()["headwater_replayed_bytes"] == 0
    assert '"clean_stop":1' in server.process.err.text()


@contextlib.contextmanager
def open_chat_socket(server):
    """A chat socket of a new user, connected and greeted."""
    def post(path, body):
        status, _, answer = server.http("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        assert status < 300, answer
        return json.loads(answer)

    person = {"handle": "ada", "password": "a long password"}
    post("/v1/users", person)
    token = post("/v1/sessions", person)["token"]
    with websockets.sync.client.connect(server.url.replace("http", "ws") + "/v1/ws") as peer:
        peer.send(json.dumps({"connect": {"token": token}}))
        assert '"session"' in peer.recv(60)
        yield peer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_with_sockets_open(server, number):
    """Ctrl-C: a keep-alive connection, a browser that says nothing more and a chat socket are left in the open."""
    server.dynamodb.create_table(**TABLE)
    with socket.create_connection(("127.0.0.1", server.port)) as silent, open_chat_socket(server) as chat:
        silent.sendall(b"GET / HTTP/1.1\r\n")
        server.process.signal(number)
        assert server.process.wait(1 if headwater.PRESET == "release" else 20) == 0
        with pytest.raises(websockets.exceptions.ConnectionClosed) as caught:
            chat.recv(60)
        assert caught.value.rcvd.code == 4001


def test_ctrl_c_does_not_wait_for_a_request_that_never_ends(server):
    """Half a request holds SIGTERM up until its client has had a fair time; SIGINT is a person who waits."""
    server.dynamodb.create_table(**TABLE)
    peer, _ = half_sent_put(server)
    with peer:
        server.process.signal(signal.SIGINT)
        assert server.process.wait(1 if headwater.PRESET == "release" else 20) == 0


def test_writers_at_a_stop_know_what_happened(server):
    """SIGTERM under load: what was answered is there, and nothing else was half done."""
    server.dynamodb.create_table(**TABLE)
    acknowledged, enough = set(), threading.Event()

    def write(writer):
        client = server.client()
        for number in range(100000):
            name = f"{writer}-{number}"
            try:
                client.put_item(TableName="Music", Item={"Artist": {"S": name}})
            except botocore.exceptions.BotoCoreError:
                return
            acknowledged.add(name)
            if len(acknowledged) > 200:
                enough.set()

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    assert enough.wait(60)
    server.stop()
    for writer in writers:
        writer.join(60)
    server.start()
    for name in acknowledged:
        assert "Item" in server.dynamodb.get_item(TableName="Music", Key={"Artist": {"S": name}}), name


def test_moved_clock_moves_signatures(hooked):
    """Fifteen minutes are what a signature's time may be off; the test clock moves both sides."""
    hooked.move_clock(16 * 60 * 1000)
    assert hooked.dynamodb.list_tables()["TableNames"] == []
    hooked.shift_ms = 0
    status, answer = hooked.call("ListTables", {})
    assert status == 400 and "expired" in answer["message"], answer
