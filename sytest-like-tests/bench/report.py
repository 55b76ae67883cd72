"""The table: medians over the rounds, the ratios, what bounds each server, and what was kept.

Nothing is rated against a limit here: a benchmark never fails by the clock. `losses` names what is wrong
whatever the speed: refused sends, acknowledged events that are gone, deliveries that never came.
"""

import statistics
from typing import Any

from .run import Run

MIB = 1024 * 1024


def at(run: Run, path: str) -> float | None:
    """The number at a dotted path, or None."""
    value: Any = run
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else float(value)


def median(runs: list[Run], path: str) -> float | None:
    """The median over the runs that have it."""
    values = [value for run in runs if (value := at(run, path)) is not None]
    return statistics.median(values) if values else None


def known(runs: list[Run], path: str) -> float:
    """The median of what every run has."""
    return statistics.median(value for run in runs if (value := at(run, path)) is not None)


def per_sync(runs: list[Run]) -> float | None:
    """Acknowledged sends that shared one sync."""
    return statistics.median(values) if (values := _ratios(runs, "sends", "syncs")) else None


def _ratios(runs: list[Run], above: str, below: str) -> list[float]:
    return [run[above] / run[below] for run in runs if run.get(below)]


# title, path, divisor, decimals, whether less is better (None: a circumstance, without a ratio)
ROWS = [
    ("acknowledged sends/s", "sends_per_s", 1, 1, False),
    ("CPU per send, server's own process (ms)", "server_cpu_ms_per_send", 1, 3, True),
    ("CPU per send, its database (ms)", "database_cpu_ms_per_send", 1, 3, True),
    ("send p50 (ms)", "latency_ms.p50", 1, 2, True),
    ("send p90 (ms)", "latency_ms.p90", 1, 2, True),
    ("send p99 (ms)", "latency_ms.p99", 1, 2, True),
    ("send max (ms)", "latency_ms.max", 1, 2, True),
    ("CPU per event delivered by /sync (ms)", "delivery.server_cpu_ms_per_delivered", 1, 3, True),
    ("delivery p50 (ms)", "delivery.latency_ms.p50", 1, 2, True),
    ("delivery p99 (ms)", "delivery.latency_ms.p99", 1, 2, True),
    ("start on a fresh store (s)", "start_s", 1, 3, True),
    ("start after kill -9 (s)", "kept.restart_s", 1, 3, True),
    ("resident after start, idle (MiB)", "idle_bytes", MIB, 1, True),
    ("resident after the load (MiB)", "loaded_bytes", MIB, 1, True),
    ("store after the load (MiB)", "stored_bytes", MIB, 2, True),
    ("store growth per send (bytes)", "stored_bytes_per_send", 1, 0, True),
    ("the same after the restart (bytes)", "settled_bytes_per_send", 1, 0, True),
    ("acknowledged sends per log sync", "", 1, 2, None),
    ("disk flushes during the sends", "device_flushes", 1, 0, None),
    ("cores that other processes took meanwhile", "other_cores", 1, 2, None),
    ("disk: synced writes/s of one writer alone", "machine_syncs_per_s", 1, 0, None),
]


def table(runs: dict[str, list[Run]]) -> str:
    """Nexus, Synapse, and how many times the one is better than the other."""
    names = list(runs)
    lines = [["", *names] + (["ratio"] if len(names) == 2 else [])]
    for title, path, divisor, decimals, less_is_better in ROWS:
        values = [median(of, path) if path else per_sync(of) for of in runs.values()]
        cells = ["-" if value is None else f"{value / divisor:,.{decimals}f}" for value in values]
        if len(names) == 2:
            cells.append(_ratio(values[0], values[1], less_is_better))
        lines.append([title, *cells])
    return _aligned(lines)


def _ratio(ours: float | None, theirs: float | None, less_is_better: bool | None) -> str:
    if not ours or not theirs or less_is_better is None:
        return "-"
    return f"{theirs / ours if less_is_better else ours / theirs:.1f}x"


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = []
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
        rows.append("  ".join(cells).rstrip())
    rows.insert(1, "-" * len(rows[0]))
    return "\n".join(rows)


