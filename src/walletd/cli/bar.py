"""A progress bar on stderr.  It leaves nothing behind, and is absent where stderr is no terminal."""

from collections.abc import Callable

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from walletd.cli.output import new_console

Advance = Callable[[int, int], None]
"""Called with how much is done of the whole, and with how many entries that is."""


class Bar:
    """How far something is; ``whole`` is None where nobody knows how much there is."""

    def __init__(self, doing: str, whole: int | None) -> None:
        console = new_console(stderr=True)
        self._bar = Progress(
            TextColumn(doing),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[entries]:,} entries"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=whole if whole is None else max(1, whole), entries=0)

    def __enter__(self) -> Advance:
        self._bar.start()
        return lambda done, entries: self._bar.update(self._task, completed=done, entries=entries)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
