"""One run of one server: fresh store, population, warm-up, the measured window, delivery, crash, read-back.

Shapes: `measure` gives a flat dictionary of numbers, the same keys for every server, None where a server
does not tell. Units are in the keys. The window holds nothing but `nexus-load send` with prepared users;
everything that costs the server work (asking its counters, checkpointing its database) is outside it.
"""

import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import time
from typing import Any

from . import machine, processes
from .processes import CannotRun
from .servers import Server

# Numbers by name, some grouped one level deeper; what `--out` writes.
Run = dict[str, Any]

SETTLE_S = 2.0
SYNC_RATE_WINDOW_S = 0.5


@dataclasses.dataclass(frozen=True)
class Plan:
    """What every server has to do in a run."""

    clients: int
    rooms: int
    messages: int
    warm_up: int
    deliveries: int
    delivery_rate: float
    saturation_clients: int
    saturation_messages: int


class Generator:
    """`nexus-load`, aimed at one server."""

    def __init__(self, binary: pathlib.Path, server: Server):
        self.binary, self.server, self.folder = binary, server, server.folder

    def run(self, command: str, population: str, *arguments: object) -> Run:
        """Its report. What was refused or lost is in it; that it could not run at all is an error."""
        line = [str(self.binary), command, "--json", "--base", f"http://127.0.0.1:{self.server.port}",
                "--tokens-file", str(self.folder / f"{population}.json"), *map(str, arguments)]
        answer = subprocess.run(line, capture_output=True, text=True)
        if answer.returncode not in (0, 1):
            raise CannotRun(f"nexus-load {command}: {answer.stderr.strip()}\n"
                            f"{self.server.name}'s log ends:\n{processes.tail(self.server.log)}")
        report: Run = json.loads(answer.stdout)
        return report

    def send(self, population: str, clients: int, messages: int, name: str) -> Run:
        """A send load; the events it got acknowledged are kept for `check`."""
        return self.run("send", population, "--clients", clients, "--messages", messages, "--run", name,
                        "--events-file", self.folder / f"{name}-events.json")

    def check(self, population: str, name: str) -> Run:
        """Whether the events of a send load are all there, once."""
        return self.run("check", population, "--events-file", self.folder / f"{name}-events.json")


def measure(server: Server, binary: pathlib.Path, plan: Plan) -> Run:
    """Everything that one run tells about a server, which is stopped afterwards."""
    try:
        result: Run = {"start_s": server.start()}
        result["version"] = server.version()
        generator = Generator(binary, server)
        time.sleep(SETTLE_S)
        result["idle_bytes"] = server.resident_bytes()
        generator.run("prepare", "load", "--clients", plan.clients, "--rooms", plan.rooms, "--run", "load")
        if plan.warm_up:
            generator.send("load", plan.clients, plan.warm_up, "warm-up")
        result |= window(server, generator, "load", plan.clients, plan.messages)
        if plan.deliveries:
            result |= delivery(server, generator, plan)
        if plan.saturation_messages:
            result["saturation"] = saturation(server, generator, plan)
        result["kept"] = after_a_crash(server, generator)
        result["settled_bytes_per_send"] = settled_growth(server, result)
        return result
    finally:
        server.stop()


def window(server: Server, generator: Generator, population: str, clients: int, messages: int) -> Run:
    """The measured sends: the generator's report, and what the server spent on them."""
    stored, counters = server.stored_bytes(), server.counters()
    os.sync()
    # A virtual disk's rate can change tenfold within minutes, so it is measured next to the sends.
    rate_before = machine.sync_rate(server.folder, window_s=SYNC_RATE_WINDOW_S)
    flushes, spent = machine.device_flushes(server.folder), _spent(server)
    report = generator.send(population, clients, messages, population)
    spent = [after - before for before, after in zip(spent, _spent(server))]
    flushes_after = machine.device_flushes(server.folder)
    rate_after = machine.sync_rate(server.folder, window_s=SYNC_RATE_WINDOW_S)
    resident = server.resident_bytes()
    counted, stored_after = server.counters(), server.stored_bytes()
    sends = report["acknowledged"]
    if not sends:
        raise CannotRun(f"{server.name} acknowledged nothing: {report['errors']}\n{processes.tail(server.log)}")
    server_s, database_s, generator_s, machine_s = spent
    return {
        "sends": sends,
        "errors": report["errors"],
        "seconds": report["seconds"],
        "sends_per_s": report["sends_per_second"],
        "latency_ms": report["latency_ms"],
        "server_cpu_ms_per_send": server_s * 1000 / sends,
        "database_cpu_ms_per_send": database_s * 1000 / sends,
        "generator_cpu_ms_per_send": generator_s * 1000 / sends,
        "server_cores": server_s / report["seconds"],
        "database_cores": database_s / report["seconds"],
        "generator_cores": generator_s / report["seconds"],
        "other_cores": max(machine_s - server_s - database_s - generator_s, 0.0) / report["seconds"],
        "loaded_bytes": resident,
        "stored_bytes_before": stored,
        "stored_bytes": stored_after,
        "stored_bytes_per_send": (stored_after - stored) / sends,
        "transactions": _difference(counted, counters, "transactions"),
        "syncs": _difference(counted, counters, "syncs"),
        "machine_syncs_per_s": (rate_before + rate_after) / 2,
        "device_flushes": None if flushes is None or flushes_after is None else flushes_after - flushes,
    }


def delivery(server: Server, generator: Generator, plan: Plan) -> Run:
    """Messages at a steady pace to clients that long-poll."""
    before = server.cpu_s()
    report = generator.run("sync", "load", "--clients", plan.clients, "--messages", plan.deliveries,
                           "--rate", plan.delivery_rate, "--run", "delivery")
    spent_ms = (server.cpu_s() - before) * 1000
    report["server_cpu_ms_per_delivered"] = spent_ms / max(report["delivered"], 1)
    return {"delivery": report}


def saturation(server: Server, generator: Generator, plan: Plan) -> Run:
    """The same sends from more clients and for longer: what a fast server does when it is kept busy."""
    generator.run("prepare", "busy", "--clients", plan.saturation_clients, "--rooms", plan.rooms, "--run", "busy")
    return window(server, generator, "busy", plan.saturation_clients, plan.saturation_messages)


def after_a_crash(server: Server, generator: Generator) -> Run:
    """`kill -9`, start again, and read back every event acknowledged in the window."""
    server.kill()
    restart_s = server.start()
    return {"restart_s": restart_s, **generator.check("load", "load")}


def settled_growth(server: Server, result: Run) -> float:
    """Bytes per message since the window began, once a restart has turned the log into tables."""
    later = (result.get("delivery", {}).get("acknowledged", 0), result.get("saturation", {}).get("sends", 0))
    return (server.stored_bytes() - result["stored_bytes_before"]) / (result["sends"] + sum(later))


def _spent(server: Server) -> list[float]:
    """CPU seconds so far: the server's own process, its database's, the generators that ended, the machine's."""
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Servers under measurement are children too, but count here only once they have ended.
    return [server.cpu_s(), server.database_cpu_s(), own.ru_utime + own.ru_stime, machine.busy_cpu_s()]


def _difference(after: dict[str, float], before: dict[str, float], key: str) -> float | None:
    return after[key] - before[key] if key in after and key in before else None
