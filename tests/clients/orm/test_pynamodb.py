"""PynamoDB, unmodified: models saved, read back, changed, paged, and what it makes of refusals and of lost answers."""

import datetime

import pytest
from pynamodb import attributes, exceptions, models, transactions
from pynamodb.connection import Connection

NOON = datetime.datetime(2026, 11, 30, 12, 0, 0, 250000, tzinfo=datetime.timezone.utc)


class Address(attributes.MapAttribute):
    street = attributes.UnicodeAttribute()
    number = attributes.NumberAttribute(null=True)


class Track(models.Model):
    class Meta:
        table_name = "tracks"
        region = "us-east-1"
        billing_mode = "PAY_PER_REQUEST"
        max_retry_attempts = 3
        base_backoff_ms = 1

    artist = attributes.UnicodeAttribute(hash_key=True)
    number = attributes.NumberAttribute(range_key=True)
    title = attributes.UnicodeAttribute(null=True)
    plays = attributes.NumberAttribute(default=0)
    live = attributes.BooleanAttribute(null=True)
    cover = attributes.BinaryAttribute(null=True, legacy_encoding=False)
    tags = attributes.UnicodeSetAttribute(null=True)
    marks = attributes.NumberSetAttribute(null=True)
    notes = attributes.ListAttribute(null=True)
    label = Address(null=True)
    more = attributes.JSONAttribute(null=True)
    recorded = attributes.UTCDateTimeAttribute(null=True)
    until = attributes.TTLAttribute(null=True)


class Draft(models.Model):
    class Meta(Track.Meta):
        table_name = "drafts"

    name = attributes.UnicodeAttribute(hash_key=True)
    text = attributes.UnicodeAttribute(null=True)
    version = attributes.VersionAttribute()


class Nowhere(models.Model):
    class Meta(Track.Meta):
        table_name = "nowhere"

    name = attributes.UnicodeAttribute(hash_key=True)


@pytest.fixture(scope="module", autouse=True)
def connected(server, way):
    """The models' tables, made and waited for by the library, which removes them at the end."""
    for model in (Track, Draft, Nowhere):
        model.Meta.host = way.url
        model.Meta.aws_access_key_id, model.Meta.aws_secret_access_key = server.credentials
    for model in (Track, Draft):
        assert not model.exists()
        model.create_table(wait=True)
        assert model.exists() and model.describe_table()["TableStatus"] == "ACTIVE"
    yield
    for model in (Track, Draft):
        model.delete_table(wait=True)
        assert not model.exists()


@pytest.fixture(scope="module")
def album():
    """Thirty tracks of one artist, put in batches of 25."""
    with Track.batch_write() as batch:
        for number in range(1, 31):
            batch.save(Track("Album", number, title=f"title {number}", plays=number * 10))
    return "Album"


def test_every_kind_of_attribute_comes_back():
    saved = Track("é", 1.5, title="", plays=12345678901234567890, live=False, cover=b"\x00\xff", tags={"b", "a"}, marks={1, 2.5},
                  notes=["x", 1, None, [True], {"k": "v"}], label=Address(street="Main", number=7), more={"a": [1, None]},
                  recorded=NOON, until=NOON.replace(microsecond=0))
    saved.save()
    read = Track.get("é", 1.5, consistent_read=True)
    assert read.serialize() == saved.serialize() and read.serialize()["plays"] == {"N": "12345678901234567890"}
    assert (read.label.street, read.label.number, read.recorded, read.cover) == ("Main", 7, NOON, b"\x00\xff")
    assert Track.get("é", 1.5, attributes_to_get=["title", "label"]).attribute_values.keys() == {"title", "label", "plays"}


def test_a_query_is_paged_and_can_be_continued(album):
    pages = Track.query(album, page_size=7)
    assert [track.number for track in pages] == list(range(1, 31))
    first = Track.query(album, Track.number > 10, limit=5, page_size=5)
    assert [track.number for track in first] == [11, 12, 13, 14, 15]
    assert first.last_evaluated_key == {"artist": {"S": album}, "number": {"N": "15"}}
    rest = Track.query(album, Track.number > 10, last_evaluated_key=first.last_evaluated_key, scan_index_forward=True)
    assert [track.number for track in rest] == list(range(16, 31))
    assert [track.number for track in Track.query(album, scan_index_forward=False, limit=2)] == [30, 29]
    assert Track.count(album, Track.number.between(3, 6)) == 4
    filtered = Track.query(album, filter_condition=(Track.plays >= 290) | Track.title.startswith("title 2") & ~Track.title.contains("5"))
    assert [track.number for track in filtered] == [2, *range(20, 25), *range(26, 31)]


