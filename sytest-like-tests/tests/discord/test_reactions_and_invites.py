"""Reactions and invites over REST."""

from __future__ import annotations

from harness.matching import assert_discord_error, has_fields
from harness.nexus_api import Account, Bot, NexusApi, reaction_path
from harness.scene import Guild

THUMB, PARTY = "👍", "🎉"


async def reactions(guild: Guild, message_id: str, account: Account) -> dict[str, tuple[int, bool]]:
    message = await account.api.get(f"/channels/{guild.channel}/messages/{message_id}")
    return {r["emoji"]["name"]: (r["count"], r["me"]) for r in message.get("reactions", [])}


async def test_add_list_remove(guild: Guild, member: Account) -> None:
    made = await guild.owner.api.say(guild.channel, "like this")
    await guild.owner.api.react(guild.channel, made["id"], THUMB)
    await member.api.react(guild.channel, made["id"], THUMB)
    await member.api.react(guild.channel, made["id"], PARTY)
    assert await reactions(guild, made["id"], guild.owner) == {THUMB: (2, True), PARTY: (1, False)}
    assert await reactions(guild, made["id"], member) == {THUMB: (2, True), PARTY: (1, True)}

    users = await guild.owner.api.get(reaction_path(guild.channel, made["id"], THUMB))
    assert {u["id"] for u in users} == {guild.owner.id, member.id}
    one = await guild.owner.api.get(reaction_path(guild.channel, made["id"], THUMB), limit=1)
    assert len(one) == 1
    rest = await guild.owner.api.get(
        reaction_path(guild.channel, made["id"], THUMB), limit=5, after=one[0]["id"]
    )
    assert {u["id"] for u in one + rest} == {guild.owner.id, member.id}

    await member.api.unreact(guild.channel, made["id"], THUMB)
    assert await reactions(guild, made["id"], member) == {THUMB: (1, False), PARTY: (1, True)}


async def test_the_same_reaction_twice_counts_once(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "like this")
    for _ in range(2):
        await guild.owner.api.react(guild.channel, made["id"], THUMB)
    assert await reactions(guild, made["id"], guild.owner) == {THUMB: (1, True)}


async def test_remove_what_is_not_there(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "x")
    path = reaction_path(guild.channel, made["id"], THUMB, "@me")
    reply = await guild.owner.api.call("DELETE", path)
    assert reply.status in (204, 404), str(reply)
    assert await reactions(guild, made["id"], guild.owner) == {}


async def test_moderator_removes(guild: Guild, member: Account) -> None:
    made = await guild.owner.api.say(guild.channel, "x")
    for emoji in (THUMB, PARTY):
        await member.api.react(guild.channel, made["id"], emoji)
        await guild.owner.api.react(guild.channel, made["id"], emoji)
    path = reaction_path(guild.channel, made["id"], THUMB, guild.owner.id)
    assert_discord_error(await member.api.call("DELETE", path), 403, 50013)
    await guild.owner.api.delete(reaction_path(guild.channel, made["id"], THUMB, member.id))
    assert await reactions(guild, made["id"], guild.owner) == {THUMB: (1, True), PARTY: (2, True)}
    await guild.owner.api.delete(reaction_path(guild.channel, made["id"], PARTY))
    assert await reactions(guild, made["id"], guild.owner) == {THUMB: (1, True)}
    await guild.owner.api.delete(reaction_path(guild.channel, made["id"]))
    assert await reactions(guild, made["id"], guild.owner) == {}


async def test_twenty_kinds_at_most(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "x")
    for number in range(20):
        await guild.owner.api.react(guild.channel, made["id"], chr(0x1F600 + number))
    path = reaction_path(guild.channel, made["id"], chr(0x1F600 + 20), "@me")
    assert_discord_error(await guild.owner.api.call("PUT", path), 403, 30010)


