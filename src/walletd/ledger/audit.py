"""The audit: truths about whole books and about each entry, as small named functions in two lists.

They run after recovery, by ``walletd verify`` and in tests.  A violation is a sentence; no violation is an empty list.

    audit = Audit()
    for entry in entries:
        audit.fold(entry)
    audit.close(), totals(audit.books)
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

from walletd.ledger.book import Books, apply, reserved
from walletd.ledger.entry_size import too_large
from walletd.ledger.guards import Verdict
from walletd.ledger.refunds import remember_transfers
from walletd.ledger.rules import decide
from walletd.vocabulary.claims import ids_of, is_short_lived, parts_of
from walletd.vocabulary.commands import RefusedCommand
from walletd.vocabulary.entries import AssetRecord, Effects, Entry, Refusal, encode_entry
from walletd.vocabulary.histories import begun_by
from walletd.vocabulary.identifiers import AssetCode, owner_of
from walletd.vocabulary.money import format_amount
from walletd.vocabulary.reasons import Reason
from walletd.vocabulary.scopes import ownership_of, permitted
from walletd.vocabulary.states import WalletStatus

MAX_VIOLATIONS = 100
"""The number of violations after which the audit of a broken journal stops listing: the first ones tell the story."""


def posted_sums_to_zero(books: Books) -> Iterator[str]:
    """Money is created nowhere: per asset, the posted balances of all wallets sum to zero."""
    for asset, total in totals(books).items():
        if total != 0:
            yield f"posted balances of {asset} sum to {in_words(total, asset, books.assets)}, not to zero"


def customers_are_above_their_floor(books: Books) -> Iterator[str]:
    """Every wallet with a floor has at least the floor and its holds together."""
    for book in books.wallets.values():
        for asset in book.balances:
            available = book.available(asset)
            if available is not None and available < 0:
                yield f"wallet {book.wallet} has {in_words(available, asset, books.assets)} available"


def held_is_not_negative(books: Books) -> Iterator[str]:
    """The amount that holds reserve is never negative."""
    for book in books.wallets.values():
        for asset, balance in book.balances.items():
            if balance.held < 0:
                yield f"wallet {book.wallet} holds {in_words(balance.held, asset, books.assets)}"


def held_is_what_open_holds_reserve(books: Books) -> Iterator[str]:
    """Each balance's held is the sum of the amounts that the open holds of its wallet and asset still reserve."""
    for book in books.wallets.values():
        sums = dict.fromkeys(book.balances, 0)
        for hold in book.holds.values():
            sums[hold.asset] = sums.get(hold.asset, 0) + reserved(hold)
        for asset, total in sums.items():
            if book.balance(asset).held != total:
                held, reserves = (in_words(units, asset, books.assets) for units in (book.balance(asset).held, total))
                yield f"wallet {book.wallet} holds {held}, its holds reserve {reserves}"


def closed_wallets_are_empty(books: Books) -> Iterator[str]:
    """A closed wallet has no balance and no open hold."""
    for book in books.wallets.values():
        if book.status is WalletStatus.CLOSED and (
            book.holds or any(b.posted or b.held for b in book.balances.values())
        ):
            yield f"wallet {book.wallet} is closed but not empty"


def assets_are_defined(books: Books) -> Iterator[str]:
    """Every balance is of a defined asset."""
    for book in books.wallets.values():
        for asset in book.balances:
            if asset not in books.assets:
                yield f"wallet {book.wallet} has {asset}, which is not defined"


def keys_see_what_their_owners_own(books: Books) -> Iterator[str]:
    """Every viewing key that was not revoked has only scopes that its owner's scopes cover."""
    for record in books.clients.records.values():
        owner = books.clients.records.get(owner_of(record.client) or record.client)
        if owner is None:
            yield f"viewing key {record.client} has no owner"
        elif owner is not record and record.revoked_at is None:
            needs = [ownership_of(scope) for scope in record.scopes]
            if any(need is None or not permitted(owner.scopes, need) for need in needs):
                yield f"viewing key {record.client} sees more than its owner may spend"


WHOLE_BOOK_TRUTHS: tuple[Callable[[Books], Iterator[str]], ...] = (
    posted_sums_to_zero,
    customers_are_above_their_floor,
    held_is_not_negative,
    held_is_what_open_holds_reserve,
    closed_wallets_are_empty,
    assets_are_defined,
    keys_see_what_their_owners_own,
)


