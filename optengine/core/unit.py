"""The unit cube: every space seen as [0, 1]^width.

Numbers are scaled (logs on their logarithm), integers and levels own intervals of equal length, permutations and
subsets are read from random keys, simplex shares from exponential variates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optengine.core.variables import PERMUTATION, REAL, SIMPLEX

if TYPE_CHECKING:
    from optengine.core.columns import Block
    from optengine.core.space import Space

Floats = NDArray[np.float64]
TINY = np.finfo(np.float64).tiny
LARGEST_KEY = (
    700  # exp(-700) is still a normal number; a simplex is read from ratios, so that any factor serves
)


@dataclass(frozen=True)
class UnitMap:
    """Column groups of a space and the constants that scale them."""

    plain: bool  # every column is a real on a linear scale
    lower: Floats  # (width,)
    upper: Floats
    origin: Floats  # (width,) start of the scale: lower, its log, or half a step before the first level
    extent: Floats  # (width,) length of the scale
    log: NDArray[np.int64]  # columns on a logarithmic scale
    discrete: NDArray[np.int64]  # integers, levels, binaries outside blocks
    blocks: tuple[Block, ...]

    @staticmethod
    def of(space: Space) -> UnitMap:
        kind, blocked = space.kind, np.zeros(space.width, dtype=bool)
        for block in space.blocks:
            blocked[block.start : block.stop] = True
        discrete = (kind != REAL) & ~blocked
        log = space.log
        half = np.where(discrete, 0.5, 0.0)
        start, stop = space.lower - half, space.upper + half
        with np.errstate(invalid="ignore", divide="ignore"):
            start = np.where(log, np.log(np.where(log, start, 1.0)), start)
            stop = np.where(log, np.log(np.where(log, stop, 1.0)), stop)
        return UnitMap(
            plain=not (discrete.any() or log.any() or blocked.any()),
            lower=space.lower,
            upper=space.upper,
            origin=start,
            extent=stop - start,
            log=np.flatnonzero(log),
            discrete=np.flatnonzero(discrete),
            blocks=space.blocks,
        )

    def from_unit(self, U: Floats) -> Floats:
        """Map U (n, width) in [0, 1] to columns (n, width)."""
        X = U * self.extent
        X += self.origin
        if self.plain:
            np.maximum(X, self.lower, out=X)  # np.clip takes three times as long on small batches
            return np.minimum(X, self.upper, out=X)
        if len(self.log):
            X[:, self.log] = np.exp(X[:, self.log])
        if len(self.discrete):
            X[:, self.discrete] = np.rint(X[:, self.discrete]) + 0.0  # 0.0 in place of -0.0
        np.clip(X, self.lower, self.upper, out=X)
        for block in self.blocks:
            X[:, block.start : block.stop] = _block_from_unit(block, U[:, block.start : block.stop])
        return X

    def to_unit(self, X: Floats) -> Floats:
        """Map columns (n, width) to a point of [0, 1]^width that `from_unit` takes back to them."""
        if self.plain and self.extent.all():
            U = X - self.origin
            U /= self.extent
            np.maximum(U, 0.0, out=U)
            return np.minimum(U, 1.0, out=U)
        U = np.array(X, dtype=np.float64)
        if len(self.log):
            U[:, self.log] = np.log(np.maximum(U[:, self.log], TINY))
        U -= self.origin
        with np.errstate(invalid="ignore", divide="ignore"):
            U /= self.extent
        fixed = self.extent == 0
        if fixed.any():
            U[:, fixed] = 0.5
        np.clip(U, 0.0, 1.0, out=U)
        for block in self.blocks:
            U[:, block.start : block.stop] = _block_to_unit(block, X[:, block.start : block.stop])
        return U


def _block_from_unit(block: Block, U: Floats) -> Floats:
    n = U.shape[1]
    if block.kind == PERMUTATION:
        return np.argsort(U, axis=1, kind="stable").astype(np.float64)
    if block.kind == SIMPLEX:
        shares = -np.log(np.clip(U, TINY, 1.0))
        total = shares.sum(axis=1, keepdims=True)
        shares[(total <= 0)[:, 0]] = 1.0
        return np.asarray(shares / shares.sum(axis=1, keepdims=True)) + 0.0  # 0.0 in place of -0.0
    order = np.argsort(-U, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(n), order.shape), axis=1)
    wanted = np.clip((U >= 0.5).sum(axis=1), block.size_low, block.size_high)
    chosen: Floats = (rank < wanted[:, None]).astype(np.float64)
    return chosen


def _block_to_unit(block: Block, X: Floats) -> Floats:
    n = X.shape[1]
    if block.kind == PERMUTATION:
        U = np.empty_like(X)
        keys = np.broadcast_to((np.arange(n) + 0.5) / n, X.shape)
        np.put_along_axis(U, X.astype(np.int64), keys, axis=1)
        return U
    if block.kind == SIMPLEX:
        return np.asarray(np.exp(-min(n, LARGEST_KEY) * X))
    return np.where(X >= 0.5, 0.75, 0.25)
