"""HTTP by raw sockets: any bytes may be sent, right or wrong."""

import re
import socket

import botocore.auth
import botocore.awsrequest

WAIT_S = 30


class Wire:
    """A connection on which any bytes may be sent."""

    def __init__(self, api, source=None, room=None):
        """source: the address to come from; room: bytes of answers that the kernel may take ahead."""
        host, port = api.url.removeprefix("http://").split(":")
        self.socket = socket.socket()
        self.socket.settimeout(WAIT_S)
        if room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, int(port)))
        self.read = b""

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def answer(self, head_only=False):
        """(status, headers, body) of the next answer; None when the server has closed."""
        while b"\r\n\r\n" not in self.read:
            if not self.more():
                assert not self.read, self.read
                return None
        head, _, self.read = self.read.partition(b"\r\n\r\n")
        lines = head.decode("ascii").split("\r\n")
        status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .+", lines[0]).group(1))
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        length = 0 if head_only or status == 100 else int(headers["content-length"])
        while len(self.read) < length:
            assert self.more()
        body, self.read = self.read[:length], self.read[length:]
        return status, headers, body

    def more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.read += data
        return bool(data)

    def is_closed(self):
        return self.answer() is None


def signed(api, operation="ListTables", body=b"{}", extra=b"", length=True):
    """The bytes of a right request; extra: more header lines."""
    request = botocore.awsrequest.AWSRequest(method="POST", url=api.url + "/", data=body, headers={
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"DynamoDB_20120810.{operation}"})
    if api.before_sign:
        api.before_sign()
    botocore.auth.SigV4Auth(api.credentials, "dynamodb", api.region).add_auth(request)
    lines = [f"{name}: {value}".encode() for name, value in request.headers.items()]
    lines.append(b"Host: " + api.url.removeprefix("http://").encode())
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"POST / HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n" + extra + b"\r\n" + (body if length else b"")
