"""headwater table and headwater item: tables and items from the command line, as tables on a terminal and as JSON in a pipe."""

import fcntl
import json
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import termios
import time
import unicodedata

import pytest

import headwater

SONGS = [("Björk", "Jóga", 1997), ("Björk", "Human Behaviour", 1993), ("Can", "Vitamin C", 1972)]


def run(server, *words, given=""):
    """(exit status, standard output, standard error) after what was given on standard input"""
    ran = subprocess.run([str(headwater.program()), *words, "--data", str(server.data)], capture_output=True, text=True, input=given,
                         env=headwater.plain_environment(), timeout=headwater.WAIT_S, check=False)
    return ran.returncode, ran.stdout, ran.stderr


def lines(server, *words):
    status, out, err = run(server, *words)
    assert status == 0 and not err, err
    return [json.loads(line) for line in out.splitlines()]


def on_terminal(server, *words, columns=60):
    """What a terminal of that width shows."""
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([str(headwater.program()), *words, "--data", str(server.data)], stdout=far,
                               stderr=subprocess.PIPE, env=headwater.plain_environment())
    os.close(far)
    shown = b""
    end = time.monotonic() + headwater.WAIT_S
    while time.monotonic() < end:
        if not select.select([near], [], [], 0.1)[0] and process.poll() is not None:
            break
        try:
            part = os.read(near, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(near)
    assert process.wait(headwater.WAIT_S) == 0, process.stderr.read()
    process.stderr.close()
    return shown.decode().replace("\r\n", "\n")


@pytest.fixture
def music(server):
    """A server with a table of three songs, all made by the commands."""
    made = lines(server, "table", "create", "Music", "--key", "Artist:S,Song:S", "--stream", "NEW_IMAGE")
    assert made[0]["TableName"] == "Music" and made[0]["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"
    for artist, song, year in SONGS:
        item = {"Artist": {"S": artist}, "Song": {"S": song}, "Year": {"N": str(year)}}
        assert run(server, "item", "put", "Music", json.dumps(item)) == (0, "", "")
    return server


# ---- tables ----


def test_tables_are_listed_described_and_deleted(music):
    names = [f"t{number:03d}" for number in range(110)]  # more than a page of ListTables
    for name in names:
        music.dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST",
                                    KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                                    AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}])
    listed = lines(music, "table", "list")
    assert set(names) | {"Music"} <= set(listed) and len(listed) == len(set(listed))
    described = lines(music, "table", "describe", "Music")[0]
    assert described["TableStatus"] == "ACTIVE"
    assert described["KeySchema"] == [{"AttributeName": "Artist", "KeyType": "HASH"},
                                      {"AttributeName": "Song", "KeyType": "RANGE"}]
    assert lines(music, "table", "delete", "Music")[0]["TableStatus"] == "DELETING"
    assert "Music" not in lines(music, "table", "list")


def test_tables_on_a_terminal(music):
    assert "Music\n" in on_terminal(music, "table", "list")
    shown = on_terminal(music, "table", "describe", "Music")
    assert "TableStatus                ACTIVE\n" in shown and '"Artist"' in shown
    assert "DeletionProtectionEnabled  false\n" in shown
    assert re.search(r"CreationDateTime +\d+(\.\d{1,3})?\n", shown)  # milliseconds, as on the wire


@pytest.mark.parametrize("control", ["\x1b[31m", "\x07", "\r", "\n", "\x7f", "\x9b31m", "\x9d0;title\x9c"])
def test_an_item_does_not_command_the_terminal(music, control):
    """Neither by its values nor by its names; a line stays one line."""
    item = {"Artist": {"S": "Can"}, "Song": {"S": "x"}, f"n{control}é": {"S": f"a{control}é€"}, "m": {"M": {"k": {"S": control}}}}
    assert run(music, "item", "put", "Music", json.dumps(item)) == (0, "", "")
    key = json.dumps({"Artist": {"S": "Can"}, "Song": {"S": "x"}})
    for words in (("item", "get", "Music", key), ("item", "scan", "Music")):
        shown = on_terminal(music, *words, columns=200)
        assert "é€" in shown and not any(unicodedata.category(mark) == "Cc" for mark in shown.replace("\n", ""))
        assert control != "\n" or "\né" not in shown
    assert f"a{control}é€" in lines(music, "item", "get", "Music", key)[0][f"n{control}é"]["S"], "a pipe carries all"


