"""What any version has written is read by this one: every directory under tests/data, as it was and after going on."""

import json
import lzma
import tarfile

import golden
import pytest

ARCHIVES = sorted(golden.DATA.glob("*/*.tar.xz"))


def test_there_are_directories_to_open():
    assert {"killed.tar.xz", "stopped.tar.xz"} <= {archive.name for archive in ARCHIVES}


@pytest.fixture
def unpacked(tmp_path):
    def unpack(archive):
        with tarfile.open(archive) as packed:
            packed.extractall(tmp_path)
        return tmp_path

    return unpack


def test_every_kind_of_record_is_in_one_of_them(tmp_path):
    found = set()
    for number, archive in enumerate(ARCHIVES):
        with tarfile.open(archive) as packed:
            packed.extractall(tmp_path / str(number))
        found |= golden.kinds_in(tmp_path / str(number) / "data")
    assert len(found) >= 11 and found == golden.kinds()


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: f"{archive.parent.name}-{archive.name.split('.')[0]}")
def test_all_of_it_is_there_and_it_goes_on(start_server, unpacked, archive):
    with lzma.open(archive.with_name("expected.json.xz"), "rt", encoding="utf-8") as packed:
        expected = json.load(packed)
    server = start_server(golden.KEEP, *golden.SMALL, folder=unpacked(archive))
    assert golden.unordered(golden.read_all(server, expected["asked"])) == golden.unordered(expected)
    item = {"h": {"S": "new"}, "n": {"N": "1"}}
    golden.ok(server, "PutItem", TableName="simple", Item=item)
    server.stop()
    golden.verify_log(server)
    server.start()
    arn = next(table["Table"]["LatestStreamArn"] for table in expected["tables"] if table["Table"]["TableName"] == "simple")
    before = expected["streams"][arn]["records"][0]
    now = golden.read_streams(server)[arn]["records"][0]
    assert now[:-1] == before
    assert now[-1]["dynamodb"]["NewImage"] == item and now[-1]["eventName"] == "INSERT"
    assert int(now[-1]["dynamodb"]["SequenceNumber"]) > int(before[-1]["dynamodb"]["SequenceNumber"])
    server.kill()
    server.start()
    assert golden.ok(server, "GetItem", TableName="simple", Key={"h": {"S": "new"}})["Item"] == item
