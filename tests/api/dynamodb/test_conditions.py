"""Conditions: every operator and function on every type, and how wrong ones are refused.

The same grammar serves ConditionExpression and FilterExpression; both are asked about every case.
"""

import pathlib

import pytest

from api import ENVELOPE, Refused

S = {"S": "abc"}
ITEM = {
    "s": {"S": "abcé😀"}, "n": {"N": "5"}, "b": {"B": "AAEC"}, "t": {"BOOL": True}, "f": {"BOOL": False},
    "z": {"NULL": True}, "l": {"L": [{"N": "1.0"}, {"S": "x"}, {"M": {"q": {"N": "7"}}}]}, "m": {"M": {"k": {"L": [{"S": "d"}]}}},
    "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2.50"]}, "bs": {"BS": ["AA==", "AQ=="]}, "e": {"S": ""}, "dotted.name": {"N": "1"},
}
VALUES = {
    ":s": {"S": "abcé😀"}, ":n": {"N": "5.0"}, ":b": {"B": "AAEC"}, ":t": {"BOOL": True}, ":z": {"NULL": True},
    ":l": {"L": [{"N": "1"}, {"S": "x"}, {"M": {"q": {"N": "7.0"}}}]}, ":m": {"M": {"k": {"L": [{"S": "d"}]}}},
    ":ss": {"SS": ["b", "a"]}, ":ns": {"NS": ["2.5", "1.0"]}, ":bs": {"BS": ["AQ==", "AA=="]},
    ":ab": {"S": "ab"}, ":bc": {"S": "bc"}, ":a": {"S": "a"}, ":x": {"S": "x"}, ":zz": {"S": "zz"}, ":e": {"S": ""}, ":b01": {"B": "AAE="},
    ":1": {"N": "1"}, ":2": {"N": "2"}, ":3": {"N": "3"}, ":4": {"N": "4"}, ":7": {"N": "7"}, ":9": {"N": "9"},
    ":q": {"M": {"q": {"N": "7"}}}, ":f": {"BOOL": False},
    **{f":{kind}": {"S": kind} for kind in ("S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS")},
}
NAMES = {"#dn": "dotted.name", "#data": "data", "#s": "s"}
TYPES = {"s": "S", "n": "N", "b": "B", "t": "BOOL", "f": "BOOL", "z": "NULL", "l": "L", "m": "M", "ss": "SS",
         "ns": "NS", "bs": "BS"}

TRUE = [
    "s = :s", "n = :n", "b = :b", "t = :t", "z = :z", "l = :l", "m = :m", "ss = :ss", "ns = :ns", "bs = :bs", ":s = s",
    "f = :f", "f <> :t", "nope <> :s", "n <> :s", "l <> :m", "n < :9", "n <= :n", "n > :4", "n >= :n", "s > :ab", ":ab < s",
    "b > :b01", "n BETWEEN :4 AND :9", "n BETWEEN :n AND :n", ":4 BETWEEN :1 AND n", "s BETWEEN :ab AND :zz",
    "n IN (:1, :n)", "s IN (:s)", "l IN (:1, :l)", "attribute_exists(s)", "attribute_exists(m.k[0])",
    "attribute_exists(l[2].q)", "attribute_exists(e)", "attribute_not_exists(nope)", "attribute_not_exists(m.nope.x)",
    "attribute_not_exists(l[3])", "attribute_not_exists(s.x)", "attribute_not_exists(s[0])",
    "begins_with(s, :ab)", "begins_with(s, :e)", "begins_with(b, :b01)", "begins_with(s, s2) OR attribute_exists(s)",
    "contains(s, :bc)", "contains(s, :e)", "contains(e, :e)", "contains(b, :b01)", "contains(ss, :a)", "contains(ns, :1)",
    "contains(l, :x)", "contains(l, :1)", "contains(l, :q)", "contains(m.k, l2) OR attribute_exists(m)",
    "size(s) = :6", "size(b) = :3", "size(l) = :3", "size(m) = :1", "size(ss) = :2", "size(ns) = :2", "size(bs) = :2", "size(e) = :0",
    "size(l) < size(s)", "n > size(l)", "size(l[1]) = :1", "#dn = :1", "#s = :s AND attribute_exists(#s)",
    "NOT s = :ab", "NOT NOT s = :s", "NOT (s = :ab OR n = :1)", "s = :s AND n = :n", "s = :ab OR n = :n",
    "s = :ab AND s = :s OR n = :n", "s = :s OR s = :ab AND n = :1", "NOT s = :ab AND n = :n", "((s = :s) AND (n = :n))",
    "(s) = (:s)", "s=:s", "s = :s and not n<:1", "attribute_not_exists(#data)",
    *(f"attribute_type({name}, :{kind})" for name, kind in TYPES.items()),
]
FALSE = [
    "s = :ab", "n = :s", "nope = :s", "nope = nope2", "s < :n", "n < :s", "t < t2", "n < :n", "nope < :9", "nope >= :9", "l = :m",
    "nope BETWEEN :1 AND :9", "s BETWEEN :1 AND :9", "n IN (:1, :9)", "nope IN (:1)", "n IN (nope)", "attribute_exists(nope)",
    "attribute_exists(l[3])", "attribute_exists(m.k.x)", "attribute_not_exists(s)", "begins_with(s, :bc)", "begins_with(n, :ab)",
    "begins_with(nope, :ab)", "begins_with(s, nope)", "begins_with(s, :b01)", "begins_with(l, :ab)", "contains(s, :zz)", "contains(n, :1)",
    "contains(ss, :zz)", "contains(ss, :1)", "contains(ns, :a)", "contains(l, :zz)", "contains(nope, :a)", "contains(m, :k2) AND :k2 = :k2",
    "contains(:s, n)", "size(n) = :1", "size(t) = :1", "size(z) = :1", "size(nope) = :1", "size(n) >= :0", "size(nope) < :9",
    *(f"attribute_type({name}, :{'N' if kind != 'N' else 'S'})" for name, kind in TYPES.items()), "attribute_type(nope, :S)",
    "NOT s = :s", "s = :s AND n = :1", "s = :ab OR n = :1", "NOT (s = :s)",
]
FALSE = [text for text in FALSE if ":k2" not in text]
VALUES |= {":6": {"N": "6"}, ":0": {"N": "0"}}


