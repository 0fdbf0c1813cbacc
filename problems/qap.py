"""The quadratic assignment problem (Koopmans and Beckmann, 1957).

n facilities are to stand at n locations, one at each. Minimise the total of flow times distance,

    f(x) = sum over k, l of flow[k, l] * distance[x[k], x[l]],

where x[k] is the location of facility k (both from 0), in the unit of flow times that of distance: the formula of
QAPLIB (Burkard, Karisch, Rendl, 1997, doi:10.1023/A:1008293323270) and of `scipy.optimize.quadratic_assignment`. Both
matrices may be asymmetric; with symmetric matrices every pair counts twice.
"""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.core.space import Permutation, Space
from optengine.problems.arrays import EXACT, positions, square_matrix

Floats = NDArray[np.float64]

RANDOM_HIGH = 100  # random entries are 0..99, as in Taillard's instances


class QAP(Problem):
    """Assignment of facilities to locations with the least flow times distance; minimised.

    X is one permutation a row: X[i, k], the item at position k, is the location of facility k.

    Args:
        flow: (n, n), flow[k, l] from facility k to facility l; finite.
        distance: (n, n), distance[a, b] from location a to location b; finite. If both matrices hold integers,
            costs and deltas are computed in integers and are exact.
        name: name of the instance.

    Attributes:
        flow, distance: (n, n), read-only, both int64 or both float64.
        n_facilities: n.
        symmetric: whether both matrices are.

    Raises:
        ProblemError: matrices that are not square, finite and of one size.
    """

    moves = ("swap",)  # other moves change O(n^2) terms: no cheaper than evaluating anew

    def __init__(self, flow: ArrayLike, distance: ArrayLike, *, name: str | None = None) -> None:
        self.flow, self.distance = square_matrix(flow, "flow"), square_matrix(distance, "distance")
        if self.flow.shape != self.distance.shape:
            raise ProblemError(
                f"flow and distance must have one shape, got {self.flow.shape} and {self.distance.shape}"
            )
        # One dtype for the kernels; integers only if no sum can leave the range where float64 is exact.
        largest = float(np.abs(self.flow).sum(dtype=np.float64)) * float(np.abs(self.distance).max())
        if self.flow.dtype != self.distance.dtype or largest >= EXACT:
            self.flow, self.distance = self.flow.astype(np.float64), self.distance.astype(np.float64)
            self.flow.setflags(write=False)
            self.distance.setflags(write=False)
        self.n_facilities = len(self.flow)
        self.symmetric = bool((self.flow == self.flow.T).all() and (self.distance == self.distance.T).all())
        super().__init__(
            self._cost,
            Space(Permutation(self.n_facilities)),
            call="encoded",
            vectorized=True,
            name=name or "qap",
        )

    @classmethod
    def random(cls, rng: Generator, n: int) -> QAP:
        """Symmetric matrices with zero diagonals and entries uniform on 0..99, as Taillard's tai*a (1991)."""
        flow, distance = (np.triu(rng.integers(0, RANDOM_HIGH, (n, n)), 1) for _ in range(2))
        return cls(flow + flow.T, distance + distance.T, name=f"random{n}")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> QAP:
        """Read a file (QAPLIB). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    def _cost(self, X: Floats) -> Floats:
        """Costs (m,) of the assignments X (m, n); O(n^2) a row."""
        from optengine.kernels.permutation import assignment_costs

        return np.asarray(assignment_costs(self.flow, self.distance, X.astype(np.int64)), dtype=np.float64)

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of cost under each swap; O(n) a move, exact for integer data.

        Args:
            x: (n,) assignment.
            kind: "swap": the facilities i and j exchange their locations.
            moves: (k, 2) facilities (i, j).

        Returns:
            dF (k, 1), dG (k, 0).

        Raises:
            OptionError, ProblemError: an unknown kind, or moves that are not pairs of facilities.
        """
        from optengine.kernels.permutation import assignment_swaps

        items, pairs = positions(x, kind, moves, self.moves)
        change = assignment_swaps(self.flow, self.distance, items, pairs)
        return np.asarray(change, dtype=np.float64)[:, np.newaxis], np.empty((len(pairs), 0))

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """Who stands where, and what each facility adds to the cost.

        Returns:
            `location` (n,) of each facility, `facility` (n,) at each location, `costs` (n,) by facility (half of every
            term to either end; they sum to f).
        """
        location = np.asarray(x, dtype=np.int64)
        terms = self.flow * self.distance[np.ix_(location, location)]
        costs = (terms.sum(axis=0) + terms.sum(axis=1)) / 2.0
        return {"location": location, "facility": np.argsort(location), "costs": costs}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        digest = hashlib.sha256()
        for matrix in (self.flow, self.distance):
            digest.update(matrix.astype(np.float64).tobytes())
        return super().fingerprint() | {"facilities": self.n_facilities, "data": digest.hexdigest()}