def test_a_scan_visits_everything_in_pages_and_in_segments(album):
    whole = Track.scan(Track.artist == album, page_size=4)
    assert sorted(track.number for track in whole) == list(range(1, 31))
    segments = [{track.number for track in Track.scan(segment=i, total_segments=3)} for i in range(3)]
    assert set(range(1, 31)) <= set().union(*segments) and sum(map(len, segments)) == len(set().union(*segments)) >= 30


def test_a_batch_is_read_and_deleted(album):
    keys = [(album, number) for number in range(1, 31)] + [("nobody", 1)]
    assert sorted(track.plays for track in Track.batch_get(keys)) == [number * 10 for number in range(1, 31)]
    with Track.batch_write() as batch:
        for number in range(40, 70):
            batch.save(Track("Batch", number))
    with Track.batch_write() as batch:
        for number in range(40, 69):
            batch.delete(Track("Batch", number))
    assert [track.number for track in Track.query("Batch")] == [69]


def test_updates_change_the_model_too():
    track = Track("Updates", 1, plays=1, notes=["a"], tags={"x"})
    track.save()
    track.update(actions=[Track.plays.add(4), Track.notes.set(Track.notes.append(["b"])), Track.tags.add({"y"}), Track.title.set("new"),
                          Track.live.set(Track.live | True)])
    assert (track.plays, track.notes, track.tags, track.title, track.live) == (5, ["a", "b"], {"x", "y"}, "new", True)
    track.update(actions=[Track.title.remove(), Track.tags.delete({"x"}), Track.plays.set(Track.plays - 2)], condition=Track.plays == 5)
    track.refresh(consistent_read=True)
    assert (track.plays, track.tags, track.title) == (3, {"y"}, None)
    track.delete(condition=Track.plays == 3)
    with pytest.raises(Track.DoesNotExist):
        track.refresh()


def test_a_failed_condition_is_typed():
    track = Track("Conditions", 1, title="kept")
    track.save(condition=Track.artist.does_not_exist())
    with pytest.raises(exceptions.PutError) as refused:
        track.save(condition=Track.artist.does_not_exist())
    assert refused.value.cause_response_code == "ConditionalCheckFailedException"
    assert refused.value.cause_response_message == "The conditional request failed"
    with pytest.raises(exceptions.UpdateError) as refused:
        track.update(actions=[Track.plays.add(1)], condition=Track.title.is_in("a", "b"), add_version_condition=False)
    assert refused.value.cause_response_code == "ConditionalCheckFailedException"
    with pytest.raises(exceptions.DeleteError):
        track.delete(condition=Track.title != "kept")
    assert Track.get("Conditions", 1).title == "kept"


def test_a_missing_table_and_a_missing_item_are_typed():
    with pytest.raises(exceptions.GetError) as refused:
        Nowhere.get("any")
    assert refused.value.cause_response_code == "ResourceNotFoundException"
    assert refused.value.cause_response_message == "Requested resource not found"
    with pytest.raises(Track.DoesNotExist):
        Track.get("nobody", 1)


def test_versions_refuse_the_one_who_comes_late():
    Draft("plan", text="one").save()
    early, late = Draft.get("plan"), Draft.get("plan")
    early.text = "two"
    early.save()
    late.text = "three"
    with pytest.raises(exceptions.PutError) as refused:
        late.save()
    assert refused.value.cause_response_code == "ConditionalCheckFailedException"
    assert (Draft.get("plan").text, Draft.get("plan").version) == ("two", 2)


def test_transactions_are_whole_or_nothing(server, way):
    key, secret = server.credentials
    connection = Connection(region="us-east-1", host=way.url, aws_access_key_id=key, aws_secret_access_key=secret)
    with transactions.TransactWrite(connection=connection) as write:
        write.save(Track("Transact", 1, plays=1))
        write.save(Draft("transact", text="t"))
    with pytest.raises(exceptions.TransactWriteError) as cancelled:
        with transactions.TransactWrite(connection=connection) as write:
            write.update(Track("Transact", 1), actions=[Track.plays.add(1)])
            write.condition_check(Draft, "transact", condition=Draft.text == "other")
    assert cancelled.value.cause_response_code == "TransactionCanceledException"
    assert [reason and reason.code for reason in cancelled.value.cancellation_reasons] == ["ConditionalCheckFailed", None] # it sends its checks first
    with transactions.TransactGet(connection=connection) as read:
        track = read.get(Track, "Transact", 1)
        draft = read.get(Draft, "transact")
    assert (track.get().plays, draft.get().text) == (1, "t")


def test_lost_answers_are_asked_for_again(way):
    way.lose(2)
    Track("Lost", 1, title="there").save()
    assert way.lost == 2
    way.lose(1)
    assert Track.get("Lost", 1).title == "there"
    assert way.lost == 1
    way.lose(4)
    with pytest.raises(exceptions.PutError):
        Track("Lost", 2).save()
    assert (way.lost, Track.get("Lost", 2).number) == (4, 2)
