"""Learning a directed acyclic graph from data by the order of its nodes.

For an order of the nodes (decided, a permutation) every node is regressed on all nodes before it, and

    f(order) = 1/(2n) ||X - X W||^2 = half the sum of residual variances,      W[i, j] = 0 unless i stands before j,

is minimised, with the best weights W. It is the least-squares score of NOTEARS (Zheng et al., 2018, arXiv:1803.01422)
and TOPO (Deng et al., 2023, arXiv:2305.17277); for noise of equal variances its optimum tends to a true order. Data
come in through their Gram matrix alone. With the penalties "bic" and "l0" a node has chosen parents P before it,

    f(order) = sum over nodes of min over parents P before it of base(var(node | P)) + weight |P|,

base(v) = v / 2 or, for Gaussian likelihoods, log(v) / 2 (scores per sample, less constants): the exact minimum over all
subsets for up to 16 nodes, a local optimum by growing and shrinking beyond (`kernels.order_sparse`). "l1" and "mcp" add
a penalty of each weight: the exact optimum for "l1", a stationary point for "mcp". Logistic regressions and networks
(`problems.dag.logistic`, `problems.dag.mlp`) read the data themselves. A lower score than that of the true order is
common and proves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.core.space import Permutation, Space
from optengine.problems.arrays import positions
from optengine.problems.dag.gram import check_definite, checked_data, gram_of_covariance, gram_of_data
from optengine.problems.dag.knowledge import arranged, edge_list, precedence, tier_numbers
from optengine.problems.dag.logistic import LogisticTerms, check_binary
from optengine.problems.dag.mlp import MLPTerms
from optengine.problems.dag.penalties import check_edges, check_options, gram_terms, known_edges
from optengine.problems.dag.simulate import random_weights, simulate_linear
from optengine.problems.dag.terms import FittedTerms, Terms

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


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
            every order has the same; "logistic", the mean log-loss of logistic regressions, of data 0 and 1; "mlp",
            half the residual variances of networks with one hidden layer, both of data.
        penalty: None; "bic" (Schwarz, 1978), a weight of log(n) / (2 n) a parent, with loss="gaussian"; "l0", `weight`
            for each parent; "l1", `weight` times the absolute weights of edges, of "ls" and "logistic"; "mcp" (Zhang,
            2010), which flattens out beyond gamma * weight, of "ls".
        weight: > 0: of the penalty; of both penalties that belong to "mlp", 0.01 by default.
        gamma: of "mcp", > 1.
        selection: how "bic" and "l0" choose parents: "exact", "grow-shrink", or None: exact for up to 16 nodes.
        hidden: width of the networks of "mlp".
        center: subtract the mean of each column of data first; for "logistic", fit an intercept. False: neither, as
            published code does; it costs accuracy where noise has a mean.
        ridge: added to every variance, in squared units of the data, >= 0; not of "logistic" and "mlp".
        threshold: absolute weight above which an edge belongs to the thresholded graph; None: 0.3, 0.5 for "mlp".
        tiers: lists of nodes; no edge runs from a later tier to an earlier one.
        required: pairs (from, to), or booleans (d, d): edges of every graph; free of "l1" and "mcp".
        forbidden: likewise: edges of no graph; not with "ls" without a penalty, where all nodes before a node are its
            parents.
        name: name of the instance.

    Attributes:
        gram: (d, d), read-only. before: (d, d), before[u, v]: node u must stand before v. n_nodes: d.
        local: the terms of the score; None: of least squares on all predecessors, by factorizations.
        truth: (d, d) true weights where they are known, else None. names: of the nodes, where they are known.

    Raises:
        ProblemError: data that are not finite, constant or dependent columns, too few rows, a covariance that is not
            symmetric and definite, contradictory knowledge, options that do not go together.
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
        gamma: float = 3.0,
        selection: str | None = None,
        hidden: int = 40,
        center: bool = True,
        ridge: float = 0.0,
        threshold: float | None = None,
        tiers: Sequence[Any] | None = None,
        required: Any = None,
        forbidden: Any = None,
        name: str | None = None,
    ) -> None:
        if (data is None) == (covariance is None):
            raise ProblemError(
                f"data or covariance must be given, got {'neither' if data is None else 'both'}"
            )
        check_options(loss, penalty, weight, gamma, selection, hidden)
        if threshold is None:
            threshold = 0.5 if loss == "mlp" else 0.3
        for option, value in (("ridge", ridge), ("threshold", threshold)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < np.inf:
                raise ProblemError(f"{option} must be a number >= 0, got {value!r}")
        if not isinstance(center, bool):
            raise ProblemError(f"center must be True or False, got {center!r}")
        whole = isinstance(n_samples, (int, np.integer)) and not isinstance(n_samples, bool)
        if n_samples is not None and not (whole and n_samples >= 1):
            raise ProblemError(f"n_samples must be an integer >= 1 or None, got {n_samples!r}")
        own = loss in ("logistic", "mlp")  # it reads the data, not their Gram matrix
        if own and (data is None or ridge):
            given = "a covariance" if data is None else f"ridge={ridge!r}"
            raise ProblemError(f"loss={loss!r} needs data and no ridge, got {given}")
        self.n_samples = n_samples
        if data is not None:
            X = checked_data(data)
            gram, self.n_samples = gram_of_data(X, center), len(X)
        else:
            X, gram = None, gram_of_covariance(covariance)
        gram[np.diag_indices_from(gram)] += ridge
        if X is not None and loss == "logistic":
            check_binary(X)
        check_definite(gram, "covariance" if data is None else "data", self.n_samples)
        gram.setflags(write=False)
        self.gram, self.n_nodes, self.loss = gram, len(gram), loss
        self.threshold = float(threshold)
        self.truth: Floats | None = None
        self.required = edge_list(required, self.n_nodes, "required")
        self.forbidden = edge_list(forbidden, self.n_nodes, "forbidden")
        check_edges(self.required, self.forbidden, penalty, loss)
        self.penalty, self.selection = penalty, selection
        self.weight = 0.01 if weight is None and loss == "mlp" else weight
        self._numbers = [self.weight, gamma, hidden, center]
        self.local = self._terms(X, gamma, hidden, center)
        self.before = precedence(self.n_nodes, tier_numbers(tiers, self.n_nodes), self.required)
        self.before.setflags(write=False)
        self.moves = ("swap", "insertion")
        super().__init__(self._score, OrderSpace(self), call="encoded", vectorized=True, name=name or "dag")

    def _terms(self, X: Floats | None, gamma: float, hidden: int, center: bool) -> Terms | None:
        """The terms of the score, from data X (n, d) or the Gram matrix; None: least squares without a penalty."""
        known = known_edges(self.n_nodes, self.required, self.forbidden)
        if self.loss == "logistic":
            assert X is not None
            return LogisticTerms(X, self.weight or 0.0, center, *known)
        if self.loss == "mlp":
            assert X is not None
            assert self.weight is not None
            return MLPTerms(X - X.mean(axis=0) if center else X, self.weight, hidden, *known)
        if self.penalty is None:
            return None
        chosen = (self.loss, self.penalty, self.weight, gamma, self.selection, self.n_samples)
        terms = gram_terms(self.gram, *chosen, *known)
        self.weight = terms.rules.weight
        return terms

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

        orders = self.arrange(X)
        return self.local.scores(orders) if self.local else np.asarray(scores(self.gram, orders))

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of the score under moves; O(d^3) for the first of a call, then O(d) a swap, O(1) an insertion.

        Where some node must stand before another, each move costs a new factorization. Other losses and penalties fit
        the nodes of the stretch that a move concerns.

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
        if self.local is not None:
            moved = self.arrange(permutation.apply_moves(order, kind, pairs))
            change = self.local.changes(self.arrange(order[None, :])[0], moved)
        elif self.before.any():
            after = self._score(permutation.apply_moves(order, kind, pairs).astype(np.float64))
            change = after - self._score(order[None, :].astype(np.float64))
        else:
            U, M = np.empty(self.gram.shape), np.empty(self.gram.shape)
            order_search.factor(self.gram, order, U)
            order_search.invert(U, M)
            change = order_search.changes(U, M, np.ascontiguousarray(pairs), kind == "swap")
        return np.asarray(change)[:, np.newaxis], np.empty((len(pairs), 0))

    def weights(self, x: ArrayLike) -> Floats:
        """Best weights (d, d) of an order, each node on all before it, or on its chosen parents.

        For loss="mlp" the norms of the rows that belong to each input.
        """
        order = self.arrange(np.asarray(x)[None, :])[0]
        if self.local is not None:
            return self.local.weights(order)
        L = np.linalg.cholesky(self.gram[np.ix_(order, order)])
        inverse = np.linalg.solve(L, np.eye(len(L)))
        W = np.zeros(self.gram.shape)
        W[np.ix_(order, order)] = np.triu(-(inverse * L.diagonal()[:, None]).T, 1)
        return W

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """The graph of an order.

        Returns:
            `order` (d,), the nodes first to last; `weights` (d, d), W[i, j] of the edge from i to j; `graph` (d, d)
            booleans, W != 0 or required; `thresholded` (d, d), |W| > threshold and the required edges; `variances`
            (d,), residual, or `terms` (d,) of the score for "logistic" and "mlp"; `kkt_residual`, the largest slope of
            the score (distance of 0 from its subgradients, where there is a penalty) along an edge that could be there
            without a cycle; 0 says that the graph is a stationary point, as every order of a dense fit is. Of "bic" and
            "l0" only edges that are there count: a count of edges has every slope at 0. `shd` of the thresholded graph
            where the truth is known.
        """
        order, W = self.arrange(np.asarray(x)[None, :])[0], self.weights(x)
        graph, thresholded = W != 0, np.abs(W) > self.threshold
        for i, j in self.required:
            graph[i, j] = thresholded[i, j] = True
        described = {"order": order, "weights": W, "graph": graph, "thresholded": thresholded}
        if self.loss in ("logistic", "mlp"):
            assert self.local is not None
            described["terms"] = self.local.terms(order)[np.argsort(order)]
        else:
            residual = np.eye(len(W)) - W
            described["variances"] = ((self.gram @ residual) * residual).sum(axis=0)
        described["kkt_residual"] = self.kkt_residual(order, W)
        if self.names is not None:
            described["names"] = list(self.names)
        if self.truth is not None:
            from optengine.problems.dag.measures import shd

            described["shd"] = shd(thresholded, self.truth)
        return described

    def kkt_residual(self, order: Integers, W: Floats) -> float:
        """`describe`'s, of weights W (d, d) that belong to an order (d,)."""
        if self.local is None:
            return kkt_residual(self.gram, W)
        allowed = ~self.before.T
        for i, j in self.forbidden:
            allowed[i, j] = False
        slack = np.where(allowed & ~walks(W).T, self.local.slack(order, W), 0.0)
        residual = float(slack.max())
        return residual if (slack > 1e-7 * self._scale()).any() else 0.0

    def _scale(self) -> Floats:
        """The size of slopes (d, d): 1 for the bounded ones of "logistic"."""
        if self.loss == "logistic":
            return np.ones(self.gram.shape)
        return np.asarray(np.sqrt(np.outer(self.gram.diagonal(), self.gram.diagonal())))

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        digest = hashlib.sha256()
        for matrix in (
            self.gram,
            self.before,
            *([self.local.X] if isinstance(self.local, FittedTerms) else []),
        ):
            digest.update(np.ascontiguousarray(matrix).tobytes())
        return super().fingerprint() | {
            "nodes": self.n_nodes,
            "loss": [self.loss, self.penalty, self.selection, *self._numbers, self.required, self.forbidden],
            "data": digest.hexdigest(),
        }


