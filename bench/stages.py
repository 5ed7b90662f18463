"""What one command costs, stage by stage: py-spy's samples of a loaded daemon, in microseconds of processor time.

    python -m bench.stages                              # transfers, 64 clients with 16 in flight
    python -m bench.stages --clients 1 --window 1
    python -m bench.stages --flame before.svg           # a flame graph instead

A sample counts for the stage of its innermost frame that has one.  The samples of the event loop
share out the processor time of its thread, those of the other threads the rest of the daemon's, so that the stages add
up to what the kernel says.  Needs py-spy (make bench installs it) and the right to trace a process.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench import machine
from bench.compare import WHAT
from bench.daemon import Daemon
from bench.load import closed_loop
from bench.processes import cpu, cpu_of_thread
from bench.town import Town

LOOP = "event loop"
THREADS = "threads"
OTHER = "waiting, waking up, handing over"
STAGES = (
    ("projection: rows for the read tables", ("wallets/projector.py", "wallets/read_tables.py", "ledger/statement.py")),
    ("journal: seal, hash, commit", ("walletd/journal/", "aiosqlite/")),
    ("answer: the reply's facts and its JSON", ("gateway/commands.py", "gateway/reads.py", "success (", "failure (")),
    ("publish to subscribers", ("wallets/publisher.py",)),
    ("the entry's JSON", ("encode_entry",)),
    ("apply to the books", ("apply (walletd/ledger", "_apply_")),
    ("decide", ("walletd/ledger/",)),
    ("command ids", ("command_index.py", "id_filter.py")),
    ("turns of the wallets", ("wallets/roster.py", "wallets/actor.py")),
    ("supervisor: around all of these", ("wallets/supervisor.py", "wallets/submission.py", "histogram.py")),
    ("request: JSON, access, rates", ("protocol/", "gateway/dispatch.py")),
    ("frames of the websocket", ("gateway/websocket.py", "gateway/fragments.py")),
    ("sockets: reading and writing", ("gateway/socket_stream.py", "gateway/connection.py", "gateway/endpoint.py")),
    ("a watch over the loop", ("loop_watch.py",)),
)


def stage_of(stack: str) -> str:
    """The stage of a stack as py-spy writes it: frames from the outermost, with semicolons."""
    for frame in reversed(stack.split(";")):
        for name, marks in STAGES:
            if any(mark in frame for mark in marks):
                return name
    return OTHER


def shares(raw: Iterable[str], main_thread: int) -> dict[str, Counter[str]]:
    """Samples by stage, of the event loop's thread and of all others."""
    found: dict[str, Counter[str]] = {LOOP: Counter(), THREADS: Counter()}
    for line in raw:
        stack, _, count = line.rpartition(" ")
        thread, _, frames = stack.partition(";")
        where = LOOP if f"({main_thread})" in thread else THREADS
        found[where][stage_of(frames)] += int(count)
    return found


def costs(
    samples: Mapping[str, Counter[str]], seconds: Mapping[str, float], commands: int
) -> list[tuple[str, str, float]]:
    """Where, which stage, microseconds a command; dearest first."""
    rows = []
    for where, counted in samples.items():
        whole = sum(counted.values())
        rows += [(where, name, count / whole * seconds[where] / commands * 1e6) for name, count in counted.items()]
    return sorted(rows, key=lambda row: -row[2])


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
        before = cpu_of_thread(pid, pid), cpu(pid)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            measured = closed_loop(daemon, options.clients, options.window, options.seconds, asking)
            loop, whole = (now - then for now, then in zip((cpu_of_thread(pid, pid), cpu(pid)), before, strict=True))
        if options.flame:
            return
        done = int(measured.after["walletd_journal_entries_total"] - measured.before["walletd_journal_entries_total"])
        row = measured.row("", "", asking.commands)
        scale = (row.cpu_us or 0) / (whole / max(1, done * asking.commands) * 1e6)
        rows = costs(
            shares(output.read_text().splitlines(), pid), {LOOP: loop, THREADS: whole - loop}, done * asking.commands
        )
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
