"""tools/suites counts every case once, and takes nothing for passed that did not say so."""

import pathlib
import shlex
import time

import pytest


@pytest.fixture
def run(tool, tree):
    """Runs a table of suites, each given as (cases, seconds, shell command): (exit status, lines printed)."""

    def run_table(*suites, when="test", more=()):
        lines = [f"check{number} {when} {cases} {seconds} sh -c {shlex.quote(command)}"
                 for number, (cases, seconds, command) in enumerate(suites)]
        folder = tree({"table": "# a comment\n\n" + "\n".join(lines) + "\n"})
        status, text = tool("suites", when, "--table", folder / "table", *more)
        return status, text.splitlines()

    return run_table


CTEST = "; ".join(r"""printf '1: ok   one\n2: FAIL two\n1: ok   three\n2: ok   four\n2: x.c:3: a does not hold\n'
printf '1/5 Test  #1: unit/a/one ......   Passed    0.01 sec\n'
printf '2/5 Test  #2: unit/a/two ......***Failed    0.02 sec\n'
printf '3/5 Test  #3: unit/a/three ....***Exception: SegFault  0.02 sec\n'
printf '4/5 Test  #4: unit/a/four .....***Skipped   0.02 sec\n'
printf '5/5 Test  #5: unit/a/five .....   Passed    0.02 sec\n'
exit 8""".splitlines())


@pytest.mark.parametrize("suite, counts", [
    (("last", 9, "echo 3 passed, 0 failed, 1 skipped"), (3, 0, 1)),
    (("last", 9, "echo 3 passed, 2 failed, 0 skipped"), (3, 2, 0)),
    (("last", 9, "echo 3 passed, 0 failed, 0 skipped; exit 4"), (3, 1, 0)),
    (("last", 9, "echo 3 passed, 0 failed, 0 skipped; echo more"), (0, 1, 0)),
    (("last", 9, "echo 0 passed, 0 failed, 0 skipped"), (0, 1, 0)),
    (("last", 9, "true"), (0, 1, 0)),
    (("last", 1, "echo 3 passed, 0 failed, 0 skipped; sleep 30"), (3, 1, 0)),
    (("status", 9, "true"), (1, 0, 0)),
    (("status", 9, "false"), (0, 1, 0)),
    (("status", 1, "sleep 30"), (0, 1, 0)),
    (("pytest", 9, "echo '== 4 passed, 1 skipped, 2 xfailed in 0.21s =='"), (6, 0, 1)),
    (("pytest", 9, "echo '== 1 failed, 4 passed, 2 errors in 61.00s (0:01:01) =='; exit 1"), (4, 3, 0)),
    (("pytest", 9, "echo '== no tests ran in 0.01s =='; exit 5"), (0, 1, 0)),
    (("pytest", 9, "echo 'INTERNALERROR'; exit 3"), (0, 1, 0)),
    (("ctest", 9, CTEST), (4, 2, 1)),
    (("ctest", 9, "echo No tests were found"), (0, 1, 0)),
])
def test_one_suite(run, suite, counts):
    status, lines = run(suite)
    assert lines[-1] == "{} passed, {} failed, {} skipped".format(*counts), lines
    assert status == (1 if counts[1] else 0)


def test_sums(run, tree):
    earlier = tree({"earlier": "noise\n7 passed, 0 failed, 1 skipped\n"}) / "earlier"
    status, lines = run(("status", 9, "true"), ("last", 9, "echo 2 passed, 0 failed, 3 skipped"), when="ci",
                        more=("--add", earlier))
    assert (status, lines[-1]) == (0, "10 passed, 0 failed, 4 skipped")


def test_an_earlier_run_that_broke_off_has_failed(run, tree):
    earlier = tree({"earlier": "7 passed, 0 failed, 1 skipped\nand then nothing\n"}) / "earlier"
    status, lines = run(("status", 9, "true"), when="ci", more=("--add", earlier))
    assert (status, lines[-1]) == (1, "1 passed, 1 failed, 0 skipped")


def test_a_failure_is_shown(run):
    _, lines = run(("status", 9, "echo the reason; false"))
    assert "    the reason" in lines


def test_one_suite_by_name(run):
    status, lines = run(("status", 9, "false"), ("status", 9, "true"), more=("--only", "check1"))
    assert (status, lines[-1]) == (0, "1 passed, 0 failed, 0 skipped")
    assert run(("status", 9, "true"), more=("--only", "other"))[0] == 2


def test_nothing_outlives_its_suite(run, tmp_path):
    """What a suite started and left is ended with it."""
    run(("status", 9, f"sleep 300 & echo $! > {tmp_path}/pid"))
    pid = int((tmp_path / "pid").read_text())
    status = pathlib.Path(f"/proc/{pid}/stat")
    end = time.monotonic() + 30  # it has been killed; a busy machine may not have come to it
    while status.exists() and status.read_text().split()[2] != "Z":
        assert time.monotonic() < end
        time.sleep(0.01)
