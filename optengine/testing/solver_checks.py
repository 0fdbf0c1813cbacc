"""`check_solver`: whether a solver keeps the contract that the engine and the user rely on."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import default_rng

from optengine.core.errors import EvaluationFailed, SolverNotSuitable
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Failed, Problem
from optengine.core.result import Result, Status
from optengine.core.solver import StopAsking
from optengine.engine import Optimizer, Snapshot, solve
from optengine.testing.cases import small_problems
from optengine.testing.doubles import Counting, Dying, Failing, PowerCut, returned_by, with_function
from optengine.testing.failure import CheckFailed, Subject
from optengine.testing.offline_checks import check_offline
from optengine.testing.option_checks import check_form, check_options, solver_of
from optengine.testing.result_checks import check_result

ENDED = (Status.CONVERGED, Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED, Status.UNVERIFIED)
DEEP = (
    "conditional",
    "constraints",
    "permutation",
    "bounds",
    "binaries",
    "rows",
)  # where all checks run, if quick
N_DEEP = 3


@dataclasses.dataclass
class Case:
    """One solver on one problem.

    Attributes:
        asks: whether the run is asked and told, rather than searching by itself. batch: its natural batch.
        budget: evaluations of each run. replayable: whether the same asks and tells rebuild the same run here.
        workers: whether worker processes are tried here.
    """

    solver: Any
    problem: Problem
    subject: Subject
    asks: bool
    batch: int
    budget: int
    replayable: bool
    workers: bool = False

    def run(
        self, seed: int, problem: Problem | None = None, doing: str = "solve", **arguments: Any
    ) -> Result:
        """Solve the problem, or a stand-in for it, with the case's budget and batch size."""
        settings: dict[str, Any] = {"budget": self.budget, "seed": seed, "batch_size": self.batch} | arguments
        with self.subject.during(doing):
            return solve(problem or self.problem, self.solver, **settings)

    def same(self, a: Result, b: Result, what: str) -> None:
        """Expect two runs to have evaluated the same candidates, with the same values."""
        alike = (
            a.history.X.tobytes() == b.history.X.tobytes() and a.history.F.tobytes() == b.history.F.tobytes()
        )
        self.subject.expect(alike, what)


def check_solver(
    name_or_solver: Any,
    problems: Mapping[str, Problem] | Iterable[Problem] | None = None,
    *,
    seeds: Sequence[int] = (0, 1),
    quick: bool = True,
) -> list[str]:
    """Check that a solver keeps its contract.

    Checked are: options validated; candidates inside the space and its known constraints; the budget used exactly and
    never exceeded; the same seed gives the same candidates whatever the workers, another seed others; failed
    evaluations survived; runs and results pickle; a result re-evaluates to its value; a resumed run is the
    uninterrupted one; x0 honoured; values known beforehand accepted; values told in any order accepted.

    Args:
        name_or_solver: a registered name, a solver, or a solver's class.
        problems: on which to run it; default `small_problems()`. Those that it refuses are left out.
        seeds: at least two.
        quick: all checks on a few problems and the basic ones on all; False: all on all.

    Returns:
        The names of the problems on which it ran.

    Raises:
        CheckFailed: something is broken; the message names the solver, the problem and what.
    """
    solver, name = solver_of(name_or_solver)
    check_form(solver, name)
    check_options(solver, name)
    cases = _cases(solver, name, problems)
    if not cases:
        raise CheckFailed(f"{name}: it refuses every problem it was given")
    evaluated = {label: case for label, case in cases.items() if case.problem.evaluable}
    deep = list(evaluated) if not quick else _deep(evaluated)
    if deep:
        cases[deep[0]].workers = True
    for label, case in cases.items():
        if not case.problem.evaluable:
            check_offline(case, seeds)
            continue
        first = _check_basics(case, seeds)
        if label in deep:
            _check_more(case, seeds, first)
    return list(cases)


# -- where it runs -----------------------------------------------------------------------------------------------------


