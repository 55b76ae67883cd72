"""One real `nexus serve` process with its own folder, port, configuration and log.

The process is plain (no asyncio), so a server outlives the event loop of a single test and can
be shared by all tests of one pytest worker; asynchronous tests call `start`, `stop` and
`restart_killed` through `asyncio.to_thread`. The server's standard output and error go to one
file. Lines at WARN or ERROR, and panics, fail the test in which they appear unless it said that
it expects them (`expect_log`).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.ports import PortLease

START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 20.0

ConfigTables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class LogLine:
    """One line of the server's JSON log; `level` is PANIC for what is not JSON and reads so."""

    level: str
    text: str

    @classmethod
    def parse(cls, line: str) -> LogLine:
        try:
            entry = json.loads(line)
            return cls(level=str(entry["level"]), text=line)
        except (ValueError, KeyError, TypeError):
            return cls(level="PANIC" if "panicked at" in line else "TEXT", text=line)

    @property
    def is_complaint(self) -> bool:
        return self.level in ("WARN", "ERROR", "PANIC")


def binary_path() -> Path:
    """The binary under test: NEXUS_BINARY, else the debug build of this tree."""
    named = os.environ.get("NEXUS_BINARY")
    if named:
        return Path(named)
    tree = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("CARGO_TARGET_DIR", tree / "target")) / "debug" / "nexus"


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without what would configure a server behind the test's back."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NEXUS_", "RUST_LOG"))}
    return {**kept, "RUST_BACKTRACE": "1", **(extra or {})}


class NexusServer:
    """A server process; `start` returns once GET /health says ok."""

    def __init__(
        self,
        folder: Path,
        *,
        server_name: str | None = None,
        config: ConfigTables | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._lease = PortLease()
        self.port = self._lease.port
        self.server_name = server_name or f"localhost:{self.port}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.start_ms = 0.0
        self._environment = clean_environment(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_path = folder / "server.log"
        self._log_mark = 0
        self._expected_log: list[re.Pattern[str]] = []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nexus.toml").write_text(self._config_text(config or {}))

    def _config_text(self, extra: ConfigTables) -> str:
        tables: dict[str, dict[str, Any]] = {
            "http": {"listen": f"127.0.0.1:{self.port}", "public_url": self.url},
            "registration": {"mode": "open"},
            "accounts": {"password_hash": "minimum"},
            "rate_limits": {"enabled": False},
            "log": {"level": "info", "format": "json"},
        }
        for table, keys in extra.items():
            tables.setdefault(table, {}).update(keys)
        lines = [f'server_name = "{self.server_name}"', 'data_dir = "data"']
        for table, keys in tables.items():
            lines.append(f"\n[{table}]")
            # JSON's strings, numbers, booleans and lists are TOML's too.
            lines.extend(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        return "\n".join(lines) + "\n"

    # --- life of the process -------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Starts the process and returns at once."""
        assert not self.is_running, "the server is already running"
        command = [str(binary_path()), "serve", "--config", str(self.folder / "nexus.toml")]
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> None:
        """Starts the process on the same port and data as before, and waits until healthy."""
        began = time.monotonic()
        self.spawn()
        self.wait_healthy()
        self.start_ms = (time.monotonic() - began) * 1000

    def wait_healthy(self) -> None:
        """Waits for GET /health; a process that exits meanwhile fails at once."""
        assert self._process is not None
        end = time.monotonic() + START_DEADLINE_S
        last = "no connection"
        while time.monotonic() < end:
            code = self._process.poll()
            assert code is None, f"server exited with {code} while starting:\n{self.log_tail()}"
            try:
                status, body = http_get("127.0.0.1", self.port, "/health")
                if status == 200 and json.loads(body)["status"] == "ok":
                    return
                last = f"{status} {body[:200]!r}"
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)
        raise AssertionError(f"not healthy in {START_DEADLINE_S} s ({last}):\n{self.log_tail()}")

    def kill9(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        self._signal_and_wait(signal.SIGKILL)

    def restart_killed(self) -> None:
        """SIGKILL and start again on the same port and data."""
        self.kill9()
        self.start()

    def stop(self) -> None:
        """SIGTERM: must drain and exit 0 (design §6)."""
        code = self._signal_and_wait(signal.SIGTERM)
        assert code == 0, f"SIGTERM ended the server with {code}, not 0:\n{self.log_tail()}"

    def close(self) -> None:
        """End of the server's use: kills what still runs and returns the port."""
        if self.is_running:
            self.kill9()
        self._lease.release()

    def _signal_and_wait(self, number: signal.Signals) -> int:
        assert self._process is not None, "the server was never started"
        self._process.send_signal(number)
        try:
            return self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(
                f"still running {STOP_DEADLINE_S} s after {number.name}:\n{self.log_tail()}"
            ) from None

    def resident_mib(self) -> float:
        """Resident memory of the process now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmRSS in /proc/PID/status")

    # --- the log ---------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """Everything the server has printed so far, over all its starts."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.splitlines()[-lines:])

    def expect_log(self, pattern: str) -> None:
        """This test provokes a complaint in the log, and `pattern` finds that line."""
        self._expected_log.append(re.compile(pattern))

    def mark_log(self) -> None:
        """From here on the log belongs to the next test."""
        self._log_mark = len(self.log)
        self._expected_log.clear()

    def log_since_mark(self) -> str:
        return self.log[self._log_mark :]

    def unexpected_complaints(self) -> list[str]:
        """WARN, ERROR and panic lines since the mark that no `expect_log` covers."""
        complaints = [
            line
            for line in map(LogLine.parse, self.log_since_mark().splitlines())
            if line.is_complaint
        ]
        return [c.text for c in complaints if not any(p.search(c.text) for p in self._expected_log)]


def http_get(host: str, port: int, path: str, timeout_s: float = 2.0) -> tuple[int, bytes]:
    """A plain blocking GET, for places without an event loop."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
