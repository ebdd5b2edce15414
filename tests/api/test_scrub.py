"""headwater log verify --online: a running server reads its own log and view, by schedule and on demand."""

import concurrent.futures
import json
import os
import subprocess
import time

import pytest

import api as api_module
import headwater
from test_keys import own, policy, statement
from test_log import flip, frames, get, log_command, make_table, put, segments
from test_serve import eventually

SMALL = ("--segment-bytes", "262144", "--memtable-bytes", "65536", "--flush-bytes", "262144", "--scrub-bytes-per-second", "1g")
LOAD_S = float(os.environ.get("HW_TEST_SCRUB_S", "8"))


def verify(server, *words):
    """(exit status, standard output)"""
    ran = subprocess.run([str(headwater.program()), "log", "verify", "--online", "--data", str(server.data), *words], capture_output=True,
                         text=True, env=headwater.plain_environment(), timeout=120, check=False)
    assert ran.stderr == "" or ran.returncode not in (0, 3), ran.stderr
    return ran.returncode, ran.stdout + (ran.stderr if ran.returncode == 1 else "")


def named(out):
    """The files that the command calls damaged."""
    return [line.split()[1] for line in out.splitlines() if line.startswith("DAMAGED ")]


def tables(server):
    return sorted((server.data / "view").glob("*.sst"))


@pytest.fixture
def written(start_server):
    """A server with several sealed segments, their indexes, and tables of the view."""
    server = start_server(*SMALL)
    make_table(server)
    for number in range(12):
        put(server, f"a{number % 5}", v={"S": f"{number} " + "x" * 100000})
    assert len(segments(server)) > 4
    eventually(lambda: tables(server) and server.metrics()["headwater_log_segments_ready"] == 1)
    eventually(lambda: "index" in [kind for kind, _, _ in frames(segments(server)[1])])
    return server


def test_a_whole_server_is_called_so_and_goes_on(written):
    status, out = verify(written)
    assert status == 0 and out.startswith("whole: "), out
    figures = written.metrics()
    assert figures["headwater_scrub_passes_total"] == 1 and figures["headwater_scrub_damages_total"] == 0
    assert figures["headwater_scrub_running"] == 0
    assert figures["headwater_scrub_bytes"] == figures["headwater_scrub_bytes_all"] > 1200000
    assert figures["headwater_scrub_records"] >= 12 and figures["headwater_scrub_rows"] >= 5
    assert abs(figures["headwater_scrub_end_seconds"] - time.time()) < 60
    put(written, "later")
    assert get(written, "later")


