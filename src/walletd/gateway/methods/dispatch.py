"""Dispatch: from a permitted call to the function that answers it.

One function for each method of the protocol; the tables at the end are complete by an assertion at import.  A command,
or a read of one wallet's present state, is answered from memory, without a task; a call that needs the read tables or
the journal runs as a task.  Every read of the books follows the commands that the same session sent before it and
everything acknowledged to any client; if such a command is not decided yet, even a read from memory waits for it.
"""

import logging
from collections.abc import Awaitable, Callable
from itertools import takewhile

import msgspec
import trio

from walletd.contract import document as contract
from walletd.gateway.audit_trail import ACTS, WHOLE_READS
from walletd.gateway.endpoint import Asked, ClientEndpoint
from walletd.gateway.methods.batches import check_batch
from walletd.gateway.methods.commands import command
from walletd.gateway.methods.entries import entry_get, entry_list, grant_of, shown_to, transfer_get
from walletd.gateway.methods.operations import OPERATIONS
from walletd.gateway.methods.reads import (
    balance_get,
    balances_get,
    check_reads,
    is_small,
    statement_get,
    wallet_get,
    wallet_list,
)
from walletd.protocol import messages as m
from walletd.protocol.errors import InvalidParams
from walletd.protocol.messages.journal import JournalBlock
from walletd.protocol.methods import METHODS, Kind
from walletd.protocol.pages import PageRoom
from walletd.sessions.client_view import client_page
from walletd.sessions.session import Call
from walletd.streams.publisher import Subscription, Watched
from walletd.tables.writer import ReadTablesStand
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.fatal import FATAL
from walletd.vocabulary.histories import about_lost, given_up
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import DaemonState
from walletd.wallets.entries import unavailable
from walletd.wallets.submission import Behind, Submission

log = logging.getLogger(__name__)

MOST_ASSETS = 10_000
"""The limit of one page: some 50 ms of a thread."""


def answer(endpoint: ClientEndpoint, call: Call) -> None:
    """Have the call answered, now or later, exactly once.  Raises InvalidParams if params do not fit together."""
    name = call.method.name
    if call.method.kind is Kind.COMMAND:
        if endpoint.parked and call.params.dry_run:
            check_batch(call.params)
            _ask(endpoint, call)
        else:
            command(endpoint, call)
        return
    check_params(call)
    if name in ACTS or name in WHOLE_READS:
        _note(endpoint, call)
    if name in AT_ONCE:
        AT_ONCE[name](endpoint, call)
    elif name in FROM_BOOKS and is_small(call.params):
        FROM_BOOKS[name](endpoint, call, _behind(endpoint, call))
    elif name in FROM_MEMORY and not endpoint.parked and endpoint.written <= endpoint.services.publisher.head:
        FROM_MEMORY[name](endpoint, call)
    else:
        _ask(endpoint, call)


def _note(endpoint: ClientEndpoint, call: Call) -> None:
    """Have the audit log tell of the call; of streams, only of those of the whole ledger."""
    if isinstance(call.params, m.Subscribe) and not call.params.all:
        return
    endpoint.services.audit.acted(endpoint.connection_id, call.method.name, msgspec.to_builtins(call.params))


def _ask(endpoint: ClientEndpoint, call: Call) -> None:
    """Have the read answered after the entries that it must show."""
    behind = endpoint.parked_ever if endpoint.parked else 0
    _wait(endpoint, Asked(call, max(endpoint.written, endpoint.services.publisher.head), behind))


def _wait(endpoint: ClientEndpoint, asked: Asked) -> None:
    """Have the read answered after those before it; refuse it if they are more than the client's share is enough for:
    a client that sends one read at a time has to wait, one that sends thousands is told so.
    """
    if endpoint.reads and (payer := endpoint.payer) is not None:
        spent = endpoint.services.budgets.processor_refusal(payer)
        if spent is not None:
            endpoint.refuse(asked.call, Declined(Reason.QUOTA_EXCEEDED, spent))
            return
    endpoint.reads.append(asked)
    if len(endpoint.reads) == 1:
        endpoint.services.tasks.start_soon(_answer_reads, endpoint)


def _behind(endpoint: ClientEndpoint, call: Call) -> Behind:
    """The entry that a read of books must not precede, once it has its wallets' turns: then a command that was sent
    before it to one of these wallets is decided, and none that was sent after it.  If one to other wallets is not
    decided, the read waits for that and is made again.
    """
    if not endpoint.parked:
        written = endpoint.written
        return lambda: written
    asked = Asked(call, 0, endpoint.parked_ever)

    def behind() -> int | None:
        if endpoint.undecided(asked.behind) is None:
            return endpoint.written
        _wait(endpoint, asked)
        return None

    return behind


