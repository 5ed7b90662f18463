"""TigerBeetle through its own client for Python, where its server's binary is given by path.

    make bench ARGS="--tigerbeetle ./tigerbeetle"

One replica, formatted anew, on loopback; accounts that may not spend what they do not have; the same batch sizes as
walletd.  The server comes from no package registry, so it is run only where somebody has it already.
"""

import importlib
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import processes
from bench.figures import Row, curve, summary

NAME = "TigerBeetle"
ABSENT = "not run: no binary given (--tigerbeetle PATH)"
BATCH_LIMIT = 8189
LEDGER = 1
CODE = 1
FUNDS = 10**12


class TigerBeetle:
    """A server of one replica and a synchronous client."""

    def __init__(self, binary: Path, directory: Path, wallets: int) -> None:
        self._tb: Any = importlib.import_module("tigerbeetle")
        self._wallets = wallets
        self._next = 0
        file = directory / "0_0.tigerbeetle"
        formatting = [str(binary), "format", "--cluster=0", "--replica=0", "--replica-count=1", str(file)]
        subprocess.run(formatting, check=True, capture_output=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._log = (directory / "tigerbeetle.log").open("wb")
        self._server = subprocess.Popen(
            [str(binary), "start", f"--addresses=127.0.0.1:{port}", str(file)], stdout=self._log, stderr=self._log
        )
        _wait_for(port, self._server)
        self._client = self._tb.ClientSync(cluster_id=0, replica_addresses=str(port))

    def __enter__(self) -> Self:
        tb = self._tb
        rules = tb.AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
        accounts = [tb.Account(id=1, ledger=LEDGER, code=CODE)]
        accounts += [tb.Account(id=2 + n, ledger=LEDGER, code=CODE, flags=rules) for n in range(self._wallets)]
        for start in range(0, len(accounts), BATCH_LIMIT):
            self._accept(self._client.create_accounts(accounts[start : start + BATCH_LIMIT]))
        funds = [self._transfer(1, 2 + n, amount=FUNDS) for n in range(self._wallets)]
        for start in range(0, len(funds), BATCH_LIMIT):
            self._accept(self._client.create_transfers(funds[start : start + BATCH_LIMIT]))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()
        self._server.send_signal(signal.SIGTERM)
        self._server.wait()
        self._log.close()

    def run(self, scenario: str, what: str, seconds: float, batch: int = 1) -> Row:
        """One request after the other, of so many transfers each; they are made outside of the time."""
        act = {"transfer": self._transfers, "holds": self._holds}[what]
        waits: list[float] = []
        cpu, done, busy = processes.cpu(self._server.pid), 0, 0.0
        whole, bystanders = time.process_time(), processes.Bystanders()
        while sum(waits) < seconds:
            for request in act(batch):
                own, began = time.process_time(), time.perf_counter()
                self._accept(self._client.create_transfers(request))
                waits.append(time.perf_counter() - began)
                busy += time.process_time() - own
                done += len(request)
        took, used = sum(waits), processes.cpu(self._server.pid) - cpu
        return Row(
            scenario,
            NAME,
            done / took,
            **summary(waits),
            cpu_us=used / done * 1e6,
            busy=busy / took,
            others=bystanders.share(used + time.process_time() - whole),
            memory_mb=processes.memory([self._server.pid]) / 1e6,
            clients=1,
            curve=curve(waits),
        )

    def _transfers(self, batch: int) -> list[list[Any]]:
        return [[self._transfer(*self._pair(index)) for index in range(batch)]]

    def _holds(self, batch: int) -> list[list[Any]]:
        pending, post = self._tb.TransferFlags.PENDING, self._tb.TransferFlags.POST_PENDING_TRANSFER
        placed = [self._transfer(*self._pair(index), flags=pending) for index in range(batch)]
        captured = [
            self._transfer(hold.debit_account_id, hold.credit_account_id, flags=post, pending_id=hold.id)
            for hold in placed
        ]
        return [placed, captured]

    def _pair(self, index: int) -> tuple[int, int]:
        source = (self._next * 7919 + index) % self._wallets
        return 2 + source, 2 + (source + 1 + self._next % (self._wallets - 1)) % self._wallets

    def _transfer(self, source: int, to: int, amount: int = 1, **more: Any) -> Any:
        self._next += 1
        return self._tb.Transfer(
            id=self._next,
            debit_account_id=source,
            credit_account_id=to,
            amount=amount,
            ledger=LEDGER,
            code=CODE,
            **more,
        )

    @staticmethod
    def _accept(results: list[Any]) -> None:
        """Every one created; older clients answer only for those that were not."""
        bad = [result for result in results if getattr(getattr(result, "status", None), "name", "FAILED") != "CREATED"]
        assert not bad, bad[:3]


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("TigerBeetle did not start")
