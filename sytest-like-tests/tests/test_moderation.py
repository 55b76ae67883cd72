"""Ban and kick in a guild, seen through both APIs; and a ban that outlives `kill -9`."""

from __future__ import annotations

import asyncio

import aiohttp

from harness.matrix_api import MatrixAccount, room_path
from harness.scene import Clients, Guild, make_guild, ready_gateway
from harness.server import NexusServer

CHANNELS = 80
"""More than a ban ends at once, so that a job does it."""

KILLS = 3


async def wide_guild(clients: Clients) -> tuple[Guild, MatrixAccount, list[str]]:
    """A guild with many channels; one Matrix user has joined them all."""
    guild = await make_guild(clients)
    mia = await guild.new_matrix_member(join_general=False)
    rooms = []
    for number in range(CHANNELS):
        channel = await guild.owner.api.make_channel(guild.id, f"c{number}")
        rooms.append(str(channel["room_id"]))
    await asyncio.gather(*(mia.api.join(room) for room in rooms))
    return guild, mia, rooms


async def ban(guild: Guild, user_id: str) -> None:
    await guild.owner.api.put(f"/guilds/{guild.id}/bans/{user_id}", {})


async def own_id(clients: Clients, account: MatrixAccount) -> str:
    me = await clients.nexus.with_token(account.access_token).get("/users/@me")
    return str(me["id"])


async def test_a_ban_is_seen_by_both_worlds_at_once(
    server: NexusServer, session: aiohttp.ClientSession
) -> None:
    clients = Clients.of(session, server.url)
    guild = await make_guild(clients)
    mia = await guild.new_matrix_member()
    max_ = await guild.new_member()
    before = await mia.api.sync()
    async with await ready_gateway(clients, guild.owner.access_token, guild.id) as moderator:
        async with await ready_gateway(clients, max_.access_token, guild.id) as banned:
            mia_id = await own_id(clients, mia)
            for user_id in (mia_id, max_.id):
                await ban(guild, user_id)
                await moderator.event("GUILD_BAN_ADD", lambda d, user_id=user_id: d["user"]["id"] == user_id)
            await banned.event("GUILD_DELETE", lambda d: d["id"] == guild.id)
            await guild.owner.api.say(guild.channel, "secret")
    told = await mia.api.sync(before.next_batch)
    assert "secret" not in str(told.body)
    assert guild.room in told.section("leave")
    assert (await mia.api.call("GET", room_path(guild.room, "messages"), params={"dir": "b"})).status == 403
    assert (await mia.api.call("POST", room_path(guild.room, "join"), body={})).status == 403
    assert (await max_.api.call("GET", f"/channels/{guild.channel}/messages")).status == 403
    bans = await guild.owner.api.get(f"/guilds/{guild.id}/bans")
    assert {entry["user"]["id"] for entry in bans} == {mia_id, max_.id}
    await guild.owner.api.delete(f"/guilds/{guild.id}/bans/{max_.id}")
    await max_.api.accept(await guild.invite_code())


async def test_a_ban_survives_kills_until_its_job_is_done(
    own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    clients = Clients.of(session, own_server.url)
    guild, mia, rooms = await wide_guild(clients)
    before = await mia.api.sync()
    assert set(rooms) <= set(before.section("join"))
    await ban(guild, await own_id(clients, mia))
    for _ in range(KILLS):
        own_server.restart_killed()
        assert (await mia.api.call("GET", room_path(rooms[-1], "state"))).status == 403
    left: set[str] = set()
    since = before.next_batch
    while not set(rooms) <= left:
        page = await mia.api.sync(since, timeout_ms=5000)
        assert not set(rooms) & set(page.section("join"))
        left |= set(page.section("leave"))
        since = page.next_batch
    member = await guild.owner.api.get(f"/guilds/{guild.id}/bans")
    assert len(member) == 1
