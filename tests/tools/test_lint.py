"""tools/lint refuses forbidden calls, and nothing that only looks like one."""

import pytest


def test_our_own_tree_passes(tool):
    assert tool("lint") == (0, "")


@pytest.mark.parametrize("name, text, says", [
    ("src/base/a.c", "strcpy(a, b);", "src/base/a.c:1: strcpy "),
    ("src/log/a.c", "\n\nx = malloc (3);", "src/log/a.c:3: malloc "),
    ("src/op/a.h", "return time(NULL);", "src/op/a.h:1: time "),
    ("src/table/a.cc", "fd = open(path, 0);", "src/table/a.cc:1: open "),
    ("tests/unit/x/a.c", "atoi(text);", "tests/unit/x/a.c:1: atoi "),
    ("bench/lib/a.c", "sprintf(a, b);", "bench/lib/a.c:1: sprintf "),
    ("src/chat/a.c", 'f("a\\"b", rand());', "src/chat/a.c:1: rand "),
])
def test_what_is_refused(tool, tree, name, text, says):
    status, said = tool("lint", tree({name: text}))
    assert status == 1 and said.startswith(says), said


@pytest.mark.parametrize("name, text", [
    ("src/sys/a.c", "open(path, 0); time(NULL);"),
    ("src/base/a.c", "malloc(3);"),
    ("src/log/a.c", "/* malloc(3) */ // time(x)\nfile_open(p); log->open(x); v.time(3); mem_free(p);"),
    ("src/log/a.c", 'NOTE("open(x)"); char c = \'"\'; // strcpy(\n'),
    ("src/log/a.c", "int open; int malloc_count(void);"),
    ("tests/unit/x/a.c", "malloc(3); open(p, 0);"),
])
def test_what_is_not(tool, tree, name, text):
    assert tool("lint", tree({name: text})) == (0, "")
