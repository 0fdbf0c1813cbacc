"""Rows that clash: sets that are proved infeasible, irreducible only where that is proved too."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import optengine as oe
from optengine.backends.clash import find_clash
from optengine.backends.linear import solve_linear
from optengine.core.linear import LinearModel


def infeasible(model: LinearModel, rows: list[int]) -> bool:
    part = LinearModel(
        np.zeros(model.n_variables), model.A[rows], model.lower[rows], model.upper[rows], model.lb, model.ub,
        model.integrality,
    )  # fmt: skip
    return solve_linear(part, watched=False).status == "infeasible"


@pytest.mark.parametrize("whole", [False, True])
def test_sets_are_infeasible_and_irreducible(whole: bool) -> None:
    n_found = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        A = rng.integers(-5, 6, (9, 4)).astype(float)
        middle = rng.integers(-12, 13, 9)
        model = LinearModel(np.ones(4), A, middle, middle + 2.0, -3.0, 3.0, whole)
        if not infeasible(model, list(range(9))):
            continue
        n_found += 1
        clash = find_clash(model, 20.0)
        assert clash is not None
        assert clash.irreducible
        rows = clash.rows.tolist()
        assert infeasible(model, rows)
        assert not any(infeasible(model, list(some)) for some in itertools.combinations(rows, len(rows) - 1))
    assert n_found > 3


def test_the_result_names_the_rows() -> None:
    model = oe.problems.Model("plant")
    x = model.integer("x", shape=3, low=0, high=10)
    model.add(x[0] + x[1] <= 4, name="capacity")
    model.add(x[1] + x[2] <= 15, name="idle")
    model.add(x[0] + x[1] + 0.0 * x[2] >= 5, name="demand")
    model.minimize(x[0] + x[1] + x[2])
    result = oe.solve(model.build(), seed=0)
    assert result.status == "infeasible"
    assert sorted(result.details["clash"]["rows"]) == ["capacity", "demand"]
    assert result.details["clash"]["irreducible"]
    assert "these rows clash, and none of them can be spared: capacity, demand" in result.message
    plain = oe.solve(model.build(), seed=0, options={"explain": 0.0})
    assert "clash" not in plain.details


def test_bounds_alone_and_no_time() -> None:
    model = oe.problems.MILP([1, 1], [[1, 0]], 0, 5, bounds=([0.2, 0], [0.8, 1]), integrality=True)
    result = oe.solve(model, seed=0)
    assert result.details["clash"] == {"rows": [], "irreducible": True}
    assert "bounds and whole numbers clash by themselves" in result.message
    parity = LinearModel(np.zeros(2), np.array([[2.0, 4.0]]), 3.0, 3.0, 0.0, 9.0, True)
    found = find_clash(parity, 10.0)
    assert found is not None
    assert found.rows.tolist() == [0]
    assert find_clash(parity, 0.0) is None
    assert find_clash(parity, 10.0, lambda: True) is None
