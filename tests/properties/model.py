"""A naive ledger, written from the specification and not from the code: plain dicts and the obvious loops.

    model = Model()
    model.run(command, now)                    # "applied", or the word of the refusal

It is slow on purpose: it tries everything out on a copy of the whole world and looks afterwards who would be in debt.
A hold that has expired is simply thrown away before each command.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from walletd.vocabulary import commands as c
from walletd.vocabulary.identifiers import AssetCode

APPLIED = "applied"
ZERO = Fraction(0)


class Hold:
    """What a hold still reserves, of whom, and until when."""

    def __init__(self, wallet: str, asset: str, left: Fraction, expires_at: datetime | None) -> None:
        self.wallet = wallet
        self.asset = asset
        self.left = left
        self.expires_at = expires_at


def end_of(moment: datetime | None, seconds: int | None, now: datetime) -> datetime | None:
    """When something ends that was said as a moment or in seconds."""
    return moment if seconds is None else now + timedelta(seconds=seconds)


def copied(thing: Any) -> Any:
    """A copy of a part of the world, so that nothing done to one is done to the other."""
    match thing:
        case dict():
            return {name: copied(part) for name, part in thing.items()}
        case list():
            return [copied(part) for part in thing]
        case set():
            return set(thing)
        case Hold():
            return Hold(thing.wallet, thing.asset, thing.left, thing.expires_at)
        case _:  # numbers, times, words and tuples of them
            return thing


class Refused(Exception):
    """The word of a refusal."""


class Model:
    """What a ledger is: which assets there are, who has what, what is reserved, and who may do what."""

    def __init__(self) -> None:
        self.scales: dict[str, int] = {}
        self.versions: dict[str, int] = {}
        self.history = ""
        """What the names of a history carry behind them."""
        self.money: dict[tuple[str, str], Fraction] = {}
        self.holds: dict[str, Hold] = {}
        self.limits: dict[tuple[str, str], c.WalletLimits] = {}
        self.went_out: dict[tuple[str, str], list[list[Any]]] = {}
        """Of what is limited in its velocity: when, how much, and for which hold."""
        self.frozen: dict[str, tuple[str, datetime | None]] = {}
        self.closed: set[str] = set()
        self.refundable: dict[str, list[list[Any]]] = {}
        self.unrecorded: list[tuple[str, str]] = []
        """Holds that have expired and whose wallet no entry has touched since, with their wallets."""

    def run(self, command: c.AnyCommand, now: datetime, sequence: int = 0) -> str:
        """Carry the command out, or say why not."""
        self.forget_expired(now)
        before = copied(self.__dict__)
        try:
            if command.valid_until is not None and not now <= command.valid_until:
                raise Refused("command_expired")
            touched = self._carry_out_all(command, now, f"h{sequence}")
        except Refused as refused:
            self.__dict__ = before
            return str(refused)
        for wallet in touched:
            self.versions[wallet] += 1
        self.unrecorded = [(hold, wallet) for hold, wallet in self.unrecorded if wallet not in touched]
        return APPLIED

    def _carry_out_all(self, command: c.AnyCommand, now: datetime, name: str) -> set[str]:
        if not isinstance(command, c.ExecuteBatch):
            return self._carry_out(command, now, name + self.history)
        self._require_versions(command)
        touched: set[str] = set()
        for index, inner in enumerate(command.commands):
            before = copied(self.__dict__)
            try:
                touched |= self._carry_out(inner, now, f"{name}.{index}{self.history}")
            except Refused:
                if command.atomic:
                    raise
                self.__dict__ = before
        return touched

    def forget_expired(self, now: datetime) -> None:
        """What has expired reserves nothing."""
        for name, hold in list(self.holds.items()):
            if hold.expires_at is not None and not now < hold.expires_at:
                self._give_back(name, hold.left)
                del self.holds[name]
                self.unrecorded.append((name, hold.wallet))

    def available(self, wallet: str, asset: str) -> Fraction | None:
        """What is left above the floor; None where there is no floor."""
        limits = self.limits.get((wallet, asset), c.WalletLimits())
        lowest = Fraction(limits.minimum or 0) if limits.minimum is not None else -Fraction(limits.credit_limit or 0)
        if wallet.startswith("@") and limits.minimum is None and limits.credit_limit is None:
            return None
        reserved = sum(
            (hold.left for hold in self.holds.values() if (hold.wallet, hold.asset) == (wallet, asset)), ZERO
        )
        return self.money.get((wallet, asset), ZERO) - reserved - lowest

    def _carry_out(self, command: c.AnyCommand, now: datetime, hold: str) -> set[str]:
        match command:
            case c.DefineAsset():
                self._require(command.asset not in self.scales, "asset_already_defined")
                self._require_versions(command)
                self.scales[command.asset] = command.scale
                return set()
            case c.OpenWallet():
                self._require(command.wallet not in self.versions, "wallet_already_exists")
                self._require_versions(command)
                self.versions[command.wallet] = 0
                return {command.wallet}
            case c.PostTransfer():
                movements = [(p.source, p.to, p.asset, Fraction(p.amount)) for p in command.postings]
                self._require(all(asset in self.scales for _, _, asset, _ in movements), "asset_not_found")
                self._require(all(w in self.versions for m in movements for w in m[:2]), "wallet_not_found")
                self._require(all(source != to for source, to, _, _ in movements), "self_transfer")
                self._require_versions(command)
                self._require_may_move(movements, now)
                self._move(movements, now)
                self.refundable["t" + hold[1:]] = [list(movement) for movement in movements]
                return {wallet for movement in movements for wallet in movement[:2]}
            case c.RefundTransfer():
                return self._refund(command, now)
            case c.CloseWallet():
                return self._close(command, now)
            case c.CaptureHold():
                return self._capture(command, now, hold)
            case _:
                return self._change_one(command, now, hold)

    def _change_one(self, command: Any, now: datetime, name: str) -> set[str]:
        wallet = command.wallet
        assets: Iterable[AssetCode] = command.limits if isinstance(command, c.UpdateWallet) else ()
        assets = [command.asset] if isinstance(command, c.PlaceHold) else assets
        self._require(all(asset in self.scales for asset in assets), "asset_not_found")
        self._require(wallet in self.versions, "wallet_not_found")
        self._require_versions(command)
        self._require(wallet not in self.closed or isinstance(command, c.ExpireHold), "wallet_closed")
        match command:
            case c.UpdateWallet():
                for asset, limits in command.limits.items():
                    self._limit_velocity((wallet, asset), limits or c.WalletLimits(), now)
                self.limits |= {(wallet, asset): limits or c.WalletLimits() for asset, limits in command.limits.items()}
                self._require(all(self._is_within_limits(wallet, asset) for asset in assets), "limits_not_met")
            case c.FreezeWallet():
                until = end_of(command.until, command.until_in_seconds, now)
                self._require(until is None or until > now, "moment_passed")
                self.frozen[wallet] = (command.frozen.value, until)
            case c.UnfreezeWallet():
                self._require(self._frozen(wallet, now) is not None, "wallet_not_frozen")
                del self.frozen[wallet]
            case c.PlaceHold():
                self._require(self._frozen(wallet, now) not in ("debits", "both"), "wallet_frozen")
                end = end_of(command.expires_at, command.expires_in_seconds, now)
                self._require(end is None or end > now, "moment_passed")
                self.holds[name] = Hold(wallet, command.asset, Fraction(command.amount), end)
                self._require((self.available(wallet, command.asset) or ZERO) >= 0, "insufficient_funds")
                self._let_out([(wallet, command.asset, Fraction(command.amount))], now, name)
            case c.ExpireHold():
                self._require((command.hold, wallet) in self.unrecorded, "hold_not_open")
            case c.ExtendHold():
                hold = self._hold(command)
                moment = command.expires_at if isinstance(command.expires_at, datetime) else None
                end = end_of(moment, command.expires_in_seconds, now)
                self._require(end is None or end > now, "moment_passed")
                hold.expires_at = end
            case c.VoidHold():
                self._give_back(command.hold, self._hold(command).left)
                del self.holds[command.hold]
            case c.AdjustHold():
                self._adjust(command, now)
        return {wallet}

    def _adjust(self, command: c.AdjustHold, now: datetime) -> None:
        hold = self.holds.get(command.hold)
        is_more = hold is not None and hold.wallet == command.wallet and Fraction(command.amount) > hold.left
        self._require(not is_more or self._frozen(command.wallet, now) not in ("debits", "both"), "wallet_frozen")
        hold = self._hold(command)
        more, hold.left = Fraction(command.amount) - hold.left, Fraction(command.amount)
        is_covered = (self.available(hold.wallet, hold.asset) or ZERO) >= 0
        self._require(not is_more or is_covered, "insufficient_funds")
        if more > 0:
            self._let_out([(hold.wallet, hold.asset, more)], now, command.hold)
        else:
            self._give_back(command.hold, -more)

    def _capture(self, command: c.CaptureHold, now: datetime, name: str) -> set[str]:
        wallets = [command.wallet, *(part.to for part in command.parts)]
        self._require(all(wallet in self.versions for wallet in wallets), "wallet_not_found")
        self._require(command.wallet not in wallets[1:], "self_transfer")
        self._require_versions(command)
        movements = [(command.wallet, part.to, "", Fraction(part.amount)) for part in command.parts]
        self._require_may_move(movements, now)
        hold = self._hold(command)
        hold.left -= sum(Fraction(part.amount) for part in command.parts)
        self._require(hold.left >= 0, "capture_exceeds_hold")
        if hold.left == 0 or command.final:
            self._give_back(command.hold, hold.left)
            del self.holds[command.hold]
        moved = [(source, to, hold.asset, amount) for source, to, _, amount in movements]
        self._move(moved)
        self.refundable["t" + name[1:]] = [list(movement) for movement in moved]
        return set(wallets)

    def _refund(self, command: c.RefundTransfer, now: datetime) -> set[str]:
        movements = [(p.source, p.to, p.asset, Fraction(p.amount)) for p in command.postings]
        self._require(all(w in self.versions for m in movements for w in m[:2]), "wallet_not_found")
        self._require(all(source != to for source, to, _, _ in movements), "self_transfer")
        took_part = {wallet for way in self.refundable.get(command.transfer, ()) for wallet in way[:2]}
        self._require(all(source in took_part for source, *_ in movements), "original_not_found")
        self._require_versions(command)
        for source, to, asset, amount in movements:
            for original in self.refundable[command.transfer]:
                if original[:3] == [to, source, asset]:
                    taken = min(amount, original[3])
                    original[3] -= taken
                    amount -= taken
            self._require(amount == 0, "refund_exceeds_original")
        self._require_may_move(movements, now)
        self._move(movements, now)
        return {wallet for movement in movements for wallet in movement[:2]}

    def _close(self, command: c.CloseWallet, now: datetime) -> set[str]:
        wallet, target = command.wallet, command.sweep_to
        wallets = {wallet} if target is None else {wallet, target}
        self._require(wallets <= set(self.versions), "wallet_not_found")
        self._require(wallet != target, "self_transfer")
        self._require_versions(command)
        self._require(not wallets & self.closed, "wallet_closed")
        had = {asset: money for (name, asset), money in self.money.items() if name == wallet}
        sweep = [(wallet, str(target), asset, money) for asset, money in had.items() if money > 0 and target]
        self._require_may_move(sweep, now)
        self._require(all(hold.wallet != wallet for hold in self.holds.values()), "holds_open")
        self._require(all(money == 0 or (target and money > 0) for money in had.values()), "wallet_not_empty")
        self.limits = {place: limits for place, limits in self.limits.items() if place[0] != wallet}
        self.went_out = {place: events for place, events in self.went_out.items() if place[0] != wallet}
        self._move(sweep)
        self.frozen.pop(wallet, None)
        self.closed.add(wallet)
        return {wallet, *(movement[1] for movement in sweep)}

    def _require_may_move(self, movements: list[Any], now: datetime) -> None:
        self._require(all(w not in self.closed for m in movements for w in m[:2]), "wallet_closed")
        self._require(all(self._frozen(m[0], now) not in ("debits", "both") for m in movements), "wallet_frozen")
        self._require(all(self._frozen(m[1], now) not in ("credits", "both") for m in movements), "wallet_frozen")

    def _limit_velocity(self, place: tuple[str, str], limits: c.WalletLimits, now: datetime) -> None:
        """What went out before a limit, or left a window before it grew, is forgotten."""
        if not limits.velocity:
            self.went_out.pop(place, None)
            return
        events = self.went_out.setdefault(place, [])
        known = self.limits.get(place, c.WalletLimits()).velocity
        longest = max((window.seconds for window in known), default=0)
        if known and max(window.seconds for window in limits.velocity) > longest:
            self.went_out[place] = [event for event in events if (now - event[0]).total_seconds() < longest]

    def _let_out(self, amounts: list[tuple[str, str, Fraction]], now: datetime, hold: str | None = None) -> None:
        """Count what goes out, and see whether every window lets it."""
        for wallet, asset, amount in amounts:
            if (wallet, asset) in self.went_out:
                self.went_out[wallet, asset].append([now, amount, hold])
        for place in {(wallet, asset) for wallet, asset, _ in amounts} & set(self.went_out):
            for window in self.limits[place].velocity:
                recent = [e for e in self.went_out[place] if (now - e[0]).total_seconds() < window.seconds]
                self._require(sum(e[1] for e in recent) <= Fraction(window.amount), "velocity_exceeded")

    def _give_back(self, name: str, amount: Fraction) -> None:
        hold = self.holds[name]
        for event in reversed(self.went_out.get((hold.wallet, hold.asset), [])):
            if event[2] == name:
                taken = min(amount, event[1])
                event[1] -= taken
                amount -= taken

    def _move(self, movements: list[Any], counted_at: datetime | None = None) -> None:
        """One movement after the other; of each the payer has the money, and the payee no more than it may."""
        is_above = False
        for source, to, asset, amount in movements:
            self.money[source, asset] = self.money.get((source, asset), ZERO) - amount
            self.money[to, asset] = self.money.get((to, asset), ZERO) + amount
            self._require((self.available(source, asset) or ZERO) >= 0, "insufficient_funds")
            maximum = self.limits.get((to, asset), c.WalletLimits()).maximum
            is_above |= maximum is not None and self.money[to, asset] > Fraction(maximum)
        if counted_at is not None:
            self._let_out([(source, asset, amount) for source, _, asset, amount in movements], counted_at)
        self._require(not is_above, "above_maximum")

    def _is_within_limits(self, wallet: str, asset: str) -> bool:
        maximum = self.limits[wallet, asset].maximum
        if maximum is not None and self.money.get((wallet, asset), ZERO) > Fraction(maximum):
            return False
        return (self.available(wallet, asset) or ZERO) >= 0

    def _frozen(self, wallet: str, now: datetime) -> str | None:
        side, until = self.frozen.get(wallet, (None, None))
        return side if until is None or now < until else None

    def _hold(self, command: Any) -> Hold:
        hold = self.holds.get(command.hold)
        self._require(hold is not None and hold.wallet == command.wallet, "hold_not_open")
        assert hold is not None
        return hold

    def _require_versions(self, command: c.AnyCommand) -> None:
        stands = all(self.versions.get(wallet, 0) == version for wallet, version in command.if_version.items())
        self._require(stands, "version_mismatch")
        for condition in command.if_balance:
            posted = self.money.get((condition.wallet, condition.asset), ZERO)
            is_known = condition.wallet in self.versions
            available = self.available(condition.wallet, condition.asset) if is_known else ZERO
            has = posted if condition.amount == "posted" else available
            as_if = Fraction(10**99) if has is None else has
            low, high, exact = (
                None if b is None else Fraction(b) for b in (condition.gte, condition.lte, condition.eq)
            )
            self._require(low is None or as_if >= low, "balance_mismatch")
            self._require(high is None or as_if <= high, "balance_mismatch")
            self._require(exact is None or as_if == exact, "balance_mismatch")

    def _require(self, holds: bool, word: str) -> None:
        if not holds:
            raise Refused(word)
