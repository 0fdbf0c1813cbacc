"""Which rows of an infeasible model clash: an elastic filter, then a deletion filter.

Chinneck, Feasibility and Infeasibility in Optimization (2008), chapter 6, doi:10.1007/978-0-387-74932-7. The elastic
filter lets every row give way at a price, and makes those hard that did, until the hard ones alone are infeasible; the
deletion filter then leaves each of them out in turn. Bounds and whole numbers are never left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, hstack

from optengine.backends.linear import solve_linear
from optengine.backends.terms import LinearResult, LinearStatus
from optengine.core.linear import LinearModel

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

GIVES = 1e-6  # least amount, relative to the row's scale, that counts as giving way: the backends' tolerance


class Clash(NamedTuple):
    """Rows that no point keeps together, within bounds and whole numbers.

    Attributes:
        rows: (k,) indices; none where bounds and whole numbers clash by themselves.
        irreducible: whether it is proved that without any one of them the others can be kept.
    """

    rows: Indices
    irreducible: bool


def find_clash(model: LinearModel, seconds: float, stop: Callable[[], bool] | None = None) -> Clash | None:
    """A small set of rows that is proved infeasible.

    Args:
        model: proved infeasible. seconds: for the whole search. stop: True ends it.

    Returns:
        The smallest set found in time; None if no subset of the rows was proved infeasible.
    """
    return _Filter(model, seconds, stop or (lambda: False)).find()


class _Filter:
    def __init__(self, model: LinearModel, seconds: float, stop: Callable[[], bool]) -> None:
        self._model, self._stop, self._end = model, stop, time.perf_counter() + seconds

    def find(self) -> Clash | None:
        rows, relaxed = None, replace(self._model, integrality=False)
        if self._infeasible(np.arange(self._model.n_rows), relaxed):  # linear programs are quick
            rows = self._elastic(relaxed)
        rows = self._elastic(self._model) if rows is None else rows
        if rows is None:
            return None
        sure = True
        for row in rows.tolist():
            without = self._infeasible(rows[rows != row], self._model)
            if without:
                rows = rows[rows != row]
            sure &= without is not None
        return Clash(rows, sure)

    def _elastic(self, model: LinearModel) -> Indices | None:
        """Rows that alone are infeasible: those that gave way, one solution after another."""
        A = csr_array(model.A)
        scale = np.maximum(1.0, np.sqrt(np.asarray(A.multiply(A).sum(axis=1)).ravel()))
        hard = np.zeros(model.n_rows, dtype=bool)
        while True:
            solved = self._solve(_softened(model, A, scale, hard))
            if solved is not None and solved.status is LinearStatus.INFEASIBLE:
                return np.flatnonzero(hard)
            if solved is None or solved.x is None:
                return None
            gave = np.abs(solved.x[model.n_variables :]).reshape(2, -1).sum(axis=0) > GIVES
            if not gave.any():  # within the tolerance all rows can be kept
                return None
            hard[np.flatnonzero(~hard)[gave]] = True

    def _infeasible(self, rows: Indices, model: LinearModel) -> bool | None:
        """Whether these rows alone are infeasible; None where that was not found out."""
        part = LinearModel(
            np.zeros(model.n_variables), csr_array(model.A)[rows], model.lower[rows], model.upper[rows],
            model.lb, model.ub, model.integrality,
        )  # fmt: skip
        solved = self._solve(part)
        if solved is None or solved.status is LinearStatus.UNKNOWN:
            return None
        return solved.status is LinearStatus.INFEASIBLE

    def _solve(self, model: LinearModel) -> LinearResult | None:
        left = self._end - time.perf_counter()
        if left <= 0 or self._stop():
            return None
        return solve_linear(model, time_limit=left, threads=1, stop=self._stop)


def _softened(model: LinearModel, A: csr_array, scale: Floats, hard: NDArray[np.bool_]) -> LinearModel:
    """The model whose other rows may give way, up or down, by `scale` at a price of 1; nothing else costs."""
    soft = np.flatnonzero(~hard)
    give = csr_array(eye_array(model.n_rows, format="csc")[:, soft] * 1.0)
    give = csr_array(give.multiply(scale[:, None]))
    n, k = model.n_variables, 2 * len(soft)
    return LinearModel(
        np.r_[np.zeros(n), np.ones(k)],
        csr_array(hstack([A, give, -give])),
        model.lower,
        model.upper,
        np.r_[model.lb, np.zeros(k)],
        np.r_[model.ub, np.full(k, np.inf)],
        np.r_[model.integrality, np.zeros(k, dtype=bool)],
    )
