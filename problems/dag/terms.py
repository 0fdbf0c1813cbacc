"""The score of an order as a sum over nodes: what each node has among all nodes before it, its term."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from optengine.kernels.order_sparse import Paths, Rules

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

REMEMBERED = 100_000  # fits


class Terms:
    """Terms of a loss or penalty that no single factorization gives; a subclass says what one term is."""

    def terms(self, order: Integers, first: int = 0, last: int | None = None) -> Floats:
        """Terms of the nodes at positions first <= k < last of an order (d,), each given all nodes before it."""
        raise NotImplementedError

    def weights(self, order: Integers) -> Floats:
        """Weights (d, d) at the optimum of the terms, W[i, j] of the edge i -> j."""
        raise NotImplementedError

    def slack(self, order: Integers, W: Floats) -> Floats:
        """How far 0 is from the slopes of the score along each edge, (d, d), at the weights W of an order."""
        raise NotImplementedError

    def scores(self, orders: Integers) -> Floats:
        """Scores (m,) of orders (m, d)."""
        return np.array([self.terms(order).sum() for order in orders])

    def changes(self, order: Integers, moved: Integers) -> Floats:
        """Changes (k,) of the score from an order (d,) to others (k, d): only the stretch that differs is fitted."""
        change, own = np.zeros(len(moved)), self.terms(order)
        for k, other in enumerate(moved):
            differs = np.flatnonzero(other != order)
            if len(differs):
                first, last = int(differs[0]), int(differs[-1]) + 1
                change[k] = self.terms(other, first, last).sum() - own[first:last].sum()
        return change

    def __getstate__(self) -> dict[str, Any]:
        """Without what is remembered (names with an underscore): it is made anew where it is needed."""
        return {name: None if name.startswith("_") else value for name, value in self.__dict__.items()}


class FittedTerms(Terms):
    """Terms that are fitted to the data, each set of predecessors once: a subclass says how.

    Args:
        X: (n, d). weight: of the penalties. must, never: (d, d), must[v, u] and never[v, u] of the edge u -> v.
    """

    def __init__(self, X: Floats, weight: float, must: Bools, never: Bools) -> None:
        self.X, self.weight, self.must, self.never = X, weight, must, never
        self._known: dict[tuple[int, bytes], tuple[float, Any]] | None = None

    def fitted(self, v: int, S: Integers) -> tuple[float, Any]:
        """The term of node v with the predecessors S, sorted and without forbidden ones, and what else was fitted."""
        raise NotImplementedError

    def parents(self, v: int, S: Integers) -> Integers:
        """The nodes among S that may be parents of v, sorted."""
        return np.sort(S[~self.never[v, S]])

    def fit(self, v: int, S: Integers) -> tuple[float, Any]:
        """`fitted`, remembered."""
        if self._known is None or len(self._known) > REMEMBERED:
            self._known = {}
        S = self.parents(v, S)
        key = (v, S.astype(np.int32).tobytes())
        if key not in self._known:
            self._known[key] = self.fitted(v, S)
        return self._known[key]

    def terms(self, order: Integers, first: int = 0, last: int | None = None) -> Floats:
        stop = len(order) if last is None else last
        return np.array([self.fit(int(order[k]), order[:k])[0] for k in range(first, stop)])


class TableTerms(Terms):
    """Each node with the best of all sets of parents, from a table over all sets; up to 16 nodes."""

    def __init__(self, gram: Floats, rules: Rules) -> None:
        self.gram, self.rules = gram, rules
        self._table: tuple[Floats, NDArray[np.int32]] | None = None

    def table(self) -> tuple[Floats, NDArray[np.int32]]:
        """Scores and parents (bits), (d, 2^d), of each node's best parents among every set."""
        if self._table is None:
            from optengine.kernels.order_table import parents_table

            bits = 1 << np.arange(len(self.gram))
            must, never = self.rules.must @ bits, self.rules.never @ bits
            self._table = parents_table(self.gram, self.rules.weight, self.rules.log, must, never)
        return self._table

    def scores(self, orders: Integers) -> Floats:
        from optengine.kernels.order_table import table_scores

        return np.asarray(table_scores(self.table()[0], orders))

    def terms(self, order: Integers, first: int = 0, last: int | None = None) -> Floats:
        before = np.concatenate([[0], np.cumsum(1 << order)[:-1]])
        return np.asarray(self.table()[0][order, before])[first:last]

    def weights(self, order: Integers) -> Floats:
        W, parents, before = np.zeros(self.gram.shape), self.table()[1], 0
        for node in order.tolist():
            chosen = [u for u in range(len(W)) if int(parents[node, before]) >> u & 1]
            if chosen:
                W[chosen, node] = np.linalg.solve(self.gram[np.ix_(chosen, chosen)], self.gram[chosen, node])
            before |= 1 << node
        return W

    def slack(self, order: Integers, W: Floats) -> Floats:
        return np.asarray(np.where(W != 0, np.abs(self.gram @ (W - np.eye(len(W)))), 0.0))


class SparseTerms(Terms):
    """Each node with parents chosen along a path of picks from the Gram matrix: `kernels.order_sparse`."""

    def __init__(self, gram: Floats, rules: Rules) -> None:
        self.gram, self.rules = gram, rules
        self._paths: Paths | None = None
        self._table: Floats | None = None

    def paths(self) -> Paths:
        """Memory for paths."""
        from optengine.kernels.order_sparse import empty_paths

        if self._paths is None:
            self._paths = empty_paths(len(self.gram))
        return self._paths

    def table(self) -> tuple[Floats, None]:
        """Terms (d, 2^d) of every node among every set, for up to 16 nodes."""
        if self._table is None:
            from optengine.kernels.order_sparse_moves import sparse_table

            self._table = sparse_table(self.gram, self.rules, self.paths())
        return self._table, None

    def terms(self, order: Integers, first: int = 0, last: int | None = None) -> Floats:
        from optengine.kernels.order_sparse_moves import terms

        last = len(order) if last is None else last
        return np.asarray(
            terms(self.gram, np.ascontiguousarray(order), first, last, self.rules, self.paths())
        )

    def weights(self, order: Integers) -> Floats:
        from optengine.kernels.order_sparse_moves import coefficients

        return np.asarray(coefficients(self.gram, np.ascontiguousarray(order), self.rules, self.paths()))

    def slack(self, order: Integers, W: Floats) -> Floats:
        from optengine.kernels.order_sparse import GROW

        slope = self.gram @ (W - np.eye(len(W)))
        if self.rules.kind == GROW:
            return np.asarray(np.where(W != 0, np.abs(slope), 0.0))
        weight = np.where(self.rules.must.T, 0.0, self.rules.weight)
        if self.rules.gamma > 0.0:  # MCP flattens out
            kept = np.maximum(weight - np.abs(W) / self.rules.gamma, 0.0)
        else:
            kept = weight
        return distance(slope, W, weight, kept)


def distance(slope: Floats, W: Floats, weight: Floats | float, kept: Floats | float) -> Floats:
    """Distance (d, d) of 0 from slope + penalty's: [-weight, weight] at 0, kept * sign(W) elsewhere."""
    off = np.maximum(np.abs(slope) - weight, 0.0)
    return np.where(W != 0, np.abs(slope + kept * np.sign(W)), off)
