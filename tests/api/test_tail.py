"""headwater tail: every record of a table's stream once, in order, as it happens, over restarts of the server."""

import json
import pathlib
import signal
import subprocess
import time

import pytest

import headwater
from headwater import Process


def make_table(server, name="Music", view="NEW_AND_OLD_IMAGES"):
    stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}} if view else {}
    server.dynamodb.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "Artist", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Artist", "AttributeType": "S"}], **stream)


def put(server, number, name="Music"):
    server.dynamodb.put_item(TableName=name, Item={"Artist": {"S": f"a{number % 7}"}, "n": {"N": str(number)}})


def tail(server, *arguments, table="Music"):
    """It has begun: what is written from now on is printed."""
    process = Process("tail", table, "--data", server.data, *arguments)
    assert process.err.wait_for("following"), process.err.text()
    return process


def printed(process):
    return [json.loads(line) for line in process.out.text().splitlines()]


def numbers(records):
    return [int(record["dynamodb"]["NewImage"]["n"]["N"]) for record in records]


def end(process):
    """Its whole lines, of one that is still following."""
    assert process.is_running(), process.err.text()
    process.signal(signal.SIGINT)
    assert process.wait() == -signal.SIGINT
    return printed(process)


# ---- what is printed ----


def test_a_write_is_printed_at_once(server):
    make_table(server)
    put(server, 1)  # before it began
    process = tail(server)
    for number in range(2, 6):
        put(server, number)
        assert process.out.wait_for(rf'"n":{{"N":"{number}"}}', timeout=10)
    assert numbers(end(process)) == [2, 3, 4, 5]


@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_every_kind_of_event_is_printed_as_get_records_gives_it(server, view):
    make_table(server, view=view)
    key = {"Artist": {"S": "Ärger \"quoted\"\n"}}
    server.dynamodb.put_item(TableName="Music", Item={**key, "b": {"B": b"\0\1\2"}, "n": {"N": "1.50"}})
    server.dynamodb.update_item(TableName="Music", Key=key, UpdateExpression="SET l = :l",
                                ExpressionAttributeValues={":l": {"L": [{"NULL": True}, {"SS": ["x"]}]}})
    server.dynamodb.transact_write_items(TransactItems=[
        {"Put": {"TableName": "Music", "Item": {"Artist": {"S": "t1"}}}},
        {"Put": {"TableName": "Music", "Item": {"Artist": {"S": "t2"}}}}])
    server.dynamodb.delete_item(TableName="Music", Key=key)
    process = Process("tail", "Music", "--data", server.data, "--from", "start", "--count", "5")
    assert process.wait() == 0
    records = printed(process)
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "INSERT", "INSERT", "REMOVE"]
    assert [json.dumps(record, sort_keys=True) for record in records] == \
        [json.dumps(record, sort_keys=True) for record in records_over_the_wire(server)]


def records_over_the_wire(server):
    """All records of the table's stream, as undecoded JSON; asks again when some were trimmed between two calls."""
    streams = "DynamoDBStreams_20120810"
    arn = server.dynamodb.describe_table(TableName="Music")["Table"]["LatestStreamArn"]
    _, answer = server.call("DescribeStream", {"StreamArn": arn}, streams)
    shard = answer["StreamDescription"]["Shards"][0]["ShardId"]
    _, answer = server.call("GetShardIterator", {"StreamArn": arn, "ShardId": shard,
                                                 "ShardIteratorType": "TRIM_HORIZON"}, streams)
    status, answer = server.call("GetRecords", {"ShardIterator": answer["ShardIterator"]}, streams)
    if status != 200 and answer["__type"].endswith("#TrimmedDataAccessException"):
        return records_over_the_wire(server)
    assert status == 200, answer
    return answer["Records"]


def test_from_the_start_goes_on_with_what_comes(server):
    make_table(server)
    for number in range(1, 4):
        put(server, number)
    process = tail(server, "--from", "start")
    assert process.out.wait_for('"n":{"N":"3"}')
    put(server, 4)
    assert process.out.wait_for('"n":{"N":"4"}')
    assert numbers(end(process)) == [1, 2, 3, 4]


