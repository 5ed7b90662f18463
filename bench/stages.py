"""What one command costs, stage by stage: py-spy's samples of a loaded daemon, in microseconds of processor time.

    python -m bench.stages                              # transfers, 64 clients with 16 in flight
    python -m bench.stages --clients 1 --window 1
    python -m bench.stages --flame before.svg           # a flame graph instead

A sample counts for the stage of its innermost frame that has one.  A thread's samples share out the processor time
that the kernel gives it, so that the stages add up, and a thread that sleeps costs nothing.  Needs py-spy (make bench
installs it) and the right to trace a process.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench import machine
from bench.compare import WHAT
from bench.daemon import Daemon
from bench.load import closed_loop
from bench.processes import cpu_of_threads
from bench.town import Town

THREAD = re.compile(r"thread \((\d+)\)")
LOOP = "event loop"
THREADS = "threads"
OTHER = "waiting, waking up, handing over"
STAGES = (
    (
        "projection: rows for the read tables",
        ("tables/projector.py", "tables/writer.py", "tables/folding.py", "ledger/statement.py"),
    ),
    ("journal: seal, hash, commit", ("walletd/journal/", "aiosqlite/")),
    (
        "answer: the reply's facts and its JSON",
        ("gateway/methods/commands.py", "gateway/methods/reads.py", "success (", "failure ("),
    ),
    ("publish to subscribers", ("streams/publisher.py", "streams/event_frames.py")),
    ("the entry's JSON", ("encode_entry",)),
    ("apply to the books", ("apply (walletd/ledger", "_apply_")),
    ("decide", ("walletd/ledger/",)),
    ("command ids", ("command_ids.py", "id_filter.py")),
    ("turns of the wallets", ("wallets/roster.py", "wallets/actor.py")),
    (
        "decisions: around all of these",
        (
            "wallets/decisions.py",
            "wallets/delivery.py",
            "wallets/submission.py",
            "wallets/history_clock.py",
            "wallets/load.py",
            "wallets/reads.py",
            "histogram.py",
        ),
    ),
    ("request: JSON, access, rates", ("protocol/", "gateway/methods/dispatch.py")),
    ("frames of the websocket", ("gateway/websocket/frames.py", "gateway/websocket/fragments.py")),
    (
        "sockets: reading and writing",
        (
            "gateway/network/socket_stream.py",
            "gateway/network/readiness.py",
            "gateway/network/connection.py",
            "gateway/network/outbox.py",
            "gateway/endpoint.py",
        ),
    ),
)


def stage_of(stack: str) -> str:
    """The stage of a stack as py-spy writes it: frames from the outermost, with semicolons."""
    for frame in reversed(stack.split(";")):
        for name, marks in STAGES:
            if any(mark in frame for mark in marks):
                return name
    return OTHER


def samples_of(raw: Iterable[str]) -> dict[int, Counter[str]]:
    """Samples of each thread, by stage."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for line in raw:
        stack, _, count = line.rpartition(" ")
        thread, _, frames = stack.partition(";")
        if named := THREAD.match(thread):
            found[int(named[1])][stage_of(frames)] += int(count)
    return found


def costs(
    samples: Mapping[int, Counter[str]], seconds: Mapping[int, float], loop: int, commands: int
) -> list[tuple[str, str, float]]:
    """Where, which stage, microseconds a command; dearest first.

    ``seconds`` is the processor time of each thread, of which ``loop`` is the event loop's.
    """
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for thread, counted in samples.items():
        whole = sum(counted.values())
        for name, count in counted.items():
            where = LOOP if thread == loop else THREADS
            found[where, name] += count / whole * seconds.get(thread, 0.0) / commands * 1e6
    return sorted(((where, name, cost) for (where, name), cost in found.items()), key=lambda row: -row[2])


def main() -> None:
    """Load a daemon, sample it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=WHAT, default="transfer")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--wallets", type=int, default=10_000)
    parser.add_argument("--flame", type=Path, help="write a flame graph there, and no table")
    options = parser.parse_args()
    spy = shutil.which("py-spy", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if spy is None:
        raise SystemExit("py-spy is not there: pip install py-spy")
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="bench-data-") as name,
        Daemon(Path(name) / "data") as daemon,
    ):
        asking = WHAT[options.what](Town(daemon, options.wallets))
        pid, output = daemon.process.pid, options.flame or Path(name) / "samples"
        command = [spy, "record", "--pid", str(pid), "--rate", "250", "--duration", str(options.seconds), "--threads"]
        command += ["--output", str(output), "--format", "flamegraph" if options.flame else "raw"]
        before = cpu_of_threads(pid)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            measured = closed_loop(daemon, options.clients, options.window, options.seconds, asking)
            used = {thread: now - before.get(thread, 0.0) for thread, now in cpu_of_threads(pid).items()}
        if options.flame:
            return
        row = measured.row("", "", asking.commands)
        rows = costs(samples_of(output.read_text().splitlines()), used, pid, 1)
        scale = (row.cpu_us or 0) / sum(cost for _, _, cost in rows)
        print(machine.sentence(machine.describe(Path(name))))
        print(
            f"\n{options.what}, {options.clients} clients, {options.window} in flight: {row.per_second:,.0f} a second, "
        )
        print(f"{row.cpu_us:.0f} µs of processor time each, {row.group or 0:.0f} entries in a commit\n")
        print("| where | stage | µs a command |\n|---|---|---|")
        for where, stage, microseconds in rows:
            print(f"| {where} | {stage} | {microseconds * scale:.1f} |")


if __name__ == "__main__":
    main()
