"""The manual pages and bash's completion, as they are installed."""

import os
import subprocess

import pytest

import headwater

COMPLETION = headwater.ROOT / "doc/completion/headwater.bash"


def complete(*words, cwd=None):
    """What bash offers where the cursor is behind the last word."""
    script = (f"source {COMPLETION}; COMP_WORDS=({headwater.program()} \"$@\"); COMP_CWORD=$#; _headwater; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")
    ran = subprocess.run(["bash", "-euc", script, "bash", *words], cwd=cwd, capture_output=True, text=True, check=True)
    return ran.stdout.split()


@pytest.mark.parametrize("words, offered", [
    (["ta"], ["tail", "table"]), (["table", ""], ["create", "delete", "describe", "list"]), (["table", "d"], ["delete", "describe"]),
    (["item", "q"], ["query"]), (["log", "v"], ["verify"]), (["help", "lo"], ["log"]), (["nonsense", ""], []),
    (["tail", "Music", "--ev"], ["--events"]), (["serve", "--listen"], ["--listen"]), (["item", "query", "--fi"], ["--filter"]),
    (["serve", "--log-level", ""], ["debug", "info", "warn", "error"]), (["serve", "--auth", "n"], ["none"]),
    (["table", "create", "T", "--stream", "NEW"], ["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]), (["tail", "T", "--events", "M"], ["MODIFY"]),
    (["item", "query", "T", "--from", ""], ["start", "end"]), (["tail", "T", "--from", ""], [])])
def test_completion_offers_what_the_help_tells(words, offered):
    assert complete(*words) == offered


def test_completion_offers_the_tables_of_the_server_here(server, tmp_path):
    for name in ("Music", "Mail", "other"):
        server.dynamodb.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}])
    os.symlink(server.data, tmp_path / "data")
    assert complete("tail", "M", cwd=tmp_path) == ["Mail", "Music"]
    assert complete("item", "get", "", cwd=tmp_path) == ["Mail", "Music", "other"]
    assert complete("item", "get", "Music", "", cwd=tmp_path) == []


def test_an_install_has_program_pages_and_completion(tmp_path):
    subprocess.run(["cmake", "--install", headwater.ROOT / "build" / headwater.PRESET, "--prefix", tmp_path], check=True,
                   capture_output=True)
    said = subprocess.run([tmp_path / "bin/headwater", "--help"], check=True, capture_output=True, text=True).stdout
    pages = {path.name for path in (tmp_path / "share/man/man1").iterdir()}
    assert pages == {path.name for path in (headwater.ROOT / "doc/man").iterdir()}
    assert {"headwater.1", "headwater-serve.1"} < pages and len(pages) == 1 + sum(line.startswith("  ") for line in said.splitlines()[:-1])
    assert (tmp_path / "share/bash-completion/completions/headwater").read_bytes() == COMPLETION.read_bytes()
