"""Lattice points inside a shrunk ellipsoid: the closest-vector search behind small min-max problems.

Rows |a_i x - c_i| <= E + h_i with integer x lie inside sum W_i (a_i x - c_i)^2 <= sum W_i (E + h_i)^2 for any weights
W >= 0. `shrink` chooses weights that make this ellipsoid small, `lll` reduces the lattice as the ellipsoid sees it, and
`enumerate_points` visits its points, nearest first, with the exact maximum at the leaves. A visit of all of them proves
that the last incumbent is optimal, in floating point.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RUNNING, DONE = 0, 1
SAFE = 1e-9  # relative: only points better than (1 - SAFE) times the incumbent are looked for


def shrink_reference(A: Floats, c: Floats, w: Floats, steps: int) -> Floats:
    """Weights w (m,) of slabs |A x - c| <= 1 after `steps` multiplicative steps towards the smallest ellipsoid.

    sum w (A x - c)^2 <= sum w = 1 holds the whole polytope. Its volume grows as (1 - rho^2)^(n/2) / det(A' W A)^(1/2),
    rho^2 the least squares; the step w_i <- w_i (r_i^2 + (1 - rho^2) lev_i / n), lev_i = a_i' (A' W A)^-1 a_i, keeps
    sum w = 1 and decreases it (Titterington's algorithm for D-optimal designs, doi:10.1093/biomet/62.2.313, lifted).

    Args:
        A: (m, n) rows divided by their half widths; c: (m,) centres, divided likewise. w: (m,) start, > 0, sum 1.
        steps: O(m n^2) each.
    """
    n = A.shape[1]
    for _ in range(steps):
        weighted = A * w[:, None]
        inverse = np.linalg.pinv(A.T @ weighted, hermitian=True)
        x = inverse @ (weighted.T @ c)
        r2 = (A @ x - c) ** 2
        rho2 = float(w @ r2)
        if rho2 >= 1.0:  # the polytope is empty
            break
        leverage = np.einsum("ij,ij->i", A @ inverse, A)
        w = w * (r2 + (1.0 - rho2) * leverage / n)
        w /= w.sum()
    return w


@numba.njit(cache=True, nogil=True, fastmath=True)
def _weighted_gram(A: Floats, c: Floats, w: Floats) -> tuple[Floats, Floats]:
    """A' W A and A' W c."""
    m, n = A.shape
    M, b = np.zeros((n, n)), np.zeros(n)
    for i in range(m):
        for j in range(n):
            t = w[i] * A[i, j]
            b[j] += t * c[i]
            for k in range(n):
                M[j, k] += t * A[i, k]
    return M, b


@numba.njit(cache=True, nogil=True, fastmath=True)
def _inverse_factor(M: Floats) -> Floats:
    """Lower triangular T with T M T' = 1 for a positive definite M; directions without weight are left out."""
    n = len(M)
    L, T = np.zeros((n, n)), np.zeros((n, n))
    floor = 0.0
    for j in range(n):
        floor = max(floor, M[j, j])
    floor *= 1e-14
    for j in range(n):
        pivot = M[j, j]
        for k in range(j):
            pivot -= L[j, k] * L[j, k]
        if pivot <= floor:
            continue  # row and column of T stay zero
        L[j, j] = np.sqrt(pivot)
        for i in range(j + 1, n):
            t = M[i, j]
            for k in range(j):
                t -= L[i, k] * L[j, k]
            L[i, j] = t / L[j, j]
    for j in range(n):
        if L[j, j] == 0.0:
            continue
        T[j, j] = 1.0 / L[j, j]
        for k in range(j):
            t = 0.0
            for i in range(k, j):
                t -= L[j, i] * T[i, k]
            T[j, k] = t / L[j, j]
    return T


@numba.njit(cache=True, nogil=True, fastmath=True)
def _twice(T: Floats, b: Floats) -> Floats:
    """T' T b of a lower triangular T: the solution of M x = b."""
    n = len(b)
    half, x = np.zeros(n), np.zeros(n)
    for j in range(n):
        for k in range(j + 1):
            half[j] += T[j, k] * b[k]
    for j in range(n):
        for k in range(j + 1):
            x[k] += T[j, k] * half[j]
    return x


@numba.njit(cache=True, nogil=True, fastmath=True)
def shrink(A: Floats, c: Floats, w: Floats, steps: int) -> Floats:
    """`shrink_reference`, compiled: for few variables, where a call of a threaded BLAS costs more than it saves."""
    m, n = A.shape
    w = w.copy()
    r2, leverage = np.zeros(m), np.zeros(m)
    for _ in range(steps):
        M, b = _weighted_gram(A, c, w)
        T = _inverse_factor(M)
        x = _twice(T, b)
        rho2 = 0.0
        for i in range(m):
            r = -c[i]
            for j in range(n):
                r += A[i, j] * x[j]
            r2[i] = r * r
            rho2 += w[i] * r2[i]
            leverage[i] = 0.0
            for j in range(n):
                t = 0.0
                for k in range(j + 1):
                    t += T[j, k] * A[i, k]
                leverage[i] += t * t
        if rho2 >= 1.0:
            break
        total = 0.0
        for i in range(m):
            w[i] *= r2[i] + (1.0 - rho2) * leverage[i] / n
            total += w[i]
        for i in range(m):
            w[i] /= total
    return w


@numba.njit(cache=True, nogil=True)
def _orthogonalised(B: Floats) -> tuple[Floats, Floats]:
    """Gram-Schmidt coefficients mu (n, n) of the columns of B (d, n), and squared lengths (n,)."""
    d, n = B.shape
    mu, norm, star = np.zeros((n, n)), np.zeros(n), np.zeros((n, d))
    for i in range(n):
        for t in range(d):
            star[i, t] = B[t, i]
        for j in range(i):
            dot = 0.0
            for t in range(d):
                dot += B[t, i] * star[j, t]
            mu[i, j] = dot / norm[j]
            for t in range(d):
                star[i, t] -= mu[i, j] * star[j, t]
        for t in range(d):
            norm[i] += star[i, t] * star[i, t]
    return mu, norm


@numba.njit(cache=True, nogil=True)
def _size_reduce(B: Floats, U: Integers, mu: Floats, k: int) -> None:
    """Make |mu_kj| <= 1/2 for all j < k."""
    d, n = B.shape
    for j in range(k - 1, -1, -1):
        q = np.rint(mu[k, j])
        if q == 0.0:
            continue
        for t in range(d):
            B[t, k] -= q * B[t, j]
        for t in range(n):
            U[t, k] -= np.int64(q) * U[t, j]
        for t in range(j):
            mu[k, t] -= q * mu[j, t]
        mu[k, j] -= q


@numba.njit(cache=True, nogil=True)
def lll(B: Floats, U: Integers, delta: float) -> int:
    """Reduce the columns of B (d, n) in place, U (n, n) alike: Lenstra, Lenstra, Lovasz 1982; returns the swaps.

    Floating point: the caller recomputes B from U and reduces again until no swap is made.
    """
    d, n = B.shape
    mu, norm = _orthogonalised(B)
    swaps, k = 0, 1
    while k < n:
        _size_reduce(B, U, mu, k)
        m = mu[k, k - 1]
        if norm[k] >= (delta - m * m) * norm[k - 1]:
            k += 1
            continue
        swaps += 1
        length = norm[k] + m * m * norm[k - 1]
        mu[k, k - 1] = m * norm[k - 1] / length
        norm[k] = norm[k - 1] * norm[k] / length
        norm[k - 1] = length
        for t in range(d):
            B[t, k], B[t, k - 1] = B[t, k - 1], B[t, k]
        for t in range(n):
            U[t, k], U[t, k - 1] = U[t, k - 1], U[t, k]
        for t in range(k - 1):
            mu[k, t], mu[k - 1, t] = mu[k - 1, t], mu[k, t]
        for i in range(k + 1, n):
            old = mu[i, k]
            mu[i, k] = mu[i, k - 1] - m * old
            mu[i, k - 1] = old + mu[k, k - 1] * mu[i, k]
        k = max(k - 1, 1)
    return swaps


def reduced(R: Floats, delta: float = 0.99, rounds: int = 8) -> Integers:
    """Unimodular U (n, n) for which the columns of R U (n, n) are LLL-reduced."""
    U = np.eye(R.shape[1], dtype=np.int64)
    for _ in range(rounds):  # again with exact products, until rounding errors change nothing
        if lll(np.asfortranarray(R @ U), U, delta) == 0:
            break
    return U


@numba.njit(cache=True, nogil=True)
def leaf_value(A: Floats, c: Floats, h: Floats, z: Integers, order: Integers, cut: float) -> float:
    """Largest |A z - c| - h, or the first one found that is >= cut; the row that rejects moves to the front."""
    m, n = A.shape
    worst = -np.inf
    for p in range(m):
        i = order[p]
        total = -c[i]
        for j in range(n):
            total += A[i, j] * z[j]
        value = abs(total) - h[i]
        if value > worst:
            worst = value
            if worst >= cut:
                if p > 0:
                    q = p // 2  # half way: a stable order of the rows that reject most
                    order[p] = order[q]
                    order[q] = i
                return worst
    return worst


@numba.njit(cache=True, nogil=True)
def _inside(U: Integers, z: Integers, low: Integers, high: Integers, x: Integers) -> bool:
    """Write U z to x (n,) and say whether it lies in the box; the rest of x is not written where it does not."""
    n = len(z)
    for i in range(n):
        total = 0
        for j in range(n):
            total += U[i, j] * z[j]
        if total < low[i] or total > high[i]:
            return False
        x[i] = total
    return True


@numba.njit(cache=True, nogil=True)
def enumerate_points(
    R: Floats,
    y: Floats,
    rho2: float,
    widths: Floats,
    profile: Floats,
    A: Floats,
    c: Floats,
    h: Floats,
    U: Integers,
    low: Integers,
    high: Integers,
    order: Integers,
    state: Integers,
    dist: Floats,
    centre: Floats,
    best: Integers,
    value: Floats,
    max_nodes: int,
) -> int:
    """Schnorr-Euchner enumeration of |R z - y|^2 <= profile_k (radius^2 - rho^2), up to `max_nodes` nodes a call.

    Args:
        R: (n, n) upper triangular, y: (n,), rho2: the squares that no z can avoid. widths: (3,) sum of W h^2, W h, W:
            radius^2 = sum W (E + h)^2 for the incumbent's value E. profile: (n,) share of the radius open to level k.
        A: (m, n) rows in the reduced basis, c, h: (m,). U: (n, n), x = U z. low, high: (n,) bounds of x.
        order: (m,) rows in the order of the test, changed.
        state: (3 n + 1,) int64, zero at first: z, zigzag, tried, level + 1. dist: (n + 1,), centre: (n,).
        best: (n,) x of the incumbent, changed. value: (2,) its E and the nodes visited in this call, changed.

    Returns:
        DONE when every point was visited, RUNNING when the nodes ran out.
    """
    n = len(y)
    z, turn, side = state[:n], state[n : 2 * n], state[2 * n : 3 * n]
    x = np.empty(n, dtype=np.int64)
    cut = value[0] * (1.0 - SAFE)
    room = widths[0] + 2.0 * cut * widths[1] + cut * cut * widths[2] - rho2
    k = state[3 * n] - 1
    if k < 0:
        k = n - 1
        dist[n] = 0.0
        centre[k] = y[k] / R[k, k]
        z[k] = np.int64(np.rint(centre[k]))
        turn[k], side[k] = 0, 1 if centre[k] >= z[k] else -1
    for node in range(max_nodes):
        value[1] = node + 1
        gap = (z[k] - centre[k]) * R[k, k]
        here = dist[k + 1] + gap * gap
        if here <= profile[k] * room:
            if k > 0:
                dist[k] = here
                k -= 1
                total = y[k]
                for j in range(k + 1, n):
                    total -= R[k, j] * z[j]
                centre[k] = total / R[k, k]
                z[k] = np.int64(np.rint(centre[k]))
                turn[k], side[k] = 0, 1 if centre[k] >= z[k] else -1
                continue
            found = leaf_value(A, c, h, z, order, cut)
            if found < cut and _inside(U, z, low, high, x):
                best[:] = x
                value[0] = max(found, 0.0)
                cut = value[0] * (1.0 - SAFE)
                room = widths[0] + 2.0 * cut * widths[1] + cut * cut * widths[2] - rho2
        else:
            k += 1
            if k == n:
                state[3 * n] = 0
                return DONE
        turn[k] += 1  # next nearest integer: +1, -1, +2, -2, ... on the nearer side first
        z[k] += turn[k] * side[k]
        side[k] = -side[k]
    state[3 * n] = k + 1
    return RUNNING
