"""Sampling and evaluation in one pass: no matrix of samples, counter-based random numbers, float32.

A row of a generation is made of normal numbers z_j = normal(hash(key, row, j)) with the generation's key =
hash(seed, generation), so that any row can be made again, by any thread, on any device. `normals_reference` is the
definition; `fused` is a compiled loop around the user's compiled objective; `cem_device` draws the same with CUDA.

The inverse of the normal distribution goes through w = -log(1 - v^2) as Giles' does (GPU Computing Gems Jade Edition,
chapter 10, 2011), but with one rational function of sqrt(w) for all v, and a polynomial for the logarithm after the
exponent is split off: no branch, so that 50 operations a number run in vector registers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]

GOLDEN = np.uint32(0x9E3779B9)
MIX_1, MIX_2 = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)  # Wellons' lowbias32
SPLIT_0, SPLIT_1, SPLIT_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # SplitMix64
MASK_64 = (1 << 64) - 1
ROOT_HALF = np.int32(0x3F3504F3)  # the bits of sqrt(1/2)
TOP = np.uint32(0xFFFFFF)  # the largest of 24 random bits
STEP = np.float32(2.0**-23)
HALF_STEP = np.float32(2.0**-24)
ZERO, ONE, TWO, HALF = np.float32(0.0), np.float32(1.0), np.float32(2.0), np.float32(0.5)
LOG_2, SQRT_2 = np.float32(math.log(2.0)), np.float32(math.sqrt(2.0))
# log(1 + t) / t for 1 + t in [sqrt(1/2), sqrt(2)), interpolated at Chebyshev points; error below 1e-6
LOG = tuple(
    np.float32(c)
    for c in np.polynomial.Chebyshev.interpolate(
        lambda t: np.log1p(t) / np.where(t == 0, 1.0, t) + (t == 0), 7, domain=(0.5**0.5 - 1, 2.0**0.5 - 1)
    )
    .convert(kind=np.polynomial.Polynomial)
    .coef
)
# erfinv(v) / v as a quotient of polynomials in s = sqrt(-log(1 - v^2)) for s in [0, 4.1], minimax in
# the relative error, which stays below 8e-6
ABOVE = tuple(np.float32(c) for c in (0.88622207, -0.41693766, 0.36616974, -0.09919508, 0.04114974))
BELOW = tuple(np.float32(c) for c in (1.0, -0.47076103, 0.15374402, 0.00443794, 0.00215425))


def row_keys(key: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Two 32-bit keys of each row, (n,) each: SplitMix64 of the generation's key and the row's number."""
    with np.errstate(over="ignore"):
        state = np.uint64(key) + rows.astype(np.uint64) * np.uint64(SPLIT_0)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(SPLIT_1)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(SPLIT_2)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(32)).astype(np.uint32), state.astype(np.uint32)


def generation_key(seed: int, generation: int) -> int:
    """The 64-bit key of a generation: SplitMix64 of seed and number."""
    state = (seed + (generation + 1) * SPLIT_0) & MASK_64
    state = ((state ^ (state >> 30)) * SPLIT_1) & MASK_64
    state = ((state ^ (state >> 27)) * SPLIT_2) & MASK_64
    return state ^ (state >> 31)


def hashes_reference(key: int, rows: NDArray[np.int64], d: int) -> NDArray[np.uint32]:
    """32 random bits for each row and column, (n, d): the definition of every random number here."""
    first, second = row_keys(key, rows)
    h = np.arange(d, dtype=np.uint32)[np.newaxis] * GOLDEN + first[:, np.newaxis]
    h = (h ^ (h >> np.uint32(16))) * MIX_1
    h = ((h ^ (h >> np.uint32(15))) + second[:, np.newaxis]) * MIX_2
    return np.asarray(h ^ (h >> np.uint32(16)))


def uniforms_reference(key: int, rows: NDArray[np.int64], d: int) -> Floats32:
    """Uniform numbers in (0, 1], (k + 1/2) / 2^24 rounded, (n, d) float32."""
    h = hashes_reference(key, rows, d)
    return (h >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24) + np.float32(2.0**-25)


