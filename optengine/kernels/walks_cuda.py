"""Tabu walks of many starts at once on the device: the sources `flips.cu` and `assignment.cu`, compiled on first use.

Data stay on the device for the whole search; a launch goes on where the last one ended, and only the two values of each
walk come back after it. The walks are those of `flips.tabu_reference` and `assignment.robust_tabu_reference`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import DeviceError, require

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FLIPS, ASSIGNMENT = (Path(__file__).with_name(name) for name in ("flips.cu", "assignment.cu"))
OPTIONS = ("--std=c++14",)
THREADS = 128  # of a block, a power of two
SHARED = 220 * 1024  # bytes of shared memory that a block may ask for on the newest devices


def available() -> bool:
    """Whether cupy is installed and finds a device."""
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    return bool(cupy.cuda.is_available())


def _kernel(source: Path, name: str, shared: int) -> tuple[Any, Any]:
    cupy = require("cupy", extra="gpu")
    if not cupy.cuda.is_available():
        raise DeviceError("device must be 'cpu' here, got 'cuda': cupy finds no CUDA device and driver")
    limit = int(cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"])
    if shared > min(limit, SHARED):
        raise DeviceError(
            f"device must be 'cpu' or 'auto' here, got 'cuda': a walk needs {shared} bytes of shared memory, and the "
            f"device gives {limit}"
        )
    kernel = cupy.RawModule(code=source.read_text(encoding="utf-8"), options=OPTIONS).get_function(name)
    kernel.max_dynamic_shared_size_bytes = shared
    return cupy, kernel


class FlipWalks:
    """One-flip tabu walks on one matrix of couplings.

    Args:
        coupling: (n, n) symmetric, zero diagonal. low, spread: tenure is low + below(spread). minus: the penalty.

    Raises:
        MissingDependency: cupy is absent. DeviceError: no device, or too little shared memory on it.
    """

    def __init__(self, coupling: Any, low: int, spread: int, minus: float) -> None:
        n = self._n = len(coupling)
        self.shared = 9 * n + 8 * THREADS + 16
        self._cupy, self._kernel = _kernel(FLIPS, "tabu_flips", self.shared)
        self._coupling = self._cupy.asarray(np.ascontiguousarray(coupling, dtype=np.float32))
        self._low, self._spread, self._minus = np.int32(low), np.int32(spread), np.float32(minus)
        self._step = 0

    def begin(self, X: Integers, gains: Floats, seeds: Integers) -> None:
        """Start walks at the rows of X (s, n), whose gains are (s, n)."""
        cupy, self._step = self._cupy, 0
        self._gains = cupy.asarray(np.ascontiguousarray(gains, dtype=np.float32))
        self._signs = cupy.asarray(np.ascontiguousarray(2 * X - 1, dtype=np.int8))
        self._best, self._until = self._signs.copy(), cupy.zeros(X.shape, dtype=cupy.int32)
        self._seeds, self._fallen = cupy.asarray(seeds, dtype=cupy.int64), cupy.zeros((len(X), 2))

    def advance(self, steps: int) -> Floats:
        """Walk on; returns by how much f has fallen (s, 2): now, and at the best."""
        self._kernel(
            (len(self._fallen),), (THREADS,),
            (self._coupling, np.int32(self._n), self._gains, self._signs, self._until, self._seeds,
             np.int32(self._step), np.int32(steps), self._low, self._spread, self._minus, self._fallen, self._best),
            shared_mem=self.shared,
        )  # fmt: skip
        self._step += steps
        return np.asarray(self._cupy.asnumpy(self._fallen))

    def best(self, s: Any) -> Integers:
        """Bits of the best point of walk s, or of several."""
        return np.asarray(self._cupy.asnumpy(self._best[s]) > 0, dtype=np.int64)


class AssignmentWalks:
    """Robust tabu walks on one pair of symmetric matrices with empty diagonals.

    Args:
        flow, distance: (n, n). low, spread: tenure is low + below(spread). penalty: of tabu exchanges.

    Raises:
        MissingDependency: cupy is absent. DeviceError: no device, or too little shared memory on it.
    """

    def __init__(self, flow: Any, distance: Any, low: int, spread: int, penalty: float) -> None:
        n = self._n = len(flow)
        self.shared = 16 * n * n + 8 * THREADS + 4 * n + 16
        self._cupy, self._kernel = _kernel(ASSIGNMENT, "tabu_exchanges", self.shared)
        self._flow, self._distance = (
            self._cupy.asarray(np.ascontiguousarray(a, dtype=np.float32)) for a in (flow, distance)
        )
        self._settings = np.int32(low), np.int32(spread), np.float32(penalty)
        self._step = 0

    def begin(self, P: Integers, seeds: Integers) -> None:
        """Start walks at the rows of P (s, n)."""
        cupy, self._step = self._cupy, 0
        self._places = cupy.asarray(np.ascontiguousarray(P, dtype=np.int32))
        self._best, self._until = self._places.copy(), cupy.zeros((*P.shape, self._n), dtype=cupy.int32)
        self._seeds, self._fallen = cupy.asarray(seeds, dtype=cupy.int64), cupy.zeros((len(P), 2))

    def advance(self, steps: int) -> Floats:
        """Walk on; returns by how much f has fallen (s, 2): now, and at the best."""
        self._kernel(
            (len(self._fallen),), (THREADS,),
            (self._flow, self._distance, np.int32(self._n), self._places, self._until, self._seeds,
             np.int32(self._step), np.int32(steps), *self._settings, self._fallen, self._best),
            shared_mem=self.shared,
        )  # fmt: skip
        self._step += steps
        return np.asarray(self._cupy.asnumpy(self._fallen))

    def best(self, s: Any) -> Integers:
        """Locations of the best assignment of walk s, or of several."""
        return np.asarray(self._cupy.asnumpy(self._best[s]), dtype=np.int64)
