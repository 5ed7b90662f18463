"""Scenarios about what walletd holds rather than what it does: connections, subscribers, wallets, entries, overload."""

import select
import shutil
import subprocess
import time
from pathlib import Path

from bench.contest import WALLETD, progress
from bench.daemon import Daemon, Installation
from bench.figures import Results
from bench.load import Measured, closed_loop, killed_under_load, open_loop
from bench.processes import allow_files
from bench.town import Town, Transfers
from bench.wire import READ_BYTES, Connection, answers

IDLE_BEFORE = 200
UNPINGED = {"ping_seconds": 600}
"""The load generator answers no pings."""

SUBSCRIBERS = 1000
KEPT_UP = 0.95
FEW_ZIPF_SECONDS = 3.0
BUSY_WALLETS = 10_000
OVERLOADED = "2x overload"
AT_80 = "80 % of the peak"
ZIPF = "Zipf over all wallets"
EVENT = b'"method":"stream.event"'


def overload(daemon: Daemon, town: Town, results: Results, seconds: float) -> None:
    """Find the peak, then offer 80 % and twice as much at set times.

    The peak is that of a closed loop of the same clients, measured before and after; latencies are those of accepted
    commands and count from when each was meant to be sent.
    """
    progress("overload: the peak")
    peaks = [closed_loop(daemon, 64, 16, seconds / 2, town.transfers())]
    calm = open_loop(daemon, 64, 0.8 * _speed(peaks[0]), seconds, town.transfers())
    progress("overload: twice the peak")
    storm = open_loop(daemon, 64, 2 * _speed(peaks[0]), seconds, town.transfers())
    time.sleep(1)
    peaks.append(closed_loop(daemon, 64, 16, seconds / 2, town.transfers()))
    peak = sum(map(_speed, peaks)) / 2
    for scenario, measured in ((AT_80, calm), (OVERLOADED, storm)):
        row = measured.row(scenario, WALLETD)
        row.per_second = measured.after["in_time"] / measured.seconds
        if measured.unanswered:
            row.note = f"{measured.unanswered:,} not answered"
        results.rows.append(row)
    in_storm, in_calm = (results.row(name, WALLETD) for name in (OVERLOADED, AT_80))
    assert in_storm is not None
    assert in_calm is not None
    results.figures["peak_per_second"] = peak
    results.figures["overload_unanswered"] = storm.unanswered
    if in_calm.per_second < KEPT_UP * 0.8 * _speed(peaks[0]):
        results.absent["the goals of an overload"] = "80 % of the peak was too much already: the machine slowed down"
        return
    results.figures["overload_throughput_of_peak"] = in_storm.per_second / peak
    results.figures["overload_p99_of_calm"] = in_storm.p99_ms / in_calm.p99_ms


def _speed(measured: Measured) -> float:
    return len(measured.latencies) / measured.seconds


def idle_connections(directory: Path, installation: Installation, results: Results, count: int) -> None:
    """Memory for each authenticated connection that says nothing."""
    allowed = allow_files(count + 2000)
    if allowed < count + 1000:
        count = allowed - 1000
        results.absent["10,000 idle connections"] = f"{count:,} of them: the limit of open files is {allowed:,}"
    progress(f"{count:,} idle connections")
    most = {"max_connections": count + 1000, "max_connections_per_address": count + 1000, **UNPINGED}
    with Daemon(directory / "idle", installation, most) as daemon:
        connections = [daemon.connect() for _ in range(IDLE_BEFORE)]
        before, began = daemon.memory(), time.perf_counter()
        connections += [daemon.connect() for _ in range(count - IDLE_BEFORE)]
        results.figures["connections_per_second"] = (count - IDLE_BEFORE) / (time.perf_counter() - began)
        results.figures["idle_connections"] = count
        results.figures["bytes_per_idle_connection"] = (daemon.memory() - before) / (count - IDLE_BEFORE)
        results.figures["memory_mb_with_idle_connections"] = daemon.memory() / 1e6
        for connection in connections:
            connection.close()


