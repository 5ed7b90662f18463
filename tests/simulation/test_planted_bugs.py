"""The simulation is tested: each bug, planted into the spine, is seen within the seeds that the tests run anyway.

A row says what the bug is, whose method it replaces, and how the method then goes wrong.  One that survives fails.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import trio

from tests.journal.outcomes import Told
from tests.simulation.survey import SEEDS_PER_BUG, survey_here
from walletd.journal.failures import JournalFull
from walletd.journal.watchdog import Watchdog
from walletd.journal.writer import JournalWriter
from walletd.streams.publisher import Publisher
from walletd.tables.command_ids import CommandIndex
from walletd.tables.projector import Projector
from walletd.vocabulary.declined import Declined
from walletd.wallets.actor import Actor
from walletd.wallets.book_loading import BookLoading
from walletd.wallets.command_ids import CommandIds
from walletd.wallets.decisions import Decisions
from walletd.wallets.history_clock import HistoryClock
from walletd.wallets.roster import Roster
from walletd.wallets.submission import Answer, Submission

pytestmark = pytest.mark.interpreted


class Bug(NamedTuple):
    """What it is, the class and the name of the method, and what makes the wrong method of the right one."""

    what: str
    owner: type
    name: str
    plant: Callable[[Any], Any]
    first_seed: int = 0
    """With which the search begins, where few seeds see it: few have a roll-back while the read tables are behind."""


# --- answers and durability ------------------------------------------------------------------------------------------


def answers_at_once(decide: Any) -> Any:
    def wrong(self: Decisions, submission: Any, wallets: Any) -> None:
        decide(self, submission, wallets)
        if not submission.is_settled:
            submission.settle(Answer(submission.durable, replayed=False))
            submission.is_settled = False
            submission.reply = lambda answer: None

    return wrong


def delivers_before_the_commit(commit: Any) -> Any:
    async def wrong(self: JournalWriter[Any]) -> None:
        batch = list(self._queue.entries)
        plain, self._outcome = self._outcome, Told(durable=lambda batch: None)
        plain.durable(batch)
        await commit(self)

    return wrong


def believes_what_failed_in_a_turn(commit_now: Any) -> Any:
    def wrong(self: JournalWriter[Any]) -> None:
        commit_now(self)
        if self._passes.failed is not None:
            (sealed, _), self._passes.failed = self._passes.failed, None
            self._committed(sealed)

    return wrong


def forgets_what_failed_in_a_turn(commit_now: Any) -> Any:
    def wrong(self: JournalWriter[Any]) -> None:
        commit_now(self)
        self._passes.failed = None

    return wrong


def commits_beside_the_task(commit_now: Any) -> Any:
    def wrong(self: JournalWriter[Any]) -> None:
        self._passes.is_idle = True
        commit_now(self)

    return wrong


def reads_at_once(when_durable: Any) -> Any:
    return lambda self, submission, foreseen, sequence: submission.settle(foreseen)


def goes_on_after_unknown(watched: Any) -> Any:
    async def wrong(self: Watchdog, call: Any, *arguments: Any) -> None:
        try:
            await call(*arguments)
        except JournalFull:
            raise
        except Exception as unknown:
            raise JournalFull("so it was not written, was it") from unknown

    return wrong


def repeats_settle_early(repeat: Any) -> Any:
    def wrong(self: CommandIds, earlier: Any, submission: Any) -> None:
        if earlier.durable is not None and not earlier.is_settled:
            submission.settle(Answer(earlier.durable, replayed=True))
        else:
            repeat(self, earlier, submission)

    return wrong


def forgets_the_followers(repeat: Any) -> Any:
    def wrong(self: CommandIds, earlier: Any, submission: Any) -> None:
        if earlier.is_settled:
            repeat(self, earlier, submission)

    return wrong


def refuses_without_the_journal(give_up: Any) -> Any:
    def wrong(self: Decisions, submission: Any, declined: Declined) -> None:
        submission.settle(declined)

    return wrong


# --- ids -------------------------------------------------------------------------------------------------------------


def decides_again(submit: Any) -> Any:
    def wrong(self: Decisions, submission: Any) -> None:
        self._ids._recent.pop(submission.key, None)
        submit(self, submission)

    return wrong


def forgets_ids_when_durable(find: Any) -> Any:
    def wrong(self: CommandIds, key: Any) -> Any:
        found = find(self, key)
        return None if isinstance(found, Submission) and found.is_settled else found

    return wrong


def replays_the_neighbour(replay: Any) -> Any:
    async def wrong(self: CommandIds, sequence: int, submission: Any) -> None:
        await replay(self, max(1, sequence - 1), submission)

    return wrong


# --- turns and books -------------------------------------------------------------------------------------------------


def last_come_first_served(pass_on: Any) -> Any:
    def wrong(self: Roster, actor: Actor) -> None:
        mailbox: Any = actor.mailbox
        if len(mailbox) > 1 and mailbox[-1].lacking == len(mailbox[-1].wallets) == 1:
            mailbox.rotate()
        pass_on(self, actor)

    return wrong


def lets_everybody_in_while_loading(is_free: Any) -> Any:
    return property(lambda self: not self.mailbox)


def overtakes_the_mailbox(is_free: Any) -> Any:
    return property(lambda self: self.state.value == "active")


def retires_before_it_is_projected(retire: Any) -> Any:
    def wrong(self: Roster, actor: Actor) -> None:
        actor.last_sequence = 0
        retire(self, actor)

    return wrong


def keeps_the_books(forget_all: Any) -> Any:
    return lambda self, declined: None


def keeps_the_actors(forget_all: Any) -> Any:
    def wrong(self: Roster, declined: Declined) -> None:
        kept = dict(self._books.wallets)
        forget_all(self, declined)
        self._books.wallets.update(kept)

    return wrong


def keeps_the_waiting(forget_all: Any) -> Any:
    def wrong(self: Roster, declined: Declined) -> None:
        for actor in self._actors.values():
            actor.mailbox = ()
        forget_all(self, declined)

    return wrong


def loads_without_waiting(load: Any) -> Any:
    async def wrong(self: BookLoading, wallets: Any) -> Any:
        return await self._read_books(wallets)

    return wrong


def keeps_the_assets(roll_back: Any) -> Any:
    def wrong(self: Decisions, undone: Any, why: Any) -> None:
        assets = dict(self._books.assets)
        roll_back(self, undone, why)
        self._books.assets.update(assets)

    return wrong


def overloads_after_deciding(give_up: Any) -> Any:
    def wrong(self: Decisions, submission: Any, declined: Declined) -> None:
        if self._load.obstacle() is not None:
            self._roster._retire_idle(float("inf"))
            self._books.wallets.clear()
        give_up(self, submission, declined)

    return wrong


def does_not_run_what_is_ready(run_ready: Any) -> Any:
    async def wrong(self: Roster) -> None:
        if self._ready:
            self._run_waiting(self._ready.popleft())

    return wrong


# --- time ------------------------------------------------------------------------------------------------------------


def believes_the_clock(now: Any) -> Any:
    return lambda self: self._clock()


# --- the projector ---------------------------------------------------------------------------------------------------


def loses_an_entry(project_some: Callable[[Projector], Awaitable[bool]]) -> Any:
    async def wrong(self: Projector) -> bool:
        backlog = self._backlog
        if backlog.unfolded > 2 and backlog._unfolded[0].entry.sequence < backlog._frontiers[0].size:
            backlog.entries -= 1
            backlog._unfolded.popleft()
        return await project_some(self)

    return wrong


def says_projected_too_soon(extend: Any) -> Any:
    def wrong(self: Projector, entries: Any, frontier: Any) -> None:
        extend(self, entries, frontier)
        self._progress = self._progress._replace(sequence=frontier.size)

    return wrong


def never_wakes(extend: Any) -> Any:
    def wrong(self: Projector, entries: Any, frontier: Any) -> None:
        arrived = self._arrived
        if frontier.size % 7 == 0:
            self._arrived = trio.Event()
        extend(self, entries, frontier)
        self._arrived = arrived

    return wrong


# --- streams ---------------------------------------------------------------------------------------------------------


def skips_who_is_slow(fall_behind: Any) -> Any:
    return lambda self, subscription, position: None


def live_too_soon(fall_behind: Any) -> Any:
    def wrong(self: Publisher, subscription: Any, position: int) -> None:
        fall_behind(self, subscription, position)
        subscription.is_live = True

    return wrong


def catches_up_one_too_late(entries_after: Any) -> Any:
    async def wrong(self: Publisher, position: int) -> Any:
        entries = await entries_after(self, position)
        return entries[1:] if len(entries) > 1 else entries

    return wrong


def shows_beyond_the_head(entries_after: Any) -> Any:
    async def wrong(self: Publisher, position: int) -> Any:
        return await entries_after(self, max(0, position - 1))

    return wrong


def tells_everybody(receivers: Any) -> Any:
    return lambda self, entry: dict(self._all)


def publishes_tentative_entries(decide: Any) -> Any:
    def wrong(self: Decisions, submission: Any, wallets: Any) -> None:
        decide(self, submission, wallets)
        core: Any = self._writer._outcome
        publisher = core.publisher
        if submission.durable is not None and submission.durable.entry.sequence == publisher.head + 1:
            publisher.publish(submission.durable)
            publisher.head -= 1
            publisher._recent.pop()

    return wrong


def heartbeats_of_the_tentative_head(heartbeat: Any) -> Any:
    def wrong(self: Publisher) -> None:
        for subscription in self._all:
            if subscription.outlet.has_room():
                subscription.outlet.send_heartbeat(subscription, self.head + 1)

    return wrong


def keeps_subscriptions(unsubscribe: Any) -> Any:
    def wrong(self: Publisher, subscription: Any) -> None:
        subscription.is_live = False
        subscription.scope.cancel()

    return wrong


BUGS = [
    Bug("a command is answered when it is decided", Decisions, "_decide", answers_at_once),
    Bug("a commit is delivered before it is made", JournalWriter, "_commit", delivers_before_the_commit),
    Bug("a commit that failed in a turn is delivered", JournalWriter, "commit_now", believes_what_failed_in_a_turn),
    Bug("a commit that failed in a turn is forgotten", JournalWriter, "commit_now", forgets_what_failed_in_a_turn),
    Bug("a turn commits while the task does", JournalWriter, "commit_now", commits_beside_the_task),
    Bug("a read does not wait for what it saw", Decisions, "_settle_when_durable", reads_at_once),
    Bug("an unknown outcome is taken for a failure", Watchdog, "call", goes_on_after_unknown),
    Bug("a duplicate is answered before the first is durable", CommandIds, "_repeat", repeats_settle_early),
    Bug("a duplicate of what is under way is never answered", CommandIds, "_repeat", forgets_the_followers),
    Bug("what was given up is still remembered", Decisions, "_give_up", refuses_without_the_journal),
    Bug("the index is not asked", CommandIndex, "find", lambda find: lambda self, principal, command_id: None),
    Bug("a replay decides again", Decisions, "submit", decides_again),
    Bug("ids are forgotten before they are projected", CommandIds, "find", forgets_ids_when_durable),
    Bug("a replay answers with the entry before", CommandIds, "_replay", replays_the_neighbour),
    Bug("the last in a mailbox is served first", Roster, "_pass_on", last_come_first_served),
    Bug("a claim runs before the book is loaded", Actor, "is_free", lets_everybody_in_while_loading),
    Bug("a claim overtakes the mailbox", Actor, "is_free", overtakes_the_mailbox),
    Bug("an actor retires before its entries are projected", Roster, "_retire", retires_before_it_is_projected),
    Bug("a roll-back forgets nothing", Roster, "forget_all", keeps_the_books),
    Bug("a roll-back leaves books behind", Roster, "forget_all", keeps_the_actors),
    Bug("a roll-back forgets who waits", Roster, "forget_all", keeps_the_waiting),
    Bug("a book is loaded from tables that are behind", BookLoading, "load", loads_without_waiting, 130),
    Bug("a roll-back leaves assets behind", Decisions, "roll_back", keeps_the_assets),
    Bug("what is refused for lack of room loses its books", Decisions, "_give_up", overloads_after_deciding),
    Bug("claims that are ready are left", Roster, "_run_ready", does_not_run_what_is_ready),
    Bug("the clock is believed", HistoryClock, "next_entry_time", believes_the_clock),
    Bug("the projector loses an entry", Projector, "project_some", loses_an_entry),
    Bug("the projector is said to be where it is not", Projector, "extend", says_projected_too_soon),
    Bug("the projector is not woken", Projector, "extend", never_wakes),
    Bug("a slow subscriber misses events", Publisher, "_fall_behind", skips_who_is_slow),
    Bug("a subscription is live before it caught up", Publisher, "_fall_behind", live_too_soon),
    Bug("catching up begins one too late", Publisher, "_entries_after", catches_up_one_too_late),
    Bug("catching up begins one too soon", Publisher, "_entries_after", shows_beyond_the_head),
    Bug("every client is told everything", Publisher, "_receivers", tells_everybody),
    Bug("events show what is not durable", Decisions, "_decide", publishes_tentative_entries),
    Bug("a heartbeat is ahead of the head", Publisher, "_heartbeat", heartbeats_of_the_tentative_head),
    Bug("subscriptions stay behind", Publisher, "unsubscribe", keeps_subscriptions),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS, ids=[bug.what for bug in BUGS])
def test_the_seeds_see(bug: Bug) -> None:
    with patch.object(bug.owner, bug.name, bug.plant(getattr(bug.owner, bug.name))):
        seeds = [*range(bug.first_seed, SEEDS_PER_BUG), *range(bug.first_seed)]
        seen = next((failure for seed in seeds if (failure := survey_here([seed]).failures)), None)
    assert seen is not None, f"no seed below {SEEDS_PER_BUG} sees that {bug.what}"
    print(seen)
