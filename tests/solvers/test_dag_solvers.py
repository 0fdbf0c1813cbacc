"""Order search and the exact order: known answers, knowledge obeyed, bad options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.kernels.order_exact import best_orders_numpy
from optengine.problems import DAGProblem
from optengine.problems.dag.measures import order_divergence


def random_problem(seed: int, d: int, **options: Any) -> DAGProblem:
    graph = ("ER", "SF")[seed % 2]
    rng = np.random.default_rng(seed)
    return DAGProblem.random(rng, d, 1 + seed % 3, n_samples=60, graph=graph, **options)


@pytest.mark.parametrize("seed", range(50))
def test_order_search_finds_the_proved_optimum(seed: int) -> None:
    problem = random_problem(seed, 4 + seed % 9)
    proof = oe.solve(problem, "dag_exact", time_limit=60)
    assert proof.status == "optimal"
    found = oe.solve(problem, "order_search", budget=40_000, seed=seed)
    assert found.fun == pytest.approx(proof.fun, rel=1e-9)
    assert found.status == "budget_exhausted"
    assert proof.bound == pytest.approx(proof.fun, rel=1e-9)
    assert proof.n_evaluations >= 2**problem.n_nodes - 1


@pytest.mark.parametrize("seed", range(6))
def test_dag_exact_is_the_best_of_all_orders(seed: int) -> None:
    problem = random_problem(seed, 6, required=[(1, 4), (4, 0)] if seed % 2 else None)
    proof = oe.solve(problem, "dag_exact", time_limit=60)
    assert proof.fun == pytest.approx(best_orders_numpy(problem.gram, problem.before)[0], rel=1e-10)


def test_dag_exact_that_must_stop_keeps_an_incumbent_and_a_true_bound() -> None:
    problem = random_problem(1, 12)
    stopped = oe.solve(problem, "dag_exact", budget=500)
    proof = oe.solve(problem, "dag_exact", time_limit=60)
    assert stopped.status == "budget_exhausted"
    assert stopped.n_evaluations == 500
    assert stopped.bound <= proof.fun <= stopped.fun


def test_the_graph_of_plenty_of_data_is_the_true_one() -> None:
    problem = DAGProblem.random(np.random.default_rng(0), 15, 1, n_samples=20_000)
    result = oe.solve(problem, budget=100_000, seed=0)
    assert result.solver == "order_search"
    assert "rule 0" in result.reason
    assert result.details["shd"] == 0
    assert order_divergence(result.details["order"], problem.truth) == 0
    assert result.details["kkt_residual"] == 0


def test_never_worse_than_the_order_given() -> None:
    problem = random_problem(3, 20)
    good = oe.solve(problem, "order_search", budget=60_000, seed=0)
    again = oe.solve(problem, "order_search", budget=50, seed=1, x0=good.x)
    assert again.fun <= good.fun


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 9))
def test_every_graph_obeys_what_is_known(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = rng.permutation(d)
    cuts = np.sort(rng.integers(0, d + 1, 2))
    tiers = [part.tolist() for part in np.split(nodes, cuts)] if rng.random() < 0.7 else None
    pairs = np.argwhere(np.triu(rng.random((d, d)) < 0.2, 1))
    required = nodes[pairs]
    problem = random_problem(seed, d, tiers=tiers, required=required)
    result = oe.solve(problem, rng.choice(["order_search", "random"]), budget=300, seed=seed)
    graph, kept = result.details["graph"], result.details["thresholded"]
    level = np.zeros(d)
    for number, tier in enumerate(tiers or []):
        level[tier] = number
    assert all(level[i] <= level[j] for i, j in np.argwhere(graph))
    assert all(kept[i, j] and graph[i, j] for i, j in required)
    assert not np.linalg.matrix_power(graph.astype(float), d).any()


@pytest.mark.parametrize(
    ("option", "value"),
    [("starts", 0), ("strength", 1.5), ("reach", 0.0), ("reach", 2), ("patience", 0), ("swaps", 1)],
)
def test_a_wrong_option_is_named(option: str, value: Any) -> None:
    with pytest.raises(oe.OptionError, match=f"{option} must be .*, got {value}"):
        oe.solvers.OrderSearch(**{option: value})


def test_what_the_solvers_refuse() -> None:
    with pytest.raises(oe.SolverNotSuitable, match="up to 20 nodes, got 21"):
        oe.solve(random_problem(0, 21), "dag_exact", budget=10)
    with pytest.raises(oe.SolverNotSuitable, match="Gram matrix of a DAGProblem"):
        oe.solve(oe.problems.QAP.random(np.random.default_rng(0), 5), "order_search", budget=10)
    with pytest.raises(oe.OptionError, match="descend must be"):
        oe.solvers.DAGExact(descend=2)
