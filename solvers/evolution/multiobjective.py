"""The solvers made of pymoo's algorithms: `GA` for one objective, the others for several.

Each names its paper; all share the run in `genetic`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.errors import OptionError, require
from optengine.solvers.evolution.genetic import GeneticRun, directions

if TYPE_CHECKING:
    from optengine.core.problem import Problem


def _check(population: Any, least: int = 4) -> None:
    whole = isinstance(population, (int, np.integer)) and not isinstance(population, bool)
    if not whole or population < least:
        raise OptionError(f"population must be an integer >= {least}, got {population!r}")


def _several(problem: Problem) -> str | None:
    if problem.n_objectives < 2:
        return "it is for several objectives, and the problem has one; ga, de and cmaes are for one"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GA:
    """A genetic algorithm for every kind of variable (Goldberg 1989): tournament, crossover, mutation, the best stay.

    Feasible before infeasible (Deb 2000). A generation costs O(population width), some 0.1 ms a candidate.

    Attributes:
        population: rows of a generation, at least 4.

    Raises:
        OptionError: a value outside its range. MissingDependency: pymoo is not installed.
    """

    replayable: ClassVar[bool] = True

    population: int = 100

    def __post_init__(self) -> None:
        _check(self.population)

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives."""
        if problem.n_objectives > 1:
            return f"it has one objective, and the problem {problem.n_objectives}; nsga2 and smsemoa take several"
        return None

    def start(self, problem: Problem, rng: Generator) -> GeneticRun:
        """Return a new run."""
        require("pymoo", extra="moo")
        from pymoo.algorithms.soo.nonconvex import ga

        def build(**operators: Any) -> Any:
            return ga.GA(pop_size=self.population, **operators)

        return GeneticRun(problem, rng, build, self.population)


@dataclass(frozen=True, slots=True, kw_only=True)
class NSGA2:
    """NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017): non-dominated sorting and crowding; two or three objectives.

    Every kind of variable, observed constraints. A generation costs O(objectives population^2).

    Attributes:
        population: rows of a generation, at least 4.

    Raises:
        OptionError: a value outside its range. MissingDependency: pymoo is not installed.
    """

    replayable: ClassVar[bool] = True

    population: int = 100

    def __post_init__(self) -> None:
        _check(self.population)

    def refuses(self, problem: Problem) -> str | None:
        """One objective."""
        return _several(problem)

    def start(self, problem: Problem, rng: Generator) -> GeneticRun:
        """Return a new run."""
        require("pymoo", extra="moo")
        from pymoo.algorithms.moo import nsga2
        from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

        def build(**operators: Any) -> Any:
            return nsga2.NSGA2(pop_size=self.population, survival=RankAndCrowding(), **operators)

        return GeneticRun(problem, rng, build, self.population)


@dataclass(frozen=True, slots=True, kw_only=True)
class SMSEMOA:
    """SMS-EMOA (Beume et al. 2007, doi:10.1016/j.ejor.2006.08.008): what adds least hypervolume leaves.

    The best spread for two and three objectives, dear beyond. Every kind of variable, observed constraints.

    Attributes:
        population: rows of a generation, at least 4.

    Raises:
        OptionError: a value outside its range. MissingDependency: pymoo is not installed.
    """

    replayable: ClassVar[bool] = True

    population: int = 100

    def __post_init__(self) -> None:
        _check(self.population)

    def refuses(self, problem: Problem) -> str | None:
        """One objective, and more than five: hypervolumes take too long."""
        if problem.n_objectives > 5:
            return f"hypervolumes of {problem.n_objectives} objectives take too long; nsga3 takes many"
        return _several(problem)

    def start(self, problem: Problem, rng: Generator) -> GeneticRun:
        """Return a new run."""
        require("pymoo", extra="moo")
        from pymoo.algorithms.moo import sms

        def build(**operators: Any) -> Any:
            survival = sms.LeastHypervolumeContributionSurvival()
            return sms.SMSEMOA(pop_size=self.population, survival=survival, **operators)

        return GeneticRun(problem, rng, build, self.population)


