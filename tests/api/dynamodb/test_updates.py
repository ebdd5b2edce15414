"""UpdateExpression: every clause and function, what they refuse, and the limits of an update."""

import pytest

from api import ENVELOPE, INVALID

S = {"S": "s"}
BAD_PATH = "The document path provided in the update expression is invalid for update"
BAD_TYPE = "An operand in the update expression has an incorrect data type"
ABSENT = "The provided expression refers to an attribute that does not exist in the item"
UPDATE = ENVELOPE + "Invalid UpdateExpression: "
TOO_LARGE = "Number overflow. Attempting to store a number with magnitude larger than supported range"
NOT_THIS_WAY = UPDATE + "The function is not allowed to be used this way in an expression; function: list_append"
TOO_BIG = "Item size to update has exceeded the maximum allowed size"


def n(number):
    return {"N": str(number)}


def ns(*numbers):
    return {"L": [n(number) for number in numbers]}


def update(api, table, key, expression, values=None, names=None, **more):
    return api.call("UpdateItem", {
        "TableName": table, "Key": {"pk": key}, "UpdateExpression": expression,
        **({"ExpressionAttributeValues": values} if values else {}),
        **({"ExpressionAttributeNames": names} if names else {}), **more})


WORKS = [
    ("SET a = :v", {":v": S}, {}, {"a": S}),
    ("set a=:v", {":v": S}, {"a": n(1), "b": n(2)}, {"a": S, "b": n(2)}),
    ("SET a = b, b = a", None, {"a": n(1), "b": n(2)}, {"a": n(2), "b": n(1)}),
    ("SET a = a + :v", {":v": n(3)}, {"a": n(1)}, {"a": n(4)}),
    ("SET a = :v - a", {":v": n("0.5")}, {"a": n(1)}, {"a": n("-0.5")}),
    ("SET a = (b + (:v))", {":v": n(1)}, {"b": n(1)}, {"a": n(2), "b": n(1)}),
    ("SET a = if_not_exists(a, :v) + :w", {":v": n(0), ":w": n(1)}, {}, {"a": n(1)}),
    ("SET a = if_not_exists(a, :v) + :w", {":v": n(0), ":w": n(1)}, {"a": n(5)}, {"a": n(6)}),
    ("SET a = if_not_exists(b, if_not_exists(c, :v))", {":v": S}, {"c": n(1)}, {"a": n(1), "c": n(1)}),
    ("SET l = list_append(l, :v)", {":v": ns(3)}, {"l": ns(1, 2)}, {"l": ns(1, 2, 3)}),
    ("SET l = list_append(:v, l)", {":v": ns(3)}, {"l": ns(1, 2)}, {"l": ns(3, 1, 2)}),
    ("SET l = list_append(if_not_exists(l, :e), :v)", {":v": ns(3), ":e": ns()}, {}, {"l": ns(3)}),
    ("SET l[0] = :v, l[2] = :w", {":v": n(7), ":w": n(9)}, {"l": ns(1, 2)}, {"l": ns(7, 2, 9)}),
    ("SET l[9] = :w, l[5] = :v", {":v": n(7), ":w": n(9)}, {"l": ns(1)}, {"l": ns(1, 7, 9)}),
    ("SET m.a.b = :v", {":v": S}, {"m": {"M": {"a": {"M": {"c": n(1)}}}}},
     {"m": {"M": {"a": {"M": {"b": S, "c": n(1)}}}}}),
    ("SET m.#k = :v", {":v": S}, {"m": {"M": {}}}, {"m": {"M": {"a.b": S}}}),
    ("SET l[1].x = :v", {":v": S}, {"l": {"L": [n(0), {"M": {}}]}}, {"l": {"L": [n(0), {"M": {"x": S}}]}}),
    ("SET a = l[1]", None, {"l": ns(5, 6)}, {"l": ns(5, 6), "a": n(6)}),
    ("REMOVE a", None, {"a": S, "b": S}, {"b": S}),
    ("REMOVE a, m.x, l[0], nope", None, {"a": S, "m": {"M": {"x": S, "y": S}}, "l": ns(1, 2)},
     {"m": {"M": {"y": S}}, "l": ns(2)}),
    ("REMOVE l[0], l[2], l[9]", None, {"l": ns(1, 2, 3, 4)}, {"l": ns(2, 4)}),
    ("SET l[1] = :v REMOVE l[0]", {":v": n(9)}, {"l": ns(1, 2, 3)}, {"l": ns(9, 3)}),
    ("ADD a :v", {":v": n("2.5")}, {}, {"a": n("2.5")}),
    ("ADD a :v", {":v": n(-3)}, {"a": n(1)}, {"a": n(-2)}),
    ("ADD s :v", {":v": {"SS": ["b", "c"]}}, {"s": {"SS": ["a", "b"]}}, {"s": {"SS": ["a", "b", "c"]}}),
    ("ADD s :v", {":v": {"NS": ["1.0", "2"]}}, {"s": {"NS": ["1"]}}, {"s": {"NS": ["1", "2"]}}),
    ("ADD s :v", {":v": {"BS": ["AA=="]}}, {}, {"s": {"BS": ["AA=="]}}),
    ("ADD m.c :v", {":v": n(1)}, {"m": {"M": {}}}, {"m": {"M": {"c": n(1)}}}),
    ("ADD l[7] :v", {":v": n(1)}, {"l": ns(5)}, {"l": ns(5, 1)}),
    ("DELETE s :v", {":v": {"SS": ["b", "x"]}}, {"s": {"SS": ["a", "b"]}}, {"s": {"SS": ["a"]}}),
    ("DELETE s :v", {":v": {"SS": ["a", "b"]}}, {"s": {"SS": ["a", "b"]}}, {}),
    ("DELETE s :v", {":v": {"NS": ["1.00"]}}, {"s": {"NS": ["1", "2"]}}, {"s": {"NS": ["2"]}}),
    ("DELETE s :v", {":v": {"SS": ["a"]}}, {}, {}),
    ("SET l[9] = :v ADD l[5] :w", {":v": n(9), ":w": n(5)}, {"l": ns(1)}, {"l": ns(1, 5, 9)}),
    ("DELETE l[7] :v SET l[9] = :w", {":v": {"SS": ["a"]}, ":w": n(9)}, {"l": ns(1)}, {"l": ns(1, 9)}),
    ("DELETE l[0] :v SET l[1] = :w", {":v": {"SS": ["a"]}, ":w": n(9)}, {"l": {"L": [{"SS": ["a"]}, n(1), n(2)]}}, {"l": ns(9, 2)}),
    ("DELETE l[0] :v REMOVE l[1]", {":v": {"SS": ["a"]}}, {"l": {"L": [{"SS": ["a"]}, n(1), n(2)]}}, {"l": ns(2)}),
    ("ADD a :v SET b = a REMOVE c DELETE s :s", {":v": n(1), ":s": {"SS": ["x"]}},
     {"a": n(1), "c": S, "s": {"SS": ["x", "y"]}}, {"a": n(2), "b": n(1), "s": {"SS": ["y"]}}),
    ("SET a = :v + :v", {":v": {"N": "99999999999999999999999999999999999999"}}, {}, None),
]


