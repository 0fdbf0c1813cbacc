"""The searching run of the iterated local search, on the changes that a problem tells of its moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.solver import Control
from optengine.core.space import Batch
from optengine.solvers.local_search.climber import RESTART, SHAKE, Climber
from optengine.solvers.local_search.common import WORST, Key, Starts, keys_of
from optengine.solvers.local_search.moves import (
    EXCHANGE,
    FLIP,
    KINDS,
    Credits,
    Draws,
    Neighbourhood,
    possible_kinds,
)

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.local_search.ils import ILS

Floats = NDArray[np.float64]


def offered(options: ILS, problem: Problem) -> tuple[str, ...]:
    """The kinds of moves that the options allow, the space has and the problem can evaluate."""
    possible = set(possible_kinds(problem.space)) - {"jump", "cluster", "slide"}
    # a flip of a number or a category needs its new value, for which a pair of columns has no room
    if any(problem.space.n_levels[problem.space.lower < problem.space.upper] != 2):
        possible -= {"flip"}
    if problem.space.conditional:
        return ()
    wanted = KINDS if options.moves is None else options.moves
    return tuple(kind for kind in problem.moves if kind in possible and kind in wanted)


class DeltaRun:
    """Random moves by the chunk; the best of a chunk is taken if it makes the point no worse.

    A run with `chunk=1` makes the same steps as the asked and told one without `learn` and `memory`. One move costs
    some 2 microseconds beside `problem.delta`.
    """

    def __init__(self, options: ILS, problem: Problem) -> None:
        self._options, self._problem = options, problem
        self.details: dict[str, Any] = {}

    def search(self, control: Control) -> None:
        """Search until told to stop."""
        options, problem = self._options, self._problem
        draws = Draws(control.rng)
        moves = Neighbourhood(problem.space, draws, offered(options, problem))
        credits = Credits(len(moves.kinds))
        self._starts = Starts(problem.space, control.rng)
        climber = Climber(
            patience=options.patience or moves.patience,
            stretch=options.stretch,
            strength=options.strength,
            strongest=moves.n_sites // 4,
            restart_after=options.restart_after,
            kicks=(SHAKE,) if moves.n_positions else (SHAKE, RESTART),
        )
        start = None if control.x0 is None else control.x0[0]
        self._jump(control, climber, self._starts.draw() if start is None else start)
        while not control.stop():
            if climber.settled or climber.x is None:
                kick = climber.leave(draws.unit()) if climber.x is not None else RESTART
                home = climber.home
                y = (
                    self._starts.draw()
                    if home is None or kick == RESTART
                    else moves.perturbed(home, climber.strength)
                )
                self._jump(control, climber, y)
            else:
                self._chunk(control, climber, moves, credits, draws)
        self.details = {
            "moves": {KINDS[k]: round(s, 3) for k, s in zip(moves.kinds, credits.shares, strict=True)},
            "n_kicks": climber.n_kicks,
            "n_restarts": climber.n_restarts,
        }

    def _jump(self, control: Control, climber: Climber, y: Batch) -> None:
        """Evaluate a point that no move leads to."""
        evaluation = self._problem.evaluate(y[np.newaxis, :])
        control.spend(1)
        key = keys_of(evaluation)[0]
        record = key < climber.best_key
        climber.offer(y, key, climber.epoch)
        self._F, self._G = evaluation.F[0], evaluation.G[0]
        if record:
            control.incumbent(y)

    def _chunk(
        self, control: Control, climber: Climber, moves: Neighbourhood, credits: Credits, draws: Draws
    ) -> None:
        """Ask the problem about some moves of one kind, and take the best."""
        left = getattr(control, "remaining", None)
        n = self._options.chunk if left is None else max(1, min(self._options.chunk, left))
        which = credits.choose(draws.unit())
        kind, x = moves.kinds[which], climber.x
        assert x is not None
        drawn = [moves.draw(kind, x) for _ in range(n)]
        if kind == FLIP:
            drawn = [(column, value) for column, value in drawn if moves.may_flip(x, column)]
        elif kind == EXCHANGE:
            drawn = [(a, b) for a, b in drawn if a != b]
        if not drawn:
            climber.idle += n
            return
        n = len(drawn)
        pairs = np.array(drawn, dtype=np.int64)
        if kind == FLIP:
            pairs[:, 1] = pairs[:, 0]
        dF, dG = self._problem.delta(x, KINDS[kind], pairs)
        control.spend(n)
        keys = self._keys(dF, dG)
        best = min(keys)
        at = len(keys) - 1 - keys[::-1].index(best)
        y = moves.apply(x, kind, *drawn[at])
        if best <= climber.key and not self._starts.allows(y):
            climber.idle += n
            return
        record = best < climber.best_key
        better = climber.offer(y, best, climber.epoch)
        climber.idle += 0 if better else n - 1
        for i in range(n):
            credits.learn(which, better and i == 0)
        if climber.x is y:
            self._F, self._G = self._F + dF[at], self._G + dG[at]
        if record:
            self._report(control, climber, y)

    def _keys(self, dF: Floats, dG: Floats) -> list[Key]:
        """Keys of the points that the moves lead to."""
        values = self._F[0] + dF[:, 0]
        violation = np.maximum(self._G + dG, 0.0).sum(axis=1)
        keys = list(zip(violation.tolist(), values.tolist(), strict=True))
        failed = np.isnan(values) | np.isnan(violation)
        return (
            [WORST if bad else key for bad, key in zip(failed, keys, strict=True)] if failed.any() else keys
        )

    def _report(self, control: Control, climber: Climber, y: Batch) -> None:
        """Offer a record; its true value replaces the sum of changes, which rounding may have moved."""
        value = control.incumbent(y)
        if value is not None and climber.key[0] <= 0.0:
            self._F = np.array([value])
            climber.key = climber.best_key = (0.0, value)
