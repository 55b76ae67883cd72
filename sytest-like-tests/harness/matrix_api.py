"""Typed client for the Matrix client-server API, thin enough to see the wire through it.

A `MatrixApi` speaks for one access token (or none). Methods return parsed JSON of a successful
call; `call` returns the raw `Reply` for tests of errors. Sync pages are wrapped in `Sync`, which
only adds readable access to rooms and timelines.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from harness.nexus_api import PASSWORD, fresh_name
from harness.waiting import DEADLINE_S
from harness.wire import Json, Reply, Wire, absent

V3 = "/_matrix/client/v3"


def segment(text: str) -> str:
    """One percent-encoded path segment."""
    return quote(text, safe="")


def room_path(room_id: str, *rest: str) -> str:
    return "/".join([f"/rooms/{segment(room_id)}", *map(segment, rest)])


def text_message(body: str) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body}


def edit_content(event_id: str, body: str) -> dict[str, Any]:
    return {
        **text_message(f"* {body}"),
        "m.new_content": text_message(body),
        "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
    }


def reaction_content(event_id: str, key: str) -> dict[str, Any]:
    return {"m.relates_to": {"rel_type": "m.annotation", "event_id": event_id, "key": key}}


class Sync:
    """One /sync reply."""

    def __init__(self, body: Json) -> None:
        self.body = body
        self.next_batch: str = body["next_batch"]

    def section(self, kind: str) -> dict[str, Any]:
        return dict(self.body.get("rooms", {}).get(kind, {}))

    def joined(self, room_id: str) -> dict[str, Any]:
        return dict(self.section("join").get(room_id, {}))

    def timeline(self, room_id: str) -> list[Json]:
        return list(self.joined(room_id).get("timeline", {}).get("events", []))

    def state(self, room_id: str) -> list[Json]:
        return list(self.joined(room_id).get("state", {}).get("events", []))

    def ephemeral(self, room_id: str) -> list[Json]:
        return list(self.joined(room_id).get("ephemeral", {}).get("events", []))

    def bodies(self, room_id: str) -> list[str]:
        """Bodies of the room messages in the timeline."""
        return [
            str(e["content"]["body"])
            for e in self.timeline(room_id)
            if e["type"] == "m.room.message" and "body" in e["content"]
        ]


@dataclass(frozen=True)
class MatrixAccount:
    """A person registered through the Matrix API."""

    name: str
    user_id: str
    device_id: str
    access_token: str
    api: MatrixApi


class MatrixApi:
    """Calls under /_matrix/client/v3 with one access token."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @classmethod
    def anonymous(cls, session: aiohttp.ClientSession, base_url: str) -> MatrixApi:
        return cls(Wire(session, base_url))

    def with_token(self, token: str | None) -> MatrixApi:
        return MatrixApi(self.wire.with_authorization(f"Bearer {token}" if token else None))

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Json = absent(),
        raw: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Reply:
        return await self.wire.send(
            method, V3 + path, body=body, raw=raw, params=params, headers=headers, timeout_s=timeout_s
        )

    async def get(self, path: str, **params: str | int) -> Json:
        return (await self.call("GET", path, params=params)).expect(200)

    async def post(self, path: str, body: Json = absent()) -> Json:
        return (await self.call("POST", path, body=body)).expect(200)

    async def put(self, path: str, body: Json) -> Json:
        return (await self.call("PUT", path, body=body)).expect(200)

    # --- accounts -----------------------------------------------------------------------------

    async def register(self, name: str | None = None, **more: Json) -> MatrixAccount:
        """The two steps of user-interactive registration with the dummy stage."""
        name = name or fresh_name("matrix")
        first = (await self.call("POST", "/register", body={})).expect(401)
        auth = {"type": "m.login.dummy", "session": first["session"]}
        made = await self.post(
            "/register", {"username": name, "password": PASSWORD, "auth": auth, **more}
        )
        return self._account(name, made)

    async def login(self, name: str, password: str = PASSWORD, **more: Json) -> MatrixAccount:
        identifier = {"type": "m.id.user", "user": name}
        body = {"type": "m.login.password", "identifier": identifier, "password": password}
        return self._account(name, await self.post("/login", {**body, **more}))

    def _account(self, name: str, made: Json) -> MatrixAccount:
        return MatrixAccount(
            name=name,
            user_id=made["user_id"],
            device_id=made["device_id"],
            access_token=made["access_token"],
            api=self.with_token(made["access_token"]),
        )

    # --- rooms ----------------------------------------------------------------------------------

    async def create_room(self, **body: Json) -> str:
        return str((await self.post("/createRoom", body))["room_id"])

    async def join(self, room_id: str) -> str:
        return str((await self.post(f"/join/{segment(room_id)}", {}))["room_id"])

    async def send(
        self, room_id: str, content: Json, kind: str = "m.room.message", txn: str | None = None
    ) -> str:
        path = room_path(room_id, "send", kind, txn or uuid.uuid4().hex)
        return str((await self.put(path, content))["event_id"])

    async def say(self, room_id: str, body: str, txn: str | None = None) -> str:
        return await self.send(room_id, text_message(body), txn=txn)

    async def edit(self, room_id: str, event_id: str, body: str) -> str:
        return await self.send(room_id, edit_content(event_id, body))

    async def react(self, room_id: str, event_id: str, key: str) -> str:
        return await self.send(room_id, reaction_content(event_id, key), "m.reaction")

    async def redact(self, room_id: str, event_id: str, reason: str | None = None) -> str:
        path = room_path(room_id, "redact", event_id, uuid.uuid4().hex)
        return str((await self.put(path, {"reason": reason} if reason else {}))["event_id"])

    async def set_state(self, room_id: str, kind: str, content: Json, key: str = "") -> str:
        return str((await self.put(room_path(room_id, "state", kind, key), content))["event_id"])

    async def state(self, room_id: str, kind: str, key: str = "") -> Json:
        return await self.get(room_path(room_id, "state", kind, key))

    async def messages(self, room_id: str, **params: str | int) -> Json:
        return await self.get(room_path(room_id, "messages"), **params)

    async def whole_timeline(self, room_id: str, direction: str = "f", limit: int = 100) -> list[Json]:
        """All events that /messages serves, page by page, in the given direction."""
        events: list[Json] = []
        token: str | None = None
        while True:
            params: dict[str, str | int] = {"dir": direction, "limit": limit}
            if token is not None:
                params["from"] = token
            page = await self.messages(room_id, **params)
            events.extend(page["chunk"])
            following = page.get("end")
            # `end` is omitted only when nothing is left; an unmoving token would loop for ever.
            if following is None or following == token:
                return events
            token = following

    # --- sync -------------------------------------------------------------------------------------

    async def sync(
        self,
        since: str | None = None,
        *,
        timeout_ms: int = 0,
        filter_: Json = None,
        full_state: bool = False,
    ) -> Sync:
        params: dict[str, str | int] = {"timeout": timeout_ms}
        if since is not None:
            params["since"] = since
        if filter_ is not None:
            params["filter"] = json.dumps(filter_)
        if full_state:
            params["full_state"] = "true"
        reply = await self.call("GET", "/sync", params=params, timeout_s=timeout_ms / 1000 + 30)
        return Sync(reply.expect(200))

    async def sync_until(
        self, since: str | None, where: Callable[[Sync], bool], deadline_s: float = DEADLINE_S
    ) -> Sync:
        """Long-polls from `since` until a page satisfies `where`; returns that page."""
        end = time.monotonic() + deadline_s
        pages = 0
        while (left_s := end - time.monotonic()) > 0:
            page = await self.sync(since, timeout_ms=max(1, min(5000, int(left_s * 1000))))
            pages += 1
            if where(page):
                return page
            since = page.next_batch
        raise AssertionError(f"no such sync page within {deadline_s} s ({pages} pages looked at)")