def _cases(solver: Any, name: str, problems: Any) -> dict[str, Case]:
    if problems is None:
        problems = small_problems()
    if not isinstance(problems, Mapping):
        problems = {f"{i}: {problem.name}": problem for i, problem in enumerate(problems)}
    cases = {}
    for label, problem in problems.items():
        subject = Subject(f"{name} on {label!r}")
        with subject.during("refuses"):
            reason = solver.refuses(problem)
        if reason is not None:
            subject.expect(
                isinstance(reason, str) and reason and "\n" not in reason,
                f"refuses with {reason!r}, no sentence",
            )
            try:
                solve(problem, solver, budget=1)
            except SolverNotSuitable:
                continue
            raise CheckFailed(f"{subject.text}: refuses it and solves it")
        with subject.during("start"):
            run = solver.start(problem, default_rng(0))
        asks = not hasattr(run, "search")
        batch = int(run.batch) if asks else 1
        subject.expect(batch >= 1, f"its natural batch is {batch}")
        budget = min(max(2 * batch + batch // 2, 12), 400) if asks else 120
        replayable = bool(getattr(run, "replayable", solver.replayable))  # a run may know better
        cases[label] = Case(solver, problem, subject, asks, min(batch, 160), budget, replayable)
    return cases


def _deep(cases: dict[str, Case]) -> list[str]:
    liked = [label for label in DEEP if label in cases]
    return (liked + [label for label in cases if label not in liked])[:N_DEEP]


# -- on every problem --------------------------------------------------------------------------------------------------


def _check_basics(case: Case, seeds: Sequence[int]) -> Result:
    """Space, constraints, budget, value, same seed: two runs."""
    if case.asks:
        _check_asks(case, seeds[0])
    counting = Counting(case.problem)
    first = case.run(seeds[0], with_function(case.problem, counting) if case.asks else None)
    subject, n = case.subject, first.n_evaluations
    subject.expect(n <= case.budget, f"spent {n} evaluations of a budget of {case.budget}")
    if first.status not in ENDED:
        subject.expect(first.status == Status.BUDGET_EXHAUSTED, f"ended with status {str(first.status)!r}")
        subject.expect(
            n == case.budget, f"used {n} evaluations of a budget of {case.budget} and did not say why"
        )
    if case.asks:
        subject.expect(counting.count == n, f"says {n} evaluations, the objective saw {counting.count}")
        subject.expect(
            len(first.history) == n, f"has {len(first.history)} rows of history for {n} evaluations"
        )
    check_result(subject, first, case.problem)
    if case.replayable:
        case.same(first, case.run(seeds[0]), "the same seed gave other candidates")
    return first


def _check_asks(case: Case, seed: int) -> None:
    """What the run itself proposes, before any repair."""
    subject, space = case.subject, case.problem.space
    with subject.during("ask and tell"):
        run = case.solver.start(case.problem, default_rng(seed))
        for n in (None, 1, 3):
            try:
                X = run.ask(n)
            except StopAsking:  # a small space is used up
                break
            shape = (run.batch if n is None else n, space.width)
            subject.expect(np.shape(X) == shape, f"ask({n}) returned shape {np.shape(X)}, not {shape}")
            subject.expect(np.isfinite(X).all(), f"ask({n}) returned NaN or infinite values")
            subject.expect(space.contains(np.asarray(X)), f"ask({n}) returned a point outside the space")
            told = case.problem.evaluate(np.array(X))
            told.ids = np.arange(len(X))
            before = np.array(X), told.F.copy()
            run.tell(X, told)
            kept = np.array_equal(before[0], X) and np.array_equal(before[1], told.F, equal_nan=True)
            subject.expect(kept, "tell changed what it was told")


# -- on a few problems -------------------------------------------------------------------------------------------------


def _check_more(case: Case, seeds: Sequence[int], first: Result) -> None:
    if case.asks and not getattr(case.solver, "deterministic", False) and _several_points(case.problem):
        other = case.run(seeds[1])
        differs = other.history.X.tobytes() != first.history.X.tobytes()
        subject = case.subject
        subject.expect(differs, f"seeds {seeds[0]} and {seeds[1]} gave the same candidates")
    _check_failures(case, seeds[0])
    _check_start(case, seeds[0])
    _check_resume(case, seeds[0], first)
    if case.asks:
        _check_workers(case, seeds[0], first)
        _check_pickled_run(case, seeds[0])
        _check_any_order(case, seeds[0])


def _several_points(problem: Problem) -> bool:
    X = problem.space.sample(8, default_rng(0))
    return bool((X != X[0]).any())


def _check_failures(case: Case, seed: int) -> None:
    """A share of the evaluations fails, or all of them."""
    for share in (0.2, 1.0):
        failing = with_function(case.problem, Failing(case.problem, share))
        result = case.run(seed, failing, f"a run whose evaluations fail ({share:.0%})", catch=True)
        subject = Subject(f"{case.subject.text}, {share:.0%} of the evaluations failing")
        used = result.n_evaluations == case.budget or result.status in ENDED or not case.asks
        subject.expect(
            used and result.n_evaluations <= case.budget, f"used {result.n_evaluations} of {case.budget}"
        )
        if share == 1.0:
            subject.expect(result.x is None and result.fun is None, "found an incumbent")
        else:
            check_result(subject, result, failing)


def _check_start(case: Case, seed: int) -> None:
    """Points and values known beforehand."""
    problem, subject = case.problem, case.subject
    X = _feasible(problem, 30, seed)
    evaluation = problem.evaluate(X)
    if problem.n_objectives == 1 and evaluation.feasible().any():
        value = np.where(evaluation.feasible(), evaluation.F[:, 0], np.inf)
        best = int(value.argmin())
        result = case.run(seed, doing="a run with x0", x0=problem.space.decode(X[[best, 0]]))
        worse = result.fun is None or not result.feasible or result.fun * problem.signs[0] > value[best]
        subject.expect(
            not worse,
            f"was given a point of value {value[best] * problem.signs[0]} and ended at {result.fun}",
        )
        if case.asks:
            subject.expect(np.array_equal(result.history.X[0], X[best]), "did not evaluate x0 first")
    if case.asks:
        known = Result.from_json(case.run(seed, doing="a run", budget=min(8, case.budget)).to_json())
        result = case.run(seed, doing="a run with data", data=known)
        used = result.n_evaluations == case.budget or result.status in ENDED
        subject.expect(used, f"with data it used {result.n_evaluations} evaluations of {case.budget}")


def _feasible(problem: Problem, n: int, seed: int) -> Any:
    from optengine.backends.repair import Repair

    X = Repair(problem.space).feasible_sample(n, default_rng(seed))
    for column, target in problem.space.fidelity.values():
        X[:, column] = target
    return X


def _check_resume(case: Case, seed: int, first: Result) -> None:
    """Cut in the middle, by an error and by a callback, and called again."""
    subject, half = case.subject, case.budget // 2

    def stop(snapshot: Snapshot) -> bool:
        return snapshot.n_evaluations >= half

    with tempfile.TemporaryDirectory() as folder:
        storage: dict[str, Any] = {"storage": Path(folder) / "runs.db", "name": "run"}
        if case.asks:
            _cut(case, seed, half, storage)
            case.run(seed, doing="a resumed run", callbacks=stop, **storage)
        else:
            case.run(seed, doing="a journaled run", budget=max(1, half), **storage)
        resumed = case.run(seed, doing="a resumed run", **storage)
        again = case.run(seed, doing="a finished run called again", **storage)
    subject.expect(
        resumed.n_evaluations <= case.budget, f"resumed, it spent {resumed.n_evaluations} of {case.budget}"
    )
    check_result(subject, resumed, case.problem)
    case.same(resumed, again, "a finished run called again has another history")
    if case.asks and case.replayable:
        case.same(resumed, first, "the resumed run is not the uninterrupted one")


def _cut(case: Case, seed: int, after: int, storage: dict[str, Any]) -> None:
    """Run into an error after some evaluations."""
    dying = with_function(case.problem, Dying(case.problem, after))
    try:
        case.run(seed, dying, "a journaled run", **storage)
    except CheckFailed as error:
        cause = error.__cause__
        if not (isinstance(cause, EvaluationFailed) and isinstance(cause.__cause__, PowerCut)):
            raise


def _check_workers(case: Case, seed: int, first: Result) -> None:
    with ThreadPoolExecutor(2) as executor:
        if case.replayable:
            threads = case.run(seed, doing="a run on two threads", executor=executor, workers=2)
            case.same(threads, first, "two threads gave other candidates than none")
        free = case.run(seed, doing="an unordered run", executor=executor, workers=2, ordered=False)
    used = free.n_evaluations == case.budget or free.status in ENDED
    case.subject.expect(used, f"an unordered run used {free.n_evaluations} evaluations of {case.budget}")
    if case.workers:
        processes = case.run(seed, doing="a run on two processes", workers=2)
        if case.replayable:
            case.same(processes, first, "two processes gave other candidates than none")


def _check_pickled_run(case: Case, seed: int) -> None:
    import pickle

    import cloudpickle

    with case.subject.during("pickling a run"):
        run = case.solver.start(case.problem, default_rng(seed))
        X = run.ask(case.batch)
        evaluation: Evaluation = case.problem.evaluate(X)
        evaluation.ids = np.arange(len(X))
        run.tell(X, evaluation)
        twin = pickle.loads(cloudpickle.dumps(run))
        same = _asked(run) == _asked(twin)
    case.subject.expect(same or not case.replayable, "a pickled run goes on differently")


def _asked(run: Any) -> bytes | None:
    """Two more points; None where a small space is used up."""
    try:
        return bytes(run.ask(2).tobytes())
    except StopAsking:
        return None


def _check_any_order(case: Case, seed: int) -> None:
    """Several batches pending, told in pieces, out of order, some failed."""
    rng, subject = default_rng(seed), case.subject
    with subject.during("ask and tell in any order"):
        optimizer = Optimizer(case.problem, case.solver, budget=case.budget, seed=seed)
        pending: list[Any] = []
        while not optimizer.done:
            if not pending or rng.random() < 0.5:
                batch = optimizer.ask(int(rng.integers(1, case.batch + 2)))
                subject.expect(case.problem.space.satisfies(batch.X), "a candidate is outside the space")
                pending += zip(batch, batch.X, strict=True)
            if pending and rng.random() < 0.5:
                rng.shuffle(pending)
                k = int(rng.integers(1, len(pending) + 1))
                told, pending = pending[:k], pending[k:]
                fails = rng.random(k) < 0.1
                values = [
                    Failed("test") if bad else returned_by(case.problem, row)
                    for bad, (_, row) in zip(fails, told, strict=True)
                ]
                optimizer.tell([candidate for candidate, _ in told], values)
        result = optimizer.result()
    ended = result.status in ENDED
    subject.expect(
        ended or result.n_evaluations == case.budget,
        f"told in any order, it took {result.n_evaluations} values",
    )
