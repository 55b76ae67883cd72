"""A real discord.js bot in its own Node process; see `peers/discord_bot.mjs` for the line protocol.

Library errors (`error` events, unhandled rejections) are kept in `errors`; a test that ends with
some in it failed to notice something, so `close` raises unless they were expected.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.waiting import DEADLINE_S
from harness.wire import Json

SCRIPT = Path(__file__).resolve().parents[1] / "peers" / "discord_bot.mjs"


@dataclass(frozen=True)
class BotEvent:
    """One thing discord.js told the bot."""

    name: str
    data: Any


class DiscordJsBot:
    """Start with `start`, drive with `do`, watch with `event`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._news = asyncio.Condition()
        self._over = False
        self.log: list[BotEvent] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, server_url: str, token: str, *, ready: bool = True) -> DiscordJsBot:
        """Starts the bot and waits until discord.js says `clientReady`."""
        environment = {
            **os.environ,
            "NODE_PATH": os.environ.get("NEXUS_TEST_NODE_MODULES", ""),
            "NEXUS_API": f"{server_url}/api",
            "NEXUS_BOT_TOKEN": token,
        }
        process = await asyncio.create_subprocess_exec(
            "node",
            str(SCRIPT),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        bot = cls(process)
        if ready:
            await bot.event("clientReady", deadline_s=30)
        return bot

    async def __aenter__(self) -> DiscordJsBot:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await self.close()
        if kind is None:
            assert not self.errors, f"discord.js reported errors: {self.errors}"

    async def close(self) -> None:
        """Ends the process: a bot that is switched off."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    # --- doing ------------------------------------------------------------------------------

    async def do(self, command: str, deadline_s: float = DEADLINE_S, **args: Json) -> Json:
        """Runs one command of the bot and returns its value."""
        return await asyncio.wait_for(self.begin(command, **args), deadline_s)

    def begin(self, command: str, **args: Json) -> asyncio.Future[Any]:
        """Starts a command; the future ends with its value."""
        self._next_id += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[self._next_id] = future
        line = json.dumps({"id": self._next_id, "cmd": command, "args": args})
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        return future

    # --- watching -----------------------------------------------------------------------------

    @property
    def errors(self) -> list[str]:
        return [e.data["text"] for e in self.log if e.name == "error"]

    def events(self, name: str) -> list[Any]:
        return [e.data for e in self.log if e.name == name]

    async def event(
        self,
        name: str,
        where: Callable[[Any], bool] = lambda _: True,
        deadline_s: float = DEADLINE_S,
    ) -> Any:
        """The data of the first such event, seen already or to come."""

        async def search() -> Any:
            async with self._news:
                while True:
                    for event in self.log:
                        if event.name == name and where(event.data):
                            return event.data
                    if self._over:
                        raise AssertionError(f"discord.js ended before {name}; {self._trace()}")
                    await self._news.wait()

        try:
            return await asyncio.wait_for(search(), deadline_s)
        except asyncio.TimeoutError:
            raise AssertionError(
                f"discord.js saw no {name} within {deadline_s} s; {self._trace()}"
            ) from None

    def _trace(self) -> str:
        lines = [f"{e.name} {json.dumps(e.data)[:300]}" for e in self.log[-30:]]
        return "its last events:\n  " + "\n  ".join(lines)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                message = json.loads(line)
                if "reply" in message:
                    self._settle(message)
                else:
                    async with self._news:
                        self.log.append(BotEvent(message["event"], message["data"]))
                        self._news.notify_all()
        finally:
            for future in self._replies.values():
                if not future.done():
                    future.set_exception(AssertionError(f"discord.js ended; {self._trace()}"))
                    future.exception()
            async with self._news:
                self._over = True
                self._news.notify_all()

    def _settle(self, message: dict[str, Any]) -> None:
        future = self._replies.pop(message["reply"])
        if future.done():
            return
        if message["ok"]:
            future.set_result(message["value"])
        else:
            future.set_exception(BotCommandError(message["error"]))


class BotCommandError(AssertionError):
    """discord.js threw; `code` and `status` are Discord's when the server answered."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error.get("text", error))
        self.code = error.get("code")
        self.status = error.get("status")
