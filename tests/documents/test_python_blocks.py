"""The Python of the documents is as well typed as the code: ``mypy --strict`` has nothing to say about it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.interpreted
def test_the_blocks_pass_mypy_strict(tmp_path: Path) -> None:
    """With the cache of ``make check``, which has read all that they import."""
    for page in PAGES:
        for number, block in enumerate(PYTHON.findall(page.read_text())):
            (tmp_path / f"block_{page.stem.replace('-', '_').lower()}_{number}.py").write_text(block)
    blocks = sorted(str(path) for path in tmp_path.glob("*.py"))
    assert len(blocks) >= 5
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *blocks]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
