"""The demonstration while it runs: a bar with the operations per second on a terminal, a few plain lines elsewhere."""

from collections.abc import Callable

import trio
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from walletd.cli.demo.workload import Account, Extent
from walletd.cli.output import Output, new_console

SECONDS_BETWEEN_REDRAWS = 0.1
MEASURED_SECONDS = 2.0
"""The time over which operations per second are measured."""


class Display:
    """The state of the run, redrawn ten times a second."""

    def __init__(self, output: Output, account: Account, events_seen: Callable[[], int], extent: Extent) -> None:
        self._account = account
        self._extent = extent
        self._events_seen = events_seen
        self._console = new_console(stderr=True)
        self._is_live = self._console.is_terminal
        self._began: float | None = None
        self._is_silent = output.as_json and not self._is_live
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[done]:,}{task.fields[goal]}"),
            TextColumn("[bold]{task.fields[rate]:,.0f}/s"),
            TextColumn("[dim]{task.fields[refused]:,} refused"),
            TextColumn("[dim]{task.fields[events]:,} events"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            auto_refresh=False,
            expand=True,
            disable=not self._is_live,
        )
        goal = f"/{extent.operations:,}" if extent.operations is not None else ""
        self._task = self._bar.add_task("", total=1.0, done=0, goal=goal, rate=0.0, refused=0, events=0)
        self._samples: list[tuple[float, int]] = []

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def phase(self, words: str) -> None:
        """Name the phase that begins now."""
        if self._is_live:
            self._bar.update(self._task, description=words)
            self._bar.refresh()
        elif not self._is_silent:
            self._console.print(words, soft_wrap=True)

    def begin(self) -> None:
        """Start the demonstration's time."""
        self._began = trio.current_time()

    async def run(self) -> None:
        """Redraw until cancelled."""
        while self._is_live:
            self._draw()
            await trio.sleep(SECONDS_BETWEEN_REDRAWS)

    def _draw(self) -> None:
        account = self._account
        self._bar.update(
            self._task,
            completed=self._extent.progress(account.operations, self._seconds()),
            done=account.operations,
            rate=self._rate(trio.current_time(), account.operations),
            refused=account.refused.total(),
            events=self._events_seen(),
        )
        self._bar.refresh()

    def _seconds(self) -> float:
        return 0.0 if self._began is None else trio.current_time() - self._began

    def _rate(self, now: float, operations: int) -> float:
        """Operations per second over the last moments."""
        self._samples = [sample for sample in self._samples if now - sample[0] <= MEASURED_SECONDS]
        self._samples.append((now, operations))
        began, before = self._samples[0]
        return (operations - before) / (now - began) if now > began else 0.0