def bounds(name: str, runs: list[Run], cores: int) -> str:
    """What the window was limited by, from how busy the cores and the disk were."""
    whose = ("server", "database", "generator", "other")
    server, database, generator, other = (known(runs, f"{who}_cores") for who in whose)
    busy = server + database + generator + other
    seconds = known(runs, "seconds")
    syncs, flushes = median(runs, "syncs"), median(runs, "device_flushes")
    synced = syncs if syncs is not None else flushes
    text = (f"{name}: {busy:.2f} of {cores} cores busy (server {server:.2f}, database {database:.2f}, "
            f"generator {generator:.2f}, others {other:.2f})")
    share = 0.0
    if synced is not None:
        alone = known(runs, "machine_syncs_per_s")
        share = synced / seconds / alone
        source = "log syncs by its own count" if syncs is not None else "flushes counted by the disk"
        text += (f"; {synced / seconds:.0f} {source} per second, {share:.0%} of the {alone:,.0f} "
                 "that one writer alone got just before and after")
    limits = []
    if name.startswith("Synapse") and server > 0.8:
        limits.append("its one Python thread")
    elif busy > 0.85 * cores:
        limits.append("the cores, all busy" + (" (others had their share: measure again)" if other > 0.25 else ""))
    if share > 0.7 and not name.startswith("Synapse"):
        limits.append("the disk's syncs")
    limit = " and ".join(limits) or "neither cores nor disk alone: clients in a closed loop, waiting on both in turn"
    return f"{text}. Bound by {limit}."


def durability(name: str, runs: list[Run]) -> str:
    """Whether the acknowledged sends were synced, and survived."""
    kept = [run["kept"] for run in runs]
    found, acknowledged = (sum(one[key] for one in kept) for key in ("found", "acknowledged"))
    text = f"{name}: {found} of {acknowledged} acknowledged events there, once, after kill -9 and restart"
    syncs, sends = median(runs, "syncs"), known(runs, "sends")
    if syncs is None:
        text += "; it does not count its syncs"
    else:
        text += f"; {syncs:.0f} log syncs for {sends:.0f} sends"
        if not syncs:
            text += " (NOT SYNCED)"
    flushes = median(runs, "device_flushes")
    return text + ("." if flushes is None else f"; the disk itself counted {flushes:.0f} flushes.")


def losses(runs: dict[str, list[Run]]) -> list[str]:
    """What went wrong, whatever the speed."""
    found = []
    for name, of in runs.items():
        for number, run in enumerate(of, 1):
            where = f"{name}, round {number}"
            if run["errors"]:
                found.append(f"{where}: sends refused: {run['errors']}")
            for key in ("missing", "doubled"):
                if run["kept"][key]:
                    found.append(f"{where}: {run['kept'][key]} acknowledged events {key} after kill -9")
            if (syncs := run["syncs"]) is not None and not syncs:
                found.append(f"{where}: sends were acknowledged without a single log sync")
            if syncs and (flushes := run["device_flushes"]) is not None and flushes < syncs / 2:
                found.append(f"{where}: {syncs:.0f} log syncs claimed, but the disk counted {flushes} flushes")
            sync = run.get("delivery")
            if sync and (sync["delivered"] != sync["expected"] or sync["doubled"] or sync["errors"]):
                found.append(f"{where}: delivered {sync['delivered']} of {sync['expected']}, "
                             f"{sync['doubled']} doubled, errors {sync['errors']}")
    return found


def saturation(runs: list[Run]) -> str | None:
    """One line on the longer, wider load."""
    busy = [run["saturation"] for run in runs if run.get("saturation")]
    if not busy:
        return None
    cpu, rate, p50, p99 = (known(busy, path) for path in
                           ("server_cpu_ms_per_send", "sends_per_s", "latency_ms.p50", "latency_ms.p99"))
    shared = per_sync(busy)
    text = (f"{rate:,.0f} acknowledged sends/s, server CPU {cpu:.3f} ms per send, p50 {p50:.2f} ms, p99 {p99:.2f} ms, "
            f"store growth {known(busy, 'stored_bytes_per_send'):,.0f} bytes per send, "
            f"resident after it {known(busy, 'loaded_bytes') / MIB:.1f} MiB")
    return text if shared is None else f"{text}, {shared:.1f} sends per log sync"