def test_from_a_sequence_number(server):
    make_table(server)
    for number in range(5):
        put(server, number)
    found = [record["dynamodb"]["SequenceNumber"] for record in records_over_the_wire(server)]
    assert numbers(end_of(server, 3, "--from", f"at:{found[2]}")) == [2, 3, 4]
    assert numbers(end_of(server, 2, "--from", f"after:{found[2]}")) == [3, 4]
    status, text = refused("Music", "--data", server.data, "--from", "at:1")
    assert status == 1 and "Value at 'sequenceNumber' failed" in text


def test_from_a_time(hooked):
    make_table(hooked)
    for number in range(4):
        hooked.move_clock(number * 240_000)  # less than the fifteen minutes that signatures may be off
        put(hooked, number)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 360))
    assert numbers(end_of(hooked, 2, "--from", moment)) == [2, 3]
    for early in ("1d", "2001-01-01T00:00:00Z"):
        assert numbers(end_of(hooked, 4, "--from", early)) == [0, 1, 2, 3]


def end_of(server, count, *arguments):
    """What is printed of a stream in which it finds so many records."""
    process = tail(server, *arguments)
    deadline = time.monotonic() + 60
    while len(printed(process)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)  # for what should not come
    return end(process)


def test_a_filter_prints_what_it_takes(server):
    make_table(server)
    for number in range(20):
        put(server, number)  # 7 keys: 7 inserts, 13 updates
    server.dynamodb.delete_item(TableName="Music", Key={"Artist": {"S": "a0"}})
    start = ("--from", "start")
    kinds = [record["eventName"] for record in end_of(server, 8, *start, "--events", "INSERT,REMOVE")]
    assert kinds == ["INSERT"] * 7 + ["REMOVE"]
    assert len(end_of(server, 13, *start, "--events=MODIFY")) == 13
    few = ("--filter", "#n BETWEEN :low AND :high", "--names", '{"#n": "n"}',
           "--values", '{":low": {"N": "5"}, ":high": {"N": "8"}}')
    assert numbers(end_of(server, 4, *start, *few)) == [5, 6, 7, 8]
    assert numbers(end_of(server, 2, *start, *few, "--events", "MODIFY")) == [7, 8]
    gone = end_of(server, 1, *start, "--events", "REMOVE", "--filter", "n = :n", "--values", '{":n": {"N": "14"}}')
    assert gone[0]["dynamodb"]["OldImage"]["n"] == {"N": "14"}


def test_a_filter_over_keys_alone(server):
    make_table(server, view="KEYS_ONLY")
    for number in range(9):
        put(server, number)
    taken = end_of(server, 2, "--from", "start", "--filter", "Artist = :a AND attribute_not_exists(n)",
                   "--values", '{":a": {"S": "a1"}}')
    assert [record["eventName"] for record in taken] == ["INSERT", "MODIFY"]


def test_a_count_ends_it(server):
    make_table(server)
    process = tail(server, "--count", "3")
    for number in range(1, 6):
        put(server, number)
    assert process.wait() == 0
    assert numbers(printed(process)) == [1, 2, 3]


def test_many_records_come_in_pages(server):
    """More than one answer of GetRecords holds."""
    make_table(server)
    for first in range(0, 2500, 100):
        server.dynamodb.transact_write_items(TransactItems=[
            {"Put": {"TableName": "Music", "Item": {"Artist": {"S": f"a{n}"}, "n": {"N": str(n)}}}}
            for n in range(first, first + 100)])
    process = Process("tail", "Music", "--data", server.data, "--from=start", "--count=2500")
    assert process.wait() == 0
    assert numbers(printed(process)) == list(range(2500))


def test_the_end_of_the_stream_ends_it(server):
    make_table(server)
    process = tail(server)
    put(server, 1)
    server.dynamodb.delete_table(TableName="Music")
    assert process.wait() == 0
    assert numbers(printed(process)) == [1]


# ---- over restarts ----


@pytest.mark.parametrize("end_server", ["stop", "kill"])
def test_a_restart_of_the_server_leaves_no_gap_and_no_double(server, end_server):
    make_table(server)
    process = tail(server)
    number = 0
    for _ in range(4):
        for _ in range(25):
            number += 1
            put(server, number)
        getattr(server, end_server)()
        server.start()
    number += 1
    put(server, number)
    assert process.out.wait_for(f'"n":{{"N":"{number}"}}')
    assert numbers(end(process)) == list(range(1, number + 1))