@pytest.mark.parametrize("kind", ["data", "end", "index"])
def test_a_changed_bit_in_a_sealed_segment_is_named(written, kind):
    path = segments(written)[1]
    at, length = next((at, length) for found, at, length in frames(path) if found == kind)
    flip(path, at + 64 + (length - 64) // 2)
    status, out = verify(written)
    for _ in range(5):
        if status != 0 or kind != "index":
            break
        # The trim point's reader came first: an index that it finds damaged is made again at once.
        assert "log.index_made_again" in written.process.err.text()
        flip(path, at + 64 + (length - 64) // 2)
        status, out = verify(written)
    assert status == 3 and named(out) == [str(path)], out
    assert f"DAMAGED {path} at offset {at}: " in out and out.splitlines()[-1].startswith("read: ")
    assert written.metrics()["headwater_scrub_damages"] == 1
    told = [json.loads(line) for line in written.process.err.text().splitlines() if '"scrub.damaged"' in line]
    assert [(line["file"], line["offset"]) for line in told] == [(str(path), at)] and told[0]["reason"]
    put(written, "later")
    assert get(written, "later") and get(written, "a4")["v"]["S"].startswith("9 ")
    if kind == "index":
        eventually(lambda: verify(written)[0] == 0)
    assert written.metrics()["headwater_scrub_damages_total"] >= 1
    if kind != "index":
        flip(path, at + 64 + (length - 64) // 2)
        assert verify(written)[0] == 0
        assert written.metrics()["headwater_scrub_damages"] == 0


def test_a_changed_bit_in_a_table_of_the_view_is_named(written):
    status, out = verify(written)
    assert status == 0, out
    path = tables(written)[0]
    flip(path, path.stat().st_size // 2)
    status, out = verify(written)
    assert status == 3 and str(path) in named(out), out
    assert "its bytes do not give its checksum" in out and "Restore the data directory" in out
    flip(path, path.stat().st_size // 2)
    assert verify(written)[0] == 0


def test_offline_it_names_the_way_to_ask_the_server(written):
    status, _, err = log_command("verify", written)
    assert status == 5 and "headwater log verify --online" in err


def test_it_is_started_by_the_schedule(start_server):
    server = start_server("--scrub-interval-ms", "100")
    eventually(lambda: server.metrics()["headwater_scrub_passes_total"] >= 3)
    off = start_server("--scrub-interval-ms", "0")
    time.sleep(0.5)
    assert off.metrics()["headwater_scrub_passes_total"] == 0


def test_the_rate_is_kept_and_a_stop_does_not_wait_for_it(written):
    began = time.monotonic()
    status, out = verify(written, "--bytes-per-second", "1000000")
    took = time.monotonic() - began
    bytes_read = int(out.split()[1])
    assert status == 0 and took > bytes_read / 1000000 - 0.5, (took, bytes_read)
    client = api_module.Api(written.url, *written.credentials)
    assert own(client, "StartScrub", BytesPerSecond=65536)["Scrub"]["Status"] == "RUNNING"
    eventually(lambda: own(client, "DescribeScrub")["Scrub"]["Bytes"] > 0)
    seen = own(client, "DescribeScrub")["Scrub"]
    assert seen["Status"] == "RUNNING" and seen["Bytes"] < seen["BytesAll"]
    began = time.monotonic()
    written.stop()
    assert time.monotonic() - began < 5


def test_wrong_words_are_refused(written):
    assert verify(written, "--bytes-per-second", "10")[0] == 2
    assert verify(written, "--bytes-per-second", "fast")[0] == 2
    assert verify(written, "more")[0] == 2
    client = api_module.Api(written.url, *written.credentials)
    for wrong in (10, "100000", -1, 1e6 + 0.5):
        with pytest.raises(api_module.Refused) as refused:
            own(client, "StartScrub", BytesPerSecond=wrong)
        assert refused.value.type == "ValidationException"


def test_a_key_needs_to_be_allowed_to(written):
    owner = api_module.Api(written.url, *written.credentials)
    made = own(owner, "CreateKey", Name="ann", Policy=policy(statement("headwater:DescribeScrub", "*")))["Key"]
    ann = api_module.Api(written.url, made["AccessKeyId"], made["SecretAccessKey"])
    assert own(ann, "DescribeScrub")["Scrub"]["Status"] == "IDLE"
    with pytest.raises(api_module.Refused) as refused:
        own(ann, "StartScrub")
    assert refused.value.type == "AccessDeniedException" and "headwater:StartScrub" in str(refused.value)


def test_no_alarm_is_raised_under_load(start_server):
    """Small segments that are sealed, indexed and trimmed all the time, and a view that compacts; HW_TEST_SCRUB_S for longer."""
    server = start_server(*SMALL, "--retention-ms", "1000")
    make_table(server)
    end = time.monotonic() + LOAD_S

    def write(worker):
        count = 0
        while time.monotonic() < end:
            try:
                put(server, f"{worker} {count % 700}", v={"S": "x" * (1000 + count % 7 * 3000)})
                if count % 3 == 0:
                    server.dynamodb.delete_item(TableName="Music", Key={"Artist": {"S": f"{worker} {count % 350}"}})
            except server.dynamodb.exceptions.ProvisionedThroughputExceededException:
                time.sleep(0.02)  # memtables this small are full before they are written
            count += 1
        return count

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, worker) for worker in range(4)]
        passes = 0
        while time.monotonic() < end:
            status, out = verify(server)
            assert status == 0, out
            passes += 1
        assert all(writer.result() > 10 for writer in writers) and passes > 3
    figures = server.metrics()
    assert figures["headwater_scrub_damages_total"] == 0 and figures["headwater_scrub_passes_total"] >= passes
    assert int(segments(server)[0].name[:20]) > 1, "nothing was trimmed"
    assert figures["headwater_view_flushes_total"] > 3
