"""A way to a server that loses answers: clients that retry must come to the same end.

    with Lossy(server.port) as way:
        way.lose(1)          # the next answer: the server has done what was asked, the caller is cut off
        client_at(way.url).put_item(...)
        assert way.lost == 1
"""

import re
import socket
import struct
import threading

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RESET = struct.pack("ii", 1, 0) # closing sends a reset


class Lossy:
    """Passes whole requests and answers between callers and 127.0.0.1:port, which speaks HTTP/1.1 with lengths."""

    def __init__(self, port):
        self.port = port
        self.lock = threading.Lock()
        self.to_lose = 0
        self.lost = 0
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.door.getsockname()[1]}"
        threading.Thread(target=self._welcome, daemon=True).start()

    def lose(self, count):
        """The next `count` answers are lost, and lost counts anew."""
        with self.lock:
            self.to_lose = count
            self.lost = 0

    def close(self):
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def _welcome(self):
        while True:
            try:
                caller, _ = self.door.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller):
        with caller, socket.create_connection(("127.0.0.1", self.port)) as server:
            while request := whole(caller):
                server.sendall(request)
                answer = whole(server)
                if self._is_to_be_lost():
                    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    return
                caller.sendall(answer)

    def _is_to_be_lost(self):
        with self.lock:
            if not self.to_lose:
                return False
            self.to_lose -= 1
            self.lost += 1
            return True


def whole(peer):
    """One message from a socket; b"" at its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = peer.recv(1 << 16)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        more = peer.recv(1 << 16)
        if not more:
            return b""
        data += more
        missing -= len(more)
    return data
