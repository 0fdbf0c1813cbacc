"""Crossover and mutation over the columns of any space, out of pymoo's operators.

A genotype is a row of floats as wide as the space: numbers, levels and shares as points of the unit cube, categories,
bits and memberships as the middle of their interval there, permutations as they are, the item at each position.
Numbers are crossed by SBX and mutated polynomially (Deb and Agrawal 1995; Deb and Goyal 1996), choices exchanged and
drawn anew, permutations crossed by order (OX; Davis 1985) and mutated by inversion (Holland 1975) or insertion.

Imported only by `genetic`, once pymoo is known to be there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.operators.crossover.ox import ox
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM

from optengine.core.space import BINARY, CATEGORICAL, PERMUTATION, SUBSET, Batch, Space

Floats = NDArray[np.float64]

CHOICES = (CATEGORICAL, BINARY, SUBSET)


class Genotype:
    """How a space is written as genotypes.

    Attributes:
        numbers, choices: (k,) columns. permutations: slices. plain: whether there are numbers only.
    """

    def __init__(self, space: Space, free: NDArray[np.int64]) -> None:
        kind = space.kind[free]
        self.width = len(free)
        self.choices = np.flatnonzero(np.isin(kind, CHOICES))
        self.levels = space.n_levels[free][self.choices]
        self.members = kind[self.choices] == SUBSET
        places = {int(column): i for i, column in enumerate(free)}
        self.permutations = [
            slice(places[b.start], places[b.start] + b.stop - b.start)
            for b in space.blocks
            if b.kind == PERMUTATION and b.start in places
        ]
        self.numbers = np.flatnonzero(~np.isin(kind, (*CHOICES, PERMUTATION)))
        self.plain = len(self.numbers) == self.width
        self.bounds = _Bounds(len(self.numbers))

    def to_cube(self, genes: Floats) -> Floats:
        """Return points of the cube: permutations become keys."""
        U = np.array(genes, dtype=np.float64)
        for run in self.permutations:
            U[:, run] = np.argsort(genes[:, run], axis=1) / (run.stop - run.start)
        return U

    def from_cube(self, U: Floats) -> Floats:
        """Undo `to_cube`."""
        genes = np.array(U)
        for run in self.permutations:
            genes[:, run] = np.argsort(U[:, run], axis=1, kind="stable")
        return genes

    def drawn(self, n: int, rng: Generator) -> Floats:
        """Return new values of all choices, (n, choices): the middle of a level's interval, anywhere in it for subsets,
        whose members are the largest values where too many would be in.
        """
        shape = (n, len(self.choices))
        inside = np.where(self.members, rng.random(shape), 0.5)
        return np.asarray((rng.integers(self.levels, size=shape) + inside) / self.levels)


class _Bounds:
    """What SBX and polynomial mutation want to know of a problem."""

    def __init__(self, n: int) -> None:
        self.n_var, self.xl, self.xu = n, np.zeros(n), np.ones(n)


class SpaceCrossover(Crossover):  # type: ignore[misc]  # pymoo has no types
    """Two parents, two children."""

    def __init__(self, genotype: Genotype, *, eta: float, prob: float) -> None:
        super().__init__(2, 2, prob=prob)
        self._genotype = genotype
        self._sbx = SBX(eta=eta)

    def _do(self, problem: Any, X: Floats, *_: Any, random_state: Any = None, **__: Any) -> Floats:
        g, rng = self._genotype, random_state
        children = np.array(X, dtype=np.float64)
        if len(g.numbers):
            crossed = self._sbx._do(g.bounds, X[:, :, g.numbers], random_state=rng)
            children[:, :, g.numbers] = crossed
        if len(g.choices):
            swap = rng.random((X.shape[1], len(g.choices))) < 0.5
            a, b = X[0][:, g.choices], X[1][:, g.choices]
            children[0][:, g.choices] = np.where(swap, b, a)
            children[1][:, g.choices] = np.where(swap, a, b)
        for run in g.permutations:
            for i in range(X.shape[1]):
                a, b = X[0, i, run].astype(np.int64), X[1, i, run].astype(np.int64)
                if len(a) > 1:
                    ends = tuple(np.sort(rng.choice(len(a), 2, replace=False)))
                    children[0, i, run] = ox(a, b, seq=ends)
                    children[1, i, run] = ox(b, a, seq=ends)
        return children


class SpaceMutation(Mutation):  # type: ignore[misc]  # pymoo has no types
    """A mutated row changes one column in expectation, and one permutation where there are any."""

    def __init__(self, genotype: Genotype, *, eta: float) -> None:
        super().__init__()
        self._genotype = genotype
        self._pm = PM(eta=eta, prob=1.0)

    def _do(self, problem: Any, X: Floats, *_: Any, random_state: Any = None, **__: Any) -> Floats:
        g, rng, n = self._genotype, random_state, len(X)
        mutated = np.array(X, dtype=np.float64)
        if len(g.numbers):
            mutated[:, g.numbers] = self._pm._do(g.bounds, mutated[:, g.numbers], random_state=rng)
        if len(g.choices):
            hit = rng.random((n, len(g.choices))) < min(0.5, 1.0 / len(g.choices))
            mutated[:, g.choices] = np.where(hit, g.drawn(n, rng), mutated[:, g.choices])
        if g.permutations:
            for i in range(n):
                self._move(mutated[i, g.permutations[int(rng.integers(len(g.permutations)))]], rng)
        return mutated

    def _move(self, items: Floats, rng: Generator) -> None:
        """Reverse a run of items, or move one: the first suits tours, the second schedules."""
        if len(items) < 2:
            return
        i, j = np.sort(rng.choice(len(items), 2, replace=False))
        if rng.random() < 0.5:
            items[i : j + 1] = items[i : j + 1][::-1].copy()
        else:
            items[i : j + 1] = np.roll(items[i : j + 1], 1 if rng.random() < 0.5 else -1)


class SpaceDuplicates(DuplicateElimination):  # type: ignore[misc]  # pymoo has no types
    """Rows count as equal when they are the same point of the space, whatever their genotypes."""

    def __init__(self, decode: Any) -> None:
        super().__init__()
        self._decode = decode

    def _do(self, pop: Any, other: Any, is_duplicate: NDArray[np.bool_]) -> NDArray[np.bool_]:
        seen = set() if other is None else {row.tobytes() for row in self._points(other)}
        for i, row in enumerate(self._points(pop)):
            key = row.tobytes()
            is_duplicate[i] = key in seen
            if other is None:
                seen.add(key)
        return is_duplicate

    def _points(self, pop: Any) -> Batch:
        points: Batch = self._decode(np.array(pop.get("X"), dtype=np.float64))
        return points


def feasible_then_random(
    pop: Any, P: NDArray[np.int64], random_state: Any = None, **_: Any
) -> NDArray[np.int64]:
    """Binary tournament by violation, ties at random: NSGA-III's, which in pymoo draws ties from an unseeded stream."""
    violation = np.array([individual.CV[0] for individual in pop])
    a, b = violation[P[:, 0]], violation[P[:, 1]]
    first = np.where(a == b, random_state.random(len(P)) < 0.5, a < b)
    return np.where(first, P[:, 0], P[:, 1])[:, np.newaxis]
