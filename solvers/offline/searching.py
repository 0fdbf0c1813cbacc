"""Searches of a model: climbing by its gradient, substitution in discrete spaces, and every point of small ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import BINARY, CATEGORICAL, INTEGER, ORDINAL, REAL, Batch, Space

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Score = Callable[[Batch], Floats]

ENUMERABLE = 2**17  # points of a space that are all looked at
MOST_CHILDREN = 2048  # of one generation of substitutions
CHUNK = 4096  # rows predicted together


@dataclass
class Pool:
    """Points proposed by searches, and by which.

    Attributes:
        X: (m, width). member: (m,) names.
    """

    X: Batch
    member: list[str]

    @staticmethod
    def join(pools: Sequence[Pool]) -> Pool:
        return Pool(np.concatenate([p.X for p in pools]), [name for p in pools for name in p.member])


def in_chunks(score: Score, X: Batch, stop: Callable[[], bool] = lambda: False) -> Floats:
    """Return scores (m,) of X, some rows at a time; -inf for those left when told to stop."""
    values = np.full(len(X), -np.inf)
    for start in range(0, len(X), CHUNK):
        if stop():
            break
        values[start : start + CHUNK] = score(X[start : start + CHUNK])
    return values


def all_points(space: Space) -> Batch | None:
    """Return every point of a small discrete space, None of others."""
    size = space.cardinality()
    if size is None or size > ENUMERABLE or space.blocks or (space.kind == REAL).any():
        return None
    levels = [np.arange(a, b + 1) for a, b in zip(space.lower, space.upper, strict=True)]
    grid = np.stack(np.meshgrid(*levels, indexing="ij"), axis=-1).reshape(-1, space.width).astype(np.float64)
    if space.conditional:
        grid = np.unique(space.canonical(grid), axis=0)
    return np.ascontiguousarray(grid)


def substitutions(space: Space, X: Batch, rng: Generator, most: int = MOST_CHILDREN) -> Batch:
    """Return points that differ from a row of X in one column: all of them, or `most` drawn at random.

    Spaces with permutations, subsets, simplexes, numbers or conditions give random neighbours.
    """
    columns = np.flatnonzero(space.lower < space.upper)
    plain = np.isin(space.kind[columns], (BINARY, CATEGORICAL, ORDINAL, INTEGER)).all() and not space.blocks
    spans = (space.upper - space.lower)[columns]
    if not plain or space.conditional or spans.max(initial=0) > 64:
        return space.neighbours(np.repeat(X, max(1, min(most // max(len(X), 1), 32)), axis=0), rng)
    moves = np.array(
        [(c, k) for c, s in zip(columns, spans, strict=True) for k in range(1, int(s) + 1)], dtype=np.int64
    ).reshape(-1, 2)
    pairs = np.array(list(itertools.product(range(len(X)), range(len(moves)))), dtype=np.int64)
    if len(pairs) > most:
        pairs = pairs[rng.choice(len(pairs), most, replace=False)]
    children = X[pairs[:, 0]].copy()
    rows, column = np.arange(len(pairs)), moves[pairs[:, 1], 0]
    low, span = space.lower[column], (space.upper - space.lower)[column] + 1
    children[rows, column] = low + (children[rows, column] - low + moves[pairs[:, 1], 1]) % span
    return children


def substitute(
    space: Space,
    score: Score,
    X: Batch,
    rng: Generator,
    stop: Callable[[], bool],
    keep: int = 64,
    generations: int = 30,
    repair: Callable[[Batch, Generator], Batch] | None = None,
    n: int = 1024,
    most: int = MOST_CHILDREN,
) -> Batch:
    """Evolve by single substitutions, the best `keep` surviving, and return the best n points seen, best first.

    Half of the survivors are the best of all, the other half the best child of each parent: one peak does not take
    over at once. It ends when no survivor is new.
    """
    parents, values = X, in_chunks(score, X, stop)
    seen_X, seen_f = parents, values
    for _ in range(generations):
        if stop():
            break
        children = substitutions(space, parents, rng, most)
        children = children if repair is None else repair(children, rng)
        children = np.unique(children, axis=0)
        f = in_chunks(score, children, stop)
        seen_X, seen_f = _best(np.concatenate([seen_X, children]), np.concatenate([seen_f, f]), max(n, keep))
        before = {row.tobytes() for row in parents}
        parents, values = _survivors(
            np.concatenate([parents, children]), np.concatenate([values, f]), keep, rng
        )
        if {row.tobytes() for row in parents} <= before:
            break
    return seen_X[:n]


def _best(X: Batch, f: Floats, n: int) -> tuple[Batch, Floats]:
    """The best n distinct rows, best first."""
    _, first = np.unique(X, axis=0, return_index=True)
    order = first[np.argsort(-f[first], kind="stable")[:n]]
    return X[order], f[order]


def _survivors(X: Batch, f: Floats, keep: int, rng: Generator) -> tuple[Batch, Floats]:
    """The best rows for one half; for the other, winners of tournaments among random rows of the better quarter."""
    best, value = _best(X, f, max(keep, len(X) // 4))
    if len(best) <= keep:
        return best, value
    half = keep // 2
    rest = half + rng.permutation(len(best) - half)
    other = rest[: 2 * (keep - half)].reshape(-1, 2).min(axis=1) if len(rest) >= 2 * (keep - half) else rest
    chosen = np.concatenate([np.arange(half), np.sort(other)[: keep - half]])
    return best[chosen], value[chosen]
