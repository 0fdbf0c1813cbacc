"""Discrete min-max violation: choose levels so that the worst violated row is violated least.

    minimise over x   max over i of  w_i * max(0, l_i - (A x)_i, (A x)_i - u_i),      x_j in the levels of variable j

Linear systems (l = u = b: the largest |A x - b|), fixed-point filters, quantized layers and tomography are such. The
value is in the unit of the rows times their weight; 0 means that every row is kept. Several right-hand sides that share
A make one problem: x is (k, n) and the objective the largest of the k values. Cheikh Ahmed, Mostajabdaveh, Aref, Zhou,
Discrete optimization of min-max violation and its applications across computational sciences, 2025, arXiv:2508.13437.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import OptionError, ProblemError, did_you_mean
from optengine.core.problem import Problem
from optengine.problems.minmax_levels import LevelSets, LevelSpace, read_levels

Floats = NDArray[np.float64]

CHUNK = 2**22  # numbers that one evaluation step may hold beside the batch: 32 MB


class MinMaxViolation(Problem):
    """Levels x with the least largest violation of lower <= A x <= upper; minimised, never below 0.

    X holds level indices, (rows, k * n); the user's x holds the levels themselves, (n,), or (k, n) when `lower` or
    `upper` has k rows.

    Args:
        A: (m, n), finite; an array, kept dense, or any SciPy sparse matrix, kept as CSC and never made dense.
        lower, upper: bounds of the rows: a number, (m,), or (k, m) for k right-hand sides that share A; infinite where
            absent. For |A x - b| pass b twice, or use `equality`.
        levels: ascending values: one array (K,) for all variables, (n, K), or a list of n arrays; for k right-hand
            sides also a list of k * n arrays, right-hand side by right-hand side.
        weights: positive factors of the rows' violations, a number or (m,); default 1.
        fixed: values of variables that are not free: {variable: level}, or an array of x's shape, NaN where free.
        name: name of the instance.

    Attributes:
        A, lower (k, m), upper (k, m), weights (m,): read-only float64. sets: the levels (`LevelSets`) of the k * n
        variables. n_rows, n_variables, n_sides: m, n, k. sparse: whether A is CSC.

    Raises:
        ProblemError: shapes that disagree, numbers that are not finite, crossed bounds, bad levels or fixed values.
    """

    moves = ("level",)

    def __init__(
        self,
        A: Any,
        lower: ArrayLike,
        upper: ArrayLike,
        levels: Any,
        weights: ArrayLike | None = None,
        fixed: Mapping[int, float] | ArrayLike | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.A, self.sparse = _matrix(A)
        m, n = self.A.shape
        self.n_rows, self.n_variables = int(m), int(n)
        low, high = _bounds(lower, "lower", m), _bounds(upper, "upper", m)
        k = max(low.shape[0] if low.ndim == 2 else 1, high.shape[0] if high.ndim == 2 else 1)
        for label, bound in (("lower", low), ("upper", high)):
            if bound.ndim == 2 and bound.shape[0] not in (1, k):
                raise ProblemError(f"{label} must be of shape ({m},) or ({k}, {m}), got {bound.shape}")
        self.n_sides, self._batched = k, low.ndim == 2 or high.ndim == 2
        self.lower, self.upper = (np.array(np.broadcast_to(b, (k, m))) for b in (low, high))
        _ordered(self.lower, self.upper)
        self.weights = _weights(weights, m)
        shape = (k, n) if self._batched else (n,)
        self.sets = _sets(levels, n, k).restricted(_fixed(fixed, shape))
        for array in (self.lower, self.upper, self.weights):
            array.setflags(write=False)
        super().__init__(
            self._worst, LevelSpace(self.sets, shape), call="encoded", vectorized=True, name=name or "minmax"
        )

    @classmethod
    def equality(cls, A: Any, b: ArrayLike, levels: Any, **options: Any) -> MinMaxViolation:
        """Minimise the largest |A x - b|; b is (m,), or (k, m) for k right-hand sides."""
        return cls(A, b, b, levels, **options)

    @classmethod
    def random(
        cls, rng: Generator, m: int, n: int, n_levels: int = 8, density: float = 1.0
    ) -> MinMaxViolation:
        """A Gaussian matrix and a right-hand side that a real point in [-1, 1]^n meets exactly.

        Args:
            rng: random numbers. m, n: rows, variables. n_levels: equally spaced in [-1, 1].
            density: share of entries that are not zero; below 1 the matrix is CSC.
        """
        if density >= 1:
            A: Any = rng.standard_normal((m, n))
        else:
            from scipy.sparse import random_array

            A = random_array((m, n), density=density, rng=rng, data_sampler=rng.standard_normal)
        b = A @ rng.uniform(-1, 1, n)
        return cls.equality(A, b, np.linspace(-1, 1, n_levels), name=f"random{m}x{n}")

    # -- evaluation ----------------------------------------------------------------------------------------------

    def products(self, X: Floats) -> Floats:
        """A x of every row of X (rows, k * n), as (rows, k, m)."""
        values = self.sets.pick(X).reshape(-1, self.n_variables)
        rows = (self.A @ values.T).T if self.sparse else values @ self.A.T
        return np.asarray(rows).reshape(len(X), self.n_sides, self.n_rows)

    def violations(self, X: Floats) -> Floats:
        """Weighted violations (rows, k, m), each >= 0."""
        products = self.products(X)
        worst = np.maximum(np.maximum(self.lower - products, products - self.upper), 0.0)
        return np.asarray(worst * self.weights)

    def values(self, X: Floats) -> Floats:
        """Largest violation of each right-hand side, (rows, k)."""
        result = np.empty((len(X), self.n_sides))
        step = max(1, CHUNK // max(1, self.n_sides * max(self.n_rows, self.n_variables)))
        for first in range(0, len(X), step):
            result[first : first + step] = self.violations(X[first : first + step]).max(axis=2)
        return result

    def _worst(self, X: Floats) -> Floats:
        return np.asarray(self.values(X).max(axis=1))

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of the objective when single variables take other levels; O(m) a move, O(nonzeros) if A is CSC.

        Args:
            x: (k * n,) level indices.
            kind: "level".
            moves: (q, 2) pairs of a column 0..k*n-1 and its new level index.

        Returns:
            dF (q, 1), dG (q, 0).

        Raises:
            OptionError, ProblemError: an unknown kind, or moves that do not exist.
        """
        if kind not in self.moves:
            raise OptionError(f"kind must be 'level', got {kind!r}{did_you_mean(kind, self.moves)}")
        indices, pairs = np.asarray(x, dtype=np.int64), np.asarray(moves, dtype=np.int64)
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ProblemError(f"moves must have shape (q, 2), got {pairs.shape}")
        columns, levels = pairs.T
        bad = (columns < 0) | (columns >= len(self.sets))
        bad |= (levels < 0) | (levels >= self.sets.count[np.where(bad, 0, columns)])
        if bad.any():
            raise ProblemError(
                f"moves must be (column, level index), got {pairs[np.flatnonzero(bad)[0]].tolist()}"
            )
        products = self.products(indices[None, :].astype(np.float64))[0]
        before = self.values(indices[None, :].astype(np.float64))[0]
        start = self.sets.start[columns]
        steps = self.sets.values[start + levels] - self.sets.values[start + indices[columns]]
        after = np.empty(len(pairs))
        for side in range(self.n_sides):
            mine = np.flatnonzero(columns // self.n_variables == side)
            others = np.delete(before, side).max(initial=0.0)
            moved = self._moved(products[side], side, columns[mine] % self.n_variables, steps[mine])
            after[mine] = np.maximum(moved, others)
        return (after - before.max())[:, np.newaxis], np.empty((len(pairs), 0))

    def _moved(self, products: Floats, side: int, columns: NDArray[np.int64], steps: Floats) -> Floats:
        """Largest violation of one right-hand side after each of the moves, (q,)."""
        from optengine.kernels.minmax import moved_dense, moved_sparse

        low, high, w = self.lower[side], self.upper[side], self.weights
        if self.sparse:
            A = self.A
            return np.asarray(
                moved_sparse(A.indptr, A.indices, A.data, products, low, high, w, columns, steps)
            )
        return np.asarray(moved_dense(self.A, products, low, high, w, columns, steps))

    # -- facts ---------------------------------------------------------------------------------------------------

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`values` (k,) of the right-hand sides, and for one right-hand side `worst_rows`, the ten worst of them."""
        X = self.space.encode(x)
        described: dict[str, Any] = {"values": self.values(X)[0]}
        if self.n_sides == 1:
            violations = self.violations(X)[0, 0]
            described["worst_rows"] = np.argsort(-violations, kind="stable")[:10]
        return described

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its sizes and a hash of its data."""
        digest = hashlib.sha256()
        parts = (self.A.indptr, self.A.indices, self.A.data) if self.sparse else (self.A,)
        for array in (*parts, self.lower, self.upper, self.weights, self.sets.values, self.sets.start):
            digest.update(np.ascontiguousarray(array).tobytes())
        shape = [self.n_sides, self.n_rows, self.n_variables]
        return super().fingerprint() | {"shape": shape, "data": digest.hexdigest()}


def _matrix(A: Any) -> tuple[Any, bool]:
    sparse = hasattr(A, "tocsc")  # SciPy sparse, seen without importing SciPy
    try:
        matrix: Any = A.tocsc().astype(np.float64) if sparse else np.array(A, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise ProblemError(f"A must be a matrix of numbers, got {type(A).__name__}") from None
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ProblemError(f"A must be a matrix (m, n) with m, n >= 1, got shape {matrix.shape}")
    if sparse:
        if matrix is A:
            matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    data = matrix.data if sparse else matrix
    if not np.isfinite(data).all():
        raise ProblemError(f"A must be finite, got {data[~np.isfinite(data)][0]}")
    if not sparse:
        matrix.setflags(write=False)
    return matrix, sparse


def _bounds(bound: Any, name: str, m: int) -> Floats:
    try:
        values = np.asarray(bound, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"{name} must be numbers, got {type(bound).__name__}") from None
    if values.ndim == 0:
        values = np.full(m, float(values))
    if values.ndim > 2 or values.shape[-1] != m or not values.size:
        raise ProblemError(f"{name} must be a number or of shape ({m},) or (k, {m}), got {values.shape}")
    if np.isnan(values).any():
        raise ProblemError(f"{name} must not hold NaN, got it at {np.argwhere(np.isnan(values))[0].tolist()}")
    return values


def _ordered(lower: Floats, upper: Floats) -> None:
    crossed = (lower > upper) | (lower == np.inf) | (upper == -np.inf)
    if crossed.any():
        k, i = np.argwhere(crossed)[0]
        raise ProblemError(f"lower must be <= upper, got {lower[k, i]} > {upper[k, i]} in row {i}")


def _weights(weights: Any, m: int) -> Floats:
    try:
        values = np.array(
            np.broadcast_to(np.asarray(1.0 if weights is None else weights, dtype=np.float64), (m,))
        )
    except (TypeError, ValueError):
        raise ProblemError(f"weights must be a number or of shape ({m},), got {np.shape(weights)}") from None
    if not (np.isfinite(values) & (values > 0)).all():
        wrong = values[~(np.isfinite(values) & (values > 0))][0]
        raise ProblemError(f"weights must be > 0 and finite, got {wrong}")
    return values


def _sets(levels: Any, n: int, k: int) -> LevelSets:
    many = len(levels) if hasattr(levels, "__len__") else 0
    if k > 1 and many == k * n and (isinstance(levels, LevelSets) or np.ndim(levels[0]) == 1):
        return read_levels(levels, k * n)
    sets = read_levels(levels, n)
    return LevelSets(sets.values, np.tile(sets.start, k), np.tile(sets.count, k))


def _fixed(fixed: Any, shape: tuple[int, ...]) -> Floats:
    size = int(np.prod(shape))
    if fixed is None:
        return np.full(size, np.nan)
    if isinstance(fixed, Mapping):
        values = np.full(size, np.nan)
        for j, value in fixed.items():
            if isinstance(j, bool) or not isinstance(j, (int, np.integer)) or not 0 <= j < size:
                raise ProblemError(f"fixed must name variables 0..{size - 1}, got {j!r}")
            values[j] = value
        return values
    values = np.asarray(fixed, dtype=np.float64)
    if values.shape != shape:
        raise ProblemError(f"fixed must be a dict or of shape {shape}, NaN where free, got {values.shape}")
    return np.ravel(values)