def test_a_server_that_comes_back_elsewhere_is_found(server):
    """Its address is in the data directory."""
    make_table(server)
    process = tail(server)
    put(server, 1)
    server.stop()
    assert process.err.wait_for("waiting for it")
    before = server.address
    server.address = "127.0.0.1:0"
    while server.start().address == before:
        server.stop()
        server.address = "127.0.0.1:0"
    server.client().put_item(TableName="Music", Item={"Artist": {"S": "a"}, "n": {"N": "2"}})
    assert process.out.wait_for('"n":{"N":"2"}')
    assert numbers(end(process)) == [1, 2]
    assert process.err.text().count("waiting for it") == 1


def suspend(process):
    process.signal(signal.SIGSTOP)
    while " T " not in pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii"):
        pass


@pytest.mark.parametrize("arguments", [["--from", "start"], []])
def test_one_that_was_away_longer_than_an_iterator_lives_goes_on(start_server, arguments):
    """It knows its place by the newest record that it printed. Signatures would be too old as well."""
    server = start_server("--auth=none", hooks=True)
    make_table(server)
    process = tail(server, *arguments)
    put(server, 1)
    assert process.out.wait_for('"n":{"N":"1"}')
    suspend(process)
    server.move_clock(16 * 60 * 1000)
    put(server, 2)
    process.signal(signal.SIGCONT)
    put(server, 3)
    assert process.out.wait_for('"n":{"N":"3"}')
    assert numbers(end(process)) == [1, 2, 3]
    assert "missing" not in process.err.text()


def test_one_that_was_away_before_its_first_record_says_what_may_be_missing(start_server):
    server = start_server("--auth=none", hooks=True)
    make_table(server)
    process = tail(server)
    suspend(process)
    server.move_clock(16 * 60 * 1000)
    put(server, 1)
    process.signal(signal.SIGCONT)
    assert process.err.wait_for("records may be missing here")
    while not process.out.text():
        put(server, 2)
        put(server, 3)
    assert set(numbers(end(process))) <= {2, 3}


def test_one_that_fell_behind_the_retention_says_so_and_goes_on(start_server):
    server = start_server("--auth=none", hooks=True)
    make_table(server)
    process = tail(server)
    put(server, 1)
    assert process.out.wait_for('"n":{"N":"1"}')
    suspend(process)
    put(server, 2)
    server.move_clock(25 * 3600 * 1000)
    while records_over_the_wire(server):
        pass
    process.signal(signal.SIGCONT)
    assert process.err.wait_for("records may be missing here")
    put(server, 3)
    assert process.out.wait_for('"n":{"N":"3"}')
    assert numbers(end(process)) == [1, 3]


# ---- how it ends ----


def test_an_interrupt_leaves_whole_lines_and_says_nothing(server):
    make_table(server)
    process = tail(server, "--from", "start")
    for number in range(200):
        put(server, number)
        if number == 100:
            process.signal(signal.SIGINT)
    assert process.wait() == -signal.SIGINT
    assert process.out.text() == "" or process.out.text().endswith("}")
    seen = numbers(printed(process))
    assert seen == list(range(len(seen)))
    assert process.err.text().splitlines() == ["headwater: following Music from the start of its stream"]


