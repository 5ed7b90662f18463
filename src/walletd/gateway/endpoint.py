"""One client's end of a connection: frames in, calls passed to the functions that answer, replies and events out.

Everything here is synchronous: all frames of one read are handled together, and the resulting frames are queued on the
connection, which writes them in one piece.  An endpoint is also the outlet of its subscriptions.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import trio

from walletd.gateway.audit_trail import ABNORMAL
from walletd.gateway.services import Services
from walletd.protocol.close_codes import CloseCode
from walletd.protocol.envelope import AuthenticationTerms, Hello, WarningNotice
from walletd.protocol.errors import InvalidParams, failure, with_scale
from walletd.protocol.long_batches import LONG_FRAME_BYTES
from walletd.protocol.messages import StreamHeartbeat
from walletd.runtime.slices import SLICE_BYTES
from walletd.sessions.budgets import Account
from walletd.sessions.rates import Throttle
from walletd.sessions.session import Call, Reply, Session, notification, success
from walletd.streams.publisher import Subscription
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Refusal
from walletd.vocabulary.fatal import FATAL
from walletd.vocabulary.reasons import Reason
from walletd.wallets import load
from walletd.wallets.submission import Submission

log = logging.getLogger(__name__)

TOO_FAST = "requests keep arriving too fast although they are being refused: wait for retry_after_ms"


class Wire(Protocol):
    """The part of a connection that an endpoint needs."""

    peer: str
    """The address of the other end."""

    @property
    def queued_bytes(self) -> int:
        """The number of bytes queued and not written yet."""
        ...

    def send(self, payload: bytes) -> None:
        """Queue one text message."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close after the queued frames."""
        ...

    def read_on(self) -> None:
        """Read from the peer again: the endpoint is busy no more."""
        ...


