"""Resume: what was missed comes in order, also after a restart or kill -9; what cannot resume says so.

Source: reference discord-gateway.md §1 step 7; design §6 last sentence on tokens.
"""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from harness.gateway import GatewayClient
from harness.nexus_api import Bot
from harness.scene import Clients, Guild, connect, make_guild, ready_gateway
from harness.server import NexusServer


async def resume(gateway: GatewayClient, seq: int | None = None) -> GatewayClient:
    """A new connection that resumes the (dropped) session of `gateway`."""
    fresh = await GatewayClient.connect(gateway.session, gateway.resume_url)
    await fresh.send_resume(gateway.token, gateway.session_id, gateway.last_seq if seq is None else seq)
    return fresh


async def test_missed_events_are_replayed_in_order(guild: Guild, bot: Bot) -> None:
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    gateway.drop()
    await gateway.close_code()
    sent = [(await guild.owner.api.say(guild.channel, f"missed {n}"))["id"] for n in range(10)]
    async with await resume(gateway) as fresh:
        resumed = await fresh.event("RESUMED")
        assert isinstance(resumed, dict), "null crashes discord.py"
        assert [m["id"] for m in fresh.events("MESSAGE_CREATE")] == sent
        numbers = [f.s for f in fresh.dispatches]
        first = gateway.last_seq + 1
        assert numbers == list(range(first, first + len(numbers))), "old numbers, then on from there"
        assert fresh.dispatches[-1].t == "RESUMED"
        assert fresh.events("READY") == [] and fresh.events("GUILD_CREATE") == []
        live = await guild.owner.api.say(guild.channel, "live again")
        await fresh.event("MESSAGE_CREATE", lambda m: m["id"] == live["id"])
    await gateway.close()


async def test_resume_from_an_earlier_number_repeats(guild: Guild, bot: Bot) -> None:
    """The client lost the last frames it was sent: they come again under their old numbers."""
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    for number in range(5):
        await guild.owner.api.say(guild.channel, f"n{number}")
    await gateway.event("MESSAGE_CREATE", lambda m: m["content"] == "n4")
    gateway.drop()
    await gateway.close_code()
    old = {f.s: f for f in gateway.dispatches}
    async with await resume(gateway, gateway.last_seq - 3) as fresh:
        await fresh.event("RESUMED")
        again = [f for f in fresh.dispatches if f.t != "RESUMED"]
        assert [f.d["content"] for f in again] == ["n2", "n3", "n4"]
        assert all(old[f.s].d["id"] == f.d["id"] for f in again)
    await gateway.close()


async def test_resume_twice(guild: Guild, bot: Bot) -> None:
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    gateway.drop()
    seq = gateway.last_seq
    for round_ in range(3):
        made = await guild.owner.api.say(guild.channel, f"round {round_}")
        fresh = await resume(gateway, seq)
        await fresh.event("RESUMED")
        assert [m["id"] for m in fresh.events("MESSAGE_CREATE")] == [made["id"]]
        seq = fresh.last_seq
        fresh.drop()
        await fresh.close_code()
        await fresh.close()
    await gateway.close()


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_clean_close_ends_the_session(code: int, guild: Guild, bot: Bot) -> None:
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    await gateway.close(code)
    async with await resume(gateway) as fresh:
        invalid = await fresh.frame("invalid session", lambda f: f.op == 9)
        assert invalid.d is False


async def test_other_close_codes_keep_it(guild: Guild, bot: Bot) -> None:
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    await gateway.close(4200)
    async with await resume(gateway) as fresh:
        await fresh.event("RESUMED")


async def test_unknown_session(guild: Guild, bot: Bot) -> None:
    async with await connect(guild.clients) as gateway:
        await gateway.send_resume(bot.token, "nosuchsession", 3)
        invalid = await gateway.frame("invalid session", lambda f: f.op == 9)
        assert invalid.d is False
        # The same connection may identify now.
        ready = await gateway.identify(bot.token)
        assert ready["user"]["id"] == bot.id


async def test_number_beyond_what_was_sent(guild: Guild, bot: Bot) -> None:
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    gateway.drop()
    await gateway.close_code()
    async with await resume(gateway, gateway.last_seq + 1000) as fresh:
        assert await fresh.close_code() == 4007
    await gateway.close()


