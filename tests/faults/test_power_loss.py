"""Rows 1 and 2: nothing is told before it is durable, and no power loss takes what was told.

The recordings are of real processes: of one that does nothing but append, killed and started again, with checkpoints
on the way; and of the daemon, with clients on its sockets.
"""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.process import Daemon, furnish
from tests.faults.history import History
from tests.faults.mutants import BUGS
from tests.faults.power_loss import survey_in_processes, survey_of_answers
from tests.faults.recording import Recorder, operations
from tests.faults.rows import figure
from tests.faults.tally import tally
from tests.faults.test_kills import FUNDS, WALLETS, Workload, settle

STATES = figure("TEST_STATES")
STATES_PER_BUG = 2000
LIVES = 3
ENTRIES_PER_LIFE = 60
ANSWERS_PER_LIFE = figure("TEST_ANSWERS")
ROOT = Path(__file__).parents[2]


def record_appending(recorder: Recorder, folder: Path, chance: random.Random, *command: str) -> Path:
    """Let a process append, kill it, start it again, some times; what it did and said.

    But for the last, each life ends between the writing of a commit and its sync: the next one finds the commit.
    """
    log = folder / "record"
    for life in range(LIVES):
        fault = {"FAULT": f"sync:{chance.randint(20, 40)}:kill", "FAULT_FILE": "-wal"} if life < LIVES - 1 else {}
        process = subprocess.Popen(
            [sys.executable, "-m", *command, str(folder / "journal")],
            env={**os.environ, **recorder.environment(folder / "journal", log, RECORD_STDOUT="1", **fault)},
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdout is not None
        said = 0
        while said < ENTRIES_PER_LIFE and process.stdout.readline():
            said += 1
        process.kill()
        process.wait()
        process.stdout.close()
    return log


@pytest.mark.timeout(0)
def test_no_power_loss_takes_what_was_told(recorder: Recorder, tmp_path: Path, seed: int) -> None:
    log = record_appending(recorder, tmp_path, random.Random(seed), "tests.journal.appending")
    kinds = [operation.kind for operation in operations(log) if operation.path == "journal.db"]
    assert kinds.count("W") > 10, "a checkpoint is in the recording"
    states, violations = survey_in_processes(log, seed, STATES)
    tally(faults=states)
    assert violations == []
    assert states > STATES / 2


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_loses_something(recorder: Recorder, tmp_path: Path, seed: int, bug: str) -> None:
    log = record_appending(recorder, tmp_path, random.Random(seed), "tests.faults.mutants", bug)
    _, violations = survey_in_processes(log, seed, STATES_PER_BUG, until=1)
    assert violations, f"no state shows that {bug}"


@pytest.mark.timeout(0)
def test_the_daemon_tells_nothing_before_it_is_durable(recorder: Recorder, tmp_path: Path, seed: int) -> None:
    """Every answer and every event of three lives of a daemon: kill, start, the same commands again."""
    chance = random.Random(seed)
    data, log = tmp_path / "data", tmp_path / "record"
    daemon = Daemon(data, environment=recorder.environment(data, log))
    history = History()
    with daemon:
        with daemon.client() as client:
            furnish(client, *WALLETS, amount=FUNDS)
        for _ in range(LIVES):
            Workload(daemon, history, chance).run_until(ANSWERS_PER_LIFE, [signal.SIGKILL])
            daemon.start()
        settle(daemon, history)
    answers, violations = survey_of_answers(log)
    tally(recordings=1, kills=LIVES, commands=len(history.commands), answers=answers)
    assert violations == []
    assert answers > LIVES * 10
