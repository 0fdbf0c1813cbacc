"""Additive models of an order: values, their adjoint, and a local search on them.

A model is a sum of parts, each a matrix, or an empty one (0, 0) where the part is absent:

    f(x) = sum_k A[x_k, x_k+1] + sum_{k<l} B[x_k, x_l] + sum_k P[k, x_k] + sum_{k,l} F[k, l] D[x_k, x_l]

with x_k the item at position k: A costs successions (the last item is followed by the first where `wrap`), B costs
precedences, P costs places, and F, D together cost pairs of places by pairs of items (Koopmans and Beckmann, 1957).
Tours, schedules with set-up times, linear orderings and quadratic assignments are all of this form.

Every kernel has a NumPy or plain Python form, named `*_reference`, that says what is computed, and a Numba form with
the same signature. The Numba forms compile on first use and are cached beside this file.
"""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

TIE = 1e-12  # relative difference up to which two values of a model count as equal
FORGET = 0.97  # what remains of the credits of a kind of move at each success
LEAST_SHARE = 0.1  # of the moves is drawn from all kinds alike


def order_values_reference(
    X: Integers, A: Floats, B: Floats, P: Floats, F: Floats, D: Floats, wrap: bool
) -> Floats:
    """Values of the model; the definition.

    Args:
        X: (m, n) permutations.
        A, B, P, F, D: (n, n) each, or (0, 0) where the part is absent.
        wrap: whether the last item is followed by the first.

    Returns:
        (m,) values.
    """
    n = X.shape[1]
    values = np.zeros(len(X))
    if len(A):
        after = np.roll(X, -1, axis=1)
        stop = n if wrap else n - 1
        values += A[X[:, :stop], after[:, :stop]].sum(axis=1)
    for k in range(n if len(B) else 0):
        values += B[X[:, k, np.newaxis], X[:, k + 1 :]].sum(axis=1)
    if len(P):
        values += P[np.arange(n), X].sum(axis=1)
    if len(F):
        values += np.einsum("kl,mkl->m", F, D[X[:, :, np.newaxis], X[:, np.newaxis, :]])
    return values


@numba.njit(cache=True, nogil=True)
def _value(x: Integers, A: Floats, B: Floats, P: Floats, F: Floats, D: Floats, wrap: bool) -> float:
    n = len(x)
    total = 0.0
    if len(A):
        for k in range(n - 1):
            total += A[x[k], x[k + 1]]
        if wrap:
            total += A[x[n - 1], x[0]]
    if len(B):
        for k in range(n - 1):
            for l in range(k + 1, n):  # noqa: E741
                total += B[x[k], x[l]]
    if len(P):
        for k in range(n):
            total += P[k, x[k]]
    if len(F):
        for k in range(n):
            for l in range(n):  # noqa: E741
                total += F[k, l] * D[x[k], x[l]]
    return total


@numba.njit(cache=True, nogil=True)
def order_values(X: Integers, A: Floats, B: Floats, P: Floats, F: Floats, D: Floats, wrap: bool) -> Floats:
    """`order_values_reference`, compiled. O(n) a row for A and P, O(n^2) for B and F."""
    values = np.empty(len(X))
    for row in range(len(X)):
        values[row] = _value(X[row], A, B, P, F, D, wrap)
    return values


def order_adjoint_reference(
    X: Integers, r: Floats, A: Floats, B: Floats, P: Floats, wrap: bool
) -> tuple[Floats, Floats, Floats]:
    """Gradient of `r @ order_values(X, ...)` by the entries of A, B and P; the definition.

    Args:
        X: (m, n) permutations.
        r: (m,).
        A, B, P: only their shapes count: (n, n), or (0, 0) where the part is absent.
        wrap: whether the last item is followed by the first.

    Returns:
        Three arrays shaped as A, B and P.
    """
    n = X.shape[1]
    gA, gB, gP = np.zeros_like(A), np.zeros_like(B), np.zeros_like(P)
    for x, weight in zip(X, r, strict=True):
        if len(A):
            for k in range(n if wrap else n - 1):
                gA[x[k], x[(k + 1) % n]] += weight
        for k in range(n if len(B) else 0):
            gB[x[k], x[k + 1 :]] += weight
        if len(P):
            gP[np.arange(n), x] += weight
    return gA, gB, gP


