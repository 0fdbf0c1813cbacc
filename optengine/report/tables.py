"""Text tables: drawn by rich in a terminal, aligned plain text in files and pipes."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

SIGNIFICANT = 6  # digits of a number in a table; the CSV and the JSON hold all of them


@dataclass
class Table:
    """Rows of text under headings.

    Attributes:
        columns: headings; ">" before one aligns its column to the right, "=" keeps its cells on one line.
        rows: cells, as many as there are columns.
        title: line above. notes: lines below.
    """

    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    title: str = ""
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return plain(self)


def plain(table: Table) -> str:
    """Return the table as aligned text, one line a row, whatever its width."""
    headings = [heading.lstrip(">=") for heading in table.columns]
    right = [heading.startswith(">") for heading in table.columns]
    cells = [headings, *table.rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    lines = [table.title] if table.title else []
    lines += [line(headings), "  ".join("-" * width for width in widths)]
    lines += [line(row) for row in table.rows]
    return "\n".join(lines + table.notes)


def write(table: Table, file: TextIO | None = None) -> None:
    """Write the table to `file` (default: standard output): drawn where that is a terminal, else plain."""
    file = sys.stdout if file is None else file
    if not file.isatty():
        file.write(plain(table) + "\n")
        return
    from rich.console import Console

    console = Console(file=file, highlight=False)
    fixed = sum(_width(table, i) + 3 for i, heading in enumerate(table.columns) if heading[:1] in (">", "="))
    if fixed + 12 > console.width:  # nothing left for words to wrap into: let the terminal break the lines
        file.write(plain(table) + "\n")
        return
    console.print(_drawn(table))
    for note in table.notes:
        console.print(note, markup=False)


def _drawn(table: Table) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table as Drawn

    title = escape(table.title) or None
    drawn = Drawn(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in table.columns:
        drawn.add_column(
            escape(heading.lstrip(">=")),
            justify="right" if heading.startswith(">") else "left",
            no_wrap=heading[:1] in (">", "="),
            overflow="fold",
        )
    for row in table.rows:
        drawn.add_row(*(escape(cell) for cell in row))
    return drawn


def _width(table: Table, column: int) -> int:
    return max(len(cell) for cell in [table.columns[column], *(row[column] for row in table.rows)])


def number(value: float | None, digits: int = SIGNIFICANT) -> str:
    """Return e.g. `23277`, `0.0212517`, `1.5e-08`; whole numbers in full, a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    if abs(value) < 1e15 and value == int(value):
        return str(int(value))
    return f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Return e.g. `83 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
