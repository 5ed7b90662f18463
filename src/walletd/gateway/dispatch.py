"""Dispatch: from a permitted call to whoever answers it.

One function for each method of the protocol; the table at the end is complete by an assertion at import.  A command
or a read of one wallet is answered from memory, without a task; what needs the read tables or the journal runs as a
task, behind every command that the same session sent before: a session reads its own writes.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import trio

from walletd.gateway.commands import command
from walletd.gateway.endpoint import ClientEndpoint
from walletd.gateway.operations import OPERATIONS
from walletd.ledger.book import Book
from walletd.ledger.statement import movements_of
from walletd.protocol import contract
from walletd.protocol import messages as m
from walletd.protocol.errors import InvalidParams
from walletd.protocol.methods import METHODS, Kind
from walletd.protocol.session import Call
from walletd.vocabulary.error_codes import Reason
from walletd.vocabulary.identifiers import sequence_of
from walletd.wallets.projector import DurableEntry
from walletd.wallets.publisher import Subscription, Watched
from walletd.wallets.readings import view_of
from walletd.wallets.supervisor import Submission


class Refused(Exception):
    """A read that cannot be answered: the reason and its facts."""

    def __init__(self, reason: Reason, **facts: Any) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.facts = facts


def answer(endpoint: ClientEndpoint, call: Call) -> None:
    """Have the call answered, now or later, exactly once.  Raises InvalidParams where params do not fit together."""
    if call.method.kind is Kind.COMMAND:
        command(endpoint, call)
    elif call.method.name in FROM_MEMORY:
        FROM_MEMORY[call.method.name](endpoint, call)
    else:
        check_params(call)
        endpoint.reads.append(call)
        if len(endpoint.reads) == 1:
            endpoint.services.start(_answer_reads, endpoint)


async def _answer_reads(endpoint: ClientEndpoint) -> None:
    """One after the other, and each only when there is room for its answer.

    A few bytes can ask for a megabyte: a session that pipelines thousands of pages has one of them read at a time, so
    that it fills neither the memory nor the queue in front of the disk, where others wait too.
    """
    while endpoint.reads:
        await endpoint.wait_for_room()
        if endpoint.is_closed:
            endpoint.reads.clear()
            return
        await _answer_read(endpoint, endpoint.reads[0])
        endpoint.reads.popleft()


async def _answer_read(endpoint: ClientEndpoint, call: Call) -> None:
    for submission in list(endpoint.parked):
        if not submission.is_decided:
            await _decided(submission)
    try:
        await endpoint.services.supervisor.shown(endpoint.written)
        await FROM_TABLES[call.method.name](endpoint, call)
    except Refused as refused:
        endpoint.refuse(call, refused.reason, refused.facts)


async def _decided(submission: Submission) -> None:
    settled = trio.Event()
    submission.followers.append(lambda answer: settled.set())
    await settled.wait()


# --- answered from memory ------------------------------------------------------------------------------------------


def ping(endpoint: ClientEndpoint, call: Call) -> None:
    """The clock and the head."""
    endpoint.reply(call, m.Pong(time=endpoint.services.clock(), head=endpoint.services.publisher.head))


def rpc_discover(endpoint: ClientEndpoint, call: Call) -> None:
    """The contract, encoded once."""
    endpoint.reply(call, msgspec.Raw(contract.encoded()))


def wallet_get(endpoint: ClientEndpoint, call: Call) -> None:
    """A wallet from its book."""
    now = endpoint.services.clock()
    _read_book(endpoint, call, lambda book, sequence: view_of(book.record(), book.balance_records(now), sequence, now))


def balance_get(endpoint: ClientEndpoint, call: Call) -> None:
    """A wallet's balances from its book."""
    asset, now = call.params.asset, endpoint.services.clock()
    if asset is not None and asset not in endpoint.services.books.assets:
        endpoint.refuse(call, Reason.ASSET_NOT_FOUND, {"asset": asset})
        return

    def balances(book: Book, sequence: int) -> m.Balances:
        records = book.balance_records(now) if asset is None else (book.balance_record(asset, now),)
        return m.Balances(balances=records, sequence=sequence)

    _read_book(endpoint, call, balances)


def _read_book(endpoint: ClientEndpoint, call: Call, view: Callable[[Book, int], Any]) -> None:
    def reply(book: Book | None, sequence: int) -> None:
        if book is None:
            endpoint.refuse(call, Reason.UNKNOWN_WALLET, {"wallet": call.params.wallet})
        else:
            endpoint.reply(call, view(book, sequence))

    endpoint.services.supervisor.read_wallet(
        call.params.wallet, reply, lambda reason, facts: endpoint.refuse(call, reason, facts)
    )


def daemon_status(endpoint: ClientEndpoint, call: Call) -> None:
    """The daemon at a glance."""
    endpoint.reply(call, endpoint.services.status())


