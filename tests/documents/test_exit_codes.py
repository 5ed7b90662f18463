"""The exit codes are one table, which the manual page and the documentation both have."""

import re
from pathlib import Path

from walletd.runtime import ending

ROOT = Path(__file__).parents[2]
CODES = sorted(code for name, code in vars(ending).items() if name.startswith("EXIT_"))


def test_the_manual_page_has_all_exit_codes() -> None:
    section = (ROOT / "man/walletd.8").read_text().partition(".SH EXIT STATUS")[2].partition(".SH ")[0]
    assert [int(code) for code in re.findall(r"^\.B ([0-9]+)$", section, re.MULTILINE)] == CODES


def test_the_documentation_has_all_exit_codes() -> None:
    section = (ROOT / "docs/do/operations.md").read_text().partition("## Exit codes")[2].partition("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| ([0-9]+) \|", section, re.MULTILINE)] == CODES
