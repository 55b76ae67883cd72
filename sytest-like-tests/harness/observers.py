"""Observers that follow a server through kills: one over /sync, one over the gateway.

Each holds what it was given, in the order it was given, per room or channel; neither ever drops a
duplicate or fills a hole by itself, so that a test can find both. `up` is an event that is set
while the server is meant to be reachable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Any

import aiohttp

from harness.gateway import Frame, GatewayClient
from harness.matrix_api import MatrixApi, Sync, room_path
from harness.waiting import DEADLINE_S

LOST_CONNECTION = (aiohttp.ClientError, ConnectionError, asyncio.TimeoutError)


class SyncObserver:
    """Long-polls /sync from one token to the next; pages back over `limited` gaps."""

    def __init__(self, api: MatrixApi, since: str, up: asyncio.Event) -> None:
        self.api = api
        self.since = since
        self.seen: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._up = up
        self._task = asyncio.create_task(self._run())

    def messages(self, room_id: str) -> list[tuple[str, str]]:
        """(event id, body) of the room's messages, in the order of arrival."""
        return [
            (e["event_id"], e["content"].get("body", ""))
            for e in self.seen[room_id]
            if e["type"] == "m.room.message"
        ]

    def count(self) -> int:
        return sum(len(self.messages(room)) for room in list(self.seen))

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        only_messages = {"room": {"timeline": {"types": ["m.room.message"], "limit": 200}}}
        while True:
            await self._up.wait()
            try:
                page = await self.api.sync(self.since, timeout_ms=5000, filter_=only_messages)
                arrived = {room: await self._timeline(page, room) for room in page.section("join")}
            except LOST_CONNECTION:
                continue
            for room, events in arrived.items():
                self.seen[room].extend(events)
            self.since = page.next_batch

    async def _timeline(self, page: Sync, room_id: str) -> list[dict[str, Any]]:
        timeline = page.joined(room_id).get("timeline", {})
        events = list(timeline.get("events", []))
        if not timeline.get("limited"):
            return events
        known = {e["event_id"] for e in self.seen[room_id]}
        missed: list[dict[str, Any]] = []
        token = timeline["prev_batch"]
        while token is not None:
            older = await self.api.get(room_path(room_id, "messages"), dir="b", limit=100, **{"from": token})
            for event in older["chunk"]:
                if event["event_id"] in known:
                    return missed[::-1] + events
                missed.append(event)
            token = older.get("end")
        return missed[::-1] + events


class GatewayObserver:
    """One gateway session over many connections; identifying twice is a failure."""

    def __init__(self, gateway: GatewayClient, up: asyncio.Event) -> None:
        self.gateway = gateway
        self.session = gateway.session
        self.dispatches: list[Frame] = []
        self.resumes = 0
        self._up = up
        self._token, self._session_id = gateway.token, gateway.session_id
        self._resume_url = gateway.resume_url
        self._task = asyncio.create_task(self._run())

    def messages(self, channel_id: str) -> list[tuple[str, str]]:
        """(message id, content) of the channel's MESSAGE_CREATEs, in the order of arrival."""
        return [
            (f.d["id"], f.d["content"])
            for f in self.all_dispatches()
            if f.t == "MESSAGE_CREATE" and f.d["channel_id"] == channel_id
        ]

    def count(self) -> int:
        return sum(1 for f in self.all_dispatches() if f.t == "MESSAGE_CREATE")

    def all_dispatches(self) -> list[Frame]:
        return self.dispatches + self.gateway.dispatches

    def check_running(self) -> None:
        """Raises what ended the observer, if something did."""
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.gateway.close()

    async def _run(self) -> None:
        while True:
            await self.gateway.closed()
            await self._up.wait()
            try:
                fresh = await GatewayClient.connect(self.session, self._resume_url)
            except (*LOST_CONNECTION, AssertionError):
                continue
            last_seq = max((f.s for f in self.all_dispatches() if f.s is not None), default=0)
            self.dispatches.extend(self.gateway.dispatches)
            await self.gateway.close()
            self.gateway = fresh
            try:
                await fresh.send_resume(self._token, self._session_id, last_seq)
                answer = await fresh.frame(
                    "RESUMED", lambda f: f.t == "RESUMED" or f.op == 9, 2 * DEADLINE_S
                )
            except (*LOST_CONNECTION, AssertionError):
                if fresh.is_closed:
                    continue
                raise
            assert answer.op != 9, f"the session did not survive: op 9 after seq {last_seq}"
            self.resumes += 1
