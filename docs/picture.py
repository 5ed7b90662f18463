"""Draw docs/diagrams/terminal.svg, the README's picture of a terminal, from a real session with a daemon of its own.

python docs/picture.py
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.daemon.process import Daemon

PICTURE = Path(__file__).parent / "diagrams" / "terminal.svg"
COLUMNS = 102
BEFORE = ("asset define EUR/2", "wallet open alice bob", "pay @external alice 100 EUR")
SHOWN = (
    "pay alice bob 12.50 EUR --command-id order-4711",
    "pay alice bob 12.50 EUR --command-id order-4711",
    "pay alice bob 1000 EUR",
    "statement alice",
)
FONTS = re.compile(r"\s*@font-face \{.*?\}\n", re.DOTALL)


def main() -> None:
    """Run the session and draw it."""
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    with TemporaryDirectory() as folder, Daemon(Path(folder) / "var") as daemon:
        environment = {
            **os.environ,
            "WALLETD_URL": daemon.url,
            "WALLETD_TOKEN": daemon.token,
            "FORCE_COLOR": "1",
            "COLUMNS": str(COLUMNS),
        }

        def said(words: str) -> str:
            command = [sys.executable, "-m", "walletd", *shlex.split(words)]
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
            return done.stdout.rstrip()

        for words in BEFORE:
            said(words)
        for words in SHOWN:
            console.print(Text.assemble(("$ ", "bold green"), (f"walletd {words}", "bold")))
            console.print(Text.from_ansi(said(words)), end="\n\n" if words is not SHOWN[-1] else "\n")
    svg = console.export_svg(title="walletd", theme=MONOKAI, unique_id="terminal")
    PICTURE.write_text(
        FONTS.sub("", svg).replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")
    )


if __name__ == "__main__":
    main()
