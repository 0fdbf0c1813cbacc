"""A mixed-integer program as a file states it, piece by piece, before it becomes a `MILP`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.problems.formats.source import Source
from optengine.problems.milp import MILP

INFINITE = 1e20  # numbers of this size stand for infinity in bounds; no coefficient may reach it


class Draft:
    """Columns, rows and entries in the order of the file.

    Attributes:
        columns, rows: index by name. costs: by column; constant, sense: of the objective.
        low, high, whole: by column. lower, upper: by row. entries: parallel lists of row, column, coefficient.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.columns: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.costs: list[float] = []
        self.constant, self.sense = 0.0, "min"
        self.low: list[float] = []
        self.high: list[float] = []
        self.whole: list[bool] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.entry_rows: list[int] = []
        self.entry_columns: list[int] = []
        self.entry_values: list[float] = []

    def column(self, name: str) -> int:
        """Index of a column, which is added if it is new: [0, inf), real, without cost."""
        j = self.columns.get(name)
        if j is None:
            j = self.columns[name] = len(self.columns)
            self.costs.append(0.0)
            self.low.append(0.0)
            self.high.append(math.inf)
            self.whole.append(False)
        return j

    def row(self, name: str, lower: float, upper: float, line: int | None = None) -> int:
        """Add a row.

        Raises:
            ProblemError: a row has that name.
        """
        if name in self.rows:
            raise self._source.error(f"names of rows must be distinct, got {name!r} twice", line)
        i = self.rows[name] = len(self.rows)
        self.lower.append(lower)
        self.upper.append(upper)
        return i

    def number(self, word: str, what: str, line: int | None = None, infinite: bool = False) -> float:
        """A number; sizes from 1e20 on are infinite, which only `infinite` allows.

        Raises:
            ProblemError: no number, NaN, or infinite where it must not be.
        """
        try:
            value = float(word)
        except ValueError:
            try:
                value = float(word.lower().replace("d", "e"))  # as Fortran writes it
            except ValueError:
                raise self._source.error(f"{what} must be a number, got {word!r}", line) from None
        if math.isnan(value):
            raise self._source.error(f"{what} must be a number, got {word!r}", line)
        if abs(value) < INFINITE:
            return value
        if not infinite:
            raise self._source.error(f"{what} must be finite, got {word!r}", line)
        return math.copysign(math.inf, value)

    def milp(self, name: str) -> MILP:
        """The finished model.

        Raises:
            ProblemError: what `MILP` refuses, or an entry given twice; the message names the file.
        """
        from scipy.sparse import csr_array

        if not self.columns:
            raise self._source.error("holds no columns (truncated?)")
        rows: NDArray[np.int64] = np.array(self.entry_rows, dtype=np.int64)
        columns: NDArray[np.int64] = np.array(self.entry_columns, dtype=np.int64)
        shape = (len(self.rows), len(self.columns))
        self._check_entries(rows, columns, shape)
        self._check_bounds()
        A = csr_array((np.array(self.entry_values, dtype=np.float64), (rows, columns)), shape=shape)
        try:
            return MILP(
                np.array(self.costs),
                A,
                np.array(self.lower),
                np.array(self.upper),
                (np.array(self.low), np.array(self.high)),
                np.array(self.whole),
                self.sense,
                tuple(self.columns),
                tuple(self.rows),
                self.constant,
                name=name or self._source.name,
            )
        except ProblemError as error:
            raise self._source.error(str(error)) from None

    def _check_entries(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
    ) -> None:
        keys = np.sort(rows * shape[1] + columns)
        twice = np.flatnonzero(keys[1:] == keys[:-1])
        if len(twice):
            i, j = divmod(int(keys[twice[0]]), shape[1])
            names = list(self.rows)[i], list(self.columns)[j]
            raise self._source.error(f"row {names[0]!r} must hold column {names[1]!r} once, got it twice")

    def _check_bounds(self) -> None:
        for kind, names, low, high in (
            ("column", self.columns, self.low, self.high),
            ("row", self.rows, self.lower, self.upper),
        ):
            bounds = np.array([low, high])
            crossed = np.flatnonzero((bounds[0] > bounds[1]) | (bounds[0] == np.inf) | (bounds[1] == -np.inf))
            if len(crossed):
                i = int(crossed[0])
                name = list(names)[i]
                raise self._source.error(
                    f"bounds of {kind} {name!r} must be lower <= upper, got {low[i]:.12g} and {high[i]:.12g}"
                )
