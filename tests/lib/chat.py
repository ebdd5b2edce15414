"""People who talk over a server's chat: their accounts, their calls, their sockets.

    ann, bob = chat.people(server, 2)
    c = ann.open(bob)
    ann.send(c, "hello")
    with bob.socket() as socket:
        socket.connect()
"""

import collections
import contextlib
import http.client
import itertools
import json
import threading
import urllib.parse

import websockets.sync.client
from websockets.exceptions import ConnectionClosed

PASSWORD = "correct horse battery"
WAIT_S = 30

Answer = collections.namedtuple("Answer", "status headers body")
numbers = itertools.count(1)


def new_handle(name="user"):
    return f"{name}-{next(numbers)}"


def people(server, count, name="user"):
    return [Person(server, new_handle(name)) for _ in range(count)]


class Caller:
    """Calls of the chat's HTTP interface over one connection a thread."""

    def __init__(self, server, token=None):
        self.server = server
        self.token = token
        self.local = threading.local()

    def call(self, method, path, body=None, headers=None):
        """body: bytes as they are, or what JSON can say. The answer's body is decoded when it is JSON."""
        headers = dict(headers or {})
        if self.token is not None:
            headers.setdefault("Authorization", "Bearer " + self.token)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
        return self._exchange(method, path, body, headers)

    def _exchange(self, method, path, body, headers):
        connection = getattr(self.local, "connection", None)
        if connection is None or self.local.process is not self.server.process:
            connection = self.local.connection = self.server.connect(WAIT_S)
            self.local.process = self.server.process
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        if answer.headers.get("Content-Type", "").startswith(("application/json", "application/problem+json")):
            data = json.loads(data) if data else None
        return Answer(answer.status, answer.headers, data)

    def ok(self, method, path, body=None, headers=None):
        answer = self.call(method, path, body, headers)
        assert answer.status in (200, 201, 204), answer
        return answer.body


class Person(Caller):
    """Somebody with an account, which is made unless it is known, and a session."""

    def __init__(self, server, handle, password=PASSWORD, known=False):
        super().__init__(server)
        self.handle = handle
        self.password = password
        if not known:
            self.ok("POST", "/v1/users", {"handle": handle, "password": password})
        self.id = self.log_in()["user"]["id"]

    def log_in(self):
        self.token = None
        session = self.ok("POST", "/v1/sessions", {"handle": self.handle, "password": self.password})
        self.token = session["token"]
        return session

    def log_out(self):
        self.ok("DELETE", "/v1/sessions/current")

    def open(self, other):
        """The conversation with somebody: its id."""
        return self.ok("POST", "/v1/conversations", {"with": other.handle})["id"]

    def post(self, c, text, key=None):
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.call("POST", f"/v1/conversations/{c}/messages", {"body": {"text": text}}, headers)

    def send(self, c, text, key=None):
        answer = self.post(c, text, key)
        assert answer.status == 201, answer
        return answer.body

    def page(self, c, kind="messages", **parameters):
        return self.ok("GET", f"/v1/conversations/{c}/{kind}?{urllib.parse.urlencode(parameters)}")

    def history(self, c):
        """All messages, oldest first, by pages backwards."""
        page = self.page(c, limit=200)
        messages = page["items"]
        while page["prev"] is not None:
            page = self.page(c, before=page["prev"], limit=200)
            messages = page["items"] + messages
        return messages

    def events(self, c, after=0):
        """All events from a position on."""
        events = []
        while True:
            page = self.page(c, "events", after=after)
            events += page["items"]
            if page["next"] is None:
                return events
            after = page["next"]

    def inbox(self):
        """id -> conversation, over all pages of the list."""
        found = {}
        cursor = ""
        while cursor is not None:
            page = self.ok("GET", f"/v1/conversations?limit=200{cursor and '&cursor=' + cursor}")
            found.update({item["id"]: item for item in page["items"]})
            cursor = page["next"]
        return found

    def read(self, c, seq):
        return self.ok("PUT", f"/v1/conversations/{c}/read", {"seq": seq})

    def socket(self, **options):
        return Socket(self.server, self.token, **options)


class Socket:
    """A chat socket. Events are kept in order as they come, whatever else is waited for."""

    def __init__(self, server, token=None, **options):
        options = {"subprotocols": ["chat.v1"], "max_size": None, "open_timeout": WAIT_S, "compression": None,
                   "close_timeout": WAIT_S, **options}
        url = server.url.replace("http", "ws", 1) + "/v1/ws"
        self.token = token
        self.open = contextlib.ExitStack()
        self.web = self.open.enter_context(websockets.sync.client.connect(url, **options))
        self.ids = itertools.count(1)
        self.events = []
        self.answers = {}

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        self.open.close()

    def send_text(self, text):
        self.web.send(text)

    def start(self, **frame):
        """Sends a frame; its id, for answer()."""
        number = next(self.ids)
        self.web.send(json.dumps({"id": number, **frame}))
        return number

    def ask(self, **frame):
        return self.answer(self.start(**frame))

    def answer(self, number):
        """The answer with this id; what comes before is kept."""
        while number not in self.answers:
            self._take()
        return self.answers.pop(number)

    def connect(self, resume=None, token=None):
        """Says who it is: what the server answers."""
        connect = {"token": token or self.token}
        if resume is not None:
            connect["resume"] = {"conv": resume}
        answer = self.ask(connect=connect)
        assert "connect" in answer, answer
        return answer["connect"]

    def wait_events(self, count):
        """The first so many events, once they have come."""
        while len(self.events) < count:
            self._take()
        return self.events[:count]

    def wait_closed(self):
        """(code, reason) of the server's close frame; frames before it are kept."""
        try:
            while True:
                self._take()
        except ConnectionClosed as end:
            assert end.rcvd is not None, "the connection ended without a close frame"
            return end.rcvd.code, end.rcvd.reason

    def _take(self):
        for line in self.web.recv(WAIT_S).split("\n"):
            frame = json.loads(line)
            if "ev" in frame:
                self.events.append(frame["ev"])
            else:
                self.answers[frame["id"]] = frame


def check_problem(answer, status, code, detail=None):
    """An RFC 9457 problem, as the chat tells all of them."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json", answer
    problem = answer.body
    assert problem["type"] == "urn:headwater:problem:" + code, problem
    assert problem["code"] == code and problem["status"] == status, problem
    assert problem["title"] and problem["retryable"] in (True, False), problem
    if detail is not None:
        assert problem.get("detail") == detail, problem


def check_error(answer, code, detail=None):
    """The same object in a socket's error frame."""
    assert answer["error"]["code"] == code, answer
    if detail is not None:
        assert answer["error"].get("detail") == detail, answer
