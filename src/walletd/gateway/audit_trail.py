"""The audit log: who was here, what operators did that no entry records, and who was refused.

    trail = AuditTrail()
    trail.begun(connection, Visit("shop", "4f2a91c0", "192.0.2.7", "shop/1"))
    trail.acted(connection, "daemon.drain", {})
    trail.refused("192.0.2.7")
    trail.forbidden(connection, "daemon.drain", "admin")
    trail.ended(connection, 1000, requests=17)
    nursery.start_soon(trail.run)

The journal has every command; this log has the rest.  Each line is an event with its facts, one JSON object, of the
logger ``walletd.audit``.  A token is never in it: only the first digits of its SHA-256, as ``client.list`` shows them.
What anybody can cause is bounded: of one kind, for each address or principal, so many lines a minute, and then one line
with the number of those left out.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import trio

from walletd.logs.repeats import AUDIT
from walletd.protocol.close_codes import CloseCode

LINES_A_MINUTE = 10
"""Of one kind, for one address or principal."""

KEPT_WINDOWS = 4096
"""Addresses and principals that are counted each by itself; all others share one window."""

KEPT_PRINCIPALS = 32
"""Principals whose acts are counted each by itself in the metrics; all others share a label."""

MINUTE = 60.0
OTHERS = "others"

SHOWN_OF_AN_AGENT = 100
"""Characters of what a client says it is."""

ACTS = frozenset({"daemon.log_level", "daemon.drain", "daemon.report", "daemon.audit", "daemon.compact"})
"""What an operator does that no entry records; each time has a line."""

WHOLE_READS = frozenset({"journal.read", "entry.list", "stream.subscribe"})
"""Reads of the whole ledger, as backups and exports make them, page by page: a session has one line for each method."""

ABNORMAL = 1006
_WORDS = {ABNORMAL: "gone"} | {code.value: code.name.lower() for code in CloseCode}

log = logging.getLogger(AUDIT)


SHOWN_OF_A_HASH = 8


class Visit(NamedTuple):
    """A session that has authenticated; ``token`` and ``certificate`` are the first digits of the SHA-256 of what it
    authenticated with, one of them empty.
    """

    principal: str
    token: str
    address: str
    agent: str
    certificate: str = ""


class AuditTrail:
    """Writes the audit log.  Synchronous; ``run`` reports each minute what was left out."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self.acts: Counter[tuple[str, str]] = Counter()
        """Acts of operators by principal and method, for the metrics."""
        self.refusals: Counter[str] = Counter()
        """Refused tokens and forbidden attempts, by kind, whether or not they have a line."""
        self._visits: dict[str, _Stay] = {}
        self._windows: dict[tuple[str, str], _Window] = {}
        self._counted: set[str] = set()

    def begun(self, connection: str, visit: Visit) -> None:
        """A session has authenticated."""
        is_told = self._may_tell("session_opened", visit.principal)
        self._visits[connection] = _Stay(visit, is_told, self._clock())
        if is_told:
            agent = visit.agent[:SHOWN_OF_AN_AGENT]
            _tell("session_opened", connection=connection, **visit._replace(agent=agent)._asdict())

    def ended(self, connection: str, code: int, requests: int) -> None:
        """The connection is gone, closed with this code; one that never authenticated leaves no line."""
        stay = self._visits.pop(connection, None)
        if stay is None or not (stay.is_told or stay.acts or self._may_tell("session_ended", stay.visit.principal)):
            return
        _tell(
            "session_ended",
            connection=connection,
            principal=stay.visit.principal,
            token=stay.visit.token,
            certificate=stay.visit.certificate,
            address=stay.visit.address,
            close_code=code,
            why=_WORDS.get(code, "other"),
            seconds=round(self._clock() - stay.since, 1),
            requests=requests,
            acts=dict(stay.acts),
        )

    def acted(self, connection: str, method: str, params: Mapping[str, Any]) -> None:
        """One of the ``ACTS``, or a part of one of the ``WHOLE_READS``."""
        stay = self._visits.get(connection)
        if stay is None:
            return
        principal, address = stay.visit.principal, stay.visit.address
        self.acts[(self._label(principal), method)] += 1
        stay.acts[method] += 1
        if stay.acts[method] == 1 if method in WHOLE_READS else self._may_tell(method, principal):
            _tell("act", connection=connection, principal=principal, address=address, method=method, params=params)

    def refused(self, address: str) -> None:
        """A token that is not valid was presented, in the handshake or by ``session.authenticate``."""
        self.refusals["token_refused"] += 1
        if self._may_tell("token_refused", address):
            _tell("token_refused", address=address)

    def forbidden(self, connection: str, method: str, scope: str) -> None:
        """A session asked for what its scopes do not permit."""
        self.refusals["forbidden"] += 1
        stay = self._visits.get(connection)
        principal, address = ("", "") if stay is None else (stay.visit.principal, stay.visit.address)
        if self._may_tell("forbidden", principal):
            _tell("forbidden", connection=connection, principal=principal, address=address, method=method, scope=scope)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report what was left out, until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(MINUTE)
            self.sum_up()

    def sum_up(self) -> None:
        """A line for each window that left something out; the next minute begins."""
        windows, self._windows = self._windows, {}
        for (event, key), window in windows.items():
            if window.left_out:
                _tell(event, of=key, left_out=window.left_out, seconds=MINUTE)

    def _may_tell(self, event: str, key: str) -> bool:
        window = self._windows.get((event, key))
        if window is None:
            if len(self._windows) >= KEPT_WINDOWS:
                key = OTHERS
            window = self._windows.setdefault((event, key), _Window())
        window.told += 1
        if window.told > LINES_A_MINUTE:
            window.left_out += 1
            return False
        return True

    def _label(self, principal: str) -> str:
        if principal not in self._counted and len(self._counted) >= KEPT_PRINCIPALS:
            return OTHERS
        self._counted.add(principal)
        return principal


class _Stay:
    __slots__ = ("acts", "is_told", "since", "visit")

    def __init__(self, visit: Visit, is_told: bool, since: float) -> None:
        self.visit = visit
        self.is_told = is_told
        self.since = since
        self.acts: Counter[str] = Counter()


class _Window:
    __slots__ = ("left_out", "told")

    def __init__(self) -> None:
        self.told = 0
        self.left_out = 0


def _tell(event: str, **facts: Any) -> None:
    facts = {name: fact for name, fact in facts.items() if fact not in ("", None, {})}
    log.info("%s %s", event, json.dumps(facts), extra={"audited": {"event": event, **facts}})
