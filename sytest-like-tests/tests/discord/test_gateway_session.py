"""The gateway's connection rules: hello, heartbeat, identify, close codes, compression, sequence.

Source: reference discord-gateway.md §1 and discord-client-hooks.md ("What all this asks").
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from harness.gateway import INTENTS_ALL, GatewayClient
from harness.matching import GUILD_CREATE_FIELDS, READY_FIELDS, has_fields
from harness.nexus_api import Account, Bot
from harness.scene import Clients, Guild, connect, gateway_url, ready_gateway


async def test_ready_and_guild_create(guild: Guild, bot: Bot, member: Account) -> None:
    async with await connect(guild.clients) as gateway:
        ready = await gateway.identify(bot.token, shard=[0, 1])
        has_fields("READY", ready, READY_FIELDS)
        assert ready["v"] == 10 and ready["user"]["id"] == bot.id and ready["user"]["bot"] is True
        assert ready["guilds"] == [{"id": guild.id, "unavailable": True}]
        assert ready["application"]["id"] == bot.application["id"] and "flags" in ready["application"]
        assert ready["private_channels"] == [] and ready["shard"] == [0, 1]
        created = await gateway.event("GUILD_CREATE")
        has_fields("GUILD_CREATE", created, GUILD_CREATE_FIELDS)
        assert created["id"] == guild.id and created["unavailable"] is False or "unavailable" not in created
        assert {c["id"] for c in created["channels"]} == {
            c["id"] for c in await guild.owner.api.channels(guild.id)
        }
        users = {m["user"]["id"] for m in created["members"]}
        assert {bot.id, guild.owner.id, member.id} <= users and created["member_count"] >= 3


async def test_people_may_connect_too(guild: Guild) -> None:
    async with await ready_gateway(guild.clients, guild.owner.access_token, guild.id) as gateway:
        ready = await gateway.event("READY")
        assert ready["user"]["id"] == guild.owner.id and ready["user"].get("bot", False) is False


async def test_bot_prefix_in_the_token(guild: Guild, bot: Bot) -> None:
    """serenity, eris and oceanic send it, discord.js does not."""
    async with await connect(guild.clients) as gateway:
        assert (await gateway.identify("Bot " + bot.token))["user"]["id"] == bot.id


async def test_urls(guild: Guild, bot: Bot) -> None:
    async with await connect(guild.clients) as gateway:
        resume = (await gateway.identify(bot.token))["resume_gateway_url"]
    for url in (await gateway_url(guild.clients.nexus), resume):
        assert url.startswith("ws://") and "?" not in url and not url.endswith("/")


@pytest.mark.parametrize(
    "query", ["?v=10", "/?v=10&encoding=json", "?v=9&encoding=json", "?encoding=json&v=10", ""]
)
async def test_query_and_slash_variants(query: str, clients: Clients) -> None:
    url = await gateway_url(clients.nexus)
    async with await GatewayClient.connect(clients.session, url, query=query):
        pass


@pytest.mark.parametrize("path", ["/", "/gateway", "/gateway/"])
async def test_upgrade_paths(path: str, clients: Clients) -> None:
    base = urlsplit(await gateway_url(clients.nexus))
    url = f"{base.scheme}://{base.netloc}{path}"
    async with await GatewayClient.connect(clients.session, url):
        pass


async def test_heartbeat_before_and_after_identify(guild: Guild, bot: Bot) -> None:
    """discord.py beats once before it identifies."""
    async with await connect(guild.clients) as gateway:
        await gateway.send(1, None)
        await gateway.frame("heartbeat ack", lambda f: f.op == 11)
        await gateway.identify(bot.token)
        await gateway.send(1, gateway.last_seq)

        def acks() -> int:
            return sum(1 for f in gateway.frames if f.op == 11)

        await gateway.frame("second ack", lambda f: f.op == 11 and acks() >= 2)


async def close_code_after(clients: Clients, *frames: str | tuple[int, object]) -> int | None:
    async with await connect(clients) as gateway:
        for frame in frames:
            if isinstance(frame, str):
                await gateway.send_text(frame)
            else:
                await gateway.send(*frame)
        return await gateway.close_code()


def identify(token: object, intents: object = INTENTS_ALL, **more: object) -> tuple[int, object]:
    return 2, {"token": token, "intents": intents, "properties": {}, **more}


async def test_unknown_opcode(guild: Guild, bot: Bot) -> None:
    assert await close_code_after(guild.clients, identify(bot.token), (99, None)) == 4001


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        '{"op": 1',
        "[]",
        '"text"',
        '{"op": "two"}',
        '{"d": null}',
        '{"op": 1.5}',
        '{"op":1,"d":' + "[" * 2000,
    ],
    ids=["words", "cut off", "array", "string", "op is a word", "no op", "op is a float", "deep"],
)
async def test_decode_error(text: str, clients: Clients) -> None:
    assert await close_code_after(clients, text) == 4002


async def test_frame_over_4096_bytes(clients: Clients) -> None:
    assert await close_code_after(clients, (1, "x" * 4096)) == 4002


async def test_invalid_utf8_frame(clients: Clients) -> None:
    """Binary frames are not expected in JSON encoding; invalid text is a broken WebSocket."""
    async with await connect(clients) as gateway:
        await gateway.socket.send_bytes(b'{"op":1,"d":"\xff"}')
        assert await gateway.close_code() in (4002, 1007, 1003)


async def test_not_authenticated(clients: Clients) -> None:
    for frame in [(3, {"status": "online"}), (8, {"guild_id": "1"}), (4, {"guild_id": "1"})]:
        assert await close_code_after(clients, frame) == 4003


@pytest.mark.parametrize(
    "token", ["", "forged", "Bot forged", "x" * 3000], ids=["empty", "forged", "prefixed", "3000 bytes"]
)
async def test_wrong_token(token: str, clients: Clients) -> None:
    assert await close_code_after(clients, identify(token)) == 4004


async def test_identify_without_a_token(clients: Clients) -> None:
    assert await close_code_after(clients, (2, {"intents": 0, "properties": {}})) in (4002, 4004)


async def test_identify_twice(guild: Guild, bot: Bot) -> None:
    assert await close_code_after(guild.clients, identify(bot.token), identify(bot.token)) == 4005


@pytest.mark.parametrize("shard", [[1, 1], [0, 0], [-1, 2], [5, 2]])
async def test_invalid_shard(shard: list[int], guild: Guild, bot: Bot) -> None:
    assert await close_code_after(guild.clients, identify(bot.token, shard=shard)) in (4010, 4002)


async def test_other_shards_get_other_guilds(guild: Guild, bot: Bot) -> None:
    mine = (int(guild.id) >> 22) % 2
    for shard in (0, 1):
        async with await connect(guild.clients) as gateway:
            ready = await gateway.identify(bot.token, shard=[shard, 2])
            assert [g["id"] for g in ready["guilds"]] == ([guild.id] if shard == mine else [])


@pytest.mark.parametrize("intents", [1 << 17, 1 << 30, -1, INTENTS_ALL | 1 << 26, 2**40])
async def test_invalid_intents(intents: int, guild: Guild, bot: Bot) -> None:
    assert await close_code_after(guild.clients, identify(bot.token, intents)) in (4013, 4002)


async def test_unknown_bit_is_4013(guild: Guild, bot: Bot) -> None:
    assert await close_code_after(guild.clients, identify(bot.token, 1 << 17)) == 4013


async def test_lax_presence_and_unknown_keys(guild: Guild, bot: Bot) -> None:
    """What serenity, eris, hikari and discord.py add."""
    async with await connect(guild.clients) as gateway:
        presence = {
            "since": {"secs_since_epoch": 1, "nanos_since_epoch": 2},
            "activities": None,
            "afk": False,
            "game": None,
            "status": "offline",
        }
        extras = {"v": 10, "capabilities": 0, "compress": True, "large_threshold": 250}
        ready = await gateway.identify(bot.token, presence=presence, **extras)
        assert ready["user"]["id"] == bot.id


async def test_sequence_numbers_rise_by_one(guild: Guild, bot: Bot) -> None:
    async with await ready_gateway(guild.clients, bot.token, guild.id) as gateway:
        for number in range(20):
            await guild.owner.api.say(guild.channel, f"n{number}")
        await gateway.event("MESSAGE_CREATE", lambda m: m["content"] == "n19")
        numbers = [f.s for f in gateway.dispatches]
        assert numbers == list(range(1, len(numbers) + 1))
        for frame in gateway.frames:
            if frame.op != 0:
                assert frame.s is None and frame.t is None


async def test_zlib_stream(guild: Guild, bot: Bot) -> None:
    """hikari needs it, discord.py asks for it: one deflate context for the whole connection."""
    url = await gateway_url(guild.clients.nexus)
    query = "?v=10&encoding=json&compress=zlib-stream"
    async with await GatewayClient.connect(guild.clients.session, url, query=query) as gateway:
        await gateway.identify(bot.token)
        await gateway.event("GUILD_CREATE")
        for number in range(50):
            await guild.owner.api.say(guild.channel, f"squeezed {number}")
        last = await gateway.event("MESSAGE_CREATE", lambda m: m["content"] == "squeezed 49")
        assert last["author"]["id"] == guild.owner.id


async def test_several_sessions_of_one_bot(guild: Guild, bot: Bot) -> None:
    async with (
        await ready_gateway(guild.clients, bot.token, guild.id) as first,
        await ready_gateway(guild.clients, bot.token, guild.id) as second,
    ):
        assert first.session_id != second.session_id
        await guild.owner.api.say(guild.channel, "to both")
        for gateway in (first, second):
            await gateway.event("MESSAGE_CREATE", lambda m: m["content"] == "to both")


async def test_too_many_frames(guild: Guild, bot: Bot) -> None:
    """120 client frames in 60 s, then 4008; the limit guards the server even with limits off for REST."""
    async with await ready_gateway(guild.clients, bot.token, guild.id) as gateway:
        try:
            for _ in range(400):
                await gateway.send(1, gateway.last_seq)
        except (ConnectionError, RuntimeError):
            pass  # it was closed while we were sending
        assert await gateway.close_code() == 4008


async def test_connections_that_never_speak_are_harmless(clients: Clients) -> None:
    idle = await asyncio.gather(*(connect(clients) for _ in range(50)))
    assert (await clients.nexus.get("/gateway"))["url"]
    for gateway in idle:
        gateway.drop()
    for gateway in idle:
        await gateway.close()
