"""One log, two facades: what is done through one API is there in the other, with the same ids.

Design §3 ("what people see, and what is in the log") and §6 (federated identity beside snowflakes).
"""

from __future__ import annotations

from harness.matching import assert_matrix_error
from harness.matrix_api import room_path
from harness.nexus_api import reaction_path
from harness.scene import Guild, ready_gateway


async def test_ids_of_both_worlds(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    event_id = await mia.api.say(guild.room, "from Matrix")
    [message] = [m for m in await guild.owner.api.history(guild.channel) if m["content"] == "from Matrix"]
    assert message["event_id"] == event_id and message["author"]["mxid"] == mia.user_id
    said = await guild.owner.api.say(guild.channel, "from Discord")
    event = await mia.api.get(room_path(guild.room, "event", said["event_id"]))
    assert event["content"]["body"] == "from Discord" and event["sender"] == guild.owner.mxid


async def test_same_order_in_both(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    for number in range(10):
        await mia.api.say(guild.room, f"m{number}")
        await guild.owner.api.say(guild.channel, f"d{number}")
    rest = [m["event_id"] for m in await guild.owner.api.whole_history(guild.channel) if m["type"] == 0]
    timeline = [e["event_id"] for e in await mia.api.whole_timeline(guild.room) if e["type"] == "m.room.message"]
    assert rest == timeline and len(rest) == 20


async def test_edits_both_ways(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    event_id = await mia.api.say(guild.room, "one")
    await mia.api.edit(guild.room, event_id, "two")
    [message] = [m for m in await guild.owner.api.history(guild.channel) if m["event_id"] == event_id]
    assert message["content"] == "two" and message["edited_timestamp"]
    assert [m["content"] for m in await guild.owner.api.history(guild.channel)].count("* two") == 0

    said = await guild.owner.api.say(guild.channel, "three")
    await guild.owner.api.edit(guild.channel, said["id"], "four")
    timeline = await mia.api.whole_timeline(guild.room)
    [edit] = [e for e in timeline if e["content"].get("m.relates_to", {}).get("rel_type") == "m.replace"
              and e["sender"] == guild.owner.mxid]
    assert edit["content"]["m.relates_to"]["event_id"] == said["event_id"]
    assert edit["content"]["m.new_content"]["body"] == "four"


async def test_reactions_both_ways(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    said = await guild.owner.api.say(guild.channel, "vote")
    reaction = await mia.api.react(guild.room, said["event_id"], "👍")
    await guild.owner.api.react(guild.channel, said["id"], "👍")
    message = await guild.owner.api.get(f"/channels/{guild.channel}/messages/{said['id']}")
    assert [(r["emoji"]["name"], r["count"], r["me"]) for r in message["reactions"]] == [("👍", 2, True)]
    annotations = [e for e in await mia.api.whole_timeline(guild.room) if e["type"] == "m.reaction"]
    assert {e["sender"] for e in annotations} == {mia.user_id, guild.owner.mxid}
    await mia.api.redact(guild.room, reaction)
    users = await guild.owner.api.get(reaction_path(guild.channel, said["id"], "👍"))
    assert [u["id"] for u in users] == [guild.owner.id]


async def test_deletions_both_ways(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    event_id = await mia.api.say(guild.room, "secret of Mia")
    said = await guild.owner.api.say(guild.channel, "secret of Olga")
    await mia.api.redact(guild.room, event_id)
    await guild.owner.api.unsay(guild.channel, said["id"])
    assert "secret" not in str(await guild.owner.api.whole_history(guild.channel))
    assert "secret" not in str(await mia.api.whole_timeline(guild.room))


async def test_moderator_deletes_a_matrix_message(guild: Guild) -> None:
    """Sent by the steward on the moderator's behalf (design §3), so Matrix servers accept it."""
    mia = await guild.new_matrix_member()
    event_id = await mia.api.say(guild.room, "rude")
    [message] = [m for m in await guild.owner.api.history(guild.channel) if m["event_id"] == event_id]
    await guild.owner.api.unsay(guild.channel, message["id"])
    assert (await mia.api.get(room_path(guild.room, "event", event_id)))["content"] == {}


async def test_replies_both_ways(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    said = await guild.owner.api.say(guild.channel, "question")
    content = {
        "msgtype": "m.text",
        "body": "answer",
        "m.relates_to": {"m.in_reply_to": {"event_id": said["event_id"]}},
    }
    event_id = await mia.api.send(guild.room, content)
    [answer] = [m for m in await guild.owner.api.history(guild.channel) if m["event_id"] == event_id]
    assert answer["type"] == 19 and answer["message_reference"]["message_id"] == said["id"]
    back = await guild.owner.api.say(guild.channel, "thanks", message_reference={"message_id": answer["id"]})
    event = await mia.api.get(room_path(guild.room, "event", back["event_id"]))
    assert event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == event_id


async def test_typing_both_ways(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    since = (await mia.api.sync()).next_batch
    await guild.owner.api.post(f"/channels/{guild.channel}/typing", status=204)
    await mia.api.sync_until(
        since,
        lambda p: any(guild.owner.mxid in e["content"]["user_ids"] for e in p.ephemeral(guild.room)),
    )
    me = await guild.clients.nexus.with_token(mia.access_token).get("/users/@me")
    async with await ready_gateway(guild.clients, guild.owner.access_token, guild.id) as gateway:
        path = room_path(guild.room, "typing", mia.user_id)
        await mia.api.put(path, {"typing": True, "timeout": 5000})
        await gateway.event("TYPING_START", lambda t: t["user_id"] == me["id"])


async def test_sending_joins_a_channel_one_may_view(guild: Guild) -> None:
    """A guild member sends to a channel's room without joining it first (design §3)."""
    mia = await guild.new_matrix_member(join_general=False)
    assert guild.room not in (await mia.api.get("/joined_rooms"))["joined_rooms"]
    await mia.api.say(guild.room, "just like that")
    assert guild.room in (await mia.api.get("/joined_rooms"))["joined_rooms"]
    assert (await guild.owner.api.history(guild.channel, limit=1))[0]["content"] == "just like that"


async def test_strangers_join_no_channel(guild: Guild) -> None:
    stranger = await guild.clients.matrix.register()
    for call in (
        await stranger.api.call("POST", room_path(guild.room, "join"), body={}),
        await stranger.api.call("PUT", room_path(guild.room, "send", "m.room.message", "t"),
                                body={"msgtype": "m.text", "body": "x"}),
        await stranger.api.call("GET", room_path(guild.room, "messages"), params={"dir": "b"}),
        await stranger.api.call("GET", room_path(guild.room, "state")),
    ):
        assert_matrix_error(call, 403, "M_FORBIDDEN")


async def test_matrix_members_have_no_power_by_level(guild: Guild) -> None:
    """Nobody gains by power level what no role grants: stewards alone change structure."""
    for who in (await guild.new_matrix_member(), None):
        api = who.api if who else guild.clients.matrix.with_token(guild.owner.access_token)
        for kind, content in (
            ("m.room.name", {"name": "taken"}),
            ("m.room.power_levels", {"users_default": 100}),
            ("m.room.join_rules", {"join_rule": "public"}),
        ):
            path = room_path(guild.room, "state", kind, "")
            assert_matrix_error(await api.call("PUT", path, body=content), 403, "M_FORBIDDEN")


async def test_channel_name_and_topic_are_the_rooms(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    await guild.owner.api.patch(f"/channels/{guild.channel}", {"name": "lounge", "topic": "tea"})
    assert (await mia.api.state(guild.room, "m.room.name"))["name"] == "lounge"
    assert (await mia.api.state(guild.room, "m.room.topic"))["topic"] == "tea"


async def test_guild_is_a_space(guild: Guild) -> None:
    mia = await guild.new_matrix_member()
    space = guild.object["room_id"]
    assert space in (await mia.api.get("/joined_rooms"))["joined_rooms"], "a guild member is in the space"
    assert (await mia.api.state(space, "m.room.create"))["type"] == "m.space"
    state = await mia.api.get(room_path(space, "state"))
    children = {e["state_key"] for e in state if e["type"] == "m.space.child" and e["content"].get("via")}
    assert guild.room in children
    steward = next(e["sender"] for e in state if e["type"] == "m.room.create")
    assert steward.startswith("@nexus:")
    assert (await mia.api.state(guild.room, "m.space.parent", space))["via"]


async def test_matrix_join_of_the_space_is_refused_without_invite(guild: Guild) -> None:
    stranger = await guild.clients.matrix.register()
    reply = await stranger.api.call("POST", room_path(guild.object["room_id"], "join"), body={})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")
