"""Dispatch: from a permitted call to the function that answers it.

One function for each method of the protocol; the tables at the end are complete by an assertion at import.  A command,
or a read of one wallet's present state, is answered from memory, without a task; a call that needs the read tables or
the journal runs as a task.  Every read of the books follows the commands that the same session sent before it and
everything acknowledged to any client; if such a command is not decided yet, even a read from memory waits for it.
"""

import logging
from collections.abc import Awaitable, Callable

import msgspec
import trio

from walletd.contract import document as contract
from walletd.gateway.audit_trail import ACTS, WHOLE_READS
from walletd.gateway.endpoint import ClientEndpoint, PendingRead
from walletd.gateway.methods.batches import check_batch
from walletd.gateway.methods.commands import command
from walletd.gateway.methods.entries import entry_get, entry_list, transfer_get
from walletd.gateway.methods.holds import hold_get, hold_list
from walletd.gateway.methods.journal import journal_read
from walletd.gateway.methods.operations import OPERATIONS, daemon_audit
from walletd.gateway.methods.reads import (
    asset_list,
    balance_get,
    balances_get,
    check_reads,
    client_list,
    is_small,
    statement_get,
    wallet_get,
    wallet_list,
)
from walletd.gateway.methods.streams import check_subscription, stream_subscribe, stream_unsubscribe
from walletd.protocol import messages as m
from walletd.protocol.errors import InvalidParams
from walletd.protocol.methods import METHODS, Kind
from walletd.sessions.session import Call
from walletd.tables.writer import ReadTablesStand
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.fatal import FATAL
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.states import DaemonState
from walletd.wallets.entries import unavailable
from walletd.wallets.submission import Behind, Submission

NOT_REACHED_RETRY_MS = 500

log = logging.getLogger(__name__)


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
    if _at_least(endpoint, call) > endpoint.services.publisher.head:
        _ask(endpoint, call)
    elif name in AT_ONCE:
        AT_ONCE[name](endpoint, call)
    elif name in FROM_BOOKS and is_small(call.params):
        FROM_BOOKS[name](endpoint, call, _behind(endpoint, call))
    elif name in FROM_MEMORY and not endpoint.parked and endpoint.written <= endpoint.services.publisher.head:
        FROM_MEMORY[name](endpoint, call)
    else:
        _ask(endpoint, call)


def check_params(call: Call) -> None:
    """Check params that exclude or require each other.  Raises InvalidParams."""
    params = call.params
    if isinstance(params, m.Subscribe):
        check_subscription(params)
    if isinstance(params, m.GetEntry) and (params.sequence is None) == (params.command_id is None):
        raise InvalidParams("sequence", "give exactly one of 'sequence' and 'command_id'")
    check_reads(params)


def _note(endpoint: ClientEndpoint, call: Call) -> None:
    """Have the audit log tell of the call; of streams, only of those of the whole ledger."""
    if isinstance(call.params, m.Subscribe) and not call.params.all:
        return
    endpoint.services.audit.acted(endpoint.connection_id, call.method.name, msgspec.to_builtins(call.params))


def _ask(endpoint: ClientEndpoint, call: Call) -> None:
    """Have the read answered after the entries that it must show."""
    behind = endpoint.parked.ever if endpoint.parked else 0
    _wait(endpoint, PendingRead(call, max(endpoint.written, endpoint.services.publisher.head), behind))


def _wait(endpoint: ClientEndpoint, asked: PendingRead) -> None:
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
    asked = PendingRead(call, 0, endpoint.parked.ever)

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


async def _answer_read(endpoint: ClientEndpoint, asked: PendingRead) -> None:
    """Raises only failures that must end the daemon."""
    call, visibility, turns = asked.call, endpoint.services.wallets.visibility, endpoint.services.reading
    while (submission := endpoint.undecided(asked.behind)) is not None:
        await _settled(submission)
    # A read behind no command does not wait for entries that the session wrote since.
    sequence = max(asked.sequence, endpoint.written) if asked.behind else asked.sequence
    sequence = max(sequence, at_least := _at_least(endpoint, call))
    try:
        if (declined := await _until_reached(endpoint, at_least)) is not None:
            endpoint.refuse(call, declined)
        elif call.method.kind is Kind.COMMAND:
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


def _at_least(endpoint: ClientEndpoint, call: Call) -> int:
    """The entry that the client wants to be shown, 0 if it does not say.  On a node that follows, a stream's cursor
    says so: it may come from a node that was farther.
    """
    params, services = call.params, endpoint.services
    if not isinstance(params, m.Read):
        return 0
    cursor = params.after if isinstance(params, m.Subscribe) else None
    is_ours = isinstance(cursor, m.Cursor) and cursor.epoch == services.about.epoch
    if is_ours and services.operator.lifecycle() is DaemonState.FOLLOWING:
        assert isinstance(cursor, m.Cursor)
        return max(params.at_least or 0, cursor.sequence)
    return params.at_least or 0


async def _until_reached(endpoint: ClientEndpoint, at_least: int) -> Declined | None:
    """Wait a moment for the entry that the answer must show; the refusal if it does not come."""
    services = endpoint.services
    if await services.wallets.visibility.until_reached(at_least):
        return None
    facts = {"at_least": at_least, "head": services.publisher.head, "retry_after_ms": NOT_REACHED_RETRY_MS}
    return Declined(Reason.NOT_REACHED, facts | services.operator.leader())


async def _settled(submission: Submission) -> None:
    settled = trio.Event()
    submission.followers.append(lambda answer: settled.set())
    await settled.wait()


def ping(endpoint: ClientEndpoint, call: Call) -> None:
    """The time that commands are judged by, and the head."""
    services = endpoint.services
    endpoint.reply(call, m.Pong(time=services.wallets.clock.moment(), head=services.publisher.head))


async def rpc_discover(endpoint: ClientEndpoint, call: Call) -> None:
    """The contract, encoded once; it is long, and therefore sent like a page, when there is space for it."""
    endpoint.reply(call, msgspec.Raw(contract.encoded()))


AT_ONCE: dict[str, Callable[[ClientEndpoint, Call], None]] = {
    "session.ping": ping,
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
