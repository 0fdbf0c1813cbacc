"""Generalised assignment: jobs to machines with limited time (classes A to D of Chu and Beasley, 1997)."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from optengine.core.errors import ProblemError
from optengine.problems.generators.checks import Rows, count, generator
from optengine.problems.milp import MILP

KINDS = ("A", "B", "C", "D")


def generalized_assignment(
    rng: Generator | int, n_machines: int = 10, n_jobs: int = 100, *, kind: str = "D", name: str | None = None
) -> MILP:
    """Give each job to one machine; minimise the costs.

    Variables: give[i, j] binary, machine by machine. Times U{5 ... 25} and costs U{10 ... 50}; capacities of class A
    are 0.6 n 15 / m + 0.4 R with R the largest load when every job goes to its cheapest machine, of B 0.7 of that, of C
    0.8 sum of times / m. Class D: times U{1 ... 100}, costs 111 - time + U{-10 ... 10}, capacities as C.

    Args:
        rng: random numbers, or a seed.
        n_machines, n_jobs: m and n.
        kind: "A", "B", "C" or "D", from easy to hard.
        name: of the instance.

    Raises:
        ProblemError: a value outside its range.
    """
    rng, m, n = generator(rng), count(n_machines, "n_machines", 2), count(n_jobs, "n_jobs")
    if kind not in KINDS:
        raise ProblemError(f"kind must be one of {list(KINDS)}, got {kind!r}")
    if kind == "D":
        time = rng.integers(1, 101, (m, n)).astype(np.float64)
        cost = 111.0 - time + rng.integers(-10, 11, (m, n))
    else:
        time = rng.integers(5, 26, (m, n)).astype(np.float64)
        cost = rng.integers(10, 51, (m, n)).astype(np.float64)
    if kind in "AB":
        cheapest = cost.argmin(axis=0)
        load = np.bincount(cheapest, time[cheapest, np.arange(n)], minlength=m).max()
        capacity = np.full(m, (0.6 * n * 15.0 / m + 0.4 * load) * (1.0 if kind == "A" else 0.7))
    else:
        capacity = 0.8 * time.sum(axis=1) / m
    capacity = np.ceil(capacity)
    give = np.arange(m * n).reshape(m, n)
    rows = Rows()
    rows.block([(np.arange(n)[np.newaxis], give, 1.0)], n, lower=1.0, upper=1.0)
    rows.block([(np.arange(m)[:, np.newaxis], give, time)], m, upper=capacity)
    A, lower, upper = rows.matrix(m * n)
    return MILP(
        cost.ravel(),
        A,
        lower=lower,
        upper=upper,
        bounds=(0, 1),
        integrality=1,
        name=name or f"gap-{kind}-{m}x{n}",
    )
