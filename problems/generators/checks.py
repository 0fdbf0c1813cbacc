"""Checks and the sparse rows that the generators share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import ProblemError

Floats = NDArray[np.float64]


def count(value: int, name: str, least: int = 1) -> int:
    """Return a whole number that is at least `least`.

    Raises:
        ProblemError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ProblemError(f"{name} must be an integer >= {least}, got {value!r}")
    return int(value)


def share(value: float, name: str, high: float = 1.0) -> float:
    """Return a number in (0, high].

    Raises:
        ProblemError: anything else.
    """
    if not isinstance(value, (int, float, np.number)) or not 0 < float(value) <= high:
        raise ProblemError(f"{name} must be a number in (0, {high:g}], got {value!r}")
    return float(value)


def generator(rng: Generator | int) -> Generator:
    """Return `rng`, or a new one from a seed.

    Raises:
        ProblemError: neither.
    """
    if isinstance(rng, Generator):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, (int, np.integer)) or rng < 0:
        raise ProblemError(f"rng must be a numpy Generator or a seed >= 0, got {rng!r}")
    return np.random.default_rng(int(rng))


class Rows:
    """Collects the entries of a sparse matrix block by block."""

    def __init__(self) -> None:
        self._row: list[NDArray[np.int64]] = []
        self._column: list[NDArray[np.int64]] = []
        self._value: list[Floats] = []
        self._lower: list[Floats] = []
        self._upper: list[Floats] = []
        self.n = 0

    def block(
        self, entries: list[tuple[Any, Any, Any]], size: int, lower: Any = -np.inf, upper: Any = np.inf
    ) -> None:
        """Add `size` rows; entries are (row within the block, column, value), each an array or a number."""
        for row, column, value in entries:
            i, j, v = np.broadcast_arrays(np.asarray(row), np.asarray(column), np.asarray(value, dtype=float))
            self._row.append(i.ravel().astype(np.int64) + self.n)
            self._column.append(j.ravel().astype(np.int64))
            self._value.append(v.ravel().astype(np.float64))
        self._lower.append(np.broadcast_to(np.asarray(lower, dtype=float), (size,)))
        self._upper.append(np.broadcast_to(np.asarray(upper, dtype=float), (size,)))
        self.n += size

    def matrix(self, n_columns: int) -> tuple[Any, Floats, Floats]:
        """Return A (m, n_columns) in CSR, without stored zeros, and the bounds of its rows (m,)."""
        from scipy.sparse import coo_array

        i, j, v = (np.concatenate(part) for part in (self._row, self._column, self._value))
        A = coo_array((v, (i, j)), shape=(self.n, n_columns)).tocsr()
        A.eliminate_zeros()
        return A, np.concatenate(self._lower), np.concatenate(self._upper)
