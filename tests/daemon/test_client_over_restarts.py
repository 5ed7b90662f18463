"""The client library over a daemon that is killed and started again: nothing lost or doubled, no gap in the stream."""

import signal
from pathlib import Path

import trio

from tests.daemon.process import Daemon, free_port
from walletd.client import connect
from walletd.client.trio_client import Client

RESTARTS = 3
PAYERS = 8
PAYMENTS = 60


class Crash:
    """Counts payments, and says when it is time to kill the daemon."""

    def __init__(self) -> None:
        self.paid = 0
        self.due = {PAYERS * PAYMENTS * n // (RESTARTS + 1): trio.Event() for n in range(1, RESTARTS + 1)}

    def count(self) -> None:
        self.paid += 1
        if self.paid in self.due:
            self.due[self.paid].set()


async def test_payments_and_a_watcher_survive_kills(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "data", "--port", str(free_port()))
    crash = Crash()
    with daemon:
        async with connect(daemon.url, token=daemon.token) as client:
            await client.define_asset("EUR", 2)
            for wallet in ("shop", *(f"payer-{n}" for n in range(PAYERS))):
                await client.open_wallet(wallet)
            seen: list[int] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_watch, client, seen)
                nursery.start_soon(_kill_when_due, daemon, crash)
                async with trio.open_nursery() as payers:
                    for n in range(PAYERS):
                        payers.start_soon(_pay, client, f"payer-{n}", crash)
                head = (await client.status()).head
                with trio.fail_after(60):
                    while not seen or seen[-1] < head:
                        await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            assert seen == list(range(1, head + 1))
            (balance,) = (await client.balance("shop")).balances
            assert int(balance.posted) == PAYERS * PAYMENTS
            assert not (await client.audit()).violations
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0


async def _pay(client: Client, payer: str, crash: Crash) -> None:
    await client.pay("@external", payer, PAYMENTS, "EUR")
    for _ in range(PAYMENTS):
        await client.pay(payer, "shop", 1, "EUR")
        crash.count()


async def _watch(client: Client, seen: list[int]) -> None:
    async with client.subscribe(all=True, after=0) as stream:
        async for event in stream:
            seen.append(event.sequence)


async def _kill_when_due(daemon: Daemon, crash: Crash) -> None:
    for due in crash.due.values():
        await due.wait()
        await trio.to_thread.run_sync(daemon.kill)
        await trio.to_thread.run_sync(daemon.start)
