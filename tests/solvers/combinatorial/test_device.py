"""The batched searches with the definitions in the device's place; devices that are not there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import DeviceError
from optengine.kernels import assignment, flips
from optengine.problems import QAP, QUBO
from optengine.solvers.combinatorial import RobustTabu, Tabu, device
from optengine.solvers.combinatorial.robust_tabu import RobustTabuRun
from optengine.solvers.combinatorial.tabu import TabuRun


class HostFlips:
    """`FlipWalks` by the definition: every advance walks anew from the start."""

    def __init__(self, coupling: Any, low: int, spread: int, minus: float) -> None:
        self._coupling, self._settings = np.asarray(coupling, dtype=float), (low, spread)

    def begin(self, X: Any, gains: Any, seeds: Any) -> None:
        self._linear = [g * (2 * x - 1) - self._coupling @ x for x, g in zip(X, gains, strict=True)]
        self._X, self._seeds, self._steps = X, seeds, 0

    def advance(self, steps: int) -> Any:
        self._steps += steps
        ends = [
            flips.tabu_reference(linear, self._coupling, x, *self._settings, int(seed), self._steps)
            for linear, x, seed in zip(self._linear, self._X, self._seeds, strict=True)
        ]
        self._best = np.array([end[0] for end in ends])
        return np.array([[0.0, end[1]] for end in ends])

    def best(self, s: Any) -> Any:
        return self._best[s]


class HostExchanges:
    """`AssignmentWalks` by the definition."""

    def __init__(self, flow: Any, distance: Any, low: int, spread: int, penalty: float) -> None:
        self._data, self._settings = (flow, distance), (low, spread)

    def begin(self, P: Any, seeds: Any) -> None:
        self._P, self._seeds, self._steps = P, seeds, 0

    def advance(self, steps: int) -> Any:
        self._steps += steps
        ends = [
            assignment.robust_tabu_reference(*self._data, p, *self._settings, int(seed), self._steps)
            for p, seed in zip(self._P, self._seeds, strict=True)
        ]
        self._best = np.array([end[0] for end in ends])
        return np.array([[0.0, end[1]] for end in ends])

    def best(self, s: Any) -> Any:
        return self._best[s]


def test_batched_searches_find_small_optima(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.walks_cuda, "available", lambda: True)
    monkeypatch.setattr(device.search, "__kwdefaults__", {"starts": 6})
    monkeypatch.setattr(TabuRun, "_make_walks", staticmethod(HostFlips))
    monkeypatch.setattr(RobustTabuRun, "_make_walks", staticmethod(HostExchanges))
    rng = np.random.default_rng(0)
    qubo, qap = QUBO.random(rng, 16, 0.9), QAP.random(rng, 6)
    cases = ((qubo, Tabu(patience=20), 16 * 6 * 60), (qap, RobustTabu(patience=10), 15 * 6 * 30))
    for problem, solver, budget in cases:
        expected = oe.solve(problem, solver, budget=100_000, seed=0, device="cpu").fun
        result = oe.solve(problem, solver, budget=budget, seed=0, device="cuda")
        assert result.fun == expected
        assert result.n_evaluations <= budget
        assert result.details["pool"]["fun"][0] == expected
        assert result.details["n_walks"] > 1


def test_a_device_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.walks_cuda, "available", lambda: False)
    rng = np.random.default_rng(0)
    for problem in (QUBO.random(rng, 20, 0.9), QAP.random(rng, 6)):
        with pytest.raises(DeviceError, match="there is no cupy with a CUDA device"):
            oe.solve(problem, budget=1000, seed=0, device="cuda")
    with pytest.raises(DeviceError, match="whole couplings"):
        oe.solve(QUBO(rng.random((9, 9))), budget=1000, seed=0, device="cuda")
    with pytest.raises(DeviceError, match="symmetric whole matrices"):
        oe.solve(QAP(rng.random((5, 5)), rng.random((5, 5))), budget=1000, seed=0, device="cuda")
