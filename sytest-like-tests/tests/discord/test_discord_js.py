"""An unmodified discord.js bot does a bot's ordinary work; what it is told is what happened."""

from __future__ import annotations

import pytest

from harness.discord_js import BotCommandError, DiscordJsBot
from harness.nexus_api import Account
from harness.scene import Guild
from harness.server import NexusServer


async def start(guild: Guild, server: NexusServer) -> DiscordJsBot:
    bot = await guild.new_bot()
    return await DiscordJsBot.start(server.url, bot.token)


async def test_messages(guild: Guild, server: NexusServer, member: Account) -> None:
    async with await start(guild, server) as bot:
        heard = await member.api.say(guild.channel, "!ping")
        seen = await bot.event("messageCreate", lambda m: m["content"] == "!ping")
        assert seen["id"] == heard["id"] and seen["guild_id"] == guild.id
        assert seen["author"] == {"id": member.id, "username": member.name, "bot": False}

        answer = await bot.do("reply", channel=guild.channel, message=heard["id"], content="pong")
        stored = (await member.api.history(guild.channel, limit=1))[0]
        assert stored["id"] == answer["id"] and stored["message_reference"]["message_id"] == heard["id"]
        edited = await bot.do("edit", channel=guild.channel, message=answer["id"], content="PONG")
        assert edited["content"] == "PONG" and edited["edited"] is not None
        await bot.do("delete", channel=guild.channel, message=answer["id"])
        await bot.event("messageDelete", lambda m: m["id"] == answer["id"])


async def test_history(guild: Guild, server: NexusServer) -> None:
    sent = [(await guild.owner.api.say(guild.channel, f"n{n}"))["id"] for n in range(12)]
    async with await start(guild, server) as bot:
        page = await bot.do("fetch", channel=guild.channel, limit=5, before=sent[10])
        assert [m["id"] for m in page] == sent[5:10][::-1]
        page = await bot.do("fetch", channel=guild.channel, limit=3, after=sent[3])
        assert [m["id"] for m in page] == sent[4:7][::-1]


async def test_reactions(guild: Guild, server: NexusServer, member: Account) -> None:
    made = await guild.owner.api.say(guild.channel, "vote")
    async with await start(guild, server) as bot:
        await bot.do("react", channel=guild.channel, message=made["id"], emoji="👍")
        await member.api.react(guild.channel, made["id"], "🎉")
        await bot.event("messageReactionAdd", lambda r: r["user_id"] == member.id and r["emoji"] == "🎉")
        await bot.do("unreact", channel=guild.channel, message=made["id"], emoji="👍")
        await bot.event("messageReactionRemove", lambda r: r["emoji"] == "👍")


async def test_channels_and_invites(guild: Guild, server: NexusServer) -> None:
    async with await start(guild, server) as bot:
        category = await bot.do("createChannel", guild=guild.id, name="Area", type=4)
        made = await bot.do("createChannel", guild=guild.id, name="made-by-bot", type=0, parent=category["id"])
        await bot.event("channelCreate", lambda c: c["id"] == made["id"])
        assert (await guild.owner.api.get(f"/channels/{made['id']}"))["parent_id"] == category["id"]
        changed = await bot.do("editChannel", channel=made["id"], name="renamed", topic="t")
        assert changed["name"] == "renamed"
        invite = await bot.do("createInvite", channel=made["id"])
        assert (await guild.clients.nexus.get(f"/invites/{invite['code']}"))["guild"]["id"] == guild.id
        await bot.do("deleteChannel", channel=made["id"])
        await bot.event("channelDelete", lambda c: c["id"] == made["id"])


async def test_members_and_typing(guild: Guild, server: NexusServer) -> None:
    async with await start(guild, server) as bot:
        guest = await guild.new_member()
        await bot.event("guildMemberAdd", lambda m: m["user_id"] == guest.id)
        await guest.api.post(f"/channels/{guild.channel}/typing", status=204)
        await bot.event("typingStart", lambda t: t["user_id"] == guest.id)
        await guest.api.delete(f"/users/@me/guilds/{guild.id}")
        await bot.event("guildMemberRemove", lambda m: m["user_id"] == guest.id)
        await bot.do("typing", channel=guild.channel)


async def test_errors_reach_the_bot_as_discords(guild: Guild, server: NexusServer) -> None:
    async with await start(guild, server) as bot:
        with pytest.raises(BotCommandError) as refused:
            await bot.do("edit", channel=guild.channel, message="1300000000000000001", content="x")
        assert (refused.value.status, refused.value.code) == (404, 10008)
        with pytest.raises(BotCommandError) as refused:
            await bot.do("send", channel=guild.channel, content="x" * 2001)
        assert (refused.value.status, refused.value.code) == (400, 50035)


async def test_wrong_token_ends_the_login(guild: Guild, server: NexusServer) -> None:
    bot = await DiscordJsBot.start(server.url, "forged.token.here", ready=False)
    failure = await bot.event("error")
    assert "token" in failure["text"].lower()
    await bot.close()
