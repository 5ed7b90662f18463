"""A progress bar on stderr.  It leaves nothing behind, and is absent if stderr is not a terminal."""

from collections.abc import Callable

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from walletd.cli.output import new_console

Advance = Callable[[int, int], None]
"""Called with the part that is done, the whole, and the number of entries."""


class Bar:
    """The progress of a task; ``whole`` is None while its extent is unknown."""

    def __init__(self, doing: str, whole: int | None) -> None:
        console = new_console(stderr=True)
        self._bar = Progress(
            TextColumn(doing),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[entries]:,} entries"),
            TimeElapsedColumn(),
            *(() if whole is None else (TextColumn("left:"), TimeRemainingColumn())),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=whole if whole is None else max(1, whole), entries=0)

    def __enter__(self) -> Advance:
        self._bar.start()
        return lambda done, entries: self._bar.update(self._task, completed=done, entries=entries)

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Remove it, before the task's end perhaps: a question follows."""
        self._bar.stop()