def stream_unsubscribe(endpoint: ClientEndpoint, call: Call) -> None:
    """End a stream."""
    subscription = endpoint.subscriptions.pop(call.params.subscription, None)
    if subscription is None:
        endpoint.refuse(call, Reason.SUBSCRIPTION_NOT_FOUND, {"subscription": call.params.subscription})
        return
    endpoint.services.publisher.unsubscribe(subscription)
    endpoint.reply(call, m.Unsubscribed(subscription=subscription.id, sequence=subscription.previous))


# --- answered from the read tables and the journal -----------------------------------------------------------------


def check_params(call: Call) -> None:
    """What the types cannot say: params that exclude or need each other.  Raises InvalidParams."""
    params = call.params
    if isinstance(params, m.Subscribe):
        if [params.wallets is not None, params.prefix is not None, params.all].count(True) != 1:
            raise InvalidParams("wallets", "exactly one of 'wallets', 'prefix' and 'all' says what to watch")
        if params.after is not None and params.snapshot:
            raise InvalidParams(
                "snapshot", "'after' and 'snapshot' exclude each other: a snapshot starts at its own sequence"
            )
    if isinstance(params, m.GetEntry) and (params.sequence is None) == (params.command_id is None):
        raise InvalidParams("sequence", "exactly one of 'sequence' and 'command_id' names the entry")
    if isinstance(params, m.GetStatement) and params.cursor is not None:
        _statement_cursor(params.cursor)


async def asset_list(endpoint: ClientEndpoint, call: Call) -> None:
    """Every asset."""
    endpoint.reply(call, m.Assets(assets=tuple(await endpoint.services.readings.assets())))


async def wallet_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of wallets."""
    params = call.params
    endpoint.reply(call, await endpoint.services.readings.list_wallets(params.prefix, params.after, params.limit))


async def statement_get(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of a wallet's statement."""
    params, readings = call.params, endpoint.services.readings
    after = None if params.cursor is None else _statement_cursor(params.cursor)
    page = await readings.statement(params.wallet, params.asset, params.newest_first, after, params.limit)
    if not page.lines and params.wallet not in await readings.books([params.wallet]):
        raise Refused(Reason.UNKNOWN_WALLET, wallet=params.wallet)
    endpoint.reply(call, page)


def _statement_cursor(cursor: str) -> tuple[int, int]:
    sequence, point, line = cursor.partition(".")
    if not (point and sequence.isascii() and sequence.isdigit() and line.isascii() and line.isdigit()):
        raise InvalidParams("cursor", "'cursor' must be the 'next' of the page before")
    if len(sequence) > 16 or len(line) > 6:
        raise InvalidParams("cursor", "'cursor' must be the 'next' of the page before")
    return int(sequence), int(line)


async def transfer_get(endpoint: ClientEndpoint, call: Call) -> None:
    """A transfer from its entry."""
    transfer = call.params.transfer
    sequence = sequence_of(transfer)
    if sequence > endpoint.services.publisher.head:
        raise Refused(Reason.TRANSFER_NOT_FOUND, transfer=transfer)
    durable = await endpoint.services.history.entry(sequence)
    entry = durable.entry
    movements = [movement for movement in movements_of(entry) if movement.transfer == transfer]
    if not movements:
        raise Refused(Reason.TRANSFER_NOT_FOUND, transfer=transfer)
    refunded = await endpoint.services.readings.transfer(transfer)
    view = m.TransferView(
        transfer=transfer,
        sequence=entry.sequence,
        time=entry.time,
        principal=entry.principal,
        command_id=entry.command.command_id,
        entry_hash=durable.leaf.hex(),
        kind=movements[0].kind,
        original=getattr(entry.command, "transfer", None),
        refunded=refunded.parts if refunded is not None else (),
        postings=tuple(m.PostingView(p.source, p.to, p.asset, str(p.amount)) for p in movements),
        reference=movements[0].reference,
        metadata=getattr(entry.command, "metadata", {}),
    )
    endpoint.reply(call, view)


async def hold_get(endpoint: ClientEndpoint, call: Call) -> None:
    """A hold as it stands now."""
    params = call.params
    view = await endpoint.services.readings.hold(params.hold)
    if view is None or view.wallet != params.wallet:
        raise Refused(Reason.HOLD_NOT_FOUND, wallet=params.wallet, hold=params.hold)
    endpoint.reply(call, view)


async def hold_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of a wallet's holds."""
    params, readings = call.params, endpoint.services.readings
    page = await readings.list_holds(params.wallet, params.also_closed, params.after, params.limit)
    if not page.holds and params.wallet not in await readings.books([params.wallet]):
        raise Refused(Reason.UNKNOWN_WALLET, wallet=params.wallet)
    endpoint.reply(call, page)


