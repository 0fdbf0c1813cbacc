"""Choosing k places: the p-median problem and maximum coverage, as mixed-integer programs.

p-median: k of n places are opened, every client goes to the nearest one; the total distance is minimised (Hakimi, 1964,
doi:10.1287/opre.12.3.450). Maximum coverage: k of n sets are chosen; the weight of the elements in one of them is
maximised (Church, ReVelle, 1974, doi:10.1007/BF01942293). Both are `MILP`s, so that all solvers of models take them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.problems.milp import MILP

Floats = NDArray[np.float64]


class PMedian(MILP):
    """k places, every client served by the nearest; columns: n bits (place open), then the shares of every client.

    Args:
        distance: (clients, n), from each client to each place; finite.
        k: places to open, 1..n.
        name: name of the instance.

    Raises:
        ProblemError: distances that are not finite, k out of range.
    """

    def __init__(self, distance: ArrayLike, k: int, *, name: str | None = None) -> None:
        self.distance: Floats = np.atleast_2d(np.asarray(distance, dtype=np.float64))
        m, n = self.distance.shape
        if not np.isfinite(self.distance).all():
            raise ProblemError("distance must be finite")
        self.k = _count(k, n)
        served = sp.hstack([sp.csr_array((m, n)), sp.kron(sp.eye_array(m), np.ones((1, n)))])
        within = sp.hstack([-sp.kron(np.ones((m, 1)), sp.eye_array(n)), sp.eye_array(m * n)])
        opened = sp.csr_array(np.r_[np.ones(n), np.zeros(m * n)][None])
        super().__init__(
            np.r_[np.zeros(n), self.distance.ravel()],
            sp.csr_array(sp.vstack([served, within, opened])),
            np.r_[np.ones(m), np.full(m * n, -np.inf), k],
            np.r_[np.ones(m), np.zeros(m * n), k],
            (0.0, 1.0),
            np.r_[np.ones(n, dtype=bool), np.zeros(m * n, dtype=bool)],
            name=name or "p-median",
        )

    @classmethod
    def random(
        cls, rng: Generator, n: int = 8, m: int = 8, density: float = 0.3, real: float = 0.0
    ) -> PMedian:
        """m clients and n places uniform on a square of side 100, a share `density` of the places opened."""
        places, clients = rng.random((n, 2)) * 100.0, rng.random((m, 2)) * 100.0
        distance = np.rint(np.linalg.norm(clients[:, None] - places, axis=2))
        return cls(distance, max(1, round(density * n)), name=f"random{m}x{n}")

    def point(self, places: ArrayLike) -> Floats:
        """The columns (width,) where these places are open and every client goes to the nearest."""
        at = np.asarray(places, dtype=np.int64)
        m, n = self.distance.shape
        x = np.zeros(n + m * n)
        x[at] = 1.0
        x[n + np.arange(m) * n + at[np.argmin(self.distance[:, at], axis=1)]] = 1.0
        return x

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`places` opened, the `nearest` of them to every client, and their total `distance`."""
        places = np.flatnonzero(np.asarray(x)[: self.distance.shape[1]] > 0.5)
        if not len(places):
            return super().describe(x) | {"places": places}
        nearest = places[np.argmin(self.distance[:, places], axis=1)]
        total = float(self.distance[:, places].min(axis=1).sum())
        return super().describe(x) | {"places": places, "nearest": nearest, "distance": total}


class MaxCoverage(MILP):
    """k sets that hold the most weight of elements; columns: n bits (set chosen), then the elements held.

    Args:
        covers: (elements, n) of 0 and 1: which sets hold an element; dense or SciPy sparse.
        k: sets to choose, 1..n. weights: (elements,), not negative; None: all 1.
        name: name of the instance.

    Raises:
        ProblemError: weights that do not fit or are negative, k out of range.
    """

    def __init__(
        self, covers: Any, k: int, weights: ArrayLike | None = None, *, name: str | None = None
    ) -> None:
        self.covers = sp.csr_array(covers, dtype=np.float64)
        m, n = self.covers.shape
        self.k = _count(k, n)
        self.weights = np.ones(m) if weights is None else np.asarray(weights, dtype=np.float64)
        if self.weights.shape != (m,) or not (np.isfinite(self.weights).all() and (self.weights >= 0).all()):
            raise ProblemError(f"weights must be {m} numbers, finite and not negative")
        held = sp.hstack([-self.covers, sp.eye_array(m)])
        chosen = sp.csr_array(np.r_[np.ones(n), np.zeros(m)][None])
        super().__init__(
            np.r_[np.zeros(n), self.weights],
            sp.csr_array(sp.vstack([held, chosen])),
            upper=np.r_[np.zeros(m), k],
            bounds=(0.0, 1.0),
            integrality=np.r_[np.ones(n, dtype=bool), np.zeros(m, dtype=bool)],
            sense="max",
            name=name or "maximum coverage",
        )

    @classmethod
    def random(
        cls, rng: Generator, n: int = 12, m: int = 20, density: float = 0.2, real: float = 0.0
    ) -> MaxCoverage:
        """m elements with weights 1..100, each in a set with probability `density`; a quarter of the sets chosen."""
        return cls(
            rng.random((m, n)) < density, max(1, n // 4), rng.integers(1, 101, m), name=f"random{m}x{n}"
        )

    def point(self, places: ArrayLike) -> Floats:
        """The columns (width,) where these sets are chosen."""
        bits = np.zeros(self.covers.shape[1])
        bits[np.asarray(places, dtype=np.int64)] = 1.0
        return np.concatenate([bits, np.asarray(self.covers @ bits > 0.5, dtype=np.float64)])

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`sets` chosen, and the `weight` of what they hold."""
        bits = (np.asarray(x)[: self.covers.shape[1]] > 0.5).astype(np.float64)
        weight = float(self.weights[self.covers @ bits > 0.5].sum())
        return super().describe(x) | {"sets": np.flatnonzero(bits), "weight": weight}


def _count(k: object, n: int) -> int:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= n:
        raise ProblemError(f"k must be an integer in 1..{n}, got {k!r}")
    return int(k)
