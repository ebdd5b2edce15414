"""A Headwater server as a test's own process, and the real clients that talk to it.

    with Server(tmp_path) as server:
        server.dynamodb.put_item(TableName="Music", Item={"Artist": {"S": "Acme"}})
        server.kill()
        server.restart()

The program is build/<preset>/bin/headwater, where HEADWATER_PRESET names the preset (release unless set). What needs the
test hooks asks for them: hooks=True takes the debug build instead of a release build, and with it come
move_clock() and hold_followers(). A program with hooks evaluates each proposal twice and ends where the
bytes differ. Only this process's own children are stopped, by their ids.
"""

import datetime
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import threading
import time

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRESET = os.environ.get("HEADWATER_PRESET", "release")
AWS = ROOT / ".deps/venv/bin/aws"
REGION = "us-east-1"
WAIT_S = 60
SANITIZER_REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:")


class SigningClock(threading.local):
    """Shifts what botocore signs with: a server whose clock was moved refuses today's signatures."""

    shift_ms = 0

    def now(self):
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        return now + datetime.timedelta(milliseconds=self.shift_ms)


signing_clock = SigningClock()
botocore.auth.get_current_datetime = signing_clock.now


def program(name="headwater", hooks=False):
    """Path of a built program; of one that has the test hooks, when they are asked for."""
    preset = "debug" if hooks and PRESET == "release" else PRESET
    return ROOT / "build" / preset / "bin" / name


def plain_environment(extra=None):
    """This process's environment without what would configure a server or a client, then extra."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("AWS_", "HEADWATER_"))}
    return {**kept, **(extra or {})}


def heed_interrupts():
    """A shell that runs the tests in the background has SIGINT ignored, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Output:
    """A pipe's lines as they come. wait_for() returns a line's match as soon as it is there."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.pipe:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, pattern, timeout=WAIT_S):
        """The first line that holds the pattern; None when the pipe ends without one."""
        seen = 0
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                for line in self.lines[seen:]:
                    found = re.search(pattern, line)
                    if found:
                        return found
                seen = len(self.lines)
                if self.ended:
                    return None
                if not self.changed.wait(end - time.monotonic()):
                    raise TimeoutError(f"no line with {pattern!r} in {timeout} s:\n{self.text()}")

    def text(self):
        with self.changed:
            return "\n".join(self.lines)

    def finish(self):
        """All that was written, once the process has ended."""
        self.thread.join(WAIT_S)
        self.pipe.close()
        return self.text()


class Process:
    """headwater with any arguments: its output as it comes, its exit status."""

    def __init__(self, *arguments, environment=None, hooks=False, under=(), cwd=None):
        self.popen = subprocess.Popen(
            [*map(str, under), str(program(hooks=hooks)), *map(str, arguments)], cwd=cwd, text=True,
            env=plain_environment(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, errors="replace", preexec_fn=heed_interrupts)
        self.out = Output(self.popen.stdout)
        self.err = Output(self.popen.stderr)

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=WAIT_S):
        """Its exit status; what it wrote is whole then."""
        status = self.popen.wait(timeout)
        self.out.finish()
        self.err.finish()
        return status

    def kill(self):
        """Ends it as a lost machine would, and takes its exit status away."""
        self.popen.kill()
        self.wait()

    def complaint(self):
        """A sanitizer's report, or None."""
        text = self.err.text()
        return text if SANITIZER_REPORT.search(text) else None


