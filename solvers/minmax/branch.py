"""Branch and bound over level sets of any kind, for few variables and a dense A; see `kernels.minmax_branch`.

A depth-first search with the linear relaxation at each node, solved by a dual simplex method that starts from the
parent's basis. Every prune rests on multipliers whose bound is computed from the rows, in floating point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.kernels import minmax_branch as kernel
from optengine.kernels.minmax_simplex import restart
from optengine.solvers.minmax.form import Form

Integers = NDArray[np.int64]

MOST_VARIABLES = 64  # a pivot costs O(n^2 + m n), and the tree grows with n
LARGEST = 2**18  # entries of A


def branchable(form: Form) -> bool:
    """Whether branch and bound is worth while."""
    return not form.sparse and 1 <= form.shape[1] <= MOST_VARIABLES and 0 < form.A.size <= LARGEST


class Branch:
    """Branch and bound for one right-hand side, in turns.

    Attributes:
        best, value: incumbent, level indices (n,) and its value. proved: whether nothing is better, relative 2e-6.
        spent: linear programmes solved since last asked.
    """

    def __init__(self, form: Form, best: Integers, value: float) -> None:
        m, n = form.shape
        self._form = form
        self.best, self.value, self.proved, self.spent = best.copy(), value, value <= 0, 0
        self._size = np.abs(form.A).max(axis=0)
        self._low, self._high = np.zeros((n + 2, n), dtype=np.int64), np.zeros((n + 2, n), dtype=np.int64)
        self._high[0] = form.count - 1
        self._basis = np.zeros((n + 2, n + 1), dtype=np.int64)
        self._inverse, self._multipliers = np.zeros((n + 2, n + 1, n + 1)), np.zeros((n + 2, n + 1))
        restart(m, self._basis[0], self._inverse[0], self._multipliers[0])
        self._age, self._where = np.zeros((n + 2, 1), dtype=np.int64), np.zeros((n + 2, 5), dtype=np.int64)
        self._middle = np.zeros((n + 2, 2))

    def run(self, n_nodes: int) -> None:
        """Go on for up to `n_nodes` linear programmes."""
        if self.proved:
            return
        form, value = self._form, np.array([self.value, 0.0])
        best: Any = self.best.copy()
        done = kernel.branch(
            form.A, form.At, form.centre, form.half, form.values, form.start, self._size, self._low, self._high,
            self._basis, self._inverse, self._multipliers, self._age, self._where, self._middle, best, value, n_nodes,
        )  # fmt: skip
        self.spent += int(value[1])
        if value[0] < self.value:
            self.best, self.value = best, min(self.value, form.value(best))
        self.proved = bool(done == kernel.DONE)
