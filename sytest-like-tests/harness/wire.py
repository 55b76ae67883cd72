"""The HTTP wire: one request, one `Reply` that knows how to say what was wrong with it.

Both typed API clients are built on `Wire`. Bodies are written by us and read by us, byte by byte
if a test wants (`raw`), so that malformed requests leave exactly as written.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

Json = Any
_ABSENT: Any = object()
LARGE_BODY = 2**20


@dataclass(frozen=True)
class Reply:
    """A complete HTTP response and the request that caused it."""

    request: str
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Json:
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f"{self} is not JSON") from None

    def expect(self, status: int) -> Json:
        """The JSON body (None when empty), if the status is the expected one."""
        assert self.status == status, f"expected {status}: {self}"
        return self.json() if self.body else None

    def __str__(self) -> str:
        return f"{self.request} -> {self.status} {self.body[:600].decode(errors='replace')}"


class Wire:
    """Requests against one server, with one Authorization header value (or none)."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, authorization: str | None = None
    ) -> None:
        self.session = session
        self.base_url = base_url
        self.authorization = authorization

    def with_authorization(self, authorization: str | None) -> Wire:
        return Wire(self.session, self.base_url, authorization)

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Json = _ABSENT,
        raw: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Reply:
        """Sends one request; `path` is already percent-encoded, `body` is sent as JSON."""
        sent = dict(headers or {})
        data = raw
        if body is not _ABSENT:
            data = json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        if self.authorization is not None:
            sent.setdefault("Authorization", self.authorization)
        url = URL(self.base_url + path, encoded=True)
        if params:
            url = url.update_query({k: str(v) for k, v in params.items()})
        async with self.session.request(
            method,
            url,
            # As a file, large bodies are written in pieces and do not hold up the event loop.
            data=data if data is None or len(data) < LARGE_BODY else io.BytesIO(data),
            headers=sent,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            allow_redirects=False,
        ) as response:
            content = await response.read()
            return Reply(f"{method} {path}", response.status, response.headers, content)


def absent() -> Any:
    """The value that means "no body at all", as opposed to JSON null."""
    return _ABSENT
