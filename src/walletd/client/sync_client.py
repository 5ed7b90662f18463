"""The client for plain, synchronous programs: the same names, the same guarantees.

    with connect_sync("ws://127.0.0.1:7878", token=token) as client:
        client.pay("alice", "bob", Decimal("12.50"), "EUR")
        with client.subscribe(wallets=["bob"], snapshot=True) as stream:
            for event in stream:
                print(event.sequence, event.entry.command)

A separate thread runs the trio client; every call is passed to it and waited for.
"""

import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypeVar

import trio

from walletd.client import clients, requests
from walletd.client.batches import BatchApplied, batch_results
from walletd.client.errors import NotReachable
from walletd.client.event_stream import EventStream
from walletd.client.paging import with_rest
from walletd.client.requests import Range
from walletd.client.results import Amount, Applied, EntryPage, EntryView, Event, Leg
from walletd.client.trio_client import PAGE, Client, connect
from walletd.protocol import envelope
from walletd.protocol import messages as m
from walletd.protocol.messages import operator as o
from walletd.protocol.messages.holds import HoldView
from walletd.vocabulary.commands import AnyCommand, BatchedCommand
from walletd.vocabulary.states import WalletStatus

Result = TypeVar("Result")


@contextmanager
def connect_sync(
    url: str,
    *,
    token: str | None = None,
    deadline_seconds: float = 30.0,
    retry_busy: bool = True,
    tls: ssl.SSLContext | None = None,
) -> Iterator["SyncClient"]:
    """A client that stays connected until the block ends; see ``connect`` for the options.

    Thread-safe: every method of the client may be called from any number of threads at once, and their requests
    share the connection.  Not thread-safe: one iterator or one stream, each of which belongs to one thread at a time;
    only ``stream.close`` may be called from another, and ends the loop.  Calls that wait while the block ends raise
    NotReachable, or OutcomeUnknown for a command that was sent.
    """
    ready: Future[SyncClient] = Future()

    async def serve() -> None:
        options: dict[str, Any] = {"deadline_seconds": deadline_seconds, "retry_busy": retry_busy, "tls": tls}
        async with connect(url, token=token, **options) as client:
            over = trio.Event()
            ready.set_result(SyncClient(client, trio.lowlevel.current_trio_token(), over))
            await over.wait()

    def run() -> None:
        try:
            trio.run(serve)
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run, name="walletd client", daemon=True)
    thread.start()
    client = ready.result()
    try:
        yield client
    finally:
        client.close()
        thread.join()


