"""The Numba form of `rbf_sums`; loaded on first use.

Exponents come from the expansion a.b - |a|^2/2 - |b|^2/2 of centred points, so that every product is one fused
multiply-add; four points and four features at a time, so that each load of a centre serves sixteen of them. Centres are
padded to whole vectors and start at cache lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

BLOCK = 1024  # centres that four points look at together: their weights stay in the first cache
LANES = 16  # float32 numbers of the widest vectors
GROUP = 4  # points, and features, of one pass
LOG2E = np.float32(1.4426950408889634)
HALF = np.float32(0.5)
LOWEST = np.float32(-126.0)  # of the binary exponent
# 2^x on [0, 1], degree 5: relative error below 3e-7
C0, C1, C2, C3, C4, C5 = (
    np.float32(v) for v in (0.99999994, 0.69315308, 0.24015361, 0.05582631, 0.0089893397, 0.0018775767)
)


def _widest(typing):  # type: ignore[no-untyped-def]  # llvmlite has no types
    """Let LLVM use 512-bit vectors in the calling function where the processor has them; it prefers 256 bits."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]  # likewise
        attributes = builder.function.attributes
        if isinstance(attributes, set):  # llvmlite's own `add` refuses attributes that are no keywords
            set.add(attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), generate


widest_vectors: Any = intrinsic(_widest)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def exponents(points, own, i, centres, half, first, size, R):  # type: ignore[no-untyped-def]  # Numba infers them
    """Binary exponents R (4, size) of points i to i + 3 at centres `first` and on: products, own and half squares."""
    widest_vectors()
    last = first + size
    r0, r1, r2, r3, h = R[0], R[1], R[2], R[3], half[first:last]
    o0, o1, o2, o3 = own[i], own[i + 1], own[i + 2], own[i + 3]
    for k in range(size):
        r0[k], r1[k], r2[k], r3[k] = h[k] + o0, h[k] + o1, h[k] + o2, h[k] + o3
    for c in range(0, points.shape[1], GROUP):
        c0, c1 = centres[c, first:last], centres[c + 1, first:last]
        c2, c3 = centres[c + 2, first:last], centres[c + 3, first:last]
        p, q, s, t = points[i, c:], points[i + 1, c:], points[i + 2, c:], points[i + 3, c:]
        p0, p1, p2, p3 = p[0], p[1], p[2], p[3]
        q0, q1, q2, q3 = q[0], q[1], q[2], q[3]
        s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
        t0, t1, t2, t3 = t[0], t[1], t[2], t[3]
        for k in range(size):
            x0, x1, x2, x3 = c0[k], c1[k], c2[k], c3[k]
            r0[k] += p0 * x0 + p1 * x1 + p2 * x2 + p3 * x3
            r1[k] += q0 * x0 + q1 * x1 + q2 * x2 + q3 * x3
            r2[k] += s0 * x0 + s1 * x1 + s2 * x2 + s3 * x3
            r3[k] += t0 * x0 + t1 * x1 + t2 * x2 + t3 * x3


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def weigh(r, weights, size):  # type: ignore[no-untyped-def]  # Numba infers them
    """Replace binary exponents r by weighted bumps and return their sum."""
    widest_vectors()
    total = np.float32(0.0)
    for k in range(size):
        x = max(r[k], LOWEST)
        whole = np.floor(x)
        y = x - whole
        share = np.float32(C0 + y * (C1 + y * (C2 + y * (C3 + y * (C4 + y * C5)))))
        bits = np.int32(share.view(np.int32) + (np.int32(whole) << np.int32(23)))
        e = weights[k] * bits.view(np.float32)
        r[k] = e
        total += e
    return total


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def pull(R, centres, first, size, slope, i):  # type: ignore[no-untyped-def]  # Numba infers them
    """Add the sums of bumps R (4, size) times centres to the slopes of points i to i + 3."""
    widest_vectors()
    last = first + size
    r0, r1, r2, r3 = R[0], R[1], R[2], R[3]
    for c in range(0, centres.shape[0], GROUP):
        c0, c1 = centres[c, first:last], centres[c + 1, first:last]
        c2, c3 = centres[c + 2, first:last], centres[c + 3, first:last]
        p0 = p1 = p2 = p3 = q0 = q1 = q2 = q3 = np.float32(0.0)
        s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = np.float32(0.0)
        for k in range(size):
            x0, x1, x2, x3 = c0[k], c1[k], c2[k], c3[k]
            e0, e1, e2, e3 = r0[k], r1[k], r2[k], r3[k]
            p0, p1, p2, p3 = p0 + e0 * x0, p1 + e0 * x1, p2 + e0 * x2, p3 + e0 * x3
            q0, q1, q2, q3 = q0 + e1 * x0, q1 + e1 * x1, q2 + e1 * x2, q3 + e1 * x3
            s0, s1, s2, s3 = s0 + e2 * x0, s1 + e2 * x1, s2 + e2 * x2, s3 + e2 * x3
            t0, t1, t2, t3 = t0 + e3 * x0, t1 + e3 * x1, t2 + e3 * x2, t3 + e3 * x3
        for j, sums in enumerate(((p0, p1, p2, p3), (q0, q1, q2, q3), (s0, s1, s2, s3), (t0, t1, t2, t3))):
            row = slope[i + j]
            row[c] += sums[0]
            row[c + 1] += sums[1]
            row[c + 2] += sums[2]
            row[c + 3] += sums[3]


@njit(cache=True, nogil=True, error_model="numpy")
def aligned(rows, columns):  # type: ignore[no-untyped-def]  # Numba infers them
    """Zeros (rows, columns), float32, that start at a cache line."""
    room = np.zeros(rows * columns + LANES, dtype=np.float32)
    start = (-(room.ctypes.data // 4)) % LANES
    return room[start : start + rows * columns].reshape(rows, columns)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def fused(A, columns, w):  # type: ignore[no-untyped-def]  # Numba infers float32 arrays
    """Values (m,) and slopes (m, f) at A (m, f) of bumps with centres columns (f, n) and weights w (n,)."""
    m, given = A.shape
    n = columns.shape[1]
    rows, f = -(-m // GROUP) * GROUP, -(-given // GROUP) * GROUP
    wide = -(-n // LANES) * LANES  # centres that are padding have weight 0
    centres, half, weights = aligned(f, wide), aligned(1, wide)[0], aligned(1, wide)[0]
    points, own = np.zeros((rows, f), dtype=np.float32), np.zeros(rows, dtype=np.float32)
    middle = np.zeros(given, dtype=np.float32)
    for c in range(given):
        middle[c] = columns[c].mean()
        for k in range(n):
            x = columns[c, k] - middle[c]
            centres[c, k] = x
            half[k] -= HALF * LOG2E * x * x
    weights[:n] = w
    for i in range(m):
        for c in range(given):
            x = A[i, c] - middle[c]
            points[i, c] = LOG2E * x
            own[i] -= HALF * LOG2E * x * x
    value, slope = np.zeros(rows, dtype=np.float32), np.zeros((rows, f), dtype=np.float32)
    R = aligned(GROUP, BLOCK)
    for first in range(0, wide, BLOCK):
        size = min(BLOCK, wide - first)
        for i in range(0, rows, GROUP):
            exponents(points, own, i, centres, half, first, size, R)
            for j in range(GROUP):
                value[i + j] += weigh(R[j], weights[first : first + size], size)
            pull(R, centres, first, size, slope, i)
    for i in range(m):
        for c in range(given):
            slope[i, c] -= (A[i, c] - middle[c]) * value[i]
    return value[:m].copy(), slope[:m, :given].copy()
