"""A server under measurement, and Nexus as one: how to start, ask, kill, restart and stop it.

All servers answer the same few questions, so that what is measured of one is measured of the other.
Nexus is set as the operator's contract has it, with open registration and no rate limits.
"""

import abc
import os
import pathlib
import signal
import subprocess
import time

from . import processes

READY_PATH = "/_matrix/client/versions"


class Server(abc.ABC):
    """One server on a store of its own in `folder`, listening for clients on `port`."""

    name: str

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.log = folder / "server.log"
        self.port = processes.free_port()
        self.process = processes.Child(self.log)

    @abc.abstractmethod
    def command(self) -> list[str]:
        """What to execute; whatever it needs is there by then."""

    @abc.abstractmethod
    def version(self) -> str:
        """Of the server and its database."""

    @abc.abstractmethod
    def stored_bytes(self) -> int:
        """What its store takes on disk."""

    @abc.abstractmethod
    def counters(self) -> dict[str, float]:
        """`transactions` and `syncs` of its store since the start, as far as it tells."""

    def start(self) -> float:
        """Seconds from exec to the first answer."""
        command = self.command()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NEXUS_")}
        started = time.perf_counter()
        self.process.start(command, self.folder, environment=environment)
        return self.process.wait_until_serving(self.port, READY_PATH, started)

    def cpu_s(self) -> float:
        """Of its own process."""
        return processes.cpu_own_s(self.process.pid)

    def resident_bytes(self) -> int:
        """Of its own process."""
        return processes.resident_bytes(self.process.pid)

    def database_cpu_s(self) -> float:
        """Of the processes of a database apart, if it has one."""
        return 0.0

    def kill(self) -> None:
        """As a crash would: no chance to write anything."""
        self.process.stop(signal.SIGKILL)

    def stop(self) -> None:
        """Asks it to end, and waits for it."""
        self.process.stop(signal.SIGTERM)


NEXUS_CONFIG = """\
server_name = "localhost"
data_dir = "nexus-data"

[http]
listen = "127.0.0.1:{port}"
public_url = "http://localhost:{port}"

[registration]
mode = "open"

[rate_limits]
enabled = false

[log]
level = "warn"
"""


class Nexus(Server):
    """The binary under test."""

    name = "Nexus"

    def __init__(self, folder: pathlib.Path, binary: pathlib.Path):
        super().__init__(folder)
        self.binary = binary
        self.config = folder / "nexus.toml"
        self.config.write_text(NEXUS_CONFIG.format(port=self.port))

    def command(self) -> list[str]:
        return [str(self.binary), "serve", "--config", str(self.config)]

    def version(self) -> str:
        answer = subprocess.run([str(self.binary), "--version"], capture_output=True, text=True)
        return answer.stdout.strip() or "of unknown version"

    def stored_bytes(self) -> int:
        return processes.disk_bytes(self.folder / "nexus-data")

    def counters(self) -> dict[str, float]:
        status, text = processes.get(self.port, "/metrics")
        if status != 200:
            return {}
        names = {"nexus_store_commits_total": "transactions", "nexus_store_syncs_total": "syncs"}
        return {names[name]: value for name, value in sum_of_samples(text).items() if name in names}


def sum_of_samples(text: str) -> dict[str, float]:
    """Prometheus text as name -> value, over all labels."""
    totals: dict[str, float] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            name = name.partition("{")[0]
            try:
                totals[name] = totals.get(name, 0.0) + float(value)
            except ValueError:
                continue
    return totals
