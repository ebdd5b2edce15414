"""tests/fault/failures says of a kind that it is swept only where every place that was seen has failed."""

import importlib.machinery
import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(name="failures")
def _failures():
    loader = importlib.machinery.SourceFileLoader("failures", str(ROOT / "tests/fault/failures"))
    spec = importlib.util.spec_from_loader("failures", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def run(failures, folder, program, limit=None):
    """A sweep of a program that calls from these places, each so often as it says; a negative one is come to once, when it is looked for."""
    sweep = failures.Sweep(folder)
    sweep.limit = limit
    sweep.next = sweep.choose()
    struck = []
    while sweep.next:
        which = sweep.next.rpartition(":")[2]
        (folder / "sites").write_text("".join(f"{place} a file\n" for place in program), encoding="utf-8")
        (folder / "calls").write_bytes(sum(map(abs, program.values())).to_bytes(8, "little"))
        place = which[1:]
        reached = program.get(place, 0) > 0 if which.startswith("@") else 0 < int(which) <= sum(map(abs, program.values()))
        if reached:
            struck.append(which)
            (folder / "hit").write_text(f"sync EIO {which} a file\n", encoding="utf-8")
        sweep.note(folder, "went on")
        sweep.next = sweep.choose()
    return sweep, struck


def test_each_place_fails_once_and_then_calls_by_number(failures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ONLY", "sync")
    sweep, struck = run(failures, tmp_path, {"a": 1, "b": 8})
    assert sorted(struck[:2]) == ["@a", "@b"] and struck[2:] == ["1", "3", "7"]
    assert failures.report(sweep) == 0
    assert "sync:EIO         2 places, 2 of them failed; up to 9 calls in a start, 3 failed by number, to the last: swept" in capsys.readouterr().out


def test_a_place_that_is_not_come_to_again_is_told_and_counted(failures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ONLY", "sync")
    sweep, struck = run(failures, tmp_path, {"a": 1, "b": -1})
    assert "@b" not in struck and failures.report(sweep) == 1
    assert "1 places did not fail, 1 of which were not come to again" in capsys.readouterr().out


def test_a_call_that_is_rare_is_looked_for_more_than_once(failures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ONLY", "rename")
    sweep = failures.Sweep(tmp_path)
    for calls in (0, 0, 1):
        sweep.next = sweep.choose()
        assert sweep.next == "rename:EIO:0"
        (tmp_path / "sites").write_text("a a file\n" * calls, encoding="utf-8")
        (tmp_path / "calls").write_bytes(calls.to_bytes(8, "little"))
        sweep.note(tmp_path, "went on")
    assert sweep.choose() == "rename:EIO:@a"
    assert failures.report(sweep) == 1 and "no such call" not in capsys.readouterr().out


def test_a_sample_is_no_sweep(failures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ONLY", "sync")
    sweep, struck = run(failures, tmp_path, {name: 1 for name in "abcdef"}, limit=2)
    assert len(struck) == 2 and failures.report(sweep) == 4
    assert "swept" not in capsys.readouterr().out
