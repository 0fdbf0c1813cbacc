"""Losses and penalties of a DAGProblem beyond least squares: terms by other means, slopes, what is remembered."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import optengine as oe
from optengine.problems import DAGProblem
from optengine.problems.dag.mlp import Network


def coins(seed: int, n: int = 300, d: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X[:, 2] += X[:, 0] - X[:, 1]
    X[:, 4] += 2 * X[:, 2]
    return (X > 0).astype(float)


KINDS: dict[str, dict[str, Any]] = {
    "l1": {"penalty": "l1", "weight": 0.1},
    "mcp": {"penalty": "mcp", "weight": 0.1, "gamma": 2.0},
    "bic": {"loss": "gaussian", "penalty": "bic", "selection": "grow-shrink"},
    "l0": {"penalty": "l0", "weight": 0.05, "selection": "exact"},
    "logistic": {"loss": "logistic"},
    "logistic l1": {"loss": "logistic", "penalty": "l1", "weight": 0.02},
    "logistic through 0": {"loss": "logistic", "center": False},
    "mlp": {"loss": "mlp", "hidden": 3},
}


def problem_of(kind: str, **known: Any) -> DAGProblem:
    X = coins(1)
    if not kind.startswith("logistic"):
        X = X + 0.3 * np.random.default_rng(2).standard_normal(X.shape)
    return DAGProblem(X, **KINDS[kind], **known)


@pytest.mark.parametrize("kind", KINDS)
def test_deltas_terms_and_graphs_agree_with_the_score(kind: str) -> None:
    problem = problem_of(kind, required=[(0, 2)], forbidden=[(5, 3)], tiers=[[0, 1, 2, 3, 5], [4]])
    order = np.array([5, 0, 3, 2, 1, 4])
    pairs = np.random.default_rng(0).integers(6, size=(8, 2))
    value = problem.evaluate(order[None, :].astype(float)).F[0, 0]
    for move in ("swap", "insertion"):
        change = problem.delta(order, move, pairs)[0][:, 0]
        for (i, j), delta in zip(pairs, change, strict=True):
            moved = np.insert(np.delete(order, i), j, order[i])
            if move == "swap":
                moved = order.copy()
                moved[[i, j]] = order[[j, i]]
            after = problem.evaluate(moved[None, :].astype(float)).F[0, 0]
            assert delta == pytest.approx(after - value, abs=1e-7)
    described = problem.describe(order)
    graph, place = described["graph"], np.argsort(described["order"])
    assert graph[0, 2]
    assert not graph[5, 3]
    assert all(place[i] < place[j] for i, j in np.argwhere(graph))
    assert described["kkt_residual"] >= 0
    again = pickle.loads(pickle.dumps(problem))
    assert again.evaluate(order[None, :].astype(float)).F[0, 0] == pytest.approx(value, rel=1e-9)
    assert again.fingerprint() == problem.fingerprint()


def test_fingerprints_tell_options_apart() -> None:
    kinds = [problem_of(kind).fingerprint() for kind in ("logistic", "logistic l1", "logistic through 0")]
    assert kinds[0] != kinds[1]
    assert kinds[0] != kinds[2]
    assert problem_of("mcp").fingerprint() != DAGProblem(coins(1), penalty="mcp", weight=0.1).fingerprint()


@pytest.mark.parametrize("kind", ["logistic", "logistic l1", "logistic through 0"])
def test_a_logistic_term_is_the_least_of_its_loss(kind: str) -> None:
    X, problem = coins(1), problem_of(kind)
    weight = KINDS[kind].get("weight", 0.0)
    order = np.array([0, 3, 1, 2, 4, 5])
    terms = problem.describe(order)["terms"]
    for k, v in enumerate(order):
        S = order[:k]
        Z = X[:, S] if kind == "logistic through 0" else np.column_stack([X[:, S], np.ones(len(X))])

        def loss(w: np.ndarray, Z: np.ndarray = Z, v: int = v, k: int = k) -> float:
            eta = Z @ w
            return float((np.logaddexp(0, eta) - X[:, v] * eta).mean() + weight * np.abs(w[:k]).sum())

        start = np.zeros(Z.shape[1])
        best = loss(start)
        for _ in range(4 if len(start) else 0):
            found = scipy.optimize.minimize(
                loss, start, method="Powell", options={"xtol": 1e-9, "ftol": 1e-14}
            )
            start, best = found.x, min(best, float(found.fun))
        assert terms[v] <= best + 1e-9
        assert terms[v] == pytest.approx(best, abs=1e-5)


def test_separable_classes_end_in_a_finite_score() -> None:
    X = coins(3)
    X[:, 5] = (X[:, 0] + X[:, 1] + X[:, 2] >= 2).astype(float)  # a linear rule of the others
    problem = DAGProblem(X, loss="logistic")
    assert np.isfinite(problem.evaluate(np.arange(6.0)[None, :]).F).all()


def test_slopes_of_a_network_are_those_of_differences() -> None:
    rng = np.random.default_rng(0)
    Z, y, A, b = (
        rng.standard_normal((20, 3)),
        rng.standard_normal(20),
        rng.standard_normal((3, 4)),
        np.ones(4),
    )
    network = Network(Z, y, 4, 0.1)
    x = np.concatenate([np.maximum(A, 0).ravel(), np.maximum(-A, 0).ravel(), b])
    value, slope = network.split(x)
    hidden = 1 / (1 + np.exp(-Z @ A))
    by_hand = ((y - hidden @ b) ** 2).sum() / 40 + 0.1 * np.abs(A).sum() + 0.05 * ((A**2).sum() + 4)
    assert value == pytest.approx(by_hand)
    for k in range(len(x)):
        step = np.zeros(len(x))
        step[k] = 1e-6
        difference = (network.split(x + step)[0] - network.split(x - step)[0]) / 2e-6
        assert slope[k] == pytest.approx(difference, abs=1e-6)


def test_networks_see_what_lines_do_not() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3))
    X[:, 1] = 3 * np.sin(1.5 * X[:, 0]) + 0.3 * X[:, 1]
    problem = DAGProblem(X, loss="mlp")
    found = problem.describe(np.array([0, 1, 2]))
    assert found["thresholded"][0, 1]
    assert not found["thresholded"][:, 2].any()
    line = DAGProblem(X).describe(np.array([0, 1, 2]))["variances"]
    assert 2 * found["terms"][1] < 0.7 * line[1]


def test_the_residual_of_l1_is_0_at_a_stationary_graph_and_else_the_slope() -> None:
    X = np.random.default_rng(0).standard_normal((4000, 2))
    X[:, 1] += 2 * X[:, 0]
    problem = DAGProblem(X, penalty="l1", weight=0.1)
    assert problem.describe(np.array([0, 1]))["kkt_residual"] == 0
    alone = DAGProblem(X, penalty="l1", weight=10.0)  # no edge pays: both orders are one graph
    assert not alone.describe(np.array([1, 0]))["graph"].any()
    assert alone.describe(np.array([1, 0]))["kkt_residual"] == 0
    weights = np.zeros((2, 2))
    slope = abs(problem.gram[0, 1]) - 0.1
    assert problem.kkt_residual(np.array([0, 1]), weights) == pytest.approx(slope)


def test_a_required_edge_is_free_of_the_penalty() -> None:
    X = coins(1) + 0.3 * np.random.default_rng(2).standard_normal((300, 6))
    problem = DAGProblem(X, penalty="l1", weight=5.0, required=[(0, 2)])
    W = problem.describe(np.arange(6))["weights"]
    assert np.argwhere(W).tolist() == [[0, 2]]
    assert W[0, 2] == pytest.approx(problem.gram[0, 2] / problem.gram[0, 0])


def test_a_starting_point_may_be_a_graph() -> None:
    problem = problem_of("l1")
    graph = np.zeros((6, 6))
    graph[[3, 1, 0], [1, 0, 3]] = 2.0, 1.0, 0.1  # the weakest edge closes a cycle
    row = problem.space.encode(graph)[0]
    assert np.array_equal(row, problem.order_of(graph))
    place = np.argsort(row)
    assert place[3] < place[1] < place[0]
    assert problem.space.encode(graph != 0).shape == (1, 6)
    assert problem.space.encode(np.tile(np.arange(6), (6, 1))).shape == (6, 6)
    wrong = np.tile(np.arange(6), (6, 1))
    wrong[2, 3] = 0
    with pytest.raises(oe.SpaceError, match=r"x must hold each of 0..5 once"):
        problem.space.encode(wrong)
