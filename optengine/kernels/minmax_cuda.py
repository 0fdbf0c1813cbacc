"""Min-max descents on the device: the CUDA sources of `minmax.cu`, compiled on first use; their NumPy definition."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import DeviceError, require

Floats = NDArray[Any]  # float32 or float64
Integers = NDArray[np.int32]

SOURCE = Path(__file__).with_name("minmax.cu")
WINDOW = 16  # as in the source
BLOCK = 128
OPTIONS = ("--std=c++14",)


class Descent(NamedTuple):
    """Level indices (s, n), values (s,) and numbers of moves (s,) at the end."""

    idx: Integers
    value: Floats
    moves: Integers


def descend_reference(
    At: Floats,
    E: Floats,
    H: Floats,
    idx: Integers,
    values: Floats,
    start: Integers,
    count: Integers,
    steps: int,
) -> Descent:
    """Up to `steps` best single moves of each of s searches, in the data's dtype; the definition.

    Args:
        At: (n, m). E, H: (s, m) errors and half widths. idx: (s, n). values, start, count: flat levels.
    """
    idx, E = idx.copy(), E.copy()
    value = np.maximum(np.abs(E) - H, 0).max(axis=1)
    moves = np.zeros(len(idx), dtype=np.int32)
    for s in range(len(idx)):
        for _ in range(steps):
            best = (value[s], -1, -1)
            for j in range(len(At)):
                first = max(0, min(idx[s, j] - WINDOW // 2, count[j] - WINDOW))
                levels = np.arange(first, min(first + WINDOW, count[j]))
                step = values[start[j] + levels] - values[start[j] + idx[s, j]]
                after = np.maximum(np.abs(E[s] + step[:, None] * At[j]) - H[s], 0).max(axis=1)
                after[levels == idx[s, j]] = np.inf
                k = int(np.argmin(after))
                if after[k] < best[0]:
                    best = (after[k], j, int(levels[k]))
            if best[1] < 0:
                break
            step = values[start[best[1]] + best[2]] - values[start[best[1]] + idx[s, best[1]]]
            E[s] += step * At[best[1]]
            value[s], idx[s, best[1]] = best[0], best[2]
            moves[s] += 1
    return Descent(idx, value, moves)


def available() -> bool:
    """Whether cupy is installed and finds a device."""
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    return bool(cupy.cuda.is_available())


def free_bytes() -> int:
    """Free memory of the present device."""
    import cupy

    return int(cupy.cuda.Device().mem_info[0])


class Resident:
    """One matrix with its levels on the device, for many descents.

    Args:
        At: (n, m). values, start, count: flat levels. double: float64 in place of float32.

    Raises:
        MissingDependency: cupy is absent. DeviceError: no device, or too little memory on it.
    """

    def __init__(self, At: Any, values: Any, start: Any, count: Any, double: bool = False) -> None:
        cupy = require("cupy", extra="gpu")
        if not cupy.cuda.is_available():
            raise DeviceError("device must be 'cpu' here, got 'cuda': cupy finds no CUDA device and driver")
        self.real = np.float64 if double else np.float32
        options = (*OPTIONS, "-DDOUBLE") if double else OPTIONS
        code = cupy.RawModule(code=SOURCE.read_text(encoding="utf-8"), options=options)
        names = ("move_eval", "pick_moves", "apply_moves", "commit_moves")
        self._kernels = [code.get_function(name) for name in names]
        self._reals = [cupy.ascontiguousarray(cupy.asarray(a, dtype=self.real)) for a in (At, values)]
        self._levels = [cupy.ascontiguousarray(cupy.asarray(a, dtype=cupy.int32)) for a in (start, count)]

    def descend(self, E: Any, H: Any, idx: Any, steps: int) -> Descent:
        """`descend_reference`: one transfer in, four launches a step without a look back, one transfer out."""
        import cupy

        evaluate, pick, apply_, commit = self._kernels
        (At, values), (start, count) = self._reals, self._levels
        E, H = (cupy.array(a, dtype=self.real, order="C") for a in (E, H))
        idx = cupy.array(idx, dtype=cupy.int32, order="C")
        (n, m), s = At.shape, len(E)
        value = cupy.maximum(cupy.abs(E) - H, 0).max(axis=1).astype(self.real)
        words = cupy.full(s, 2**64 - 1, dtype=cupy.uint64)
        cells, slots = cupy.empty((s, n), dtype=self.real), cupy.empty((s, n), dtype=cupy.int32)
        after, place = cupy.empty(s, dtype=self.real), cupy.empty(s, dtype=cupy.int32)
        moves = cupy.zeros(s, dtype=cupy.int32)
        n_, m_, s_ = np.int32(n), np.int32(m), np.int32(s)
        for _ in range(steps):
            evaluate((n, s), (BLOCK,), (At, E, H, idx, values, start, count, n_, m_, words, cells, slots))
            pick((s,), (BLOCK,), (n_, words, cells, slots, after, place))
            apply_(
                ((m + 255) // 256, s), (256,), (At, E, idx, values, start, count, n_, m_, after, place, value)
            )
            commit(((s + 127) // 128,), (128,), (idx, count, n_, s_, after, place, value, moves))
        return Descent(cupy.asnumpy(idx), cupy.asnumpy(value), cupy.asnumpy(moves))


class OnHost:
    """`Resident` by the definition, on the CPU: what tests compare with."""

    def __init__(self, At: Any, values: Any, start: Any, count: Any, double: bool = False) -> None:
        self.real = np.float64 if double else np.float32
        self._reals = [np.asarray(a, dtype=self.real) for a in (At, values)]
        self._levels = [np.asarray(a, dtype=np.int32) for a in (start, count)]

    def descend(self, E: Any, H: Any, idx: Any, steps: int) -> Descent:
        """See `Resident.descend`."""
        (At, values), (start, count) = self._reals, self._levels
        E, H = np.asarray(E, dtype=self.real), np.asarray(H, dtype=self.real)
        return descend_reference(At, E, H, np.asarray(idx, dtype=np.int32), values, start, count, steps)
