"""Servers under measurement, and the driver: starting, stopping, pinning, and what the machine is.

Each server gets a data directory of its own under build/bench-data, listens on loopback on a free
port, and is stopped by its own process id. Only the standard library is used.
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("HEADWATER_BIN", ROOT / "build/release/bin"))
PEERS = ROOT / "build/peers"
DATA = ROOT / "build/bench-data"
SERVER_CORE = 0
LOAD_CORE = 1
READY_S = 60


class Failure(Exception):
    """Something that makes the measurement impossible; the message is for people."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server process. under: words put before the command (a tool that watches it)."""

    name = ""
    has_stream = False

    def __init__(self, under=(), core=SERVER_CORE):
        self.data = DATA / f"{self.name}-{os.getpid()}"
        self.before = [*([] if core is None else ["taskset", "-c", str(core)]), *under]
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.launch()

    def launch(self):
        """Starts it on its data directory, new or as the last one left it."""
        self.log = open(self.data / "output", "w+", encoding="utf-8")
        self.endpoint = None
        self.process = subprocess.Popen(
            [*self.before, *self.command()], stdout=self.log, stderr=subprocess.STDOUT)
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    @classmethod
    def missing(cls):
        """Why it cannot run here, or None."""

    def command(self):
        raise NotImplementedError

    def output(self):
        self.log.flush()
        return (self.data / "output").read_text(encoding="utf-8", errors="replace")

    def ready_url(self):
        """The endpoint once it answers, else None."""
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                return f"http://127.0.0.1:{self.port}"
        return None

    def wait_ready(self):
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended at its start: {self.output()[-500:]}")
            self.endpoint = self.ready_url()
            if self.endpoint:
                return
            time.sleep(0.01)
        raise Failure(f"{self.name} is not ready after {READY_S} s: {self.output()[-500:]}")

    def keys(self):
        """The driver's options that name the access key."""
        return ["--access-key", "bench", "--secret-key", "bench"]

    def kill(self):
        """SIGKILL; launch() may follow."""
        self.process.kill()
        self.process.wait()
        self.log.close()

    def relaunch(self, under=()):
        """Ends it in order and starts it again on what it has, under those words."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(READY_S)
        self.log.close()
        self.before += under
        self.launch()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.stop()


class Headwater(Server):
    name = "headwater"
    has_stream = True
    binary = BIN / "headwater"

    @classmethod
    def missing(cls):
        return None if cls.binary.exists() else f"{cls.binary} is not built"

    def command(self):
        return [str(self.binary), "serve", "--listen", "127.0.0.1:0",
                "--data", str(self.data / "db"), "--log-level", "warn"]

    def ready_url(self):
        found = re.search(r"listening url=(http://\S+)", self.output())
        return found.group(1) if found else None

    def keys(self):
        return ["--credentials", str(self.data / "db/credentials")]

    def load(self, *options):
        """The driver, running until it is ended."""
        command = [str(BIN / "headwater-bench"), "--endpoint", self.endpoint, *self.keys(),
                   *map(str, options)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def metrics(self):
        """Every sample without labels."""
        with urllib.request.urlopen(self.endpoint + "/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return {name: float(value)
                for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}


class AwaitedHeadwater(Headwater):
    """A server whose port is known before it starts, so that its first answer can be awaited: from
    the start of the process to a 200 of /readyz are start_ms."""

    def command(self):
        self.port = free_port()
        self.begun = time.monotonic()
        command = super().command()
        command[command.index("--listen") + 1] = f"127.0.0.1:{self.port}"
        return command

    def wait_ready(self):
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - self.begun > READY_S:
                raise Failure(f"it does not start: {self.output()[-500:]}")
            time.sleep(0.0005)
        self.start_ms = (time.monotonic() - self.begun) * 1000
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def answers(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except ConnectionError:
            return False
        finally:
            connection.close()


class Dynalite(Server):
    """LevelDB under Node: no sync before it answers, no stream."""

    name = "dynalite"

    @classmethod
    def missing(cls):
        made = (PEERS / "node_modules/dynalite/cli.js").exists()
        return None if made else "run bench/peers first"

    def command(self):
        self.port = free_port()
        return [str(PEERS / "node"), str(PEERS / "node_modules/dynalite/cli.js"),
                "--host", "127.0.0.1", "--port", str(self.port), "--createTableMs", "0",
                "--path", str(self.data / "db")]


class Dynoxide(Server):
    """SQLite on disk, with a stream; signatures are not checked."""

    name = "dynoxide"
    has_stream = True

    @classmethod
    def missing(cls):
        return None if (PEERS / "bin/dynoxide").exists() else "run bench/peers first"

    def command(self):
        self.port = free_port()
        return [str(PEERS / "bin/dynoxide"), "serve", "--host", "127.0.0.1",
                "--port", str(self.port), "--db-path", str(self.data / "db.sqlite")]


class Ceiling(Server):
    """The fastest answer there can be, from memory, with every signature checked: what the driver and the machine cost."""

    name = "ceiling"

    def command(self):
        self.port = free_port()
        return [str(BIN / "headwater-ceiling"), "--port", str(self.port), "--face", "signed"]


SERVERS = {server.name: server for server in (Headwater, Dynalite, Dynoxide)}


def core_ticks(core):
    """(busy, all) ticks of one processor since boot, whoever used it."""
    with open("/proc/stat", encoding="ascii") as stat:
        for line in stat:
            if line.startswith(f"cpu{core} "):
                ticks = [int(word) for word in line.split()[1:9]]
                return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    raise Failure(f"there is no core {core}: two are needed")


class CoreWatch:
    """How busy a core is, between making this and busy()."""

    def __init__(self, core):
        self.core = core
        self.begun = core_ticks(core)

    def busy(self):
        now = core_ticks(self.core)
        return (now[0] - self.begun[0]) / max(1, now[1] - self.begun[1])


def drive(server, *options, core=LOAD_CORE):
    """Runs the driver; the results, one a phase. Errors of the server are in the results."""
    out = server.data / "driver.json"
    out.unlink(missing_ok=True)
    pin = [] if core is None else ["taskset", "-c", str(core)]
    command = [*pin, str(BIN / "headwater-bench"), "--endpoint", server.endpoint, *server.keys(),
               "--json", str(out), *map(str, options)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    if not lines:
        raise Failure(f"{server.name}: the driver failed: {ran.stdout}{ran.stderr}"
                      f"\nThe server's last words: {server.output()[-2000:]}")
    return [json.loads(line) for line in lines]


def create_and_fill(server, items, size=1024, connections=64):
    stream = ["--stream", "NEW_AND_OLD_IMAGES"] if server.has_stream else []
    found = drive(server, "--create", *stream, "--load", "--items", items, "--size", size,
                  "--connections", connections, "--seconds", 0)
    if found[0]["errors"]:
        raise Failure(f"{server.name}: filling the table failed: {found[0]['errors']}")
    return found[0]


def git(*words):
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True,
                          check=True).stdout.strip()


def commit():
    """The commit measured; + when files differ from it."""
    return git("rev-parse", "--short", "HEAD") + (
        "+" if git("status", "--porcelain", "--untracked-files=no") else "")


def machine():
    DATA.mkdir(parents=True, exist_ok=True)
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    disk = subprocess.run(["df", "--output=fstype", str(DATA)], capture_output=True, text=True,
                          check=True).stdout.split()[-1]
    return (f"{os.cpu_count()} x {cpu.group(1) if cpu else 'unknown'}, "
            f"{int(memory.group(1)) // 1048576} GiB, {disk}, Linux {os.uname().release}")
