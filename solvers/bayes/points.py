"""All points of a space that has few of them."""

from __future__ import annotations

import itertools

import numpy as np

from optengine.core.space import PERMUTATION, REAL, SIMPLEX, Batch, Space

MOST = 20_000  # points that are looked at one by one


def all_points(space: Space) -> Batch | None:
    """Return every point (n, width) that keeps the known constraints; None where there are more than `MOST`."""
    size = space.cardinality()
    if size is None or size > MOST:
        return None
    targets = dict(space.fidelity.values())
    inside = {c for b in space.blocks for c in range(b.start, b.stop)}
    axes: list[list[tuple[float, ...]]] = []
    starts = {b.start: b for b in space.blocks}
    for column in range(space.width):
        if column in starts:
            block = starts[column]
            k = block.stop - block.start
            if block.kind == PERMUTATION:
                axes.append([tuple(map(float, p)) for p in itertools.permutations(range(k))])
            elif block.kind == SIMPLEX:
                axes.append([(1.0,)])
            else:
                axes.append(
                    [
                        tuple(float(i in chosen) for i in range(k))
                        for size in range(block.size_low, block.size_high + 1)
                        for chosen in itertools.combinations(range(k), size)
                    ]
                )
        elif column not in inside:
            low, high = float(space.lower[column]), float(space.upper[column])
            if column in targets:
                axes.append([(targets[column],)])
            elif space.kind[column] == REAL or low == high:
                axes.append([(low,)])
            else:
                axes.append([(float(v),) for v in np.arange(low, high + 1)])
    X = np.array([list(itertools.chain.from_iterable(point)) for point in itertools.product(*axes)])
    X = space.canonical(X.reshape(-1, space.width)) + 0.0
    if space.conditional:
        X = np.unique(X, axis=0)
    return X[space.satisfies(X)] if space.constrained else X
