"""Free TCP ports for many servers in parallel, also across test processes.

A port is leased by locking a file named after it, for as long as the server may live: a server
that was killed finds its port free when it starts again, which "bind to 0 and remember" cannot
promise. Ports lie below the kernel's ephemeral range, so outgoing connections never take them.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

FIRST_PORT = 18_000
LAST_PORT = 31_999


class PortLease:
    """One port on 127.0.0.1, ours until `release`."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / f"nexus-test-ports-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        candidates = list(range(FIRST_PORT, LAST_PORT + 1))
        random.shuffle(candidates)
        for port in candidates:
            lock = (folder / str(port)).open("w")
            if _lock_at_once(lock) and _can_bind(port):
                self.port = port
                self._lock: IO[str] | None = lock
                return
            lock.close()
        raise RuntimeError(f"no free port between {FIRST_PORT} and {LAST_PORT}")

    def release(self) -> None:
        """Gives the port back; harmless when done twice."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _lock_at_once(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
