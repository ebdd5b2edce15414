"""What reading costs, in instructions: twice the text takes twice as many, also of the texts that a hostile peer would choose."""

import functools
import re
import shutil
import subprocess

import headwater

RISE = 2.2  # of the instructions, when the text has twice the size
SMALL = 20_000  # instructions, below which what is done once shows
COLLECTED = re.compile(r"Collected : (\d+)")


def cases():
    if headwater.PRESET in ("asan", "tsan") or not shutil.which("valgrind"):
        return
    listed = subprocess.run([headwater.program("parse-cost")], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        kind, small, large = line.split()
        yield f"cost: {kind}", functools.partial(is_linear, kind, int(small), int(large))


def is_linear(kind, small, large, world):
    counts = {size: count(kind, size) for size in (small, large)}
    (length, once), (longer, twice) = counts[small], counts[large]
    told = f"{length} bytes {once} instructions, {longer} bytes {twice}: {(twice - once) / max(1, longer - length):.1f} a byte"
    assert longer > 1.8 * length, told
    assert twice < SMALL or twice <= RISE * once, told
    return told


def count(kind, size):
    """(bytes read, instructions for it)."""
    run = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no", "--toggle-collect=measured",
                          headwater.program("parse-cost"), kind, str(size)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return int(run.stdout), int(COLLECTED.search(run.stderr).group(1))