async def test_reactions_go_with_the_message(guild: Guild) -> None:
    made = await guild.owner.api.say(guild.channel, "x")
    await guild.owner.api.react(guild.channel, made["id"], THUMB)
    await guild.owner.api.unsay(guild.channel, made["id"])
    reply = await guild.owner.api.call("GET", reaction_path(guild.channel, made["id"], THUMB))
    assert_discord_error(reply, 404, 10008)


async def test_invite_object(guild: Guild, nexus: NexusApi) -> None:
    made = await guild.owner.api.post(f"/channels/{guild.channel}/invites", {})
    needed = "code guild channel inviter uses max_uses max_age temporary created_at".split()
    has_fields("invite", made, needed)
    assert made["guild"]["id"] == guild.id and made["channel"]["id"] == guild.channel
    assert made["inviter"]["id"] == guild.owner.id and made["uses"] == 0
    # An invite can be looked at before one has an account.
    seen = await nexus.get(f"/invites/{made['code']}", with_counts="true")
    assert seen["guild"]["name"] == guild.object["name"]
    assert seen["approximate_member_count"] >= 1


async def test_accepting(guild: Guild, nexus: NexusApi) -> None:
    code = await guild.invite_code()
    guest = await nexus.register()
    accepted = await guest.api.accept(code)
    assert accepted["code"] == code and accepted["guild"]["id"] == guild.id
    assert [g["id"] for g in await guest.api.get("/users/@me/guilds")] == [guild.id]
    await guest.api.accept(code)
    listed = await guild.owner.api.get(f"/guilds/{guild.id}/members", limit=100)
    assert [m["user"]["id"] for m in listed].count(guest.id) == 1


async def test_max_uses(guild: Guild, nexus: NexusApi) -> None:
    code = await guild.owner.api.invite(guild.channel, max_uses=1)
    await (await nexus.register()).api.accept(code)
    late = await nexus.register()
    assert_discord_error(await late.api.call("POST", f"/invites/{code}", body={}), 404, 10006)
    assert await late.api.get("/users/@me/guilds") == []


async def test_uses_are_counted_and_listed(guild: Guild, nexus: NexusApi) -> None:
    code = await guild.invite_code()
    await (await nexus.register()).api.accept(code)
    for path in (f"/channels/{guild.channel}/invites", f"/guilds/{guild.id}/invites"):
        listed = {i["code"]: i["uses"] for i in await guild.owner.api.get(path)}
        assert listed[code] == 1


async def test_delete_an_invite(guild: Guild, nexus: NexusApi, member: Account) -> None:
    code = await guild.invite_code()
    assert_discord_error(await member.api.call("DELETE", f"/invites/{code}"), 403, 50013)
    gone = (await guild.owner.api.call("DELETE", f"/invites/{code}")).expect(200)
    assert gone["code"] == code
    for reply in (
        await nexus.call("GET", f"/invites/{code}"),
        await (await nexus.register()).api.call("POST", f"/invites/{code}", body={}),
    ):
        assert_discord_error(reply, 404, 10006)


async def test_codes_are_hard_to_guess(guild: Guild) -> None:
    codes = {(await guild.owner.api.invite(guild.channel, unique=True)) for _ in range(5)}
    assert len(codes) == 5 and all(len(code) >= 8 for code in codes)


async def test_joining_by_the_contracts_call(guild: Guild, nexus: NexusApi) -> None:
    code = await guild.invite_code()
    guest = await nexus.register()
    joined = await guest.api.post("/guilds/join", {"invite": code})
    assert joined["id"] == guild.id
    await guild.owner.api.say(guild.channel, "welcome")
    assert (await guest.api.history(guild.channel, limit=1))[0]["content"] == "welcome"


async def test_typing_is_accepted(guild: Guild, bot: Bot) -> None:
    reply = await bot.api.call("POST", f"/channels/{guild.channel}/typing")
    assert reply.status == 204 and reply.body == b""
