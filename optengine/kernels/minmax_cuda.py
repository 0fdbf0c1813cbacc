"""Min-max descents on the device: the CUDA sources of `minmax.cu`, compiled on first use; their NumPy definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import DeviceError, require

Singles = NDArray[np.float32]
Integers = NDArray[np.int32]

SOURCE = Path(__file__).with_name("minmax.cu")
WINDOW = 16  # as in the source
BLOCK = 128
OPTIONS = ("--std=c++14",)


class Descent(NamedTuple):
    """Level indices (s, n), values (s,) and numbers of moves (s,) at the end."""

    idx: Integers
    value: Singles
    moves: Integers


def descend_reference(
    At: Singles,
    E: Singles,
    H: Singles,
    idx: Integers,
    values: Singles,
    start: Integers,
    count: Integers,
    steps: int,
) -> Descent:
    """Up to `steps` best single moves of each of s searches, in float32; the definition.

    Args:
        At: (n, m). E, H: (s, m) errors and half widths. idx: (s, n). values, start, count: flat levels.
    """
    idx, E = idx.copy(), E.copy()
    value = np.maximum(np.abs(E) - H, np.float32(0)).max(axis=1)
    moves = np.zeros(len(idx), dtype=np.int32)
    for s in range(len(idx)):
        for _ in range(steps):
            best = (value[s], -1, -1)
            for j in range(len(At)):
                first = max(0, min(idx[s, j] - WINDOW // 2, count[j] - WINDOW))
                for k in range(first, min(first + WINDOW, count[j])):
                    step = values[start[j] + k] - values[start[j] + idx[s, j]]
                    after = np.maximum(np.abs(E[s] + step * At[j]) - H[s], np.float32(0)).max()
                    if k != idx[s, j] and after < best[0]:
                        best = (after, j, k)
            if best[1] < 0:
                break
            step = values[start[best[1]] + best[2]] - values[start[best[1]] + idx[s, best[1]]]
            E[s] += step * At[best[1]]
            value[s], idx[s, best[1]] = best[0], best[2]
            moves[s] += 1
    return Descent(idx, value, moves)


def module() -> Any:
    """Return the compiled CUDA module.

    Raises:
        MissingDependency: cupy is absent. DeviceError: no device to compile for.
    """
    cupy = require("cupy", extra="gpu")
    if not cupy.cuda.is_available():
        raise DeviceError("device must be 'cpu' here, got 'cuda': cupy finds no CUDA device and driver")
    return cupy.RawModule(code=SOURCE.read_text(encoding="utf-8"), options=OPTIONS)


def descend(
    At: Any, E: Any, H: Any, idx: Any, values: Any, start: Any, count: Any, steps: int, compiled: Any = None
) -> Descent:
    """`descend_reference` on the device: one transfer in, 3 launches a step without a look back, one transfer out."""
    cupy = require("cupy", extra="gpu")
    compiled = module() if compiled is None else compiled
    evaluate, apply_, commit = (
        compiled.get_function(name) for name in ("move_eval", "apply_moves", "commit_moves")
    )
    At, E, H, values = (
        cupy.ascontiguousarray(cupy.asarray(a, dtype=cupy.float32)) for a in (At, E, H, values)
    )
    idx, start, count = (
        cupy.ascontiguousarray(cupy.asarray(a, dtype=cupy.int32)) for a in (idx, start, count)
    )
    E, idx = E.copy(), idx.copy()
    (n, m), s = At.shape, len(E)
    value = cupy.maximum(cupy.abs(E) - H, 0).max(axis=1).astype(cupy.float32)
    best = cupy.full(s, 2**64 - 1, dtype=cupy.uint64)
    moves = cupy.zeros(s, dtype=cupy.int32)
    n_, m_, s_ = np.int32(n), np.int32(m), np.int32(s)
    for _ in range(steps):
        evaluate((n, s), (BLOCK,), (At, E, H, idx, values, start, count, n_, m_, best))
        apply_(((m + 255) // 256, s), (256,), (At, E, idx, values, start, count, n_, m_, best, value))
        commit(((s + 127) // 128,), (128,), (idx, count, n_, s_, best, value, moves))
    return Descent(cupy.asnumpy(idx), cupy.asnumpy(value), cupy.asnumpy(moves))
