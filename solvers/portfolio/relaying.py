"""The run of `relay`: who is asked now, and what is handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.pending import Pending
from optengine.core.solver import StopAsking
from optengine.core.space import Batch

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Key = tuple[float, float]  # violation, value; failed rows last

NOTHING: Key = (np.inf, np.inf)


class StageRun:
    """A stage: its members, what they have asked for, and who leads.

    Attributes:
        race, evaluations: as in `Stage`. runs: label -> run, once the stage has begun.
        asked, best, told: label -> evaluations handed out, best key, evaluations told.
        leader: label of the member that goes on alone, once the race is decided.
    """

    def __init__(
        self, members: dict[str, tuple[Any, Generator]], race: int | None, evaluations: int | None
    ) -> None:
        self._members, self.race, self.evaluations = members, race, evaluations
        self.runs: dict[str, Any] = {}
        self.asked, self.told = dict.fromkeys(members, 0), dict.fromkeys(members, 0)
        self.best: dict[str, Key] = dict.fromkeys(members, NOTHING)
        self.leader = next(iter(members)) if len(members) == 1 else None

    def begin(self, problem: Problem, data: list[tuple[Batch, Evaluation]]) -> None:
        """Start the members; each is told what is known."""
        for label, (solver, rng) in self._members.items():
            run = solver.start(problem, rng)
            if hasattr(run, "search"):
                raise OptionError(f"stages must hold solvers that are asked and told, got {label!r}")
            self.runs[label] = run
            if data:
                X = np.concatenate([rows for rows, _ in data])
                run.tell(X, foreign(Evaluation.concatenate([told for _, told in data])))

    def turn(self) -> tuple[str, int | None]:
        """Who is asked next, and for how many at most; None for no bound."""
        if self.leader is not None:
            left = None if self.evaluations is None else max(0, self.evaluations - sum(self.asked.values()))
            return self.leader, left
        assert self.race is not None
        behind = min(self.runs, key=lambda label: self.asked[label])  # the first of those with the fewest
        return behind, max(1, self.race - self.asked[behind])

    @property
    def decided(self) -> bool:
        """Whether every racer has had its evaluations, and all of them are told."""
        return self.race is not None and all(self.told[label] >= self.race for label in self.runs)

    @property
    def over(self) -> bool:
        """Whether the next stage is due."""
        return self.evaluations is not None and sum(self.asked.values()) >= self.evaluations

    def record(self, sign: float) -> dict[str, Any]:
        """What happened, for `details`."""
        return {
            "members": {
                label: {"asked": n, "best": self.best[label][1] * sign if self.best[label][0] == 0 else None}
                for label, n in self.asked.items()
            },
            "leader": self.leader,
        }


class RelayRun:
    """State of one run.

    Attributes:
        batch: 1, so that every point is chosen with all that is known, and a stage ends where it should.
    """

    batch = 1

    def __init__(self, stages: list[StageRun], problem: Problem) -> None:
        self._stages, self._problem, self._now = stages, problem, 0
        self._sign = float(problem.signs[0])
        self._data: list[tuple[Batch, Evaluation]] = []  # kept while a later stage has to be told
        self._labels: list[tuple[int, str]] = []  # whose they are: number of the stage, label
        self._owners = Pending()
        stages[0].begin(problem, [])

    @property
    def details(self) -> dict[str, Any]:
        """What each stage that has begun did."""
        return {"stages": [stage.record(self._sign) for stage in self._stages[: self._now + 1]]}

    @property
    def reason(self) -> str:
        """The races that were decided, for `result.reason`."""
        decided = []
        for stage in self._stages[: self._now + 1]:
            if len(stage.asked) > 1 and stage.leader is not None:
                bests = ", ".join(f"{label} {stage.best[label][1] * self._sign:.4g}" for label in stage.asked)
                decided.append(f"race of {stage.race} evaluations each ({bests}): {stage.leader} went on")
        return "; ".join(decided)

    # -- asking ------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width); fewer at the very end.

        Raises:
            StopAsking: no member of the last stage proposes any more.
        """
        n, got = self.batch if n is None else n, 0
        parts: list[Batch] = []
        while got < n:
            self._advance()
            stage = self._stages[self._now]
            label, left = stage.turn()
            try:
                X = np.array(stage.runs[label].ask(n - got if left is None else min(n - got, left)))
            except StopAsking:
                if self._gave_up(stage, label):
                    continue
                if parts:
                    break
                raise
            self._owners.add(X, [(self._now, label)] * len(X))
            stage.asked[label] += len(X)
            got += len(X)
            parts.append(X)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _advance(self) -> None:
        """Decide a race that is run, and begin the next stage when it is due."""
        stage = self._stages[self._now]
        if stage.leader is None and stage.decided:
            self._decide(stage)
        if stage.over and self._now + 1 < len(self._stages):
            self._next()

    def _decide(self, stage: StageRun) -> None:
        """Let the member with the best value go on; the first of equals."""
        stage.leader = min(stage.runs, key=lambda label: stage.best[label])
        run = stage.runs[stage.leader]
        for rows, told, label in self._heats(stage):
            if label != stage.leader:
                run.tell(rows, foreign(told))
        stage.runs = {stage.leader: run}
        self._forget()

    def _heats(self, stage: StageRun) -> list[tuple[Batch, Evaluation, str]]:
        return [(X, told, label) for (X, told), (k, label) in zip(self._data, self._labels, strict=True)
                if self._stages[k] is stage]  # fmt: skip

    def _gave_up(self, stage: StageRun, label: str) -> bool:
        """A member has no more to propose: another one, or the next stage, goes on; False if there is none."""
        if len(stage.runs) > 1:
            del stage.runs[label]
            if len(stage.runs) == 1:
                stage.leader = next(iter(stage.runs))
            return True
        if self._now + 1 < len(self._stages):
            self._next()
            return True
        return False

    def _next(self) -> None:
        self._now += 1
        self._stages[self._now].begin(self._problem, self._data)
        self._forget()

    def _forget(self) -> None:
        """Drop what no later stage needs."""
        if self._now + 1 == len(self._stages) and self._stages[self._now].leader is not None:
            self._data.clear()
            self._labels.clear()

    # -- telling -----------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width): each member those of its own points, those now running all of nobody's."""
        owners = self._owners.take(X)
        groups: dict[Any, list[int]] = {}
        for i, owner in enumerate(owners):
            groups.setdefault(owner, []).append(i)
        for owner, rows in groups.items():
            part, told = (
                (X, evaluation) if len(rows) == len(X) else (X[rows], evaluation.take(np.array(rows)))
            )
            self._tell(owner, part, told)

    def _tell(self, owner: tuple[int, str] | None, X: Batch, told: Evaluation) -> None:
        stage = self._stages[self._now]
        keep = self._now + 1 < len(self._stages) or stage.leader is None
        if keep:
            self._data.append((X.copy(), told))
            self._labels.append(owner if owner is not None else (-1, ""))
        if owner is not None:
            home, label = self._stages[owner[0]], owner[1]
            home.told[label] += len(X)
            if told.F.shape[1] == 1:
                home.best[label] = min(home.best[label], _key(told))
        for label, run in stage.runs.items():
            if owner == (self._now, label):
                run.tell(X, told)
            elif owner is None or owner[0] < self._now or stage.leader is not None:
                run.tell(X, foreign(told))  # of the user, of an earlier stage, or of a racer that is out


def _key(told: Evaluation) -> Key:
    """Violation and value of the best row."""
    i = int(best_first(told)[0])
    return NOTHING if told.failed[i] else (float(told.violation[i]), float(told.F[i, 0]))


def foreign(told: Evaluation) -> Evaluation:
    """The same values as of points that were never asked."""
    copied = told.take(np.arange(len(told)))
    copied.ids = np.full(len(told), -1, dtype=np.int64)
    return copied
