"""The solver `relay`: methods one after another, each with all that was evaluated before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine import registry
from optengine.core.errors import OptionError
from optengine.solvers.portfolio.members import made, numbered, suited
from optengine.solvers.portfolio.relaying import RelayRun, StageRun
from optengine.solvers.portfolio.timing import TimedRun

if TYPE_CHECKING:
    from optengine.core.problem import Problem

RACERS = 3  # members of the race where no stages are named
HEAT = 10  # evaluations a free column of each racer there
FEWEST = 20  # and at least so many


@dataclass(frozen=True, slots=True)
class Stage:
    """Solvers that run at the same time, and when the next stage begins.

    Attributes:
        members: (name, solver). race: evaluations of each before all but the one with the best value end; None where
            there is one member. evaluations: of the stage, heats included; None: until the run ends.
    """

    members: tuple[tuple[str, Any], ...]
    race: int | None = None
    evaluations: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Solvers in stages: a design fills the space, a model learns it, a strategy takes over where it stands.

    Whoever comes next is told everything that was evaluated, as `data` of `solve` would be, so that nothing is
    evaluated again. A stage with several members is a race: each gets the same number of evaluations, the one with the
    best value goes on from where it stands, and is told what the others found. Decided by evaluation counts alone, so
    the same seed gives the same run, unless `seconds` is given.

    Attributes:
        stages: names, solvers, or tables: {"name": ..., option: value} or {"members": [two or more], "race":
            evaluations of each}; every one but the last with "evaluations", after which the next begins. None: a race
            of the first three solvers that `portfolio` would take.
        seconds: length of the run, > 0, where only that is known: a few points spread evenly are timed, and what `auto`
            takes for as many evaluations as then fit goes on with them. Leaves no room for stages.
        workers: evaluations at once, to estimate how many fit.

    Raises:
        OptionError: a value outside its range, an unknown solver, a stage that never ends before another one.
    """

    stages: Iterable[Any] | None = None
    seconds: float | None = None
    workers: int = 1

    needs_limit: ClassVar[bool] = True

    @property
    def replayable(self) -> bool:
        """Whether the same seed gives the same run: not where seconds decide, nor where a member is not."""
        members = [m for stage in self.stages or () for _, m in stage.members]
        return self.seconds is None and all(bool(member.replayable) for member in members)

    def __post_init__(self) -> None:
        if self.seconds is not None:
            number = isinstance(self.seconds, (int, float)) and not isinstance(self.seconds, bool)
            if not number or not 0 < self.seconds < math.inf:
                raise OptionError(f"seconds must be a finite number > 0 or None, got {self.seconds!r}")
            if self.stages is not None:
                raise OptionError("seconds must be None beside stages, which are counted in evaluations")
        whole = isinstance(self.workers, (int, np.integer)) and not isinstance(self.workers, bool)
        if not whole or self.workers < 1:
            raise OptionError(f"workers must be an integer >= 1, got {self.workers!r}")
        if self.stages is not None:
            if isinstance(self.stages, (str, Mapping)) or not isinstance(self.stages, Iterable):
                raise OptionError(f"stages must be a list of solvers or tables, got {self.stages!r}")
            stages = tuple(_stage(value) for value in self.stages)
            if not stages:
                raise OptionError("stages must hold at least one solver, got none")
            for stage in stages[:-1]:
                if stage.evaluations is None:
                    raise OptionError(
                        f"stages must have evaluations in all but the last, got none for {stage.members[0][0]!r}"
                    )
            object.__setattr__(self, "stages", stages)

    def refuses(self, problem: Problem) -> str | None:
        """Problems that a member refuses; where no stages are named, those that no solver of ours suits."""
        for stage in self.stages or ():
            if len(stage.members) > 1 and problem.n_objectives > 1:
                return f"a race compares one objective, and the problem has {problem.n_objectives}"
            for name, member in stage.members:
                reason = registry.refusal(member, problem)
                if reason is not None:
                    return f"its member {name!r}: {reason}"
        if self.stages is None and not suited(problem, asked=True):
            return "none of the solvers that it would take by itself suits the problem"
        return None

    def start(self, problem: Problem, rng: Generator) -> RelayRun | TimedRun:
        """Return a new run.

        Raises:
            OptionError: a member searches by itself.
        """
        if self.seconds is not None:
            return TimedRun(problem, rng, float(self.seconds), int(self.workers))
        stages = self.stages if self.stages is not None else (_default(problem),)
        streams = iter(rng.spawn(sum(len(stage.members) for stage in stages)))
        return RelayRun(
            [
                StageRun(
                    {label: (solver, next(streams)) for label, solver in numbered(stage.members)},
                    stage.race,
                    stage.evaluations,
                )
                for stage in stages
            ],
            problem,
        )


def _default(problem: Problem) -> Stage:
    found = suited(problem, asked=True)[: RACERS if problem.n_objectives == 1 else 1]
    free = int((problem.space.lower < problem.space.upper).sum())
    return Stage(tuple(found), max(FEWEST, HEAT * free) if len(found) > 1 else None)


def _stage(value: Any) -> Stage:
    """One stage from what the user wrote."""
    if isinstance(value, Stage):
        return value
    if not isinstance(value, Mapping):
        return Stage((made(value, "stages"),))
    table = dict(value)
    evaluations = _count(table.pop("evaluations", None), "evaluations")
    if "members" not in table:
        return Stage((made(table, "stages"),), None, evaluations)
    members, race = table.pop("members"), _count(table.pop("race", None), "race")
    if table or isinstance(members, (str, Mapping)) or not isinstance(members, Iterable):
        raise OptionError(
            f"a stage must be {{'members': [...], 'race': n, 'evaluations': n}} or one solver, got {value!r}"
        )
    named = tuple(made(member, "members") for member in members)
    if len(named) < 2 or race is None:
        raise OptionError(f"a stage of members must hold at least two and say race, got {value!r}")
    if evaluations is not None and evaluations < race * len(named):
        raise OptionError(f"evaluations must be at least race times members, got {evaluations} for {value!r}")
    return Stage(named, race, evaluations)


def _count(value: Any, name: str) -> int | None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1
    if value is not None and not whole:
        raise OptionError(f"{name} of a stage must be an integer >= 1, got {value!r}")
    return None if value is None else int(value)
