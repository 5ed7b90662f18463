"""Streams: where a subscription begins, and its end."""

from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.methods.entries import shown_to
from walletd.protocol import messages as m
from walletd.protocol.errors import InvalidParams
from walletd.sessions.session import Call
from walletd.streams.publisher import Subscription, Watched
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.reasons import Reason


def check_subscription(params: m.Subscribe) -> None:
    """Check params that exclude or require each other.  Raises InvalidParams."""
    if [params.wallets is not None, params.prefix is not None, params.all].count(True) != 1:
        raise InvalidParams("wallets", "give exactly one of 'wallets', 'prefix' and 'all'")
    if params.after is not None and params.snapshot:
        raise InvalidParams(
            "snapshot", "'after' and 'snapshot' exclude each other: a snapshot starts at its own sequence"
        )


async def stream_subscribe(endpoint: ClientEndpoint, call: Call) -> Declined | None:
    """Begin a stream, after a snapshot, from a cursor or at the head."""
    params, services = call.params, endpoint.services
    if len(endpoint.subscriptions) >= services.terms.limits.max_subscriptions:
        return Declined(Reason.TOO_MANY_SUBSCRIPTIONS, {"limit": services.terms.limits.max_subscriptions})
    mode, start = "live", services.publisher.head
    wallets: tuple[m.WalletView, ...] = ()
    if params.after is not None:
        declined = _check_cursor(endpoint, params.after)
        if declined is not None:
            return declined
        mode, start = "replay", 0 if isinstance(params.after, int) else params.after.sequence
    elif params.snapshot:
        page = await _snapshot(endpoint, params)
        if page is None:
            return Declined(Reason.SNAPSHOT_TOO_LARGE, {"limit": m.MAX_SNAPSHOT_WALLETS})
        mode, start, wallets = "snapshot", page.sequence, page.wallets
    grant = endpoint.session.grant
    if endpoint.is_over or grant is None:
        endpoint.forget(call)
        return None
    if (spent := endpoint.take_stream()) is not None:
        return Declined(Reason.QUOTA_EXCEEDED, spent)
    endpoint.subscriptions_made += 1
    watched = Watched(params.wallets or (), prefix=params.prefix, everything=params.all)
    subscription = Subscription(
        endpoint.subscriptions_made, watched, endpoint, start, shown_to(endpoint, grant), endpoint.payer
    )
    endpoint.subscriptions[subscription.id] = subscription
    subscribed = m.Subscribed(
        subscription=subscription.id,
        mode=mode,  # type: ignore[arg-type]
        epoch=services.about.epoch,
        start=start,
        head=services.publisher.head,
        wallets=wallets,
    )
    endpoint.reply(call, subscribed)
    services.publisher.subscribe(subscription)
    return None


def stream_unsubscribe(endpoint: ClientEndpoint, call: Call) -> None:
    """End a stream."""
    subscription = endpoint.subscriptions.pop(call.params.subscription, None)
    if subscription is None:
        endpoint.refuse(call, Declined(Reason.SUBSCRIPTION_NOT_FOUND, {"subscription": call.params.subscription}))
        return
    endpoint.services.publisher.unsubscribe(subscription)
    endpoint.give_stream()
    endpoint.reply(call, m.Unsubscribed(subscription=subscription.id, sequence=subscription.previous))


def _check_cursor(endpoint: ClientEndpoint, after: m.Cursor | int) -> Declined | None:
    epoch, head = endpoint.services.about.epoch, endpoint.services.publisher.head
    if isinstance(after, int):
        return None
    if after.epoch != epoch:
        return Declined(Reason.EPOCH_CHANGED, {"cursor_epoch": after.epoch, "epoch": epoch})
    if after.sequence > head:
        return Declined(Reason.FUTURE_CURSOR, {"cursor": after.sequence, "head": head})
    return None


async def _snapshot(endpoint: ClientEndpoint, params: m.Subscribe) -> m.WalletPage | None:
    """The wallets in one message; None if they do not fit."""
    queries = endpoint.services.stored.tables
    if params.wallets is not None:
        page = await queries.some_wallets(params.wallets)
    else:
        page = await queries.list_wallets(params.prefix or "", None, m.MAX_SNAPSHOT_WALLETS)
    if page.next is not None or any(view.next is not None for view in page.wallets):
        return None
    return page
