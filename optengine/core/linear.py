"""A linear model with integers: what the exact backends solve, and what MILP problems hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Minimise c'x subject to lower <= A x <= upper, lb <= x <= ub, x_j whole where integrality_j.

    Args:
        c: objective, (n,).
        A: rows, (m, n): a dense array, kept dense, or any SciPy sparse matrix, kept as CSR; None for no rows.
        lower, upper: bounds of the rows, (m,) or one number; infinite where absent.
        lb, ub: bounds of the variables, (n,) or one number; infinite where absent.
        integrality: True for whole variables, (n,) or one bool.

    Raises:
        ProblemError: shapes that disagree, NaN, or crossed bounds.
    """

    c: Any  # (n,) float64
    A: Any = None  # (m, n) float64, dense or CSR
    lower: Any = -np.inf  # (m,)
    upper: Any = np.inf  # (m,)
    lb: Any = 0.0  # (n,)
    ub: Any = np.inf  # (n,)
    integrality: Any = False  # (n,) bool

    def __post_init__(self) -> None:
        c = _vector(self.c, "c", None)
        n = len(c)
        if not np.isfinite(c).all():
            raise ProblemError("c of a linear model must be finite, got an infinite entry")
        A = _rows(self.A, n)
        lower, upper = _vector(self.lower, "lower", A.shape[0]), _vector(self.upper, "upper", A.shape[0])
        lb, ub = _vector(self.lb, "lb", n), _vector(self.ub, "ub", n)
        whole = _integrality(self.integrality, n)
        _ordered(lower, upper, ("lower", "upper"))
        _ordered(lb, ub, ("lb", "ub"))
        for name, value in zip(
            ("c", "A", "lower", "upper", "lb", "ub", "integrality"),
            (c, A, lower, upper, lb, ub, whole),
            strict=True,
        ):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def n_variables(self) -> int:
        return len(self.c)

    @property
    def n_rows(self) -> int:
        return int(self.A.shape[0])

    @property
    def sparse(self) -> bool:
        """Whether `A` is kept as CSR."""
        return not isinstance(self.A, np.ndarray)

    def value(self, X: ArrayLike) -> Floats:
        """Return c'x of one point (n,) or of a batch (k, n)."""
        return np.asarray(np.asarray(X, dtype=np.float64) @ self.c)

    def violation(self, X: ArrayLike) -> Floats:
        """Return the largest violation of bounds, rows and integrality of one point (n,) or of a batch (k, n).

        Bounds and rows count relative to max(1, |bound|, sum of the sizes of the terms).
        """
        points = np.atleast_2d(np.asarray(X, dtype=np.float64))
        worst = _excess(points, self.lb, self.ub, np.abs(points))
        if self.n_rows:
            sums, sizes = (self.A @ points.T).T, (abs(self.A) @ np.abs(points).T).T
            worst = np.maximum(worst, _excess(sums, self.lower, self.upper, sizes))
        if self.integrality.any():
            whole = points[:, self.integrality]
            worst = np.maximum(worst, np.abs(whole - np.rint(whole)).max(axis=1))
        return worst if np.ndim(X) > 1 else np.asarray(worst[0])


def _excess(values: Floats, low: Floats, high: Floats, sizes: Floats) -> Floats:
    """The largest excess over bounds in each row of `values`, relative to bound and terms."""
    if not values.shape[1]:
        return np.zeros(len(values))
    bound = np.maximum(
        np.where(np.isfinite(low), np.abs(low), 0.0), np.where(np.isfinite(high), np.abs(high), 0.0)
    )
    gap = np.maximum(np.maximum(low - values, values - high), 0.0)
    return np.asarray((gap / np.maximum(np.maximum(1.0, bound), sizes)).max(axis=1))


def _vector(value: Any, name: str, size: int | None) -> Floats:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"{name} of a linear model must be numbers, got {value!r}") from None
    if size is not None and array.ndim == 0:
        array = np.full(size, float(array))
    if array.ndim != 1 or (size is not None and len(array) != size):
        expected = "one-dimensional" if size is None else f"of shape ({size},)"
        raise ProblemError(f"{name} of a linear model must be {expected}, got shape {array.shape}")
    if np.isnan(array).any():
        raise ProblemError(f"{name} of a linear model must not hold NaN")
    return array


def _rows(value: Any, n: int) -> Any:
    if value is None:
        return np.zeros((0, n))
    if hasattr(value, "tocsr"):  # SciPy sparse, seen without importing SciPy
        A = value.tocsr().astype(np.float64)
        data = A.data
    else:
        try:
            A = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise ProblemError(f"A of a linear model must be numbers, got {value!r}") from None
        data = A
    if A.ndim != 2 or A.shape[1] != n:
        raise ProblemError(f"A of a linear model must have shape (m, {n}), got {A.shape}")
    if not np.isfinite(data).all():
        raise ProblemError("A of a linear model must be finite, got NaN or an infinite entry")
    return A


def _integrality(value: Any, n: int) -> NDArray[np.bool_]:
    array = np.asarray(value)
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ProblemError(
            f"integrality of a linear model must be True or False for each variable, got {_short(value)}"
        )
    if array.shape not in ((), (n,)):
        raise ProblemError(f"integrality of a linear model must be of shape ({n},), got {array.shape}")
    return np.array(np.broadcast_to(array.astype(bool), (n,)))


def _ordered(low: Floats, high: Floats, names: Sequence[str]) -> None:
    crossed = np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))
    if len(crossed):
        i = int(crossed[0])
        raise ProblemError(
            f"{names[0]} of a linear model must be <= {names[1]}, got {low[i]} and {high[i]} at index {i}"
        )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."
