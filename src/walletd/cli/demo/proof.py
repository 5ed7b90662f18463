"""The proofs at the end of the demonstration: the daemon's balances match its answers, and no money came from nowhere.

proofs = await proofs_of(client, town, account, events_seen, events_expected)
all(proof.holds for proof in proofs)
"""

import msgspec
import trio

from walletd.cli.demo.town import SCALES, Town
from walletd.cli.demo.workload import Account
from walletd.cli.views import coded
from walletd.client import Client

PROJECTION_SECONDS = 60.0
SECONDS_BETWEEN_LOOKS = 0.05


class Proof(msgspec.Struct, frozen=True):
    """A claim, its truth, and the evidence."""

    claim: str
    holds: bool
    shown_by: str


async def proofs_of(client: Client, town: Town, account: Account, seen: int, expected: int) -> list[Proof]:
    """Every proof, each from the daemon's present state."""
    await _until_readable(client, account.last_sequence)
    return [
        *await _sums_are_zero(client),
        await _balances_are_as_answered(client, town),
        Proof("the stream missed nothing", seen == expected, f"{seen:,} of {expected:,} events seen"),
        _nothing_surprised(account),
    ]


async def _until_readable(client: Client, sequence: int) -> None:
    """Wait until the run's last write can be read: another session sees it a moment later."""
    with trio.move_on_after(PROJECTION_SECONDS):
        while True:
            status = await client.status()
            if status.projected >= sequence:
                return
            await trio.sleep(SECONDS_BETWEEN_LOOKS)


async def _sums_are_zero(client: Client) -> list[Proof]:
    report = await client.audit()
    proofs = [
        Proof(
            f"all {total.asset} sums to zero",
            total.sum == "0",
            f"{report.wallets:,} wallets sum to {_in_words(total.sum, total.asset)}",
        )
        for total in report.totals
    ]
    if report.violations:
        proofs.append(Proof("the daemon's own audit passes", False, "; ".join(report.violations[:3])))
    return proofs


async def _balances_are_as_answered(client: Client, town: Town) -> Proof:
    views = [view async for view in client.wallets(town.prefix)]
    views += [await client.wallet(town.fees), await client.wallet(town.exchange)]
    there: dict[tuple[str, str], int] = {
        (view.wallet, balance.asset): int(balance.posted) for view in views for balance in view.balances
    }
    differing = [key for key in {*there, *town.posted} if there.get(key, 0) != town.posted.get(key, 0)]
    missing = set(town.wallets) - {view.wallet for view in views}
    shown = f"{len(views):,} wallets, {len(there):,} balances compared"
    if differing:
        shown = _difference(*min(differing), there, town)
    elif missing:
        shown = f"wallet {min(missing)} is missing"
    return Proof("every balance is the sum of the answers", not differing and not missing, shown)


def _difference(wallet: str, asset: str, there: dict[tuple[str, str], int], town: Town) -> str:
    return (
        f"{wallet} has {_in_words(there.get((wallet, asset), 0), asset)}, "
        f"and should have {_in_words(town.posted.get((wallet, asset), 0), asset)}"
    )


def _in_words(units: int | str, asset: str) -> str:
    return coded(str(units), asset, SCALES)


def _nothing_surprised(account: Account) -> Proof:
    shown = account.surprises[0] if account.surprises else "refusals for the right reason, replays answered alike"
    return Proof("every command got the expected answer", not account.surprises, shown)
