"""Other servers that speak DynamoDB's protocol: each of a fixed version, installed in build/elsewhere when it is not there, started on
the loopback and ended."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import headwater

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACE = ROOT / "build/elsewhere"
START_S = 60
LOCAL, MOTO, DYNOXIDE = "2.6.1", "5.2.5", "3.2.0"
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>elsewhere</groupId><artifactId>local</artifactId><version>1</version><packaging>pom</packaging><dependencies><dependency>
<groupId>com.amazonaws</groupId><artifactId>DynamoDBLocal</artifactId><version>{LOCAL}</version></dependency></dependencies></project>"""


@contextlib.contextmanager
def running(name):
    """(url, key id, secret) of local, moto, dynoxide or headwater while it runs. A server at a URL runs already, and
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say who calls."""
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID", "local"), os.environ.get("AWS_SECRET_ACCESS_KEY", "local")
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if "://" in name:
            yield name, key_id, secret
        elif name == "headwater":
            with headwater.Server(folder) as server:
                yield server.url, *server.credentials
        elif name in PEERS:
            with started(name, folder) as url:
                yield url, key_id, secret
        else:
            sys.exit(f"no server is known as {name}: local, moto, dynoxide, headwater or a URL")


@contextlib.contextmanager
def started(name, folder):
    port = free_port()
    command = PEERS[name](PLACE / name, port)
    with open(PLACE / f"{name}.log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


# ---- each is installed once, and its command given ----

@contextlib.contextmanager
def installing(place, version):
    """Whether it is missing. What is there counts only with the mark that is made when all of it is: the rest of one that was
    broken off, or another version, is removed first. Not moved into place instead, as an environment of Python knows where it is."""
    mark = place / "installed"
    if mark.exists() and mark.read_text(encoding="ascii") == version:
        yield False
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    yield True
    mark.write_text(version, encoding="ascii")


def local(place, port):
    jars = place / LOCAL
    with installing(place, LOCAL) as missing:
        if missing:
            (place / "pom.xml").write_text(POM, encoding="ascii")
            subprocess.run(["mvn", "-q", "-B", "-f", place / "pom.xml", "dependency:copy-dependencies", f"-DoutputDirectory={jars}"], check=True)
    return ["java", "-Xmx2g", f"-Djava.library.path={jars}", "-cp", f"{jars}/*",
            "com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", str(port)]


def moto(place, port):
    with installing(place, MOTO) as missing:
        if missing:
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            subprocess.run([place / "bin/pip", "install", "-q", f"moto[server,dynamodb]=={MOTO}"], check=True)
    return [place / "bin/moto_server", "-H", "127.0.0.1", "-p", str(port)]


def dynoxide(place, port):
    with installing(place, DYNOXIDE) as missing:
        if missing:
            subprocess.run(["nice", "-n", "19", "cargo", "install", "--locked", "--quiet", "--root", place, f"dynoxide-rs@{DYNOXIDE}"], check=True)
    return [place / "bin/dynoxide", "--host", "127.0.0.1", "--port", str(port)]


PEERS = {"local": local, "moto": moto, "dynoxide": dynoxide}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as door:
        return door.getsockname()[1]


def wait_for(process, port):
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server did not start")
