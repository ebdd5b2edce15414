"""headwater doctor: what it finds of a volume, limits and memory, on a terminal and in a pipe, and its exit status."""

import json
import os
import pty
import resource
import subprocess

import pytest

import headwater
from test_serve import own_volume

CHECKS = ["directory", "free space", "file system", "sync", "direct access", "open files", "clock", "memory"]
ADVISED = ("WARN", "FAIL")


def doctor(data, environment=None, files=None, under=()):
    """(exit status, {check: finding}); every line is one, in order."""
    def limit():
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    ran = subprocess.run([*map(str, under), str(headwater.program()), "doctor", "--data", str(data)], capture_output=True, text=True, check=False,
                         timeout=headwater.WAIT_S, env=headwater.plain_environment(environment), preexec_fn=limit)
    findings = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [finding["check"] for finding in findings] == [name for name in CHECKS if name in {f["check"] for f in findings}]
    for finding in findings:
        assert finding["result"] in ("OK", *ADVISED) and finding["found"]
        assert ("advice" in finding) == (finding["result"] in ADVISED), finding
    return ran.returncode, {finding["check"]: finding for finding in findings}


def test_a_directory_that_will_do(tmp_path):
    """Each thing is looked at, whether the directory is there or not, and nothing is left behind."""
    (tmp_path / "there").mkdir()
    for name, said in (("there", "can be written"), ("not/yet", "can be made")):
        status, found = doctor(tmp_path / name)
        assert status == 0 and list(found) == CHECKS
        assert found["directory"] == {"check": "directory", "result": "OK", "found": f"{tmp_path}/{name} {said}"}
        assert found["sync"]["found"].startswith("a sync takes ")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["there"]


def test_it_may_be_asked_while_a_server_runs(server):
    before = sorted(path.name for path in server.data.iterdir())
    assert doctor(server.data)[0] == 0
    assert sorted(path.name for path in server.data.iterdir()) == before
    assert server.http("GET", "/readyz")[0] == 200


def test_a_directory_that_cannot_be_written(tmp_path):
    """What needs a file there is left out; the rest is told."""
    (tmp_path / "file").write_text("")
    status, found = doctor(tmp_path / "file/data")
    assert status == 1 and found["directory"]["result"] == "FAIL" and f"{tmp_path}/file" in found["directory"]["found"]
    assert "sync" not in found and "direct access" not in found and "memory" in found


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no file system of memory here")
def test_a_file_system_of_memory_is_no_disk():
    status, found = doctor("/dev/shm/headwater-doctor-test/data")
    assert status == 0
    assert found["file system"]["result"] == "WARN" and found["file system"]["found"] == "tmpfs"
    assert found["sync"]["result"] == "WARN" and "too fast for a disk" in found["sync"]["advice"]
    assert not os.path.exists("/dev/shm/headwater-doctor-test")


@pytest.mark.parametrize("megabytes, result", [(100, "FAIL"), (1000, "WARN"), (4000, "OK")])
def test_a_small_volume(tmp_path, megabytes, result):
    status, found = doctor(tmp_path / "data", under=own_volume(tmp_path, megabytes))
    assert status == (1 if result == "FAIL" else 0)
    assert found["free space"]["result"] == result and found["free space"]["found"] == f"{megabytes} MB"


@pytest.mark.parametrize("files, result", [(128, "FAIL"), (1024, "WARN")])
def test_a_low_limit_of_open_files(tmp_path, files, result):
    status, found = doctor(tmp_path, files=files)
    assert status == (1 if result == "FAIL" else 0)
    assert found["open files"]["result"] == result and found["open files"]["found"].startswith(f"{files} may be open")


@pytest.mark.skipif(headwater.PRESET in ("asan", "tsan"), reason="a sanitizer's library must be loaded first")
def test_a_sync_that_fails(tmp_path):
    status, found = doctor(tmp_path, {"HWFAIL": "sync:EIO:2", "HWFAIL_ROOT": str(tmp_path),
                                      "LD_PRELOAD": str(headwater.program("libhwfail.so"))})
    assert status == 1 and found["sync"]["result"] == "FAIL" and "Input/output error" in found["sync"]["found"]
    assert not list(tmp_path.iterdir())


def test_on_a_terminal_it_is_a_table(tmp_path):
    near, far = pty.openpty()
    process = subprocess.Popen([str(headwater.program()), "doctor", "--data", str(tmp_path)], stdout=far,
                               stderr=subprocess.DEVNULL, env=headwater.plain_environment())
    os.close(far)
    assert process.wait(headwater.WAIT_S) == 0
    shown = os.read(near, 65536).decode()
    os.close(near)
    assert shown.startswith(f"OK    directory      {tmp_path} can be written\r\n") and len(shown.splitlines()) == len(CHECKS)


def test_wrong_arguments_are_told():
    process = headwater.Process("doctor", "--date", "x")
    assert process.wait() == 2
    assert process.err.text() == "headwater: doctor does not know '--date'\nTry: headwater doctor --help"
