"""A run of our own engine: even points first, then one maximum of the acquisition function after the other.

Fidelities (`fidelity`) and several objectives (`several`) go the same way.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.repair import Repair
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.solver import StopAsking
from optengine.core.space import REAL, Batch
from optengine.kernels.blas import threads_for
from optengine.solvers.bayes.believed import BelievedDesign, BelievedModel
from optengine.solvers.bayes.config import ConfigModel, ConfigScore
from optengine.solvers.bayes.cooled import CooledModel
from optengine.solvers.bayes.design import Design, n_initial
from optengine.solvers.bayes.fidelity import Below
from optengine.solvers.bayes.model import Model
from optengine.solvers.bayes.points import all_points
from optengine.solvers.bayes.pool import Pool
from optengine.solvers.bayes.region import Region, merits
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.search import Searcher
from optengine.solvers.bayes.several import SeveralModel
from optengine.solvers.bayes.state import dump, load
from optengine.solvers.bayes.told import Told
from optengine.solvers.bayes.variance import VarianceModel
from optengine.surrogates.features import Features
from optengine.surrogates.fidelity import FidelityGP

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]

WIDE = 20  # real columns beyond which a box around the incumbent is searched
FEWEST = 2  # values that a model is fitted to
STATE = (
    "_rng",
    "_told",
    "_design",
    "_model",
    "_searcher",
    "_features",
    "_dull",
    "_region",
    "_again",
    "_below",
)  # what changes while a run goes on
EXHAUSTED = np.log(1e-3)  # expected improvement, in standard deviations of the values
BASINS = 2  # places that are searched for something to gain
SAME = 1e-7  # distance in the unit cube below which an exact value would be asked twice
PENDING_APART = 2e-3  # distance of pending points in the unit cube, each column apart


class FastRun:
    """State of one run: what was told and asked, and the models' hyperparameters."""

    def __init__(self, options: BO, problem: Problem, rng: Generator) -> None:
        self.batch = options.batch
        self._options, self._problem, self._space, self._rng = options, problem, problem.space, rng
        self._noisy = problem.noisy or bool(options.noise)
        self._repair = Repair(problem.space)
        self._features = Features(problem.space)
        self._told = Told(problem.space, problem.n_objectives, problem.n_constraints)
        self._design = Design(problem.space, rng, self._repair)
        self._n_initial = n_initial(problem.space, options.n_initial)
        several = problem.n_objectives > 1
        lower = Below.useful(problem.space) and options.surrogate != "gp" and not several
        self._below = Below(problem, self._features, self._told) if lower else None
        self._model = self._new_model(several)
        self._searcher = Searcher(options, problem.space, self._features, self._repair, rng)
        d = len(self._searcher.columns)
        wide = d > WIDE if options.trust_region == "auto" else bool(options.trust_region) and d > 0
        self._region = Region(d, options.batch) if wide and not lower and not several else None
        self._again = 0  # rows up to which points are spread over the space because a box was given up
        self._biased = (
            options.beliefs is not None or options.cooling is not None
        )  # the score is more than a gain
        self._dull = False  # whether the best place known had nothing left to gain at the last ask
        self._pool = self._new_pool()
        self._points = all_points(problem.space) if self._pool is None else None
        self._real = np.flatnonzero(
            (problem.space.kind == REAL) & (problem.space.lower < problem.space.upper)
        )

    def _new_pool(self) -> Pool | None:
        """Return the runs that a problem proposes among, if it does."""
        runs = getattr(self._problem, "pool", None)
        return None if runs is None else Pool(runs, self._space, self._features, self._below, self._rng)

    def _new_model(self, several: bool) -> Model:
        options, problem, features, rng = self._options, self._problem, self._features, self._rng
        if several:
            return SeveralModel(options, problem, features, rng)
        if options.stated is not None:
            model = BelievedModel(options, problem, features, rng, self._below, self._repair)
            if model.place:
                self._design = BelievedDesign((problem.space, rng, self._repair), model.place)
            return model
        if options.cooling is not None:
            return CooledModel(options, problem, features, rng)
        if options.acquisition == "variance":
            return VarianceModel(options, problem, features, rng)
        if options.acquisition == "config":
            return ConfigModel(options, problem, features, rng)
        return Model(options, problem, features, rng, self._below)

    @property
    def details(self) -> dict[str, Any]:
        """What a result tells of the run."""
        hyper = self._model.objective.hyper
        facts: dict[str, Any] = {"engine": "fast"}
        if hyper is not None:
            facts["lengthscales"] = [float(v) for v in hyper.lengthscales if np.isfinite(v)]
            facts["noise"] = float(hyper.noise)
        return facts | self._model.facts

    def warm_up(self) -> None:
        """Compile the kernels of the fit, before the clock starts."""
        from optengine.kernels import gp_pairs

        gp_pairs.warm_up()

    # -- asking ------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width); None: a batch. Spaces of few points may have fewer left.

        Raises:
            StopAsking: every point of the space was asked for or told, and values are exact.
        """
        n = self.batch if n is None else n
        limit = self._options.max_ask_seconds
        deadline = None if limit is None else time.monotonic() + limit
        rows: list[Batch] = []
        with threads_for(len(self._told)):
            while len(rows) < n:
                row = self._next(deadline)
                if row is None:
                    break
                self._told.asked(row[None, :])
                if self._below is not None:
                    self._below.asked(row)
                rows.append(row)
        if not rows:
            points = self._points if self._pool is None else self._pool
            raise StopAsking(f"all {len(points)} points have been asked for")  # type: ignore[arg-type]
        return np.array(rows)

    def _next(self, deadline: float | None) -> Batch | None:
        """Return one point (width,), or None where none is left."""
        told = self._told
        if self._pool is not None:
            return self._of_pool(self._pool)
        left = None
        if self._points is not None:
            left = self._points if self._noisy else self._points[~told.seen(self._points)]
            if not len(left):
                return None
        row = self._opening(left)
        if row is not None:
            return row
        below = self._below
        confirming = below is not None and below.due
        try:
            score = self._model.score(told, confirming)
        except np.linalg.LinAlgError:  # no factorisation of what was told: look elsewhere, never crash
            return self._elsewhere(left)
        if left is not None:
            some = left if len(left) <= 4096 else left[self._rng.choice(len(left), 4096, replace=False)]
            row = np.array(some[int(np.argmax(score.at(self._features, some)))])
            if isinstance(self._model, ConfigModel) and isinstance(score, ConfigScore) and score.constraints:
                self._model.judge(score, row, self._told)
        else:
            row = self._maximum(score, deadline)
        if row is None:
            return self._elsewhere(left)
        return row if below is None or confirming else self._at_level(row, below)

    def _of_pool(self, pool: Pool) -> Batch | None:
        """Return one run of the pool (width,), or None where none is left."""
        told, below = self._told, self._below
        left = pool.left(told)
        if not len(left):
            return None
        row = pool.opening(left, len(told) + len(told.pending), self._n_initial)
        if row is None and int((~told.failed).sum()) >= FEWEST:
            confirming = below is not None and below.due
            try:
                return pool.best(self._model.score(told, confirming), self._model.main, left, confirming)
            except np.linalg.LinAlgError:
                pass
        return pool.opening(left, 0, 1) if row is None else row

    def _opening(self, left: Batch | None) -> Batch | None:
        """Return the next of the first points (width,), None after the last."""
        told, n_first = self._told, self._n_initial
        if self._below is not None:
            row = self._below.opening(lambda: self._design.draw(1, told)[0], n_first)
            if row is not None:
                return row
            n_first = 0
        succeeded = int((~told.failed).sum())
        if succeeded >= FEWEST and len(told) + len(told.pending) >= max(n_first, self._again):
            return None
        row = self._design.draw(1, told)[0]
        if left is not None and not self._noisy and told.seen(row[None, :])[0]:
            row = left[int(self._rng.integers(len(left)))]
        return np.asarray(row)

    def _maximum(self, score: Score, deadline: float | None) -> Batch | None:
        """Return the point (width,) with the largest score that is worth an evaluation, None if none was found."""
        told = self._told
        if self._dull:  # every second point looks elsewhere
            self._dull = False
            for row in self._other_basin(score, deadline):
                if self._is_new(row):
                    return np.asarray(row)
        X, values = self._searcher.best(score, told, self._box(), deadline, centres=self._model.centres)
        if isinstance(self._model, ConfigModel) and isinstance(score, ConfigScore):
            X = self._model.allowed(score, X, self._searcher, told)
        exhausted = len(X) > 0 and score.best is not None and values[0] < EXHAUSTED
        one = self._told.F.shape[1] == 1 and self._below is None
        self._dull = bool(exhausted) and self._region is None and one and not self._biased
        for row in X:
            if self._is_new(row):
                return np.asarray(row)
        return None

    def _at_level(self, row: Batch, below: Below) -> Batch:
        """Return a point at the fidelity that tells most about it per cost, of those it is new at."""
        assert isinstance(self._model.main, FidelityGP)
        for other in below.at_level(row, self._model.main):
            if self._is_new(other):
                return np.asarray(other)
        return row

    def _other_basin(self, score: Score, deadline: float | None) -> Batch:
        """Return where to improve on the best rows outside the places in which nothing is left to gain, (k, width)."""
        told, basins = self._told, self._model.basins(self._told)
        spread = self._features.of(self._searcher.spread(128))
        for _ in range(BASINS):
            away = basins.away(spread)
            other = basins.score(score, away)
            if other is None:
                break
            X, values = self._searcher.best(other, told, None, deadline, away)
            if len(X) and values[0] >= EXHAUSTED:
                return X
            basins.exhaust()
        return np.empty((0, self._space.width))

    def _is_new(self, row: Batch) -> bool:
        """Whether a row is worth an evaluation: not one that is known exactly, nor one on its way."""
        told, space = self._told, self._space
        if not len(self._real):
            return self._noisy or not told.seen(row[None, :])[0]
        u = space.to_unit(row[None, :])
        if len(told.pending) and (np.abs(space.to_unit(told.pending) - u).max(axis=1) < PENDING_APART).any():
            return False
        return (
            self._noisy or not len(told) or bool((np.abs(space.to_unit(told.X) - u).max(axis=1) > SAME).all())
        )

    def _elsewhere(self, left: Batch | None) -> Batch:
        """Return a point that the model did not choose."""
        if left is not None:
            return np.array(left[int(self._rng.integers(len(left)))])
        row: Batch = self._design.draw(1, self._told)[0]
        for _ in range(20):
            if self._is_new(row):
                break
            row = self._design.draw(1, self._told)[0]
        return row

    # -- learning ----------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Note the values of X (n, width); models are fitted when they are next needed."""
        self._told.tell(X, evaluation)
        if self._below is not None:
            self._below.tell(self._told.X, evaluation.cost)
        if self._region is not None:
            first, n = self._region.n_restarts, len(self._told)
            self._region.tell(merits(evaluation), n)
            if self._region.n_restarts > first:
                self._again = n + self._n_initial  # the new box begins with points spread over the space

    def pend(self, X: Batch) -> None:
        """Note rows (n, width) that somebody else is evaluating."""
        self._told.asked(X)

    def _box(self) -> tuple[Floats, Floats] | None:
        """The bounds of the reals in the unit cube around the best row of this box; None: the whole space."""
        if self._region is None:
            return None
        told, columns = self._told, self._searcher.columns
        rows = np.arange(len(told)) >= self._region.first
        if not (rows & ~told.failed).any():
            rows[:] = True
        index = np.flatnonzero(rows)
        centre = told.X[index[int(best_first(told.evaluation.take(index))[0])]]
        hyper = self._model.objective.hyper
        assert hyper is not None
        lengths = hyper.lengthscales[self._features.groups[self._searcher.places]]
        return self._region.box(self._space.to_unit(centre[None, :])[0, columns], lengths)

    # -- standing up again -------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Return the state of the run, without what `start` makes from the problem alone."""
        return dump({name: getattr(self, name) for name in STATE}, self._fixed())

    def restore(self, data: bytes) -> None:
        """Take up the state that `snapshot` returned."""
        for name, value in load(data, self._fixed()).items():
            setattr(self, name, value)
        self._pool = self._new_pool()

    def _fixed(self) -> dict[str, Any]:
        return {
            "space": self._space,
            "repair": self._repair,
            "options": self._options,
            "problem": self._problem,
        }
