"""No document has a command that puts a token among its arguments, where every user of the machine can read it."""

import re
from pathlib import Path

import pytest

from walletd.cli.announcement import announcement
from walletd.daemon.launch import Announcement
from walletd.settings.settings import Settings

ROOT = Path(__file__).parents[2]
KINDS = ("*.md", "*.8", "*.toml", "*.service", "*.socket", "*.conf", "*.yml", "*.yaml", "*.sh")
FOLDERS = ("docs", "man", "config", "systemd", "monitoring", "examples", "src")
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *(file for folder in FOLDERS for kind in KINDS for file in (ROOT / folder).rglob(kind))}
)
IN_ARGUMENTS = re.compile(
    r"--token[ =](?!-)\S"  # a value, not the name of the flag alone
    r"|Bearer\s+[\"']?\$[({]?(cat|<)"  # a header on a command line
    r"|Bearer walletd_"
    r"|(env|-e|--env)\s+WALLETD_TOKEN="
)


def commands(text: str) -> list[str]:
    """The lines that offend."""
    return [line for line in text.splitlines() if IN_ARGUMENTS.search(line)]


@pytest.mark.parametrize(
    "line",
    [
        "walletd status --token walletd_1",
        'walletd status --token="$(cat t)"',
        'wscat -H "Authorization: Bearer $(cat var/operator.token)" -c ws://127.0.0.1:7878',
        "docker run -e WALLETD_TOKEN=walletd_1 walletd",
    ],
)
def test_such_a_command_is_recognised(line: str) -> None:
    assert commands(line) == [line]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_no_documented_command_puts_a_token_among_its_arguments(document: Path) -> None:
    assert commands(document.read_text()) == []


def test_nor_does_the_greeting(tmp_path: Path) -> None:
    assert commands(announcement(Announcement("ws://127.0.0.1:1", Settings(data=tmp_path), 0))) == []


def test_nor_does_a_help_page_of_the_command_line() -> None:
    for module in (ROOT / "src/walletd/cli").rglob("*.py"):
        assert commands(module.read_text()) == [], module