@pytest.mark.parametrize("key, attributes", [("k:S", {"k": "S"}), ("k:N,s:B", {"k": "N", "s": "B"}), ("a:b:S", {"a:b": "S"})])
def test_keys_of_every_type(server, key, attributes):
    made = lines(server, "table", "create", "T__", "--key", key)[0]
    assert {part["AttributeName"]: part["AttributeType"] for part in made["AttributeDefinitions"]} == attributes
    assert "StreamSpecification" not in made


# ---- items ----


def test_an_item_is_put_got_and_deleted(music):
    key = json.dumps({"Artist": {"S": "Can"}, "Song": {"S": "Vitamin C"}})
    assert lines(music, "item", "get", "Music", key)[0]["Year"] == {"N": "1972"}
    status, _, err = run(music, "item", "delete", "Music", key, "--if", "#y = :y", "--names", '{"#y": "Year"}',
                         "--values", '{":y": {"N": "1"}}')
    assert status == 1 and "ConditionalCheckFailedException: The conditional request failed" in err
    assert run(music, "item", "delete", "Music", key) == (0, "", "")
    status, out, err = run(music, "item", "get", "Music", key)
    assert (status, out, err) == (1, "", "headwater: the table Music has no item of that key\n")


def test_an_item_and_a_key_come_from_a_file_or_a_pipe(music, tmp_path):
    """Also longer than a line of arguments may be, and not a word more than the file has."""
    key = {"Artist": {"S": "Can"}, "Song": {"S": "Halleluhwah"}}
    item = {**key, "text": {"S": "x" * 390000}}
    file = tmp_path / "item"
    file.write_text(json.dumps(item, indent=1) + "\n")
    assert run(music, "item", "put", "Music", f"@{file}") == (0, "", "")
    assert lines(music, "item", "get", "Music", json.dumps(key)) == [item]
    item["text"] = {"S": "é" * 190000}
    assert run(music, "item", "put", "Music", "-", "--if", "attribute_exists(Song)", given=json.dumps(item)) == (0, "", "")
    assert json.loads(run(music, "item", "get", "Music", "-", given=json.dumps(key))[1]) == item
    assert run(music, "item", "delete", "Music", "-", given=json.dumps(key)) == (0, "", "")
    assert run(music, "item", "get", "Music", json.dumps(key))[0] == 1
    for given in ("", "{} {}", '{"a":{"S":"b"}}\0'):
        status, out, err = run(music, "item", "put", "Music", "-", given=given)
        assert (status, out) == (2, "") and err.startswith("headwater: the item is not a JSON object: -\n")


def test_a_query_pages_filters_and_turns(music):
    values = json.dumps({":a": {"S": "Björk"}})
    query = ("item", "query", "Music", "--key", "Artist = :a", "--values")
    assert [item["Song"]["S"] for item in lines(music, *query, values)] == ["Human Behaviour", "Jóga"]
    assert [item["Song"]["S"] for item in lines(music, *query, values, "--from", "end", "--limit", "1")] == ["Jóga"]
    late = json.dumps({":a": {"S": "Björk"}, ":y": {"N": "1995"}})
    found = lines(music, *query, late, "--filter", "#y > :y", "--names", '{"#y": "Year"}', "--limit", "5")
    assert [item["Song"]["S"] for item in found] == ["Jóga"]


def test_a_scan_reads_every_page(music):
    for number in range(6):  # 1.8 MB: two pages
        music.dynamodb.put_item(TableName="Music", Item={"Artist": {"S": "Long"}, "Song": {"S": str(number)},
                                                        "text": {"S": "x" * 300000}})
    assert len(lines(music, "item", "scan", "Music")) == len(SONGS) + 6
    assert len(lines(music, "item", "scan", "Music", "--limit", "4")) == 4
    assert len(lines(music, "item", "scan", "Music", "--limit", "1005")) == len(SONGS) + 6


def test_items_on_a_terminal(music):
    """Keys come first, columns are aligned by letters, not bytes, and a line fits the terminal."""
    music.dynamodb.put_item(TableName="Music", Item={
        "Artist": {"S": "Zappa"}, "Song": {"S": "\x1b[2J" + "s" * 200}, "Album": {"L": [{"S": "a"}, {"NULL": True}]}})
    shown = on_terminal(music, "item", "scan", "Music", columns=60).splitlines()
    assert shown[0].split()[:2] == ["Artist", "Song"] and sorted(shown[0].split()[2:]) == ["Album", "Year"]
    assert len(shown) == 5 and all(len(line) <= 60 for line in shown)
    at = shown[0].index("Song")
    assert {line[at:].split("  ")[0] for line in shown[1:]} >= {"Jóga", "Human Behaviour", "Vitamin C"}
    long = next(line for line in shown if line.startswith("Zappa"))
    assert "\x1b" not in "".join(shown) and "…" in long and '[{"S":"a"},{"NULL":true}]' in long
    key = json.dumps({"Artist": {"S": "Björk"}, "Song": {"S": "Jóga"}})
    assert "Artist  Björk\nSong    Jóga\nYear    1997\n" in on_terminal(music, "item", "get", "Music", key)


