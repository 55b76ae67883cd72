"""Guilds and channels: what a new guild has, the objects' fields, create, change, delete."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from harness.matching import (
    CHANNEL_FIELDS,
    GUILD_FIELDS,
    MEMBER_FIELDS,
    ROLE_FIELDS,
    USER_FIELDS,
    assert_discord_error,
    has_fields,
    is_snowflake,
)
from harness.nexus_api import Account, NexusApi, fresh_name
from harness.scene import Guild

TEXT, VOICE, CATEGORY = 0, 2, 4


async def test_new_guild(nexus: NexusApi) -> None:
    owner = await nexus.register()
    name = fresh_name("Güild 🎈")
    made = await owner.api.make_guild(name)
    has_fields("guild", made, GUILD_FIELDS)
    assert made["name"] == name and made["owner_id"] == owner.id and is_snowflake(made["id"])
    assert made["room_id"].startswith("!") and ":" not in made["room_id"], "guilds are version 12"
    assert await owner.api.get(f"/guilds/{made['id']}") == made


async def test_everyone_role(guild: Guild) -> None:
    [everyone] = guild.object["roles"]
    has_fields("role", everyone, ROLE_FIELDS)
    assert everyone["id"] == guild.id and everyone["name"] == "@everyone"
    assert isinstance(everyone["permissions"], str) and everyone["permissions"].isdigit()
    has_fields("colors", everyone["colors"], {"primary_color"})


async def test_new_guild_has_general_twice(guild: Guild) -> None:
    channels = await guild.owner.api.channels(guild.id)
    named = {(c["name"], c["type"]) for c in channels if c["type"] != CATEGORY}
    assert named == {("general", TEXT), ("General", VOICE)}
    for channel in channels:
        has_fields("channel", channel, CHANNEL_FIELDS)
        assert channel["guild_id"] == guild.id and is_snowflake(channel["id"])


async def test_guild_is_listed_for_members_only(guild: Guild, member: Account, nexus: NexusApi) -> None:
    for account in (guild.owner, member):
        listed = await account.api.get("/users/@me/guilds")
        assert [g["id"] for g in listed] == [guild.id]
        has_fields("partial guild", listed[0], {"id", "name", "icon", "owner", "permissions", "features"})
        assert listed[0]["owner"] is (account is guild.owner)
    assert await (await nexus.register()).api.get("/users/@me/guilds") == []


async def test_with_counts(guild: Guild, member: Account) -> None:
    counted = await guild.owner.api.get(f"/guilds/{guild.id}", with_counts="true")
    assert counted["approximate_member_count"] >= 2


async def test_members(guild: Guild, member: Account) -> None:
    listed = await guild.owner.api.get(f"/guilds/{guild.id}/members", limit=100)
    assert {guild.owner.id, member.id} <= {m["user"]["id"] for m in listed}
    one = await guild.owner.api.get(f"/guilds/{guild.id}/members/{member.id}")
    has_fields("member", one, MEMBER_FIELDS)
    has_fields("user", one["user"], USER_FIELDS)
    reply = await guild.owner.api.call("GET", f"/guilds/{guild.id}/members/1300000000000000001")
    assert_discord_error(reply, 404, 10007)


@pytest.mark.parametrize("field", ["id", "room_id"])
async def test_room_ids_lead_back(field: str, guild: Guild) -> None:
    """GET /rooms/{room_id} is the guild or channel of a room id (design §6)."""
    found = await guild.owner.api.get("/rooms/" + quote(guild.room, safe=""))
    assert found[field] == guild.general[field]
    found = await guild.owner.api.get("/rooms/" + quote(guild.object["room_id"], safe=""))
    assert found[field] == guild.object[field]


async def test_text_channel(guild: Guild) -> None:
    made = await guild.owner.api.make_channel(guild.id, "news", TEXT, topic="what is new")
    has_fields("channel", made, CHANNEL_FIELDS)
    assert made["name"] == "news" and made["topic"] == "what is new" and made["type"] == TEXT
    read = await guild.owner.api.get(f"/channels/{made['id']}")
    assert read.pop("permissions"), "what the asker may do there"
    assert read == made
    assert made["id"] in [c["id"] for c in await guild.owner.api.channels(guild.id)]


async def test_channel_in_a_category(guild: Guild) -> None:
    category = await guild.owner.api.make_channel(guild.id, "Talk", CATEGORY)
    child = await guild.owner.api.make_channel(guild.id, "inside", TEXT, parent_id=category["id"])
    assert category["type"] == CATEGORY and child["parent_id"] == category["id"]


async def test_parent_must_be_a_category(guild: Guild) -> None:
    body = {"name": "lost", "type": TEXT, "parent_id": guild.channel}
    reply = await guild.owner.api.call("POST", f"/guilds/{guild.id}/channels", body=body)
    assert_discord_error(reply, 400, 50035)


async def test_ids_may_be_integers(guild: Guild) -> None:
    """discord.py sends some ids as JSON integers."""
    category = await guild.owner.api.make_channel(guild.id, "Talk", CATEGORY)
    child = await guild.owner.api.make_channel(guild.id, "inside", TEXT, parent_id=int(category["id"]))
    assert child["parent_id"] == category["id"], "ids are strings in what the server sends"


async def test_change_a_channel(guild: Guild, member: Account) -> None:
    changed = await guild.owner.api.patch(f"/channels/{guild.channel}", {"name": "lounge", "topic": "tea"})
    assert changed["name"] == "lounge" and changed["topic"] == "tea" and changed["id"] == guild.channel
    assert (await member.api.get(f"/channels/{guild.channel}"))["name"] == "lounge"


async def test_delete_a_channel(guild: Guild, member: Account) -> None:
    made = await guild.owner.api.make_channel(guild.id, "short-lived")
    reply = await guild.owner.api.call("DELETE", f"/channels/{made['id']}")
    assert reply.expect(200)["id"] == made["id"]
    assert_discord_error(await member.api.call("GET", f"/channels/{made['id']}"), 404, 10003)
    assert made["id"] not in [c["id"] for c in await member.api.channels(guild.id)]


async def test_deleted_category_frees_its_children(guild: Guild) -> None:
    category = await guild.owner.api.make_channel(guild.id, "Talk", CATEGORY)
    child = await guild.owner.api.make_channel(guild.id, "inside", TEXT, parent_id=category["id"])
    await guild.owner.api.delete(f"/channels/{category['id']}", 200)
    assert (await guild.owner.api.get(f"/channels/{child['id']}"))["parent_id"] is None


async def test_members_see_new_channels_at_once(guild: Guild, member: Account) -> None:
    """Joining a guild is one event: its channels are readable without joining each."""
    made = await guild.owner.api.make_channel(guild.id, "new-here")
    await guild.owner.api.say(made["id"], "welcome")
    assert [m["content"] for m in await member.api.history(made["id"])] == ["welcome"]
    await member.api.say(made["id"], "thanks")


async def test_leave_a_guild(guild: Guild, member: Account) -> None:
    await member.api.delete(f"/users/@me/guilds/{guild.id}")
    assert await member.api.get("/users/@me/guilds") == []
    reply = await member.api.call("GET", f"/channels/{guild.channel}/messages")
    assert_discord_error(reply, 403, 50001)


async def test_unknown_user(guild: Guild) -> None:
    assert_discord_error(await guild.owner.api.call("GET", "/users/1300000000000000001"), 404, 10013)


async def test_discoverable_guilds_are_listed_and_open(clients: Clients) -> None:
    owner, stranger = await clients.nexus.register(), await clients.nexus.register()
    made = await owner.api.make_guild(fresh_name("Open House"))
    found = f"/directory?q={made['name'].upper().replace(' ', '+')}"
    assert await stranger.api.get(found) == []
    refused = await stranger.api.call("POST", "/guilds/join", body={"room": made["room_id"]})
    assert refused.status == 403, str(refused)

    changed = await owner.api.patch(f"/guilds/{made['id']}", {"features": ["DISCOVERABLE", "VERIFIED"]})
    assert changed["features"] == ["DISCOVERABLE"], "only what the owner may choose is taken"
    [listed] = await stranger.api.get(found)
    assert listed["id"] == made["id"] and listed["approximate_member_count"] == 1
    joined = await stranger.api.post("/guilds/join", {"room": made["room_id"]}, 200)
    assert joined["id"] == made["id"]
    assert (await clients.nexus.call("GET", "/directory")).status == 401
    assert (await stranger.api.call("GET", "/directory?server=elsewhere.example")).status == 400
