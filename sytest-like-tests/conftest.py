"""Fixtures: a server shared by a worker, servers of one's own, clients, and the log as a witness.

A test that uses a server fails when that server logged a WARN or ERROR line meanwhile that the
test did not expect; a failing test's report carries the tail of its servers' logs.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import aiohttp
import pytest

from harness.matrix_api import MatrixApi
from harness.nexus_api import NexusApi
from harness.playground import Playground, build_playground
from harness.scene import Clients, Guild, make_guild
from harness.server import NexusServer, binary_path

ServerFactory = Callable[..., NexusServer]

SERVERS_OF_TEST = pytest.StashKey[list[NexusServer]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    if not binary_path().exists():
        pytest.exit(f"no server binary at {binary_path()}; set NEXUS_BINARY", returncode=2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for server in item.stash.get(SERVERS_OF_TEST, []):
            title = f"log of server on port {server.port}"
            log = "\n".join(server.log_since_mark().splitlines()[-80:])
            if not any(title == name for name, _ in report.sections):
                report.sections.append((title, log))
    return report


@pytest.fixture(autouse=True)
def _turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests marked `alone` hold the machine exclusively, all others share it."""
    alone = request.node.get_closest_marker("alone") is not None
    path = Path(tempfile.gettempdir()) / f"nexus-test-turn-{os.getuid()}"
    with path.open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NexusServer]:
    """One server a worker, for all tests that neither restart nor configure it."""
    server = NexusServer(tmp_path_factory.mktemp("shared"))
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.close()


@pytest.fixture
def server(shared_server: NexusServer, request: pytest.FixtureRequest) -> Iterator[NexusServer]:
    """The shared server, its log watched for the time of this test."""
    shared_server.mark_log()
    _watch(request, shared_server)
    yield shared_server
    assert shared_server.is_running, f"the server died:\n{shared_server.log_tail()}"
    _assert_quiet(shared_server)


@pytest.fixture
def make_server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerFactory]:
    """Makes servers of one's own (not started); closed and their logs checked afterwards."""
    made: list[NexusServer] = []

    def make(**options: object) -> NexusServer:
        server = NexusServer(tmp_path / f"server-{len(made)}", **options)  # type: ignore[arg-type]
        made.append(server)
        _watch(request, server)
        return server

    yield make
    for server in made:
        server.close()
    for server in made:
        _assert_quiet(server)


@pytest.fixture
def own_server(make_server: ServerFactory) -> NexusServer:
    """A fresh, started server that this test may kill."""
    server = make_server()
    server.start()
    return server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture
def clients(server: NexusServer, session: aiohttp.ClientSession) -> Clients:
    return Clients.of(session, server.url)


@pytest.fixture
def nexus(clients: Clients) -> NexusApi:
    """The Discord-shaped API without a token."""
    return clients.nexus


@pytest.fixture
def matrix(clients: Clients) -> MatrixApi:
    """The Matrix API without a token."""
    return clients.matrix


@pytest.fixture
async def guild(clients: Clients) -> Guild:
    """A fresh guild on the shared server."""
    return await make_guild(clients)


@pytest.fixture(scope="session")
def ground(shared_server: NexusServer) -> Playground:
    """What bad requests are aimed at."""
    return build_playground(shared_server)


def _watch(request: pytest.FixtureRequest, server: NexusServer) -> None:
    request.node.stash.setdefault(SERVERS_OF_TEST, []).append(server)


def _assert_quiet(server: NexusServer) -> None:
    complaints = server.unexpected_complaints()
    assert not complaints, "the server logged what the test did not expect:\n" + "\n".join(complaints)
