"""What the fault harnesses share: the compiled recorder, a folder in memory."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.recording import Recorder, build, memory_folder
from tests.faults.tally import missing


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    if not (shutil.which("cc") or shutil.which("gcc")):
        missing("a C compiler", "the recorder is compiled when the tests run; on Debian, apt-get install gcc libc6-dev")
    return build(tmp_path_factory.mktemp("recorder"))


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder in memory, where there is one: a killed process needs no disk."""
    folder = Path(tempfile.mkdtemp(dir=memory_folder()))
    yield folder
    shutil.rmtree(folder)
