"""The loops that bring a run from its start to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptEngineError
from optengine.core.evaluation import Evaluation
from optengine.core.history import History
from optengine.core.result import Result, Status
from optengine.core.solver import StopAsking
from optengine.engine.control import SearchControl
from optengine.engine.evaluator import Evaluator
from optengine.engine.journaling import noted
from optengine.engine.pool import Pool
from optengine.engine.session import Asked, Session

if TYPE_CHECKING:
    from optengine.store import Adopted

Floats = NDArray[np.float64]

WAIT_SECONDS = 0.2  # how often a member of a shared run looks at what the others did


class Snapshot:
    """What callbacks see of a running run.

    Attributes:
        n_evaluations, seconds: spent so far. fun, violation: of the incumbent, in the user's direction.
        x: the incumbent, decoded when looked at.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.n_evaluations, self.seconds = session.spent.evaluations, session.clock.seconds
        self.violation = session.incumbent.violation

    @property
    def x(self) -> Any:
        best = self._session.incumbent.x
        return None if best is None else self._session.space.decode_one(best)

    @property
    def fun(self) -> float | None:
        session = self._session
        if session.incumbent.x is None or session.problem.n_objectives > 1:
            return None
        return session.incumbent.f * session.problem.objectives[0].sign

    @property
    def history(self) -> History:
        """All evaluations so far, those of earlier sessions included; it grows with the run."""
        return self._session.history

    def result(self) -> Result:
        """The run so far as a Result with status `stopped`."""
        return self._session.result(Status.STOPPED)


Callback = Callable[[Snapshot], Any]


