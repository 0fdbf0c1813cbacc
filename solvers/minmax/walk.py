"""One walk of the local search: cycles of annealing on power sums, exact descent, and kicks of the worst row.

A cycle is a continuation of the maximum: stages with p = 2, 4, 8 (or 4, 8, 16) on the sum of the violations' powers,
each cooled from the temperature at which a given share of moves is accepted. Then it descends in the maximum itself.
Between cycles the best point is kicked: variables of its worst row move in the direction that relieves it; kicks that
lead to nothing widen, and variables that were just kicked are left alone. Every third failure begins anew, hot.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.kernels import minmax as dense, minmax_sparse as sparse
from optengine.kernels.minmax_kicks import kicked_descents
from optengine.kernels.minmax_quadratic import anneal_quadratic
from optengine.solvers.minmax.form import Form
from optengine.solvers.minmax.gram import gram

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TURN = 0.02  # seconds that one call of a compiled search should take
STAGES = ((1, 2, 3), (2, 3, 4), (3, 4))  # log2 of the powers of a cycle, in turn
HOT, WARM, LATER = (
    0.05,
    0.005,
    0.002,
)  # accepted share at the start: of a cycle begun anew, kicked; of later stages
# On a sparse A the sum of squares has a phase transition: above it the walk forgets everything, far below it nothing
# moves, and the time goes where one move in a hundred to one in two thousand is accepted.
# Later stages start from what has crystallised, and so colder than elsewhere.
CRYSTAL, CRYSTAL_HOT, CRYSTAL_LAST, CRYSTAL_LATER = ((1, 2, 3), (1, 3, 4)), 0.012, 0.35, 0.0002
MELTED = 0.7  # factor between the temperatures of the fast cooling towards CRYSTAL_HOT
COOLING = 0.02  # last temperature of a stage, in units of its first
FROZEN = 2e-5  # share of accepted moves below which a stage is over
MOVES_EACH = 100  # of a turn for each variable, at most: few variables want many short cycles
MOVES_SQUARES = 2000  # the same where a move costs O(1)
PROBES = 16  # calls of a quarter turn that may look for the first temperature
FIRST_TURNS, CRYSTAL_TURNS, LONGEST = (
    12,
    45,
    3000,
)  # turns of a cycle: doubled every third cycle, or grown by half
PAIRS = 0.3  # share of moves with two variables
PATIENCE, WIDEST = 5, 0.25  # failed kicks before the kick doubles, its largest share of the variables
WIDEST_KICK = 5  # variables of a kick before a descent
AFRESH = 3  # every third failure in a row begins anew from a scattered point
FEW = 48  # variables up to which whole descents are repeated in place of annealing, every other turn
PAIR_SUPPORT = 32  # variables of the worst row that pair moves start from


class Walk:
    """State of one walk on one right-hand side.

    Attributes:
        best, value: best point of the walk, level indices (n,), and its value. spent: moves tried since last asked.
        crystal: whether the sum of squares of a sparse system is cooled slowly, rather than kicked often.
    """

    def __init__(self, form: Form, start: Integers, rng: Generator, number: int = 0) -> None:
        self.form, self._rng = form, rng
        self.best, self.value = start.copy(), form.value(start)
        self.spent = 0
        self._seed = int(rng.integers(2**31))
        self._move, self._n_moves = 0, 2000
        self._cycle = number  # walks on several threads begin with different powers
        self._length = 0
        self._kick, self._failures = 1, 0
        self._tabu = np.empty(0, dtype=np.int64)
        self._known: dict[tuple[int, float], float] = {}  # first temperatures of earlier stages
        self._dtype: Any = np.float64 if form.sparse else form.At32.dtype
        self._half = form.half.astype(self._dtype, copy=False)
        self._gram = None if form.shape[1] <= FEW and not form.sparse else gram(form)
        self._squares = self._gram is not None and len(self._gram.G) > 0 and not form.half.any()
        self.crystal = self._squares and form.sparse
        self._step = (form.highest - form.lowest) / np.maximum(form.count - 1, 1)
        self.few = not form.sparse and form.shape[1] <= FEW
        self._calls, self._round, self._n_rounds = 0, 0, 8
        self._present = start.copy()  # where the kicked descents are
        self._melts_at = 0.0  # temperature found by the first melting
        self._begin(start, HOT)

    def compile(self) -> None:
        """Load every kernel that a walk may call; for a small form."""
        for _ in range(20):  # to a local optimum, where pairs are tried
            self.descend()
        self._gram, self._squares = gram(self.form), True
        for squarings in (1, 2):
            self._squarings = squarings
            self.anneal(50)

    def take(self, best: Integers, value: float) -> None:
        """Learn of a better point."""
        if value < self.value:
            self.best, self.value = best.copy(), value

    def resume_from(self, idx: Integers) -> None:
        """Begin the next cycle at idx (n,), not hot."""
        self._begin(idx, WARM)

    def _begin(self, idx: Integers, share: float) -> None:
        self._idx = idx.copy()
        stages = CRYSTAL if self.crystal else STAGES
        self._stages = list(stages[self._cycle % len(stages)])
        growth = 1.5**self._length if self.crystal else 2.0 ** (self._length // 3)
        turns = min(LONGEST, (CRYSTAL_TURNS if self.crystal else FIRST_TURNS) * growth)
        self._each = max(2, int(turns / (len(self._stages) + 3 * self.crystal)))
        self._before = self.value
        self._descending = False
        self._begin_stage(share if share < HOT or not self.crystal else CRYSTAL_HOT)

    def _begin_stage(self, share: float) -> None:
        self._squarings = self._stages.pop(0)
        crystal = self.crystal and self._squarings == 1
        self._turns = 4 * self._each if crystal else self._each
        self._last = CRYSTAL_LAST if crystal else COOLING
        now = self.form.value(self._idx)
        self._scale = 1.0 / max(now, 1e-300)
        self._wanted, self._ways = share, 0
        self._tau = self._known.get((self._squarings, share), 1.0)
        self._turn, self._still, self._probes = 0, 0, 0
        self._melting = crystal and (share > WARM or not self._melts_at)
        if self._melting:  # far above the transition: one level of one variable
            assert self._gram is not None
            self._tau = self._scale**2 * float(np.mean(np.diag(self._gram.G)) * np.mean(self._step**2))
        elif crystal:
            self._tau, self._probes = self._scale**2 * MELTED * self._melts_at, PROBES
        self._probed = (self._tau, 0.0)

    def turn(self) -> None:
        """About `TURN` seconds of search."""
        if self.value <= 0:
            return
        self._calls += 1
        if self.few and self._calls % 2:
            self.kicks(self._n_rounds)
            return
        if self._descending:
            self.descend()
            return
        self.cool()

    def cool(self, at_most: int | None = None) -> None:
        """One call of the annealing, of `at_most` moves, and the next temperature or stage."""
        if self._descending:
            self._next_cycle()
        probing = self._probes < PROBES
        n_moves = max(100, self._n_moves // 4 if probing else self._n_moves)
        n_moves = n_moves if at_most is None else min(n_moves, at_most)
        began = time.perf_counter()
        accepted = self.anneal(n_moves)
        took = time.perf_counter() - began
        rate = n_moves * TURN / max(took, 1e-6)
        each = MOVES_SQUARES if self._squares and self._squarings == 1 else MOVES_EACH
        most = min(4.0 * self._n_moves, each * max(5, self.form.shape[1]))
        self._n_moves = int(np.clip(rate, min(self._n_moves / 4, most), most))
        if self._melting and accepted > self._wanted:
            self._tau *= MELTED
            return
        if probing and not self._melting and self._probe(accepted):
            return
        if self._melting:
            self._melting, self._probes = False, PROBES
            self._melts_at = self._tau / self._scale**2
        self._still = self._still + 1 if accepted < FROZEN else 0
        self._turn += 1
        self._tau *= self._last ** (1.0 / self._turns)
        if self._turn >= self._turns or self._still >= 3:
            if self._stages:
                self._begin_stage(CRYSTAL_LATER if self.crystal else LATER)
            else:
                self._descending = True

    def kicks(self, n_rounds: int) -> None:
        """One call of the kicked descents, about a turn long."""
        form = self.form
        e = form.errors(self._present)
        best, began = self.best.copy(), time.perf_counter()
        found, tried = kicked_descents(
            form.At, e, form.half, self._present, form.values, form.start, form.count, dense.worst_first(e, form.half),
            WIDEST_KICK, self._seed, self._round, n_rounds, best, self.value,
        )  # fmt: skip
        took = time.perf_counter() - began
        self._round += n_rounds
        self._n_rounds = int(np.clip(n_rounds * TURN / max(took, 1e-6), 1, 2 * n_rounds))
        self.spent += tried
        if found < self.value:
            self._note(best)

    def _probe(self, accepted: float) -> bool:
        """Step the temperature towards the wanted share and interpolate; False once it is found."""
        way = 1 if accepted < self._wanted else -1
        self._probes += 1
        if self._ways in (0, way) and self._probes < PROBES:
            self._ways = way
            self._probed = self._tau, accepted
            self._tau *= 4.0**way
            return True
        self._probes = PROBES
        low, high = sorted([self._probed, (self._tau, accepted)])
        shares = np.log(np.maximum([low[1], high[1], self._wanted], 1e-6))
        part = (shares[2] - shares[0]) / (shares[1] - shares[0]) if shares[1] > shares[0] else 0.0
        self._tau = low[0] * (high[0] / low[0]) ** float(np.clip(part, 0.0, 1.0))
        self._known[self._squarings, self._wanted] = self._tau
        return False

    def anneal(self, n_moves: int) -> float:
        """One call of the kernel; returns the share of accepted moves."""
        form = self.form
        e = form.errors(self._idx)
        best, value = self.best.copy(), self.value
        if self._squares and self._squarings == 1:
            found, accepted = self._anneal_squares(e, n_moves, best)
        elif form.sparse:
            A, made = form.A, self._gram
            assert made is not None
            found, accepted = sparse.anneal_sparse(
                A.indptr, A.indices, A.data, e, form.half, self._idx, form.values, form.start, form.count,
                self._squarings, self._scale, self._tau, PAIRS, made.partners, self._seed, self._move, n_moves, best,
                value,
            )  # fmt: skip
        else:
            found, accepted = dense.anneal(
                form.At32, e.astype(self._dtype), self._half, self._idx, form.values, form.start, form.count,
                self._squarings, self._scale, self._tau, PAIRS, self._seed, self._move, n_moves, best, value,
            )  # fmt: skip
        self._move += n_moves
        self.spent += n_moves
        if found < value:
            self._note(best)
        return float(accepted) / n_moves

    def _anneal_squares(self, e: Floats, n_moves: int, best: Integers) -> tuple[float, int]:
        """A call of the kernel that needs no rows; returns the value of its `best` point, and acceptances."""
        form, made = self.form, self._gram
        assert made is not None
        _, _, accepted = anneal_quadratic(
            made.G, form.A.T @ e, self._idx, form.values, form.start, form.count, self._tau / self._scale**2, PAIRS,
            made.partners, made.links, self._seed, self._move, n_moves, best,
        )  # fmt: skip
        return form.value(best), accepted

    def _note(self, idx: Integers) -> bool:
        value = self.form.value(idx)
        if value < self.value:
            self.best, self.value = idx.copy(), value
            return True
        return False

    # -- descent in the maximum ----------------------------------------------------------------------------------

    def descend(self) -> None:
        """One improving move of the best point: single moves first, then pairs on its worst row; or the next cycle."""
        form = self.form
        e = form.errors(self.best)
        order = dense.worst_first(e, form.half)
        self.spent += form.shape[1]
        if form.sparse:
            A = form.A
            _, j, k = sparse.best_move_sparse(
                A.indptr,
                A.indices,
                A.data,
                e,
                form.half,
                self.best,
                form.values,
                form.start,
                form.count,
                order,
            )
        else:
            _, j, k = dense.best_move(
                form.At, e, form.half, self.best, form.values, form.start, form.count, order
            )
        changed = self.best.copy()
        if j >= 0:
            changed[j] = k
        elif not form.sparse:
            row = np.abs(form.A[order[0]])
            first = np.argsort(-row, kind="stable")[:PAIR_SUPPORT]
            self.spent += 4 * len(first) * len(row)
            _, i, k, j, l = dense.best_pair(  # noqa: E741
                form.At, e, form.half, self.best, form.values, form.start, form.count, first, False, order
            )
            if i >= 0:
                changed[i], changed[j] = k, l
        if not self._note(changed):
            self._next_cycle()

    def _next_cycle(self) -> None:
        self._cycle += 1
        self._length += 1
        if self.value < self._before:
            self._kick, self._failures = 1, 0
        else:
            self._failures += 1
            if self._failures % PATIENCE == 0:
                self._kick = min(2 * self._kick, max(1, int(WIDEST * self.form.shape[1])))
        if (self._cycle % 2 == 0) if self.crystal else (self._failures % AFRESH == AFRESH - 1):
            self._begin(self._scattered(), HOT)
        elif self.crystal:  # the best point, warm but not molten
            self._begin(self.best, WARM)
        else:
            self._begin(self._kicked(), WARM)

    def _scattered(self) -> Integers:
        """The best point with every variable some levels away."""
        step = np.rint(1.5 * self._rng.standard_normal(len(self.best))).astype(np.int64)
        moved: Integers = np.clip(self.best + step, 0, self.form.count - 1)
        return moved

    def _kicked(self) -> Integers:
        """The best point with `kick` variables of its worst row moved one level in the relieving direction."""
        form = self.form
        idx, e = self.best.copy(), form.errors(self.best)
        i = int(np.argmax(np.abs(e) - form.half))
        row = _sparse_row(form.A, i) if form.sparse else form.A[i]
        way = -np.sign(e[i]) * np.sign(row)
        new = idx + way.astype(np.int64)
        able = np.flatnonzero((way != 0) & (new >= 0) & (new < form.count))
        able = np.setdiff1d(able, self._tabu)
        if len(able):
            chosen = self._rng.choice(able, min(self._kick, len(able)), replace=False)
            idx[chosen] = new[chosen]
            self._tabu = chosen
        else:
            self._tabu = np.empty(0, dtype=np.int64)
        return idx


def _sparse_row(A: Any, i: int) -> Floats:
    """Row i of a CSC matrix as a vector (n,)."""
    row = np.zeros(A.shape[1])
    at = np.flatnonzero(A.indices == i)
    row[np.searchsorted(A.indptr, at, side="right") - 1] = A.data[at]
    return row
