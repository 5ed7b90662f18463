"""Admission: the open connections, and the end of their sessions when a token is revoked, rotated out or expires.

    admission = Admission(register, authentication_seconds=10)
    admission.enter(endpoint)                           # closed unless it authenticates in time
    admission.review(records)                           # right after an entry about clients became durable
    await nursery.start(admission.run)                  # ends sessions at the moment their token expires
    await admission.answered()                          # at the end: no request is unanswered

A session's token is also checked at each request: these two make silent ones, such as streams, end in time.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Any, Protocol

import trio

from walletd.protocol.close_codes import CloseCode
from walletd.sessions.access import TokenRegister
from walletd.sessions.session import Session
from walletd.vocabulary.entries import ClientRecord
from walletd.vocabulary.identifiers import owner_of

LONGEST_SLEEP_SECONDS = 60.0
"""The wall clock may be set forward while the task sleeps: a silent session outlasts its token by at most this long."""

MOMENTS_UNPRUNED = 64
"""The number of moments beyond the number of tokens that may belong to tokens rotated out or revoked."""


class Endpoint(Protocol):
    """An open connection, as admission sees it."""

    session: Session
    is_closed: bool

    @property
    def peer(self) -> str:
        """The address of the other end."""
        ...

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        ...

    def end(self, code: int, reason: str) -> None:
        """Serve nothing more, end its streams and close the connection."""
        ...

    async def answered(self) -> None:
        """Return once no request of it is unanswered, or once it has left."""
        ...


class Admission:
    """The register of tokens, the open connections, and the moments at which tokens expire."""

    def __init__(self, register: TokenRegister, authentication_seconds: float = 10) -> None:
        self.register = register
        self.endpoints: set[Endpoint] = set()
        self._authentication_seconds = authentication_seconds
        self._unauthenticated: OrderedDict[Endpoint, float] = OrderedDict()
        """The deadline of each; in the order of their arrival, and so of their deadlines, too."""
        self._arrival = trio.Event()
        self._moments: list[datetime] = []
        self._known: set[datetime] = set()
        self._changed = trio.Event()

    def enter(self, endpoint: Endpoint) -> None:
        """Note that the connection is open.  If it has not authenticated yet, it must do so before its deadline."""
        self.endpoints.add(endpoint)
        if endpoint.session.grant is None:
            self._unauthenticated[endpoint] = trio.current_time() + self._authentication_seconds
            self._arrival.set()

    def leave(self, endpoint: Endpoint) -> None:
        """The connection is gone: nothing of it is kept."""
        self.endpoints.discard(endpoint)
        self._unauthenticated.pop(endpoint, None)

    async def answered(self) -> None:
        """Return once no session has an unanswered request; for the end, when no new ones are accepted."""
        while busy := [endpoint for endpoint in self.endpoints if endpoint.session.in_flight]:
            await busy[0].answered()

    def review(self, records: Sequence[ClientRecord]) -> None:
        """Note that these clients changed: end the sessions of their tokens, and of their keys', that are no longer
        valid.

        Sessions continue with what their token permits now: an overlap gives it another end.  O(sessions + tokens).
        """
        changed = {record.client for record in records}
        for endpoint in [endpoint for endpoint in self.endpoints if _is_one_of(endpoint.session, changed)]:
            self._judge(endpoint)
        self._expect(records)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        self._expect(self.register.clients.records.values())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_expired)
            nursery.start_soon(self._close_unauthenticated)
            task_status.started()

    async def _end_expired(self) -> None:
        while True:
            self._changed = trio.Event()
            with trio.move_on_after(self._seconds_to_next()):
                await self._changed.wait()
            if self._is_due():
                for endpoint in list(self.endpoints):
                    self._judge(endpoint)

    async def _close_unauthenticated(self) -> None:
        while True:
            await self._arrival.wait()
            self._arrival = trio.Event()
            while self._unauthenticated:
                await trio.sleep_until(next(iter(self._unauthenticated.values())))
                self._close_late(trio.current_time())

    def _close_late(self, now: float) -> None:
        while self._unauthenticated and next(iter(self._unauthenticated.values())) <= now:
            endpoint = next(iter(self._unauthenticated))
            del self._unauthenticated[endpoint]
            if endpoint.session.grant is None and not endpoint.session.is_ended:
                endpoint.close(CloseCode.AUTHENTICATION_TIMEOUT, "no authentication in time")

    @property
    def awaited_moments(self) -> int:
        """The number of moments at which sessions may have to end."""
        return len(self._moments)

    def _judge(self, endpoint: Endpoint) -> None:
        grant = endpoint.session.grant
        if grant is None or not (grant.token_sha256 or grant.is_certified):
            return
        now_granted = self.register.renewed(grant)
        if now_granted is not None and now_granted.is_valid_at(endpoint.peer):
            if now_granted.scopes == grant.scopes:
                endpoint.session.grant = now_granted
            else:  # Its streams show what the old scopes permitted.
                endpoint.end(CloseCode.RESTART, "the client's scopes have changed; come back in a moment")
            return
        endpoint.end(CloseCode.AUTHENTICATION_FAILED, "the token was revoked, rotated out or has expired")

    def _expect(self, records: Iterable[ClientRecord]) -> None:
        """Remember the moments at which their tokens end, soonest first; each of them once."""
        now = self.register.clock()
        for moment in {token.expires_at for record in records for token in record.tokens}:
            if moment is not None and moment > now and moment not in self._known:
                self._known.add(moment)
                heappush(self._moments, moment)
                if self._moments[0] == moment:
                    self._changed.set()
        if len(self._moments) > 2 * len(self.register.clients.tokens) + MOMENTS_UNPRUNED:
            self._forget_moments_of_no_token(now)

    def _forget_moments_of_no_token(self, now: datetime) -> None:
        """Remove the moments of tokens that live long and are rotated soon; rarely enough that each costs O(1)."""
        records = self.register.clients.records.values()
        ends = {token.expires_at for record in records for token in record.tokens}
        self._known = {moment for moment in ends if moment is not None and moment > now}
        self._moments = list(self._known)
        heapify(self._moments)

    def _is_due(self) -> bool:
        now, was_due = self.register.clock(), False
        while self._moments and self._moments[0] <= now:
            self._known.discard(heappop(self._moments))
            was_due = True
        return was_due

    def _seconds_to_next(self) -> float:
        if not self._moments:
            return LONGEST_SLEEP_SECONDS
        return min(LONGEST_SLEEP_SECONDS, max(0.0, (self._moments[0] - self.register.clock()).total_seconds()))


def _is_one_of(session: Session, clients: Set[str]) -> bool:
    """True if the session belongs to one of these clients, or to a viewing key of one."""
    grant = session.grant
    return grant is not None and (grant.principal in clients or owner_of(grant.principal) in clients)
