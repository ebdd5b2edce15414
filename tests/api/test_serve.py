"""Starting, stopping and being asked for nothing in particular."""


def test_data_outlives_a_stop_and_a_kill(server):
    """What was acknowledged is there after a clean stop and after a kill."""
    server.dynamodb.create_table(
        TableName="Music", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "Artist", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Artist", "AttributeType": "S"}])
    item = {"Artist": {"S": "Acme"}, "Year": {"N": "1999"}}
    server.dynamodb.put_item(TableName="Music", Item=item)
    server.restart()
    assert server.dynamodb.get_item(TableName="Music", Key={"Artist": {"S": "Acme"}})["Item"] == item
    server.kill()
    server.start()
    assert server.dynamodb.get_item(TableName="Music", Key={"Artist": {"S": "Acme"}})["Item"] == item


def test_moved_clock_moves_signatures(hooked):
    """Fifteen minutes are what a signature's time may be off; the test clock moves both sides."""
    hooked.move_clock(16 * 60 * 1000)
    assert hooked.dynamodb.list_tables()["TableNames"] == []
    hooked.shift_ms = 0
    status, answer = hooked.call("ListTables", {})
    assert status == 400 and "expired" in answer["message"], answer
