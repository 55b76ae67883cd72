"""PUT send with transaction ids: idempotency by device, path and id, also across a restart.

Complement: TestTxnIdempotency, TestTxnIdempotencyScopedToDevice, TestTxnInEvent, TestTxnScopeOnLocalEcho.
"""

from __future__ import annotations

import asyncio

import aiohttp

from harness.matching import assert_matrix_error
from harness.matrix_api import MatrixAccount, MatrixApi, room_path, text_message
from harness.server import NexusServer


async def bodies(account: MatrixAccount, room_id: str) -> list[str]:
    timeline = await account.api.whole_timeline(room_id)
    return [e["content"]["body"] for e in timeline if e["type"] == "m.room.message"]


async def test_event_can_be_fetched(alice: MatrixAccount, bob: MatrixAccount, room: str) -> None:
    event_id = await alice.api.say(room, "Grüße, 世界 🌍")
    event = await bob.api.get(room_path(room, "event", event_id))
    assert event["event_id"] == event_id and event["sender"] == alice.user_id
    assert event["room_id"] == room and event["type"] == "m.room.message"
    assert event["content"] == text_message("Grüße, 世界 🌍")
    assert isinstance(event["origin_server_ts"], int)


async def test_unknown_event(alice: MatrixAccount, room: str) -> None:
    reply = await alice.api.call("GET", room_path(room, "event", "$nosuchevent"))
    assert_matrix_error(reply, 404, "M_NOT_FOUND")


async def test_same_id_is_the_same_event(alice: MatrixAccount, room: str) -> None:
    first = await alice.api.say(room, "once", txn="t1")
    assert await alice.api.say(room, "once", txn="t1") == first
    # The first request counts even if a later body differs.
    assert await alice.api.say(room, "other words", txn="t1") == first
    assert await bodies(alice, room) == ["once"]


async def test_concurrent_replays_are_one_event(alice: MatrixAccount, room: str) -> None:
    ids = await asyncio.gather(*(alice.api.say(room, "at once", txn="storm") for _ in range(12)))
    assert len(set(ids)) == 1
    assert await bodies(alice, room) == ["at once"]


async def test_id_belongs_to_room_and_type(alice: MatrixAccount, room: str) -> None:
    other = await alice.api.create_room()
    first = await alice.api.say(room, "here", txn="t1")
    second = await alice.api.say(other, "there", txn="t1")
    third = await alice.api.send(room, {"x": 1}, "org.example.kind", txn="t1")
    assert len({first, second, third}) == 3


async def test_id_belongs_to_the_device(alice: MatrixAccount, matrix: MatrixApi, room: str) -> None:
    laptop = await matrix.login(alice.name)
    first = await alice.api.say(room, "phone", txn="t1")
    second = await laptop.api.say(room, "laptop", txn="t1")
    assert first != second
    # The same device logged in again is the same device.
    phone = await matrix.login(alice.name, device_id=alice.device_id)
    assert await phone.api.say(room, "phone", txn="t1") == first


async def test_redaction_ids_are_idempotent(alice: MatrixAccount, room: str) -> None:
    target = await alice.api.say(room, "oops")
    path = room_path(room, "redact", target, "r1")
    first = await alice.api.put(path, {})
    assert await alice.api.put(path, {}) == first


async def test_transaction_id_is_echoed_to_the_sending_device_only(
    alice: MatrixAccount, bob: MatrixAccount, matrix: MatrixApi, room: str
) -> None:
    laptop = await matrix.login(alice.name)
    event_id = await alice.api.say(room, "whose", txn="echo-1")
    path = room_path(room, "event", event_id)
    assert (await alice.api.get(path))["unsigned"]["transaction_id"] == "echo-1"
    for other in (laptop, bob):
        assert "transaction_id" not in (await other.api.get(path)).get("unsigned", {})
    synced = [e for e in (await alice.api.sync()).timeline(room) if e["event_id"] == event_id]
    assert synced[0]["unsigned"]["transaction_id"] == "echo-1"
    for other in (laptop, bob):
        synced = [e for e in (await other.api.sync()).timeline(room) if e["event_id"] == event_id]
        assert "transaction_id" not in synced[0].get("unsigned", {})


async def test_idempotency_survives_kill_9(
    own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    alice = await MatrixApi.anonymous(session, own_server.url).register()
    room = await alice.api.create_room()
    first = await alice.api.say(room, "before", txn="t1")
    await asyncio.to_thread(own_server.restart_killed)
    assert await alice.api.say(room, "before", txn="t1") == first
    assert await alice.api.say(room, "after", txn="t2") != first
    assert await bodies(alice, room) == ["before", "after"]


async def test_everything_survives_a_clean_restart(
    own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    alice = await MatrixApi.anonymous(session, own_server.url).register()
    room = await alice.api.create_room(name="kept")
    sent = [await alice.api.say(room, f"m{n}") for n in range(5)]
    since = (await alice.api.sync()).next_batch
    await asyncio.to_thread(own_server.stop)
    await asyncio.to_thread(own_server.start)
    timeline = await alice.api.whole_timeline(room)
    assert [e["event_id"] for e in timeline if e["type"] == "m.room.message"] == sent
    assert (await alice.api.state(room, "m.room.name"))["name"] == "kept"
    last = await alice.api.say(room, "new")
    page = await alice.api.sync(since)
    assert [e["event_id"] for e in page.timeline(room)] == [last]
