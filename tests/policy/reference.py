"""Policies read slowly, from IAM's rules: no compiling, wildcards by regular expressions, every statement looked at."""

import json
import re

KEYS = ["dynamodb:LeadingKeys", "dynamodb:Attributes", "dynamodb:Select", "dynamodb:ReturnValues", "dynamodb:ReturnConsumedCapacity",
        "dynamodb:EnclosingOperation", "aws:username"]
PLAIN = ["StringEquals", "StringEqualsIgnoreCase", "StringLike"]
NEGATED = {"StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase", "StringNotLike": "StringLike"}


class Refused(Exception):
    pass


def demand(true):
    if not true:
        raise Refused


def once(pairs):
    demand(len({name for name, _ in pairs}) == len(pairs))
    return dict(pairs)


def texts(value):
    value = value if isinstance(value, list) else [value]
    demand(value and all(isinstance(text, str) for text in value))
    return value


def pieces(text, wildcards, variables, user):
    """The pattern as a list: "*" and "?" as such, a literal character as a list of one."""
    out = []
    while text:
        found = re.match(r"\$\{([^}]*)\}", text) if variables else None
        if variables and text.startswith("${"):
            demand(found)
            name = found.group(1)
            demand(name in ("*", "?", "$") or name.lower() == "aws:username")
            out += [[c] for c in (name if len(name) == 1 else user)]
            text = text[found.end():]
            continue
        out.append(text[0] if wildcards and text[0] in "*?" else [text[0]])
        text = text[1:]
    return out


def expression(parts):
    return "".join(".*" if part == "*" else "." if part == "?" else re.escape(part[0]) for part in parts)


def like(parts, text, any_case=False):
    if any_case:  # of ASCII alone
        text = re.sub("[A-Z]", lambda m: m.group().lower(), text)
        parts = [part if isinstance(part, str) else [re.sub("[A-Z]", lambda m: m.group().lower(), part[0])] for part in parts]
    return re.fullmatch(expression(parts), text, re.DOTALL) is not None


def arn_like(parts, arn):
    if parts == ["*"]:
        return True
    split = [[]]
    for part in parts:
        if part == [":"] and len(split) < 6:
            split.append([])
        else:
            split[-1].append(part)
    return all(like(one, text) for one, text in zip(split, arn.split(":", 5)))


def holds(operator, key, wanted, values, denies, variables, user):
    """values: a list, empty where the request has no such key; None: it has, and nobody knows what."""
    demand(key.lower() in [known.lower() for known in KEYS])
    if operator == "Null":
        demand(wanted in (True, False, "true", "false") and not isinstance(wanted, (int, float)) or isinstance(wanted, bool))
        return denies if values is None else (not values) == (wanted in (True, "true"))
    which, _, name = operator.rpartition(":")
    demand(which in ("", "ForAllValues", "ForAnyValue"))
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = name in NEGATED
    name = NEGATED.get(name, name)
    demand(name in PLAIN)
    patterns = [pieces(text, name == "StringLike", variables, user) for text in texts(wanted)]
    if values is None:
        return denies
    if not values:
        return if_exists or which == "ForAllValues" or (which == "" and negated)
    met = [any(like(p, value, name == "StringEqualsIgnoreCase") for p in patterns) != negated for value in values]
    return any(met) if which == "ForAnyValue" or (which == "" and denies) else all(met)


def statement_applies(statement, request, variables, user):
    demand(isinstance(statement, dict) and not set(statement) - {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})
    demand(isinstance(statement.get("Sid", ""), str) and statement.get("Effect") in ("Allow", "Deny"))
    demand(("Action" in statement) != ("NotAction" in statement) and ("Resource" in statement) != ("NotResource" in statement))
    actions = [pieces(text, True, False, user) for text in texts(statement.get("Action", statement.get("NotAction")))]
    demand(all(parts == ["*"] or [":"] in parts[1:] and parts[0] != [":"] for parts in actions))
    resources = [pieces(text, True, variables, user) for text in texts(statement.get("Resource", statement.get("NotResource")))]
    demand(all(parts == ["*"] or (parts.count([":"]) >= 5 and parts[:4] == [["a"], ["r"], ["n"], [":"]]) for parts in resources))
    conditions = statement.get("Condition", {})
    demand(isinstance(conditions, dict) and all(isinstance(keys, dict) for keys in conditions.values()))
    contexts = dict(zip([key.lower() for key in KEYS], request["context"]))
    met = [holds(operator, key, wanted, contexts.get(key.lower(), []), statement["Effect"] == "Deny", variables, user)
           for operator, keys in conditions.items() for key, wanted in keys.items()]
    return (any(like(parts, request["action"], True) for parts in actions) == ("Action" in statement)
            and any(arn_like(parts, request["resource"]) for parts in resources) == ("Resource" in statement) and all(met))


def decide(policy, user, request):
    try:
        demand(len(policy.encode()) <= 10240)
        document = json.loads(policy, object_pairs_hook=once)
        demand(isinstance(document, dict) and not set(document) - {"Version", "Id", "Statement"})
        demand(document.get("Version", "2008-10-17") in ("2008-10-17", "2012-10-17") and isinstance(document.get("Id", ""), str))
        statements = document.get("Statement")
        statements = statements if isinstance(statements, list) else [statements]
        demand(statements)
        variables = document.get("Version") == "2012-10-17"
        effects = {statement["Effect"] for statement in statements
                   if statement_applies(statement, request, variables, user)}
    except (Refused, ValueError):
        return "refused"
    return "denied" if "Deny" in effects else "allowed" if effects else "not allowed"
