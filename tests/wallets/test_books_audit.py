"""The audit: of one moment's books, however long it takes; what a start does of it, and what goes on beside serving."""

from pathlib import Path

import pytest
import trio

from tests.state_file import state_file
from tests.wallets.conftest import CLIENT, answered, define, opening, submit, transfer
from walletd.daemon import auditing
from walletd.daemon.auditing import audit_at_start, audit_beside
from walletd.daemon.engine import Engine
from walletd.journal.failures import JournalCorrupt
from walletd.tables.file import FILE_NAME, ReadTablesRotten
from walletd.tables.schema import (
    CHANGE_COLUMNS,
)
from walletd.tables.seals import (
    seal,
)
from walletd.upkeep import books_audit
from walletd.upkeep.books_audit import Audit, open_audit

WALLETS = [f"w{number:02}" for number in range(20)]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_audit, "PAGE_ROWS", 3)


async def furnished(core: Engine) -> None:
    await answered(submit(core, define(), CLIENT), *(submit(core, opening(wallet)) for wallet in WALLETS))
    await answered(*(submit(core, transfer(f"in-{name}", ("@external", name, 100))) for name in WALLETS))
    await core.projector.reach(core.writer.durable_head)


async def after_a_page(audit: Audit) -> None:
    """One more page of it."""
    before = audit._last
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(audit.go_on)
            while audit._last == before and not audit.is_done:
                await trio.lowlevel.checkpoint()
            scope.cancel()


async def test_an_audit_that_is_interrupted_by_transfers_is_of_the_moment_when_it_began(
    tmp_path: Path, core: Engine
) -> None:
    await furnished(core)
    begun = await core.audits.report()
    assert begun.violations == ()
    audit = await open_audit(core.audits._path)
    number = 0
    while not audit.is_done:
        await after_a_page(audit)
        for payer, payee in (("w00", "w19"), ("w19", "w00"), ("w10", "w01")):
            number += 1
            await answered(submit(core, transfer(f"t-{number}", (payer, payee, 1))))
        await answered(submit(core, transfer(f"new-{number}", ("@external", "w05", 7))))
        await core.projector.reach(core.writer.durable_head)
    assert number > 9
    assert audit.report() == begun
    await audit.aclose()
    assert (await core.audits.report()).violations == ()


async def made_money(core: Engine) -> Path:
    """One balance says more than was paid in, in rows that are sound."""
    await furnished(core)
    path = core.audits._path
    with state_file(path) as tables:
        *row, _ = tables.execute(f"SELECT {CHANGE_COLUMNS} FROM balance_change c WHERE wallet = 'w17'").fetchall()[0]
        made = ["101" if value == "100" else value for value in row]
        assert made != row
        tables.execute("UPDATE balance_change SET posted = '101', seal = ? WHERE wallet = 'w17'", (seal(*made),))
    return path


async def test_money_that_was_made_is_not_served(core: Engine) -> None:
    audit = await open_audit(await made_money(core))
    told: list[int] = []
    with pytest.raises(JournalCorrupt, match=r"EUR sum to 0\.01 EUR, not to zero"):
        await audit_at_start(audit, told.append)
    assert told == [1]
    await audit.aclose()


async def test_what_a_start_has_no_time_for_is_done_beside_the_serving(
    core: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(auditing, "PAUSE_SECONDS", 0)
    audit = await open_audit(await made_money(core))
    told: list[int] = []
    await audit_at_start(audit, told.append)
    assert told == []
    with pytest.raises(JournalCorrupt, match=r"EUR sum to 0\.01 EUR, not to zero"):
        await audit_beside(audit, told.append)
    assert told == [1]
    await audit.aclose()


async def test_sound_books_are_told_of_once(core: Engine) -> None:
    await furnished(core)
    audit = await open_audit(core.audits._path, counts_wallets=False)
    told: list[int] = []
    await audit_at_start(audit, told.append)
    await audit_beside(audit, told.append)
    assert told == [0]
    await audit.aclose()


@pytest.mark.parametrize("change", ["posted = '999'", "posted = 'x'", "version = version + 1"])
async def test_where_pages_have_no_sums_a_row_that_has_rotted_is_rot_and_not_a_violation(
    no_page_sums: None, core: Engine, change: str
) -> None:
    await furnished(core)
    with state_file(core.audits._path.with_name(FILE_NAME)) as tables:
        tables.execute(f"UPDATE balance_change SET {change} WHERE wallet = 'w03'")
    with pytest.raises(ReadTablesRotten):
        await core.audits.report()
