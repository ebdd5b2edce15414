"""DynamoDB's numbers, conditions, updates and projections, written as slowly and plainly as they are explained.

An attribute value is (type, content): N holds a Decimal, B bytes, sets frozensets, L a list and M a dict of values. An
expression is a tuple, its first member saying what it is; a path is a tuple of names and indexes.
"""

import base64
import decimal

EXACT = decimal.Context(prec=400, Emin=-100000, Emax=100000)
PRECISE = "Attempting to store more than 38 significant digits in a Number"
OVER = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDER = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
BAD_PATH = "The document path provided in the update expression is invalid for update"
BAD_TYPE = "An operand in the update expression has an incorrect data type"
ABSENT = "The provided expression refers to an attribute that does not exist in the item"


class Fault(Exception):
    pass


# ---- numbers ----


def checked(number):
    """The number, if DynamoDB can store it. A zero is judged as if its last digit were 1."""
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits))
    significant = text.strip("0")
    if len(significant) > 38:
        raise Fault(PRECISE)
    judged = number if significant else decimal.Decimal((sign, (1,), exponent))
    if judged.adjusted() > 125:
        raise Fault(OVER)
    if judged.adjusted() < -130:
        raise Fault(UNDER)
    return number if significant else decimal.Decimal(0)


def add(a, b):
    return checked(EXACT.add(a, b)) if EXACT.add(a, b) else decimal.Decimal(0)


def subtract(a, b):
    return add(a, EXACT.minus(b))


# ---- values ----


def from_json(value):
    kind, content = next(iter(value.items()))
    read = {"N": decimal.Decimal, "B": base64.b64decode, "SS": frozenset, "L": lambda one: [from_json(part) for part in one],
            "NS": lambda one: frozenset(map(decimal.Decimal, one)), "BS": lambda one: frozenset(map(base64.b64decode, one)),
            "M": lambda one: {name: from_json(part) for name, part in one.items()}}
    return kind, read.get(kind, lambda one: one)(content)


def to_json(value):
    kind, content = value
    encode = lambda data: base64.b64encode(data).decode()
    write = {"N": str, "B": encode, "SS": sorted, "L": lambda one: [to_json(part) for part in one],
             "NS": lambda one: [str(number) for number in sorted(one)], "BS": lambda one: [encode(data) for data in sorted(one)],
             "M": lambda one: {name: to_json(part) for name, part in one.items()}}
    return {kind: write.get(kind, lambda one: one)(content)}


def find(item, path):
    """The value at a path; None: nothing is there."""
    value = ("M", item)
    for step in path:
        kind, content = value
        if isinstance(step, str) and kind == "M" and step in content:
            value = content[step]
        elif isinstance(step, int) and kind == "L" and step < len(content):
            value = content[step]
        else:
            return None
    return value


def size(value):
    kind, content = value
    if kind == "S":
        return len(content.encode("utf-16-le")) // 2
    return len(content) if kind in ("B", "L", "M", "SS", "NS", "BS") else None


# ---- conditions ----


def operand(expression, item):
    kind = expression[0]
    if kind == "value":
        return expression[1]
    if kind == "path":
        return find(item, expression[1])
    measured = operand(expression[1], item)
    length = size(measured) if measured else None
    return None if length is None else ("N", decimal.Decimal(length))


def ordered(value):
    kind, content = value
    return content.encode() if kind == "S" else content


def compare(sign, a, b):
    if sign == "=":
        return a is not None and a == b
    if sign == "<>":
        return a is None or a != b
    if a is None or b is None or a[0] != b[0] or a[0] not in ("S", "N", "B"):
        return False
    a, b = ordered(a), ordered(b)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]


def contains(whole, part):
    if whole is None or part is None:
        return False
    (kind, content), (part_kind, part_content) = whole, part
    if kind in ("S", "B"):
        return part_kind == kind and part_content in content
    if kind in ("SS", "NS", "BS"):
        return part_kind == kind[0] and part_content in content
    return kind == "L" and part in content


