"""One life of the daemon without its sockets: it recovers, serves, and ends, by wish or in the middle of anything.

    process = Process(world, life=3)
    await process.live()                       # until it was told to stop, or killed at some point

``point`` marks the places where a crash may strike: around every call of a disk and at every answer.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NoReturn

import trio

from walletd.daemon.engine import Engine
from walletd.daemon.limits import engine_limits
from walletd.journal.failures import JournalFull, OutcomeUnknown
from walletd.journal.memory.store import MemoryJournalStore
from walletd.journal.segment import Segment
from walletd.settings.settings import Settings
from walletd.tables.queries.wallets import open_queries
from walletd.upkeep.books_audit import BooksAudits
from walletd.upkeep.recovery import recover

if TYPE_CHECKING:
    from tests.simulation.world import World


class Died(BaseException):
    """The process ended here, as by kill -9: nothing after this line was ever run."""


class Process:
    """A daemon from its start to its end."""

    def __init__(self, world: "World", life: int) -> None:
        self.world = world
        self.life = life
        self.core: Engine | None = None
        self.services: trio.Nursery | None = None
        self.store = SimulatedStore(world, self)
        self.stop = trio.Event()
        self.is_dead = False
        self.reads = 0
        """How many reads are not answered yet."""
        self.may_die = False
        """Whether a fault was injected after which the process has to end itself."""
        self._died = trio.Event()
        self._scope = trio.CancelScope()

    @property
    def is_serving(self) -> bool:
        is_ending = self.is_dead or self.stop.is_set() or self._scope.cancel_called
        return self.core is not None and not is_ending

    async def live(self) -> None:
        """Recover and serve.  Returns however the process ended; raises what ended it without a reason."""
        try:
            with self._scope:
                async with self._running() as core, trio.open_nursery() as services:
                    self.core, self.services = core, services
                    self.world.arrived()
                    await self.stop.wait()
                    await core.writer.drain()
                    services.cancel_scope.cancel()
        except BaseException:
            if not self.is_dead:
                raise
        finally:
            self.core = None

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[Engine]:
        """What the daemon does before and after it serves."""
        world = self.world
        recovered = await recover(self.store, world.directory, lambda done, whole: None)
        try:
            queries = await open_queries(recovered.tables.path, clock=world.now, die=self.die)
            try:
                violations = (await BooksAudits(recovered.tables.path).report()).violations
                assert not violations, violations
                limits = engine_limits(Settings(data=world.directory, **world.plan.settings))
                head = await self.store.head()
                core = Engine(
                    self.store,
                    recovered,
                    queries,
                    head,
                    limits,
                    clock=world.now,
                    seconds=trio.current_time,
                    die=self.die,
                )
                core.writer._limits = core.writer._limits._replace(max_segment_entries=world.plan.segment_entries)
                async with core.running():
                    if core.writer.head == 0:
                        await core.open_external()
                    yield core
                await core.projector.drain()
            finally:
                with trio.CancelScope(shield=True):
                    await queries.aclose()
        finally:
            with trio.CancelScope(shield=True):
                await recovered.tables.aclose()

    # --- its end ---------------------------------------------------------------------------------------------------

    def point(self) -> None:
        """A place where a crash may strike."""
        if self.is_dead:
            raise Died
        if self.world.is_time_to_crash():
            self.kill()
            raise Died

    def kill(self) -> None:
        """End it now, wherever it stands."""
        self.world.note(f"life {self.life} is killed")
        self.is_dead = True
        self._died.set()
        self._scope.cancel()

    def cancel(self) -> None:
        """End it as the daemon is ended from within: what is under way may finish, and nothing is killed."""
        self.world.note(f"life {self.life} is cancelled")
        self._scope.cancel()

    def die(self, reason: str) -> NoReturn:
        """What the journal's writer calls where nothing in memory may be trusted any more."""
        if not (self.may_die or self.is_dead):
            self.world.blame(f"life {self.life} ended itself: {reason}")
        self.kill()
        raise Died

    async def pause(self, seconds: float) -> None:
        """Take some time, but not longer than the process lives."""
        if seconds:
            with trio.move_on_after(seconds):
                await self._died.wait()
        else:
            await trio.lowlevel.checkpoint()
        if self.is_dead:
            raise Died


class SimulatedStore(MemoryJournalStore):
    """The journal in memory, as slow and as faulty as the world wants it."""

    def __init__(self, world: "World", process: Process) -> None:
        super().__init__(world.disk, instance="simulated")
        self.world = world
        self.process = process

    async def append(self, expected_head: int, segment: Segment) -> None:
        self._draw_fault()
        is_at_once = self.world.is_at_once()
        with self._perhaps_written(segment):
            self.process.point()
            if not is_at_once:
                await self.process.pause(self.world.silence(self.process) or self.world.latency())
        try:
            await super().append(expected_head, segment)
        except Exception as error:
            self._note(error)
            raise
        if not is_at_once:
            await self._answer_late()

    def is_quick(self, body_bytes: int) -> bool:
        return self.world.is_at_once()

    def append_now(self, expected_head: int, segment: Segment) -> None:
        self._draw_fault()
        with self._perhaps_written(segment):
            self.process.point()
        self._append(expected_head, segment)

    async def explain(self, error: Exception) -> NoReturn:
        self._note(error)
        await self._answer_late()
        raise error

    @contextmanager
    def _perhaps_written(self, segment: Segment) -> Iterator[None]:
        """Where it ends while the disk writes; the segment may be there, or not."""
        try:
            yield
        except BaseException:
            if self.world.chance.random() < 0.5 and not self.is_full:
                self.disk.append(segment)
            raise

    def _note(self, error: Exception) -> None:
        if isinstance(error, JournalFull):
            self.world.oracle.full_in_life = self.process.life
        elif isinstance(error, OutcomeUnknown):
            self.process.may_die = True

    async def read(self, after: int, limit: int = 1) -> list[Segment]:
        await self._answer_late()
        found = await super().read(after, min(limit, self.world.chance.choice([1, 1000, limit])))
        await self._answer_late()
        return found

    async def read_entry(self, sequence: int) -> bytes | None:
        await self._answer_late()
        record = await super().read_entry(sequence)
        await self._answer_late()
        return record

    async def probe(self) -> None:
        self.is_full = self.world.is_full
        await self._answer_late()
        await super().probe()

    async def _answer_late(self) -> None:
        self.process.point()
        await self.process.pause(self.world.latency())
        self.process.point()

    def _draw_fault(self) -> None:
        self.is_full = self.world.is_full
        if not self.world.is_healed and self.world.chance.random() < self.world.plan.unknown:
            self.faults.append(self.world.chance.choice(["unknown_applied", "unknown_not_applied", "full"]))
