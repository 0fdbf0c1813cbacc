"""Which row of which ask a told row is.

A row is known again by its bytes: the engine tells what was asked, and what was asked keeps the known constraints
already, so that the engine's repair leaves it as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from optengine.core.space import Batch


class Pending:
    """Rows asked and not told yet, each with what its run wants to remember of it.

    A batch that comes back as it went is found by one look-up; only others are taken apart into rows.
    """

    def __init__(self) -> None:
        self._batches: dict[bytes, deque[tuple[Batch, Sequence[Any]]]] = {}
        self._rows: dict[bytes, deque[Any]] = {}

    def add(self, X: Batch, notes: Sequence[Any]) -> None:
        """Remember one note for each row of X (n, width)."""
        self._batches.setdefault(X.tobytes(), deque()).append((X, notes))

    def take(self, X: Batch) -> Sequence[Any]:
        """Return the note of each row of X and forget it; None for rows that were never asked."""
        key = X.tobytes()
        same = self._batches.get(key)
        if same is not None:
            notes = same.popleft()[1]
            if not same:
                del self._batches[key]
            return notes
        self._take_apart()
        found = []
        for row in X:
            key = row.tobytes()
            waiting = self._rows.get(key)
            found.append(None if waiting is None else waiting.popleft())
            if waiting is not None and not waiting:
                del self._rows[key]
        return found

    def _take_apart(self) -> None:
        for same in self._batches.values():
            for X, notes in same:
                for row, note in zip(X, notes, strict=True):
                    self._rows.setdefault(row.tobytes(), deque()).append(note)
        self._batches.clear()