class OrderSpace(Space):
    """The orders of a problem's nodes; a starting point may also be a graph, (d, d), whose order it then is."""

    def __init__(self, problem: DAGProblem) -> None:
        super().__init__(Permutation(problem.n_nodes))
        self._problem = problem

    def encode(self, x: Any) -> Floats:
        """The batch (n, d) of an order (d,), of several, or of one graph (d, d) of weights or booleans.

        Raises:
            SpaceError: neither.
        """
        d, given = self.width, x
        if isinstance(x, (list, tuple)) and np.ndim(x) == 2:
            given = np.asarray(x)
        numbers = isinstance(given, np.ndarray) and given.shape == (d, d) and given.dtype.kind in "buif"
        orders = (
            numbers and (np.rint(given) == given).all() and given.diagonal().any()
        )  # though there may be one wrong
        if numbers and not orders and (np.sort(given, axis=1) != np.arange(d)).any():
            return super().encode(self._problem.order_of(given))
        return super().encode(x)


def kkt_residual(gram: Floats, W: Floats) -> float:
    """Largest |dQ/dW[i, j]| over the edges i -> j that close no cycle (no walk from j to i); 0 where there is none.

    Wei, Gao and Yu, DAGs with no fears, 2020, arXiv:2010.09133: the stationary points of the least-squares score.
    """
    d = len(W)
    slope = np.abs(gram @ (np.eye(d) - W))
    slope[walks(W).T] = 0.0
    scale = np.sqrt(np.outer(gram.diagonal(), gram.diagonal()))
    residual = float(slope.max())
    return residual if (slope > 1e-9 * scale).any() else 0.0


def walks(W: Floats) -> NDArray[np.bool_]:
    """Whether a walk along edges leads from i to j, (d, d); there is one from each node to itself."""
    reach = (W != 0) | np.eye(len(W), dtype=bool)
    for k in range(len(W)):
        reach |= reach[:, k : k + 1] & reach[k : k + 1, :]
    return np.asarray(reach)
