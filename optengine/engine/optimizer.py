"""Ask and tell: the user owns the loop."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from optengine.core.errors import OptEngineError, OptionError, ProblemError
from optengine.core.problem import Failed, Partial, Problem
from optengine.core.result import Result, Status
from optengine.core.solver import StopAsking
from optengine.engine.drive import Snapshot
from optengine.engine.limits import Limits
from optengine.engine.session import Asked, Session
from optengine.engine.setup import resolve


class Candidate:
    """One point to evaluate.

    Attributes:
        number: of the point in its run, from 0; stays the same when a journaled run is opened again.
        x: the point as the user sees it, decoded when first looked at.
    """

    __slots__ = ("_row", "_space", "_x", "number")

    def __init__(self, number: int, row: Any, space: Any) -> None:
        self.number, self._row, self._space, self._x = number, row, space, None

    @property
    def x(self) -> Any:
        if self._x is None:
            self._x = self._space.decode_one(self._row)
        return self._x

    def __repr__(self) -> str:
        return f"Candidate({self.number}, {self.x!r})"


class Candidates(Sequence[Candidate]):
    """Points asked together; the single `Candidate`s are made when they are looked at.

    Attributes:
        X: (n, width) encoded. numbers: (n,).
    """

    def __init__(self, asked: Asked, space: Any) -> None:
        self.X, self.numbers, self._space = asked.X, asked.ids, space

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return Candidate(int(self.numbers[index]), self.X[index], self._space)

    def __iter__(self) -> Iterator[Candidate]:
        return (self[i] for i in range(len(self)))

    @property
    def x(self) -> Any:
        """The whole batch decoded, as a vectorised objective gets it."""
        return self._space.columns(self.X)


class Optimizer:
    """A run whose loop the user owns.

    `ask` hands out points, `tell` takes their values in any order, any number at a time. With `storage` the run
    survives the process: open it again with the same arguments, and `pending` holds what was asked and not told.

    Args:
        problem: a Problem; its function is not called here, only the form of what it would return matters.
        solver, seed, budget, target, max_cost, time_limit, x0, data, batch_size, storage, name, shared, options: as
            for `solve`.
        catch: whether told NaN, None or `Failed` values are recorded as failed (default) or an error.

    Not safe for several threads at once; calls from different threads are put in a row.
    """

    def __init__(
        self,
        problem: Problem,
        solver: Any = "auto",
        *,
        seed: int | None = None,
        budget: int | None = None,
        time_limit: float | None = None,
        target: float | None = None,
        max_cost: float | None = None,
        x0: Any = None,
        data: Any = None,
        batch_size: int | None = None,
        device: str = "auto",
        storage: Any = None,
        name: str | None = None,
        catch: Any = True,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        setup = resolve(
            problem,
            solver,
            limits=Limits(budget=budget, time_limit=time_limit, target=target, max_cost=max_cost),
            seed=seed,
            x0=x0,
            data=data,
            batch_size=batch_size,
            workers=None,
            catch=catch,
            device=device,
            options=options,
            storage=storage,
            name=name,
            shared=False,
            ordered=False,
        )
        self._session = Session(setup)
        if self._session.searches:
            self._session.close()
            raise OptionError(
                f"solver {setup.solver_name!r} searches by itself and cannot be asked; call solve()"
            )
        self._lock = threading.RLock()
        self._asked: dict[int, tuple[Asked, int]] = {}  # number -> its ask and position, while pending
        self._x0 = self._session.x0_left()
        self._exhausted: Status | None = None
        try:
            self._open()
        except BaseException:
            self._session.close()
            raise

    def _open(self) -> None:
        session = self._session
        unfinished = session.journal.resume() if session.journal is not None else []
        if session.journal is not None and session.journal.record.asks:
            if session.journal.record.result is not None:
                session.journal.log.reopen()
        else:
            session.tell_data()
        session.clock.start()
        for asked in unfinished:
            ready = sorted(asked.done)
            if ready:  # evaluated, but the process died before the solver was told
                self._absorb(asked, np.array(ready))
            self._keep(asked, asked.open)

    def _keep(self, asked: Asked, positions: Any) -> None:
        for place in positions:
            self._asked[int(asked.ids[place])] = (asked, int(place))

    # -- the loop ----------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether a limit is reached or the solver has nothing more to propose."""
        return self._exhausted is not None or self._session.reached() is not None

    @property
    def pending(self) -> list[Candidate]:
        """What was asked and not told yet."""
        with self._lock:
            rows = [(number, asked.X[place]) for number, (asked, place) in sorted(self._asked.items())]
            return [Candidate(number, row, self._session.space) for number, row in rows]

    def ask(self, n: int | None = None) -> Candidates:
        """Return n candidates; None asks for the solver's natural batch.

        The budget counts what was told; what is pending is held back from it, so that it is never exceeded: fewer
        than n candidates come when fewer are left, none when all are pending.
        """
        if n is not None and (isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1):
            raise OptionError(f"n must be an integer >= 1 or None, got {n!r}")
        with self._lock:
            session = self._session
            size = session.batch if n is None else int(n)
            left = session.remaining()
            if left is not None:
                size = min(size, max(0, left - len(self._asked)))
            if size == 0 or self._exhausted is not None:
                return Candidates(
                    Asked(np.empty(0, dtype=np.int64), np.empty((0, session.space.width))), session.space
                )
            asked = self._next(size)
            self._keep(asked, range(len(asked)))
            if session.journal is not None:
                session.journal.log.flush()
            return Candidates(asked, session.space)

    def _next(self, size: int) -> Asked:
        session = self._session
        if len(self._x0):
            points, self._x0 = self._x0[:size], self._x0[size:]
            return session.hand_out_x0(points)
        try:
            return session.ask(size)
        except StopAsking as signal:
            self._exhausted = Status.INFEASIBLE if signal.infeasible else Status.CONVERGED
            return Asked(np.empty(0, dtype=np.int64), np.empty((0, session.space.width)))

    def tell(self, candidates: Any, values: Any) -> None:
        """Take the values of candidates.

        Args:
            candidates: what `ask` returned, some of it, one `Candidate`, or numbers.
            values: one value a candidate, each as the objective would return it: a number, a sequence, a dict (in
                which "noise", "cost" and "note", a JSON-able dict to be kept with it, are understood too),
                `Failed("why")`, or `Partial(value)` of an evaluation that was stopped before its end. For
                `Candidates` also the array that a vectorised objective would return.

        Raises:
            ProblemError: a value that cannot be read, a candidate that is not pending, or lengths that differ.
        """
        with self._lock:
            single = isinstance(candidates, (Candidate, int, np.integer))
            numbers = self._numbers([candidates] if single else candidates)
            for number in numbers:
                if number not in self._asked:
                    known = "was told already" if 0 <= number < self._session.next_id else "was never asked"
                    raise ProblemError(f"candidate {number} {known}; pending are {sorted(self._asked)[:10]}")
            if len(set(numbers)) < len(numbers):
                raise ProblemError("candidates must be told once each, got one twice")
            self._take_in(numbers, [values] if single else values)

    def _numbers(self, candidates: Iterable[Any]) -> list[int]:
        if isinstance(candidates, Candidates):
            return [int(i) for i in candidates.numbers]
        items = list(candidates) if isinstance(candidates, Iterable) else [candidates]
        for item in items:
            if not isinstance(item, (Candidate, int, np.integer)):
                raise ProblemError(f"candidates must be Candidates or numbers, got {item!r}")
        return [item.number if isinstance(item, Candidate) else int(item) for item in items]

    def _take_in(self, numbers: list[int], values: Any) -> None:
        problem = self._session.problem
        if isinstance(values, (np.ndarray, Mapping)):
            evaluation = problem._reader.read_batch(values, len(numbers))
            reasons = dict.fromkeys(np.flatnonzero(evaluation.failed).tolist(), "told as NaN")
        else:
            if not isinstance(values, Iterable):
                raise ProblemError(f"values must be one a candidate, got {values!r} for {len(numbers)}")
            values = list(values)
            if len(values) != len(numbers):
                raise ProblemError(f"values must be one a candidate, got {len(values)} for {len(numbers)}")
            rows = [
                problem.read(value, self._session.space.decode_one(self._row(number)))
                for number, value in zip(numbers, values, strict=True)
            ]
            evaluation = problem.collect(rows)
            reasons = {i: row.reason for i, row in enumerate(rows) if row.reason is not None}
        if reasons and not self._session.setup.catch:
            first = next(iter(reasons))
            raise ProblemError(
                f"candidate {numbers[first]} has no value ({reasons[first]}), and catch is off"
            )
        groups: dict[int, list[int]] = {}
        for i, number in enumerate(numbers):
            groups.setdefault(id(self._asked[number][0]), []).append(i)
        for members in groups.values():
            asked = self._asked[numbers[members[0]]][0]
            places = np.array([self._asked[numbers[i]][1] for i in members])
            texts = {int(places[k]): reasons[i] for k, i in enumerate(members) if i in reasons}
            self._session.finished(asked, places, evaluation.take(np.array(members)), texts)
            self._absorb(asked, places)
        for number in numbers:
            del self._asked[number]
        if self._session.journal is not None:
            self._session.journal.log.flush()

    def _row(self, number: int) -> Any:
        asked, place = self._asked[number]
        return asked.X[place]

    def _absorb(self, asked: Asked, places: Any) -> None:
        """Enter told rows and tell the solver."""
        if len(places) == len(asked):
            part = asked
        else:
            part = asked.only(np.sort(places))
        absorbed = self._session.absorb(part)
        if absorbed is not None:
            self._session.tell(part.X, absorbed[1], part.ids)

    # -- looking -----------------------------------------------------------------------------------------------

    @property
    def best(self) -> Any:
        """The incumbent as the user sees it, None before there is one."""
        x = self._session.incumbent.x
        return None if x is None else self._session.space.decode_one(x)

    @property
    def told(self) -> list[tuple[Candidate, dict[str, Any] | None]]:
        """What was told so far, journaled sessions included: each candidate with its note, by number."""
        with self._lock:
            history, noted = self._session.history, self._session.noted
            order = np.argsort(history.number, kind="stable")
            numbers, X = (history.number[order] - 1).tolist(), history.X[order]
            space = self._session.space
            return [(Candidate(n, row, space), noted.get(n)) for n, row in zip(numbers, X, strict=True)]

    def snapshot(self) -> Snapshot:
        """Return the run so far as callbacks of `solve` see it."""
        return Snapshot(self._session)

    def result(self) -> Result:
        """Return the run so far."""
        with self._lock:
            status = self._exhausted or self._session.reached() or Status.STOPPED
            pending = f"{len(self._asked)} candidates are pending" if self._asked else ""
            result = self._session.result(status, pending)
            if self._session.journal is not None:
                self._session.journal.log.flush()
                if status is not Status.STOPPED:
                    self._session.journal.finish(result)
            return result

    def close(self) -> None:
        """Write what is buffered and let the journal go; the optimizer can be opened again."""
        with self._lock:
            self._session.close()

    def __enter__(self) -> Optimizer:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, OptEngineError) and getattr(error, "result", None) is None:
            error.result = self._session.result(Status.FAILED, str(error))  # type: ignore[attr-defined]
        self.close()


__all__ = ["Candidate", "Candidates", "Failed", "Optimizer", "Partial"]
