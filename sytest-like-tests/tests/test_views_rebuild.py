"""`nexus views rebuild`: every view thrown away and derived again from the log, with the server stopped."""

from __future__ import annotations

import json
import subprocess

import aiohttp

from harness.nexus_api import Json
from harness.scene import Clients, Guild, make_guild
from harness.server import NexusServer, binary_path, clean_environment


def rebuild(server: NexusServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(binary_path()), "views", "rebuild", "--config", str(server.folder / "nexus.toml"), *arguments]
    return subprocess.run(
        command,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


async def what_is_seen(guild: Guild) -> Json:
    owner = guild.owner.api
    return {
        "guild": await owner.get(f"/guilds/{guild.id}"),
        "channels": await owner.channels(guild.id),
        "members": await owner.get(f"/guilds/{guild.id}/members", limit=100),
        "history": await owner.whole_history(guild.channel),
    }


async def test_a_rebuild_changes_nothing(own_server: NexusServer, session: aiohttp.ClientSession) -> None:
    guild = await make_guild(Clients.of(session, own_server.url))
    mia = await guild.new_matrix_member()
    await mia.api.say(guild.room, "from Matrix")
    kept = await guild.owner.api.say(guild.channel, "kept")
    edited = await guild.owner.api.say(guild.channel, "before")
    gone = await guild.owner.api.say(guild.channel, "gone")
    await guild.owner.api.edit(guild.channel, edited["id"], "after")
    await guild.owner.api.react(guild.channel, kept["id"], "👍")
    await guild.owner.api.react(guild.channel, kept["id"], "🎉")
    await guild.owner.api.unreact(guild.channel, kept["id"], "🎉")
    await guild.owner.api.unsay(guild.channel, gone["id"])
    before = await what_is_seen(guild)

    refused = rebuild(own_server)
    assert refused.returncode == 2 and "server is running" in refused.stderr, refused

    own_server.stop()
    report = rebuild(own_server, "--json")
    assert report.returncode == 0, report
    assert json.loads(report.stdout)["events"] > 20
    assert "rebuilt from" in rebuild(own_server).stdout

    own_server.start()
    assert await what_is_seen(guild) == before
