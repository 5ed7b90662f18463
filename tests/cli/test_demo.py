"""The demonstration's parts: who does what, the account that is kept of it, and proofs that fail where they must."""

import re
from collections import deque
from random import Random
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from tests.cli.standin import applied, balance, view
from walletd.cli.demo.deeds import Dealer, Deed
from walletd.cli.demo.proof import Proof, proofs_of
from walletd.cli.demo.summary import percentile, summary_of
from walletd.cli.demo.town import SCALES, Town, run_name
from walletd.cli.demo.workload import Account, Extent, Workload
from walletd.client import Applied, Leg, OutcomeUnknown, Refused
from walletd.protocol.messages.operator import AssetTotal, AuditReport
from walletd.vocabulary.identifiers import WALLET_ID_PATTERN, AssetCode
from walletd.vocabulary.reasons import Outcome, Reason

RUN = "demo-abc234"


def town() -> Town:
    return Town.founded(RUN, wallets=20)


def deeds(seed: int, count: int = 3000) -> list[Deed]:
    rich = town()
    for customer in rich.customers:
        for asset in SCALES:
            rich.posted[customer, asset] = 10**30
    purchases: deque[Deed] = deque()
    dealer = Dealer(rich, Random(seed), purchases)
    done = []
    for _ in range(count):
        done.append(dealer.next())
        if done[-1].kind == "purchase":
            purchases.append(done[-1])
    return done


def test_a_town_has_as_many_wallets_as_it_was_told_and_two_of_its_own() -> None:
    for wallets in (3, 20, 300, 1001):
        founded = Town.founded(RUN, wallets)
        assert len(set(founded.wallets)) == wallets + 2


def test_every_name_in_town_is_a_wallet_name_and_no_run_has_the_name_of_another() -> None:
    assert all(re.match(WALLET_ID_PATTERN, wallet) for wallet in [*town().wallets, town().nobody])
    assert len({run_name(Random(seed)) for seed in range(1000)}) == 1000


def test_the_same_seed_does_the_same_deeds() -> None:
    assert deeds(7) == deeds(7)
    assert deeds(7) != deeds(8)


def test_the_town_does_everything_that_it_is_there_to_show() -> None:
    kinds = {deed.kind for deed in deeds(7)}
    assert kinds == {
        *("purchase", "tip", "refund", "exchange", "deposit"),
        *("overspending", "payment to no wallet", "payment to oneself"),
    }
    assert {deed.must_be_refused for deed in deeds(7)} == {
        *(None, Reason.INSUFFICIENT_FUNDS, Reason.WALLET_NOT_FOUND, Reason.SELF_TRANSFER),
    }
    assert {leg.asset for deed in deeds(7) for leg in deed.legs} == set(SCALES)


def test_every_deed_can_be_seen_by_who_watches_the_run() -> None:
    for deed in deeds(7):
        assert any(wallet.startswith(town().prefix) for leg in deed.legs for wallet in (leg.source, leg.to))
        assert all(isinstance(leg.amount, int) and leg.amount > 0 for leg in deed.legs)


def test_a_purchase_pays_its_fee_in_the_same_transfer_and_a_refund_gives_both_back() -> None:
    for deed in deeds(7):
        if deed.kind in ("purchase", "refund"):
            price, fee = deed.legs if deed.kind == "purchase" else reversed(deed.legs)
            assert fee.amount * 50 <= price.amount or fee.amount == 1
            assert town().fees in (fee.to, fee.source)


def test_who_has_nothing_brings_money_before_spending_it() -> None:
    poor = Dealer(town(), Random(7), deque())
    kinds = {deed.kind for deed in (poor.next() for _ in range(500)) if deed.must_be_refused is None}
    assert kinds == {"deposit"}


def test_the_account_of_the_town_is_the_sum_of_what_was_applied() -> None:
    kept = town()
    kept.apply((Leg("@external", "a", 100, "EUR"), Leg("a", "b", 40, "EUR")))
    kept.apply((Leg("b", "a", 15, "EUR"),))
    assert dict(kept.posted) == {("a", "EUR"): 75, ("b", "EUR"): 25}


@pytest.mark.parametrize(("percent", "expected"), [(0.1, 1), (50, 500), (90, 900), (99, 990), (99.9, 999), (100, 1000)])
def test_a_percentile_is_the_nearest_rank(percent: float, expected: int) -> None:
    assert percentile(range(1, 1001), percent) == expected
    assert percentile([], percent) == 0
    assert percentile([5.0], percent) == 5.0


# --- the workload over a ledger that a test makes ------------------------------------------------------------------


def refusal(reason: Reason) -> Refused:
    return Refused(reason, "no", outcome=Outcome.NOT_APPLIED, retry=reason.retry, command_id="c")


class Ledger:
    """Keeps command ids and answers as the daemon would, but for the fault that it is told to have."""

    def __init__(self, town: Town, fault: str = "") -> None:
        self._town = town
        self._fault = fault
        self._answers: dict[str, Applied | Refused] = {}
        self._unknown: set[str] = set()
        self.sequence = 0

    async def post(self, legs: tuple[Leg, ...], *, reference: str, command_id: str) -> Applied:
        if self._fault == "loses answers" and command_id not in self._unknown:
            self._unknown.add(command_id)
            raise OutcomeUnknown(command_id, "transfer.post")
        first = self._answers.get(command_id)
        if first is None:
            answer = self._answers[command_id] = self._decide(legs)
        elif isinstance(first, Applied) and self._fault != "forgets command ids":
            answer = msgspec.structs.replace(first, replayed=True)
        else:
            answer = first
        if isinstance(answer, Refused):
            raise answer
        return answer

    def _decide(self, legs: tuple[Leg, ...]) -> Applied | Refused:
        self.sequence += 1
        if legs[0].to == self._town.nobody and self._fault != "pays no wallet":
            return refusal(Reason.WALLET_NOT_FOUND)
        if legs[0].to == legs[0].source:
            return refusal(Reason.SELF_TRANSFER)
        if legs[0].amount == 10**12 and legs[0].asset == "EUR":
            return refusal(Reason.WALLET_CLOSED if self._fault == "wrong reasons" else Reason.INSUFFICIENT_FUNDS)
        return msgspec.structs.replace(applied(), sequence=self.sequence)