class Driver:
    """Runs a session to its end.

    Args:
        session: the run.
        evaluator: where objectives are evaluated.
        watchers: callbacks after each batch; one that returns True ends the run with status `stopped`.
    """

    def __init__(self, session: Session, evaluator: Evaluator, watchers: Sequence[Callback]) -> None:
        self._session, self._evaluator, self._watchers = session, evaluator, watchers
        self._unfinished: list[Asked] = []
        self._current: list[Asked] = []  # handed out and not absorbed: what an interruption must not lose

    def run(self) -> Result:
        """Run to the end; Ctrl-C gives back the best so far, and errors carry it as `error.result`."""
        session = self._session
        if session.journal is not None:
            if session.journal.ended():
                return session.journal.stored_result()
            self._unfinished = session.journal.resume()
            if session.journal.record.result is not None:
                session.journal.log.reopen()
        status, message = Status.STOPPED, "interrupted"
        try:
            status, message = self._loop()
        except KeyboardInterrupt:
            self._absorb_current()
            self._evaluator.close(kill=True)
        except OptEngineError as error:
            self._rescue(error)
            raise
        result = session.result(status, message)
        if session.journal is not None:
            session.journal.finish(result)
        return result

    def _loop(self) -> tuple[Status, str]:
        session = self._session
        warm = getattr(session.run, "warm_up", None)
        if warm is not None:
            warm()
        session.clock.start()
        if session.searches:
            return self._search()
        if session.journal is None or not session.journal.record.asks:
            session.tell_data()
        x0 = session.x0_left()
        if len(x0) and not session.setup.shared and session.reached() is None:
            self._unfinished.append(session.hand_out_x0(x0[: session.remaining()]))
        try:
            if session.setup.shared:
                return self._share()
            if isinstance(self._evaluator, Pool) and not session.setup.ordered:
                return self._stream()
            return self._in_batches()
        except StopAsking as signal:
            status = Status.INFEASIBLE if signal.infeasible else Status.CONVERGED
            return status, str(signal) or "the solver has nothing more to propose"

    # -- whole batches, in order -------------------------------------------------------------------------------

    def _in_batches(self) -> tuple[Status, str]:
        session = self._session
        for asked in self._unfinished:
            status = self._process(asked)
            if status is not None:
                return status, ""
        while (status := session.reached()) is None:
            left = session.remaining()
            asked = session.ask(session.batch if left is None else min(session.batch, left))
            status = self._process(asked)
            if status is not None:
                return status, ""
        return status, ""

    def _process(self, asked: Asked) -> Status | None:
        """Evaluate what is open of `asked`, tell the whole; returns why the run must end, if it must."""
        session, ended = self._session, None
        self._current.append(asked)
        still = asked.open[
            : session.remaining()
        ]  # a resumed batch may be larger than a budget that was lowered
        rows = asked.X if len(still) == len(asked) else asked.X[still]
        if len(still):
            ended = session.reached()
        for positions, evaluation, reasons in self._evaluator.run(rows) if ended is None else ():
            session.finished(asked, still[positions], evaluation, reasons)
            ended = self._ended_by(rows[positions], evaluation)
            if ended is not None:
                break
        self._current.remove(asked)
        absorbed = session.absorb(asked)
        if absorbed is not None and len(absorbed[0]) == len(asked):
            session.tell(asked.X, absorbed[1], asked.ids)
        if self._watch():
            return Status.STOPPED
        return ended

    def _ended_by(self, X: Floats, evaluation: Evaluation) -> Status | None:
        """Why a batch must not go on after these rows."""
        session, target = self._session, self._session.setup.limits.target
        if target is not None:
            good = evaluation.feasible() & (evaluation.F[:, 0] <= target * session.problem.objectives[0].sign)
            if session.space.fidelity:
                good &= session.space.at_target(X)
            if (whole := evaluation.whole) is not None:
                good &= whole
            if good.any():
                return Status.TARGET_REACHED
        status = session.spent.exhausted(session.setup.limits, session.clock)
        return None if status is Status.BUDGET_EXHAUSTED and session.spent.cost == 0 else status

    def _watch(self) -> bool:
        """Call the watchers; True if one wants the run to end."""
        if not self._watchers:
            return False
        snapshot = Snapshot(self._session)
        answers = [watcher(snapshot) for watcher in self._watchers]  # every watcher sees every snapshot
        return any(isinstance(answer, (bool, np.bool_)) and bool(answer) for answer in answers)

    # -- as results come in ------------------------------------------------------------------------------------

    def _stream(self) -> tuple[Status, str]:
        """Keep all workers busy: ask when one is free, tell each result as it comes."""
        session, pool = self._session, self._evaluator
        assert isinstance(pool, Pool)
        table: list[Floats] = []
        places: list[tuple[Asked, int]] = []

        def launch(asked: Asked) -> None:
            still = asked.open[: self._room(pool, len(asked))]
            positions = list(range(len(table), len(table) + len(still)))
            for position in still:
                table.append(asked.X[position])
                places.append((asked, int(position)))
            pool.submit(positions, table)
            for position in sorted(asked.done):  # evaluated before the run was killed, not told
                self._tell_row(asked, position)

        for asked in self._unfinished:
            launch(asked)
        end: StopAsking | None = None
        status = session.reached()
        while status is None:
            end = end or self._refill(pool, launch)
            if not pool.busy:
                break
            for positions, evaluation, reasons in pool.collect():
                for row, position in enumerate(positions.tolist()):
                    asked, place = places[position]
                    self._take_row(asked, place, evaluation.take(slice(row, row + 1)), reasons.get(position))
                if self._watch():
                    status = Status.STOPPED
            status = status or session.reached()
        pool.abandon()
        status = status or session.reached()
        if status is None and end is not None:
            raise end
        return status or Status.BUDGET_EXHAUSTED, ""

    def _refill(self, pool: Pool, launch: Callable[[Asked], None]) -> StopAsking | None:
        """Ask for what there is room for; returns the signal of a solver that has no more, as some are in flight."""
        room = self._room(pool)
        try:
            if room > 0:
                launch(self._session.ask(room))
        except StopAsking as signal:
            return signal
        return None

    def _room(self, pool: Pool, most: int | None = None) -> int:
        """How many more evaluations there is room for: with the workers, or up to `most`, and in the budget."""
        room = pool.slots - pool.busy if most is None else most
        left = self._session.remaining()
        return max(0, room if left is None else min(room, left - pool.busy))

    def _take_row(self, asked: Asked, place: int, evaluation: Evaluation, reason: str | None) -> None:
        """Take in and tell one evaluation as it comes."""
        self._session.finished(
            asked, np.array([place]), evaluation, {} if reason is None else {place: reason}
        )
        self._tell_row(asked, place)

    def _tell_row(self, asked: Asked, place: int) -> None:
        """Absorb and tell one row of an ask."""
        session = self._session
        single = Asked(asked.ids[place : place + 1], asked.X[place : place + 1], asked.kind)
        single.whole = (asked.whole[0], asked.whole[1]) if asked.whole is not None else asked.done[place]
        absorbed = session.absorb(single)
        assert absorbed is not None
        session.tell(single.X, absorbed[1], single.ids)

    # -- several processes on one run --------------------------------------------------------------------------

    def _share(self) -> tuple[Status, str]:
        """Claim numbers, evaluate them, learn what the other members found, until the budget is spent."""
        session = self._session
        assert session.journal is not None
        log = session.journal.shared_log
        x0, budget = session.x0_left(), session.setup.limits.budget
        if len(x0) and not session.journal.record.claimed:
            first, count = log.claim(len(x0), budget or 2**62)
            if count:  # whoever comes first evaluates the user's points
                mine = session.hand_out_x0(x0[:count], first) if first == 0 else session.ask(count, first)
                self._process(mine)
        while True:
            self._learn()
            status = session.reached()
            if status is not None:
                return status, ""
            budget = session.setup.limits.budget
            first, count = log.claim(min(session.batch, budget or session.batch), budget or 2**62)
            if count:
                batches = [session.ask(count, first)]
            else:
                batches = [self._adopted(left) for left in log.adopt()]
                if not batches:
                    time.sleep(WAIT_SECONDS)
            for asked in batches:
                status = self._process(asked)
                if status is not None and status is not Status.BUDGET_EXHAUSTED:
                    return status, ""
            log.flush()

    def _adopted(self, left: Adopted) -> Asked:
        """Points of a member that is gone; numbers it claimed but never filled get points of ours."""
        if left.X is None:
            return self._session.ask(len(left.numbers), int(left.numbers[0]))
        return Asked(left.numbers, left.X, "adopted")

    def _learn(self) -> None:
        """Take in what other members evaluated since the last look."""
        session = self._session
        assert session.journal is not None
        rows, X = session.journal.shared_log.news()
        if not len(rows):
            return
        evaluation = Evaluation(rows.F, rows.G, rows.failed, rows.noise, rows.cost, rows.seconds)
        evaluation.notes = noted(rows.notes, rows.numbers)
        session.enter(rows.numbers, X, evaluation, rows.at)
        session.count(evaluation)
        evaluation.ids = np.full(len(evaluation), -1)
        session.run.tell(X, evaluation)

    # -- solvers that search by themselves ---------------------------------------------------------------------

    def _search(self) -> tuple[Status, str]:
        control = SearchControl(self._session, self._watch)
        self._session.run.search(control)
        return control.outcome()

    # -- trouble -----------------------------------------------------------------------------------------------

    def _absorb_current(self) -> None:
        for asked in self._current:
            self._session.absorb(asked)
        self._current.clear()

    def _rescue(self, error: OptEngineError) -> None:
        """Keep all that was evaluated: in the journal, and on the error as its `result`."""
        session = self._session
        rest = getattr(error, "rest", None)  # values of a vectorised batch beside the one that failed
        if rest is not None and self._current:
            asked = self._current[-1]
            session.finished(asked, asked.open[rest[0]], rest[1], {})
        self._absorb_current()
        error.result = session.result(Status.FAILED, str(error))  # type: ignore[attr-defined]
        if session.journal is not None:
            session.journal.log.flush()
