"""Forms that an objective of an order may have, and their regressions.

Linear families (successions, precedences, places): ridge regression, by conjugate gradients on the normal equations
(Hestenes and Stiefel, 1952) from the last solution, and by elimination once the evaluations determine every unknown.
Pairs of places by pairs of items (quadratic assignment): alternating least squares for the two matrices, the matrix
sensing of Jain, Netrapalli and Sanghavi (STOC 2013, arXiv:1212.0467).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from optengine.kernels import local_moves

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Matrices: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats]

TERMS = 1_500_000  # of one pass over the evaluations at most: rows are thinned out beyond
MOST_DIRECT = 1300  # unknowns that are eliminated: O(unknowns^3)
MOST_PAIRS = 300  # unknowns of each matrix of pairs: one sweep costs O(unknowns^3)
STEPS = 30  # of conjugate gradients
SWEEPS = 25  # of alternating least squares before giving up
MOST_SWEEPS = 6  # times as many where they get somewhere
RIDGE = 1e-4  # relative to the mean square of a column
TINY_RIDGE = 1e-10  # the same, where the model is nearly the objective

NONE = np.empty((0, 0))


class Family:
    """A form of the objective with its fitted matrices, in units of the standardised value.

    Args:
        name: for people.
        parts: letters of the matrices of `kernels.local_moves`: A, B, P, or F and D together.
        n: items.
        wrap: whether the last item is followed by the first.
        symmetric: A, or F and D, equal their transposes.

    Attributes:
        due: number of evaluations at which it is to be fitted next. attempts: how often it was.
        score: share of the variance of newer evaluations that it explained.
        unknowns: free numbers in its matrices; F and D have so many each.
    """

    def __init__(self, name: str, parts: str, n: int, *, wrap: bool = False, symmetric: bool = False) -> None:
        self.name, self.parts, self.n = name, parts, n
        self.wrap, self.symmetric = wrap, symmetric
        self.numbers, self.unknowns = self._numbering()
        self.attempts = 0
        self.due = 6 * self.unknowns if "F" in parts else 0
        self.score = -math.inf
        self.matrices: Matrices = (NONE, NONE, NONE, NONE, NONE)
        self.constant = 0.0

    def _numbering(self) -> tuple[dict[str, Integers], int]:
        """The unknown behind each entry of each matrix (diagonals of pairs: any), and how many there are."""
        n = self.n
        halves, whole = np.zeros((n, n), dtype=np.int64), np.zeros((n, n), dtype=np.int64)
        halves[np.triu_indices(n, 1)] = np.arange(n * (n - 1) // 2)
        halves += halves.T
        whole[~np.eye(n, dtype=bool)] = np.arange(n * (n - 1))
        numbers: dict[str, Integers] = {}
        total = 0
        for part in self.parts.replace("D", ""):
            if part == "P":
                table, count = np.arange(n * n).reshape(n, n), n * n
            elif part == "B" or self.symmetric:
                table, count = halves, n * (n - 1) // 2
            else:
                table, count = whole, n * (n - 1)
            numbers[part] = table + total
            total += count
        return numbers, total

    def values(self, X: Integers) -> Floats:
        """Model values (m,) of orders X (m, n)."""
        values: Floats = local_moves.order_values(X, *self.matrices, self.wrap)
        return values + self.constant

    # -- fitting ---------------------------------------------------------------------------------------------------

    def fit(self, X: Integers, y: Floats, rng: Generator) -> None:
        """Fit to values y (m,) of orders X (m, n), standardised."""
        m, n = X.shape
        if "F" in self.parts:
            rows = _spread(m, 7 * self.unknowns)
            self._alternate(X[rows], y[rows], rng)
        elif self.determined(m):
            rows = _spread(m, 4 * self.unknowns)
            self._eliminate(X[rows], y[rows])
        else:
            rows = _spread(m, TERMS // (n * n // 2 if "B" in self.parts else n))
            self._conjugate(X[rows], y[rows])

    def determined(self, m: int) -> bool:
        """Whether m evaluations are enough for elimination, and the family promises to be worth it."""
        return (
            "F" not in self.parts
            and self.unknowns <= MOST_DIRECT
            and m > 1.1 * self.unknowns
            and self.score > 0.5
        )

    def nudge(self, x: Integers, y: float) -> None:
        """Let a linear model agree with one value (Kaczmarz, 1937)."""
        if "F" in self.parts:
            return
        X = x[np.newaxis, :]
        A, B, P = self.matrices[:3]
        touched = local_moves.order_adjoint(X, np.ones(1), A, B, P, self.wrap)
        step = (y - float(self.values(X)[0])) / sum(float(part.sum()) for part in touched)
        A, B, P = (part + step * gradient for part, gradient in zip((A, B, P), touched, strict=True))
        if self.symmetric:
            A = 0.5 * (A + A.T)
        self.matrices = (A, B, P, NONE, NONE)

    def _conjugate(self, X: Integers, y: Floats) -> None:
        """Conjugate gradients on the normal equations, from the last matrices."""
        n, size = self.n, self.n * self.n
        shapes = [np.zeros((n, n)) if part in self.parts else NONE for part in "ABP"]

        def unpack(w: Floats) -> list[Floats]:
            stack = iter(np.split(w[:-1], len(self.parts)))
            return [next(stack).reshape(n, n) if len(shape) else NONE for shape in shapes]

        def forward(w: Floats) -> Floats:
            A, B, P = unpack(w)
            values: Floats = local_moves.order_values(X, A, B, P, NONE, NONE, self.wrap)
            values += w[-1]
            return values

        def adjoint(r: Floats) -> Floats:
            A, B, P = local_moves.order_adjoint(X, r, shapes[0], shapes[1], shapes[2], self.wrap)
            if self.symmetric:
                A = 0.5 * (A + A.T)
            return np.concatenate([A.ravel(), B.ravel(), P.ravel(), [r.sum()]])

        promising = self.score > 0.9
        ridge = np.full(size * len(self.parts) + 1, (TINY_RIDGE if promising else RIDGE) * len(X) / n)
        ridge[-1] = 0.0
        w = np.zeros(len(ridge))
        if self.attempts:
            w = np.concatenate([part.ravel() for part in self.matrices[:3]] + [[self.constant]])
        residual = adjoint(y - forward(w)) - ridge * w
        direction, square = residual, float(residual @ residual)
        enough = 1e-16 * float(np.square(adjoint(y)).sum())
        for _ in range(5 * STEPS if promising else STEPS):
            if square <= enough:
                break
            ahead = adjoint(forward(direction)) + ridge * direction
            step = square / float(direction @ ahead)
            w = w + step * direction
            residual = residual - step * ahead
            before, square = square, float(residual @ residual)
            direction = residual + (square / before) * direction
        self._keep(unpack(w), float(w[-1]))

    def _eliminate(self, X: Integers, y: Floats) -> None:
        """Elimination, exact where the evaluations determine every unknown."""
        Z = self.design(X)
        gram = Z.T @ Z
        gram[np.diag_indices(len(gram))] += TINY_RIDGE * np.trace(gram) / len(gram)
        factor = cho_factor(gram, overwrite_a=True, check_finite=False)
        w = np.zeros(Z.shape[1])
        for _ in range(3):  # refinement: Z' Z has lost half of the digits
            w += cho_solve(factor, Z.T @ (y - Z @ w), check_finite=False)
        parts = {part: w[number] for part, number in self.numbers.items()}
        if "A" in parts:
            np.fill_diagonal(parts["A"], 0.0)
        if "B" in parts:
            parts["B"] *= np.triu(np.ones((self.n, self.n)), 1) - np.tri(self.n, k=-1)
        self._keep([parts.get(part, NONE) for part in "ABP"], float(w[-1]))

    def design(self, X: Integers) -> Floats:
        """The regressors (m, unknowns + 1): which unknowns count in each order, and the constant.

        An unknown of B counts +1 if the smaller of its two items comes first, else -1.
        """
        (m, n), rows = X.shape, np.arange(len(X))
        Z = np.zeros((m, self.unknowns + 1))
        Z[:, -1] = 1.0
        for k in range(n):
            here = X[:, k]
            if "A" in self.parts and (self.wrap or k < n - 1):
                Z[rows, self.numbers["A"][here, X[:, (k + 1) % n]]] += 1.0
            if "P" in self.parts:
                Z[rows, self.numbers["P"][k, here]] = 1.0
            for later in X.T[k + 1 :] if "B" in self.parts else ():
                Z[rows, self.numbers["B"][here, later]] = np.where(here < later, 1.0, -1.0)
        return Z

    def _alternate(self, X: Integers, y: Floats, rng: Generator) -> None:
        """Alternating least squares for F and D, from the last F if it explained anything, else from random numbers."""
        n = self.n
        first, second = np.triu_indices(n, 1) if self.symmetric else np.nonzero(~np.eye(n, dtype=bool))
        items = self.numbers["F"][
            X[:, first], X[:, second]
        ]  # (m, unknowns): the pair of items at each pair of places
        places = np.argsort(items, axis=1)  # (m, unknowns): the pair of places of each pair of items
        y = y - y.mean()
        flow = self.matrices[3][first, second] if self.score > 0.2 else rng.standard_normal(len(first))
        distance, ridge, unexplained = flow, RIDGE, 1.0
        for sweep in range(MOST_SWEEPS * SWEEPS):
            distance, _ = _least_squares(flow[places], y, ridge)
            before = unexplained
            flow, unexplained = _least_squares(distance[items], y, ridge)
            if unexplained < 1e-2:
                ridge = TINY_RIDGE
            stuck = unexplained > 1e-2 or unexplained > 0.95 * before
            if unexplained < 1e-9 or (sweep >= SWEEPS and stuck):
                break
        F, D = np.zeros((n, n)), np.zeros((n, n))
        F[first, second], D[first, second] = flow, distance
        if self.symmetric:
            F, D = 0.5 * (F + F.T), D + D.T
        self.matrices = (NONE, NONE, NONE, F, D)

    def _keep(self, parts: list[Floats], constant: float) -> None:
        A, B, P = (np.ascontiguousarray(part) for part in parts)
        self.matrices, self.constant = (A, B, P, NONE, NONE), constant


def families_of(n: int) -> list[Family]:
    """The forms to try for orders of n items, those with fewer unknowns first."""
    families = [
        Family("tour, both ways alike", "A", n, wrap=True, symmetric=True),
        Family("tour", "A", n, wrap=True),
        Family("path", "A", n),
        Family("precedences", "B", n),
        Family("successions and places", "AP", n),
        Family("places", "P", n),
        Family("pairs, both ways alike", "FD", n, symmetric=True),
        Family("pairs", "FD", n),
    ]
    return [family for family in families if "F" not in family.parts or family.unknowns <= MOST_PAIRS]


def _spread(m: int, most: int) -> Integers:
    """At most `most` of m rows, evenly spread."""
    return np.arange(m) if m <= most else np.linspace(0, m - 1, most).astype(np.int64)


def _least_squares(Z: Floats, y: Floats, ridge: float) -> tuple[Floats, float]:
    """Ridge solution of Z w = y up to a constant, and the share of y's square it leaves unexplained."""
    Z = Z - Z.mean(axis=0)
    gram = Z.T @ Z
    gram[np.diag_indices(len(gram))] += ridge * np.trace(gram) / len(gram) + 1e-300
    w = np.asarray(np.linalg.solve(gram, Z.T @ y), dtype=np.float64)
    residual = y - Z @ w
    return w, float(residual @ residual) / max(float(y @ y), 1e-300)
