"""Dynamoose, unmodified: models saved, read back, changed, paged, and what it makes of refusals and of lost answers."""

import pathlib
import subprocess

import pytest

import headwater

NODE = headwater.ROOT / ".deps/venv/bin/node"
SCRIPT = pathlib.Path(__file__).with_name("dynamoose.mjs")


@pytest.fixture(scope="module")
def play(server, way):
    """Runs a part of the script, which asserts for itself."""
    key, secret = server.credentials
    environment = headwater.plain_environment({"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret})

    def run(part):
        done = subprocess.run([NODE, SCRIPT, way.url, part], env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    return run


@pytest.mark.parametrize("part", ["values", "pages", "updates", "refusals", "transactions"])
def test_models(play, part):
    play(part)


def test_lost_answers_are_asked_for_again(play, way):
    play("values") # makes the tables
    way.lose(2)
    play("lost")
    assert way.lost == 2
