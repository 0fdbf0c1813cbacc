"""Runs that search where the objective is: compiled on the CPU, and on a device (computed here on NumPy arrays)."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

import optengine as oe
from optengine.core.problem import Problem
from optengine.core.space import Binary, Categorical, Integer, Real, Space
from optengine.kernels.cem_device import DeviceObjective, Host
from optengine.solvers.cem import CEM
from optengine.solvers.cem.device import DeviceRun
from optengine.solvers.cem.fused import FusedRun
from optengine.solvers.cem.run import CEMRun


@numba.njit
def sphere(x: np.ndarray) -> float:
    total = 0.0
    for j in range(len(x)):
        total += (x[j] - 1.0) ** 2
    return total


@numba.njit
def broken(x: np.ndarray) -> float:
    return np.nan if x[0] > 0.0 else x[0]


class Counting:
    """A control with a budget; keeps the incumbents it is offered."""

    x0: np.ndarray | None = None
    device = "cpu"

    def __init__(self, problem: Any, budget: int, threads: int = 1) -> None:
        self.threads, self.spent, self._budget, self._problem = threads, 0, budget, problem
        self.rng = np.random.default_rng(0)
        self.offered: list[np.ndarray] = []
        self.best = np.inf

    @property
    def remaining(self) -> int:
        return self._budget - self.spent

    def spend(self, n: int) -> None:
        self.spent += n

    def stop(self) -> bool:
        return self.spent >= self._budget

    def incumbent(self, x: np.ndarray) -> float | None:
        self.offered.append(x)
        assert self._problem.space.contains(x[None]).all()
        self.best = min(
            self.best, float(self._problem.function(x[None])[0]) if self._problem.vectorized else np.inf
        )
        return self.best

    def bound(self, value: float) -> None:
        raise AssertionError("no bounds here")


# -- compiled objectives ---------------------------------------------------------------------------------------


def test_solve_searches_a_compiled_objective() -> None:
    problem = Problem(sphere, [(-5, 5)] * 6, array="numba")
    result = oe.solve(problem, "cem", budget=60_000, seed=0)
    assert result.n_evaluations == 60_000
    assert result.details["fused"] is True
    assert result.fun < 1e-8
    assert result.fun == sphere(np.asarray(result.x))  # in float64, by the engine


def test_the_budget_is_exact_and_the_target_stops() -> None:
    problem = Problem(sphere, [(-5, 5)] * 4, array="numba")
    assert oe.solve(problem, "cem", budget=1_001, seed=0).n_evaluations == 1_001
    stopped = oe.solve(problem, "cem", budget=10**6, target=1e-3, seed=0)
    assert stopped.status == "target_reached"
    assert stopped.n_evaluations < 10_000


def test_threads_do_not_change_the_answer() -> None:
    problem = Problem(sphere, [(-5, 5)] * 8, array="numba")
    offers = []
    for threads in (1, 2, 5):
        run = CEM(population=3000).start(problem, np.random.default_rng(3))
        control = Counting(problem, 45_000, threads)
        run.search(control)
        offers.append(np.array(control.offered))
    assert (offers[0] == offers[1]).all()
    assert (offers[0] == offers[2]).all()


def test_maximising_and_nan() -> None:
    best = oe.solve(
        Problem(sphere, [(0, 2)] * 2, array="numba", direction="maximize"), "cem", budget=20_000, seed=0
    )
    assert best.fun == pytest.approx(2.0, abs=1e-5)
    half = oe.solve(Problem(broken, [(-1, 1)] * 2, array="numba"), "cem", budget=5_000, seed=0)
    assert half.fun == pytest.approx(-1.0, abs=1e-5)


def test_a_starting_point_is_where_the_search_begins() -> None:
    problem = Problem(sphere, [(-5, 5)] * 3, array="numba")
    result = oe.solve(problem, "cem", budget=64, x0=np.full(3, 1.0), seed=0)
    assert result.fun == 0.0


@pytest.mark.parametrize(
    ("space", "options", "fits"),
    [
        ([(-5, 5)] * 3, {}, True),
        ([(-5, 5)] * 3, {"fused": False}, False),
        ([(-5, 5)] * 3, {"family": "full"}, False),
        ([(-5, 5)] * 3, {"nu": 3.0}, False),
        (Space(Integer(0, 9, shape=3)), {}, False),
        (Space(Real(1e-3, 1, log=True, shape=3)), {}, False),
    ],
)
def test_which_problems_are_fused(space: Any, options: dict[str, Any], fits: bool) -> None:
    problem = Problem(sphere, space, array="numba")
    run = CEM(**options).start(problem, np.random.default_rng(0))
    assert type(run) is (FusedRun if fits else CEMRun)


def test_restarts_and_convergence() -> None:
    problem = Problem(sphere, [(-5, 5)] * 2, array="numba")
    run = CEM(restarts="never").start(problem, np.random.default_rng(0))
    control = Counting(problem, 10**6)
    run.search(control)
    assert control.spent < 20_000
    again = CEM().start(problem, np.random.default_rng(0))
    again.search(Counting(problem, 60_000))
    assert again.details["restarts"] >= 1


# -- devices ---------------------------------------------------------------------------------------------------


def device_run(function: Any, space: Any, budget: int, **options: Any) -> tuple[DeviceRun, Counting]:
    problem = Problem(function, space, array="cupy")
    run = DeviceRun(CEM(**options), problem, np.random.default_rng(0), Host())
    control = Counting(problem, budget)
    run.search(control)
    return run, control


@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_device_gaussians(family: str) -> None:
    _, control = device_run(
        lambda X: ((X - 1) ** 2).sum(axis=1), [(-5, 5)] * 5, 100_000, family=family, population=1000
    )
    assert control.spent == 100_000
    assert control.best < 1e-6


def test_device_bits() -> None:
    goal = np.random.default_rng(1).integers(0, 2, 60)
    _, control = device_run(
        lambda X: (X != goal).sum(axis=1), Space(Binary(shape=60)), 60_000, population=1000
    )
    assert control.best == 0


def test_device_categories() -> None:
    goal = np.random.default_rng(1).integers(0, 5, 12)
    space = Space(Categorical(list("abcde"), shape=12))
    run, control = device_run(lambda X: (X != goal).sum(axis=1), space, 40_000, population=1000)
    assert control.best == 0
    np.testing.assert_allclose(run._p.reshape(12, 5).sum(axis=1), 1.0, rtol=1e-5)


def test_device_runs_are_chosen_and_need_a_device() -> None:
    problem = Problem(lambda X: X[:, 0], [(0, 1)] * 2, array="cupy")
    assert isinstance(CEM().start(problem, np.random.default_rng(0)), DeviceRun)
    named = Problem(lambda x: x, Space(x=Real(0, 1)), array="cupy", call="kwargs")
    assert isinstance(CEM().start(named, np.random.default_rng(0)), CEMRun)
    assert DeviceObjective("__device__ float objective(const float* x, int d) { return x[0]; }").source


@pytest.mark.gpu
def test_on_a_real_device() -> None:
    cupy = pytest.importorskip("cupy", reason="needs cupy")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    loop = "for (int j = 0; j < d; ++j) s += (x[j] - 1) * (x[j] - 1);"
    text = f"__device__ float objective(const float* x, int d) {{ float s = 0; {loop} return s; }}"
    for function in (lambda X: ((X - 1) ** 2).sum(axis=1), DeviceObjective(text)):
        problem = Problem(function, [(-5, 5)] * 20, array="cupy")
        assert oe.solve(problem, "cem", budget=2_000_000, seed=0, options={"population": 20_000}).fun < 1e-6
