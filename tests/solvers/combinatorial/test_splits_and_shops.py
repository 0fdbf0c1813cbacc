"""Market splits and job shops: values by hand, forms, proofs, files."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, ProblemError
from optengine.kernels.schedule import starts, starts_reference
from optengine.problems import JobShop, MarketSplit
from optengine.problems.formats import read
from optengine.solvers.combinatorial import MarketSplitExact


@pytest.mark.parametrize("n", [3, 8, 13, 21, 30])
def test_splits_are_found_or_excluded(n: int) -> None:
    rng = np.random.default_rng(n)
    result = oe.solve(MarketSplit.random(rng, 3, n), seed=0)
    assert (result.status, result.fun) == ("optimal", 0)
    if n < 14:
        problem = MarketSplit.random(rng, 3, n, solvable=False)
        every = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
        best = problem.evaluate(every).F.min()
        result = oe.solve(problem, seed=0)
        assert result.bound == (0 if best == 0 else 1)
        np.testing.assert_allclose(
            problem.qubo().evaluate(every).F[:, 0], ((every @ problem.A.T - problem.b) ** 2).sum(axis=1)
        )
        assert oe.solve(problem.milp(), "milp", time_limit=20, seed=0).fun == pytest.approx(best)


def test_what_splits_refuse() -> None:
    with pytest.raises(OptionError, match=r"most_columns must be an integer in 1\.\.64, got 65"):
        MarketSplitExact(most_columns=65)
    with pytest.raises(ProblemError, match="must be whole numbers"):
        MarketSplit([[0.5]], [1])
    with pytest.raises(ProblemError, match=r"A must be \(m, n\)"):
        MarketSplit([[1, 2]], [1, 2])


def test_a_shop_by_hand() -> None:
    problem = JobShop([[0, 1], [1, 0]], [[3, 2], [2, 4]])
    X = np.array([[0.0, 2, 1, 3], [0, 1, 2, 3], [2, 3, 0, 1]])
    assert problem.evaluate(X).F[:, 0].tolist() == [7, 11, 11]
    described = problem.describe([0, 2, 1, 3])
    assert described["starts"].tolist() == [[0, 3], [0, 3]]
    assert [s.tolist() for s in described["sequences"]] == [[0, 1], [1, 0]]


def test_schedules_are_their_definition_and_orders_end_no_later() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        problem = JobShop.random(rng, 5, 4)
        X = np.array([rng.permutation(20) for _ in range(6)])
        begun = starts(problem.machines, problem.durations, X)
        np.testing.assert_array_equal(begun, starts_reference(problem.machines, problem.durations, X))
        late = begun * 1.5
        orders = np.array([problem.order(times) for times in late], dtype=float)
        assert (problem.evaluate(orders).F[:, 0] <= problem.evaluate(X.astype(float)).F[:, 0]).all()


def test_shops_are_proved_and_the_linear_form_agrees() -> None:
    pytest.importorskip("ortools")
    problem = JobShop.random(np.random.default_rng(0), 4, 3)
    result = oe.solve(problem, seed=0)
    assert (result.solver, result.status) == ("job_shop", "optimal")
    assert oe.solve(problem.milp(), "milp", time_limit=60, seed=0).fun == pytest.approx(result.fun)
    real = JobShop(problem.machines, problem.durations + 0.25)
    found = oe.solve(real, time_limit=20, seed=0)
    assert found.fun == pytest.approx(oe.solve(real.milp(), "milp", time_limit=60, seed=0).fun)
    assert found.bound is None


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("# comment\n2 2\n0 3 1 2\n1 2 0 4\n")
    shop = read(path)
    assert isinstance(shop, JobShop)
    assert shop.durations.tolist() == [[3, 2], [2, 4]]
    path.write_text("# comment\n2 3\n1 2 3 4\n5 6 7 8\n")
    split = read(path)
    assert isinstance(split, MarketSplit)
    assert split.b.tolist() == [4, 8]


def test_bad_shops_are_named() -> None:
    with pytest.raises(ProblemError, match=r"job 1 must visit each machine 0\.\.1 once, got \[0, 0\]"):
        JobShop([[0, 1], [0, 0]], [[1, 1], [1, 1]])
    with pytest.raises(ProblemError, match="durations must be finite and not negative"):
        JobShop([[0]], [[-1]])
    with pytest.raises(ProblemError, match="must have one shape"):
        JobShop([[0]], [[1, 2]])
