"""How much of a function's variance comes from which variable: Sobol indices.

Sobol, Math. Comput. Simul. 55, 2001, doi:10.1016/S0378-4754(00)00270-6; the estimators and the design of Saltelli et
al., Comput. Phys. Commun. 181, 2010, doi:10.1016/j.cpc.2009.09.018.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import Batch, Space

Floats = NDArray[np.float64]


def parts(space: Space) -> dict[str, slice]:
    """Return the columns of what varies on its own, by name: single columns, and whole permutations, subsets, shares.

    Columns of one value and fidelities are left out.
    """
    found: dict[str, slice] = {}
    names, blocks = space.column_names(), {block.start: block for block in space.blocks}
    fixed = {column for column, _ in space.fidelity.values()}
    column = 0
    while column < space.width:
        block = blocks.get(column)
        stop = column + 1 if block is None else block.stop
        varies = space.lower[column] < space.upper[column] if block is None else block.stop - block.start > 1
        if varies and column not in fixed:
            found[names[column] if block is None else _block_name(space, column)] = slice(column, stop)
        column = stop
    return found


def _block_name(space: Space, column: int) -> str:
    """`tour`, or `tour[1]` for the second of an array of permutations."""
    name = next(n for n, columns in space.slices.items() if columns.start <= column < columns.stop)
    variable, first = space.variables[name], space.slices[name].start
    if not variable.shape:
        return name
    return f"{name}[{(column - first) // variable.columns_each}]"


def sobol_indices(
    function: Callable[[Batch], Floats], space: Space, n: int = 1024, seed: int = 0
) -> tuple[list[str], Floats, Floats]:
    """Return names, first-order and total indices (k,) of a deterministic function over a space.

    Points are uniform on box and structure: known rows and predicates are not looked at. Columns that do not count in a
    point have no effect there. Total indices add up to 1 or more, first-order ones to 1 or less, up to the sampling
    error of about 1 / sqrt(n).

    Args:
        function: of a batch (m, width), returns (m,); called k + 2 times with n points.
        space: where it lives. n: a power of two. seed: of the scrambled points.
    """
    from scipy.stats.qmc import Sobol  # slow to import

    columns, d = parts(space), space.width
    U = Sobol(2 * d, scramble=True, rng=np.random.default_rng(seed)).random(n)
    A, B = U[:, :d], U[:, d:]

    def at(points: Floats) -> Floats:
        X = space.from_unit(points)
        for column, target in space.fidelity.values():
            X[:, column] = target
        return np.asarray(function(X), dtype=np.float64)

    f_a, f_b = at(A), at(B)
    variance = float(np.concatenate([f_a, f_b]).var())
    first, total = np.zeros(len(columns)), np.zeros(len(columns))
    size = max(float(np.abs(f_a).max()), 1e-300)
    if not variance > (1e-12 * size) ** 2:  # a constant
        return list(columns), first, total
    centre = 0.5 * (f_a.mean() + f_b.mean())
    for i, part in enumerate(columns.values()):
        mixed = A.copy()
        mixed[:, part] = B[:, part]
        f_mixed = at(mixed)
        first[i] = np.mean((f_b - centre) * (f_mixed - f_a)) / variance
        total[i] = 0.5 * np.mean((f_a - f_mixed) ** 2) / variance
    return list(columns), np.clip(first, 0.0, 1.0), total
