"""Waiting for conditions with a deadline; the suite never sleeps to "give it time".

`eventually` is for state that can only be polled (a REST read after a gateway event on another
connection); where the protocol pushes, wait on the push instead (`GatewayClient.event`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 10.0
"""How long a test waits for something that should be immediate, on a busy two-core machine."""


async def eventually(
    what: str,
    check: Callable[[], Awaitable[T | None]],
    *,
    deadline_s: float = DEADLINE_S,
    every_s: float = 0.05,
) -> T:
    """Calls `check` until it returns something truthy, and returns that.

    An AssertionError inside `check` means "not yet"; the last one is shown when time is up.
    """
    end = time.monotonic() + deadline_s
    last: object = None
    while True:
        try:
            result = await check()
            if result:
                return result
            last = result
        except AssertionError as not_yet:
            last = not_yet
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline_s} s: {what} (last: {last!r})")
        await asyncio.sleep(every_s)
