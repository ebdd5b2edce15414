"""A server for libraries that map objects to items, reached by a way that can lose answers."""

import pytest

import headwater
import lossy


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with headwater.Server(tmp_path_factory.mktemp("orm")) as made:
        yield made


@pytest.fixture(scope="session")
def way(server):
    with lossy.Lossy(server.port) as made:
        yield made
