"""10,000 concurrent sends from 50 clients to 20 rooms; the server is killed ten times meanwhile.

Half the clients send by Matrix PUT with transaction ids, half by REST POST with nonces; after a
lost connection each sends again under the same id. Kills are spread by progress, not by time.
In the end every acknowledged message is there once, and everyone who looks sees one order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from harness.matrix_api import MatrixAccount, room_path, text_message
from harness.nexus_api import Account
from harness.observers import LOST_CONNECTION, GatewayObserver, SyncObserver
from harness.scene import Clients, Guild, make_guild, ready_gateway
from harness.server import NexusServer
from harness.waiting import eventually

CLIENTS = 50
ROOMS = 20
SENDS = 10_000
KILLS = 10
IN_FLIGHT_EACH = 4
"""Requests that one client keeps in flight: 200 in all."""


@dataclass(frozen=True)
class Target:
    """One of the rooms, by both its names."""

    channel: str
    room: str


@dataclass(frozen=True)
class Ack:
    """What the server answered to one send; REST also tells the snowflake."""

    target: Target
    event_id: str
    message_id: str | None


@dataclass
class Storm:
    """The acknowledged sends so far, and whether the server is meant to be up."""

    up: asyncio.Event = field(default_factory=asyncio.Event)
    acks: dict[str, Ack] = field(default_factory=dict)
    retries: int = 0

    def record(self, content: str, ack: Ack) -> None:
        assert content not in self.acks, f"{content} was acknowledged twice"
        self.acks[content] = ack


def plan(client: int, targets: list[Target]) -> Iterator[tuple[str, Target]]:
    """What one client sends, where; every client visits every room."""
    for number in range(SENDS // CLIENTS):
        yield f"c{client:02}-{number:03}", targets[(client * 7 + number) % ROOMS]


async def send_by_matrix(storm: Storm, sender: MatrixAccount, content: str, target: Target) -> None:
    path = room_path(target.room, "send", "m.room.message", content)
    while True:
        await storm.up.wait()
        try:
            reply = await sender.api.call("PUT", path, body=text_message(content))
        except LOST_CONNECTION:
            storm.retries += 1
            continue
        storm.record(content, Ack(target, reply.expect(200)["event_id"], None))
        return


async def send_by_rest(storm: Storm, sender: Account, content: str, target: Target) -> None:
    body = {"content": content, "nonce": content, "enforce_nonce": True}
    while True:
        await storm.up.wait()
        try:
            reply = await sender.api.call("POST", f"/channels/{target.channel}/messages", body=body)
        except LOST_CONNECTION:
            storm.retries += 1
            continue
        made = reply.expect(200)
        storm.record(content, Ack(target, made["event_id"], made["id"]))
        return


async def run_client(
    storm: Storm, sender: MatrixAccount | Account, work: Iterator[tuple[str, Target]]
) -> None:
    async def hand() -> None:
        for content, target in work:
            if isinstance(sender, MatrixAccount):
                await send_by_matrix(storm, sender, content, target)
            else:
                await send_by_rest(storm, sender, content, target)

    async with asyncio.TaskGroup() as hands:
        for _ in range(IN_FLIGHT_EACH):
            hands.create_task(hand())


async def kill_by_progress(storm: Storm, server: NexusServer) -> None:
    for kill in range(1, KILLS + 1):
        threshold = kill * SENDS // (KILLS + 1)
        while len(storm.acks) < threshold:
            await asyncio.sleep(0.005)
        storm.up.clear()
        await asyncio.to_thread(server.restart_killed)
        storm.up.set()


async def make_targets(guild: Guild) -> list[Target]:
    targets = []
    for number in range(ROOMS):
        made = await guild.owner.api.make_channel(guild.id, f"storm-{number}")
        targets.append(Target(made["id"], made["room_id"]))
    return targets


@pytest.mark.alone
async def test_every_acknowledged_send_survives_ten_kills_once_and_in_one_order(
    own_server: NexusServer, session: aiohttp.ClientSession
) -> None:
    guild = await make_guild(Clients.of(session, own_server.url))
    targets = await make_targets(guild)
    senders: list[MatrixAccount | Account] = []
    for client in range(CLIENTS):
        if client % 2:
            senders.append(await guild.new_member())
        else:
            senders.append(await guild.new_matrix_member(join_general=False))
    reader = await guild.new_matrix_member(join_general=False)
    for target in targets:
        await reader.api.join(target.room)
    storm = Storm()
    storm.up.set()
    by_sync = SyncObserver(reader.api, (await reader.api.sync()).next_batch, storm.up)
    bot = await guild.new_bot()
    by_gateway = GatewayObserver(await ready_gateway(guild.clients, bot.token, guild.id), storm.up)

    began = time.monotonic()
    try:
        async with asyncio.TaskGroup() as storming:
            storming.create_task(kill_by_progress(storm, own_server))
            for client, sender in enumerate(senders):
                storming.create_task(run_client(storm, sender, plan(client, targets)))
        took_s = time.monotonic() - began
        assert len(storm.acks) == SENDS

        async def all_arrived() -> bool:
            by_gateway.check_running()
            assert by_gateway.count() >= SENDS, f"gateway has {by_gateway.count()}"
            assert by_sync.count() >= SENDS, f"sync has {by_sync.count()}"
            return True

        await eventually("both observers have everything", all_arrived, deadline_s=30)
    finally:
        await by_sync.stop()
        await by_gateway.stop()

    assert storm.retries > 0, "no kill hit a request: the storm tested nothing"
    assert by_gateway.resumes >= 1
    print(f"{SENDS} sends in {took_s:.1f} s with {KILLS} kills and {storm.retries} retries")
    await check_one_order(storm, guild, targets, senders, by_sync, by_gateway)


async def check_one_order(
    storm: Storm,
    guild: Guild,
    targets: list[Target],
    senders: list[MatrixAccount | Account],
    by_sync: SyncObserver,
    by_gateway: GatewayObserver,
) -> None:
    """The same list for all readers of each room, holding each acknowledged send once."""
    rest_reader = next(s for s in senders if isinstance(s, Account))
    matrix_reader = next(s for s in senders if isinstance(s, MatrixAccount))
    for target in targets:
        stored = await guild.owner.api.whole_history(target.channel)
        truth = [(m["event_id"], m["content"]) for m in stored if m["type"] == 0]
        ids = {m["content"]: m["id"] for m in stored}
        acked = {c: a for c, a in storm.acks.items() if a.target == target}

        assert len(truth) == len(set(truth)) == len(acked), f"{target}: lost or doubled messages"
        assert {(a.event_id, c) for c, a in acked.items()} == set(truth), f"{target}: not what was acked"
        for content, ack in acked.items():
            assert ack.message_id in (None, ids[content]), f"{content}: acknowledged under another id"

        other = await rest_reader.api.whole_history(target.channel)
        assert [m["id"] for m in other] == [m["id"] for m in stored], f"{target}: REST readers differ"
        forwards = messages_of(await matrix_reader.api.whole_timeline(target.room, "f"))
        assert forwards == truth, f"{target}: /messages forwards differs from REST history"
        backwards = messages_of(await by_sync.api.whole_timeline(target.room, "b"))
        assert backwards[::-1] == truth, f"{target}: /messages backwards differs from REST history"
        assert by_sync.messages(target.room) == truth, f"{target}: /sync differs from history"
        expected = [(m["id"], m["content"]) for m in stored if m["type"] == 0]
        assert by_gateway.messages(target.channel) == expected, f"{target}: gateway differs from history"

    numbers = [f.s for f in by_gateway.all_dispatches() if f.t != "RESUMED"]
    assert numbers == sorted(set(n for n in numbers if n is not None)), "gateway s repeated or fell"


def messages_of(events: list[dict[str, object]]) -> list[tuple[str, str]]:
    return [
        (str(e["event_id"]), str(e["content"]["body"]))  # type: ignore[index]
        for e in events
        if e["type"] == "m.room.message"
    ]
