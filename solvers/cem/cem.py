"""The cross-entropy method: sample a distribution, refit it to the best samples, repeat.

Rubinstein, The cross-entropy method for combinatorial and continuous optimization, Methodol. Comput. Appl. Probab. 1,
1999, doi:10.1023/A:1010091220143; de Boer et al., A tutorial on the cross-entropy method, Ann. Oper. Res. 134, 2005,
doi:10.1007/s10479-005-5724-z. The distribution is a product: a truncated Gaussian over numbers, probabilities over bits
and categories, memberships over subsets, log ratios over simplexes, position matrices over permutations, in one run.

What differs from the tutorial: elites are weighted by rank; some are kept from one generation to the next (Pinneri et
al., Sample-efficient cross-entropy method, CoRL 2020, arXiv:2008.06389); stalled runs restart; and in spaces with
permutations a share of each batch is drawn as single moves of elites. The families say what differs in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.solver import StopAsking
from optengine.core.space import PERMUTATION, REAL, SIMPLEX, Batch, Space
from optengine.kernels.elites import first_distinct, log_weights
from optengine.solvers.cem.models import models_of
from optengine.solvers.cem.permutation import PermutationModel
from optengine.solvers.cem.restarts import Progress, Regimes

if TYPE_CHECKING:
    from optengine.core.problem import Problem

FEWEST_ELITES = 5  # fewer say too little about a variance
LARGEST_PERMUTATION = 4000  # items; the matrix of probabilities takes 128 MB
LARGEST_VALUE = 1e300  # stands for infinity in means
RESTARTS = ("alternating", "growing", "never")
WEIGHTS = ("log", "equal")
SHARE = ("in (0, 1]", lambda value: 0 < value <= 1)
POSITIVE = ("> 0 and finite", lambda value: 0 < value < math.inf)
RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "elite_fraction": SHARE,
    "alpha_mean": SHARE,
    "alpha_sigma": ("in (0, 1] or None", SHARE[1]),
    "beta": SHARE,
    "alpha": SHARE,
    "margin": SHARE,
    "q": POSITIVE,
    "sigma_0": SHARE,
    "sigma_min": ("in [1e-15, 1]", lambda value: 1e-15 <= value <= 1),  # doubles tell no finer points apart
    "floor": ("in [0, 1)", lambda value: 0 <= value < 1),
    "keep": ("in [0, 1] or None", lambda value: 0 <= value <= 1),
    "local": ("in [0, 1]", lambda value: 0 <= value <= 1),
    "growth": (">= 1 and finite", lambda value: 1 <= value < math.inf),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CEM:
    """Cross-entropy method (Rubinstein, 1999) over every kind of variable.

    Update, with elite weights w and smoothing alpha: mean <- mean + alpha_mean (sum w x - mean), sigma^2 <- sigma^2 +
    beta_t (sum w (x - mean)^2 - sigma^2), p <- p + alpha (sum w [x = level] - p).
    One generation costs O(population * d); n^2 in place of n for each permutation of n items.
    Known constraints are left to the engine's repair: the run refits to the repaired points it is told.
    Points known beforehand (x0, data) are elites of the first generation, move its mean, and, from five on, its width.

    Attributes:
        population: N, rows of a generation. None: the largest any kind of variable asks for: 8 * floor(3 ln d) + 4,
            at least 64, for d numbers or shares; 2 a free probability of bits, members and categories, 5 a position
            of a permutation, both within 64 ... 1000.
        elite_fraction: rho, share of a generation refitted, in (0, 1]; at least 5 rows.
        weights: of the elites: "log" (by rank, as in the CMA-ES), or "equal" (the tutorial's).
        alpha_mean: smoothing of the mean of numbers and shares, in (0, 1].
        alpha_sigma: where the dynamic smoothing of their sigma stops falling, in (0, 1]. None: m / (m + 12) for
            m = 1 / sum w^2, the number of elites that really count.
        beta: where it begins, in (0, 1] (the tutorial's beta, 0.8 to 0.99).
        q: how long it stays there, > 0 (the tutorial's q, 5 to 10).
        alpha: smoothing of probabilities, in (0, 1] (the tutorial's alpha).
        floor: how many discrete coordinates of a row are drawn from all values alike, on average, in [0, 1).
        sigma_0: first sigma of numbers, in units of the unit cube, in (0, 1].
        sigma_min: least sigma of reals, same unit, in [1e-15, 1]; a run whose sigmas all reached it has converged.
        margin: rows a generation in which an integer leaves its level when the others are certain, in (0, 1].
        keep: share of the elites that stays among the candidates for the next ones, in [0, 1]. None: 0 if the problem
            is noisy (a lucky value would stay for ever), 1 if the space is discrete, else 0.3 (the iCEM's).
        local: in spaces with permutations, share of a batch drawn as an elite with one swap, insertion or reversal of
            one permutation, in [0, 1].
        stagnation: generations without a better elite after which a run has stalled. None: 20 + 30 d / N.
        restarts: what follows convergence or a stall: "alternating" (growing and small populations, BIPOP), "growing"
            (IPOP), or "never" (the run ends).
        growth: factor of growing populations, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    population: int | None = None
    elite_fraction: float = 0.1
    weights: str = "log"
    alpha_mean: float = 0.9
    alpha_sigma: float | None = None
    beta: float = 0.8
    q: float = 7.0
    alpha: float = 0.3
    floor: float = 0.3
    sigma_0: float = 0.5
    sigma_min: float = 1e-10
    margin: float = 1.0
    keep: float | None = None
    local: float = 0.5
    stagnation: int | None = None
    restarts: str = "alternating"
    growth: float = 2.0

    def __post_init__(self) -> None:
        for name, least in (("population", 2), ("stagnation", 1)):
            value = getattr(self, name)
            if value is not None and not (_whole(value) and value >= least):
                raise OptionError(f"{name} must be an integer >= {least} or None, got {value!r}")
        for name, (words, holds) in RANGES.items():
            value = getattr(self, name)
            if not (_number(value) and holds(value)) and not (value is None and words.endswith("None")):
                raise OptionError(f"{name} must be {words}, got {value!r}")
        for name, known in (("weights", WEIGHTS), ("restarts", RESTARTS)):
            if getattr(self, name) not in known:
                raise OptionError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, and permutations too long for a matrix of probabilities."""
        if problem.n_objectives != 1:
            return f"it minimises one objective, and the problem has {problem.n_objectives}"
        longest = max((b.stop - b.start for b in problem.space.blocks if b.kind == PERMUTATION), default=0)
        if longest > LARGEST_PERMUTATION:
            return f"permutations of {longest} items need more than {LARGEST_PERMUTATION}^2 probabilities"
        return None

    def start(self, problem: Problem, rng: Generator) -> CEMRun:
        """Return a new run; compiles the kernels of permutations where there are any."""
        return CEMRun(self, problem.space, problem.noisy, rng)


class CEMRun:
    """State of one run: the distributions, the elites, and what was told since the last generation."""

    def __init__(self, options: CEM, space: Space, noisy: bool, rng: Generator) -> None:
        self._options, self._space, self._noisy, self._rng = options, space, noisy, rng
        self._models = models_of(space, options)
        self._whole = len(self._models) == 1 and self._models[0].dimension == space.width
        self._columns = sum(model.dimension for model in self._models)
        discrete = not np.isin(space.kind, (REAL, SIMPLEX)).any()
        self._distinct = discrete and not noisy
        self._keep = options.keep if options.keep is not None else 0.0 if noisy else 1.0 if discrete else 0.3
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
        self._bases: list[
            tuple[PermutationModel, NDArray[np.int64]]
        ] = []  # elites whose permutations can be moved
        self._kept: tuple[Batch, Evaluation] | None = None

    @property
    def details(self) -> dict[str, int]:
        """What a result tells of the run."""
        return {"generations": self._generations, "restarts": self._restarts, "population": self.batch}

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
        if self._bases and self._options.local > 0:
            n_local = int(self._rng.binomial(n, self._options.local))
        X = self._draw(n - n_local)
        if n_local:
            X = np.concatenate([X, self._moved_elites(n_local)])
        return self._space.canonical(X)

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
        """Draw n elites, each with one move of one permutation."""
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
        parts = self._told if self._kept is None else [self._kept, *self._told]
        self._told, self._waiting = [], 0
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([X for X, _ in parts]), Evaluation.concatenate([e for _, e in parts])

    def _select(self, X: Batch, evaluation: Evaluation, k: int) -> NDArray[np.int64]:
        """Rows of the at most k elites, best first: feasibility first, never a failed one."""
        order = best_first(evaluation)
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
        self._take_elites(X, evaluation, self._n_elites(max(n, self.batch)), seeding=False)
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
        else:
            self._kept = None
        self._note_progress(evaluation, chosen, weights)

    def _find_bases(
        self, active: NDArray[np.bool_] | None
    ) -> list[tuple[PermutationModel, NDArray[np.int64]]]:
        """Each family of permutations of more than one item, with the elites in which it is active."""
        bases = []
        for model in self._models:
            if isinstance(model, PermutationModel) and model.n_items > 1:
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
        return max(math.ceil(self._options.elite_fraction * n), min(FEWEST_ELITES, (n + 1) // 2))

    def _restart(self) -> None:
        if self._options.restarts == "never":
            self._finished = True
            return
        self._restarts += 1
        self.batch, spread = self._regimes.next(self._spent, self._rng)
        for model in self._models:
            model.restart(self._rng, spread)
        self._begin()


def _number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
