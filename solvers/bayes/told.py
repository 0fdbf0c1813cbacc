"""What a run knows: the rows told, with their values, and the rows asked and not told yet. Both engines share it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation
from optengine.core.space import Batch, Space

Floats = NDArray[np.float64]


class Told:
    """Rows told and rows pending.

    Attributes:
        X: (n, width) rows told, in their order. F: (n,) first objective... (n, objectives), minimising. G: (n, m).
        cost: (n,) of the evaluations, NaN where unknown.
        failed: (n,). noise: (n, objectives) standard errors, NaN where unknown.
        own: (n,) whether this run asked for the row. pending: (p, width) rows asked and not told, oldest first.
    """

    def __init__(self, space: Space, n_objectives: int, n_constraints: int) -> None:
        self._space = space
        self.X = np.empty((0, space.width))
        self.F, self.noise = np.empty((0, n_objectives)), np.empty((0, n_objectives))
        self.G = np.empty((0, n_constraints))
        self.cost = np.empty(0)
        self.failed, self.own = np.empty(0, dtype=bool), np.empty(0, dtype=bool)
        self.pending = np.empty((0, space.width))
        self._seen: set[bytes] = set()  # rows asked or told

    def __len__(self) -> int:
        return len(self.X)

    @property
    def evaluation(self) -> Evaluation:
        """All that was told as one evaluation."""
        return Evaluation(self.F, self.G, self.failed)

    def asked(self, X: Batch) -> None:
        """Note rows (n, width) as pending."""
        self.pending = np.concatenate([self.pending, X])
        self._seen.update(row.tobytes() for row in X + 0.0)

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Note values; rows that were asked stop pending."""
        ids = evaluation.ids
        mine = np.ones(len(X), dtype=bool) if ids is None else ids >= 0
        for row, asked in zip(X, mine, strict=True):
            self._settle(row, bool(asked))
        self.X, self.F = np.concatenate([self.X, X]), np.concatenate([self.F, evaluation.F])
        self.G = np.concatenate([self.G, evaluation.G])
        lost = evaluation.failed | ~np.isfinite(evaluation.F).all(axis=1)
        lost |= ~np.isfinite(evaluation.G).all(axis=1)
        self.failed = np.concatenate([self.failed, lost])
        unknown = np.full(evaluation.F.shape, np.nan)
        self.noise = np.concatenate([self.noise, unknown if evaluation.noise is None else evaluation.noise])
        self.own = np.concatenate([self.own, mine])
        dear = np.full(len(X), np.nan) if evaluation.cost is None else evaluation.cost
        self.cost = np.concatenate([self.cost, dear])
        self._seen.update(row.tobytes() for row in X + 0.0)

    def _settle(self, row: Batch, asked: bool) -> None:
        """Forget one pending row: the one told, or the one nearest to it if what was asked has been repaired."""
        if not len(self.pending):
            return
        same = np.flatnonzero((self.pending == row).all(axis=1))
        if len(same):
            gone = int(same[0])
        elif asked:
            away = self._space.to_unit(self.pending) - self._space.to_unit(row[None, :])
            gone = int(np.argmin((away**2).sum(axis=1)))
        else:
            return
        self.pending = np.delete(self.pending, gone, axis=0)

    def seen(self, X: Batch) -> NDArray[np.bool_]:
        """Return (n,) whether each row was asked or told before."""
        return np.array([row.tobytes() in self._seen for row in X + 0.0], dtype=bool)