@numba.njit(cache=True, nogil=True)
def order_adjoint(
    X: Integers, r: Floats, A: Floats, B: Floats, P: Floats, wrap: bool
) -> tuple[Floats, Floats, Floats]:
    """`order_adjoint_reference`, compiled. The cost of `order_values`."""
    m, n = X.shape
    gA, gB, gP = np.zeros_like(A), np.zeros_like(B), np.zeros_like(P)
    for row in range(m):
        x, weight = X[row], r[row]
        if len(A):
            for k in range(n - 1):
                gA[x[k], x[k + 1]] += weight
            if wrap:
                gA[x[n - 1], x[0]] += weight
        if len(B):
            for k in range(n - 1):
                for l in range(k + 1, n):  # noqa: E741
                    gB[x[k], x[l]] += weight
        if len(P):
            for k in range(n):
                gP[k, x[k]] += weight
    return gA, gB, gP


def move_reference(x: Integers, kind: int, i: int, j: int) -> Integers:
    """One move of a permutation (n,): 0 swap, 1 insertion of the item at i so that it stands at j, 2 reversal."""
    y = x.copy()
    if kind == 0:
        y[i], y[j] = x[j], x[i]
    elif kind == 1:
        y[:] = np.insert(np.delete(x, i), j, x[i])
    else:
        low, high = min(i, j), max(i, j)
        y[low : high + 1] = x[low : high + 1][::-1]
    return y


@numba.njit(cache=True, nogil=True)
def _move(x: Integers, kind: int, i: int, j: int) -> None:
    """`move_reference` in place."""
    if kind == 0:
        x[i], x[j] = x[j], x[i]
    elif kind == 1:
        item = x[i]
        step = 1 if j > i else -1
        c = i
        while c != j:
            x[c] = x[c + step]
            c += step
        x[j] = item
    else:
        low, high = min(i, j), max(i, j)
        while low < high:
            x[low], x[high] = x[high], x[low]
            low += 1
            high -= 1


@numba.njit(cache=True, nogil=True)
def _swap_change(x: Integers, r: int, s: int, F: Floats, D: Floats) -> float:
    """Change of the pair part under the swap of positions r != s; Taillard (1991), eq. (1)."""
    a, b = x[r], x[s]
    total = (F[r, r] - F[s, s]) * (D[b, b] - D[a, a]) + (F[r, s] - F[s, r]) * (D[b, a] - D[a, b])
    for k in range(len(x)):
        if k != r and k != s:
            c = x[k]
            total += (F[k, r] - F[k, s]) * (D[c, b] - D[c, a])
            total += (F[r, k] - F[s, k]) * (D[b, c] - D[a, c])
    return total


def _drawn(u: Floats, shares: Floats, n: int) -> tuple[int, int, int]:
    """A kind by its share and two positions i != j from three uniform numbers."""
    kind = 0 if u[0] < shares[0] else 1 if u[0] < shares[0] + shares[1] else 2
    i = min(int(u[1] * n), n - 1)
    j = min(int(u[2] * (n - 1)), n - 2)
    return kind, i, j + 1 if j >= i else j


_draw = numba.njit(cache=True, nogil=True)(_drawn)


def screen_order_reference(
    x: Integers,
    A: Floats,
    B: Floats,
    P: Floats,
    F: Floats,
    D: Floats,
    wrap: bool,
    shares: Floats,
    U: Floats,
) -> tuple[Integers, Floats]:
    """Random moves of x and their model values; the definition.

    Args:
        x: (n,) permutation, n >= 2. A, B, P, F, D, wrap: the model, as for `order_values`.
        shares: (3,) shares of swaps, insertions and reversals, summing to 1.
        U: (m, 3) uniform numbers: kind, first and second position of each move.

    Returns:
        (m, 3) kinds and positions, (m,) values after the move.
    """
    moves = np.array([_drawn(u, shares, len(x)) for u in U], dtype=np.int64).reshape(-1, 3)
    X = np.array([move_reference(x, *move) for move in moves], dtype=np.int64).reshape(-1, len(x))
    return moves, order_values_reference(X, A, B, P, F, D, wrap)


@numba.njit(cache=True, nogil=True)
def screen_order(
    x: Integers,
    A: Floats,
    B: Floats,
    P: Floats,
    F: Floats,
    D: Floats,
    wrap: bool,
    shares: Floats,
    U: Floats,
) -> tuple[Integers, Floats]:
    """`screen_order_reference`, compiled. The cost of `order_values` for m rows."""
    m, n = len(U), len(x)
    moves, values = np.empty((m, 3), np.int64), np.empty(m)
    y = x.copy()
    for row in range(m):
        kind, i, j = _draw(U[row], shares, n)
        y[:] = x
        _move(y, kind, i, j)
        moves[row, 0], moves[row, 1], moves[row, 2] = kind, i, j
        values[row] = _value(y, A, B, P, F, D, wrap)
    return moves, values


