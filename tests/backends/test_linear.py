"""Linear models and the exact backend that comes with SciPy."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng
from scipy import sparse

from optengine.backends import LinearStatus, highs, solve_linear
from optengine.core.errors import OptEngineError, OptionError, ProblemError
from optengine.core.linear import LinearModel


def test_a_model_is_checked_once_and_frozen() -> None:
    model = LinearModel([1, 2], [[1, 1]], upper=3, integrality=[True, False])
    assert (model.n_variables, model.n_rows, model.sparse) == (2, 1, False)
    assert model.lower.tolist() == [-np.inf]
    assert model.lb.tolist() == [0.0, 0.0]
    assert model.integrality.tolist() == [True, False]
    with pytest.raises(ValueError, match="read-only"):
        model.c[0] = 5.0


def test_sparse_rows_stay_sparse() -> None:
    model = LinearModel([1.0, 1.0], sparse.coo_matrix([[1, 0], [1, 1]]), lower=1)
    assert model.sparse
    assert model.violation([0.0, 0.5]) == 0.5 * 2  # row 0: 0 < 1
    assert model.value([[1, 2], [3, 4]]).tolist() == [3.0, 7.0]


def test_no_rows() -> None:
    model = LinearModel([1.0], lb=-1, ub=2)
    assert model.A.shape == (0, 1)
    assert solve_linear(model).x.tolist() == [-1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": [[1.0]]}, "one-dimensional"),
        ({"c": [np.nan]}, "NaN"),
        ({"c": [np.inf]}, "finite"),
        ({"c": ["a"]}, "numbers"),
        ({"c": [1.0], "A": [[1, 2]]}, r"shape \(m, 1\)"),
        ({"c": [1.0], "A": [[np.inf]]}, "finite"),
        ({"c": [1.0], "A": [[1.0]], "lower": [1, 2]}, r"shape \(1,\)"),
        ({"c": [1.0], "A": [[1.0]], "lower": 2, "upper": 1}, "lower of a linear model must be <= upper"),
        ({"c": [1.0], "lb": 2, "ub": 1}, "lb of a linear model must be <= ub, got 2.0 and 1.0 at index 0"),
        ({"c": [1.0], "lb": np.inf}, "lb of a linear model"),
        ({"c": [1.0], "integrality": 2}, "True or False"),
        ({"c": [1.0], "integrality": [True, True]}, r"shape \(1,\)"),
    ],
)
def test_what_cannot_be_is_said(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        LinearModel(**arguments)


def test_violation_counts_bounds_rows_and_integrality() -> None:
    model = LinearModel([1.0, 1.0], [[1, 1]], upper=1.5, ub=1, integrality=[True, False])
    assert model.violation([1, 0.5]) == 0
    assert model.violation([0.7, 0]) == pytest.approx(0.3)
    assert model.violation([1, 1.25]) == pytest.approx(0.75 / 2.25)
    assert model.violation([[1, 0.5], [0, -0.1]]).tolist() == pytest.approx([0, 0.1])


def test_optimal_infeasible_unbounded() -> None:
    result = solve_linear(LinearModel([-1, -1], [[1, 2], [3, 1]], upper=[4, 6], integrality=[1, 0]))
    assert result.status is LinearStatus.OPTIMAL
    assert result.status == "optimal"
    assert result.x.tolist() == pytest.approx([1.0, 1.5])
    assert result.value == result.bound == pytest.approx(-2.5)
    assert solve_linear(LinearModel([1, 1], [[1, 1]], lower=3, ub=1)).status is LinearStatus.INFEASIBLE
    assert solve_linear(LinearModel([0, 0], [[1, 1]], lower=3, ub=1)).status is LinearStatus.INFEASIBLE
    assert solve_linear(LinearModel([1, -1], ub=[1, np.inf])).status is LinearStatus.UNBOUNDED
    assert (
        solve_linear(LinearModel([1, -1], ub=[1, np.inf], integrality=True)).status is LinearStatus.UNBOUNDED
    )
    assert solve_linear(LinearModel([], np.zeros((1, 0)), lower=1)).status is LinearStatus.INFEASIBLE
    assert solve_linear(LinearModel([])).x.shape == (0,)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_enumeration(seed: int) -> None:
    rng = default_rng(seed)
    n, m = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    A, upper = rng.integers(-5, 6, (m, n)), rng.integers(-5, 10, m)
    model = LinearModel(rng.integers(-5, 6, n), A, upper=upper, ub=2, integrality=True)
    points = np.array(list(itertools.product(range(3), repeat=n)))
    allowed = points[(points @ A.T <= upper).all(axis=1)]
    result = solve_linear(model)
    if not len(allowed):
        assert result.status is LinearStatus.INFEASIBLE
    else:
        assert result.status is LinearStatus.OPTIMAL
        assert result.value == pytest.approx(model.value(allowed).min())
        assert model.violation(result.x) <= 1e-9


def knapsack(n: int = 60) -> LinearModel:
    rng = default_rng(0)
    A = rng.integers(1, 100, (5, n))
    return LinearModel(-rng.integers(1, 100, n), A, upper=A.sum(axis=1) // 2, ub=1, integrality=True)


def test_a_limit_leaves_the_best_so_far_or_the_hint() -> None:
    model = knapsack()
    seen: list[float] = []
    result = solve_linear(model, nodes=1, incumbent=lambda x, value: seen.append(value))
    assert result.status in (LinearStatus.FEASIBLE, LinearStatus.OPTIMAL)
    assert result.bound <= result.value
    assert seen[-1] == result.value
    assert seen == sorted(seen, reverse=True)
    hinted = solve_linear(model, nodes=0, hint=np.zeros(60))
    assert hinted.status is LinearStatus.FEASIBLE
    assert hinted.value <= 0
    assert solve_linear(model, nodes=0).status in (LinearStatus.UNKNOWN, LinearStatus.FEASIBLE)


def test_a_gap_is_enough() -> None:
    result = solve_linear(knapsack(), gap=0.5)
    assert result.status is LinearStatus.OPTIMAL
    assert result.bound <= result.value


@pytest.mark.parametrize(
    ("limit", "value"),
    [("time_limit", 0), ("time_limit", "1"), ("nodes", -1), ("gap", -0.1), ("threads", 0), ("seed", 1.5)],
)
def test_limits_are_checked(limit: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"{limit} must be .* got {value!r}"):
        solve_linear(knapsack(), **{limit: value})


def test_misspelt_backends_and_hints() -> None:
    with pytest.raises(OptionError, match="did you mean 'highs'"):
        solve_linear(LinearModel([1.0]), backend="higs")
    with pytest.raises(ProblemError, match=r"hint must be of shape \(1,\), got \(2,\)"):
        solve_linear(LinearModel([1.0]), hint=[1, 2])


def test_a_breakdown_is_tried_again_and_then_said(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    real = highs._run

    def broken(*given: Any, presolve: bool = True) -> highs.Answer:
        calls.append(presolve)
        answer = real(*given, presolve=presolve)
        return highs.Answer(4, None, -np.inf, 0, "Solve error") if presolve or always else answer

    monkeypatch.setattr(highs, "_run", broken)
    always = False
    assert solve_linear(LinearModel([1.0], ub=1)).status is LinearStatus.OPTIMAL
    assert calls == [True, False]
    always = True
    with pytest.raises(OptEngineError, match="HiGHS broke down on a model of 0 rows and 1 variables"):
        solve_linear(LinearModel([1.0], ub=1))


def test_a_scipy_whose_highs_is_another_one_goes_through_milp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(highs, "_core", lambda: None)
    test_optimal_infeasible_unbounded()
    limited = solve_linear(knapsack(), nodes=0, hint=np.zeros(60))
    assert limited.status is LinearStatus.FEASIBLE


def test_reduced_costs_of_an_optimum() -> None:
    """min 2 x + 3 y + z, x + y >= 1: the dual of the row is 2, so that y costs 1 more than it is worth, and z 1."""
    result = solve_linear(LinearModel([2, 3, 1], [[1, 1, 0]], lower=1, ub=5.0))
    assert result.reduced_costs == pytest.approx([0, 1, 1])
    assert solve_linear(LinearModel([2, 3], [[1, 1]], lower=1, integrality=True)).reduced_costs is None


@pytest.mark.skipif(sys.platform != "linux", reason="C's stream is looked for under its name in glibc")
def test_what_c_prints_does_not_reach_the_user() -> None:
    code = """
