"""Roles and overwrites: a discord.js bot's cache agrees with the server about who may do what where."""

from __future__ import annotations

from urllib.parse import quote

from harness.discord_js import DiscordJsBot
from harness.nexus_api import Account
from harness.scene import Guild
from harness.server import NexusServer

ADMINISTRATOR = 1 << 3
MANAGE_MESSAGES = 1 << 13
SEND_MESSAGES = 1 << 11
VIEW_CHANNEL = 1 << 10


async def permissions_of(account: Account, channel: str) -> int:
    return int((await account.api.get(f"/channels/{channel}"))["permissions"])


async def agrees(bot: DiscordJsBot, guild: Guild, member: Account) -> int:
    """The server's word, which the library's own sum must equal."""
    held = await permissions_of(member, guild.channel)
    by_cache = await bot.do("permissionsIn", guild=guild.id, channel=guild.channel, member=member.id)
    assert int(by_cache) == held
    return held


async def start(guild: Guild, server: NexusServer, permissions: int) -> DiscordJsBot:
    made = await guild.owner.api.make_bot()
    await guild.owner.api.authorize_bot(made, guild.id, str(permissions))
    return await DiscordJsBot.start(server.url, made.token)


async def test_the_cache_agrees(guild: Guild, server: NexusServer, member: Account) -> None:
    async with await start(guild, server, ADMINISTRATOR) as bot:
        role = await bot.do("createRole", guild=guild.id, name="mods", permissions=str(MANAGE_MESSAGES))
        await bot.event("roleCreate", lambda r: r["id"] == role["id"])
        assert await bot.do("giveRole", guild=guild.id, member=member.id, role=role["id"])
        await bot.event("guildMemberUpdate", lambda m: role["id"] in m["roles"])
        assert await agrees(bot, guild, member) & MANAGE_MESSAGES

        flags = {"ManageMessages": False, "PinMessages": True}
        await bot.do("overwrite", channel=guild.channel, target=role["id"], flags=flags)
        await bot.event("channelUpdate", lambda c: c["id"] == guild.channel)
        assert not await agrees(bot, guild, member) & MANAGE_MESSAGES
        await bot.do("overwrite", channel=guild.channel, target=member.id, flags={"ManageMessages": True})
        await bot.event("channelUpdate", lambda c: c["id"] == guild.channel)
        assert await agrees(bot, guild, member) & MANAGE_MESSAGES

        await bot.do("editRole", guild=guild.id, role=role["id"], name="moderators")
        await bot.event("roleUpdate", lambda r: r["name"] == "moderators")
        await bot.do("deleteRole", guild=guild.id, role=role["id"])
        await bot.event("roleDelete", lambda r: r["id"] == role["id"])
        await agrees(bot, guild, member)
        assert not bot.errors


async def test_roles_move(guild: Guild, server: NexusServer) -> None:
    async with await start(guild, server, ADMINISTRATOR) as bot:
        names = ["first", "second", "third"]
        made = [await bot.do("createRole", guild=guild.id, name=name, permissions="0") for name in names]
        # What is made later is lower.
        await bot.do("moveRole", guild=guild.id, role=made[2]["id"], position=3)
        roles = await guild.owner.api.get(f"/guilds/{guild.id}/roles")
        order = [role["name"] for role in sorted(roles, key=lambda role: role["position"])]
        assert [name for name in order if name in names] == ["second", "first", "third"]


async def test_channels_go_out_of_view_and_come_back(guild: Guild, server: NexusServer) -> None:
    async with await start(guild, server, 0) as bot:
        deny = {"type": 0, "deny": str(VIEW_CHANNEL)}
        path = f"/channels/{guild.channel}/permissions/{guild.id}"
        await guild.owner.api.put(path, deny)
        await bot.event("channelDelete", lambda c: c["id"] == guild.channel)
        assert guild.channel not in await bot.do("knownChannels", guild=guild.id)
        await guild.owner.api.put(path, {"type": 0, "deny": str(SEND_MESSAGES)})
        await bot.event("channelCreate", lambda c: c["id"] == guild.channel)
        made = await guild.owner.api.say(guild.channel, "back")
        await bot.event("messageCreate", lambda m: m["id"] == made["id"])


async def test_a_matrix_member_is_bound_by_roles(guild: Guild) -> None:
    matrix = await guild.new_matrix_member()
    await guild.owner.api.put(
        f"/channels/{guild.channel}/permissions/{guild.id}", {"type": 0, "deny": str(SEND_MESSAGES)}
    )
    path = f"/rooms/{quote(guild.room, safe='')}/send/m.room.message/t1"
    reply = await matrix.api.call("PUT", path, body={"msgtype": "m.text", "body": "no"})
    assert reply.expect(403)["errcode"] == "M_FORBIDDEN"
