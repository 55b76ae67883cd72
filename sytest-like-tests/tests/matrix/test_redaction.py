"""Redaction: who may, what is left, and that the content is gone from every read.

Complement: TestRedact*, conformance notes "State, power levels, redaction"; design invariant 1.
"""

from __future__ import annotations

import pytest

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, room_path
from harness.waiting import eventually


@pytest.mark.parametrize("version", ["1", "3", "10", "11", "12"])
async def test_content_is_gone_everywhere(version: str, alice: MatrixAccount) -> None:
    room = await alice.api.create_room(room_version=version)
    target = await alice.api.say(room, "the secret word is xyzzy")
    redaction = await alice.api.redact(room, target, "slip")

    event = await alice.api.get(room_path(room, "event", target))
    assert event["content"] == {}
    because = event["unsigned"]["redacted_because"]
    assert because["event_id"] == redaction and because["content"]["reason"] == "slip"
    for read in (
        await alice.api.whole_timeline(room),
        await alice.api.whole_timeline(room, "b"),
        (await alice.api.sync()).timeline(room),
    ):
        assert "xyzzy" not in str(read)


@pytest.mark.parametrize("version", ["1", "3", "10", "12"])
async def test_target_is_named_in_both_places(version: str, alice: MatrixAccount) -> None:
    """Old clients read `redacts` at the top, new ones in the content; serve both."""
    room = await alice.api.create_room(room_version=version)
    target = await alice.api.say(room, "x")
    redaction = await alice.api.redact(room, target)
    event = await alice.api.get(room_path(room, "event", redaction))
    assert event["redacts"] == target
    assert event["content"]["redacts"] == target


async def test_redaction_through_send(alice: MatrixAccount, room: str) -> None:
    target = await alice.api.say(room, "x")
    await alice.api.send(room, {"redacts": target}, "m.room.redaction")
    assert (await alice.api.get(room_path(room, "event", target)))["content"] == {}


async def test_not_anothers_message(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    target = await alice.api.say(room, "mine")
    reply = await bob.api.call("PUT", room_path(room, "redact", target, "t"), body={})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert (await alice.api.get(room_path(room, "event", target)))["content"]["body"] == "mine"


async def test_power_redacts_anothers_message(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    target = await bob.api.say(room, "rude")
    await alice.api.redact(room, target)
    assert (await bob.api.get(room_path(room, "event", target)))["content"] == {}


async def test_redaction_of_nothing(alice: MatrixAccount, room: str) -> None:
    reply = await alice.api.call("PUT", room_path(room, "redact", "$nosuch", "t"), body={})
    assert reply.status in (200, 403, 404), str(reply)


async def test_event_of_another_room(alice: MatrixAccount, room: str) -> None:
    other = await alice.api.create_room()
    target = await alice.api.say(other, "elsewhere")
    reply = await alice.api.call("PUT", room_path(room, "redact", target, "t"), body={})
    assert reply.status >= 400 or (await alice.api.get(room_path(other, "event", target)))["content"]["body"]
    assert (await alice.api.get(room_path(other, "event", target)))["content"]["body"] == "elsewhere"


async def test_redacted_state_keeps_what_auth_needs(alice: MatrixAccount, room: str) -> None:
    event_id = await alice.api.set_state(room, "m.room.name", {"name": "secret name"})
    await alice.api.redact(room, event_id)
    assert await alice.api.state(room, "m.room.name") == {}


async def test_others_hear_of_it(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    target = await alice.api.say(room, "soon gone")
    since = (await bob.api.sync()).next_batch
    redaction = await alice.api.redact(room, target)

    async def heard() -> bool:
        page = await bob.api.sync(since)
        return any(e["event_id"] == redaction for e in page.timeline(room))

    await eventually("the redaction is synced", heard)
