"""``walletd demo``: people, shops, fees, refusals and replays over the websocket, live, and then the proofs.

One client watches and proves; the others work.
"""

import time
from collections.abc import AsyncIterable
from contextlib import AsyncExitStack
from random import SystemRandom
from typing import Annotated

import trio
from cyclopts import Parameter
from cyclopts.validators import Number

from walletd.cli.confirmation import Yes, confirm
from walletd.cli.connection import DEFAULT, Connection
from walletd.cli.demo.display import Display
from walletd.cli.demo.proof import proofs_of
from walletd.cli.demo.summary import Summary, drawn_summary, summary_of
from walletd.cli.demo.town import PREFIX, SCALES, Town, run_name
from walletd.cli.demo.workload import Extent, Workload
from walletd.cli.live import connected, talk_live
from walletd.cli.output import Output
from walletd.cli.usage import UsageError
from walletd.client import Client, Event, RequestFailed
from walletd.runtime.ending import EXIT_OK, EXIT_REFUSED
from walletd.vocabulary.identifiers import is_system_wallet
from walletd.vocabulary.reasons import Reason

OPENINGS_AT_ONCE = 64
STREAM_PATIENCE_SECONDS = 15.0
"""Seconds without progress, with events missing, after which the demonstration stops waiting for the stream."""

OPERATIONS = 20_000
"""The number of operations if neither operations nor seconds were given."""


def demo(
    *,
    operations: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    seconds: Annotated[float | None, Parameter(validator=Number(gt=0, lte=86_400))] = None,
    wallets: Annotated[int, Parameter(validator=Number(gte=3, lte=100_000))] = 300,
    connections: Annotated[int, Parameter(validator=Number(gte=1, lte=64))] = 4,
    seed: int | None = None,
    yes: Yes = False,
    connection: Connection = DEFAULT,
) -> int:
    """Play a lively town on the running daemon, and prove at the end that every cent is where it must be.

    Shops, customers, a fee in every purchase, tips, refunds, exchanges between euros and coins; attempts that must be
    refused; commands sent twice.  Each run opens its own wallets and touches no others.  Exits with 1 if a proof
    fails.

    For example:

        $ walletd demo
        $ walletd demo --operations 100000 --connections 8
        $ walletd demo --seconds 60
        $ walletd demo --seed 7 --json

    Parameters
    ----------
    operations
        The number of commands to send, replays included; 20000 without --seconds.
    seconds
        How long to run; with --operations, until the first of both is reached.
    wallets
        The number of shops and customers.
    connections
        The number of connections.
    seed
        The seed of the random choices; printed at the end.
    yes
        Do not ask at a terminal, even if the daemon has other wallets.
    """
    seed = SystemRandom().randrange(10**6) if seed is None else seed
    town = Town.founded(run_name(SystemRandom()), wallets)
    extent = Extent(OPERATIONS if operations is None and seconds is None else operations, seconds)

    async def play(client: Client, output: Output) -> int:
        if not yes and (other := await _other_wallet(client)) is not None:
            confirm(f"this daemon has other wallets, such as {other}: add the demonstration's to its journal", yes)
        summary = await _play(client, output, connection, town, seed, extent, connections)
        output.answer(summary, lambda: drawn_summary(summary))
        return EXIT_OK if summary.is_proven else EXIT_REFUSED

    return talk_live(connection, play)


async def _play(
    client: Client, output: Output, connection: Connection, town: Town, seed: int, extent: Extent, connections: int
) -> Summary:
    """The whole demonstration, from the assets to the proofs."""
    await _define_assets(client)
    workload = Workload(town, seed)
    async with AsyncExitStack() as open_clients:
        workers = [await open_clients.enter_async_context(connected(connection)) for _ in range(connections)]
        stream = await open_clients.enter_async_context(client.subscribe(prefix=town.prefix))
        async with trio.open_nursery() as nursery:
            counter = EventCounter(stream)
            nursery.start_soon(counter.run)
            with Display(output, workload.account, lambda: counter.seen, extent) as display:
                nursery.start_soon(display.run)
                display.phase(f"opening {len(town.wallets):,} wallets")
                await _open_wallets(workers, town.wallets)
                began = time.perf_counter()
                display.begin()
                if extent.seconds is not None:
                    workload.ends_at = trio.current_time() + extent.seconds
                display.phase("money comes to town")
                await workload.bring_money(workers, extent.most_operations)
                display.phase("the town is busy")
                await workload.run(workers, extent.most_operations)
                took = time.perf_counter() - began
                display.phase("waiting for the last events")
                expected = len(town.shops) + len(town.customers) + workload.account.applied.total()
                await counter.until(expected)
                display.phase("proving")
                proofs = await proofs_of(client, town, workload.account, counter.seen, expected)
            nursery.cancel_scope.cancel()
    return summary_of(town, seed, connections, workload.account, took, counter.seen, expected, proofs)


async def _other_wallet(client: Client) -> str | None:
    """A wallet that no demonstration opened, if there is one."""
    page = await client.wallet_page()
    while True:
        for there in page.wallets:
            if not there.wallet.startswith(PREFIX) and not is_system_wallet(there.wallet):
                return there.wallet
        if page.next is None:
            return None
        page = await client.wallet_page("", page.next)


async def _define_assets(client: Client) -> None:
    """Define the assets that the town pays with; existing assets are fine if they have the same scale."""
    for code, scale in SCALES.items():
        try:
            await client.define_asset(code, scale)
        except RequestFailed as refusal:
            if refusal.reason is not Reason.ASSET_ALREADY_DEFINED:
                raise
    there = await client.assets(refresh=True)
    for code, scale in SCALES.items():
        if there[code] != scale:
            raise UsageError(
                f"the demonstration pays in {code}/{scale}, but this ledger has {code}/{there[code]}; "
                "run it on a daemon with its own data directory."
            )


async def _open_wallets(clients: list[Client], wallets: list[str]) -> None:
    waiting = iter(wallets)

    async def open_each(client: Client) -> None:
        for wallet in waiting:
            await client.open_wallet(wallet)

    async with trio.open_nursery() as nursery:
        for index in range(OPENINGS_AT_ONCE):
            nursery.start_soon(open_each, clients[index % len(clients)])


class EventCounter:
    """Reads the stream of the run, as a subscriber would, and counts."""

    def __init__(self, stream: AsyncIterable[Event]) -> None:
        self._stream = stream
        self.seen = 0
        self._last_sequence = 0

    async def run(self) -> None:
        """Count until cancelled."""
        async for event in self._stream:
            assert event.sequence > self._last_sequence, "a stream never goes back"
            self._last_sequence = event.sequence
            self.seen += 1

    async def until(self, expected: int) -> None:
        """Wait until this many events were seen, or until none has arrived for a while."""
        seen, moved = -1, trio.current_time()
        while self.seen < expected and trio.current_time() - moved < STREAM_PATIENCE_SECONDS:
            if self.seen != seen:
                seen, moved = self.seen, trio.current_time()
            await trio.sleep(0.02)
