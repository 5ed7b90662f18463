"""The world around the daemon: its disk, its clock, its faults and its clients; one seed decides all of it.

    simulate(seed)                             # the run's step hash; raises Failed, which names the seed

First the storm: commands, reads and streams while faults strike.  Then everything is healed, every command ever sent
is sent again until it is answered, and what must be empty when no client waits is checked.
"""

import hashlib
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import trio
import trio.testing

from tests.simulation.clients import Client, Stream
from tests.simulation.oracle import Oracle, Violation, check
from tests.simulation.plan import Plan, draw
from tests.simulation.process import Died, Process
from tests.simulation.tables import sqlite_in_the_loop
from tests.state_file import state_file
from walletd.journal.segment import Segment
from walletd.ledger.audit import Audit
from walletd.streams import publisher
from walletd.tables import backlog
from walletd.tables.file import FILE_NAME
from walletd.tables.writer import delete_read_tables
from walletd.vocabulary.commands import AnyCommand
from walletd.wallets import roster

START = datetime(2030, 1, 1, tzinfo=UTC)
STORM_SECONDS = 600.0
SETTLING_SECONDS = 900.0
"""How long, in virtual time, everything may take to settle once nothing goes wrong any more."""
MEMORY = Path("/dev/shm")


class Failed(Exception):
    """A run that something is wrong with."""


class Report(NamedTuple):
    """What a run came to."""

    steps: str
    """The hash over every step of every task and everything that was noted."""
    entries: int
    answers: int
    lives: int
    storm_steps: int
    """How many steps the tasks took until everything was healed."""


class Disk(list[Segment]):
    """The journal's disk: it survives every process, and the oracle sees what reaches it."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world

    def append(self, segment: Segment) -> None:
        super().append(segment)
        self._world.note(f"durable {segment.last_sequence} {segment.digest.hex()}")
        self._world.judge(self._world.oracle.durable, segment)


class Steps(trio.abc.Instrument):
    """Tells the world which task runs when."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._world.note(task.name)
        self._world.stepped()


