"""How far a batch has come."""

from __future__ import annotations

import sys
import time
from typing import Any

from optengine.batch.rows import Row
from optengine.report.tables import duration, number


class Meter:
    """A callback of `run_batch` that draws on standard error: a bar in a terminal, else one line a run."""

    def __init__(self, total: int, name: str = "") -> None:
        self._total, self._done, self._began = total, 0, time.monotonic()
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[text]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(name or "batch", total=total, text="")

    def __enter__(self) -> Meter:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, row: Row) -> None:
        self._done += 1
        text = f"{'/'.join(map(str, row.key))}  {number(row.value)}  {row.status}"
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, text=text)
        else:
            sys.stderr.write(f"[{self._done}/{self._total}] {text}  {duration(row.seconds)}\n")
