"""Differential evolution that adapts itself: SHADE, and L-SHADE where it is told how long it may last.

Tanabe and Fukunaga, Success-history based parameter adaptation for differential evolution, CEC 2013,
doi:10.1109/CEC.2013.6557555; L-SHADE, CEC 2014, doi:10.1109/CEC.2014.6900380. Mutation current-to-pbest/1 with an
archive (Zhang and Sanderson, JADE, doi:10.1109/TEVC.2009.2014613), binomial crossover.

What differs from the papers: whole batches at once; a trial is compared when its value comes, not at the end of a
generation, so that rows may be told in any order; converged populations begin anew; categories are exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.cube import Cube
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.pending import Pending
from optengine.core.space import CATEGORICAL, Batch
from optengine.solvers.evolution.merit import merits

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 4  # members that the mutation needs
SPREAD = 1e-11  # largest extent of a population, in edges of the cube, that counts as converged
PATIENCE = 200  # generations without a single success before a population counts as stuck
SMALLEST_F = 1e-3  # of the scale factor


@dataclass(frozen=True, slots=True, kw_only=True)
class DE:
    """SHADE over every kind of variable, through the unit cube: numbers scaled, levels as intervals, permutations and
    subsets as random keys, categories exchanged. One generation costs O(population d); about 2 us a candidate.

    Update of a member x: v = x + F (p-best - x) + F (r1 - r2), crossed over with x at rate CR, replaces x if it is no
    worse; F and CR are drawn around a memory of values that succeeded. Feasible before infeasible before failed.

    Attributes:
        population: members at first; None is 4 sqrt(d) + 20, with a `horizon` 18 d within [20, horizon / 10].
        horizon: evaluations over which the population shrinks linearly to 4 (L-SHADE), best the run's budget; None:
            it keeps its size (SHADE).
        p_best: share of the population from which the p-best is drawn.
        archive: size of the archive of replaced members, in populations.
        memory: entries of the success history.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    population: int | None = None
    horizon: int | None = None
    p_best: float = 0.11
    archive: float = 2.6
    memory: int = 6

    def __post_init__(self) -> None:
        for name, least, optional in (
            ("population", FEWEST, True),
            ("horizon", 1, True),
            ("memory", 1, False),
        ):
            value = getattr(self, name)
            if not (optional and value is None) and not (_whole(value) and value >= least):
                raise OptionError(
                    f"{name} must be an integer >= {least}{' or None' * optional}, got {value!r}"
                )
        if not (_number(self.p_best) and 0 < self.p_best <= 1):
            raise OptionError(f"p_best must be in (0, 1], got {self.p_best!r}")
        if not (_number(self.archive) and 0 <= self.archive < math.inf):
            raise OptionError(f"archive must be >= 0 and finite, got {self.archive!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives."""
        if problem.n_objectives > 1:
            return f"it has one objective, and the problem {problem.n_objectives}; nsga2 and smsemoa take several"
        return None

    def start(self, problem: Problem, rng: Generator) -> DERun:
        """Return a new run."""
        return DERun(self, problem, rng)

    def size(self, d: int) -> int:
        """Return the first population for d free columns."""
        if self.population is not None:
            return self.population
        if self.horizon is None:
            return 20 + math.ceil(4.0 * math.sqrt(d))
        return int(np.clip(18 * d, 20, max(20, self.horizon // 10)))


class Trials:
    """A batch of trials and what they were made with; first members have no target.

    Attributes:
        U: (n, d). target: (n,) members they would replace, -1 for first members. F, CR: (n,). era: restarts before it.
    """

    def __init__(self, U: Floats, target: Ints, F: Floats, CR: Floats, era: int) -> None:
        self.U, self.target, self.F, self.CR, self.era = U, target, F, CR, era


class DERun:
    """State of one run: population, archive, success history."""

    def __init__(self, options: DE, problem: Problem, rng: Generator) -> None:
        self._options, self._rng = options, rng
        self._cube = Cube(problem.space, rng)
        d = self._cube.d
        self._size = options.size(d)
        self.batch = self._size
        self._categories = np.flatnonzero(problem.space.kind[self._cube.columns] == CATEGORICAL)
        self._pending = Pending()
        self._era = self._told = 0
        self._begin()

    def _begin(self) -> None:
        """What every restart forgets."""
        d, h = self._cube.d, self._options.memory
        self._U, self._values = np.empty((0, d)), np.empty(0)
        self._archive = np.empty((0, d))
        self._memory_f, self._memory_cr = np.full(h, 0.5), np.full(h, 0.5)
        self._slot = 0
        self._successes: list[tuple[float, float, float]] = []  # F, CR, gain
        self._since_memory = self._since_success = 0
        self._next_target = 0

    @property
    def details(self) -> dict[str, Any]:
        """Restarts so far and members left."""
        return {"restarts": self._era, "population": self._size}

    # -- ask ---------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return n trials (n, width), uniform points while there is no population; None: a generation."""
        n = self._size if n is None else n
        if not self._cube.d:
            return self._cube.to_space(np.empty((n, 0)))
        if len(self._values) < min(self._size, 2 * FEWEST):
            first = np.full(n, -1)
            trials = Trials(self._rng.random((n, self._cube.d)), first, np.zeros(n), np.zeros(n), self._era)
        else:
            trials = self._trials(n)
        X = self._cube.to_space(trials.U)
        self._pending.add(X, _Notes(trials))
        return X

    def _trials(self, n: int) -> Trials:
        """Mutation and crossover for the next n targets in turn."""
        rng, U = self._rng, self._U
        m, d = U.shape
        target = (self._next_target + np.arange(n)) % m
        self._next_target = int((self._next_target + n) % m)
        F, CR = self._parameters(n)
        x = U[target]
        ranked = np.argsort(self._values, kind="stable")
        best = U[ranked[rng.integers(max(2, math.ceil(self._options.p_best * m)), size=n)]]
        r1 = (target + rng.integers(1, m, size=n)) % m  # never the target itself
        pool = np.concatenate([U, self._archive])
        r2 = rng.integers(len(pool), size=n)
        clash = (r2 == target) | (r2 == r1)
        r2[clash] = rng.integers(len(pool), size=int(clash.sum()))
        f = F[:, np.newaxis]
        V = x + f * (best - x) + f * (U[r1] - pool[r2])
        np.copyto(V, 0.5 * x, where=V < 0.0)  # half way to the bound that was crossed
        np.copyto(V, 0.5 * (x + 1.0), where=V > 1.0)
        if len(self._categories):
            self._exchange(V, best, U[r1], F)
        keep = rng.random((n, d)) >= CR[:, np.newaxis]
        keep[np.arange(n), rng.integers(d, size=n)] = False
        np.copyto(V, x, where=keep)
        return Trials(V, target, F, CR, self._era)

    def _parameters(self, n: int) -> tuple[Floats, Floats]:
        """Draw F from Cauchy, CR from normal distributions around entries of the memory."""
        rng = self._rng
        slot = rng.integers(len(self._memory_f), size=n)
        centre = self._memory_cr[slot]
        CR = np.clip(centre + 0.1 * rng.standard_normal(n), 0.0, 1.0)
        CR[centre < 0.0] = 0.0  # the terminal value of L-SHADE
        F = self._memory_f[slot] + 0.1 * rng.standard_cauchy(n)
        low = F <= 0.0
        while low.any():
            F[low] = self._memory_f[slot[low]] + 0.1 * rng.standard_cauchy(int(low.sum()))
            low = F <= 0.0
        return np.clip(F, SMALLEST_F, 1.0), CR

    def _exchange(self, V: Floats, best: Floats, other: Floats, F: Floats) -> None:
        """Categories have no differences: with probability F take the p-best's or another member's, else any."""
        rng, columns = self._rng, self._categories
        shape = (len(V), len(columns))
        donor = np.where(rng.random(shape) < 0.5, best[:, columns], other[:, columns])
        V[:, columns] = np.where(rng.random(shape) < F[:, np.newaxis], donor, rng.random(shape))

    # -- tell --------------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Compare the trials X (n, width) with their targets; points never asked join the population."""
        values = merits(evaluation)
        notes = self._pending.take(X)
        if isinstance(notes, _Notes):
            trials = notes.trials
            if trials.era == self._era:
                self._select(trials.U, trials.target, trials.F, trials.CR, values)
        else:
            for i, note in enumerate(notes):
                self._take_row(X[i], note, values[i : i + 1], bool(evaluation.failed[i]))
        self._told += len(X)
        self._adapt()

    def _take_row(self, x: Batch, note: Any, value: Floats, failed: bool) -> None:
        if note is None:
            if not failed:
                self._join(self._cube.from_space(x[np.newaxis]), value)
            return
        t, i = note
        if t.era == self._era:
            one = slice(i, i + 1)
            self._select(t.U[one], t.target[one], t.F[one], t.CR[one], value)

    def _join(self, U: Floats, values: Floats) -> None:
        """Add members; beyond the population's size the worst leave."""
        self._U = np.concatenate([self._U, U])
        self._values = np.concatenate([self._values, values])
        if len(self._values) > self._size:
            self._keep_best(self._size)

    def _keep_best(self, n: int) -> None:
        best = np.sort(np.argsort(self._values, kind="stable")[:n])
        self._U, self._values = self._U[best], self._values[best]

    def _select(self, U: Floats, target: Ints, F: Floats, CR: Floats, values: Floats) -> None:
        first = target < 0
        if first.any():
            self._join(U[first], values[first])
            if first.all():
                return
            rest = ~first
            U, target, F, CR, values = U[rest], target[rest], F[rest], CR[rest], values[rest]
        self._since_memory += len(values)
        self._since_success += len(values)
        target = target % len(self._values)  # the population may have shrunk since
        if len(np.unique(target)) < len(target):  # of several trials for one member the best counts
            order = np.lexsort((values, target))
            lead = np.r_[True, target[order][1:] != target[order][:-1]]
            chosen = order[lead]
            U, target, F, CR, values = U[chosen], target[chosen], F[chosen], CR[chosen], values[chosen]
        old = self._values[target]
        better = values < old
        if better.any():
            won = target[better]
            self._remember(self._U[won])
            gain = old[better] - values[better]
            self._successes += list(zip(F[better], CR[better], gain, strict=True))
            self._since_success = 0
        take = values <= old
        self._U[target[take]], self._values[target[take]] = U[take], values[take]

    def _remember(self, U: Floats) -> None:
        """Put replaced members into the archive; beyond its size random ones leave."""
        self._archive = np.concatenate([self._archive, U])
        most = int(self._options.archive * self._size)
        if len(self._archive) > most:
            self._archive = self._archive[self._rng.permutation(len(self._archive))[:most]]

    # -- adaptation --------------------------------------------------------------------------------------------

    def _adapt(self) -> None:
        """After a generation's worth of trials: memory, size of the population, restart."""
        if self._since_memory < self._size:
            return
        self._since_memory = 0
        if self._successes:
            F, CR, gain = (np.array(column) for column in zip(*self._successes, strict=True))
            weight = np.full(len(gain), 1.0 / len(gain))
            if np.isfinite(gain).all() and gain.max() > 0:
                weight = gain / gain.max()
                weight /= weight.sum()
            self._memory_f[self._slot] = (weight @ F**2) / (weight @ F)
            spent = self._memory_cr[self._slot] < 0.0 or CR.max() <= 0.0
            self._memory_cr[self._slot] = -1.0 if spent else (weight @ CR**2) / (weight @ CR)
            self._slot = (self._slot + 1) % len(self._memory_f)
            self._successes = []
        self._shrink()
        extent = (self._U.max(axis=0) - self._U.min(axis=0)).max()
        if extent <= SPREAD or self._since_success > PATIENCE * self._size:
            self._era += 1
            self._size = max(
                self._size, self._options.size(self._cube.d) if self._options.horizon is None else FEWEST
            )
            self._begin()

    def _shrink(self) -> None:
        horizon = self._options.horizon
        if horizon is None:
            return
        start = self._options.size(self._cube.d)
        left = max(0.0, 1.0 - self._told / horizon)
        size = max(FEWEST, round(FEWEST + (start - FEWEST) * left))
        if size < self._size:
            self._size = size
            self._keep_best(size)


class _Notes(Sequence[Any]):
    """The notes of a whole batch of trials: made one by one only when the batch is told in parts."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials

    def __len__(self) -> int:
        return len(self.trials.target)

    def __getitem__(self, i: Any) -> Any:
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self.trials, i


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
