"""A run of the cross-entropy method: generations, elites, restarts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.solver import StopAsking
from optengine.core.space import REAL, SIMPLEX, Batch
from optengine.kernels.elites import first_distinct, log_weights
from optengine.solvers.cem.full import FullModel
from optengine.solvers.cem.lowrank import LowRankModel
from optengine.solvers.cem.models import Stepping, models_of
from optengine.solvers.cem.permutation import PermutationModel
from optengine.solvers.cem.repeats import Repeats
from optengine.solvers.cem.restarts import Progress, Regimes

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.cem.cem import CEM

FEWEST_ELITES = 5  # fewer say too little about a variance
LARGEST_VALUE = 1e300  # stands for infinity in means
EASING = 5.0  # exponent by which the tolerance of violations falls (cp of Takahama and Sakai)


class CEMRun:
    """State of one run: the distributions, the elites, and what was told since the last generation."""

    def __init__(self, options: CEM, problem: Problem, rng: Generator) -> None:
        space, noisy = problem.space, problem.noisy
        self._options, self._space, self._rng = options, space, rng
        self._models = models_of(problem, options)
        self._stepping = [m for m in self._models if isinstance(m, Stepping) and m.dimension > 1]
        self._fraction = options.elite_fraction or max((_fraction(m) for m in self._models), default=0.1)
        self._polished = options.polish and problem.n_constraints == 0
        self._repeats = Repeats(options.n_again)
        ordered = any(isinstance(m, PermutationModel) for m in self._models)
        self._local = options.local if options.local is not None else 0.5 if ordered else 0.0
        self._whole = len(self._models) == 1 and self._models[0].dimension == space.width
        self._columns = sum(model.dimension for model in self._models)
        discrete = not np.isin(space.kind, (REAL, SIMPLEX)).any()
        self._distinct = discrete and not noisy
        lucky = noisy and not options.n_again
        self._keep = options.keep if options.keep is not None else 0.0 if lucky else 1.0 if discrete else 0.3
        self._base = space.sample(1, rng)[0]  # columns that cannot vary
        for column, target in space.fidelity.values():
            self._base[column] = target
        self.batch = options.population or max((m.population for m in self._models), default=1)
        self._regimes = Regimes(self.batch, options.growth, options.restarts == "alternating")
        self._asked = 0  # rows
        self._generations = self._restarts = 0
        self._told: list[tuple[Batch, Evaluation]] = []
        self._waiting = 0
        self._finished = False
        self._begin()

    def _begin(self) -> None:
        """What every restart forgets."""
        self._begins = self._asked  # number of the first row of this restart
        self._spent = 0
        self._progress = Progress()
        self._elites = np.empty((0, self._space.width))
        self._bases: list[tuple[Stepping, NDArray[np.int64]]] = []  # elites that can be moved, of each family
        self._kept: tuple[Batch, Evaluation] | None = None
        self._repeats.keep(self._elites)
        self._centred = False

    @property
    def details(self) -> dict[str, Any]:
        """What a result tells of the run; with coloured noise also the last elites, (k, width), best first."""
        facts: dict[str, Any] = {
            "generations": self._generations,
            "restarts": self._restarts,
            "population": self.batch,
        }
        return facts | ({"elites": self._elites.copy()} if self._options.noise_beta > 0 else {})

    def warm_up(self) -> None:
        """Compile what the families call, before the clock starts."""
        for model in self._models:
            compile_kernels = getattr(model, "warm_up", None)
            if compile_kernels is not None:
                compile_kernels()

    # -- ask -------------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Draw n points (n, width); None: a generation.

        Raises:
            StopAsking: the run has converged and `restarts` is "never".
        """
        if self._finished:
            raise StopAsking
        if self._asked == 0 and self._told:
            self._seed()
        n = self.batch if n is None else n
        self._asked += n
        n_local = 0
        if self._bases and self._local > 0:
            n_local = int(self._rng.binomial(n, self._local))
        X = self._draw(n - n_local)
        if n_local:
            X = np.concatenate([X, self._moved_elites(n_local)])
        self._place_chosen(X)
        X = self._space.canonical(X)
        return X if self._options.guide is None else self._guided(X)

    def _place_chosen(self, X: Batch) -> None:
        """Put rows that are not drawn into the generation's first batches: elites once more, means and minimisers."""
        row = len(X)
        while row and (again := self._repeats.next()) is not None:
            row -= 1
            X[row] = again
        if row and not self._centred:
            self._centred = True
            for model in self._models:
                centre = getattr(model, "centre", None)
                guess = None if centre is None else centre()
                if guess is not None:
                    X[row - 1, model.columns] = guess

    def _guided(self, X: Batch) -> Batch:
        assert self._options.guide is not None
        Y = np.asarray(self._options.guide(X.copy()), dtype=np.float64)
        if Y.shape != X.shape or not np.isfinite(Y).all():
            raise OptionError(
                f"guide must return finite rows of shape {X.shape}, got an array of shape {Y.shape}"
            )
        Y = np.clip(Y, self._space.lower, self._space.upper)
        return self._space.canonical(Y)

    def _draw(self, n: int) -> Batch:
        """Draw n rows of the product distribution."""
        if self._whole:
            return self._models[0].sample(n, self._rng)
        X = np.empty((n, self._space.width))
        X[:] = self._base
        for model in self._models:
            X[:, model.columns] = model.sample(n, self._rng)
        return X

    def _moved_elites(self, n: int) -> Batch:
        """Draw n elites, each moved a little in one family."""
        X = np.empty((n, self._space.width))
        which = self._rng.integers(len(self._bases), size=n)
        for i, (model, bases) in enumerate(self._bases):
            rows = np.flatnonzero(which == i)
            drawn = self._elites[bases[self._rng.integers(len(bases), size=len(rows))]]
            drawn[:, model.columns] = model.step(drawn[:, model.columns], self._rng)
            X[rows] = drawn
        return X

    # -- tell ------------------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width); refit once a generation's rows have come together."""
        if evaluation.ids is not None and self._begins:
            # Rows asked before the restart come from where the run stalled and would pull it back there. Numbers may
            # run ahead of our count (x0 has some too), so that a few of them can pass: that does no harm.
            current = (evaluation.ids < 0) | (evaluation.ids >= self._begins)
            if not current.all():
                X, evaluation = X[current], evaluation.take(current)
        if not len(X):
            return
        self._told.append((X, evaluation))
        self._waiting += len(X)
        if self._asked and self._waiting >= self.batch:
            self._close_generation()

    def _collect(self) -> tuple[Batch, Evaluation]:
        """Return everything told since the last generation, after the elites kept."""
        told, self._told, self._waiting = self._told, [], 0
        X, evaluation = told[0]
        if len(told) > 1:
            X, evaluation = np.concatenate([X for X, _ in told]), Evaluation.concatenate([e for _, e in told])
        for model in self._models:
            learn = getattr(model, "learn", None)
            if learn is not None and self._polished:
                learn(X[:, model.columns], evaluation.F[:, 0])
        if self._kept is None:
            return X, evaluation
        if self._options.n_again:
            X, evaluation = self._repeats.merge(self._kept, X, evaluation)
        old, values = self._kept
        return np.concatenate([old, X]), Evaluation.concatenate([values, evaluation])

    def _select(self, X: Batch, evaluation: Evaluation, k: int) -> NDArray[np.int64]:
        """Rows of the at most k elites, best first: feasibility first, never a failed one."""
        o = self._options
        eased = o.epsilon_0 > 0 and evaluation.G.shape[1] > 0
        tol = o.epsilon_0 * max(0.0, 1.0 - self._generations / o.epsilon_T) ** EASING if eased else 0.0
        order = best_first(evaluation, tol)
        if evaluation.failed.any():
            order = order[: int((~evaluation.failed).sum())]
        return first_distinct(X, order, k) if self._distinct else order[:k]

    def _seed(self) -> None:
        """Start from what was told before the first ask."""
        n = self._waiting
        X, evaluation = self._collect()
        self._take_elites(X, evaluation, self._n_elites(n), seeding=True)

    def _close_generation(self) -> None:
        """Refit every model to the elites; restart when that leads nowhere any more."""
        n = self._waiting
        self._spent += n
        self._generations += 1
        X, evaluation = self._collect()
        k = self._n_elites(max(n, self.batch))
        self._take_elites(X, evaluation, k, seeding=False)
        self._centred = False
        if self._options.gamma > 1:
            self.batch = max(math.ceil(self.batch / self._options.gamma), min(2 * k, self.batch))
        patience = self._options.stagnation or 20 + math.ceil(30 * self._columns / self.batch)
        if self._progress.stale >= patience or all(m.converged for m in self._models):
            self._restart()

    def _take_elites(self, X: Batch, evaluation: Evaluation, k: int, *, seeding: bool) -> None:
        chosen = self._select(X, evaluation, k)
        if not len(chosen):
            self._progress.stale += 1
            return
        elites = X[chosen]
        weights = log_weights(len(chosen))
        if self._options.weights == "equal":
            weights = np.full(len(chosen), 1.0 / len(chosen))
        active = self._space.active(elites) if self._space.conditional else None
        for model in self._models:
            mask = None if active is None else active[:, model.columns]
            learn = model.seed if seeding else model.refit
            learn(elites[:, model.columns], weights, mask)
        self._elites = elites
        self._bases = self._find_bases(active)
        n_kept = math.ceil(self._keep * k) if self._keep else 0
        if seeding or n_kept:
            few = slice(None) if seeding else slice(n_kept)
            self._kept = elites[few], evaluation.take(chosen[few])
            self._repeats.keep(elites[few])
        else:
            self._kept = None
        self._note_progress(evaluation, chosen, weights)

    def _find_bases(self, active: NDArray[np.bool_] | None) -> list[tuple[Stepping, NDArray[np.int64]]]:
        """Each family whose rows can be moved a little, with the elites in which it is active."""
        bases: list[tuple[Stepping, NDArray[np.int64]]] = []
        for model in self._stepping:
            every = np.arange(len(self._elites))
            rows = every if active is None else np.flatnonzero(active[:, model.columns].any(axis=1))
            bases += [(model, rows)] if len(rows) else []
        return bases

    def _note_progress(self, evaluation: Evaluation, chosen: NDArray[np.int64], weights: Batch) -> None:
        """The level of a generation is that of its elites, for the best value alone is luck under noise or on many
        local optima. It is the best value where all elites of a restart are kept, so that theirs creeps on for ever,
        and under constraints, where the values of infeasible elites say nothing.
        """
        values = np.clip(evaluation.F[chosen, 0], -LARGEST_VALUE, LARGEST_VALUE)
        if evaluation.G.shape[1]:
            self._progress.update(float(evaluation.violation[chosen[0]]), float(values[0]))
        else:
            self._progress.update(0.0, float(values[0] if self._distinct else weights @ values))

    def _n_elites(self, n: int) -> int:
        return max(math.ceil(self._fraction * n), min(FEWEST_ELITES, (n + 1) // 2))

    def _restart(self) -> None:
        if self._options.restarts == "never":
            self._finished = True
            return
        self._restarts += 1
        self.batch, spread = self._regimes.next(self._spent, self._rng)
        for model in self._models:
            model.restart(self._rng, spread)
        self._begin()


def _fraction(model: object) -> float:
    """Share of elites that a family asks for: more where it learns more than variances."""
    return 0.5 if isinstance(model, FullModel) else 0.3 if isinstance(model, LowRankModel) else 0.1
