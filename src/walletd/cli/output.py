"""Answers, drawn for people or written as JSON for scripts.

    output.answer(result, lambda: balances_table(balances, scales))

Colours follow NO_COLOR and the terminal; if stdout is not a terminal, nothing is cut to its width.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import StyleType
from rich.table import Table
from rich.text import Text

from walletd.cli.lines import write_json
from walletd.client import Applied
from walletd.logs.plain import plain, plain_lines
from walletd.vocabulary.entries import BalanceRecord
from walletd.vocabulary.money import format_amount
from walletd.vocabulary.room import Room

PIPE_WIDTH = 240
"""The width if stdout is a file or a pipe: wide enough for every table here."""


WIDEST = 10_000
"""A width that nothing here exceeds."""


class Output:
    """The destination of a command's answer."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = new_console()
        self.scales: Mapping[str, int] = {}
        """The scales of the assets, for documents that name some."""

    def answer(self, document: Any, drawn: Callable[[], RenderableType]) -> None:
        """Answer with the document for a script, or with the drawing for a person."""
        if self.as_json:
            self.document(document)
        else:
            self._draw(drawn())

    def _draw(self, drawn: RenderableType) -> None:
        """Draw within the terminal's width if that cuts nothing; otherwise the terminal wraps the lines."""
        least = Measurement.get(self.console, self.console.options.update(width=WIDEST), drawn).minimum
        narrow = self.console.width
        self.console.width = max(narrow, least)
        self.console.print(drawn)
        self.console.width = narrow

    def document(self, document: Any) -> None:
        """One JSON document on one line; an object that contains amounts also gets the scales of their assets."""
        plain = msgspec.to_builtins(document)
        rows = [_with_scales(row, self.scales) for row in plain] if isinstance(plain, list | tuple) else None
        self.raw(_with_scales(plain, self.scales) if rows is None else rows)

    def raw(self, document: Any) -> None:
        """One JSON document on one line, unchanged."""
        write_json(document)

    def line(self, line: Text | str) -> None:
        """One line for a person, never wrapped; nothing for a script."""
        if not self.as_json:
            self.console.print(line, soft_wrap=True)


def _with_scales(document: Any, scales: Mapping[str, int]) -> Any:
    """The object with ``scales`` of all assets that it names anywhere; any other document unchanged."""
    if not isinstance(document, dict):
        return document
    named = {asset: scales[asset] for asset in sorted(_assets_in(document)) if asset in scales}
    return {**document, "scales": named} if named else document


def _assets_in(document: Any) -> Iterator[str]:
    """The codes of the assets in a document of the protocol, under ``asset`` and as the keys of ``limits``.

    A code with its scale beside it is left out.
    """
    if isinstance(document, list | tuple):
        for part in document:
            yield from _assets_in(part)
    elif isinstance(document, dict):
        for name, part in document.items():
            if name == "asset" and isinstance(part, str) and "scale" not in document:
                yield part
            elif name == "limits" and isinstance(part, dict):
                yield from part
            yield from _assets_in(part)


def new_console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr that prints exactly what it is given."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return PlainConsole(file=stream, width=width, highlight=False, markup=False, emoji=False)


class PlainConsole(Console):
    """A console on which text moves no cursor, whatever it contains; its own styles and progress bars are untouched."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments, with the text of each made plain."""
        for segment in super().render(renderable, options):
            is_plain = segment.control or segment.text.isprintable()
            yield segment if is_plain else Segment(plain_lines(segment.text), segment.style)


class PlainTable(Table):
    """A table whose cells are plain before they are measured, so that nothing is cut."""

    def add_row(self, *cells: RenderableType | None, style: StyleType | None = None, end_section: bool = False) -> None:
        """Add a row; each cell is one line."""
        words = (plain(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*words, style=style, end_section=end_section)


def new_table(*columns: str, right: Collection[str] = (), folding: Collection[str] = ()) -> Table:
    """An empty table; columns of amounts are aligned ``right``, those of free text are ``folding``."""
    table = PlainTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column not in folding)
    return table


def balances_table(balances: Iterable[BalanceRecord], scales: Mapping[str, int]) -> Table:
    """Wallets' balances, in main units."""
    table = new_table("wallet", "asset", "posted", "held", "available", right=("posted", "held", "available"))
    for balance in balances:
        table.add_row(
            balance.wallet,
            balance.asset,
            amount(balance.posted, balance.asset, scales),
            amount(balance.held, balance.asset, scales),
            "no limit" if balance.available is None else amount(balance.available, balance.asset, scales),
        )
    return table


def room_lines(rooms: Iterable[Room], scales: Mapping[str, int]) -> Iterator[Text]:
    """A wallet's upper bound, and the room in each of its velocity windows; one line each."""
    for room in rooms:
        if room.receivable is not None:
            can_take = amount(room.receivable, room.asset, scales)
            yield Text(f"{room.wallet} may receive {can_take} {room.asset} more", style="dim")
        for window in room.windows:
            remaining, limit = (amount(units, room.asset, scales) for units in (window.remaining, window.limit))
            until = "" if window.frees_at is None else f"; more from {moment(window.frees_at)} on"
            bound = f"{remaining} of {limit} {room.asset} within {window.seconds:,} s"
            yield Text(f"{room.wallet} may still send {bound}{until}", style="dim")


def again(applied: Applied) -> str:
    """The note for an answer that was given before; empty for a new one."""
    if not applied.replayed:
        return ""
    return f" (answered before, by entry {applied.sequence} of {moment(applied.time)}; nothing changed this time)"


def amount(units: str, asset: str, scales: Mapping[str, int]) -> str:
    """An amount in the asset's main unit, or in smallest units if the asset is unknown."""
    return format_amount(int(units), scales[asset]) if asset in scales else f"{units} units"


def moment(time: datetime) -> str:
    """A time in the machine's own zone, to the second."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
