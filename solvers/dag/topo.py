"""TOPO: topological swaps that the acyclicity constraint's gradient proposes.

Deng, Bello, Aragam and Ravikumar, Optimizing NOTEARS objectives via topological swaps, 2023, arXiv:2305.17277, for
every loss and penalty of a DAGProblem. What differs from the published code: for least squares the score of a swap
comes from the factors of the Gram matrix (exact, O(d)) in place of regressions on the data, with the same values; sets
larger than the number of pairs are all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError, did_you_mean
from optengine.core.solver import Control
from optengine.problems.dag import DAGProblem
from optengine.problems.dag.terms import FittedTerms
from optengine.solvers.dag.state import ROUNDING, State, left

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


ACYCLICITIES = ("logdet", "exp")
CANDIDATES = ("kkt", "all")
REFITS = ("factors", "regression")
CHUNK = 20_000_000  # elements that the trials between two looks at the clock touch, about
CLOSE = 1e-10  # relative change of the score below which fits do not tell improvement from rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class TOPO:
    """The bi-level search of the paper over orders of a DAGProblem; ends at a point that no swap proposed improves.

    Of the weights W of an order, h(W) = -log det(I - |W|) has the gradient (I - |W|)^-T, the weight of all walks from j
    to i, for the edge i -> j; h(W) = tr exp |W| - d has (exp |W|)^T, where a walk of k edges counts 1 / k!. The
    candidates Y(W, tau, xi) are the pairs with j before i in the order, a gradient <= tau and a slope of the score
    > xi. The `size_small` of them with the least gradient are exchanged by trial; those that lower the score are
    carried out together, best first, as far as their stretches of the order are disjoint. Where none does, the further
    ones among the `size_large` least are tried, `no_large_search` times in a run. x0 gives the first order: an order,
    or a graph of another method, with cycles or not (`DAGProblem.order_of`); without it the order is random. Each trial
    counts as one evaluation and costs O(d) for least squares, otherwise the fits of the nodes from i to j; an iteration
    costs O(d^3) besides.

    `details["kkt_residual"]` is the certificate: 0 says that no edge that closes no cycle has a slope, that the graph
    is a stationary point, a local minimum where the loss is convex. `details["candidates"]` counts Y(W, 0, 0) at the
    last iteration. For dense regressions it is empty for every order, and the quality comes from the number of pairs
    tried.

    Attributes:
        size_small: pairs tried in each iteration, >= 1.
        size_large: pairs tried where these fail, >= size_small.
        no_large_search: how often in a run, >= 0.
        tau: try only pairs with a gradient up to it, >= 0; None: the sizes alone decide, as in the published code.
        xi: try only pairs whose edge has a slope of the score above it, >= 0; 0 as in the published code.
        candidates: "kkt": by the gradient; "all": all pairs in each iteration, whatever the sizes.
        acyclicity: "logdet" or "exp".
        first: carry out the first swap that lowers the score, and go on from there; None: for "mlp" and "logistic",
            whose fits are dear, as in the paper.
        refit: "factors", or "regression": solve the normal equations of each node that a tried swap concerns, as the
            published code does; the same scores, for comparisons of time. Least squares without a penalty only.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False  # the score falls with each step and orders are finitely many

    size_small: int = 100
    size_large: int = 400
    no_large_search: int = 1
    tau: float | None = None
    xi: float = 0.0
    candidates: str = "kkt"
    acyclicity: str = "logdet"
    first: bool | None = None
    refit: str = "factors"

    def __post_init__(self) -> None:
        for name, low in (("size_small", 1), ("size_large", 1), ("no_large_search", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise OptionError(f"{name} must be an integer >= {low}, got {value!r}")
        if self.size_large < self.size_small:
            raise OptionError(f"size_large must be >= size_small = {self.size_small}, got {self.size_large}")
        for name in ("tau", "xi"):
            value = getattr(self, name)
            if value is None and name == "tau":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < np.inf:
                raise OptionError(f"{name} must be a number >= 0, got {value!r}")
        for name, known in (("candidates", CANDIDATES), ("acyclicity", ACYCLICITIES), ("refit", REFITS)):
            value = getattr(self, name)
            if value not in known:
                raise OptionError(
                    f"{name} must be one of {list(known)}, got {value!r}{did_you_mean(str(value), known)}"
                )
        if self.first not in (None, True, False):
            raise OptionError(f"first must be True, False or None, got {self.first!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a DAGProblem, and regressions for anything but least squares."""
        if not isinstance(problem, DAGProblem):
            return "it reads the Gram matrix of a DAGProblem"
        if self.refit == "regression" and problem.local is not None:
            return f"refit='regression' takes no penalty and loss='ls', got {problem.penalty!r} and {problem.loss!r}"
        return None

    def start(self, problem: Problem, rng: Generator) -> TOPORun:
        """Return a new run."""
        assert isinstance(problem, DAGProblem)
        return TOPORun(self, problem, rng)


class TOPORun:
    """State of one run: the order and how often the large set was tried."""

    def __init__(self, options: TOPO, problem: DAGProblem, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._counts = {"iterations": 0, "swaps": 0, "large_searches": 0, "candidates": 0}
        fitted = isinstance(problem.local, FittedTerms)
        self._first = fitted if options.first is None else options.first

    @property
    def details(self) -> dict[str, Any]:
        """Iterations, swaps carried out, searches of the large set, and pairs in Y(W, 0, 0) at the last iteration."""
        return dict(self._counts)

    def warm_up(self) -> None:
        """Compile or load the kernels, before the clock starts."""
        from optengine.solvers.dag.search import tiny_like

        tiny = tiny_like(self._problem)
        tiny.evaluate(np.arange(4.0)[None, :])
        tiny.delta(np.arange(4), "swap", np.array([[0, 2]]))
        tiny.describe(np.arange(4))

    def search(self, control: Control) -> None:
        """Swap until nothing proposed lowers the score, or told to stop."""
        d = self._problem.n_nodes
        first = self._rng.permutation(d) if control.x0 is None else control.x0[0].astype(np.int64)
        self._go(self._problem.arrange(first[None, :])[0])
        control.incumbent(self._order.astype(np.float64))
        while not control.stop():
            self._counts["iterations"] += 1
            small, further = self._candidates()
            if self._step(small, control):
                continue
            if control.stop():
                return
            if self._counts["large_searches"] < self._options.no_large_search:
                self._counts["large_searches"] += 1
                if self._step(further, control):
                    continue
            if not control.stop():
                control.conclude("converged", "no swap that was proposed lowers the score")  # type: ignore[attr-defined]
            return

    def _go(self, order: Integers) -> None:
        """Take an order."""
        self._order = np.ascontiguousarray(order)
        self._value = float(self._problem.evaluate(self._order[None, :].astype(np.float64)).F[0, 0])

    def _candidates(self) -> tuple[Integers, Integers]:
        """Pairs of positions (k, 2): the small set Y, and the rest of the large one."""
        order, d, options = self._order, len(self._order), self._options
        W = self._problem.weights(order)
        walks = self._walks(np.abs(W[np.ix_(order, order)]))  # [p, q]: of all walks from p to q
        slope = self._slack(W)[np.ix_(order, order)]
        p, q = np.triu_indices(d, 1)
        allowed = exchangeable(self._problem.before[np.ix_(order, order)])[p, q]
        self._counts["candidates"] = int((allowed & (walks[p, q] == 0.0) & (slope[q, p] > 0.0)).sum())
        if options.xi > 0:
            allowed &= slope[q, p] > options.xi
        if options.tau is not None:
            allowed &= walks[p, q] <= options.tau
        p, q = p[allowed], q[allowed]
        rank = np.argsort(walks[p, q], kind="stable")
        pairs = np.column_stack([p, q])[rank].astype(np.int64)
        if options.candidates == "all":
            return pairs, pairs[:0]
        return pairs[: options.size_small], pairs[options.size_small : options.size_large]

    def _walks(self, A: Floats) -> Floats:
        """The gradient of h, transposed, for |W| = A (d, d) in the order: what walks from p to q weigh."""
        if self._options.acyclicity == "logdet":
            return np.asarray(np.linalg.solve(np.eye(len(A)) - A, np.eye(len(A))))
        from scipy.linalg import expm

        return np.triu(expm(A))  # A is strictly triangular, and so is what rounding adds below

    def _slack(self, W: Floats) -> Floats:
        """Slopes of the score (d, d) along each edge."""
        if self._problem.local is None:
            return np.abs(self._problem.gram @ (np.eye(len(W)) - W))
        return self._problem.local.slack(self._order, W)

    def _step(self, pairs: Integers, control: Control) -> bool:
        """Try `pairs`; carry out those that lower the score, best first, on disjoint stretches. Whether any did."""
        least = (ROUNDING if self._problem.local is None else CLOSE) * max(abs(self._value), 1e-3)
        improving: list[tuple[float, int]] = []
        size = 1 if self._first else max(1, CHUNK // self._cost())
        for k in range(0, len(pairs), size):
            if control.stop():
                break
            some = pairs[k : min(k + size, k + left(control))]
            change = self._changes(some)
            control.spend(len(some))
            improving += [(float(c), k + n) for n, c in enumerate(change) if c < -least]
            if self._first and improving:
                break
        order, taken = self._order.copy(), np.zeros(len(self._order), dtype=bool)
        for _, k in sorted(improving):
            i, j = pairs[k]
            if not taken[i : j + 1].any():
                taken[i : j + 1] = True
                order[[i, j]] = order[[j, i]]
                self._counts["swaps"] += 1
        if not improving:
            return False
        self._go(order)
        control.incumbent(self._order.astype(np.float64))
        return True

    def _cost(self) -> int:
        """Elements that one trial touches, about."""
        d = self._problem.n_nodes
        return d if self._problem.local is None and self._options.refit == "factors" else d**3

    def _changes(self, pairs: Integers) -> Floats:
        """Changes (k,) of the score under exchanges of positions (k, 2)."""
        order, problem = self._order, self._problem
        if problem.local is None and self._options.refit == "factors":
            return State(problem, order).swap_changes(pairs)
        moved = np.repeat(order[None, :], len(pairs), axis=0)
        rows = np.arange(len(pairs))
        moved[rows, pairs[:, 0]], moved[rows, pairs[:, 1]] = order[pairs[:, 1]], order[pairs[:, 0]]
        if problem.local is not None:
            return problem.local.changes(order, moved)
        own = regressions(problem.gram, order, 0, len(order))
        return np.array(
            [
                0.5 * (regressions(problem.gram, x, i, j + 1).sum() - own[i : j + 1].sum())
                for x, (i, j) in zip(moved, pairs, strict=True)
            ]
        )


def regressions(G: Floats, order: Integers, first: int, last: int) -> Floats:
    """Residual variances (last - first,) of the nodes at positions first <= k < last, each by its normal equations."""
    values = np.empty(last - first)
    for k in range(first, last):
        S, v = order[:k], order[k]
        w = np.linalg.solve(G[np.ix_(S, S)], G[S, v])
        values[k - first] = G[v, v] - G[S, v] @ w
    return values


def exchangeable(B: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which positions i < j may be exchanged without a node passing one that must stand before it, (d, d).

    Args:
        B: (d, d), B[i, j]: the node at position i must stand before the one at j.
    """
    d = len(B)
    follower = np.where(B.any(axis=1), np.argmax(B, axis=1), d)  # first position that must come after i
    forerunner = np.where(B.any(axis=0), d - 1 - np.argmax(B[::-1], axis=0), -1)  # last one before j
    place = np.arange(d)
    allowed = (place[None, :] < follower[:, None]) & (place[:, None] > forerunner[None, :])
    return np.asarray(allowed & (place[:, None] < place[None, :]))