def used(expression):
    """The names and values that an expression uses."""
    words = expression.replace("(", " ").replace(")", " ").replace(",", " ")
    for sign in "<>=[].":
        words = words.replace(sign, " ")
    tokens = words.split()
    values = {token: VALUES[token] for token in tokens if token.startswith(":")}
    names = {token: NAMES[token] for token in tokens if token.startswith("#")}
    return {**({"ExpressionAttributeValues": values} if values else {}),
            **({"ExpressionAttributeNames": names} if names else {})}


@pytest.fixture(scope="module")
def stored(api):
    table = api.create("pk:S")
    api.put(table, pk=S, **ITEM)
    return table


@pytest.mark.parametrize(("expression", "holds"), [(text, True) for text in TRUE] + [(text, False) for text in FALSE])
def test_conditions(api, stored, expression, holds):
    request = {"TableName": stored, "Key": {"pk": S}, "ConditionExpression": expression, **used(expression)}
    try:
        api.call("UpdateItem", request)
        met = True
    except Refused as refused:
        assert refused.type == "ConditionalCheckFailedException", refused
        met = False
    assert met == holds
    more = used(expression)
    more["ExpressionAttributeValues"] = {**more.get("ExpressionAttributeValues", {}), ":pk": S}
    page = api.call("Query", TableName=stored, KeyConditionExpression="pk = :pk", FilterExpression=expression, **more)
    assert (page["Count"], page["ScannedCount"]) == (int(holds), 1)


def test_conditions_on_nothing(api, stored):
    """A missing item is as one without attributes."""
    for expression, holds in (("attribute_not_exists(pk)", True), ("attribute_exists(pk)", False), ("s <> :s", True),
                              ("s = :s", False), ("NOT s = :s", True), ("size(s) >= :0", False)):
        request = {"TableName": stored, "Key": {"pk": {"S": "nobody"}}, "ConditionExpression": expression, **used(expression)}
        try:
            api.call("DeleteItem", request)
            assert holds
        except Refused as refused:
            assert refused.type == "ConditionalCheckFailedException" and not holds


CONDITION = "Invalid ConditionExpression: "
SYNTAX = 'Syntax error; token: "%s", near: "%s"'
USED_THIS_WAY = "The function is not allowed to be used this way in an expression; function: "
TYPE = "Incorrect operand type for operator or function; operator or function: %s, operand type: %s"
DISTINCT = ("The first operand must be distinct from the remaining operands for this operator or function; operator: "
            "%s, first operand: %s")
