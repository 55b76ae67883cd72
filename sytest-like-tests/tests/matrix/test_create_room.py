"""POST /createRoom: versions, presets, order of events, initial state, invitations.

Complement: TestRoomCreate, TestRoomState; conformance notes "Room creation and upgrade".
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, room_path


async def timeline(account: MatrixAccount, room_id: str) -> list[dict[str, Any]]:
    return await account.api.whole_timeline(room_id)


@pytest.mark.parametrize("version", [str(number) for number in range(1, 13)])
async def test_versions(version: str, alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(room_version=version)
    create = await alice.api.state(room_id, "m.room.create")
    assert create["room_version"] == version
    # Before version 11 the creator is named in the content; from 12 on the id is a hash.
    assert ("creator" in create) == (int(version) < 11)
    assert (":" in room_id) == (version != "12")


async def test_default_version_is_the_configured_one(alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room()
    assert (await alice.api.state(room_id, "m.room.create"))["room_version"] == "12"


async def test_order_of_the_first_events(alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(
        preset="private_chat",
        name="ordered",
        topic="in order",
        initial_state=[{"type": "org.example.extra", "state_key": "", "content": {"x": 1}}],
    )
    kinds = [e["type"] for e in await timeline(alice, room_id)]
    assert kinds[:3] == ["m.room.create", "m.room.member", "m.room.power_levels"], kinds
    place = {kind: kinds.index(kind) for kind in kinds}
    for preset in ("m.room.join_rules", "m.room.history_visibility"):
        assert place[preset] < place["org.example.extra"] < place["m.room.name"] < place["m.room.topic"]


@pytest.mark.parametrize(
    ("preset", "join_rule", "guest_access"),
    [
        ("private_chat", "invite", "can_join"),
        ("trusted_private_chat", "invite", "can_join"),
        ("public_chat", "public", "forbidden"),
    ],
)
async def test_presets(preset: str, join_rule: str, guest_access: str, alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(preset=preset)
    assert (await alice.api.state(room_id, "m.room.join_rules"))["join_rule"] == join_rule
    guests = await alice.api.call("GET", room_path(room_id, "state", "m.room.guest_access", ""))
    # No event at all means forbidden, too.
    found = guests.json().get("guest_access", "forbidden") if guests.status == 200 else "forbidden"
    assert found == guest_access
    visibility = await alice.api.state(room_id, "m.room.history_visibility")
    assert visibility["history_visibility"] == "shared"


async def test_visibility_chooses_the_preset(alice: MatrixAccount) -> None:
    public = await alice.api.create_room(visibility="public")
    assert (await alice.api.state(public, "m.room.join_rules"))["join_rule"] == "public"
    private = await alice.api.create_room()
    assert (await alice.api.state(private, "m.room.join_rules"))["join_rule"] == "invite"


async def test_initial_state_overrides_the_preset_and_name_overrides_it(alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(
        preset="private_chat",
        name="the name wins",
        initial_state=[
            {"type": "m.room.join_rules", "content": {"join_rule": "public"}},
            {"type": "m.room.name", "content": {"name": "loses"}},
        ],
    )
    assert (await alice.api.state(room_id, "m.room.join_rules"))["join_rule"] == "public"
    assert (await alice.api.state(room_id, "m.room.name"))["name"] == "the name wins"


async def test_name_and_topic(alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(name="Nämé 🎈", topic="what we talk about")
    assert (await alice.api.state(room_id, "m.room.name")) == {"name": "Nämé 🎈"}
    topic = await alice.api.state(room_id, "m.room.topic")
    assert topic["topic"] == "what we talk about"
    texts = topic["m.topic"]["m.text"]
    assert {"body": "what we talk about"} in [{"body": t["body"]} for t in texts]


async def test_invitations(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room(invite=[bob.user_id], is_direct=True)
    member = await alice.api.state(room_id, "m.room.member", bob.user_id)
    assert member["membership"] == "invite" and member["is_direct"] is True
    page = await bob.api.sync_until(None, lambda s: room_id in s.section("invite"))
    stripped = page.section("invite")[room_id]["invite_state"]["events"]
    assert "m.room.create" in [e["type"] for e in stripped]


async def test_creation_content(alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(
        creation_content={"m.federate": False, "org.example.mark": "x", "room_version": "1", "creator": "@x:y"}
    )
    create = await alice.api.state(room_id, "m.room.create")
    assert create["m.federate"] is False and create["org.example.mark"] == "x"
    assert create["room_version"] == "12" and create.get("creator") != "@x:y"


async def test_power_level_override(alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(power_level_content_override={"events_default": 7})
    assert (await alice.api.state(room_id, "m.room.power_levels"))["events_default"] == 7


async def test_version_12_keeps_creators_out_of_the_power_levels(alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(room_version="12")
    levels = await alice.api.state(room_id, "m.room.power_levels")
    assert alice.user_id not in levels.get("users", {})
    reply = await alice.api.call(
        "POST",
        "/createRoom",
        body={"room_version": "12", "power_level_content_override": {"users": {alice.user_id: 100}}},
    )
    assert_matrix_error(reply, 400, None)


async def test_version_11_names_the_creator(alice: MatrixAccount) -> None:
    room_id = await alice.api.create_room(room_version="11")
    levels = await alice.api.state(room_id, "m.room.power_levels")
    assert levels["users"][alice.user_id] == 100


async def test_trusted_private_chat_gives_invitees_the_creators_level(
    alice: MatrixAccount, bob: MatrixAccount
) -> None:
    room_id = await alice.api.create_room(
        preset="trusted_private_chat", invite=[bob.user_id], room_version="11"
    )
    levels = await alice.api.state(room_id, "m.room.power_levels")
    assert levels["users"][bob.user_id] == levels["users"][alice.user_id]


async def test_impossible_initial_state(alice: MatrixAccount) -> None:
    state = [{"type": "m.room.create", "state_key": "", "content": {}}]
    reply = await alice.api.call("POST", "/createRoom", body={"initial_state": state})
    assert reply.status == 400, str(reply)
    assert_matrix_error(reply, 400, None)


async def test_a_stranger_sees_nothing(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room(name="secret")
    for rest in (("state",), ("messages",), ("joined_members",), ("state", "m.room.name", "")):
        path = room_path(room_id, *rest)
        params = {"dir": "b"} if rest == ("messages",) else None
        assert_matrix_error(await bob.api.call("GET", path, params=params), 403, "M_FORBIDDEN")
