"""The oracle: what may be answered, shown and stored, told by the disk alone.

It sees each segment at the moment it becomes durable, runs the naive model beside it, and judges every answer, read
and event at the moment it is given: nothing may be shown that is not durable right then, and nothing twice or wrong.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

import trio

from tests.properties.model import APPLIED, Model
from walletd.journal.merkle import leaf_hash
from walletd.journal.segment import Segment, records
from walletd.ledger.book import Book
from walletd.ledger.guards import Verdict
from walletd.protocol.messages import Statement, WalletPage, WalletView
from walletd.vocabulary.claims import wallets_of
from walletd.vocabulary.commands import AnyCommand, RecordedCommand, RefusedCommand
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import BalanceRecord, Effects, Entry, decode_entry
from walletd.vocabulary.identifiers import DAEMON
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.sameness import first_difference, kept_of
from walletd.wallets.submission import Answer, Foreseen

Outcome = Answer | Foreseen | Declined
Key = tuple[str, str]


class Violation(Exception):
    """Something happened that must not."""


def check(holds: bool, sentence: str) -> None:
    """Raise Violation with the sentence unless it holds."""
    if not holds:
        raise Violation(sentence)


class Attempt:
    """One sending of a command, in one life of the daemon."""

    def __init__(self, command: AnyCommand, principal: str, order: int, life: int, head: int) -> None:
        self.command = command
        self.principal = principal
        self.order = order
        """Its place among everything that was submitted."""
        self.life = life
        self.head = head
        """What was durable when it was sent."""
        self.outcome: Outcome | None = None
        self.settled = trio.Event()
        self.is_lost = False
        """Whether the process that it was sent to has ended."""

    @property
    def key(self) -> Key:
        return self.principal, self.command.command_id

    @property
    def is_open(self) -> bool:
        return self.outcome is None and not self.is_lost

    def __str__(self) -> str:
        return f"attempt {self.order} of {self.key} in life {self.life}"


class State(NamedTuple):
    """A wallet as it stands from an entry on: its version and its balances."""

    sequence: int
    version: int
    posted: dict[str, int]


class Oracle:
    """Everything that is durable, and what follows from it."""

    def __init__(self) -> None:
        self.model = Model()
        self.records: list[bytes] = []
        self.entries: list[Entry] = []
        self.commands: list[RecordedCommand] = []
        """The command of each entry, whole."""
        self.keys: dict[Key, int] = {}
        self.assets: dict[str, int] = {}
        """The entry that defined each asset."""
        self.states: dict[str, list[State]] = {}
        self.attempts: dict[Key, list[Attempt]] = {}
        self.acknowledged: set[Key] = set()
        self.full_in_life = 0
        """The last life in which the disk was full."""
        self._turns: dict[str, tuple[int, int]] = {}
        self._orders: dict[int, int] = {}
        """By sequence: the order of the attempt that the entry is from."""
        self.answers = 0

    @property
    def head(self) -> int:
        """The last durable entry."""
        return len(self.records)

    # --- what becomes durable --------------------------------------------------------------------------------------

    def durable(self, segment: Segment) -> None:
        """A segment is on the disk now, whether or not anybody will be told."""
        check(segment.first_sequence == self.head + 1, f"a segment begins at {segment.first_sequence}")
        for record in records(segment):
            self._entry(record, decode_entry(record))

    def _entry(self, record: bytes, entry: Entry) -> None:
        key = entry.principal, entry.command.command_id
        check(entry.sequence == self.head + 1, f"entry {entry.sequence} follows entry {self.head}")
        check(not self.entries or entry.time >= self.entries[-1].time, f"the time of entry {entry.sequence} went back")
        check(key not in self.keys, f"{key} was decided at {self.keys.get(key)} and again at {entry.sequence}")
        command = self._owed(entry, key)
        self.commands.append(command)
        said = APPLIED if entry.refusal is None else entry.refusal.reason.value
        if not isinstance(command, RefusedCommand):  # Of its own refused expiries, the daemon alone had the command.
            expected = self.model.run(command, entry.time)
            check(said == expected, f"entry {entry.sequence} says {said}, the model {expected}: {command}")
        self.records.append(record)
        self.entries.append(entry)
        self.keys[key] = entry.sequence
        if entry.effects is not None:
            self._effects(entry, entry.effects)

    def _owed(self, entry: Entry, key: Key) -> RecordedCommand:
        """A client waits for exactly this, and has its turn in each of the wallets.  Returns the whole command."""
        if entry.principal == DAEMON:
            return entry.command
        owner = next((a for a in self.attempts.get(key, ()) if a.is_open), None)
        check(owner is not None, f"no client waits for entry {entry.sequence} of {key}")
        assert owner is not None
        recorded = owner.command if entry.refusal is None else kept_of(owner.command)
        check(recorded == entry.command, f"entry {entry.sequence} is not what was asked")
        for wallet in wallets_of(owner.command):
            life, order = self._turns.get(wallet, (0, 0))
            check(life < owner.life or order < owner.order, f"{owner} overtook {order} at {wallet}")
            self._turns[wallet] = owner.life, owner.order
        self._orders[entry.sequence] = owner.order
        return owner.command

    def _effects(self, entry: Entry, effects: Effects) -> None:
        for defined in effects.assets:
            self.assets[defined.asset] = entry.sequence
        touched = {w.wallet: w.version for w in effects.wallets} | {b.wallet: b.version for b in effects.balances}
        for wallet, version in touched.items():
            check(version == self.model.versions[wallet], f"entry {entry.sequence} has version {version} of {wallet}")
            before = self.states.setdefault(wallet, [])
            check(version == len(before) + 1, f"the versions of {wallet} have a gap before {version}")
            posted = dict(before[-1].posted) if before else {}
            posted |= {b.asset: int(b.posted) for b in effects.balances if b.wallet == wallet}
            for asset, amount in posted.items():
                check(
                    amount == self.model.money.get((wallet, asset), 0),
                    f"entry {entry.sequence} has {amount} in {wallet}",
                )
            before.append(State(entry.sequence, version, posted))
        for asset in self.model.scales:
            total = sum((amount for (_, code), amount in self.model.money.items() if code == asset), Fraction(0))
            check(total == 0, f"{asset} sums to {total} after entry {entry.sequence}")

    def at(self, wallet: str, sequence: int) -> State | None:
        """The wallet as it stood after this entry; None where it was not open yet."""
        return next((state for state in reversed(self.states.get(wallet, ())) if state.sequence <= sequence), None)

    # --- answers ---------------------------------------------------------------------------------------------------

    def sent(self, attempt: Attempt) -> None:
        """A command is about to be submitted."""
        if not attempt.command.dry_run:
            self.attempts.setdefault(attempt.key, []).append(attempt)

    def answered(self, attempt: Attempt, outcome: Outcome) -> None:
        """Judge an answer at the moment it is given."""
        check(attempt.outcome is None, f"{attempt} is answered twice")
        check(not attempt.is_lost, f"{attempt} is answered by a process that has ended")
        self.answers += 1
        if isinstance(outcome, Answer):
            self._decided(attempt, outcome)
        elif isinstance(outcome, Foreseen):
            self._foreseen(attempt, outcome)
        else:
            self._not_decided(attempt, outcome)
        attempt.outcome = outcome

    def _decided(self, attempt: Attempt, answer: Answer) -> None:
        entry, record, leaf = answer.durable
        check(not attempt.command.dry_run, f"{attempt} was a dry run and is answered as if it were not")
        check(entry.sequence <= self.head, f"{attempt} is answered with entry {entry.sequence}, durable is {self.head}")
        check(record == self.records[entry.sequence - 1], f"{attempt} is answered with what is not in the journal")
        check(
            decode_entry(record) == entry and leaf == leaf_hash(record), f"the answer to {attempt} contradicts itself"
        )
        check(self.keys.get(attempt.key) == entry.sequence, f"{attempt} is answered with another one's entry")
        difference = self._difference(entry.sequence, attempt)
        check(difference is None, f"{attempt} is answered though {difference} differs")
        if not answer.replayed:
            check(attempt.key not in self.acknowledged, f"{attempt} is answered as new once more")
            check(entry.sequence > attempt.head, f"{attempt} is answered as new and was durable before")
        self.acknowledged.add(attempt.key)

    def _difference(self, sequence: int, attempt: Attempt) -> str | None:
        command = self.commands[sequence - 1]
        assert not isinstance(command, RefusedCommand), "a client's"
        return first_difference(command, attempt.command)

    def _not_decided(self, attempt: Attempt, outcome: Declined) -> None:
        match outcome.reason:
            case Reason.COMMAND_ID_REUSED:
                sequence = self.keys.get(attempt.key)
                check(sequence is not None, f"{attempt} is called reused, but nothing of this id is durable")
                assert sequence is not None
                field = self._difference(sequence, attempt)
                check(field is not None, f"{attempt} is called reused and is the same")
                facts = {"command_id": attempt.command.command_id, "field": field, "sequence": sequence}
                if self.entries[sequence - 1].refusal is not None and "field" not in outcome.facts:
                    del facts["field"]  # The refused command was no longer in memory.
                check(outcome.facts == facts, f"{attempt} is called reused with {outcome.facts}")
            case Reason.OVERLOADED | Reason.UNAVAILABLE:
                is_known = attempt.key in self.keys and not attempt.command.dry_run
                check(not is_known, f"{attempt} was decided and is answered {outcome.reason}")
                is_full = outcome.reason is Reason.OVERLOADED or self.full_in_life == attempt.life
                check(is_full, f"{attempt} is answered unavailable, and the disk was never full")
            case _:
                raise Violation(f"{attempt} is answered {outcome}")

    def _foreseen(self, attempt: Attempt, foreseen: Foreseen) -> None:
        """A dry run must say what is true after some entry that may have been the last one at its turn."""
        command = attempt.command
        check(command.dry_run, f"{attempt} was not a dry run")
        verdict = foreseen.verdict
        said = APPLIED if isinstance(verdict, Effects) else verdict.reason.value
        first, last = self._window(attempt, wallets_of(command))
        for sequence in range(first, last + 1):
            model = self._model_at(sequence)
            if model.run(command, foreseen.time) == said and _agree(verdict, model):
                return
        raise Violation(f"{attempt} foresees {verdict}, which holds after none of the entries {first}..{last}")

    def _window(self, attempt: Attempt, wallets: Sequence[str]) -> tuple[int, int]:
        """After which durable entries the attempt may have had its turns."""
        first, last = attempt.head, self.head
        for wallet in wallets:
            for state in reversed(self.states.get(wallet, ())):
                if state.sequence <= attempt.head:
                    break
                if self._orders.get(state.sequence, 0) < attempt.order:
                    first = max(first, state.sequence)
                else:
                    last = min(last, state.sequence - 1)
        return first, last

    def _model_at(self, sequence: int) -> Model:
        model = Model()
        model.scales = {a: self.model.scales[a] for a, defined in self.assets.items() if defined <= sequence}
        for wallet in self.states:
            state = self.at(wallet, sequence)
            if state is not None:
                model.versions[wallet] = state.version
                model.money |= {(wallet, asset): Fraction(amount) for asset, amount in state.posted.items()}
        return model

    def lost(self, life: int) -> None:
        """The process has ended: who waits for an answer of it gets none."""
        for attempts in self.attempts.values():
            for attempt in attempts:
                if attempt.life == life and attempt.outcome is None:
                    attempt.is_lost = True
                    attempt.settled.set()

    # --- reads -----------------------------------------------------------------------------------------------------

    def read(self, attempt: Attempt, wallet: str, book: Book | None, sequence: int) -> None:
        """A book was shown, with every command before the read in it and none after."""
        check(sequence <= self.head, f"{wallet} is read after entry {sequence}, durable is {self.head}")
        state = self.at(wallet, sequence)
        shown = None if book is None else (book.version, {a: b.posted for a, b in book.balances.items()})
        check(shown == (state and (state.version, state.posted)), f"{wallet} at {sequence} is {state}, shown {shown}")
        first, last = self._window(attempt, [wallet])
        seen = state.sequence if state else 0
        check(seen >= self._touched(wallet, first), f"{wallet} is read at {sequence}, before {first}")
        check(seen <= last, f"{wallet} is read at {seen}, later than {last}")

    def read_failed(self, attempt: Attempt, reason: Reason) -> None:
        """A read was refused: it must have been for a reason."""
        is_full = reason is Reason.UNAVAILABLE and self.full_in_life == attempt.life
        check(is_full or reason is Reason.OVERLOADED, f"a read in life {attempt.life} is answered {reason}")

    def _touched(self, wallet: str, sequence: int) -> int:
        state = self.at(wallet, sequence)
        return state.sequence if state else 0

    def page(self, page: WalletPage, wallets: Iterable[str], written: int) -> None:
        """A page of the read tables: all its wallets as they stood after one durable entry."""
        check(written <= page.sequence <= self.head, f"a page shows {page.sequence}, {written} was to be in it")
        expected = [wallet for wallet in sorted(wallets) if self.at(wallet, page.sequence)]
        check([view.wallet for view in page.wallets] == expected, f"a page at {page.sequence} is not {expected}")
        for view in page.wallets:
            self._view(view, page.sequence)

    def _view(self, view: WalletView, sequence: int) -> None:
        state = self.at(view.wallet, sequence)
        shown = {b.asset: int(b.posted) for b in view.balances}
        check(state is not None and (view.version, shown) == (state.version, state.posted), f"{view} is not {state}")

    def statement(self, statement: Statement, written: int) -> None:
        """A whole statement, oldest line first, which leads to the balance."""
        check(written <= statement.sequence <= self.head, f"a statement shows {statement.sequence}, not {written}")
        posted: dict[str, int] = {}
        for line in statement.lines:
            posted[line.asset] = posted.get(line.asset, 0) + int(line.amount)
            check(posted[line.asset] == int(line.posted), f"the statement of {statement.wallet} does not add up")
        state = self.at(statement.wallet, statement.sequence)
        # Limits alone leave a balance of nothing, too, and no line.
        has = {asset: amount for asset, amount in (state.posted if state else {}).items() if amount or asset in posted}
        check(posted == has, f"the statement of {statement.wallet} leads to {posted}, not to {has}")

    def history(self, after: int, shown: list[bytes]) -> None:
        """Entries read back."""
        check(bool(shown) or after >= self.head, f"nothing is read behind {after}, durable is {self.head}")
        check(shown == self.records[after : after + len(shown)], f"what is read behind {after} is not in the journal")

    # --- streams ---------------------------------------------------------------------------------------------------

    def event(self, cursor: int, watched: "Watch", sequence: int, previous: int, record: bytes) -> None:
        """The next event of a stream whose last one was at ``cursor``."""
        check(sequence <= self.head, f"an event shows entry {sequence}, durable is {self.head}")
        check(record == self.records[sequence - 1], f"the event {sequence} is not in the journal")
        check(previous == cursor, f"the event {sequence} follows {previous}, the stream was at {cursor}")
        following = self.following(cursor, watched)
        check(following == sequence, f"a stream at {cursor} goes on with {sequence}, not {following}")

    def heartbeat(self, cursor: int, watched: "Watch", head: int) -> None:
        """A stream is said to be complete up to the head."""
        check(head <= self.head, f"a heartbeat shows entry {head}, durable is {self.head}")
        following = self.following(cursor, watched)
        check(following is None or following > head, f"a heartbeat at {head} hides the event {following}")

    def following(self, cursor: int, watched: "Watch") -> int | None:
        """The next entry behind the cursor that the stream is about."""
        return next((entry.sequence for entry in self.entries[cursor:] if watched.is_about(entry)), None)

    def totals_of(self, wallets: Iterable[str]) -> dict[str, int]:
        """Per asset, what these wallets have now."""
        totals: dict[str, int] = {}
        for wallet in wallets:
            for asset, amount in self.states[wallet][-1].posted.items():
                totals[asset] = totals.get(asset, 0) + amount
        return totals


class Watch(NamedTuple):
    """What a stream is about, said naively."""

    wallets: tuple[str, ...] = ()
    prefix: str | None = None
    everything: bool = False

    def is_about(self, entry: Entry) -> bool:
        if self.everything:
            return True
        if entry.effects is None:
            return False
        names = [w.wallet for w in entry.effects.wallets] + [b.wallet for b in entry.effects.balances]
        return any(name in self.wallets or (self.prefix is not None and name.startswith(self.prefix)) for name in names)


def _agree(verdict: Verdict, model: Model) -> bool:
    """Whether the effects, if there are any, lead to where the model stands."""

    def stands(balance: BalanceRecord) -> bool:
        posted = model.money[balance.wallet, balance.asset]
        return posted == int(balance.posted) and model.versions[balance.wallet] == balance.version

    return not isinstance(verdict, Effects) or all(stands(balance) for balance in verdict.balances)