async def _answer_reads(endpoint: ClientEndpoint) -> None:
    """One after the other, each only when there is space for its answer.

    A few bytes can request a megabyte: of a session that pipelines thousands of pages, one is read at a time, so that
    it fills neither the memory nor the queue before the disk, where others wait too.
    """
    while endpoint.reads:
        await endpoint.wait_for_room()
        if endpoint.is_over:
            for asked in endpoint.reads:
                endpoint.forget(asked.call)
            endpoint.reads.clear()
            return
        await _answer_read(endpoint, endpoint.reads[0])
        endpoint.reads.popleft()


async def _answer_read(endpoint: ClientEndpoint, asked: Asked) -> None:
    """Raises only failures that must end the daemon."""
    call, visibility, turns = asked.call, endpoint.services.wallets.visibility, endpoint.services.reading
    while (submission := endpoint.undecided(asked.behind)) is not None:
        await _settled(submission)
    # A read behind no command does not wait for entries that the session wrote since.
    sequence = max(asked.sequence, endpoint.written) if asked.behind else asked.sequence
    try:
        if call.method.kind is Kind.COMMAND:
            async with turns.turn(endpoint.payer):
                command(endpoint, call)
        elif call.method.name in FROM_BOOKS and is_small(call.params):
            FROM_BOOKS[call.method.name](endpoint, call, lambda: sequence)
        elif call.method.name in FROM_MEMORY:
            await visibility.until_durable(sequence)
            FROM_MEMORY[call.method.name](endpoint, call)
        else:
            await visibility.until_projected(sequence)
            async with turns.turn(endpoint.payer):
                declined = await FROM_TABLES[call.method.name](endpoint, call)
            if declined is not None:
                endpoint.refuse(call, declined)
    except ReadTablesStand as full:
        endpoint.refuse(call, unavailable(full))
    except FATAL:
        raise
    except Exception:
        # It changed nothing, and concerns no other session.
        log.exception("internal error in %s", call.method.name)
        endpoint.refuse(call, Declined(Reason.INTERNAL_ERROR))


async def _settled(submission: Submission) -> None:
    settled = trio.Event()
    submission.followers.append(lambda answer: settled.set())
    await settled.wait()


# --- answered at once, whatever waits ------------------------------------------------------------------------------


def ping(endpoint: ClientEndpoint, call: Call) -> None:
    """The time that commands are judged by, and the head."""
    services = endpoint.services
    endpoint.reply(call, m.Pong(time=services.wallets.clock.moment(), head=services.publisher.head))


def daemon_status(endpoint: ClientEndpoint, call: Call) -> None:
    """The daemon at a glance."""
    endpoint.reply(call, endpoint.services.operator.status())


def daemon_compact(endpoint: ClientEndpoint, call: Call) -> None:
    """Start a compaction."""
    state, compaction = endpoint.services.operator.lifecycle(), endpoint.services.operator.compaction
    if state in (DaemonState.SERVING, DaemonState.COMPACTING):
        compaction.request(call.params.keep_entries)
        endpoint.reply(call, compaction.status)
    else:
        facts = {"why": f"the daemon is {state.value}", "retry_after_ms": 1000}
        endpoint.refuse(call, Declined(Reason.UNAVAILABLE, facts))


def stream_unsubscribe(endpoint: ClientEndpoint, call: Call) -> None:
    """End a stream."""
    subscription = endpoint.subscriptions.pop(call.params.subscription, None)
    if subscription is None:
        endpoint.refuse(call, Declined(Reason.SUBSCRIPTION_NOT_FOUND, {"subscription": call.params.subscription}))
        return
    endpoint.services.publisher.unsubscribe(subscription)
    endpoint.give_stream()
    endpoint.reply(call, m.Unsubscribed(subscription=subscription.id, sequence=subscription.previous))


# --- answered from memory ------------------------------------------------------------------------------------------


