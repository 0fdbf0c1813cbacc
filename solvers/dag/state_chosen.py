"""Orders whose terms come from a table, from paths of picks, or from fits to data, improved in place by insertions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.problems.dag.terms import FittedTerms, SparseTerms, TableTerms
from optengine.solvers.dag.state import ROUNDING, State, left

if TYPE_CHECKING:
    from optengine.core.solver import Control
    from optengine.problems.dag import DAGProblem

Integers = NDArray[np.int64]

ROUNDS = 50  # of a kick and a descent by tables: some milliseconds
PLACES = 150_000  # that one call for paths looks at: some ten milliseconds
CLOSE = (
    1e-10  # relative change of the score below which paths, or fits, do not tell improvement from rounding
)


class TableState:
    """One order of a penalised problem: the same as `State`, by the table of best parents; swaps are insertions here.

    Attributes:
        order: (d,) nodes first to last. value: its score.
    """

    def __init__(self, problem: DAGProblem, order: Integers) -> None:
        assert isinstance(problem.local, TableTerms)
        self._table, self._before = problem.local.table()[0], problem.before
        self.order = np.ascontiguousarray(problem.arrange(order[None, :])[0])
        self.refresh()

    def refresh(self) -> None:
        """Score the order."""
        from optengine.kernels import order_table

        self.value = float(order_table.table_scores(self._table, self.order[None, :])[0])

    def descend(self, control: Control, rng: Generator, swaps: bool) -> bool:
        """Improve until no insertion does; False: told to stop before."""
        from optengine.kernels import order_table

        moved = 1
        while moved:
            if control.stop():
                return False
            n, moved = order_table.table_sweep(
                self.order,
                self._table,
                self._before,
                rng.permutation(len(self.order)),
                left(control),
                ROUNDING * max(1.0, abs(self.value)),
            )
            control.spend(n)
            self.refresh()
        return True

    def kick(
        self, control: Control, rng: Generator, strength: int, reach: float, most: int
    ) -> tuple[int, int]:
        """Some rounds of kicks and descents, `most` of them; the rounds made and those that improved."""
        better, d = 0, len(self.order)
        rounds = min(ROUNDS, most)
        for made in range(rounds):
            home, value = self.order.copy(), self.value
            for _ in range(strength):
                i = int(rng.integers(d))
                j = int(np.clip(i + np.rint((2.0 * rng.random() - 1.0) * reach * d), 0, d - 1))
                self._carry(i, j)
            self.refresh()
            whole = self.descend(control, rng, False)
            rounding = ROUNDING * max(1.0, abs(value))
            better += self.value < value - rounding
            if self.value > value + rounding:
                self.order, self.value = home, value
            if not whole:
                return made + 1, better
        return rounds, better

    def _carry(self, i: int, j: int) -> None:
        """Carry the node at position i towards j as far as what is known allows."""
        step = 1 if j > i else -1
        while i != j:
            first, second = (i, i + 1) if step > 0 else (i - 1, i)
            if self._before[self.order[first], self.order[second]]:
                return
            self.order[[first, second]] = self.order[[second, first]]
            i += step


class PathState:
    """One order of a problem whose parents are picked: the same as `State`, by `kernels.order_sparse`.

    Attributes:
        order: (d,) nodes first to last. value: its score.
    """

    def __init__(self, problem: DAGProblem, order: Integers) -> None:
        from optengine.kernels.order_sparse import empty_paths

        assert isinstance(problem.local, SparseTerms)
        self._gram, self._before, self._rules = problem.gram, problem.before, problem.local.rules
        self.order = np.ascontiguousarray(problem.arrange(order[None, :])[0])
        self._paths = empty_paths(len(order))
        self._home = problem.local.paths()  # memory that is nobody's
        self.refresh()

    def refresh(self) -> None:
        """Fit every node anew."""
        from optengine.kernels.order_sparse_moves import fit_all

        self.value = float(fit_all(self._gram, self.order, self._rules, self._paths))

    def _least(self) -> float:
        return CLOSE * max(1.0, abs(self.value))

    def descend(self, control: Control, rng: Generator, swaps: bool) -> bool:
        """Improve until no insertion does; False: told to stop before."""
        from optengine.kernels.order_sparse_moves import sparse_sweep

        d, moved = len(self.order), 1
        size = max(1, PLACES // d)
        while moved:
            nodes, moved = rng.permutation(d), 0
            for k in range(0, d, size):
                if control.stop():
                    self.refresh()
                    return False
                n, some = sparse_sweep(
                    self._gram,
                    self.order,
                    self._rules,
                    self._paths,
                    self._before,
                    np.zeros(d, dtype=np.bool_),
                    nodes[k : k + size],
                    left(control),
                    self._least(),
                )
                control.spend(n)
                moved += some
        self.refresh()
        return True

    def kick(
        self, control: Control, rng: Generator, strength: int, reach: float, most: int
    ) -> tuple[int, int]:
        """Rounds of kicks and descents, `most` of them; the rounds made and those that improved."""
        from optengine.kernels.order_sparse_moves import sparse_kicks

        d = len(self.order)
        rounds = max(1, min(PLACES // 3 // d**2, most))
        nodes = rng.permuted(np.tile(np.arange(d), (rounds, 1)), axis=1)
        draws = rng.random((rounds, strength, 2))
        draws[:, :, 1] = 0.5 + reach * (draws[:, :, 1] - 0.5)
        n, better, made = sparse_kicks(
            self._gram,
            self.order,
            self._rules,
            self._paths,
            self._home,
            self._before,
            nodes,
            draws,
            left(control),
            self._least(),
        )
        control.spend(n)
        self.refresh()
        return made, better


class TermState(TableState):
    """One order of a problem whose terms are fitted to the data, each set of predecessors once.

    Attributes:
        order: (d,) nodes first to last. value: its score.
    """

    def __init__(self, problem: DAGProblem, order: Integers) -> None:
        assert isinstance(problem.local, FittedTerms)
        self._local, self._before = problem.local, problem.before
        self.order = np.ascontiguousarray(problem.arrange(order[None, :])[0])
        self.refresh()

    def refresh(self) -> None:
        self.value = float(self._local.terms(self.order).sum())

    def descend(self, control: Control, rng: Generator, swaps: bool) -> bool:
        moved = True
        while moved:
            moved = False
            for node in rng.permutation(len(self.order)):
                change = self._insert(int(node), control)
                if change is None:
                    return False
                moved |= change
        return True

    def _insert(self, node: int, control: Control) -> bool | None:
        """Put a node at its best place; whether that moved it, or None: told to stop."""
        x = self.order

        def term(v: int, S: Integers) -> float:
            return self._local.fit(int(v), S)[0]

        a, least = int(np.flatnonzero(x == node)[0]), CLOSE * max(1.0, abs(self.value))
        own, best, place = term(node, x[:a]), -least, a
        for step in (-1, 1):
            change, k = 0.0, a + step
            while 0 <= k < len(x):
                u, rest = x[k], np.delete(x, a)
                if self._before[u, node] if step < 0 else self._before[node, u]:
                    break
                if control.stop():
                    return None
                without, along = (x[:k], np.append(x[:k], node)) if step < 0 else (rest[: k - 1], x[:k])
                change += (term(u, along) - term(u, without)) * -step
                gain = change + term(node, rest[:k]) - own
                control.spend(1)
                if gain < best:
                    best, place = gain, k
                k += step
        if place == a:
            return False
        self.order = np.insert(np.delete(x, a), place, node)
        self.refresh()
        control.incumbent(self.order.astype(np.float64))
        return True


AnyState = State | TableState | PathState | TermState


def state_of(problem: DAGProblem, order: Integers) -> AnyState:
    """The state of an order of a problem."""
    if problem.local is None:
        return State(problem, order)
    if isinstance(problem.local, TableTerms):
        return TableState(problem, order)
    if isinstance(problem.local, SparseTerms):
        return PathState(problem, order)
    return TermState(problem, order)
