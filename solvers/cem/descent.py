"""The cross-entropy method over local optima: every row goes down by the problem's own deltas before it counts.

Laguna, Duarte and Marti, Hybridizing the cross-entropy method: an application to the max-cut problem, Comput. Oper.
Res. 36, 2009. Each row drawn from the distribution is improved by single moves until none improves it; the distribution
learns what comes out. Chosen by `descend=True` where the problem offers moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import BINARY, PERMUTATION, Batch
from optengine.solvers.cem.run import CEMRun

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.core.solver import Control
    from optengine.solvers.cem.cem import CEM

Floats = NDArray[np.float64]
Moves = NDArray[np.int64]

CHUNK = 64  # moves asked about together: fewer waste calls, more waste moves
POPULATION = 50  # rows of a generation, each of them a descent
LARGEST = 1500  # items of a permutation; all pairs of them take 20 MB
LEAST = 1e-12  # relative change that counts as better: less is rounding
PAIRS = ("swap", "insertion", "reversal")


def refusal(problem: Problem) -> str | None:
    """Why rows of `problem` cannot go down by its moves, or None."""
    kinds = {int(kind) for kind in problem.space.kind}
    if not problem.moves:
        return "descend=True needs a problem that tells what its moves change, and this one offers none"
    if problem.n_constraints or problem.space.constrained or problem.space.conditional:
        return "descend=True takes problems without constraints and conditions"
    if kinds == {BINARY} and "flip" in problem.moves:
        return None
    if kinds == {PERMUTATION} and len(problem.space.blocks) == 1 and set(problem.moves) & set(PAIRS):
        n = problem.space.width
        return None if n <= LARGEST else f"descend=True takes permutations of up to {LARGEST} items, got {n}"
    return (
        f"descend=True takes bits with flips, or one permutation with {', '.join(PAIRS)}; not {problem.moves}"
    )


class DescendingRun:
    """A run that asks and tells itself; one descent costs O(moves * steps) deltas, each of which is an evaluation."""

    def __init__(self, options: CEM, problem: Problem, rng: Generator) -> None:
        self._problem, self._rng = problem, rng
        self._run = CEMRun(options, problem, rng)
        if options.population is None:
            self._run.batch = POPULATION
        self._tables = _moves(problem)
        self._n_descents = 0
        self._best: Floats | None = None
        self._scale = 1.0  # of the values

    @property
    def details(self) -> dict[str, Any]:
        """What a result tells of the run."""
        return self._run.details | {"descents": self._n_descents}

    def search(self, control: Control) -> None:
        """Sample, descend and refit until told to stop."""
        best, rows = np.inf, control.x0
        while not control.stop():
            X = self._run.ask() if rows is None else np.array(rows)
            rows = None
            done = []
            for x in X:
                if control.stop():
                    break
                done.append(self._down(control, x))
            left = _left(control)
            Y = self._aligned(np.array(done[: int(min(len(done), left))]).reshape(-1, X.shape[1]))
            if not len(Y):
                break
            evaluation = self._problem.evaluate(Y)
            control.spend(len(Y))
            values = np.where(evaluation.failed, np.inf, evaluation.F[:, 0])
            row = int(np.argmin(values))
            if values[row] < best:
                best, self._best = float(values[row]), Y[row]
                self._scale = max(1.0, abs(best))
                control.incumbent(Y[row])
            self._run.tell(Y, evaluation)

    def _down(self, control: Control, x: Floats) -> Floats:
        """Improve one row until no move of any kind does, or the run must stop."""
        self._n_descents += 1
        x = x.copy()
        quiet, turn = 0, 0
        while quiet < len(self._tables):
            kind, table = self._tables[turn % len(self._tables)]
            turn += 1
            improved = self._down_by(control, x, kind, table)
            if improved is None:
                break
            quiet = 0 if improved else quiet + 1
        return x

    def _down_by(self, control: Control, x: Floats, kind: str, table: Moves) -> bool | None:
        """Take the best of CHUNK random moves as long as one improves, until all were seen; None: must stop.

        Returns whether x (n,), changed in place, improved.
        """
        order = self._rng.permutation(len(table))
        at = idle = 0
        improved = False
        while idle < len(table):
            n = int(min(CHUNK, len(table) - at, _left(control) - 1))
            if n < 1 or control.stop():
                return None
            moves = table[order[at : at + n]]
            change = self._problem.delta(x, kind, moves)[0][:, 0]
            control.spend(n)
            best = int(np.argmin(change))
            if change[best] < -LEAST * self._scale:
                _move(x, kind, *moves[best].tolist())
                improved, idle = True, 0
            else:
                idle += n
            at = (at + n) % len(table)
        return improved

    def _aligned(self, Y: Batch) -> Batch:
        """Of a partition and its complement, which have the same value, the one nearer to the best row."""
        if getattr(self._problem, "complement", False) and len(Y):
            far = np.abs(Y - (Y[0] if self._best is None else self._best)).sum(axis=1) > 0.5 * Y.shape[1]
            Y[far] = 1.0 - Y[far]
        return Y


def _left(control: Control) -> float:
    left = getattr(control, "remaining", None)
    return np.inf if left is None else float(left)


def _moves(problem: Problem) -> list[tuple[str, Moves]]:
    """All moves of each kind, (k, 2)."""
    n = problem.space.width
    if problem.space.kind[0] == BINARY:
        return [("flip", np.repeat(np.arange(n), 2).reshape(-1, 2))]
    pairs = np.column_stack(np.triu_indices(n, 1)).astype(np.int64)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return [(kind, both if kind == "insertion" else pairs) for kind in problem.moves if kind in PAIRS]


def _move(x: Floats, kind: str, i: int, j: int) -> None:
    """Apply a move in place."""
    if kind == "flip":
        x[i] = 1.0 - x[i]
    elif kind == "swap":
        x[i], x[j] = x[j], x[i]
    elif kind == "reversal":
        low, high = min(i, j), max(i, j)
        x[low : high + 1] = x[low : high + 1][::-1].copy()
    else:
        item = x[i]
        rest = np.delete(x, i)
        x[:] = np.insert(rest, j, item)
