"""Which columns of a space its rows and cardinalities couple, and the parts that they fall into."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from optengine.backends.parts import Part
from optengine.core.space import PERMUTATION, REAL, SIMPLEX, SUBSET, Block, Cardinality, Space

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]


class Layout:
    """Coupled columns, the fixed ones among them, and how a part is cut out.

    Args:
        space: the space.
        rows, cardinalities: which of them count, for the search of a conflict; default all.
    """

    def __init__(self, space: Space, rows: Mask | None = None, cardinalities: Mask | None = None) -> None:
        self.space = space
        keep = np.ones(len(space.row_lower), dtype=bool) if rows is None else rows
        self._A, self._lower, self._upper = space.A[keep], space.row_lower[keep], space.row_upper[keep]
        chosen = np.ones(len(space.cardinalities), dtype=bool) if cardinalities is None else cardinalities
        self._cards = [card for card, use in zip(space.cardinalities, chosen, strict=True) if use]
        self._fixed = np.zeros(space.width, dtype=bool)
        self._fixed[space.parents] = True
        self._coupled = (self._A != 0).any(axis=0)
        for columns, _, _ in self._cards:
            self._coupled[columns] = True
        self._blocks = [b for b in space.blocks if self._coupled[b.start : b.stop].any()]
        for block in self._blocks:
            self._coupled[block.start : block.stop] = True
        self._whole = ~np.isin(space.kind, (REAL, SIMPLEX))

    @property
    def names(self) -> list[str]:
        """Names of the rows, then of the cardinalities."""
        cards = [item for item in self.space.rows if isinstance(item, Cardinality)]
        return [*self.space.row_names, *(card.name or f"cardinality {i}" for i, card in enumerate(cards))]

    def counts(self, column: int) -> bool:
        """Whether any row or cardinality counts the column."""
        return bool(self._coupled[column])

    def key(self, row: Floats) -> bytes:
        """Rows with the same key belong to the same part."""
        if not self.space.conditional:
            return b""
        active = self.space.active(row[None, :])[0]
        return bytes(np.packbits(active)) + bytes(row[self._fixed].tobytes())

    def groups(self, X: Floats, members: Indices) -> Iterator[Indices]:
        """Split the rows `members` of X by part."""
        if not len(members):
            return
        if not self.space.conditional:
            yield members
            return
        keys: dict[bytes, list[int]] = {}
        for i in members:
            keys.setdefault(self.key(X[i]), []).append(int(i))
        for same in keys.values():
            yield np.array(same, dtype=np.int64)

    def columns(self, row: Floats) -> Indices:
        """The columns of the row's part: coupled, active, and not fixed."""
        mask = self._coupled & ~self._fixed
        if self.space.conditional:
            mask = mask & self.space.active(row[None, :])[0]
        return np.flatnonzero(mask)

    def part(self, row: Floats) -> Part:
        """Cut out the part of a row (width,)."""
        space, columns = self.space, self.columns(row)
        active = space.active(row[None, :])[0]
        fixed = np.flatnonzero(self._fixed & active)
        local = np.full(space.width, -1, dtype=np.int64)
        local[columns] = np.arange(len(columns))
        shift = self._A[:, fixed] @ row[fixed]
        A, lower, upper = [self._A[:, columns]], [self._lower - shift], [self._upper - shift]
        cards = []
        extra = [
            self._block_row(block, local, len(columns)) for block in self._blocks if local[block.start] >= 0
        ]
        for card, least, most in self._cards:
            own = local[card][local[card] >= 0]
            outside = int(np.count_nonzero(row[np.intersect1d(card, fixed)]))
            least, most = least - outside, most - outside
            binary = (
                self._whole[columns[own]]
                & (space.lower[columns[own]] == 0)
                & (space.upper[columns[own]] == 1)
            )
            if binary.all():
                ones = np.zeros(len(columns))
                ones[own] = 1.0
                extra.append((ones, float(least), float(most)))
            else:
                cards.append((own, least, most))
        if extra:
            A.append(np.array([e[0] for e in extra]).reshape(-1, len(columns)))
            lower.append(np.array([e[1] for e in extra]))
            upper.append(np.array([e[2] for e in extra]))
        rows, low, high = np.vstack(A), np.concatenate(lower), np.concatenate(upper)
        empty = ~(rows != 0).any(axis=1)
        slack = 1e-9 * np.maximum(1.0, np.abs(np.concatenate([shift, np.zeros(len(low) - len(shift))])))
        impossible = bool((empty & ((low > slack) | (high < -slack))).any())
        impossible |= any(most < 0 or least > len(own) for own, least, most in cards)
        return Part(
            np.ascontiguousarray(rows[~empty]),
            low[~empty],
            high[~empty],
            space.lower[columns],
            space.upper[columns],
            self._whole[columns],
            space.log[columns] & ~self._whole[columns],
            tuple(cards),
            impossible,
        )

    @staticmethod
    def _block_row(block: Block, local: Indices, width: int) -> tuple[Floats, float, float]:
        """The sum of a simplex is 1, that of a subset its size."""
        ones = np.zeros(width)
        ones[local[block.start : block.stop]] = 1.0
        if block.kind == SIMPLEX:
            return ones, 1.0, 1.0
        return ones, float(block.size_low), float(block.size_high)

    def tidy(self, X: Floats) -> Floats:
        """Return a copy of X inside box and structure as far as rows do not couple it; inactive columns canonical."""
        space = self.space
        X = np.clip(X, space.lower, space.upper)
        X[:, self._whole] = np.rint(X[:, self._whole])
        for block in space.blocks:
            if block.kind == PERMUTATION or not self._coupled[block.start]:
                _tidy_block(block, X[:, block.start : block.stop])
        return np.ascontiguousarray(space.canonical(X))


def _tidy_block(block: Block, X: Floats) -> None:
    """Give each row of a block its structure, in place: nearest shares, ranks, the largest members."""
    n = X.shape[1]
    if block.kind == PERMUTATION:
        bad = (np.sort(X, axis=1) != np.arange(n)).any(axis=1)
        X[bad] = np.argsort(np.argsort(X[bad], axis=1, kind="stable"), axis=1, kind="stable")
    elif block.kind == SIMPLEX:
        bad = np.abs(X.sum(axis=1) - 1.0) > 1e-12 * n
        X[bad] = _nearest_shares(X[bad])
    elif block.kind == SUBSET:
        total = X.sum(axis=1)
        wanted = np.clip(total, block.size_low, block.size_high)
        bad = total != wanted
        rank = np.argsort(np.argsort(-X[bad], axis=1, kind="stable"), axis=1, kind="stable")
        X[bad] = rank < wanted[bad, None]


def _nearest_shares(X: Floats) -> Floats:
    """Project rows (n, d) on the simplex (Held, Wolfe & Crowder, Math. Programming 6, 1974)."""
    ordered = -np.sort(-X, axis=1)
    excess = (np.cumsum(ordered, axis=1) - 1.0) / np.arange(1, X.shape[1] + 1)
    last = np.maximum((ordered > excess).sum(axis=1) - 1, 0)
    shares = np.maximum(X - np.take_along_axis(excess, last[:, None], axis=1), 0.0)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
