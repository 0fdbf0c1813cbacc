"""Evaluating on executors: the same run whatever the workers, and what may happen to workers."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

import optengine as oe
from optengine import EvaluationFailed, OptionError, Problem, ProblemError, Result
from optengine.engine.processes import shut_down
from optengine.testing import Climber

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import test modules

BOX = [(-1.0, 1.0)] * 3


def sphere(x: Any) -> float:
    return float((x**2).sum())


def solve(problem: Problem | None = None, **arguments: Any) -> Result:
    settings = {"solver": Climber(), "budget": 60, "seed": 5, "batch_size": 12} | arguments
    return oe.solve(problem or Problem(sphere, BOX), **settings)


# -- the same run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_ordered_runs_do_not_depend_on_threads(workers: int, same_run: Any) -> None:
    def uneven(x: Any) -> float:  # later rows finish first
        time.sleep(0.002 * float(x[0] < 0))
        return sphere(x)

    with ThreadPoolExecutor(workers) as executor:
        same_run(solve(Problem(uneven, BOX), executor=executor, workers=workers), solve())


def test_ordered_runs_do_not_depend_on_processes(same_run: Any) -> None:
    alone = solve()
    for workers in (2, 3):
        same_run(solve(Problem(lambda x: float((x**2).sum()), BOX), workers=workers), alone)


def test_vectorized_objectives_travel_in_parts(same_run: Any) -> None:
    seen = []

    def rows(X: Any) -> Any:
        seen.append(len(X))
        return (X**2).sum(axis=1)

    alone = solve(Problem(rows, BOX, vectorized=True))
    seen.clear()
    with ThreadPoolExecutor(2) as executor:
        together = solve(Problem(rows, BOX, vectorized=True), executor=executor, workers=2)
    assert set(seen) == {6}
    same_run(together, alone)


class Eager(Executor):
    """Runs what it is given at once, here: the least that an executor must do."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Duck:
    """Has an executor's methods and not its class."""

    def submit(self, fn: Any, *args: Any) -> Future[Any]:
        return Eager().submit(fn, *args)

    def shutdown(self, wait: bool = True) -> None:
        raise AssertionError("the user's executor is the user's to shut down")


@pytest.mark.parametrize("make", [Eager, Duck])
def test_any_executor_will_do(make: Any, same_run: Any) -> None:
    same_run(solve(executor=make(), workers=2), solve())
    same_run(solve(executor=make()), solve())


def test_spawned_processes_of_the_standard_library(same_run: Any) -> None:
    bonus = 0.25
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        moved = solve(Problem(lambda x: float((x**2).sum()) + bonus, BOX), executor=executor, workers=2)
        again = solve(executor=executor, workers=2)  # another problem on the same workers
        assert executor.submit(os.getpid).result() != os.getpid()
    same_run(again, solve())
    assert moved.fun == pytest.approx(again.fun + bonus)


def test_unordered_runs_keep_the_budget_and_all_workers_busy() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def watched(x: Any) -> float:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.003)
        with lock:
            now[0] -= 1
        return sphere(x)

    for workers in (4, None):  # None: as many as the executor has
        most[0] = 0
        with ThreadPoolExecutor(4) as executor:
            result = solve(
                Problem(watched, BOX), executor=executor, workers=workers, ordered=False, budget=41
            )
        assert result.n_evaluations == len(result.history) == 41
        assert sorted(result.history.number) == list(range(1, 42))
        assert most[0] == 4
        assert result.fun == result.history.F.min()


def test_unordered_processes_stop_at_the_target() -> None:
    problem = Problem(lambda x: float((x**2).sum()), BOX)
    result = solve(problem, workers=2, ordered=False, target=0.3, budget=3000)
    assert result.status == "target_reached"
    assert result.fun <= 0.3  # type: ignore[operator]


# -- errors in workers ------------------------------------------------------------------------------------------------


def picky(x: Any) -> float:
    if x[0] > 0.6:
        raise ArithmeticError(f"x0 is {x[0]:.3f}")
    return sphere(x)


