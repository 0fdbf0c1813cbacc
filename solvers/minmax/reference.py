"""The published heuristic for discrete min-max violation, for comparison: adaptive large-neighbourhood search.

Cheikh Ahmed, Mostajabdaveh, Aref, Zhou, 2025, arXiv:2508.13437, as its code has it (github.com/cheikh025/AMVM): destroy
by chance or near the worst rows, repair by chance or greedily, a roulette wheel over both (scores 5, 2, 1, 0.5, decay
0.7), hill-climbing acceptance, and after each repair a local search by swaps of neighbouring levels that the 100 worst
rows screen. Written anew in NumPy; gains below 1e-3 absolute do not count, as there. The original runs on PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.problems.minmax import MinMaxViolation
from optengine.solvers.minmax.form import Form, forms, is_number
from optengine.solvers.minmax.rounding import starts

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SCORES, DECAY = (5.0, 2.0, 1.0, 0.5), 0.7  # new best, better, accepted, rejected; of the roulette wheel
TOP_ROWS = 100  # k_e: rows that screen swaps and say where to destroy
SHARPNESS = 0.3  # of the preference for rows near the bounds +-t
BATCH = 2048  # swaps evaluated exactly at a time
MEMORY = 2**23  # numbers that a batch may hold


@dataclass(frozen=True, slots=True, kw_only=True)
class DMMVReference:
    """The published adaptive large-neighbourhood search for one right-hand side.

    One iteration costs O(m) for each swap that the worst rows let through. Each move evaluated counts.

    Attributes:
        share: of the variables that a destruction frees, in (0, 1].
        local_search: "S" (swaps), or "W" (swaps, then single one-level moves in random order).
        epsilon: absolute gain below which a move is none, >= 0.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = False

    share: float = 0.005
    local_search: str = "W"
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if not (is_number(self.share) and 0 < self.share <= 1):
            raise OptionError(f"share must be in (0, 1], got {self.share!r}")
        if self.local_search not in ("S", "W"):
            raise OptionError(f"local_search must be 'S' or 'W', got {self.local_search!r}")
        if not (is_number(self.epsilon) and 0 <= self.epsilon < np.inf):
            raise OptionError(f"epsilon must be >= 0 and finite, got {self.epsilon!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a min-max violation with one right-hand side."""
        if not isinstance(problem, MinMaxViolation):
            return "it reads the rows and levels of a MinMaxViolation"
        if problem.n_sides > 1:
            return f"it treats one right-hand side, and the problem has {problem.n_sides}"
        return None

    def start(self, problem: Problem, rng: Generator) -> DMMVReferenceRun:
        """Return a new run."""
        assert isinstance(problem, MinMaxViolation)
        return DMMVReferenceRun(self, problem, rng)


class DMMVReferenceRun:
    """State of one run: the present point, its errors, and the wheel."""

    def __init__(self, options: DMMVReference, problem: MinMaxViolation, rng: Generator) -> None:
        self._options, self._rng = options, rng
        self._form: Form = forms(problem)[0]
        self._wheel = np.ones((2, 2))  # weights of (destroy, repair) operators
        self._control: Any = None

    def search(self, control: Control) -> None:
        """Destroy, repair, search locally, accept what is not worse."""
        self._control = control
        form = self._form
        points = [] if control.x0 is None else [control.x0[0].astype(np.int64)[form.free]]
        idx = min([*points, *starts(form)], key=form.value)
        control.incumbent(form.row(idx).astype(np.float64))
        control.bound(0.0)  # no violation is less
        if not len(idx):
            return
        idx, value = self._improved(idx)
        best = value
        while not control.stop() and best > 0:
            ways = [int(self._rng.choice(2, p=row / row.sum())) for row in self._wheel]
            control.spend(1)  # the repaired point
            tried, new = self._improved(self._repair(ways[1], idx, self._destroy(ways[0], idx)))
            outcome = 0 if new < best else 1 if new < value else 2 if new <= value else 3
            for row, way in zip(self._wheel, ways, strict=True):
                row[way] = DECAY * row[way] + (1 - DECAY) * SCORES[outcome]
            if outcome <= 2:
                idx, value = tried, new
            best = min(best, new)

    def _improved(self, idx: Integers) -> tuple[Integers, float]:
        """The end of the local search from idx, offered to the engine."""
        idx, value = self._local(idx)
        self._control.incumbent(self._form.row(idx).astype(np.float64))
        return idx, value

    # -- destroy and repair --------------------------------------------------------------------------------------

    def _destroy(self, way: int, idx: Integers) -> Integers:
        """Variables that are freed: any, or those that weigh in the rows near the bounds."""
        n = len(idx)
        size = max(1, int(self._options.share * n))
        if way == 0:
            return np.asarray(self._rng.choice(n, size, replace=False))
        violations = np.abs(self._form.errors(idx)) - self._form.half
        top = np.argsort(-violations)[:TOP_ROWS]
        weight = np.exp(-SHARPNESS * (violations[top[0]] - violations[top])) * np.maximum(
            violations[top], 0.0
        )
        rows = self._form.A.tocsr()[top] if self._form.sparse else self._form.A[top]
        score = np.asarray(abs(rows).T @ weight) + 1e-12
        return np.asarray(self._rng.choice(n, min(size, n), replace=False, p=score / score.sum()))

    def _repair(self, way: int, idx: Integers, freed: Integers) -> Integers:
        """Levels of the freed variables: one up, one down or as they were, by chance or the best of them."""
        idx = idx.copy()
        form = self._form
        if way == 0:
            step = self._rng.integers(-1, 2, len(freed))
            idx[freed] = np.clip(idx[freed] + step, 0, form.count[freed] - 1)
            return idx
        for j in freed:
            options = [k for k in (idx[j] - 1, idx[j] + 1) if 0 <= k < form.count[j]]
            values = self._values(idx, [(int(j), int(k), -1, 0) for k in options])
            if form.value(idx) >= values.min():
                idx[j] = options[int(np.argmin(values))]
        return idx

    # -- local search --------------------------------------------------------------------------------------------

    def _local(self, idx: Integers) -> tuple[Integers, float]:
        """Best swaps until none gains epsilon; with "W" single moves follow, the first that gains."""
        value = self._form.value(idx)
        while not self._control.stop():
            found = self._best_swap(idx, value)
            if found is None and self._options.local_search == "W":
                found = self._first_single(idx, value)
            if found is None:
                break
            idx, value = found
        return idx, value

    def _best_swap(self, idx: Integers, value: float) -> tuple[Integers, float] | None:
        best, move = value - self._options.epsilon, None
        for moves in self._screened(idx, value):
            values = self._values(idx, moves)
            if values.min() < best:
                best, move = float(values.min()), moves[int(np.argmin(values))]
            if self._control.stop():
                break
        return None if move is None else self._moved(idx, move)

    def _screened(self, idx: Integers, value: float) -> Iterator[list[tuple[int, int, int, int]]]:
        """Batches of swaps (i up from q, j down from q + 1) that improve every one of the worst rows."""
        form = self._form
        e = form.errors(idx)
        top = np.argsort(form.half - np.abs(e))[:TOP_ROWS]
        rows = form.A.tocsr()[top].toarray() if form.sparse else form.A[top]
        waiting: list[tuple[int, int, int, int]] = []
        for start in np.unique(form.start):
            mine = form.start == start
            for q in range(int(form.count[mine].max()) - 1):
                up = np.flatnonzero(mine & (idx == q) & (form.count > q + 1))
                down = np.flatnonzero(mine & (idx == q + 1))
                step = form.values[start + q + 1] - form.values[start + q]
                for i in up:
                    after = (
                        np.abs(e[top, None] + step * (rows[:, [i]] - rows[:, down])) - form.half[top, None]
                    )
                    waiting += [(int(i), q + 1, int(j), q) for j in down[(after < value).all(axis=0)]]
                    while len(waiting) >= BATCH:
                        yield waiting[:BATCH]
                        waiting = waiting[BATCH:]
                    if self._control.stop():
                        return
        if waiting:
            yield waiting

    def _first_single(self, idx: Integers, value: float) -> tuple[Integers, float] | None:
        for j in self._rng.permutation(len(idx)):
            options = [k for k in (idx[j] - 1, idx[j] + 1) if 0 <= k < self._form.count[j]]
            moves = [(int(j), int(k), -1, 0) for k in options]
            values = self._values(idx, moves)
            if values.min() < value - self._options.epsilon:
                return self._moved(idx, moves[int(np.argmin(values))])
            if self._control.stop():
                return None
        return None

    def _values(self, idx: Integers, moves: list[tuple[int, int, int, int]]) -> Floats:
        """Value after each move: variable i to level k, and j to l unless j is -1."""
        form, e, n_moves = self._form, self._form.errors(idx), len(moves)
        left = getattr(self._control, "remaining", None)
        moves = moves[:left]  # a budget is met exactly: what it does not cover counts as no gain
        self._control.spend(len(moves))
        result = [np.full(n_moves - len(moves), np.inf)]
        size = max(1, MEMORY // max(1, 2 * len(e)))
        for first in range(0, len(moves), size):
            i, k, j, l = np.array(moves[first : first + size]).T  # noqa: E741
            change = self._columns(i) * (form.values[form.start[i] + k] - form.levels(idx)[i])
            if (j >= 0).any():
                change = change + self._columns(j) * (form.values[form.start[j] + l] - form.levels(idx)[j])
            result.append((np.abs(e[:, None] + change) - form.half[:, None]).max(axis=0))
        values: Floats = np.maximum(np.concatenate([*result[1:], result[0]]), 0.0)
        return values

    def _columns(self, j: Integers) -> Floats:
        A = self._form.A[:, j]
        return np.asarray(A.toarray() if self._form.sparse else A)

    def _moved(self, idx: Integers, move: tuple[int, int, int, int]) -> tuple[Integers, float]:
        i, k, j, l = move  # noqa: E741
        idx = idx.copy()
        idx[i] = k
        if j >= 0:
            idx[j] = l
        return idx, self._form.value(idx)
