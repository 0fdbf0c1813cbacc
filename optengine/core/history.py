"""What happened in a run: one row an evaluation, kept in columns and stacked only when looked at."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class History:
    """Columns over the evaluations of a run, in the order in which they finished.

    Attributes:
        number: (n,) evaluation number, from 1; runs that search by themselves record their incumbents only.
        seconds: (n,) since the start of the run.
        X: (n, width) encoded points; made anew at each look where they are kept as small integers.
        F: (n, objectives) in the user's direction, NaN where failed.
        G: (n, constraints), feasible where <= 0. failed: (n,). bound: (n,) proved bound then known, or NaN.
        value: (n,) first objective. violation: (n,). best: (n,) best feasible value so far.
    """

    FIELDS = ("number", "seconds", "X", "F", "G", "failed", "counts", "bound")

    def __init__(self, signs: Floats, width: int, n_constraints: int, kept: Any = np.float64) -> None:
        """`kept` is the type in which points are kept (`smallest_type`)."""
        self._signs, self._width = np.asarray(signs, dtype=np.float64), width
        self._n_constraints, self._kept = n_constraints, np.dtype(kept)
        self._parts: list[tuple[Any, ...]] = []
        self._rows = 0

    def append(
        self,
        number: NDArray[np.int64],
        seconds: Floats | float,
        X: Floats,
        F: Floats,
        G: Floats,
        failed: NDArray[np.bool_],
        counts: NDArray[np.bool_] | None = None,
        bound: float = np.nan,
    ) -> None:
        """Add rows; F is minimising. `counts` marks rows that may become incumbents (target fidelity)."""
        X = X.astype(self._kept, copy=False)
        self._parts.append((number, seconds, X, F, G, failed, counts, bound))
        self._rows += len(F)
        self.__dict__.pop("_columns", None)
        self.__dict__.pop("best", None)

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def _columns(self) -> dict[str, NDArray[Any]]:
        n = self._rows
        columns: dict[str, NDArray[Any]] = {
            "number": np.empty(n, dtype=np.int64),
            "seconds": np.empty(n),
            "X": np.empty((n, self._width), self._kept),
            "F": np.empty((n, len(self._signs))),
            "G": np.empty((n, self._n_constraints)),
            "failed": np.empty(n, dtype=bool),
            "counts": np.ones(n, dtype=bool),
            "bound": np.empty(n),
        }
        start = 0
        for part in self._parts:
            stop = start + len(part[3])
            for name, values in zip(self.FIELDS, part, strict=True):
                if values is not None:
                    columns[name][start:stop] = values
            start = stop
        self._parts = [tuple(columns[name] for name in self.FIELDS)] if n else []
        return columns

    @property
    def number(self) -> NDArray[np.int64]:
        return self._columns["number"]

    @property
    def seconds(self) -> Floats:
        return self._columns["seconds"]

    @property
    def X(self) -> Floats:
        return self._columns["X"].astype(np.float64, copy=False)

    @property
    def F(self) -> Floats:
        return np.asarray(self._columns["F"] * self._signs)

    @property
    def G(self) -> Floats:
        return self._columns["G"]

    @property
    def failed(self) -> NDArray[np.bool_]:
        return self._columns["failed"]

    @property
    def bound(self) -> Floats:
        return np.asarray(self._columns["bound"] * self._signs[0])

    @property
    def value(self) -> Floats:
        return self.F[:, 0]

    @property
    def violation(self) -> Floats:
        if not self._n_constraints:
            return np.where(self.failed, np.inf, 0.0)
        return np.where(self.failed, np.inf, np.maximum(self.G, 0.0).sum(axis=1))

    @cached_property
    def best(self) -> Floats:
        """(n,) best feasible first objective up to each row, NaN before there is one."""
        columns = self._columns
        usable = (self.violation <= 0.0) & columns["counts"]
        running = np.minimum.accumulate(np.where(usable, columns["F"][:, 0], np.inf))
        return np.where(np.logical_or.accumulate(usable), running * self._signs[0], np.nan)

    def copy(self) -> History:
        """Return the history as it is now; its columns are shared, rows added later are not."""
        twin = History(self._signs, self._width, self._n_constraints, self._kept)
        twin._parts, twin._rows = list(self._parts), self._rows
        return twin

    def state(self) -> dict[str, Any]:
        """Plain arrays from which `restore` rebuilds the history."""
        return {"signs": self._signs} | self._columns

    @staticmethod
    def restore(state: dict[str, Any]) -> History:
        history = History(state["signs"], state["X"].shape[1], state["G"].shape[1], state["X"].dtype)
        if len(state["F"]):
            history.append(*(state[name] for name in History.FIELDS))
        return history

    def __getstate__(self) -> dict[str, Any]:
        return self.state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(History.restore(state).__dict__)

    def __repr__(self) -> str:
        return f"History({self._rows} rows)"


def smallest_type(lower: Floats, upper: Floats, whole: bool) -> np.dtype[Any]:
    """The smallest type that holds points of these bounds (width,): bytes for bits and short orders, else doubles.

    Args:
        lower, upper: of every column.
        whole: whether all columns hold whole numbers only.
    """
    if whole and len(lower):
        for kind in (np.uint8, np.int8, np.int16, np.int32):
            limits = np.iinfo(kind)
            if limits.min <= lower.min() and upper.max() <= limits.max:
                return np.dtype(kind)
    return np.dtype(np.float64)