def subscribers(directory: Path, installation: Installation, results: Results, seconds: float) -> None:
    """A wallet with a thousand subscribers, each on a connection of its own, and payments to it as fast as they go.

    Every subscriber must have got every event when it is over, which is counted at this end.
    """
    progress(f"{SUBSCRIBERS:,} subscribers to a busy wallet")
    allow_files(SUBSCRIBERS + 1000)
    with Daemon(directory / "streams", installation, UNPINGED) as daemon:
        town = Town(daemon, 100)
        audience = Audience(daemon, town.hot.decode(), SUBSCRIBERS)
        payer = daemon.connect()
        asking = town.transfers(to=town.hot)
        metrics, cpu, own = daemon.metrics(), daemon.cpu(), time.process_time()
        began = time.perf_counter()
        paid = audience.watch(payer, asking, seconds)
        took = time.perf_counter() - began
        events = audience.events
        expected = paid * SUBSCRIBERS
        after = daemon.metrics()
        sent = after["walletd_stream_events_total"] - metrics["walletd_stream_events_total"]
        results.figures["subscribers"] = SUBSCRIBERS
        results.figures["events_per_second"] = events / took
        results.figures["events_missing"] = expected - events
        results.figures["events_sent_of_received"] = sent / events
        results.figures["event_cpu_us"] = (daemon.cpu() - cpu) / events * 1e6
        results.figures["events_generator_busy"] = (time.process_time() - own) / took
        results.figures["event_bytes"] = audience.bytes / events
        results.figures["memory_mb_with_subscribers"] = daemon.memory() / 1e6
        audience.close()
        payer.close()


class Audience:
    """Subscribers that count what they get, as cheaply as can be: bytes are searched, not cut into messages."""

    def __init__(self, daemon: Daemon, wallet: str, count: int) -> None:
        self.events = 0
        self.bytes = 0
        self._connections = [daemon.connect() for _ in range(count)]
        self._poll = select.epoll()
        self._by_number = {}
        self._tails = {}
        for connection in self._connections:
            assert "result" in connection.call("stream.subscribe", {"wallets": [wallet]})
            number = connection.socket.fileno()
            self._by_number[number] = connection.socket
            self._tails[number] = b""
            self._poll.register(number, select.EPOLLIN)

    def watch(self, payer: Connection, asking: Transfers, seconds: float, window: int = 64) -> int:
        """Have the wallet paid in a closed loop for so long, then wait for the last events; how often it was paid."""
        paid = number = under_way = 0
        self._poll.register(payer.socket.fileno(), select.EPOLLIN)
        end = time.perf_counter() + seconds
        while True:
            now = time.perf_counter()
            more = min(window - under_way, window) if now < end else 0
            if more > 0:
                payer.send([asking(number + index, None) for index in range(1, more + 1)])
                number += more
                under_way += more
            for ready, _ in self._poll.poll(1):
                if ready == payer.socket.fileno():
                    answered = answers(payer.take())
                    assert all(b'"result"' in message for message in answered), answered[0]
                    paid += len(answered)
                    under_way -= len(answered)
                else:
                    self._read(ready)
            if now >= end and (self.events >= paid * len(self._connections) or now >= end + 20) and not under_way:
                return paid

    def close(self) -> None:
        """Leave."""
        self._poll.close()
        for connection in self._connections:
            connection.close()

    def _read(self, number: int) -> None:
        data = self._by_number[number].recv(READ_BYTES)
        self.bytes += len(data)
        found = self._tails[number] + data
        self.events += found.count(EVENT)
        # What is kept may be the beginning of a name, never a whole one.
        self._tails[number] = found[-(len(EVENT) - 1) :]


