"""Row 3: whatever was acknowledged before a kill is there; what was not is applied once when it is asked for again."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage

from tests.daemon.process import Client, Daemon, furnish, posted, transfer
from tests.faults.history import Command, History, violations
from tests.faults.rows import figure
from tests.faults.tally import tally

KILLS = figure("TEST_KILLS")
CLIENTS = 4
WINDOW = 16
WALLETS = [f"w{n}" for n in range(8)]
FUNDS = 500


class Workload:
    """Some clients at once on one daemon, until it dies; what they saw goes into the history."""

    def __init__(self, daemon: Daemon, history: History, chance: random.Random) -> None:
        self.daemon = daemon
        self.history = history
        self.chance = chance
        self.progress = threading.Condition()
        self.acknowledged = 0
        self.in_flight = 0
        self.is_dead = False
        self.to_repeat = list(history.unanswered())

    def run_until(self, acknowledgements: int, signals: Sequence[int]) -> None:
        """Let the clients work until so many answers came, then send the daemon the signals."""
        threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        with self.progress:
            self.progress.wait_for(lambda: self.acknowledged >= acknowledgements or self.is_dead, timeout=60)
        for number in signals:
            self.daemon.signal(number)
        self.daemon.wait()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()

    def _client(self, number: int) -> None:
        waiting: dict[int, Command] = {}
        try:
            with self.daemon.client() as client:
                while True:
                    while len(waiting) < WINDOW:
                        command = self._next_command(number)
                        waiting[client.send("transfer.post", **command.params)] = command
                    oldest = next(iter(waiting))
                    answer = client.reply(oldest)
                    with self.progress:
                        waiting.pop(oldest).answers.append(answer)
                        self.acknowledged += 1
                        self.progress.notify_all()
        except (ConnectionClosed, InvalidMessage, OSError):
            with self.progress:
                self.in_flight += len(waiting)
                self.is_dead = True
                self.progress.notify_all()

    def _next_command(self, number: int) -> Command:
        with self.progress:
            if self.to_repeat:
                return self.to_repeat.pop()
            payer, payee = self.chance.sample(WALLETS, 2)
            command_id = f"c{len(self.history.commands)}"
            command = Command(transfer(command_id, payer, payee, self.chance.randint(1, 200)))
            self.history.commands[command_id] = command
            return command


@pytest.mark.timeout(0)
def test_whatever_was_acknowledged_is_there_after_every_kill(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    history = History()
    daemon = Daemon(tmp_path / "data")
    daemon.is_forked = True
    with daemon, daemon.client() as client:
        furnish(client, *WALLETS, amount=FUNDS)
        client.websocket.close()
        kills = in_flight = 0
        while kills < KILLS:
            workload = Workload(daemon, history, chance)
            stopped = [signal.SIGSTOP, signal.SIGKILL] if chance.random() < 0.1 else [signal.SIGKILL]
            workload.run_until(chance.randint(1, 400), stopped)
            in_flight += workload.in_flight
            kills += 1
            while kills < KILLS and chance.random() < 0.2:
                kill_while_it_starts(daemon, chance)
                kills += 1
            if chance.random() < 0.2:
                for file in daemon.data.glob("state.db*"):
                    file.unlink()
            daemon.start()
        settle(daemon, history)
    tally(kills=kills, commands=len(history.commands), in_flight_when_it_died=in_flight)
    assert in_flight > KILLS
    assert list(violations(history, dict.fromkeys(WALLETS, FUNDS))) == []
    verified = subprocess.run(
        [sys.executable, "-m", "walletd", "verify", str(daemon.data)], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stderr + verified.stdout


def kill_while_it_starts(daemon: Daemon, chance: random.Random) -> None:
    """kill -9 at some moment between the first instruction and serving."""
    daemon.is_forked = False
    process = daemon.launch()
    daemon.is_forked = True
    try:
        process.wait(timeout=chance.uniform(0.05, 0.6))
    except subprocess.TimeoutExpired:
        daemon.kill()


def settle(daemon: Daemon, history: History) -> None:
    """Ask again for everything, answered or not; then compare the balances with those of the last answers."""
    with daemon.client() as client:
        asked = []
        for command in history.commands.values():
            asked.append((command, client.send("transfer.post", **command.params)))
            if len(asked) == 512:
                collect(client, asked)
        collect(client, asked)
        audit = client.call("daemon.audit")
        assert audit["violations"] == []
        assert {total["sum"] for total in audit["totals"]} == {"0"}
        final = dict.fromkeys(WALLETS, FUNDS)
        for command in history.commands.values():
            if command.answer is not None and "result" in command.answer:
                (posting,) = command.params["postings"]
                final[posting["from"]] -= int(posting["amount"])
                final[posting["to"]] += int(posting["amount"])
        assert {wallet: posted(client, wallet) for wallet in WALLETS} == final
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


def collect(client: Client, asked: list[tuple[Command, int]]) -> None:
    for command, request_id in asked:
        was_answered = command.answer is not None
        answer = client.reply(request_id)
        body = answer.get("result") or answer["error"]["data"]
        assert body.get("replayed") or not was_answered, f"{command.command_id} was acknowledged and is gone: {answer}"
        command.answers.append(answer)
    asked.clear()