@pytest.mark.parametrize("how", ["serial", "threads", "unordered threads", "processes"])
def test_caught_errors_are_failed_rows(how: str) -> None:
    problem = Problem(lambda x: picky(x), BOX)
    with ThreadPoolExecutor(2) as executor:
        pool: dict[str, Any] = {"executor": executor, "workers": 2, "ordered": "unordered" not in how}
        pool = {"serial": {}, "processes": {"workers": 2}}.get(how, pool)
        result = solve(problem, solver="random", catch=ArithmeticError, **pool)
    failed = result.history.X[:, 0] > 0.6
    assert 0 < failed.sum() < 60
    assert np.array_equal(result.history.failed, failed)
    assert np.isnan(result.history.value[failed]).all()
    assert result.details["n_failed"] == failed.sum()
    assert result.n_evaluations == 60


@pytest.mark.parametrize("catch", [(), ValueError, (KeyError, OSError)])
@pytest.mark.parametrize("how", ["serial", "threads", "unordered threads", "processes"])
def test_other_errors_reach_the_user_with_all_that_was_evaluated(clear: Any, how: str, catch: Any) -> None:
    if how == "processes" and catch:
        pytest.skip("one of them shows it; starting processes takes a second")
    with ThreadPoolExecutor(2) as executor:
        pool: dict[str, Any] = {"executor": executor, "workers": 2, "ordered": "unordered" not in how}
        pool = {"serial": {}, "processes": {"workers": 2}}.get(how, pool)
        with clear(EvaluationFailed, "ArithmeticError: x0 is 0.", "array([") as caught:
            solve(Problem(lambda x: picky(x), BOX), solver="random", catch=catch, **pool)
    error = caught.value
    assert error.candidate[0] > 0.6
    kept = error.result
    assert kept.status == "failed"
    assert kept.n_evaluations == len(kept.history)
    assert len(set(kept.history.number)) == len(kept.history)
    assert (kept.history.X[:, 0] <= 0.6).all()
    assert np.array_equal(kept.history.value, (kept.history.X**2).sum(axis=1))


def test_subclasses_are_caught_in_workers_too() -> None:
    class Leak(LookupError):
        pass

    def broken(x: Any) -> float:
        raise Leak("valve")

    result = solve(Problem(broken, BOX), solver="random", catch=LookupError, workers=2, budget=8)
    assert (result.status, result.details["n_failed"], result.x) == ("failed", 8, None)
    assert "8 evaluations failed" in result.message


@pytest.mark.parametrize("pool", [{}, {"workers": 2}])
def test_a_broken_contract_is_never_caught(clear: Any, pool: Any) -> None:
    with clear(ProblemError, "must return a number", "'much' (str)"):
        solve(Problem(lambda x: "much", BOX), catch=True, **pool)


def test_what_cannot_travel_is_said(clear: Any) -> None:
    lock = threading.Lock()
    with clear(EvaluationFailed, "cannot be sent to workers", "ThreadPoolExecutor"):
        solve(Problem(lambda x: lock.locked() * 1.0, BOX), workers=2)


class Unloadable:
    """Pickles, and cannot be unpickled: what a module missing in the workers looks like."""

    def __call__(self, x: Any) -> float:
        return 0.0

    def __reduce__(self) -> Any:
        return fail_to_load, ()


def fail_to_load() -> Any:
    raise ModuleNotFoundError("No module named 'my_model'")


def test_a_problem_that_does_not_load_in_the_workers_is_said(clear: Any) -> None:
    with clear(EvaluationFailed, "cannot load the problem", "No module named 'my_model'"):
        solve(Problem(Unloadable(), BOX), workers=2)
    spawn = multiprocessing.get_context("spawn")
    said = clear(EvaluationFailed, "cannot load the problem", "No module named 'my_model'")
    with ProcessPoolExecutor(1, mp_context=spawn) as executor, said:
        solve(Problem(Unloadable(), BOX), executor=executor)


# -- time-outs --------------------------------------------------------------------------------------------------------


def hanging(x: Any) -> float:
    if x[0] > 0.8:
        time.sleep(60)
    return sphere(x)


@pytest.mark.parametrize("ordered", [True, False])
def test_hanging_evaluations_are_ended_and_the_others_kept(ordered: bool) -> None:
    problem = Problem(lambda x: hanging(x), BOX)
    began = time.perf_counter()
    result = solve(
        problem, solver="random", workers=2, timeout=0.4, catch=True, budget=12, seed=6, ordered=ordered
    )
    assert time.perf_counter() - began < 25
    late = result.history.X[:, 0] > 0.8
    assert late.sum() == 1
    assert np.array_equal(result.history.failed, late)
    assert np.array_equal(result.history.value[~late], (result.history.X[~late] ** 2).sum(axis=1))


