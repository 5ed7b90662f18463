"""The client for trio programs.

    async with connect("ws://127.0.0.1:7878", token=token) as client:
        await client.open_wallet("alice")
        await client.pay("@external", "alice", Decimal("12.50"), "EUR", reference="top-up")

Any number of tasks may call at the same time; their requests share one connection and go out together.  A lost
connection is replaced, and unanswered requests are sent again with the same command ids.
"""

import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import trio

from walletd.client import clients, requests
from walletd.client.batches import BatchApplied, batch_results
from walletd.client.conversation import Conversation
from walletd.client.errors import NotReachable, no_such_asset
from walletd.client.event_stream import EventStream
from walletd.client.exchange import Exchange
from walletd.client.link import Link
from walletd.client.paging import all_balances, all_scales, whole_audit, whole_wallet, with_rest
from walletd.client.reconnection import Backoff
from walletd.client.requests import Answer, Range, Request
from walletd.client.results import Amount, Applied, EntryPage, EntryView, Leg, main_units, needs_scale, smallest_units
from walletd.client.wire import Dial, Vet, anyone
from walletd.protocol import envelope
from walletd.protocol import messages as m
from walletd.protocol.messages import operator as o
from walletd.protocol.messages.holds import HoldView
from walletd.vocabulary.commands import AnyCommand, BatchedCommand
from walletd.vocabulary.states import WalletStatus

PAGE = 500
"""The number of rows that an iterator requests at a time."""


