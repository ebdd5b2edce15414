"""doc/durability.md promises nothing that no test shows, and names every exit status."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "doc/durability.md"


def tables(text):
    """The rows of each table with a column "shown by", as lists of cells."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
        if rows[0][-1] == "shown by":
            yield rows[0], rows[2:]


def is_there(proof, root=ROOT):
    kind, _, name = proof.partition(" ")
    if kind == "suite":
        lines = (root / "tests/suites").read_text(encoding="utf-8").splitlines()
        return name in {line.split()[0] for line in lines if line and not line.startswith("#")}
    if kind == "mutant":
        return (root / f"tests/mutants/{name}.patch").exists()
    place, _, case = proof.partition(":")
    if place.startswith("unit/"):
        path, pattern = root / f"tests/{place}.c", rf"^    RUN\({case}\);"
    else:
        path, pattern = root / place, rf"^def (?=test_){case}\("
    return path.exists() and re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def unproven(text):
    """What each row lacks: a proof, or the test that it names."""
    lacking = []
    for _, rows in tables(text):
        for row in rows:
            proofs = re.findall(r"`([^`]+)`", row[-1])
            lacking += [f"no proof: {row}"] if not proofs else []
            lacking += [proof for proof in proofs if not is_there(proof)]
    return lacking


def test_every_promise_names_a_test_that_is_there():
    text = PAGE.read_text(encoding="utf-8")
    assert sum(len(rows) for _, rows in tables(text)) > 20
    assert unproven(text) == []


@pytest.mark.parametrize("proof", [
    "", "suite no-such", "suite tests", "mutant no-such", "unit/log/log:no_such", "unit/log/no:time_never_goes_back",
    "tests/api/test_log.py:test_no_such", "tests/api/test_log.py:written", "tests/api/no.py:test_health"])
def test_a_promise_without_a_test_is_found(proof):
    page = f"| what | lost | shown by |\n|---|---|---|\n| a kill | nothing | {f'`{proof}`' if proof else ''} |\n"
    assert len(unproven(page)) == 1


def test_the_table_of_exit_statuses_is_that_of_the_program():
    header = (ROOT / "src/base/ending.h").read_text(encoding="utf-8")
    stated = {int(number): name for name, number in re.findall(r"^    (EXIT_[A-Z_]+) = (\d+)", header, re.MULTILINE)}
    told = {}
    for head, rows in tables(PAGE.read_text(encoding="utf-8")):
        if head[0] == "status":
            told = {int(row[0]): row[1].strip("`") for row in rows}
    assert told == stated and len(stated) >= 6