class World:
    """Everything but the daemon."""

    def __init__(self, seed: int, directory: Path, plan: Plan | None = None, cancel_at: int = 0) -> None:
        self.chance = random.Random(seed)
        self.plan = plan or draw(self.chance)
        self._cancel_at = cancel_at
        self.storm_steps = 0
        self.directory = directory
        self.oracle = Oracle()
        self.disk = Disk(self)
        self.process: Process | None = None
        self.lives = 0
        self.order = 0
        self.sent: dict[str, list[AnyCommand]] = {}
        """Every command that was sent, by principal."""
        self.is_full = False
        self.is_healed = False
        self.blamed: BaseException | None = None
        self._points_to_crash = self._next_crash()
        self._clock_offset = timedelta()
        self._arrival = trio.Event()
        self._scope = trio.CancelScope()
        self._hash = hashlib.sha256()

    # --- what happened ---------------------------------------------------------------------------------------------

    def note(self, what: str) -> None:
        """Make it part of the step hash."""
        self._hash.update(f"{trio.current_time():.6f} {what}\n".encode())

    def judge(self, verdict: Callable[..., None], *arguments: Any) -> None:
        """Ask the oracle; where it finds something the run ends."""
        if self.blamed is None:
            try:
                verdict(*arguments)
            except Exception as violation:
                self._end(violation)

    def blame(self, sentence: str) -> None:
        """Something that must not happen happened."""
        try:
            raise Violation(sentence)
        except Violation as violation:
            self._end(violation)

    def _end(self, violation: BaseException) -> None:
        if self.blamed is None:
            self.blamed = violation
        self._scope.cancel()

    def stepped(self) -> None:
        """A task is about to run; at the step asked for, the process that lives is cancelled instead of killed."""
        self.storm_steps += not self.is_healed
        if self.storm_steps == self._cancel_at and self.process is not None:
            self._cancel_at = 0
            self.process.cancel()

    # --- time and faults -------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The wall clock, which may jump."""
        return START + timedelta(seconds=trio.current_time()) + self._clock_offset

    def latency(self) -> float:
        """How long the disk takes this time."""
        chance = self.chance.random()
        if chance < 0.4:
            return 0.0
        return self.chance.uniform(0, self.plan.slowness * (5 if chance > 0.98 else 1))

    def is_at_once(self) -> bool:
        """Whether the event loop asks the disk itself, without a thread, so that no other task runs meanwhile."""
        return self.chance.random() < 0.5

    def silence(self, process: Process) -> float:
        """Hardly ever: that the disk does not answer at all."""
        if self.is_healed or self.chance.random() >= self.plan.silent:
            return 0.0
        process.may_die = True
        return 60.0

    def is_time_to_crash(self) -> bool:
        """Whether the process is to be killed at this very point."""
        if self.is_healed or not self.plan.crash_every:
            return False
        self._points_to_crash -= 1
        if self._points_to_crash > 0:
            return False
        self._points_to_crash = self._next_crash()
        return True

    def _next_crash(self) -> int:
        return self.chance.randint(1, 2 * self.plan.crash_every + 1)

    async def pause(self) -> None:
        """What a call of the read tables' disk takes."""
        assert self.process is not None
        self.process.point()
        await self.process.pause(self.latency() / 10)

    async def _fill_the_disk(self) -> None:
        while self.plan.full_every:
            await trio.sleep(self.chance.expovariate(1 / self.plan.full_every))
            self.is_full = not self.is_healed
            await trio.sleep(self.chance.uniform(0, 3))
            self.is_full = False

    async def _stop_the_daemon(self) -> None:
        while self.plan.stop_every:
            await trio.sleep(self.chance.expovariate(1 / self.plan.stop_every))
            if self.process is not None and not self.is_healed:
                self.process.stop.set()

    async def _turn_the_clock(self) -> None:
        while self.plan.clock_jumps:
            await trio.sleep(self.chance.expovariate(2))
            self._clock_offset += timedelta(seconds=self.chance.choice([-86_400, -1, -0.001, 0.5, 3600]))

    # --- lives of the daemon ---------------------------------------------------------------------------------------

    def arrived(self) -> None:
        """A process serves."""
        self._arrival.set()

    async def serving(self) -> Process:
        """The process that serves, as soon as there is one."""
        while self.process is None or not self.process.is_serving:
            self._arrival = trio.Event() if self._arrival.is_set() else self._arrival
            await self._arrival.wait()
        return self.process

    async def _lives(self) -> None:
        while True:
            await self.live_once()
            self._tamper_with_the_tables()
            await trio.sleep(self.chance.uniform(0, 0.2))

    async def live_once(self) -> None:
        """One process from its start to its end."""
        self.lives += 1
        self.process = Process(self, self.lives)
        try:
            await self.process.live()
        except Exception as failure:
            if not (self.oracle.head == 0 and self.oracle.full_in_life == self.lives):
                self._end(failure)
        finally:
            self.oracle.lost(self.lives)
            self.note(f"life {self.lives} is over")

    def _tamper_with_the_tables(self) -> None:
        """The read tables may be lost, or stand where they once stood: they come back."""
        chance = self.chance.random()
        old = self.directory / "old.db"
        if chance < 0.2:
            delete_read_tables(self.directory)
        elif chance < 0.4 and old.exists():
            delete_read_tables(self.directory)
            old.rename(self.directory / FILE_NAME)
        elif chance < 0.6 and (self.directory / FILE_NAME).exists():
            old.write_bytes((self.directory / FILE_NAME).read_bytes())

    # --- the run ---------------------------------------------------------------------------------------------------

    async def run(self) -> Report:
        """Storm, heal, settle, look."""
        try:
            await self._run()
        except Exception as failure:
            self._end(failure)
        if self.blamed is not None:
            raise self.blamed
        return Report(self._hash.hexdigest(), self.oracle.head, self.oracle.answers, self.lives, self.storm_steps)

    async def _run(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                for act in (self._lives, self._fill_the_disk, self._stop_the_daemon, self._turn_the_clock):
                    nursery.start_soon(act)
                streams = [Stream(self, number) for number in range(self.chance.randint(0, 4))]
                clients = [Client(self, number) for number in range(self.plan.clients)]
                for stream in streams:
                    nursery.start_soon(stream.follow)
                with trio.move_on_after(STORM_SECONDS):
                    async with trio.open_nursery() as storm:
                        for client in clients:
                            storm.start_soon(client.storm)
                self.is_healed, self.is_full = True, False
                await self._settle(clients, streams)
                nursery.cancel_scope.cancel()
            await self._look_at_the_end()

    async def _settle(self, clients: list[Client], streams: list[Stream]) -> None:
        """Everything is answered in the end, every stream is complete, and nothing is left in memory."""
        with trio.move_on_after(SETTLING_SECONDS) as patience:
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(client.settle)
            process = await self.serving()
            assert process.core is not None
            await process.core.projector.reach(self.oracle.head)
            while any(self.oracle.following(stream.cursor, stream.watch) for stream in streams):
                await trio.sleep(0.1)
            while process.reads:
                await trio.sleep(0.1)
            await trio.sleep(2 * self.plan.settings["idle_wallet_seconds"] + 1)
        if patience.cancelled_caught:
            self.blame("not everything is settled long after nothing goes wrong any more")
        else:
            self.judge(self._is_idle, process, streams)

    def _is_idle(self, process: Process, streams: list[Stream]) -> None:
        core = process.core
        assert core is not None
        for key, attempts in self.oracle.attempts.items():
            check(not any(attempt.is_open for attempt in attempts), f"{key} is never answered")
            check(key in self.oracle.keys, f"{key} was never decided")
        check(not len(core.wallets.command_ids), f"{len(core.wallets.command_ids)} command ids are remembered")
        queue = core.writer._queue
        check(not queue.is_waited_for, "a task still waits for a sequence to be durable")
        check(
            not core.writer._queue.entries and core.writer.head == core.writer.durable_head, "entries wait for the disk"
        )
        check(queue.undurable_bytes == 0, "bytes are counted that do not wait for the disk")
        check(core.projector.backlog == 0, "entries wait for the projector")
        check(not (core.wallets.roster._ready or core.wallets.roster._wanted), "claims wait for nothing")
        check(len(core.wallets.roster) == 0, f"{len(core.wallets.roster)} idle wallets are warm")
        check(not core.wallets.books.wallets, "books of wallets without an actor are kept")
        check(set(core.wallets.books.assets) == set(self.oracle.assets), "the assets are not those of the journal")
        check(core.writer.head == core.publisher.head == self.oracle.head, "the heads differ")
        check(len(core.publisher) == sum(stream.is_subscribed for stream in streams), "subscriptions are left over")

    async def _look_at_the_end(self) -> None:
        """The tables as they grew are those that the journal gives, and the journal is sound."""
        if self.blamed is None:
            grown = _rows_of(self.directory)
            delete_read_tables(self.directory)
            self.process = Process(self, self.lives + 1)
            self.process.stop.set()
            await self.process.live()
            self.judge(check, grown == _rows_of(self.directory), "the rebuilt read tables differ")
            self.judge(self._is_sound)

    def _is_sound(self) -> None:
        audit = Audit()
        for entry in self.oracle.entries:
            audit.fold(entry)
        violations = audit.close()
        check(not violations, f"{violations}")


def _rows_of(directory: Path) -> list[Any]:
    tables = ("progress", "asset", "wallet", "balance", "balance_change", "command")
    with state_file(directory / FILE_NAME) as connection:
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall() for table in tables]


