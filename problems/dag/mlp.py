"""Networks with one hidden layer for each node: the terms of DAGProblem(loss="mlp").

As in TOPO (arXiv:2305.17277) after NOTEARS-MLP (Zheng et al., 2020, arXiv:1909.13189): node v is sigmoid(X_S A) b, with
a hidden layer of 40 and no biases, fitted by L-BFGS to

    1/(2n) ||x_v - sigmoid(X_S A) b||^2 + weight * sum |A| + weight / 2 * (||A||^2 + ||b||^2),

and the weight of the edge u -> v is the norm of u's row of A. What a fit finds depends on where it starts, so that the
start belongs to the definition: the network of v on all other nodes, fitted once from A = 0 and a b that is fixed for
v, with the inputs that do not stand before v cut off. The term is a function of the set of predecessors alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.problems.dag.terms import FittedTerms, distance

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

FULL_STEPS = 200  # of L-BFGS for the network on all nodes
STEPS = 100  # for the others, which start from it
FLAT = 1e-7  # relative fall of the value that ends L-BFGS


class MLPTerms(FittedTerms):
    """A network for each node on all nodes before it.

    Args:
        X: (n, d).
        weight: of both penalties, > 0.
        hidden: width of the hidden layer.
        must, never: (d, d), must[v, u] and never[v, u] of the edge u -> v.
    """

    def __init__(self, X: Floats, weight: float, hidden: int, must: Bools, never: Bools) -> None:
        super().__init__(X, weight, must, never)
        self.hidden = hidden
        self._full: dict[int, tuple[Floats, Floats]] | None = None

    def fitted(self, v: int, S: Integers) -> tuple[float, tuple[Floats, Floats]]:
        """Its term, and its layers A (|S|, hidden) and b (hidden,)."""
        A, b = self._start(v)
        value, A, b = self._network(v, S, A[S], b, STEPS)
        return value, (A, b)

    def _start(self, v: int) -> tuple[Floats, Floats]:
        """The network (d, hidden), (hidden,) of v on all other nodes."""
        if self._full is None:
            self._full = {}
        if v not in self._full:
            d, rng = len(self.must), np.random.default_rng([20, v])
            S = np.flatnonzero(~self.never[v] & (np.arange(d) != v))
            b = rng.uniform(-1.0, 1.0, self.hidden) * self.hidden**-0.5
            _, A_S, b = self._network(v, S, np.zeros((len(S), self.hidden)), b, FULL_STEPS)
            A = np.zeros((d, self.hidden))
            A[S] = A_S
            self._full[v] = A, b
        return self._full[v]

    def _network(self, v: int, S: Integers, A: Floats, b: Floats, steps: int) -> tuple[float, Floats, Floats]:
        """Fit by L-BFGS-B, with A as the difference of two parts >= 0 for the L1 penalty."""
        from scipy import optimize

        network = Network(np.ascontiguousarray(self.X[:, S]), self.X[:, v], self.hidden, self.weight)
        size = A.size
        start = np.concatenate([np.maximum(A, 0.0).ravel(), np.maximum(-A, 0.0).ravel(), b])
        lower = np.concatenate([np.zeros(2 * size), np.full(len(b), -np.inf)])
        minimize: Any = optimize.minimize
        found = minimize(
            network.split,
            start,
            method="L-BFGS-B",
            jac=True,
            bounds=np.column_stack([lower, np.full(len(start), np.inf)]),
            options={"maxiter": steps, "ftol": FLAT, "gtol": 1e-6},
        )
        A = (found.x[:size] - found.x[size : 2 * size]).reshape(A.shape)
        b = found.x[2 * size :]
        return network.value(A, b)[0] + self.weight * float(np.abs(A).sum()), A, b

    def weights(self, order: Integers) -> Floats:
        W = np.zeros(self.must.shape)
        for k, v in enumerate(order.tolist()):
            A = self.fit(v, order[:k])[1][0]
            W[self.parents(v, order[:k]), v] = np.sqrt((A**2).sum(axis=1))
        return W

    def slack(self, order: Integers, W: Floats) -> Floats:
        """How far the slopes of each input's row of A are from 0, their largest."""
        d = len(W)
        far = np.zeros((d, d))
        for k, v in enumerate(order.tolist()):
            A = np.zeros((d, self.hidden))
            A[self.parents(v, order[:k])], b = self.fit(v, order[:k])[1]
            slope = Network(self.X, self.X[:, v], self.hidden, self.weight).value(A, b)[1]
            far[:, v] = distance(slope, A, self.weight, self.weight).max(axis=1)
        return far


class Network:
    """Value and slopes of one network, with its memory: 1/(2n) ||y - sigmoid(Z A) b||^2 + half the squared weights."""

    def __init__(self, Z: Floats, y: Floats, hidden: int, weight: float) -> None:
        self._Z, self._y, self._weight, self._hidden = Z, y, weight, hidden
        self._S, self._D = np.empty((2, len(Z), hidden))

    def value(self, A: Floats, b: Floats) -> tuple[float, Floats, Floats]:
        """The value, less the L1 penalty, and its slopes in A and b; O(n |A|)."""
        S, D, n = self._S, self._D, len(self._y)
        np.matmul(self._Z, A, out=S)
        np.negative(S, out=S)
        np.minimum(S, 700.0, out=S)  # exp beyond it is too large a number
        np.exp(S, out=S)
        S += 1.0
        np.reciprocal(S, out=S)
        r = S @ b - self._y
        np.multiply(S, S, out=D)
        np.subtract(S, D, out=D)
        D *= r[:, None]
        slope_A = (self._Z.T @ D) * (b / n) + self._weight * A
        value = 0.5 * float(r @ r) / n + 0.5 * self._weight * (float((A * A).sum()) + float(b @ b))
        return value, slope_A, (r @ S) / n + self._weight * b

    def split(self, x: Floats) -> tuple[float, Floats]:
        """Value with the L1 penalty and its slopes, of A+, A- >= 0 and b in one vector."""
        size = (len(x) - self._hidden) // 2
        A = (x[:size] - x[size : 2 * size]).reshape(-1, self._hidden)
        value, slope_A, slope_b = self.value(A, x[2 * size :])
        slope = slope_A.ravel()
        value += self._weight * float(x[: 2 * size].sum())
        return value, np.concatenate([slope + self._weight, self._weight - slope, slope_b])
