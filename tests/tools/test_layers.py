"""tools/layers finds every kind of include that may not be."""

import pytest

LAYERS = "# a comment\nbase:\nsys: base\nlog: base sys\n"
GOOD = {"LAYERS": LAYERS, "base/a.h": "", "sys/b.h": '#include "base/a.h"\n',
        "log/c.c": '#include "log/log_priv.h"\n  #  include "sys/b.h"\n#include <stdio.h>\n#include "made.inc"\n',
        "log/log_priv.h": "", "sys/sys_priv.h": ""}


def test_our_own_tree_passes(tool):
    assert tool("layers") == (0, "")


def test_what_may_be_included(tool, tree):
    assert tool("layers", tree(GOOD)) == (0, "")


@pytest.mark.parametrize("name, text, says", [
    ("base/a.h", '#include "sys/b.h"\n', "base/a.h: base may not include sys/b.h"),
    ("sys/b.def", '#include "log/c.h"\n', "sys/b.def: sys may not include log/c.h"),
    ("log/d.cc", '#include "sys/sys_priv.h"\n', "log/d.cc: sys/sys_priv.h is for sys alone"),
    ("log/d.c", '#include "log.h"\n', "log/d.c: includes log.h without its layer"),
    ("other/e.c", "", "other/e.c: LAYERS has no layer other"),
    ("log/d.c", '#include "other/e.h"\n', "log/d.c: log may not include other/e.h"),
])
def test_what_may_not(tool, tree, name, text, says):
    assert tool("layers", tree({**GOOD, name: text})) == (1, says + "\n")


def test_layers_make_no_circle(tool, tree):
    status, text = tool("layers", tree({**GOOD, "LAYERS": "base: sys\nsys: base\n"}))
    assert status == 1 and "base may include sys, which is not above it" in text
