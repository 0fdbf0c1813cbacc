"""Descents of many starts at once on the GPU, for a dense A: kicked on the host, evaluated and applied on the device.

Every start moves variables of its worst row in the direction that relieves it, more of them after failures, and then
takes best single moves without a look back. The best end is verified in float64 before it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import DeviceError
from optengine.kernels import minmax_cuda as cuda
from optengine.solvers.minmax.form import Form

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STARTS = 32  # descents at a time
STEPS = 64  # moves of a descent between two looks
PATIENCE, WIDEST = 5, 0.25  # failed kicks before the kick doubles, its largest share of the variables
WORTHWHILE = 2**20  # entries of A from which `device="auto"` takes the device


def bytes_needed(form: Form, double: bool) -> int:
    """Memory that the search of one right-hand side takes on the device."""
    m, n = form.shape
    real = 8 if double else 4
    return real * (m * n + len(form.values) + STARTS * (2 * m + n)) + 4 * STARTS * 3 * n


def settle(device: str, form: Form, double: bool) -> tuple[bool, str]:
    """Whether to search on the device, and what to tell the user.

    Raises:
        DeviceError: `device` is "cuda" and there is none, it is too small, or A is sparse.
    """
    m, n = form.shape
    if device == "cpu" or (device == "auto" and (form.sparse or m * n < WORTHWHILE or not cuda.available())):
        return False, "cpu"
    if form.sparse:
        raise DeviceError(
            "device must be 'cpu' or 'auto' for a sparse A, got 'cuda': its search runs on the CPU only"
        )
    if not cuda.available():
        raise DeviceError(
            "device must be 'cpu' or 'auto' here, got 'cuda': there is no cupy with a CUDA device"
        )
    need, free = bytes_needed(form, double), cuda.free_bytes()
    if need <= free:
        return True, "cuda"
    told = f"the device has {free / 1e9:.2f} GB free and the search needs {need / 1e9:.2f} GB"
    if device == "auto":
        return False, f"cpu: {told}"
    raise DeviceError(f"device must be 'cpu' or 'auto' here, got 'cuda': {told}")


class DeviceWalk:
    """State of the descents of one right-hand side; an engine like `Walk`.

    Attributes:
        best, value: best point, level indices (n,), and its value. spent: moves tried since last asked.
    """

    crystal = False

    def __init__(
        self,
        form: Form,
        start: Integers,
        rng: Generator,
        double: bool,
        make: Callable[..., Any] = cuda.Resident,
    ) -> None:
        self.form, self._rng = form, rng
        self.best, self.value, self.spent = start.copy(), form.value(start), 0
        key = f"resident {double}"
        if key not in form.shared:
            form.shared[key] = make(form.At, form.values, form.start, form.count, double)
        self._resident: Any = form.shared[key]
        self._present = np.repeat(start[None, :], STARTS, axis=0)
        self._values = np.full(STARTS, self.value)
        self._failures = np.zeros(STARTS, dtype=np.int64)

    def take(self, best: Integers, value: float) -> None:
        """Learn of a better point: the worst start goes on from there."""
        if value < self.value:
            self.best, self.value = best.copy(), value
            worst = int(np.argmax(self._values))
            self._present[worst], self._values[worst], self._failures[worst] = best, value, 0

    def turn(self) -> None:
        """Kick all starts, descend, keep what is not worse."""
        form = self.form
        kicked = np.array([self._kicked(s) for s in range(STARTS)])
        E = form.values[form.start + kicked] @ form.At - form.centre
        found = self._resident.descend(E, np.broadcast_to(form.half, E.shape), kicked, STEPS)
        self.spent += int((found.moves + 1).sum()) * int((form.count - 1).sum())
        better = found.value < self._values
        keep = found.value <= self._values
        self._present[keep], self._values[keep] = found.idx[keep], found.value[keep]
        self._failures = np.where(better, 0, self._failures + 1)
        first = int(np.argmin(self._values))
        exact = form.value(self._present[first])
        if exact < self.value:
            self.best, self.value = self._present[first].copy(), exact

    def _kicked(self, s: int) -> Integers:
        form = self.form
        idx: Integers = self._present[s].copy()
        e = form.errors(idx)
        i = int(np.argmax(np.abs(e) - form.half))
        way = (-np.sign(e[i]) * np.sign(form.A[i])).astype(np.int64)
        new = idx + way
        able = np.flatnonzero((way != 0) & (new >= 0) & (new < form.count))
        widest = max(1, int(WIDEST * len(idx)))
        width = min(widest, 2 ** min(30, int(self._failures[s]) // PATIENCE), len(able))
        chosen = self._rng.choice(able, width, replace=False) if len(able) else able
        idx[chosen] = new[chosen]
        return idx
