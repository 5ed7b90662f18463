"""What the kernel knows of processes: processor time, memory, and how many files one may open."""

import os
import resource
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
WORKING = (1, 2, 3, 6, 7, 8)
"""Of the first line of /proc/stat: in programs, niced ones, the kernel, its interrupts, and stolen by the host."""


class Bystanders:
    """What everybody else on the machine used of its processors meanwhile."""

    def __init__(self) -> None:
        self._used, self._began = _used_by_all(), time.perf_counter()

    def share(self, ours: float) -> float:
        """Their part of all processors since the beginning, where we used so many seconds of them ourselves."""
        seconds = (time.perf_counter() - self._began) * (os.cpu_count() or 1)
        return max(0.0, (_used_by_all() - self._used - ours) / seconds)


def cpu(pid: int) -> float:
    """Seconds of processor time of a process, of all its threads."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_of_threads(pid: int) -> dict[int, float]:
    """The same of each of its threads."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            found[int(task.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    return found


def cpu_of_family(pid: int) -> float:
    """The same of a process and its children, those included that it has waited for."""
    while True:
        family = children(pid)
        with suppress(OSError):  # One ended meanwhile: what it used is the parent's now.
            used = sum(map(cpu, family))
            fields = _stat(pid)
            if children(pid) == family:
                return used + sum(map(int, fields[11:15])) / TICKS


def children(pid: int) -> list[int]:
    """The processes that it has started and that are there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int(_stat(int(entry.name))[1]) == pid:
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue
    return found


def memory(pids: Iterable[int]) -> int:
    """Resident bytes; of several processes, what they share is counted once, in parts."""
    pids = list(pids)
    if len(pids) == 1:
        return _field(Path(f"/proc/{pids[0]}/status"), "VmRSS:")
    total = 0
    for pid in pids:
        try:
            total += _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
        except OSError:
            continue
    return total


def allow_files(count: int) -> int:
    """Let this process and those it starts open so many files, if the hard limit does; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def _used_by_all() -> float:
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()
    return sum(int(fields[place]) for place in WORKING) / TICKS


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _field(path: Path, name: str) -> int:
    return int(path.read_text().split(name, 1)[1].split()[0]) * 1024