def in_words(units: int, asset: AssetCode, assets: Mapping[AssetCode, AssetRecord]) -> str:
    """An amount as people read it: in the main unit with the code, or in smallest units of an undefined asset."""
    known = assets.get(asset)
    return f"{units} units of {asset}" if known is None else f"{format_amount(units, known.scale)} {asset}"


def totals(books: Books) -> dict[AssetCode, int]:
    """Per defined asset, the sum of all posted balances; zero, unless money was created or lost."""
    sums: dict[AssetCode, int] = dict.fromkeys(books.assets, 0)
    for book in books.wallets.values():
        for asset, balance in book.balances.items():
            sums[asset] = sums.get(asset, 0) + balance.posted
    return sums


def violations(books: Books) -> list[str]:
    """Every violated truth about the whole books, each with the wallet or asset that violates it."""
    return [sentence for truth in WHOLE_BOOK_TRUTHS for sentence in truth(books)]


class Audit:
    """A fold of the whole journal that trusts nothing: it decides each entry again and expects the same outcome.

    A refusal of which only a digest is kept changed nothing, and cannot be decided again.
    """

    def __init__(self) -> None:
        self.books = Books()
        self.sequence = 0
        self.time: datetime | None = None
        self.applied = 0
        self.refused = 0
        self.violations: list[str] = []
        self._command_ids: set[tuple[str, str]] = set()

    def fold(self, entry: Entry) -> None:
        """Check the entry against the books before it, then apply it."""
        self._expect(entry.sequence == self.sequence + 1, entry, f"follows entry {self.sequence}")
        self._expect(self.time is None or entry.time >= self.time, entry, "is earlier than the entry before it")
        for name in ids_of(entry.command):
            command_id = (entry.principal, name)
            self._expect(command_id not in self._command_ids, entry, "has a command id that was used before")
            self._command_ids.add(command_id)
        self.sequence = entry.sequence
        self.time = entry.time
        try:
            self.books.histories = begun_by(self.books.histories, entry.sequence, entry.history)
        except ValueError as broken:
            self._expect(False, entry, str(broken))
        shut_out = self.books.clients.is_shut_out(entry.principal, entry.time)
        self._expect(not shut_out, entry, f"was decided for {entry.principal}, which was revoked or expired before")
        self._expect(not entry.redacted, entry, "is not whole")
        self._expect((entry.effects is None) != (entry.refusal is None), entry, "has not exactly one outcome")
        if isinstance(entry.command, RefusedCommand):
            self._expect(entry.effects is None, entry, "has effects, but only the digest of its command")
            self.refused += 1
            return
        self._expect(not entry.command.dry_run, entry, "is a dry run, which is never journaled")
        verdict = self._decided_again(entry)
        if entry.effects is not None:
            self._expect(_agree(verdict, entry.effects), entry, f"has other effects than its command: {verdict}")
            self._expect(_may_fold(self.books, entry.effects), entry, "folds outflows that it must not fold")
            self._apply(entry, entry.effects)
        else:
            is_refusal = isinstance(verdict, Refusal)
            self._expect(is_refusal, entry, "was refused, but its command can be applied")
            self._expect(
                not is_refusal or _agree(verdict, entry.refusal),
                entry,
                f"was refused for another reason than {verdict}",
            )
            self.refused += 1

    def _decided_again(self, entry: Entry) -> Verdict:
        """The verdict on the command by today's rules; if it differs from the record, by those of earlier versions."""
        verdict = self._decided(entry, leniently=False)
        if entry.effects is not None:
            return verdict if _agree(verdict, entry.effects) else self._decided(entry, leniently=True)
        if entry.refusal is not None and entry.refusal.reason is Reason.ENTRY_TOO_LARGE:
            return self._judged_by_size(entry, verdict)
        return verdict if _agree(verdict, entry.refusal) else self._earlier_refusal(entry, verdict)

    def _judged_by_size(self, entry: Entry, verdict: Verdict) -> Verdict:
        """An entry refused for its size would have been applied, or was found to be too large before that."""
        if isinstance(verdict, Refusal):
            return verdict
        applied = msgspec.structs.replace(entry, refusal=None, effects=verdict)
        return too_large(self.books, applied, encode_entry(applied)) or verdict

    def _earlier_refusal(self, entry: Entry, verdict: Verdict) -> Verdict:
        earlier = self._decided(entry, leniently=True)
        return earlier if _agree(earlier, entry.refusal) else verdict

    def _decided(self, entry: Entry, *, leniently: bool) -> Verdict:
        assert not isinstance(entry.command, RefusedCommand)
        return decide(
            self.books,
            entry.command,
            entry.time,
            entry.sequence,
            by=entry.principal,
            received=_received(entry),
            leniently=leniently,
        )

    def close(self) -> list[str]:
        """All violations: those of the entries, then those of the resulting books."""
        return self.violations + violations(self.books)

    def _apply(self, entry: Entry, effects: Effects) -> None:
        self.applied += 1
        try:
            apply(self.books, effects)
            remember_transfers(self.books, entry)
        except (AssertionError, KeyError, ValueError) as broken:
            self._expect(False, entry, f"cannot be applied: {broken!r}")

    def _expect(self, holds: bool, entry: Entry, sentence: str) -> None:
        if not holds and len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(f"entry {entry.sequence} {sentence}")


