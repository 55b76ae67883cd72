"""Long-polling /sync: what wakes it, that it wakes at once, and that it ends in time; typing.

Complement: TestSync, TestTyping, TestLeakyTyping.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, MatrixApi, Sync, room_path, segment
from harness.server import NexusServer
from harness.waiting import eventually

LONG_S = 25.0
SOON_S = 5.0
"""Far below the poll's timeout: what arrives within it was pushed, not waited out."""


@dataclass(frozen=True)
class Poll:
    """A long-poll that the server is already holding."""

    page: asyncio.Task[Sync]

    async def woken(self) -> Sync:
        return await asyncio.wait_for(self.page, SOON_S)


async def begin_poll(account: MatrixAccount, where: Callable[[Sync], bool]) -> Poll:
    """Waits from now on for a page that satisfies `where`; a page without news may come before."""
    since = (await account.api.sync()).next_batch
    page = asyncio.create_task(account.api.sync_until(since, where, LONG_S))
    # A round trip on another connection gives the poll its turn on the server.
    await account.api.get("/account/whoami")
    assert not page.done()
    return Poll(page)


def has_event(room: str, event_id: str) -> Callable[[Sync], bool]:
    return lambda page: event_id in [e["event_id"] for e in page.timeline(room)]


def has_room(kind: str, room: str) -> Callable[[Sync], bool]:
    return lambda page: room in page.section(kind)


async def test_message_wakes(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    poll = await begin_poll(bob, lambda page: page.bodies(room) == ["wake up"])
    await alice.api.say(room, "wake up")
    await poll.woken()


async def test_invite_wakes(alice: MatrixAccount, bob: MatrixAccount) -> None:
    poll = await begin_poll(bob, lambda page: bool(page.section("invite")))
    room = await alice.api.create_room(invite=[bob.user_id])
    assert set((await poll.woken()).section("invite")) == {room}


async def test_own_join_elsewhere_wakes(
    alice: MatrixAccount, bob: MatrixAccount, matrix: MatrixApi
) -> None:
    room = await alice.api.create_room(preset="public_chat")
    laptop = await matrix.login(bob.name)
    poll = await begin_poll(laptop, has_room("join", room))
    await bob.api.join(room)
    await poll.woken()


async def test_other_rooms_do_not_show(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    private = await alice.api.create_room()
    poll = await begin_poll(bob, lambda page: bool(page.section("join")))
    await alice.api.say(private, "not for bob")
    await alice.api.say(room, "for bob")
    page = await poll.woken()
    assert set(page.section("join")) == {room} and page.bodies(room) == ["for bob"]


async def test_timeout_ends_with_a_usable_token(alice: MatrixAccount, room: str) -> None:
    since = (await alice.api.sync()).next_batch
    began = time.monotonic()
    page = await alice.api.sync(since, timeout_ms=300)
    assert 0.25 <= time.monotonic() - began < SOON_S
    event_id = await alice.api.say(room, "later")
    assert has_event(room, event_id)(await alice.api.sync(page.next_batch))


async def test_many_waiters_are_all_woken(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    polls = [
        await begin_poll(who, lambda page: page.bodies(room) == ["all"])
        for who in (alice, bob)
        for _ in range(10)
    ]
    await alice.api.say(room, "all")
    for poll in polls:
        await poll.woken()


async def test_logout_ends_a_waiting_poll(alice: MatrixAccount, matrix: MatrixApi) -> None:
    """A revoked token must not go on receiving (attack 35); the poll may end empty or with 401."""
    laptop = await matrix.login(alice.name)
    room = await alice.api.create_room()
    since = (await laptop.api.sync()).next_batch
    path_params: dict[str, str | int] = {"since": since, "timeout": 3000}
    waiter = asyncio.create_task(laptop.api.call("GET", "/sync", params=path_params))
    await alice.api.get("/account/whoami")
    await laptop.api.post("/logout")
    await alice.api.say(room, "after the logout")
    reply = await asyncio.wait_for(waiter, 15)
    assert reply.status == 401 or "after the logout" not in reply.body.decode(), str(reply)


async def test_poll_ends_when_the_server_stops(
    own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    alice = await MatrixApi.anonymous(session, own_server.url).register()
    since = (await alice.api.sync()).next_batch
    waiter = asyncio.create_task(alice.api.call("GET", "/sync", params={"since": since, "timeout": 25_000}))
    await alice.api.get("/account/whoami")
    began = time.monotonic()
    await asyncio.to_thread(own_server.stop)
    assert time.monotonic() - began < 15, "a waiting poll held up the shutdown"
    await asyncio.gather(waiter, return_exceptions=True)


def typing_path(room: str, account: MatrixAccount) -> str:
    return room_path(room, "typing", account.user_id)


def who_types(page: Sync, room: str) -> list[str] | None:
    for event in page.ephemeral(room):
        if event["type"] == "m.typing":
            return list(event["content"]["user_ids"])
    return None


async def test_typing_starts_and_stops(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    poll = await begin_poll(bob, lambda page: who_types(page, room) is not None)
    await alice.api.put(typing_path(room, alice), {"typing": True, "timeout": 20_000})
    page = await poll.woken()
    assert who_types(page, room) == [alice.user_id]
    assert "room_id" not in page.ephemeral(room)[0]
    await alice.api.put(typing_path(room, alice), {"typing": False})
    page = await bob.api.sync_until(page.next_batch, lambda p: who_types(p, room) is not None)
    assert who_types(page, room) == []


async def test_typing_runs_out(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    await alice.api.put(typing_path(room, alice), {"typing": True, "timeout": 300})
    page = await bob.api.sync_until(None, lambda p: who_types(p, room) == [alice.user_id])
    await bob.api.sync_until(page.next_batch, lambda p: who_types(p, room) == [])


async def test_message_ends_nothing_in_the_log(alice: MatrixAccount, room: str) -> None:
    before = len(await alice.api.whole_timeline(room))
    await alice.api.put(typing_path(room, alice), {"typing": True, "timeout": 5000})
    assert len(await alice.api.whole_timeline(room)) == before, "typing is never in the log"


async def test_typing_is_for_members_and_oneself(
    alice: MatrixAccount, bob: MatrixAccount, matrix: MatrixApi, room: str
) -> None:
    path = typing_path(room, alice)
    assert_matrix_error(await bob.api.call("PUT", path, body={"typing": True, "timeout": 1}), 403, "M_FORBIDDEN")
    carol = await matrix.register()
    path = typing_path(room, carol)
    assert_matrix_error(await carol.api.call("PUT", path, body={"typing": True, "timeout": 1}), 403, "M_FORBIDDEN")


async def test_typing_does_not_leak(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    private = await alice.api.create_room()
    since = (await bob.api.sync()).next_batch
    await alice.api.put(typing_path(private, alice), {"typing": True, "timeout": 5000})
    await alice.api.put(typing_path(room, alice), {"typing": True, "timeout": 5000})

    async def visible() -> bool:
        page = await bob.api.sync(since)
        assert private not in page.section("join")
        return who_types(page, room) == [alice.user_id]

    await eventually("typing in the shared room", visible)


async def test_user_paths_are_decoded(alice: MatrixAccount, room: str) -> None:
    path = f"/rooms/{segment(room)}/typing/{segment(alice.user_id)}"
    assert (await alice.api.call("PUT", path, body={"typing": False})).expect(200) == {}