# ---- what is wrong ----


@pytest.mark.parametrize("words, says", [
    (["table"], "table can list, describe, create and delete"),
    (["table", "drop", "x"], "table can list, describe, create and delete"),
    (["table", "list", "x"], "table list takes no name"),
    (["table", "delete"], "table delete needs a table's name"),
    (["table", "create", "Music"], "--key is ''"),
    (["table", "create", "Music", "--key", "k:X"], "--key is 'k:X'"),
    (["table", "create", "Music", "--key", "k:S,"], "--key is 'k:S,'"),
    (["table", "describe", "a", "b"], "table does not know 'b'"),
    (["item", "shout"], "item can get, put, delete, query and scan"),
    (["item", "get", "Music"], "item get needs a table's name and a key, as JSON"),
    (["item", "put", "Music"], "item put needs a table's name and an item, as JSON"),
    (["item", "scan"], "item scan needs a table's name alone"),
    (["item", "scan", "Music", "{}"], "item scan needs a table's name alone"),
    (["item", "scan", "Music", "--key", "a = :a"], "item scan takes no --key"),
    (["item", "get", "Music", "{}", "--if", "a = b"], "item get takes no --if"),
    (["item", "scan", "Music", "--limit", "x"], "--limit is 'x': it must be a number"),
    (["item", "query", "Music", "--from", "middle"], "--from is 'middle': it must be start or end"),
    (["item", "get", "Music", "{]"], "the key is not a JSON object: {]"),
    (["item", "put", "Music", "[1]"], "the item is not a JSON object: [1]"),
    (["item", "put", "Music", "@/nowhere/item"], "cannot read the item from /nowhere/item, or it is longer than 16 MB"),
    (["item", "get", "Music", "@/dev/zero"], "cannot read the key from /dev/zero, or it is longer than 16 MB"),
    (["item", "put", "Music", "-x"], "item does not know '-x'"),
    (["item", "scan", "Music", "--values", "x"], "--values is not a JSON object: x"),
    (["item", "scan", "Music", "--limits", "1"], "item does not know '--limits'"),
])
def test_a_wrong_command_says_what_is_wrong(shared, words, says):
    status, out, err = run(shared, *words)
    assert status == 2 and not out
    assert says in err.splitlines()[0] and err.endswith(f"Try: headwater {words[0]} --help\n")


def test_a_refusal_is_told_with_its_name(server):
    status, out, err = run(server, "item", "scan", "Nowhere")
    assert (status, out) == (1, "")
    assert err == (f"headwater: Nowhere at {server.url}: ResourceNotFoundException: "
                   "Requested resource not found\n")
    server.stop()
    status, _, err = run(server, "table", "list")
    assert status == 1 and "no server runs on" in err


@pytest.mark.parametrize("name, verbs", [
    ("table", "list describe create delete"), ("item", "get put delete query scan"),
    ("key", "list create policy disable enable delete"), ("log", "verify dump")])
def test_help_shows_an_example_of_each(name, verbs):
    ran = subprocess.run([str(headwater.program()), name, "--help"], capture_output=True, text=True, check=True, timeout=60)
    shown = re.findall(rf"^  headwater {name} ([a-z]+)", ran.stdout.partition("\nExamples:\n")[2], re.MULTILINE)
    assert sorted(set(shown)) == sorted(verbs.split())


def test_the_examples_of_items_work(server, tmp_path, monkeypatch):
    """As a shell runs them, one after another."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.json").write_text(json.dumps({"Artist": {"S": "Can"}, "Song": {"S": "Vitamin C"}}))
    ran = subprocess.run([str(headwater.program()), "item", "--help"], capture_output=True, text=True, check=True, timeout=60)
    run(server, "table", "create", "Music", "--key", "Artist:S,Song:S")
    for line in ran.stdout.partition("\nExamples:\n")[2].splitlines():
        status, out, err = run(server, *shlex.split(line)[1:])
        assert (status, err) == (0, ""), line
        assert "Björk" in out or " put " in line or " delete " in line, (line, out)
