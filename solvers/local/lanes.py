"""Several starts of a local method as one run that is asked and told.

A start is a conversation with the method: it waits for the values of some points, and goes on when it has them all.
Asked for more points than the open starts wait for, the run opens another start; so a batch of any size is filled, and
with one point at a time the starts follow one another.
"""

from __future__ import annotations

import copy
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.cube import Cube
from optengine.core.evaluation import Evaluation
from optengine.core.pending import Pending
from optengine.core.problem import Problem
from optengine.core.solver import StopAsking
from optengine.core.space import Batch
from optengine.solvers.local.conversation import Conversation, Evaluate
from optengine.solvers.local.objective import Ended

Floats = NDArray[np.float64]

NEAR = 0.1  # edge of the cube around the middle in which the first start lies


class LocalMethod(Protocol):
    """What a start runs."""

    def run(self, evaluate: Evaluate, start: Floats, rng: Generator) -> str:
        """Search from `start` (d,) and return why the search ended."""
        ...


class Lane:
    """One start: what it waits for and what of that is asked and known.

    It pickles as the answers it was given: the conversation is held again with them.
    """

    def __init__(self, method: LocalMethod, start: Floats, rng: Generator, ends: dict[str, int]) -> None:
        self._origin = method, start, copy.deepcopy(rng), ends
        self._answers: list[Floats] = []
        self._conversation = self._begin(rng)
        self._receive()

    def _begin(self, rng: Generator) -> Conversation:
        method, start, _, ends = self._origin

        def talk(evaluate: Evaluate) -> None:
            try:
                why = method.run(evaluate, start, rng)
            except Ended as end:
                why = str(end)
            ends[why] = ends.get(why, 0) + 1

        return Conversation(talk)

    def _receive(self) -> None:
        points = self._conversation.points
        self.points = np.empty((0, 0)) if points is None else points
        self.ended = points is None
        self._values: list[Floats | None] = [None] * len(self.points)
        self._n_asked = self._n_known = 0

    @property
    def waiting(self) -> int:
        """How many points are wanted and not asked yet."""
        return len(self.points) - self._n_asked

    def take(self, n: int) -> tuple[int, Floats]:
        """Return the place of the first and the points (at most n, d) that are wanted next."""
        first = self._n_asked
        self._n_asked = min(len(self.points), first + n)
        return first, self.points[first : self._n_asked]

    def know(self, place: int, row: Floats) -> None:
        """Take the values (1 + m,) of one point; with the last one the method goes on."""
        self._values[place] = row
        self._n_known += 1
        if self._n_known == len(self.points):
            answer = np.array(self._values)
            self._answers.append(answer)
            self._conversation.answer(answer)
            self._receive()

    def close(self) -> None:
        """End the conversation."""
        self._conversation.close()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_conversation"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._conversation = self._begin(copy.deepcopy(self._origin[2]))
        for answer in self._answers:
            self._conversation.answer(answer)


class LanesRun:
    """State of one run: its open starts.

    Attributes:
        batch: 1, so that every point is chosen with all that is known.
    """

    batch = 1

    def __init__(self, problem: Problem, rng: Generator, method: LocalMethod, starts: int | None) -> None:
        self._rng, self._method = rng, method
        self._cube = Cube(problem.space, rng)
        self._pending = Pending()
        self._left = starts
        self._lanes: list[Lane] = []
        self._n_starts = 0
        self._ends: dict[str, int] = {}
        self._known: tuple[tuple[float, float], Floats] | None = (
            None  # best point known before the first start
        )

    @property
    def details(self) -> dict[str, Any]:
        """Starts so far, and why those that ended did."""
        return {"starts": self._n_starts, "ended": dict(self._ends)}

    @property
    def waiting(self) -> int:
        """How many points the open starts want and were not asked yet; opens a start where none is open."""
        if not self._lanes:
            self._open()
        return sum(lane.waiting for lane in self._lanes)

    @property
    def finished(self) -> bool:
        """Whether all starts that are allowed have ended."""
        return not self._lanes and self._left == 0

    # -- ask ---------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return the next n points (n, width); None: one.

        Raises:
            StopAsking: all starts have ended, and `starts` allows no more.
        """
        n = self.batch if n is None else n
        if not self._cube.d:
            return self._cube.to_space(np.empty((n, 0)))
        parts: list[Floats] = []
        notes: list[tuple[Lane, int] | None] = []
        while len(notes) < n:
            lane = next((lane for lane in self._lanes if lane.waiting), None) or self._open()
            if lane is None:
                break
            first, points = lane.take(n - len(notes))
            parts.append(points)
            notes += [(lane, first + i) for i in range(len(points))]
        if len(notes) < n:
            if not self._lanes:
                raise StopAsking
            missing = n - len(notes)  # asked for more than all starts allowed can use: samples do no harm
            parts.append(self._rng.random((missing, self._cube.d)))
            notes += [None] * missing
        X = self._cube.to_space(np.concatenate(parts))
        self._pending.add(X, notes)
        return X

    def _open(self) -> Lane | None:
        """Begin another start; None if there may be none."""
        while self._left is None or self._left > 0:
            self._left = None if self._left is None else self._left - 1
            start = self._start_point()
            self._n_starts += 1
            lane = Lane(self._method, start, self._rng.spawn(1)[0], self._ends)
            if not lane.ended:
                self._lanes.append(lane)
                return lane
        return None

    def _start_point(self) -> Floats:
        """The first start is at the best point known, else near the middle; the others are uniform.

        The very middle is where symmetric objectives have no slope.
        """
        U = self._rng.random(self._cube.d)
        if self._n_starts:
            return U
        return 0.5 + NEAR * (U - 0.5) if self._known is None else self._known[1]

    # -- tell --------------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Give the values of X (n, width) to the starts that wait for them; others set the first start's point."""
        rows = np.column_stack([evaluation.F[:, 0], evaluation.G])
        rows[evaluation.failed] = np.nan
        for i, note in enumerate(self._pending.take(X)):
            if note is not None:
                lane, place = note
                lane.know(place, rows[i])
            elif not self._n_starts and not evaluation.failed[i]:
                rank = (float(evaluation.violation[i]), float(evaluation.F[i, 0]))
                if self._known is None or rank < self._known[0]:
                    self._known = rank, self._cube.from_space(X[i : i + 1])[0]
        self._lanes = [lane for lane in self._lanes if not lane.ended]

    def close(self) -> None:
        """End all starts."""
        for lane in self._lanes:
            lane.close()
        self._lanes, self._left = [], 0
