"""One-flip tabu search, with annealing on sparse couplings, for QUBO and MaxCut.

Dense couplings: tabu search (Glover, Lu, Hao, 4OR 8 (2010), doi:10.1007/s10288-009-0115-y) from perturbed and crossed
elite points. Sparse couplings, where single flips meet long plateaus: annealings of growing length (Isakov et al. 2015,
doi:10.1016/j.cpc.2015.02.015), each polished by a tabu search on buckets of gains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import Pieces, Pool, check_count

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.problems.qubo import QUBO

Integers = NDArray[np.int64]

SHORTEST, GROWTH = 200, 1.5  # sweeps of the first annealing, growth from one to the next
HEATS = (1.0, 2.0, 0.6)  # first temperatures, in turn
CROSSED, FRESH = 0.4, 0.1  # shares of starts that cross two elite points, that are random
SWEEP_SECONDS = 15e-9  # of one flip tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Tabu:
    """Tabu search by single flips for QUBO and MaxCut.

    Update: flip the bit of the largest gain among those not tabu (ties at random), the flipped bit is tabu for
    `tenure` + below(`spread`) steps. After `patience` steps without a better point: the next start. A step costs one
    pass over a row of n couplings (0.25 microseconds at n = 1000), or O(degree) where couplings are sparse; it counts
    as n evaluations, a sweep of the annealing too.

    Attributes:
        tenure: least steps that a flipped bit stays, >= 1. None: n / 100 + 1; 10 more on sparse couplings.
        spread: random further steps, below this number, >= 1.
        patience: steps without a better point, >= 1. None: 2000 + 10 n.
        elites: points that starts are made of, >= 2.
        anneal: whether walks begin with an annealing. None: where couplings are sparse.
        pool: distinct good points kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    tenure: int | None = None
    spread: int = 10
    patience: int | None = None
    elites: int = 10
    anneal: bool | None = None
    pool: int = 10

    def __post_init__(self) -> None:
        check_count("tenure", self.tenure, optional=True)
        check_count("spread", self.spread)
        check_count("patience", self.patience, optional=True)
        check_count("elites", self.elites, 2)
        check_count("pool", self.pool)
        if self.anneal is not None and not isinstance(self.anneal, bool):
            raise OptionError(f"anneal must be True, False or None, got {self.anneal!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a quadratic function of bits."""
        from optengine.problems.maxcut import MaxCut
        from optengine.problems.qubo import QUBO

        return None if isinstance(problem, (QUBO, MaxCut)) else "it reads the couplings of a QUBO or a MaxCut"

    def start(self, problem: Problem, rng: Generator) -> TabuRun:
        """Return a new run."""
        return TabuRun(self, problem, rng)


class TabuRun:
    """State of one run: walks, elite points, pool."""

    def __init__(self, options: Tabu, problem: Problem, rng: Generator) -> None:
        from optengine.solvers.combinatorial.flip_walks import Annealing, DenseTabu, FlipForm, SparseTabu

        self._options, self._problem, self._rng = options, problem, rng
        quadratic: QUBO = problem.qubo()  # type: ignore[attr-defined]
        form = self._form = FlipForm(quadratic)
        self._pool, self._elites = Pool(problem, options.pool), Pool(problem, options.elites)
        seed = int(rng.integers(2**31))
        dense = form.dense or not form.buckets
        tenure = options.tenure or form.n // 100 + (1 if dense else 10)
        patience = options.patience or 2000 + 10 * form.n
        self._tenure, self._patience = tenure, patience
        settings = (form, seed, tenure, options.spread, patience)
        fits = form.dense or form.buckets or form.n <= 4096  # memory for dense rows
        self._tabu: Any = SparseTabu(*settings) if not dense else DenseTabu(*settings) if fits else None
        anneals = not form.dense if options.anneal is None else options.anneal
        self._annealing = Annealing(form, seed + 1) if anneals or self._tabu is None else None
        self._n_walks, self._best = 0, np.inf

    def warm_up(self) -> None:
        """Compile or load the kernels."""
        x = np.zeros(self._form.n, dtype=np.int64)
        self._problem.evaluate(x[np.newaxis].astype(np.float64))
        for walk in (self._tabu, self._annealing):
            if walk is not None:
                walk.begin(x)
                walk.advance(1)
                walk._walk = -1

    @property
    def details(self) -> dict[str, Any]:
        """The pool, and how the search went."""
        dense = type(self._tabu).__name__ if self._tabu is not None else "none"
        return {
            "pool": self._pool.details(),
            "n_walks": self._n_walks,
            "tabu": {"DenseTabu": "dense", "SparseTabu": "buckets"}.get(dense, dense),
            "annealing": self._annealing is not None,
        }

    def search(self, control: Control) -> None:
        """Search until told to stop, on the device if there is one and it fits."""
        form = self._form
        if self._on_device(control):
            return
        tabu_pieces = Pieces(control, form.n, form.step_seconds)
        sweep_pieces = Pieces(control, form.n, SWEEP_SECONDS * form.n)
        given = [] if control.x0 is None else list(np.rint(control.x0).astype(np.int64))
        self._best = min((form.value(x) for x in given), default=np.inf)
        while not control.stop():
            x = given.pop(0) if given else None
            known = x is not None
            if self._annealing is not None and not known:
                length = int(min(SHORTEST * GROWTH ** (self._n_walks // len(HEATS)), 1e7))
                self._annealing.heat(HEATS[self._n_walks % len(HEATS)], length)
                x = self._rng.integers(0, 2, form.n)
                if not self._walk(self._annealing, x, sweep_pieces, control):
                    return
                x = self._annealing.best
            if self._tabu is not None and not self._walk(
                self._tabu, self._next_start() if x is None else x, tabu_pieces, control
            ):
                return
            self._n_walks += 1

    def _on_device(self, control: Control) -> bool:
        """Search on the device; False where the CPU is to do it."""
        from optengine.kernels import flips
        from optengine.solvers.combinatorial import device

        form = self._form
        reason = (
            None if form.exact else "its walks are exact in float32 only for whole couplings of moderate size"
        )
        if not form.dense:
            reason = "the couplings are sparse, and the CPU searches them by annealing"
        if not device.settle(control.device, form.n, reason):
            return False
        low, minus = min(self._tenure, max(1, form.n // 4)), flips.penalty(form.largest)
        walks = self._make_walks(form.coupling.toarray(), low, self._options.spread, minus)

        def begin(X: Integers, seeds: Integers) -> Any:
            walks.begin(X, np.array([form.gains(x) for x in X]), seeds)
            return walks

        self._n_walks = device.search(
            control, self._rng, begin, lambda X: np.array([form.value(x) for x in X]), self._next_start,
            (self._elites, self._pool), cost=form.n, steps=self._patience,
        )  # fmt: skip
        return True

    @staticmethod
    def _make_walks(*given: Any) -> Any:
        from optengine.kernels.walks_cuda import FlipWalks

        return FlipWalks(*given)

    def _walk(self, walk: Any, x: Integers, pieces: Pieces, control: Control) -> bool:
        """One walk from x to its end; False where the run is over."""
        walk.begin(np.ascontiguousarray(x))
        going = True
        while going and not walk.over:
            steps = pieces.steps(1 << 60)
            going = steps > 0
            if going:
                pieces.took(walk.advance(steps))
                if walk.value < self._best:
                    self._best = walk.value
                    control.incumbent(walk.best.astype(np.float64))
                self._pool.add(walk.best, walk.value)
                self._pool.add(*walk.present)
        self._elites.add(walk.best, walk.value)
        return going

    def _next_start(self) -> Integers:
        """An elite point, perturbed, or two of them crossed, or a random point."""
        rng, elites = self._rng, self._elites.points
        u = rng.random()
        if not elites or u < FRESH:
            return rng.integers(0, 2, self._form.n)
        a = elites[int(rng.integers(len(elites)))]
        b = elites[int(rng.integers(len(elites)))]
        differing = np.flatnonzero(a != b)
        x = a.copy()
        if u < FRESH + CROSSED and len(differing) > 1:
            chosen = differing[rng.random(len(differing)) < 0.5]
        else:
            most = max(2, self._form.n // 4)
            chosen = rng.choice(self._form.n, min(self._form.n, int(rng.integers(1, most))), replace=False)
        x[chosen] ^= 1
        return x