async def entry_get(endpoint: ClientEndpoint, call: Call) -> None:
    """An entry, by sequence or by command id."""
    params, services = call.params, endpoint.services
    sequence = params.sequence
    if sequence is None:
        sequence = services.index.find(call.principal, params.command_id)
    if sequence is None or not 1 <= sequence <= services.publisher.head:
        raise Refused(Reason.ENTRY_NOT_FOUND, asked=params.command_id if params.sequence is None else params.sequence)
    endpoint.reply(call, _entry_view(await services.history.entry(sequence)))


async def entry_list(endpoint: ClientEndpoint, call: Call) -> None:
    """A page of the journal."""
    params, services = call.params, endpoint.services
    entries: list[DurableEntry] = []
    while len(entries) < params.limit:
        more = await services.history.entries_after(params.after + len(entries))
        if not more:
            break
        entries.extend(more)
    page = tuple(_entry_view(durable) for durable in entries[: params.limit])
    endpoint.reply(call, m.EntryPage(entries=page, head=services.publisher.head))


def _entry_view(durable: DurableEntry) -> m.EntryView:
    return m.EntryView(entry=msgspec.Raw(durable.record), entry_hash=durable.leaf.hex())


async def daemon_audit(endpoint: ClientEndpoint, call: Call) -> None:
    """All balances summed up."""
    audit = await endpoint.services.readings.audit()
    endpoint.services.operations.audited(len(audit.violations))
    endpoint.reply(call, audit)


# --- streams -------------------------------------------------------------------------------------------------------


async def stream_subscribe(endpoint: ClientEndpoint, call: Call) -> None:
    """Begin a stream, behind a snapshot, a cursor or at the head."""
    params, services = call.params, endpoint.services
    if len(endpoint.subscriptions) >= services.limits.max_subscriptions:
        raise Refused(Reason.TOO_MANY_SUBSCRIPTIONS, limit=services.limits.max_subscriptions)
    mode, start = "live", services.publisher.head
    wallets: tuple[m.WalletView, ...] = ()
    if params.after is not None:
        mode, start = "replay", _check_cursor(endpoint, params.after)
    elif params.snapshot:
        page = await _snapshot(endpoint, params)
        mode, start, wallets = "snapshot", page.sequence, page.wallets
    if endpoint.is_closed:
        return
    endpoint.subscriptions_made += 1
    watched = Watched(params.wallets or (), prefix=params.prefix, everything=params.all)
    subscription = Subscription(endpoint.subscriptions_made, watched, endpoint, start)
    endpoint.subscriptions[subscription.id] = subscription
    subscribed = m.Subscribed(
        subscription=subscription.id,
        mode=mode,  # type: ignore[arg-type]
        epoch=services.epoch,
        start=start,
        head=services.publisher.head,
        wallets=wallets,
    )
    endpoint.reply(call, subscribed)
    services.publisher.subscribe(subscription)


def _check_cursor(endpoint: ClientEndpoint, after: m.Cursor | int) -> int:
    services = endpoint.services
    if isinstance(after, int):
        return 0
    if after.epoch != services.epoch:
        raise Refused(Reason.EPOCH_CHANGED, cursor_epoch=after.epoch, epoch=services.epoch)
    if after.sequence > services.publisher.head:
        raise Refused(Reason.FUTURE_CURSOR, cursor=after.sequence, head=services.publisher.head)
    return after.sequence


async def _snapshot(endpoint: ClientEndpoint, params: m.Subscribe) -> m.WalletPage:
    readings = endpoint.services.readings
    if params.wallets is not None:
        return await readings.some_wallets(params.wallets)
    page = await readings.list_wallets(params.prefix or "", None, m.MAX_SNAPSHOT_WALLETS)
    if page.next is not None:
        raise Refused(Reason.SNAPSHOT_TOO_LARGE, limit=m.MAX_SNAPSHOT_WALLETS)
    return page


FROM_MEMORY: dict[str, Callable[[ClientEndpoint, Call], None]] = {
    "session.ping": ping,
    "rpc.discover": rpc_discover,
    "wallet.get": wallet_get,
    "balance.get": balance_get,
    "daemon.status": daemon_status,
    "stream.unsubscribe": stream_unsubscribe,
    **OPERATIONS,
}

FROM_TABLES: dict[str, Callable[[ClientEndpoint, Call], Awaitable[None]]] = {
    "asset.list": asset_list,
    "wallet.list": wallet_list,
    "statement.get": statement_get,
    "transfer.get": transfer_get,
    "hold.get": hold_get,
    "hold.list": hold_list,
    "entry.get": entry_get,
    "entry.list": entry_list,
    "daemon.audit": daemon_audit,
    "stream.subscribe": stream_subscribe,
}

ANSWERED_BY_THE_SESSION = {"session.authenticate"}
_commands = {name for name, method in METHODS.items() if method.kind is Kind.COMMAND}
assert set(METHODS) == _commands | set(FROM_MEMORY) | set(FROM_TABLES) | ANSWERED_BY_THE_SESSION
