"""What the solvers of this folder share: which problems they take, starting points, keys, and a memory of points."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.random import Generator

from optengine.core.evaluation import Evaluation
from optengine.core.solver import StopAsking
from optengine.core.space import REAL, SIMPLEX, Batch, Space

if TYPE_CHECKING:
    from optengine.core.problem import Problem

# violation (0 where feasible, infinite where failed) and value, compared in turn
Key: TypeAlias = tuple[float, float]

WORST: Key = (math.inf, math.inf)
MOST_REMEMBERED = 1 << 20  # points; about 100 bytes each
TIE = 1e-13  # relative difference of two values that sums of the same numbers in another order may have
DIGEST = 8  # bytes kept of a point; two of a million share theirs with a probability of 3e-8


def refuses_discrete(problem: Problem) -> str | None:
    """The reason why a solver of discrete spaces cannot treat `problem`, or None."""
    space = problem.space
    if problem.n_objectives != 1:
        return f"it minimises one objective, and the problem has {problem.n_objectives}"
    targets = [column for column, _ in space.fidelity.values()]
    free = (space.lower < space.upper) & np.isin(space.kind, (REAL, SIMPLEX))
    free[targets] = False
    if free.any():
        name = next(n for n, columns in space.slices.items() if free[columns].any())
        return f"it moves between discrete points, and {name!r} is {space.variables[name]!r}"
    return None


def level(a: Key, b: Key) -> bool:
    """Whether two keys differ by no more than rounding does."""
    return a == b or (a[0] == b[0] < math.inf and abs(a[1] - b[1]) <= TIE * max(abs(a[1]), abs(b[1])))


def keys_of(evaluation: Evaluation) -> list[Key]:
    """The key of each row: feasible rows by value, then infeasible ones by violation, failed ones `WORST`."""
    values = evaluation.F[:, 0].tolist()
    if evaluation.G.shape[1]:
        keys = list(zip(evaluation.violation.tolist(), values, strict=True))
    else:
        keys = [(0.0, value) for value in values]
    if evaluation.failed.any():
        keys = [WORST if failed else key for key, failed in zip(keys, evaluation.failed, strict=True)]
    return keys


class Memory:
    """Which points were proposed: those of a deterministic objective need not be evaluated twice.

    Args:
        space: where the points lie.
        keeps: whether to remember anything.
    """

    def __init__(self, space: Space, *, keeps: bool) -> None:
        self._keeps = keeps
        size = space.cardinality() if keeps else None
        self._size = (
            size if size is None or size > 1 else None
        )  # the only point there is may be asked for again
        self._digests: set[bytes] = set()

    def __contains__(self, code: bytes) -> bool:
        return self._keeps and _digest(code) in self._digests

    def __len__(self) -> int:
        return len(self._digests)

    def check(self) -> None:
        """Raise `StopAsking` if every point of the space was proposed."""
        if self._size is not None and len(self._digests) >= self._size:
            raise StopAsking(f"all {self._size} points have been evaluated")

    def add(self, code: bytes) -> None:
        """Remember a point."""
        if self._keeps:
            if len(self._digests) >= MOST_REMEMBERED:
                self._digests.clear()
            self._digests.add(_digest(code))


def _digest(code: bytes) -> bytes:
    """The same in every process, unlike `hash`."""
    return blake2b(code, digest_size=DIGEST).digest()


class Starts:
    """Random points that keep the known constraints, and the test whether a point does."""

    def __init__(self, space: Space, rng: Generator) -> None:
        self._space, self._rng = space, rng
        self._repair: Any = None
        if space.constrained:
            from optengine.backends.repair import Repair

            self._repair = Repair(space)

    def draw(self) -> Batch:
        """A point (width,), fidelities at their targets."""
        repair, space = self._repair, self._space
        x = space.sample(1, self._rng) if repair is None else repair.feasible_sample(1, self._rng)
        for column, target in space.fidelity.values():
            x[0, column] = target
        return np.ascontiguousarray(x[0])

    def near(self, x: Batch) -> Batch:
        """A point near x (width,) that keeps the known constraints."""
        if self._repair is None:
            return x
        return np.ascontiguousarray(self._repair.repair(x[np.newaxis, :], self._rng)[0])

    def allows(self, x: Batch) -> bool:
        """Whether x (width,) keeps the known constraints; the engine would move it otherwise."""
        return self._repair is None or bool(self._space.satisfies(x[np.newaxis, :])[0])