def wallets_and_entries(
    directory: Path, installation: Installation, results: Results, wallets: int, transfers: int, seconds: float
) -> None:
    """A long journal: how long it takes to start, how much memory its wallets take, and a Zipf choice of them."""
    entries = wallets + wallets // 100 + transfers
    label = f"{entries:,} entries"
    progress(f"writing a journal of {label}, {wallets:,} wallets")
    folder = directory / f"journal-{entries}"
    writing = [installation.python, "-m", "bench.journals", str(folder)]
    began = time.perf_counter()
    subprocess.run(
        [*writing, "--wallets", str(wallets), "--transfers", str(transfers)],
        check=True,
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.DEVNULL,
    )
    figures, prefix = results.figures, f"{entries}_entries"
    figures[f"{prefix}_written_s"] = time.perf_counter() - began
    progress(f"{label}: the first start makes the read tables")
    with Daemon(folder, installation) as daemon:
        figures[f"{prefix}_start_with_rebuild_s"] = daemon.start_seconds
        daemon.stop()
        figures[f"{prefix}_start_after_clean_stop_s"] = daemon.start()
        figures[f"{prefix}_journal_bytes"] = daemon.file_bytes("journal.db") / entries
        figures[f"{prefix}_state_bytes"] = daemon.file_bytes("state.db") / entries
        _memory_of_wallets(daemon, results, wallets)
        progress(f"{label}: Zipf choice")
        town = Town(daemon, wallets, is_there=True)
        measured = closed_loop(daemon, 64, 16, seconds, town.zipf_transfers())
        row = measured.row(ZIPF, WALLETD)
        row.note = f"{wallets:,} wallets"
        results.rows.append(row)
        figures[f"{wallets}_wallets_memory_mb_after_zipf"] = daemon.memory() / 1e6
        progress(f"{label}: kill -9 in the midst of a load")
        behind = killed_under_load(daemon, 64, 16, FEW_ZIPF_SECONDS, town.transfers())
        figures[f"{prefix}_to_fold_when_killed"] = behind
        figures[f"{prefix}_start_after_kill_s"] = daemon.start()
    shutil.rmtree(folder)


def _memory_of_wallets(daemon: Daemon, results: Results, wallets: int) -> None:
    """Make 10,000 wallets warm by reading them, and see what that takes beyond the first thousand."""
    connection = daemon.connect()
    names = [f"w{number}" for number in range(0, wallets, max(1, wallets // (BUSY_WALLETS + 1000)))]
    read(connection, names[:1000])
    before = daemon.memory()
    read(connection, names[1000 : 1000 + BUSY_WALLETS])
    warm = len(names[1000 : 1000 + BUSY_WALLETS])
    results.figures["bytes_per_warm_wallet"] = (daemon.memory() - before) / warm
    results.figures[f"{wallets}_wallets_memory_mb"] = daemon.memory() / 1e6
    connection.close()


def read(connection: Connection, names: list[str], window: int = 200) -> None:
    """Read the balance of each."""
    for start in range(0, len(names), window):
        part = names[start : start + window]
        connection.send(
            [
                b'{"jsonrpc":"2.0","id":%d,"method":"balance.get","params":{"wallet":"%b"}}' % (number, name.encode())
                for number, name in enumerate(part)
            ]
        )
        answered = 0
        while answered < len(part):
            for message in answers(connection.take()):
                assert b'"result"' in message, message
                answered += 1


def bytes_on_disk(directory: Path, installation: Installation, results: Results, seconds: float) -> None:
    """What an entry takes in ``journal.db`` against its own JSON: committed alone, and sixty-four clients' together."""
    progress("bytes of an entry")
    for name, clients in (("alone", 1), ("in_company", 64)):
        with Daemon(directory / f"disk-{name}", installation) as daemon:
            town = Town(daemon, 100)
            closed_loop(daemon, clients, 1, seconds, town.transfers())
            metrics = daemon.metrics()
            daemon.stop()
            entries, records = metrics["walletd_journal_entries_total"], metrics["walletd_journal_bytes_total"]
            on_disk = daemon.file_bytes("journal.db")
            results.figures[f"bytes_of_an_entrys_json_{name}"] = records / entries
            results.figures[f"bytes_of_an_entry_on_disk_{name}"] = on_disk / entries
            results.figures[f"disk_to_json_{name}"] = on_disk / records
