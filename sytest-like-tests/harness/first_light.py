"""The scene of "First light": one channel, shared by a discord.js bot and a matrix-nio client.

The acts check as they go; `tests/test_first_light.py` plays them in order, and `demo.py` plays the
same acts with a narrator that prints them. Both clients are unmodified and run from the first act
to the last without being restarted, across a `kill -9` of the server in mid-stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from nio import ReactionEvent, RedactionEvent, RoomMessageText

from harness.discord_js import DiscordJsBot
from harness.matrix_api import MatrixApi, edit_content, reaction_content, text_message
from harness.nexus_api import Account, Bot, NexusApi, fresh_name
from harness.nio_client import NioClient, NioEvent
from harness.scene import Clients
from harness.server import NexusServer

Narrator = Callable[[str, str], None]

RESUME_DEADLINE_S = 30.0


def silent(_who: str, _what: str) -> None:
    """The narrator of the tests."""


@dataclass(frozen=True)
class StreamResult:
    """What the two streams across the kill were acknowledged, and what everyone then saw."""

    acked_by_nio: dict[str, str]
    """Body to event id."""
    acked_by_bot: dict[str, str]
    """Content to message snowflake."""
    order_nio: list[str]
    order_bot: list[str]
    order_rest: list[str]
    order_messages: list[str]


@dataclass
class FirstLight:
    """The stage; acts must be played in the order in which they are written."""

    server: NexusServer
    session: aiohttp.ClientSession
    tell: Narrator = silent
    owner: Account = field(init=False)
    bot_account: Bot = field(init=False)
    guild: dict[str, Any] = field(init=False)
    channel: str = field(init=False)
    room: str = field(init=False)
    nio: NioClient = field(init=False)
    bot: DiscordJsBot = field(init=False)
    to_close: list[Any] = field(default_factory=list)

    async def close(self) -> None:
        for client in reversed(self.to_close):
            await client.close()

    # --- act 1: everybody arrives ---------------------------------------------------------------

    async def gather(self) -> None:
        await self._owner_makes_guild()
        await self._matrix_user_joins()
        await self._bot_joins()

    async def _owner_makes_guild(self) -> None:
        clients = Clients.of(self.session, self.server.url)
        self.owner = await clients.nexus.register(fresh_name("olga"))
        self.guild = await self.owner.api.make_guild("First Light")
        channels = await self.owner.api.channels(self.guild["id"])
        general = next(c for c in channels if c["name"] == "general" and c["type"] == 0)
        self.channel, self.room = general["id"], general["room_id"]
        self.tell("owner", f"registers, makes guild {self.guild['name']!r}; #general is {self.channel}")
        self.tell("server", f"#general is Matrix room {self.room}")

    async def _matrix_user_joins(self) -> None:
        self.nio = NioClient(self.server.url)
        self.to_close.append(self.nio)
        await self.nio.register(fresh_name("mia"))
        code = await self.owner.api.invite(self.channel)
        nexus = NexusApi.anonymous(self.session, self.server.url).with_token(self.nio.access_token)
        await nexus.accept(code)
        self.tell("nio", f"registers as {self.nio.user_id}, takes invite {code} with its Matrix token")
        await self.nio.begin_sync()
        await self.nio.join(self.room)
        self.tell("nio", "joins the room and syncs")

    async def _bot_joins(self) -> None:
        self.bot_account = await self.owner.api.make_bot(self.guild["id"], fresh_name("helper"))
        self.bot = await DiscordJsBot.start(self.server.url, self.bot_account.token)
        self.to_close.append(self.bot)
        ready = await self.bot.event("clientReady")
        assert self.guild["id"] in ready["guilds"], f"the bot is not in the guild: {ready}"
        self.tell("bot", f"discord.js is ready as {ready['user']['username']}")

    # --- act 2: each sees the other live ----------------------------------------------------------

    async def messages(self) -> tuple[str, str]:
        """A message each way; returns (event id of nio's, snowflake of the bot's)."""
        event_id = await self.nio.send(self.room, text_message("hello from Matrix"))
        self.tell("nio", "says 'hello from Matrix'")
        seen = await self.bot.event("messageCreate", lambda m: m["content"] == "hello from Matrix")
        assert seen["channel_id"] == self.channel and seen["author"]["bot"] is False, str(seen)
        self.tell("bot", f"sees it from {seen['author']['username']}")

        said = await self.bot.do("send", channel=self.channel, content="hello from Discord")
        self.tell("bot", "says 'hello from Discord'")
        heard = await self.nio.message("hello from Discord")
        assert isinstance(heard.typed, RoomMessageText), f"nio did not understand {heard.source}"
        self.tell("nio", f"sees it from {heard.sender}")

        answer = await self.bot.do("reply", channel=self.channel, message=seen["id"], content="welcome")
        self.tell("bot", "replies 'welcome'")
        reply = await self.nio.event(
            "the reply", lambda e: replied_to(e) == event_id and e.kind == "m.room.message"
        )
        assert "welcome" in reply.body and answer["reply_to"] == seen["id"]
        self.tell("nio", "sees the reply")
        return event_id, said["id"]

    async def edits(self, event_id: str, message_id: str) -> None:
        await self.nio.send(self.room, edit_content(event_id, "hello again from Matrix"))
        self.tell("nio", "edits its message")
        seen = await self.bot.event("messageUpdate", lambda m: m["content"] == "hello again from Matrix")
        assert seen["edited"] is not None, f"edited message without a time: {seen}"
        self.tell("bot", f"sees {seen['content']!r}")

        await self.bot.do("edit", channel=self.channel, message=message_id, content="hello, edited")
        self.tell("bot", "edits its message")
        edit = await self.nio.event("the edit", lambda e: new_body(e) == "hello, edited")
        original = await self.nio.message("hello from Discord")
        assert edit.content["m.relates_to"]["event_id"] == original.event_id, str(edit.source)
        self.tell("nio", "sees an m.replace with 'hello, edited'")

    async def reactions(self, event_id: str, message_id: str) -> None:
        target = await self.nio.message("hello from Discord")
        reaction = await self.nio.send(self.room, reaction_content(target.event_id, "👍"), "m.reaction")
        self.tell("nio", "reacts 👍")
        added = await self.bot.event("messageReactionAdd", lambda r: r["emoji"] == "👍")
        assert added["message_id"] == message_id, f"reaction on another message: {added}"
        self.tell("bot", "sees 👍")
        await self.nio.redact(self.room, reaction)
        gone = await self.bot.event("messageReactionRemove", lambda r: r["emoji"] == "👍")
        assert gone["message_id"] == message_id
        self.tell("bot", "sees 👍 taken back")

        greeting = await self.bot.event("messageCreate", lambda m: m["content"] == "hello from Matrix")
        await self.bot.do("react", channel=self.channel, message=greeting["id"], emoji="🎉")
        self.tell("bot", "reacts 🎉")
        seen = await self.nio.event(
            "🎉", lambda e: isinstance(e.typed, ReactionEvent) and e.typed.key == "🎉"
        )
        assert isinstance(seen.typed, ReactionEvent) and seen.typed.reacts_to == event_id
        self.tell("nio", "sees 🎉")
        await self.bot.do("unreact", channel=self.channel, message=greeting["id"], emoji="🎉")
        await self.nio.event("the end of 🎉", lambda e: redacts(e) == seen.event_id)
        self.tell("nio", "sees 🎉 taken back")

    async def deletions(self, event_id: str, message_id: str) -> None:
        greeting = await self.bot.event("messageCreate", lambda m: m["content"] == "hello from Matrix")
        await self.nio.redact(self.room, event_id)
        self.tell("nio", "redacts its message")
        await self.bot.event("messageDelete", lambda m: m["id"] == greeting["id"])
        self.tell("bot", "sees the deletion")

        original = await self.nio.message("hello from Discord")
        await self.bot.do("delete", channel=self.channel, message=message_id)
        self.tell("bot", "deletes its message")
        seen = await self.nio.event("the redaction", lambda e: redacts(e) == original.event_id)
        assert isinstance(seen.typed, RedactionEvent), f"nio did not understand {seen.source}"
        self.tell("nio", "sees the redaction")

    # --- act 3: kill -9 in mid-stream ---------------------------------------------------------------

    async def kill_in_mid_stream(self, each: int) -> StreamResult:
        """Both send `each` messages at once; half-way the server is killed and started again."""
        acked_by_nio: dict[str, str] = {}

        async def nio_stream() -> None:
            for number in range(each):
                body = f"nio-{number}"
                acked_by_nio[body] = await self.nio.send(self.room, text_message(body), txn=body)

        self.tell("both", f"begin to send {each} messages each")
        streams = [asyncio.create_task(nio_stream())]
        bot_stream = self.bot.begin("stream", channel=self.channel, count=each, prefix="bot-")
        half = await self.bot.event("acked", lambda m: m["content"] == f"bot-{each // 2}", 60)
        acked_before = len(acked_by_nio) + len(self.bot.events("acked"))
        self.tell("operator", f"kill -9 {self.server.pid} after {acked_before} acknowledged messages")
        await asyncio.to_thread(self.server.restart_killed)
        self.tell("server", f"is back after {self.server.start_ms:.0f} ms (last before: {half['content']})")

        await asyncio.wait_for(asyncio.gather(*streams), 60)
        assert await asyncio.wait_for(bot_stream, 60) == each
        acked_by_bot = {m["content"]: m["id"] for m in self.bot.events("acked")}
        self.tell("both", f"have all {len(acked_by_nio) + len(acked_by_bot)} acknowledged")
        await self._both_went_on(each)
        return await self._what_all_saw(acked_by_nio, acked_by_bot)

    async def messages_after_restart(self) -> None:
        """One more message each way, live, on the same connections as before the kill."""
        await self.nio.send(self.room, text_message("still here, Matrix"))
        await self.bot.event("messageCreate", lambda m: m["content"] == "still here, Matrix")
        await self.bot.do("send", channel=self.channel, content="still here, Discord")
        await self.nio.message("still here, Discord")
        self.tell("both", "still hear each other")

    async def _both_went_on(self, each: int) -> None:
        await self.bot.event("shardResume", deadline_s=RESUME_DEADLINE_S)
        ready_count = len(self.bot.events("raw:READY"))
        assert ready_count == 1, f"discord.js had to identify again ({ready_count} READYs), not resume"
        self.tell("bot", "resumed its session (RESUMED, no new READY)")
        for prefix in ("bot-", "nio-"):
            last = f"{prefix}{each - 1}"
            await self.nio.message(last, RESUME_DEADLINE_S)
            await self._bot_sees(last, RESUME_DEADLINE_S)
        assert not self.nio.sync_errors, f"nio's sync was refused: {self.nio.sync_errors}"
        self.tell("nio", "went on syncing from its token")

    async def _bot_sees(self, content: str, deadline_s: float) -> dict[str, Any]:
        seen: dict[str, Any] = await self.bot.event(
            "messageCreate", lambda m: m["content"] == content, deadline_s
        )
        return seen

    async def _what_all_saw(self, by_nio: dict[str, str], by_bot: dict[str, str]) -> StreamResult:
        rest = await self.owner.api.whole_history(self.channel)
        matrix = MatrixApi.anonymous(self.session, self.server.url).with_token(self.nio.access_token)
        timeline = await matrix.whole_timeline(self.room)
        ids = {m["content"]: (m["id"], m["event_id"]) for m in rest}
        for body, event_id in by_nio.items():
            assert body in ids and ids[body][1] == event_id, f"acknowledged {body} {event_id} is missing"
        for content, message_id in by_bot.items():
            assert content in ids and ids[content][0] == message_id, f"acknowledged {content} is missing"
        return StreamResult(
            acked_by_nio=by_nio,
            acked_by_bot=by_bot,
            order_nio=streamed(e.body for e in self.nio.seen if e.kind == "m.room.message"),
            order_bot=streamed(m["content"] for m in self.bot.events("messageCreate")),
            order_rest=streamed(m["content"] for m in rest),
            order_messages=streamed(
                str(e["content"].get("body", "")) for e in timeline if e["type"] == "m.room.message"
            ),
        )


def streamed(bodies: Any) -> list[str]:
    """Only the bodies of the two streams."""
    return [b for b in bodies if b.startswith(("nio-", "bot-"))]


def relation(event: NioEvent) -> dict[str, Any]:
    related = event.content.get("m.relates_to", {})
    return related if isinstance(related, dict) else {}


def replied_to(event: NioEvent) -> str | None:
    target = relation(event).get("m.in_reply_to", {})
    return target.get("event_id") if isinstance(target, dict) else None


def new_body(event: NioEvent) -> str | None:
    if relation(event).get("rel_type") != "m.replace":
        return None
    return str(event.content.get("m.new_content", {}).get("body"))


def redacts(event: NioEvent) -> str | None:
    if event.kind != "m.room.redaction":
        return None
    return event.content.get("redacts") or event.source.get("redacts")
