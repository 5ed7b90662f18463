"""A naive ledger, written from the specification and not from the code: plain dicts and the obvious loops.

    model = Model()
    model.run(command, now)                    # "applied", or the word of the refusal

It is slow on purpose: it tries out every posting on a copy of everything, and looks afterwards who would be in debt.
"""

import copy
from datetime import datetime
from fractions import Fraction

from walletd.vocabulary.commands import AnyCommand, DefineAsset, OpenWallet, PostTransfer

APPLIED = "applied"


class Model:
    """What a ledger is: which assets there are, who has what, and how often each wallet was touched."""

    def __init__(self) -> None:
        self.scales: dict[str, int] = {}
        self.versions: dict[str, int] = {}
        self.money: dict[tuple[str, str], Fraction] = {}

    def run(self, command: AnyCommand, now: datetime) -> str:
        """Carry the command out, or say why not."""
        if command.valid_until is not None and not now <= command.valid_until:
            return "command_expired"
        if isinstance(command, DefineAsset):
            return self._define(command)
        if isinstance(command, OpenWallet):
            return self._open(command)
        return self._transfer(command)

    def _define(self, command: DefineAsset) -> str:
        if command.asset in self.scales:
            return "asset_already_defined"
        if not self._stands_as_demanded(command):
            return "version_mismatch"
        self.scales[command.asset] = command.scale
        return APPLIED

    def _open(self, command: OpenWallet) -> str:
        if command.wallet in self.versions:
            return "wallet_already_exists"
        if not self._stands_as_demanded(command):
            return "version_mismatch"
        self.versions[command.wallet] = 1
        return APPLIED

    def _transfer(self, command: PostTransfer) -> str:
        sources = [p.source for p in command.postings]
        targets = [p.to for p in command.postings]
        if not all(p.asset in self.scales for p in command.postings):
            return "asset_not_found"
        if not all(wallet in self.versions for wallet in sources + targets):
            return "wallet_not_found"
        if any(source == target for source, target in zip(sources, targets, strict=True)):
            return "self_transfer"
        if not self._stands_as_demanded(command):
            return "version_mismatch"
        money = copy.deepcopy(self.money)
        for p in command.postings:
            money[p.source, p.asset] = money.get((p.source, p.asset), Fraction(0)) - Fraction(p.amount)
            money[p.to, p.asset] = money.get((p.to, p.asset), Fraction(0)) + Fraction(p.amount)
        if any(amount < 0 and wallet[0] != "@" for (wallet, _), amount in money.items()):
            return "insufficient_funds"
        self.money = money
        for wallet in {*sources, *targets}:
            self.versions[wallet] += 1
        return APPLIED

    def _stands_as_demanded(self, command: AnyCommand) -> bool:
        return all(self.versions.get(wallet, 0) == version for wallet, version in command.if_version.items())