@contextmanager
def deterministic(world: World, seed: int) -> Iterator[None]:
    """The scheduler follows the seed, SQLite runs in the loop, and the spine's constants are the plan's."""
    plan = world.plan
    with ExitStack() as stack:
        stack.enter_context(patch.object(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True))
        stack.enter_context(patch.object(publisher, "MAX_RECENT", plan.recent_entries))
        stack.enter_context(patch.object(publisher, "BURST", plan.burst))
        stack.enter_context(patch.object(backlog, "MAX_BATCH", plan.batch))
        stack.enter_context(patch.object(roster, "TURNS_BETWEEN_CHECKPOINTS", plan.turns))
        stack.enter_context(sqlite_in_the_loop(world.pause, world.is_at_once))
        trio._core._run._r.seed(seed)
        yield


def simulate(seed: int, plan: Plan | None = None, *, cancel_at: int = 0) -> Report:
    """One run, of the plan that the seed draws unless one is given.  Raises Failed with the seed and what is wrong."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        world = World(seed, Path(directory), plan, cancel_at)
        clock = trio.testing.MockClock(autojump_threshold=0)
        try:
            with deterministic(world, seed):
                return trio.run(world.run, clock=clock, instruments=[Steps(world)])
        except (Exception, Died) as failure:
            where = f"seed {seed}, cancelled at step {cancel_at}" if cancel_at else f"seed {seed}"
            raise Failed(f"{where}: {failure!r}") from failure
