"""The server under attack, and what must be true of it after everything."""

import contextlib
import itertools
import os
import pathlib

import api
import headwater
import wire

PLAIN = headwater.PRESET not in ("asan", "tsan")  # a sanitizer's memory and time are its own: they are not judged
ITEM = {"pk": {"S": "kept"}, "v": {"S": "as it was"}}


class World:
    """One server that every case may attack, with an item that must come through it all."""

    def __init__(self, folder, *options):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.numbers = itertools.count()
        self.server = headwater.Server(folder, *options)
        self.api = api_of(self.server)
        self.table = self.api.create()
        self.api.call("PutItem", TableName=self.table, Item=ITEM)

    def number(self):
        return next(self.numbers)

    def check(self):
        """It is alive, it answers, and what it answers is right."""
        assert self.server.process.is_running(), self.server.process.err.text()
        assert self.api.get(self.table, pk=ITEM["pk"]) == ITEM

    def close(self):
        self.check()
        self.server.stop()

    def resident(self, server=None):
        """Bytes of memory that the process has."""
        pages = int(pathlib.Path(f"/proc/{(server or self.server).process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def wire(self, source=None, room=None):
        return wire.Wire(self.api, source, room)

    def signed(self, operation, body):
        return wire.signed(self.api, operation, body)


def api_of(server):
    return api.Api(server.url, *server.credentials)


@contextlib.contextmanager
def own(world, *options):
    """A server of the case's own, as another world."""
    made = World(world.folder / f"own{world.number()}", *options)
    try:
        yield made
        made.close()
    finally:
        if made.server.process.is_running():
            made.server.process.kill()
