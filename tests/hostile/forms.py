"""Requests that one program reads in one way and another in another, or that say nothing: (name, bytes, status of the one answer)."""

HOST = b"Host: a\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
HEADERS_MAX = 64
HEAD_MAX = 16384
BODY_MAX = 16 * 1024 * 1024
OTHER_BODY_MAX = 256 * 1024

# What the body of a refusal says.
REASONS = {400: b"Bad Request\n", 413: b"Payload Too Large\n", 414: b"URI Too Long\n", 417: b"Expectation Failed\n",
           431: b"Request Header Fields Too Large\n", 501: b"Not Implemented\n", 503: b"Service Unavailable\n",
           505: b"HTTP Version Not Supported\n", 408: b"Request Timeout\n"}


def lengths():
    """A body that ends in two places."""
    both = (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n")
    yield "CL then TE", POST + both[0] + both[1] + b"\r\n0\r\n\r\n", 400
    yield "TE then CL", POST + both[1] + both[0] + b"\r\n0\r\n\r\n", 400
    yield "CL 0 then TE", POST + b"Content-Length: 0\r\n" + both[1] + b"\r\n0\r\n\r\n", 400
    yield "CL and TE over HTTP/1.0", b"POST / HTTP/1.0\r\n" + HOST + both[0] + both[1] + b"\r\n0\r\n\r\n", 400
    for name, value in {"negative": b"-1", "plus": b"+5", "hexadecimal": b"0x5", "octal": b"0o5", "a list": b"5, 5", "two words": b"5 5",
                        "empty": b"", "blank": b" \t ", "letters": b"five", "fraction": b"5.0", "exponent": b"5e0", "underscore": b"1_0",
                        "2^64": b"18446744073709551616", "2^64 - 1": b"18446744073709551615", "2^63": b"9223372036854775808",
                        "wraps to 5": b"18446744073709551621", "10^400": b"1" + b"0" * 400, "vertical tab": b"\x0b5", "form feed": b"5\x0c",
                        "full-width digit": "５".encode(), "quoted": b'"5"'}.items():
        status = 413 if name in ("2^63", "2^64 - 1") else 400
        yield f"length: {name}", POST + b"Content-Length: " + value + b"\r\n\r\nhello", (400, 413) if status == 413 else 400
    for name, first, second in (("different", b"5", b"6"), ("equal", b"5", b"5"), ("zero first", b"0", b"5"), ("zero last", b"5", b"0")):
        yield f"two lengths, {name}", POST + b"Content-Length: " + first + b"\r\nContent-Length: " + second + b"\r\n\r\nhello", 400
    yield "two lengths apart", POST + b"content-length: 5\r\nX: 1\r\nCONTENT-LENGTH: 5\r\n\r\nhello", 400
    yield "one more byte than may be", POST + b"Content-Length: %d\r\n\r\n" % (BODY_MAX + 1), 413


def encodings():
    """An encoding that not everybody sees."""
    for name, value in {"gzip, chunked": b"gzip, chunked", "chunked, gzip": b"chunked, gzip", "chunked twice": b"chunked, chunked",
                        "identity": b"identity", "xchunked": b"xchunked", "chunkedx": b"chunkedx", "vertical tab": b"\x0bchunked",
                        "quoted": b'"chunked"', "parameter": b"chunked;q=1", "comma": b",chunked", "empty": b"", "dotless i": "chunkıd".encode(),
                        "zero": b"chunked\x00", "line separator": b"chunked\xe2\x80\xa8"}.items():
        yield f"encoding: {name}", POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n", (400, 501)
    for name, line in {"blank before the colon": b"Transfer-Encoding : chunked", "tab before the colon": b"Transfer-Encoding\t: chunked",
                       "blank before the name": b" Transfer-Encoding: chunked", "zero in the name": b"Transfer-Encoding\x00: chunked",
                       "bare feed before": b"X: 1\nTransfer-Encoding: chunked", "bare return before": b"X: 1\rTransfer-Encoding: chunked",
                       "folded": b"Transfer-Encoding:\r\n chunked", "folded by a tab": b"Transfer-Encoding:\r\n\tchunked"}.items():
        yield f"encoding, {name}", POST + line + b"\r\n\r\n0\r\n\r\n", 400
    yield "two encodings", CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
    yield "an encoding and identity", CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", (400, 501)
    yield "chunked over HTTP/1.0", b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400


def chunks():
    """Chunks of doubtful size. Extensions are read over, when they are extensions."""
    for name, data in {"letters": b"xyz\r\n", "negative": b"-1\r\nab\r\n", "plus": b"+2\r\nab\r\n", "0x": b"0x2\r\nab\r\n", "empty": b"\r\nab\r\n",
                       "blank before": b" 2\r\nab\r\n", "blank behind": b"2 \r\nab\r\n", "underscore": b"0_2\r\nab\r\n", "2^64": b"10000000000000000\r\n",
                       "2^64 + 2": b"10000000000000002\r\nab\r\n", "2^32": b"100000000\r\n", "many zeros": b"0" * 100 + b"2\r\nab\r\n",
                       "bare feed": b"2\nab\r\n0\r\n\r\n", "bare return": b"2\rab\r\n0\r\n\r\n", "no end of data": b"2\r\nab0\r\n\r\n",
                       "longer data": b"2\r\nabc\r\n0\r\n\r\n", "feed behind data": b"2\r\nab\n0\r\n\r\n", "semicolon only": b";\r\n",
                       "feed in an extension": b"2;a\nab\r\n0\r\n\r\n", "return in an extension": b"2;a\rb\r\nab\r\n", "zero in an extension": b"2;a\x00\r\nab\r\n",
                       "a long extension": b"2;" + b"a" * 300 + b"\r\nab\r\n", "a trailer": b"0\r\nX: 1\r\n\r\n", "a length as trailer": b"0\r\nContent-Length: 5\r\n\r\n",
                       "last and bare feed": b"0\r\n\n", "last and bare return": b"0\r\n\r\r"}.items():
        yield f"chunk: {name}", CHUNKED + b"\r\n" + data, 400


def lines():
    """Lines that end, begin or go on where they should not."""
    for name, data in {"bare feeds": b"GET /healthz HTTP/1.1\nHost: a\n\n", "first line": b"GET /healthz HTTP/1.1\nHost: a\r\n\r\n",
                       "last line": b"GET /healthz HTTP/1.1\r\nHost: a\n\r\n", "the end": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\n",
                       "a bare return": b"GET /healthz HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "two returns": b"GET /healthz HTTP/1.1\r\r\nHost: a\r\n\r\n",
                       "a fold": GET + b"X: a\r\n b\r\n\r\n", "a fold by a tab": GET + b"X: a\r\n\tb\r\n\r\n", "a fold first": b"GET /healthz HTTP/1.1\r\n " + HOST + b"\r\n",
                       "an empty fold": GET + b"X: a\r\n \r\n\r\n", "a blank before the colon": GET + b"X : a\r\n\r\n", "a tab before the colon": GET + b"X\t: a\r\n\r\n",
                       "a blank in a name": GET + b"X y: a\r\n\r\n", "no name": GET + b": a\r\n\r\n", "no colon": GET + b"nothing\r\n\r\n",
                       "zero in a name": GET + b"X\x00: a\r\n\r\n", "zero in a value": GET + b"X: a\x00b\r\n\r\n", "escape in a value": GET + b"X: \x1b[2J\r\n\r\n",
                       "delete in a value": GET + b"X: \x7f\r\n\r\n", "bytes above 127 in a name": GET + b"X\xff: a\r\n\r\n", "separators in a name": GET + b"X(y): a\r\n\r\n",
                       "quotes in a name": GET + b'"X": a\r\n\r\n', "an at in a name": GET + b"X@y: a\r\n\r\n", "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
                       "two hosts": GET + b"Host: b\r\n\r\n", "one host twice": GET + b"Host: a\r\n\r\n"}.items():
        yield f"lines: {name}", data, 400


def targets():
    """Request lines."""
    for name, line in {"no version": b"GET /healthz", "two blanks": b"GET  /healthz HTTP/1.1", "two blanks behind": b"GET /healthz  HTTP/1.1", "a tab": b"GET\t/healthz HTTP/1.1",
                       "a tab behind": b"GET /healthz\tHTTP/1.1", "a blank at the end": b"GET /healthz HTTP/1.1 ", "a blank in the path": b"GET /heal thz HTTP/1.1",
                       "zero in the path": b"GET /heal\x00thz HTTP/1.1", "lower-case method": b"get /healthz HTTP/1.1", "unknown method": b"FOO /healthz HTTP/1.1",
                       "lower-case version": b"GET /healthz http/1.1", "another protocol": b"GET /healthz ICY/1.1", "no slash": b"GET healthz HTTP/1.1",
                       "version 1": b"GET /healthz HTTP/1", "version 1.": b"GET /healthz HTTP/1.", "version 1.1.1": b"GET /healthz HTTP/1.1.1", "version 11": b"GET /healthz HTTP/11",
                       "no host in the absolute form": b"GET http:///healthz HTTP/1.1", "another scheme": b"GET ftp://a/healthz HTTP/1.1",
                       "another authority than the host": b"GET http://b/healthz HTTP/1.1", "the host with a person": b"GET http://b@a/healthz HTTP/1.1",
                       "no path and another authority": b"GET http://b HTTP/1.1", "the authority only begins as the host": b"GET http://ab/healthz HTTP/1.1", "another port": b"GET http://a:81/healthz HTTP/1.1"}.items():
        yield f"target: {name}", line + b"\r\n" + HOST + b"\r\n", 400
    for version in (b"0.9", b"2.0", b"3.0", b"9.9"):
        yield f"version {version.decode()}", b"GET /healthz HTTP/" + version + b"\r\n" + HOST + b"\r\n", (400, 505)
    yield "CONNECT", b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", 501
    yield "CONNECT with a body", b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"Content-Length: 30\r\n\r\n", 501
    yield "HTTP/2's beginning", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50), 400
    yield "zeros", bytes(100), 400
    yield "bytes above 127", b"\xff" * 100, 400
    yield "only bare feeds", b"\n\n\n" + GET + b"\r\n", 400


def sizes():
    """One more than may be, and very many more."""
    for count in (HEADERS_MAX, 400, 1000):
        yield f"{count + 1} header lines", GET + b"".join(b"a:\r\n" for _ in range(count)) + b"\r\n", 431
    for size in (HEAD_MAX, 100_000, 2_000_000):
        yield f"a value of {size} bytes", GET + b"X: " + b"x" * size + b"\r\n\r\n", 431
        yield f"a name of {size} bytes", GET + b"x" * size + b": 1\r\n\r\n", 431
        yield f"a path of {size} bytes", b"GET /" + b"a" * size + b" HTTP/1.1\r\n" + HOST + b"\r\n", (414, 431)
    yield "a method of 100000 bytes", b"G" * 100_000 + b" / HTTP/1.1\r\n" + HOST + b"\r\n", 400
    yield "empty lines for ever", b"\r\n" * 20_000, 431
    yield "an unknown expectation", POST + b"Content-Length: 2\r\nExpect: miracles\r\n\r\n", 417


def all_forms():
    for kind in (lengths, encodings, chunks, lines, targets, sizes):
        for name, data, status in kind():
            yield name, data, status if isinstance(status, tuple) else (status,)


def reason_is_told(status, body):
    return body == REASONS[status]