def holds(expression, item):
    kind, *parts = expression
    if kind == "and":
        return holds(parts[0], item) and holds(parts[1], item)
    if kind == "or":
        return holds(parts[0], item) or holds(parts[1], item)
    if kind == "not":
        return not holds(parts[0], item)
    if kind == "compare":
        return compare(parts[0], operand(parts[1], item), operand(parts[2], item))
    values = [operand(part, item) for part in parts]
    if kind == "between":
        return compare(">=", values[0], values[1]) and compare("<=", values[0], values[2])
    if kind == "in":
        return any(compare("=", values[0], one) for one in values[1:])
    if kind == "attribute_exists":
        return values[0] is not None
    if kind == "attribute_not_exists":
        return values[0] is None
    if kind == "attribute_type":
        return values[0] is not None and values[0][0] == values[1][1]
    if kind == "contains":
        return contains(*values)
    assert kind == "begins_with"
    whole, part = values
    return bool(whole and part and whole[0] == part[0] and whole[0] in ("S", "B") and whole[1].startswith(part[1]))


# ---- updates ----


def total(reckon, a, b):
    """A sum or a difference: too long a one is told as too large a one."""
    try:
        return reckon(a, b)
    except Fault as fault:
        raise Fault(OVER if str(fault) == PRECISE else str(fault)) from None


def compute(expression, item):
    kind, *parts = expression
    if kind in ("value", "path"):
        value = operand(expression, item)
        if value is None:
            raise Fault(ABSENT)
        return value
    if kind == "if_not_exists":
        there = operand(parts[0], item)
        return there if there is not None else compute(parts[1], item)
    a, b = compute(parts[0], item), compute(parts[1], item)
    wanted = "L" if kind == "list_append" else "N"
    if a[0] != wanted or b[0] != wanted:
        raise Fault(BAD_TYPE)
    return (wanted, a[1] + b[1] if wanted == "L" else total(add if kind == "+" else subtract, a[1], b[1]))


REMOVED = object()


def change_of(action, item):
    """What an action puts at its path: a value, REMOVED, or None for nothing."""
    kind, path, *rest = action
    value = compute(rest[0], item) if kind == "SET" else None
    old = find(item, path)
    if kind == "SET":
        return value
    if kind == "REMOVE":
        return REMOVED if old is not None else None
    value = rest[0][1]
    if old is None:
        return value if kind == "ADD" else None
    if kind == "ADD" and value[0] == "N":
        if old[0] != "N":
            raise Fault(BAD_TYPE)
        return ("N", total(add, old[1], value[1]))
    if old[0] != value[0]:
        raise Fault(BAD_TYPE)
    result = old[1] | value[1] if kind == "ADD" else old[1] - value[1]
    return (value[0], result) if result else REMOVED


def rebuild(value, path, changes):
    """The value at a path after all changes, made from what was there before."""
    kind, content = value
    if kind == "M":
        made = {name: part if (*path, name) in changes else rebuild(part, (*path, name), changes) for name, part in content.items()}
        for place, change in changes.items():
            if place[:-1] == path:
                made.pop(place[-1], None)
                if change is not REMOVED:
                    made[place[-1]] = change
        return kind, made
    if kind == "L":
        here = {place[-1]: change for place, change in changes.items() if place[:-1] == path}
        made = [here.get(i, rebuild(part, (*path, i), changes)) for i, part in enumerate(content)]
        made += [here[i] for i in sorted(here) if i >= len(content)]
        return kind, [part for part in made if part is not REMOVED]
    return value


def update(actions, item):
    changes = {}
    for action in actions:
        change = change_of(action, item)
        if change is not None:
            changes[action[1]] = change
    for _, path, *_ in actions: # what is wrong with a value is told before
        parent = find(item, path[:-1])
        if parent is None or parent[0] != ("L" if isinstance(path[-1], int) else "M"):
            raise Fault(BAD_PATH)
    return rebuild(("M", item), (), changes)[1]


# ---- projections ----


def project(paths, item):
    """Only what the paths lead to; elements of lists move together."""

    def cut(value, path):
        if path in paths:
            return value
        kind, content = value
        if kind == "M":
            kept = {name: part for name in content if (part := cut(content[name], (*path, name))) is not None}
        elif kind == "L":
            kept = [part for i, one in enumerate(content) if (part := cut(one, (*path, i))) is not None]
        else:
            return None
        return (kind, kept) if kept else None

    cutting = cut(("M", item), ())
    return cutting[1] if cutting else {}
