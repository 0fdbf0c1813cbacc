"""Learning a directed acyclic graph from data by the order of its nodes.

For an order of the nodes (decided, a permutation) every node is regressed on all nodes before it, and

    f(order) = 1/(2n) ||X - X W||^2 = half the sum of residual variances,      W[i, j] = 0 unless i stands before j,

is minimised, with the best weights W. It is the least-squares score of NOTEARS (Zheng et al., 2018, arXiv:1803.01422)
and TOPO (Deng et al., 2023, arXiv:2305.17277); for noise of equal variances its optimum tends to a true order. Data
come in through their Gram matrix alone. With a penalty each node has the best of all sets of parents before it,

    f(order) = sum over nodes of min over parents P before it of base(var(node | P)) + weight |P|,

base(v) = v / 2 or, for Gaussian likelihoods, log(v) / 2 (scores per sample, less constants).
A lower score than that of the true order is common and proves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.problem import Problem
from optengine.core.space import Permutation, Space
from optengine.problems.arrays import positions
from optengine.problems.dag.gram import check_definite, gram_of_covariance, gram_of_data
from optengine.problems.dag.knowledge import arranged, edge_list, precedence, tier_numbers
from optengine.problems.dag.simulate import random_weights, simulate_linear

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOSSES = ("ls", "gaussian")
PENALTIES = (None, "bic", "l0")
LARGEST = 16  # nodes for penalties: the table of all sets of parents takes 12 MB


class DAGProblem(Problem):
    """The order of nodes whose regressions, each node on all before it, leave the least residual variance; minimised.

    X is one permutation a row: X[i, k] is the node at position k. Where `tiers` or `required` say what stands before
    what, a permutation means the order that obeys them and otherwise follows it (`arrange`): every permutation is
    feasible, and every graph obeys.

    Args:
        data: (n, d), one sample a row; or
        covariance: (d, d) symmetric and positive definite, of centred data or not.
        n_samples: n, where only a covariance is known; kept for the record.
        loss: "ls", half the residual variances; "gaussian", half their logarithms, which needs a penalty: without one
            every order has the same.
        penalty: None; "bic" (Schwarz, 1978), a weight of log(n) / (2 n) a parent, with loss="gaussian"; "l0", a weight
            of `weight`. Exact over all sets of parents, for up to 16 nodes.
        weight: of each parent, for "l0", > 0.
        center: subtract the mean of each column of data first. False: neither centred nor an intercept, as published
            code does; it costs accuracy where noise has a mean.
        ridge: added to every variance, in squared units of the data, >= 0.
        threshold: absolute weight above which an edge belongs to the thresholded graph.
        tiers: lists of nodes; no edge runs from a later tier to an earlier one.
        required: pairs (from, to), or booleans (d, d): edges of every graph.
        forbidden: likewise: edges of no graph; with a penalty, as otherwise all nodes before a node are its parents.
        name: name of the instance.

    Attributes:
        gram: (d, d), read-only. before: (d, d), before[u, v]: node u must stand before v. n_nodes: d.
        truth: (d, d) true weights where they are known, else None. names: of the nodes, where they are known.

    Raises:
        ProblemError: data that are not finite, constant or dependent columns, too few rows, a covariance that is not
            symmetric and definite, contradictory knowledge.
    """

    names: tuple[str, ...] | None = None

    def __init__(
        self,
        data: ArrayLike | None = None,
        *,
        covariance: ArrayLike | None = None,
        n_samples: int | None = None,
        loss: str = "ls",
        penalty: str | None = None,
        weight: float | None = None,
        center: bool = True,
        ridge: float = 0.0,
        threshold: float = 0.3,
        tiers: Sequence[Any] | None = None,
        required: Any = None,
        forbidden: Any = None,
        name: str | None = None,
    ) -> None:
        if (data is None) == (covariance is None):
            raise ProblemError(
                f"data or covariance must be given, got {'neither' if data is None else 'both'}"
            )
        if loss not in LOSSES:
            raise ProblemError(
                f"loss must be one of {list(LOSSES)}, got {loss!r}{did_you_mean(str(loss), LOSSES)}"
            )
        for option, value in (("ridge", ridge), ("threshold", threshold)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < np.inf:
                raise ProblemError(f"{option} must be a number >= 0, got {value!r}")
        if not isinstance(center, bool):
            raise ProblemError(f"center must be True or False, got {center!r}")
        whole = isinstance(n_samples, (int, np.integer)) and not isinstance(n_samples, bool)
        if n_samples is not None and not (whole and n_samples >= 1):
            raise ProblemError(f"n_samples must be an integer >= 1 or None, got {n_samples!r}")
        self.n_samples = n_samples
        if data is not None:
            gram, self.n_samples = gram_of_data(data, center)
        else:
            gram = gram_of_covariance(covariance)
        gram[np.diag_indices_from(gram)] += ridge
        check_definite(gram, "covariance" if data is None else "data", self.n_samples)
        gram.setflags(write=False)
        self.gram, self.n_nodes, self.loss = gram, len(gram), loss
        self.threshold = float(threshold)
        self.truth: Floats | None = None
        self.required = edge_list(required, self.n_nodes, "required")
        self.forbidden = edge_list(forbidden, self.n_nodes, "forbidden")
        self.penalty = penalty
        self.weight = self._weight(weight)
        self._table: tuple[Floats, NDArray[np.int32]] | None = None
        self.before = precedence(self.n_nodes, tier_numbers(tiers, self.n_nodes), self.required)
        self.before.setflags(write=False)
        self.moves = ("swap", "insertion")
        super().__init__(
            self._score, Space(Permutation(self.n_nodes)), call="encoded", vectorized=True, name=name or "dag"
        )

    def _weight(self, weight: float | None) -> float:
        """Check what belongs to the penalty; returns the weight of each parent."""
        if self.penalty not in PENALTIES:
            raise ProblemError(f"penalty must be one of {list(PENALTIES)}, got {self.penalty!r}")
        if self.penalty is None:
            if self.loss == "gaussian":
                raise ProblemError(
                    "penalty must be 'bic' or 'l0' with loss='gaussian', got None: all orders are equal"
                )
            if self.forbidden:
                raise ProblemError("penalty must be 'bic' or 'l0' where edges are forbidden, got None")
            return 0.0
        if self.n_nodes > LARGEST:
            raise ProblemError(
                f"penalty must be None beyond {LARGEST} nodes, got {self.penalty!r} for {self.n_nodes}"
            )
        both = sorted(set(self.required) & set(self.forbidden))
        if both:
            raise ProblemError(f"forbidden must not hold required edges, got {both[0]} in both")
        if self.penalty == "bic":
            if self.loss != "gaussian" or self.n_samples is None:
                raise ProblemError(
                    f"penalty='bic' needs loss='gaussian' and n_samples, got {self.loss!r} and {self.n_samples}"
                )
            return float(np.log(self.n_samples) / (2 * self.n_samples))
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < np.inf:
            raise ProblemError(f"weight must be a number > 0 with penalty='l0', got {weight!r}")
        return float(weight)

    def table(self) -> tuple[Floats, NDArray[np.int32]]:
        """Scores and parents (bits), (d, 2^d), of each node's best parents among every set, of a penalised problem."""
        if self._table is None:
            from optengine.kernels.order_table import parents_table

            must, never = np.zeros((2, self.n_nodes), dtype=np.int64)
            for bits, edges in ((must, self.required), (never, self.forbidden)):
                for i, j in edges:
                    bits[j] |= 1 << i
            self._table = parents_table(self.gram, self.weight, self.loss == "gaussian", must, never)
        return self._table

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_table": None}  # made anew where it is needed

    @classmethod
    def random(
        cls,
        rng: Generator,
        n_nodes: int,
        degree: int = 2,
        *,
        n_samples: int = 1000,
        graph: str = "ER",
        noise: str = "gaussian",
        **options: Any,
    ) -> DAGProblem:
        """Data of a random linear model (`random_weights`, `simulate_linear`); `truth` holds its weights."""
        W = random_weights(rng, n_nodes, degree, graph=graph)
        options.setdefault("name", f"{graph}{degree}_d{n_nodes}_{noise}")
        problem = cls(simulate_linear(rng, W, n_samples, noise=noise), **options)
        problem.truth = W
        return problem

    def arrange(self, X: ArrayLike) -> Integers:
        """The orders (m, d) that permutations X (m, d) mean."""
        return arranged(np.ascontiguousarray(X, dtype=np.int64), self.before)

    def order_of(self, graph: ArrayLike) -> Integers:
        """An order (d,) that agrees with a graph, to start a solver from; the weakest edges of its cycles are left out.

        Args:
            graph: (d, d) weights or booleans, graph[i, j] for the edge from i to j.

        Raises:
            ProblemError: another shape, or weights that are not finite.
        """
        weights = np.abs(np.asarray(graph, dtype=np.float64))
        if weights.shape != self.gram.shape or not np.isfinite(weights).all():
            d = self.n_nodes
            raise ProblemError(
                f"graph must be a finite matrix of shape ({d}, {d}), got shape {weights.shape}"
            )
        reach = np.eye(len(weights), dtype=bool)  # reach[u, v]: v comes after u, or is u
        for i, j in zip(
            *np.unravel_index(np.argsort(-weights, axis=None, kind="stable"), weights.shape), strict=True
        ):
            if weights[i, j] > 0 and not reach[j, i] and not reach[i, j]:
                reach |= reach[:, i : i + 1] & reach[j : j + 1, :]
        later = reach & ~np.eye(len(weights), dtype=bool)
        return np.asarray(arranged(np.arange(len(weights))[None, :], later)[0])

    def _score(self, X: Floats) -> Floats:
        """Scores (m,) of orders X (m, d); O(d^3 / 3) a row."""
        from optengine.kernels.order_search import scores

        if self.penalty is not None:
            from optengine.kernels.order_table import table_scores

            return np.asarray(table_scores(self.table()[0], self.arrange(X)))
        return np.asarray(scores(self.gram, self.arrange(X)))

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of the score under moves; O(d^3) for the first of a call, then O(d) a swap, O(1) an insertion.

        Where some node must stand before another, each move costs a new factorization.

        Args:
            x: (d,) order.
            kind: "swap" exchanges the nodes at positions i and j; "insertion" takes the node at i so that it stands
                at j.
            moves: (k, 2) positions (i, j).

        Returns:
            dF (k, 1), dG (k, 0).

        Raises:
            OptionError, ProblemError: an unknown kind, or moves that are not pairs of positions.
        """
        from optengine.kernels import order_search, permutation

        order, pairs = positions(x, kind, moves, self.moves)
        if self.before.any() or self.penalty is not None:
            after = self._score(permutation.apply_moves(order, kind, pairs).astype(np.float64))
            change = after - self._score(order[None, :].astype(np.float64))
        else:
            U, M = np.empty(self.gram.shape), np.empty(self.gram.shape)
            order_search.factor(self.gram, order, U)
            order_search.invert(U, M)
            change = order_search.changes(U, M, np.ascontiguousarray(pairs), kind == "swap")
        return np.asarray(change)[:, np.newaxis], np.empty((len(pairs), 0))

    def weights(self, x: ArrayLike) -> Floats:
        """Least-squares weights (d, d) of an order, each node on all before it, or on its best parents."""
        order = self.arrange(np.asarray(x)[None, :])[0]
        if self.penalty is not None:
            return self._sparse_weights(order)
        L = np.linalg.cholesky(self.gram[np.ix_(order, order)])
        inverse = np.linalg.solve(L, np.eye(len(L)))
        W = np.zeros(self.gram.shape)
        W[np.ix_(order, order)] = np.triu(-(inverse * L.diagonal()[:, None]).T, 1)
        return W

    def _sparse_weights(self, order: Integers) -> Floats:
        """Weights (d, d) where each node has its best parents among those before it."""
        W, parents = np.zeros(self.gram.shape), self.table()[1]
        before = 0
        for node in order.tolist():
            chosen = [u for u in range(self.n_nodes) if int(parents[node, before]) >> u & 1]
            if chosen:
                W[chosen, node] = np.linalg.solve(self.gram[np.ix_(chosen, chosen)], self.gram[chosen, node])
            before |= 1 << node
        return W

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """The graph of an order.

        Returns:
            `order` (d,), the nodes first to last; `weights` (d, d), W[i, j] of the edge from i to j; `graph` (d, d)
            booleans, W != 0; `thresholded` (d, d), |W| > threshold and the required edges; `variances` (d,), residual;
            `kkt_residual`, the largest slope of the score along an edge that could be added without a cycle; 0 says
            that the graph is a stationary point, as every order of a dense fit is; `shd` of the thresholded graph
            where the truth is known.
        """
        W = self.weights(x)
        thresholded = np.abs(W) > self.threshold
        for i, j in self.required:
            thresholded[i, j] = True
        residual = np.eye(len(W)) - W
        described = {
            "order": self.arrange(np.asarray(x)[None, :])[0],
            "weights": W,
            "graph": W != 0,
            "thresholded": thresholded,
            "variances": ((self.gram @ residual) * residual).sum(axis=0),
            "kkt_residual": kkt_residual(self.gram, W),
        }
        if self.names is not None:
            described["names"] = list(self.names)
        if self.truth is not None:
            from optengine.problems.dag.measures import shd

            described["shd"] = shd(thresholded, self.truth)
        return described

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        digest = hashlib.sha256()
        for matrix in (self.gram, self.before):
            digest.update(np.ascontiguousarray(matrix).tobytes())
        return super().fingerprint() | {
            "nodes": self.n_nodes,
            "loss": [self.loss, self.penalty, self.weight, self.forbidden],
            "data": digest.hexdigest(),
        }


def kkt_residual(gram: Floats, W: Floats) -> float:
    """Largest |dQ/dW[i, j]| over the edges i -> j that close no cycle (no walk from j to i); 0 where there is none.

    Wei, Gao and Yu, DAGs with no fears, 2020, arXiv:2010.09133: the stationary points of the least-squares score.
    """
    d = len(W)
    reach = (W != 0) | np.eye(d, dtype=bool)
    for k in range(d):
        reach |= reach[:, k : k + 1] & reach[k : k + 1, :]
    slope = np.abs(gram @ (np.eye(d) - W))
    slope[reach.T] = 0.0
    scale = np.sqrt(np.outer(gram.diagonal(), gram.diagonal()))
    residual = float(slope.max())
    return residual if (slope > 1e-9 * scale).any() else 0.0
