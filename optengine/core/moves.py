"""One random step in any space: what `Space.neighbours` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.variables import CATEGORICAL, PERMUTATION, REAL, SIMPLEX

if TYPE_CHECKING:
    from optengine.core.columns import Block
    from optengine.core.space import Space

Floats = NDArray[np.float64]


def neighbours(space: Space, X: Floats, rng: Generator, scale: float) -> Floats:
    """Change one active element of each row: a number by a normal step of `scale` in the unit cube (integers and
    levels by at least one), a category to another, a permutation by a swap, a subset by a flip or an exchange, a
    simplex by moving mass between two shares. O(n * width).
    """
    Y = np.array(X, dtype=np.float64)
    starts = np.array([block.start for block in space.blocks], dtype=np.int64)
    blocked = np.zeros(space.width, dtype=bool)
    for block in space.blocks:
        blocked[block.start : block.stop] = True
    sites = np.concatenate([np.flatnonzero(~blocked & (space.lower < space.upper)), starts])
    open_sites = space.active(X)[:, sites]
    weight = rng.random((len(X), len(sites))) * open_sites
    chosen = np.argmax(weight, axis=1) if len(sites) else np.empty(0, dtype=np.int64)
    for site in np.unique(chosen):
        rows = np.flatnonzero((chosen == site) & open_sites[:, site])
        column = int(sites[site])
        if blocked[column]:
            block = space.blocks[int(np.flatnonzero(starts == column)[0])]
            for i in rows:
                _step_block(block, Y[i, block.start : block.stop], rng, scale)
        elif space.kind[column] == CATEGORICAL:
            others = rng.integers(1, space.n_levels[column], len(rows))
            Y[rows, column] = (Y[rows, column] + others) % space.n_levels[column]
        else:
            Y[rows, column] = _step_number(space, Y[rows], column, rng, scale)
    return space.canonical(Y)


def _step_number(space: Space, Y: Floats, column: int, rng: Generator, scale: float) -> Floats:
    """A normal step in the unit cube, reflected at the ends."""
    before = Y[:, column].copy()
    U = space.to_unit(Y)
    step = np.abs((U[:, column] + scale * rng.standard_normal(len(Y))) % 2.0)
    U[:, column] = np.where(step > 1.0, 2.0 - step, step)
    after = space.from_unit(U)[:, column]
    if space.kind[column] != REAL:
        up = rng.random(len(Y)) < 0.5
        up = np.where(before <= space.lower[column], True, np.where(before >= space.upper[column], False, up))
        after = np.where(after == before, before + np.where(up, 1.0, -1.0), after)
    return np.asarray(after)


def _step_block(block: Block, x: Floats, rng: Generator, scale: float) -> None:
    """Change one block in place."""
    n = len(x)
    if block.kind == PERMUTATION:
        if n > 1:
            i, j = rng.choice(n, 2, replace=False)
            x[i], x[j] = x[j], x[i]
    elif block.kind == SIMPLEX:
        if n > 1:
            i, j = rng.choice(n, 2, replace=False)
            moved = min(x[i], abs(scale * rng.standard_normal()))
            x[i], x[j] = x[i] - moved, x[j] + moved
            x /= x.sum()
    else:
        inside, outside = np.flatnonzero(x > 0.5), np.flatnonzero(x < 0.5)
        can_add = len(outside) > 0 and len(inside) < block.size_high
        can_drop = len(inside) > 0 and len(inside) > block.size_low
        can_swap = len(outside) > 0 and len(inside) > 0
        options = [
            move for move, allowed in (("add", can_add), ("drop", can_drop), ("swap", can_swap)) if allowed
        ]
        move = options[rng.integers(len(options))] if options else ""
        if move in ("drop", "swap"):
            x[rng.choice(inside)] = 0.0
        if move in ("add", "swap"):
            x[rng.choice(outside)] = 1.0
