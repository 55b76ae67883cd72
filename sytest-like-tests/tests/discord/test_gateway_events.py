"""What happens is dispatched: messages, reactions, channels, members, invites, typing; intents filter it.

A negative ("X is not dispatched") is shown by a fence: a later event arrives and X came not before it.
"""

from __future__ import annotations

from harness.gateway import INTENTS_ALL, GatewayClient
from harness.matching import CHANNEL_FIELDS, MEMBER_FIELDS, MESSAGE_FIELDS, has_fields
from harness.nexus_api import Account, Bot, NexusApi, reaction_path
from harness.scene import Guild, ready_gateway
from harness.waiting import eventually

GUILDS, GUILD_MEMBERS, GUILD_INVITES = 1 << 0, 1 << 1, 1 << 6
GUILD_MESSAGES, GUILD_MESSAGE_REACTIONS, GUILD_MESSAGE_TYPING = 1 << 9, 1 << 10, 1 << 11
MESSAGE_CONTENT = 1 << 15
THUMB = "👍"


async def watch(guild: Guild, bot: Bot, intents: int = INTENTS_ALL) -> GatewayClient:
    return await ready_gateway(
        guild.clients, bot.token, guild.id if intents & GUILDS else None, intents
    )


async def test_message_life(guild: Guild, bot: Bot, member: Account) -> None:
    async with await watch(guild, bot) as gateway:
        made = await member.api.say(guild.channel, "first words", nonce="n1")
        created = await gateway.event("MESSAGE_CREATE", lambda m: m["id"] == made["id"])
        has_fields("MESSAGE_CREATE", created, MESSAGE_FIELDS | {"guild_id", "member"})
        assert created["content"] == "first words" and created["guild_id"] == guild.id
        assert created["author"]["id"] == member.id
        has_fields("member", created["member"], MEMBER_FIELDS - {"user"})
        assert "user" not in created["member"]

        await member.api.edit(guild.channel, made["id"], "second words")
        updated = await gateway.event("MESSAGE_UPDATE", lambda m: m["id"] == made["id"])
        has_fields("MESSAGE_UPDATE", updated, MESSAGE_FIELDS | {"guild_id"})
        assert updated["content"] == "second words" and updated["edited_timestamp"]

        await member.api.unsay(guild.channel, made["id"])
        deleted = await gateway.event("MESSAGE_DELETE")
        assert deleted == {"id": made["id"], "channel_id": guild.channel, "guild_id": guild.id}


async def test_nonce_is_echoed_to_the_author(guild: Guild, bot: Bot) -> None:
    async with await watch(guild, bot) as gateway:
        made = await bot.api.say(guild.channel, "mine", nonce="n-17")
        created = await gateway.event("MESSAGE_CREATE", lambda m: m["id"] == made["id"])
        assert created["nonce"] == "n-17"


async def test_deduplicated_send_is_dispatched_once(guild: Guild, bot: Bot) -> None:
    async with await watch(guild, bot) as gateway:
        for _ in range(3):
            await bot.api.say(guild.channel, "once", nonce="same", enforce_nonce=True)
        await bot.api.say(guild.channel, "fence")
        await gateway.event("MESSAGE_CREATE", lambda m: m["content"] == "fence")
        assert len(gateway.events("MESSAGE_CREATE", lambda m: m["content"] == "once")) == 1


async def test_reactions(guild: Guild, bot: Bot, member: Account) -> None:
    made = await guild.owner.api.say(guild.channel, "like this")
    async with await watch(guild, bot) as gateway:
        await member.api.react(guild.channel, made["id"], THUMB)
        added = await gateway.event("MESSAGE_REACTION_ADD")
        needed = {"user_id", "channel_id", "message_id", "guild_id", "member", "emoji", "burst", "type"}
        has_fields("MESSAGE_REACTION_ADD", added, needed)
        assert added["user_id"] == member.id and added["message_id"] == made["id"]
        assert added["emoji"]["name"] == THUMB and added["emoji"]["id"] is None
        await member.api.unreact(guild.channel, made["id"], THUMB)
        removed = await gateway.event("MESSAGE_REACTION_REMOVE")
        assert removed["user_id"] == member.id and removed["emoji"]["name"] == THUMB
        assert "member" not in removed

        await member.api.react(guild.channel, made["id"], THUMB)
        await guild.owner.api.delete(reaction_path(guild.channel, made["id"], THUMB))
        await gateway.event("MESSAGE_REACTION_REMOVE_EMOJI", lambda d: d["emoji"]["name"] == THUMB)
        await member.api.react(guild.channel, made["id"], THUMB)
        await guild.owner.api.delete(reaction_path(guild.channel, made["id"]))
        cleared = await gateway.event("MESSAGE_REACTION_REMOVE_ALL")
        assert cleared == {"channel_id": guild.channel, "message_id": made["id"], "guild_id": guild.id}


