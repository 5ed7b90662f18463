"""Holds: one hold's present state, and a wallet's holds page by page."""

from walletd.gateway.endpoint import ClientEndpoint
from walletd.sessions.session import Call
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.histories import about_lost, given_up
from walletd.vocabulary.reasons import Reason


async def hold_get(endpoint: ClientEndpoint, call: Call) -> Declined | None:
    """A hold's present state."""
    params = call.params
    view = await endpoint.services.stored.tables.hold(params.hold)
    if view is None or view.wallet != params.wallet:
        lost = about_lost(endpoint.services.wallets.books.histories, params.hold)
        return Declined(Reason.HOLD_NOT_FOUND, {"wallet": params.wallet, "hold": params.hold, **lost})
    endpoint.reply(call, view)
    return None


async def hold_list(endpoint: ClientEndpoint, call: Call) -> Declined | None:
    """A page of a wallet's holds."""
    params, queries = call.params, endpoint.services.stored.tables
    if params.after is not None and given_up(endpoint.services.wallets.books.histories, params.after):
        return Declined(Reason.INVALID_CURSOR, {"field": "after"})
    page = await queries.list_holds(params.wallet, params.also_closed, params.after, params.limit)
    if not page.holds and page.next is None and not await queries.has_wallet(params.wallet):
        return Declined(Reason.UNKNOWN_WALLET, {"wallet": params.wallet})
    endpoint.reply(call, page)
    return None
