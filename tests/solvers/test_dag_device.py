"""Order search with descents in batches, as on a device; and what is told where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.kernels import order_cuda
from optengine.problems import DAGProblem
from optengine.solvers.dag import device, search


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose kernels are the compiled form on the CPU."""
    monkeypatch.setattr(order_cuda, "available", lambda: True)
    monkeypatch.setattr(device.DeviceDescents.__init__, "__defaults__", (order_cuda.OnHost,))
    monkeypatch.setattr(search, "ORDERS", 16)


def problem(d: int = 12, **options: Any) -> DAGProblem:
    return DAGProblem.random(np.random.default_rng(0), d, 2, n_samples=200, **options)


@pytest.mark.usefixtures("pretended")
def test_batches_of_descents_find_the_optimum() -> None:
    proof = oe.solve(problem(), "dag_exact")
    result = oe.solve(
        problem(), "order_search", device="cuda", options={"restarts": 1, "patience": 50}, seed=0
    )
    assert result.details["device"] == "cuda"
    assert result.details["descents"] == 2 * 17
    assert result.status == "converged"
    assert result.fun == pytest.approx(proof.fun, rel=1e-9)


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("budget", [7, 300, 5000])
def test_batches_keep_the_budget_and_what_is_known(budget: int) -> None:
    tiers = [[4, 5, 6], [0, 1, 2, 3], [7, 8, 9, 10, 11]]
    result = oe.solve(problem(tiers=tiers), "order_search", device="cuda", budget=budget, seed=0)
    assert result.n_evaluations <= budget
    place = np.argsort(result.details["order"])
    assert place[tiers[0]].max() < place[tiers[1]].min() < place[tiers[2]].min()
    start = problem(tiers=tiers).arrange(np.arange(12)[None, :])[0]
    again = oe.solve(problem(tiers=tiers), "order_search", device="cuda", budget=budget, seed=0, x0=[start])
    assert again.fun <= problem().evaluate(start[None, :].astype(float)).F[0, 0]


@pytest.mark.usefixtures("pretended")
def test_auto_takes_the_device_for_large_least_squares_alone() -> None:
    assert device.settle("auto", problem(12)) == (False, "cpu")
    assert device.settle("auto", problem(50)) == (True, "cuda")
    sparse = problem(12, penalty="l0", weight=0.1)
    assert device.settle("auto", sparse) == (False, "cpu")
    with pytest.raises(oe.DeviceError, match="device must be 'cpu' or 'auto' with a penalty"):
        device.settle("cuda", sparse)


def test_a_device_that_is_not_there_is_an_error() -> None:
    if order_cuda.available():
        pytest.skip("there is a device")
    with pytest.raises(oe.DeviceError, match="got 'cuda': there is no cupy with a CUDA device"):
        oe.solve(problem(), "order_search", device="cuda", budget=100)
    assert oe.solve(problem(), "order_search", budget=100).details["device"] == "cpu"


@pytest.mark.gpu
def test_order_search_on_the_device() -> None:
    result = oe.solve(problem(60), "order_search", device="cuda", options={"restarts": 0}, seed=0)
    plain = oe.solve(problem(60), "order_search", device="cpu", options={"restarts": 2}, seed=0)
    assert result.fun <= plain.fun * (1 + 1e-6)
