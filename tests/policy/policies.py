#!/usr/bin/env python3
"""Policies against a slow reference: a truth table and random cases; the decider is the product's compiler and matcher.

tests/policy/policies.py [--cases 20000] [--seed N]
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys

import reference

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/"
LEADING, ATTRIBUTES, SELECT, RETURNS, CAPACITY, ENCLOSING, USERNAME = range(7)


def request(action="GetItem", resource="Games", user="ann", **context):
    values = [context.get(name, []) for name in ("leading", "attributes", "select", "returns", "capacity", "enclosing")]
    return {"action": action if ":" in action else f"dynamodb:{action}", "resource": resource if ":" in resource else ARN + resource,
            "context": [*values, [user]], "user": user}


def policy(*statements, version="2012-10-17"):
    return json.dumps({"Version": version, "Statement": list(statements)})


def statement(effect="Allow", action="dynamodb:*", resource=ARN + "Games", condition=None, **other):
    made = {"Effect": effect, "Action": action, "Resource": resource, **({} if condition is None else {"Condition": condition}), **other}
    return {name: value for name, value in made.items() if value is not None}


def told():
    """Cases whose answers are written down, by IAM's documents."""
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}
    columns = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["id", "title", "score"]},
               "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES", "dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"]}}
    read = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"]
    deny = statement("Deny", "dynamodb:DeleteTable", "*")
    rows = []

    def row(decision, text, *requests):
        rows.extend((text, one, decision) for one in requests)

    row("allowed", policy(statement()), request(), request("PutItem"), request("DeleteTable"))
    row("not allowed", policy(statement()), request(resource="Games2"), request(resource="Games/index/i"), request("s3:GetObject"),
        request(resource=ARN.replace("eu-west-1", "us-east-1") + "Games"))
    row("allowed", policy(statement(resource=[ARN + "Games", ARN + "Games/*"])), request("Query", "Games/index/i"), request("GetRecords", "Games/stream/x"))
    row("denied", policy(statement("Allow", "*", "*"), deny), request("DeleteTable"))
    row("denied", policy(deny, statement("Allow", "*", "*")), request("DeleteTable"))
    row("allowed", policy(statement("Allow", "*", "*"), deny), request("GetItem"), request("CreateTable"))
    row("not allowed", policy(deny), request("GetItem"))
    row("allowed", policy(statement(action=read, condition=own)), request(leading=["ann"]), request("Query", leading=["ann"]),
        request("BatchGetItem", leading=["ann", "ann"]), request(leading=[]))
    row("not allowed", policy(statement(action=read, condition=own)), request(leading=["bob"]), request(leading=["ann", "bob"]), request(leading=None),
        request(leading=["ann", ""]), request("PutItem", leading=["ann"]), request("Scan"))
    row("allowed", policy(statement(condition=columns)), request(attributes=["id", "title"], select=["SPECIFIC_ATTRIBUTES"]),
        request("UpdateItem", attributes=["id", "score"], returns=["UPDATED_NEW"]), request("PutItem", attributes=["id"], returns=["NONE"]))
    row("not allowed", policy(statement(condition=columns)), request(attributes=["id", "secret"], select=["SPECIFIC_ATTRIBUTES"]),
        request(attributes=["id"], select=["ALL_ATTRIBUTES"]), request("UpdateItem", attributes=["id"], returns=["ALL_OLD"]),
        request("UpdateItem", attributes=["id"], returns=["ALL_NEW"]), request(attributes=None, select=["SPECIFIC_ATTRIBUTES"]))
    row("allowed", policy(statement(Action=None, NotAction="dynamodb:Delete*", action=None)), request("PutItem"))
    row("not allowed", policy(statement(action=None, NotAction="dynamodb:Delete*")), request("DeleteItem"), request("deleteTABLE"))
    row("allowed", policy(statement(resource=None, NotResource=ARN + "Secret*")), request(resource="Games"))
    row("not allowed", policy(statement(resource=None, NotResource=ARN + "Secret*")), request(resource="Secrets"))
    row("denied", policy(statement(), statement("Deny", condition={"Null": {"dynamodb:LeadingKeys": "true"}})), request("Scan"))
    row("allowed", policy(statement(), statement("Deny", condition={"Null": {"dynamodb:LeadingKeys": True}})), request("Query", leading=["x"]))
    row("denied", policy(statement(), statement("Deny", condition={"Null": {"dynamodb:LeadingKeys": True}})), request("Query", leading=None))
    row("allowed", policy(statement(action="dynamodb:PutItem", condition={"StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}})),
        request("PutItem", enclosing=["TransactWriteItems"]))
    row("not allowed", policy(statement(action="dynamodb:PutItem", condition={"StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}})),
        request("PutItem"))
    row("refused", policy(statement(Principal="*")), request())
    row("refused", policy(statement(condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})), request())
    row("refused", policy(version="1"), request())
    row("refused", '{"Statement":[' + json.dumps(statement()) + "]", request())
    return rows


def table():
    """Every effect, operator, form and value against every kind of request: their answers are the reference's."""
    operators = [prefix + name + suffix for prefix in ("", "ForAllValues:", "ForAnyValue:")
                 for name in (*reference.PLAIN, *reference.NEGATED) for suffix in ("", "IfExists")]
    values = [[], ["a"], ["b"], ["A"], ["a", "b"], ["a", "a1"], None]
    for effect, operator, wanted, value in itertools.product(("Allow", "Deny"), operators, ("a", ["a", "b"], "a*"), values):
        text = policy(statement("Allow", resource="*"), statement("Deny", resource="*", condition={operator: {"dynamodb:LeadingKeys": wanted}})) \
            if effect == "Deny" else policy(statement(resource="*", condition={operator: {"dynamodb:LeadingKeys": wanted}}))
        yield text, request(leading=value), None


def random_text(rng, wild):
    return "".join(rng.choice(wild) for _ in range(rng.randint(0, 6)))


def random_statement(rng):
    odd = rng.random() < 0.1
    actions = ["*", "dynamodb:*", "dynamodb:GetItem", "dynamodb:get*", "DynamoDB:PutItem", "dynamodb:*Item", "d*:Scan", "s3:*", "dynamodb:?etItem", *["GetItem"] * odd]
    resources = ["*", ARN + "*", ARN + "Games", ARN + "Games/index/*", ARN + "G?mes", "arn:*:*:*:*:*", "arn:aws:*:eu*:*:table/Games",
                 ARN + "${aws:username}", ARN + "${*}", *[ARN + "${aws:x}", "table/x", "arn:aws:dynamodb:*:table/a:b:c"] * odd]
    made = {"Effect": rng.choice(["Allow", "Allow", "Deny", "Deny", "allow"][: 4 if rng.random() < 0.95 else 5])}
    made[rng.choice(["Action", "Action", "Action", "NotAction"])] = rng.choice([rng.choice(actions), rng.sample(actions, 2)])
    made[rng.choice(["Resource", "Resource", "Resource", "NotResource"])] = rng.choice([rng.choice(resources[:9]), rng.sample(resources, 2)])
    if rng.random() < 0.6:
        made["Condition"] = {}
        for _ in range(rng.randint(0, 2)):
            operator = rng.choice(["", "ForAllValues:", "ForAnyValue:"]) + rng.choice([*reference.PLAIN, *reference.NEGATED]) + rng.choice(["", "IfExists"])
            key = rng.choice([*reference.KEYS, "DYNAMODB:leadingkeys"])
            wanted = [rng.choice([random_text(rng, "abA*?é"), "${aws:username}", "${*}", "ann"]) for _ in range(rng.randint(1, 3))]
            made["Condition"].setdefault(operator, {})[key] = wanted if rng.random() < 0.8 else wanted[0]
        if rng.random() < 0.2:
            made["Condition"]["Null"] = {rng.choice(reference.KEYS): rng.choice(["true", "false", True, False])}
    if rng.random() < 0.03:
        made[rng.choice(["Sid", "Principal", "Effect2", "Condition"])] = rng.choice(["x", 1, {}, [], None])
    return made


def random_case(rng):
    text = policy(*[random_statement(rng) for _ in range(rng.randint(1, 3))], version=rng.choice(["2012-10-17"] * 4 + ["2008-10-17"]))
    if rng.random() < 0.03:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice("{}[]\",:x") + text[at + 1:]
    context = {name: None if rng.random() < 0.1 else [rng.choice([random_text(rng, "abAé"), "ann", "a", "*"]) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
               for name in ("leading", "attributes", "select", "returns", "capacity", "enclosing")}
    return text, request(rng.choice(["GetItem", "PutItem", "Scan", "s3:GetObject"]), rng.choice(["Games", "Games/index/i", "ann", "*", "Gémes"]),
                         **context), None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    cases = [*told(), *table(), *(random_case(rng) for _ in range(options.cases))]
    lines = "".join(json.dumps({"policy": text, **one}) + "\n" for text, one, _ in cases)
    program = ROOT / "build" / os.environ.get("HEADWATER_PRESET", "release") / "bin/decider"
    answers = subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    if len(answers) != len(cases):
        sys.exit(f"{len(answers)} answers to {len(cases)} cases")
    failed, seen = 0, {}
    for (text, one, expected), answer in zip(cases, answers):
        slow = reference.decide(text, one["user"], one)
        seen[slow] = seen.get(slow, 0) + 1
        if answer != slow or (expected or slow) != slow:
            failed += 1
            if failed <= 10:
                print(f"policy {text}\nrequest {json.dumps(one)}\nis {answer}, the reference says {slow}, expected {expected or 'the same'}\n")
    rows = len(told()) + sum(1 for _ in table())
    print(f"seed {options.seed}: {rows} cases of the table and {options.cases} random ones; "
          + ", ".join(f"{count} {decision}" for decision, count in sorted(seen.items())))
    if min(seen.get(word, 0) for word in ("allowed", "denied", "not allowed", "refused")) < 50:
        sys.exit("too few of one decision to show anything")
    print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
