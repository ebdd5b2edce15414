"""Fixtures of the tests that see the server as a black box. tests/lib/headwater.py says what a server can do."""

import pytest

import headwater


@pytest.fixture
def start_server(tmp_path):
    """Starts servers that end with the test: start_server(*options, hooks=False, environment=None)."""
    servers = []

    def start(*options, folder=None, **how):
        place = folder or tmp_path / f"server{len(servers)}"
        place.mkdir(parents=True, exist_ok=True)
        servers.append(headwater.Server(place, *options, **how))
        return servers[-1]

    yield start
    stop_all(servers)


@pytest.fixture
def server(start_server):
    """A server with an empty data directory, this test's own."""
    return start_server()


@pytest.fixture
def hooked(start_server):
    """A server with the test hooks: move_clock() and hold_followers() work on it."""
    return start_server(hooks=True)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One server for all tests that only need some server: they name tables of their own and never stop it."""
    with headwater.Server(tmp_path_factory.mktemp("shared")) as made:
        yield made


def stop_all(servers):
    """Stops every one, also when one of them does not end well; the first failure is told."""
    failure = None
    for one in servers:
        try:
            one.stop()
        except (AssertionError, OSError) as error:
            failure = failure or error
        finally:
            if one.process.is_running():
                one.process.kill()
    if failure:
        raise failure