async def test_channels(guild: Guild, bot: Bot) -> None:
    async with await watch(guild, bot) as gateway:
        made = await guild.owner.api.make_channel(guild.id, "fresh", topic="t")
        created = await gateway.event("CHANNEL_CREATE", lambda c: c["id"] == made["id"])
        has_fields("CHANNEL_CREATE", created, CHANNEL_FIELDS)
        assert created["name"] == "fresh" and created["guild_id"] == guild.id
        await guild.owner.api.patch(f"/channels/{made['id']}", {"name": "stale"})
        updated = await gateway.event("CHANNEL_UPDATE", lambda c: c["id"] == made["id"])
        assert updated["name"] == "stale"
        await bot.api.say(made["id"], "no CHANNEL_UPDATE for a message")
        await guild.owner.api.delete(f"/channels/{made['id']}", 200)
        await gateway.event("CHANNEL_DELETE", lambda c: c["id"] == made["id"])
        assert len(gateway.events("CHANNEL_UPDATE", lambda c: c["id"] == made["id"])) == 1


async def test_members(guild: Guild, bot: Bot, nexus: NexusApi) -> None:
    async with await watch(guild, bot) as gateway:
        guest = await guild.new_member()
        added = await gateway.event("GUILD_MEMBER_ADD", lambda m: m["user"]["id"] == guest.id)
        has_fields("GUILD_MEMBER_ADD", added, MEMBER_FIELDS | {"guild_id"})
        await guest.api.delete(f"/users/@me/guilds/{guild.id}")
        removed = await gateway.event("GUILD_MEMBER_REMOVE", lambda m: m["user"]["id"] == guest.id)
        assert removed["guild_id"] == guild.id


async def test_a_new_guild_arrives(guild: Guild, nexus: NexusApi) -> None:
    """GUILD_CREATE when one's bot is authorised into a guild, or one joins."""
    bot = await guild.owner.api.make_bot()
    async with await ready_gateway(guild.clients, bot.token) as gateway:
        assert (await gateway.event("READY"))["guilds"] == []
        await guild.owner.api.authorize_bot(bot, guild.id)
        created = await gateway.event("GUILD_CREATE", lambda g: g["id"] == guild.id)
        assert created["channels"] and created["members"]
        await guild.owner.api.say(guild.channel, "hello bot")
        await gateway.event("MESSAGE_CREATE", lambda m: m["content"] == "hello bot")


async def test_guild_delete_on_leaving(guild: Guild, member: Account) -> None:
    async with await ready_gateway(guild.clients, member.access_token, guild.id) as gateway:
        await member.api.delete(f"/users/@me/guilds/{guild.id}")
        deleted = await gateway.event("GUILD_DELETE", lambda g: g["id"] == guild.id)
        assert not deleted.get("unavailable", False)


async def test_events_stop_after_leaving(guild: Guild, bot: Bot, member: Account) -> None:
    """Attack 35: a stream must not go on after removal."""
    async with await ready_gateway(guild.clients, member.access_token, guild.id) as gateway:
        await member.api.delete(f"/users/@me/guilds/{guild.id}")
        await gateway.event("GUILD_DELETE")
        await guild.owner.api.say(guild.channel, "not for the one who left")
        other = await member.api.make_guild()
        await gateway.event("GUILD_CREATE", lambda g: g["id"] == other["id"])
        assert gateway.events("MESSAGE_CREATE") == []


async def test_invites(guild: Guild, bot: Bot) -> None:
    async with await watch(guild, bot) as gateway:
        code = await guild.invite_code()
        created = await gateway.event("INVITE_CREATE", lambda i: i["code"] == code)
        assert created["channel_id"] == guild.channel and created["guild_id"] == guild.id
        await guild.owner.api.delete(f"/invites/{code}", 200)
        await gateway.event("INVITE_DELETE", lambda i: i["code"] == code)