class Server:
    """One server on a port of its own over one data directory; it may be stopped, killed and started again."""

    def __init__(self, folder, *options, environment=None, hooks=False, under=(), authority=None):
        self.authority = authority  # PEM file that its certificate is checked by
        self.data = pathlib.Path(folder) / "data"
        self.options = options
        self.environment = environment
        self.hooks = hooks
        self.clock = self.data.with_name("clock")
        self.hold = self.data.with_name("hold")
        self.shift_ms = 0
        self.under = under
        self.address = "127.0.0.1:0"
        self.process = None
        self.url = None
        self.start()

    def start(self):
        """Starts it on the address it had before, if any, so that clients find it again."""
        hooks = []
        if self.hooks:
            hooks += ["--test-clock", self.clock, "--test-hold-follower", self.hold]
        if self.hooks or PRESET != "release":
            hooks += ["--test-repeat-evaluation"]
        self.process = Process("serve", "--listen", self.address, "--data", self.data, *hooks,
                               *self.options, environment=self.environment, hooks=self.hooks,
                               under=self.under)
        found = self.process.out.wait_for(r"^listening url=(https?://(\S+))$")
        if found is None:
            status = self.process.wait()
            raise RuntimeError(f"the server ended with {status}: {self.process.err.text()}")
        self.url, self.address = found.groups()
        return self

    def stop(self, number=signal.SIGTERM):
        """Asks it to end; it must do so cleanly and, under a sanitizer, without a report."""
        if self.process.is_running():
            self.process.signal(number)
            status = self.process.wait()
            assert self.process.complaint() is None, self.process.complaint()
            assert status == 0, f"exit status {status}: {self.process.err.text()}"

    def kill(self):
        self.process.kill()
        assert self.process.complaint() is None, self.process.complaint()

    def restart(self, *options):
        """Stops it if it runs, and starts it again; options, when given, replace its options."""
        self.stop()
        self.options = options or self.options
        return self.start()

    def move_clock(self, milliseconds):
        """The server's wall clock is the machine's and this, from its next look on; so are signatures."""
        moved = self.clock.with_name("clock.new")
        moved.write_text(str(milliseconds), encoding="ascii")
        moved.rename(self.clock)
        self.shift_ms = milliseconds

    def set_signing_clock(self, **ignored):
        signing_clock.shift_ms = self.shift_ms

    def hold_followers(self, held=True):
        """While they are held, what is committed is shown to nobody who follows a stream."""
        if held:
            self.hold.touch()
        else:
            self.hold.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *ignored):
        if kind is None:
            self.stop()
        elif self.process.is_running():
            self.process.kill()

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    @property
    def credentials_file(self):
        return self.data / "credentials"

    @property
    def credentials(self):
        """(access key, secret key), as the server made them."""
        text = self.credentials_file.read_text(encoding="ascii")
        return tuple(re.search(rf"^{name} = (\S+)$", text, re.MULTILINE).group(1)
                     for name in ("aws_access_key_id", "aws_secret_access_key"))

    def client(self, service="dynamodb", **config):
        """A boto3 client that tries once. parameter_validation=False lets wrong input out to the server."""
        key, secret = self.credentials
        retries = {"mode": "standard", "total_max_attempts": 1}
        made = boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=key,
                            aws_secret_access_key=secret, verify=self.authority and str(self.authority),
                            config=botocore.config.Config(**{"retries": retries, **config}))
        made.meta.events.register("before-sign", self.set_signing_clock)
        return made

    @property
    def dynamodb(self):
        return self._cached("dynamodb")

    @property
    def streams(self):
        return self._cached("dynamodbstreams")

    def _cached(self, service):
        made = self.__dict__.setdefault("_clients", {})
        if service not in made:
            made[service] = self.client(service)
        return made[service]

    def client_environment(self):
        """What the server's first lines tell people to export."""
        return {"AWS_SHARED_CREDENTIALS_FILE": str(self.credentials_file), "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION}

    def aws(self, *words):
        """A call of the real AWS CLI: its answer, decoded; None where it prints nothing."""
        trust = ["--ca-bundle", str(self.authority)] if self.authority else []
        run = subprocess.run([str(AWS), *words, "--endpoint-url", self.url, "--output", "json", *trust],
                             env=plain_environment(self.client_environment()), capture_output=True,
                             text=True, timeout=WAIT_S, check=False)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout) if run.stdout.strip() else None

    def connect(self, timeout):
        """A connection for HTTP, sealed if the server is."""
        if self.authority is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        trust = ssl.create_default_context(cafile=self.authority)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=trust)

    def http(self, method, path, body=None, headers=None):
        """One plain HTTP request on a connection of its own: (status, headers, body)."""
        connection = self.connect(WAIT_S)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def signed_headers(self, operation, body, service="DynamoDB_20120810", headers=None):
        """Headers of a signed call with this body, bytes of any kind."""
        request = botocore.awsrequest.AWSRequest(
            method="POST", url=self.url + "/", data=body,
            headers={"Content-Type": "application/x-amz-json-1.0",
                     "X-Amz-Target": f"{service}.{operation}", **(headers or {})})
        self.set_signing_clock()
        credentials = botocore.credentials.Credentials(*self.credentials)
        botocore.auth.SigV4Auth(credentials, "dynamodb", REGION).add_auth(request)
        return dict(request.headers)

    def call(self, operation, body, service="DynamoDB_20120810", headers=None):
        """A signed call whose body no client would make: (status, decoded answer; None: it is empty). body: bytes, or what JSON can
        say."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        status, _, answer = self.http("POST", "/", body,
                                      self.signed_headers(operation, body, service, headers))
        return status, json.loads(answer) if answer else None

    def metrics(self):
        """Every sample of /metrics that has no labels."""
        _, _, text = self.http("GET", "/metrics")
        return {name: float(value)
                for name, value in re.findall(r"^(\w+) (\S+)$", text.decode(), re.MULTILINE)}
