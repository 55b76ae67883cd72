"""PostgreSQL for Synapse: a cluster of its own, made by `initdb` in the run's folder with default settings.

Debian's own cluster is not touched. Missing programs are installed by apt-get (as root). PostgreSQL refuses
to run as root, so it then runs as the user `postgres`. `fsync` and `synchronous_commit` stay on, and are asked.
"""

import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import time

from . import processes
from .processes import CannotRun

USER = "synapse"


def find_programs() -> pathlib.Path:
    """Where initdb and postgres are; installs them when they are nowhere."""
    found = _newest()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", "postgresql"]):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        found = _newest()
    if found is None:
        raise CannotRun("PostgreSQL is not installed (Debian: apt-get install postgresql); or use --no-synapse")
    return found


def _newest() -> pathlib.Path | None:
    folders = pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(folders, key=lambda path: int(path.parts[-3]), default=None)
    if newest:
        return newest.parent
    on_path = shutil.which("initdb")
    return pathlib.Path(on_path).parent if on_path else None


class Postgres:
    """A server with one database, `synapse`, empty at its first start."""

    def __init__(self, folder: pathlib.Path):
        self.programs = find_programs()
        self.data = folder / "postgres"
        self.port = processes.free_port()
        self.password = secrets.token_urlsafe(16)
        self.user = "postgres" if os.geteuid() == 0 else None
        self.process = processes.Child(folder / "postgres.log")
        self._made = False

    def start(self) -> None:
        """Makes the cluster and starts it; nothing to do when it runs."""
        if self._made:
            return
        self._made = True
        self._initialise()
        self._serve()
        self.ask("CREATE DATABASE synapse ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0", "postgres")
        for setting in ("fsync", "synchronous_commit"):
            if (value := self.ask(f"SHOW {setting}")) != "on":
                raise CannotRun(f"PostgreSQL has {setting} = {value}: its commits would not be synced")

    def _initialise(self) -> None:
        self.data.mkdir()
        if self.user:
            shutil.chown(self.data, self.user, self.user)
        secret = self.data / "password"
        secret.write_text(self.password)
        secret.chmod(0o600)
        if self.user:
            shutil.chown(secret, self.user, self.user)
        self._run("initdb", "-D", str(self.data / "cluster"), "-U", USER, "--pwfile", str(secret),
                  "-A", "scram-sha-256", "-E", "UTF8", "--locale=C")

    def _serve(self) -> None:
        self.process.start(
            [str(self.programs / "postgres"), "-D", str(self.data / "cluster"), "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.data}"],
            self.data, user=self.user)
        deadline = time.monotonic() + 60
        while self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), check=False) != 0:
            if self.process.ended() is not None or time.monotonic() > deadline:
                raise CannotRun(f"PostgreSQL does not start:\n{processes.tail(self.process.log)}")
            time.sleep(0.05)

    def ask(self, query: str, database: str = "synapse") -> str:
        """The one value that a query gives."""
        command = [str(self.programs / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", USER,
                   "-d", database, "-XAtqc", query]
        environment = {**os.environ, "PGPASSWORD": self.password}
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/")
        if answer.returncode != 0:
            raise CannotRun(f"psql: {answer.stderr.strip()}")
        return answer.stdout.strip()

    def counters(self) -> dict[str, float]:
        """Committed transactions that wrote, and syncs of the write-ahead log, since the start."""
        # Sessions hand in their counts at most once a second.
        time.sleep(1.5)
        commits = self.ask("SELECT xact_commit FROM pg_stat_database WHERE datname = 'synapse'")
        syncs = self.ask("SELECT wal_sync FROM pg_stat_wal")
        return {"transactions": int(commits), "syncs": int(syncs)}

    def database_bytes(self) -> int:
        """What the database takes on disk, its write-ahead log not counted."""
        self.ask("CHECKPOINT")
        return int(self.ask("SELECT pg_database_size('synapse')"))

    def version(self) -> str:
        return self.ask("SHOW server_version").split()[0]

    def cpu_s(self) -> float:
        return processes.cpu_family_s(self.process.pid)

    def stop(self) -> None:
        self.process.stop(signal.SIGINT)  # a fast shutdown: sessions are ended

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        answer = subprocess.run([str(self.programs / program), *arguments], capture_output=True, text=True,
                                cwd=self.data, user=self.user, group=self.user,
                                extra_groups=[] if self.user else None)
        if check and answer.returncode != 0:
            raise CannotRun(f"{program}: {answer.stderr.strip()}")
        return answer.returncode
