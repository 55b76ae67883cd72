"""What every bad request is aimed at, and the proof that it left nothing behind.

One guild with a message, one plain Matrix room, and the tokens of three people, made once a worker;
only data is kept, so the clients of each test's own event loop can use it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp

from harness.matrix_api import MatrixApi, room_path
from harness.nexus_api import NexusApi
from harness.scene import Clients, make_guild
from harness.server import NexusServer

UNKNOWN_ID = "1300000000000000001"
"""A well-formed snowflake that names nothing."""


@dataclass(frozen=True)
class Playground:
    """Names of things that exist; `{guild}` etc. in case paths stand for these fields."""

    guild: str
    channel: str
    message: str
    room: str
    plain_room: str
    event: str
    owner_token: str
    member_token: str
    stranger_token: str
    matrix_token: str
    matrix_user: str

    def fill(self, path: str) -> str:
        names = {**vars(self), "unknown": UNKNOWN_ID}
        for name, value in names.items():
            quoted = value.replace("!", "%21").replace(":", "%3A").replace("$", "%24")
            path = path.replace("{" + name + "}", quoted)
        return path


@dataclass(frozen=True)
class Stored:
    """What a client can see of the store; two of these are equal when nothing was written."""

    guilds: list[str]
    channels: list[dict[str, Any]]
    newest_messages: list[dict[str, Any]]
    newest_events: list[str]
    newest_plain_events: list[str]
    plain_state: list[str]
    joined_rooms: list[str]


def build_playground(server: NexusServer) -> Playground:
    """Makes the playground on a running server."""
    return asyncio.run(_build(server))


async def _build(server: NexusServer) -> Playground:
    async with aiohttp.ClientSession() as session:
        guild = await make_guild(Clients.of(session, server.url))
        member = await guild.new_member()
        stranger = await guild.clients.nexus.register()
        matrix = await guild.new_matrix_member()
        message = await guild.owner.api.say(guild.channel, "the only message")
        plain_room = await matrix.api.create_room(name="plain")
        event = await matrix.api.say(plain_room, "the only event")
        return Playground(
            guild=guild.id,
            channel=guild.channel,
            message=message["id"],
            room=guild.room,
            plain_room=plain_room,
            event=event,
            owner_token=guild.owner.access_token,
            member_token=member.access_token,
            stranger_token=stranger.access_token,
            matrix_token=matrix.access_token,
            matrix_user=matrix.user_id,
        )


async def look(ground: Playground, clients: Clients) -> Stored:
    """Reads what is stored now, as the owner and the Matrix user see it."""
    owner: NexusApi = clients.nexus.with_token(ground.owner_token)
    matrix: MatrixApi = clients.matrix.with_token(ground.matrix_token)
    guilds, channels, messages, events, plain_events, plain_state, rooms = await asyncio.gather(
        owner.get("/users/@me/guilds"),
        owner.channels(ground.guild),
        owner.history(ground.channel, limit=5),
        matrix.messages(ground.room, dir="b", limit=5),
        matrix.messages(ground.plain_room, dir="b", limit=5),
        matrix.get(room_path(ground.plain_room, "state")),
        matrix.get("/joined_rooms"),
    )
    return Stored(
        guilds=sorted(g["id"] for g in guilds),
        channels=sorted(channels, key=lambda c: str(c["id"])),
        newest_messages=messages,
        newest_events=[e["event_id"] for e in events["chunk"]],
        newest_plain_events=[e["event_id"] for e in plain_events["chunk"]],
        plain_state=sorted(e["event_id"] for e in plain_state),
        joined_rooms=sorted(rooms["joined_rooms"]),
    )
