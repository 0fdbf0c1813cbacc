"""An order of nodes with its factors, improved in place by insertions and swaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from optengine.core.solver import Control
    from optengine.problems.dag import DAGProblem

Integers = NDArray[np.int64]

CHUNK = 4_000_000  # elements that one call of a kernel touches, about: some ten milliseconds
ROUNDING = 1e-13  # relative change of the score below which it is no improvement
MOST = 1 << 62  # moves, where nothing limits them


class State:
    """One order of a problem and the factors of its Gram matrix.

    Attributes:
        order: (d,) nodes first to last. value: its score.
    """

    def __init__(self, problem: DAGProblem, order: Integers) -> None:
        self._gram, self._before = problem.gram, problem.before
        self.order = np.ascontiguousarray(problem.arrange(order[None, :])[0])
        self._U, self._M = np.empty(self._gram.shape), np.empty(self._gram.shape)
        self.refresh()

    def refresh(self) -> None:
        """Factor anew, so that rounding does not add up; O(d^3)."""
        from optengine.kernels import order_search

        self.value = float(order_search.factor(self._gram, self.order, self._U))
        order_search.invert(self._U, self._M)

    def descend(self, control: Control, rng: Generator, swaps: bool) -> bool:
        """Improve until no insertion and no swap does; False: told to stop before."""
        while True:
            moved = self._sweep(control, rng)
            if moved is None:
                return False
            if moved:
                continue
            swapped = self._swap(control) if swaps else False
            if swapped is None:
                return False
            if not swapped:
                return True

    def _sweep(self, control: Control, rng: Generator) -> int | None:
        """Insert each node at its best place in turn; nodes moved, or None: must stop."""
        from optengine.kernels import order_search

        d, moved = len(self.order), 0
        nodes, tolerance = rng.permutation(d), ROUNDING * self.value
        size = max(1, CHUNK // d**2)
        for k in range(0, d, size):
            if control.stop():
                return None
            n, some = order_search.sweep(
                self.order, self._U, self._M, self._before, nodes[k : k + size], left(control), tolerance
            )
            control.spend(n)
            moved += some
        if moved:
            self.refresh()
        return moved

    def _swap(self, control: Control) -> bool | None:
        """Exchange the two nodes whose exchange helps most; whether any did, or None: must stop."""
        from optengine.kernels import order_search

        d, best = len(self.order), (-ROUNDING * self.value, 0, 0)
        size = max(1, 3 * CHUNK // d**2)
        for k in range(0, d - 1, size):
            if control.stop():
                return None
            rows = np.arange(k, min(k + size, d - 1))
            change, i, j, n = order_search.best_swap(
                self.order, self._U, self._M, self._before, rows, left(control)
            )
            control.spend(n)
            best = min(best, (change, i, j))
        _, i, j = best
        if i == j:
            return False
        self.order[i], self.order[j] = self.order[j], self.order[i]
        self.refresh()
        return True

    def swap_changes(self, pairs: Integers) -> NDArray[np.float64]:
        """Changes (k,) of the score under exchanges of positions (k, 2)."""
        from optengine.kernels import order_search

        return np.asarray(order_search.changes(self._U, self._M, np.ascontiguousarray(pairs), True))

    def kick(
        self, control: Control, rng: Generator, strength: int, reach: float, most: int
    ) -> tuple[int, int]:
        """Rounds of kicks and descents for some 50 ms, `most` of them; the rounds made and those that improved."""
        from optengine.kernels import order_search

        d = len(self.order)
        rounds = max(1, min(CHUNK // 10 // d**2, most))
        nodes = rng.permuted(np.tile(np.arange(d), (rounds, 1)), axis=1)
        draws = rng.random((rounds, strength, 2))
        draws[:, :, 1] = 0.5 + reach * (draws[:, :, 1] - 0.5)
        tolerance = ROUNDING * self.value
        n, better, made = order_search.kicks(
            self.order, self._U, self._M, self._before, nodes, draws, left(control), tolerance
        )
        control.spend(n)
        self.refresh()
        return made, better


def left(control: Control) -> int:
    """Moves left in the budget."""
    remaining = getattr(control, "remaining", None)
    return MOST if remaining is None else max(1, int(remaining))


class Free:
    """A control without limits, to compile with."""

    rng = np.random.default_rng(0)
    device, threads = "cpu", 1
    x0: NDArray[np.float64] | None = None

    def incumbent(self, x: Any) -> float | None:
        return None

    def bound(self, value: float) -> None:
        pass

    def spend(self, n: int) -> None:
        pass

    def stop(self) -> bool:
        return False


FREE = Free()
