"""The survey of a recording: after every operation the power fails, in every way, and the journal is opened again.

    python -m tests.faults.power_loss LOG SEED STATES [PART PARTS UNTIL]      # one JSON object: states, violations

What had been said must be there; what is there must be a beginning of what was written, whole and in order.  Most
states are read as ``walletd verify`` reads them; every eighth, and the half-made ones of the very beginning, are opened
as the daemon opens them.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import trio

from tests.faults.recording import Image, Moment, memory_folder, moments, operations, put_image
from tests.faults.sums import remember_sums
from walletd.journal.merkle import Frontier
from walletd.journal.offline import read_offline
from walletd.journal.segment import records
from walletd.journal.sqlite.directory import DATABASE_NAME
from walletd.journal.sqlite.opening import open_journal
from walletd.journal.store import GENESIS
from walletd.journal.verification import advance, verified

SAID = re.compile(rb'"(?:sequence|head)":(\d+)')
STDOUT = 1
OPENED_LIKE_A_DAEMON = 8


def said(kind: str, descriptor: int, data: bytes) -> int:
    """The last sequence in these bytes; 0 if there is none."""
    if kind != "A":
        return 0
    if descriptor == STDOUT:
        return int(data.split()[-1])
    return max((int(found) for found in SAID.findall(data)), default=0)


def survey(log: Path, seed: int, states: int, part: int = 0, parts: int = 1, until: int = 0) -> tuple[int, list[str]]:
    """How many distinct states were opened, and what was wrong in them; not beyond so many that were wrong.

    The states are spread evenly over the recording: what a short recording leaves unused is for its later moments.
    """
    chance = random.Random(f"{seed} {part}")
    count = sum(1 for _ in operations(log))
    truth: list[bytes] = []
    violations: list[str] = []
    seen: set[int] = set()
    per_model = max(1, -(-states // count) // 3)
    with tempfile.TemporaryDirectory(dir=memory_folder()) as scratch:
        directory = Path(scratch) / "image"
        for moment, told in _told(log):
            if moment.number % parts != part:
                continue
            due = states * (moment.number + 1) / count / parts
            images = list(moment.disk.after_power_loss(chance, per_model)) if len(seen) < due else []
            chance.shuffle(images)
            for model, image in images:
                key = hash((told, *sorted(image.items())))
                if key in seen or len(seen) >= due:
                    continue
                seen.add(key)
                put_image(image, directory)
                like_a_daemon = told == 0 or len(seen) % OPENED_LIKE_A_DAEMON == 0
                if wrong := _judge(directory, told, truth, like_a_daemon):
                    violations.append(f"operation {moment.number} ({moment.operation.kind}), {model}: {wrong}")
                    if len(violations) == until:
                        return len(seen), violations
    return len(seen), violations


def survey_of_answers(log: Path) -> tuple[int, list[str]]:
    """The strictest power loss at every answer: whatever was not synced is gone.  How many answers, what was wrong."""
    answers, violations, before = 0, [], 0
    truth: list[bytes] = []
    with tempfile.TemporaryDirectory(dir=memory_folder()) as scratch:
        directory = Path(scratch) / "image"
        for moment, told in _told(log):
            if moment.operation.kind != "A" or told == before:
                continue
            answers, before = answers + 1, told
            put_image(_journal_only(moment.disk.with_pending([])), directory)
            if wrong := _judge(directory, told, truth, like_a_daemon=False):
                violations.append(f"answer {answers} (operation {moment.number}): {wrong}")
    return answers, violations


def survey_in_processes(log: Path, seed: int, states: int, until: int = 0, parts: int = 2) -> tuple[int, list[str]]:
    """The survey, its moments dealt out to so many processes."""
    command = [sys.executable, "-m", "tests.faults.power_loss", str(log), str(seed), str(states)]
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen([*command, str(part), str(parts), str(until)], stdout=subprocess.PIPE, text=True, cwd=root)
        for part in range(parts)
    ]
    found = [json.loads(process.communicate()[0]) for process in running]
    return sum(part["states"] for part in found), [wrong for part in found for wrong in part["violations"]]


def _told(log: Path) -> Iterator[tuple[Moment, int]]:
    told = 0
    for moment in moments(log):
        kind, _, descriptor, data = moment.operation
        told = max(told, said(kind, descriptor, data))
        yield moment, told


def _journal_only(image: Image) -> Image:
    return {name: content for name, content in image.items() if name.startswith("journal.")}


def _judge(directory: Path, told: int, truth: list[bytes], like_a_daemon: bool) -> str:
    """What is wrong with the journal in this folder; nothing, if it is as it may be."""
    try:
        found = trio.run(_opened, directory) if like_a_daemon else _read(directory)
    except Exception as error:
        return f"{told} entries had been told, and the journal is refused: {error}"
    if len(found) < told:
        return f"{told} entries had been told, and {len(found)} are left"
    known = min(len(found), len(truth))
    if found[:known] != truth[:known]:
        return "another history than in another state"
    truth.extend(found[known:])
    return ""


def _read(directory: Path) -> list[bytes]:
    if not (directory / DATABASE_NAME).exists():
        return []
    found: list[bytes] = []
    segments = list(read_offline(directory / DATABASE_NAME)) if (directory / DATABASE_NAME).stat().st_size else []
    for _ in verified(segments):
        pass
    for segment in segments:
        found += records(segment)
    return found


async def _opened(directory: Path) -> list[bytes]:
    found: list[bytes] = []
    async with open_journal(directory, ballast_bytes=0, space_floor_bytes=0) as store:
        frontier, head = Frontier(), GENESIS
        while segments := await store.read(head.sequence):
            for segment in segments:
                head = advance(head, frontier, segment)
                found += records(segment)
    return found


if __name__ == "__main__":
    remember_sums()
    arguments = [int(argument) for argument in sys.argv[2:]]
    opened, wrong_states = survey(Path(sys.argv[1]), *arguments)
    print(json.dumps({"states": opened, "violations": wrong_states}))