COUNT = "Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d"
REFUSED = [
    ("", "The expression can not be empty;"),
    ("  ", SYNTAX % ("<EOF>", "  ")),
    ("s", SYNTAX % ("<EOF>", "s")),
    ("s =", SYNTAX % ("<EOF>", "=")),
    ("= :s", SYNTAX % ("=", "= :s")),
    ("s == :s", SYNTAX % ("=", "== :s")),
    ("s != :s", SYNTAX % ("!", "s !=")),
    ("s = :s AND", SYNTAX % ("<EOF>", "AND")),
    ("s = :s OR OR", SYNTAX % ("OR", "OR OR")),
    ("AND", SYNTAX % ("AND", "AND")),
    ("s = :s n = :n", SYNTAX % ("n", ":s n =")),
    ("s = 'abc'", SYNTAX % ("'", "= 'abc")),
    ("n = 5", SYNTAX % ("5", "= 5")),
    ("n IN ()", SYNTAX % (")", "()")),
    ("n IN :n", SYNTAX % (":n", "IN :n")),
    ("n IN (:n", SYNTAX % ("<EOF>", ":n")),
    ("n BETWEEN :1", SYNTAX % ("<EOF>", ":1")),
    ("n BETWEEN :1 OR :9", SYNTAX % ("OR", ":1 OR :9")),
    ("(s = :s", SYNTAX % ("<EOF>", ":s")),
    ("s = :s)", SYNTAX % (")", ":s)")),
    ("attribute_exists(pk,)", SYNTAX % (")", ",)")),
    ("attribute_exists()", SYNTAX % (")", "()")),
    ("l[00] = :1", SYNTAX % ("0", "00]")),
    ("l[x] = :1", SYNTAX % ("x", "[x]")),
    ("l[] = :1", SYNTAX % ("]", "[] =")),
    ("l[1.5] = :1", SYNTAX % (".", "1.5")),
    ("m. = :1", SYNTAX % ("=", ". = :1")),
    ("m.:s = :1", SYNTAX % (":s", ".:s =")),
    ("é = :1", SYNTAX % ("é", "é =")),
    ("s\u00a0= :s", SYNTAX % ("\u00a0", "s\u00a0=")),
    ("s = :s 😀", SYNTAX % ("😀", ":s 😀")),
    ("remove = :1", SYNTAX % ("remove", "remove =")),
    ("_s = :1", SYNTAX % ("_", "_s")),
    ("foo(s) AND (", SYNTAX % ("<EOF>", "(")),
    ("((s = :s))", "The expression has redundant parentheses;"),
    ("((s)) = :s", "The expression has redundant parentheses;"),
    ("s = ((:s))", "The expression has redundant parentheses;"),
    ("foo(s)", "Invalid function name; function: foo"),
    ("Size(s) = :1", "Invalid function name; function: Size"),
    ("size(s)", USED_THIS_WAY + "size"),
    ("attribute_exists(s) = :t", USED_THIS_WAY + "attribute_exists"),
    ("s = begins_with(s, :ab)", USED_THIS_WAY + "begins_with"),
    ("contains(s, attribute_exists(s))", USED_THIS_WAY + "attribute_exists"),
    ("if_not_exists(s, :s) = :s", "The function is not allowed in a condition expression; function: if_not_exists"),
    ("list_append(l, :l) = :l", "The function is not allowed in a condition expression; function: list_append"),
    ("data = :1", "Attribute name is a reserved keyword; reserved keyword: data"),
    ("m.Name = :1", "Attribute name is a reserved keyword; reserved keyword: Name"),
    ("s = :nope", "An expression attribute value used in expression is not defined; attribute value: :nope"),
    ("#nope = :1", "An expression attribute name used in the document path is not defined; attribute name: #nope"),
    ("contains(s)", COUNT % ("contains", 1)),
    ("attribute_exists(s, n)", COUNT % ("attribute_exists", 2)),
    ("size(s, n) = :1", COUNT % ("size", 2)),
    ("begins_with(s, :ab, :a)", COUNT % ("begins_with", 3)),
    ("attribute_exists(:s)", "Operator or function requires a document path; operator or function: attribute_exists"),
    ("attribute_not_exists(size(s))",
     "Operator or function requires a document path; operator or function: attribute_not_exists"),
    ("begins_with(s, :1)", TYPE % ("begins_with", "N")),
    ("begins_with(:ss, s)", TYPE % ("begins_with", "SS")),
    ("size(:1) = :1", TYPE % ("size", "N")),
    ("size(:t) = :1", TYPE % ("size", "BOOL")),
    ("size(:z) = :1", TYPE % ("size", "NULL")),
    ("size(size(s)) = :1", TYPE % ("size", "N")),
    ("n < :t", TYPE % ("<", "BOOL")),
    (":l >= n", TYPE % (">=", "L")),
    ("n BETWEEN :ss AND :9", TYPE % ("BETWEEN", "SS")),
    ("attribute_type(s, :1)", TYPE % ("attribute_type", "N")),
    ("attribute_type(s, s2)", TYPE % ("attribute_type", "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}")),
    ("attribute_type(s, :ab)", "Invalid attribute type name found; type: ab, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"),
    ("s = s", DISTINCT % ("=", "[s]")),
    ("m.k[0] <> m.k[0]", DISTINCT % ("<>", "[m, k, [0]]")),
    ("s = #s", DISTINCT % ("=", "[s]")),
    ("contains(ss, ss)", DISTINCT % ("contains", "[ss]")),
    ("begins_with(s, s)", DISTINCT % ("begins_with", "[s]")),
    ("n IN (:1, n)", DISTINCT % ("IN", "[n]")),
    ("n BETWEEN :1 AND n", DISTINCT % ("BETWEEN", "[n]")),
    ("n BETWEEN :9 AND :1", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound "
     "operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {N:1}"),
    ("n BETWEEN :ab AND :1", "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: "
     "AttributeValue: {S:ab}, upper bound operand: AttributeValue: {N:1}"),
    ("l[2147483648] = :1", "List index is not within the allowable range; index: [2147483648]"),
    ("m" + ".k" * 32 + " = :1", "The document path has too many nesting levels; nesting levels: 33"),
    ("n IN (" + ", ".join([":1"] * 101) + ")", "The IN operator is provided with too many operands; number of operands: 101"),
    ("n = :1" + " " * 4091, "Expression size has exceeded the maximum allowed size;"),
    ("n < " + "f(" * 1355 + "m" + ")" * 1355, "Invalid function name; function: f"),
    ("n < " + "size(" * 680 + "m" + ")" * 680, TYPE % ("size", "N")),
    ("contains(" * 400 + "m" + ")" * 400, USED_THIS_WAY + "contains"),
    ("n = :1" + " AND n = :1" * 150, "The expression contains too many operators; operator count: 301"),
    ("(" * 2000 + "n = :1" + ")" * 2000, "The expression has redundant parentheses;"),
    ("NOT " * 301 + "n = :1", "The expression contains too many operators; operator count: 301"),
]