@asynccontextmanager
async def connect(
    url: str,
    *,
    token: str | None = None,
    deadline_seconds: float = 30.0,
    retry_busy: bool = True,
    tls: ssl.SSLContext | None = None,
    dial: Dial = trio.open_tcp_stream,
    vet: Vet = anyone,
) -> AsyncGenerator["Client"]:
    """A client that stays connected until the block ends.

    The token travels in the request's header; if something on the way removes it, the first request carries it instead.
    ``deadline_seconds`` bounds each call, reconnections included: a ping detects a dead connection within a third of
    it, and unanswered requests are sent again on the next.  With ``retry_busy``, a request that the daemon answers with
    overloaded, rate_limited, unavailable or draining is sent again within the deadline.  ``tls`` is for a wss address
    whose certificate has its own authority, or for a client certificate; ``dial`` is for tunnels and tests.  The
    address of a unix socket is ``unix:/path``.  ``vet`` is called with each new connection before anything is sent, and
    raises a ClientError to send nothing.

    Raises AuthenticationFailed or NotReachable if the first connection cannot be made.
    """
    chance = random.SystemRandom().random  # Processes that forked have the same state of the common generator.
    conversation = Conversation(random=chance, retry_busy=retry_busy, token=token)
    link = Link(url, token, conversation, Backoff(chance), open_seconds=deadline_seconds, dial=dial, tls=tls, vet=vet)
    wire = await link.open()
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.keep, wire)
        try:
            yield Client(conversation, link, deadline_seconds)
        except trio.Cancelled:
            raise
        except BaseException as error:  # Taken out of the nursery, so that it is not wrapped in a group.
            failure = error
        finally:
            conversation.stop(NotReachable("the client was closed"))
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Client:
    """One daemon, for the clients' calls.

    Every call raises Refused for a command that was decided and refused, RequestFailed for any other error that the
    daemon answers with, OutcomeUnknown for a command that was sent and not answered before the deadline, NotReachable
    for anything else that was not answered, and AuthenticationFailed once the daemon no longer accepts the token.
    """

    def __init__(self, conversation: Conversation, link: Link, deadline_seconds: float) -> None:
        self._conversation = conversation
        self._link = link
        self._deadline_seconds = deadline_seconds
        self._scales: dict[str, int] | None = None

    @property
    def hello(self) -> envelope.Hello:
        """The ``hello`` of the current connection or, while disconnected, of the previous one."""
        assert self._conversation.hello is not None
        return self._conversation.hello

    # --- commands --------------------------------------------------------------------------------------------------

    async def define_asset(self, code: str, scale: int, *, command_id: str | None = None) -> Applied:
        """Define an asset and, permanently, the number of decimal places of its main unit."""
        applied = await self.ask(requests.define_asset(code, scale, command_id))
        self._scales = None
        return applied

    async def open_wallet(
        self, wallet: str, metadata: Mapping[str, str] | None = None, *, command_id: str | None = None
    ) -> Applied:
        """Open a wallet.  A name that starts with ``@`` makes a system wallet, which may go below zero."""
        return await self.ask(requests.open_wallet(wallet, metadata, command_id))

    async def pay(
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
        return await self.post(
            [Leg(source, to, amount, asset)],
            reference=reference,
            metadata=metadata,
            command_id=command_id,
            dry_run=dry_run,
        )

    async def post(
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
        """Move money along all the legs at once, or along none.

        ``if_version`` gives the versions that wallets must have; ``valid_until`` the time, by the daemon's clock, until
        which the command may be decided, or ``valid_for_seconds`` the seconds after the daemon received it; with
        ``dry_run`` nothing is changed.  Raises TypeError for a float and ValueError for an amount finer than the
        asset's smallest unit, before anything is sent.
        """
        postings = [(leg.source, leg.to, leg.asset, await self._units(leg)) for leg in legs]
        return await self.ask(
            requests.post(
                postings,
                reference=reference,
                metadata=metadata,
                command_id=command_id,
                if_version=if_version,
                valid_until=valid_until,
                valid_for_seconds=valid_for_seconds,
                dry_run=dry_run,
            )
        )

    async def submit(self, command: AnyCommand) -> Applied:
        """Send any command of ``walletd.vocabulary.commands``: holds, limits, freezes, refunds, batches.

        Amounts in it are strings of smallest units; ``new_command_id()`` makes an id.
        """
        return await self.ask(requests.submit(command))

    async def batch(
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
        return batch_results(await self.ask(requests.batch(commands, atomic, command_id, dry_run)))

    # --- clients ---------------------------------------------------------------------------------------------------

    async def create_client(
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
        expiry = clients.Expiry(expires_at, expires_in_seconds)
        return await self.ask(clients.create_client(client, scopes, token, expiry, addresses, budget, command_id))

    async def update_client(
        self,
        client: str,
        *,
        scopes: Iterable[str] | None = None,
        addresses: Iterable[str] | None = None,
        budget: Mapping[str, int] | None = None,
        command_id: str | None = None,
    ) -> Applied:
        """Change a client's scopes, budget or addresses; without an admin's rights, narrow one's own."""
        return await self.ask(clients.update_client(client, scopes, addresses, budget, command_id))

    async def rotate_client(
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
        expiry = clients.Expiry(expires_at, expires_in_seconds)
        overlap = clients.Expiry(overlap_until, overlap_for_seconds)
        return await self.ask(clients.rotate_client(client, token, expiry, overlap, command_id))

    async def revoke_client(self, client: str, *, command_id: str | None = None) -> Applied:
        """Revoke a client permanently, with its viewing keys."""
        return await self.ask(clients.revoke_client(client, command_id))

    async def clients(self) -> AsyncIterator[m.ClientView]:
        """The clients by name: all for an admin, otherwise this client and its viewing keys."""
        after: str | None = None
        while True:
            page = await self.ask(clients.client_page(after, PAGE))
            for client in page.clients:
                yield client
            if (after := page.next) is None:
                return

    # --- reads -----------------------------------------------------------------------------------------------------

    async def assets(self, *, refresh: bool = False) -> dict[str, int]:
        """Every asset's scale by its code; requested once and kept, because a scale never changes."""
        if self._scales is None or refresh:
            self._scales = await all_scales(self.ask)
        return dict(self._scales)

    async def wallet(self, wallet: str) -> m.WalletView:
        """A wallet with all its parts."""
        return await whole_wallet(self.ask, wallet)

    async def wallets(
        self, prefix: str = "", *, status: WalletStatus | str | None = None, metadata: Mapping[str, str] | None = None
    ) -> AsyncIterator[m.WalletView]:
        """The wallets by name: those whose names start with the prefix, with this status and these metadata."""
        page = await self.wallet_page(prefix, status=status, metadata=metadata)
        while True:
            for wallet in page.wallets:
                yield await with_rest(self.ask, wallet)
            if page.next is None:
                return
            page = await self.wallet_page(prefix, page.next, status=status, metadata=metadata)

    async def wallet_page(
        self,
        prefix: str = "",
        after: str | None = None,
        limit: int = PAGE,
        *,
        status: WalletStatus | str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> m.WalletPage:
        """One page of wallets; its ``next`` is the ``after`` of the following one.  A page of a search may be empty."""
        return await self.ask(requests.wallet_page(prefix, after, limit, status, metadata))

    async def holds(self, wallet: str, *, also_closed: bool = False) -> AsyncIterator[HoldView]:
        """The open holds of a wallet in order of placing, or all that it ever had."""
        after: str | None = None
        while True:
            page = await self.ask(requests.hold_page(wallet, also_closed, after, PAGE))
            for hold in page.holds:
                yield hold
            if (after := page.next) is None:
                return

    async def hold(self, wallet: str, hold: str) -> HoldView:
        """A hold of a wallet by its id, such as ``h12``."""
        return await self.ask(requests.hold(wallet, hold))

    async def balance(
        self, wallet: str, asset: str | None = None, *, as_of: int | datetime | None = None
    ) -> m.Balances:
        """A wallet's balances, of one asset or of all, in smallest units; with ``as_of``, a sequence or a time, as of
        then.
        """
        return await all_balances(self.ask, wallet, asset, as_of)

    async def balances(
        self, wallets: Iterable[str], asset: str | None = None, *, as_of: int | datetime | None = None
    ) -> m.Balances:
        """The present or past balances of up to a hundred wallets, at one moment, which its ``sequence`` identifies."""
        return await all_balances(self.ask, list(wallets), asset, as_of)

    async def statement(
        self,
        wallet: str,
        asset: str | None = None,
        *,
        since: int | datetime | None = None,
        until: int | datetime | None = None,
        counterparty: str | None = None,
        kind: str | None = None,
        newest_first: bool = False,
    ) -> AsyncIterator[m.StatementLine]:
        """A wallet's movements, line by line, from ``since`` on and before ``until``, each a sequence or a time."""
        chosen = Range(since, until, counterparty, kind)
        cursor: str | None = None
        while True:
            page = await self.ask(requests.statement_page(wallet, asset, newest_first, cursor, PAGE, chosen))
            for line in page.lines:
                yield line
            if (cursor := page.next) is None:
                return

    async def statement_page(
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
        return await self.ask(requests.statement_page(wallet, asset, newest_first, cursor, limit, chosen))

    async def transfer(self, transfer: str) -> m.TransferView:
        """A transfer by its id, such as ``t12``."""
        return await self.ask(requests.transfer(transfer))

    async def entry(self, *, sequence: int | None = None, command_id: str | None = None) -> EntryView:
        """A journal entry, by its sequence or by the command id that this client gave it."""
        return await self.ask(requests.entry(sequence, command_id))

    async def entry_page(self, after: int = 0, limit: int = PAGE) -> EntryPage:
        """One page of the journal, after the sequence ``after``."""
        return await self.ask(requests.entry_page(after, limit))

    async def ping(self) -> m.Pong:
        """The daemon's clock and head."""
        return await self.ask(requests.ping())

    async def status(self) -> o.DaemonStatus:
        """The daemon at a glance."""
        return await self.ask(requests.status())

    async def audit(self) -> o.AuditReport:
        """The sums of all balances per asset."""
        return await whole_audit(self.ask)

    async def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Any method by its name, with its params as sent; the result as received."""
        return await self.ask(requests.raw(method, params))

    async def ask(self, request: Request[Answer]) -> Answer:
        """Send a request, as often as necessary, and return its result."""
        task = trio.lowlevel.current_task()
        exchange: Exchange[Answer] = self._conversation.begin(request, lambda _: trio.lowlevel.reschedule(task))
        self._link.wake()

        def abandon(_: Any) -> trio.lowlevel.Abort:
            self._conversation.abandon(exchange)
            return trio.lowlevel.Abort.SUCCEEDED

        with trio.move_on_after(self._deadline_seconds):
            await trio.lowlevel.wait_task_rescheduled(abandon)
        if not exchange.is_over:
            raise exchange.overdue(self._deadline_seconds)
        return exchange.outcome()

    # --- streams ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def subscribe(
        self,
        *,
        wallets: Sequence[str] | None = None,
        prefix: str | None = None,
        all: bool = False,
        after: m.Cursor | Literal[0] | None = None,
        snapshot: bool = False,
    ) -> AsyncGenerator[EventStream]:
        """Watch wallets live: exactly one of ``wallets``, ``prefix`` and ``all``.

        ``after`` resumes from a cursor (0 is everything), ``snapshot`` starts with the present balances; with neither,
        the stream starts at the head.  The stream outlives connections without a gap or a duplicate.
        """
        stream = await self.open_stream(wallets=wallets, prefix=prefix, all=all, after=after, snapshot=snapshot)
        try:
            yield stream
        finally:
            stream.close()

    async def open_stream(
        self,
        *,
        wallets: Sequence[str] | None = None,
        prefix: str | None = None,
        all: bool = False,
        after: m.Cursor | Literal[0] | None = None,
        snapshot: bool = False,
    ) -> EventStream:
        """``subscribe`` without its block; the caller closes the stream."""
        watched = requests.given(wallets=wallets, prefix=prefix, all=all or None)
        stream = EventStream(self._conversation, self._link, watched, after, snapshot)
        with trio.move_on_after(self._deadline_seconds):
            try:
                await stream.begun()
            except BaseException:
                stream.close()
                raise
        if not stream.has_begun:
            stream.close()
            raise NotReachable(f"stream.subscribe was not answered within {self._deadline_seconds:g} s")
        return stream

    # --- amounts ---------------------------------------------------------------------------------------------------

    async def main_units(self, units: int | str, asset: str) -> Decimal:
        """Smallest units, as in every result, in the asset's main unit: ``"1250"`` of EUR/2 is ``12.50``.

        Exact for any size.  Raises RequestFailed with asset_not_found.
        """
        return main_units(units, await self._scale(asset))

    async def _units(self, leg: Leg) -> int:
        return smallest_units(leg.amount, await self._scale(leg.asset) if needs_scale(leg.amount) else 0)

    async def _scale(self, asset: str) -> int:
        scales = await self.assets()
        if asset not in scales:
            scales = await self.assets(refresh=True)
        if asset not in scales:
            raise no_such_asset(asset)
        return scales[asset]
