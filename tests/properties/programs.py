"""Random programs: lists of commands over few wallets and assets, so that they collide; and one run beside the model.

find_disagreement(program)                 # None, or a sentence about the first step that differs
"""

from datetime import UTC, datetime, timedelta
from itertools import permutations, product
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from tests.ledger.core import REAL, Core
from tests.properties.model import APPLIED, Model
from walletd.ledger.book import reserved
from walletd.ledger.statement import movements_of
from walletd.vocabulary.commands import (
    AdjustHold,
    AnyCommand,
    BalanceCondition,
    CaptureHold,
    CloseWallet,
    DefineAsset,
    ExecuteBatch,
    ExpireHold,
    ExtendHold,
    FreezeWallet,
    OpenWallet,
    Part,
    PlaceHold,
    Posting,
    PostTransfer,
    RefundTransfer,
    UnfreezeWallet,
    UpdateWallet,
    VoidHold,
    WalletLimits,
    Window,
)
from walletd.vocabulary.entries import Effects, Entry, Refusal, decode_entry, encode_entry
from walletd.vocabulary.histories import History
from walletd.vocabulary.identifiers import (
    AssetCode,
    CommandId,
    HoldId,
    Principal,
    Sequence,
    TransferId,
    WalletId,
)
from walletd.vocabulary.money import MAX_AMOUNT
from walletd.vocabulary.states import FrozenSide, WalletStatus