def test_a_hanging_evaluation_is_an_error_without_catch(clear: Any) -> None:
    problem = Problem(lambda x: hanging(x), BOX)
    with clear(EvaluationFailed, "longer than timeout=0.4 s", "catch=True") as caught:
        solve(problem, solver="random", timeout=0.4, budget=12, seed=6)
    assert caught.value.candidate[0] > 0.8
    kept = caught.value.result.history
    assert len(kept) >= 1
    assert (kept.X[:, 0] <= 0.8).all()


# -- dead workers -----------------------------------------------------------------------------------------------------


def deadly(x: Any) -> float:
    if x[0] > 0.7:
        os._exit(3)
    return sphere(x)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_worker_that_dies_takes_nobody_with_it(ordered: bool) -> None:
    problem = Problem(lambda x: deadly(x), BOX)
    result = solve(problem, solver="random", workers=2, catch=True, budget=12, seed=6, ordered=ordered)
    dead = result.history.X[:, 0] > 0.7
    assert dead.sum() == 1
    assert np.array_equal(result.history.failed, dead)
    assert result.n_evaluations == 12
    assert len(set(result.history.number)) == 12


def test_a_worker_that_dies_is_an_error_without_catch(clear: Any) -> None:
    problem = Problem(lambda x: deadly(x), BOX)
    with clear(EvaluationFailed, "died while evaluating", "catch=True") as caught:
        solve(problem, solver="random", workers=2, budget=12, seed=6)
    assert caught.value.candidate[0] > 0.7
    assert (caught.value.result.history.X[:, 0] <= 0.7).all()


def test_an_innocent_evaluation_survives_a_single_death(tmp_path: Path) -> None:
    """A worker killed from outside once: its row is tried again and counts as what it is."""
    mark = tmp_path / "killed"

    def unlucky(x: Any) -> float:
        try:
            mark.open("x").close()
        except FileExistsError:
            return float((x**2).sum())
        os._exit(9)

    result = solve(Problem(unlucky, BOX), workers=2, budget=24)
    assert result.n_evaluations == 24
    assert not result.history.failed.any()


def test_an_executor_that_dies_is_said(clear: Any, tmp_path: Path) -> None:
    storage = tmp_path / "runs.db"
    settings = {"solver": "random", "budget": 20, "seed": 6, "storage": storage, "batch_size": 20}
    spawn = multiprocessing.get_context("spawn")
    said = clear(EvaluationFailed, "the executor died", "storage=")
    with ProcessPoolExecutor(2, mp_context=spawn) as executor, said:
        solve(Problem(lambda x: deadly(x), BOX), executor=executor, **settings)
    resumed = solve(Problem(sphere, BOX), **settings)
    assert resumed.n_evaluations == 20
    assert resumed.history.X.tobytes() == solve(**(settings | {"storage": None})).history.X.tobytes()

    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with clear(EvaluationFailed, "the executor died"):
        solve(executor=closed)


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"workers": 0}, ("workers", "0")),
        ({"workers": 1.5}, ("workers", "1.5")),
        ({"workers": True}, ("workers", "True")),
        ({"batch_size": -2}, ("batch_size", "-2")),
        ({"executor": 5}, ("executor", "concurrent.futures.Executor", "5")),
        ({"timeout": 0}, ("timeout", "0")),
        ({"timeout": "1"}, ("timeout", "'1'")),
        ({"timeout": float("nan")}, ("timeout", "nan")),
        ({"timeout": 1.0, "executor": Eager()}, ("timeout", "workers=", "executor=")),
        ({"catch": "all"}, ("catch", "'all'")),
        ({"catch": [ValueError, 3]}, ("catch", "3")),
        ({"catch": KeyboardInterrupt}, ("catch", "KeyboardInterrupt")),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(
    clear: Any, arguments: Any, words: tuple[str, ...]
) -> None:
    with clear(OptionError, *words):
        solve(**arguments)


def test_a_pool_ends_whatever_waits_in_it() -> None:
    """Loky's own thread looks dropped items up and dies of it, which pytest would report."""
    import loky

    pool = loky.ProcessPoolExecutor(1)
    pool.submit(int).result()
    futures = [pool.submit(time.sleep, 60) for _ in range(2)]
    began = time.perf_counter()
    shut_down(pool)
    assert time.perf_counter() - began < 30
    assert not any(future.done() and future.exception() is None for future in futures)
