"""The demonstration while it runs: a bar with the operations per second on a terminal, a few plain lines elsewhere."""

from collections.abc import Callable

import trio
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from walletd.cli.demo.workload import Account
from walletd.cli.output import Output, new_console

SECONDS_BETWEEN_REDRAWS = 0.1
MEASURED_SECONDS = 2.0
"""Over how long the operations per second are measured."""


class Display:
    """What is going on, redrawn ten times a second."""

    def __init__(self, output: Output, account: Account, events_seen: Callable[[], int], operations: int) -> None:
        self._account = account
        self._events_seen = events_seen
        self._console = new_console(stderr=True)
        self._is_live = self._console.is_terminal
        self._is_silent = output.as_json and not self._is_live
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,}/{task.total:,}"),
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
        self._task = self._bar.add_task("", total=operations, rate=0.0, refused=0, events=0)
        self._samples: list[tuple[float, int]] = []

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def phase(self, words: str) -> None:
        """What happens from now on."""
        if self._is_live:
            self._bar.update(self._task, description=words)
            self._bar.refresh()
        elif not self._is_silent:
            self._console.print(words, soft_wrap=True)

    async def run(self) -> None:
        """Redraw until cancelled."""
        while self._is_live:
            self._draw()
            await trio.sleep(SECONDS_BETWEEN_REDRAWS)

    def _draw(self) -> None:
        account = self._account
        self._bar.update(
            self._task,
            completed=account.operations,
            rate=self._rate(trio.current_time(), account.operations),
            refused=account.refused.total(),
            events=self._events_seen(),
        )
        self._bar.refresh()

    def _rate(self, now: float, operations: int) -> float:
        """Operations per second over the last moments."""
        self._samples = [sample for sample in self._samples if now - sample[0] <= MEASURED_SECONDS]
        self._samples.append((now, operations))
        began, before = self._samples[0]
        return (operations - before) / (now - began) if now > began else 0.0
