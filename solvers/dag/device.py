"""Descents of many orders at once on the GPU: their ends are scored anew in float64 on the CPU before they count."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import DeviceError
from optengine.kernels import order_cuda as cuda
from optengine.solvers.dag.state import ROUNDING, left

if TYPE_CHECKING:
    from optengine.core.solver import Control
    from optengine.problems.dag import DAGProblem

Integers = NDArray[np.int64]

ORDERS = 512  # descents at a time: some for each of a device's processors
WORTHWHILE = 50  # nodes from which `device="auto"` takes the device
SLICE = 4  # sweeps, about, of one launch: some ten milliseconds


def settle(device: str, problem: DAGProblem) -> tuple[bool, str]:
    """Whether to descend on the device, and what to tell the user.

    Raises:
        DeviceError: `device` is "cuda" and there is none, or the problem's score is searched on the CPU only.
    """
    plain = problem.local is None
    if device == "cpu" or (
        device == "auto" and (not plain or problem.n_nodes < WORTHWHILE or not cuda.available())
    ):
        return False, "cpu"
    if not plain:
        raise DeviceError(
            "device must be 'cpu' or 'auto' with a penalty or another loss than 'ls', got 'cuda': "
            "their search runs on the CPU only"
        )
    if not cuda.available():
        raise DeviceError(
            "device must be 'cpu' or 'auto' here, got 'cuda': there is no cupy with a CUDA device"
        )
    return True, "cuda"


class DeviceDescents:
    """Descends from many orders; the Gram matrix stays on the device.

    Args:
        problem: least squares on all predecessors. make: what descends, `Resident` or, in tests, `OnHost`.
    """

    def __init__(self, problem: DAGProblem, make: Callable[..., Any] = cuda.Resident) -> None:
        self._problem, self._resident = problem, make(problem.gram, problem.before)

    def best(self, orders: Integers, nodes: Integers, swaps: bool, control: Control) -> Integers:
        """The best end (d,) of descents from orders (r, d) whose sweeps visit nodes (r, d), as far as they came.

        A launch descends a slice of each, so that the run can stop between two.
        """
        found = self._problem.arrange(orders)
        values = np.full(len(found), np.inf)
        open_ = np.arange(len(found))
        d = self._problem.n_nodes
        while len(open_) and not control.stop():
            some = open_[: max(1, left(control))]  # each looks at one place at least
            limit = min(SLICE * d * d, max(1, left(control) // len(some)))
            ends, value, seen, ended = self._resident.descend(
                found[some], nodes[some], swaps, ROUNDING, int(limit)
            )
            control.spend(int(seen.sum()))
            found[some], values[some] = ends, value
            open_ = np.concatenate([some[~ended], open_[len(some) :]])
        return np.asarray(found[int(np.argmin(values))])
