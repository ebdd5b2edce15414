#!/usr/bin/env python3
"""Compares numbers and expressions of the program with the reference, case by random case (item I3, I4, I9; expr I6, I8).

    tests/differential/differential.py [--cases N] [--seed SEED]

Prints its seed, and the first cases that differ; the seed alone repeats a run. The last line counts them.
"""

import argparse
import decimal
import json
import os
import pathlib
import random
import subprocess
import sys

import reference
from reference import EXACT, Fault, from_json, to_json

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / os.environ.get("HEADWATER_PRESET", "release") / "bin/evaluator"
CHUNK = 2000
SHOWN = 5
NAMES = ["a", "b", "c", "d.e", "data"]
TEXTS = ["", "a", "ab", "abc", "b", "é", "😀", "aé😀"]
NUMBERS = ["0", "1", "-1", "2", "10", "1.5", "-0.001", "1E+125", "-9E-130", "99999999999999999999999999999999999999", "3"]


class Cases:
    """Makes cases: what to ask the program, and what the reference says."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *choices):
        return self.random.choice(choices)

    # ---- numbers ----

    def number_text(self):
        digits = "".join(self.random.choices("0123456789", k=self.pick(1, 2, 5, 19, 37, 38, 39, 45)))
        if self.random.random() < 0.3:
            digits = self.pick("0", "1", "9") * len(digits)
        at = self.random.randint(0, len(digits))
        text = digits[:at] + self.pick(".", ".", "") + digits[at:]
        exponent = self.pick("", "", f"E{self.random.randint(-140, 140)}", f"e+{self.random.randint(0, 5)}", f"e{self.pick(88, -88, 125, -130)}")
        return self.pick("", "", "-", "+") + text + exponent

    def numbers(self):
        texts = [self.number_text(), self.number_text()]
        if self.random.random() < 0.2:
            texts[1] = texts[0].replace("-", "") if texts[0].startswith("-") else "-" + texts[0].lstrip("+")
        expected, numbers = {}, []
        for name, text in zip("ab", texts):
            try:
                number = reference.checked(decimal.Decimal(text))
                expected[name] = number
                numbers.append(number)
            except Fault as fault:
                expected[name] = str(fault)
        if len(numbers) == 2:
            a, b = numbers
            expected["order"] = (a > b) - (a < b)
            for name, function in (("sum", reference.add), ("difference", reference.subtract)):
                try:
                    expected[name] = function(a, b)
                except Fault as fault:
                    expected[name] = str(fault)
        return {"numbers": texts}, expected

    # ---- values and items ----

    def value(self, depth=2, kinds=("S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS")):
        kind = self.pick(*kinds)
        if kind in ("L", "M") and depth == 0:
            kind = "N"
        some = lambda choices: self.random.sample(choices, self.random.randint(1, 3))
        content = {"S": lambda: self.pick(*TEXTS), "N": lambda: self.pick(*NUMBERS), "B": lambda: self.pick("", "AA==", "AAE=", "/w=="),
                   "BOOL": lambda: self.pick(True, False), "NULL": lambda: True, "SS": lambda: some(TEXTS), "NS": lambda: some(NUMBERS),
                   "BS": lambda: some(["", "AA==", "AAE=", "/w=="]),
                   "L": lambda: [self.value(depth - 1) for _ in range(self.random.randint(0, 3))],
                   "M": lambda: {name: self.value(depth - 1) for name in self.random.sample(NAMES, self.random.randint(0, 3))}}
        return {kind: content[kind]()}

    def item(self):
        return {name: self.value() for name in self.random.sample(NAMES, self.random.randint(0, len(NAMES)))}

    # ---- expressions, as tuples and as text ----

    def begin(self, item):
        self.stored = {name: from_json(value) for name, value in item.items()}
        self.names, self.values = {}, {}

    def token(self, table, mark, content):
        for token, known in table.items():
            if known == content:
                return token
        token = f"{mark}{self.pick('t', 'T_', '0')}{len(table)}"
        table[token] = content
        return token

    def blank(self):
        return self.pick("", " ", " ", "  ", "\t", "\n")

    def word(self, text):
        return self.pick(text, text, text.lower(), text.capitalize())

    def path(self):
        """Mostly of what is there, sometimes not."""
        steps, value = [self.pick(*NAMES)], self.stored
        value = self.stored.get(steps[0])
        while self.random.random() < 0.6 and len(steps) < 4:
            kind = value[0] if value else self.pick("L", "M")
            step = self.random.randint(0, 3) if kind == "L" or (kind != "M" and self.random.random() < 0.3) else self.pick(*NAMES)
            steps.append(step)
            value = reference.find(self.stored, tuple(steps))
        return ("path", tuple(steps)), self.path_text(steps)

    def path_text(self, steps):
        text = ""
        for step in steps:
            if isinstance(step, int):
                text += f"{self.blank()}[{self.blank()}{step}{self.blank()}]"
                continue
            plain = step not in ("d.e", "data") and self.random.random() < 0.7
            name = step if plain else self.token(self.names, "#", {"S": step})
            text += ("" if not text else self.blank() + "." + self.blank()) + name
        return text

    def literal(self, *kinds):
        known = [value for value in self.stored.values() if not kinds or value[0] in kinds]
        content = to_json(self.pick(*known)) if known and self.random.random() < 0.4 else self.value(1, kinds or ("S", "N", "B", "BOOL", "NULL", "L", "SS", "NS"))
        return ("value", from_json(content)), self.token(self.values, ":", content)

    def operand(self, *kinds):
        """Literals only of these types, if any are given."""
        choice = self.random.random()
        if choice < 0.5:
            made, text = self.path()
        elif choice < 0.6 and (not kinds or "N" in kinds):
            measured, inner = self.path() if self.random.random() < 0.8 else self.literal("S", "B", "L", "SS")
            made, text = ("size", measured), f"size{self.blank()}({inner})"
        else:
            made, text = self.literal(*kinds)
        return (made, f"({self.blank()}{text})") if self.random.random() < 0.05 else (made, text)

    def operands(self, count, *kinds):
        """None of them the path that is the first."""
        while True:
            names, values = dict(self.names), dict(self.values)
            made = [self.operand(*kinds) for _ in range(count)]
            first = made[0][0]
            if first[0] != "path" or all(one != first for one, _ in made[1:]):
                return made
            self.names, self.values = names, values  # tokens of what is left out would be unused

    def condition(self, depth):
        """What it means, its text, and whether that is a group in parentheses."""
        kind = self.pick("and", "or", "not", "group") if depth > 0 and self.random.random() < 0.6 else None
        if kind is None:
            return *self.predicate(), False
        made, text, grouped = self.condition(depth - 1)
        if kind == "group":
            return made, text if grouped else f"({self.blank()}{text}{self.blank()})", True
        if kind == "not":
            return ("not", made), f"{self.word('NOT')} {self.grouped(text, grouped, made[0] in ('and', 'or'))}", False
        right, right_text, right_grouped = self.condition(depth - 1)
        left_text = self.grouped(text, grouped, kind == "and" and made[0] == "or")
        right_text = self.grouped(right_text, right_grouped, right[0] in ("and", "or"))
        return (kind, made, right), f"{left_text} {self.word(kind.upper())} {right_text}", False

    def grouped(self, text, is_group, must):
        return f"({text})" if must and not is_group else text

    def predicate(self):
        kind = self.pick("compare", "compare", "between", "in", "exists", "type", "contains", "begins_with")
        if kind == "compare":
            sign = self.pick("=", "<>", "<", "<=", ">", ">=")
            (a, left), (b, right) = self.operands(2, *(() if sign in ("=", "<>") else ("S", "N", "B")))
            return ("compare", sign, a, b), f"{left}{self.blank()}{sign}{self.blank()}{right}"
        if kind == "between":
            kind = self.pick("S", "N", "B")
            (a, text), = self.operands(1, "S", "N", "B")
            bounds = sorted((self.literal(kind) for _ in range(2)), key=lambda one: reference.ordered(one[0][1]))
            return ("between", a, *(made for made, _ in bounds)), f"{text} {self.word('BETWEEN')} {bounds[0][1]} {self.word('AND')} {bounds[1][1]}"
        if kind == "in":
            made = self.operands(self.random.randint(2, 5))
            return ("in", *(one for one, _ in made)), f"{made[0][1]} {self.word('IN')} ({', '.join(text for _, text in made[1:])})"
        if kind == "exists":
            made, text = self.path()
            name = self.pick("attribute_exists", "attribute_not_exists")
            return (name, made), f"{name}{self.blank()}({text})"
        if kind == "type":
            made, text = self.path()
            wanted = self.pick("S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS")
            return ("attribute_type", made, ("value", ("S", wanted))), f"attribute_type({text}, {self.token(self.values, ':', {'S': wanted})})"
        (a, left), (b, right) = self.operands(2, *(("S", "B") if kind == "begins_with" else ()))
        return (kind, a, b), f"{kind}({left},{self.blank()}{right})"

    def asked(self, kind, text, item):
        return {kind: text, "item": item, **({"names": self.names} if self.names else {}), **({"values": self.values} if self.values else {})}

    def conditions(self):
        item = self.item()
        self.begin(item)
        made, text, _ = self.condition(3)
        return self.asked("condition", text, item), {"holds": reference.holds(made, self.stored)}

    # ---- key conditions: of items that are their keys, pk and sk ----

    def key_literal(self, kind):
        while True:
            known = dict(self.values)
            made, text = self.literal(kind)
            if made[1][1] not in ("", b""):
                return made, text
            self.values = known

    def key_value(self, kind):
        while True:
            value = self.value(0, (kind,))
            if value[kind]:
                return value

    def key_compared(self, name, sign, kind):
        (value, text), path = self.key_literal(kind), ("path", (name,))
        shown = self.path_text([name])
        if self.random.random() < 0.3:
            turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
            return ("compare", sign, path, value), f"{text}{self.blank()}{turned}{self.blank()}{shown}"
        return ("compare", sign, path, value), f"{shown}{self.blank()}{sign}{self.blank()}{text}"

    def key_ranged(self, kind):
        form = self.pick("compare", "compare", "between", "begins_with") if kind != "N" else self.pick("compare", "between")
        if form == "compare":
            return self.key_compared("sk", self.pick("=", "<", "<=", ">", ">="), kind)
        path, shown = ("path", ("sk",)), self.path_text(["sk"])
        if form == "begins_with":
            value, text = self.key_literal(kind)
            return ("begins_with", path, value), f"begins_with({shown},{self.blank()}{text})"
        (low, low_text), (high, high_text) = sorted((self.key_literal(kind) for _ in range(2)), key=lambda one: reference.ordered(one[0][1]))
        return ("between", path, low, high), f"{shown} {self.word('BETWEEN')} {low_text} {self.word('AND')} {high_text}"

    def keys(self):
        partition, sort = self.pick("S", "N", "B"), self.pick("S", "N", "B")
        item = {"pk": self.key_value(partition), "sk": self.key_value(sort)}
        self.begin(item)
        parts = [self.key_compared("pk", "=", partition)]
        if self.random.random() < 0.9:
            parts.append(self.key_ranged(sort))
            self.random.shuffle(parts)
        text = f" {self.word('AND')} ".join(f"({one})" if self.random.random() < 0.1 else one for _, one in parts)
        return self.asked("key", text, item), {"holds": all(reference.holds(made, self.stored) for made, _ in parts)}

    # ---- updates ----

    def set_value(self, depth=1):
        kind = self.pick("operand", "operand", "if_not_exists", "list_append", "sum") if depth else "operand"
        if kind == "operand":
            return self.path() if self.random.random() < 0.5 else self.literal()
        if kind == "if_not_exists":
            place, text = self.path()
            while True:
                names = dict(self.names)
                made, other = self.path() if self.random.random() < 0.3 else self.literal()
                if made != place:
                    return ("if_not_exists", place, made), f"if_not_exists({text}, {other})"
                self.names = names
        wanted = "L" if kind == "list_append" else "N"
        parts = [self.path() if self.random.random() < 0.5 else self.literal(wanted) for _ in range(2)]
        made = [one for one, _ in parts]
        left, right = (text for _, text in parts)
        if kind == "list_append":
            return ("list_append", *made), f"list_append({left}, {right})"
        sign = self.pick("+", "-")
        text = f"{left}{self.blank()}{sign}{self.blank()}{right}"
        return (sign, *made), f"({text})" if self.random.random() < 0.2 else text

    def action(self, kind):
        (_, place), text = self.path()
        if kind == "SET":
            value, shown = self.set_value()
            return (kind, place, value), f"{text}{self.blank()}={self.blank()}{shown}"
        if kind == "REMOVE":
            return (kind, place), text
        value, shown = self.literal(*(("N", "SS", "NS", "BS") if kind == "ADD" else ("SS", "NS", "BS")))
        return (kind, place, value), f"{text} {shown}"

    def updates(self):
        item = self.item()
        self.begin(item)
        actions, clauses = [], []
        for kind in self.random.sample(["SET", "REMOVE", "ADD", "DELETE"], self.random.randint(1, 3)):
            texts = []
            for _ in range(self.random.randint(1, 3)):
                names, values = dict(self.names), dict(self.values)
                made, text = self.action(kind)
                if any(clash(made[1], other[1]) for other in actions):
                    self.names, self.values = names, values  # tokens of what is left out would be unused
                    continue
                actions.append(made)
                texts.append(text)
            if texts:
                clauses.append(f"{self.word(kind)} {', '.join(texts)}")
        if not actions:
            return self.updates()
        try:
            expected = {"item": reference.update(actions, self.stored)}
        except Fault as fault:
            expected = {"fault": str(fault)}
        return self.asked("update", " ".join(clauses), item), expected

    def projections(self):
        item = self.item()
        self.begin(item)
        paths, texts = [], []
        for _ in range(self.random.randint(1, 4)):
            names = dict(self.names)
            (_, place), text = self.path()
            if any(clash(place, other) for other in paths):
                self.names = names
                continue
            paths.append(place)
            texts.append(text)
        return self.asked("projection", f"{self.blank()},{self.blank()}".join(texts), item), {"item": reference.project(set(paths), self.stored)}


def clash(one, two):
    """Overlap, or one uses as a list what the other uses as a map."""
    for a, b in zip(one, two):
        if isinstance(a, int) != isinstance(b, int):
            return True
        if a != b:
            return False
    return True


def same(answer, expected):
    if set(answer) != set(expected):
        return False
    for name, wanted in expected.items():
        found = answer[name]
        if name == "item":
            found = {key: from_json(value) for key, value in found.items()}
        if isinstance(wanted, decimal.Decimal):
            try:
                found = EXACT.create_decimal(found)
            except decimal.InvalidOperation:
                return False
        if found != wanted:
            return False
    return True


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--cases", type=int, default=100000)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = options.parse_args()
    print(f"seed {options.seed}", flush=True)
    cases = Cases(options.seed)
    makers = [cases.numbers, cases.conditions, cases.conditions, cases.updates, cases.updates, cases.projections, cases.keys]
    failed, faults, done = 0, 0, 0
    while done < options.cases:
        batch = [makers[i % len(makers)]() for i in range(min(CHUNK, options.cases - done))]
        run = subprocess.run([PROGRAM], input="".join(json.dumps(asked) + "\n" for asked, _ in batch), capture_output=True, text=True, check=False)
        answers = run.stdout.splitlines()
        if run.returncode != 0 or len(answers) != len(batch):
            sys.exit(f"the program ended with {run.returncode}: {run.stdout[-500:]} {run.stderr[-2000:]}")
        for (asked, expected), answer in zip(batch, map(json.loads, answers)):
            faults += "fault" in expected
            if not same(answer, expected):
                failed += 1
                if failed <= SHOWN:
                    print(f"asked    {json.dumps(asked, ensure_ascii=False)}\nis       {answer}\nexpected {expected}")
        done += len(batch)
    print(f"{faults} of the updates were to be refused")
    print(f"{done - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
