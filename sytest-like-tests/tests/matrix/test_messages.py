"""GET /messages: both directions, tokens that join without holes, and what a reader may see.

Complement: TestMessagesOverFederation (local part), TestFetchMessagesFromNonExistentRoom.
"""

from __future__ import annotations

import pytest

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, room_path


@pytest.fixture
async def sent(alice: MatrixAccount, room: str) -> list[str]:
    """Event ids of 25 messages."""
    return [await alice.api.say(room, f"m{n}") for n in range(25)]


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
async def test_pages_join_without_holes(
    limit: int, alice: MatrixAccount, room: str, sent: list[str]
) -> None:
    forwards = [e["event_id"] for e in await alice.api.whole_timeline(room, "f", limit)]
    backwards = [e["event_id"] for e in await alice.api.whole_timeline(room, "b", limit)]
    assert backwards == forwards[::-1]
    assert len(forwards) == len(set(forwards))
    assert forwards[-25:] == sent


async def test_limit_is_kept_and_defaults_to_10(alice: MatrixAccount, room: str, sent: list[str]) -> None:
    assert len((await alice.api.messages(room, dir="b", limit=7))["chunk"]) == 7
    assert len((await alice.api.messages(room, dir="b"))["chunk"]) == 10


async def test_backwards_starts_at_the_newest(alice: MatrixAccount, room: str, sent: list[str]) -> None:
    page = await alice.api.messages(room, dir="b", limit=3)
    assert [e["event_id"] for e in page["chunk"]] == sent[:-4:-1]
    assert page["start"] and page["end"]


async def test_end_turns_round(alice: MatrixAccount, room: str, sent: list[str]) -> None:
    """From where a backwards page ended, forwards leads over the same events again."""
    back = await alice.api.messages(room, dir="b", limit=5)
    forth = await alice.api.messages(room, dir="f", limit=5, **{"from": back["end"]})
    assert [e["event_id"] for e in forth["chunk"]] == [e["event_id"] for e in back["chunk"]][::-1]


async def test_to_stops(alice: MatrixAccount, room: str, sent: list[str]) -> None:
    first = await alice.api.messages(room, dir="b", limit=4)
    second = await alice.api.messages(room, dir="b", limit=4, **{"from": first["end"]})
    both = await alice.api.messages(room, dir="b", limit=100, to=second["end"])
    assert [e["event_id"] for e in both["chunk"]] == sent[:-9:-1]


async def test_sync_prev_batch_pages_back(alice: MatrixAccount, room: str, sent: list[str]) -> None:
    page = await alice.api.sync(filter_={"room": {"timeline": {"limit": 5}}})
    timeline = page.joined(room)["timeline"]
    assert timeline["limited"] is True
    older = await alice.api.messages(room, dir="b", limit=100, **{"from": timeline["prev_batch"]})
    joined = [e["event_id"] for e in older["chunk"]][::-1] + [e["event_id"] for e in timeline["events"]]
    assert joined == [e["event_id"] for e in await alice.api.whole_timeline(room)]


async def test_since_token_pages_forwards(alice: MatrixAccount, room: str) -> None:
    since = (await alice.api.sync()).next_batch
    later = [await alice.api.say(room, f"later {n}") for n in range(3)]
    page = await alice.api.messages(room, dir="f", limit=100, **{"from": since})
    assert [e["event_id"] for e in page["chunk"]] == later


async def test_filter(alice: MatrixAccount, room: str, sent: list[str]) -> None:
    page = await alice.api.messages(room, dir="b", limit=100, filter='{"types":["m.room.member"]}')
    assert {e["type"] for e in page["chunk"]} == {"m.room.member"}
    page = await alice.api.messages(room, dir="b", limit=100, filter='{"not_types":["m.room.message"]}')
    assert "m.room.message" not in {e["type"] for e in page["chunk"]}


async def test_events_are_client_events(alice: MatrixAccount, room: str, sent: list[str]) -> None:
    for event in await alice.api.whole_timeline(room):
        needed = {"event_id", "type", "sender", "origin_server_ts", "content", "room_id"}
        assert needed <= set(event), f"lacks {needed - set(event)}: {event}"
        leaked = {"hashes", "signatures", "auth_events", "prev_events", "depth"} & set(event)
        assert not leaked, f"federation fields in a client event: {leaked}"


async def test_strangers_and_unknown_rooms(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room = await alice.api.create_room()
    for name in (room, "!nosuchroom"):
        reply = await bob.api.call("GET", room_path(name, "messages"), params={"dir": "b"})
        assert_matrix_error(reply, 403, "M_FORBIDDEN")


async def test_shared_history_is_open_to_late_joiners(
    alice: MatrixAccount, bob: MatrixAccount
) -> None:
    room = await alice.api.create_room(preset="public_chat")
    early = await alice.api.say(room, "before bob")
    await bob.api.join(room)
    assert early in [e["event_id"] for e in await bob.api.whole_timeline(room)]


async def test_joined_history_is_closed_to_late_joiners(
    alice: MatrixAccount, bob: MatrixAccount
) -> None:
    visibility = {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
    room = await alice.api.create_room(preset="public_chat", initial_state=[visibility])
    early = await alice.api.say(room, "before bob")
    await bob.api.join(room)
    late = await alice.api.say(room, "after bob")
    seen = [e["event_id"] for e in await bob.api.whole_timeline(room)]
    assert late in seen and early not in seen
    assert_matrix_error(await bob.api.call("GET", room_path(room, "event", early)), 404, "M_NOT_FOUND")


async def test_nothing_after_leaving(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    before = await alice.api.say(room, "bob hears this")
    await bob.api.post(room_path(room, "leave"), {})
    after = await alice.api.say(room, "bob does not")
    seen = [e["event_id"] for e in await bob.api.whole_timeline(room, "b")]
    assert before in seen and after not in seen
