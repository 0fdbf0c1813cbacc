"""The arms: what a space becomes when its choice at the top is settled."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.solver import StopAsking
from optengine.core.space import BINARY, CATEGORICAL, ORDINAL, Batch, Space, Variable

Floats = NDArray[np.float64]


def top_of(space: Space) -> str | None:
    """Return the unconditional category, level or bit on which most columns hang; None where nothing hangs on any."""
    names = [
        name
        for name, variable in space.variables.items()
        if variable.kind in (CATEGORICAL, ORDINAL, BINARY) and not variable.shape and not variable.conditions
    ]
    hanging = {
        name: sum(v.n_columns for v in space.variables.values() if name in [p for p, _ in v.conditions])
        for name in names
    }
    best = max(names, key=lambda name: hanging[name], default=None)
    return best if best is not None and hanging[best] else None


@dataclass(frozen=True)
class Arm:
    """One value of the choice, and the space that is left.

    Attributes:
        value: of the choice, as users see it. code: its column. space: of the variables that then count, None where
            there are none. columns: (arm's width,) where its columns lie in the whole space.
    """

    value: Any
    code: float
    space: Space | None
    columns: NDArray[np.int64]

    def problem(self, whole: Problem) -> Problem:
        """Return the problem that the arm's solver sees: never evaluated through it, only asked and told."""
        assert self.space is not None
        return Problem(
            whole.function,
            self.space,
            objectives=whole.objectives,
            constraints=whole.constraints,
            call="encoded",
            vectorized=whole.vectorized,
            noisy=whole.noisy,
            name=f"{whole.name}: {self.value}",
        )


def arms_of(space: Space, top: str) -> list[Arm]:
    """Return one arm for each value of the choice `top`."""
    encoded = [(float(code), _value(space.variables[top], code)) for code in range(_n_values(space, top))]
    return [_arm(space, top, code, value) for code, value in encoded]


def _n_values(space: Space, top: str) -> int:
    column = space.slices[top].start
    return int(space.upper[column] - space.lower[column]) + 1


def _value(variable: Variable, code: int) -> Any:
    return bool(code) if variable.kind == BINARY else variable.levels()[code]  # type: ignore[attr-defined]


def _arm(space: Space, top: str, code: float, value: Any) -> Arm:
    """Keep the variables that can count beside this value; the condition on the choice is settled, others stay."""
    kept: dict[str, Variable] = {}
    gone = {top}
    grown = True
    while grown:  # what hangs on a variable that is gone can never count either
        grown = False
        for name, variable in space.variables.items():
            if name in gone or name in kept:
                continue
            parents = {parent for parent, _ in variable.conditions}
            if not _allows(space, variable, top, code) or (parents - {top}) & gone:
                gone.add(name)
                grown = True
    for name, variable in space.variables.items():
        if name not in gone:
            free = copy.copy(variable)
            rest = tuple((parent, values) for parent, values in variable.conditions if parent != top)
            free._set(when=rest)
            kept[name] = free
    if not kept:
        return Arm(value, code, None, np.empty(0, dtype=np.int64))
    columns = np.concatenate([np.arange(space.slices[n].start, space.slices[n].stop) for n in kept])
    return Arm(value, code, Space(kept), columns)


def _allows(space: Space, variable: Variable, top: str, code: float) -> bool:
    for parent, values in variable.conditions:
        if parent == top:
            codes = [_code(space, top, value) for value in values]
            return code in codes
    return True


def _code(space: Space, top: str, value: Any) -> float:
    from optengine.core import codec

    return float(codec.encode(space.variables[top], value, top)[0])


class SinglePoint:
    """The run of an arm without variables: one point, asked once; again and again where values are noisy."""

    batch = 1

    def __init__(self, noisy: bool) -> None:
        self._noisy, self._asked = noisy, False

    def ask(self, n: int | None = None) -> Batch:
        """Return the point (n, 0)."""
        if self._asked and not self._noisy:
            raise StopAsking
        self._asked = True
        return np.empty((1 if n is None else n, 0))

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn nothing."""
        self._asked = True


def start(arm: Arm, solver: Any, problem: Problem, rng: Generator) -> Any:
    """Return the run that searches inside the arm."""
    return SinglePoint(problem.noisy) if arm.space is None else solver.start(arm.problem(problem), rng)
