"""Logistic regressions of binary nodes: the terms of DAGProblem(loss="logistic").

The loss of NOTEARS (Zheng et al., 2018, arXiv:1803.01422): of node v with parents S the mean over samples of
log(1 + exp(eta)) - x_v eta, eta = b + sum of w_u x_u over S, plus weight * sum of |w_u|. Newton's method (iteratively
reweighted least squares), each step by coordinate descent where there is an L1 penalty, from the weights that the node
had last. Samples that agree on S are counted, not repeated: of few binary predecessors there are few patterns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.problems.dag.terms import FittedTerms, distance

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

FEW = 12  # predecessors whose 2^k patterns are counted in a table
STEPS = 60  # of Newton, at most: where classes are separable the weights grow without end
STEEP = 1e-10  # slope at the optimum


def check_binary(X: Floats) -> None:
    """Refuse data other than 0 and 1.

    Raises:
        ProblemError: naming the first other value.
    """
    other = (X != 0.0) & (X != 1.0)
    if other.any():
        row, column = np.argwhere(other)[0]
        raise ProblemError(
            f"data must be 0 or 1 in every column with loss='logistic', got {X[row, column]} at [{row}, {column}]"
        )


class LogisticTerms(FittedTerms):
    """Logistic regression of each node on all nodes before it.

    Args:
        X: (n, d), 0 or 1.
        weight: of the L1 penalty, >= 0; the weights of required edges are free of it.
        intercept: fit a constant for each node.
        must, never: (d, d), must[v, u] and never[v, u] of the edge u -> v.
    """

    def __init__(self, X: Floats, weight: float, intercept: bool, must: Bools, never: Bools) -> None:
        super().__init__(X, weight, must, never)
        self.intercept = intercept
        rows, counts = np.unique(X, axis=0, return_counts=True)
        self.rows, self.shares = rows, counts / len(X)
        self._last: Floats | None = None

    def fitted(self, v: int, S: Integers) -> tuple[float, Floats]:
        """Its term, and its weights (d + 1,), the constant last."""
        d = len(self.must)
        if self._last is None:
            self._last = np.zeros((d, d + 1))
        columns = np.append(S, d) if self.intercept else S
        rows, shares, ones = self._patterns(v, S)
        charged = np.append(np.where(self.must[v, S], 0.0, self.weight), 0.0)[: len(columns)]
        w = np.zeros(d + 1)
        value, w[columns] = regress(rows, shares, ones, self._last[v, columns], charged)
        self._last[v] = w
        return value, w

    def _patterns(self, v: int, S: Integers) -> tuple[Floats, Floats, Floats]:
        """Patterns (m, k) of the columns S and, where wanted, a constant; their shares, and those with x_v = 1."""
        y = self.rows[:, v] == 1.0
        if len(S) > FEW:
            rows, shares, ones = self.rows[:, S], self.shares, np.where(y, self.shares, 0.0)
        else:
            code = (self.rows[:, S] @ (1 << np.arange(len(S)))).astype(np.int64)
            size = 1 << len(S)
            shares = np.asarray(np.bincount(code, self.shares, size), dtype=np.float64)
            ones = np.bincount(code[y], self.shares[y], size)
            met = np.flatnonzero(shares > 0)
            shares, ones = shares[met], ones[met]
            rows = ((met[:, None] >> np.arange(len(S))) & 1).astype(np.float64)
        if self.intercept:
            rows = np.column_stack([rows, np.ones(len(rows))])
        return np.ascontiguousarray(rows), shares, ones

    def weights(self, order: Integers) -> Floats:
        W = np.zeros(self.must.shape)
        for k, v in enumerate(order):
            W[:, v] = self.fit(int(v), order[:k])[1][:-1]
        return W

    def slack(self, order: Integers, W: Floats) -> Floats:
        slope = np.zeros(W.shape)
        for k, v in enumerate(order.tolist()):
            w = self.fit(v, order[:k])[1]
            p = 1.0 / (1.0 + np.exp(-np.clip(self.rows @ w[:-1] + w[-1], -700.0, 700.0)))
            slope[:, v] = self.rows.T @ (self.shares * (p - self.rows[:, v]))
        weight = np.where(self.must.T, 0.0, self.weight)
        return distance(slope, W, weight, weight)


def regress(rows: Floats, shares: Floats, ones: Floats, w: Floats, charged: Floats) -> tuple[float, Floats]:
    """Minimise sum of shares * log(1 + exp(rows w)) - ones * rows w + charged * |w|; its value and w (k,).

    Args:
        rows: (m, k) patterns. shares, ones: (m,) shares of the samples, and of those whose value is 1.
        w: (k,) to start from. charged: (k,) L1 penalty of each weight.
    """
    from optengine.kernels.order_penalty import coordinate_descent

    def value_of(w: Floats) -> tuple[float, Floats]:
        eta = rows @ w
        return float(shares @ np.logaddexp(0.0, eta) - ones @ eta + charged @ np.abs(w)), eta

    if not rows.shape[1]:
        return float(np.log(2.0) * shares.sum()), w
    sparse = bool((charged > 0.0).any())
    value, eta = value_of(w)
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(eta, -700.0, 700.0)))
        slope = rows.T @ (shares * p - ones)
        H = (rows * (shares * p * (1.0 - p))[:, None]).T @ rows
        H[np.diag_indices_from(H)] += 1e-12 + 1e-10 * H.diagonal()
        if sparse:
            target = coordinate_descent(H, H @ w - slope, charged, w.copy())
            steep = float(np.abs(H @ (target - w)).max())
        else:
            target = w - np.linalg.solve(H, slope)
            steep = float(np.abs(slope).max())
        if steep < STEEP:
            break
        size = 1.0
        while True:  # a shorter step where the full one overshoots
            trial = w + size * (target - w)
            new, further = value_of(trial)
            if new <= value or size < 1e-6:
                break
            size /= 2.0
        if new > value - 1e-14 * max(1.0, abs(value)):
            if new < value:
                w, value = trial, new
            break
        w, value, eta = trial, new, further
    return value, w
