"""Tabu walks of many starts at once on the GPU, for QUBO, MaxCut and QAP: rounds of walks from the best ends.

The walks are those of the CPU, bit for bit; starts are far more and rounds of equal length for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import DeviceError
from optengine.core.solver import Control
from optengine.kernels import walks_cuda
from optengine.solvers.combinatorial.pieces import Pieces, Pool

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STARTS = 1024  # walks at a time: fewer leave processors idle
WORTHWHILE = 64  # bits or facilities from which `device="auto"` takes the device
STEP_SECONDS = 10e-6  # of one step of all walks
KEPT = 10  # ends of a round that are offered to the elite points


class Walks(Protocol):
    """What `walks_cuda` offers, once it is begun."""

    def advance(self, steps: int) -> Floats: ...

    def best(self, s: Any) -> Integers: ...


def settle(device: str, size: int, fits: str | None) -> bool:
    """Whether to search on the device.

    Args:
        device: "auto", "cpu" or "cuda". size: bits or facilities. fits: why the kernel cannot take the data, or None.

    Raises:
        DeviceError: "cuda" where there is none, or where the data do not fit.
    """
    if device == "cpu":
        return False
    if device == "cuda":
        if fits is not None:
            raise DeviceError(f"device must be 'cpu' or 'auto' here, got 'cuda': {fits}")
        if not walks_cuda.available():
            raise DeviceError(
                "device must be 'cpu' or 'auto' here, got 'cuda': there is no cupy with a CUDA device"
            )
        return True
    return fits is None and size >= WORTHWHILE and walks_cuda.available()


def search(
    control: Control,
    rng: Generator,
    begin: Callable[[Integers, Integers], Walks],
    values: Callable[[Integers], Floats],
    next_start: Callable[[], Integers],
    pools: tuple[Pool, Pool],
    *,
    cost: int,
    steps: int,
    starts: int = STARTS,
) -> int:
    """Rounds of `starts` walks of `steps` steps until told to stop; returns the number of rounds.

    Args:
        begin: starts walks at the rows of an array, with a seed each. values: minimised values of rows.
        next_start: a start made of the elite points. pools: elite points, and good points for the user.
        cost: evaluations of one step of one walk.
    """
    elites, pool = pools
    pieces = Pieces(control, cost * starts, STEP_SECONDS)
    given = [] if control.x0 is None else list(np.rint(control.x0).astype(np.int64))
    record, n_rounds = np.inf, 0
    while True:
        X = np.array([given.pop() if given else next_start() for _ in range(starts)])
        at, left = values(X), steps
        found = at
        walks = begin(X, rng.integers(0, 2**31, starts))
        n_rounds += 1
        while left:
            taken = pieces.steps(left)
            if not taken:
                return n_rounds
            found = at - walks.advance(taken)[:, 1]
            pieces.took(taken)
            left -= taken
            first = int(np.argmin(found))
            if found[first] < record:
                record = float(found[first])
                control.incumbent(walks.best(first).astype(np.float64))
        order = np.argsort(found, kind="stable")[:KEPT]
        for x, value in zip(walks.best(order), found[order], strict=True):
            elites.add(x, float(value))
            pool.add(x, float(value))
