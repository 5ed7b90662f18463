"""What the clients read: one method for each question, the same with trio, with asyncio and without either.

    async for line in client.statement("alice", "EUR"):
        print(line.amount, line.counterparty)

Nothing here waits by itself: ``ask`` does, which each client has in its own way.  ``sync_reads`` is made from this
file.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from walletd.client import clients, requests
from walletd.client.errors import no_such_asset
from walletd.client.requests import Answer, Range, Request
from walletd.client.results import Amount, EntryPage, EntryView, main_units, needs_scale, smallest_units
from walletd.protocol import messages as m
from walletd.protocol.messages import operator as o
from walletd.protocol.messages.holds import HoldView
from walletd.vocabulary.states import WalletStatus

PAGE = 500
"""The number of rows that an iterator requests at a time."""


class Reads(ABC):
    """The questions that a client asks."""

    _scales: dict[str, int] | None = None

    @abstractmethod
    async def ask(self, request: Request[Answer]) -> Answer:
        """Send a request, as often as necessary, and return its result."""

    async def assets(self, *, refresh: bool = False) -> dict[str, int]:
        """Every asset's scale by its code; requested once and kept, because a scale never changes."""
        if self._scales is None or refresh:
            self._scales = await self._all_scales()
        return dict(self._scales)

    async def wallet(self, wallet: str) -> m.WalletView:
        """A wallet with all its parts."""
        return await self._with_rest(await self.ask(requests.wallet(wallet)))

    async def wallets(
        self, prefix: str = "", *, status: WalletStatus | str | None = None, metadata: Mapping[str, str] | None = None
    ) -> AsyncIterator[m.WalletView]:
        """The wallets by name: those whose names start with the prefix, with this status and these metadata."""
        page = await self.wallet_page(prefix, status=status, metadata=metadata)
        while True:
            for wallet in page.wallets:
                yield await self._with_rest(wallet)
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
        return await self._all_balances(wallet, asset, as_of)

    async def balances(
        self, wallets: Iterable[str], asset: str | None = None, *, as_of: int | datetime | None = None
    ) -> m.Balances:
        """The present or past balances of up to a hundred wallets, at one moment, which its ``sequence`` identifies."""
        return await self._all_balances(list(wallets), asset, as_of)

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
        async for page in self.statement_pages(
            wallet,
            asset,
            since=since,
            until=until,
            counterparty=counterparty,
            kind=kind,
            newest_first=newest_first,
        ):
            for line in page.lines:
                yield line

    async def statement_pages(
        self,
        wallet: str,
        asset: str | None = None,
        *,
        since: int | datetime | None = None,
        until: int | datetime | None = None,
        counterparty: str | None = None,
        kind: str | None = None,
        newest_first: bool = False,
        limit: int = PAGE,
    ) -> AsyncIterator[m.Statement]:
        """The pages of a statement, each with the posted balances at both ends of the whole range."""
        chosen = Range(since, until, counterparty, kind)
        cursor: str | None = None
        while True:
            page = await self.ask(requests.statement_page(wallet, asset, newest_first, cursor, limit, chosen))
            yield page
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
        whole = await self.ask(requests.audit())
        while whole.next is not None:
            page = await self.ask(requests.audit(whole.next))
            found = tuple(dict.fromkeys(whole.violations + page.violations))
            whole = msgspec.structs.replace(whole, totals=whole.totals + page.totals, violations=found, next=page.next)
        return whole

    async def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Any method by its name, with its params as sent; the result as received."""
        return await self.ask(requests.raw(method, params))

    async def clients(self) -> AsyncIterator[m.ClientView]:
        """The clients by name: all for an admin, otherwise this client and its viewing keys."""
        after: str | None = None
        while True:
            page = await self.ask(clients.client_page(after, PAGE))
            for client in page.clients:
                yield client
            if (after := page.next) is None:
                return

    # --- amounts ---------------------------------------------------------------------------------------------------

    async def main_units(self, units: int | str, asset: str) -> Decimal:
        """Smallest units, as in every result, in the asset's main unit: ``"1250"`` of EUR/2 is ``12.50``.

        Exact for any size.  Raises RequestFailed with asset_not_found.
        """
        return main_units(units, await self._scale(asset))

    async def _units(self, amount: Amount, asset: str) -> int:
        return smallest_units(amount, await self._scale(asset) if needs_scale(amount) else 0)

    async def _scale(self, asset: str) -> int:
        scales = await self.assets()
        if asset not in scales:
            scales = await self.assets(refresh=True)
        if asset not in scales:
            raise no_such_asset(asset)
        return scales[asset]

    # --- what does not fit into one answer -------------------------------------------------------------------------

    async def _all_scales(self) -> dict[str, int]:
        page = await self.ask(requests.assets())
        scales: dict[str, int] = {record.asset: record.scale for record in page.assets}
        while page.next is not None:
            page = await self.ask(requests.assets(page.next))
            scales.update((record.asset, record.scale) for record in page.assets)
        return scales

    async def _with_rest(self, view: m.WalletView) -> m.WalletView:
        """The wallet, completed with the balances that did not fit into its answer, which come without their room."""
        if view.next is None:
            return view
        place = m.BalancePlace(view.wallet, view.next)
        rest = await self._all_balances(view.wallet, None, view.sequence, place)
        return msgspec.structs.replace(view, balances=view.balances + rest.balances, next=None)

    async def _all_balances(
        self,
        wallet: str | list[str],
        asset: str | None,
        as_of: int | datetime | None = None,
        after: m.BalancePlace | None = None,
    ) -> m.Balances:
        """The wallets' present or past balances, after a place among them; later pages are as of the first."""
        page = await self.ask(requests.balances(wallet, asset, as_of, after))
        whole, point = page, page.time if as_of is None else as_of
        while page.next is not None:
            page = await self.ask(requests.balances(wallet, asset, point, page.next))
            whole = msgspec.structs.replace(whole, balances=whole.balances + page.balances, next=None)
        return whole
