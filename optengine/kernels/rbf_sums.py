"""Sums of Gaussian bumps and their slopes: the posterior mean of a Gaussian process, without its matrix in memory.

For points a_i, centres b_j and weights w_j, in units of the lengthscale,

    value_i = sum_j w_j exp(-|a_i - b_j|^2 / 2),    slope_i = sum_j w_j exp(-|a_i - b_j|^2 / 2) (b_j - a_i).

`rbf_sums` is the definition. `rbf_sums_fused` (Numba) and `rbf_sums_cuda` (CuPy) compute both in one pass in float32,
and no matrix (m, n) is ever stored. The Numba form has a polynomial for the exponential and expands the squares about
the centres' mean: a bump's relative error is below 1e-6 (1 + R), R the squares of both points' distances to that mean.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import require

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

THREADS = 128  # of a CUDA block, one point each; also centres of one tile


def rbf_gram(A: Floats, B: Floats) -> Floats:
    """Return exp(-|a_i - b_j|^2 / 2), (m, n), of points A (m, f) and B (n, f)."""
    R = A @ B.T
    R -= 0.5 * (A * A).sum(axis=1)[:, None]
    R -= 0.5 * (B * B).sum(axis=1)
    np.minimum(R, 0.0, out=R)
    return np.exp(R, out=R)


def rbf_sums(A: Floats, B: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return the values (m,) and slopes (m, f) at A (m, f) of the bumps at B (n, f) with weights w (n,)."""
    W = rbf_gram(A, B)
    W *= w
    value = W.sum(axis=1)
    return value, W @ B - A * value[:, None]


@cache
def _fused() -> Any:
    """Compile on first use: Numba loads late."""
    from optengine.kernels.rbf_sums_jit import fused

    return fused


def rbf_sums_fused(A: Singles, columns: Singles, w: Singles) -> tuple[Singles, Singles]:
    """Return what `rbf_sums` does, in float32 and one pass.

    Args:
        A: (m, f). columns: (f, n), the centres' transpose, C-ordered. w: (n,).
    """
    value, slope = _fused()(A, columns, w)
    return value, slope


def source() -> str:
    """The CUDA source."""
    return (Path(__file__).parent / "rbf_sums.cu").read_text(encoding="utf-8")


def rbf_sums_cuda(A: Any, B: Any, w: Any) -> tuple[Any, Any]:
    """Return what `rbf_sums` does for float32 arrays on the device: A (m, f), B (n, f), w (n,)."""
    cupy = require("cupy", extra="gpu")
    m, f = A.shape
    value, slope = cupy.empty(m, dtype=cupy.float32), cupy.empty((m, f), dtype=cupy.float32)
    kernel = cupy.RawKernel(source(), "rbf_sums")
    shared = 4 * (THREADS + 2 * f)
    kernel((m,), (THREADS,), (A, B, w, np.int32(len(B)), np.int32(f), value, slope), shared_mem=shared)
    return value, slope