@dataclass(frozen=True, slots=True, kw_only=True)
class NSGA3:
    """NSGA-III (Deb and Jain 2014, doi:10.1109/TEVC.2013.2281535): reference directions keep the spread.

    For many objectives. Every kind of variable, observed constraints.

    Attributes:
        population: rows of a generation; the largest uniform set of directions that fits is used.

    Raises:
        OptionError: a value outside its range. MissingDependency: pymoo is not installed.
    """

    replayable: ClassVar[bool] = True

    population: int = 100

    def __post_init__(self) -> None:
        _check(self.population)

    def refuses(self, problem: Problem) -> str | None:
        """One objective, and a population with fewer rows than objectives."""
        return _several(problem) or _too_few(self.population, problem)

    def start(self, problem: Problem, rng: Generator) -> GeneticRun:
        """Return a new run."""
        require("pymoo", extra="moo")
        from pymoo.algorithms.moo import nsga3
        from pymoo.operators.selection.tournament import TournamentSelection

        from optengine.solvers.evolution.operators import feasible_then_random

        rays = directions(problem.n_objectives, self.population)
        size = max(len(rays), self.population)

        def build(**operators: Any) -> Any:
            selection = TournamentSelection(func_comp=feasible_then_random)
            return nsga3.NSGA3(ref_dirs=rays, pop_size=size, selection=selection, **operators)

        return GeneticRun(problem, rng, build, size, eta=(30.0, 20.0), prob=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MOEAD:
    """MOEA/D (Zhang and Li 2007, doi:10.1109/TEVC.2007.892759): one scalar problem a direction, solved by neighbours.

    pymoo's parallel form, a whole generation at a time; Tchebycheff for two objectives, penalised boundary
    intersection for more. Every kind of variable, no observed constraints.

    Attributes:
        population: at most as many directions, one row of a generation each.
        neighbours: directions that a row may mate with and replace.

    Raises:
        OptionError: a value outside its range. MissingDependency: pymoo is not installed.
    """

    replayable: ClassVar[bool] = True

    population: int = 100
    neighbours: int = 20

    def __post_init__(self) -> None:
        _check(self.population)
        whole = isinstance(self.neighbours, (int, np.integer)) and not isinstance(self.neighbours, bool)
        if not whole or self.neighbours < 2:
            raise OptionError(f"neighbours must be an integer >= 2, got {self.neighbours!r}")

    def refuses(self, problem: Problem) -> str | None:
        """One objective, observed constraints, and a population with fewer rows than objectives."""
        if problem.n_constraints:
            return "it knows no observed constraints; nsga2 and smsemoa do"
        return _several(problem) or _too_few(self.population, problem)

    def start(self, problem: Problem, rng: Generator) -> GeneticRun:
        """Return a new run."""
        require("pymoo", extra="moo")
        from pymoo.algorithms.moo.moead import ParallelMOEAD

        rays = directions(problem.n_objectives, self.population)
        near = min(self.neighbours, len(rays))

        def build(**operators: Any) -> Any:
            return ParallelMOEAD(ref_dirs=rays, n_neighbors=near, **operators)

        return GeneticRun(problem, rng, build, len(rays), eta=(20.0, 20.0), prob=1.0, unique=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RVEA:
    """RVEA (Cheng et al. 2016, doi:10.1109/TEVC.2016.2519378): reference vectors, angle-penalised distance.

    For many objectives. Its penalty grows over the run, which it must therefore be told the length of. Every kind of
    variable, observed constraints.

    Attributes:
        population: rows of a generation; the largest uniform set of vectors that fits is used.
        horizon: evaluations the run is to last; the run's budget is right.

    Raises:
        OptionError: a value outside its range. MissingDependency: pymoo is not installed.
    """

    replayable: ClassVar[bool] = True

    population: int = 100
    horizon: int = 10_000

    def __post_init__(self) -> None:
        _check(self.population)
        whole = isinstance(self.horizon, (int, np.integer)) and not isinstance(self.horizon, bool)
        if not whole or self.horizon < 1:
            raise OptionError(f"horizon must be an integer >= 1, got {self.horizon!r}")

    def refuses(self, problem: Problem) -> str | None:
        """One objective, and a population with fewer rows than objectives."""
        return _several(problem) or _too_few(self.population, problem)

    def start(self, problem: Problem, rng: Generator) -> GeneticRun:
        """Return a new run."""
        require("pymoo", extra="moo")
        from pymoo.algorithms.moo import rvea

        rays = directions(problem.n_objectives, self.population)
        generations = max(2, math.ceil(self.horizon / len(rays)))

        def build(**operators: Any) -> Any:
            return rvea.RVEA(ref_dirs=rays, pop_size=len(rays), **operators)

        return GeneticRun(problem, rng, build, len(rays), eta=(30.0, 20.0), prob=1.0, generations=generations)


def _too_few(population: int, problem: Problem) -> str | None:
    if population < problem.n_objectives:
        return (
            f"a population of {population} has fewer rows than there are objectives, {problem.n_objectives}"
        )
    return None