@pytest.mark.parametrize("busy", [True, False])
def test_it_ends_when_nobody_reads(server, busy):
    make_table(server)
    arguments = [str(headwater.program()), "tail", "Music", "--data", str(server.data)]
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert "following" in process.stderr.readline()
    put(server, 1)
    assert '"N":"1"' in process.stdout.readline()
    process.stdout.close()
    if busy:
        put(server, 2)
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_standard_output_that_is_full_is_told(server):
    make_table(server)
    put(server, 1)
    with open("/dev/full", "w", encoding="ascii") as full:
        ran = subprocess.run([str(headwater.program()), "tail", "Music", "--data", str(server.data),
                              "--from", "start", "--count", "1"], stdin=subprocess.DEVNULL, stdout=full,
                             stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert ran.returncode == 1
    assert "standard output cannot be written" in ran.stderr


# ---- what is wrong ----


def refused(*arguments, **how):
    process = Process("tail", *arguments, **how)
    status = process.wait()
    assert process.out.text() == ""
    return status, process.err.text()


def test_a_table_that_is_not_there_is_told(server):
    status, text = refused("Nowhere", "--data", server.data)
    assert status == 1
    assert "table Nowhere" in text and "Requested resource not found" in text


def test_a_table_without_a_stream_is_told(server):
    make_table(server, view=None)
    assert refused("Music", "--data", server.data) == (1, "headwater: the table Music has no stream")


def test_no_server_is_told(server):
    server.stop()
    status, text = refused("Music", "--data", server.data)
    assert status == 1 and f"no server runs on {server.data}" in text and "--endpoint" in text


def test_a_server_that_was_killed_is_told(server):
    server.kill()
    status, text = refused("Music", "--data", server.data)
    assert status == 1 and server.url in text


def test_a_wrong_key_is_told(server, tmp_path):
    make_table(server)
    text = server.credentials_file.read_text(encoding="ascii")
    _, secret = server.credentials
    wrong = tmp_path / "credentials"
    lines = text.replace(secret, secret[::-1]).splitlines(keepends=True)
    wrong.write_text("".join(line for line in lines if "check" not in line), encoding="ascii")
    status, text = refused("Music", "--data", server.data, "--credentials", wrong)
    assert status == 1 and "signature" in text
    status, text = refused("Music", "--endpoint", server.url, "--data", tmp_path / "none")
    assert status == 1 and "there is no access key in" in text and "--credentials" in text
    assert not (tmp_path / "none").exists()


def test_the_endpoint_and_its_key_may_be_given(server, tmp_path):
    make_table(server)
    put(server, 1)
    process = Process("tail", "Music", "--endpoint", server.url, "--credentials", server.credentials_file,
                      "--from", "start", "--count", "1", cwd=tmp_path)
    assert process.wait() == 0
    assert numbers(printed(process)) == [1]


def test_the_region_follows_the_environment(start_server):
    """A server that insists on its region gets it from where every AWS client takes it."""
    server = start_server("--region", "eu-central-1")
    environment = {"AWS_DEFAULT_REGION": "eu-central-1"}
    status, text = refused("Nowhere", "--data", server.data, environment=environment)
    assert status == 1 and "Requested resource not found" in text
    status, text = refused("Nowhere", "--data", server.data)
    assert status == 1 and "Requested resource not found" not in text


@pytest.mark.parametrize("arguments, reason", [
    ([], "needs a table's name"), ([""], "needs a table's name"), (["t" * 256], "needs a table's name"),
    (["t", "u"], "does not know 'u'"), (["t", "--verbose"], "does not know '--verbose'"),
    (["t", "--count", "x"], "--count is 'x'"), (["t", "--count=-1"], "--count is '-1'"),
    (["t", "--count="], "--count is ''"), (["t", "--from", "middle"], "--from is 'middle'"),
    (["t", "--from", "latest2"], "--from is 'latest2'"), (["t", "--from", "at:"], "--from is 'at:'"),
    (["t", "--from", "5x"], "--from is '5x'"), (["t", "--from", "m"], "--from is 'm'"),
    (["t", "--from", "2026-02-31"], "--from is '2026-02-31'"), (["t", "--from", "at:" + "1" * 41], "--from is 'at:1111"),
    (["t", "--events", "insert"], "--events is 'insert'"), (["t", "--events", "INSERT,,REMOVE"], "--events is 'INSERT,,REMOVE'"),
    (["t", "--names", "{}"], "which is not given"), (["t", "--values", "{}"], "which is not given"),
    (["t", "--filter", "a ="], "--filter: Invalid FilterExpression: Syntax error"),
    (["t", "--filter", "a = :v"], "attribute value used in expression is not defined; attribute value: :v"),
    (["t", "--filter", "#a = :v", "--values", '{":v": {"S": ""}}'], "attribute name used in the document path is not defined; attribute name: #a"),
    (["t", "--filter", "a = :v", "--values", '{":v": {"S": ""}, ":w": {"S": ""}}'], "unused in expressions: keys: {:w}"),
    (["t", "--filter", "a = :v", "--values", '{":v": "plain"}'], "--values is not a JSON object of values"),
    (["t", "--filter", "a = :v", "--values", '{":v": {"N": "x"}}'], "--values is not a JSON object of values"),
    (["t", "--filter", "a = :v", "--values", "[]"], "--values is not a JSON object of values"),
    (["t", "--filter", "#a = :v", "--names", '{"#a": {"S": "a"}}'], "--names is not a JSON object of strings"),
    (["t", "--filter", "#a = :v", "--names", "{"], "--names is not a JSON object of strings"),
    (["t", "--count"], "does not know '--count'")])
def test_wrong_arguments_are_told(arguments, reason):
    status, text = refused(*arguments)
    assert status == 2 and reason in text and "Try: headwater tail --help" in text
