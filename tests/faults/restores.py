"""Lives of a journal: it works, is compacted, backed up, upgraded and restored, under load and killed in the middle.

    lives = Lives(directory, seed)
    lives.cycle()                                      # raises AssertionError where a promise was broken

The oracle: a backup, whenever it was killed, and a restored journal are a prefix of the journal; nothing acknowledged
is missing in that; and the restored daemon answers every query and every command sent again as the first one did.
"""

import random
import shutil
import subprocess
import threading
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidMessage

from tests.daemon.answers import answers, live
from tests.daemon.forked import Forked
from tests.daemon.journals import environment_of, journal_of
from tests.daemon.process import Daemon, furnish, transfer
from tests.faults import dying
from tests.state_file import state_file
from walletd.journal.failures import JournalFailure

PAYMENTS = 400
"""Of one cycle, at most."""
ASKED_ABOUT = 120
"""Entries of one cycle that are asked about one by one, of each way to look at them."""
TOUCHES = 40
"""A process that dies does so at one of its first so many touches."""

HALF_A_BACKUP = 3
"""The touch at which the first file of a first backup is half made: begun, and without its list of contents."""


class Payments:
    """A client that pays beside everything else, and remembers what it was told; until it is stopped or cut off."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self.told: dict[int, str] = {}
        self._daemon = daemon
        self._name = name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._pay)

    def __enter__(self) -> "Payments":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()

    def _pay(self) -> None:
        try:
            with self._daemon.client() as client:
                for first in range(0, PAYMENTS, 8):
                    if self._stopped.is_set():
                        return
                    names = [f"{self._name}pay-{n}" for n in range(first, first + 8)]
                    asked = [client.send("transfer.post", **transfer(name, "@external", "w", 1)) for name in names]
                    for name, request in zip(names, asked, strict=True):
                        self.told[client.reply(request)["result"]["sequence"]] = name
        except (ConnectionClosed, InvalidMessage, OSError):
            return


class Lives:
    """A daemon, its backup, and what happens to both."""

    def __init__(self, directory: Path, seed: int, bug: str = "") -> None:
        self.seen: Counter[str] = Counter()
        self._directory = directory
        self._chance = random.Random(seed)
        self._bug = bug
        self._armed = directory / "armed"
        self._cycles = 0
        self._lives = 0
        self._daemon = self._daemon_on(directory / "data-0")
        self._backup = directory / "backup-0"

    def __enter__(self) -> "Lives":
        self._daemon.start()
        with self._daemon.client() as client:
            furnish(client, "w")
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon.process is not None:
            self._daemon.kill()

    def cycle(self) -> None:
        """Work, compaction and backup under load and killed, the daemon upgraded, a backup restored and asked."""
        name = f"c{self._cycles}-"
        self._cycles += 1
        told = self._under_load(name)
        whole = self._killed()
        for sequence, command_id in told.items():
            assert _command_of(whole[sequence - 1]) == command_id, "nothing acknowledged is missing"
        self._check_backup(whole)
        self._upgrade()
        self._daemon.start()
        about = set(self._chance.sample(range(1, len(whole) + 1), min(len(whole), ASKED_ABOUT)))
        before = self._asked(self._daemon, about)
        assert len(before["entries"]) >= len(whole), "nothing acknowledged is missing"
        self._finish_backup()
        epoch = self._epoch(self._daemon)
        if self._chance.random() < 0.4:
            self._restore_to_a_point(before, about, epoch)
        else:
            self._restore_all(before, about, epoch)

    # --- under load ------------------------------------------------------------------------------------------------

    def _under_load(self, name: str) -> dict[int, str]:
        with Payments(self._daemon, name) as payments:
            live(self._daemon, name)
            backup = self._begin_backup(dies=True)
            self._compact()
            ended = backup.wait(timeout=120)
            assert ended in (0, -9, 69, 74), f"a backup ends, or is cut off by a daemon that dies: {ended}"
            self.seen["backups killed" if ended == -9 else "backups finished" if ended == 0 else "backups cut off"] += 1
        return payments.told

    def _compact(self) -> None:
        """In every second cycle the daemon dies of it, at some step."""
        self._armed.touch()
        try:
            with self._daemon.client() as client:
                client.call("daemon.compact", keep_entries=self._chance.choice([1, 30]))
                while client.call("daemon.status")["compaction"]["step"] != "idle":
                    client.call("session.ping")
                assert "last_failure" not in client.call("daemon.status")["compaction"]
            self.seen["compactions finished"] += 1
        except (ConnectionClosed, InvalidMessage, OSError):
            self.seen["compactions killed"] += 1
        finally:
            self._armed.unlink()

    def _killed(self) -> list[bytes]:
        self._daemon.kill()
        try:
            return journal_of(self._daemon.data)
        except JournalFailure as failure:
            raise AssertionError(f"the journal can be read, whenever it was killed: {failure}") from failure

    def _upgrade(self) -> None:
        """What the next process may find: all as it was, tables of an older format, or none, with a snapshot or not."""
        data, what = self._daemon.data, self._chance.choice(["as it was", "older", "from the snapshot", "anew"])
        what = "from the snapshot" if self._bug else what
        self.seen[f"started {what}"] += 1
        if what == "older":
            for file in [data / "state.db", *data.glob("snapshot-*.db")]:
                _make_older(file)
        if what in ("from the snapshot", "anew"):
            for file in data.glob("state.db*"):
                file.unlink()
        if what == "anew":
            for file in data.glob("snapshot-*.db"):
                file.unlink()
        if not self._bug and self._chance.random() < 0.3:
            self._die_at_the_start()
        dies = not self._bug and self._chance.random() < 0.5
        self._daemon.environment["TEST_DIE_AT"] = str(self._chance.randrange(1, TOUCHES)) if dies else "0"

    def _die_at_the_start(self) -> None:
        """While it takes up a snapshot, removes what is left over, or goes on pruning."""
        self._daemon.environment["TEST_DIE_AT"] = str(self._chance.randrange(1, 8))
        self._armed.touch()
        process = self._daemon.launch()
        assert process.stdout is not None
        process.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        self.seen["starts killed"] += process.poll() == -9
        self._armed.unlink()
        self._daemon.kill()

    # --- backups ---------------------------------------------------------------------------------------------------

    def _begin_backup(self, *, dies: bool) -> Forked:
        touch = self._chance.randrange(1, 4 if self._bug else 16) if dies else 0
        if self._bug and dies and self._cycles == 1:
            touch = HALF_A_BACKUP
        return self._begin("backup", str(self._backup), dies_at=touch, daemon=self._daemon)

    def _finish_backup(self) -> None:
        assert self._begin_backup(dies=False).wait(timeout=120) == 0, "what a killed backup left can be read"

    def _check_backup(self, whole: list[bytes]) -> None:
        if list(self._backup.glob("*.segments")):
            try:
                kept = journal_of(self._backup)
            except JournalFailure as failure:
                raise AssertionError(f"a backup can be read, whenever it was killed: {failure}") from failure
            assert kept == whole[: len(kept)], "a backup is a prefix of the journal"
            self.seen["backups compared"] += 1

    # --- restores --------------------------------------------------------------------------------------------------

    def _restore_all(self, before: dict[str, Any], about: set[int], epoch: int) -> None:
        whole = self._killed()
        restored = self._restored(whole)
        with restored:
            self._check_epoch(restored, epoch)
            _same(self._asked(restored, about), before)
            self.seen["restores of all compared"] += 1
        if self._chance.random() < 0.4:
            self._live_on(restored)
        self._daemon.start()

    def _restore_to_a_point(self, before: dict[str, Any], about: set[int], epoch: int) -> None:
        point = self._chance.randrange(len(before["entries"]) // 4, len(before["entries"]))
        whole = self._killed()
        with self._restored(whole[:point], "--to-sequence", str(point)) as restored:
            self._check_epoch(restored, epoch)
            now = self._asked(restored, {sequence for sequence in about if sequence <= point})
            assert now["entries"] == before["entries"][:point], "every query answers the same"
            self._daemon.start()
            with self._daemon.client() as client:
                names = [name.split()[1] for name in now if name.startswith("balances ")]
                for wallet in names:
                    then = client.call("balance.get", wallet=wallet, as_of=point)["balances"]
                    assert now[f"balances {wallet}"]["result"]["balances"] == then, "every query answers the same"
            again = {name for name in now.keys() & before.keys() if name.startswith(("again", "entry"))}
            _same({name: now[name] for name in again}, {name: before[name] for name in again})
            self.seen["restores to a point compared"] += 1

    def _restored(self, expected: list[bytes], *arguments: str) -> Daemon:
        """A daemon on what the backup is restored to; at first the restore may be killed."""
        self._lives += 1
        data = self._directory / f"data-{self._lives}"
        touch = self._chance.choice([0, self._chance.randrange(1, 8), self._chance.randrange(8, 300)])
        ended = self._begin("restore", str(self._backup), str(data), "--yes", *arguments, dies_at=touch)
        if ended.wait(timeout=120) != 0:
            self.seen["restores killed"] += 1
            if not (data / "journal.db").exists():
                assert self._begin("restore", str(self._backup), str(data), "--yes", *arguments).wait(timeout=120) == 0
        assert journal_of(data) == expected, "a restored journal is a prefix of the journal"
        shutil.copy(self._daemon.data / "operator.token", data)
        return self._daemon_on(data)

    def _asked(self, daemon: Daemon, about: set[int]) -> dict[str, Any]:
        try:
            return answers(daemon, about)
        except ConnectionClosed as closed:
            raise AssertionError(f"the daemon ended when it was asked: {daemon.log()[-500:]}") from closed

    def _check_epoch(self, restored: Daemon, epoch: int) -> None:
        assert self._epoch(restored) > epoch, "a restored journal is in a new epoch"

    def _epoch(self, daemon: Daemon) -> int:
        with daemon.client() as client:
            return int(client.hello["epoch"])

    def _live_on(self, restored: Daemon) -> None:
        """The restored daemon takes the place of the first one, and has a backup of its own."""
        shutil.rmtree(self._daemon.data)
        self._daemon, self._backup = restored, self._directory / f"backup-{self._lives}"
        self.seen["lived on"] += 1

    # --- processes -------------------------------------------------------------------------------------------------

    def _daemon_on(self, data: Path) -> Daemon:
        daemon = Daemon(data, environment={"TEST_BUG": self._bug, "TEST_DIE_IF": str(self._armed)})
        daemon.program = dying.PROGRAM
        daemon.is_forked = True
        return daemon

    def _begin(self, *arguments: str, dies_at: int = 0, daemon: Daemon | None = None) -> Forked:
        environment = {**environment_of(daemon), "TEST_BUG": self._bug, "TEST_DIE_AT": str(dies_at)}
        with (self._directory / "commands.log").open("ab") as log:
            return Forked(arguments, environment, program=dying.PROGRAM, stdout=log.fileno(), stderr=log.fileno())


def _command_of(record: bytes) -> str:
    return str(msgspec.json.decode(record)["command"]["command_id"])


def _same(now: dict[str, Any], before: dict[str, Any]) -> None:
    """But for cursors, which belong to their epoch."""
    names = {name for name in now.keys() | before.keys() if not name.startswith("cursor")}
    assert len(names) > 5, "there is too little to compare"
    others = sorted(name for name in names if now.get(name) != before.get(name))
    shown = [f"{name}: {str(now.get(name))[:300]} / {str(before.get(name))[:300]}" for name in others[:3]]
    assert not others, f"every query answers the same, but {others[:9]}: {shown}"


def _make_older(file: Path) -> None:
    """As a version before would have left it; a snapshot with the digest that it then has in its name."""
    if not file.exists():
        return
    with state_file(file) as connection:
        connection.execute("UPDATE progress SET format = format - 1")
    if file.name.startswith("snapshot"):
        kept, _, _ = file.name.rpartition("-")
        file.rename(file.with_name(f"{kept}-{sha256(file.read_bytes()).hexdigest()}.db"))
