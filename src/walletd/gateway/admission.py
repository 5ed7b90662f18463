"""Admission: who is let in, and whose open sessions end when a token is revoked, rotated out or expires.

    admission = Admission(register)
    admission.guests.add(endpoint)
    admission.review()                                  # right after an entry about clients became durable
    await nursery.start(admission.run)                  # ends sessions at the moment their token expires

A session is judged by its token at each request too: these two make silent ones, such as streams, end in time.
"""

from datetime import datetime
from heapq import heapify, heappop
from typing import Any, Protocol

import trio

from walletd.protocol.access import TokenRegister
from walletd.protocol.session import Session

NOT_ADMITTED = 4401

LONGEST_SLEEP_SECONDS = 60.0
"""The wall clock may be put forward while the task sleeps: a silent session outlasts its token by at most so much."""


class Guest(Protocol):
    """An open connection, as far as it is let in or shown out."""

    session: Session
    is_closed: bool

    def notify(self, method: str, params: Any) -> None:
        """Say something unasked."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        ...

    def end(self, code: int, reason: str) -> None:
        """Serve nothing more, end its streams and close the connection."""
        ...


class Admission:
    """The register of tokens, the open connections, and the moments at which tokens expire."""

    def __init__(self, register: TokenRegister) -> None:
        self.register = register
        self.guests: set[Guest] = set()
        self._moments: list[datetime] = []
        self._changed = trio.Event()

    def review(self) -> None:
        """The clients changed: end the sessions of tokens that are not in force any more.  O(sessions + clients).

        Sessions go on with what their token permits now: an overlap gives it another end.
        """
        for guest in list(self.guests):
            self._judge(guest)
        self._expect()
        self._changed.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        self._expect()
        task_status.started()
        while True:
            self._changed = trio.Event()
            with trio.move_on_after(self._seconds_to_next()):
                await self._changed.wait()
            if self._is_due():
                for guest in list(self.guests):
                    self._judge(guest)

    def _judge(self, guest: Guest) -> None:
        grant = guest.session.grant
        if grant is None or not grant.token_sha256:
            return
        now_granted = self.register.grant_of_hash(grant.token_sha256)
        if now_granted is not None:
            guest.session.grant = now_granted
            return
        guest.end(NOT_ADMITTED, "the token was revoked, rotated out or has expired")

    def _expect(self) -> None:
        """The moments at which a token ends, soonest first."""
        records = self.register.clients.records.values()
        now = self.register.clock()
        ends = {token.expires_at for record in records for token in record.tokens}
        self._moments = [end for end in ends if end is not None and end > now]
        heapify(self._moments)

    def _is_due(self) -> bool:
        now, was_due = self.register.clock(), False
        while self._moments and self._moments[0] <= now:
            heappop(self._moments)
            was_due = True
        return was_due

    def _seconds_to_next(self) -> float:
        if not self._moments:
            return LONGEST_SLEEP_SECONDS
        return min(LONGEST_SLEEP_SECONDS, max(0.0, (self._moments[0] - self.register.clock()).total_seconds()))
