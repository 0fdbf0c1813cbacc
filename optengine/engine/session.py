"""One session of a run: what the engine owns while a solver runs.

The session asks the solver, repairs what it proposes, numbers it, journals it, takes in what evaluations gave, keeps
the incumbent and the history, and tells the solver. `solve` and `Optimizer` both drive it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray

from optengine.core.errors import OptEngineError, ProblemError
from optengine.core.evaluation import Evaluation
from optengine.core.history import History, smallest_type
from optengine.core.levels import lasting_name
from optengine.core.result import Front, Result, Status, relative_gap
from optengine.core.space import REAL, SIMPLEX
from optengine.engine.incumbent import Incumbent
from optengine.engine.journaling import Journaling
from optengine.engine.limits import Clock, Spent
from optengine.engine.setup import Setup

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(eq=False)
class Asked:
    """Points handed out together and not all told yet.

    Attributes:
        ids: (n,) numbers of the rows in the run. X: (n, width), repaired.
        kind: "ask" (proposed by the solver), "x0" (the user's) or "adopted" (of another process).
        done: positions evaluated so far -> one-row Evaluation and the second at which it finished.
        whole: the same for a batch that came back at once.
    """

    ids: Ids
    X: Floats
    kind: str = "ask"
    done: dict[int, tuple[Evaluation, float]] = field(default_factory=dict)
    whole: tuple[Evaluation, float] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def open(self) -> Ids:
        """Positions not evaluated yet."""
        if self.whole is not None:
            return np.empty(0, dtype=np.int64)
        if not self.done:
            return np.arange(len(self.ids))
        return np.array([i for i in range(len(self.ids)) if i not in self.done], dtype=np.int64)

    def only(self, positions: Ids) -> Asked:
        """Return the ask restricted to some positions."""
        kept = {new: self.done[int(old)] for new, old in enumerate(positions) if int(old) in self.done}
        return Asked(self.ids[positions], self.X[positions], self.kind, kept)

    def outcome(self) -> tuple[Ids, Evaluation, Any]:
        """Return the positions evaluated, in order, with their evaluation and the seconds at which they finished."""
        if self.whole is not None:
            return np.arange(len(self.ids)), *self.whole
        positions = np.array(sorted(self.done), dtype=np.int64)
        evaluation = Evaluation.concatenate([self.done[int(p)][0] for p in positions])
        return positions, evaluation, np.array([self.done[int(p)][1] for p in positions])


class Session:
    """State of a run in this process.

    Attributes:
        setup, problem, run: the resolved arguments, the problem, the solver's run.
        incumbent, history, spent, clock: what the run has found and used.
        bound: proved bound on the first objective, minimising, or None.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup, self.problem = setup, setup.problem
        self.space = setup.problem.space
        self.incumbent = Incumbent(self.space.width, setup.problem.n_objectives)
        whole = not np.isin(self.space.kind, (REAL, SIMPLEX)).any()
        kept = smallest_type(self.space.lower, self.space.upper, whole)
        self.history = History(setup.problem.signs, self.space.width, setup.problem.n_constraints, kept)
        self.spent = Spent()
        self.clock = Clock()
        self.bound: float | None = None
        self.proposal: tuple[Floats, float] | None = (
            None  # a point without a value, and its predicted violation
        )
        self.details: dict[str, Any] = {}
        self.notes: list[str] = []  # to the user, in the result's message
        self.noted: dict[int, dict[str, Any]] = {}  # number -> what else an evaluation gave
        self.next_id = 0
        self.n_tells = 0
        self.stored_result: Result | None = None
        self._repair: Callable[[Floats, Generator], Floats] | None = self._load_repair()
        self.journal: Journaling | None = None
        if setup.storage is not None:  # the journal compares the batch size, and may hold the seed
            self.batch = self._batch_of(setup.solver.start(self.problem, default_rng(0)))
            self.journal = Journaling(self)
        self.seed = setup.seed if setup.seed is not None else self._fresh_seed()
        self._start_run()
        self.batch = self._batch_of(self.run)

    def _fresh_seed(self) -> int:
        if self.journal is not None:
            return self.journal.record.seed
        return int(SeedSequence().entropy)  # type: ignore[arg-type]  # an int when none was given

    def _start_run(self) -> None:
        """Start the solver's run with its own stream of random numbers; a member of a shared run has its own."""
        member = 0 if self.journal is None else self.journal.log.member
        self._stream = () if member == 0 else (member,)
        self.rng = default_rng(SeedSequence(self.seed, spawn_key=(*self._stream, 0)))
        self.n_repairs = 0
        self.run = self.setup.solver.start(self.problem, self.rng)
        self.searches = hasattr(self.run, "search")

    def _batch_of(self, run: Any) -> int:
        """Candidates asked together: what the user said, or what the solver likes and the workers need."""
        return self.setup.batch_size or max(int(getattr(run, "batch", 1)), self.setup.workers)

    def _load_repair(self) -> Callable[[Floats, Generator], Floats] | None:
        if not self.space.constrained:
            return None
        from optengine.backends.repair import Repair

        repair: Callable[[Floats, Generator], Floats] = Repair(self.space).repair
        return repair

    # -- asking ------------------------------------------------------------------------------------------------

    def repaired(self, X: Floats) -> Floats:
        """Return the nearest points that keep the known constraints.

        Each call has random numbers of its own, so that a resumed run need not repeat the calls before a snapshot.
        """
        if self._repair is None:
            return X
        stream = SeedSequence(self.seed, spawn_key=(*self._stream, 1, self.n_repairs))
        self.n_repairs += 1
        return self._repair(X, default_rng(stream))

    def propose(self, n: int | None, whole: bool = False) -> Floats:
        """Ask the solver for n points and repair them; at its end it may give fewer, unless they are to be `whole`."""
        # a copy: the solver may go on writing into its own array
        X = np.array(self.run.ask(n), dtype=np.float64, order="C")
        fits = X.ndim == 2 and X.shape[1] == self.space.width and len(X) > 0
        if not fits or (n is not None and (len(X) != n if whole else len(X) > n)):
            raise OptEngineError(
                f"solver {self.setup.solver_name!r} proposed an array of shape {X.shape}, not ({n}, {self.space.width})"
            )
        return self.repaired(X)

    def ask(self, n: int | None, first: int | None = None) -> Asked:
        """Hand out n points of the solver; `first` is their first number where the journal gave it."""
        X = self.propose(n, whole=first is not None)
        return self._hand_out(X, "ask", n, first)

    def hand_out_x0(self, X: Floats, first: int | None = None) -> Asked:
        """Hand out the user's own points, repaired."""
        return self._hand_out(self.repaired(X), "x0", len(X), first)

    def x0_left(self) -> Floats:
        """Return the user's points (k, width) that no session of the run has handed out yet."""
        x0 = self.setup.x0 if self.setup.x0 is not None else np.empty((0, self.space.width))
        asks = [] if self.journal is None else self.journal.record.asks
        return x0[sum(ask.count for ask in asks if ask.kind == "x0") :]

    def _hand_out(self, X: Floats, kind: str, requested: int | None, first: int | None) -> Asked:
        start = self.next_id if first is None else first
        self.next_id = start + len(X)
        asked = Asked(np.arange(start, start + len(X)), X, kind)
        if self.journal is not None:
            self.journal.asked(asked, requested)
        return asked

    # -- taking in ---------------------------------------------------------------------------------------------

    def finished(self, asked: Asked, positions: Ids, evaluation: Evaluation, reasons: dict[int, str]) -> None:
        """Note evaluations as they finish: journaled at once, counted, kept for `absorb`."""
        if self.journal is not None:
            named = {int(asked.ids[p]): text for p, text in reasons.items()}
            self.journal.finished(asked.ids[positions], evaluation, named)
        at = self.clock.seconds
        if len(positions) == len(asked) and not asked.done:
            in_order = len(positions) < 2 or bool((positions[1:] > positions[:-1]).all())
            asked.whole = (evaluation if in_order else evaluation.take(np.argsort(positions)), at)
        else:
            for row, position in enumerate(positions):
                asked.done[int(position)] = (evaluation.take(slice(row, row + 1)), at)
        self.count(evaluation)

    def count(self, evaluation: Evaluation) -> None:
        self.spent.evaluations += len(evaluation)
        if evaluation.cost is not None:
            self.spent.cost += float(np.nansum(evaluation.cost))

    def absorb(self, asked: Asked) -> tuple[Ids, Evaluation] | None:
        """Enter what was evaluated of `asked` into history and incumbent, in the order of its numbers."""
        if asked.whole is None and not asked.done:
            return None
        positions, evaluation, at = asked.outcome()
        complete = len(positions) == len(asked)
        X, ids = (asked.X, asked.ids) if complete else (asked.X[positions], asked.ids[positions])
        self.enter(ids, X, evaluation, at)
        evaluation.ids = ids if asked.kind == "ask" else np.full(len(ids), -1)
        return positions, evaluation

    def enter(self, ids: Ids, X: Floats, evaluation: Evaluation, at: Any) -> bool:
        """Add rows to history and incumbent; returns whether the incumbent improved."""
        counts = self.space.at_target(X) if self.space.fidelity else None
        if (whole := evaluation.whole) is not None:  # what was stopped on its way is no incumbent
            counts = whole if counts is None else counts & whole
        if evaluation.notes is not None:
            noted = zip(ids.tolist(), evaluation.notes, strict=True)
            self.noted |= {number: note for number, note in noted if note is not None}
        bound = np.nan if self.bound is None else self.bound
        self.history.append(ids + 1, at, X, evaluation.F, evaluation.G, evaluation.failed, counts, bound)
        return self.incumbent.update(X, evaluation, counts)

    def tell(self, X: Floats, evaluation: Evaluation, numbers: Ids) -> None:
        """Tell the solver rows of the run; `numbers` are their numbers in the journal."""
        self.run.tell(X, evaluation)
        if self.journal is not None:
            self.journal.told(numbers)
        self.n_tells += 1

    def tell_data(self) -> None:
        """Tell the solver the user's warm-start data, which counts for nothing else."""
        if self.setup.data is None:
            return
        X, evaluation = self.setup.data
        if self.searches:
            return
        evaluation.ids = np.full(len(X), -1)
        self.run.tell(X, evaluation)

    # -- ending ------------------------------------------------------------------------------------------------

    def reached(self) -> Status | None:
        """Return why the run must end now, or None."""
        limits = self.setup.limits
        if limits.target is not None and self.incumbent.feasible:
            sign = self.problem.objectives[0].sign
            if self.incumbent.f <= limits.target * sign:
                return Status.TARGET_REACHED
        return self.spent.exhausted(limits, self.clock)

    def remaining(self) -> int | None:
        """Evaluations left in the budget, None without one."""
        budget = self.setup.limits.budget
        return None if budget is None else max(0, budget - self.spent.evaluations)

    def result(self, status: Status, message: str = "") -> Result:
        """Return the run so far as the user sees it."""
        problem, best = self.problem, self.incumbent
        several, sign = problem.n_objectives > 1, problem.objectives[0].sign
        if len(self.history) and self.history.failed.all() and status is Status.BUDGET_EXHAUSTED:
            status, message = Status.FAILED, message or f"all {self.spent.evaluations} evaluations failed"
        front = None
        if several:
            order = np.argsort(best.front_F[:, 0] * sign, kind="stable")
            front = Front(
                best.front_X[order], best.front_F[order] * problem.signs, self.space.without_functions()
            )
        lonely = best.x is None or (several and best.feasible)
        x = None if lonely else self.space.decode_one(best.x)  # type: ignore[arg-type]  # not None unless lonely
        fun = None if lonely or several else best.f * sign
        bound = None if self.bound is None else self.bound * sign
        feasible, violation = best.feasible, best.violation
        if self.proposal is not None:
            x, violation = self.space.decode_one(self.proposal[0]), self.proposal[1]
            feasible = violation <= 0.0
        return Result(
            x=x,
            fun=fun,
            feasible=feasible,
            violation=violation,
            status=status,
            history=self.history.copy(),
            space=self.space.without_functions(),
            objectives=tuple((o.name, o.direction) for o in problem.objectives),
            constraints=tuple(c.name for c in problem.constraints),
            bound=bound,
            gap=relative_gap(fun if best.feasible else None, bound),
            front=front,
            n_evaluations=self.spent.evaluations,
            seconds=self.clock.seconds,
            solver=self.setup.solver_name,
            options={k: lasting_name(v) if callable(v) else v for k, v in self.setup.options.items()},
            reason="; ".join([r for r in (self.setup.reason, getattr(self.run, "reason", "")) if r]),
            seed=self.seed,
            message="; ".join([m for m in (message, *self.notes) if m]),
            details=self._described(x),
            problem=str(problem.name),
        )

    def _described(self, x: Any) -> dict[str, Any]:
        own = getattr(self.run, "details", None)
        details = dict(self.details) | (dict(own) if isinstance(own, dict) else {})
        failed = int(self.history.failed.sum()) if len(self.history) else 0
        details |= {"n_failed": failed} if failed else {}
        if x is None:
            return details
        described = self.problem.describe(x)
        if not isinstance(described, dict):
            raise ProblemError(f"describe of {self.problem.name!r} must return a dict, got {described!r}")
        return details | described

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()