@pytest.mark.parametrize(("expression", "values", "before", "after"), WORKS)
def test_updates(api, hashed, key, expression, values, before, after):
    api.put(hashed, pk=key, **before)
    names = {"#k": "a.b"} if "#k" in expression else None
    if after is None:
        told = api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, UpdateExpression=expression,
                           ExpressionAttributeValues=values)
        assert told == TOO_LARGE
        after = before
    else:
        update(api, hashed, key, expression, values, names)
    assert api.get(hashed, pk=key) == {"pk": key, **after}


REFUSED = [
    ("", None, UPDATE + "The expression can not be empty;"),
    (" ", None, UPDATE + 'Syntax error; token: "<EOF>", near: " "'),
    ("x", None, UPDATE + 'Syntax error; token: "x", near: "x"'),
    ("SET", None, UPDATE + 'Syntax error; token: "<EOF>", near: "SET"'),
    ("SET a", None, UPDATE + 'Syntax error; token: "<EOF>", near: "a"'),
    ("SET a = :v,", {":v": S}, UPDATE + 'Syntax error; token: "<EOF>", near: ","'),
    ("SET a = :v b = :v", {":v": S}, UPDATE + 'Syntax error; token: "b", near: ":v b ="'),
    ("SET a = :v + ", {":v": S}, UPDATE + 'Syntax error; token: "<EOF>", near: "+ "'),
    ("SET a = :v  b ", {":v": S}, UPDATE + 'Syntax error; token: "b", near: ":v  b "'),
    ("\n x y = :v", {":v": S}, UPDATE + 'Syntax error; token: "x", near: "\n x y"'),
    ("SET a = a / :v", {":v": S}, UPDATE + 'Syntax error; token: "/", near: "a / :v"'),
    ("SET a = :v + :v + :v", {":v": n(1)}, UPDATE + 'Syntax error; token: "+", near: ":v + :v"'),
    ("SET a = (:v + :v) + :v", {":v": n(1)}, UPDATE + 'Syntax error; token: "+", near: ") + :v"'),
    ("SET a = ((:v))", {":v": S}, UPDATE + "The expression has redundant parentheses;"),
    ("SET a = 1", None, UPDATE + 'Syntax error; token: "1", near: "= 1"'),
    ("SET l[-1] = :v", {":v": S}, UPDATE + 'Syntax error; token: "-", near: "[-1"'),
    ("SET l[01] = :v", {":v": S}, UPDATE + 'Syntax error; token: "1", near: "01]"'),
    ("ADD a b", None, UPDATE + 'Syntax error; token: "b", near: "a b"'),
    ("ADD a 1", None, UPDATE + 'Syntax error; token: "1", near: "a 1"'),
    ("REMOVE set", None, UPDATE + 'Syntax error; token: "set", near: "REMOVE set"'),
    ("SET a = :v SET b = :v", {":v": S}, UPDATE + 'The "SET" section can only be used once in an update expression;'),
    ("REMOVE a REMOVE b", None, UPDATE + 'The "REMOVE" section can only be used once in an update expression;'),
    ("SET name = :v", {":v": S}, UPDATE + "Attribute name is a reserved keyword; reserved keyword: name"),
    ("SET a.Data = :v", {":v": S}, UPDATE + "Attribute name is a reserved keyword; reserved keyword: Data"),
    ("SET a = foo(b)", None, UPDATE + "Invalid function name; function: foo"),
    ("SET a = IF_NOT_EXISTS(a, b)", None, UPDATE + "Invalid function name; function: IF_NOT_EXISTS"),
    ("SET a = size(b)", None, UPDATE + "The function is not allowed in an update expression; function: size"),
    ("SET a = attribute_exists(b)", None,
     UPDATE + "The function is not allowed in an update expression; function: attribute_exists"),
    ("SET a = list_append(b)", None, UPDATE + "Incorrect number of operands for operator or function; operator or "
     "function: list_append, number of operands: 1"),
    ("SET a = if_not_exists(b, c, d)", None, UPDATE + "Incorrect number of operands for operator or function; "
     "operator or function: if_not_exists, number of operands: 3"),
    ("SET a = if_not_exists(:v, a)", {":v": S},
     UPDATE + "Operator or function requires a document path; operator or function: if_not_exists"),
    ("SET a = :nope", {":v": S}, UPDATE + "An expression attribute value used in expression is not defined; "
     "attribute value: :nope"),
    ("SET a = :v, #n = :v", {":v": S}, UPDATE + "An expression attribute name used in the document path is not "
     "defined; attribute name: #n"),
    ("SET a = :v + :v", {":v": S}, UPDATE + "Incorrect operand type for operator or function; operator or function: "
     "+, operand type: S"),
    ("SET a = a - :v", {":v": {"L": []}}, UPDATE + "Incorrect operand type for operator or function; operator or "
     "function: -, operand type: L"),
    # Only if_not_exists stands inside a function or a sum.
    ("SET a = list_append(list_append(:v, :v), :v)", {":v": ns()}, NOT_THIS_WAY),
    ("SET a = list_append(:v, (list_append(:v, :v)))", {":v": ns()}, NOT_THIS_WAY),
    ("SET a = list_append(list_append(list_append(:v, :v), :v), :v)", {":v": ns()}, NOT_THIS_WAY),
    ("SET a = if_not_exists(l, list_append(l, :v))", {":v": ns()}, NOT_THIS_WAY),
    ("SET a = list_append(l, :v) + :n", {":v": ns(), ":n": n(1)}, NOT_THIS_WAY),
    ("SET a = :n - (list_append(l, :v))", {":v": ns(), ":n": n(1)}, NOT_THIS_WAY),
    ("SET a = list_append(a, :v)", {":v": n(1)}, UPDATE + "Incorrect operand type for operator or function; operator "
     "or function: list_append, operand type: N"),
    *((f"{clause} a :v", {":v": value}, UPDATE + "Incorrect operand type for operator or function; operator: "
       f"{clause}, operand type: {word}, typeSet: ALLOWED_FOR_ADD_OPERAND")
      for clause in ("ADD", "DELETE")
      for value, word in ((S, "STRING"), ({"B": "AA=="}, "Binary"), ({"BOOL": True}, "BOOL"), ({"NULL": True}, "NULL"),
                          ({"L": []}, "LIST"), ({"M": {}}, "MAP"))),
    ("DELETE a :v", {":v": n(1)}, UPDATE + "Incorrect operand type for operator or function; operator: DELETE, operand "
     "type: NUMBER, typeSet: ALLOWED_FOR_ADD_OPERAND"),
    ("SET a = :v, a = :v", {":v": S}, UPDATE + "Two document paths overlap with each other; must remove or rewrite "
     "one of these paths; path one: [a], path two: [a]"),
    ("SET a.b = :v REMOVE a", {":v": S}, UPDATE + "Two document paths overlap with each other; must remove or rewrite "
     "one of these paths; path one: [a, b], path two: [a]"),
    ("SET l[0] = :v, l[0].x = :v", {":v": S}, UPDATE + "Two document paths overlap with each other; must remove or "
     "rewrite one of these paths; path one: [l, [0]], path two: [l, [0], x]"),
    ("SET a[0] = :v, a.b = :v", {":v": S}, UPDATE + "Two document paths conflict with each other; must remove or "
     "rewrite one of these paths; path one: [a, [0]], path two: [a, b]"),
    ("SET a = :v", {":v": S, ":w": S}, ENVELOPE + "Value provided in ExpressionAttributeValues unused in expressions: "
     "keys: {:w}"),
    ("SET pk = :v", {":v": S}, INVALID + "Cannot update attribute pk. This attribute is part of the key"),
    ("REMOVE pk.x", None, INVALID + "Cannot update attribute pk. This attribute is part of the key"),
    ("SET a[2147483648] = :v", {":v": S}, UPDATE + "List index is not within the allowable range; index: [2147483648]"),
    ("SET a" + ".b" * 32 + " = :v", {":v": S}, UPDATE + "The document path has too many nesting levels; nesting "
     "levels: 33"),
    ("SET a = " + "b" * 4089, None, UPDATE + "Expression size has exceeded the maximum allowed size;"),
    # What the stored item decides.
    ("SET nope.x = :v", {":v": S}, BAD_PATH), ("SET s.x = :v", {":v": S}, BAD_PATH), ("SET l.x = :v", {":v": S}, BAD_PATH),
    ("SET m[0] = :v", {":v": S}, BAD_PATH), ("REMOVE nope.x", None, BAD_PATH), ("ADD nope.x :v", {":v": n(1)}, BAD_PATH),
    ("SET l[9].x = :v", {":v": S}, BAD_PATH),
    ("SET a = nope", None, ABSENT), ("SET a = nope + :v", {":v": n(1)}, ABSENT), ("SET a = l[9]", None, ABSENT),
    ("SET a = list_append(nope, :v)", {":v": ns()}, ABSENT),
    ("SET a = s + :v", {":v": n(1)}, BAD_TYPE), ("SET a = list_append(s, :v)", {":v": ns()}, BAD_TYPE),
    ("ADD s :v", {":v": n(1)}, BAD_TYPE), ("ADD n :v", {":v": {"SS": ["a"]}}, BAD_TYPE),
    ("ADD set1 :v", {":v": {"NS": ["1"]}}, BAD_TYPE), ("DELETE s :v", {":v": {"SS": ["a"]}}, BAD_TYPE),
    ("DELETE set1 :v", {":v": {"NS": ["1"]}}, BAD_TYPE),
    # A sum of too many digits is told as one too large.
    ("SET n = n + :v", {":v": n("9E+125")}, TOO_LARGE), ("ADD n :v", {":v": n("1E-100")}, TOO_LARGE),
    ("SET n = :v - :w", {":v": n("1E+50"), ":w": n(1)}, TOO_LARGE), ("SET n = :v + :w", {":v": n("1E+50"), ":w": n(1)}, TOO_LARGE),
]
STORED = {"s": S, "n": n("9E+125"), "l": ns(1), "m": {"M": {}}, "set1": {"SS": ["a"]}}


