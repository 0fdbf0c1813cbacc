"""A progress bar: best value, violation, evaluations a second, time left."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optengine.engine.drive import Snapshot
    from optengine.engine.limits import Limits

REFRESH_SECONDS = 0.1


class ProgressBar:
    """A watcher that draws one line; a terminal gets a live bar, anything else a line at the end."""

    def __init__(self, limits: Limits, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._limits = limits
        console = Console(file=sys.stderr)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=console,
            auto_refresh=False,
        )
        total = limits.budget or limits.time_limit
        self._task: Any = self._bar.add_task(name, total=total, text="")
        self._drawn = 0.0
        self._last: Snapshot | None = None

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._last is not None:
            self._draw(self._last)
        self._bar.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        self._last = snapshot
        now = time.monotonic()
        if now - self._drawn >= REFRESH_SECONDS:
            self._drawn = now
            self._draw(snapshot)

    def _draw(self, snapshot: Snapshot) -> None:
        done = snapshot.n_evaluations if self._limits.budget is not None else snapshot.seconds
        self._bar.update(self._task, completed=done, text=self.text(snapshot), refresh=True)

    def text(self, snapshot: Snapshot) -> str:
        """Return e.g. `best 0.0123 · 512/1000 evaluations · 84.2/s · 6 s left`."""
        rate = snapshot.n_evaluations / snapshot.seconds if snapshot.seconds > 0 else 0.0
        parts = []
        if snapshot.violation > 0:
            parts.append(f"violation {snapshot.violation:.4g}")
        elif snapshot.fun is not None:
            parts.append(f"best {snapshot.fun:.6g}")
        budget, limit = self._limits.budget, self._limits.time_limit
        parts.append(f"{snapshot.n_evaluations}{f'/{budget}' if budget else ''} evaluations")
        parts.append(f"{rate:.3g}/s")
        left = []
        if budget is not None and rate > 0:
            left.append((budget - snapshot.n_evaluations) / rate)
        if limit is not None:
            left.append(limit - snapshot.seconds)
        if left:
            parts.append(f"{max(0.0, min(left)):.0f} s left")
        return " · ".join(parts)
