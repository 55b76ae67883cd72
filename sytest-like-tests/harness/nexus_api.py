"""Typed client for the Discord-shaped REST API: the operator's contract plus Discord's routes.

A `NexusApi` speaks for one token (or none). Methods return parsed JSON of a successful call and
fail with the whole exchange otherwise; `call` returns the raw `Reply` for tests of errors.
Ids are snowflake strings throughout.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from harness.wire import Json, Reply, Wire, absent

API = "/api/v10"
PASSWORD = "correct horse battery staple"


def fresh_name(stem: str) -> str:
    """A user or guild name nobody has: tests share a server."""
    return f"{stem}-{secrets.token_hex(5)}"


@dataclass(frozen=True)
class Account:
    """A person registered through the contract's calls."""

    name: str
    user: dict[str, Any]
    access_token: str
    refresh_token: str
    api: NexusApi

    @property
    def id(self) -> str:
        return str(self.user["id"])

    @property
    def mxid(self) -> str:
        return str(self.user["mxid"])


@dataclass(frozen=True)
class Bot:
    """An application and its bot user."""

    application: dict[str, Any]
    user: dict[str, Any]
    token: str
    api: NexusApi

    @property
    def id(self) -> str:
        return str(self.user["id"])


class NexusApi:
    """Calls under /api/v10 with one authorization."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @classmethod
    def anonymous(cls, session: aiohttp.ClientSession, base_url: str) -> NexusApi:
        return cls(Wire(session, base_url))

    def with_token(self, token: str, scheme: str = "Bearer") -> NexusApi:
        return NexusApi(self.wire.with_authorization(f"{scheme} {token}"))

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Json = absent(),
        raw: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        return await self.wire.send(
            method, API + path, body=body, raw=raw, params=params, headers=headers
        )

    async def get(self, path: str, **params: str | int) -> Json:
        return (await self.call("GET", path, params=params)).expect(200)

    async def post(self, path: str, body: Json = absent(), status: int = 200) -> Json:
        return (await self.call("POST", path, body=body)).expect(status)

    async def patch(self, path: str, body: Json) -> Json:
        return (await self.call("PATCH", path, body=body)).expect(200)

    async def put(self, path: str, body: Json = absent(), status: int = 204) -> Json:
        return (await self.call("PUT", path, body=body)).expect(status)

    async def delete(self, path: str, status: int = 204) -> Json:
        return (await self.call("DELETE", path)).expect(status)

    # --- accounts (design §6) ---------------------------------------------------------------

    async def register(self, name: str | None = None, **more: Json) -> Account:
        name = name or fresh_name("user")
        body = {"username": name, "password": PASSWORD, **more}
        made = await self.post("/auth/register", body, 201)
        return self._account(name, made)

    async def login(self, name: str, password: str = PASSWORD) -> Account:
        return self._account(name, await self.post("/auth/login", {"login": name, "password": password}))

    def _account(self, name: str, made: Json) -> Account:
        return Account(
            name=name,
            user=made["user"],
            access_token=made["access_token"],
            refresh_token=made["refresh_token"],
            api=self.with_token(made["access_token"]),
        )

    async def make_bot(self, guild_id: str | None = None, name: str | None = None) -> Bot:
        """An application with its bot; puts it into the guild when one is named."""
        application = await self.post("/applications", {"name": name or fresh_name("bot")}, 201)
        made = await self.post(f"/applications/{application['id']}/bot")
        token = made["token"]
        api = self.with_token(token, "Bot")
        bot = Bot(application, await api.get("/users/@me"), token, api)
        if guild_id is not None:
            await self.authorize_bot(bot, guild_id)
        return bot

    async def authorize_bot(self, bot: Bot, guild_id: str, permissions: str = "8") -> Json:
        body = {"guild_id": guild_id, "permissions": permissions, "authorize": True}
        path = f"/oauth2/authorize?client_id={bot.application['id']}&scope=bot"
        return await self.post(path, body)

    # --- guilds, channels, invites ------------------------------------------------------------

    async def make_guild(self, name: str | None = None) -> Json:
        return await self.post("/guilds", {"name": name or fresh_name("guild")}, 201)

    async def channels(self, guild_id: str) -> list[Json]:
        return list(await self.get(f"/guilds/{guild_id}/channels"))

    async def make_channel(self, guild_id: str, name: str, kind: int = 0, **more: Json) -> Json:
        body = {"name": name, "type": kind, **more}
        return await self.post(f"/guilds/{guild_id}/channels", body, 201)

    async def invite(self, channel_id: str, **more: Json) -> str:
        made = (await self.call("POST", f"/channels/{channel_id}/invites", body=more)).expect(200)
        return str(made["code"])

    async def accept(self, code: str) -> Json:
        return await self.post(f"/invites/{code}", {})

    # --- messages and reactions -----------------------------------------------------------------

    async def say(self, channel_id: str, content: str, **more: Json) -> Json:
        return await self.post(f"/channels/{channel_id}/messages", {"content": content, **more})

    async def edit(self, channel_id: str, message_id: str, content: str) -> Json:
        return await self.patch(f"/channels/{channel_id}/messages/{message_id}", {"content": content})

    async def unsay(self, channel_id: str, message_id: str) -> None:
        await self.delete(f"/channels/{channel_id}/messages/{message_id}")

    async def history(self, channel_id: str, **params: str | int) -> list[Json]:
        """One page, newest first."""
        return list(await self.get(f"/channels/{channel_id}/messages", **params))

    async def whole_history(self, channel_id: str) -> list[Json]:
        """Every message, oldest first, by pages of 100 backwards."""
        newest_first: list[Json] = []
        params: dict[str, str | int] = {"limit": 100}
        while page := await self.history(channel_id, **params):
            newest_first.extend(page)
            params["before"] = page[-1]["id"]
        return newest_first[::-1]

    async def react(self, channel_id: str, message_id: str, emoji: str) -> None:
        await self.put(reaction_path(channel_id, message_id, emoji, "@me"))

    async def unreact(self, channel_id: str, message_id: str, emoji: str) -> None:
        await self.delete(reaction_path(channel_id, message_id, emoji, "@me"))


def reaction_path(channel_id: str, message_id: str, emoji: str = "", who: str = "") -> str:
    """The path of a message's reactions, of one emoji, or of one user's."""
    path = f"/channels/{channel_id}/messages/{message_id}/reactions"
    if emoji:
        path += "/" + quote(emoji, safe="")
    if who:
        path += "/" + who
    return path