class Parked(dict[Submission, int]):
    """Commands of a session that were not decided on arrival, oldest first, each with its number among them.

    Answered ones are removed, and the oldest once they are decided.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ever = 0
        """The number of them so far."""


class PendingRead(NamedTuple):
    """A read that waits for its turn, and the state that it must show: that of its arrival, however much follows."""

    call: Call
    sequence: int
    """The last entry that was acknowledged to any client, or decided for this session."""
    behind: int
    """The number of the last command that was parked before it; 0 if there is none."""


class ClientEndpoint:
    """A session, its connection, its unanswered commands and its subscriptions."""

    __slots__ = (
        "_all_answered",
        "_answer",
        "_room",
        "account",
        "connection_id",
        "is_closed",
        "parked",
        "reads",
        "services",
        "session",
        "subscriptions",
        "subscriptions_made",
        "unread",
        "wire",
        "written",
    )

    def __init__(
        self,
        services: Services,
        session: Session,
        wire: Wire,
        connection_id: str,
        answer: Callable[["ClientEndpoint", Call], None],
    ) -> None:
        self.services = services
        self.session = session
        self.wire = wire
        self.connection_id = connection_id
        self._answer = answer
        self.account: Account | None = None
        """The one that has the places of its unanswered calls."""
        self.is_closed = False
        self.written = 0
        """The last sequence that a command of this session was given."""
        self.parked = Parked()
        self.unread: deque[bytes] = deque()
        """Messages that are not handled yet, oldest first: a long one, in steps, and those that came behind it."""
        self.reads: deque[PendingRead] = deque()
        """Reads that are not answered yet, oldest first: of the tables, of the journal, or behind a parked command."""
        self.subscriptions: dict[int, Subscription] = {}
        self.subscriptions_made = 0
        self._room: trio.Event | None = None
        self._all_answered: trio.Event | None = None

    def park(self, submission: Submission) -> None:
        """Remember a command that was not decided on arrival: later reads wait for it."""
        self.parked.ever += 1
        self.parked[submission] = self.parked.ever

    def wrote(self, sequence: int) -> None:
        """Note that a command of this session has this entry: later reads show it."""
        if sequence > self.written:
            self.written = sequence

    def undecided(self, behind: int) -> Submission | None:
        """The oldest parked command that is not decided yet and whose number is at most ``behind``; ``written`` covers
        those before it.  O(1) for each parked command, over all calls.
        """
        while self.parked:
            submission, number = next(iter(self.parked.items()))
            if number > behind:
                break
            if not submission.is_decided:
                return submission
            del self.parked[submission]
            self.wrote(submission.sequence)
        return None

    @property
    def peer(self) -> str:
        """The address of the other end."""
        return self.wire.peer

    @property
    def payer(self) -> Account | None:
        """The account that pays for what is received and answered; None for a guest."""
        grant = self.session.grant
        return None if grant is None else self.services.budgets.account(grant.principal)

    # --- what the connection says ----------------------------------------------------------------------------------

    def opened(self) -> None:
        """The handshake is done: the server sends the first message, unless there is no place for the client."""
        services, grant = self.services, self.session.grant
        if self.session.is_ended:
            self.services.audit.refused(self.peer)
            self.close(CloseCode.AUTHENTICATION_FAILED, "the token is not valid at this address")
            return
        if grant is not None and self.session.take_place(grant) is not None:
            self.session.end()
            self.close(CloseCode.NO_PLACE, "too many connections; come back in a moment")
            return
        services.admission.enter(self)
        self.notify(
            "hello",
            Hello(
                server_version=services.about.server_version,
                instance=services.about.instance,
                epoch=services.about.epoch,
                lifecycle=services.operator.lifecycle(),
                connection=self.connection_id,
                auth=self._terms(),
                limits=self.session.limits,
                heartbeat_ms=services.terms.heartbeat_ms,
                node=services.operator.node(),
            ),
        )

    def _terms(self) -> AuthenticationTerms:
        grant = self.session.grant
        if grant is None:
            return AuthenticationTerms(required=True)
        return AuthenticationTerms(
            required=False,
            principal=grant.principal,
            scopes=grant.scopes,
            expires_at=grant.expires_at,
            budget=self.services.budgets.account(grant.principal).budget,
        )

    def received(self, messages: list[bytes]) -> None:
        """All messages of one read.  Those behind a long one wait for it."""
        if self.unread:
            self.unread += messages
            return
        throttle = self.session.throttle
        if throttle is not None:
            throttle.now = trio.current_time()
        session, knows = self.session, self.services.wallets.command_ids.knows
        for place, message in enumerate(messages):
            if len(message) >= LONG_FRAME_BYTES:
                self.unread += messages[place:]
                self.services.wallets.slices.work_later(self.payer, self._read_on())
                break
            # A few unanswered commands are within any share.
            has_its_share = session.in_flight >= load.SMALLEST_SHARE and self._has_its_share()
            self._take(session.receive(message, knows if has_its_share else None))
        if throttle is not None:
            self._heed(throttle)

    def _take(self, received: Call | Reply) -> None:
        if isinstance(received, Call):
            self._dispatch(received)
            return
        if received.declined is not None:
            self.services.counters.count(received.declined)
            self._note_refusal(received.declined)
        self.send(received.frame)

    @property
    def is_busy(self) -> bool:
        """True while nothing more should be read from the peer: a long message is not handled yet."""
        return bool(self.unread)

    def _read_on(self) -> Iterator[int]:
        """Handle what is unread, in steps; then the peer is read from again."""
        try:
            yield from self._read_in_steps()
        except FATAL:
            raise
        except Exception:
            log.exception("connection closed after an internal error")
            self.close(CloseCode.INTERNAL_ERROR, "internal error")
        self.unread.clear()
        self.wire.read_on()

    def _read_in_steps(self) -> Iterator[int]:
        session, throttle = self.session, self.session.throttle
        knows = self.services.wallets.command_ids.knows
        while self.unread and not self.is_closed:
            message = self.unread[0]
            if throttle is not None:
                throttle.now = trio.current_time()
            known = knows if self._has_its_share() else None
            if len(message) < LONG_FRAME_BYTES:
                self._take(session.receive(message, known))
                yield len(message)
            else:
                received = yield from session.receive_in_steps(message, known)
                yield SLICE_BYTES  # What it asks for has a slice of its own.
                self._take(received)
                yield SLICE_BYTES
            if throttle is not None:
                self._heed(throttle)
            self.unread.popleft()

    def _note_refusal(self, declined: Declined) -> None:
        """Have the audit log tell of a token that is not valid, and of what the scopes do not permit."""
        if declined.reason is Reason.AUTHENTICATION_FAILED:
            self.services.audit.refused(self.peer)
        elif declined.reason is Reason.FORBIDDEN:
            facts = declined.facts
            self.services.audit.forbidden(self.connection_id, facts["method"], str(facts.get("scope", "")))

    def _has_its_share(self) -> bool:
        """True if the daemon is pressed and this session has its full share of unanswered commands."""
        services = self.services
        return services.wallets.load.exceeds_share(self.session.in_flight, len(services.admission.endpoints))

    def _heed(self, throttle: Throttle) -> None:
        """Warn, and then close, a session that continues although it is refused."""
        if throttle.is_worn_out:
            self.close(CloseCode.RATE, TOO_FAST)
        elif throttle.needs_warning():
            self.notify("warning", WarningNotice(Reason.RATE_LIMITED.value, TOO_FAST, 1000, CloseCode.RATE))

    def drained(self) -> None:
        """The outbox fell below its low-water mark."""
        if self._room is not None:
            self._room.set()
            self._room = None

    def slow_close(self) -> tuple[int, str]:
        """The code and reason for closing a peer that reads nothing."""
        if self.subscriptions:
            last = max(subscription.previous for subscription in self.subscriptions.values())
            return CloseCode.SLOW_CONSUMER, f"slow consumer; last sequence {last}"
        return CloseCode.WRITE_STALLED, "the client does not read its replies"

    def closed(self, code: int | None) -> None:
        """The connection is gone.  Unanswered commands continue; their answers are kept for a client that asks
        again.
        """
        self.is_closed = True
        self.services.admission.leave(self)
        self.services.audit.ended(self.connection_id, code or ABNORMAL, self.session.calls)
        self._end_streams()
        self.drained()
        if self._all_answered is not None:
            self._all_answered.set()

    def _end_streams(self) -> None:
        for subscription in list(self.subscriptions.values()):
            self.services.publisher.unsubscribe(subscription)
            self.give_stream()
        self.subscriptions.clear()

    # --- answers ---------------------------------------------------------------------------------------------------

    def reply(self, call: Call, result: Any) -> None:
        """Answer a call with its result."""
        self.answer(call, success(call.id, result))

    def answer(self, call: Call, frame: bytes) -> None:
        """Answer a call with an encoded response."""
        self.session.answered(call.size)
        if self.account is not None:
            self.account.give_request(call.size)
        self.send(frame)
        if self._all_answered is not None and not self.session.in_flight:
            self._all_answered.set()

    async def answered(self) -> None:
        """Return once no call is unanswered, or the connection is gone."""
        if self.session.in_flight and not self.is_closed:
            self._all_answered = trio.Event()
            await self._all_answered.wait()

    def refuse(self, call: Call, why: Declined | Refusal) -> None:
        """Answer a call that was declined, or decided against, with the reason."""
        self.services.counters.count(why)
        self.answer(call, failure(call.id, why.reason, with_scale(why.facts, self.services.wallets.books.assets)))

    def refuse_params(self, call: Call, error: InvalidParams) -> None:
        """Answer a call whose params do not fit together."""
        declined = Declined(Reason.INVALID_PARAMS, {"field": error.field})
        self.services.counters.count(declined)
        self.answer(call, failure(call.id, *declined, message=error.sentence))

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.send(notification(method, params))

    def close(self, code: int, reason: str) -> None:
        """Close the connection after the queued frames."""
        self.wire.close(code, reason)

    def end(self, code: int, reason: str) -> None:
        """Serve nothing more, end the streams, and close after the queued frames."""
        self.session.end()
        self._end_streams()
        self.close(code, reason)

    @property
    def is_over(self) -> bool:
        """True if the peer is gone, so that answers have no destination."""
        return self.is_closed or self.session.is_ended

    def has_left(self) -> bool:
        """The same, for those who keep the question."""
        return self.is_over

    def send(self, frame: bytes) -> None:
        """Queue a frame; does nothing once the connection is gone."""
        if not self.is_closed:
            self.wire.send(frame)

    def _dispatch(self, call: Call) -> None:
        grant = self.session.grant
        account = self.account = None if grant is None else self.services.budgets.account(grant.principal)
        if account is not None and (spent := account.take_request(call.size)) is not None:
            self._refuse_places(call, spent)
            return
        try:
            self._answer(self, call)
        except InvalidParams as error:
            self.refuse_params(call, error)

    def _refuse_places(self, call: Call, spent: dict[str, Any]) -> None:
        """Refuse a call because all of the client's places are taken."""
        declined = Declined(Reason.QUOTA_EXCEEDED, spent)
        self.services.budgets.note(spent)
        self.services.counters.count(declined)
        self.session.answered(call.size)
        self.send(failure(call.id, *declined))

    def take_stream(self) -> dict[str, Any] | None:
        """Take the client's place for a stream: None, or the facts of the refusal."""
        spent = None if self.account is None else self.account.take("subscriptions")
        if spent is not None:
            self.services.budgets.note(spent)
        return spent

    def give_stream(self) -> None:
        """The stream has ended."""
        if self.account is not None:
            self.account.give("subscriptions")

    def forget(self, call: Call) -> None:
        """The call is dropped without an answer, because the session is over."""
        self.session.answered(call.size)
        if self.account is not None:
            self.account.give_request(call.size)

    # --- outlet of subscriptions -----------------------------------------------------------------------------------

    def has_room(self) -> bool:
        """True if the outbox accepts another event."""
        return self.wire.queued_bytes < self.services.terms.max_event_bytes

    async def wait_for_room(self) -> None:
        """Return once the outbox accepts events again, or the connection is gone."""
        while not (self.has_room() or self.is_closed):
            if self._room is None:
                self._room = trio.Event()
            await self._room.wait()

    def send_event(self, subscription: Subscription, sequence: int, record: bytes) -> None:
        """Queue an event."""
        self.send(self.services.events.frame(subscription.id, sequence, subscription.previous, record))

    def send_heartbeat(self, subscription: Subscription, head: int) -> None:
        """Queue a heartbeat."""
        self.notify("stream.heartbeat", StreamHeartbeat(subscription.id, self.services.about.epoch, head))
