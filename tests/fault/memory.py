"""A server in 128 MB of memory, and one in so little that the kernel kills it: nothing that was acknowledged is lost.

The server runs in a memory control group of its own (as root; version 1 or 2, whichever the machine has), with --memory-bytes=128m
and a limit of 128 MB: headwater-bench loads more data than that, then the ledger holds everything acknowledged against table and
stream through kills. The kernel kills nothing, and what is resident stays within the option and a tenth. Then the limit is
lowered under a server with default options until the kernel kills it under load, again and again: each such end is one more kill for
the ledger.

    tests/fault/memory.py [--seed N]
"""

import argparse
import contextlib
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import headwater

HERE = pathlib.Path(__file__).resolve().parent
BIN = headwater.program().parent
LIMIT_MB = 128
ITEMS = 60000
TIGHT_MB = 24
MB = 1 << 20


def check(truth, *told):
    if not truth:
        raise AssertionError(" ".join(str(each) for each in told))


class Group:
    """A memory control group."""

    def __init__(self, name):
        first = pathlib.Path("/sys/fs/cgroup/memory")
        self.is_first = first.is_dir()
        self.path = (first if self.is_first else pathlib.Path("/sys/fs/cgroup")) / name
        self.path.mkdir()

    def limit(self, megabytes):
        names = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] if self.is_first else ["memory.max"]
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                (self.path / name).write_text(str(megabytes * MB), encoding="ascii")

    def kills(self):
        events = self.path / ("memory.oom_control" if self.is_first else "memory.events")
        return int(re.search(r"^oom_kill (\d+)$", events.read_text(encoding="ascii"), re.MULTILINE).group(1))

    def remove(self):
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(0.05)


@contextlib.contextmanager
def group():
    made = Group(f"headwater-test-{os.getpid()}")
    try:
        yield made
    finally:
        made.remove()


class Resident:
    """Looks how much the process in a file has had resident at most, as long as it is entered."""

    def __init__(self, pid_file):
        self.pid_file = pid_file
        self.most_mb = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self.ended.wait(0.01):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                pid = int(self.pid_file.read_text(encoding="ascii"))
                status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
                self.most_mb = max(self.most_mb, int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *ignored):
        self.ended.set()
        self.thread.join()


def environment(limited, folder):
    return {"CGROUP": str(limited.path), "PID_FILE": str(folder / "pid"), "HW_BIN": str(BIN)}


def ledger(limited, folder, arguments, options):
    """(exit status, what it said)"""
    run = subprocess.run(
        [BIN / "ledger", "--server", HERE / "serve-limited", "--data", folder / "data", *arguments, "--", *options],
        env={**os.environ, **environment(limited, folder)}, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


@contextlib.contextmanager
def limited_server(limited, folder, options):
    """Its address; it must end clean."""
    server = subprocess.Popen(
        [HERE / "serve-limited", "serve", "--listen", "127.0.0.1:0", "--data", folder / "loaded", *options],
        env={**headwater.plain_environment(), **environment(limited, folder)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield next(line.split("url=")[1].strip() for line in server.stdout if line.startswith("listening url="))
        server.terminate()
        check(server.wait() == 0, "the loaded server ended with", server.returncode)
    finally:
        server.kill()
        server.wait()


def within_the_limit(limited, folder, seed):
    limited.limit(LIMIT_MB)
    options = [f"--memory-bytes={LIMIT_MB}m"]
    with Resident(folder / "pid") as resident:
        with limited_server(limited, folder, options) as url:
            load = subprocess.run(
                [BIN / "headwater-bench", "--endpoint", url, "--credentials", folder / "loaded/credentials", "--create",
                 "--stream", "NEW_AND_OLD_IMAGES", "--load", "--items", str(ITEMS), "--connections", "200", "--seed", str(seed),
                 "--mix", "put=40,get=30,update=20,transact=10", "--seconds", "5", "--warmup", "0"],
                capture_output=True, text=True, check=False)
            check(load.returncode == 0, "the load ended with", load.returncode, load.stdout, load.stderr)
        status, said = ledger(limited, folder, ["--rounds", "15", "--seed", str(seed), "--most-ms", "600"], options)
    check(status == 0, said)
    check(limited.kills() == 0, "the kernel killed it", limited.kills(), "times")
    check(0 < resident.most_mb <= 1.1 * LIMIT_MB, resident.most_mb, "MB were resident")
    return f"at most {resident.most_mb:.0f} MB were resident"


def killed_by_the_kernel(limited, folder, seed):
    """Every second start has so little that it does not live long; the one after it must have everything."""
    name = limited.path / ("memory.limit_in_bytes" if limited.is_first else "memory.max")
    limited.limit(512)
    judge = f'[ "$STATUS" = 137 ] && if [ $((START % 2)) = 1 ]; then echo {TIGHT_MB}M; else echo 512M; fi >{name}'
    status, said = ledger(limited, folder, ["--kill-by", "fault", "--rounds", "40", "--seed", str(seed), "--least-ms", "200", "--most-ms",
                                           "1500", "--after-death", judge], [])
    check(status == 0, said)
    check(limited.kills() >= 5, "the kernel killed it only", limited.kills(), "times")
    return f"killed {limited.kills()} times"


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    seed = options.parse_args().seed
    scenes = [within_the_limit, killed_by_the_kernel]
    failed = 0
    print(f"seed {seed}", flush=True)
    for scene in scenes:
        try:
            with tempfile.TemporaryDirectory(prefix="headwater-memory-") as folder, group() as limited:
                print(f"ok   {scene.__name__}: {scene(limited, pathlib.Path(folder), seed)}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print(f"FAIL {scene.__name__}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(scenes) - failed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
