"""Kills the server at random moments under people who talk, on one data directory, and looks for what is lost.

Senders by call and by socket retry what has no answer, by its key, once the server is back. Readers resume where they stand.
After every kill, when all have their answers: sequence numbers are dense, each key is there once and where its answer said,
each sender's messages are in the order of sending, every reader saw the history and nothing else, read marks and unread are
right, and the stream of headwater.chat_log holds exactly what the table does.

    tests/chat/kills.py [--kills 30] [--seed N]
"""

import argparse
import http.client
import itertools
import pathlib
import random
import sys
import tempfile
import threading
import time

from websockets.exceptions import ConnectionClosed, InvalidHandshake

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import chat
import headwater

LOST = (OSError, http.client.HTTPException, ConnectionClosed, InvalidHandshake, EOFError)
WAIT_S = 60
WINDOW = 8
LOG = "headwater.chat_log"


class Stage:
    """What all threads share: whether the server is up, whether to go on, what went wrong."""

    def __init__(self):
        self.up = threading.Event()
        self.going = threading.Event()
        self.ending = False
        self.errors = []

    def run(self, work):
        thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        thread.start()
        return thread

    def _run(self, work):
        try:
            work()
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(f"{type(error).__name__}: {error}")


class Sender:
    """Sends numbered messages, the next when the ones before are answered; keeps what the server said of each key."""

    def __init__(self, stage, person, c, name, seed):
        self.stage, self.person, self.c, self.name = stage, person, c, name
        self.random = random.Random(f"{seed} {name}")
        self.numbers = itertools.count(1)
        self.answered = {}
        self.texts = {}
        self.refused = set()
        self.unanswered = 0
        self.replays = 0
        self.idle = threading.Event()

    def work(self):
        while not self.stage.ending:
            if not self.stage.going.is_set():
                self.idle.set()
                self.stage.going.wait(0.1)
                continue
            self.idle.clear()
            batch = {}
            for _ in range(self.batch_size):
                key = f"{self.name}-{next(self.numbers)}"
                batch[key] = key + " " + "x" * self.random.choice([0, 10, 10, 10, 700, 2000])
            self.texts.update(batch)
            self.unanswered = len(batch)
            self.send_all(batch)
            self.unanswered = 0

    def keep(self, key, seq, replayed):
        self.replays += replayed
        self.answered[key] = seq


class CallSender(Sender):
    batch_size = 1

    def send_all(self, batch):
        for key, text in batch.items():
            while True:
                self.stage.up.wait(WAIT_S)
                try:
                    answer = self.person.post(self.c, text, key)
                except LOST:
                    continue
                if answer.status == 201:
                    self.keep(key, answer.body["seq"], "Idempotent-Replayed" in answer.headers)
                    break
                assert answer.status == 503, answer


class SocketSender(Sender):
    batch_size = WINDOW
    socket = None

    def send_all(self, batch):
        while batch.keys() - self.answered.keys():
            self.stage.up.wait(WAIT_S)
            try:
                if self.socket is None:
                    self.socket = self.person.socket()
                    self.socket.connect()
                frames = [(key, self.socket.start(send={"c": self.c, "key": key, "body": {"text": text}}))
                          for key, text in batch.items()]
                for key, number in frames:
                    answer = self.socket.answer(number)
                    if "send" in answer:
                        self.keep(key, answer["send"]["seq"], answer["send"]["replayed"])
                    else:
                        assert answer["error"]["code"] == "busy", answer
                        self.refused.update(batch)  # those behind it may have been taken before it
                self.socket.events.clear()
            except LOST:
                self.socket = None


