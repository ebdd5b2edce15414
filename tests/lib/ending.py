#!/usr/bin/env python3
"""What the last line of a headwater that ended by itself must hold (doc/durability.md, "How the program ends").

    tests/lib/ending.py STATUS DATA [ERROR] <STANDARD ERROR

ERROR is the name of what failed, as ENOSPC, where that is known. Prints what it lacks, and ends with 1, or nothing."""

import errno
import os
import pathlib
import re
import sys

SYSTEMS = {os.strerror(number) for number in errno.errorcode}
CAUSES = SYSTEMS | {"std::bad_alloc"}
NEXT = {1: r"then start again: what was acknowledged is there\.$|--listen\.$",
        2: r"headwater serve --help",
        3: r"headwater log verify --data (?P<data>/.*)$|Nothing was changed in (?P<same>/.*)$",
        4: r"then start again: what was acknowledged is there\.$|--data, or move the file aside\.$|or make these smaller\.$",
        5: r"with --data\.$|with --listen\.$"}


def last_line(text):
    lines = [line for line in text.splitlines() if line.startswith("headwater: ")]
    return lines[-1] if lines else ""


def paths_in(line, data):
    """Those in the data directory that a person would find: a file that could not be made has a directory."""
    found = re.findall(rf"{re.escape(str(data))}(?:/[^\s:,]+)*", line)
    return [path for path in found if pathlib.Path(path).exists() or pathlib.Path(path).parent.is_dir()]


def lacks(text, status, data, error=None):
    line = last_line(text)
    if not line:
        return "no last line"
    told, _, _ = line.partition(". ")
    step = re.search(NEXT[status], text if status == 2 else line, re.MULTILINE)
    if not step:
        return f"no next step of status {status}: {line}"
    if status == 3 and str(data) not in step.groups():
        return f"a next step for another directory: {line}"
    if status in (3, 4) and not paths_in(told, data):
        return f"no path in {data}: {line}"
    causes = {os.strerror(getattr(errno, error))} | (CAUSES - SYSTEMS if error == "ENOMEM" else set()) if error else CAUSES
    if status in (1, 4) and "are kept free" not in line and not any(cause in line for cause in causes):
        return f"no cause: {line}"
    if re.search(r"(pread|pwrite|ftruncate) of ", line) and not re.search(r" of /\S.* at offset \d+: ", line):
        return f"no offset: {line}"
    if status == 3 and not re.search(r"damaged data[:,] /.*: .*\w", told):
        return f"not what was found: {line}"
    return None


if __name__ == "__main__":
    LACK = lacks(sys.stdin.read(), int(sys.argv[1]), *sys.argv[2:])
    print(LACK or "", end="\n" if LACK else "")
    sys.exit(1 if LACK else 0)
