"""Join, invite, leave, and who may; joined_members and joined_rooms.

Complement: TestRoomMembers, TestRoomsInvite, TestSyncLeaveSection.
"""

from __future__ import annotations

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, room_path, segment


async def membership(of: MatrixAccount, room_id: str, seen_by: MatrixAccount) -> str:
    return str((await seen_by.api.state(room_id, "m.room.member", of.user_id))["membership"])


async def test_join_a_public_room_by_both_paths(alice: MatrixAccount, bob: MatrixAccount) -> None:
    first = await alice.api.create_room(preset="public_chat")
    assert await bob.api.join(first) == first
    second = await alice.api.create_room(preset="public_chat")
    joined = await bob.api.post(room_path(second, "join"), {})
    assert joined == {"room_id": second}
    assert {first, second} <= set((await bob.api.get("/joined_rooms"))["joined_rooms"])


async def test_join_needs_no_body(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room(preset="public_chat")
    assert (await bob.api.call("POST", f"/join/{segment(room_id)}")).status == 200


async def test_join_twice_is_one_event(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    before = len(await alice.api.whole_timeline(room))
    await bob.api.join(room)
    assert len(await alice.api.whole_timeline(room)) == before


async def test_join_without_invitation(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room(preset="private_chat")
    reply = await bob.api.call("POST", f"/join/{segment(room_id)}", body={})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")


async def test_join_a_room_that_is_not(bob: MatrixAccount) -> None:
    reply = await bob.api.call("POST", "/join/%21nosuchroom", body={})
    assert reply.status in (400, 403, 404), str(reply)
    assert_matrix_error(reply, reply.status, None)


async def test_invite_then_join(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room(preset="private_chat")
    assert await alice.api.post(room_path(room_id, "invite"), {"user_id": bob.user_id}) == {}
    assert await membership(bob, room_id, alice) == "invite"
    await bob.api.join(room_id)
    assert await membership(bob, room_id, alice) == "join"


async def test_invite_reason_is_kept(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room()
    await alice.api.post(room_path(room_id, "invite"), {"user_id": bob.user_id, "reason": "tea"})
    assert (await alice.api.state(room_id, "m.room.member", bob.user_id))["reason"] == "tea"


async def test_invitations_that_are_refused(
    alice: MatrixAccount, bob: MatrixAccount, room: str
) -> None:
    for target in (alice.user_id, bob.user_id):
        reply = await alice.api.call("POST", room_path(room, "invite"), body={"user_id": target})
        assert_matrix_error(reply, 403, "M_FORBIDDEN")


async def test_only_members_invite(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room()
    reply = await bob.api.call("POST", room_path(room_id, "invite"), body={"user_id": bob.user_id})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")


async def test_leave_ends_sending_and_reading_on(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    assert await bob.api.post(room_path(room, "leave"), {}) == {}
    assert await membership(bob, room, alice) == "leave"
    path = room_path(room, "send", "m.room.message", "after")
    reply = await bob.api.call("PUT", path, body={"msgtype": "m.text", "body": "x"})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert room not in (await bob.api.get("/joined_rooms"))["joined_rooms"]


async def test_state_is_frozen_for_those_who_left(
    alice: MatrixAccount, bob: MatrixAccount, room: str
) -> None:
    await alice.api.set_state(room, "m.room.name", {"name": "before"})
    await bob.api.post(room_path(room, "leave"), {})
    await alice.api.set_state(room, "m.room.name", {"name": "after"})
    assert (await bob.api.state(room, "m.room.name"))["name"] == "before"


async def test_leave_a_room_one_is_not_in(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room()
    reply = await bob.api.call("POST", room_path(room_id, "leave"), body={})
    assert reply.status in (403, 404), str(reply)
    assert_matrix_error(reply, reply.status, None)


async def test_rejecting_an_invitation(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room(invite=[bob.user_id])
    await bob.api.post(room_path(room_id, "leave"), {})
    assert await membership(bob, room_id, alice) == "leave"
    reply = await bob.api.call("POST", f"/join/{segment(room_id)}", body={})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")


async def test_leave_and_come_back(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    await bob.api.post(room_path(room, "leave"), {})
    await bob.api.join(room)
    await bob.api.say(room, "back")
    assert await membership(bob, room, alice) == "join"


async def test_joined_members(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    joined = (await alice.api.get(room_path(room, "joined_members")))["joined"]
    assert set(joined) == {alice.user_id, bob.user_id}
    for member in joined.values():
        assert set(member) <= {"display_name", "avatar_url"}


async def test_join_through_member_state_is_the_same(alice: MatrixAccount, bob: MatrixAccount) -> None:
    room_id = await alice.api.create_room(preset="public_chat")
    await bob.api.set_state(room_id, "m.room.member", {"membership": "join"}, bob.user_id)
    assert bob.user_id in (await alice.api.get(room_path(room_id, "joined_members")))["joined"]


async def test_nobody_joins_for_another(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    path = room_path(room, "state", "m.room.member", alice.user_id)
    reply = await bob.api.call("PUT", path, body={"membership": "leave"})
    assert_matrix_error(reply, 403, "M_FORBIDDEN")
