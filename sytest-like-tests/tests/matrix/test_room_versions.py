"""A room of every version is made, lived in and read back: what is offered can be had.

Complement: TestRoomCreate, TestJoinViaRoomIDAndServerName; conformance notes "Room versions".
"""

from __future__ import annotations

import re

import pytest

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, room_path

VERSIONS = [str(number) for number in range(1, 13)]
EVENT_ID = {
    "1": r"\$[\w-]+:localhost:\d+",
    "2": r"\$[\w-]+:localhost:\d+",
    "3": r"\$[A-Za-z0-9+/]{43}",
} | {version: r"\$[A-Za-z0-9_-]{43}" for version in VERSIONS[3:]}


async def test_all_are_offered(alice: MatrixAccount) -> None:
    offered = (await alice.api.get("/capabilities"))["capabilities"]["m.room_versions"]
    assert offered == {"default": "12", "available": dict.fromkeys(VERSIONS, "stable")}


@pytest.mark.parametrize("version", ["0", "13", "1.0", "org.matrix.msc1"])
async def test_others_are_refused(version: str, alice: MatrixAccount) -> None:
    reply = await alice.api.call("POST", "/createRoom", body={"room_version": version})
    assert_matrix_error(reply, 400, "M_UNSUPPORTED_ROOM_VERSION")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_room_is_made_and_lived_in(version: str, alice: MatrixAccount, bob: MatrixAccount) -> None:
    room = await alice.api.create_room(room_version=version, preset="public_chat", name=f"Version {version}")
    assert (await alice.api.state(room, "m.room.create"))["room_version"] == version
    await bob.api.join(room)

    said = await alice.api.say(room, "first")
    edit = await alice.api.edit(room, said, "second")
    secret = await bob.api.say(room, "xyzzy")
    redaction = await alice.api.redact(room, secret, "slip")
    for event_id in (said, edit, secret, redaction):
        assert re.fullmatch(EVENT_ID[version], event_id), f"{event_id} in version {version}"

    event = await bob.api.get(room_path(room, "event", said))
    assert (event["event_id"], event["sender"], event["room_id"]) == (said, alice.user_id, room)
    latest = event["unsigned"]["m.relations"]["m.replace"]
    assert latest["event_id"] == edit and latest["content"]["m.new_content"]["body"] == "second"
    gone = await bob.api.get(room_path(room, "event", secret))
    assert gone["content"] == {} and gone["unsigned"]["redacted_because"]["event_id"] == redaction
    done = await bob.api.get(room_path(room, "event", redaction))
    assert done["redacts"] == done["content"]["redacts"] == secret

    timeline = await bob.api.whole_timeline(room)
    ids = [event["event_id"] for event in timeline]
    assert ids[-4:] == [said, edit, secret, redaction] and len(set(ids)) == len(ids)
    assert "xyzzy" not in str(timeline)
    synced = (await bob.api.sync()).timeline(room)
    assert [event["event_id"] for event in synced][-4:] == ids[-4:]


@pytest.mark.parametrize("version", VERSIONS)
async def test_power_is_kept_to(version: str, alice: MatrixAccount, bob: MatrixAccount) -> None:
    room = await alice.api.create_room(room_version=version, preset="public_chat")
    await bob.api.join(room)
    refused = await bob.api.call("PUT", room_path(room, "state", "m.room.topic", ""), body={"topic": "mine"})
    assert_matrix_error(refused, 403, "M_FORBIDDEN")
    of_alice = await alice.api.say(room, "hers")
    refused = await bob.api.call("PUT", room_path(room, "redact", of_alice, "t"), body={})
    assert_matrix_error(refused, 403, "M_FORBIDDEN")
    levels = await alice.api.state(room, "m.room.power_levels")
    levels["users"][bob.user_id] = 50
    await alice.api.set_state(room, "m.room.power_levels", levels)
    await bob.api.set_state(room, "m.room.topic", {"topic": "ours"})
    assert (await alice.api.state(room, "m.room.topic"))["topic"] == "ours"