def _received(entry: Entry) -> datetime | None:
    """The arrival time of a command that its own seconds had made too late, from its refusal; None for any other."""
    assert not isinstance(entry.command, RefusedCommand)
    if not is_short_lived(entry.command):
        return None
    inner = parts_of(entry.command)
    if entry.refusal is not None:
        place = entry.refusal.facts.get("command")
        decided = [(entry.command if place is None else inner[place], entry.refusal)]
    else:
        assert entry.effects is not None
        outcomes = zip(inner, entry.effects.outcomes, strict=False)
        decided = [(command, refusal) for command, refusal in outcomes if refusal is not None]
    for command, refusal in decided:
        if refusal.reason is Reason.COMMAND_EXPIRED and command.valid_for_seconds is not None:
            last = msgspec.convert(refusal.facts["valid_until"], datetime)
            return last - timedelta(seconds=command.valid_for_seconds)
    return None


def _agree(verdict: Verdict, recorded: Effects | Refusal | None) -> bool:
    """True if the entry records the new verdict, or an earlier version's words for the same refusal."""
    if verdict == recorded:
        return True
    if isinstance(verdict, Effects):
        return isinstance(recorded, Effects) and _agree_on_outcomes(verdict, _unfolded(recorded))
    return isinstance(recorded, Refusal) and _as_said_before(verdict, recorded)


def _unfolded(effects: Effects) -> Effects:
    """The effects of the command alone."""
    return msgspec.structs.replace(effects, folded=()) if effects.folded else effects


def _may_fold(books: Books, effects: Effects) -> bool:
    """True if the runs that the entry folds are among what is old; their sums are asserted when they are applied."""
    for one in effects.folded:
        outflows = (books.wallets[one.wallet].outflows or {}).get(one.asset) if one.wallet in books.wallets else None
        if outflows is None or not outflows.may_fold(one, books.wallets[one.wallet].holds.__contains__):
            return False
    return True


def _agree_on_outcomes(verdict: Effects, recorded: Effects) -> bool:
    """The same records, and the same refusals in a batch that is not atomic."""
    if msgspec.structs.replace(verdict, outcomes=recorded.outcomes) != recorded:
        return False
    return len(verdict.outcomes) == len(recorded.outcomes) and all(
        one == other or (one is not None and other is not None and _as_said_before(one, other))
        for one, other in zip(verdict.outcomes, recorded.outcomes, strict=True)
    )


def _as_said_before(refusal: Refusal, recorded: Refusal) -> bool:
    """The same refusal in the words of an earlier version.

    It may have fewer facts, but no others: only ``fits_at`` considered one window of several.  A refund from a wallet
    that had no part in the original was told that nothing can be refunded along that way.
    """
    if refusal.reason is not recorded.reason:
        is_lost = refusal.reason is Reason.ORIGINAL_NOT_FOUND and recorded.reason is Reason.REFUND_EXCEEDS_ORIGINAL
        return is_lost and recorded.facts.get("refundable") == "0"
    return all(
        name in refusal.facts and (name == "fits_at" or refusal.facts[name] == fact)
        for name, fact in recorded.facts.items()
    )
