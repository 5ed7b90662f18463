"""What the figures were measured on: the machine, the programs, and how busy it was before."""

import os
import platform
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

IS_COMPILED = "import walletd.ledger.rules as rules; print(not rules.__file__.endswith('.py'))"


def describe(directory: Path, python: str = sys.executable) -> dict[str, str | int | float]:
    """Everything that a reader of the figures has to know."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC",
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "file_system": _file_system(directory),
        "python": platform.python_version(),
        "modules": "compiled" if _is_compiled(python) else "interpreted",
        "sqlite": sqlite3.sqlite_version,
        "revision": _revision(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def sentence(machine: dict[str, str | int | float]) -> str:
    """The same in one line."""
    load = machine["load_before"]
    shared = "" if float(load) < 0.5 else f"; the machine was shared: load {load} before"
    return (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, {machine['file_system']}, "
        f"{machine['system']}, Python {machine['python']}, SQLite {machine['sqlite']}, "
        f"{machine['modules']} modules, revision {machine['revision']}, {machine['date']}{shared}"
    )


def _is_compiled(python: str) -> bool:
    said = subprocess.run([python, "-c", IS_COMPILED], capture_output=True, text=True)
    return said.stdout.strip() == "True"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(directory: Path) -> str:
    """The type of the file system with the longest mount point that the folder is under."""
    place, found = str(directory.resolve()), ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind = line.split()[:3]
        if (place + "/").startswith(mount.rstrip("/") + "/") and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1]


def _revision() -> str:
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        revision = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return revision.stdout.strip() + ("+" if changed.stdout else "")
