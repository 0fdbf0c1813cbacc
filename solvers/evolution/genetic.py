"""pymoo's genetic algorithms, asked and told: GA for one objective, NSGA-II and four more for several.

Blank and Deb, pymoo: multi-objective optimization in Python, IEEE Access 8, 2020, doi:10.1109/ACCESS.2020.2990567.
The algorithms are pymoo's own; the space, its operators (see `operators`), the counting and the front are ours. The
run hands out a generation row by row, and gives it to pymoo when all of it is known; rows that failed are left out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.cube import Cube
from optengine.core.errors import OptionError, require
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.pending import Pending
from optengine.core.space import Batch

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

MATINGS = 20  # tries to fill a generation with new points; pymoo's 100 take most of the time in small spaces
KNOWN_SHARE = 0.5  # of the first population that known points may fill: the rest keeps it spread


class Brood:
    """Individuals made together: which are asked, which are known.

    Attributes:
        population: pymoo's individuals. genes: (n, width). F, G: their values, NaN where unknown. places: MOEA/D's
            directions, one a row, None for other algorithms.
    """

    def __init__(
        self, population: Any, genes: Floats, n_objectives: int, n_constraints: int, places: Any
    ) -> None:
        n = len(genes)
        self.population, self.genes, self.places = population, genes, places
        self.F, self.G = np.full((n, n_objectives), np.nan), np.full((n, n_constraints), np.nan)
        self.known, self.failed = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self.next = 0  # first row that is not asked

    def know(self, place: int, evaluation: Evaluation, row: int) -> None:
        """Take in one row."""
        self.known[place], self.failed[place] = True, evaluation.failed[row]
        self.F[place], self.G[place] = evaluation.F[row], evaluation.G[row]


class GeneticRun:
    """State of one run: pymoo's algorithm and the broods that are out.

    Args:
        build: makes the algorithm from its operators, given as keywords.
        population: rows of a generation.
        generations: how many the algorithm is told it has; None for those that need not know.
    """

    def __init__(
        self,
        problem: Problem,
        rng: Generator,
        build: Any,
        population: int,
        *,
        eta: tuple[float, float] = (15.0, 20.0),
        prob: float = 0.9,
        generations: int | None = None,
        unique: bool = True,
    ) -> None:
        require("pymoo", extra="moo")
        from pymoo.config import Config

        Config.warnings["not_compiled"] = False  # it prints
        self._cube = Cube(problem.space, rng)
        self._rng = rng
        self.batch = self._population = population
        self._n_objectives, self._n_constraints = problem.n_objectives, problem.n_constraints
        self._pending = Pending()
        self._broods: list[Brood] = []
        self._known: list[tuple[Batch, Evaluation]] = []
        self._generations = 0
        if self._cube.d:
            self._set_up(problem, build, eta, prob, generations, unique)

    def _set_up(
        self,
        problem: Problem,
        build: Any,
        eta: tuple[float, float],
        prob: float,
        generations: int | None,
        unique: bool,
    ) -> None:
        from pymoo.core.problem import Problem as PymooProblem
        from pymoo.core.termination import NoTermination
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM

        from optengine.solvers.evolution.operators import (
            Genotype,
            SpaceCrossover,
            SpaceDuplicates,
            SpaceMutation,
        )

        self._genotype = Genotype(problem.space, self._cube.columns)
        if self._genotype.plain:
            operators: dict[str, Any] = {"crossover": SBX(eta=eta[0], prob=prob), "mutation": PM(eta=eta[1])}
        else:
            operators = {
                "crossover": SpaceCrossover(self._genotype, eta=eta[0], prob=prob),
                "mutation": SpaceMutation(self._genotype, eta=eta[1]),
            }
        discrete = len(self._genotype.numbers) == 0 or (problem.space.n_levels[self._cube.columns] > 0).any()
        if unique:
            operators["eliminate_duplicates"] = SpaceDuplicates(self._decode) if discrete else True
        self._algorithm = build(sampling=self._sample, **operators)
        if getattr(self._algorithm, "mating", None) is not None:
            self._algorithm.mating.n_max_iterations = MATINGS
        self._pymoo = PymooProblem(
            n_var=self._cube.d, n_obj=self._n_objectives, n_ieq_constr=self._n_constraints, xl=0.0, xu=1.0
        )
        limit = NoTermination() if generations is None else ("n_gen", generations)
        self._algorithm.setup(
            self._pymoo, termination=limit, seed=int(self._rng.integers(2**31)), verbose=False
        )

    @property
    def details(self) -> dict[str, Any]:
        """Generations that the algorithm has taken in."""
        return {"generations": self._generations}

    def _decode(self, genes: Floats) -> Batch:
        return self._cube.to_space(self._genotype.to_cube(genes))

    def _sample(self, _: Any, n: int, **__: Any) -> Any:
        """The first population: the best points known, up to half of it, and uniform ones."""
        from pymoo.core.population import Population

        U = self._rng.random((n, self._cube.d))
        genes = self._genotype.from_cube(U)
        if len(self._genotype.choices):
            genes[:, self._genotype.choices] = self._genotype.drawn(n, self._rng)
        self._first: dict[bytes, tuple[Evaluation, int]] = {}
        if self._known:
            X = np.concatenate([X for X, _ in self._known])
            evaluation = Evaluation.concatenate([e for _, e in self._known])
            order = best_first(evaluation)[: max(1, int(KNOWN_SHARE * n))]
            order = order[~evaluation.failed[order]]
            genes[: len(order)] = self._genotype.from_cube(self._cube.from_space(X[order]))
            self._first = {genes[i].tobytes(): (evaluation, int(row)) for i, row in enumerate(order)}
            self._known = []
        return Population.new(X=genes)

    # -- ask ---------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return the next n points (n, width), opening as many generations as that takes; None: a generation."""
        n = self.batch if n is None else n
        if not self._cube.d:
            return self._cube.to_space(np.empty((n, 0)))
        parts: list[Floats] = []
        notes: list[tuple[Brood, int]] = []
        while len(notes) < n:
            brood = next((b for b in self._broods if b.next < len(b.genes)), None) or self._breed()
            places = range(brood.next, min(len(brood.genes), brood.next + n - len(notes)))
            fresh = [place for place in places if not brood.known[place]]
            brood.next = places.stop
            parts.append(brood.genes[fresh])
            notes += [(brood, place) for place in fresh]
        X = self._decode(np.concatenate(parts))
        self._pending.add(X, notes)
        return X

    def _breed(self) -> Brood:
        """Let the algorithm make a generation; where it finds nothing new, random points take its place."""
        first = not self._algorithm.is_initialized
        population = self._algorithm.ask()
        if population is None or not len(population):
            self._algorithm.termination.force_termination = False
            population = self._sample(None, self._population)
        genes = np.array(population.get("X"), dtype=np.float64)
        places = None
        if hasattr(
            self._algorithm, "indices"
        ):  # MOEA/D: whose neighbourhoods they are of; random points are of all
            made = None if first else self._algorithm.indices
            places = np.arange(len(genes)) if made is None or len(made) != len(genes) else made
        brood = Brood(population, genes, self._n_objectives, self._n_constraints, places)
        if first:
            for place, row in enumerate(genes):
                source = self._first.get(row.tobytes())
                if source is not None:
                    brood.know(place, *source)
        self._broods.append(brood)
        return brood

    # -- tell --------------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width); the algorithm goes on when a whole generation is known."""
        foreign = []
        for i, note in enumerate(self._pending.take(X)):
            if note is None:
                foreign.append(i)
            else:
                note[0].know(note[1], evaluation, i)
        if foreign and not (self._cube.d and self._algorithm.is_initialized):
            self._known.append((X[foreign], evaluation.take(np.array(foreign))))
        for brood in [b for b in self._broods if b.known.all()]:
            self._broods.remove(brood)
            self._advance(brood)

    def _advance(self, brood: Brood) -> None:
        from pymoo.core.evaluator import Evaluator
        from pymoo.problems.static import StaticProblem

        good = np.flatnonzero(~brood.failed & np.isfinite(brood.F).all(axis=1))
        if not len(good):
            return
        population, F, G = brood.population, brood.F, brood.G
        if len(good) < len(F):
            if not self._algorithm.is_initialized:  # its size is the algorithm's: survivors fill the gaps
                good = np.resize(good, len(F))
                population = type(population).new(X=brood.genes[good])
            else:
                population = population[good]
            F, G = F[good], G[good]
        if brood.places is not None:
            self._algorithm.indices = brood.places[good]
        values = {"F": F, "G": G} if self._n_constraints else {"F": F}
        Evaluator().eval(StaticProblem(self._pymoo, **values), population)
        self._algorithm.tell(infills=population)
        self._generations += 1


def directions(n_objectives: int, population: int) -> Floats:
    """Return uniform reference directions (n, objectives), at most `population` of them (Das and Dennis, 1998).

    Raises:
        OptionError: not even one direction an objective fits.
    """
    from pymoo.util.ref_dirs import get_reference_directions

    parts = 0
    while math.comb(parts + n_objectives, n_objectives - 1) <= population:
        parts += 1
    if not parts:
        raise OptionError(f"population must be >= {n_objectives}, one an objective, got {population}")
    found: Floats = get_reference_directions("das-dennis", n_objectives, n_partitions=parts)
    return found
