"""An unmodified matrix-nio client moderates, knocks, names, finds and replaces rooms.

Complement: TestKnocking, TestRoomForget, TestRoomAlias, TestClientSpacesSummary, TestRoomUpgrade.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import nio
import pytest
from nio.responses import RoomUpgradeResponse

from harness.matrix_api import MatrixApi, segment, text_message
from harness.nexus_api import fresh_name
from harness.nio_client import NioClient
from harness.server import NexusServer


@pytest.fixture
async def people(server: NexusServer) -> AsyncIterator[list[NioClient]]:
    """Ana, Ben and Cem, each with a client of their own that syncs."""
    async with AsyncExitStack() as stack:
        made = []
        for name in ("ana", "ben", "cem"):
            client = await stack.enter_async_context(NioClient(server.url))
            await client.register(fresh_name(name))
            await client.begin_sync()
            made.append(client)
        yield made


def good(response: Any, kind: type[Any]) -> Any:
    assert isinstance(response, kind), f"{response}"
    return response


def refused(response: Any, code: str) -> None:
    assert isinstance(response, nio.ErrorResponse), f"{response}"
    assert response.status_code == code, f"{response}"


async def make_room(client: NioClient, **options: Any) -> str:
    options.setdefault("preset", nio.RoomPreset.public_chat)
    made = good(await client.nio.room_create(**options), nio.RoomCreateResponse)
    return str(made.room_id)


async def membership(client: NioClient, room: str, user: str) -> str:
    state = await client.nio.room_get_state_event(room, "m.room.member", user)
    return str(good(state, nio.RoomGetStateEventResponse).content["membership"])


async def seen_membership(client: NioClient, room: str, user: str, value: str) -> None:
    await client.event(
        f"{user} {value}",
        lambda e: e.room_id == room
        and e.kind == "m.room.member"
        and e.source.get("state_key") == user
        and e.content["membership"] == value,
    )


@pytest.mark.parametrize("version", ["6", "10", "12"])
async def test_kick_ban_unban(people: list[NioClient], version: str) -> None:
    ana, ben, cem = people
    room = await make_room(ana, room_version=version)
    await ben.join(room)
    await cem.join(room)
    refused(await ben.nio.room_kick(room, cem.user_id), "M_FORBIDDEN")
    refused(await ben.nio.room_ban(room, ana.user_id), "M_FORBIDDEN")
    good(await ana.nio.room_kick(room, ben.user_id, "enough"), nio.RoomKickResponse)
    await seen_membership(cem, room, ben.user_id, "leave")
    await ben.join(room)
    good(await ana.nio.room_ban(room, ben.user_id, "enough"), nio.RoomBanResponse)
    await seen_membership(cem, room, ben.user_id, "ban")
    refused(await ben.nio.join(room), "M_FORBIDDEN")
    refused(await ben.nio.room_send(room, "m.room.message", text_message("hello?")), "M_FORBIDDEN")
    refused(await ana.nio.room_invite(room, ben.user_id), "M_FORBIDDEN")
    good(await ana.nio.room_unban(room, ben.user_id), nio.RoomUnbanResponse)
    await ben.join(room)
    await ben.send(room, text_message("back"))
    await cem.message("back")


async def test_a_knock_is_answered(people: list[NioClient]) -> None:
    ana, ben, cem = people
    rule = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    room = await make_room(ana, preset=nio.RoomPreset.private_chat, initial_state=[rule])
    refused(await ben.nio.join(room), "M_FORBIDDEN")
    for client in (ben, cem):
        good(await client.nio.room_knock(room, "may I?"), nio.RoomKnockResponse)
        await seen_membership(ana, room, client.user_id, "knock")
    good(await ana.nio.room_kick(room, cem.user_id, "no"), nio.RoomKickResponse)
    good(await ana.nio.room_invite(room, ben.user_id), nio.RoomInviteResponse)
    await ben.join(room)
    assert await membership(ana, room, ben.user_id) == "join"
    assert await membership(ana, room, cem.user_id) == "leave"
    refused(await cem.nio.join(room), "M_FORBIDDEN")


async def test_left_rooms_are_read_up_to_the_leave_and_forgotten(people: list[NioClient]) -> None:
    ana, ben, _ = people
    room = await make_room(ana)
    await ben.join(room)
    await ana.send(room, text_message("while there"))
    refused(await ben.nio.room_forget(room), "M_UNKNOWN")
    good(await ben.nio.room_leave(room), nio.RoomLeaveResponse)
    await ana.send(room, text_message("afterwards"))
    page = good(await ben.nio.room_messages(room, start="", limit=50), nio.RoomMessagesResponse)
    bodies = [e.body for e in page.chunk if isinstance(e, nio.RoomMessageText)]
    assert bodies == ["while there"]
    good(await ben.nio.room_forget(room), nio.RoomForgetResponse)
    refused(await ben.nio.room_messages(room, start="", limit=50), "M_FORBIDDEN")


async def test_restricted_rooms_let_in_from_the_lobby(people: list[NioClient]) -> None:
    ana, ben, _ = people
    lobby = await make_room(ana)
    content = {
        "join_rule": "restricted",
        "allow": [{"type": "m.room_membership", "room_id": lobby}],
    }
    rule = {"type": "m.room.join_rules", "state_key": "", "content": content}
    inner = await make_room(ana, preset=nio.RoomPreset.private_chat, initial_state=[rule])
    refused(await ben.nio.join(inner), "M_FORBIDDEN")
    await ben.join(lobby)
    await ben.join(inner)
    state = await ana.nio.room_get_state_event(inner, "m.room.member", ben.user_id)
    content = good(state, nio.RoomGetStateEventResponse).content
    assert content["join_authorised_via_users_server"] == ana.user_id


async def test_aliases(people: list[NioClient], server: NexusServer) -> None:
    ana, ben, cem = people
    name = fresh_name("place")
    room = await make_room(ana, alias=name)
    domain = ana.user_id.split(":", 1)[1]
    alias, other = f"#{name}:{domain}", f"#{name}-too:{domain}"
    assert good(await ben.nio.room_resolve_alias(alias), nio.RoomResolveAliasResponse).room_id == room
    await ben.join(alias)
    good(await ben.nio.room_put_alias(other, room), nio.RoomPutAliasResponse)
    # nio does not look at what a PUT of an alias is answered; a taken one stays where it leads.
    elsewhere = await make_room(cem)
    await cem.nio.room_put_alias(other, elsewhere)
    await cem.nio.room_put_alias(f"#{name}-no:{domain}", room)
    assert good(await cem.nio.room_resolve_alias(other), nio.RoomResolveAliasResponse).room_id == room
    refused(await cem.nio.room_resolve_alias(f"#{name}-no:{domain}"), "M_NOT_FOUND")
    await cem.nio.room_delete_alias(other)
    assert good(await cem.nio.room_resolve_alias(other), nio.RoomResolveAliasResponse).room_id == room
    await ben.nio.room_delete_alias(other)
    refused(await ben.nio.room_resolve_alias(other), "M_NOT_FOUND")
    again = await ana.nio.room_create(alias=name)
    refused(again, "M_ROOM_IN_USE")


async def test_a_public_room_is_found(people: list[NioClient], matrix: MatrixApi) -> None:
    ana, ben, _ = people
    name = fresh_name("teahouse")
    room = await make_room(ana, visibility=nio.RoomVisibility.public, name=name, topic="leaves")
    visibility = await ben.nio.room_get_visibility(room)
    assert good(visibility, nio.RoomGetVisibilityResponse).visibility == "public"
    api = matrix.with_token(ben.access_token)
    found = await api.post("/publicRooms", {"filter": {"generic_search_term": name}})
    assert [r["room_id"] for r in found["chunk"]] == [room]
    people_found = await api.post("/user_directory/search", {"search_term": ana.user_id})
    assert [r["user_id"] for r in people_found["results"]] == [ana.user_id]


async def test_a_space_is_walked(people: list[NioClient]) -> None:
    ana, ben, _ = people
    space = await make_room(ana, space=True)
    shown = await make_room(ana, name="shown")
    hidden = await make_room(ana, name="hidden", preset=nio.RoomPreset.private_chat)
    for child in (shown, hidden):
        put = await ana.nio.room_put_state(
            space, "m.space.child", {"via": [ana.user_id.split(":", 1)[1]]}, state_key=child
        )
        good(put, nio.RoomPutStateResponse)
    walked = good(await ben.nio.space_get_hierarchy(space), nio.SpaceGetHierarchyResponse)
    assert [r["room_id"] for r in walked.rooms] == [space, shown]
    walked = good(await ana.nio.space_get_hierarchy(space), nio.SpaceGetHierarchyResponse)
    assert {r["room_id"] for r in walked.rooms} == {space, shown, hidden}


async def test_context_and_relations(people: list[NioClient]) -> None:
    ana, _, _ = people
    room = await make_room(ana)
    events = [await ana.send(room, text_message(str(n))) for n in range(5)]
    around = good(await ana.nio.room_context(room, events[2], limit=2), nio.RoomContextResponse)
    assert [e.event_id for e in around.events_before] == [events[1]]
    assert [e.event_id for e in around.events_after] == [events[3]]
    relates = {"rel_type": "m.annotation", "event_id": events[2], "key": "👍"}
    reaction = await ana.send(room, {"m.relates_to": relates}, "m.reaction")
    found = [e async for e in ana.nio.room_get_event_relations(room, events[2])]
    assert [e.event_id for e in found] == [reaction]


@pytest.mark.parametrize(("old_version", "version"), [("10", "12"), ("12", "12"), ("12", "11")])
async def test_the_server_replaces_a_room(
    people: list[NioClient], matrix: MatrixApi, old_version: str, version: str
) -> None:
    ana, ben, cem = people
    name = fresh_name("home")
    old = await make_room(ana, room_version=old_version, name="Home", alias=name)
    await ben.join(old)
    good(await ana.nio.room_ban(old, cem.user_id), nio.RoomBanResponse)
    api = matrix.with_token(ana.access_token)
    made = await api.post(f"/rooms/{segment(old)}/upgrade", {"new_version": version})
    new = str(made["replacement_room"])
    tombstone = await ben.event("tombstone", lambda e: e.room_id == old and e.kind == "m.room.tombstone")
    assert tombstone.content["replacement_room"] == new
    refused(await ben.nio.room_send(old, "m.room.message", text_message("here?")), "M_FORBIDDEN")
    alias = f"#{name}:{ana.user_id.split(':', 1)[1]}"
    assert good(await ben.nio.room_resolve_alias(alias), nio.RoomResolveAliasResponse).room_id == new
    await ben.join(new)
    await ben.send(new, text_message("moved in"))
    await ana.message("moved in")
    refused(await cem.nio.join(new), "M_FORBIDDEN")


async def test_a_client_replaces_a_room_itself(people: list[NioClient]) -> None:
    ana, ben, _ = people
    name = fresh_name("own")
    old = await make_room(ana, room_version="11", name="Old", alias=name)
    await ben.join(old)
    made = good(await ana.nio.room_upgrade(old, "11"), RoomUpgradeResponse)
    create = await ana.nio.room_get_state_event(made.room_id, "m.room.create")
    assert good(create, nio.RoomGetStateEventResponse).content["predecessor"]["room_id"] == old
    await ben.join(made.room_id)
