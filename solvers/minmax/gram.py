"""What A'A tells a search: the effect of moves on the sum of squares, and which variables make up for each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_quadratic import partners
from optengine.solvers.minmax.form import Form

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST = 4096  # variables up to which A'A is kept: 128 MB
FLOPS = 2e10  # for A'A of a dense A, at most: about a second
PARTNERS = 8


class Gram(NamedTuple):
    """A'A (n, n), or (0, 0) where it is too large, and the partners of each variable (n, k) with their entries."""

    G: Floats
    partners: Integers
    links: Floats


def gram(form: Form) -> Gram | None:
    """A'A and partners, computed once for all forms that share A; None where that costs too much.

    A sparse A with too many variables has partners that share a row with the variable, drawn at random, and no A'A.
    """
    if "gram" not in form.shared:
        form.shared["gram"] = _gram(form)
    made: Gram | None = form.shared["gram"]
    return made


def _gram(form: Form) -> Gram | None:
    m, n = form.shape
    if form.sparse and n > LARGEST:
        return Gram(np.empty((0, 0)), _sharing_a_row(form), np.empty((0, 0)))
    if n > LARGEST or (not form.sparse and float(m) * n * n > FLOPS):
        return None
    G = np.ascontiguousarray((form.A.T @ form.A).toarray() if form.sparse else form.A.T @ form.A)
    return Gram(G, *partners(G, PARTNERS))


def _sharing_a_row(form: Form) -> Integers:
    """Codes as of `partners`, of variables that share a randomly drawn row, (n, k)."""
    A, rows = form.A, form.A.tocsr()
    n, size = A.shape[1], np.diff(A.indptr)
    rng = np.random.default_rng(0)
    own = 2 * np.arange(n)[:, None]
    if not A.nnz:
        return np.repeat(own, PARTNERS, axis=1)
    entry = np.minimum(
        A.indptr[:-1, None] + rng.integers(0, np.maximum(size, 1)[:, None], (n, PARTNERS)), A.nnz - 1
    )
    row = A.indices[entry]
    width = np.maximum(np.diff(rows.indptr)[row], 1)
    other = np.minimum(rows.indptr[row] + rng.integers(0, width), A.nnz - 1)
    codes = 2 * rows.indices[other].astype(np.int64) + (A.data[entry] * rows.data[other] > 0)
    return np.where(size[:, None] > 0, codes, own).astype(np.int64)
