"""TOPO: topological swaps that the acyclicity constraint's gradient proposes.

Deng, Bello, Aragam and Ravikumar, Optimizing NOTEARS objectives via topological swaps, 2023, arXiv:2305.17277, for
least squares. What differs from the published code: the score of a swap comes from the factors of the Gram matrix
(exact, O(d)) in place of regressions on the data, with the same values; sets larger than the number of pairs are all
pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.problems.dag import DAGProblem
from optengine.solvers.dag.state import ROUNDING, State, left

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TOPO:
    """The bi-level search of the paper over orders of a DAGProblem; ends at a point that no swap proposed improves.

    Of the weights W of an order, h(W) = -log det(I - |W|) has the gradient (I - |W|)^-T: the weight of all walks from j
    to i, for the edge i -> j. The `size_small` pairs with the least gradient, j before i in the order, are exchanged by
    trial; those that lower the score are carried out together, best first, as far as their stretches of the order are
    disjoint. Where none does, the further pairs among the `size_large` least are tried, `no_large_search` times in a
    run. x0 gives the first order, so that it goes on from another method's (`DAGProblem.order_of` makes one of a
    weighted graph); without it the order is random. Each trial counts as one evaluation and costs O(d); an iteration
    costs O(d^3).

    `describe` tells the KKT residual; for dense regressions every order is stationary, and the quality comes from the
    number of pairs tried.

    Attributes:
        size_small: pairs tried in each iteration, >= 1.
        size_large: pairs tried where these fail, >= size_small.
        no_large_search: how often in a run, >= 0.
        xi: try only pairs whose edge has a slope of the score above it, >= 0; 0 as in the published code.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False  # the score falls with each step and orders are finitely many

    size_small: int = 100
    size_large: int = 400
    no_large_search: int = 1
    xi: float = 0.0

    def __post_init__(self) -> None:
        for name, low in (("size_small", 1), ("size_large", 1), ("no_large_search", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise OptionError(f"{name} must be an integer >= {low}, got {value!r}")
        if self.size_large < self.size_small:
            raise OptionError(f"size_large must be >= size_small = {self.size_small}, got {self.size_large}")
        if isinstance(self.xi, bool) or not isinstance(self.xi, (int, float)) or not 0 <= self.xi < np.inf:
            raise OptionError(f"xi must be a number >= 0, got {self.xi!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a DAGProblem, and penalties."""
        if not isinstance(problem, DAGProblem):
            return "it reads the Gram matrix of a DAGProblem"
        return None if problem.penalty is None else f"it takes no penalty, got {problem.penalty!r}"

    def start(self, problem: Problem, rng: Generator) -> TOPORun:
        """Return a new run."""
        assert isinstance(problem, DAGProblem)
        return TOPORun(self, problem, rng)


class TOPORun:
    """State of one run: the order and how often the large set was tried."""

    def __init__(self, options: TOPO, problem: DAGProblem, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._counts = {"iterations": 0, "swaps": 0, "large_searches": 0}

    @property
    def details(self) -> dict[str, Any]:
        """Iterations, swaps carried out, searches of the large set."""
        return dict(self._counts)

    def warm_up(self) -> None:
        """Compile or load the kernels, before the clock starts."""
        State(DAGProblem(covariance=np.eye(3)), np.arange(3)).swap_changes(np.array([[0, 2]]))

    def search(self, control: Control) -> None:
        """Swap until nothing proposed lowers the score, or told to stop."""
        d = self._problem.n_nodes
        first = self._rng.permutation(d) if control.x0 is None else control.x0[0].astype(np.int64)
        state = State(self._problem, first)
        control.incumbent(state.order.astype(np.float64))
        while not control.stop():
            self._counts["iterations"] += 1
            small, further = self._candidates(state)
            if self._step(state, small, control):
                continue
            if control.stop():
                return
            if self._counts["large_searches"] < self._options.no_large_search:
                self._counts["large_searches"] += 1
                if self._step(state, further, control):
                    continue
            if not control.stop():
                control.conclude("converged", "no swap that was proposed lowers the score")  # type: ignore[attr-defined]
            return

    def _candidates(self, state: State) -> tuple[Integers, Integers]:
        """Pairs of positions (k, 2): the small set Y, and the rest of the large one."""
        order, d = state.order, len(state.order)
        W = self._problem.weights(order)[np.ix_(order, order)]
        walks = np.linalg.solve(np.eye(d) - np.abs(W), np.eye(d))  # [p, q]: of all walks from p to q
        p, q = np.triu_indices(d, 1)
        allowed = state.exchangeable()[p, q]
        if self._options.xi > 0:
            G = self._problem.gram[np.ix_(order, order)]
            allowed &= np.abs(G @ (np.eye(d) - W))[q, p] > self._options.xi
        p, q = p[allowed], q[allowed]
        rank = np.argsort(walks[p, q], kind="stable")
        pairs = np.column_stack([p, q])[rank].astype(np.int64)
        small, large = self._options.size_small, self._options.size_large
        return pairs[:small], pairs[small:large]

    def _step(self, state: State, pairs: Integers, control: Control) -> bool:
        """Try `pairs`; carry out those that lower the score, best first, on disjoint stretches. Whether any did."""
        pairs = pairs[: left(control)]
        if not len(pairs):
            return False
        change = state.swap_changes(pairs)
        control.spend(len(pairs))
        taken = np.zeros(len(state.order), dtype=bool)
        for k in np.argsort(change, kind="stable"):
            i, j = pairs[k]
            if change[k] >= -ROUNDING * state.value:
                break
            if not taken[i : j + 1].any():
                taken[i : j + 1] = True
                state.order[[i, j]] = state.order[[j, i]]
                self._counts["swaps"] += 1
        if not taken.any():
            return False
        state.refresh()
        control.incumbent(state.order.astype(np.float64))
        return True
