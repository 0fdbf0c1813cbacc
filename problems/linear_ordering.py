"""The linear ordering problem: an order of items with the most weight above the diagonal.

    f(x) = sum over k < l of W[x[k], x[l]], maximised, where x[k] is the item at position k.

Marti, Reinelt, The linear ordering problem, Springer, 2011, doi:10.1007/978-3-642-16729-4.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.problem import Problem
from optengine.core.space import Permutation, Space
from optengine.problems.arrays import positions, square_matrix

if TYPE_CHECKING:
    from optengine.problems.milp import MILP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RANDOM_HIGH = 100  # random entries are 0..99


class LinearOrdering(Problem):
    """An order of n items with the most weight from earlier to later ones; maximised.

    X is one order a row: X[i, k] is the item at position k.

    Args:
        W: (n, n), W[a, b] is won if a stands before b; finite, the diagonal is never used.
        name: name of the instance.

    Raises:
        ProblemError: a matrix that is not square and finite.
    """

    moves = ("insertion", "swap")

    def __init__(self, W: ArrayLike, *, name: str | None = None) -> None:
        self.W: Floats = square_matrix(W, "W").astype(np.float64)
        np.fill_diagonal(self.W, 0.0)
        self.n_items = len(self.W)
        super().__init__(
            self._values,
            Space(Permutation(self.n_items)),
            direction="maximize",
            call="encoded",
            vectorized=True,
            name=name or "linear ordering",
        )

    @classmethod
    def random(cls, rng: Generator, n: int) -> LinearOrdering:
        """Entries uniform on 0..99."""
        return cls(rng.integers(0, RANDOM_HIGH, (n, n)), name=f"random{n}")

    def _values(self, X: Floats) -> Floats:
        orders = X.astype(np.int64)
        return np.array([np.triu(self.W[np.ix_(x, x)], 1).sum() for x in orders])

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of the minimised value under each move; O(n) a move, exact for whole weights.

        Args:
            x: (n,) order. kind: "insertion" (the item at position i is taken out and stands at j) or "swap". moves:
                (k, 2).

        Returns:
            dF (k, 1), dG (k, 0).

        Raises:
            OptionError, ProblemError: an unknown kind, or moves that are not pairs of positions.
        """
        order, pairs = positions(x, kind, moves, self.moves)
        skew = self.W - self.W.T  # won by standing before, less what is lost by it
        change = np.zeros(len(pairs))
        for m, (i, j) in enumerate(pairs.tolist()):
            low, high = min(i, j), max(i, j)
            if kind == "insertion":
                passed = order[i + 1 : j + 1] if j > i else order[j:i]
                change[m] = np.sign(j - i) * skew[order[i], passed].sum()
            elif low < high:
                a, b, between = order[low], order[high], order[low + 1 : high]
                change[m] = skew[a, b] + skew[a, between].sum() + skew[between, b].sum()
        return change[:, np.newaxis], np.empty((len(pairs), 0))

    def milp(self) -> MILP:
        """A bit for every pair i < j (whether i stands first), and two rows for every three items."""
        from optengine.problems.milp import MILP

        n = self.n_items
        first, second = np.triu_indices(n, 1)
        bit = np.zeros((n, n), dtype=np.int64)
        bit[first, second] = np.arange(len(first))
        i, j, k = (np.array(part, dtype=np.int64) for part in _triples(n))
        columns = np.stack([bit[i, j], bit[j, k], bit[i, k]], axis=1).ravel()
        rows = np.repeat(np.arange(len(i)), 3)
        A = sp.csr_array((np.tile([1.0, 1.0, -1.0], len(i)), (rows, columns)), shape=(len(i), len(first)))
        c = self.W[first, second] - self.W[second, first]
        constant = float(self.W[second, first].sum())
        return MILP(
            c,
            A,
            0.0,
            1.0,
            bounds=(0.0, 1.0),
            integrality=True,
            sense="max",
            constant=constant,
            name=self.name,
        )

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`position` (n,) of every item."""
        return {"position": np.argsort(np.asarray(x, dtype=np.int64))}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        return super().fingerprint() | {
            "items": self.n_items,
            "data": hashlib.sha256(self.W.tobytes()).hexdigest(),
        }


def _triples(n: int) -> tuple[list[int], list[int], list[int]]:
    """i < j < k of all triples."""
    found = [(i, j, k) for i in range(n) for j in range(i + 1, n) for k in range(j + 1, n)]
    return tuple(map(list, zip(*found, strict=True))) if found else ([], [], [])  # type: ignore[return-value]
