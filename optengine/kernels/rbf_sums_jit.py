"""The Numba form of `rbf_sums`; loaded on first use."""

from __future__ import annotations

import numpy as np
from numba import njit

BLOCK = 256
LOG2E = np.float32(1.4426950408889634)
LOWEST = np.float32(-126.0)  # of the binary exponent
# 2^x on [0, 1], degree 5: relative error below 3e-7
C0, C1, C2, C3, C4, C5 = (
    np.float32(v) for v in (0.99999994, 0.69315308, 0.24015361, 0.05582631, 0.0089893397, 0.0018775767)
)


@njit(inline="always", fastmath=True, error_model="numpy")
def weigh(r, bits, power, weights, size):  # type: ignore[no-untyped-def]
    """Replace squared distances r by weighted bumps and return their sum."""
    for k in range(size):
        x = max(np.float32(-0.5) * LOG2E * r[k], LOWEST)
        whole = np.floor(x)
        y = x - whole
        r[k] = C0 + y * (C1 + y * (C2 + y * (C3 + y * (C4 + y * C5))))
        bits[k] = (np.int32(whole) + np.int32(127)) << np.int32(23)
    total = np.float32(0.0)
    for k in range(size):
        e = r[k] * power[k] * weights[k]
        r[k] = e
        total += e
    return total


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def fused(A, columns, w):  # type: ignore[no-untyped-def]  # Numba infers float32 arrays
    """Values (m,) and slopes (m, f) at A (m, f) of bumps with centres columns (f, n) and weights w (n,).

    Two points and four features at a time: each load of a centre serves eight sums.
    """
    m, given = A.shape
    n = columns.shape[1]
    f = (given + 3) // 4 * 4
    points = np.zeros((m + m % 2, f), dtype=np.float32)
    points[:m, :given] = A
    value = np.empty(len(points), dtype=np.float32)
    slope = np.zeros((len(points), f), dtype=np.float32)
    nothing = np.zeros(n, dtype=np.float32)
    r = np.empty(BLOCK, dtype=np.float32)
    s = np.empty(BLOCK, dtype=np.float32)
    bits = np.empty(BLOCK, dtype=np.int32)
    power = bits.view(np.float32)
    for i in range(0, len(points), 2):
        total_r, total_s = np.float32(0.0), np.float32(0.0)
        for first in range(0, n, BLOCK):
            size = min(BLOCK, n - first)
            last = first + size
            for k in range(size):
                r[k] = np.float32(0.0)
                s[k] = np.float32(0.0)
            for c in range(0, f, 4):
                c0 = columns[c, first:last]
                c1 = columns[c + 1, first:last] if c + 1 < given else nothing[first:last]
                c2 = columns[c + 2, first:last] if c + 2 < given else nothing[first:last]
                c3 = columns[c + 3, first:last] if c + 3 < given else nothing[first:last]
                a0, a1, a2, a3 = points[i, c], points[i, c + 1], points[i, c + 2], points[i, c + 3]
                b0, b1, b2, b3 = (
                    points[i + 1, c],
                    points[i + 1, c + 1],
                    points[i + 1, c + 2],
                    points[i + 1, c + 3],
                )
                for k in range(size):
                    x0, x1, x2, x3 = c0[k], c1[k], c2[k], c3[k]
                    r[k] += (a0 - x0) ** 2 + (a1 - x1) ** 2 + (a2 - x2) ** 2 + (a3 - x3) ** 2
                    s[k] += (b0 - x0) ** 2 + (b1 - x1) ** 2 + (b2 - x2) ** 2 + (b3 - x3) ** 2
            weights = w[first:last]
            total_r += weigh(r, bits, power, weights, size)
            total_s += weigh(s, bits, power, weights, size)
            for c in range(0, given, 2):
                c0 = columns[c, first:last]
                c1 = columns[c + 1, first:last] if c + 1 < given else nothing[first:last]
                p0, p1, q0, q1 = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
                for k in range(size):
                    p0 += r[k] * c0[k]
                    p1 += r[k] * c1[k]
                    q0 += s[k] * c0[k]
                    q1 += s[k] * c1[k]
                slope[i, c] += p0
                slope[i, c + 1] += p1
                slope[i + 1, c] += q0
                slope[i + 1, c + 1] += q1
        value[i], value[i + 1] = total_r, total_s
        for c in range(given):
            slope[i, c] -= points[i, c] * total_r
            slope[i + 1, c] -= points[i + 1, c] * total_s
    return value[:m].copy(), slope[:m, :given].copy()