@pytest.mark.parametrize(("expression", "values", "text"), REFUSED)
def test_refused_updates_change_nothing(api, hashed, key, expression, values, text):
    api.put(hashed, pk=key, **STORED)
    request = {"TableName": hashed, "Key": {"pk": key}, "UpdateExpression": expression}
    if values:
        request["ExpressionAttributeValues"] = values
    assert api.refusal("UpdateItem", request) == text
    assert api.get(hashed, pk=key) == {"pk": key, **STORED}


REMOVALS = [("REMOVE x.y", None), ("REMOVE x[0]", None), ("REMOVE a, x.y.z, l[3].k", None), ("DELETE x.y :s", {":s": {"SS": ["a"]}}),
            ("REMOVE x.y DELETE z[1] :s", {":s": {"SS": ["a"]}})]


@pytest.mark.parametrize(("expression", "values"), REMOVALS)
def test_what_only_removes_does_nothing_to_an_item_that_is_not_there(api, hashed, key, expression, values):
    assert update(api, hashed, key, expression, values, ReturnValues="ALL_NEW") == {}
    values = {"ExpressionAttributeValues": values} if values else {}
    api.call("TransactWriteItems", TransactItems=[{"Update": {"TableName": hashed, "Key": {"pk": key}, "UpdateExpression": expression, **values}}])
    assert api.get(hashed, pk=key) is None


