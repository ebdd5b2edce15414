"""The endpoint under test: a server of this tree, or the one that DYNAMODB_URL names (see tests/lib/api.py)."""

import os

import pytest

import api as api_module

FOREIGN_URL = os.environ.get("DYNAMODB_URL")


def pytest_configure(config):
    config.addinivalue_line("markers", "headwater: what only Headwater promises; left out elsewhere")


def pytest_collection_modifyitems(config, items):
    """Cases of Headwater's own are no cases of another server."""
    if FOREIGN_URL:
        own = [item for item in items if item.get_closest_marker("headwater")]
        config.hook.pytest_deselected(items=own)
        items[:] = [item for item in items if item not in own]


@pytest.fixture(scope="session")
def api(request):
    """The endpoint, with the clients that talk to it."""
    if FOREIGN_URL:
        return api_module.Api(FOREIGN_URL, os.environ.get("AWS_ACCESS_KEY_ID", "test"),
                              os.environ.get("AWS_SECRET_ACCESS_KEY", "test"), foreign=True)
    server = request.getfixturevalue("shared")
    return api_module.Api(server.url, *server.credentials, before_sign=server.set_signing_clock)


@pytest.fixture
def own(start_server):
    """An Api of a server of this test's own: own(server) or own(*options, hooks=True)."""

    def connect(*options, **how):
        server = start_server(*options, **how)
        made = api_module.Api(server.url, *server.credentials, before_sign=server.set_signing_clock)
        made.server = server
        return made

    return connect


@pytest.fixture(scope="session")
def dense(api):
    """A table with the items k0 to k9 of 409,000 bytes, whose JSON is nine times as large."""
    made = api.create("pk:S")
    for i in range(10):
        api.put(made, pk={"S": f"k{i}"}, v={"L": [{"S": ""}] * 409_000})
    return made


@pytest.fixture(scope="session")
def hashed(api):
    """A table with a partition key pk: S."""
    return api.create("pk:S")


@pytest.fixture(scope="session")
def sorted_table(api):
    """A table with the keys pk: S, sk: N."""
    return api.create("pk:S,sk:N")


@pytest.fixture
def key(api):
    """A partition key that no other test uses, as an attribute value."""
    return {"S": api.name("k")}
