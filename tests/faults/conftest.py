"""What the fault harnesses share: the compiled recorder, a folder in memory."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import witness
from tests.faults.recording import Recorder, build, memory_folder
from tests.faults.tally import missing

DISK_MEBIBYTES = 24


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    if not (shutil.which("cc") or shutil.which("gcc")):
        missing("a C compiler", "the recorder is compiled when the tests run; on Debian, apt-get install gcc libc6-dev")
    return build(tmp_path_factory.mktemp("recorder"))


FRAMES_LOOKED_AT = 20
"""Of each kind, and then each fiftieth: the same few come by the thousand here."""


@pytest.fixture(scope="package", autouse=True)
def fewer_witnessed_frames() -> Iterator[None]:
    """The tests of the daemon look at more of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(witness, "LOOKED_AT", FRAMES_LOOKED_AT)
        yield


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder in memory, where there is one: a killed process needs no disk."""
    folder = Path(tempfile.mkdtemp(dir=memory_folder()))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory that is full soon."""
    mount = tmp_path / "small"
    mount.mkdir()
    options = f"size={DISK_MEBIBYTES}m"
    if os.geteuid() != 0:
        missing("root", "only root can mount a small file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", mount], check=False).returncode:
        missing("the right to mount", "give the container CAP_SYS_ADMIN")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
