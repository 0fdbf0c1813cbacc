"""The travelling salesman problem, symmetric and asymmetric.

Minimise the length of a closed tour,

    f(x) = d[x[0], x[1]] + d[x[1], x[2]] + ... + d[x[n-2], x[n-1]] + d[x[n-1], x[0]],

where x[k] is the city visited k-th (from 0) and d[a, b] the length of the way from a to b, in the unit of the data.
Rotations of x are the same tour; so are reversals where d is symmetric.

The rounded distances of TSPLIB are exact integers: Reinelt, TSPLIB - a traveling salesman problem library, ORSA Journal
on Computing 3 (1991), doi:10.1287/ijoc.3.4.376, and the report TSPLIB 95.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.problem import Problem
from optengine.core.space import Permutation, Space
from optengine.problems.arrays import Numbers, positions, square_matrix

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MATRIX_LIMIT = (
    3000  # cities; beyond it (72 MB) distances come from the coordinates, whenever they are asked for
)
RANDOM_SIDE = 1_000_000  # side of the square of random cities, as in the DIMACS challenge's uniform instances

# TSPLIB's own constants: other values of pi or of the radius (km) give other integers.
TSPLIB_PI = 3.141592
TSPLIB_RADIUS = 6378.388


def _nint(values: Floats) -> Floats:
    return np.floor(values + 0.5)  # TSPLIB's nint; np.round goes to the even neighbour


def _euclidean(a: Floats, b: Floats) -> Floats:
    difference = a - b
    return np.asarray(np.sqrt((difference * difference).sum(axis=-1)))


def _pseudo_euclidean(a: Floats, b: Floats) -> Floats:
    """ATT: the root of a tenth of the squared distance, rounded up."""
    difference = a - b
    return np.asarray(np.ceil(np.sqrt((difference * difference).sum(axis=-1) / 10.0)))


def _geographical(a: Floats, b: Floats) -> Floats:
    """GEO: kilometres between points DDD.MM (degrees and minutes); degrees are cut off, not rounded."""

    def radians(x: Floats) -> Floats:
        degrees = np.trunc(x)
        return np.asarray(TSPLIB_PI * (degrees + 5.0 * (x - degrees) / 3.0) / 180.0)

    a, b = radians(a), radians(b)
    q1 = np.cos(a[..., 1] - b[..., 1])
    q2, q3 = np.cos(a[..., 0] - b[..., 0]), np.cos(a[..., 0] + b[..., 0])
    cosine = np.clip(0.5 * ((1.0 + q1) * q2 - (1.0 - q1) * q3), -1.0, 1.0)
    return np.asarray(np.trunc(TSPLIB_RADIUS * np.arccos(cosine) + 1.0))


class Metric(NamedTuple):
    """A distance between coordinates."""

    axes: int  # coordinates a city
    length: Callable[[Floats, Floats], Floats]  # (..., axes), (..., axes) -> (...)
    integral: bool = True


# "euclidean" is plain float64 in any number of dimensions; the others are TSPLIB's, in integers.
METRICS = {
    "EUC_2D": Metric(2, lambda a, b: _nint(_euclidean(a, b))),
    "EUC_3D": Metric(3, lambda a, b: _nint(_euclidean(a, b))),
    "MAX_2D": Metric(2, lambda a, b: _nint(np.abs(a - b)).max(axis=-1)),
    "MAX_3D": Metric(3, lambda a, b: _nint(np.abs(a - b)).max(axis=-1)),
    "MAN_2D": Metric(2, lambda a, b: _nint(np.abs(a - b).sum(axis=-1))),
    "MAN_3D": Metric(3, lambda a, b: _nint(np.abs(a - b).sum(axis=-1))),
    "CEIL_2D": Metric(2, lambda a, b: np.ceil(_euclidean(a, b))),
    "GEO": Metric(2, _geographical),
    "ATT": Metric(2, _pseudo_euclidean),
}


class TSP(Problem):
    """Shortest closed tour through all cities; minimised, in the unit of the distances.

    X is one permutation a row: X[i, k] is the city visited k-th.

    Args:
        distance: (n, n), distance[a, b] the way from a to b; finite, the diagonal is never used. Integers stay exact.
        coordinates: (n, axes) instead of `distance`.
        metric: with coordinates, "euclidean" (float64) or one of TSPLIB's integer distances: EUC_2D, EUC_3D, MAX_2D,
            MAX_3D, MAN_2D, MAN_3D, CEIL_2D, GEO (km, degrees and minutes as DDD.MM), ATT.
        display: (n, 2) coordinates for drawing only; default `coordinates` where they are plane.
        name: name of the instance.

    Attributes:
        n_cities, symmetric, coordinates, metric, display: as given, or None.
        distance: (n, n), int64 or float64, read-only.

    Raises:
        ProblemError: not exactly one of `distance` and `coordinates`, or not finite numbers of these shapes.
    """

    moves = ("reversal", "insertion", "swap")

    def __init__(
        self,
        distance: ArrayLike | None = None,
        *,
        coordinates: ArrayLike | None = None,
        metric: str = "euclidean",
        display: ArrayLike | None = None,
        name: str | None = None,
    ) -> None:
        if (distance is None) == (coordinates is None):
            raise ProblemError(
                "TSP takes either distance or coordinates, got "
                + ("both" if distance is not None else "none")
            )
        self._matrix: Numbers | None = None
        self.coordinates: Floats | None = None
        self.metric: str | None = None
        if distance is not None:
            self._matrix = square_matrix(distance, "distance")
            self.n_cities, self.symmetric = len(self._matrix), bool((self._matrix == self._matrix.T).all())
        else:
            self.metric = metric
            self.coordinates = _points(coordinates, "coordinates", _metric(metric).axes)
            self.n_cities, self.symmetric = len(self.coordinates), True
        if self.n_cities < 2:
            raise ProblemError(f"a tour needs at least 2 cities, got {self.n_cities}")
        plane = self.coordinates is not None and self.coordinates.shape[1] == 2
        self.display = self.coordinates if display is None and plane else None
        if display is not None:
            self.display = _points(display, "display", 2, len_=self.n_cities)
        super().__init__(
            self._cost, Space(Permutation(self.n_cities)), call="encoded", vectorized=True, name=name or "tsp"
        )

    @classmethod
    def random(cls, rng: Generator, n: int) -> TSP:
        """n cities uniform on the integer points of a square of side 10^6, rounded Euclidean distances."""
        return cls(coordinates=rng.integers(0, RANDOM_SIDE, (n, 2)), metric="EUC_2D", name=f"random{n}")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> TSP:
        """Read a file (TSPLIB). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    @property
    def distance(self) -> Numbers:
        """(n, n) distances, computed from the coordinates on first use: 8 n^2 bytes."""
        if self._matrix is not None:
            return self._matrix
        assert self.coordinates is not None
        measure = _metric(self.metric)
        rows = [measure.length(city, self.coordinates) for city in self.coordinates]
        matrix: Numbers = np.array(rows, dtype=np.int64 if measure.integral else np.float64)
        np.fill_diagonal(matrix, 0)  # GEO puts a city one kilometre from itself
        matrix.setflags(write=False)
        self._matrix = matrix
        return matrix

    def lengths(self, a: Integers, b: Integers) -> Numbers:
        """Lengths of the ways from cities `a` to cities `b`, integer arrays of one shape."""
        if self._matrix is None and self.n_cities > MATRIX_LIMIT:
            assert self.coordinates is not None
            measure = _metric(self.metric)
            lengths = np.where(a == b, 0.0, measure.length(self.coordinates[a], self.coordinates[b]))
            return lengths.astype(np.int64) if measure.integral else lengths
        return np.asarray(self.distance.ravel().take(a * self.n_cities + b))

    def _cost(self, X: Floats) -> Floats:
        """Lengths (m,) of the tours X (m, n)."""
        return np.asarray(self._total(X.astype(np.int64)), dtype=np.float64)

    def _total(self, tours: Integers) -> Numbers:
        return np.asarray(self.lengths(tours, np.roll(tours, -1, axis=1)).sum(axis=1))

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of length under each move; exact for integer distances.

        O(1) a move; a reversal in an asymmetric instance needs O(n) once a call.

        Args:
            x: (n,) tour.
            kind: "reversal" (of positions min(i, j) to max(i, j): the 2-opt move), "insertion" (the city at position i
                is taken out and stands at j afterwards) or "swap" (of positions i and j).
            moves: (k, 2) positions (i, j).

        Returns:
            dF (k, 1), dG (k, 0).

        Raises:
            OptionError, ProblemError: an unknown kind, or moves that are not pairs of positions.
        """
        tour, pairs = positions(x, kind, moves, self.moves)
        low, high = pairs.min(axis=1), pairs.max(axis=1)
        if self.n_cities < 4:  # ends of different ways coincide
            from optengine.kernels.permutation import apply_moves

            change = self._total(apply_moves(tour, kind, pairs)) - self._total(tour[np.newaxis, :])
        elif kind == "reversal":
            change = self._reversal(tour, low, high)
        elif kind == "swap":
            change = self._swap(tour, low, high)
        else:
            change = self._insertion(tour, pairs[:, 0], pairs[:, 1])
        return change.astype(np.float64)[:, np.newaxis], np.empty((len(pairs), 0))

    def _reversal(self, x: Integers, i: Integers, j: Integers) -> Numbers:
        n, d = self.n_cities, self.lengths
        first, last, before, after = x[i], x[j], x[i - 1], x[(j + 1) % n]
        change = d(before, last) + d(first, after) - d(before, first) - d(last, after)
        # Outside a whole tour there is one way, from its last city to its first, not two.
        change = np.where((i == 0) & (j == n - 1), d(first, last) - d(last, first), change)
        if not self.symmetric:  # the ways inside the run are walked backwards
            gain = d(x[1:], x[:-1]) - d(x[:-1], x[1:])
            total = np.concatenate([np.zeros(1, gain.dtype), np.cumsum(gain)])
            change = change + total[j] - total[i]
        return change

    def _insertion(self, x: Integers, i: Integers, j: Integers) -> Numbers:
        n, d = self.n_cities, self.lengths
        city, before, after = x[i], x[i - 1], x[(i + 1) % n]
        # The gap (left, right) that the city comes to stand in, where its own place is already closed.
        left, right = np.where(j > i, x[j], x[j - 1]), np.where(j > i, x[(j + 1) % n], x[j])
        change = (
            d(before, after)
            - d(before, city)
            - d(city, after)
            + d(left, city)
            + d(city, right)
            - d(left, right)
        )
        still = (i == j) | (np.abs(i - j) == n - 1)  # the latter is a rotation
        return np.where(still, 0, change)

    def _swap(self, x: Integers, i: Integers, j: Integers) -> Numbers:
        n, d = self.n_cities, self.lengths
        around = (i == 0) & (j == n - 1)
        i, j = np.where(around, j, i), np.where(around, i, j)  # neighbours then are j = i + 1 modulo n
        p, q = x[i], x[j]
        left, right, end = x[i - 1], x[(i + 1) % n], x[(j + 1) % n]
        apart = d(left, q) + d(q, right) - d(left, p) - d(p, right)
        apart = apart + d(x[j - 1], p) + d(p, end) - d(x[j - 1], q) - d(q, end)
        neighbours = d(left, q) + d(q, p) + d(p, end) - d(left, p) - d(p, q) - d(q, end)
        return np.where(i == j, 0, np.where((i + 1) % n == j, neighbours, apart))

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """The tour from city 0 on, and the length of each of its ways: `tour` (n,), `lengths` (n,)."""
        order = np.asarray(x, dtype=np.int64)
        tour = np.roll(order, -int(np.argmin(order)))
        return {"tour": tour, "lengths": self.lengths(tour, np.roll(tour, -1))}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size, its metric and a hash of its data."""
        data = self.coordinates if self.coordinates is not None else self.distance
        digest = hashlib.sha256(data.astype(np.float64).tobytes()).hexdigest()
        return super().fingerprint() | {"cities": self.n_cities, "metric": self.metric, "data": digest}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out a matrix that the coordinates give again: a worker rebuilds it faster than it is sent."""
        return self.__dict__ | ({"_matrix": None} if self.coordinates is not None else {})


def _metric(name: str | None) -> Metric:
    if name == "euclidean":
        return Metric(0, _euclidean, integral=False)
    if name not in METRICS:
        known = ["euclidean", *METRICS]
        raise ProblemError(
            f"metric must be one of {', '.join(known)}, got {name!r}{did_you_mean(str(name), known)}"
        )
    return METRICS[name]


def _points(points: ArrayLike | None, name: str, axes: int, len_: int | None = None) -> Floats:
    """A read-only (n, axes) copy of coordinates; axes = 0 takes any number of them."""
    try:
        result = np.array(points, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise ProblemError(f"{name} must be numbers of shape (n, {axes or 'axes'})") from None
    fits = (
        result.ndim == 2
        and result.shape[1] == (axes or result.shape[1])
        and len(result) == (len_ or len(result))
    )
    if not fits:
        raise ProblemError(f"{name} must have shape ({len_ or 'n'}, {axes or 'axes'}), got {result.shape}")
    if not np.isfinite(result).all():
        raise ProblemError(f"{name} must be finite, got {result[~np.isfinite(result)][0]} for a city")
    result.setflags(write=False)
    return result
