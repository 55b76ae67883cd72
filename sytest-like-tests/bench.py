#!/usr/bin/env python3
"""Nexus beside Synapse on PostgreSQL: the same load, the same machine, in turns; prints a table of medians.

Needs the binaries `nexus` and `nexus-load` (`make bench` builds them) and, for Synapse, PyPI and PostgreSQL,
which it installs when they are missing (as root). All stores lie in one folder, so that all are synced to the
same disk. docs/benchmarks.md says what each number means. Never fails by the clock: exit code 1 means that
something acknowledged was lost or refused, 2 that a server could not be run.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import sys
import tempfile
from typing import Any

from bench import machine, report
from bench.processes import CannotRun
from bench.run import Plan, Run, measure
from bench.servers import Nexus
from bench.synapse import Synapse

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FULL = Plan(clients=16, rooms=8, messages=2000, warm_up=200, deliveries=200, delivery_rate=10.0,
            saturation_clients=64, saturation_messages=20_000)
QUICK = Plan(clients=16, rooms=8, messages=400, warm_up=50, deliveries=40, delivery_rate=10.0,
             saturation_clients=64, saturation_messages=4000)


def main() -> int:
    options = arguments()
    try:
        return compare(options, *plans(options))
    except CannotRun as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def arguments() -> argparse.Namespace:
    binaries = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "debug"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of a fifth of the load")
    parser.add_argument("--rounds", type=int, help="how often each server runs (default 3, quick 1)")
    parser.add_argument("--clients", type=int, help=f"default {FULL.clients}")
    parser.add_argument("--rooms", type=int, help=f"default {FULL.rooms}")
    parser.add_argument("--messages", type=int, help=f"default {FULL.messages}, quick {QUICK.messages}")
    parser.add_argument("--no-synapse", action="store_true", help="measure Nexus alone")
    parser.add_argument("--no-nexus", action="store_true", help="measure Synapse alone")
    parser.add_argument("--nexus", type=pathlib.Path, default=binaries / "nexus", help="default %(default)s")
    parser.add_argument("--load", type=pathlib.Path, default=binaries / "nexus-load", help="default %(default)s")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp"),
                        help="where the stores go: the disk that is measured (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the stores and logs for inspection")
    parser.add_argument("--out", type=pathlib.Path, help="write every number of every round as JSON")
    return parser.parse_args()


def plans(options: argparse.Namespace) -> tuple[Plan, int]:
    """The load of a run and the number of rounds."""
    chosen = {name: value for name in ("clients", "rooms", "messages") if (value := getattr(options, name))}
    base = QUICK if options.quick else FULL
    return Plan(**{**vars(base), **chosen}), options.rounds or (1 if options.quick else 3)


def compare(options: argparse.Namespace, plan: Plan, rounds: int) -> int:
    for binary, wanted in ((options.load, True), (options.nexus, not options.no_nexus)):
        if wanted and not os.access(binary, os.X_OK):
            raise CannotRun(f"{binary} is missing: run `cargo build -p nexus -p nexus-load`")
    work = pathlib.Path(tempfile.mkdtemp(prefix="nexus-bench-", dir=options.work))
    work.chmod(0o755)  # PostgreSQL runs as another user and keeps its own folder closed
    try:
        facts: dict[str, Any] = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": machine.commit(REPOSITORY),
            "machine": machine.describe(work),
            "plan": vars(plan) | {"rounds": rounds},
        }
        print(introduction(facts), flush=True)
        runs = in_turns(options, plan, rounds, work)
    finally:
        if options.keep:
            print(f"Stores and logs are in {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    print(conclusion(facts, plan, runs))
    if options.out:
        options.out.write_text(json.dumps(facts | {"runs": runs}, indent=1) + "\n")
    lost = report.losses(runs)
    for line in lost:
        print(f"LOST: {line}")
    return 1 if lost else 0


def in_turns(options: argparse.Namespace, plan: Plan, rounds: int, work: pathlib.Path) -> dict[str, list[Run]]:
    """Nexus, Synapse, Nexus, Synapse, ...: what disturbs the machine for a while disturbs both."""
    runs: dict[str, list[Run]] = {}
    for number in range(1, rounds + 1):
        for name, wanted in (("Nexus", not options.no_nexus), ("Synapse", not options.no_synapse)):
            if not wanted:
                continue
            folder = work / f"{name.lower()}-{number}"
            folder.mkdir()
            if name == "Nexus":
                result = measure(Nexus(folder, options.nexus), options.load, plan)
            else:
                # Saturation is Nexus's alone: Synapse is saturated by the common load already.
                common = Plan(**{**vars(plan), "saturation_messages": 0})
                result = measure(Synapse(folder), options.load, common)
            print(f"  round {number} of {rounds}, {name}: {result['sends_per_s']:,.1f} sends/s, "
                  f"server CPU {result['server_cpu_ms_per_send']:.3f} ms per send", flush=True)
            runs.setdefault(name, []).append(result)
            if not options.keep:
                shutil.rmtree(folder, ignore_errors=True)
    return runs


def introduction(facts: dict[str, Any]) -> str:
    about, plan = facts["machine"], facts["plan"]
    return (
        f"{facts['date']}, commit {facts['commit']}\n"
        f"{about['cores']} cores of {about['cpu']}, {about['memory_bytes'] / 2**30:.0f} GiB, Linux {about['kernel']}, "
        f"load average {about['load_average_at_start']:.2f} before the start\n"
        f"{about['filesystem']}: one writer gets {about['syncs_per_second']:.0f} synced 4 KiB writes per second "
        f"on a growing file, {about['syncs_per_second_in_place']:.0f} in place (before the start)\n"
        f"{plan['rounds']} round(s): {plan['messages']} sends from {plan['clients']} clients to {plan['rooms']} rooms "
        f"after {plan['warm_up']} to warm up"
    )


def conclusion(facts: dict[str, Any], plan: Plan, runs: dict[str, list[Run]]) -> str:
    lines = ["", report.table(runs), ""]
    lines += [f"{name} is {of[0]['version']}" for name, of in runs.items()]
    lines += [report.bounds(name, of, facts["machine"]["cores"]) for name, of in runs.items()]
    lines += [report.durability(name, of) for name, of in runs.items()]
    if "Nexus" in runs and (text := report.saturation(runs["Nexus"])):
        lines.append(f"Nexus, {plan.saturation_messages} sends from {plan.saturation_clients} clients: {text}")
        busy = [run["saturation"] for run in runs["Nexus"]]
        lines.append(report.bounds(f"Nexus, {plan.saturation_clients} clients", busy, facts["machine"]["cores"]))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
