"""Care of the store as an operator does it: verify, back up, restore, a damaged file, a full disk, a purge."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from harness.scene import Clients, Guild, make_guild
from harness.server import NexusServer, binary_path, clean_environment


def nexus(server: NexusServer, *words: str | Path, config: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command of the binary under the server's configuration."""
    command = [str(binary_path()), *map(str, words), "--config", str(config or server.folder / "nexus.toml")]
    return subprocess.run(
        command,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


async def in_thread(function: Any, *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


async def lived_in(server: NexusServer, session: aiohttp.ClientSession) -> Guild:
    guild = await make_guild(Clients.of(session, server.url))
    mia = await guild.new_matrix_member()
    await mia.api.say(guild.room, "from Matrix")
    for number in range(20):
        await guild.owner.api.say(guild.channel, f"message {number}")
    return guild


async def test_verify_backup_and_restore(
    own_server: NexusServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    guild = await lived_in(own_server, session)
    running = await in_thread(nexus, own_server, "log", "verify")
    assert running.returncode == 2 and "server is running" in running.stderr, running

    backup = tmp_path / "backup"
    made = await in_thread(nexus, own_server, "backup", "create", backup, "--json")
    assert made.returncode == 0, made
    manifest = json.loads(made.stdout)["manifest"]
    assert manifest["server_name"] == own_server.server_name
    again = await in_thread(nexus, own_server, "backup", "create", backup)
    assert again.returncode == 1 and "not empty" in again.stderr, again
    before = await guild.owner.api.whole_history(guild.channel)
    await guild.owner.api.say(guild.channel, "after the backup")

    whole = await in_thread(nexus, own_server, "backup", "verify", backup, "--json")
    assert whole.returncode == 0 and json.loads(whole.stdout)["ok"], whole
    refused = await in_thread(nexus, own_server, "backup", "restore", backup)
    assert refused.returncode == 2 and "server is running" in refused.stderr, refused
    await in_thread(own_server.stop)
    verified = nexus(own_server, "log", "verify", "--json")
    report = json.loads(verified.stdout)
    assert verified.returncode == 0 and report["events"] > 40 and report["view_rows"] > 40, verified
    refused = nexus(own_server, "backup", "restore", backup)
    assert refused.returncode == 2 and "there is a store already" in refused.stderr, refused

    # The data folder is lost; what the backup has comes back, once.
    (own_server.folder / "data").rename(own_server.folder / "lost")
    restored = nexus(own_server, "backup", "restore", backup, "--json")
    assert restored.returncode == 0 and not json.loads(restored.stdout)["already"], restored
    await in_thread(own_server.start)
    assert await guild.owner.api.whole_history(guild.channel) == before
    await guild.owner.api.say(guild.channel, "after the restore")
    await in_thread(own_server.stop)
    twice = nexus(own_server, "backup", "restore", backup, "--json")
    assert twice.returncode == 0 and json.loads(twice.stdout)["already"], twice
    await in_thread(own_server.start)
    newest = (await guild.owner.api.whole_history(guild.channel))[-1]
    assert newest["content"] == "after the restore"


async def test_a_damaged_file_is_named_and_not_served(
    own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    guild = await lived_in(own_server, session)
    # Restarts move what was written from the log into files.
    await in_thread(own_server.stop)
    await in_thread(own_server.start)
    await in_thread(own_server.stop)
    files = sorted((own_server.folder / "data" / "store").glob("*.sst"), key=lambda file: -file.stat().st_size)
    sound = files[0].read_bytes()
    damaged = bytearray(sound)
    for place in range(20, len(sound) // 2, 700):
        damaged[place] ^= 0xFF
    files[0].write_bytes(bytes(damaged))
    found = nexus(own_server, "log", "verify")
    assert found.returncode == 1, found
    assert files[0].name in found.stdout + found.stderr and "table " in found.stdout, found
    files[0].write_bytes(sound)
    assert nexus(own_server, "log", "verify").returncode == 0
    await in_thread(own_server.start)
    assert len(await guild.owner.api.whole_history(guild.channel)) > 20


async def test_a_purged_room_is_gone(own_server: NexusServer, session: aiohttp.ClientSession) -> None:
    guild = await lived_in(own_server, session)
    mia = await guild.new_matrix_member()
    room = (await mia.api.call("POST", "/createRoom", body={"preset": "public_chat"})).expect(200)["room_id"]
    await mia.api.say(room, "to be purged")
    refused = await in_thread(nexus, own_server, "admin", "rooms", "purge", guild.room)
    assert refused.returncode == 1 and "delete it from its guild first" in refused.stderr, refused
    purged = await in_thread(nexus, own_server, "admin", "rooms", "purge", room, "--json")
    assert purged.returncode == 0 and json.loads(purged.stdout)["events"] > 5, purged
    assert (await mia.api.call("GET", "/sync")).expect(200)["rooms"].get("join", {}).get(room) is None
    await in_thread(own_server.stop)
    assert nexus(own_server, "log", "verify").returncode == 0


def test_a_newer_store_is_refused(own_server: NexusServer) -> None:
    own_server.stop()
    backup = own_server.folder / "no backup"
    backup.mkdir()
    refused = nexus(own_server, "backup", "verify", backup)
    assert refused.returncode == 2 and "is no backup" in refused.stderr, refused
    (own_server.folder / "data" / "store").rename(own_server.folder / "elsewhere")
    refused = nexus(own_server, "log", "verify")
    assert refused.returncode == 2 and "there is no store" in refused.stderr, refused


@pytest.fixture(scope="session")
def no_space_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("no-space") / "no_space.so"
    source = Path(__file__).parent / "no_space.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


async def test_a_full_disk_refuses_writes_serves_reads_and_recovers(
    make_server: Any, no_space_library: Path, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    when = tmp_path / "full"
    server: NexusServer = make_server(
        environment={"LD_PRELOAD": str(no_space_library), "NO_SPACE_WHEN": str(when)}
    )
    await in_thread(server.start)
    server.expect_log(r"(?i)space")
    guild = await lived_in(server, session)
    mia = await guild.new_matrix_member()
    before = await guild.owner.api.whole_history(guild.channel)

    when.touch()
    async with session.post(
        f"{server.url}/api/v10/channels/{guild.channel}/messages",
        json={"content": "refused"},
        headers={"Authorization": f"Bearer {guild.owner.access_token}"},
    ) as reply:
        assert reply.status == 507, await reply.text()
    assert await guild.owner.api.whole_history(guild.channel) == before, "reads go on"
    assert (await mia.api.call("GET", "/sync")).status == 200

    when.unlink()
    for _ in range(300):
        async with session.post(
            f"{server.url}/api/v10/channels/{guild.channel}/messages",
            json={"content": "taken again"},
            headers={"Authorization": f"Bearer {guild.owner.access_token}"},
        ) as reply:
            if reply.status == 200:
                break
            assert reply.status == 507, await reply.text()
        # The store looks for space every few seconds.
        await asyncio.sleep(0.1)
    history = await guild.owner.api.whole_history(guild.channel)
    assert [message["content"] for message in history[-1:]] == ["taken again"]
    assert len(history) == len(before) + 1, "nothing of what was refused is there"
    await in_thread(server.restart_killed)
    assert await guild.owner.api.whole_history(guild.channel) == history
    await in_thread(server.stop)
    assert nexus(server, "log", "verify").returncode == 0
