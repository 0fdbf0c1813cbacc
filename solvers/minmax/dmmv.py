"""DMMV: discrete min-max violation by lattice enumeration, annealing on power sums and exact descent.

After Cheikh Ahmed, Mostajabdaveh, Aref, Zhou, Discrete optimization of min-max violation, 2025, arXiv:2508.13437, whose
problem this is and whose ledger of what worked (critical rows, widening kicks, neutral moves by a power sum) it keeps.
What differs: lattice enumeration in weighted ellipsoids (`lattice`), which also proves optimality of small problems;
annealing of p-norms in fused kernels (`walk`) in place of large-neighbourhood search; a linear relaxation as bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.problems.minmax import MinMaxViolation
from optengine.solvers.minmax.device import DeviceWalk, settle
from optengine.solvers.minmax.form import Form, forms
from optengine.solvers.minmax.lattice import Lattice, suits
from optengine.solvers.minmax.relaxation import Dive, chebyshev, roundings
from optengine.solvers.minmax.rounding import starts
from optengine.solvers.minmax.walk import FEW, Walk

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROUND_NODES, SWEEP_NODES = 100_000, 400_000  # nodes of one turn: some 10 ms
ROUNDS_FIRST = 4  # rounds before anything else: they solve most filters
LATTICE_AFTER = 1.0  # seconds of walks on one of several sides before its lattice is made
DIVE_SHARE = 0.3  # of the time, for dives
RELAX_AFTER = 0.3  # seconds of search before the relaxation is solved
RELAX_SHARE, RELAX_LONGEST = 0.2, 20.0  # of the time left, seconds
LAST_MOVES = 2_000_000  # moves left in a budget below which turns are cut so that it is met exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class DMMV:
    """Discrete min-max violation: the least largest violation of A x over discrete levels.

    Turns of some 20 ms go round between the engines of each right-hand side: rounds and the sweep of the lattice
    (where levels are equally spaced and variables few), walks (one a thread), and once the linear relaxation. A move of
    a walk costs O(m) at most, O(nonzeros of a column) if A is CSC; each move or node counts as one evaluation.
    With `device="cuda"` (or "auto", a GPU and a large dense A) descents of 32 starts run on the device beside the
    walks; `details["device"]` says where the search ran, and why not on the device.
    `details["sides"]` (k, n) and `details["side_values"]` (k,) hold the best point of every right-hand side.

    Attributes:
        lattice: enumerate lattice points where that suits.
        relax: solve the linear relaxation with HiGHS, for a bound and a start.
        walk: search locally.
        threads: walks at a time. None: what the engine grants.
        double: float64 in place of float32 on the device, whose descents then make the moves that the CPU would make.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = False  # turns are cut by the clock

    lattice: bool = True
    relax: bool = True
    walk: bool = True
    threads: int | None = None
    double: bool = False

    def __post_init__(self) -> None:
        for name in ("lattice", "relax", "walk", "double"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if not (self.lattice or self.walk):
            raise OptionError("walk must be True where lattice is False, got False for both")
        if self.threads is not None and not (
            isinstance(self.threads, int) and not isinstance(self.threads, bool) and self.threads >= 1
        ):
            raise OptionError(f"threads must be an integer >= 1 or None, got {self.threads!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a min-max violation."""
        if not isinstance(problem, MinMaxViolation):
            return "it reads the rows and levels of a MinMaxViolation"
        return None

    def start(self, problem: Problem, rng: Generator) -> DMMVRun:
        """Return a new run."""
        assert isinstance(problem, MinMaxViolation)
        return DMMVRun(self, problem, rng)


class Side:
    """The search for one right-hand side: its engines, incumbent and bound."""

    def __init__(self, form: Form, options: DMMV, threads: int, effort: float, rng: Generator) -> None:
        self._effort = effort
        self.form, self._options, self._rng = form, options, rng
        self.best = np.zeros(form.shape[1], dtype=np.int64)
        self.value, self.bound = np.inf, 0.0
        self._n_walks = threads if options.walk else 0
        self.on_device = False
        self.walks: list[Walk] = []
        self._others: list[DeviceWalk] = []
        self.lattice: Lattice | None = None
        self.relaxed = not options.relax
        self._x: Floats | None = None  # the relaxation's point
        self._dive: Dive | None = None
        self._spent_diving = 0.0
        self._turns, self._seconds = 0, 0.0

    @property
    def proved(self) -> bool:
        return self.value <= self.bound

    def note(self, best: Integers, value: float) -> None:
        if value < self.value:
            self.best, self.value = best.copy(), value

    def begin(self, x0: list[Integers], quick: bool) -> None:
        """Find starting points, poor ones if `quick`; the given ones are honoured."""
        if not len(self.best):
            self.note(self.best, self.form.value(self.best))
            self.bound = self.value
            return
        for idx in [*x0, *starts(self.form, quick)]:
            self.note(idx, self.form.value(idx))

    def tasks(self, seconds_left: float, moves_left: float) -> list[Callable[[], None]]:
        """What to do next, each task about 20 ms; run them together."""
        self._turns += 1
        self.begin_lattice()
        if moves_left <= LAST_MOVES:
            return [lambda: self._last(int(moves_left))]
        if self.lattice is not None and self._turns <= ROUNDS_FIRST:
            return [self._round]
        if not self.relaxed and self._seconds > RELAX_AFTER:
            self.relaxed = True
            return [lambda: self._relax(min(RELAX_LONGEST, RELAX_SHARE * seconds_left))]
        if self._x is not None and self._spent_diving <= DIVE_SHARE * self._seconds:
            return [lambda: self._plunge(min(RELAX_LONGEST, RELAX_SHARE * seconds_left))]
        self._begin_walks()
        engines: list[Callable[[], None]] = [walk.turn for walk in self.walks]
        engines += [walk.turn for walk in self._others]
        if self.lattice is None:
            return engines
        extra = self._round if self._turns % 2 else self.sweep
        return engines if engines and self._turns % 3 == 0 else [extra, *engines[1:]]

    def begin_lattice(self) -> None:
        """Make the lattice, where it suits; late for one of several sides with many variables: it is dear."""
        soon = self._effort == 1.0 or self.form.shape[1] <= FEW or self._seconds > LATTICE_AFTER
        if self._options.lattice and self.lattice is None and soon and suits(self.form):
            self.lattice = Lattice(self.form, self.best, self._rng, self._effort)

    def _begin_walks(self) -> None:
        if self.on_device and not self._others:
            self._others.append(DeviceWalk(self.form, self.best, self._rng, self._options.double))
        while len(self.walks) < self._n_walks:
            self.walks.append(Walk(self.form, self.best, self._rng, len(self.walks)))

    def _last(self, moves: int) -> None:
        """Spend at most `moves`, on lattice points and annealing in turn."""
        self._begin_walks()
        if self.lattice is not None and (self._turns % 2 or not self.walks):
            self.lattice.round(min(moves, ROUND_NODES))
        elif self.walks:
            self.walks[0].cool(moves)

    def run(self, tasks: list[Callable[[], None]], pool: ThreadPoolExecutor | None) -> int:
        """Run tasks, share what they found, and return the moves spent."""
        began = time.perf_counter()
        if pool is None or len(tasks) < 2:
            for task in tasks:
                task()
        else:
            for future in [pool.submit(task) for task in tasks]:
                future.result()
        self._seconds += time.perf_counter() - began
        return self.share()

    def share(self) -> int:
        """Let every engine know the best point; returns the moves spent since last asked."""
        spent = 0
        engines: list[Any] = [*self.walks, *self._others] + ([] if self.lattice is None else [self.lattice])
        for engine in engines:
            self.note(engine.best, engine.value)
            spent += engine.spent
            engine.spent = 0
        for engine in engines:
            engine.take(self.best, self.value)
        if self.lattice is not None and self.lattice.proved:
            self.bound = self.value
        return spent

    def _round(self) -> None:
        assert self.lattice is not None
        self.lattice.round(ROUND_NODES)

    def sweep(self, moves_left: float = np.inf) -> None:
        """Go on with the lattice's sweep, or a round where that would never end."""
        assert self.lattice is not None
        if not self.lattice.sweep(int(min(moves_left, SWEEP_NODES))):
            self.lattice.round(int(min(moves_left, ROUND_NODES)))

    def _relax(self, seconds: float) -> None:
        relaxed = chebyshev(self.form, max(self.value, 1e-300), seconds)
        self.bound = max(self.bound, min(relaxed.bound, self.value))
        if relaxed.x is not None:
            idx = roundings(self.form, relaxed.x, self._rng)
            self.note(idx, self.form.value(idx))
            if self.lattice is None and not any(
                walk.crystal for walk in self.walks
            ):  # these leave nothing to dives
                self._x = relaxed.x

    def _plunge(self, seconds: float) -> None:
        """One step of a dive; where it ends, a walk goes on."""
        assert self._x is not None
        began = time.perf_counter()
        if self._dive is None:
            self._dive = Dive(self.form, self._x, self._rng)
        self._dive.step(max(self.value, 1e-300), seconds)
        if self._dive.done:
            idx, self._dive = self._dive.idx, None
            self.note(idx, self.form.value(idx))
            if self.walks:
                self.walks[int(self._rng.integers(len(self.walks)))].resume_from(idx)
        self._spent_diving += time.perf_counter() - began


class DMMVRun:
    """State of one run: the sides."""

    def __init__(self, options: DMMV, problem: MinMaxViolation, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._sides: list[Side] = []
        self._reported = np.inf
        self._details: dict[str, Any] = {}

    @property
    def details(self) -> dict[str, Any]:
        """Best point and value of every right-hand side, and the engines' diagnostics."""
        return self._details

    def warm_up(self) -> None:
        """Compile or load the kernels, before the clock starts."""
        own = forms(self._problem)[0]
        form, rng = forms(tiny(self._problem))[0], np.random.default_rng(0)
        if not own.sparse:
            form = replace(form, At32=form.At32.astype(own.At32.dtype))
        idx = np.zeros(form.shape[1], dtype=np.int64)
        if self._options.lattice and suits(own):
            lattice = Lattice(form, idx, rng)
            lattice.round(100)
            lattice.sweep(100)
        if self._options.walk:
            walk = Walk(form, idx, rng)
            walk.compile()
            if walk.few and own.shape[1] <= FEW:
                walk.kicks(1)

    def search(self, control: Control) -> None:
        """Take turns until told to stop, or until the worst side is proved optimal."""
        threads = self._options.threads or control.threads
        self._begin(control, threads)
        pool = ThreadPoolExecutor(threads) if threads > 1 else None
        try:
            self._turns(control, pool)
        finally:
            if pool is not None:
                pool.shutdown()
        self._finish()

    def _begin(self, control: Control, threads: int) -> None:
        """Find starting points for every side, those of the user first."""
        problem, n = self._problem, self._problem.n_variables
        self._sides = [
            Side(form, self._options, threads, 1.0 / problem.n_sides, self._rng) for form in forms(problem)
        ]
        on_device, told = settle(control.device, self._sides[0].form, self._options.double)
        self._details["device"] = told
        for side in self._sides:
            side.on_device = on_device and self._options.walk
        given = [] if control.x0 is None else [x.reshape(-1, n).astype(np.int64) for x in control.x0]
        for number, side in enumerate(self._sides):
            side.begin([x[number][side.form.free] for x in given], control.stop())

    def _slack(self) -> float:
        """Share of its value that a proof leaves open."""
        return 1e-9  # enumeration looks for points better by more than that

    def _turns(self, control: Control, pool: ThreadPoolExecutor | None) -> None:
        turn = 0
        while True:
            self._report(control)
            values = np.array([side.value for side in self._sides])
            worst = int(np.argmax(values))
            if self._sides[worst].proved:
                control.conclude("optimal", "the worst right-hand side cannot be improved")  # type: ignore[attr-defined]
                return
            if control.stop():
                return
            open_sides = [i for i, side in enumerate(self._sides) if not side.proved]
            side = self._sides[worst if turn % 2 == 0 else open_sides[(turn // 2) % len(open_sides)]]
            control.spend(side.run(side.tasks(*left(control)), pool))
            turn += 1

    def _report(self, control: Control) -> None:
        bound = max(side.bound for side in self._sides)
        control.bound(bound * (1 - self._slack()))
        value = max(side.value for side in self._sides)
        if value < self._reported:
            self._reported = value
            control.incumbent(self._row().astype(np.float64))

    def _row(self) -> Integers:
        return np.concatenate([side.form.row(side.best) for side in self._sides])

    def _finish(self) -> None:
        problem = self._problem
        sets = problem.sets.pick(self._row()).reshape(problem.n_sides, problem.n_variables)
        self._details |= {
            "sides": sets,
            "side_values": np.array([side.value for side in self._sides]),
            "side_bounds": np.array([side.bound for side in self._sides]),
        }


def left(control: Control) -> tuple[float, float]:
    """Seconds and moves left, infinite without a limit."""
    limits = (getattr(control, name, None) for name in ("seconds_left", "remaining"))
    seconds, moves = (np.inf if limit is None else float(limit) for limit in limits)
    return seconds, moves


def tiny(problem: MinMaxViolation) -> MinMaxViolation:
    """A problem of a few variables on which the kernels of `problem` compile."""
    rng = np.random.default_rng(0)
    A: Any = rng.standard_normal((12, 5))
    if problem.sparse:
        A = type(problem.A)(A)
        A.indices, A.indptr = (
            A.indices.astype(problem.A.indices.dtype),
            A.indptr.astype(problem.A.indptr.dtype),
        )
    return MinMaxViolation.equality(A, rng.standard_normal(12), np.arange(-3.0, 4.0))
