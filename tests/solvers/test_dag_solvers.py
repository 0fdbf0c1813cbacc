"""Order search and the exact order: known answers, knowledge obeyed, bad options."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.kernels.order_exact import best_orders_numpy
from optengine.problems import DAGProblem, random_weights, simulate_linear
from optengine.problems.dag.measures import order_divergence


def random_problem(seed: int, d: int, **options: Any) -> DAGProblem:
    graph = ("ER", "SF")[seed % 2]
    rng = np.random.default_rng(seed)
    return DAGProblem.random(rng, d, 1 + seed % 3, n_samples=60, graph=graph, **options)


@pytest.mark.parametrize("seed", range(50))
def test_order_search_finds_the_proved_optimum(seed: int) -> None:
    problem = random_problem(seed, 4 + seed % 9)
    proof = oe.solve(problem, "dag_exact")
    assert proof.status == "optimal"
    found = oe.solve(problem, "order_search", budget=40_000, seed=seed)
    assert found.fun == pytest.approx(proof.fun, rel=1e-9)
    assert found.status == "budget_exhausted"
    assert proof.bound == pytest.approx(proof.fun, rel=1e-9)
    assert proof.n_evaluations >= 2**problem.n_nodes - 1


def test_order_search_that_may_not_restart_ends_by_itself() -> None:
    problem = random_problem(1, 12)
    result = oe.solve(problem, oe.solvers.OrderSearch(restarts=1, patience=100), seed=0)
    assert result.status == "converged"
    assert "100 rounds" in result.message
    assert result.details["restarts"] == 1
    assert result.fun == pytest.approx(oe.solve(problem, "dag_exact").fun, rel=1e-9)
    with pytest.raises(oe.OptionError, match="budget"):
        oe.solve(problem, "order_search")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("penalty", ["bic", "l0"])
def test_order_search_finds_the_proved_optimum_under_a_penalty(seed: int, penalty: str) -> None:
    loss = "gaussian" if penalty == "bic" else ("ls", "gaussian")[seed % 2]
    weight = None if penalty == "bic" else 0.05
    problem = random_problem(seed, 4 + seed % 7, loss=loss, penalty=penalty, weight=weight)
    proof = oe.solve(problem, "dag_exact")
    assert proof.status == "optimal"
    found = oe.solve(problem, "order_search", budget=20_000, seed=seed)
    assert found.fun == pytest.approx(proof.fun, rel=1e-9, abs=1e-12)
    assert found.status == "budget_exhausted"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("penalty", ["bic", "l0"])
def test_grown_and_shrunk_parents_lead_to_the_proved_optimum(seed: int, penalty: str) -> None:
    loss = "gaussian" if penalty == "bic" else ("ls", "gaussian")[seed % 2]
    options = {"loss": loss, "penalty": penalty, "weight": None if penalty == "bic" else 0.05}
    proof = oe.solve(random_problem(seed, 4 + seed % 7, **options), "dag_exact")
    problem = random_problem(seed, 4 + seed % 7, selection="grow-shrink", **options)
    found = oe.solve(problem, "order_search", budget=20_000, seed=seed)
    assert found.fun == pytest.approx(proof.fun, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", ["l1", "mcp"])
def test_dag_exact_proves_the_best_order_of_other_penalties(kind: str) -> None:
    problem = random_problem(3, 7, penalty=kind, weight=0.1)
    proof = oe.solve(problem, "dag_exact")
    assert proof.status == "optimal"
    found = oe.solve(problem, "order_search", budget=20_000, seed=0)
    assert found.fun == pytest.approx(proof.fun, rel=1e-9)


def test_order_search_chooses_parents_of_many_nodes() -> None:
    problem = random_problem(4, 40, loss="gaussian", penalty="bic")
    result = oe.solve(problem, oe.solvers.OrderSearch(restarts=0, patience=20, starts=2), seed=0)
    truth = problem.evaluate(problem.order_of(problem.truth)[None, :].astype(float)).F[0, 0]
    assert result.fun < truth
    assert result.status == "converged"
    assert result.details["kkt_residual"] == 0


@pytest.mark.parametrize("solver", ["order_search", "topo"])
@pytest.mark.parametrize("loss", ["logistic", "mlp"])
def test_fitted_losses_are_searched(solver: str, loss: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 5))
    X[:, 3] += np.sin(2 * X[:, 0]) - X[:, 1]
    X[:, 2] += X[:, 3]
    problem = DAGProblem(X > 0 if loss == "logistic" else X, loss=loss, hidden=4)
    orders = np.array(list(itertools.permutations(range(5))), dtype=float)
    F = problem.evaluate(orders).F[:, 0]
    options = {"restarts": 0, "patience": 5} if solver == "order_search" else {}
    result = oe.solve(problem, solver, options=options, seed=0)
    assert result.status == "converged"
    assert result.fun <= np.sort(F)[12]
    if solver == "order_search":
        assert result.fun == pytest.approx(F.min(), abs=1e-9)
    with pytest.raises(oe.SolverNotSuitable, match=f"Gram matrix alone, got loss='{loss}'"):
        oe.solve(problem, "dag_exact")


@pytest.mark.parametrize("seed", range(4))
def test_dag_exact_under_a_penalty_is_the_best_of_all_orders(seed: int) -> None:
    problem = random_problem(
        seed, 5, penalty="l0", weight=0.03, required=[(1, 4)], forbidden=[(0, 2), (2, 0), (4, 3)]
    )
    orders = np.array(list(itertools.permutations(range(5))), dtype=float)
    result = oe.solve(problem, "dag_exact")
    assert result.fun == pytest.approx(problem.evaluate(orders).F.min(), rel=1e-12)
    graph = result.details["graph"]
    assert graph[1, 4]
    assert not graph[[0, 2, 4], [2, 0, 3]].any()


KINDS = [
    {"loss": "gaussian", "penalty": "bic"},
    {"loss": "gaussian", "penalty": "bic", "selection": "grow-shrink"},
    {"loss": "ls", "penalty": "l0", "weight": 0.1, "selection": "grow-shrink"},
    {"loss": "ls", "penalty": "l1", "weight": 0.1},
    {"loss": "ls", "penalty": "mcp", "weight": 0.1},
    {"loss": "logistic", "penalty": "l1", "weight": 0.05},
    {"loss": "mlp", "hidden": 2},
]


@pytest.mark.parametrize("kind", [*KINDS[:5], *KINDS[6:], {}])
def test_where_one_order_is_allowed_the_search_ends(kind: dict[str, Any]) -> None:
    X = np.random.default_rng(0).standard_normal((60, 4))
    problem = DAGProblem(X, **kind, tiers=[[2, 1], [0, 3]], required=[(1, 2), (3, 0)])
    result = oe.solve(problem, "order_search", budget=50, seed=0)
    assert result.status == "converged"
    assert "one order" in result.message
    assert result.x.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("kind", [*KINDS[:5], {}])
def test_kicks_end_with_the_patience(kind: dict[str, Any]) -> None:
    options = {"restarts": 0, "patience": 30, "swaps": False}
    result = oe.solve(random_problem(0, 4, **kind), "order_search", options=options, seed=0)
    assert result.status == "converged"
    assert result.details["rounds"] < 100


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 7))
def test_every_sparse_graph_obeys_what_is_known(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = rng.permutation(d)
    tiers = [part.tolist() for part in np.split(nodes, [int(rng.integers(0, d + 1))])] if seed % 2 else None
    required = nodes[np.argwhere(np.triu(rng.random((d, d)) < 0.15, 1))]
    no = rng.random((d, d)) < 0.3
    no[np.diag_indices(d)] = False
    no[required[:, 0], required[:, 1]] = False
    X = simulate_linear(rng, random_weights(rng, d), 60)
    kind: dict[str, Any] = KINDS[seed % len(KINDS)]
    problem = DAGProblem(
        X > 2 * rng.standard_normal(X.shape) if kind["loss"] == "logistic" else X,
        **kind,
        tiers=tiers,
        required=required,
        forbidden=no,
    )
    fitted = kind["loss"] in ("logistic", "mlp")
    solver = rng.choice(["order_search", "topo", "random", *([] if fitted else ["dag_exact"])])
    graph = oe.solve(problem, solver, budget=20 if fitted else 200, seed=seed).details["graph"]
    level = np.zeros(d)
    for number, tier in enumerate(tiers or []):
        level[tier] = number
    assert all(level[i] <= level[j] for i, j in np.argwhere(graph))
    assert all(graph[i, j] for i, j in required)
    assert not (graph & no).any()
    assert not np.linalg.matrix_power(graph.astype(float), d).any()


@pytest.mark.parametrize("seed", range(6))
def test_dag_exact_is_the_best_of_all_orders(seed: int) -> None:
    problem = random_problem(seed, 6, required=[(1, 4), (4, 0)] if seed % 2 else None)
    proof = oe.solve(problem, "dag_exact")
    assert proof.fun == pytest.approx(best_orders_numpy(problem.gram, problem.before)[0], rel=1e-10)


def test_dag_exact_that_must_stop_keeps_an_incumbent_and_a_true_bound() -> None:
    problem = random_problem(1, 12)
    stopped = oe.solve(problem, "dag_exact", budget=500)
    proof = oe.solve(problem, "dag_exact")
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


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 9))
def test_every_graph_obeys_what_is_known(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = rng.permutation(d)
    cuts = np.sort(rng.integers(0, d + 1, 2))
    tiers = [part.tolist() for part in np.split(nodes, cuts)] if rng.random() < 0.7 else None
    pairs = np.argwhere(np.triu(rng.random((d, d)) < 0.2, 1))
    required = nodes[pairs]
    problem = random_problem(seed, d, tiers=tiers, required=required)
    result = oe.solve(problem, rng.choice(["order_search", "topo", "random"]), budget=300, seed=seed)
    graph, kept = result.details["graph"], result.details["thresholded"]
    level = np.zeros(d)
    for number, tier in enumerate(tiers or []):
        level[tier] = number
    assert all(level[i] <= level[j] for i, j in np.argwhere(graph))
    assert all(kept[i, j] and graph[i, j] for i, j in required)
    assert not np.linalg.matrix_power(graph.astype(float), d).any()


def plain_topo(X: np.ndarray, order: np.ndarray, small: int, large: int) -> list[float]:
    """The published loop re-stated with regressions on the data; its scores, one an iteration that swapped."""
    n, d = X.shape

    def fitted(order: np.ndarray, W: np.ndarray, positions: Any) -> np.ndarray:
        W = W.copy()
        for k in positions:
            W[:, order[k]] = 0.0
            W[order[:k], order[k]] = np.linalg.lstsq(X[:, order[:k]], X[:, order[k]], rcond=None)[0]
        return W

    def score(W: np.ndarray) -> float:
        return float(((X - X @ W) ** 2).sum() / (2 * n))

    W = fitted(order, np.zeros((d, d)), range(d))
    searched, values = False, []
    while True:
        h = np.linalg.inv(np.eye(d) - np.abs(W))[np.ix_(order, order)]
        pairs = sorted(((h[p, q], p, q) for p in range(d) for q in range(p + 1, d)), key=lambda t: t[0])
        value, improving = score(W), []
        values.append(value)
        for first, last in ((0, small), (small, large)):
            if first and (improving or searched):
                continue
            searched = searched or bool(first)
            for _, p, q in pairs[first:last]:
                swapped = order.copy()
                swapped[[p, q]] = order[[q, p]]
                new = score(fitted(swapped, W, range(p, q + 1)))
                if new < value * (1 - 1e-12):
                    improving.append((new, p, q))
        if not improving:
            return values
        taken: set[int] = set()
        for _, p, q in sorted(improving):
            if not taken & set(range(p, q + 1)):
                taken |= set(range(p, q + 1))
                order[[p, q]] = order[[q, p]]
        W = fitted(order, W, range(d))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("refit", ["factors", "regression"])
def test_topo_is_the_published_loop(seed: int, refit: str) -> None:
    rng = np.random.default_rng(seed)
    X = simulate_linear(rng, random_weights(rng, 20, 2), 100)
    order = rng.permutation(20)
    problem = DAGProblem(X, center=False)
    topo = oe.solvers.TOPO(size_small=30, size_large=80, refit=refit)
    result = oe.solve(problem, topo, x0=[order])
    assert result.status == "converged"
    assert result.history.F[:, 0] == pytest.approx(plain_topo(X, order.copy(), 30, 80), rel=1e-9)
    assert result.details["kkt_residual"] == 0
    assert result.details["candidates"] == 0


@pytest.mark.parametrize("acyclicity", ["logdet", "exp"])
@pytest.mark.parametrize("kind", ["ls", "l1", "mcp", "bic", "bic many"])
def test_topo_ends_where_no_pair_is_better(acyclicity: str, kind: str) -> None:
    options: dict[str, Any] = {
        "ls": {},
        "l1": {"penalty": "l1", "weight": 0.1},
        "mcp": {"penalty": "mcp", "weight": 0.1},
        "bic": {"loss": "gaussian", "penalty": "bic"},
        "bic many": {"loss": "gaussian", "penalty": "bic", "selection": "grow-shrink"},
    }[kind]
    problem = random_problem(5, 10, **options)
    topo = oe.solvers.TOPO(candidates="all", acyclicity=acyclicity)
    result = oe.solve(problem, topo, seed=0)
    order = result.details["order"]
    pairs = np.array([(i, j) for i in range(10) for j in range(i + 1, 10)])
    assert problem.delta(order, "swap", pairs)[0].min() >= -1e-8
    assert result.status == "converged"
    assert result.details["candidates"] >= (result.details["kkt_residual"] > 0)


def test_topo_never_worsens_a_graph_that_it_goes_on_from() -> None:
    rng = np.random.default_rng(0)
    for seed in range(10):
        problem = random_problem(seed, 12)
        graph = rng.standard_normal((12, 12)) * (rng.random((12, 12)) < 0.3)  # has cycles
        order = problem.order_of(graph)
        before = problem.evaluate(order[None, :].astype(float)).F[0, 0]
        after = oe.solve(problem, "topo", x0=graph)
        assert after.fun <= before
        assert after.fun == oe.solve(problem, "topo", x0=[order]).fun
        assert oe.solve(problem, "topo", x0=order, options={"first": True}).fun <= before


def test_an_order_of_a_graph_agrees_with_it() -> None:
    problem = random_problem(2, 10)
    order = problem.order_of(problem.truth)
    assert order_divergence(order, problem.truth) == 0
    cycle = np.zeros((10, 10))
    cycle[[0, 1, 2], [1, 2, 0]] = 3.0, 0.1, 2.0
    place = np.argsort(problem.order_of(cycle))
    assert place[2] < place[0] < place[1]
    with pytest.raises(oe.ProblemError, match=r"graph must be a finite matrix of shape \(10, 10\)"):
        problem.order_of(np.eye(3))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size_small", 0),
        ("size_large", 50),
        ("no_large_search", -1),
        ("xi", -0.5),
        ("tau", -1),
        ("first", 2),
        ("acyclicity", "poly"),
        ("candidates", "none"),
        ("refit", "sklearn"),
    ],
)
def test_a_wrong_option_of_topo_is_named(option: str, value: Any) -> None:
    with pytest.raises(oe.OptionError, match=f"{option} must be .*, got {value!r}"):
        oe.solvers.TOPO(**{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("starts", 0),
        ("strength", 1.5),
        ("reach", 0.0),
        ("reach", 2),
        ("patience", 0),
        ("swaps", 1),
        ("restarts", -1),
    ],
)
def test_a_wrong_option_is_named(option: str, value: Any) -> None:
    with pytest.raises(oe.OptionError, match=f"{option} must be .*, got {value}"):
        oe.solvers.OrderSearch(**{option: value})


def test_what_the_solvers_refuse() -> None:
    with pytest.raises(oe.SolverNotSuitable, match="up to 20 nodes, got 21"):
        oe.solve(random_problem(0, 21), "dag_exact", budget=10)
    sparse = random_problem(0, 5, penalty="l0", weight=1.0)
    with pytest.raises(oe.SolverNotSuitable, match="takes no penalty and loss='ls', got 'l0'"):
        oe.solve(sparse, "topo", options={"refit": "regression"})
    with pytest.raises(oe.SolverNotSuitable, match="up to 16 nodes with penalty='l1', got 17"):
        oe.solve(random_problem(0, 17, penalty="l1", weight=1.0), "dag_exact")
    with pytest.raises(oe.SolverNotSuitable, match="Gram matrix of a DAGProblem"):
        oe.solve(oe.problems.QAP.random(np.random.default_rng(0), 5), "order_search", budget=10)
    with pytest.raises(oe.OptionError, match="descend must be"):
        oe.solvers.DAGExact(descend=2)
