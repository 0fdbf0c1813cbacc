"""The best order of up to 20 nodes, proved, by dynamic programming over subsets.

Silander and Myllymäki, A simple approach for finding the globally optimal Bayesian network structure, 2006,
arXiv:1206.6875, for the least-squares score of an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.solver import Control
from optengine.problems.dag import DAGProblem
from optengine.problems.dag.penalties import LARGEST as LARGEST_TABLE
from optengine.problems.dag.terms import FittedTerms, SparseTerms, TableTerms
from optengine.solvers.dag.state import FREE, left
from optengine.solvers.dag.state_chosen import state_of

if TYPE_CHECKING:
    from optengine.core.problem import Problem

LARGEST = 20  # nodes: 2^20 subsets, 9 MB and some seconds; each more doubles both
CHUNK = 4096  # subsets of one call: a few milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class DAGExact:
    """Dynamic programming over the subsets of the nodes of a DAGProblem: the least score, with a proof.

    best(S) = min over v in S of best(S without v) + residual variance of v given S without v. A descent by insertions
    gives an incumbent first, the variances given all other nodes a bound. A subset counts as one evaluation and costs
    O(d^2); there are 2^d.

    Attributes:
        descend: look for an incumbent first.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False  # it ends with the proof

    descend: bool = True

    def __post_init__(self) -> None:
        from optengine.core.errors import OptionError

        if not isinstance(self.descend, bool):
            raise OptionError(f"descend must be True or False, got {self.descend!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a DAGProblem, and more than 20 nodes."""
        if not isinstance(problem, DAGProblem):
            return "it reads the Gram matrix of a DAGProblem"
        if problem.n_nodes > LARGEST:
            return f"it takes up to {LARGEST} nodes, got {problem.n_nodes}"
        if isinstance(problem.local, FittedTerms):
            return f"it needs the Gram matrix alone, got loss={problem.loss!r}"
        if problem.local is not None and problem.n_nodes > LARGEST_TABLE:
            return f"it takes up to {LARGEST_TABLE} nodes with penalty={problem.penalty!r}, got {problem.n_nodes}"
        return None

    def start(self, problem: Problem, rng: Generator) -> DAGExactRun:
        """Return a new run."""
        assert isinstance(problem, DAGProblem)
        return DAGExactRun(self, problem, rng)


class DAGExactRun:
    """State of one run: the table of subsets."""

    def __init__(self, options: DAGExact, problem: DAGProblem, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._subsets = 0

    @property
    def details(self) -> dict[str, Any]:
        """Subsets extended."""
        return {"subsets": self._subsets}

    def warm_up(self) -> None:
        """Compile or load the kernels, before the clock starts."""
        from optengine.kernels import order_exact, order_table

        order_exact.extend(np.eye(2), np.zeros(2, np.int64), 0, 2, np.full(4, np.inf), np.zeros(4, np.int8))
        plain = DAGProblem(covariance=np.eye(2))
        tiny = DAGProblem(covariance=np.eye(2), penalty="l0", weight=0.1)
        state_of(plain, np.arange(2)).descend(FREE, np.random.default_rng(0), False)
        state_of(tiny, np.arange(2)).descend(FREE, np.random.default_rng(0), False)
        order_table.table_extend(
            np.zeros((2, 4)), np.zeros(2, np.int64), 0, 2, np.zeros(4), np.zeros(4, np.int8)
        )

    def search(self, control: Control) -> None:
        """Find an incumbent, then extend all subsets; optimal at the end."""
        from optengine.kernels import order_exact, order_table

        gram, d = self._problem.gram, self._problem.n_nodes
        local = self._problem.local
        table = local.table()[0] if isinstance(local, (TableTerms, SparseTerms)) else None
        control.bound(_loose_bound(gram) if table is None else table.min(axis=1).sum() - 1e-9)
        state = state_of(self._problem, np.argsort(gram.diagonal(), kind="stable"))
        if self._options.descend:
            state.descend(control, self._rng, False)
        control.incumbent(state.order.astype(np.float64))
        best, node = np.full(1 << d, np.inf), np.zeros(1 << d, dtype=np.int8)
        best[0] = 0.0
        forerunners = self._problem.before.T @ (1 << np.arange(d))
        while self._subsets < (1 << d) - 1:
            if control.stop():
                return
            last = min(self._subsets + CHUNK, (1 << d) - 1, self._subsets + left(control))
            if table is None:
                order_exact.extend(gram, forerunners, self._subsets, last, best, node)
            else:
                order_table.table_extend(table, forerunners, self._subsets, last, best, node)
            control.spend(last - self._subsets)
            self._subsets = last
        order = order_exact.order_of(node)
        control.incumbent(np.array(order, dtype=np.float64))
        value = float(self._problem.evaluate(np.array([order], dtype=np.float64)).F[0, 0])
        control.bound(min(value, float(best[-1]) * (0.5 if table is None else 1.0)))
        control.conclude("optimal", "every subset of the nodes was extended")  # type: ignore[attr-defined]


def _loose_bound(gram: Any) -> float:
    """Half the sum of variances given all other nodes, less rounding."""
    return float(0.5 * (1.0 / np.linalg.inv(gram).diagonal()).sum()) * (1.0 - 1e-9)
