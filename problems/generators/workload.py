"""Workload apportionment of the ML4CO competition (Gasse et al., 2022, arXiv:2203.02433).

Workloads are reserved on as few workers as possible, such that any one worker may fail. Two kinds of workers and of
workloads: large and common ones fit together, and so do small and rare ones.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.problems.generators.checks import Rows, count, generator, share
from optengine.problems.milp import MILP

CAPACITY = ((0.3, 0.5), (0.1, 0.3))  # of the two kinds of workers
LOAD = ((1.0, 5.0), (5.0, 10.0))  # of the two kinds of workloads, where a kind has 500 workers
ALLOWED = ((0.1, 0.01), (0.01, 0.1))  # that a workload of one kind may run on a worker of another
WORKERS = 500.0  # of each kind, in the published instances


def workload_apportionment(
    rng: Generator | int,
    n_workloads: tuple[int, int] = (50, 10),
    n_workers: tuple[int, int] = (500, 500),
    *,
    scale: float | None = None,
    keep_fixed: bool = False,
    name: str | None = None,
) -> MILP:
    """A random workload apportionment problem; minimise the number of used workers.

    Variables: used[t] binary, worker by worker, then reserved[s, t] >= 0 of the allowed pairs, workload by workload.
    A workload keeps its load after the failure of any one of its workers. The defaults give the published instances
    (61 000 variables and about 64 300 rows with the pairs that are fixed to 0, and about 4 300 variables without them).

    Args:
        rng: random numbers, or a seed.
        n_workloads: of the two kinds.
        n_workers: of the two kinds.
        scale: factor of all loads, and 1 / scale that of the probabilities of allowed pairs, which keeps smaller
            instances feasible and not trivial; None is the number of workers of the first kind over 500.
        keep_fixed: keep the pairs that are not allowed, as variables fixed to 0, as the published files do.
        name: of the instance.

    Raises:
        ProblemError: a value outside its range.
    """
    rng = generator(rng)
    loads_of, workers_of = _pair(n_workloads, "n_workloads"), _pair(n_workers, "n_workers")
    factor = workers_of[0] / WORKERS if scale is None else share(scale, "scale", np.inf)
    load, kind_s = _draw(rng, loads_of, LOAD)
    load *= factor
    capacity, kind_t = _draw(rng, workers_of, CAPACITY)
    n_s, n_t = len(load), len(capacity)
    chance = np.asarray(ALLOWED)[np.ix_(kind_s, kind_t)] / factor
    allowed = rng.random((n_s, n_t)) < chance
    # After the failure of its largest worker the others must be able to carry a workload.
    for s in range(n_s):
        while _rest(capacity, allowed[s]) < load[s] and not allowed[s].all():
            allowed[s, rng.choice(np.flatnonzero(~allowed[s]))] = True

    pair_s, pair_t = np.nonzero(np.ones_like(allowed) if keep_fixed else allowed)
    pairs = n_t + np.arange(len(pair_s))
    free = allowed[pair_s, pair_t]
    each = np.arange(len(pair_s))
    rows = Rows()
    most = np.maximum(capacity[pair_t], load[pair_s])
    rows.block([(each, pairs, 1.0), (each, pair_t, -most)], len(each), upper=0.0)
    rows.block([(pair_t, pairs, 1.0)], n_t, upper=capacity)
    _failures(rows, pair_s[free], pairs[free], load)
    n = n_t + len(pairs)
    A, lower, upper = rows.matrix(n)
    high = np.concatenate([np.ones(n_t), np.where(free, np.inf, 0.0)])
    return MILP(
        np.concatenate([np.ones(n_t), np.zeros(len(pairs))]),
        A,
        lower=lower,
        upper=upper,
        bounds=np.column_stack([np.zeros(n), high]),
        integrality=np.arange(n) < n_t,
        name=name or f"workload-{n_s}x{n_t}",
    )


def _failures(
    rows: Rows, workload: NDArray[np.int64], column: NDArray[np.int64], load: NDArray[np.float64]
) -> None:
    """One row for each allowed pair (s, t): what s has on its other workers is at least its load."""
    for s in range(len(load)):
        own = column[workload == s]
        k = len(own)
        if k:
            others = ~np.eye(k, dtype=bool)
            i, j = np.nonzero(others)
            rows.block([(i, own[j], 1.0)], k, lower=load[s])


def _rest(capacity: NDArray[np.float64], allowed: NDArray[np.bool_]) -> float:
    mine = capacity[allowed]
    return float(mine.sum() - mine.max()) if len(mine) else 0.0


def _pair(value: tuple[int, int], name: str) -> tuple[int, int]:
    first, second = value
    return count(first, f"{name}[0]"), count(second, f"{name}[1]", 0)


def _draw(
    rng: Generator, sizes: tuple[int, int], ranges: tuple[tuple[float, float], ...]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    values = np.concatenate([rng.uniform(*r, size) for size, r in zip(sizes, ranges, strict=True)])
    return values, np.repeat(np.arange(2), sizes)