@pytest.mark.parametrize(("expression", "text"), REFUSED)
def test_refused_conditions(api, stored, expression, text):
    """Told in the envelope by writes and bare by reads, before the table is looked at."""
    request = {"ConditionExpression": expression, **(used(expression) if text.startswith(("Inc", "The f", "The B")) else {})}
    if "ExpressionAttributeValues" not in request:
        request |= {"ExpressionAttributeValues": VALUES, "ExpressionAttributeNames": NAMES}
    for table in (stored, "no.such.table"):
        assert api.refusal("PutItem", TableName=table, Item={"pk": S}, **request) == ENVELOPE + CONDITION + text
        assert api.refusal("DeleteItem", TableName=table, Key={"pk": S}, **request) == ENVELOPE + CONDITION + text
    request["FilterExpression"] = request.pop("ConditionExpression")
    request["ExpressionAttributeValues"] = {**request["ExpressionAttributeValues"], ":pk": S}
    assert api.refusal("Query", TableName="no.such.table", KeyConditionExpression="pk = :pk", **request) == \
        "Invalid FilterExpression: " + text


def test_100_operands_of_in_and_300_operators(api, stored):
    for expression in ("n IN (" + ", ".join([":1"] * 99 + [":n"]) + ")", "n = :n" + " AND n = :n" * 149,
                       "NOT " * 298 + "n = :n", "n = :n" + " " * 4090):
        api.call("UpdateItem", TableName=stored, Key={"pk": S}, ConditionExpression=expression, **used(expression))


@pytest.mark.parametrize(("values", "name", "text"), [
    ([349522] * 6, 5, None),
    ([349522] * 5 + [349523], 5, "Combined size of ExpressionAttributeNames and ExpressionAttributeValues exceeds max size"),
    ([349522] * 5 + [349531], 5, "ExpressionAttributeValues exceeds max size"),
    ([1] * 6, 2 * 1024 * 1024 - 2, "ExpressionAttributeNames exceeds max size"),
])
def test_names_and_values_of_2_mb(api, stored, values, name, text):
    """"The sum of the lengths of all ExpressionAttributeNames and ExpressionAttributeValues"."""
    request = {"TableName": stored, "FilterExpression": "#ab IN (" + ", ".join(f":{i}" for i in range(6)) + ")",
               "ExpressionAttributeNames": {"#ab": "n" * name},
               "ExpressionAttributeValues": {f":{i}": {"S": "x" * size} for i, size in enumerate(values)}}
    total = sum(2 + size for size in values) + 3 + name
    assert (text is None) == (total <= 2 * 1024 * 1024)
    if text is None:
        assert total == 2 * 1024 * 1024
        api.call("Scan", request)
    else:
        assert api.refusal("Scan", **request) == text


