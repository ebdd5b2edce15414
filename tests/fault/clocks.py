"""The wall clock steps back and forth, by a second to decades, and stands still, under a server that works; kills and starts in between.

libhwclock.so (hwclock.c) is under the server, so the clock is what this says at every moment. After each setting: writes, stream, chat,
a transaction again by its token, signatures. All through: sequence numbers strictly rise and the stream holds what was
acknowledged, no record is trimmed and no item expires before it would by the time that really passed, no token runs twice, and the
server uses no more processor time than with an ordinary clock, however it is set.

    tests/fault/clocks.py
"""

import contextlib
import datetime
import os
import pathlib
import struct
import sys
import tempfile
import time

from botocore.exceptions import ClientError

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import chat
import headwater

TABLE = "Timed"
YEAR = 365 * 86400
RETENTION_S = 3600
IDLE_S = 1
IDLE_PERCENT = 15
STEPS = [1, -1, 60, -60, 3600, -3600, 86400, -86400, YEAR, -YEAR, 10 * YEAR, -10 * YEAR]
MOMENTS = {"1970": 86400, "the end of 32 bits": 2**31 - 1, "2106": 2**32 + 1, "2261": 9_190_000_000}


def check(truth, *told):
    if not truth:
        raise AssertionError(" ".join(str(each) for each in told))


class Clock:
    """The server's wall clock."""

    def __init__(self, path):
        self.path = path
        self.set()

    def set(self, shift_s=0.0, frozen_s=0.0):
        """That much ahead of the machine's; or frozen at that time."""
        with open(self.path, "r+b" if os.path.exists(self.path) else "w+b") as file:
            file.write(struct.pack("=qq", int(shift_s * 10**9), int(frozen_s * 10**9)))
        self.shift_s, self.frozen_s = shift_s, frozen_s

    def now(self):
        return self.frozen_s or time.time() + self.shift_s

    def ahead_ms(self):
        return (self.now() - time.time()) * 1000


