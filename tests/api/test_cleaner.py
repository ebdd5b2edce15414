"""Disk space that comes back while one table keeps its stream records for ever: the log's cleaner drops those of the others around them.

What is kept is read as before, sequence numbers included, also after a kill and a restart.
"""

import contextlib
import subprocess

import pytest

import api as api_module
import headwater
from api import Refused, wait_until

SMALL = ("--segment-bytes=262144", "--flush-bytes=262144", "--memtable-bytes=65536", "--retention-ms=1000")
RETENTION = "headwater:stream-retention"
TRIMMED = "TrimmedDataAccessException"
ROUNDS = 60
JUNK = "j" * 8000


@pytest.fixture
def server(start_server):
    return start_server(*SMALL)


@pytest.fixture
def api(server):
    return api_module.Api(server.url, *server.credentials)


def log_bytes(server):
    """Of the files that are there; one may go while they are looked at."""
    total = 0
    for path in (server.data / "log").glob("*.log"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def batch(api, table, number):
    """25 items of 8 kB; more often where the view cannot take them so fast."""
    left = {table: [{"PutRequest": {"Item": {"pk": {"S": f"{number}.{i}"}, "junk": {"S": JUNK}}}} for i in range(25)]}

    def taken():
        nonlocal left
        with contextlib.suppress(Refused):
            left = api.call("BatchWriteItem", RequestItems=left)["UnprocessedItems"]
        return not left
    wait_until(taken)


def fill(api, kept, junk):
    for number in range(ROUNDS):
        api.put(kept, pk={"S": f"k{number % 7}"}, n={"N": str(number)})
        batch(api, junk, number)


def place_of(record):
    return record["dynamodb"]["SequenceNumber"]


def verify(server):
    done = subprocess.run([headwater.program(), "log", "verify", "--data", server.data],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def check_kept(api, kept, before):
    """All of it, and from any place on."""
    arn = api.stream_arn(kept)
    assert api.records(arn=arn) == before
    for kind, start in (("AT_SEQUENCE_NUMBER", 20), ("AFTER_SEQUENCE_NUMBER", 19)):
        number = place_of(before[20 if kind.startswith("AT") else 19])
        found = []
        for shard in api.shards(arn):
            first = shard["SequenceNumberRange"]["StartingSequenceNumber"]
            last = shard["SequenceNumberRange"].get("EndingSequenceNumber")
            if int(first) <= int(number) and (last is None or int(number) <= int(last)):
                found += api.read_shard(api.iterator(arn, kind, shard["ShardId"], SequenceNumber=number))
        assert found == [record for record in before if int(place_of(record)) >= int(place_of(before[20]))], (kind, start)


@pytest.mark.parametrize("other", ["trimmed", "without a stream", "deleted"])
def test_the_space_of_other_tables_comes_back(server, api, other):
    kept = api.create(view="NEW_AND_OLD_IMAGES", Tags=[{"Key": RETENTION, "Value": "forever"}])
    junk = api.create(view=None if other == "without a stream" else "NEW_IMAGE")
    fill(api, kept, junk)
    before = api.records(kept)
    assert len(before) == ROUNDS
    if other == "deleted":
        api.call("DeleteTable", TableName=junk)
    wait_until(lambda: server.metrics()["headwater_log_cleanings_total"] > 0 and log_bytes(server) < 2500000)
    check_kept(api, kept, before)
    if other == "trimmed":
        assert api.records(junk) == []

    server.kill()
    code, told = verify(server)
    assert code == 0 and "cleaned: of commits up to number" in told, told
    server.start()
    check_kept(api, kept, before)
    assert api.get(junk, pk={"S": "3.3"}) if other == "without a stream" else True
    fill(api, kept, api.create(view="NEW_IMAGE"))
    wait_until(lambda: server.metrics()["headwater_log_cleanings_total"] > 0 and log_bytes(server) < 2500000)
    after = api.records(kept)
    assert len(after) == 2 * ROUNDS and after[:ROUNDS] == before

    server.stop()
    code, told = verify(server)
    assert code == 0, told
    server.start()
    assert api.records(kept) == after


def test_what_nobody_hid_stays(start_server):
    server = start_server(*SMALL[:3])
    api = api_module.Api(server.url, *server.credentials)
    junk = api.create(view="NEW_IMAGE")
    for number in range(20):
        batch(api, junk, number)
    server.stop()
    server.start()
    api.records(junk, count=500)
    assert server.metrics()["headwater_log_cleanings_total"] == 0