class SyncClient:
    """One daemon, for the clients' calls; raises the same errors as ``walletd.client.Client``."""

    def __init__(self, client: Client, token: trio.lowlevel.TrioToken, over: trio.Event) -> None:
        self._client = client
        self._token = token
        self._over = over

    @property
    def hello(self) -> envelope.Hello:
        """The ``hello`` of the current connection or, while disconnected, of the previous one."""
        return self._client.hello

    def close(self) -> None:
        """End the client; the same as leaving its block."""
        with suppress(trio.RunFinishedError):
            trio.from_thread.run_sync(self._over.set, trio_token=self._token)

    # --- commands --------------------------------------------------------------------------------------------------

    def define_asset(self, code: str, scale: int, *, command_id: str | None = None) -> Applied:
        """Define an asset and, permanently, the number of decimal places of its main unit."""
        return self._run(partial(self._client.define_asset, code, scale, command_id=command_id))

    def open_wallet(
        self, wallet: str, metadata: Mapping[str, str] | None = None, *, command_id: str | None = None
    ) -> Applied:
        """Open a wallet.  A name that starts with ``@`` makes a system wallet, which may go below zero."""
        return self._run(partial(self._client.open_wallet, wallet, metadata, command_id=command_id))

    def pay(
        self,
        source: str,
        to: str,
        amount: Amount,
        asset: str,
        *,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        command_id: str | None = None,
        dry_run: bool = False,
    ) -> Applied:
        """Move an amount from one wallet to another: an int of smallest units, or a Decimal in the main unit."""
        return self.post(
            [Leg(source, to, amount, asset)],
            reference=reference,
            metadata=metadata,
            command_id=command_id,
            dry_run=dry_run,
        )

    def post(
        self,
        legs: Iterable[Leg],
        *,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
        command_id: str | None = None,
        if_version: Mapping[str, int] | None = None,
        valid_until: datetime | None = None,
        valid_for_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Applied:
        """Move money along all the legs at once, or along none; see ``Client.post``."""
        posting = partial(
            self._client.post,
            list(legs),
            reference=reference,
            metadata=metadata,
            command_id=command_id,
            if_version=if_version,
            valid_until=valid_until,
            valid_for_seconds=valid_for_seconds,
            dry_run=dry_run,
        )
        return self._run(posting)

    def submit(self, command: AnyCommand) -> Applied:
        """Send any command of ``walletd.vocabulary.commands``; see ``Client.submit``."""
        return self._run(partial(self._client.submit, command))

    def batch(
        self,
        commands: Iterable[BatchedCommand],
        *,
        atomic: bool = True,
        command_id: str | None = None,
        dry_run: bool = False,
    ) -> BatchApplied:
        """Run commands of ``walletd.vocabulary.commands`` in one entry: all, or none, or each by itself.

        The results are in the commands' order, each refused command with its refusal.  An atomic batch raises Refused
        for the first command that is refused; its ``facts["command"]`` is that command's index.
        """
        return batch_results(
            self._run(partial(self._client.ask, requests.batch(commands, atomic, command_id, dry_run)))
        )

    # --- clients ---------------------------------------------------------------------------------------------------

    def create_client(
        self,
        client: str,
        scopes: Iterable[str],
        token: str,
        *,
        expires_at: datetime | None = None,
        expires_in_seconds: int | None = None,
        addresses: Iterable[str] | None = None,
        budget: Mapping[str, int] | None = None,
        command_id: str | None = None,
    ) -> Applied:
        """Create a client with this token, of which only the hash is sent; ``new_token()`` makes one.

        The tokens of a client with ``addresses`` are valid there only: addresses, or networks such as 10.1.0.0/16.
        """
        creating = partial(self._client.create_client, client, list(scopes), token, addresses=addresses, budget=budget)
        expiring = partial(creating, expires_at=expires_at, expires_in_seconds=expires_in_seconds)
        return self._run(partial(expiring, command_id=command_id))

    def update_client(
        self,
        client: str,
        *,
        scopes: Iterable[str] | None = None,
        addresses: Iterable[str] | None = None,
        budget: Mapping[str, int] | None = None,
        command_id: str | None = None,
    ) -> Applied:
        """Change a client's scopes, budget or addresses; without an admin's rights, narrow one's own."""
        updating = partial(self._client.update_client, client, scopes=scopes, addresses=addresses, budget=budget)
        return self._run(partial(updating, command_id=command_id))

    def rotate_client(
        self,
        client: str,
        token: str,
        *,
        expires_at: datetime | None = None,
        expires_in_seconds: int | None = None,
        overlap_until: datetime | None = None,
        overlap_for_seconds: int | None = None,
        command_id: str | None = None,
    ) -> Applied:
        """Give a client a new token; earlier ones end at once, or with the overlap."""
        rotating = partial(
            self._client.rotate_client,
            client,
            token,
            expires_at=expires_at,
            expires_in_seconds=expires_in_seconds,
            overlap_until=overlap_until,
            overlap_for_seconds=overlap_for_seconds,
            command_id=command_id,
        )
        return self._run(rotating)

    def revoke_client(self, client: str, *, command_id: str | None = None) -> Applied:
        """Revoke a client permanently, with its viewing keys."""
        return self._run(partial(self._client.revoke_client, client, command_id=command_id))

    def clients(self) -> Iterator[m.ClientView]:
        """The clients by name: all for an admin, otherwise this client and its viewing keys."""
        after: str | None = None
        while True:
            page = self._run(partial(self._client.ask, clients.client_page(after, PAGE)))
            yield from page.clients
            if (after := page.next) is None:
                return

    # --- reads -----------------------------------------------------------------------------------------------------

    def assets(self, *, refresh: bool = False) -> dict[str, int]:
        """Every asset's scale by its code; requested once and kept, because a scale never changes."""
        return self._run(partial(self._client.assets, refresh=refresh))

    def wallet(self, wallet: str) -> m.WalletView:
        """A wallet with all its parts."""
        return self._run(partial(self._client.wallet, wallet))

    def wallets(
        self, prefix: str = "", *, status: WalletStatus | str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Iterator[m.WalletView]:
        """The wallets by name: those whose names start with the prefix, with this status and these metadata."""
        page = self.wallet_page(prefix, status=status, metadata=metadata)
        while True:
            for wallet in page.wallets:
                yield wallet if wallet.next is None else self._run(partial(with_rest, self._client.ask, wallet))
            if page.next is None:
                return
            page = self.wallet_page(prefix, page.next, status=status, metadata=metadata)

    def wallet_page(
        self,
        prefix: str = "",
        after: str | None = None,
        limit: int = PAGE,
        *,
        status: WalletStatus | str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> m.WalletPage:
        """One page of wallets; its ``next`` is the ``after`` of the following one.  A page of a search may be empty."""
        return self._run(partial(self._client.ask, requests.wallet_page(prefix, after, limit, status, metadata)))

    def holds(self, wallet: str, *, also_closed: bool = False) -> Iterator[HoldView]:
        """The open holds of a wallet in order of placing, or all that it ever had."""
        after: str | None = None
        while True:
            page = self._run(partial(self._client.ask, requests.hold_page(wallet, also_closed, after, PAGE)))
            yield from page.holds
            if (after := page.next) is None:
                return

    def hold(self, wallet: str, hold: str) -> HoldView:
        """A hold of a wallet by its id, such as ``h12``."""
        return self._run(partial(self._client.hold, wallet, hold))

    def balance(self, wallet: str, asset: str | None = None, *, as_of: int | datetime | None = None) -> m.Balances:
        """A wallet's balances, of one asset or of all, in smallest units; with ``as_of``, a sequence or a time, as of
        then.
        """
        return self._run(partial(self._client.balance, wallet, asset, as_of=as_of))

    def balances(
        self, wallets: Iterable[str], asset: str | None = None, *, as_of: int | datetime | None = None
    ) -> m.Balances:
        """The present or past balances of up to a hundred wallets, at one moment, which its ``sequence`` identifies."""
        return self._run(partial(self._client.balances, list(wallets), asset, as_of=as_of))

    def statement(
        self,
        wallet: str,
        asset: str | None = None,
        *,
        since: int | datetime | None = None,
        until: int | datetime | None = None,
        counterparty: str | None = None,
        kind: str | None = None,
        newest_first: bool = False,
    ) -> Iterator[m.StatementLine]:
        """A wallet's movements, line by line, from ``since`` on and before ``until``, each a sequence or a time."""
        chosen = Range(since, until, counterparty, kind)
        cursor: str | None = None
        while True:
            page = self._run(
                partial(self._client.ask, requests.statement_page(wallet, asset, newest_first, cursor, PAGE, chosen))
            )
            yield from page.lines
            if (cursor := page.next) is None:
                return

    def statement_page(
        self,
        wallet: str,
        asset: str | None = None,
        *,
        since: int | datetime | None = None,
        until: int | datetime | None = None,
        counterparty: str | None = None,
        kind: str | None = None,
        newest_first: bool = False,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> m.Statement:
        """One page of a statement, with the posted balances at both ends of its range; ``next`` is the following
        cursor.
        """
        chosen = Range(since, until, counterparty, kind)
        return self._run(
            partial(self._client.ask, requests.statement_page(wallet, asset, newest_first, cursor, limit, chosen))
        )

    def transfer(self, transfer: str) -> m.TransferView:
        """A transfer by its id, such as ``t12``."""
        return self._run(partial(self._client.transfer, transfer))

    def entry(self, *, sequence: int | None = None, command_id: str | None = None) -> EntryView:
        """A journal entry, by its sequence or by the command id that this client gave it."""
        return self._run(partial(self._client.entry, sequence=sequence, command_id=command_id))

    def entry_page(self, after: int = 0, limit: int = PAGE) -> EntryPage:
        """One page of the journal, after the sequence ``after``."""
        return self._run(partial(self._client.entry_page, after, limit))

    def ping(self) -> m.Pong:
        """The daemon's clock and head."""
        return self._run(self._client.ping)

    def status(self) -> o.DaemonStatus:
        """The daemon at a glance."""
        return self._run(self._client.status)

    def audit(self) -> o.AuditReport:
        """The sums of all balances per asset."""
        return self._run(self._client.audit)

    def main_units(self, units: int | str, asset: str) -> Decimal:
        """Smallest units, as in every result, in the asset's main unit; see ``Client.main_units``."""
        return self._run(partial(self._client.main_units, units, asset))

    def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Any method by its name, with its params as sent; the result as received."""
        return self._run(partial(self._client.call, method, **params))

    # --- streams ---------------------------------------------------------------------------------------------------

    @contextmanager
    def subscribe(
        self,
        *,
        wallets: Sequence[str] | None = None,
        prefix: str | None = None,
        all: bool = False,
        after: m.Cursor | Literal[0] | None = None,
        snapshot: bool = False,
    ) -> Iterator["SyncEventStream"]:
        """Watch wallets live; see ``Client.subscribe``."""
        opening = partial(self._client.open_stream, wallets=wallets, prefix=prefix, all=all)
        stream = SyncEventStream(self, self._run(partial(opening, after=after, snapshot=snapshot)))
        try:
            yield stream
        finally:
            stream.close()

    def _run(self, act: Callable[[], Awaitable[Result]]) -> Result:
        """Run it in the client's thread, and wait for its result."""
        try:
            return trio.from_thread.run(act, trio_token=self._token)
        except (trio.RunFinishedError, trio.Cancelled):
            raise NotReachable("the client was closed") from None


class SyncEventStream:
    """The events of a subscription, in order: ``for event in stream``."""

    def __init__(self, client: SyncClient, stream: EventStream) -> None:
        self._client = client
        self._stream = stream

    @property
    def wallets(self) -> tuple[m.WalletView, ...]:
        """The snapshot; empty if none was requested."""
        return self._stream.wallets

    @property
    def cursor(self) -> m.Cursor:
        """The position after the last event delivered, or at the stream's beginning: resume ``after`` it."""
        return self._stream.cursor

    def close(self) -> None:
        """End the stream; a thread that waits for an event leaves its loop."""

        async def close() -> None:
            self._stream.close()

        with suppress(NotReachable):
            self._client._run(close)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            return self._client._run(self._stream.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None
