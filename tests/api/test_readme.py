"""What README.md tells a newcomer to paste does what it says: its own lines are run, in shells, beside a server."""

import json
import re
import subprocess

import pytest

import chat
import headwater
from headwater import Process

README = (headwater.ROOT / "README.md").read_text(encoding="utf-8")


def blocks(title, language="sh"):
    """The code blocks of the section with this title, in order."""
    section = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)[1]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(server):
    """A shell that stands where the clone would, data/ being the server's and port 8000 its port; shell(lines): what they print."""
    environment = headwater.plain_environment()
    environment["PATH"] = f"{headwater.AWS.parent}:{environment['PATH']}"
    process = subprocess.Popen(["bash", "-O", "expand_aliases"], cwd=server.data.parent, env=environment, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = headwater.Output(process.stdout)

    def paste(lines):
        begun = len(output.lines)
        print(lines.replace("http://127.0.0.1:8000", server.url).rstrip(), "; echo status $? of", begun, file=process.stdin, flush=True)
        assert output.wait_for(f"^status 0 of {begun}$"), output.text()
        return "\n".join(output.lines[begun:-1])

    yield paste
    process.stdin.close()
    process.wait(headwater.WAIT_S)


def tail(server, command):
    """The program that a line of README.md starts, in the folder where it would be started."""
    words = re.match(r"build/release/bin/headwater (tail \S+)", command)[1].split()
    process = Process(*words, cwd=server.data.parent)
    assert process.err.wait_for("following"), process.err.text()
    return process


def test_the_first_session_with_the_aws_cli(server, shell):
    first, follow, write, commands = blocks("A first session with the AWS CLI")
    environment, create = first.split("\n\n")
    shell(environment)
    assert json.loads(shell(create))["TableDescription"]["TableName"] == "Music"
    third = tail(server, follow)
    shell(write.splitlines()[0])
    assert third.out.wait_for('"INSERT"')
    shell(write.partition("\n")[2])
    event = json.loads(third.out.wait_for('^.*"MODIFY".*$')[0])
    third.kill()
    shown = blocks("A first session with the AWS CLI", "json")[0]
    plays = re.search(r'"NewImage":\{…"Plays":(.*?)\},"OldImage":\{…"Plays":(.*?)\},…', shown).groups()
    assert [json.loads(text) for text in plays] == [event["dynamodb"][image]["Plays"] for image in ("NewImage", "OldImage")]
    put, put_too, scan = commands.replace("build/release/bin/headwater", str(headwater.program())).splitlines()
    assert shell(put) == "" and shell(put_too) == ""
    found = [json.loads(line) for line in shell(scan).splitlines()]
    assert sorted(item["Plays"]["N"] for item in found) == ["2", "3", "7"]


def test_the_first_chat(server, shell):
    follow, query = blocks("A first chat")[0].split("\n", 1)
    second = tail(server, follow)
    ann, bob = chat.people(server, 2)
    ann.send(ann.open(bob), "both can be looked at")
    event = json.loads(second.out.wait_for('^.*"m#0.*both can be looked at.*$')[0])
    second.kill()
    key = event["dynamodb"]["Keys"]["pk"]["S"]
    assert re.fullmatch("0[|]L#.*#0", key) and '"0|L#…#0"' in query
    shell(blocks("A first session with the AWS CLI")[0].split("\n\n")[0])
    items = json.loads(shell(query.replace("0|L#…#0", key)))["Items"]
    assert items[-1]["body"]["M"]["text"]["S"] == "both can be looked at"