class Reader:
    """Follows all of a person's conversations by socket, marks what it has read, and keeps what it saw."""

    def __init__(self, stage, person):
        self.stage, self.person = stage, person
        self.seen = {}
        self.marked = {}
        self.refused = 0  # events that it had already

    def work(self):
        while not self.stage.ending:
            self.stage.up.wait(WAIT_S)
            try:
                with self.person.socket() as socket:
                    answer = socket.connect({c: len(events) for c, events in self.seen.items()})
                    for c, range_ in answer["conv"].items():
                        if not range_["recovered"]:
                            self.catch_up(c)
                    while not self.stage.ending:
                        for event in socket.events:
                            self.take(event)
                        socket.events.clear()
                        self.wait_more(socket)
            except LOST:
                pass

    def wait_more(self, socket):
        try:
            socket.wait_events(1)
        except TimeoutError:
            pass

    def take(self, event):
        events = self.seen.setdefault(event["c"], [])
        if event["seq"] <= len(events):
            assert events[event["seq"] - 1] == event, f"another event with seq {event['seq']}"
            self.refused += 1
            return
        if event["seq"] > len(events) + 1:
            self.catch_up(event["c"])
            return
        events.append(event)
        if event["seq"] % 20 == 0:
            mark = self.person.read(event["c"], event["seq"])
            self.marked[event["c"]] = max(self.marked.get(event["c"], 0), mark["read_n"])

    def catch_up(self, c):
        for event in self.person.events(c, len(self.seen.get(c, []))):
            self.take(event)


