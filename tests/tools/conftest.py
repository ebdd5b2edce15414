"""The scripts under tools/ on trees and tables made for the test: each must be able to say no."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """Writes files: tree({"src/base/x.h": "text"}) returns the folder."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def tool():
    """Runs tools/NAME: (exit status, what it printed)."""

    def run(name, *arguments):
        ran = subprocess.run([str(ROOT / "tools" / name), *map(str, arguments)], text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return ran.returncode, ran.stdout

    return run