async def account_of(fault: str = "") -> Account:
    played = town()
    workload = Workload(played, seed=7)
    clients: list[Any] = [Ledger(played, fault)]
    await workload.bring_money(clients, 500)
    await workload.run(clients, 500)
    return workload.account


async def test_as_many_operations_are_done_as_were_asked_for_and_each_is_accounted_for() -> None:
    account = await account_of()
    assert account.operations == 500
    assert account.applied.total() + account.refused.total() + account.replays == 500
    assert account.replays > 0
    assert not account.surprises


async def test_when_the_time_is_over_nobody_begins_anything_new(autojump_clock: MockClock) -> None:
    class SlowLedger(Ledger):
        async def post(self, legs: tuple[Leg, ...], *, reference: str, command_id: str) -> Applied:
            await trio.sleep(1)
            return await super().post(legs, reference=reference, command_id=command_id)

    played = town()
    workload = Workload(played, seed=7)
    clients: list[Any] = [SlowLedger(played)]
    began = trio.current_time()
    workload.ends_at = began + 60
    await workload.bring_money(clients, 10**9)
    await workload.run(clients, 10**9)
    assert 60 <= trio.current_time() - began <= 62
    assert 32 * 59 <= workload.account.operations <= 32 * 63
    assert not workload.account.surprises


def test_the_bar_follows_whichever_bound_is_nearer() -> None:
    assert Extent(100, None).progress(25, 1000) == 0.25
    assert Extent(None, 10).progress(25, 5) == 0.5
    assert Extent(100, 10).progress(75, 5) == 0.75
    assert Extent(100, 10).progress(10, 50) == 1.0


async def test_a_command_whose_answer_was_lost_is_sent_again_and_counted_once() -> None:
    account = await account_of("loses answers")
    assert account.operations == 500
    assert account.applied.total() + account.refused.total() + account.replays == 500
    assert not account.surprises


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("forgets command ids", "got a different answer"),
        ("pays no wallet", "payment to no wallet was applied"),
        ("wrong reasons", "overspending was refused as wallet_closed, not as insufficient_funds"),
    ],
)
async def test_a_ledger_with_a_fault_is_found_out(fault: str, complaint: str) -> None:
    account = await account_of(fault)
    assert any(complaint in surprise for surprise in account.surprises)


# --- the proofs over a daemon that may lie -------------------------------------------------------------------------


class Books:
    """What a daemon says it has: of the town's wallets, one with 75 euro cents and one with a debt of as many."""

    def __init__(self, town: Town, cents: int = 75, total: str = "0", without: str = "") -> None:
        self._town = town
        self._cents = cents
        self._total = total
        self._without = without

    async def status(self) -> Any:
        return msgspec.defstruct("Status", [("projected", int, 10)])()

    async def audit(self) -> AuditReport:
        total = AssetTotal(AssetCode("EUR"), self._total, "75")
        return AuditReport(sequence=10, wallets=3, totals=(total,), violations=())

    async def wallet(self, name: str) -> Any:
        return view(name)

    async def wallets(self, prefix: str) -> Any:
        first = self._town.customers[0]
        for name in (*self._town.shops, *self._town.customers):
            if name != self._without:
                yield view(name, balance(name, "EUR", self._cents)) if name == first else view(name)


async def proven(seen: int = 4, surprise: str = "", **books: Any) -> list[Proof]:
    asked = town()
    asked.posted[asked.customers[0], "EUR"] = 75
    account = Account()
    if surprise:
        account.surprise(surprise)
    client: Any = Books(asked, **books)
    return await proofs_of(client, asked, account, seen, 4)


async def test_all_proofs_hold_where_the_books_are_right() -> None:
    assert all(proof.holds for proof in await proven())


@pytest.mark.parametrize(
    ("lie", "claim", "shown"),
    [
        ({"cents": 76}, "every balance", "has 0.76 EUR, and should have 0.75 EUR"),
        ({"cents": 0}, "every balance", "has 0.00 EUR, and should have 0.75 EUR"),
        ({"without": town().shops[0]}, "every balance", "is missing"),
        ({"total": "1"}, "all EUR sums to zero", "sum to 0.01 EUR"),
        ({"seen": 3}, "the stream", "3 of 4 events"),
        ({"surprise": "odd"}, "every command", "odd"),
    ],
)
async def test_each_lie_breaks_its_own_proof(lie: dict[str, Any], claim: str, shown: str) -> None:
    (broken,) = [proof for proof in await proven(**lie) if not proof.holds]
    assert broken.claim.startswith(claim)
    assert shown in broken.shown_by


async def test_a_summary_with_one_broken_proof_is_not_proven() -> None:
    account = Account()
    account.latencies.append(0.001)
    right = summary_of(town(), 7, 4, account, 1.0, 4, 4, await proven())
    wrong = summary_of(town(), 7, 4, account, 1.0, 4, 4, await proven(cents=76))
    assert (right.is_proven, wrong.is_proven) == (True, False)
