#!/usr/bin/env python3
"""`make demo`: the scene of tests/test_first_light.py, printed as a dialogue.

Exit 0 when everything acknowledged is there once and in one order for all; 1 when not.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from harness.first_light import FirstLight, StreamResult
from harness.server import NexusServer

EACH = 150
COLOURS = {
    "owner": "35",
    "nio": "32",
    "bot": "34",
    "server": "2",
    "operator": "1;31",
    "both": "36",
    "check": "1",
}
NAMES = {"nio": "matrix-nio", "bot": "discord.js", "both": "both clients"}


class Transcript:
    """Prints `time  who  what`, in colour on a terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __call__(self, who: str, what: str) -> None:
        elapsed = time.monotonic() - self._began
        name = f"{NAMES.get(who, who):>12}"
        if self._colour:
            name = f"\033[{COLOURS.get(who, '0')}m{name}\033[0m"
        print(f"{elapsed:7.2f} s  {name}  {what}", flush=True)

    def heading(self, text: str) -> None:
        print(f"\n\033[1m{text}\033[0m" if self._colour else f"\n{text}", flush=True)


def verdicts(seen: StreamResult, each: int) -> list[tuple[str, bool]]:
    """The final checks, each with its outcome."""
    sent = {f"{prefix}{n}" for prefix in ("nio-", "bot-") for n in range(each)}
    acked = set(seen.acked_by_nio) | set(seen.acked_by_bot)
    return [
        (f"all {2 * each} messages were acknowledged", acked == sent),
        ("every acknowledged message is stored", sent <= set(seen.order_rest)),
        ("none is there twice", len(seen.order_rest) == len(set(seen.order_rest))),
        ("matrix-nio saw them in the stored order", seen.order_nio == seen.order_rest),
        ("discord.js saw them in the stored order", seen.order_bot == seen.order_rest),
        ("/messages and REST history agree", seen.order_messages == seen.order_rest),
    ]


async def play(server: NexusServer, tell: Transcript) -> bool:
    async with aiohttp.ClientSession() as session:
        scene = FirstLight(server, session, tell)
        try:
            tell.heading("1. Everybody arrives")
            await scene.gather()
            tell.heading("2. Each sees the other, live")
            event_id, message_id = await scene.messages()
            await scene.edits(event_id, message_id)
            await scene.reactions(event_id, message_id)
            await scene.deletions(event_id, message_id)
            tell.heading("3. kill -9 while both are sending")
            seen = await scene.kill_in_mid_stream(EACH)
            await scene.messages_after_restart()
            tell.heading("4. Nothing acknowledged is missing")
            results = verdicts(seen, EACH)
            for claim, holds in results:
                tell("check", f"{'yes' if holds else 'NO '}  {claim}")
            return all(holds for _, holds in results)
        finally:
            await scene.close()


def main() -> int:
    tell = Transcript()
    with tempfile.TemporaryDirectory(prefix="nexus-demo-") as folder:
        server = NexusServer(Path(folder))
        try:
            server.start()
            tell("server", f"nexus serve: up on {server.url} after {server.start_ms:.0f} ms")
            good = asyncio.run(play(server, tell))
            server.stop()
        except AssertionError as failure:
            print(f"\nThe scene broke: {failure}\n\nServer log:\n{server.log_tail(40)}", file=sys.stderr)
            good = False
        finally:
            server.close()
    print(f"\n{'First light: all as it should be.' if good else 'First light: FAILED.'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
