"""Choosing places: the p-median problem and capacitated facility location (Cornuejols, Sridharan, Thizy, 1991)."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.problems.generators.checks import Rows, count, generator, share
from optengine.problems.milp import MILP

Floats = NDArray[np.float64]


def p_median(
    rng: Generator | int, n: int = 60, p: int = 6, *, neighbours: int | None = None, name: str | None = None
) -> MILP:
    """Open p of n random points of the unit square such that all are near to an open one; minimise the distances.

    Variables: open[i] binary, then serve[j, i] binary, client by client, nearest first.

    Args:
        rng: random numbers, or a seed.
        n: points, each a client and a possible place.
        p: places to open.
        neighbours: a client is served by one of its nearest so many places; None is all. At least n - p + 1 keep
            every choice of places possible, fewer make a smaller model that may lose the optimum.
        name: of the instance.

    Raises:
        ProblemError: a value outside its range.
    """
    rng, n = generator(rng), count(n, "n", 2)
    if count(p, "p") > n:
        raise ProblemError(f"p must be at most n = {n}, got {p}")
    k = n if neighbours is None else min(n, count(neighbours, "neighbours"))
    points = rng.random((n, 2))
    distance = np.hypot(*(points[:, np.newaxis] - points).transpose(2, 0, 1))
    near = np.argsort(distance, axis=1, kind="stable")[:, :k]  # (n, k)
    serve = n + np.arange(n * k).reshape(n, k)
    pair = np.arange(n * k).reshape(n, k)
    rows = Rows()
    rows.block([(np.arange(n)[:, np.newaxis], serve, 1.0)], n, lower=1.0, upper=1.0)
    rows.block([(pair, serve, 1.0), (pair, near, -1.0)], n * k, upper=0.0)
    rows.block([(0, np.arange(n), 1.0)], 1, lower=p, upper=p)
    A, lower, upper = rows.matrix(n + n * k)
    cost = np.concatenate([np.zeros(n), np.take_along_axis(distance, near, axis=1).ravel()])
    return MILP(
        cost, A, lower=lower, upper=upper, bounds=(0, 1), integrality=1, name=name or f"p_median-{n}-{p}"
    )


def capacitated_facility_location(
    rng: Generator | int,
    n_customers: int = 100,
    n_facilities: int = 100,
    *,
    ratio: float = 5.0,
    name: str | None = None,
) -> MILP:
    """Open facilities and carry demands from them; minimise the fixed and the carrying costs.

    Demands U{5 ... 35}, capacities U{10 ... 160} scaled to `ratio` times the demand, fixed costs
    U{100 ... 110} sqrt(capacity) + U{0 ... 90}, carrying costs 10 * distance * demand: as Cornuejols et al. and Ecole.
    Variables: open[i] binary, then the shares[c, i] >= 0 of customer c's demand, customer by customer.

    Args:
        rng: random numbers, or a seed.
        n_customers, n_facilities: size; points of the unit square.
        ratio: all capacities over all demands, > 1; 5 makes the published instances.
        name: of the instance.

    Raises:
        ProblemError: a value outside its range.
    """
    rng, m, n = generator(rng), count(n_customers, "n_customers"), count(n_facilities, "n_facilities")
    if share(ratio, "ratio", np.inf) <= 1:
        raise ProblemError(f"ratio must be > 1, got {ratio!r}")
    customers, facilities = rng.random((m, 2)), rng.random((n, 2))
    demand = rng.integers(5, 36, m).astype(np.float64)
    capacity = rng.integers(10, 161, n).astype(np.float64)
    fixed = rng.integers(100, 111, n) * np.sqrt(capacity) + rng.integers(0, 91, n)
    capacity = np.ceil(capacity * ratio * demand.sum() / capacity.sum())
    distance = np.hypot(*(customers[:, np.newaxis] - facilities).transpose(2, 0, 1))  # (m, n)
    carry = 10.0 * distance * demand[:, np.newaxis]

    flow = n + np.arange(m * n).reshape(m, n)
    each, pair = np.arange(m)[:, np.newaxis], np.arange(m * n).reshape(m, n)
    place = np.arange(n)[np.newaxis]
    rows = Rows()
    rows.block([(each, flow, 1.0)], m, lower=1.0)
    rows.block([(place, flow, demand[:, np.newaxis]), (place, place, -capacity)], n, upper=0.0)
    rows.block([(0, place, capacity)], 1, lower=demand.sum())
    rows.block([(pair, flow, 1.0), (pair, place, -1.0)], m * n, upper=0.0)  # tightens the relaxation
    A, lower, upper = rows.matrix(n + m * n)
    return MILP(
        np.concatenate([fixed, carry.ravel()]),
        A,
        lower=lower,
        upper=upper,
        bounds=(0, 1),
        integrality=np.arange(n + m * n) < n,
        name=name or f"facilities-{m}x{n}",
    )
