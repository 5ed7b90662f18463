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
PACKAGES = Path(sys.prefix) / "interop"
"""Where npm puts what package-lock.json pins: in the virtual environment, which is thrown away as a whole."""


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


def packages() -> Path:
    """The folder node_modules with ``ws`` and ``wscat``, as locked; made at the first call."""
    npm = program(("npm",), "on Debian, apt-get install npm")
    PACKAGES.mkdir(exist_ok=True)
    lock, installed = HERE / "package-lock.json", PACKAGES / "installed.json"
    with (PACKAGES / ".turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, PACKAGES / name)
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=PACKAGES, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                missing("what package-lock.json names", f"npm ci failed: {done.stderr.strip()[-500:]}")
            shutil.copy(lock, installed)
    return PACKAGES / "node_modules"
