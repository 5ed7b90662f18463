"""Redaction: the part of an entry that a session sees if the entry touches wallets which the session may not see.

    shown = redacted(entry, grant)          # the entry itself if the grant shows all of it
    shown_facts(refusal.facts, grant)

A party to a transfer learns that it happened, the amount, and the other party; never the other party's balance.  The
hash of an entry that is not shown whole is withheld, too: with all but one balance known, the last could be found by
trying.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from walletd.sessions.access import Grant, Need
from walletd.vocabulary import commands as c
from walletd.vocabulary.entries import Effects, Entry, Moved, Refusal, TransferRecord
from walletd.vocabulary.identifiers import CommandId, Principal

_encode = msgspec.json.Encoder().encode

Sees = Callable[[str], bool]

HIDDEN = "-"
"""Replaces another client's name and command id."""

FACTS_ABOUT_ANY_WALLET = frozenset({"wallet", "to", "asset", "posting", "command", "transfer", "hold", "required"})
"""Facts that the sender of a refused command knows anyway; the others reveal a wallet's balances or state."""


class Redactions:
    """Entries as bytes for streams; those of the last entry are kept for all sessions that see the same.

    A thousand keys that watch one busy wallet cost one redaction of each of its entries, not a thousand (29 µs each).
    """

    def __init__(self) -> None:
        self._sequence = 0
        self._shown: dict[tuple[str, ...], bytes] = {}

    def shown(self, entry: Entry, record: bytes, grant: Grant) -> bytes:
        """The stored bytes if the grant shows all of the entry, otherwise those of the redacted entry."""
        if entry.principal == grant.principal:
            return _shown_record(entry, record, grant)
        if entry.sequence != self._sequence:
            self._sequence = entry.sequence
            self._shown.clear()
        if grant.scopes not in self._shown:
            self._shown[grant.scopes] = _shown_record(entry, record, grant)
        return self._shown[grant.scopes]


def _shown_record(entry: Entry, record: bytes, grant: Grant) -> bytes:
    seen = redacted(entry, grant)
    return record if seen is entry else _encode(seen)


def redacted(entry: Entry, grant: Grant) -> Entry:
    """The entry as this session may see it; the same object if that is all of it.  O(its records)."""
    if grant.sees_everything:
        return entry
    sees = sight_of(grant)
    is_own = entry.principal == grant.principal
    effects = None if entry.effects is None else shown_effects(entry.effects, grant)
    refusal = None if entry.refusal is None else _shown_refusal(entry.refusal, grant)
    command: c.RecordedCommand | None = entry.command
    if not is_own:
        command, effects = _shown_of_others(entry.command, effects, sees)
    if command is entry.command and effects == entry.effects and refusal == entry.refusal:
        return entry
    return msgspec.structs.replace(
        entry,
        principal=entry.principal if is_own else Principal(HIDDEN),
        command=command,
        effects=effects,
        refusal=refusal,
        redacted=True,
    )


def concerns(entry: Entry, grant: Grant) -> bool:
    """True if the session may know of the entry at all: its client sent it, or may see a wallet that the entry
    touched.
    """
    if grant.sees_everything or entry.principal == grant.principal:
        return True
    if entry.effects is None:
        return False
    sees = sight_of(grant)
    touched = [record.wallet for record in entry.effects.wallets] + [record.wallet for record in entry.effects.balances]
    return any(sees(wallet) for wallet in touched)


def sight_of(grant: Grant) -> Sees:
    """A function that tells whether the grant shows a wallet; it asks once for each."""
    seen: dict[str, bool] = {}

    def sees(wallet: str) -> bool:
        if wallet not in seen:
            seen[wallet] = grant.permits(Need.view(wallet))
        return seen[wallet]

    return sees


