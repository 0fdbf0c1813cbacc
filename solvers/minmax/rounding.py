"""Starting points: least squares, rounded to the nearest levels or one variable after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.solvers.minmax.form import Form

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DAMPING = 0.01  # share of the mean diagonal added to the Hessian, GPTQ's percdamp
LARGEST_DENSE = 4000  # variables up to which A'A is formed


def least_squares(form: Form) -> Floats:
    """A point (n,) near the least squares of A x - centre, inside the range of the levels."""
    if form.sparse:
        from scipy.sparse.linalg import lsqr

        middle = (form.lowest + form.highest) / 2
        x = middle + lsqr(form.A, form.centre - form.A @ middle, iter_lim=100)[0]
    else:
        if "inverse" not in form.shared:
            form.shared["inverse"] = np.linalg.pinv(form.A)
        x = form.shared["inverse"] @ form.centre
    return np.clip(x, form.lowest, form.highest)


def sequential(form: Form, x: Floats) -> Integers:
    """Round x (n,) one variable after the other, each error made good by those that are left; indices (n,).

    Babai's nearest plane in the order of the variables, which is GPTQ's update (Frantar et al. 2022,
    arXiv:2210.17323) with H = A'A: after variable i is rounded, x[i:] -= (x_i - q_i) / C_ii * C[i, i:], C the upper
    factor of H^-1.
    """
    n = len(x)
    if "factor" not in form.shared:
        H = form.A.T @ form.A
        H = H.toarray() if form.sparse else H
        H[np.diag_indices(n)] += DAMPING * max(float(np.mean(np.diag(H))), 1e-300)
        form.shared["factor"] = np.linalg.cholesky(np.linalg.inv(H)).T
    C: Floats = form.shared["factor"]
    rest, idx = x.copy(), np.empty(n, dtype=np.int64)
    for i in range(n):
        levels = form.values[form.start[i] : form.start[i] + form.count[i]]
        q = idx[i] = int(np.argmin(np.abs(levels - rest[i])))
        rest[i:] -= (rest[i] - levels[q]) / C[i, i] * C[i, i:]
    return idx


def starts(form: Form, quick: bool = False) -> list[Integers]:
    """Starting points, best first; `quick`: the middle levels only."""
    if quick:
        return [form.count // 2]
    x = least_squares(form)
    points = [form.nearest(x)]
    if form.shape[1] <= LARGEST_DENSE and not form.sparse:
        points.append(sequential(form, x))
    return sorted(points, key=form.value)
