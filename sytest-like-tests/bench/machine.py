"""What the machine is and what its disk can do: the facts that a benchmark's numbers mean nothing without.

Units: rates are per second, bytes are bytes. Everything is read from /proc and /sys, or measured here.
"""

import os
import pathlib
import platform
import subprocess
import time
from typing import Any

BLOCK_BYTES = 4096


def describe(folder: pathlib.Path) -> dict[str, Any]:
    """The processor, the kernel, the file system that `folder` lies in, and its rate of synced writes."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "load_average_at_start": os.getloadavg()[0],
        "filesystem": _mount_of(folder),
        "syncs_per_second": sync_rate(folder, growing=True),
        "syncs_per_second_in_place": sync_rate(folder, growing=False),
    }


def sync_rate(folder: pathlib.Path, *, growing: bool = True, window_s: float = 1.0) -> float:
    """How many times a second one writer can write 4 KiB and `fdatasync` it.

    A growing file, like a log, also has its new length synced; one rewritten in place has not.
    """
    path = folder / "sync-rate.tmp"
    block = os.urandom(BLOCK_BYTES)
    blocks_in_place = 256
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if not growing:
            os.write(descriptor, block * blocks_in_place)
            os.fsync(descriptor)
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < window_s:
            place = count if growing else count % blocks_in_place
            os.pwrite(descriptor, block, place * BLOCK_BYTES)
            os.fdatasync(descriptor)
            count += 1
        return count / elapsed
    finally:
        os.close(descriptor)
        path.unlink()


def device_flushes(folder: pathlib.Path) -> int | None:
    """How many cache flushes the disk under `folder` has completed; None where the kernel does not tell.

    The kernel counts them, so they witness to a server's syncing independently of what the server says.
    The count is of the whole disk: other writers add to it.
    """
    device = os.stat(folder).st_dev
    link = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    for candidate in (link, link.parent):
        # A partition has no flush counter of its own; its disk has.
        try:
            fields = (candidate / "stat").read_text().split()
        except OSError:
            continue
        if len(fields) > 15 and int(fields[15]) > 0:
            return int(fields[15])
    return None


def busy_cpu_s() -> float:
    """CPU seconds that all processes and the kernel have spent since boot, over all cores."""
    user, nice, system, _idle, _waiting, irq, softirq = map(int, pathlib.Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def commit(repository: pathlib.Path) -> str:
    """The commit that is measured, and whether the tree differs from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        name = git("rev-parse", "--short=12", "HEAD")
        return f"{name} with local changes" if git("status", "--porcelain") else name
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "no commit"


def _cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _mount_of(folder: pathlib.Path) -> str:
    """The type of the file system: a memory file system would make every sync free."""
    real, best, kind = folder.resolve(), "", "unknown"
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, mount, name, *_ = line.split()
        if real.is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, name
    return kind
