"""The attack tables: an honest client's latency with and without each attack, the memory it costs, what was counted.

python -m bench.attacks --seconds 5

A real daemon on loopback, its data on disk, the attacker a process of its own.  In the first table the honest client
has one payment in flight at a time; the attackers come from another address and carry the same operator's token where
they carry one.  In the second, at the default settings, the hostile client has a token of its own (``bench.tenants``).
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.attackers import ATTACKS
from bench.daemon import Daemon
from bench.neighbours import Honest, Host, Scene, Wait, furnish, hostile, quantile, revoke
from bench.tenants import KINDS
from bench.town import Town
from bench.wire import Connection

LIMITS = {
    "handshake_seconds": "2",
    "authentication_seconds": "2",
    "write_stall_seconds": "2",
    "compression": "true",
    "max_connections": "500",
    "max_connections_per_address": "100",
    "max_buffered_mebibytes": "16",
    "max_requests_per_second": "2000",
    "max_requests_per_second_of_principal": "20000",
}
TOLD = (
    "walletd_connections_refused_total",
    "walletd_connections_closed_total",
    "walletd_connections_cut_off_total",
    "walletd_requests_rate_limited_total",
    "walletd_requests_overloaded_total",
    "walletd_rate_warnings_total",
    "walletd_messages_received_total",
)
TENANTS = (*KINDS, "connections", "together")
TOGETHER = ("refused_batches", "dry_runs", "filtered_statements", "replays", "prefixes")
SECONDS_TO_FALL_BACK = 10
MEBIBYTE = 1024 * 1024


class Row(NamedTuple):
    """What one attack did."""

    name: str
    alone: list[Wait]
    beside: list[Wait]
    answered: int
    peak_more: int
    after_more: int
    counted: dict[str, float]


def latencies(host: Host, connection: Connection, town: Town, seconds: float) -> list[Wait]:
    """Payments one after the other, each answered with its result; what each waited."""
    make, found, number = town.transfers(), list[Wait](), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        number += 1
        began, used = time.perf_counter(), host.processor_seconds()
        connection.send([make(number, None)])
        while not (messages := connection.take()):
            pass
        found.append(Wait(time.perf_counter() - began, host.processor_seconds() - used))
        assert b'"result"' in messages[0], messages[0]
    return found


def both(seconds: list[float]) -> str:
    """p50 and p99 in milliseconds."""
    return f"{quantile(seconds, 0.5) * 1000:.1f} / {quantile(seconds, 0.99) * 1000:.1f}"


def attack(daemon: Daemon, town: Town, connection: Connection, name: str, seconds: float) -> Row:
    """One attack, with the honest client alone just before it."""
    watched = Host(daemon.address, daemon.token, daemon.process.pid, daemon.data)
    alone = latencies(watched, connection, town, seconds)
    before = daemon.metrics()
    watched.forget_peak()
    resident = watched.memory()
    host, _, port = daemon.address.removeprefix("ws://").rpartition(":")
    command = [sys.executable, str(Path(__file__).parent / "attackers.py"), name, host, port, daemon.token]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attacker:
        assert attacker.stdout is not None
        attacker.stdout.readline()
        times = latencies(watched, connection, town, seconds)
        most = watched.peak()
        attacker.kill()
    last = latencies(watched, connection, town, 1)
    after = daemon.metrics()
    counted = {key: after[key] - before.get(key, 0) for key in after if key.startswith(TOLD)}
    counted["walletd_messages_received_total"] -= len(times) + len(last)
    return Row(
        name,
        alone,
        times,
        len(times),
        most - resident,
        watched.memory() - resident,
        {key: count for key, count in counted.items() if count > 0},
    )


def short(counted: dict[str, float]) -> str:
    """The counts in a cell."""
    found = []
    for name, count in sorted(counted.items(), key=lambda item: -item[1]):
        plain = name.removeprefix("walletd_").replace("_total", "").replace('"', "").replace("reason=", "")
        found.append(f"{plain.replace('close_code=', '')} {count:,.0f}")
    return ", ".join(found[:5])


def table(rows: list[Row]) -> str:
    """As it stands in docs/understand/attacks.md."""
    lines = [
        "| attack | honest client alone: processor, p50 / p99 | beside it: processor | beside it: on the clock "
        "| answered | memory at most, afterwards | counted |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.name.replace('_', ' ')} | {both([wait.processor for wait in row.alone])} "
            f"| {both([wait.processor for wait in row.beside])} | {both([wait.clock for wait in row.beside])} "
            f"| {row.answered:,} of {row.answered:,} "
            f"| {row.peak_more / MEBIBYTE:+.0f} MiB, {row.after_more / MEBIBYTE:+.0f} MiB | {short(row.counted)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run every attack, or those that are named, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="ATTACK", help=", ".join([*ATTACKS, *TENANTS]))
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each is measured, alone and beside")
    options = parser.parse_args()
    print(f"\n{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}\n")
    if attacks := [name for name in options.names or ATTACKS if name in ATTACKS]:
        print(strangers(attacks, options.seconds))
    if kinds := [name for name in options.names or TENANTS if name in TENANTS]:
        print(tenants(kinds, options.seconds))


def strangers(names: list[str], seconds: float) -> str:
    """The table of these attacks, and the audit afterwards."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="bench-data-") as directory:
        daemon = Daemon(Path(directory) / "attacked", settings=LIMITS)
        town = Town(daemon, 50)
        connection = daemon.connect()
        for name in names:
            rows.append(attack(daemon, town, connection, name, seconds))
            print(table(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
        audit = connection.call("daemon.audit", {})["result"]
        daemon.stop()
    return f"{table(rows)}\n\naudit: {audit}\n"


def tenants(names: list[str], seconds: float) -> str:
    """The table of these kinds of hostility, each judged by the bounds."""
    lines = [
        "| beside | payment | repetition | 50-line statement | resume | subscription "
        "| memory, 10 s later, MiB | journal, KiB/s | bounds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="bench-data-") as directory,
        Daemon(Path(directory) / "shared") as daemon,
    ):
        host = Host(daemon.address, daemon.token, daemon.process.pid, daemon.data)
        scene = furnish(host)
        honest = Honest(host, scene)
        honest.do(20)
        alone = honest.do_for(seconds)
        lines.append(f"| nothing | {' | '.join(map(cell, alone.values()))} | | | |")
        for name in names:
            lines.append(beside(host, scene, honest, name, alone, seconds))
            print(lines[-1], file=sys.stderr, flush=True)
        with hostile(host, scene, TOGETHER):
            revoked = revoke(host)
    return "\n".join([*lines, "", f"revoked beside all of it within {revoked.clock * 1000:.0f} ms", ""])


def beside(host: Host, scene: Scene, honest: Honest, name: str, alone: dict[str, list[Wait]], seconds: float) -> str:
    """One row: an honest client beside this kind of hostility."""
    resident, size, began = host.memory(), host.journal_bytes(), time.perf_counter()
    host.forget_peak()
    with hostile(host, scene, TOGETHER if name == "together" else (name,)):
        waits = honest.do_for(seconds)
        rate = (host.journal_bytes() - size) / (time.perf_counter() - began) / 1024
        more = (host.peak() - resident) / MEBIBYTE
    time.sleep(SECONDS_TO_FALL_BACK)
    after = (host.memory() - resident) / MEBIBYTE
    p99s = {act: p99(found) for act, found in waits.items()}
    beyond = [f"{act} {p99s[act] / p99(alone[act]):.0f} ×" for act in p99s if p99s[act] > min(250, 5 * p99(alone[act]))]
    beyond += [f"memory {more:.0f}"] * (more > 64) + [f"journal {rate:.0f}"] * (rate > 1024)
    shown = " | ".join(map(cell, waits.values()))
    verdict = ", ".join(beyond) or "kept"
    return f"| {name.replace('_', ' ')} | {shown} | {more:+.0f}, {after:+.0f} | {rate:.0f} | {verdict} |"


def cell(waits: list[Wait]) -> str:
    """The p99 in milliseconds, on the clock and of the daemon's processor: the latter is the same on a busy machine."""
    return f"{p99(waits):.0f} / {quantile([wait.processor for wait in waits], 0.99) * 1000:.0f}"


def p99(waits: list[Wait]) -> float:
    """In milliseconds."""
    return quantile([wait.clock for wait in waits], 0.99) * 1000


if __name__ == "__main__":
    main()
