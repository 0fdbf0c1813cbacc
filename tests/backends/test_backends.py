"""Every backend behind `solve_linear`: against enumeration, at its limits, and when things go wrong."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pickle
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from numpy.random import default_rng
from scipy import sparse

from optengine.backends import BACKENDS, LinearStatus, running, solve_linear, terms
from optengine.backends.polish import completed
from optengine.backends.whole import whole_model
from optengine.core.errors import MissingDependency, OptEngineError, ProblemError
from optengine.core.linear import LinearModel

INTEGER = [name for name, can in BACKENDS.items() if can.integers]
LINEAR = [name for name, can in BACKENDS.items() if not can.integers]


def need(backend: str) -> None:
    if not terms.installed(backend):
        pytest.skip(f"{BACKENDS[backend].module} is not installed")


def random_model(seed: int, whole: bool = True) -> LinearModel:
    """A small model with rows of every kind, negative bounds, and coefficients with a fraction."""
    rng = default_rng(seed)
    n, m = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    A = rng.integers(-8, 9, (m, n)) / rng.choice([1, 2, 10])
    sides = np.sort(rng.integers(-12, 20, (2, m)), axis=0).astype(float)
    kind = rng.integers(0, 4, m)
    lower = np.where(kind == 0, -np.inf, sides[0])
    upper = np.where(kind == 1, np.inf, np.where(kind == 2, sides[0], sides[1]))
    lb = rng.integers(-2, 1, n).astype(float)
    c = rng.integers(-9, 10, n) / rng.choice([1.0, 3.0, 8.0])
    return LinearModel(c, sparse.csr_array(A), lower, upper, lb, lb + rng.integers(0, 4, n), whole)


def enumerated(model: LinearModel) -> float | None:
    """The optimum over all whole points; None if there is none."""
    ranges = [range(int(low), int(high) + 1) for low, high in zip(model.lb, model.ub, strict=True)]
    points = np.array(list(itertools.product(*ranges)), dtype=float)
    allowed = points[model.violation(points) <= 1e-9]
    return float(model.value(allowed).min()) if len(allowed) else None


@pytest.mark.parametrize("backend", INTEGER)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_whole_models_agree_with_enumeration(backend: str, seed: int) -> None:
    need(backend)
    model = random_model(seed)
    best = enumerated(model)
    bounds: list[float] = []
    result = solve_linear(model, backend=backend, threads=1, bound=bounds.append)
    if best is None:
        assert result.status is LinearStatus.INFEASIBLE
        return
    assert result.status is LinearStatus.OPTIMAL
    assert result.value == pytest.approx(best)
    assert result.bound == pytest.approx(best, abs=1e-5)
    assert model.violation(result.x) <= 1e-9
    assert all(bound <= best + 1e-5 for bound in bounds)


@pytest.mark.parametrize("backend", [*LINEAR, "scip"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_real_models_agree_with_each_other(backend: str, seed: int) -> None:
    need(backend)
    model = random_model(seed, whole=False)
    expected, result = solve_linear(model), solve_linear(model, backend=backend)
    if expected.status is LinearStatus.INFEASIBLE:
        assert result.status in (LinearStatus.INFEASIBLE, LinearStatus.UNKNOWN)
        assert result.x is None
        return
    assert result.value == pytest.approx(expected.value, abs=1e-5)
    assert result.bound <= expected.value + 1e-5
    assert (result.status is LinearStatus.OPTIMAL) is BACKENDS[backend].proves
    assert BACKENDS[backend].proves or result.bound == -np.inf


def hard(n: int = 300, m: int = 50) -> LinearModel:
    """A packing model that no backend closes in seconds."""
    rng = default_rng(1)
    A = rng.integers(1, 60, (m, n)) * (rng.random((m, n)) < 0.25)
    return LinearModel(
        -rng.integers(20, 60, n), sparse.csr_array(A.astype(float)), upper=A.sum(axis=1) // 3, ub=1,
        integrality=True,
    )  # fmt: skip


@pytest.mark.parametrize("backend", INTEGER)
def test_incumbents_and_bounds_come_as_they_are_found(backend: str) -> None:
    need(backend)
    model, points, bounds = hard(), [], []
    result = solve_linear(
        model,
        backend=backend,
        time_limit=1.2,
        threads=1,
        incumbent=lambda x, value: points.append((x, value)),
        bound=bounds.append,
    )
    assert result.status is LinearStatus.FEASIBLE
    values = [value for _, value in points]
    assert len(values) > 1
    assert values == sorted(values, reverse=True)
    assert values[-1] == result.value
    assert all(model.violation(x) <= 1e-9 and model.value(x) == value for x, value in points)
    assert bounds == sorted(bounds)
    assert max(bounds) <= result.value


@pytest.mark.parametrize("backend", INTEGER)
def test_a_backend_stops_within_a_second(backend: str) -> None:
    need(backend)
    running.prepare(backend) if BACKENDS[backend].process else None
    stopped_at: list[float] = []

    def stop() -> bool:
        if time.perf_counter() - began > 0.4 and not stopped_at:
            stopped_at.append(time.perf_counter())
        return bool(stopped_at)

    began = time.perf_counter()
    result = solve_linear(hard(), backend=backend, threads=1, stop=stop)
    assert time.perf_counter() - stopped_at[0] < 5.0  # a second, on a machine that does nothing else
    assert result.status in (LinearStatus.FEASIBLE, LinearStatus.UNKNOWN)


@pytest.mark.parametrize("backend", INTEGER)
def test_ctrl_c_reaches_the_caller(backend: str) -> None:
    need(backend)
    timer = threading.Timer(0.6, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        solve_linear(hard(), backend=backend, threads=1, time_limit=60)
    timer.join()
    assert solve_linear(LinearModel([1.0], ub=3, integrality=True), backend=backend).value == 0  # goes on


@pytest.mark.parametrize("backend", INTEGER)
def test_a_short_limit_gives_a_valid_answer(backend: str) -> None:
    need(backend)
    result = solve_linear(hard(), backend=backend, time_limit=0.1, threads=1)
    assert result.status in (LinearStatus.FEASIBLE, LinearStatus.UNKNOWN)
    assert result.x is None or result.bound <= result.value


@pytest.mark.parametrize("backend", INTEGER)
def test_hints(backend: str) -> None:
    need(backend)
    model = hard()
    first = solve_linear(model, backend=backend, time_limit=0.5, threads=1, hint=np.zeros(300))
    assert first.value <= 0
    better = solve_linear(model, backend=backend, time_limit=0.3, threads=1, hint=first.x)
    assert better.value <= first.value
    small = hard(25, 6)
    best = solve_linear(small, threads=1)
    partial = np.where(np.arange(25) < 10, best.x, np.nan)
    assert solve_linear(small, backend=backend, threads=1, hint=partial).value == best.value


@pytest.mark.parametrize("backend", INTEGER)
def test_infeasible_and_unbounded(backend: str) -> None:
    need(backend)
    impossible = LinearModel([1, 1], [[1, 1]], lower=3, ub=1, integrality=True)
    result = solve_linear(impossible, backend=backend)
    assert result.status is LinearStatus.INFEASIBLE
    assert result.bound == np.inf
    assert result.message
    gap = LinearModel([1.0], lb=0.2, ub=0.8, integrality=True)
    assert solve_linear(gap, backend=backend).status is LinearStatus.INFEASIBLE
    endless = LinearModel([1, -1], ub=[1, np.inf], integrality=True)
    if BACKENDS[backend].reals:
        result = solve_linear(endless, backend=backend)
        assert result.status is LinearStatus.UNBOUNDED
        assert result.bound == -np.inf
    else:
        with pytest.raises(ProblemError, match=r"needs finite bounds, got \[0.0, inf\] for variable 1"):
            solve_linear(endless, backend=backend)


def test_models_that_a_backend_does_not_take() -> None:
    mixed = LinearModel([1.0, 1.0], ub=1, integrality=[True, False])
    with pytest.raises(ProblemError, match="needs whole variables only, got 1 real"):
        solve_linear(mixed, backend="cpsat")
    for backend in LINEAR:
        with pytest.raises(ProblemError, match="solves models without whole variables, got 1"):
            solve_linear(mixed, backend=backend)


def test_real_variables_in_whole_numbers_prove_nothing() -> None:
    """x = 1/3 stands on no decimal grid: CP-SAT alone would call the model infeasible."""
    need("cpsat")
    model = LinearModel(
        [1.0, -1.0], [[3.0, 0.0], [1.0, 1.0]], [1.0, -np.inf], [1.0, 1.0], 0.0, 1.0, [False, True]
    )
    result = solve_linear(model, backend="cpsat", approximate=True)
    assert result.status in (LinearStatus.FEASIBLE, LinearStatus.UNKNOWN)
    assert result.bound == -np.inf
    assert result.x is not None
    assert result.value == pytest.approx(1 / 3)


def test_whole_numbers_are_exact_for_decimals_and_say_when_not() -> None:
    exact = whole_model(LinearModel([0.25, 1.5], [[0.1, 2.75]], upper=3.05, ub=9, integrality=True))
    assert exact.exact
    assert exact.data.tolist() == [10, 275]
    assert exact.upper.tolist() == [305]
    assert (exact.c / exact.scale).tolist() == [0.25, 1.5]
    assert exact.error == 0
    rough = whole_model(LinearModel([1 / 3, 1.0], [[np.pi, 1.0]], upper=4, ub=9, integrality=True))
    assert not rough.exact
    assert rough.error < 1e-9
    np.testing.assert_allclose(rough.data / rough.data[1], [np.pi, 1.0], rtol=1e-9)


def test_a_rounded_point_gets_new_real_variables() -> None:
    """x <= 1e6 y with y = 1e-7, which a backend may take for 0."""
    model = LinearModel([-1.0, 0.0], [[1.0, -1e6]], upper=0.0, ub=[10, 1], integrality=[False, True])
    assert completed(model, np.array([0.1, 1e-7])).tolist() == [0.0, 0.0]
    impossible = LinearModel([0.0, 0.0], [[1.0, 1.0]], lower=5, ub=[1, 9], integrality=[False, True])
    assert completed(impossible, np.array([1.0, 0.0])) is None


@pytest.mark.parametrize("backend", ["highs", "scip"])
def test_whatever_a_library_raises_is_one_of_ours(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    need(backend)
    broken = dataclasses.replace(
        BACKENDS[backend], place="optengine.backends.terms:check_backend", process=False
    )  # takes other arguments
    monkeypatch.setitem(BACKENDS, backend, broken)
    with pytest.raises(OptEngineError, match=f"backend '{backend}' broke down on a model of .*: TypeError"):
        solve_linear(hard(5, 2), backend=backend)


def test_a_process_that_dies_is_said_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearModel([1.0], ub=3, integrality=True)
    monkeypatch.setitem(BACKENDS, "highs", dataclasses.replace(BACKENDS["highs"], process=True))
    assert solve_linear(model).value == 0
    real = running.take_child

    def dying() -> running.Child:
        child = real()
        threading.Timer(0.5, child.process.kill).start()
        return child

    monkeypatch.setattr(running, "take_child", dying)
    with pytest.raises(OptEngineError, match="its process ended with code"):
        solve_linear(hard())
    monkeypatch.setattr(running, "take_child", real)
    assert solve_linear(model).value == 0


def test_large_models_get_a_process() -> None:
    assert running.in_process("scip", hard())
    assert not running.in_process("highs", hard())
    many = LinearModel(np.ones(1000), np.ones((200, 1000)))
    assert running.in_process("highs", many)


def test_callbacks_that_raise_end_the_run() -> None:
    def no(x: Any, value: float) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        solve_linear(hard(), incumbent=no, threads=1)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(BACKENDS["glop"], module="no_such_module")
    monkeypatch.setitem(BACKENDS, "glop", absent)
    with pytest.raises(MissingDependency, match=r"optengine\[exact\]"):
        solve_linear(LinearModel([1.0]), backend="glop")


def test_models_and_errors_travel() -> None:
    model = pickle.loads(pickle.dumps(hard()))
    assert model.n_variables == 300
    assert str(pickle.loads(pickle.dumps(OptEngineError("a sentence")))) == "a sentence"
