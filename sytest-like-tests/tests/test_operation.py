"""The operator's contract (design §6): first run, configuration, exit codes, signals, health, page."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from harness.matrix_api import MatrixApi
from harness.nexus_api import PASSWORD, NexusApi, fresh_name
from harness.ports import PortLease
from harness.scene import Clients, make_guild
from harness.server import NexusServer, binary_path, clean_environment, http_get
from harness.waiting import eventually

EXIT_DEADLINE_S = 20


def run_to_the_end(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command that is expected to end by itself."""
    return subprocess.run(
        [str(binary_path()), *arguments],
        cwd=folder,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=EXIT_DEADLINE_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@contextmanager
def leased_port() -> Iterator[int]:
    lease = PortLease()
    try:
        yield lease.port
    finally:
        lease.release()


@contextmanager
def serving(folder: Path, port: int, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`nexus serve` in `folder` with no config file of ours, up and healthy."""
    process = subprocess.Popen(
        [str(binary_path()), "serve", *arguments],
        cwd=folder,
        env=clean_environment({"NEXUS_HTTP__LISTEN": f"127.0.0.1:{port}", **environment}),
        stdout=(folder / "out").open("w"),
        stderr=(folder / "err").open("w"),
        text=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        asyncio.run(wait_for_health(process, port, folder))
        yield process
    finally:
        process.kill()
        process.wait()


async def wait_for_health(process: subprocess.Popen[str], port: int, folder: Path) -> None:
    async def healthy() -> bool:
        if process.poll() is not None:
            pytest.fail(f"ended with {process.returncode}: {(folder / 'err').read_text()}")
        try:
            status, _ = await asyncio.to_thread(http_get, "127.0.0.1", port, "/health")
        except OSError:
            return False
        return status == 200

    await eventually("the server is healthy", healthy, deadline_s=EXIT_DEADLINE_S)


def printed(folder: Path) -> str:
    return (folder / "out").read_text() + (folder / "err").read_text()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_first_run_makes_what_it_needs(tmp_path: Path) -> None:
    with leased_port() as port, serving(tmp_path, port) as process:
        config = tmp_path / "nexus.toml"
        assert config.exists() and mode(config) == 0o600
        data = tmp_path / "nexus-data"
        assert data.is_dir() and mode(data) == 0o700
        secrets = [p for p in data.rglob("*") if p.is_file() and ("key" in p.name or "secret" in p.name)]
        loose = [p for p in secrets if mode(p) != 0o600]
        assert not loose, f"secrets that others may read: {loose}"
        process.terminate()
        assert process.wait(EXIT_DEADLINE_S) == 0
        assert "Your server is running at http://localhost" in printed(tmp_path)


def test_second_run_keeps_the_identity(tmp_path: Path) -> None:
    with leased_port() as port:
        with serving(tmp_path, port) as process:
            first = (tmp_path / "nexus.toml").read_bytes()
            keys = {p: p.read_bytes() for p in (tmp_path / "nexus-data").rglob("*key*") if p.is_file()}
            process.terminate()
            assert process.wait(EXIT_DEADLINE_S) == 0
        with serving(tmp_path, port):
            assert (tmp_path / "nexus.toml").read_bytes() == first
            assert keys == {p: p.read_bytes() for p in keys}


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "nexus.toml").write_text('server_name = "localhost"\ndata_dir = "store"\n')
    with leased_port() as port, serving(tmp_path, port, "--config", "etc/nexus.toml"):
        assert (folder / "store").is_dir() and not (tmp_path / "store").exists()


def test_every_key_by_environment(tmp_path: Path) -> None:
    with leased_port() as port, serving(
        tmp_path, port, NEXUS_SERVER_NAME="by.environment", NEXUS_DATA_DIR="elsewhere",
        NEXUS_HTTP__TRUSTED_PROXIES='["127.0.0.1"]', NEXUS_REGISTRATION__MODE="open",
        NEXUS_ACCOUNTS__PASSWORD_HASH="minimum",
    ):
        assert (tmp_path / "elsewhere").is_dir()

        async def register() -> str:
            async with aiohttp.ClientSession() as session:
                account = await NexusApi.anonymous(session, f"http://127.0.0.1:{port}").register()
                return account.mxid

        assert asyncio.run(register()).endswith(":by.environment")


def test_unknown_environment_only_warns(tmp_path: Path) -> None:
    """Kubernetes sets such names for every service."""
    with leased_port() as port, serving(tmp_path, port, NEXUS_FOO="1", NEXUS_PORT_8080_TCP="tcp://x") as process:
        process.terminate()
        assert process.wait(EXIT_DEADLINE_S) == 0
    assert "NEXUS_FOO" in printed(tmp_path)


def test_unknown_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text('server_name = "localhost"\n\n[http]\nlisten_addres = "127.0.0.1:1"\n')
    ended = run_to_the_end(tmp_path, "serve")
    check_refusal(ended, "listen_addres")
    assert not (tmp_path / "nexus-data").exists(), "something was half-created"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('server_name = 5\n', "server_name"),
        ('server_name = "localhost"\n[registration]\nmode = "sometimes"\n', "mode"),
        ('server_name = "localhost"\n[http]\nlisten = "nowhere"\n', "listen"),
        ('server_name = "localhost"\n[http\n', "nexus.toml"),
        ('server_name = "spa ce"\n', "server_name"),
    ],
    ids=["wrong type", "unknown mode", "no address", "not TOML", "bad server name"],
)
def test_wrong_values_are_named(text: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text(text)
    check_refusal(run_to_the_end(tmp_path, "serve"), named)
    assert not (tmp_path / "nexus-data").exists(), "something was half-created"


def test_port_in_use(tmp_path: Path) -> None:
    with leased_port() as port, socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        ended = run_to_the_end(tmp_path, "serve", NEXUS_HTTP__LISTEN=f"127.0.0.1:{port}")
    check_refusal(ended, str(port))


def test_wrong_key_file(tmp_path: Path) -> None:
    with leased_port() as port:
        with serving(tmp_path, port) as process:
            process.terminate()
            process.wait(EXIT_DEADLINE_S)
        keys = [p for p in tmp_path.rglob("*") if p.is_file() and "signing" in p.name]
        assert keys, "no signing key file below the config's folder"
        keys[0].write_text("this is no key\n")
        ended = run_to_the_end(tmp_path, "serve", NEXUS_HTTP__LISTEN=f"127.0.0.1:{port}")
    check_refusal(ended, keys[0].name)


def check_refusal(ended: subprocess.CompletedProcess[str], named: str) -> None:
    """Exit code 2 and one clear line that names the cause."""
    assert ended.returncode == 2, f"{ended.returncode}: {ended.stdout}{ended.stderr}"
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, f"not one line: {ended.stderr!r}"
    assert named in lines[0], f"{named!r} is not named: {lines[0]!r}"
    assert "panicked" not in ended.stderr


def test_two_servers_on_one_store(own_server: NexusServer) -> None:
    with leased_port() as port:
        ended = run_to_the_end(
            own_server.folder, "serve", "--config", "nexus.toml", NEXUS_HTTP__LISTEN=f"127.0.0.1:{port}"
        )
    assert ended.returncode == 2, f"{ended.returncode}: {ended.stderr}"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--help"]])
def test_help(arguments: list[str], tmp_path: Path) -> None:
    ended = run_to_the_end(tmp_path, *arguments)
    assert ended.returncode == 0 and "nexus" in ended.stdout.lower()
    assert list(tmp_path.iterdir()) == []


def test_unknown_command(tmp_path: Path) -> None:
    assert run_to_the_end(tmp_path, "dance").returncode == 2


def test_sigterm_and_sigint_exit_0(make_server: Callable[..., NexusServer]) -> None:
    server = make_server()
    server.start()
    server.stop()
    server.start()
    os.kill(server.pid, 2)
    assert server._process is not None and server._process.wait(EXIT_DEADLINE_S) == 0


async def test_sigterm_drains(own_server: NexusServer, session: aiohttp.ClientSession) -> None:
    """Requests in flight are answered; what was answered is there afterwards."""
    alice = await MatrixApi.anonymous(session, own_server.url).register()
    room = await alice.api.create_room()
    sends = [asyncio.create_task(alice.api.say(room, f"m{n}")) for n in range(50)]
    await sends[0]
    await asyncio.to_thread(own_server.stop)
    done = await asyncio.gather(*sends, return_exceptions=True)
    acked = {event_id for event_id in done if isinstance(event_id, str)}
    assert acked
    await asyncio.to_thread(own_server.start)
    stored = {e["event_id"] for e in await alice.api.whole_timeline(room)}
    assert acked <= stored, "acknowledged while draining, and lost"


async def test_health(nexus: NexusApi) -> None:
    reply = await nexus.wire.send("GET", "/health")
    assert reply.expect(200)["status"] == "ok"
    assert reply.headers["Content-Type"] == "application/json"


async def test_metrics(nexus: NexusApi) -> None:
    reply = await nexus.wire.send("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith(("text/plain", "application/openmetrics-text"))
    samples = [line for line in reply.body.decode().splitlines() if line and not line.startswith("#")]
    assert samples
    for line in samples:
        assert re.match(r"^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? [-+0-9.eEinfNa]+", line), line


async def test_page(nexus: NexusApi, server: NexusServer) -> None:
    """The page says what runs here and how to connect a bot or a Matrix client."""
    reply = await nexus.wire.send("GET", "/")
    text = reply.body.decode()
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/html")
    assert "Nexus" in text and "discord.js" in text and "Matrix" in text
    assert f"{server.url}/api" in text, "the page does not show the bot's API address"


@pytest.mark.parametrize("path", ["/", "/health", "/api/v10/gateway", "/_matrix/client/versions", "/nonesuch"])
async def test_security_headers(path: str, nexus: NexusApi) -> None:
    reply = await nexus.wire.send("GET", path)
    assert reply.headers.get("X-Content-Type-Options") == "nosniff", f"{path}: {dict(reply.headers)}"
    assert reply.headers.get("Referrer-Policy"), path
    policy = reply.headers.get("Content-Security-Policy", "")
    assert "frame-ancestors" in policy or reply.headers.get("X-Frame-Options"), path
    if path == "/":
        assert "default-src" in policy and "unsafe-eval" not in policy


async def test_registration_modes(
    make_server: Callable[..., NexusServer], session: aiohttp.ClientSession
) -> None:
    server = make_server(config={"registration": {"mode": "invite"}})
    server.start()
    nexus = NexusApi.anonymous(session, server.url)
    admin = await nexus.register()  # the first account needs no invite on loopback
    body = {"username": fresh_name("guest"), "password": PASSWORD}
    reply = await nexus.call("POST", "/auth/register", body=body)
    assert reply.status in (400, 403), str(reply)
    made = await admin.api.make_guild()
    general = next(c for c in await admin.api.channels(made["id"]) if c["type"] == 0)
    code = await admin.api.invite(general["id"])
    guest = await nexus.register(invite=code)
    assert guest.mxid


async def test_registration_closed(
    make_server: Callable[..., NexusServer], session: aiohttp.ClientSession
) -> None:
    server = make_server(config={"registration": {"mode": "closed"}})
    server.start()
    nexus, matrix = NexusApi.anonymous(session, server.url), MatrixApi.anonymous(session, server.url)
    await nexus.register()
    body = {"username": fresh_name("guest"), "password": PASSWORD}
    assert (await nexus.call("POST", "/auth/register", body=body)).status == 403
    body_with_auth = {**body, "auth": {"type": "m.login.dummy"}}
    assert (await matrix.call("POST", "/register", body=body_with_auth)).status == 403


async def test_logs_hold_no_secrets(own_server: NexusServer, session: aiohttp.ClientSession) -> None:
    guild = await make_guild(Clients.of(session, own_server.url))
    mia = await guild.new_matrix_member()
    bot = await guild.new_bot()
    await mia.api.say(guild.room, "words that are nobody's business")
    await guild.clients.nexus.login(guild.owner.name)
    log = own_server.log
    assert all(isinstance(json.loads(line), dict) for line in log.splitlines() if line.startswith("{"))
    for secret in (
        PASSWORD, guild.owner.access_token, guild.owner.refresh_token, mia.access_token, bot.token,
        "words that are nobody's business",
    ):
        assert secret not in log, "a secret is in the log"


@pytest.mark.alone
def test_start_time_and_idle_memory(make_server: Callable[..., NexusServer]) -> None:
    """Printed (run with -s), never judged by the clock: numbers with a bound belong to `make bench`."""
    server = make_server()
    server.start()
    print(f"start on a fresh store: {server.start_ms:.0f} ms; idle memory: {server.resident_mib():.1f} MiB")
    server.restart_killed()
    print(f"start after kill -9: {server.start_ms:.0f} ms")