class Stream:
    """The records of headwater.chat_log's stream, read on from where the last reading ended."""

    def __init__(self, server):
        self.server = server
        self.after = None
        self.rows = {}

    def read(self):
        """The newest image of each item that the stream has told of, in self.rows; events per conversation."""
        streams = self.server.client("dynamodbstreams")
        arn = self.server.dynamodb.describe_table(TableName=LOG)["Table"]["LatestStreamArn"]
        shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
        start = ({"ShardIteratorType": "TRIM_HORIZON"} if self.after is None else
                 {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self.after})
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, **start)["ShardIterator"]
        events = []
        while True:
            page = streams.get_records(ShardIterator=iterator)
            for record in page["Records"]:
                change = record["dynamodb"]
                key = (change["Keys"]["pk"]["S"], change["Keys"]["sk"]["S"])
                self.rows[key] = change["NewImage"]
                if key[1] == "#HEAD":
                    for event in change["NewImage"]["ev"]["L"]:
                        events.append((key[0].removeprefix("0|C#"), int(event["M"]["seq"]["N"])))
                self.after = change["SequenceNumber"]
            if not page["Records"]:
                return events
            iterator = page["NextShardIterator"]

    def table(self):
        """Every item of the table that the stream has told of."""
        found = {}
        for pk in {pk for pk, _ in self.rows}:
            pages = self.server.client().get_paginator("query").paginate(
                TableName=LOG, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": pk}})
            found.update({(pk, item["sk"]["S"]): item for page in pages for item in page["Items"]})
        return found


class Talk:
    """The people, what they do, and the questions asked after each kill."""

    def __init__(self, server, seed):
        self.server = server
        self.stage = Stage()
        self.stage.up.set()
        self.people = chat.people(server, 4)
        self.random = random.Random(seed)
        a, b, c, d = self.people
        self.members = {a.open(b): (a, b), b.open(c): (b, c), c.open(d): (c, d)}
        self.senders = []
        for i, (room, (one, two)) in enumerate(self.members.items()):
            self.senders += [CallSender(self.stage, one, room, f"call-{i}-one", seed),
                             CallSender(self.stage, two, room, f"call-{i}-two", seed),
                             SocketSender(self.stage, two, room, f"socket-{i}", seed)]
        self.readers = [Reader(self.stage, person) for person in self.people]
        self.stream = Stream(server)
        self.heads = {room: 0 for room in self.members}
        self.kills_under_way = 0
        for each in (*self.senders, *self.readers):
            self.stage.run(each.work)

    def kill_once(self):
        for sender in self.senders:
            sender.idle.clear()
        self.stage.going.set()
        time.sleep(self.random.uniform(0.05, 0.5))  # the moment is what is tried
        self.stage.up.clear()
        self.server.process.popen.kill()
        self.kills_under_way += any(sender.unanswered for sender in self.senders)
        self.server.kill()
        self.server.start()
        self.stage.up.set()
        self.stage.going.clear()
        self.wait("everybody has an answer", lambda: all(sender.idle.is_set() for sender in self.senders))

    def wait(self, what, condition):
        end = time.monotonic() + WAIT_S
        while not condition():
            assert not self.stage.errors, self.stage.errors
            assert time.monotonic() < end, f"in {WAIT_S} s it did not come: {what}"
            time.sleep(0.01)

    def check(self):
        for room, (one, two) in self.members.items():
            self.check_room(room, one, two)
        self.check_stream()
        assert not self.stage.errors, self.stage.errors

    def check_room(self, room, one, two):
        history = one.history(room)
        assert history == two.history(room), "two members read different histories"
        assert [message["seq"] for message in history] == list(range(2, len(history) + 2)), "seq is not dense"
        assert [message["n"] for message in history] == list(range(1, len(history) + 1)), "n is not dense"
        there = {message["client_id"]: message for message in history}
        assert len(there) == len(history), "a key is there twice"
        sent = {}
        for sender in (sender for sender in self.senders if sender.c == room):
            seqs = [sender.answered[key] for key in sender.texts if key not in sender.refused]
            assert seqs == sorted(seqs), f"{sender.name}'s messages are not in the order of sending"
            for key, text in sender.texts.items():
                message = there.get(key)
                assert message is not None, f"{key} was answered and is lost"
                assert message["seq"] == sender.answered[key], f"{key} is not where its answer said"
                assert message["body"]["text"] == text and message["sender"]["id"] == sender.person.id, message
            sent.update(sender.texts)
        assert sent.keys() == there.keys(), "a message that nobody sent"
        self.check_readers(room, history, (one, two))

    def check_readers(self, room, history, members):
        for reader in (reader for reader in self.readers if reader.person in members):
            self.wait("a reader has everything", lambda r=reader: len(r.seen.get(room, [])) == len(history) + 1)
            assert [event["data"] for event in reader.seen[room][1:]] == history, "a reader saw something else"
            item = reader.person.inbox()[room]
            own = max((message["n"] for message in history if message["sender"]["id"] == reader.person.id), default=0)
            assert item["n"] == len(history) and item["last"] == history[-1], item
            assert item["unread"] == item["n"] - item["read_n"], item
            assert item["read_n"] == max(own, reader.marked.get(room, 0)), "a read mark is lost or made up"

    def check_stream(self):
        for room, seq in self.stream.read():
            assert room in self.heads and seq == self.heads[room] + 1, "the stream is not dense"
            self.heads[room] = seq
        for room, (one, _) in self.members.items():
            assert self.heads[room] == one.inbox()[room]["head_seq"], "the stream lacks an event"
        assert self.stream.rows == self.stream.table(), "stream and table differ"

    def end(self):
        self.stage.ending = True
        self.stage.up.set()
        self.stage.going.set()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=30)
    options.add_argument("--seed", type=int, default=None)
    options = options.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="headwater-chat-kills-") as folder, headwater.Server(folder) as server:
        talk = Talk(server, seed)
        for kill in range(1, options.kills + 1):
            try:
                talk.kill_once()
                talk.check()
                passed += 1
                print(f"ok   kill {kill}: {sum(talk.heads.values())} events", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                print(f"FAIL kill {kill}: {type(error).__name__}: {error}", flush=True)
                break  # what follows would only repeat it
        replays = sum(sender.replays for sender in talk.senders)
        refused = sum(len(sender.refused) for sender in talk.senders)
        print(f"{talk.kills_under_way} kills with unanswered sends, {replays} sends answered from their key, "
              f"{refused} in batches of which one was refused as busy")
        if not failed and (talk.kills_under_way < options.kills * 0.95 or (options.kills >= 10 and replays == 0)):
            failed += 1
            print("FAIL the kills came when nothing was under way")
        talk.end()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
