"""Synapse, Matrix's reference server, from PyPI on a PostgreSQL of its own.

Pinned and installed once, into the user's cache. One process, every rate limit raised, bcrypt at its
lowest, log level WARNING, no listener for federation; everything else as Synapse generates it.
"""

import json
import os
import pathlib
import subprocess
from typing import Any

from .postgres import Postgres
from .processes import CannotRun
from .servers import Server

SYNAPSE_VERSION = "1.163.2"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "nexus"


class Synapse(Server):
    """A fresh Synapse on a fresh PostgreSQL."""

    name = "Synapse"

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.python = install_synapse()
        self.postgres = Postgres(folder)

    def command(self) -> list[str]:
        self.postgres.start()
        command = [str(self.python), "-m", "synapse.app.homeserver"]
        for config in self._configure():
            command += ["-c", str(config)]
        return command

    def version(self) -> str:
        return f"{SYNAPSE_VERSION} on PostgreSQL {self.postgres.version()}"

    def stored_bytes(self) -> int:
        return self.postgres.database_bytes()

    def counters(self) -> dict[str, float]:
        return self.postgres.counters()

    def database_cpu_s(self) -> float:
        return self.postgres.cpu_s()

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            self.postgres.stop()

    def _configure(self) -> list[pathlib.Path]:
        """The generated settings and ours over them; nothing to do at a second start."""
        generated, ours = self.folder / "hs.yaml", self.folder / "bench.yaml"
        if ours.exists():
            return [generated, ours]
        command = [str(self.python), "-m", "synapse.app.homeserver", "--server-name", "localhost",
                   "--config-path", str(generated), "--data-directory", str(self.folder / "synapse-data"),
                   "--generate-config", "--report-stats=no"]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if answer.returncode != 0:
            raise CannotRun(f"Synapse cannot make its configuration:\n{answer.stderr}")
        logging = self.folder / "localhost.log.config"
        logging.write_text(logging.read_text().replace("level: INFO", "level: WARNING"))
        # Synapse reads several files, the later ones first; JSON is YAML.
        ours.write_text(json.dumps(self._settings(), indent=1))
        return [generated, ours]

    def _settings(self) -> dict[str, Any]:
        plenty = {"per_second": 1_000_000, "burst_count": 1_000_000}
        return {
            "listeners": [{"port": self.port, "type": "http", "tls": False, "bind_addresses": ["127.0.0.1"],
                           "resources": [{"names": ["client"], "compress": False}]}],
            "database": {"name": "psycopg2", "args": {
                "user": "synapse", "password": self.postgres.password, "dbname": "synapse",
                "host": "127.0.0.1", "port": self.postgres.port, "cp_min": 5, "cp_max": 10}},
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "bcrypt_rounds": 4,
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "rc_message": plenty,
            "rc_registration": plenty,
            "rc_login": {"address": plenty, "account": plenty, "failed_attempts": plenty},
            "rc_joins": {"local": plenty, "remote": plenty},
            "rc_joins_per_room": plenty,
            "rc_invites": {"per_room": plenty, "per_user": plenty, "per_issuer": plenty},
            "rc_room_creation": plenty,
            "rc_presence": {"per_user": plenty},
        }


def install_synapse() -> pathlib.Path:
    """The Python of a virtual environment with the pinned Synapse, made once and kept."""
    folder = CACHE / f"synapse-{SYNAPSE_VERSION}"
    python = folder / "bin" / "python"
    probe = [str(python), "-c", "import synapse, psycopg2; print(synapse.__version__)"]
    if python.exists():
        answer = subprocess.run(probe, capture_output=True, text=True)
        if answer.stdout.strip() == SYNAPSE_VERSION:
            return python
    print(f"Installing Synapse {SYNAPSE_VERSION} into {folder} (once) ...", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["python3", "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "-q", f"matrix-synapse[all]=={SYNAPSE_VERSION}"],
                       check=True)
    except subprocess.CalledProcessError as error:
        raise CannotRun(f"Synapse cannot be installed: {error}; or use --no-synapse") from error
    return python
