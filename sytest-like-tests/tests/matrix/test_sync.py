"""GET /sync, initial and incremental: sections, state against timeline, gaps, filters.

Complement: TestSync, TestSyncTimelineGap, TestSyncLeaveSection, TestSyncFilter, TestCumulativeJoinLeaveJoinSync.
"""

from __future__ import annotations

from typing import Any

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, room_path, segment

NEEDED_EVERYWHERE = {"event_id", "type", "sender", "origin_server_ts", "content"}


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [e["event_id"] for e in events]


async def test_initial_sync_holds_the_whole_small_room(alice: MatrixAccount, room: str) -> None:
    event_id = await alice.api.say(room, "hello")
    page = await alice.api.sync()
    joined = page.joined(room)
    seen = joined["state"]["events"] + joined["timeline"]["events"]
    assert len(ids(seen)) == len(set(ids(seen))), "state and timeline overlap"
    kinds = {e["type"] for e in seen}
    assert {"m.room.create", "m.room.power_levels", "m.room.join_rules"} <= kinds
    assert ids(page.timeline(room))[-1] == event_id
    for event in seen:
        assert NEEDED_EVERYWHERE <= set(event), event
        assert "room_id" not in event, "events in sync carry no room_id"


async def test_nothing_new_is_an_empty_page(alice: MatrixAccount, room: str) -> None:
    since = (await alice.api.sync()).next_batch
    page = await alice.api.sync(since)
    assert page.section("join") == {} and page.section("leave") == {} and page.section("invite") == {}


