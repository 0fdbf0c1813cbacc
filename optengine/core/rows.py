"""Linear rows of a space as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import SpaceError
from optengine.core.known import Row

if TYPE_CHECKING:
    from optengine.core.space import Space

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearRows:
    """lower <= A x <= upper over the columns of a space."""

    A: Floats  # (m, width)
    lower: Floats  # (m,)
    upper: Floats  # (m,)
    names: tuple[str, ...]

    @staticmethod
    def of(space: Space, rows: Sequence[Row]) -> LinearRows:
        A = np.zeros((len(rows), space.width))
        for i, row in enumerate(rows):
            _fill(space, row, A[i])
        return LinearRows(
            A,
            np.array([row.lower for row in rows], dtype=np.float64),
            np.array([row.upper for row in rows], dtype=np.float64),
            tuple(row.name or f"row {i}" for i, row in enumerate(rows)),
        )

    def violation(self, X: Floats) -> Floats:
        """Return (n,) the largest violation, relative to max(1, |bound|, sum of the terms' sizes)."""
        if not len(self.lower):
            return np.zeros(len(X))
        sums = X @ self.A.T
        gap = np.maximum(self.lower - sums, sums - self.upper)
        bound = np.maximum(
            np.where(np.isfinite(self.lower), np.abs(self.lower), 0.0),
            np.where(np.isfinite(self.upper), np.abs(self.upper), 0.0),
        )
        if (gap > 0).any():
            gap = gap / np.maximum(np.maximum(1.0, bound), np.abs(X) @ np.abs(self.A.T))
        return np.asarray(np.maximum(gap.max(axis=1), 0.0))

    def fingerprint(self) -> list[Any]:
        return [
            [row[np.flatnonzero(row)].tolist(), np.flatnonzero(row).tolist(), repr(low), repr(high)]
            for row, low, high in zip(self.A, self.lower.tolist(), self.upper.tolist(), strict=True)
        ]


def _fill(space: Space, row: Row, out: Floats) -> None:
    label = row.name or "Row"
    if not isinstance(row.coefficients, Mapping):
        given = _numbers(row.coefficients, label)
        if space.named or given.shape != (space.width,):
            raise SpaceError(
                f"coefficients of {label} must be a dict of names"
                + ("" if space.named else f" or an array of shape ({space.width},)")
                + f", got {row.coefficients!r}"
            )
        columns = space._columns_of("x")
        out[columns] = given
        return
    if not row.coefficients:
        raise SpaceError(f"coefficients of {label} must name at least one variable, got none")
    for key, coefficient in row.coefficients.items():
        columns = space._columns_of(key)
        numbers = _numbers(coefficient, label).ravel()
        if numbers.size not in (1, len(columns)):
            count = f"1 or {len(columns)}" if len(columns) > 1 else "1"
            raise SpaceError(
                f"coefficients of {label} for {key!r} must be {count} numbers, got {numbers.size}"
            )
        out[columns] += numbers


def _numbers(value: Any, label: str) -> Floats:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpaceError(f"coefficients of {label} must be numbers, got {value!r}") from None
    if not np.isfinite(array).all():
        raise SpaceError(f"coefficients of {label} must be finite, got {value!r}")
    return array
