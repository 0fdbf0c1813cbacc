"""Elites evaluated again: under noise a value is believed as far as it has been repeated."""

from __future__ import annotations

import numpy as np

from optengine.core.evaluation import Evaluation
from optengine.core.space import Batch


class Repeats:
    """Hands out the best kept elites once a generation, and merges what is told of them into running means.

    Args:
        n: elites to repeat a generation; 0 is none.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._counts: dict[bytes, int] = {}
        self._left: list[Batch] = []

    def keep(self, elites: Batch) -> None:
        """Note the rows (k, width) that are elites now, best first."""
        if self._n:
            self._counts = {row.tobytes(): self._counts.get(row.tobytes(), 1) for row in elites}
            self._left = [row.copy() for row in elites[: self._n]]

    def next(self) -> Batch | None:
        """The next row (width,) to ask again in this generation, or None."""
        return self._left.pop(0) if self._left else None

    def merge(
        self, kept: tuple[Batch, Evaluation], X: Batch, evaluation: Evaluation
    ) -> tuple[Batch, Evaluation]:
        """Average the values of repeated rows into `kept`, in place; returns the other rows."""
        rows, values = kept
        place = {row.tobytes(): i for i, row in enumerate(rows)}
        others = []
        for j, row in enumerate(X):
            i = place.get(row.tobytes())
            if i is None or values.failed[i]:
                others.append(j)
            elif not evaluation.failed[j]:
                count = self._counts[row.tobytes()]
                values.F[i] += (evaluation.F[j] - values.F[i]) / (count + 1)
                values.G[i] += (evaluation.G[j] - values.G[i]) / (count + 1)
                self._counts[row.tobytes()] = count + 1
        index = np.array(others, dtype=np.int64)
        return X[index], evaluation.take(index)
