"""Maximisation in a box from several starts at once: L-BFGS with projection, one call of the function for all of them.

Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16, 1995, is the method's full form; here variables at a bound whose
gradient points outwards are left out of a step, and steps are halved until they improve (Armijo).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Function = Callable[[Floats, NDArray[np.int64]], tuple[Floats, Floats]]

MEMORY = 8  # pairs of steps and changes of the gradient kept
HALVINGS = 12
FIRST_STEP = 0.1  # length of the first step, in units of the box
SLOPE = 1e-4  # share of the expected increase that a step must reach


def ascend(
    function: Function,
    U: Floats,
    lower: Floats,
    upper: Floats,
    n_iterations: int = 50,
    tolerance: float = 1e-7,
    deadline: float | None = None,
) -> tuple[Floats, Floats]:
    """Return the points (m, d) reached from U (m, d) inside [lower, upper], and their values (m,).

    Args:
        function: (points (k, d), which of the m starts they belong to (k,)) -> values (k,), gradients (k, d).
        lower, upper: (m, d) or (d,).
        n_iterations: of each start. tolerance: increase below which a start is done, twice in a row.
        deadline: `time.monotonic()` after which to end.
    """
    m, d = U.shape
    lower, upper = np.broadcast_to(lower, (m, d)), np.broadcast_to(upper, (m, d))
    X = np.clip(U, lower, upper)
    f, g = function(X, np.arange(m))
    f, g = f.copy(), g.copy()
    S, Y = np.zeros((MEMORY, m, d)), np.zeros((MEMORY, m, d))
    rho = np.zeros((MEMORY, m))
    live, idle = np.arange(m), np.zeros(m, dtype=np.int64)
    for iteration in range(n_iterations):
        if not len(live) or (deadline is not None and time.monotonic() > deadline):
            break
        gl = g[live]
        stuck = ((X[live] <= lower[live]) & (gl < 0)) | ((X[live] >= upper[live]) & (gl > 0))
        reduced = np.where(stuck, 0.0, gl)
        D = np.where(stuck, 0.0, _direction(reduced, S[:, live], Y[:, live], rho[:, live], iteration))
        uphill = np.einsum("ij,ij->i", D, reduced)
        weak = uphill <= 1e-10 * np.sqrt(
            np.einsum("ij,ij->i", D, D) * np.einsum("ij,ij->i", reduced, reduced)
        )
        D[weak], rho[:, live[weak]] = reduced[weak], 0.0
        fresh = ~rho[:, live].any(axis=0)
        length = np.sqrt(np.einsum("ij,ij->i", D, D))
        cap = np.where(fresh, FIRST_STEP, 1.0)
        D *= (np.minimum(1.0, cap / np.maximum(length, 1e-300)))[:, None]
        moved, values, gradients, found = _search(
            function, X[live], f[live], g[live], D, lower[live], upper[live], live
        )
        gain = values - f[live]
        s, y = moved - X[live], gradients - gl
        curved = -np.einsum("ij,ij->i", s, y)  # > 0 where the function bends down, as it must at a maximum
        good = found & (curved > 1e-12 * np.einsum("ij,ij->i", y, y))
        slot = iteration % MEMORY
        S[slot, live], Y[slot, live] = s, -y
        rho[slot, live] = np.where(good, 1.0 / np.where(good, curved, 1.0), 0.0)
        X[live], f[live], g[live] = moved, values, gradients
        small = ~found | (gain < tolerance)
        idle[live] = np.where(small, idle[live] + 1, 0)
        lost = ~found & ~fresh
        rho[:, live[lost]] = 0.0  # try the gradient itself once more
        live = live[(idle[live] < 2) & ~(~found & fresh)]
    return X, f


def _direction(g: Floats, S: Floats, Y: Floats, rho: Floats, iteration: int) -> Floats:
    """The two loops of L-BFGS for all starts, gradients g (m, d); pairs with rho = 0 are left out."""
    q = g.copy()
    order = [(iteration - 1 - k) % MEMORY for k in range(min(iteration, MEMORY))]
    alpha = {}
    for k in order:
        alpha[k] = rho[k] * np.einsum("ij,ij->i", S[k], q)
        q -= alpha[k][:, None] * Y[k]
    if order:
        k = order[0]
        yy = np.einsum("ij,ij->i", Y[k], Y[k])
        gamma = np.where(rho[k] > 0, 1.0 / np.maximum(rho[k] * yy, 1e-300), 1.0)
        q *= gamma[:, None]
    for k in reversed(order):
        beta = rho[k] * np.einsum("ij,ij->i", Y[k], q)
        q += (alpha[k] - beta)[:, None] * S[k]
    return q


def _search(
    function: Function,
    X: Floats,
    f: Floats,
    g: Floats,
    D: Floats,
    lower: Floats,
    upper: Floats,
    names: NDArray[np.int64],
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Halve steps until they increase the function enough; points that find none stay."""
    moved, values, gradients = X.copy(), f.copy(), g.copy()
    found = np.zeros(len(X), dtype=bool)
    open_ = np.arange(len(X))
    step = np.ones(len(X))
    for _ in range(HALVINGS):
        trial = np.clip(X[open_] + step[open_, None] * D[open_], lower[open_], upper[open_])
        ft, gt = function(trial, names[open_])
        expected = np.einsum("ij,ij->i", g[open_], trial - X[open_])
        ok = np.isfinite(ft) & (ft >= f[open_] + SLOPE * np.maximum(expected, 0.0)) & (ft > f[open_])
        done = open_[ok]
        moved[done], values[done], gradients[done], found[done] = trial[ok], ft[ok], gt[ok], True
        open_ = open_[~ok]
        if not len(open_):
            break
        step[open_] *= 0.35
    return moved, values, gradients, found
