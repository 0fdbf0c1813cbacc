"""Which bits interact, learnt from the flips that a search makes anyway.

A flip of bit i changes the objective by d_i(x). If d_i is measured again after other bits have changed and is still the
same (and not 0, which may only mean that nothing matters there), none of those interacts with i; if it is not, one of
them does. Where interactions are few (graphs, blocks, sparse quadratic forms) this saves most evaluations: a flip need
not be tried again before a bit that it interacts with has changed, the don't-look bits of Bentley (ORSA Journal on
Computing 4, 1992, doi:10.1287/ijoc.4.4.387) without being told the neighbourhoods; and bits that interact can be
flipped together. Where all bits interact nothing is skipped.

Related: linkage identification by nonlinearity check (Munetomo and Goldberg, GECCO 1999); empirical linkage learning
(Przewozniczek and Komarnicki, IEEE Trans. Evol. Comput. 24, 2020, doi:10.1109/TEVC.2020.2985497).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import Batch

if TYPE_CHECKING:
    from optengine.solvers.local_search.moves import Draws

LARGEST = 2000  # bits; the tables take 6 bytes a pair
SAME = 1e-9  # relative difference up to which two changes of the objective count as equal
CHOICE, FEWEST = 4, 16  # bits drawn for each one of a slide, and at least
LINKED = 0.5  # weight of evidence from which two bits are not cleared by one measurement

Integers = NDArray[np.int64]


class Linkage:
    """Pairs of bits known to interact or not, and the flips known at the current point. O(n) a flip, 6 n^2 bytes.

    Args:
        columns: the bits' columns (n,).
        draws: random numbers.

    Attributes:
        version: how often the current point has changed; a change measured at another version says nothing of this one.
    """

    def __init__(self, columns: Integers, draws: Draws) -> None:
        n = len(columns)
        self._columns, self._draws = columns, draws
        self._at = {int(c): i for i, c in enumerate(columns)}
        self._x = np.full(n, -1, dtype=np.int8)
        self._stale = np.ones(n, dtype=bool)
        self._change = np.full(
            n, np.nan
        )  # of the objective if bit i were flipped at the current point; NaN: unknown
        self._snapshot = np.full((n, n), -1, dtype=np.int8)  # the point at which it was measured; -1: never
        self._cleared = np.eye(n, dtype=bool)
        self._evidence = np.zeros((n, n), dtype=np.float32)
        self._queue: list[int] = []
        self._round: list[int] = []
        self.version = 0

    # -- what the search tells -------------------------------------------------------------------------------------

    def stand(self, x: Batch) -> None:
        """Take note of the current point (width,)."""
        bits = x[self._columns].astype(np.int8)
        changed = np.flatnonzero(bits != self._x)
        if len(changed):
            self._stale |= ~self._cleared[:, changed].all(axis=1)
            self._x = bits
            self.version += 1

    def measured(self, column: int, change: float, scale: float) -> None:
        """Learn what the flip of one bit of the current point changes; `scale` is that of the values themselves."""
        i = self._at[column]
        tol = SAME * scale
        before = self._change[i]
        if before == before and self._snapshot[i, i] >= 0:
            others = np.flatnonzero(self._snapshot[i] != self._x)
            others = others[others != i]
            back = self._snapshot[i, i] != self._x[i]  # then it was measured as a flip to here
            same = abs((-before if back else before) - change) <= tol
            if len(others):
                self._conclude(i, others, same=same, inert=abs(change) <= tol)
        self._change[i] = 0.0 if abs(change) <= tol else change
        self._snapshot[i] = self._x
        self._stale[i] = False

    def _conclude(self, i: int, others: Integers, *, same: bool, inert: bool) -> None:
        """Compare one bit's change before and after `others` changed."""
        if same:
            if not inert:
                unknown = others[self._evidence[i, others] < LINKED]
                self._cleared[i, unknown] = self._cleared[unknown, i] = True
            return
        suspects = others[~self._cleared[i, others]]
        if not len(suspects):  # an interaction that shows only now and then: the pairs were cleared too early
            self._cleared[i, others] = self._cleared[others, i] = False
            suspects = others
        weight = np.float32(1.0 / len(suspects))
        self._evidence[i, suspects] += weight
        self._evidence[suspects, i] += weight

    def flipped(self, column: int, change: float) -> None:
        """After `stand`: that flip was made, so that flipping back would change the objective by the opposite."""
        i = self._at[column]
        self._change[i], self._stale[i] = -change, False
        self._snapshot[i] = self._x

    # -- what the search asks --------------------------------------------------------------------------------------

    def due(self) -> int:
        """A column whose flip is worth an evaluation: known to improve, or not known; -1 if there is none.

        Each bit once a round, in random order, those that made the point worse when last flipped at the end.
        """
        while True:
            if not self._queue:
                waiting = np.flatnonzero(self._stale | (self._change < 0))
                if not len(waiting):
                    return -1
                waiting = waiting[self._draws.rng.permutation(len(waiting))]
                rank = np.where(self._stale[waiting], np.where(self._change[waiting] > 0, 0, 1), 2)
                self._queue = waiting[np.argsort(rank, kind="stable")].tolist()
            i = self._queue.pop()
            if self._stale[i] or self._change[i] < 0:
                if not self._stale[i]:
                    self._change[i] = np.nan
                self._stale[i] = False  # asked once, whatever comes of it
                return int(self._columns[i])

    def level(self) -> int:
        """A column whose flip is known to change nothing, each once a round; -1 if there is none."""
        if not self._round:
            flat = np.flatnonzero(self._change == 0.0)
            self._round = flat[self._draws.rng.permutation(len(flat))].tolist()
        while self._round:
            i = self._round.pop()
            if self._change[i] == 0.0:
                return int(self._columns[i])
        return -1

    def cluster(self, size: int) -> list[int]:
        """Columns of at most `size` bits around a random one, each drawn by the evidence that it is linked."""
        chosen = [self._draws.below(len(self._columns))]
        weight = np.zeros(len(self._columns))
        while len(chosen) < size:
            weight += np.where(self._cleared[chosen[-1]], 0.0, self._evidence[chosen[-1]]) ** 2
            weight[chosen] = 0.0
            reached = np.cumsum(weight)
            if reached[-1] <= 0.0:
                break
            chosen.append(int(np.searchsorted(reached, self._draws.unit() * reached[-1], side="right")))
        return [int(self._columns[i]) for i in chosen]

    def slide(self, size: int) -> list[int]:
        """Columns of `size` bits whose flips cost little: the cheapest of `CHOICE` times as many random ones."""
        n = len(self._columns)
        drawn = self._draws.rng.permutation(n)[: max(CHOICE * size, FEWEST)]
        change = self._change[drawn]
        cheapest = np.argsort(np.where(np.isnan(change), np.inf, change), kind="stable")[: min(size, n)]
        return [int(c) for c in self._columns[drawn[cheapest]]]

    @property
    def density(self) -> float:
        """Share of the pairs not known to be free of interaction."""
        n = len(self._columns)
        return float(n * n - self._cleared.sum()) / (n * (n - 1))
