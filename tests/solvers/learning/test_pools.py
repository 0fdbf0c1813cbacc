"""Pools hold the best distinct solutions, and their files are whole or absent."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, StorageError
from optengine.problems.generators import generate
from optengine.solvers.milp.learning import pools
from optengine.solvers.milp.learning.pools import collect_into, collect_pool, load_pool, pool_key, save_pool


def knapsack() -> oe.problems.MILP:
    return oe.problems.MILP(
        [9.0, 7, 6, 5, 3, 2], [[5.0, 4, 3, 3, 2, 1]], upper=10.0, bounds=(0, 1), integrality=1, sense="max"
    )


def test_a_pool_is_the_best_of_all_points(tmp_path: Path) -> None:
    """After the proof the best is excluded and the rest solved again: the five best by enumeration."""
    problem = knapsack()
    pool = collect_pool(problem, seconds=20, size=5, backend="highs")
    X = np.array(list(itertools.product([0.0, 1.0], repeat=6)))
    feasible = X[problem.evaluate(X).feasible()]
    expected = np.sort(problem.model.value(feasible))[:5]
    assert pool.values.tolist() == expected.tolist()
    assert problem.model.value(pool.X.astype(float)).tolist() == pool.values.tolist()
    assert len(np.unique(pool.X, axis=0)) == 5
    assert pool.proved
    save_pool(pool, tmp_path / "deep" / "p.npz")
    again = load_pool(tmp_path / "deep" / "p.npz", 6)
    assert again is not None
    assert np.array_equal(again.X, pool.X)
    assert (again.proved, again.backend, again.seconds) == (pool.proved, "highs", pool.seconds)
    assert load_pool(tmp_path / "deep" / "p.npz", 7) is None


def test_infeasible_instances_have_empty_pools() -> None:
    problem = oe.problems.MILP([1.0, 1.0], [[1.0, 1.0]], lower=3.0, bounds=(0, 1), integrality=1)
    assert len(collect_pool(problem, seconds=5, backend="highs")) == 0


def test_bad_solutions_are_left_out() -> None:
    gather = pools._Gatherer(knapsack())
    gather(np.array([0.0, 0, 0, 0, 0, 1]), 0.0)  # far from the best
    gather(np.ones(6), 0.0)  # too heavy
    gather(np.array([1.0, 1, 0, 0, 0, 1]), 0.0)  # 18
    gather(np.array([1.0, 0, 0, 1, 1, 0]), 0.0)  # 17
    _X, values = gather.best(10)
    assert values.tolist() == [-18.0, -17.0]


def test_points_that_rounding_broke_are_repaired() -> None:
    """x <= 10 y with y = 1e-4, which stands for 0: x falls to 0."""
    problem = oe.problems.MILP(
        [1.0, -0.1], [[1.0, -10.0]], upper=0.0, bounds=[(0, 10), (0, 1)], integrality=[0, 1], sense="max"
    )
    gather = pools._Gatherer(problem)
    assert gather(np.array([1e-3, 1e-4])) == 0.0
    X, values = gather.best(2)
    assert X.tolist() == [[0]]
    assert values.tolist() == [0.0]


def test_our_own_search_fills_pools() -> None:
    problem = generate("auction", "small", 3)
    pool = collect_pool(problem, seconds=1.0, backend="neighbourhoods")
    assert len(pool) > 1
    assert problem.model.value(pool.X.astype(float)) == pytest.approx(pool.values)
    assert (pool.proved, pool.backend) == (False, "neighbourhoods")
    infeasible = oe.problems.MILP([1.0, 1.0], [[1.0, 1.0]], lower=3.0, bounds=(0, 1), integrality=1)
    assert len(collect_pool(infeasible, seconds=0.3, backend="neighbourhoods")) == 0


def test_broken_files_are_collected_anew(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    options = {"seconds": 5.0, "size": 2, "backend": "highs", "threads": 1}
    for content in (b"", b"garbage", b"PK\x03\x04 cut"):
        path.write_bytes(content)
        assert load_pool(path, 6) is None
    assert collect_into(knapsack(), path, options) == ("", "")
    first = path.read_bytes()
    assert collect_into(knapsack(), path, options) == ("", "")
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["p.npz"]


def test_trouble_is_told(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="backend must be one of"):
        collect_pool(knapsack(), seconds=1, backend="gurobi")
    (tmp_path / "file").write_text("")
    pool = collect_pool(knapsack(), seconds=5, size=1, backend="highs")
    with pytest.raises(StorageError, match="cannot be written"):
        save_pool(pool, tmp_path / "file" / "p.npz")
    options = {"seconds": 1.0, "size": 1, "backend": "gurobi", "threads": 1}
    name, reason = collect_into(knapsack(), tmp_path / "q.npz", options)
    assert name == "milp"
    assert "backend must be one of" in reason


def test_a_file_belongs_to_an_instance_and_how_it_was_solved() -> None:
    one = knapsack()
    other = oe.problems.MILP(one.c + 1, one.A, upper=one.upper, bounds=(0, 1), integrality=1)
    keys = {
        pool_key(one, 5.0, 20, "scip"),
        pool_key(knapsack(), 5, 20, "scip"),
        pool_key(other, 5.0, 20, "scip"),
        pool_key(one, 6.0, 20, "scip"),
        pool_key(one, 5.0, 20, "highs"),
    }
    assert len(keys) == 4
