"""Where the nodes of a directed acyclic graph are drawn: in layers, every edge pointing down.

Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system structures, 1981: a node stands one
layer below the lowest of its parents, long edges get a bend in every layer that they cross, and each layer is sorted
again and again by the mean place of its neighbours.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SWEEPS = 12  # up and down; more change nothing that one sees
BEND = 0.5  # room that the bend of an edge takes, in units of a node's


class Layout:
    """Places of nodes and bends.

    Attributes:
        points: (d, 2) places of the nodes, one unit a layer. paths: of each edge (i, j), points (k, 2) from i to j.
        low, high: (2,) corners of the nodes and bends.
    """

    def __init__(self, edges: Bools) -> None:
        d = len(edges)
        layer = layers(edges)
        self._layer = list(layer)
        self._down: list[list[int]] = [[] for _ in range(d)]
        chains: dict[tuple[int, int], list[int]] = {}
        for i, j in np.argwhere(edges).tolist():
            chain = [i]
            for level in range(layer[i] + 1, layer[j]):
                chain.append(len(self._layer))
                self._layer.append(level)
                self._down.append([])
            chain.append(j)
            chains[i, j] = chain
            for a, b in pairwise(chain):
                self._down[a].append(b)
        self._up: list[list[int]] = [[] for _ in self._layer]
        for a, below in enumerate(self._down):
            for b in below:
                self._up[b].append(a)
        self._room = np.array([1.0] * d + [BEND] * (len(self._layer) - d))
        x = self._across(d)
        places = np.column_stack([x, -np.array(self._layer, dtype=np.float64)])
        self.points: Floats = places[:d]
        self.low, self.high = places.min(axis=0), places.max(axis=0)
        self.paths = {edge: places[chain] for edge, chain in chains.items()}

    def _across(self, d: int) -> Floats:
        """Places from left to right of nodes and bends."""
        rows = [
            [v for v in range(len(self._layer)) if self._layer[v] == level]
            for level in range(max(self._layer) + 1)
        ]
        x = np.zeros(len(self._layer))
        for row in rows:
            x[row] = self._spread(row, np.arange(len(row), dtype=np.float64))
        for sweep in range(SWEEPS):
            downwards = sweep % 2 == 0
            near = self._up if downwards else self._down
            for row in rows if downwards else rows[::-1]:
                wish = np.array([np.mean(x[near[v]]) if near[v] else x[v] for v in row])
                rank = np.argsort(wish, kind="stable")
                row[:] = [row[k] for k in rank]
                x[row] = self._spread(row, wish[rank])
        return x

    def _spread(self, row: list[int], wish: Floats) -> Floats:
        """The places nearest to those wished for, in their order and with room between them (pooled violators)."""
        room = self._room[row]
        offset = np.concatenate([[0.0], np.cumsum((room[1:] + room[:-1]) / 2)])
        means: list[float] = []
        sizes: list[int] = []
        for value in (wish - offset).tolist():
            means.append(value)
            sizes.append(1)
            while len(means) > 1 and means[-2] > means[-1]:
                size = sizes[-2] + sizes[-1]
                means[-2:] = [(means[-2] * sizes[-2] + means[-1] * sizes[-1]) / size]
                sizes[-2:] = [size]
        return np.asarray(np.repeat(means, sizes) + offset)


def layers(edges: Bools) -> list[int]:
    """Layer of each node, from 0: one below the lowest of its parents; of an acyclic graph (d, d)."""
    level = np.zeros(len(edges), dtype=np.int64)
    for _ in range(len(edges)):
        new = np.where(edges, level[:, None] + 1, 0).max(axis=0)
        if np.array_equal(new, level):
            break
        level = new
    return [int(value) for value in level]
