"""headwater log verify and dump; and what serve says of a log that it must not touch."""

import base64
import errno
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess

import pytest

import ending
import headwater
from headwater import Process

SMALL = ("--segment-bytes", "262144")
SECTOR = 512
KINDS = {1: "data", 2: "end", 3: "clean", 4: "index"}


def log_command(verb, server, *arguments):
    """(exit status, standard output, standard error)."""
    process = Process("log", verb, "--data", server.data, *arguments)
    status = process.wait()
    return status, process.out.text(), process.err.text()


def fingerprint(folder):
    return {str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*")) if path.is_file()}


def log_fingerprint(server):
    """Of what holds records; a segment that was being prepared is nobody's loss."""
    return {name: value for name, value in fingerprint(server.data / "log").items() if name != "next.tmp"}


def segments(server):
    return sorted((server.data / "log").glob("*.log"))


def frames(path):
    """(kind, offset, bytes of header and payload) of each frame: src/log/log_priv.h draws them."""
    data = path.read_bytes()
    at = 0
    while data[at:at + 8] == b"HWframe1":
        payload, = struct.unpack_from("<I", data, at + 36)
        kind, = struct.unpack_from("<H", data, at + 52)
        yield KINDS[kind], at, 64 + payload
        at += -(-(64 + payload) // SECTOR) * SECTOR


def flip(path, offset, bit=4):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def base64_text(raw):
    return base64.b64encode(raw).decode()


def make_table(server, name="Music"):
    server.dynamodb.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "Artist", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Artist", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})


def put(server, key, **more):
    server.dynamodb.put_item(TableName="Music", Item={"Artist": {"S": key}, **more})


def get(server, key):
    return server.dynamodb.get_item(TableName="Music", Key={"Artist": {"S": key}}, ConsistentRead=True).get("Item")


@pytest.fixture
def written(start_server):
    """A server that runs, with several segments of ours behind it."""
    server = start_server(*SMALL)
    make_table(server)
    for number in range(12):
        put(server, f"a{number % 5}", v={"S": f"{number} " + "x" * 100000})
    assert len(segments(server)) > 4
    return server


# ---- verify ----


def test_a_whole_log_is_called_so(written):
    written.stop()
    status, out, err = log_command("verify", written)
    assert status == 0 and err == ""
    assert out.startswith("whole: ") and "stopped cleanly" in out and "torn" not in out
    written.start()
    put(written, "later")
    written.kill()
    status, out, _ = log_command("verify", written)
    assert status == 0 and out.startswith("whole: ") and "stopped cleanly" not in out


def test_a_changed_bit_is_found_in_any_frame(written):
    """In header and payload, of every kind. Of the newest frame alone nothing can be said: it may be a torn end."""
    written.stop()
    found = [(path, *frame) for path in segments(written) for frame in frames(path)]
    assert {frame[1] for frame in found} == {"data", "end", "clean", "index"}
    for path, kind, at, length in found:
        if kind == "clean":
            continue
        for offset in {at, at + 30, at + (64 + length) // 2, at + length - 1}:
            flip(path, offset)
            status, out, _ = log_command("verify", written)
            assert status == 3, (path, kind, at, offset, out)
            assert out.startswith(f"DAMAGED {path} at offset {at}: "), (kind, offset, out)
            flip(path, offset)
    path, kind, at, _ = [frame for frame in found if frame[1] == "clean"][-1]
    flip(path, at + 30)
    status, out, _ = log_command("verify", written)
    assert status == 0 and f"a torn end that nobody was told about: {path} at offset {at}" in out


def test_a_missing_segment_is_found(written):
    written.stop()
    gone = segments(written)[1]
    gone.unlink()
    status, out, _ = log_command("verify", written)
    assert status == 3 and out.startswith(f"DAMAGED {gone} at offset 0: ") and "missing" in out


def test_neither_changes_a_byte(written):
    written.kill()
    before = fingerprint(written.data)
    assert log_command("verify", written)[0] == 0
    assert log_command("dump", written)[0] == 0
    assert fingerprint(written.data) == before
    flip(segments(written)[0], 5000)
    before = fingerprint(written.data)
    assert log_command("verify", written)[0] == 3
    assert log_command("dump", written)[0] == 3
    assert fingerprint(written.data) == before


# ---- the view ----


def tables(server):
    return sorted((server.data / "view").glob("*.sst"))


def test_every_table_of_the_view_is_read(written):
    written.stop()
    status, out, _ = log_command("verify", written)
    count, size, commit = re.search(r"^view: (\d+) tables, (\d+) bytes read, to commit (\d+), \d+ rows as the log has them$",
                                    out, re.MULTILINE).groups()
    assert status == 0 and int(count) == len(tables(written)) > 0
    assert int(size) == sum(path.stat().st_size for path in tables(written))
    assert f"commits to number {commit}," in out


@pytest.mark.parametrize("where", ["first byte", "middle", "last byte"])
def test_a_changed_bit_is_found_in_any_table(written, where):
    written.stop()
    for path in tables(written):
        size = path.stat().st_size
        flip(path, {"first byte": 0, "middle": size // 2, "last byte": size - 1}[where])
        status, out, _ = log_command("verify", written)
        assert status == 3 and f"DAMAGED {path}: its bytes do not give its checksum" in out
        flip(path, {"first byte": 0, "middle": size // 2, "last byte": size - 1}[where])
    path.write_bytes(path.read_bytes()[:-1])
    status, out, _ = log_command("verify", written)
    assert status == 3 and f"DAMAGED {path}: it has {size - 1} bytes and should have {size}" in out
    path.unlink()
    status, out, _ = log_command("verify", written)
    assert status == 3 and f"DAMAGED {path}: it is missing" in out


def delete(server, key):
    server.dynamodb.delete_item(TableName="Music", Key={"Artist": {"S": key}})


MINE = {"v": {"S": "mine"}}


@pytest.mark.parametrize("of_the_view, of_the_log, said", [
    (lambda server: put(server, "a1", v={"S": "other"}), lambda server: put(server, "a1", **MINE),
     "table 2[0-9]+, key hash [0-9a-f]{16}: it is not what was written by record 0 of commit"),
    (lambda server: delete(server, "a1"), lambda server: put(server, "a1", **MINE), "it is missing, and was written by"),
    (lambda server: put(server, "more"), lambda server: delete(server, "a1"), "it is there, and was deleted by"),
    (lambda server: (put(server, "more"), put(server, "more", **MINE)), lambda server: (put(server, "kept"), put(server, "kept", **MINE)),
     "it has [0-9]+ rows, and the log makes [0-9]+ of it")])
def test_a_view_that_is_not_what_the_log_makes_of_it_is_found(written, of_the_view, of_the_log, said):
    """Two histories of one log: the one's view beside the other's log, each of them whole."""
    put(written, "kept", **MINE)
    written.stop()
    copy, other = written.data.with_name("copy"), written.data.with_name("other")
    shutil.copytree(written.data, copy)
    written.start()
    of_the_view(written)
    written.stop()
    written.data.rename(other)
    copy.rename(written.data)
    written.start()
    of_the_log(written)
    written.stop()
    shutil.rmtree(written.data / "view")
    (other / "view").rename(written.data / "view")
    status, out, _ = log_command("verify", written)
    assert status == 3 and re.search(f"^DAMAGED {written.data}/view: .*{said}", out, re.MULTILINE), out


def test_a_view_that_is_ahead_of_its_log_is_found(written):
    written.stop()
    copy = written.data.with_name("copy")
    shutil.copytree(written.data, copy)
    written.start()
    put(written, "more")
    written.stop()
    shutil.rmtree(copy / "view")
    (written.data / "view").rename(copy / "view")
    shutil.rmtree(written.data)
    copy.rename(written.data)
    status, out, _ = log_command("verify", written)
    last = int(re.search(r"commits to number (\d+),", out).group(1))
    assert status == 3 and f"it holds commits up to {last + 1}, and the log has 1 to {last}" in out


def test_a_log_without_a_view_is_whole(written):
    written.stop()
    shutil.rmtree(written.data / "view")
    status, out, _ = log_command("verify", written)
    assert status == 0 and "no view beside it: the server will make it" in out
    written.start()
    assert get(written, "a1")
    written.stop()
    assert "rows as the log has them" in log_command("verify", written)[1]


# ---- other files ----


def test_a_changed_access_key_is_damage(written):
    """A bit of it would make its holders strangers."""
    written.stop()
    path = written.credentials_file
    text = path.read_text(encoding="ascii")
    assert re.fullmatch(r"\[default\]\n# check = [0-9a-f]{8}\naws_access_key_id = \S+\naws_secret_access_key = \S+\n", text)
    for place in (text.index("aws_access_key_id = ") + 25, len(text) - 5, text.index("check = ") + 8):
        flip(path, place, 0)
        status, out, _ = log_command("verify", written)
        assert status == 3 and f"DAMAGED {path} line 2: the check is not that of the key after it" in out
        process = Process("serve", "--listen", "127.0.0.1:0", "--data", written.data, *SMALL)
        assert process.wait() == 3 and "listening" not in process.out.text()
        assert f"damaged data: {path} line 2: the check is not that of the key after it" in process.err.text()
        flip(path, place, 0)
    path.write_text(text[:-20], encoding="ascii")
    assert log_command("verify", written)[0] == 3
    path.write_text(text.replace(text.splitlines()[1] + "\n", "")[:-2] + "x\n", encoding="ascii")
    written.start()


# ---- dump ----


def test_a_dump_is_a_line_of_json_for_each_record(server):
    """Every kind of record, decoded; as many as verify counts."""
    make_table(server)
    types = {"s": {"S": "Ärger \"quoted\"\n"}, "n": {"N": "-1.5E-100"}, "b": {"B": b"\0\xff"}, "o": {"BOOL": False},
             "z": {"NULL": True}, "l": {"L": [{"S": ""}]}, "m": {"M": {"x": {"N": "1"}}}, "ss": {"SS": ["a"]},
             "ns": {"NS": ["7"]}, "bs": {"BS": [b"\1"]}}
    put(server, "one", **types)
    put(server, "one", n={"N": "2"})
    server.dynamodb.transact_write_items(ClientRequestToken="once", TransactItems=[
        {"Put": {"TableName": "Music", "Item": {"Artist": {"S": key}}}} for key in ("two", "three")])
    server.dynamodb.delete_item(TableName="Music", Key={"Artist": {"S": "two"}})
    server.dynamodb.delete_table(TableName="Music")
    server.stop()
    status, out, err = log_command("dump", server)
    assert status == 0 and "" not in out.splitlines()
    records = [json.loads(line) for line in out.splitlines()]
    assert f" {len(records)} records" in err and f" {len(records)} records" in log_command("verify", server)[1]
    places = [(record["commit"], record["index"]) for record in records]
    assert places == sorted(set(places))
    assert {place[0] for place in places} == set(range(1, places[-1][0] + 1))
    assert all(record["index"] < record["count"] for record in records)

    first, second, two, three, removed = [record for record in records if record["kind"] == "item"]
    token, = [record for record in records if record["kind"] == "token"]
    expected = json.loads(json.dumps({"Artist": {"S": "one"}, **types}, default=base64_text))
    assert first["new"] == expected and "old" not in first and first["was"] is False
    assert second["new"] == {"Artist": {"S": "one"}, "n": {"N": "2"}} and second["old"] == expected
    assert two["commit"] == three["commit"] == token["commit"] and token["count"] == 3
    assert base64.b64decode(token["token"]).endswith(b"once")
    assert "new" not in removed and removed["old"] == {"Artist": {"S": "two"}}
    assert records[-1]["kind"] == "table_delete"


def test_a_dump_of_a_damaged_log_ends_where_the_damage_is(written):
    written.stop()
    whole = log_command("dump", written)[1].splitlines()
    path = segments(written)[2]
    kind, at, _ = next(frames(path))
    assert kind == "data"
    flip(path, at + 100)
    status, out, err = log_command("dump", written)
    lines = out.splitlines()
    assert status == 3 and 0 < len(lines) < len(whole) and lines == whole[:len(lines)]
    assert err.startswith(f"DAMAGED {path} at offset {at}: ")


def test_a_dump_that_nobody_reads_ends(written):
    written.stop()
    process = subprocess.Popen([str(headwater.program()), "log", "dump", "--data", str(written.data)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    json.loads(process.stdout.readline())
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


# ---- when they may not ----


@pytest.mark.parametrize("verb, more", [("verify", ", or let it look itself: headwater log verify --online"), ("dump", "")])
def test_both_refuse_while_a_server_runs(written, verb, more):
    status, out, err = log_command(verb, written)
    assert status == 5 and out == ""
    assert err == f"headwater: process {written.process.pid} runs on {written.data}: stop it first{more}"
    put(written, "goes on")


def test_no_server_starts_while_a_dump_is_read(written):
    """It would change what is read."""
    written.stop()
    process = subprocess.Popen([str(headwater.program()), "log", "dump", "--data", str(written.data)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.read(1)
    status, _ = refused(written)
    assert status == 5
    process.stdout.read()
    assert process.wait(timeout=30) == 0
    process.stdout.close()
    written.start()


def test_a_folder_without_a_log_is_no_damage(tmp_path):
    for verb in ("verify", "dump"):
        process = Process("log", verb, "--data", tmp_path / "nothing")
        assert process.wait() == 1
        assert process.err.text() == f"headwater: there is no log in {tmp_path}/nothing/log: name its directory with --data"
        assert process.out.text() == ""
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("arguments", [[], ["check"], ["verify", "--date", "x"], ["dump", "--data"], ["verify", "x"]])
def test_wrong_arguments_are_told(arguments):
    process = Process("log", *arguments)
    assert process.wait() == 2
    assert "Try: headwater log --help" in process.err.text()


# ---- what serve says of damage ----


def refused(server):
    """(exit status, standard error) of a start that must fail and leave the log as it is."""
    before = log_fingerprint(server)
    process = Process("serve", "--listen", "127.0.0.1:0", "--data", server.data, *SMALL)
    status = process.wait()
    assert "listening" not in process.out.text()
    assert log_fingerprint(server) == before
    assert ending.lacks(process.err.text(), status, server.data) is None
    return status, process.err.text()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_damaged_frame_is_refused(start_server, how):
    """What recovery reads: everything after a kill without a flush, the newest segment after a clean stop."""
    server = start_server("--segment-bytes", "16m")
    make_table(server)
    for number in range(5):
        put(server, f"a{number}", v={"S": "x" * 5000})
    (server.kill if how == "kill" else server.stop)()
    path = segments(server)[0]
    kind, at, length = [frame for frame in frames(path) if frame[0] == "data"][-3]
    flip(path, at + length // 2)
    status, text = refused(server)
    assert status == 3 and f"damaged data: {path} at offset {at}: " in text
    assert "Restore the file from a copy, or move the data directory aside" in text
    flip(path, at + length // 2)
    server.start()
    assert all(get(server, f"a{number}") for number in range(5))


def test_a_missing_segment_is_refused(written):
    written.kill()
    path = segments(written)[1]
    whole = path.read_bytes()
    path.unlink()
    status, text = refused(written)
    assert status == 3 and f"damaged data: {path} at offset 0: " in text and "missing" in text
    path.write_bytes(whole)
    written.start()
    assert get(written, "a1")


@pytest.mark.skipif(headwater.PRESET in ("asan", "tsan"), reason="a sanitizer's library must be loaded first")
@pytest.mark.parametrize("kind, part", [*((f"{call}:EIO", "") for call in ("read", "readdir", "open", "write", "sync", "rename")), ("read:EIO", "log")])
def test_a_disk_that_fails_at_a_start_is_not_called_damage(written, kind, part):
    """Whichever call it is, and each one of the reads of a log that is all in the view: the start ends with status 4 and a file and
    a cause, or needed it not. Nothing was lost by it."""
    if part:
        written.stop()
    else:
        written.kill()
    reached = number = 0
    while reached == number:
        number += 1 if part else 1 + number // 4
        data = written.data.with_name("data of one")
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(written.data, data)
        process = Process("serve", "--listen", "127.0.0.1:0", "--data", data, *SMALL, environment={
            "HWFAIL": f"{kind}:{number}", "HWFAIL_ROOT": str(data / part), "HWFAIL_HIT": str(data.with_name("hit")),
            "LD_PRELOAD": str(headwater.program("libhwfail.so"))})
        if process.out.wait_for(r"^listening url="):
            process.kill()
        else:
            assert process.wait() == 4, f"{kind}:{number}: {process.err.text()}"
            assert ending.lacks(process.err.text(), 4, data) is None
            assert os.strerror(getattr(errno, kind.partition(":")[2])) in ending.last_line(process.err.text())
        if data.with_name("hit").exists():
            data.with_name("hit").unlink()
            reached = number
    assert reached > 0
    written.start()
    assert get(written, "a1")


@pytest.mark.parametrize("change", [None, b"0123456789abcdef", b"", b"garbage"])
def test_a_log_without_its_id_is_refused(written, change):
    written.kill()
    path = written.data / "log/id"
    whole = path.read_bytes()
    path.unlink()
    if change is not None:
        path.write_bytes(change)
    status, text = refused(written)
    assert status == 3 and "damaged data: " in text and str(written.data / "log") in text
    path.write_bytes(whole)
    written.start()
    assert get(written, "a1")


@pytest.mark.parametrize("name", ["log/id", "FORMAT"])
def test_a_long_path_is_told_whole(written, tmp_path, name):
    written.kill()
    data = tmp_path.joinpath(*[letter * 120 for letter in "abc"])
    shutil.copytree(written.data, data)
    path = data / name
    path.write_bytes(b"garbage")
    process = Process("serve", "--listen", "127.0.0.1:0", "--data", data, *SMALL)
    assert process.wait() == 3
    assert f"damaged data: {path} at offset 0: " in process.err.text()
    assert ending.lacks(process.err.text(), 3, data) is None


def test_a_view_of_another_log_is_refused(written, start_server):
    other = start_server(*SMALL)
    make_table(other)
    put(other, "other")
    other.stop()
    written.stop()
    (written.data / "log").rename(written.data / "log.mine")
    (other.data / "log").rename(written.data / "log")
    status, text = refused(written)
    assert status == 3 and f"damaged data: {written.data}/log/id at offset 0: " in text
    assert "not the log that the view beside it was made from" in text
    (written.data / "log").rename(other.data / "log")
    (written.data / "log.mine").rename(written.data / "log")
    written.start()
    assert get(written, "a1")


def test_an_unknown_format_is_refused(written):
    written.stop()
    (written.data / "FORMAT").write_text("headwater data 2\nepoch 1000\n", encoding="ascii")
    status, text = refused(written)
    assert status == 3 and f"damaged data: {written.data}/FORMAT" in text
    assert "start that version or a newer one" in text


def test_a_torn_end_is_cut_off_and_told(written):
    """Of the newest frame a sector never reached the disk: nobody was told that it was written."""
    put(written, "kept")
    put(written, "lost", v={"S": "x" * 3000})
    written.kill()
    used = [path for path in segments(written) if next(frames(path), None)][-1]
    kind, at, length = list(frames(used))[-1]
    assert kind == "data" and length > 3 * SECTOR
    with open(used, "r+b") as file:
        file.seek(at + 2 * SECTOR)
        file.write(bytes(SECTOR))
    status, out, _ = log_command("verify", written)
    assert status == 0 and f"a torn end that nobody was told about: {used} at offset {at}" in out
    written.start()
    assert '"torn_end":1' in written.process.err.text()
    assert get(written, "kept") and not get(written, "lost")
    put(written, "lost")
    written.stop()
    assert "torn" not in log_command("verify", written)[1]
