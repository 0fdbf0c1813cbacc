"""Sampling for the cross-entropy method on a GPU, and the same on NumPy arrays: two samplers with one face.

`Host` computes the definitions of `cem_fused` and `CudaSampler` the kernels of `cem.cu`; the same keys give the same
numbers, to rounding of the logarithm. Arrays stay where they are made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optengine.core.errors import DeviceError, require
from optengine.kernels.cem_fused import fold_reference, normals_reference, uniforms_reference

THREADS = 256  # a block
BLOCKS = 4096  # at most: each thread strides over the rest
SOURCE = Path(__file__).with_name("cem.cu")


@dataclass(frozen=True)
class DeviceObjective:
    """An objective written in CUDA: `__device__ float objective(const float* x, int d)`, one row a call.

    Called with a CuPy array (n, d) it returns the values (n,); the cross-entropy method calls it where it samples.

    Attributes:
        source: CUDA C++ text that defines `objective`.
    """

    source: str

    def __call__(self, X: Any) -> Any:
        cupy = require("cupy", extra="gpu")
        X = cupy.ascontiguousarray(X, dtype=cupy.float32)
        F = cupy.empty(len(X), cupy.float32)
        kernel = compiled(self.source, X.shape[1]).get_function("evaluate")
        kernel((_blocks(len(X)),), (THREADS,), (X, np.int64(len(X)), F))
        return F


def program(objective: str = "", d: int = 0) -> str:
    """The CUDA text, with an objective of d columns where one is given."""
    text = SOURCE.read_text(encoding="utf-8")
    return f"#define OPTENGINE_COLUMNS {d}\n{objective}\n{text}" if objective else text


@functools.cache
def compiled(objective: str = "", d: int = 0) -> Any:
    """The CuPy module of `program`, compiled for the device at hand."""
    cupy = require("cupy", extra="gpu")
    if not cupy.cuda.is_available():
        raise DeviceError("array='cupy' needs a CUDA device and driver, and cupy found none")
    return cupy.RawModule(code=program(objective, d), options=("--std=c++17",))


def _blocks(n: int) -> int:
    return int(min(BLOCKS, max(1, -(-n // THREADS))))


class Host:
    """NumPy arrays: the definition, which the tests run in place of a GPU."""

    xp: Any = np

    def normals(self, key: int, n: int, d: int) -> Any:
        return normals_reference(key, np.arange(n), d)

    def gaussian_rows(self, key: int, rows: Any, mean: Any, sigma: Any, origin: Any, extent: Any) -> Any:
        Z = normals_reference(key, np.asarray(rows), len(mean))
        return origin + extent * fold_reference(mean + sigma * Z)

    def bits(self, key: int, n: int, p: Any) -> Any:
        return (uniforms_reference(key, np.arange(n), len(p)) < p).astype(np.float32)

    def categories(self, key: int, n: int, offsets: Any, cumulative: Any) -> Any:
        U = uniforms_reference(key, np.arange(n), len(offsets) - 1)
        levels = [
            np.minimum(np.searchsorted(cumulative[a:b], u, side="right"), b - a - 1)
            for a, b, u in zip(offsets[:-1], offsets[1:], U.T, strict=True)
        ]
        return np.array(levels, dtype=np.float32).T

    def fused(self, objective: Any, key: int, n: int, *arguments: Any) -> Any:
        return None  # no compiled objective: the caller samples and calls it

    def numpy(self, array: Any) -> Any:
        return np.asarray(array)


class CudaSampler:
    """CuPy arrays, kernels of `cem.cu`."""

    def __init__(self) -> None:
        self.xp = require("cupy", extra="gpu")
        self._module = compiled()

    def _launch(self, name: str, total: int, *arguments: Any) -> None:
        self._module.get_function(name)((_blocks(total),), (THREADS,), arguments)

    def normals(self, key: int, n: int, d: int) -> Any:
        Z = self.xp.empty((n, d), self.xp.float32)
        self._launch("normals", n * d, np.uint64(key), np.int64(n), np.int32(d), Z)
        return Z

    def gaussian_rows(self, key: int, rows: Any, mean: Any, sigma: Any, origin: Any, extent: Any) -> Any:
        n, d = len(rows), len(mean)
        X = self.xp.empty((n, d), self.xp.float32)
        rows = self.xp.ascontiguousarray(rows, dtype=self.xp.int64)
        self._launch(
            "gaussian_rows",
            n * d,
            np.uint64(key),
            rows,
            np.int64(n),
            np.int32(d),
            mean,
            sigma,
            origin,
            extent,
            X,
        )
        return X

    def bits(self, key: int, n: int, p: Any) -> Any:
        X = self.xp.empty((n, len(p)), self.xp.float32)
        self._launch("bits", X.size, np.uint64(key), np.int64(n), np.int32(len(p)), p, X)
        return X

    def categories(self, key: int, n: int, offsets: Any, cumulative: Any) -> Any:
        d = len(offsets) - 1
        X = self.xp.empty((n, d), self.xp.float32)
        offsets = offsets.astype(self.xp.int32)
        self._launch("categories", X.size, np.uint64(key), np.int64(n), np.int32(d), offsets, cumulative, X)
        return X

    def fused(self, objective: Any, key: int, n: int, *arguments: Any) -> Any:
        """Values (n,) of a `DeviceObjective` under (mean, sigma, origin, extent); None for other objectives."""
        if not isinstance(objective, DeviceObjective):
            return None
        F = self.xp.empty(n, self.xp.float32)
        kernel = compiled(objective.source, len(arguments[0])).get_function("fused")
        kernel((_blocks(n),), (THREADS,), (np.uint64(key), np.int64(n), *arguments, F))
        return F

    def numpy(self, array: Any) -> Any:
        return self.xp.asnumpy(array)


Sampler = Host | CudaSampler
Objective = Callable[[Any], Any]
