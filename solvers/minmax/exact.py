"""Exact solution of min-max violation: an incumbent first, then a proof.

Three proofs: branch and bound of our own over the level sets (few variables, dense A: `branch`), enumeration of lattice
points (equally spaced levels: `lattice`), and a MILP for anything else, sparse systems above all. The MILP minimises t
subject to -t - half <= A x - centre <= t + half with integer steps where levels are equally spaced and one binary a
level elsewhere, rows divided by the incumbent's value and t cut off just below it: if nothing is left, the incumbent is
optimal.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends import LinearResult, LinearStatus, solve_linear
from optengine.core.errors import OptionError
from optengine.core.linear import LinearModel
from optengine.core.solver import Control
from optengine.problems.minmax import MinMaxViolation
from optengine.solvers.minmax.branch import LARGEST, MOST_VARIABLES, Branch, branchable
from optengine.solvers.minmax.dmmv import DMMV, DMMVRun, Side, left, tiny
from optengine.solvers.minmax.form import Form, forms, is_number
from optengine.solvers.minmax.lattice import suits

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

METHODS = ("auto", "branch", "lattice", "milp")
CUTOFF = 1e-5  # relative: an incumbent counts as optimal when nothing is better by more; backends keep rows to 1e-6
SWEEPABLE = (
    24.0  # log of the nodes of a whole sweep up to which `auto` enumerates: e^24 take some ten minutes
)
SHORT = 16.0  # the same up to which a sweep, about a second, is quicker than branch and bound
TURN_FLOPS = 5e8  # about, of the linear programmes of one turn of branch and bound
PATIENCE = 4  # the search for an incumbent ends when it lasted so many times as long as its last improvement


@dataclass(frozen=True, slots=True, kw_only=True)
class MinMaxExact:
    """Min-max violation to proved optimality, relative 1e-5 (MILP, branch and bound) or in floating point (lattice).

    Several right-hand sides are proved one after the other, the worst first, until the worst is optimal. A MILP is one
    call of the backend.

    Attributes:
        method: "branch" (few variables, dense A), "lattice" (equally spaced levels, dense A), "milp", or "auto": the
            lattice where very few nodes are estimated, else branch and bound where it suits, else the lattice where few
            enough nodes are estimated, else the MILP.
        backend: of `solve_linear`, for the MILP.
        search: seconds, at most, that an incumbent is looked for before the proof.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = False

    method: str = "auto"
    backend: str = "highs"
    search: float = 2.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OptionError(f"method must be one of {list(METHODS)}, got {self.method!r}")
        if not (is_number(self.search) and self.search >= 0):
            raise OptionError(f"search must be >= 0 seconds, got {self.search!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a min-max violation; lattices where there are none."""
        if not isinstance(problem, MinMaxViolation):
            return "it reads the rows and levels of a MinMaxViolation"
        if self.method == "lattice" and not all(suits(form) for form in forms(problem)):
            return "method='lattice' needs a dense A and equally spaced levels"
        if self.method == "branch" and not all(branchable(form) for form in forms(problem)):
            return f"method='branch' needs a dense A of at most {MOST_VARIABLES} free variables and {LARGEST} entries"
        return None

    def start(self, problem: Problem, rng: Generator) -> MinMaxExactRun:
        """Return a new run."""
        assert isinstance(problem, MinMaxViolation)
        return MinMaxExactRun(self, problem, rng)


class MinMaxExactRun(DMMVRun):
    """The search of `dmmv` for an incumbent, then the proof."""

    def __init__(self, options: MinMaxExact, problem: MinMaxViolation, rng: Generator) -> None:
        super().__init__(DMMV(threads=1), problem, rng)
        self._exact = options
        self._branch: tuple[Side, Branch] | None = None

    def warm_up(self) -> None:
        """Compile or load the kernels, before the clock starts."""
        super().warm_up()
        if self._exact.method in ("auto", "branch") and branchable(forms(self._problem)[0]):
            form = forms(tiny(self._problem))[0]
            Branch(form, np.zeros(form.shape[1], dtype=np.int64), 1e9).run(100)

    def search(self, control: Control) -> None:
        """Search, prove, and report; see the class."""
        self._begin(control, 1)
        self._look(control)
        while not control.stop():
            side = max(self._sides, key=lambda s: s.value)
            if side.proved:
                break
            if not self._prove(side, control):
                break
            self._report(control)
        if max(self._sides, key=lambda s: s.value).proved:
            control.conclude("optimal", "proved: the worst right-hand side cannot be improved")  # type: ignore[attr-defined]
        self._finish()

    def _look(self, control: Control) -> None:
        """Take the turns of `dmmv` until they have stopped paying."""
        began = last = time.perf_counter()
        best = np.inf
        while not control.stop():
            self._report(control)
            side = max(self._sides, key=lambda s: s.value)
            now = time.perf_counter()
            if side.value < best:
                best, last = side.value, now
            quiet = now - began > max(0.5, PATIENCE * (last - began))
            if side.proved or now - began > self._exact.search or (quiet and side.relaxed):
                return
            control.spend(side.run(side.tasks(*left(control)), None))

    def _prove(self, side: Side, control: Control) -> bool:
        """Go on with the proof for one side; False when no proof can be had in the time."""
        seconds, moves = left(control)
        method = self._proof(side)
        if method == "branch":
            self._search_tree(side, moves, control)
            return True
        if method == "lattice":
            side.sweep(moves)
            control.spend(side.share())
            return True
        result = solve_linear(
            model_of(side.form, side.value),
            backend=self._exact.backend,
            time_limit=max(seconds, 1e-3),
            nodes=None if moves == np.inf else int(moves),
            threads=1,
            stop=control.stop,
        )
        control.spend(int(min(moves, max(1, result.nodes))))
        self._read(side, result)
        return side.proved

    def _proof(self, side: Side) -> str:
        """The method for one side; see `MinMaxExact.method`."""
        method = self._exact.method
        if method in ("branch", "milp"):
            return method
        if self._branch is not None and self._branch[0] is side:
            return "branch"
        side.begin_lattice()
        tree = method == "auto" and branchable(side.form)
        if side.lattice is not None:
            most = SHORT if tree else SWEEPABLE
            if method == "lattice" or side.lattice.log_nodes() <= most:
                return "lattice"
        return "branch" if tree else "milp"

    def _search_tree(self, side: Side, moves: float, control: Control) -> None:
        """One turn of branch and bound."""
        if self._branch is None or self._branch[0] is not side:
            self._branch = side, Branch(side.form, side.best, side.value)
        tree = self._branch[1]
        tree.run(int(np.clip(TURN_FLOPS / (20 * side.form.A.size), 1, moves)))
        side.note(tree.best, tree.value)
        control.spend(tree.spent)
        tree.spent = 0
        if tree.proved:
            side.bound = side.value

    def _read(self, side: Side, result: LinearResult) -> None:
        before = side.value
        if result.x is not None:
            idx = indices_of(side.form, result.x)
            side.note(idx, side.form.value(idx))
        if result.status is LinearStatus.INFEASIBLE:
            side.bound = before  # nothing is better by more than the cutoff, which `_report` takes off
        elif result.status is LinearStatus.OPTIMAL:
            side.bound = side.value
        elif np.isfinite(result.bound):
            side.bound = max(side.bound, min(side.value, (result.bound - CUTOFF) * before))

    def _slack(self) -> float:
        return 2 * CUTOFF


def model_of(form: Form, value: float) -> LinearModel:
    """The MILP of one right-hand side, with the incumbent's value as unit and cutoff; the last variable is t."""
    from scipy.sparse import block_diag, csc_array, hstack, vstack

    m, n = form.shape
    scale = max(value, 1e-300)
    origin, step = form.spacing()
    even = ~np.isnan(step)
    parts: list[Any] = []
    sizes = np.where(even, 1, form.count)
    A = csc_array(form.A / scale)
    for j in range(n):
        levels = form.values[form.start[j] : form.start[j] + form.count[j]]
        parts.append(np.array([[step[j]]]) if even[j] else levels[None, :])
    expand = csc_array(block_diag(parts, format="csc"))
    B = A @ expand
    shift = A @ np.where(even, origin, 0.0)
    one = csc_array(np.ones((m, 1)))
    centre, half = form.centre / scale - shift, form.half / scale
    rows = [hstack([B, one]), hstack([B, -one])]
    lower = np.concatenate([centre - half, np.full(m, -np.inf)])
    upper = np.concatenate([np.full(m, np.inf), centre + half])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    odd = np.flatnonzero(~even)
    if len(odd):  # one binary a level, exactly one of them on
        columns = np.concatenate([np.arange(starts[j], starts[j + 1]) for j in odd])
        row = np.repeat(np.arange(len(odd)), form.count[odd])
        pick = csc_array((np.ones(len(columns)), (row, columns)), shape=(len(odd), int(starts[-1]) + 1))
        rows.append(pick)
        lower, upper = np.concatenate([lower, np.ones(len(odd))]), np.concatenate([upper, np.ones(len(odd))])
    ub = np.repeat(np.where(even, form.count - 1, 1), sizes).astype(np.float64)
    c = np.zeros(len(ub) + 1)
    c[-1] = 1.0
    whole = np.append(np.ones(len(ub), dtype=bool), False)
    return LinearModel(c, vstack(rows).tocsr(), lower, upper, 0.0, np.append(ub, 1.0 - CUTOFF), whole)


def indices_of(form: Form, x: Floats) -> Integers:
    """Level indices (n,) of a solution of `model_of`."""
    even = ~np.isnan(form.spacing()[1])
    sizes = np.where(even, 1, form.count)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    idx = np.empty(len(even), dtype=np.int64)
    for j in range(len(even)):
        part = x[starts[j] : starts[j + 1]]
        idx[j] = int(np.rint(part[0])) if even[j] else int(np.argmax(part))
    return idx
