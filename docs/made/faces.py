"""The methods of the synchronous client, made from those of the asynchronous ones: the same lines without ``await``.

files()  ->  each file of walletd.client that is made, and its text

``python -m made.faces`` in docs/ writes only these, where ``docs/build.py`` cannot import the client without them.
"""

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "src" / "walletd" / "client"

WORDS = {
    r"\basync def ": "def ",
    r"\basync for ": "for ",
    r"\bawait ": "",
    r"\bAsyncIterator\b": "Iterator",
    r"\bReads\b": "SyncReads",
    r"\bWrites\b": "SyncWrites",
    r"walletd\.client\.reads": "walletd.client.sync_reads",
}
"""What differs: a pattern and what takes its place."""

DOCSTRING = re.compile(r'\A""".*?"""\n', re.DOTALL)


def files() -> dict[Path, str]:
    """Each file that is made, and its text."""
    return {CLIENT / f"sync_{name}.py": synchronous(name) for name in ("reads", "writes")}


def synchronous(name: str) -> str:
    """A file of methods, without waiting."""
    text = DOCSTRING.sub("", (CLIENT / f"{name}.py").read_text(), count=1)
    for pattern, word in WORDS.items():
        text = re.sub(pattern, word, text)
    promise = f"The methods of ``{name}.py`` without ``await``.  Made from that file by ``make docs``: do not edit."
    text = f'"""{promise}"""\n{text}'
    for command in (["check", "--fix", "--unsafe-fixes", "--select", "I,UP028"], ["format"]):
        text = _ruff(command, text, f"sync_{name}.py")
    return text


def _ruff(command: list[str], text: str, name: str) -> str:
    words = [sys.executable, "-m", "ruff", *command, "--quiet", "--stdin-filename", str(CLIENT / name), "-"]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    for file, made in files().items():
        file.write_text(made)
