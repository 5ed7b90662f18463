"""A command imports what it needs and no more: a person waits for every module."""

import json
import subprocess
import sys

IMPORTED = (
    "import json, sys;"
    "from walletd.__main__ import run;"
    "code = run(sys.argv[1:]);"
    "print(json.dumps([code, sorted(name for name in sys.modules)]), file=sys.stderr)"
)


def modules_of(*arguments: str) -> tuple[int, set[str]]:
    ended = subprocess.run([sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=True)
    code, modules = json.loads(ended.stderr.splitlines()[-1])
    return code, set(modules)


def test_the_version_imports_neither_the_parser_nor_the_client() -> None:
    code, modules = modules_of("--version")
    assert code == 0
    assert not modules & {"trio", "apsw", "websockets", "cyclopts", "rich", "msgspec", "walletd.client"}
    assert sorted(name for name in modules if name.startswith("walletd."))[:-1] == [
        *("walletd.__main__", "walletd.cli", "walletd.cli.arguments"),
    ]


def test_a_balance_imports_nothing_of_the_daemon() -> None:
    code, modules = modules_of("balance", "alice", "--url", "ws://127.0.0.1:1", "--token", "x")
    assert code == 69
    foreign = {"apsw", "aiosqlite", "prometheus_client", "sqlite3", "rich.markdown", "rich.progress"}
    event_loops = {"asyncio", "trio"}
    assert not modules & (foreign | event_loops)
    packages = {name.split(".")[1] for name in modules if name.startswith("walletd.")}
    assert packages == {"__main__", "cli", "client", "logs", "protocol", "runtime", "vocabulary"}
    of_the_command_line = {name for name in modules if name.startswith("walletd.cli.")}
    assert not of_the_command_line & {
        "walletd.cli.demo",
        "walletd.cli.verify",
        "walletd.cli.serve",
        "walletd.cli.holds",
    }