def client_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of the clients that this one may see."""
    register, grant = endpoint.services.admission.register, grant_of(endpoint)
    endpoint.reply(call, client_page(register.clients, grant, call.params, register.clock()))


# --- answered from the read tables and the journal -----------------------------------------------------------------


def check_params(call: Call) -> None:
    """Check params that exclude or require each other.  Raises InvalidParams."""
    params = call.params
    if isinstance(params, m.Subscribe):
        if [params.wallets is not None, params.prefix is not None, params.all].count(True) != 1:
            raise InvalidParams("wallets", "give exactly one of 'wallets', 'prefix' and 'all'")
        if params.after is not None and params.snapshot:
            raise InvalidParams(
                "snapshot", "'after' and 'snapshot' exclude each other: a snapshot starts at its own sequence"
            )
    if isinstance(params, m.GetEntry) and (params.sequence is None) == (params.command_id is None):
        raise InvalidParams("sequence", "give exactly one of 'sequence' and 'command_id'")
    check_reads(params)


async def rpc_discover(endpoint: ClientEndpoint, call: Call) -> None:
    """The contract, encoded once; it is long, and therefore sent like a page, when there is space for it."""
    endpoint.reply(call, msgspec.Raw(contract.encoded()))


async def asset_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of the assets."""
    found = await endpoint.services.stored.tables.assets(call.params.after or "", MOST_ASSETS + 1)
    page = tuple(takewhile(PageRoom().takes, found[:MOST_ASSETS]))
    endpoint.reply(call, m.Assets(assets=page, next=page[-1].asset if len(page) < len(found) else None))


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
    params, readings = call.params, endpoint.services.stored.tables
    if params.after is not None and given_up(endpoint.services.wallets.books.histories, params.after):
        return Declined(Reason.INVALID_CURSOR, {"field": "after"})
    page = await readings.list_holds(params.wallet, params.also_closed, params.after, params.limit)
    if not page.holds and page.next is None and not await readings.has_wallet(params.wallet):
        return Declined(Reason.UNKNOWN_WALLET, {"wallet": params.wallet})
    endpoint.reply(call, page)
    return None


async def daemon_audit(endpoint: ClientEndpoint, call: Call) -> None:
    """The sums of all balances."""
    audit = await endpoint.services.operator.audits.report(call.params.after)
    endpoint.services.operator.operations.audited(len(audit.violations))
    endpoint.reply(call, audit)


async def journal_read(endpoint: ClientEndpoint, call: Call) -> None:
    """Stored segments, packed."""
    services = endpoint.services
    block = await services.stored.history.block_after(call.params.after)
    result = JournalBlock(
        instance=services.about.instance,
        created_ns=services.about.created_at,
        epoch=services.about.epoch,
        head=services.publisher.head,
        block=block,
    )
    endpoint.reply(call, result)


# --- streams -------------------------------------------------------------------------------------------------------


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
    readings = endpoint.services.stored.tables
    if params.wallets is not None:
        page = await readings.some_wallets(params.wallets)
    else:
        page = await readings.list_wallets(params.prefix or "", None, m.MAX_SNAPSHOT_WALLETS)
    if page.next is not None or any(view.next is not None for view in page.wallets):
        return None
    return page


AT_ONCE: dict[str, Callable[[ClientEndpoint, Call], None]] = {
    "session.ping": ping,
    "daemon.status": daemon_status,
    "daemon.compact": daemon_compact,
    "stream.unsubscribe": stream_unsubscribe,
    **OPERATIONS,
}

FROM_BOOKS: dict[str, Callable[[ClientEndpoint, Call, Behind], None]] = {
    "wallet.get": wallet_get,
    "balance.get": balance_get,
}

FROM_MEMORY: dict[str, Callable[[ClientEndpoint, Call], None]] = {"client.list": client_list}

FROM_TABLES: dict[str, Callable[[ClientEndpoint, Call], Awaitable[Declined | None]]] = {
    "rpc.discover": rpc_discover,
    "asset.list": asset_list,
    "balance.get": balances_get,
    "wallet.list": wallet_list,
    "statement.get": statement_get,
    "transfer.get": transfer_get,
    "hold.get": hold_get,
    "hold.list": hold_list,
    "entry.get": entry_get,
    "entry.list": entry_list,
    "daemon.audit": daemon_audit,
    "journal.read": journal_read,
    "stream.subscribe": stream_subscribe,
}

ANSWERED_BY_THE_SESSION = {"session.authenticate"}
_commands = {name for name, method in METHODS.items() if method.kind is Kind.COMMAND}
assert (
    set(METHODS)
    == _commands | set(AT_ONCE) | set(FROM_BOOKS) | set(FROM_MEMORY) | set(FROM_TABLES) | ANSWERED_BY_THE_SESSION
)