NAMES_ONLY = "ExpressionAttributeNames can only be specified when using expressions"
VALUES_ONLY = "ExpressionAttributeValues can only be specified when using expressions"
TOKENS = [
    ({"ExpressionAttributeNames": {"#a": "a"}}, NAMES_ONLY),
    ({"ExpressionAttributeValues": {":a": S}}, VALUES_ONLY),
    ({"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeNames": {}}, "ExpressionAttributeNames must not be empty"),
    ({"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeValues": {}}, "ExpressionAttributeValues must not be empty"),
    ({"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeNames": {"a": "a"}},
     'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
    ({"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeNames": {"#": "a"}},
     'ExpressionAttributeNames contains invalid key: Syntax error; key: "#"'),
    ({"ConditionExpression": "attribute_exists(pk)", "ExpressionAttributeNames": {"#a.b": "a"}},
     'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a.b"'),
    ({"ConditionExpression": "attribute_exists(#a)", "ExpressionAttributeNames": {"#a": ""}},
     "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a"),
    ({"ConditionExpression": "a = :v", "ExpressionAttributeValues": {"v": S}},
     'ExpressionAttributeValues contains invalid key: Syntax error; key: "v"'),
    ({"ConditionExpression": "a = :vé", "ExpressionAttributeValues": {":vé": S}},
     'ExpressionAttributeValues contains invalid key: Syntax error; key: ":vé"'),
    ({"ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": S, ":w": S}},
     "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"),
    ({"ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": S, ":w": S}, "ExpressionAttributeNames": {"#n": "n"}},
     "Value provided in ExpressionAttributeNames unused in expressions: keys: {#n}"),
    ({"ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": {"N": "x"}}},
     "The parameter cannot be converted to a numeric value: x"),
]


@pytest.mark.parametrize(("members", "text"), TOKENS)
def test_names_and_values_are_refused(api, members, text):
    request = {"TableName": "no.such.table", "Item": {"pk": S}, **members}
    assert api.refusal("PutItem", request) == ENVELOPE + text


def test_long_names_of_tokens(api, stored):
    long = "x" * 254
    api.call("UpdateItem", TableName=stored, Key={"pk": S}, ConditionExpression=f"#{long} = :{long}",
             ExpressionAttributeNames={"#" + long: "n"}, ExpressionAttributeValues={":" + long: {"N": "5"}})
    assert api.refusal("UpdateItem", TableName=stored, Key={"pk": S}, ConditionExpression=f"#{long}x = :v",
                       ExpressionAttributeNames={"#" + long + "x": "n"}, ExpressionAttributeValues={":v": {"N": "5"}}) == \
        ENVELOPE + "ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too long; " \
        "size of key: 256"


# ---- reserved words ----

# The developer guide's "Reserved words in DynamoDB".
WORDS = (pathlib.Path(__file__).parent / "reserved_words.txt").read_text(encoding="utf-8").split()
# Words of the grammar itself, which a name cannot even be read for.
GRAMMAR = {"AND", "BETWEEN", "IN", "NOT", "OR", "SET", "ADD", "DELETE"}


def test_there_are_573_reserved_words():
    assert len(WORDS) == len(set(WORDS)) == 573


@pytest.mark.parametrize("word", [word for word in WORDS if word not in GRAMMAR])
def test_a_reserved_word_is_no_name_in_any_case_and_place(api, hashed, word):
    key = {"TableName": hashed, "Key": {"pk": S}}
    for written in (word, word.lower(), word.title()):
        text = f"Attribute name is a reserved keyword; reserved keyword: {written}"
        assert api.refusal("GetItem", **key, ProjectionExpression=f"a, b.{written}[0]") == f"Invalid ProjectionExpression: {text}"
    assert api.refusal("Scan", TableName=hashed, FilterExpression=f"a = b AND {word} = a") == \
        f"Invalid FilterExpression: Attribute name is a reserved keyword; reserved keyword: {word}"
    assert "Item" not in api.call("GetItem", **key, ProjectionExpression=f"#w, {word}x, x{word}", ExpressionAttributeNames={"#w": word})