def normals_reference(key: int, rows: NDArray[np.int64], d: int) -> Floats32:
    """Standard normal numbers (n, d) float32, |z| < 5.4; the definition of what `fused` and the CUDA kernels draw."""
    h = hashes_reference(key, rows, d)
    k = h >> np.uint32(8)
    above = k.astype(np.float32) * STEP + HALF_STEP  # 1 + v for v in (-1, 1)
    v = above - ONE
    t = above * ((TOP - k).astype(np.float32) * STEP + HALF_STEP)  # 1 - v^2, without cancellation
    bits = t.view(np.int32)
    exponent = (bits - ROOT_HALF) >> np.int32(23)
    f = (bits - (exponent << np.int32(23))).view(np.float32) - ONE  # mantissa in [sqrt(1/2), sqrt(2)), less 1
    w = -(exponent.astype(np.float32) * LOG_2 + f * _horner(LOG, f))
    s = np.sqrt(np.maximum(w, ZERO))
    return np.asarray(SQRT_2 * v * _horner(ABOVE, s) / _horner(BELOW, s), dtype=np.float32)


def _horner(coefficients: tuple[np.float32, ...], t: Floats32) -> Floats32:
    total = np.full_like(t, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * t + c
    return total


def fold_reference(U: Floats32) -> Floats32:
    """Reflection of any numbers into [0, 1], float32."""
    U = U - TWO * np.floor(HALF * U)
    return ONE - np.abs(U - ONE)


def _word(name: str) -> Any:
    """An operation of LLVM on two uint32: Numba's own widen to 64 bits, where products are slow."""
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[misc, untyped-decorator, unused-ignore]  # Numba has no types
    def operation(typing_context, a, b):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return getattr(builder, name)(arguments[0], arguments[1])

        return types.uint32(types.uint32, types.uint32), generate

    return operation


def _same_bits(source: str, target: str) -> Any:
    """A cast of 32 bits to another type that changes none of them; through arrays it would leave the registers."""
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[misc, untyped-decorator, unused-ignore]  # Numba has no types
    def cast(typing_context, a):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

        return getattr(types, target)(getattr(types, source)), generate

    return cast


@functools.cache
def _row_maker() -> Callable[..., Any]:
    """The compiled loop that writes one row; Numba is imported here."""
    import numba

    add, times, xor, shift = _word("add"), _word("mul"), _word("xor"), _word("lshr")
    bits_of, float_of = _same_bits("float32", "int32"), _same_bits("int32", "float32")
    b8, b15, b16 = np.uint32(8), np.uint32(15), np.uint32(16)
    l0, l1, l2, l3, l4, l5, l6, l7 = LOG
    a0, a1, a2, a3, a4 = ABOVE
    _, c1, c2, c3, c4 = BELOW
    m1, m2 = MIX_1, MIX_2
    s0, s1, s2 = np.uint64(SPLIT_0), np.uint64(SPLIT_1), np.uint64(SPLIT_2)
    top = np.int32(TOP)
    zero, one, two, half, middle = ZERO, ONE, TWO, HALF, np.int32(ROOT_HALF)

    @numba.njit(nogil=True, fastmath=True, error_model="numpy", inline="never")
    def make(key, row, columns, mean, sigma, origin, extent, x):  # type: ignore[no-untyped-def]
        state = np.uint64(key) + np.uint64(row) * s0
        state = (state ^ (state >> np.uint64(30))) * s1
        state = (state ^ (state >> np.uint64(27))) * s2
        state ^= state >> np.uint64(31)
        first, second = np.uint32(state >> np.uint64(32)), np.uint32(state & np.uint64(0xFFFFFFFF))
        for j in range(len(mean)):
            h = add(columns[j], first)
            h = times(xor(h, shift(h, b16)), m1)
            h = times(add(xor(h, shift(h, b15)), second), m2)
            k = np.int32(shift(xor(h, shift(h, b16)), b8))
            above = np.float32(k) * STEP + HALF_STEP
            bits = bits_of(above * (np.float32(np.int32(top - k)) * STEP + HALF_STEP))
            e = np.int32(np.int32(bits - middle) >> np.int32(23))
            f = float_of(np.int32(bits - np.int32(e << np.int32(23)))) - one
            p = l7
            p = p * f + l6
            p = p * f + l5
            p = p * f + l4
            p = p * f + l3
            p = p * f + l2
            p = p * f + l1
            p = p * f + l0
            s = np.sqrt(max(-(np.float32(e) * LOG_2 + f * p), zero))
            q = a4
            q = q * s + a3
            q = q * s + a2
            q = q * s + a1
            q = q * s + a0
            r = c4
            r = r * s + c3
            r = r * s + c2
            r = r * s + c1
            r = r * s + one
            u = mean[j] + sigma[j] * (SQRT_2 * (above - one) * q / r)
            u = u - two * np.floor(half * u)
            u = one - abs(u - one)
            x[j] = origin[j] + extent[j] * u

    return make


def fused(objective: Callable[..., Any]) -> Callable[..., None]:
    """Return evaluate(key, first, mean, sigma, origin, extent, F): rows first, first + 1, ... sampled and evaluated.

    `objective` is a compiled (or compilable) function of one row x (d,) float32; mean, sigma, origin, extent are (d,)
    float32: x = origin + extent * fold(mean + sigma z). F (n,) float64 is written. Releases the GIL: spread the rows
    over threads; the values do not depend on how.
    """
    import numba

    make, golden = _row_maker(), np.int64(GOLDEN)
    function = objective if hasattr(objective, "py_func") else numba.njit(nogil=True)(objective)

    @numba.njit(nogil=True)
    def evaluate(key, first, mean, sigma, origin, extent, F):  # type: ignore[no-untyped-def]
        d = len(mean)
        x = np.empty(d, np.float32)
        columns = (np.arange(d) * golden).astype(np.uint32)
        for i in range(len(F)):
            make(key, first + i, columns, mean, sigma, origin, extent, x)
            F[i] = function(x)

    return evaluate


@functools.cache
def _regenerator() -> Callable[..., Any]:
    import numba

    make, golden = _row_maker(), np.int64(GOLDEN)

    @numba.njit(nogil=True)
    def rows_of(key, rows, mean, sigma, origin, extent, X):  # type: ignore[no-untyped-def]
        d = len(mean)
        columns = (np.arange(d) * golden).astype(np.uint32)
        for i in range(len(rows)):
            make(key, rows[i], columns, mean, sigma, origin, extent, X[i])

    return rows_of


def regenerate(
    key: int, rows: NDArray[np.int64], mean: Floats32, sigma: Floats32, origin: Floats32, extent: Floats32
) -> Floats32:
    """The rows (k, d) that `fused` evaluated under these numbers."""
    X = np.empty((len(rows), len(mean)), np.float32)
    _regenerator()(np.uint64(key), rows, mean, sigma, origin, extent, X)
    return X


@functools.cache
def _accumulator() -> Callable[..., Any]:
    import numba

    @numba.njit(nogil=True, fastmath=True, cache=True)
    def accumulate(X, rows, weights, mean, origin, scale, first, second):  # type: ignore[no-untyped-def]
        for i in range(len(rows)):
            x, w = X[rows[i]], weights[i]
            for j in range(len(mean)):
                step = (x[j] - origin[j]) * scale[j] - mean[j]
                first[j] += w * step
                second[j] += w * step * step

    return accumulate


def moments_about(
    X: Floats32,
    rows: NDArray[np.int64],
    weights: NDArray[np.float64],
    mean: NDArray[np.float64],
    origin: Floats32,
    extent: Floats32,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and second moments (d,) of (X[rows] - origin) / extent about `mean` under `weights`, in one pass."""
    first, second = np.zeros(len(mean)), np.zeros(len(mean))
    scale = 1.0 / np.maximum(extent.astype(np.float64), 1e-300)
    _accumulator()(X, rows, weights, mean, origin.astype(np.float64), scale, first, second)
    return first, second
