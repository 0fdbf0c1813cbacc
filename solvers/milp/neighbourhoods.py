"""Neighbourhoods of an incumbent, each a small model of its own, chosen by what paid.

Relaxation-induced neighbourhood search fixes the whole variables on which incumbent and linear relaxation agree (Danna,
Rothberg, Le Pape, Mathematical Programming 102 (2005), doi:10.1007/s10107-004-0518-7). Local branching adds a row that
keeps all but k binaries (Fischetti, Lodi, Mathematical Programming 98 (2003), doi:10.1007/s10107-003-0395-5). A random
neighbourhood frees variables of random rows; a predicted one frees those whose value the prediction doubts. What
differs from the papers: sizes adapt to whether a neighbourhood is exhausted or runs out of its time, and kinds are
drawn in proportion to what they gained.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.linear import solve_linear
from optengine.backends.terms import LinearResult, LinearStatus
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel
from optengine.problems.milp import MILP
from optengine.solvers.milp.restrict import held, near, relaxed
from optengine.solvers.milp.stage import Stage

Floats = NDArray[np.float64]

SHARE = 0.5  # of the whole variables, freed at first
SMALLEST = 0.02
SLICE = 0.1  # share of the run's time that one neighbourhood may take
LEAST_SECONDS, MOST_SECONDS = 0.2, 20.0  # of one neighbourhood
NODES = 500  # of one neighbourhood where the run has no time limit
FAILURES = 40  # neighbourhoods in a row without gain after which the whole model is solved
FORGET = 0.8  # of a kind's reward, at each use


class Neighbourhoods:
    """Large-neighbourhood search of one run.

    Args:
        problem, stage, rng: of the run. scores: (n,) of a prediction, or None.
        details: where to note what was tried. kinds: names of the neighbourhoods; default all that are possible.
        doubtful: share of the whole variables that a predicted neighbourhood frees at first.
    """

    def __init__(
        self,
        problem: MILP,
        stage: Stage,
        rng: Generator,
        scores: Floats | None,
        details: dict[str, Any],
        kinds: tuple[str, ...] | None = None,
        doubtful: float = SHARE,
    ) -> None:
        self._model, self._stage, self._desk, self._rng = problem.model, stage, stage.desk, rng
        self._binaries, self._whole = problem.binaries, np.flatnonzero(problem.integrality)
        self._scores = scores
        possible = ["random"] + (["branching"] if len(self._binaries) else [])
        self._root = self._relaxation() if kinds is None or "relaxation" in kinds else None
        possible += [] if self._root is None else ["relaxation"]
        possible += [] if scores is None or kinds is not None else ["predicted"]
        self._kinds = [k for k in possible if kinds is None or k in kinds] or ["random"]
        self._reward = dict.fromkeys(self._kinds, 1.0)
        self._share = dict.fromkeys(self._kinds, SHARE) | {
            "predicted": float(np.clip(doubtful, SMALLEST, SHARE))
        }
        self._tried = dict.fromkeys(self._kinds, 0)
        self._gained = dict.fromkeys(self._kinds, 0)
        details["neighbourhoods"] = {"tried": self._tried, "gained": self._gained}

    def _relaxation(self) -> Floats | None:
        """The relaxation's optimum, whose value is a bound."""
        limit = max(min(self._stage.seconds / 4, MOST_SECONDS), 1e-3)
        try:
            result = solve_linear(relaxed(self._model), time_limit=limit, threads=1, stop=self._desk.stop)
        except OptEngineError:  # it broke down: one neighbourhood less
            return None
        if result.status is LinearStatus.OPTIMAL:
            self._desk.prove(result.bound)
        return result.x if result.status is LinearStatus.OPTIMAL else None

    def search(self) -> bool:
        """Search until the time is over; True if the whole model was solved meanwhile."""
        failures = 0
        while not self._stage.over and self._desk.best is not None:
            if failures >= FAILURES or not len(self._whole):
                return self._desk.conclude(self._stage.solve(self._model, whole=True))
            kind = self._draw()
            before = self._desk.value
            result = self._try(kind)
            gained = before - self._desk.value > 1e-9 * max(1.0, abs(before))
            self._learn(kind, result, gained)
            failures = 0 if gained else failures + 1
        return False

    def _draw(self) -> str:
        weights = np.array([self._reward[kind] + 0.1 for kind in self._kinds])
        return str(self._rng.choice(self._kinds, p=weights / weights.sum()))

    def _try(self, kind: str) -> LinearResult:
        limited = np.isfinite(self._stage.seconds)
        seconds = np.clip(SLICE * self._stage.seconds, LEAST_SECONDS, MOST_SECONDS) if limited else np.inf
        return self._stage.solve(
            self._restricted(kind), seconds=float(seconds), nodes=None if limited else NODES
        )

    def _restricted(self, kind: str) -> LinearModel:
        x = self._desk.best
        assert x is not None
        if kind == "branching":
            on = x[self._binaries] > 0.5
            radius = max(2, round(self._share[kind] * max(int(on.sum()), 4)))
            return near(self._model, self._binaries[~on], self._binaries[on], radius)
        free = self._freed(kind, x)
        values = np.full(len(x), np.nan)
        kept = self._whole[~free]
        values[kept] = x[kept]
        return held(self._model, values)

    def _freed(self, kind: str, x: Floats) -> NDArray[np.bool_]:
        """Which of the whole variables a neighbourhood sets free: those that matter most to its kind."""
        count = max(2, round(self._share[kind] * len(self._whole)))
        here, noise = x[self._whole], self._rng.random(len(self._whole))
        if kind == "relaxation" and self._root is not None:
            priority = np.abs(here - self._root[self._whole]) + 1e-3 * noise
        elif kind == "predicted" and self._scores is not None:
            priority = self._doubt(here) * (0.5 + noise)
        else:
            priority = noise if not self._model.n_rows else self._by_rows(noise)
        free = np.zeros(len(self._whole), dtype=bool)
        free[np.argsort(-priority, kind="stable")[:count]] = True
        return free

    def _doubt(self, here: Floats) -> Floats:
        """How far the incumbent is from the rank of each score: 0 where both say the same."""
        assert self._scores is not None
        scores = self._scores[self._whole]
        rank = np.full(len(scores), 0.5)
        known = np.flatnonzero(~np.isnan(scores))
        rank[known[np.argsort(scores[known], kind="stable")]] = np.linspace(0, 1, len(known))
        return np.asarray(np.abs(np.clip(here, 0, 1) - rank))

    def _by_rows(self, noise: Floats) -> Floats:
        """Priority to the columns of a few random rows, which hang together."""
        A = self._model.A
        drawn = self._rng.permutation(self._model.n_rows)[: max(1, self._model.n_rows // 10)]
        touched = np.zeros(self._model.n_variables)
        for i in drawn.tolist():
            row = A.indices[A.indptr[i] : A.indptr[i + 1]] if self._model.sparse else np.flatnonzero(A[i])
            touched[row] += self._rng.random()
        return np.asarray(touched[self._whole] + 0.1 * noise)

    def _learn(self, kind: str, result: LinearResult, gained: bool) -> None:
        """Adapt reward and size: larger when exhausted, smaller when the time was over without gain."""
        self._tried[kind] += 1
        self._gained[kind] += int(gained)
        self._reward[kind] = FORGET * self._reward[kind] + (1 - FORGET) * float(gained) * 5
        if result.status in (LinearStatus.OPTIMAL, LinearStatus.INFEASIBLE):
            self._share[kind] = min(1.0, self._share[kind] * 1.3) if not gained else self._share[kind]
        elif not gained:
            self._share[kind] = max(SMALLEST, self._share[kind] * 0.7)