def shown_effects(effects: Effects, grant: Grant) -> Effects:
    """The records of wallets that the grant shows; the same object if that is all of them."""
    if grant.sees_everything:
        return effects
    sees = sight_of(grant)
    return msgspec.structs.replace(
        effects,
        wallets=tuple(record for record in effects.wallets if sees(record.wallet)),
        balances=tuple(record for record in effects.balances if sees(record.wallet)),
        holds=tuple(record for record in effects.holds if sees(record.wallet)),
        outflows=tuple(record for record in effects.outflows if sees(record.wallet)),
        folded=tuple(record for record in effects.folded if sees(record.wallet)),
        moved=tuple(moved for moved in effects.moved if sees(moved.source) or sees(moved.to)),
        transfers=tuple(shown for record in effects.transfers if (shown := _shown_transfer(record, sees)).parts),
        outcomes=tuple(None if refusal is None else _shown_refusal(refusal, grant) for refusal in effects.outcomes),
    )


def shown_facts(facts: Mapping[str, Any], grant: Grant) -> dict[str, Any]:
    """The facts of a refusal; for a wallet that the grant does not show, only those that the sender named itself."""
    wallet = facts.get("wallet")
    if wallet is None or grant.permits(Need.view(wallet)):
        return dict(facts)
    return {name: fact for name, fact in facts.items() if name in FACTS_ABOUT_ANY_WALLET}


def _shown_refusal(refusal: Refusal, grant: Grant) -> Refusal:
    return Refusal(refusal.reason, shown_facts(refusal.facts, grant))


def _shown_transfer(record: TransferRecord, sees: Sees) -> TransferRecord:
    return TransferRecord(record.transfer, tuple(part for part in record.parts if sees(part.source) or sees(part.to)))


def _shown_of_others(
    command: c.RecordedCommand, effects: Effects | None, sees: Sees
) -> tuple[c.RecordedCommand | None, Effects | None]:
    """Another client's command and its effects; of a batch, the commands that touch visible wallets, numbered again."""
    if not isinstance(command, c.ExecuteBatch):
        return _shown_command(command, sees), effects
    shown = [(index, _shown_command(inner, sees)) for index, inner in enumerate(command.commands)]
    kept = {index: place for place, (index, _) in enumerate((i, inner) for i, inner in shown if inner is not None)}
    batch = msgspec.structs.replace(
        _anonymous(command), commands=tuple(inner for _, inner in shown if inner is not None)
    )
    if effects is None:
        return batch, None
    moved: tuple[Moved, ...] = tuple(
        msgspec.structs.replace(moved, command=kept[moved.command]) for moved in effects.moved if moved.command in kept
    )
    outcomes = tuple(refusal for index, refusal in enumerate(effects.outcomes) if index in kept)
    return batch, msgspec.structs.replace(effects, moved=moved, outcomes=outcomes)


def _shown_command(command: c.RecordedCommand, sees: Sees) -> Any:
    """The part of the command about visible wallets; None if there is none."""
    match command:
        case c.PostTransfer(postings=postings) | c.RefundTransfer(postings=postings):
            seen = tuple(posting for posting in postings if sees(posting.source) or sees(posting.to))
            return msgspec.structs.replace(_anonymous(command), postings=seen) if seen else None
        case c.CaptureHold(wallet=wallet, parts=parts):
            seen_parts = tuple(part for part in parts if sees(wallet) or sees(part.to))
            return msgspec.structs.replace(_anonymous(command), parts=seen_parts) if seen_parts else None
        case c.CloseWallet(wallet=wallet, sweep_to=target):
            return _anonymous(command) if sees(wallet) or (target is not None and sees(target)) else None
        case c.DefineAsset():
            return _anonymous(command)
        case (
            c.CreateClient()
            | c.UpdateClient()
            | c.RotateClient()
            | c.RevokeClient()
            | c.ExecuteBatch()
            | c.RefusedCommand()
        ):
            return None
        case _:
            return _anonymous(command) if sees(command.wallet) else None


def _anonymous(command: Any) -> Any:
    """The command without its sender's id, names and conditions."""
    return msgspec.structs.replace(
        command, command_id=CommandId(HIDDEN), if_version={}, if_balance=(), valid_until=None, valid_for_seconds=None
    )
