"""Any solver of the registry on a surrogate: CMA-ES, GA, CEM, Bayesian optimization and others, by name.

The surrogate is an ensemble of small networks (`gradient_ascent`); the inner solver maximises its score as if it were
the objective, from nothing but the space, and the best points it evaluated are the candidates. On numbers a strong
inner solver finds where the surrogate errs: cautious aggregates ("lcb", "min") are meant for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from optengine import registry
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.solver import Control, StopAsking
from optengine.problems.offline import Offline
from optengine.solvers.offline.ensemble import Ensemble
from optengine.solvers.offline.neural import GradientAscent, NeuralRun
from optengine.solvers.offline.run import check_options
from optengine.solvers.offline.searching import Pool
from optengine.solvers.offline.table import Table

KEPT = 8  # points kept a candidate that is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateSearch(GradientAscent):
    """Another solver, by name, on an ensemble of networks; see `GradientAscent` for the ensemble's options.

    Attributes:
        inner: name of a solver that is asked and told, e.g. "cmaes", "ga", "cem", "de", "bo".
        evaluations: of the surrogate.

    Raises:
        OptionError: a value outside its range.
    """

    aggregate: str = "lcb"
    inner: str = "cmaes"
    evaluations: int = 4000

    def __post_init__(self) -> None:
        GradientAscent.__post_init__(self)
        check_options(self, whole=("evaluations",))
        if getattr(registry.load(self.inner), "offline", False):
            raise OptionError(f"inner must be a solver that evaluates, got {self.inner!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but an Offline problem, and spaces that the inner solver refuses."""
        reason = GradientAscent.refuses(self, problem)
        if reason is not None:
            return reason
        stand_in = surrogate_problem(problem, lambda X: np.zeros(len(X)))
        inner = registry.make(self.inner)
        said: str | None = inner.refuses(stand_in)
        if said is None and hasattr(inner.start(stand_in, np.random.default_rng(0)), "search"):
            said = "it searches by itself and cannot be told values"
        return None if said is None else f"inner solver {self.inner!r}: {said}"

    def start(self, problem: Problem, rng: Generator) -> SurrogateSearchRun:
        """Return a new run."""
        assert isinstance(problem, Offline)
        return SurrogateSearchRun(self, problem, rng)


def surrogate_problem(problem: Problem, function: Any) -> Problem:
    """Return the problem of minimising `function` of encoded batches over the space of `problem`."""
    return Problem(function, problem.space, call="encoded", vectorized=True, name=problem.name)


class SurrogateSearchRun(NeuralRun):
    """State of one run."""

    def candidates(self, table: Table, ensemble: Ensemble, control: Control) -> Pool:
        """Ask the inner solver, tell it the ensemble's scores, and keep the best points."""
        options = self._options
        assert isinstance(options, SurrogateSearch)
        problem = surrogate_problem(table.problem, lambda X: -ensemble.score(table.features.of(X)))
        run = registry.make(options.inner).start(problem, self._rng)
        n = KEPT * table.problem.n_candidates
        X, f, asked = np.empty((0, table.space.width)), np.empty(0), 0
        while asked < options.evaluations and not control.stop():
            try:
                batch = table.kept(np.array(run.ask(None)), self._rng)
            except StopAsking:
                break
            evaluation: Evaluation = problem.evaluate(batch)
            evaluation.ids = np.arange(asked, asked + len(batch))
            asked += len(batch)
            run.tell(batch, evaluation)
            joined = np.concatenate([X, batch])
            values = np.concatenate([f, evaluation.F[:, 0]])
            _, first = np.unique(joined, axis=0, return_index=True)
            best = first[np.argsort(values[first], kind="stable")[:n]]
            X, f = joined[best], values[best]
        return Pool(X, [options.inner] * len(X))
