"""Processes under measurement: start, wait until they answer, read their CPU and memory, stop.

Units: CPU in seconds, memory in bytes, times in seconds. Only processes started here are ever signalled.
"""

import dataclasses
import http.client
import os
import pathlib
import signal
import socket
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_DEADLINE_S = 120
STOP_DEADLINE_S = 60


class CannotRun(Exception):
    """The benchmark itself cannot go on; the text is for the person at the terminal."""


@dataclasses.dataclass(frozen=True)
class Stat:
    """What /proc/PID/stat says of CPU time: a process's own, and that of its children who ended."""

    parent: int
    own_s: float
    ended_children_s: float

    @staticmethod
    def of(pid: int | str) -> "Stat":
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        # The name may hold spaces and brackets; the numbers follow its last bracket.
        fields = text.rpartition(")")[2].split()
        user, system, children_user, children_system = (int(field) for field in fields[11:15])
        return Stat(
            parent=int(fields[1]),
            own_s=(user + system) / TICKS_PER_SECOND,
            ended_children_s=(children_user + children_system) / TICKS_PER_SECOND,
        )


def cpu_own_s(pid: int) -> float:
    """User and system time of one process, all its threads, none of its children."""
    return Stat.of(pid).own_s


def cpu_family_s(pid: int) -> float:
    """The same with its children, those that live and those that ended."""
    root = Stat.of(pid)
    total = root.own_s + root.ended_children_s
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Stat.of(entry)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if stat.parent == pid:
                total += stat.own_s + stat.ended_children_s
    return total


def resident_bytes(pid: int) -> int:
    """VmRSS: the memory that a process has in RAM, its mapped files included."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise CannotRun(f"process {pid} has no memory")


def disk_bytes(folder: pathlib.Path) -> int:
    """What is written in a folder: room that a log reserves ahead is not counted, nor are holes."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                status = os.lstat(os.path.join(root, name))
                total += min(status.st_size, status.st_blocks * 512)
            except FileNotFoundError:
                continue  # the server deleted it meanwhile
    return total


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Child:
    """A process that was started here; its output goes to `log`. It can be started again once it ended."""

    def __init__(self, log: pathlib.Path):
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, command: list[str], folder: pathlib.Path, *,
        environment: dict[str, str] | None = None, user: str | None = None,
    ) -> None:
        """Starts it in `folder`, as another user if one is named."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment, user=user, group=user, extra_groups=[] if user else None,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise CannotRun(f"nothing was started yet that writes to {self.log}")
        return self._process.pid

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        code: int | None = self._process.poll() if self._process else None
        return code

    def wait_until_serving(self, port: int, path: str, started: float) -> float:
        """Seconds from `started` to the first 200 of `path`. If that does not come, it cannot be run."""
        while time.perf_counter() - started < START_DEADLINE_S:
            if (code := self.ended()) is not None:
                raise CannotRun(f"the server ended with {code}; its log ends:\n{tail(self.log)}")
            try:
                if get(port, path)[0] == 200:
                    return time.perf_counter() - started
            except OSError:
                pass
            # Fine enough to tell 100 ms from 150, coarse enough to leave the server its core.
            time.sleep(0.002 if time.perf_counter() - started < 2 else 0.02)
        raise CannotRun(f"no 200 from {path} in {START_DEADLINE_S} s; the server's log ends:\n{tail(self.log)}")

    def stop(self, how: signal.Signals) -> None:
        """Ends it and waits for that; nothing to do for what never started or has ended."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise CannotRun(f"the server did not end on {how.name}; its log ends:\n{tail(self.log)}") from None


def get(port: int, path: str) -> tuple[int, str]:
    """One GET on loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def tail(log: pathlib.Path, lines: int = 20) -> str:
    """The end of a log, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