@pytest.mark.parametrize("expression", ["SET x.y = :v", "SET x[0] = :v"])
def test_a_path_that_is_set_needs_its_parent_also_where_no_item_is(api, hashed, key, expression):
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, UpdateExpression=expression, ExpressionAttributeValues={":v": n(1)}) == BAD_PATH
    assert api.get(hashed, pk=key) is None


def test_a_failed_condition_goes_before_a_bad_path(api, hashed, key):
    request = {"TableName": hashed, "Key": {"pk": key}, "UpdateExpression": "SET a.b = :v",
               "ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeValues": {":v": S}}
    assert api.refusal("UpdateItem", request).startswith("ConditionalCheckFailedException")


def test_a_wrong_type_of_add_or_delete_goes_before_a_bad_path(api, hashed, key):
    api.put(hashed, pk=key, s=S)
    for clause in ("ADD s :n", "DELETE s :n"):
        request = {"TableName": hashed, "Key": {"pk": key}, "UpdateExpression": f"SET a.b = :n {clause}", "ExpressionAttributeValues": {":n": {"NS": ["1"]}}}
        assert api.refusal("UpdateItem", request) == BAD_TYPE


def test_a_syntax_error_goes_before_unused_values(api):
    request = {"TableName": "no.such.table", "Key": {"pk": S}, "ConditionExpression": "a =", "ExpressionAttributeValues": {":v": S}}
    assert api.refusal("UpdateItem", request) == ENVELOPE + 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="'
    request |= {"ConditionExpression": "attribute_exists(a) OR #n = :v", "UpdateExpression": "SET a = ", "ExpressionAttributeNames": {"#n": "n"}}
    assert api.refusal("UpdateItem", request) == UPDATE + 'Syntax error; token: "<EOF>", near: "= "'