async def test_typing(guild: Guild, bot: Bot, member: Account) -> None:
    async with await watch(guild, bot) as gateway:
        await member.api.post(f"/channels/{guild.channel}/typing", status=204)
        typing = await gateway.event("TYPING_START", lambda t: t["user_id"] == member.id)
        assert typing["channel_id"] == guild.channel and typing["guild_id"] == guild.id
        assert isinstance(typing["timestamp"], int) and typing["timestamp"] < 10**11, "seconds"
        has_fields("member", typing["member"], {"user"})
        seen = len([f for f in gateway.dispatches if f.t == "TYPING_START"])
        await member.api.post(f"/channels/{guild.channel}/typing", status=204)

        async def told_again() -> bool:
            return len([f for f in gateway.dispatches if f.t == "TYPING_START"]) > seen

        await eventually("another TYPING_START: clients show one for ten seconds", told_again)


async def test_intents_filter(guild: Guild, bot: Bot, member: Account) -> None:
    async with (
        await watch(guild, bot, GUILDS) as few,
        await watch(guild, bot, GUILDS | GUILD_MESSAGES | MESSAGE_CONTENT) as messages,
    ):
        made = await member.api.say(guild.channel, "hello")
        await member.api.react(guild.channel, made["id"], THUMB)
        await member.api.post(f"/channels/{guild.channel}/typing", status=204)
        await guild.new_member()
        fence = await guild.owner.api.make_channel(guild.id, "fence")
        for gateway in (few, messages):
            await gateway.event("CHANNEL_CREATE", lambda c: c["id"] == fence["id"])
        assert {f.t for f in few.dispatches} == {"READY", "GUILD_CREATE", "CHANNEL_CREATE"}
        assert {f.t for f in messages.dispatches} == {
            "READY", "GUILD_CREATE", "CHANNEL_CREATE", "MESSAGE_CREATE",
        }


async def test_content_intent(guild: Guild, bot: Bot, member: Account) -> None:
    """Without MESSAGE_CONTENT the content of others is empty, except where the bot is mentioned."""
    async with await watch(guild, bot, GUILDS | GUILD_MESSAGES) as gateway:
        hidden = await member.api.say(guild.channel, "not for bots")
        mention = await member.api.say(guild.channel, f"hey <@{bot.id}>")
        own = await bot.api.say(guild.channel, "my own words")
        await gateway.event("MESSAGE_CREATE", lambda m: m["id"] == own["id"])
        seen = {m["id"]: m["content"] for m in gateway.events("MESSAGE_CREATE")}
        assert seen == {hidden["id"]: "", mention["id"]: f"hey <@{bot.id}>", own["id"]: "my own words"}


async def test_without_the_guilds_intent_no_guilds_come(guild: Guild, bot: Bot) -> None:
    async with await watch(guild, bot, GUILD_MESSAGES) as gateway:
        await guild.owner.api.say(guild.channel, "x")
        await gateway.event("MESSAGE_CREATE")
        assert gateway.events("GUILD_CREATE") == []


async def test_strangers_hear_nothing(guild: Guild, nexus: NexusApi) -> None:
    stranger = await nexus.register()
    async with await ready_gateway(guild.clients, stranger.access_token) as gateway:
        await guild.owner.api.say(guild.channel, "private")
        own = await stranger.api.make_guild()
        await gateway.event("GUILD_CREATE", lambda g: g["id"] == own["id"])
        assert guild.id not in [f.d.get("guild_id") for f in gateway.dispatches]


async def test_request_guild_members(guild: Guild, bot: Bot, member: Account) -> None:
    async with await watch(guild, bot) as gateway:
        request = {"guild_id": guild.id, "query": "", "limit": 0, "nonce": "all"}
        await gateway.send(8, request)
        chunk = await gateway.event("GUILD_MEMBERS_CHUNK", lambda c: c.get("nonce") == "all")
        assert {bot.id, guild.owner.id, member.id} <= {m["user"]["id"] for m in chunk["members"]}
        assert chunk["chunk_index"] == 0 and chunk["chunk_count"] == 1
