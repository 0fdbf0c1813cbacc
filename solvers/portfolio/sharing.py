"""Members that are asked and told: EXP3.S gives the next turn to one of them."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation, best_first
from optengine.core.pending import Pending
from optengine.core.solver import StopAsking
from optengine.core.space import Batch

Floats = NDArray[np.float64]

RECENT = 50  # turns with which a turn is compared
TURN = 8  # rows of a turn at most; fewer where a member's natural batch is smaller: all are judged by as many
FORGET = (
    0.01  # share of all weight given back evenly after each turn (EXP3.S): what led early need not lead late
)


class SharingRun:
    """State of one run.

    A turn's reward is the share of the recent turns, of any member, whose best point it beats or equals, and 1 where it
    brought a new incumbent: it does not depend on the objective's scale.
    """

    def __init__(
        self, runs: dict[str, Any], exploration: float, share: bool, rng: Generator, replayable: bool
    ) -> None:
        self.replayable = replayable
        self._names, self._runs = list(runs), list(runs.values())
        self._exploration, self._share, self._rng = exploration, share, rng
        self._weight = np.ones(len(runs))
        self.batch = max(1, min(TURN, *(int(run.batch) for run in self._runs)))
        self._open = np.ones(len(runs), dtype=bool)  # members that still propose
        self._asked, self._rewards = np.zeros(len(runs), dtype=np.int64), np.zeros(len(runs))
        self._owners = Pending()
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self._best: tuple[float, float] = (np.inf, np.inf)
        self._next = self._drawn()

    def _drawn(self) -> int:
        """Draw the member whose turn is next."""
        p = self._probabilities()
        return int(self._rng.choice(len(p), p=p)) if self._open.any() else 0

    @property
    def details(self) -> dict[str, Any]:
        """Evaluations that each member asked for, its mean reward, and its probability now."""
        p = self._probabilities()
        return {
            name: {"asked": int(n), "reward": float(r / n) if n else 0.0, "probability": float(q)}
            for name, n, r, q in zip(self._names, self._asked, self._rewards, p, strict=True)
        }

    def _probabilities(self) -> Floats:
        if not self._open.any():
            return np.zeros(len(self._weight))
        weight, even = np.where(self._open, self._weight, 0.0), self._open / self._open.sum()
        return np.asarray((1 - self._exploration) * weight / weight.sum() + self._exploration * even)

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width) of one member, or of several where its batch is smaller; None: its own batch.

        Raises:
            StopAsking: no member proposes any more.
        """
        n, got = self.batch if n is None else n, 0
        parts: list[Batch] = []
        while got < n:
            if not self._open.any():
                if parts:
                    break
                raise StopAsking
            member = self._next
            try:
                X = np.array(self._runs[member].ask(min(n - got, self.batch)))
            except StopAsking:
                self._open[member] = False
            else:
                probability = float(self._probabilities()[member])
                self._owners.add(X, [(member, probability, len(X))] * len(X))
                self._asked[member] += len(X)
                got += len(X)
                parts.append(X)
            self._next = self._drawn()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width): each member those of its own points, all those of nobody."""
        notes = self._owners.take(X)
        owner = np.array([-1 if note is None else note[0] for note in notes], dtype=np.int64)
        better = self._new_incumbent(evaluation)
        for member, run in enumerate(self._runs):
            mine = np.flatnonzero(owner == member)
            if len(mine):
                self._reward(member, notes[mine[0]], evaluation.take(mine), better in mine)
                run.tell(X[mine], evaluation.take(mine))
            foreign = owner == -1
            if self._share and better >= 0 and owner[better] != member:
                foreign = foreign.copy()
                foreign[better] = True
            if foreign.any():
                told = evaluation.take(foreign)
                told.ids = np.full(len(told), -1, dtype=np.int64)
                run.tell(X[foreign], told)

    def _new_incumbent(self, evaluation: Evaluation) -> int:
        """The row that is the new incumbent, or -1."""
        if not len(evaluation) or evaluation.F.shape[1] > 1:
            return -1
        first = int(best_first(evaluation)[0])
        key = _key(evaluation, first)
        if key >= self._best or not np.isfinite(key[1]):
            return -1
        self._best = key
        return first

    def _reward(self, member: int, note: Any, evaluation: Evaluation, improved: bool) -> None:
        """Move the member's weight by what its rows brought."""
        _, probability, asked = note
        key = _key(evaluation, int(best_first(evaluation)[0]))
        beaten = sum(key <= other for other in self._recent) / max(len(self._recent), 1)
        reward = 1.0 if improved else float(beaten)
        self._recent.append(key)
        self._rewards[member] += reward * len(evaluation)
        rate = self._exploration / len(self._runs)
        self._weight[member] *= np.exp(rate * reward * (len(evaluation) / asked) / probability)
        self._weight += np.e * FORGET / len(self._runs) * self._weight.sum()
        self._weight /= self._weight.max()


def _key(evaluation: Evaluation, i: int) -> tuple[float, float]:
    """Violation, then value; failed rows last."""
    if evaluation.failed[i]:
        return np.inf, np.inf
    return float(evaluation.violation[i]), float(evaluation.F[i, 0])
