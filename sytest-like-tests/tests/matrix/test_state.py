"""Room state: get, put, keys with odd characters, power levels, size limits at the boundary.

Complement: TestRoomState, TestPowerLevels; conformance notes "State, power levels".
"""

from __future__ import annotations

import pytest

from harness.matching import assert_matrix_error
from harness.matrix_api import V3, MatrixAccount, room_path, segment

KIND = "org.example.state"


async def test_put_and_get(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    event_id = await alice.api.set_state(room, KIND, {"a": [1, {"b": None}], "ü": "ß"}, "key")
    assert await bob.api.state(room, KIND, "key") == {"a": [1, {"b": None}], "ü": "ß"}
    event = await bob.api.get(room_path(room, "event", event_id))
    assert event["state_key"] == "key" and event["type"] == KIND


@pytest.mark.parametrize("slash", ["", "/"])
async def test_empty_key_with_and_without_slash(slash: str, alice: MatrixAccount, room: str) -> None:
    path = room_path(room, "state", "m.room.topic") + slash
    await alice.api.put(path, {"topic": f"by {slash!r}"})
    assert (await alice.api.get(path))["topic"] == f"by {slash!r}"


@pytest.mark.parametrize("key", ["a/b", "100%", "#hash", "ключ 🔑", "with space", "%2F", "?q=1", "x:y"])
async def test_keys_are_decoded_once(key: str, alice: MatrixAccount, room: str) -> None:
    await alice.api.set_state(room, KIND, {"key": key}, key)
    assert await alice.api.state(room, KIND, key) == {"key": key}
    keys = {e["state_key"] for e in await alice.api.get(room_path(room, "state")) if e["type"] == KIND}
    assert keys == {key}


async def test_type_and_key_of_255_bytes(alice: MatrixAccount, room: str) -> None:
    kind, key = "t" * 255, "k" * 255
    await alice.api.set_state(room, kind, {"long": True}, key)
    assert await alice.api.state(room, kind, key) == {"long": True}


async def test_integers_at_the_limit(alice: MatrixAccount, room: str) -> None:
    content = {"max": 2**53 - 1, "min": -(2**53) + 1, "zero": 0}
    await alice.api.set_state(room, KIND, content)
    assert await alice.api.state(room, KIND) == content


async def test_full_state(alice: MatrixAccount, room: str) -> None:
    events = await alice.api.get(room_path(room, "state"))
    kinds = {e["type"] for e in events}
    assert {"m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules"} <= kinds
    for event in events:
        assert {"event_id", "sender", "content", "state_key", "origin_server_ts"} <= set(event), event


async def test_format_event(alice: MatrixAccount, room: str) -> None:
    event_id = await alice.api.set_state(room, KIND, {"x": 1})
    event = await alice.api.get(room_path(room, "state", KIND, ""), format="event")
    assert event["event_id"] == event_id and event["content"] == {"x": 1}


async def test_absent_state(alice: MatrixAccount, room: str) -> None:
    reply = await alice.api.call("GET", room_path(room, "state", "org.example.none", ""))
    assert_matrix_error(reply, 404, "M_NOT_FOUND")


async def test_state_needs_power(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    path = room_path(room, "state", "m.room.name", "")
    assert_matrix_error(await bob.api.call("PUT", path, body={"name": "mine"}), 403, "M_FORBIDDEN")
    levels = await alice.api.state(room, "m.room.power_levels")
    levels.setdefault("users", {})[bob.user_id] = 50
    await alice.api.set_state(room, "m.room.power_levels", levels)
    await bob.api.set_state(room, "m.room.name", {"name": "mine"})
    assert (await alice.api.state(room, "m.room.name"))["name"] == "mine"


async def test_power_levels_cannot_be_raised_above_ones_own(
    alice: MatrixAccount, bob: MatrixAccount, room: str
) -> None:
    levels = await alice.api.state(room, "m.room.power_levels")
    levels.setdefault("users", {})[bob.user_id] = 50
    levels["events"] = {**levels.get("events", {}), "m.room.power_levels": 50}
    await alice.api.set_state(room, "m.room.power_levels", levels)
    greedy = {**levels, "users": {**levels["users"], bob.user_id: 100}}
    path = room_path(room, "state", "m.room.power_levels", "")
    assert_matrix_error(await bob.api.call("PUT", path, body=greedy), 403, "M_FORBIDDEN")
    # Missing old keys are a refusal too, not a failure of the server.
    assert_matrix_error(await bob.api.call("PUT", path, body={"users": {}}), 403, "M_FORBIDDEN")


async def test_state_key_of_another_user(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    """A key that starts with @ belongs to that user."""
    path = room_path(room, "state", KIND, bob.user_id)
    reply = await alice.api.call("PUT", path, body={})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")


async def test_last_writer_wins(alice: MatrixAccount, room: str) -> None:
    for number in range(5):
        await alice.api.set_state(room, KIND, {"n": number})
    assert await alice.api.state(room, KIND) == {"n": 4}


async def test_member_events_of_members(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    chunk = (await alice.api.get(room_path(room, "members")))["chunk"]
    assert {e["state_key"]: e["content"]["membership"] for e in chunk} == {
        alice.user_id: "join",
        bob.user_id: "join",
    }


async def test_paths_of_the_r0_api_are_gone_or_served(alice: MatrixAccount, room: str) -> None:
    """Whatever the server does with /r0, it answers in Matrix's format."""
    path = V3.replace("v3", "r0") + f"/rooms/{segment(room)}/state"
    reply = await alice.api.wire.send("GET", path)
    if reply.status != 200:
        assert_matrix_error(reply, 404, "M_UNRECOGNIZED")
