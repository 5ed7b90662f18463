"""Programs that these tests drive, and what happens where one is not there.

On a person's machine such a test is skipped and says what to install; with ``TEST_REQUIRE=all``, as in CI, it fails.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def missing(what: str, advice: str) -> NoReturn:
    """Skip, or fail where everything is required."""
    sentence = f"{what} is not there: {advice}"
    if os.environ.get("TEST_REQUIRE") == "all":
        pytest.fail(sentence)
    pytest.skip(sentence)


def program(names: tuple[str, ...], advice: str) -> str:
    """The first of these programs that is there."""
    for name in names:
        if found := shutil.which(name):
            return found
    missing(names[0], advice)


def node() -> str:
    return program(("node", "nodejs"), "on Debian, apt-get install nodejs npm")


def chromium() -> str:
    return program(("chromium", "chromium-browser", "google-chrome"), "on Debian, apt-get install chromium")


def packages(pinned: Path = HERE) -> Path:
    """The folder node_modules with what package-lock.json in the folder ``pinned`` names; made at the first call.

    It is in the virtual environment, which is thrown away as a whole.
    """
    npm = program(("npm",), "on Debian, apt-get install npm")
    home = Path(sys.prefix) / pinned.name
    home.mkdir(exist_ok=True)
    lock, installed = pinned / "package-lock.json", home / "installed.json"
    with (home / ".turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(pinned / name, home / name)
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                missing("what package-lock.json names", f"npm ci failed: {done.stderr.strip()[-500:]}")
            shutil.copy(lock, installed)
    return home / "node_modules"
