"""Descents of many orders on the device: the CUDA source of `order_search.cu`, compiled on first use.

The definition is `order_descent.descend_orders_numpy`; the Numba form with the same signature is
`order_descent.descend_orders`, whose additions the device makes in the same order.
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
Bools = NDArray[np.bool_]

SOURCE = Path(__file__).with_name("order_search.cu")
OPTIONS = ("--std=c++14", "--fmad=false")  # additions and products rounded one by one, as on the CPU
BLOCK = 128
SHARE = 0.5  # of the free memory that one launch may take


def available() -> bool:
    """Whether cupy is installed and finds a device."""
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    return bool(cupy.cuda.is_available())


def shared_bytes(d: int, wide: bool) -> int:
    """Shared memory of one block: sums along the order, and the factors unless they are `wide`."""
    return 32 * d + (0 if wide else 8 * d * (d + 1))


class Resident:
    """One Gram matrix on the device, for many descents.

    Args:
        G: (d, d), positive definite. before: (d, d), before[u, v]: u stands before v.

    Raises:
        MissingDependency: cupy is absent. DeviceError: no device.
    """

    def __init__(self, G: Floats, before: Bools) -> None:
        cupy = require("cupy", extra="gpu")
        if not cupy.cuda.is_available():
            raise DeviceError("device must be 'cpu' here, got 'cuda': cupy finds no CUDA device and driver")
        self._gram = cupy.ascontiguousarray(cupy.asarray(G, dtype=cupy.float64))
        self._before = cupy.ascontiguousarray(cupy.asarray(before, dtype=cupy.uint8))
        code = cupy.RawModule(code=SOURCE.read_text(encoding="utf-8"), options=OPTIONS)
        self._kernel = code.get_function("descend_orders")
        most = int(cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"])
        static = int(self._kernel.shared_size_bytes)
        self._wide = shared_bytes(len(G), False) + static > most
        self._shared = shared_bytes(len(G), self._wide)
        self._kernel.max_dynamic_shared_size_bytes = self._shared

    def descend(
        self, orders: Integers, nodes: Integers, swaps: bool, tolerance: float, limit: int
    ) -> tuple[Integers, Floats, Integers, Bools]:
        """`order_descent.descend_orders`: one transfer in, one out, and a launch for as many orders as fit."""
        size = max(1, min(len(orders), self._room(swaps)))
        parts = [
            self._launch(orders[k : k + size], nodes[k : k + size], swaps, tolerance, limit)
            for k in range(0, len(orders), size)
        ]
        found, values, seen, ended = (np.concatenate(column) for column in zip(*parts, strict=True))
        return found.astype(np.int64), values, seen, ended.astype(np.bool_)

    def _room(self, swaps: bool) -> int:
        """Orders that one launch has memory for."""
        import cupy

        d = len(self._gram)
        need = 8 * d * d * (int(swaps) + int(self._wide)) + 16 * d
        return int(SHARE * cupy.cuda.Device().mem_info[0] / need)

    def _launch(
        self, orders: Integers, nodes: Integers, swaps: bool, tolerance: float, limit: int
    ) -> tuple[Any, ...]:
        import cupy

        r, d = orders.shape
        found, visit = (cupy.array(a, dtype=cupy.int32, order="C") for a in (orders, nodes))
        values, seen = cupy.empty(r, dtype=cupy.float64), cupy.empty(r, dtype=cupy.int64)
        ended = cupy.empty(r, dtype=cupy.uint8)
        tails = cupy.empty((r, d, d) if swaps else 1, dtype=cupy.float64)
        wide = cupy.empty((r, d, d + 1), dtype=cupy.float64) if self._wide else None
        arguments = (
            self._gram, self._before, found, visit, np.int32(d), np.int32(swaps), np.float64(tolerance),
            np.int64(min(limit, 2**62)), values, seen, ended, tails, np.uint64(0) if wide is None else wide,
        )  # fmt: skip
        self._kernel((r,), (BLOCK,), arguments, shared_mem=self._shared)
        return tuple(cupy.asnumpy(a) for a in (found, values, seen, ended))


class OnHost:
    """`Resident` by the Numba form, on the CPU: what tests compare with."""

    def __init__(self, G: Floats, before: Bools) -> None:
        self._gram = np.ascontiguousarray(G, dtype=np.float64)
        self._before = np.ascontiguousarray(before, dtype=np.bool_)

    def descend(
        self, orders: Integers, nodes: Integers, swaps: bool, tolerance: float, limit: int
    ) -> tuple[Integers, Floats, Integers, Bools]:
        """See `Resident.descend`."""
        from optengine.kernels.order_descent import descend_orders

        found, values, seen, ended = descend_orders(
            self._gram, orders, self._before, nodes, swaps, tolerance, limit
        )
        return found, values, seen, ended


def descend_orders(
    G: Floats, orders: Integers, before: Bools, nodes: Integers, swaps: bool, tolerance: float, limit: int
) -> tuple[Integers, Floats, Integers, Bools]:
    """`order_descent.descend_orders` on the device."""
    return Resident(G, before).descend(orders, nodes, swaps, tolerance, limit)
