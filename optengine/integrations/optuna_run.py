"""A solver's run that follows a study: told what finished, asked for one trial at a time, rebuilt from the trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import PCG64, SeedSequence
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial

from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.solver import StopAsking
from optengine.integrations.asking import session_of, setup_of, unevaluated
from optengine.integrations.optuna_history import StudyHistory, announced, observed, outcome, parameters
from optengine.integrations.optuna_space import Columns

Floats = NDArray[np.float64]

TRIES = 20  # neighbours looked at in place of a point that was tried before


def problem_of(
    columns: Columns, directions: Sequence[str], constraints: Sequence[str], noisy: bool
) -> Problem:
    """Return the problem that a study states, without a function of its own."""
    names = [f"value{i}" for i in range(len(directions))]
    return Problem(
        unevaluated,
        columns.space,
        objectives=names,
        direction=list(directions),
        constraints=[f"constraint {name}" for name in constraints],
        call="dict",
        noisy=noisy,
        name="study",
    )


def check_suitable(solver: Any, options: Any, directions: Sequence[str]) -> None:
    """Raise `SolverNotSuitable`, a ValueError, where the solver cannot treat so many objectives."""
    probe = Columns({"x": FloatDistribution(0.0, 1.0)})
    setup_of(problem_of(probe, directions, (), False), solver, options, 0)


class Following:
    """A run and how far it has followed its study.

    Runs that offer `pend` know nothing but data: they are rebuilt by telling them all of it. Others are generations
    and sequences: they are rebuilt by repeating the asks and tells of the trials that carry this run's key, and where
    that gives other points than it gave then, as with several processes, by the data alone.

    Random numbers depend on the seed and the trial's number only, so that copies of a sampler never draw the same.

    Args:
        columns: the search space. problem: of `problem_of`.
        solver, options, seed: as for `solve`.
        key: by which trials tell that this run proposed them.
        constraints: names in the order of the problem's.
    """

    def __init__(
        self,
        columns: Columns,
        problem: Problem,
        solver: Any,
        options: Any,
        seed: int,
        key: str,
        constraints: Sequence[str],
    ) -> None:
        self._columns, self._problem, self.key = columns, problem, key
        self._solver, self._options, self._seed = solver, options, seed
        self._constraints = tuple(constraints)
        self._begin(0)
        self.stale = False  # whether what is pending in the run is not what is pending in the study

    def _begin(self, salt: int) -> None:
        self._session = session_of(self._problem, self._solver, self._options, self._seed + salt)
        self._modelled = hasattr(self._session.run, "pend")
        self._told = 0  # finished trials told
        self._asked: dict[int, tuple[int, Floats]] = {}  # trial -> number of the ask, row
        self._pending: dict[int, Floats] = {}  # trials of others that the run knows of
        self._seen: set[bytes] = set()
        self._lost: set[bytes] = set()  # rows that failed
        self._n_asked = 0

    # -- following ---------------------------------------------------------------------------------------------

    def propose(self, history: StudyHistory, number: int) -> dict[str, Any]:
        """Return parameters for the trial `number`."""
        fresh = self._told == 0 and self._n_asked == 0
        if self.stale or (fresh and self._modelled):
            self._begin(number if self._modelled else 0)
            self.stale = False
        elif fresh and not self._repeat(history, number):
            self._begin(0)
        self._tell(history.finished[self._told :])
        self._told = len(history.finished)
        running = history.running(number)
        if self._modelled:
            self._pend(running)
        return self._columns.params(self._ask(number, running))

    def _ask(self, number: int, running: Sequence[FrozenTrial]) -> Floats:
        state = PCG64(SeedSequence(self._seed, spawn_key=(number,))).state
        self._session.rng.bit_generator.state = state
        taken = [self._row_of(t) for t in running]
        waiting = {other.tobytes() for other in taken if other is not None}
        try:
            row: Floats = self._session.propose(1)[0]
        except StopAsking:
            return self._left_over(waiting)
        self._asked[number] = self._n_asked, row
        self._n_asked += 1
        barred = self._lost if self._problem.noisy else self._seen
        if row.tobytes() in barred or row.tobytes() in waiting:
            row = self._moved(row, barred | waiting)
            self._asked[number] = self._asked[number][0], row
        return row

    def _moved(self, row: Floats, barred: set[bytes]) -> Floats:
        """Return a point near a row that is not barred, or the row itself where none is found."""
        session = self._session
        near, scale = row[None, :], 0.05
        for _ in range(TRIES):
            near = session.repaired(session.space.neighbours(near, session.rng, scale)) + 0.0
            if near[0].tobytes() not in barred:
                self.stale = self._modelled  # it would wait for the row it gave
                return np.asarray(near[0])
            scale = min(1.0, 1.5 * scale)
        return row

    def _left_over(self, waiting: set[bytes]) -> Floats:
        """Return a random point where the solver has proposed all there are: one that did not fail, if any."""
        X = self._session.repaired(self._session.space.sample(TRIES, self._session.rng)) + 0.0
        worse = [(row.tobytes() in self._lost, row.tobytes() in waiting) for row in X]
        return np.asarray(X[min(range(TRIES), key=worse.__getitem__)])

    def _row_of(self, trial: FrozenTrial) -> Floats | None:
        row = self._columns.row(parameters(trial))
        return None if row is None else row + 0.0  # no -0.0

    def _pend(self, running: Sequence[FrozenTrial]) -> None:
        """Let the run know what others are evaluating."""
        for trial in running:
            if trial.number in self._asked or trial.number in self._pending:
                continue
            row = self._row_of(trial)
            if row is not None:
                self._pending[trial.number] = row
                self._session.run.pend(row[None, :])

    def _tell(self, trials: Sequence[FrozenTrial]) -> None:
        """Tell finished trials as one batch."""
        rows, F, G, failed, ids = [], [], [], [], []
        for trial in sorted(trials, key=lambda t: t.number):
            number, asked = self._asked.pop(trial.number, (-1, None))
            asked = self._pending.pop(trial.number, None) if asked is None else asked
            row = self._row_of(trial)
            if row is None or (asked is not None and row.tobytes() != (asked + 0.0).tobytes()):
                self.stale |= self._modelled and asked is not None
                number = -1
            if row is None:
                continue
            values = outcome(trial, len(self._problem.signs))
            constraints = observed(trial)
            rows.append(row)
            ids.append(number)
            failed.append(values is None)
            F.append(
                np.full(len(self._problem.signs), np.nan) if values is None else values * self._problem.signs
            )
            # Optuna takes a trial that did not say for an infeasible one.
            G.append([np.nan if values is None else constraints.get(c, 1.0) for c in self._constraints])
            self._seen.add(row.tobytes())
            if values is None:
                self._lost.add(row.tobytes())
        if rows:
            evaluation = Evaluation(
                np.array(F, dtype=np.float64).reshape(len(rows), -1),
                np.array(G, dtype=np.float64).reshape(len(rows), len(self._constraints)),
                np.array(failed, dtype=bool),
                ids=np.array(ids, dtype=np.int64),
            )
            self._session.run.tell(np.array(rows), evaluation)

    # -- standing up again -------------------------------------------------------------------------------------

    def _repeat(self, history: StudyHistory, current: int) -> bool:
        """Repeat the asks and tells of the trials with this run's key; False where other points come out."""
        running = history.running(current)
        mine = sorted(
            (t for t in (*history.finished, *running) if _mine(t, self.key)), key=lambda t: t.number
        )
        waiting = sorted(history.finished, key=lambda t: t.number)
        for trial in mine:
            before = [t for t in waiting if _ended_before(t, trial)]
            waiting = [t for t in waiting if not _ended_before(t, trial)]
            self._tell(before)
            open_then = [t for t in (*waiting, *running) if t.number < trial.number]
            row = self._ask(trial.number, open_then)
            said = announced(trial)
            wanted = None if said is None else self._columns.row(said.params)
            if wanted is None or (row + 0.0).tobytes() != (wanted + 0.0).tobytes():
                return False
        self._tell(waiting)
        self._told = len(history.finished)
        return True


def _mine(trial: FrozenTrial, key: str) -> bool:
    said = announced(trial)
    return said is not None and said.key == key


def _ended_before(trial: FrozenTrial, other: FrozenTrial) -> bool:
    """Whether a trial had ended when the other one began."""
    if trial.datetime_complete is None or other.datetime_start is None:
        return trial.number < other.number
    return trial.datetime_complete <= other.datetime_start and trial.number < other.number