def processor_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Run:
    def __init__(self, folder):
        self.clock = Clock(pathlib.Path(folder) / "wall")
        self.server = headwater.Server(
            folder, f"--retention-ms={RETENTION_S * 1000}",
            environment={"LD_PRELOAD": str(headwater.program("libhwclock.so")), "HWCLOCK": str(self.clock.path)})
        self.made = []
        self.dynamodb = self.server.client()
        self.streams = self.server.client("dynamodbstreams")
        self.dynamodb.create_table(
            TableName=TABLE, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
        self.dynamodb.update_time_to_live(
            TableName=TABLE, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
        self.put("lasting", until=int(time.time()) + RETENTION_S)
        self.arn = self.streams.list_streams(TableName=TABLE)["Streams"][0]["StreamArn"]
        self.shard = self.streams.describe_stream(StreamArn=self.arn)["StreamDescription"]["Shards"][0]["ShardId"]
        self.people = chat.people(self.server, 2)
        self.conversation = self.people[0].open(self.people[1])
        self.said = []
        self.tokens = {}
        self.dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": "count"}, "n": {"N": "0"}})
        self.made.append("count")

    def sign(self):
        """What is signed from here on is signed by the server's clock."""
        self.server.shift_ms = self.clock.ahead_ms()

    def put(self, key, until=None):
        item = {"pk": {"S": key}} if until is None else {"pk": {"S": key}, "until": {"N": str(until)}}
        self.dynamodb.put_item(TableName=TABLE, Item=item)
        self.made.append(key)

    def count(self, token):
        """Adds one, once for each token."""
        self.dynamodb.transact_write_items(ClientRequestToken=token, TransactItems=[{"Update": {
            "TableName": TABLE, "Key": {"pk": {"S": "count"}}, "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}}}}])
        if token not in self.tokens:
            self.tokens[token] = True
            self.made.append("count")

    def records(self):
        iterator = self.streams.get_shard_iterator(
            StreamArn=self.arn, ShardId=self.shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        records = []
        while True:
            page = self.streams.get_records(ShardIterator=iterator)
            if not page["Records"]:
                return [record["dynamodb"] for record in records]
            records += page["Records"]
            iterator = page["NextShardIterator"]

    def work(self, what):
        """Whatever the clock says: all of it is done, once, in order, and takes no longer."""
        self.sign()
        begun = time.monotonic()
        for i in range(5):
            self.put(f"{what} {i}")
        self.put(f"{what} timed", until=int(max(time.time(), self.clock.now())) + RETENTION_S)
        self.count(what)
        for token in self.tokens:
            self.count(token)
        for person in self.people: # a session ends by the wall clock
            person.log_in()
        self.said.append(f"said {what}")
        self.people[len(self.said) % 2].send(self.conversation, self.said[-1])
        check(time.monotonic() - begun < 5, what, "took", time.monotonic() - begun, "s")

    def check(self, what):
        time.sleep(1.2) # more than a sweep of streams and two of items
        self.sign()
        records = self.records()
        keys = [record["Keys"]["pk"]["S"] for record in records]
        differs = next((i for i, pair in enumerate(zip(keys, self.made)) if pair[0] != pair[1]), min(len(keys), len(self.made)))
        check(keys == self.made, what, ": the stream has", len(keys), "records, made were", len(self.made), "; from", differs, "on",
              keys[differs:differs + 3], "instead of", self.made[differs:differs + 3])
        numbers = [int(record["SequenceNumber"]) for record in records]
        check(all(low < high for low, high in zip(numbers, numbers[1:])), what, ": sequence numbers do not rise")
        counted = self.dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "count"}})["Item"]["n"]["N"]
        check(int(counted) == len(self.tokens), what, ":", len(self.tokens), "tokens ran", counted, "times")
        check("Item" in self.dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "lasting"}}), what, ": an item expired early")
        said = [message["body"]["text"] for message in self.people[0].history(self.conversation)]
        check(said == self.said, what, ": chat has", said[-3:], "of", self.said[-3:])

    def check_signatures(self):
        """A quarter of an hour either way and no more, by the server's clock."""
        for minutes, taken in ((-14, True), (14, True), (-16, False), (16, False)):
            self.sign()
            self.server.shift_ms += minutes * 60000
            try:
                self.dynamodb.list_tables()
                check(taken, "signed", minutes, "minutes off was taken")
            except ClientError as error:
                check(not taken and error.response["Error"]["Code"] == "InvalidSignatureException", minutes, error)

    def idle_percent(self):
        pid = self.server.process.pid
        before, begun = processor_s(pid), time.monotonic()
        time.sleep(IDLE_S)
        return 100 * (processor_s(pid) - before) / (time.monotonic() - begun)

    def check_idle(self, what):
        used = self.idle_percent()
        check(used < IDLE_PERCENT, what, ": idle, it uses", used, "% of a processor")
        return used

    def kill_and_start(self):
        self.server.kill()
        self.server.start()


def clock_that_is_set(run):
    """While it runs, nothing but what really passed makes anything old."""
    most = 0.0
    for number, step in enumerate(STEPS):
        what = f"step {step} s"
        run.clock.set(shift_s=step)
        run.work(what)
        run.check(what)
        if abs(step) == 10 * YEAR:
            most = max(most, run.check_idle(what))
        if number == len(STEPS) // 2:
            run.check_signatures()
    for name, moment in MOMENTS.items():
        run.clock.set(frozen_s=moment)
        run.work(name)
        run.check(name)
        most = max(most, run.check_idle(name))
    run.check_signatures()
    return f"{len(run.made)} records; idle at most {most:.1f} % of a processor"


def clock_that_is_set_back_between_starts(run):
    """At a start the clock is believed, but one that is behind makes nothing old, and time in the log goes on."""
    run.clock.set()
    for step in (0, -60, -86400, -10 * YEAR, 1):
        run.clock.set(shift_s=step)
        run.kill_and_start()
        run.work(f"start at {step} s")
        run.check(f"start at {step} s")
        run.clock.set(shift_s=step - 3600)
        run.check(f"start at {step} s, then an hour back")
    run.clock.set(frozen_s=1)
    run.kill_and_start()
    run.work("start in 1970")
    run.check("start in 1970")
    return f"{len(run.made)} records, idle {run.check_idle('1970'):.1f} %"


def what_is_due(run):
    """The same things do happen in time: a clock that was wrong and is right again stops nothing."""
    run.clock.set()
    run.kill_and_start()
    run.sign()
    run.put("short", until=int(time.time()) + 1)
    begun = time.monotonic()
    while "Item" in run.dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": "short"}}):
        check(time.monotonic() - begun < 10, "an item that is due does not expire")
        time.sleep(0.05)
    waited = time.monotonic() - begun
    before = len(run.records())
    run.server.kill()
    run.clock.set(shift_s=2 * RETENTION_S)
    run.server.start()
    run.sign()
    time.sleep(1.5)
    left = len(run.records())
    check(left < before, "records that are older than their retention stay")
    hidden = run.streams.describe_stream(StreamArn=run.arn)["StreamDescription"]["Shards"][0]["SequenceNumberRange"]
    run.clock.set()
    time.sleep(1.2)
    run.sign()
    again = run.streams.describe_stream(StreamArn=run.arn)["StreamDescription"]["Shards"][0]["SequenceNumberRange"]
    check(len(run.records()) == left and again["StartingSequenceNumber"] >= hidden["StartingSequenceNumber"],
          "the trim point went back with the clock")
    return f"expired after {waited:.1f} s, {before - left} records trimmed by a start two periods later"


def main():
    failed = 0
    scenes = [clock_that_is_set, clock_that_is_set_back_between_starts, what_is_due]
    with tempfile.TemporaryDirectory(prefix="headwater-clocks-") as folder:
        run = Run(folder)
        try:
            for scene in scenes:
                print(f"ok   {scene.__name__}: {scene(run)}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed = 1 # what follows builds on it
            print(f"FAIL {scene.__name__}: {type(error).__name__}: {error}", flush=True)
            print(run.server.process.err.text()[-2000:])
        with contextlib.suppress(AssertionError):
            run.server.stop()
    print(f"{scenes.index(scene) + 1 - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed)


if __name__ == "__main__":
    main()