async def test_anothers_token_does_not_resume(guild: Guild, bot: Bot) -> None:
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    gateway.drop()
    await gateway.close_code()
    thief = await guild.new_bot()
    async with await connect(guild.clients) as stolen:
        await stolen.send_resume(thief.token, gateway.session_id, gateway.last_seq)
        refused = await stolen.frame("invalid session", lambda f: f.op == 9)
        assert refused.d is False and stolen.events("RESUMED") == []
    async with await connect(guild.clients) as forged:
        await forged.send_resume("forged", gateway.session_id, gateway.last_seq)
        try:
            refused = await forged.frame("a refusal", lambda f: f.op == 9)
            assert refused.d is False
        except AssertionError:
            assert await forged.close_code() == 4004
    async with await resume(gateway) as fresh:
        await fresh.event("RESUMED")
    await gateway.close()


@pytest.mark.parametrize("how", ["kill -9", "SIGTERM"])
async def test_resume_after_the_server_went(
    how: str, own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    guild = await make_guild(Clients.of(session, own_server.url))
    bot = await guild.new_bot()
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    before = [(await guild.owner.api.say(guild.channel, f"before {n}"))["id"] for n in range(5)]
    await gateway.event("MESSAGE_CREATE", lambda m: m["content"] == "before 4")
    # Sent, acknowledged, and perhaps never written to the socket.
    acked = [(await guild.owner.api.say(guild.channel, f"acked {n}"))["id"] for n in range(5)]
    await asyncio.to_thread(own_server.kill9 if how == "kill -9" else own_server.stop)
    code = await gateway.close_code()
    assert code in (None, 4000), f"a stopping server closes with 4000, never {code}"
    seen_before = [m["id"] for m in gateway.events("MESSAGE_CREATE")]
    await asyncio.to_thread(own_server.start)
    after = [(await guild.owner.api.say(guild.channel, f"after {n}"))["id"] for n in range(5)]

    async with await resume(gateway) as fresh:
        await fresh.event("RESUMED")
        await fresh.event("MESSAGE_CREATE", lambda m: m["content"] == "after 4")
        seen = seen_before + [m["id"] for m in fresh.events("MESSAGE_CREATE")]
        assert seen == before + acked + after, "lost or repeated across the restart"
        numbers = [f.s for f in gateway.dispatches + fresh.dispatches]
        assert numbers == list(range(1, len(numbers) + 1))
        live = await guild.owner.api.say(guild.channel, "live")
        await fresh.event("MESSAGE_CREATE", lambda m: m["id"] == live["id"])
    await gateway.close()


async def test_reactions_edits_and_deletions_are_replayed_after_kill_9(
    own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    guild = await make_guild(Clients.of(session, own_server.url))
    bot = await guild.new_bot()
    made = [await guild.owner.api.say(guild.channel, f"m{n}") for n in range(3)]
    gateway = await ready_gateway(guild.clients, bot.token, guild.id)
    gateway.drop()
    await gateway.close_code()
    await guild.owner.api.edit(guild.channel, made[0]["id"], "edited")
    await guild.owner.api.react(guild.channel, made[1]["id"], "👍")
    await guild.owner.api.unreact(guild.channel, made[1]["id"], "👍")
    await guild.owner.api.unsay(guild.channel, made[2]["id"])
    await asyncio.to_thread(own_server.restart_killed)
    async with await resume(gateway) as fresh:
        await fresh.event("RESUMED")
        replayed = [f.t for f in fresh.dispatches if f.t and f.t.startswith("MESSAGE_")]
        assert replayed == [
            "MESSAGE_UPDATE",
            "MESSAGE_REACTION_ADD",
            "MESSAGE_REACTION_REMOVE",
            "MESSAGE_DELETE",
        ]
    await gateway.close()


async def test_revoked_session_does_not_resume(guild: Guild) -> None:
    account = await guild.new_member()
    gateway = await ready_gateway(guild.clients, account.access_token, guild.id)
    gateway.drop()
    await gateway.close_code()
    await account.api.post("/auth/logout", status=204)
    async with await resume(gateway) as fresh:
        try:
            refused = await fresh.frame("a refusal", lambda f: f.op == 9)
            assert refused.d is False
        except AssertionError:
            assert await fresh.close_code() == 4004
        assert fresh.events("RESUMED") == []
    await gateway.close()
