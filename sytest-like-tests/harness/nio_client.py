"""A real matrix-nio client: `sync_forever` in a task, every room event it was given kept in order.

matrix-nio retries by itself while the server is away and goes on from its last sync token; the
wrapper adds nothing to that. Events are kept as nio's own typed objects plus their source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nio import (
    AsyncClient,
    AsyncClientConfig,
    Event,
    JoinResponse,
    MatrixRoom,
    RegisterResponse,
    RoomRedactResponse,
    RoomSendResponse,
    SyncError,
    SyncResponse,
    TypingNoticeEvent,
)

from harness.nexus_api import PASSWORD
from harness.waiting import DEADLINE_S
from harness.wire import Json


@dataclass(frozen=True)
class NioEvent:
    """One event that nio handed to its callbacks, in the order it did."""

    room_id: str
    kind: str
    event_id: str
    sender: str
    content: dict[str, Any]
    source: dict[str, Any]
    typed: Event

    @property
    def body(self) -> str:
        return str(self.content.get("body", ""))


class NioClient:
    """Register, join and send through nio; watch what it sees with `event`."""

    def __init__(self, server_url: str) -> None:
        # What a bot on a flaky link would set: quick and endless retries.
        config = AsyncClientConfig(max_timeout_retry_wait_time=1)
        self.nio = AsyncClient(server_url, "", config=config)
        self.seen: list[NioEvent] = []
        self.typing: list[tuple[str, list[str]]] = []
        self.sync_tokens: list[str] = []
        self.sync_errors: list[str] = []
        self._news = asyncio.Condition()
        self._loop: asyncio.Task[None] | None = None
        self.nio.add_event_callback(self._on_event, Event)
        self.nio.add_ephemeral_callback(self._on_typing, TypingNoticeEvent)
        self.nio.add_response_callback(self._on_sync, SyncResponse)
        self.nio.add_response_callback(self._on_sync_error, SyncError)

    async def __aenter__(self) -> NioClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await self.nio.close()

    @property
    def user_id(self) -> str:
        return str(self.nio.user_id)

    @property
    def access_token(self) -> str:
        return str(self.nio.access_token)

    # --- doing ------------------------------------------------------------------------------

    async def register(self, name: str) -> None:
        response = await self.nio.register(name, PASSWORD)
        assert isinstance(response, RegisterResponse), f"nio could not register: {response}"

    async def begin_sync(self) -> None:
        """Starts the sync loop and waits for its first answer."""
        self._loop = asyncio.create_task(self.nio.sync_forever(timeout=30_000))
        await self._until("first sync", lambda: self.sync_tokens or None, DEADLINE_S)

    async def join(self, room_id: str) -> None:
        response = await self.nio.join(room_id)
        assert isinstance(response, JoinResponse), f"nio could not join {room_id}: {response}"

    async def send(
        self, room_id: str, content: Json, kind: str = "m.room.message", txn: str | None = None
    ) -> str:
        response = await self.nio.room_send(room_id, kind, content, tx_id=txn)
        assert isinstance(response, RoomSendResponse), f"nio could not send: {response}"
        return str(response.event_id)

    async def redact(self, room_id: str, event_id: str) -> str:
        response = await self.nio.room_redact(room_id, event_id)
        assert isinstance(response, RoomRedactResponse), f"nio could not redact: {response}"
        return str(response.event_id)

    # --- watching -----------------------------------------------------------------------------

    async def event(
        self, what: str, where: Callable[[NioEvent], bool], deadline_s: float = DEADLINE_S
    ) -> NioEvent:
        """The first event for which `where` holds, seen already or to come."""
        found: NioEvent = await self._until(
            what, lambda: next((e for e in self.seen if where(e)), None), deadline_s
        )
        return found

    async def message(self, body: str, deadline_s: float = DEADLINE_S) -> NioEvent:
        """The first m.room.message with exactly this body."""
        return await self.event(
            f"message {body!r}",
            lambda e: e.kind == "m.room.message" and e.body == body,
            deadline_s,
        )

    async def _until(self, what: str, look: Callable[[], Any], deadline_s: float) -> Any:
        async def search() -> Any:
            async with self._news:
                while (found := look()) is None:
                    if self._loop is not None and self._loop.done():
                        raise AssertionError(f"nio's sync loop ended: {self._loop}")
                    await self._news.wait()
                return found

        try:
            return await asyncio.wait_for(search(), deadline_s)
        except asyncio.TimeoutError:
            tail = [f"{e.kind} {e.content}" for e in self.seen[-12:]]
            raise AssertionError(
                f"nio saw no {what} within {deadline_s} s; last events {tail}, "
                f"sync errors {self.sync_errors[-3:]}, loop {self._loop}"
            ) from None

    async def _on_event(self, room: MatrixRoom, event: Event) -> None:
        source = event.source
        entry = NioEvent(
            room_id=room.room_id,
            kind=str(source.get("type")),
            event_id=event.event_id,
            sender=event.sender,
            content=source.get("content", {}),
            source=source,
            typed=event,
        )
        async with self._news:
            self.seen.append(entry)
            self._news.notify_all()

    async def _on_typing(self, room: MatrixRoom, event: TypingNoticeEvent) -> None:
        async with self._news:
            self.typing.append((room.room_id, list(event.users)))
            self._news.notify_all()

    async def _on_sync(self, response: SyncResponse) -> None:
        async with self._news:
            self.sync_tokens.append(response.next_batch)
            self._news.notify_all()

    async def _on_sync_error(self, response: SyncError) -> None:
        async with self._news:
            self.sync_errors.append(str(response))
            self._news.notify_all()
