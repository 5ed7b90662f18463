"""Every command of the command line where its surroundings fail it: it answers in a sentence, never in a traceback.

The commands are those that the command line itself lists, with the first example of each; a real daemon answers.
Where only the streams fail, most commands are forked from a process that has imported walletd; a locale is taken at the
start of an interpreter, so that each command has its own there.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.test_help import COMMANDS, examples
from tests.daemon.forked import Forked
from tests.daemon.process import Daemon, bare_environment

WALLETD = [sys.executable, "-m", "walletd"]
ASCII_LOCALE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
"""What LANG=C is where the interpreter does not put UTF-8 in its place, and what any locale without UTF-8 is like."""

EXIT_CODES = {0, 1, 64, 65, 66, 69, 74, 75, 77, 78}
SECONDS = 60
AT_ONCE = 3
"""So many commands run beside each other."""

SHARES = 5
"""The commands are tried by so many tests."""


class Surroundings(NamedTuple):
    """How a command is run: redirections of a shell, and variables."""

    name: str
    redirections: str
    variables: dict[str, str]
    answers: bool = True
    """Whether an answer can get out."""


ALL = [
    Surroundings("a locale of ASCII", "", ASCII_LOCALE),
    Surroundings("stdin and stdout are closed", "<&- >&-", {}, answers=False),
    Surroundings("stdout is full", ">/dev/full", {}, answers=False),
    Surroundings("stderr is closed", "2>&-", {}),
    Surroundings("stderr is full, in a locale of ASCII", "2>/dev/full", ASCII_LOCALE),
]
FOR_EVERY_COMMAND = ALL[:3]

NOT_ENDING = {("serve",), ("watch",)}
LAST = ("drain",)
MORE_WORDS: dict[tuple[str, ...], list[str]] = {("demo",): ["--operations", "60", "--wallets", "10"]}


def hear_ctrl_c() -> None:
    """In the new process: the one that runs the tests may ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class World(NamedTuple):
    """A daemon with words in its wallets that ASCII has not, and how its clients are started."""

    daemon: Daemon
    directory: Path
    around: Surroundings

    def environment(self) -> dict[str, str]:
        """The variables that lead to the daemon, and those of the surroundings."""
        return {
            **bare_environment(),
            "WALLETD_URL": self.daemon.url,
            "WALLETD_TOKEN_FILE": str(self.directory / "marked.token"),
            "WALLETD_CONFIG": str(self.directory / "marked.toml"),
            **self.around.variables,
        }

    def started(self, *words: str, **variables: str) -> subprocess.Popen[bytes]:
        """The command, run by a shell, which takes the streams away as people do."""
        line = f"exec {shlex.join([*WALLETD, *words])} {self.around.redirections}"
        return subprocess.Popen(
            ["sh", "-c", line],
            cwd=self.directory,
            env={**self.environment(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            preexec_fn=hear_ctrl_c,
        )

    def ended(self, *words: str) -> tuple[int, str, str]:
        """The command's exit code, stdout and stderr, both in UTF-8."""
        return self.end_of(self.started(*words))

    def end_of(self, process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
        """The same of one that was started."""
        try:
            out, err = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        return process.returncode, out.decode(), err.decode()

    def forked(self, *words: str) -> tuple[int, str, str]:
        """The same of a forked process, whose answer cannot get out."""
        closed = [0, 1] if "<&-" in self.around.redirections else []
        with open("/dev/full", "wb") as full, tempfile.TemporaryFile() as said:
            process = Forked(
                words,
                self.environment(),
                directory=self.directory,
                stdout=full.fileno(),
                stderr=said.fileno(),
                closed=closed,
            )
            try:
                code = process.wait(SECONDS)
            finally:
                process.kill()
            said.seek(0)
            return code, "", said.read().decode()


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    daemon = Daemon(tmp_path / "data")
    daemon.is_forked = True
    with daemon, daemon.client() as client:
        (tmp_path / "marked.token").write_text(f"\ufeff{daemon.token}\n", encoding="utf-8")
        (tmp_path / "marked.toml").write_text("\ufeff# prüfen: 5 €\nmax_connections = 50\n", encoding="utf-8")
        (tmp_path / "salaries.jsonl").write_text(
            '\ufeff{"method":"wallet.open","wallet":"müller"}\n{"method":"wallet.open","wallet":"carol"}\n', "utf-8"
        )
        client.call("asset.define", command_id="EUR", asset="EUR", scale=2)
        for wallet in ("alice", "bob"):
            client.call("wallet.open", command_id=wallet, wallet=wallet, metadata={"straße": "höh 5 €"})
        client.call("transfer.post", command_id="in", postings=[posting("@external", 100_000)], reference="für alles")
        client.call("wallet.freeze", command_id="f", wallet="bob", why="verdächtig", frozen="credits")
        yield World(daemon, tmp_path, request.param)


def posting(source: str, amount: int) -> dict[str, str]:
    return {"from": source, "to": "alice", "asset": "EUR", "amount": str(amount)}


def words_of(command: tuple[str, ...], directory: Path) -> list[str]:
    """The first example of a command, on files of the test's own."""
    example = examples(command)[0].removeprefix("source <(").removesuffix(")").partition(" > ")[0]
    words = shlex.split(example)[1:]
    return [word.replace("/backup", str(directory / "backup")) for word in words] + MORE_WORDS.get(command, [])


def check(words: list[str], around: Surroundings, ended: tuple[int, str, str]) -> None:
    code, out, err = ended
    said = f"{shlex.join(words)}: {code}\n{out}\n{err}"
    assert "Traceback" not in out + err, said
    assert "Exception ignored" not in err, said
    assert "internal error" not in err, said
    assert code in EXIT_CODES, said
    assert around.answers or code != 0, f"an answer that was lost is not told: {said}"
    if code not in (0, 1) and "2>" not in around.redirections:
        assert err.splitlines()[-1].startswith("walletd: "), said


@pytest.mark.parametrize("world", FOR_EVERY_COMMAND, ids=lambda around: around.name, indirect=True)
@pytest.mark.parametrize("share", range(SHARES))
def test_every_command_answers_in_sentences(world: World, share: int) -> None:
    commands = [command for command in COMMANDS if command not in NOT_ENDING and command != LAST]
    assert len(commands) >= 38
    lines = [words_of(command, world.directory) for command in commands[share::SHARES]]
    ended_of = world.ended if share == 0 or world.around.variables else world.forked
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = list(pool.map(lambda words: ended_of(*words), lines))
    for words, ended in zip(lines, ends, strict=True):
        check(words, world.around, ended)
    check(["drain"], world.around, world.ended("drain"))


@pytest.mark.parametrize("world", ALL, ids=lambda around: around.name, indirect=True)
def test_words_beyond_ascii_come_and_go_as_they_are(world: World) -> None:
    paid = ["pay", "alice", "@external", "5", "EUR", "--reference", "Café für 2 €", "--command-id", "c"]
    ended = world.ended(*paid)
    check(paid, world.around, ended)
    with world.daemon.client() as client:
        assert client.call("entry.get", command_id="c")["entry"]["command"]["reference"] == "Café für 2 €"
    if not world.around.answers:
        return
    code, out, _ = world.ended("statement", "alice", "--json")
    assert code == 0
    assert json.loads(out)["lines"][-1]["reference"] == "Café für 2 €"
    code, out, _ = world.ended("wallet", "get", "bob")
    assert code == 0
    shown = "verd\\xe4chtig" if world.around.variables else "verdächtig"
    assert shown in out


@pytest.mark.parametrize("world", ALL, ids=lambda around: around.name, indirect=True)
def test_a_watch_shows_what_happens_or_says_that_it_cannot(world: World) -> None:
    watching = world.started("watch", "alice", "--json")
    assert watching.stdout is not None
    seen: list[bytes] = []
    reading = threading.Thread(target=lambda: seen.append(watching.stdout.readline()), daemon=True)  # type: ignore[union-attr]
    reading.start()
    with world.daemon.client() as client:
        number = 0
        while watching.poll() is None and (reading.is_alive() or not world.around.answers):
            number += 1
            client.call("transfer.post", command_id=f"w{number}", postings=[posting("@external", 1)])
    reading.join()
    if world.around.answers:
        assert json.loads(seen[0])["scales"] == {"EUR": 2}
        watching.send_signal(signal.SIGINT)
    code, out, err = world.end_of(watching)
    assert code == (0 if world.around.answers else 74)
    assert "Traceback" not in out + err


@pytest.mark.parametrize("world", ALL, ids=lambda around: around.name, indirect=True)
def test_the_daemon_serves_whatever_its_streams_are(world: World) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(world.directory / "notify"))
        told.settimeout(SECONDS)
        words = ["serve", "--data", str(world.directory / "another"), "--port", "0"]
        notify = {"NOTIFY_SOCKET": str(world.directory / "notify"), "WALLETD_ADMIN_PORT": "0"}
        serving = world.started(*words, **notify)
        try:
            while b"READY=1" not in told.recv(65536):
                pass
            serving.send_signal(signal.SIGTERM)
            code, out, err = world.end_of(serving)
        finally:
            serving.kill()
    assert (code, "Traceback" in out + err) == (0, False), err
    for file in (world.directory / "another").glob("*.db"):
        assert file.read_bytes()[:15] == b"SQLite format 3"


EARLY = [
    ("watch", "walletd.runtime.ending"),
    ("watch", "cyclopts"),
    ("watch", "rich.console"),
    ("watch", "trio"),
    ("watch", "walletd.client"),
    ("watch", "walletd.cli.app"),
    ("watch", "walletd.cli.connection"),
    ("serve", "argparse"),
    ("serve", "walletd.settings.layers"),
    ("serve", "walletd.cli.serve"),
]


@pytest.mark.parametrize(("command", "module"), EARLY, ids=" ".join)
def test_ctrl_c_in_the_first_moments_ends_a_command_without_a_word(tmp_path: Path, command: str, module: str) -> None:
    """The interpreter says when it has imported a module, and hears of Ctrl-C right after."""
    program = [sys.executable, "-X", "importtime", "-m", "walletd", command]
    options = ["--data", str(tmp_path / "data"), "--port", "0"] if command == "serve" else ["--url", "unix:/nowhere"]
    environment = {**bare_environment(), "WALLETD_ADMIN_PORT": "0", "WALLETD_TOKEN": "x"}
    process = subprocess.Popen(
        program + options,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment,
        text=True,
        preexec_fn=hear_ctrl_c,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.split("|")[-1].strip() == module:
            process.send_signal(signal.SIGINT)
            break
    else:
        raise AssertionError(f"{module} was not imported: {''.join(said)}")
    said.append(process.communicate(timeout=SECONDS)[1])
    complaints = "".join(said)
    assert "Traceback" not in complaints
    assert process.returncode in (-signal.SIGINT, 130, 0, 69), complaints
    assert os.path.exists(tmp_path / "data") or command == "watch" or process.returncode != 0
