"""What the simulation found, each as the shortest script that shows it."""

from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from tests.wallets.conftest import answered, define, open_core, opening, submit, transfer
from tests.wallets.test_publisher import subscribe
from walletd.daemon.engine import Engine
from walletd.journal.failures import JournalFull
from walletd.journal.memory.store import MemoryJournalStore
from walletd.vocabulary.declined import Declined
from walletd.vocabulary.entries import Refusal
from walletd.vocabulary.reasons import Reason
from walletd.wallets.submission import Foreseen


async def test_a_first_start_on_a_full_disk_ends_with_a_word_about_the_disk(tmp_path: Path) -> None:
    journal = MemoryJournalStore()
    journal.is_full = True
    with pytest.RaisesGroup(JournalFull, flatten_subgroups=True, allow_unwrapped=True):
        async with open_core(tmp_path, journal):
            await trio.sleep(0)


async def test_a_dry_run_does_not_show_an_asset_that_is_not_durable_yet(core: Engine) -> None:
    first = submit(core, define())
    foreseen = submit(core, msgspec.structs.replace(define(command_id="once-more"), dry_run=True))
    assert foreseen == []
    await answered(first, foreseen)
    assert isinstance(foreseen[0], Foreseen)
    assert isinstance(foreseen[0].verdict, Refusal)
    assert foreseen[0].verdict.reason is Reason.ASSET_ALREADY_DEFINED


async def test_a_dry_run_over_an_asset_that_a_full_disk_undid_is_not_answered_with_it(
    core: Engine, journal: MemoryJournalStore
) -> None:
    await answered(submit(core, opening("alice")))
    journal.is_full = True
    submit(core, define())
    foreseen = submit(core, transfer("t", ("@external", "alice", 1), dry_run=True))
    await answered(foreseen)
    assert isinstance(foreseen[0], Declined)
    assert foreseen[0].reason is Reason.UNAVAILABLE


async def test_one_who_gets_room_and_unsubscribes_before_anybody_else_ran_gets_nothing_more(core: Engine) -> None:
    await answered(submit(core, define()), submit(core, opening("alice")))
    subscriber, subscription = subscribe(core, after=0, room=1)
    await trio.testing.wait_all_tasks_blocked()
    assert subscriber.sequences == [1]
    subscriber.give_room(100)
    core.publisher.unsubscribe(subscription)
    await trio.testing.wait_all_tasks_blocked()
    assert subscriber.sequences == [1]
