"""The log's budget of disk: writes are slowed and then refused, deletes last; nothing is trimmed for it, and what grows old makes room."""

import pytest

import api as api_module
import headwater
from api import Refused, wait_until

DAY_MS = 24 * 3600 * 1000
BUDGET = 2 << 20
PADDING = "x" * 10000
FULL = ("ProvisionedThroughputExceededException: The log has used up its budget (--log-budget): writes are refused until stream records "
        "have grown old and made room, deletes last; reads go on. A shorter retention or a larger budget makes room sooner.")


@pytest.fixture
def api(start_server):
    server = start_server("--segment-bytes", "256k", "--log-budget", "2m", hooks=True)
    made = api_module.Api(server.url, *server.credentials, before_sign=server.set_signing_clock)
    made.server = server
    return made


def refusal(call, *arguments, **named):
    """What it is refused with; None: it is not."""
    try:
        call(*arguments, **named)
    except Refused as refused:
        return f"{refused.type}: {refused.message}"
    return None


def delete(api, table, key):
    api.call("DeleteItem", TableName=table, Key={"pk": {"S": key}})


def put(api, table, key):
    api.put(table, pk={"S": key}, padding={"S": PADDING})


def fill(api, table):
    """Puts items until one is refused: the keys of those that were not."""
    keys = []
    while (said := refusal(put, api, table, f"k{len(keys)}")) is None:
        keys.append(f"k{len(keys)}")
        assert len(keys) < BUDGET / len(PADDING)
    assert said == FULL
    return keys


def events(api, table):
    return [(record["eventName"], record["dynamodb"]["Keys"]["pk"]["S"]) for record in api.records(table)]


def test_writes_stop_at_the_budget_and_go_on_when_records_have_grown_old(api):
    table = api.create(view="NEW_IMAGE")
    keys = fill(api, table)
    told = [("INSERT", key) for key in keys]
    used = api.server.metrics()
    assert len(keys) * len(PADDING) > BUDGET * 0.75
    assert used["headwater_log_budget_bytes"] == BUDGET and BUDGET * 0.9 < used["headwater_log_disk_bytes"] <= BUDGET
    assert api.get(table, pk={"S": keys[0]})["padding"] == {"S": PADDING}
    assert events(api, table) == told

    last_said = None
    for key in keys:
        last_said = refusal(delete, api, table, key)
        if last_said is not None:
            break
        told.append(("REMOVE", key))
    assert last_said == FULL and len(told) > len(keys) + 50
    assert refusal(put, api, table, "more") == FULL
    api.server.kill()
    api.server.start()
    assert refusal(put, api, table, "more") == FULL and events(api, table) == told
    assert api.server.metrics()["headwater_log_disk_bytes"] <= BUDGET

    api.server.move_clock(DAY_MS + 60000)
    wait_until(lambda: refusal(put, api, table, "more") is None)
    wait_until(lambda: events(api, table) == [("INSERT", "more")])
    assert api.server.metrics()["headwater_log_disk_bytes"] < BUDGET


def test_what_no_stream_keeps_uses_up_no_budget(api):
    table = api.create(view=None)
    keys = [f"k{number}" for number in range(3 * BUDGET // len(PADDING))]
    for key in keys:
        wait_until(lambda key=key: refusal(put, api, table, key) is None)
    used = api.server.metrics()
    assert used["headwater_log_cleanings_total"] > 0 and used["headwater_log_disk_bytes"] <= BUDGET
    api.server.kill()
    api.server.start()
    assert all(api.get(table, pk={"S": key}) is not None for key in keys)


def test_a_batch_beyond_the_budget_is_done_as_far_as_it_may_be(api):
    table = api.create(view="NEW_IMAGE")
    first, second, *_ = fill(api, table)
    batch = [{"PutRequest": {"Item": {"pk": {"S": "new"}, "padding": {"S": PADDING}}}}, {"DeleteRequest": {"Key": {"pk": {"S": first}}}}]
    assert api.call("BatchWriteItem", RequestItems={table: batch})["UnprocessedItems"] == {table: batch[:1]}
    assert api.get(table, pk={"S": first}) is None and api.get(table, pk={"S": second}) is not None
    update = {"Update": {"TableName": table, "Key": {"pk": {"S": second}}, "UpdateExpression": "SET padding = :new",
                         "ExpressionAttributeValues": {":new": {"S": PADDING[1:]}}}}
    assert refusal(api.call, "TransactWriteItems", TransactItems=[update]) == FULL
    assert api.get(table, pk={"S": second})["padding"] == {"S": PADDING}


def test_without_a_budget_there_is_none(shared):
    assert shared.metrics()["headwater_log_budget_bytes"] == 0


@pytest.mark.parametrize("budget", ["2097151", "1"])
def test_a_budget_of_less_than_eight_segments_is_refused(tmp_path, budget):
    process = headwater.Process("serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", "--segment-bytes", "256k", "--log-budget", budget)
    assert process.wait() == 2
    assert f"option log-budget is {budget}: it must be 0, or 2097152 at least, 8 segments of segment-bytes" in process.err.text()
    assert not (tmp_path / "data").exists()
