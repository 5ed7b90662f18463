"""The hammer: transfers crossing in all directions, over wallets that retire and load all the time."""

import random
from pathlib import Path

import pytest

from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from walletd.journal.history import entries_of
from walletd.journal.memory.store import MemoryJournalStore
from walletd.ledger.audit import Audit, totals
from walletd.wallets.submission import Answer


@pytest.mark.parametrize("max_warm_wallets", [4, 1000])
async def test_no_deadlock_no_money_lost_and_the_books_equal_the_journal(
    tmp_path: Path, max_warm_wallets: int, chance: random.Random
) -> None:
    wallets = [f"w{n:02}" for n in range(24)]
    store = MemoryJournalStore()
    async with open_core(tmp_path, store, max_warm_wallets=max_warm_wallets) as core:
        submitted = [submit(core, define())]
        for wallet in wallets:
            submitted.append(submit(core, opening(wallet)))
            submitted.append(submit(core, transfer(f"fund-{wallet}", ("@external", wallet, 1000))))
        for number in range(3000):
            legs = []
            for _ in range(chance.randint(1, 4)):
                payer, payee = chance.sample(wallets, 2)
                legs.append((payer, payee, chance.randint(1, 900)))
            submitted.append(submit(core, transfer(f"t{number}", *legs)))
            if number % 50 == 0:
                await answered(submitted[-1])
        await answered(*submitted)
        assert all(isinstance(outcome[0], Answer) for outcome in submitted)
        audit = Audit()
        for segment in store.disk:
            for durable in entries_of(segment):
                audit.fold(durable.entry)
        assert audit.close() == []
        assert totals(audit.books) == {"EUR": 0}
        assert audit.refused > 50
        assert audit.applied > 500
        for wallet, book in core.wallets.books.wallets.items():
            assert book.balances == audit.books.wallets[wallet].balances
            assert book.version == audit.books.wallets[wallet].version
    async with open_core(tmp_path, MemoryJournalStore(store.disk)) as core:
        page = await core.stored.tables.list_wallets("", None, 100)
        for view in page.wallets:
            assert view.balances == audit.books.wallets[view.wallet].balance_records()
            assert view.version == audit.books.wallets[view.wallet].version
