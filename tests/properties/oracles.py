"""The tables and the properties as plain functions: what they say against a core, a session or a rule of access.

An empty list is praise.  A planted bug that leaves every list empty has survived.
"""

from collections.abc import Iterator
from functools import cache
from itertools import chain, islice
from types import ModuleType
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.ledger.cases import open_wallet, pay, posting, shop, transfer
from tests.ledger.core import Core
from tests.ledger.refusal_cases import REFUSALS
from tests.ledger.test_audit import FALSIFICATIONS, honest_history, violations_of
from tests.ledger.test_holds import situations_against
from tests.ledger.test_refusals import precedence_violations
from tests.ledger.test_transfers import CONDITIONS_THAT_HOLD, IN_ORDER
from tests.properties.programs import Step, find_disagreement, programs
from tests.protocol.test_access import NEEDS, PERMITTED, REQUESTS, SCOPES, unconditional
from tests.protocol.words import LIMITS, request
from walletd.vocabulary.entries import Refusal
from walletd.vocabulary.identifiers import Principal

LOTS = 16
PROGRAMS = 100
"""Of each lot, which is made when it is needed.  Hypothesis draws on the constants of whatever is loaded, so that one
lot alone may miss a bug today that it found yesterday."""

DEEP_FRAME = b'{"jsonrpc":"2.0","id":7,"method":"asset.list","params":' + b"[" * 100_000


@cache
def some_programs(lot: int) -> list[list[Step]]:
    """A few hundred random programs, others in each lot."""
    found: list[list[Step]] = []

    @seed(lot)
    @settings(
        max_examples=PROGRAMS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(program=programs)
    def collect(program: list[Step]) -> None:
        found.append(program)

    collect()
    return found


def tables_against(core: Core) -> list[str]:
    """What the tables of refusals, conditions, order and precedence say first; an exception is an answer, too."""
    tables = (_refusals_against, _conditions_against, _order_against, situations_against, precedence_violations)
    try:
        return list(islice(chain.from_iterable(table(core) for table in tables), 1))
    except (AssertionError, KeyError) as broken:
        return [f"a table cannot be run: {broken!r}"]


def _refusals_against(core: Core) -> Iterator[str]:
    for case in REFUSALS:
        verdict = case.arrange(shop(core)).decide(case.command)
        if not isinstance(verdict, Refusal) or verdict.reason is not case.reason:
            yield f"{case.situation}: {verdict}"
        elif msgspec.to_builtins(verdict.facts) != case.facts:
            yield f"{case.situation}: {verdict.facts}"


def _order_against(core: Core) -> Iterator[str]:
    for name, postings, after in IN_ORDER:
        ledger = shop(core).after(open_wallet("dave"))
        ledger.run(transfer(*(posting(*row) for row in postings)))
        if {place: ledger.posted(*place) for place in after} != after:
            yield name


def _conditions_against(core: Core) -> Iterator[str]:
    for name, conditions in CONDITIONS_THAT_HOLD:
        if isinstance(shop(core).decide(pay("alice", "bob", "EUR", 1, **conditions)), Refusal):
            yield name


def properties_against(core: Core, lots: int = LOTS) -> list[str]:
    """What the naive model says about the first of the programs that it disagrees on."""
    for program in chain.from_iterable(map(some_programs, range(lots))):
        try:
            complaint = find_disagreement(program, core)
        except (AssertionError, KeyError) as broken:
            complaint = f"a program cannot be run: {broken!r}"
        if complaint:
            return [complaint]
    return []


def audit_against(core: Core) -> list[str]:
    """Which falsified histories the core's audit lets pass, and whether it blames an honest one."""
    found = [name for name, falsify, finding in FALSIFICATIONS if not _finds(core, falsify(honest_history()), finding)]
    return found + violations_of(honest_history(), core)


def _finds(core: Core, history: Any, finding: str) -> bool:
    return any(finding in sentence for sentence in violations_of(history, core))


def access_against(modules: dict[str, ModuleType]) -> list[str]:
    """What the tables of access say."""
    access: Any = modules["walletd.sessions.access"]
    found = []
    for scope, need, covered in NEEDS:
        asked = access.Need(access.Right(need.right.value), *need[1:])
        if access.Grant(Principal("a-client"), (scope,)).permits(asked) != covered:
            found.append(f"{scope} {need}")
    for method, row in PERMITTED.items():
        for scope, expected in zip(SCOPES, row.split(), strict=True):
            if _permitted(modules, method, unconditional(method), scope) != (expected == "yes"):
                found.append(f"{scope} {method}")
    for name, method, params, scopes, permitted in REQUESTS:
        command_id = {"command_id": "c1"} if method == "transfer.post" else {}
        if _permitted(modules, method, params | command_id, *scopes) != permitted:
            found.append(f"{method} {name}")
    return found


def session_against(modules: dict[str, ModuleType]) -> list[str]:
    """What a session of these modules does with its bound of unanswered calls, with strangers and with odd frames."""
    found = []
    asked = _session(modules, "admin")
    taken = [_is_call(asked.receive(request("asset.list", {}))) for _ in range(5)]
    if taken != [True] * LIMITS.max_in_flight + [False] * (5 - LIMITS.max_in_flight):
        found.append(f"of five unanswered calls it takes {taken}")
    stranger = _session(modules)
    stranger.grant = None
    try:
        if _is_call(stranger.receive(request("asset.list", {}))):
            found.append("a stranger is served")
        if b"authentication_failed" not in stranger.receive(request("session.authenticate", {"token": "x"})).frame:
            found.append("any token will do")
        for frame in (b"{", b"[]", b"\xff", DEEP_FRAME, b'{"jsonrpc":"2.0","id":7,"method":"no.such"}'):
            asked.receive(frame)
    except (Exception, RecursionError) as broken:
        found.append(f"it raises {broken!r}")
    return found


def _permitted(modules: dict[str, ModuleType], method: str, params: Any, *scopes: str) -> bool:
    return _is_call(_session(modules, *scopes).receive(request(method, params)))


def _is_call(answer: Any) -> bool:
    """Whether the request may run; the types are those of the modules under test."""
    return not hasattr(answer, "frame")


def _session(modules: dict[str, ModuleType], *scopes: str) -> Any:
    access: Any = modules["walletd.sessions.access"]
    session: Any = modules["walletd.sessions.session"]
    return session.Session(access.TokenRegister(), LIMITS, access.Grant(Principal("a-client"), scopes))