def test_an_empty_condition_goes_before_an_empty_update(api, hashed, key):
    request = {"TableName": hashed, "Key": {"pk": key}, "UpdateExpression": "", "ConditionExpression": ""}
    assert api.refusal("UpdateItem", request) == \
        ENVELOPE + "Invalid ConditionExpression: The expression can not be empty;"


def test_condition_and_update_share_names_and_values(api, hashed, key):
    api.put(hashed, pk=key, a=n(1))
    update(api, hashed, key, "SET #a = #a + :v", {":v": n(1), ":w": n(1)}, {"#a": "a", "#p": "pk"},
           ConditionExpression="#a = :w AND attribute_exists(#p)")
    assert api.get(hashed, pk=key)["a"] == n(2)


def test_a_counter_counts_every_add(api, hashed, key):
    for _ in range(50):
        update(api, hashed, key, "ADD c :one", {":one": n(1)})
    assert api.get(hashed, pk=key)["c"] == n(50)


# ---- limits ----

SIZE_MAX = 400 * 1024


def test_the_charge_of_an_update_at_its_limit(api, hashed, key):
    """SET costs 3 + 19 + the name + the value, whatever the item."""
    value = "x" * (SIZE_MAX - 3 - 19 - 1 - len("pk") - len(key["S"]))
    room = SIZE_MAX - 3 - 19 - 1
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, UpdateExpression="SET a = :v",
                       ExpressionAttributeValues={":v": {"S": "x" * (room + 1)}}) == TOO_BIG
    update(api, hashed, key, "SET a = :v", {":v": {"S": value}})
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, UpdateExpression="SET a = :v, b = :v",
                       ExpressionAttributeValues={":v": {"S": "x" * (SIZE_MAX // 2)}}) == TOO_BIG


# By update, what it is charged beside the 3 of each and the bytes of :b. A path that is read costs 1 + 14 + its name, the number :a 2, the list :l 3.
A, C, PATH_C = 19 + 1, 19 + 1, 1 + 14 + 1
CHARGES = [
    ("SET a = :b", A), ("SET abc = :b", 19 + 3), ("SET m.k = :b", 19 + 1 + 4 + 1), ("SET m.kex[10] = :b", 19 + 1 + 4 + 3 + 4 + 2), ("SET #n = :b", 19 + 10),
    ("SET a = :b, c = :a", A + C + 2), ("SET a = :b REMOVE c, m.k", A + 1 + 1 + 1 + 1 + 4 + 1), ("ADD c :a SET a = :b", C + 2 + A),
    ("DELETE s :s SET a = :b", 1 + 1 + A), ("SET a = :b, c = c", A + C + PATH_C), ("SET a = :b, c = m.k", A + C + 1 + 14 + 1 + 14 + 1),
    ("SET a = :b, c = :a + :a", A + C + 34 + 2 + 2), ("SET a = :b, c = (:a - c)", A + C + 37 + 2 + PATH_C), ("SET a = if_not_exists(c, :b)", A + 39 + PATH_C),
    ("SET a = :b, c = list_append(c, :l)", A + C + 37 + PATH_C + 3),
]


@pytest.mark.parametrize(("expression", "charge"), CHARGES)
def test_what_each_part_of_an_update_is_charged(api, hashed, key, expression, charge):
    """At the limit the condition is what fails; one byte more is told before it."""
    given = {":a": n(1), ":s": {"SS": ["x"]}, ":l": {"L": []}, ":b": None}
    values = {name: given[name] for name in given if name in expression}
    request = {"TableName": hashed, "Key": {"pk": key}, "UpdateExpression": expression, "ConditionExpression": "attribute_exists(pk)",
               **({"ExpressionAttributeNames": {"#n": "ten letter"}} if "#n" in expression else {}), "ReturnValues": "ALL_NEW"}
    room = SIZE_MAX - 3 - charge
    for size in (room, room + 1):
        values[":b"] = {"S": "x" * size}
        told = api.refusal("UpdateItem", ExpressionAttributeValues=values, **request)
        assert told == (TOO_BIG if size > room else "ConditionalCheckFailedException: The conditional request failed")


def test_the_charge_is_told_before_a_failed_condition(api, hashed, key):
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, UpdateExpression="SET a = :v",
                       ConditionExpression="attribute_exists(pk)",
                       ExpressionAttributeValues={":v": {"S": "x" * SIZE_MAX}}) == TOO_BIG


def test_a_finished_item_at_its_limit(api, hashed, key):
    api.put(hashed, pk=key, a={"S": "x" * (SIZE_MAX - 2 - len(key["S"]) - 1 - 10)})
    update(api, hashed, key, "SET b = :v", {":v": {"S": "y" * 9}})
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, UpdateExpression="SET b = :v",
                       ExpressionAttributeValues={":v": {"S": "y" * 10}}) == TOO_BIG


def test_an_update_may_not_nest_too_deep(api, hashed, key):
    value = n(1)
    for _ in range(31):
        value = {"L": [value]}
    api.put(hashed, pk=key, a=value)
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, UpdateExpression="SET b = :v",
                       ExpressionAttributeValues={":v": {"L": [value]}}).startswith(ENVELOPE + "Nesting Levels")
    update(api, hashed, key, "SET m = :m", {":m": {"M": {}}})
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, UpdateExpression="SET m.x = a") == \
        "Nesting Levels have exceeded supported limits"


