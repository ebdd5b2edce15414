"""tools/suites counts every case once, and takes nothing for passed that did not say so."""

import pathlib
import shlex
import time

import pytest


@pytest.fixture
def run(tool, tree):
    """Runs a table of suites, each given as (cases, seconds, shell command): (exit status, lines printed)."""

    def run_table(*suites, when="test", more=(), alone=""):
        lines = [f"check{number} {when} {cases} {seconds} sh -c {shlex.quote(command)}"
                 for number, (cases, seconds, command) in enumerate(suites)]
        folder = tree({"table": "# a comment\n\n" + "\n".join(lines) + f"\n{alone}\n"})
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


def meet(folder, own, other):
    """A command that says whether its other ran while it did."""
    return (f"touch {folder}/{own}; for i in $(seq 30); do test -e {folder}/{other} && exit 0; sleep 0.1; done; "
            f"rm {folder}/{own}; exit 1")


def test_two_at_a_time(run, tmp_path):
    pair = [("status", 9, meet(tmp_path, "a", "b")), ("status", 9, meet(tmp_path, "b", "a") + "; sleep 1")]
    assert run(*pair, more=("--jobs", 2))[1][-1] == "2 passed, 0 failed, 0 skipped"
    for each in tmp_path.iterdir():
        each.unlink()
    assert run(*pair)[1][-1] == "0 passed, 2 failed, 0 skipped"


def test_one_that_is_alone_comes_last_and_alone(run, tmp_path):
    late = ("status", 9, f"test ! -e {tmp_path}/late")
    other = ("status", 9, f"touch {tmp_path}/other; sleep 1; rm {tmp_path}/other")
    first = ("status", 9, f"test ! -e {tmp_path}/other && touch {tmp_path}/late")
    status, lines = run(first, other, late, more=("--jobs", 2), alone="alone check0")
    assert (status, lines[-1]) == (0, "3 passed, 0 failed, 0 skipped")
    assert lines[-2].startswith("check0 "), lines


def test_an_alone_that_is_no_suite(run):
    assert run(("status", 9, "true"), alone="alone chekc0")[0] != 0
