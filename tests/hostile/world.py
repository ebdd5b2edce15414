"""The server under attack, and what must be true of it after everything."""

import api
import headwater
import wire

ITEM = {"pk": {"S": "kept"}, "v": {"S": "as it was"}}


class World:
    """One server that every case may attack, with an item that must come through it all."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.server = self.start()
        self.api = api_of(self.server)
        self.table = self.api.create()
        self.api.call("PutItem", TableName=self.table, Item=ITEM)

    def start(self, *options):
        """Another server, which the caller ends."""
        self.count += 1
        place = self.folder / str(self.count)
        place.mkdir()
        return headwater.Server(place, *options)

    def check(self):
        """It is alive, it answers, and what it answers is right."""
        assert self.server.process.is_running(), self.server.process.err.text()
        assert self.api.get(self.table, pk=ITEM["pk"]) == ITEM

    def close(self):
        self.check()
        self.server.stop()

    def wire(self, source=None):
        return wire.Wire(self.api, source)

    def signed(self, operation, body):
        return wire.signed(self.api, operation, body)


def api_of(server):
    return api.Api(server.url, *server.credentials)
