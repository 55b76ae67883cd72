"""Ready-made starting points (Complement calls them blueprints): a guild with people in it.

Everything is made through the public API on a server that other tests may share, so all names
are fresh and nothing here assumes an empty server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp

from harness.gateway import INTENTS_ALL, GatewayClient
from harness.matrix_api import MatrixAccount, MatrixApi
from harness.nexus_api import Account, Bot, NexusApi


@dataclass(frozen=True)
class Clients:
    """Anonymous clients of one server, over one HTTP session."""

    session: aiohttp.ClientSession
    nexus: NexusApi
    matrix: MatrixApi

    @classmethod
    def of(cls, session: aiohttp.ClientSession, server_url: str) -> Clients:
        return cls(
            session, NexusApi.anonymous(session, server_url), MatrixApi.anonymous(session, server_url)
        )


@dataclass(frozen=True)
class Guild:
    """A guild, its owner, and its first text channel."""

    clients: Clients
    owner: Account
    object: dict[str, Any]
    general: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.object["id"])

    @property
    def channel(self) -> str:
        """The snowflake of #general."""
        return str(self.general["id"])

    @property
    def room(self) -> str:
        """The Matrix room id of #general."""
        return str(self.general["room_id"])

    async def invite_code(self) -> str:
        return await self.owner.api.invite(self.channel)

    async def new_member(self, name: str | None = None) -> Account:
        """A fresh account that accepted an invite."""
        account = await self.clients.nexus.register(name)
        await account.api.accept(await self.invite_code())
        return account

    async def new_matrix_member(self, *, join_general: bool = True) -> MatrixAccount:
        """A fresh Matrix account in the guild, and in #general's room."""
        account = await self.clients.matrix.register()
        as_guild_member = self.clients.nexus.with_token(account.access_token)
        await as_guild_member.accept(await self.invite_code())
        if join_general:
            await account.api.join(self.room)
        return account

    async def new_bot(self) -> Bot:
        return await self.owner.api.make_bot(self.id)


async def make_guild(clients: Clients) -> Guild:
    """A new owner with a new guild."""
    owner = await clients.nexus.register()
    made = await owner.api.make_guild()
    channels = await owner.api.channels(made["id"])
    general = next(c for c in channels if c["type"] == 0 and c["name"] == "general")
    return Guild(clients, owner, made, general)


async def gateway_url(nexus: NexusApi) -> str:
    return str((await nexus.get("/gateway"))["url"])


async def connect(clients: Clients) -> GatewayClient:
    """A gateway socket that has seen Hello and is not identified."""
    return await GatewayClient.connect(clients.session, await gateway_url(clients.nexus))


async def ready_gateway(
    clients: Clients, token: str, guild_id: str | None = None, intents: int = INTENTS_ALL
) -> GatewayClient:
    """An identified socket that has READY, and the guild's GUILD_CREATE when one is named."""
    gateway = await connect(clients)
    await gateway.identify(token, intents)
    if guild_id is not None:
        await gateway.event("GUILD_CREATE", lambda d: d["id"] == guild_id)
    return gateway
