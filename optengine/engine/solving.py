"""The verbs: solve, minimize, maximize."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

from optengine.core.errors import OptionError
from optengine.core.problem import Problem
from optengine.core.result import Result
from optengine.engine.drive import Callback, Driver
from optengine.engine.evaluator import Evaluator, Serial, Vectorised
from optengine.engine.limits import Limits
from optengine.engine.pool import Pool
from optengine.engine.progress import ProgressBar
from optengine.engine.session import Session
from optengine.engine.setup import Setup, resolve
from optengine.engine.stopper import Stopper
from optengine.engine.stopping import StoppingRule, rule_of


def solve(
    problem: Problem,
    solver: Any = "auto",
    *,
    budget: int | None = None,
    time_limit: float | None = None,
    target: float | None = None,
    max_cost: float | None = None,
    seed: int | None = None,
    x0: Any = None,
    data: Any = None,
    workers: int | None = None,
    executor: Executor | None = None,
    batch_size: int | None = None,
    ordered: bool = True,
    timeout: float | None = None,
    device: str = "auto",
    storage: Any = None,
    name: str | None = None,
    shared: bool = False,
    callbacks: Callback | Iterable[Callback] = (),
    progress: bool = False,
    catch: Any = (),
    options: Mapping[str, Any] | None = None,
    early_stopping: Any = None,
) -> Result:
    """Solve a problem.

    Args:
        problem: what to solve.
        solver: a registered name, a solver instance, or "auto", which says in `result.reason` why it chose.
        budget, time_limit, target, max_cost: evaluations, seconds (after compilation), value of the objective, sum of
            the evaluations' costs; the first to run out stops the run. Journaled runs count all their sessions.
        seed: reproduces the run; None draws one, which `result.seed` tells.
        x0: one point or several, evaluated first: the result is never worse.
        data: what is known already and costs nothing: (X, F), (X, F, G), a Result, or "storage#run"; told to the
            solver, never an incumbent.
        workers: processes that evaluate, or evaluations in flight on `executor`.
        executor: any `concurrent.futures.Executor`; default our own processes if workers > 1.
        batch_size: candidates asked together; default the larger of the solver's own and `workers`.
        ordered: a batch is told whole, in order, so that the run does not depend on the workers; False tells each
            value as it comes, which keeps all workers busy.
        timeout: seconds one evaluation may take; needs our own processes.
        device: "auto", "cpu" or "cuda", for solvers that have kernels for both.
        storage: `sqlite:///file.db`, a path, or `postgresql://...`: every evaluation is journaled, and the same call
            continues a run that was killed, returns one that had finished, or extends it by a larger budget.
        name: of the run in the storage; default the problem's name.
        shared: several processes may work on the run at once; implies ordered=False.
        callbacks: called with a `Snapshot` after each batch; returning True stops the run.
        progress: draw a progress bar.
        catch: exceptions to record as failed evaluations (True: all); NaN and time-outs are then recorded too.
        options: fields of the solver named by `solver`.
        early_stopping: a rule, or "median", "halving", "hyperband" or "curve": stops evaluations that report values on
            their way (`oe.intermediate`, or a generator that yields (step, value)) and fall behind. What was stopped
            is told to the solver as its last value plus what others gained from there on, never better than the best
            evaluation that ran to its end, and is no incumbent.

    Returns:
        The `Result`. Ctrl-C gives back the best so far with status `stopped`.

    Raises:
        EvaluationFailed: the objective raised or returned NaN and `catch` did not cover it; `error.result` holds all
            that was evaluated.
        OptionError, ProblemError, SpaceError, SolverNotSuitable, StorageError: one sentence each.
    """
    limits = Limits(budget=budget, time_limit=time_limit, target=target, max_cost=max_cost)
    setup = resolve(
        problem,
        solver,
        limits=limits,
        seed=seed,
        x0=x0,
        data=data,
        batch_size=batch_size,
        workers=workers,
        catch=catch,
        device=device,
        options=options,
        storage=storage,
        name=name,
        shared=shared,
        ordered=ordered,
    )
    if limits.none and getattr(setup.solver, "needs_limit", True):
        raise OptionError(
            f"solver {setup.solver_name!r} needs budget, time_limit or max_cost to know when to stop"
        )
    _check_execution(executor, workers, timeout)
    watchers = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for watcher in watchers:
        if not callable(watcher):
            raise OptionError(f"callbacks must be functions of a Snapshot, got {watcher!r}")
    rule = _check_stopping(early_stopping, problem)
    session = Session(setup)
    if rule is not None and session.searches:
        session.close()
        raise OptionError(
            f"early_stopping must be None for solver {setup.solver_name!r}, which evaluates by itself"
        )
    stopper = None if rule is None else Stopper(rule, problem.objectives[0].sign)
    if stopper is not None and session.journal is not None:
        stopper.restore(session.journal.record.evaluations.notes)
    with ExitStack() as stack:
        stack.callback(session.close)
        evaluator = _Late(setup, executor, workers, timeout, stopper)
        stack.enter_context(evaluator)
        if progress:
            watchers.append(stack.enter_context(ProgressBar(limits, str(problem.name))))
        return Driver(
            session, evaluator.make() if not session.searches else Serial(problem, ()), watchers
        ).run()


def minimize(
    function: Callable[..., Any],
    space: Any,
    *,
    objectives: Any = None,
    constraints: Any = (),
    **arguments: Any,
) -> Result:
    """Minimise `function` over `space`; the other arguments go to `Problem` and to `solve`."""
    return _optimize(function, space, "minimize", objectives, constraints, arguments)


def maximize(
    function: Callable[..., Any],
    space: Any,
    *,
    objectives: Any = None,
    constraints: Any = (),
    **arguments: Any,
) -> Result:
    """Maximise `function` over `space`; the other arguments go to `Problem` and to `solve`."""
    return _optimize(function, space, "maximize", objectives, constraints, arguments)


_PROBLEM_ARGUMENTS = ("call", "vectorized", "noisy", "array", "cost")


def _optimize(
    function: Any, space: Any, direction: str, objectives: Any, constraints: Any, arguments: dict[str, Any]
) -> Result:
    stated = {name: arguments.pop(name) for name in _PROBLEM_ARGUMENTS if name in arguments}
    if "direction" in arguments:
        raise OptionError(
            f"direction is said by the verb {direction}, got {arguments['direction']!r} beside it"
        )
    problem = Problem(
        function, space, objectives=objectives, direction=direction, constraints=constraints, **stated
    )
    _check_arguments(direction, arguments)
    return solve(problem, **arguments)


def _check_arguments(verb: str, arguments: dict[str, Any]) -> None:
    import inspect

    from optengine.core.errors import did_you_mean

    known = [n for n in inspect.signature(solve).parameters if n != "problem"] + list(_PROBLEM_ARGUMENTS)
    for argument in arguments:
        if argument not in known:
            raise OptionError(f"{verb} has no argument {argument!r}{did_you_mean(argument, known)}")


def _check_execution(executor: Any, workers: int | None, timeout: float | None) -> None:
    if executor is not None and not isinstance(executor, Executor):
        looks_like_one = hasattr(executor, "submit") and hasattr(executor, "shutdown")
        if not looks_like_one:
            raise OptionError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    if timeout is not None:
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise OptionError(f"timeout must be seconds > 0 or None, got {timeout!r}")
        if executor is not None:
            raise OptionError(
                "timeout needs our own processes, which can be stopped; give workers=, not executor="
            )


def _check_stopping(given: Any, problem: Problem) -> StoppingRule | None:
    """Return the rule; it needs values one by one, of one objective."""
    rule = rule_of(given)
    if rule is None:
        return None
    if problem.vectorized or problem.n_objectives > 1 or problem.n_constraints:
        raise OptionError(
            "early_stopping needs an objective that is called point by point and returns one value, got "
            f"{problem.n_objectives} objectives, {problem.n_constraints} constraints, vectorized={problem.vectorized}"
        )
    return rule


class _Late:
    """Makes the evaluator when it is needed and closes it if it was made."""

    def __init__(
        self,
        setup: Setup,
        executor: Executor | None,
        workers: int | None,
        timeout: float | None,
        stopper: Stopper | None,
    ) -> None:
        self._setup, self._executor, self._workers, self._timeout = setup, executor, workers, timeout
        self._stopper = stopper
        self._made: Evaluator | None = None

    def make(self) -> Evaluator:
        setup = self._setup
        if self._executor is not None or setup.workers > 1 or self._timeout is not None:
            workers = self._workers if self._executor is not None else setup.workers
            self._made = Pool(
                setup.problem, self._executor, workers, self._timeout, setup.catch, self._stopper
            )
        elif setup.problem.vectorized:
            self._made = Vectorised(setup.problem, setup.catch)
        else:
            self._made = Serial(setup.problem, setup.catch, self._stopper)
        return self._made

    def __enter__(self) -> _Late:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._made is not None:
            self._made.close(kill=kind is not None)
