"""The session's side of the journal: writing what happens, and standing up again from what was written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation
from optengine.core.result import Result, Status

if TYPE_CHECKING:
    from optengine.engine.limits import Limits
    from optengine.engine.session import Asked, Session
    from optengine.store import AskRecord, RunRecord, SharedRunLog

Ids = NDArray[np.int64]

SNAPSHOT_SECONDS = 5.0  # runs that can be photographed are, at most so often


class Journaling:
    """Writes one session; `resume` replays what earlier ones wrote."""

    def __init__(self, session: Session) -> None:
        from optengine.store import Journal

        setup = session.setup
        self._session = session
        self._journal = Journal(setup.storage)
        try:
            self.log: Any = self._journal.open_run(
                setup.name or "run", setup.fingerprint(session.batch), setup.seed, shared=setup.shared
            )
        except BaseException:
            self._journal.close()
            raise
        self.record: RunRecord = self.log.record
        self._asks = sum(1 for ask in self.record.asks if ask.member == self.log.member)
        self._replaying = False
        self._photographed = 0.0

    @property
    def shared_log(self) -> SharedRunLog:
        log: SharedRunLog = self.log
        return log

    # -- writing -----------------------------------------------------------------------------------------------

    def asked(self, asked: Asked, requested: int | None) -> None:
        if self._replaying:
            return
        self.log.ask(self._asks, asked.kind, requested, int(asked.ids[0]), asked.X, self._session.n_tells)
        self._asks += 1

    def finished(self, ids: Ids, evaluation: Evaluation, errors: dict[int, str]) -> None:
        e = evaluation
        at = self._session.clock.seconds
        self.log.rows(ids, e.F, e.G, e.failed, e.noise, e.cost, e.seconds, at, errors or None)

    def told(self, numbers: Ids) -> None:
        if self._replaying:
            return
        self.log.tell(self._session.n_tells, numbers)
        take = getattr(self._session.run, "snapshot", None)
        if take is not None and time.monotonic() - self._photographed > SNAPSHOT_SECONDS:
            self.log.snapshot(self._asks, self._session.n_tells + 1, take())
            self._photographed = time.monotonic()

    def finish(self, result: Result) -> None:
        """Note the end. The history stays in the rows; what was found is kept as JSON."""
        limits = self._session.setup.limits.to_dict()
        self.log.finish(str(result.status), {"result": result.to_dict(history=False), "limits": limits})

    def close(self) -> None:
        try:
            self.log.close()
        finally:
            self._journal.close()

    # -- standing up again -------------------------------------------------------------------------------------

    def ended(self) -> bool:
        """Whether the journaled run had ended and these limits do not let it go on."""
        record, limits = self.record, self._session.setup.limits
        if record.result is None:
            return False
        status = record.status
        if status in (Status.BUDGET_EXHAUSTED, Status.FAILED):
            return not self._more_allowed(limits, record.result["limits"])
        if status == Status.TIME_LIMIT:
            return limits.time_limit is not None and limits.time_limit <= self._stored("seconds")
        if status == Status.TARGET_REACHED:
            return limits.target is not None and self._reaches(limits.target)
        proved = (Status.CONVERGED, Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED, Status.UNVERIFIED)
        return status in proved

    def _more_allowed(self, limits: Limits, stored: dict[str, Any]) -> bool:
        """Whether a run that had spent its budget or cost may go on now."""
        rows, spent_before = self.record.evaluations, self._stored("n_evaluations")
        if stored["max_cost"] is not None and (stored["budget"] is None or spent_before < stored["budget"]):
            spent = 0.0 if rows.cost is None else float(np.nansum(rows.cost))
            return limits.max_cost is None or spent < limits.max_cost
        return limits.budget is None or limits.budget > spent_before

    def _stored(self, name: str) -> Any:
        assert self.record.result is not None
        return self.record.result["result"][name]

    def _reaches(self, target: float) -> bool:
        fun = self._stored("fun")
        sign = self._session.problem.objectives[0].sign
        return isinstance(fun, float) and fun * sign <= target * sign

    def stored_result(self) -> Result:
        """Return the result of a run that had ended, with its history; the solver is not asked again."""
        assert self.record.result is not None
        session = self._session
        self._enter(self._in_order_of_tells())
        result = Result.from_dict(self.record.result["result"])
        result.history, result.space = session.history, session.space.without_functions()
        if result.x is not None:  # choices that JSON does not know are themselves again
            result.x = session.space.decode_one(np.array(self._stored("x_encoded")))
        if result.front is not None:
            result.front.space = result.space
        return result

    def resume(self) -> list[Asked]:
        """Replay the journal into the session; return what was asked and is not told yet.

        A replayable run repeats its asks and tells, and stands exactly where it stood. Where a repeated ask differs
        (another version, machine or library), the run starts anew and is told all values as data.
        """
        session, record = self._session, self.record
        if not record.asks:
            return []
        session.clock = type(session.clock)(
            max(record.seconds, self._stored("seconds") if record.result else 0.0)
        )
        session.next_id = record.next_number
        self._replaying = True
        try:
            replayable = getattr(
                session.run, "replayable", session.setup.solver.replayable
            )  # runs may know better
            if not session.searches and not record.shared and replayable:
                replayed = self._replay()
                if replayed is not None:
                    return replayed
                session.notes.append(
                    "the journaled candidates could not be repeated bit for bit; the solver went on from their values"
                )
            elif not session.searches:
                session.notes.append("resumed from journaled values; the solver's own state was not repeated")
            return self._retell()
        finally:
            self._replaying = False

    def _replay(self) -> list[Asked] | None:
        """Repeat asks and tells in their order; None if an ask comes out differently."""
        session, record = self._session, self.record
        first_ask, first_tell = self._restore()
        asked: dict[int, Asked] = {}
        open_asks: list[Asked] = []
        n_x0 = 0
        queue = [a for a in record.asks if a.member == 0]
        rows = {int(number): i for i, number in enumerate(record.evaluations.numbers)}
        for tell in range(len(record.tells) + 1):
            while queue and queue[0].after <= tell:
                stored = queue.pop(0)
                repeat = stored.ask >= first_ask
                if not repeat:
                    session.n_repairs += 1
                elif stored.kind == "ask" and not self._same(session.propose(stored.requested), stored):
                    return None
                elif stored.kind == "x0" and session.setup.x0 is not None:
                    session.repaired(session.setup.x0[n_x0 : n_x0 + stored.count])
                n_x0 += stored.count if stored.kind == "x0" else 0
                restored = self._rebuild(stored, rows)
                open_asks.append(restored)
                asked |= dict.fromkeys(restored.ids.tolist(), restored)
            if tell < len(record.tells):
                numbers = record.tells[tell]
                if tell >= first_tell:
                    X, evaluation = self._told(numbers, asked, rows)
                    session.run.tell(X, evaluation)
                session.n_tells += 1
        told = self._enter_told()
        left = []
        for ask in open_asks:
            untold = np.array([i for i, n in enumerate(ask.ids.tolist()) if n not in told], dtype=np.int64)
            left += [ask.only(untold)] if len(untold) else []
        return left

    def _restore(self) -> tuple[int, int]:
        """Bring the run to its last snapshot, if it takes any; return the first ask and tell to repeat."""
        session, snapshot = self._session, self.record.snapshot
        if snapshot is None or not hasattr(session.run, "restore"):
            session.tell_data()
            return 0, 0
        session.run.restore(snapshot.data)
        return snapshot.after_ask, snapshot.after_tell

    def _same(self, X: NDArray[np.float64], stored: AskRecord) -> bool:
        return X.shape == stored.X.shape and X.tobytes() == np.ascontiguousarray(stored.X).tobytes()

    def _rebuild(self, stored: AskRecord, rows: dict[int, int]) -> Asked:
        """An ask as it stood: its points, and the evaluations that had finished."""
        from optengine.engine.session import Asked

        asked = Asked(np.arange(stored.first, stored.first + stored.count), np.array(stored.X), stored.kind)
        for position, number in enumerate(asked.ids.tolist()):
            if number in rows:
                at = float(self.record.evaluations.at[rows[number]])
                asked.done[position] = (self._row(np.array([rows[number]])), at)
        return asked

    def _row(self, index: Ids) -> Evaluation:
        r = self.record.evaluations
        noise = None if r.noise is None else r.noise[index]
        cost = None if r.cost is None else r.cost[index]
        return Evaluation(r.F[index], r.G[index], r.failed[index], noise, cost, r.seconds[index])

    def _told(
        self, numbers: Ids, asked: dict[int, Asked], rows: dict[int, int]
    ) -> tuple[NDArray[np.float64], Evaluation]:
        evaluation = self._row(np.array([rows[int(number)] for number in numbers]))
        groups = [asked[int(number)] for number in numbers]
        X = np.array([g.X[int(n) - int(g.ids[0])] for g, n in zip(groups, numbers, strict=True)])
        evaluation.ids = np.array([-1 if g.kind == "x0" else n for g, n in zip(groups, numbers, strict=True)])
        return X, evaluation

    def _in_order_of_tells(self) -> Ids:
        """Indices of the evaluated rows in the order in which the solver was told them, the others after them."""
        numbers = self.record.evaluations.numbers
        place = (
            {int(n): i for i, n in enumerate(np.concatenate(self.record.tells))} if self.record.tells else {}
        )
        return np.array(
            sorted(range(len(numbers)), key=lambda i: place.get(int(numbers[i]), len(place))), dtype=np.int64
        )

    def _enter_told(self) -> set[int]:
        """Enter told rows into history and incumbent; rows of unfinished batches follow when these are complete."""
        told = set(np.concatenate(self.record.tells).tolist()) if self.record.tells else set()
        order = self._in_order_of_tells()
        self._enter(order[: len(told)])
        self._session.count(self._row(order[len(told) :]))
        return told

    def _enter(self, index: Ids) -> None:
        if not len(index):
            return
        session, record = self._session, self.record
        evaluation = self._row(index)
        rows = record.evaluations
        session.enter(rows.numbers[index], record.points()[index], evaluation, rows.at[index])
        session.count(evaluation)

    def _retell(self) -> list[Asked]:
        """Start anew and tell every value as data; open points stay open."""
        session, record = self._session, self.record
        session._start_run()
        self._enter(self._in_order_of_tells())
        if session.searches:
            if record.result is not None:  # a search spends moves and nodes; its rows are incumbents
                session.spent.evaluations = max(session.spent.evaluations, self._stored("n_evaluations"))
                session.bound = (
                    None
                    if self._stored("bound") is None
                    else self._stored("bound") * session.problem.signs[0]
                )
            return []
        session.tell_data()
        if len(record.evaluations):
            evaluation = self._row(np.arange(len(record.evaluations)))
            evaluation.ids = np.full(len(evaluation), -1)
            session.run.tell(record.points(), evaluation)
        session.n_tells = len(record.tells)
        if record.shared:
            return []  # members adopt open points through the journal
        rows = {int(number): i for i, number in enumerate(record.evaluations.numbers)}
        opened = [self._rebuild(stored, rows) for stored in record.asks if stored.kind != "search"]
        return [asked.only(asked.open) for asked in opened if len(asked.open)]