async def test_incremental_holds_only_what_is_new(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    since = (await alice.api.sync()).next_batch
    sent = [await bob.api.say(room, f"n{n}") for n in range(3)]
    page = await alice.api.sync(since)
    assert ids(page.timeline(room)) == sent
    assert page.joined(room)["timeline"].get("limited", False) is False
    assert page.state(room) == [], "an unlimited incremental page needs no state"
    again = await alice.api.sync(since)
    assert ids(again.timeline(room)) == sent, "a token may be used again"


async def test_state_events_of_the_timeline_are_not_repeated(alice: MatrixAccount, room: str) -> None:
    since = (await alice.api.sync()).next_batch
    event_id = await alice.api.set_state(room, "m.room.topic", {"topic": "new"})
    page = await alice.api.sync(since)
    assert ids(page.timeline(room)) == [event_id] and page.state(room) == []
    assert page.timeline(room)[0]["state_key"] == ""


async def test_gap_carries_the_state_that_changed_in_it(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    since = (await bob.api.sync()).next_batch
    hidden = await alice.api.set_state(room, "m.room.topic", {"topic": "changed inside the gap"})
    sent = [await alice.api.say(room, f"gap {n}") for n in range(30)]
    page = await bob.api.sync(since, filter_={"room": {"timeline": {"limit": 10}}})
    timeline = page.joined(room)["timeline"]
    assert timeline["limited"] is True
    assert ids(timeline["events"]) == sent[-10:]
    assert hidden in ids(page.state(room)), "the topic of the gap is missing in state"
    older = await bob.api.messages(room, dir="b", limit=21, **{"from": timeline["prev_batch"]})
    assert ids(older["chunk"])[::-1] == [hidden, *sent[:-10]]


async def test_filter_limit_and_types(alice: MatrixAccount, room: str) -> None:
    for number in range(5):
        await alice.api.say(room, f"m{number}")
    page = await alice.api.sync(filter_={"room": {"timeline": {"limit": 2}}})
    assert page.bodies(room) == ["m3", "m4"]
    page = await alice.api.sync(filter_={"room": {"timeline": {"types": ["m.room.member"], "limit": 50}}})
    assert {e["type"] for e in page.timeline(room)} <= {"m.room.member"}
    page = await alice.api.sync(filter_={"room": {"rooms": []}})
    assert page.section("join") == {}, "an empty list of rooms matches none"
    page = await alice.api.sync(filter_={"room": {"not_rooms": [room]}})
    assert room not in page.section("join")


async def test_stored_filter(alice: MatrixAccount, room: str) -> None:
    path = f"/user/{segment(alice.user_id)}/filter"
    made = await alice.api.post(path, {"room": {"timeline": {"limit": 1}}})
    assert not made["filter_id"].startswith("{")
    stored = await alice.api.get(f"{path}/{segment(made['filter_id'])}")
    assert stored["room"]["timeline"]["limit"] == 1
    await alice.api.say(room, "only this")
    reply = await alice.api.call("GET", "/sync", params={"filter": made["filter_id"]})
    assert len(reply.expect(200)["rooms"]["join"][room]["timeline"]["events"]) == 1


async def test_newly_joined_room_comes_whole(alice: MatrixAccount, bob: MatrixAccount) -> None:
    since = (await bob.api.sync()).next_batch
    room = await alice.api.create_room(preset="public_chat", name="newly joined")
    await alice.api.say(room, "early")
    await bob.api.join(room)
    page = await bob.api.sync(since)
    seen = page.state(room) + page.timeline(room)
    assert {"m.room.create", "m.room.name", "m.room.power_levels"} <= {e["type"] for e in seen}
    members = {e["state_key"] for e in seen if e["type"] == "m.room.member"}
    assert members == {alice.user_id, bob.user_id}


async def test_join_leave_join_is_one_join(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    since = (await bob.api.sync()).next_batch
    await bob.api.post(room_path(room, "leave"), {})
    await bob.api.join(room)
    page = await bob.api.sync(since)
    assert room in page.section("join") and room not in page.section("leave")


async def test_invite_section(alice: MatrixAccount, bob: MatrixAccount) -> None:
    since = (await bob.api.sync()).next_batch
    room = await alice.api.create_room(name="come in", invite=[bob.user_id])
    page = await bob.api.sync(since)
    stripped = page.section("invite")[room]["invite_state"]["events"]
    for event in stripped:
        assert {"type", "state_key", "sender", "content"} <= set(event), event
    found = {(e["type"], e["state_key"]): e["content"] for e in stripped}
    assert found["m.room.name", ""] == {"name": "come in"}
    assert found["m.room.member", bob.user_id]["membership"] == "invite"
    assert ("m.room.create", "") in found
    assert room in (await bob.api.sync()).section("invite"), "an initial sync shows invites too"
    await bob.api.join(room)
    page = await bob.api.sync(page.next_batch)
    assert room in page.section("join") and room not in page.section("invite")


async def test_leave_section(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    since = (await bob.api.sync()).next_batch
    await alice.api.say(room, "last heard")
    await bob.api.post(room_path(room, "leave"), {})
    secret = await alice.api.say(room, "bob must not see this")
    page = await bob.api.sync(since)
    assert room not in page.section("join")
    timeline = page.section("leave")[room]["timeline"]["events"]
    assert timeline[-1]["type"] == "m.room.member" and timeline[-1]["content"]["membership"] == "leave"
    assert secret not in ids(timeline)
    assert room not in (await bob.api.sync(page.next_batch)).section("leave"), "reported once only"


async def test_left_rooms_are_not_in_an_initial_sync(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    await bob.api.post(room_path(room, "leave"), {})
    page = await bob.api.sync()
    assert room not in page.section("leave") and room not in page.section("join")
    page = await bob.api.sync(filter_={"room": {"include_leave": True}})
    assert room in page.section("leave")


async def test_full_state(alice: MatrixAccount, room: str) -> None:
    since = (await alice.api.sync()).next_batch
    page = await alice.api.sync(since, full_state=True, timeout_ms=20_000)
    kinds = {e["type"] for e in page.state(room)}
    assert {"m.room.create", "m.room.power_levels", "m.room.member"} <= kinds
    assert page.timeline(room) == []


async def test_summary_counts(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    lazily = {"room": {"state": {"lazy_load_members": True}}}
    summary = (await alice.api.sync(filter_=lazily)).joined(room)["summary"]
    assert summary["m.joined_member_count"] == 2
    assert summary.get("m.invited_member_count", 0) == 0
    assert summary.get("m.heroes", [bob.user_id]) == [bob.user_id]


async def test_tokens_are_opaque_but_checked(alice: MatrixAccount, bob: MatrixAccount) -> None:
    token = (await alice.api.sync()).next_batch
    for broken in (token + "x", token[:-1] if len(token) > 1 else "", "0", "-1", "s999999999999_0"):
        reply = await alice.api.call("GET", "/sync", params={"since": broken, "timeout": 0})
        if reply.status != 200:
            assert_matrix_error(reply, 400, None)


async def test_extension_fields_have_the_right_types(alice: MatrixAccount) -> None:
    body = (await alice.api.sync()).body
    assert isinstance(body.get("device_one_time_keys_count", {}), dict)
    assert isinstance(body.get("device_unused_fallback_key_types", []), list)
    for section in ("account_data", "presence", "to_device"):
        assert isinstance(body.get(section, {}).get("events", []), list)