def search_order_reference(
    x: Integers,
    A: Floats,
    B: Floats,
    P: Floats,
    F: Floats,
    D: Floats,
    wrap: bool,
    U: Floats,
    patience: int,
    strongest: int,
    limit: int,
) -> tuple[Integers, float]:
    """Iterated local search on the model; the definition.

    One random move a step, kept if the value does not rise. After `patience` steps without a lower value the search
    goes back to the best local optimum and takes 2 ... `strongest` steps that are kept whatever they give. Kinds of
    moves are drawn by how often each lowered the value lately.

    Args:
        x: (n,) start, n >= 2.
        A, B, P, F, D, wrap: the model, as for `order_values`.
        U: (steps, 4) uniform numbers: kind, first and second position of each move, and strength of a kick.
        patience: steps before a kick.
        strongest: moves of a kick at most, >= 2.
        limit: stop after so many moves that lowered the value, kicks not counted.

    Returns:
        The best order (n,) and its value.
    """

    def value(y: Integers) -> float:
        return float(order_values_reference(y[np.newaxis, :], A, B, P, F, D, wrap)[0])

    n = len(x)
    now, f = x.copy(), value(x)
    home, f_home = now.copy(), f
    best, f_best = now.copy(), f
    tries, gains, shares = np.ones(3), np.ones(3), np.full(3, 1.0 / 3.0)
    idle = lowered = kicking = 0
    for u in U:
        if idle >= patience:
            if f <= f_home:
                home, f_home = now.copy(), f
            now, f, idle = home.copy(), f_home, 0
            kicking = 2 + min(int(u[3] * (strongest - 1)), strongest - 2)
        kind, i, j = _drawn(u, shares, n)
        y = move_reference(now, kind, i, j)
        f_y = value(y)
        if kicking:
            now, f, kicking = y, f_y, kicking - 1
        else:
            tries[kind] += 1.0
            lower = f_y < f - TIE * abs(f)
            idle = 0 if lower else idle + 1
            if lower:
                lowered += 1
                gains[kind] += 1.0
                gains, tries = 1.0 + FORGET * (gains - 1.0), 1.0 + FORGET * (tries - 1.0)
                shares = LEAST_SHARE / 3.0 + (1.0 - LEAST_SHARE) * (gains / tries) / (gains / tries).sum()
            if f_y <= f:
                now, f = y, f_y
        if f < f_best - TIE * abs(f_best):
            best, f_best = now.copy(), f
        if lowered >= limit:
            break
    return best, f_best


@numba.njit(cache=True, nogil=True)
def search_order(
    x: Integers,
    A: Floats,
    B: Floats,
    P: Floats,
    F: Floats,
    D: Floats,
    wrap: bool,
    U: Floats,
    patience: int,
    strongest: int,
    limit: int,
) -> tuple[Integers, float]:
    """`search_order_reference`, compiled; swaps of a model with pairs alone cost O(n)."""
    n = len(x)
    pairs_alone = len(F) > 0 and len(A) == 0 and len(B) == 0 and len(P) == 0
    now = x.copy()
    f = _value(now, A, B, P, F, D, wrap)
    home, f_home = now.copy(), f
    best, f_best = now.copy(), f
    y = now.copy()
    tries, gains, shares = np.ones(3), np.ones(3), np.full(3, 1.0 / 3.0)
    idle = lowered = kicking = 0
    for step in range(len(U)):
        if idle >= patience:
            if f <= f_home:
                home[:] = now
                f_home = f
            now[:] = home
            f, idle = f_home, 0
            kicking = 2 + min(int(U[step, 3] * (strongest - 1)), strongest - 2)
        kind, i, j = _draw(U[step], shares, n)
        y[:] = now
        _move(y, kind, i, j)
        if pairs_alone and kind == 0:
            f_y = f + _swap_change(now, i, j, F, D)
        else:
            f_y = _value(y, A, B, P, F, D, wrap)
        if kicking:
            now[:] = y
            f = f_y
            kicking -= 1
        else:
            tries[kind] += 1.0
            idle += 1
            if f_y < f - TIE * abs(f):
                idle = 0
                lowered += 1
                gains[kind] += 1.0
                rate = 0.0
                for k in range(3):
                    gains[k] = 1.0 + FORGET * (gains[k] - 1.0)
                    tries[k] = 1.0 + FORGET * (tries[k] - 1.0)
                    rate += gains[k] / tries[k]
                for k in range(3):
                    shares[k] = LEAST_SHARE / 3.0 + (1.0 - LEAST_SHARE) * gains[k] / tries[k] / rate
            if f_y <= f:
                now[:] = y
                f = f_y
        if f < f_best - TIE * abs(f_best):
            best[:] = now
            f_best = f
        if lowered >= limit:
            break
    return best, f_best
