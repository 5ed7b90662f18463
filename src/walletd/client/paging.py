"""Paging: results that do not fit into one answer, requested page by page and put together.

    balances = await all_balances(client.ask, ["alice", "bob"], None)

All pages show one moment: the later ones are requested as of the first.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec

from walletd.client import requests
from walletd.protocol import messages as m
from walletd.protocol.messages import operator as o

AskOne = Callable[[Any], Awaitable[Any]]


async def all_scales(ask: AskOne) -> dict[str, int]:
    """Every asset's scale by its code."""
    page: m.Assets = await ask(requests.assets())
    scales: dict[str, int] = {record.asset: record.scale for record in page.assets}
    while page.next is not None:
        page = await ask(requests.assets(page.next))
        scales.update((record.asset, record.scale) for record in page.assets)
    return scales


async def whole_wallet(ask: AskOne, wallet: str) -> m.WalletView:
    """A wallet with all its balances; those that do not fit into the first answer come without their room."""
    return await with_rest(ask, await ask(requests.wallet(wallet)))


async def with_rest(ask: AskOne, view: m.WalletView) -> m.WalletView:
    """The wallet, completed with the balances that did not fit into its answer."""
    if view.next is None:
        return view
    rest = await all_balances(ask, view.wallet, None, view.sequence, m.BalancePlace(view.wallet, view.next))
    return msgspec.structs.replace(view, balances=view.balances + rest.balances, next=None)


async def whole_audit(ask: AskOne) -> o.AuditReport:
    """The sums of all assets, and every violation that an answer named."""
    whole: o.AuditReport = await ask(requests.audit())
    while whole.next is not None:
        page: o.AuditReport = await ask(requests.audit(whole.next))
        found = dict.fromkeys(whole.violations + page.violations)
        whole = msgspec.structs.replace(whole, totals=whole.totals + page.totals, violations=(*found,), next=page.next)
    return whole


async def all_balances(
    ask: AskOne,
    wallet: str | list[str],
    asset: str | None,
    as_of: int | datetime | None = None,
    after: m.BalancePlace | None = None,
) -> m.Balances:
    """The wallets' present or past balances, after a place among them."""
    page: m.Balances = await ask(requests.balances(wallet, asset, as_of, after))
    whole, point = page, page.time if as_of is None else as_of
    while page.next is not None:
        page = await ask(requests.balances(wallet, asset, point, page.next))
        whole = msgspec.structs.replace(whole, balances=whole.balances + page.balances, next=None)
    return whole
