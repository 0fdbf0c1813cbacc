"""Item placement of the ML4CO competition (Gasse et al., 2022, arXiv:2203.02433).

Items that need several resources are spread over bins so that the bins are used evenly; minimise the deficits.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from optengine.problems.generators.checks import Rows, count, generator
from optengine.problems.milp import MILP

SMALL, BIG = (0.0, 0.1), (0.9, 1.0)  # ranges of the demands, the same for every resource
SLACK = 2.0  # capacity of a bin in units of its even share


def item_placement(
    rng: Generator | int,
    n_bins: int = 10,
    n_small: int = 100,
    n_big: int = 5,
    n_resources: int = 3,
    *,
    name: str | None = None,
) -> MILP:
    """A random item placement problem; the defaults give the published 195 rows and 1083 variables, 1050 binary.

    Variables: place[i, b] binary, item by item; deficit[b, r] in [0, 1], bin by bin; worst[r] in [0, 1].
    Minimise 10 * bins * resources * sum_r worst[r] + sum deficit, where deficit[b, r] is what bin b lacks to an even
    share of resource r, relative to it.

    Args:
        rng: random numbers, or a seed.
        n_bins: that items go into.
        n_small, n_big: items with demands U(0, 0.1) and U(0.9, 1) of every resource.
        n_resources: of the bins.
        name: of the instance.

    Raises:
        ProblemError: a value outside its range.
    """
    rng, bins, r = generator(rng), count(n_bins, "n_bins", 2), count(n_resources, "n_resources")
    small, big = count(n_small, "n_small", 0), count(n_big, "n_big", 0)
    items = count(small + big, "n_small + n_big")
    demand = np.vstack([rng.uniform(*SMALL, (small, r)), rng.uniform(*BIG, (big, r))])  # (items, r)
    demand = demand[rng.permutation(items)]
    total = demand.sum(axis=0)

    place = np.arange(items * bins).reshape(items, bins)
    deficit = items * bins + np.arange(bins * r).reshape(bins, r)
    worst = items * bins + bins * r + np.arange(r)
    # One row for each bin and resource, in the order of `deficit`.
    cell = np.arange(bins * r).reshape(bins, r)
    row, column = cell[np.newaxis], place[:, :, np.newaxis]  # entries (items, bins, r)
    need = demand[:, np.newaxis, :]

    rows = Rows()
    rows.block([(np.arange(items)[:, np.newaxis], place, 1.0)], items, lower=1.0, upper=1.0)
    rows.block([(row, column, need)], bins * r, upper=np.tile(SLACK * total / bins, bins))
    rows.block([(row, column, need * bins / total), (cell, deficit, 1.0)], bins * r, lower=1.0)
    rows.block([(cell, worst[np.newaxis], 1.0), (cell, deficit, -1.0)], bins * r, lower=0.0)
    n = items * bins + bins * r + r
    A, lower, upper = rows.matrix(n)
    cost = np.zeros(n)
    cost[deficit], cost[worst] = 1.0, 10.0 * bins * r
    whole = np.arange(n) < items * bins
    return MILP(
        cost,
        A,
        lower=lower,
        upper=upper,
        bounds=(0, 1),
        integrality=whole,
        name=name or f"item_placement-{items}x{bins}x{r}",
    )
