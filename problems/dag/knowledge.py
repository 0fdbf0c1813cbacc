"""What is known beforehand about an order: tiers of nodes, and edges that must be there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]


def edge_list(edges: Any, d: int, name: str) -> list[tuple[int, int]]:
    """Pairs (from, to) from a list of pairs or a (d, d) boolean matrix.

    Raises:
        ProblemError: anything else; the message names `name`.
    """
    if edges is None:
        return []
    given = np.asarray(edges)
    if given.dtype == np.bool_ and given.shape == (d, d):
        pairs = np.argwhere(given)
    elif given.size == 0:
        pairs = np.empty((0, 2), dtype=np.int64)
    elif given.ndim == 2 and given.shape[1] == 2 and given.dtype.kind in "iu":
        pairs = given
    else:
        raise ProblemError(
            f"{name} must hold pairs (from, to) of nodes, or be a ({d}, {d}) matrix of booleans, got {edges!r}"
        )
    for i, j in pairs.tolist():
        if not (0 <= i < d and 0 <= j < d) or i == j:
            raise ProblemError(f"{name} must name two nodes in 0..{d - 1}, got ({i}, {j})")
    return [(int(i), int(j)) for i, j in pairs]


def tier_numbers(tiers: Sequence[Any] | None, d: int) -> Integers | None:
    """The tier (d,) of each node from a list of tiers, each a list of nodes; earlier tiers come first.

    Raises:
        ProblemError: tiers that do not hold every node once.
    """
    if tiers is None:
        return None
    try:
        nodes = [[int(node) for node in tier] for tier in tiers]
    except (TypeError, ValueError):
        raise ProblemError(f"tiers must be lists of nodes, got {tiers!r}") from None
    flat = [node for tier in nodes for node in tier]
    if sorted(flat) != list(range(d)):
        missing = sorted(set(range(d)) - set(flat))
        what = f"without {missing}" if missing else "with a node twice or unknown"
        raise ProblemError(f"tiers must hold each node 0..{d - 1} once, got tiers {what}")
    numbers = np.empty(d, dtype=np.int64)
    for number, tier in enumerate(nodes):
        numbers[tier] = number
    return numbers


def precedence(d: int, tiers: Integers | None, required: list[tuple[int, int]]) -> Bools:
    """What must stand before what, (d, d) and transitive.

    Raises:
        ProblemError: required edges that form a cycle or run against the tiers.
    """
    before = np.zeros((d, d), dtype=bool)
    for i, j in required:
        before[i, j] = True
    for k in range(d):
        before |= before[:, k : k + 1] & before[k : k + 1, :]
    if before.diagonal().any():
        cycle = np.flatnonzero(before.diagonal()).tolist()
        raise ProblemError(f"required must be acyclic, got a cycle through the nodes {cycle}")
    if tiers is not None:
        for i, j in required:
            if tiers[i] > tiers[j]:
                raise ProblemError(
                    f"required must agree with tiers, got the edge ({i}, {j}) from tier {tiers[i]} to tier {tiers[j]}"
                )
        before |= tiers[:, None] < tiers[None, :]
        for k in range(d):
            before |= before[:, k : k + 1] & before[k : k + 1, :]
    return before


def arranged(orders: Integers, before: Bools) -> Integers:
    """Orders (m, d) that obey `before`: of the nodes whose forerunners all stand, the earliest given comes next."""
    if not before.any():
        return orders
    result = np.empty_like(orders)
    for row, order in enumerate(orders):
        left = before.sum(axis=0)[order]  # forerunners still to come, by place in the given order
        table = before[np.ix_(order, order)]
        for k in range(len(order)):
            first = int(np.argmax(left == 0))
            result[row, k] = order[first]
            left = left - table[first]
            left[first] = -1
    return result