import ctypes, sys
from optengine.backends.quiet import quiet
say = ctypes.CDLL(None).puts
say(b"before")
with quiet():
    say(b"one")
    with quiet():
        say(b"two")
    say(b"three")
    print("python", flush=True)
say(b"after")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(ran.stdout.split()) == ["after", "before", "python"]


@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_of_the_model_whatever_the_hint_says(seed: int) -> None:
    """HiGHS completes a hint in part by a search of its own, whose bounds must not be told."""
    rng = default_rng(seed)
    A = rng.integers(0, 9, (30, 60)) * (rng.random((30, 60)) < 0.3)
    model = LinearModel(
        rng.integers(5, 30, 60), A.astype(float), np.ceil(A.sum(axis=1) / 3), np.inf, 0.0, 1.0, True
    )
    best = solve_linear(model)
    hint = np.full(60, np.nan)
    hint[:25] = 1.0 - best.x[:25]  # everything the other way round
    bounds: list[float] = []
    result = solve_linear(model, hint=hint, bound=bounds.append, seed=1)
    assert result.value == pytest.approx(best.value)
    assert max(bounds, default=-np.inf) <= best.value + 1e-6
    wrong = np.where(np.isnan(hint), 0.0, hint)  # whole, and breaks rows
    assert solve_linear(model, hint=wrong, seed=1).value == pytest.approx(best.value)
    started = solve_linear(model, hint=best.x, nodes=0, seed=1)
    assert started.value == pytest.approx(best.value)
