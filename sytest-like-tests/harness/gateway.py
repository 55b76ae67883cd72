"""A raw gateway v10 client: JSON frames, optionally in one zlib stream; nothing is hidden.

It answers heartbeats by itself and keeps every frame it saw. `event` looks through all frames of
this connection, past and future, so a test names the event it means by a predicate and needs no
care about when it began to listen. Frames are `{"op", "d", "s", "t"}` (discord-gateway.md §1).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from harness.waiting import DEADLINE_S
from harness.wire import Json

INTENTS_ALL = 53_608_447
"""Every valid bit: 0-16, 20, 21, 24, 25."""
Z_SYNC_FLUSH_TAIL = b"\x00\x00\xff\xff"

Predicate = Callable[[Any], bool]


def anything(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class Frame:
    """One message from the server."""

    op: int
    d: Any
    s: int | None
    t: str | None


class GatewayClosed(AssertionError):
    """The server closed the socket while the test was waiting for a frame."""


class GatewayClient:
    """One socket; `connect`, then `identify` or `resume`."""

    def __init__(
        self, session: aiohttp.ClientSession, connection: aiohttp.ClientWebSocketResponse
    ) -> None:
        self.session = session
        self.socket = connection
        self.frames: list[Frame] = []
        self.session_id = ""
        self.resume_url = ""
        self.token = ""
        self._inflate: Any = zlib.decompressobj()
        self._news = asyncio.Condition()
        self._over = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read())]

    @classmethod
    async def connect(
        cls, session: aiohttp.ClientSession, url: str, *, query: str = "?v=10&encoding=json"
    ) -> GatewayClient:
        """Opens a socket to the URL that /gateway or READY named and waits for Hello."""
        connection = await session.ws_connect(url + query, max_msg_size=0, autoping=True)
        client = cls(session, connection)
        hello = await client.frame("Hello", lambda f: f.op == 10)
        assert hello.d["heartbeat_interval"] > 0
        client._tasks.append(asyncio.create_task(client._beat(hello.d["heartbeat_interval"])))
        return client

    async def __aenter__(self) -> GatewayClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, code: int = 1000) -> None:
        for task in self._tasks[1:]:
            task.cancel()
        with contextlib.suppress(Exception):
            await self.socket.close(code=code)
        self._tasks[0].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop(self) -> None:
        """Cuts the TCP connection without a close frame, as a lost network does."""
        for task in self._tasks[1:]:
            task.cancel()
        connection = self.socket.get_extra_info("socket")
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)

    # --- sending ------------------------------------------------------------------------------

    async def send(self, op: int, d: Json) -> None:
        await self.socket.send_str(json.dumps({"op": op, "d": d}))

    async def send_text(self, text: str) -> None:
        await self.socket.send_str(text)

    async def identify(self, token: str, intents: int = INTENTS_ALL, **more: Json) -> Json:
        """Identifies and returns READY's data."""
        await self.send_identify(token, intents, **more)
        ready = await self.event("READY")
        self.token = token
        self.session_id = ready["session_id"]
        self.resume_url = ready["resume_gateway_url"]
        return ready

    async def send_identify(self, token: str, intents: Json = INTENTS_ALL, **more: Json) -> None:
        properties = {"os": "linux", "browser": "nexus-tests", "device": "nexus-tests"}
        await self.send(2, {"token": token, "intents": intents, "properties": properties, **more})

    async def send_resume(self, token: str, session_id: str, seq: int) -> None:
        await self.send(6, {"token": token, "session_id": session_id, "seq": seq})

    # --- receiving ------------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        return max((f.s for f in self.frames if f.s is not None), default=0)

    @property
    def dispatches(self) -> list[Frame]:
        return [f for f in self.frames if f.op == 0]

    def events(self, name: str, where: Predicate = anything) -> list[Any]:
        """Data of all events of this name seen so far."""
        return [f.d for f in self.dispatches if f.t == name and where(f.d)]

    async def event(
        self, name: str, where: Predicate = anything, deadline_s: float = DEADLINE_S
    ) -> Any:
        """The data of the first such event on this connection, seen already or to come."""
        found = await self.frame(
            name, lambda f: f.op == 0 and f.t == name and where(f.d), deadline_s
        )
        return found.d

    async def frame(
        self, what: str, where: Callable[[Frame], bool], deadline_s: float = DEADLINE_S
    ) -> Frame:
        """The first frame for which `where` holds."""
        looked_at = 0

        async def search() -> Frame:
            nonlocal looked_at
            async with self._news:
                while True:
                    for frame in self.frames[looked_at:]:
                        if where(frame):
                            return frame
                    looked_at = len(self.frames)
                    if self._over.is_set():
                        raise GatewayClosed(
                            f"socket closed with {self.socket.close_code} before {what}; "
                            f"saw {self._seen()}"
                        )
                    await self._news.wait()

        try:
            return await asyncio.wait_for(search(), deadline_s)
        except asyncio.TimeoutError:
            raise AssertionError(f"no {what} within {deadline_s} s; saw {self._seen()}") from None

    @property
    def is_closed(self) -> bool:
        return self._over.is_set()

    async def closed(self) -> None:
        """Waits, without a deadline, until the connection is over for whatever reason."""
        await self._over.wait()

    async def close_code(self, deadline_s: float = DEADLINE_S) -> int | None:
        """The code with which the server closes; None for a connection that was cut."""
        try:
            await asyncio.wait_for(self._over.wait(), deadline_s)
        except asyncio.TimeoutError:
            raise AssertionError(f"socket still open after {deadline_s} s; saw {self._seen()}") from None
        code = self.socket.close_code
        return None if code in (None, 1006) else int(code)

    def _seen(self) -> list[str]:
        return [f.t or f"op {f.op}" for f in self.frames[-40:]]

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                if message.type == aiohttp.WSMsgType.TEXT:
                    text = message.data
                elif message.type == aiohttp.WSMsgType.BINARY:
                    assert message.data.endswith(Z_SYNC_FLUSH_TAIL), "zlib message not sync-flushed"
                    text = self._inflate.decompress(message.data).decode()
                else:
                    break
                raw = json.loads(text)
                async with self._news:
                    self.frames.append(Frame(raw["op"], raw.get("d"), raw.get("s"), raw.get("t")))
                    self._news.notify_all()
        finally:
            self._over.set()
            async with self._news:
                self._news.notify_all()

    async def _beat(self, interval_ms: float) -> None:
        while True:
            await asyncio.sleep(interval_ms / 1000)
            await self.send(1, self.last_seq or None)