def test_300_operators(api, hashed, key):
    names = {f"#{i}": f"a{i}" for i in range(301)}
    three_hundred = ", ".join(f"#{i}=:v+:v" for i in range(300))
    used = {name: names[name] for name in list(names)[:300]}
    update(api, hashed, key, "SET " + three_hundred, {":v": n(1)}, used)
    assert api.get(hashed, pk=key)["a299"] == n(2)
    assert api.refusal("UpdateItem", TableName=hashed, Key={"pk": key}, ExpressionAttributeNames=names,
                       ExpressionAttributeValues={":v": n(1)},
                       UpdateExpression="SET " + three_hundred + ", #300=:v+:v") == \
        UPDATE + "The expression contains too many operators; operator count: 301"


TAKES_AWAY = [("REMOVE b", None), ("REMOVE a, b", None), ("DELETE b :s", {":s": {"SS": ["x"]}}), ("REMOVE a DELETE b :s", {":s": {"SS": ["x"]}})]


@pytest.mark.parametrize("expression, values", TAKES_AWAY)
def test_an_update_that_only_takes_away_makes_no_item(api, hashed, key, expression, values):
    more = {"ConditionExpression": "attribute_not_exists(pk)"}
    for wanted in ("ALL_NEW", "UPDATED_NEW", "ALL_OLD", "UPDATED_OLD", "NONE"):
        assert update(api, hashed, key, expression, values, ReturnValues=wanted, **more) == {}
    action = {"TableName": hashed, "Key": {"pk": key}, "UpdateExpression": expression, **({"ExpressionAttributeValues": values} if values else {})}
    assert api.call("TransactWriteItems", TransactItems=[{"Update": action}]) == {}
    assert api.get(hashed, pk=key) is None
    assert update(api, hashed, key, expression + " SET c = :v", {**(values or {}), ":v": S}, ReturnValues="ALL_NEW")["Attributes"] == {"pk": key, "c": S}
    assert update(api, hashed, key, expression + ", c" if expression.startswith("REMOVE") and values is None else "REMOVE c") == {}
    assert api.get(hashed, pk=key) == {"pk": key}