START = datetime(2030, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
WALLETS = [WalletId(name) for name in ("alice", "bob", "carol", "@external", "@fees", "late")]
ASSETS = [AssetCode(code) for code in ("EUR", "BTC", "LATE")]
MAX_STEPS = 40
AS_IT_STANDS = -1
"""In a program, an ``if_version`` that holds: it is put to the wallet's version at that step."""


class Step(NamedTuple):
    """A command, and how long after the one before it is decided; ``patience`` is how long it is still valid."""

    command: AnyCommand
    pause: timedelta
    patience: timedelta | None


def _payment(*postings: Posting) -> PostTransfer:
    return PostTransfer(command_id=CommandId("to be numbered"), postings=postings)


_FUNDING = _payment(*(Posting(WALLETS[3], payee, asset, "5") for payee in WALLETS[:2] for asset in ASSETS[:2]))
_FIRST: list[AnyCommand] = [
    *(DefineAsset(command_id=CommandId("to be numbered"), asset=asset, scale=2) for asset in ASSETS[:2]),
    *(OpenWallet(command_id=CommandId("to be numbered"), wallet=name) for name in WALLETS[:5]),
    _FUNDING,
    UpdateWallet(
        command_id=CommandId("to be numbered"),
        wallet=WALLETS[0],
        limits={ASSETS[0]: WalletLimits(velocity=(Window(seconds=1, amount="7"), Window(seconds=2, amount="9")))},
    ),
    *(
        PlaceHold(command_id=CommandId("to be numbered"), wallet=name, asset=asset, amount="4")
        for name, asset in zip(WALLETS[:2], ASSETS[:2], strict=True)
    ),
    _FUNDING,
]
PRELUDE = [Step(command, TICK, None) for command in _FIRST]
"""Every program begins with alice and bob, who have 10 of each asset and a hold of 4.

Of EUR alice may let out 7 in a second, and 9 in two.

The late ones may come or not.
"""


def _mostly(usual: st.SearchStrategy[Any], times: int, *others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * times + list(others)).flatmap(lambda chosen: chosen)


_any_wallet = st.sampled_from(WALLETS)
_sides = st.sampled_from(list(permutations(WALLETS[:5], 2)) * 5 + list(product(WALLETS, repeat=2)))
_assets = st.sampled_from([ASSETS[0]] * 20 + [ASSETS[1]] * 10 + [ASSETS[2]])
_amounts = _mostly(st.integers(1, 6), 12, st.sampled_from([MAX_AMOUNT - 1, MAX_AMOUNT])).map(str)
_postings = st.builds(
    lambda sides, asset, amount: Posting(sides[0], sides[1], asset, amount), _sides, _assets, _amounts
)
_ids = st.just(CommandId("to be numbered"))
_demands = st.sampled_from([AS_IT_STANDS] * 7 + list(range(7)))
_versions = _mostly(st.just({}), 2, st.dictionaries(_any_wallet, _demands, max_size=2))
_near = st.none() | st.integers(-1, 8).map(str)
_demanded = st.builds(
    BalanceCondition,
    wallet=_any_wallet,
    asset=_assets,
    amount=st.sampled_from(["posted", "available"]),
    gte=_near,
    lte=st.none() | _near,
    eq=st.none() | st.none() | _near,
)
_transfers = st.builds(
    PostTransfer,
    command_id=_ids,
    if_version=_versions,
    if_balance=_mostly(st.just(()), 5, st.tuples(_demanded)),
    postings=st.lists(_postings, min_size=1, max_size=5).map(tuple),
)
_openings = st.builds(OpenWallet, command_id=_ids, if_version=_versions, wallet=_any_wallet)
_definitions = st.builds(DefineAsset, command_id=_ids, if_version=_versions, asset=_assets, scale=st.integers(0, 30))
# Moments are drawn as distances from START and made exact at their step; holds by the order of their placing.
_ends = st.sampled_from([None, None] + [START + TICK * n for n in (0, 1, 2, 2, 3, 4, 8)])
_seconds = _mostly(st.none(), 3, st.integers(1, 3))
_small = st.sampled_from(["1", "1", "2", "3", "5"])
_shape: dict[str, Any] = {"command_id": _ids, "if_version": _mostly(st.just({}), 5, _versions)}
_places_in_order = st.integers(1, 9).map(lambda place: HoldId(f"h{place}"))
_of_hold: dict[str, Any] = {**_shape, "wallet": _mostly(st.just(""), 9, _any_wallet), "hold": _places_in_order}
_bounds = st.none() | st.sampled_from(["0", "1", "3", "5", "10"])
_windows = st.lists(
    st.builds(Window, seconds=st.sampled_from([1, 2, 3]), amount=st.sampled_from(["0", "1", "2", "3", "5"])),
    min_size=1,
    max_size=2,
).map(tuple)
_limits = st.builds(
    WalletLimits,
    credit_limit=_bounds,
    minimum=st.none() | _bounds,
    maximum=st.none() | st.none() | _bounds,
    velocity=_mostly(st.just(()), 3, _windows),
)
_placements = st.builds(
    PlaceHold, wallet=_any_wallet, asset=_assets, amount=_small, expires_at=_ends, expires_in_seconds=_seconds, **_shape
)
_parts = st.lists(
    st.builds(Part, st.sampled_from(WALLETS[1:5] * 4 + WALLETS), st.sampled_from(["1", "1", "2"])),
    min_size=1,
    max_size=2,
).map(tuple)
_captures = st.builds(CaptureHold, parts=_parts, final=st.booleans(), **_of_hold)
_about_holds = st.one_of(
    _placements,
    _placements,
    _captures,
    _captures,
    st.builds(ExtendHold, expires_at=_ends, expires_in_seconds=_seconds, **_of_hold),
    st.builds(AdjustHold, amount=_small, **_of_hold),
    st.builds(VoidHold, **_of_hold),
    st.builds(ExpireHold, **_of_hold),
)
_updates = st.builds(
    UpdateWallet, wallet=_any_wallet, limits=st.dictionaries(_assets, st.none() | _limits, max_size=2), **_shape
)
_states = _mostly(
    _updates,
    4,
    st.builds(
        FreezeWallet,
        wallet=_any_wallet,
        frozen=st.sampled_from(FrozenSide),
        why=st.just("w"),
        until=_ends,
        until_in_seconds=_seconds,
        **_shape,
    ),
    st.builds(UnfreezeWallet, wallet=_any_wallet, **_shape),
    st.builds(CloseWallet, wallet=_any_wallet, sweep_to=st.none() | _any_wallet, **_shape),
)
_refunds = st.builds(
    RefundTransfer,
    transfer=st.integers(1, 4).map(lambda place: TransferId(f"t{place}")),
    postings=st.lists(_postings, min_size=0, max_size=1).map(tuple),
    **_shape,
)
"""A refund of one of the last transfers: of all that it moved, and then maybe of something else."""
_single = _mostly(_transfers, 5, _refunds, _about_holds, _about_holds, _about_holds, _states, _openings, _definitions)
_batched = _single.filter(lambda command: not isinstance(command, ExpireHold))
_batches = st.builds(
    ExecuteBatch, commands=st.lists(_batched, min_size=1, max_size=4).map(tuple), atomic=st.booleans(), **_shape
)
commands = _mostly(_single, 6, _batches)
_pauses = st.sampled_from([timedelta(0)] * 5 + [TICK] * 4 + [timedelta(seconds=1)])
_patiences = st.sampled_from([None] * 12 + [-TICK, timedelta(0), TICK])
_steps = st.builds(Step, commands, _pauses, _patiences)
# The length is drawn first: a list of unsaid length would have five commands on average.
programs = st.integers(0, MAX_STEPS).flatmap(lambda length: st.lists(_steps, min_size=length, max_size=length))


def find_disagreement(program: list[Step], core: Core = REAL) -> str | None:
    """Run the program on the core and beside it on the model; the first step after which something does not hold."""
    run = Run(core)
    for step in PRELUDE + program:
        if complaint := run.step(step):
            return f"{complaint}, after entry {run.sequence}: {run.entries[-1]}"
    return run.at_the_end()


class Run:
    """A core and the model side by side, and the core's history as it would be stored."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.model = Model()
        self.books: Any = core.books()
        self.folded: Any = core.books()
        self.checker: Any = core.audit()
        self.now = START
        self.sequence = 0
        self.history = ""
        self.entries: list[Entry] = []

    def begin_history(self, mark: str) -> None:
        """What comes next is of another history, as after a restore to this point."""
        self.history, self.model.history = mark, "-" + mark
        for books in (self.books, self.folded):
            books.histories = (*books.histories, History(self.sequence + 1, mark))

    def step(self, step: Step) -> str | None:
        """One command through both; what does not hold afterwards."""
        self.now += step.pause
        self.sequence += 1
        command = _made_exact(step, self.sequence, self.now, self.model, self.entries)
        verdict = self.core.decide(self.books, command, self.now, self.sequence)
        said = verdict.reason.value if isinstance(verdict, Refusal) else APPLIED
        self._record(command, verdict)
        expected = self.model.run(command, self.now, self.sequence)
        if said != expected:
            return f"the core says {said}, the model {expected}"
        try:
            self._apply(verdict)
        except (AssertionError, KeyError) as broken:
            return f"the effects cannot be applied: {broken!r}"
        return self._broken_invariant()

    def at_the_end(self) -> str | None:
        """What the audit finds in the whole history."""
        violations = self.checker.close()
        return f"the audit finds {violations}" if violations else None

    def _record(self, command: AnyCommand, verdict: Effects | Refusal) -> None:
        self.entries.append(
            Entry(
                sequence=Sequence(self.sequence),
                history=self.history,
                time=self.now,
                principal=Principal("p"),
                command=command,
                refusal=verdict if isinstance(verdict, Refusal) else None,
                effects=verdict if isinstance(verdict, Effects) else None,
            )
        )

    def _apply(self, verdict: Effects | Refusal) -> None:
        stored = decode_entry(encode_entry(self.entries[-1]))
        self.checker.fold(stored)
        if isinstance(verdict, Effects):
            assert stored.effects is not None
            self.core.apply(self.books, verdict)
            self.core.apply(self.folded, stored.effects)
            self.core.remember(self.books, stored)
            self.core.remember(self.folded, stored)

    def _broken_invariant(self) -> str | None:
        books = contents(self.books)
        if books != contents(self.folded):
            return "the fold of the stored entries is not the books"
        if books != modelled(self.model):
            return f"the core has {books}, the model {modelled(self.model)}"
        self.model.forget_expired(self.now)
        if available_now(self.books, self.now) != (said := modelled_available(self.model, self.books)):
            return f"the core has {available_now(self.books, self.now)} available, the model {said}"
        if (open_holds := holds_now(self.books, self.now)) != modelled_holds(self.model):
            return f"the core holds {open_holds}, the model {modelled_holds(self.model)}"
        for asset in self.books.assets:
            if sum(book.balance(asset).posted for book in self.books.wallets.values()) != 0:
                return f"{asset} was made or lost"
        for book in self.books.wallets.values():
            if any((book.available(asset) or 0) < 0 for asset in book.balances):
                return f"{book.wallet} is below its floor"
            if book.status is WalletStatus.CLOSED and any(b.posted or b.held for b in book.balances.values()):
                return f"{book.wallet} is closed but not empty"
        return f"the audit finds {self.checker.violations}" if self.checker.violations else None


def contents(books: Any) -> tuple[dict[str, int], dict[str, int], dict[tuple[str, str], int]]:
    """Scales, versions and balances of the books; a balance of nothing may be there or not."""
    return (
        {asset: record.scale for asset, record in books.assets.items()},
        {name: book.version for name, book in books.wallets.items()},
        {
            (name, asset): b.posted
            for name, book in books.wallets.items()
            for asset, b in book.balances.items()
            if b.posted
        },
    )


def modelled(model: Model) -> tuple[dict[str, int], dict[str, int], dict[tuple[str, str], int]]:
    """The same of the model."""
    return model.scales, model.versions, {place: int(amount) for place, amount in model.money.items() if amount}


def available_now(books: Any, now: datetime) -> dict[tuple[str, str], str | None]:
    """What is available in every wallet at this moment, as a read shows it."""
    return {
        (name, asset): book.balance_record(asset, now).available
        for name, book in books.wallets.items()
        for asset in books.assets
    }


def modelled_available(model: Model, books: Any) -> dict[tuple[str, str], str | None]:
    """The same of the model."""
    found = {(name, asset): model.available(name, asset) for name in books.wallets for asset in books.assets}
    return {place: None if amount is None else str(amount) for place, amount in found.items()}


def holds_now(books: Any, now: datetime) -> dict[str, tuple[str, str, int]]:
    """Every hold that is open at this moment, and what it reserves."""
    return {
        name: (hold.wallet, hold.asset, reserved(hold))
        for book in books.wallets.values()
        for name, hold in book.holds.items()
        if hold.expires_at is None or now < hold.expires_at
    }


def modelled_holds(model: Model) -> dict[str, tuple[str, str, int]]:
    """The same of the model."""
    return {name: (hold.wallet, hold.asset, int(hold.left)) for name, hold in model.holds.items()}


def _made_exact(step: Step, sequence: int, now: datetime, model: Model, entries: list[Entry]) -> AnyCommand:
    fields = {name: getattr(step.command, name) for name in step.command.__struct_fields__}
    for name, seconds in (("expires_at", "expires_in_seconds"), ("until", "until_in_seconds")):
        if fields.get(seconds) is not None:
            fields[name] = None
        elif fields.get(name) is not None:
            fields[name] = now + (fields[name] - START)
    if isinstance(step.command, ExecuteBatch):
        inner = (_made_exact(Step(one, TICK, None), sequence, now, model, entries) for one in step.command.commands)
        fields["commands"] = tuple(
            msgspec.structs.replace(one, command_id=CommandId(f"c{sequence}.{index}"))
            for index, one in enumerate(inner)
        )
    if isinstance(step.command, RefundTransfer):
        moving = [entry for entry in entries if entry.effects is not None and movements_of(entry)]
        original = moving[-int(fields["transfer"][1:]) :][0]
        back = [Posting(m.to, m.source, m.asset, str(min(m.amount, 3))) for m in movements_of(original)[:2]]
        fields |= {"transfer": movements_of(original)[0].transfer, "postings": (*back, *fields["postings"])[:2]}
    if "hold" in fields:
        records = [hold for entry in entries if entry.effects is not None for hold in entry.effects.holds]
        placed = list({hold.hold: (hold.hold, hold.wallet) for hold in records}.values())
        placed += [(HoldId(name), WalletId(hold.wallet)) for name, hold in model.holds.items()] * 3
        hold, wallet = (placed * 9)[-int(fields["hold"][1:])] if placed else (fields["hold"], WALLETS[0])
        fields |= {"hold": hold, "wallet": fields["wallet"] or wallet}
    fields["command_id"] = CommandId(f"c{sequence}")
    fields["valid_until"] = None if step.patience is None else now + step.patience
    fields["if_version"] = {
        wallet: model.versions.get(wallet, 0) if version == AS_IT_STANDS else version
        for wallet, version in step.command.if_version.items()
    }
    return type(step.command)(**fields)
