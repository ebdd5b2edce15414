"""tools/invariants finds what is cited and not there, and what is there and not cited."""

import pytest

README = "# log\n\n## Invariants\n\n* **I1** one\n* **I2** two\n* **I3** three\n\n## Bounds\n\n1. no invariant\n"
PLAIN = "# net\n\n## Invariants\n\n1. one\n   more of it\n2. two\n3. three\n"
CITED = {"src/log/README.md": README, "src/net/README.md": PLAIN, "src/log/a.c": "/* So it is (log\n * I1, I2 and\n * I3). */\n",
         "tests/b.py": '"""net I1 to I3"""\n'}


def test_our_own_tree_passes(tool):
    assert tool("invariants") == (0, "")


def test_what_is_cited(tool, tree):
    assert tool("invariants", tree(CITED)) == (0, "")


@pytest.mark.parametrize("name, text, says", [
    ("src/log/a.c", "/* log I1 and I2 */\n", "src/log/README.md: I3 is cited nowhere"),
    ("src/log/a.c", "/* log I1, I3 */\n", "src/log/README.md: I2 is cited nowhere"),
    ("tests/b.py", "# net I1\n# net I3\n", "src/net/README.md: I2 is cited nowhere"),
    ("src/net/c.c", "\n/* net I4 */\n", "src/net/c.c:2: net has no I4"),
    ("tests/d.mjs", "// log I2 to\n// I4\n", "tests/d.mjs:1: log has no I4"),
    ("src/net/README.md", PLAIN.replace("2.", "4."), "src/net/README.md: invariants are not numbered 1, 2, 3, ..."),
])
def test_what_is_wrong(tool, tree, name, text, says):
    assert tool("invariants", tree({**CITED, name: text})) == (1, says + "\n")
