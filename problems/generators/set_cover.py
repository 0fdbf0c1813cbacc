"""Set covering as Balas and Ho (1980) draw it, in the form of the Ecole library and of Gasse et al. (arXiv:1906.01629).

Minimise the cost of the chosen columns such that every row is covered by at least one.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.problems.generators.checks import count, generator, share
from optengine.problems.milp import MILP

Integers = NDArray[np.int64]


def set_cover(
    rng: Generator | int,
    n_rows: int = 500,
    n_columns: int = 1000,
    *,
    density: float = 0.05,
    max_cost: int = 100,
    name: str | None = None,
) -> MILP:
    """A random set covering problem.

    Every column covers at least two rows, every row lies in at least one column, and exactly
    int(n_rows * n_columns * density) entries are one.

    Args:
        rng: random numbers, or a seed.
        n_rows: to be covered.
        n_columns: to choose from.
        density: share of ones.
        max_cost: costs are whole, uniform on 1 ... max_cost.
        name: of the instance.

    Raises:
        ProblemError: a value outside its range, or a density that leaves columns with fewer than two rows.
    """
    rng, n_rows, n_columns = generator(rng), count(n_rows, "n_rows", 2), count(n_columns, "n_columns")
    n_entries = int(n_rows * n_columns * share(density, "density"))
    if n_entries < max(n_rows, 2 * n_columns):
        raise ProblemError(
            f"density must give every column two rows and every row a column, which takes "
            f"{max(n_rows, 2 * n_columns)} entries, got {density!r}, which gives {n_entries}"
        )
    columns, rows = _entries(rng, n_rows, n_columns, n_entries)
    from scipy.sparse import coo_array

    A = coo_array((np.ones(n_entries), (rows, columns)), shape=(n_rows, n_columns)).tocsr()
    cost = rng.integers(1, count(max_cost, "max_cost") + 1, n_columns).astype(np.float64)
    return MILP(
        cost,
        A,
        lower=np.ones(n_rows),
        bounds=(0, 1),
        integrality=1,
        name=name or f"set_cover-{n_rows}x{n_columns}",
    )


def _entries(rng: Generator, n_rows: int, n_columns: int, n_entries: int) -> tuple[Integers, Integers]:
    """Columns and rows (n_entries,) of the ones, column by column."""
    slots = rng.integers(0, n_columns, n_entries)
    slots[: 2 * n_columns] = np.repeat(np.arange(n_columns), 2)  # every column has two rows at least
    # A column cannot hold more than all rows: what is over goes to columns with room.
    sizes = np.bincount(slots, minlength=n_columns)
    while (over := np.maximum(sizes - n_rows, 0)).sum():
        sizes -= over
        room = np.flatnonzero(sizes < n_rows)
        np.add.at(sizes, rng.choice(room, int(over.sum())), 1)
    rows = np.empty(n_entries, dtype=np.int64)
    rows[:n_rows] = rng.permutation(n_rows)  # the first n_rows slots hold each row once
    start = 0
    for size in sizes.tolist():
        end = start + size
        if start >= n_rows:
            rows[start:end] = rng.choice(n_rows, size, replace=False)
        elif end > n_rows:
            rest = np.setdiff1d(np.arange(n_rows), rows[start:n_rows], assume_unique=True)
            rows[n_rows:end] = rng.choice(rest, end - n_rows, replace=False)
        start = end
    return np.repeat(np.arange(n_columns), sizes), rows
