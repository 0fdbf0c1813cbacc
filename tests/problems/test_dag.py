"""DAGProblem: values by hand and by regressions on the data, simulated data, measures, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.kernels.order_table import best_parents_numpy
from optengine.problems import DAGProblem, compare_graphs, random_weights, shd, simulate_linear
from optengine.problems.dag.measures import order_divergence
from optengine.problems.dag.problem import kkt_residual

COV = np.array([[1.0, 2.0], [2.0, 5.0]])  # x1 = 2 x0 + unit noise


def data(seed: int = 0, n: int = 200, d: int = 8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return simulate_linear(rng, random_weights(rng, d), n, noise="exponential")


def test_two_nodes_by_hand() -> None:
    problem = DAGProblem(covariance=COV)
    F = problem.evaluate(np.array([[0.0, 1.0], [1.0, 0.0]])).F[:, 0]
    assert F == pytest.approx([1.0, 2.6])  # (1 + 1) / 2 and (5 + (1 - 4 / 5)) / 2
    described = problem.describe(np.array([0, 1]))
    assert described["weights"] == pytest.approx(np.array([[0.0, 2.0], [0.0, 0.0]]))
    assert described["variances"] == pytest.approx([1.0, 1.0])
    assert described["thresholded"].tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("center", [True, False])
def test_the_score_is_that_of_regressions_on_the_data(center: bool) -> None:
    X = data()
    problem = DAGProblem(X, center=center)
    order = np.random.default_rng(1).permutation(8)
    Y = X - X.mean(axis=0) if center else X
    total, W = 0.0, np.zeros((8, 8))
    for k, node in enumerate(order):
        before = order[:k]
        W[before, node] = np.linalg.lstsq(Y[:, before], Y[:, node], rcond=None)[0]
        total += ((Y[:, node] - Y[:, before] @ W[before, node]) ** 2).sum() / (2 * len(Y))
    assert problem.evaluate(order[None, :].astype(float)).F[0, 0] == pytest.approx(total, rel=1e-10)
    assert problem.weights(order) == pytest.approx(W, abs=1e-9)
    assert problem.describe(order)["variances"].sum() == pytest.approx(2 * total)


@pytest.mark.parametrize("loss", ["ls", "gaussian"])
def test_a_penalised_score_is_that_of_the_best_parents(loss: str) -> None:
    problem = DAGProblem(data(n=60), loss=loss, penalty="l0", weight=0.05, required=[(3, 5)])
    for seed in range(5):
        order = problem.arrange(np.random.default_rng(seed).permutation(8)[None, :])[0]
        total, W = 0.0, np.zeros((8, 8), dtype=bool)
        for k, node in enumerate(order):
            before, must = order[:k].tolist(), [3] if node == 5 else []
            value, parents = best_parents_numpy(problem.gram, node, before, 0.05, loss == "gaussian", must)
            total += value
            W[parents, node] = True
        assert problem.evaluate(order[None, :].astype(float)).F[0, 0] == pytest.approx(total, rel=1e-9)
        assert np.array_equal(problem.describe(order)["graph"], W)


def test_data_and_their_covariance_are_one_problem() -> None:
    X = data()
    one, other = DAGProblem(X), DAGProblem(covariance=np.cov(X.T, bias=True))
    rows = np.array([np.random.default_rng(i).permutation(8) for i in range(5)], dtype=float)
    assert one.evaluate(rows).F == pytest.approx(other.evaluate(rows).F, rel=1e-10)


def test_permutations_mean_the_nearest_order_that_is_allowed() -> None:
    problem = DAGProblem(data(), tiers=[[2, 3], [0, 1, 4, 5, 6, 7]], required=[(7, 0)])
    order = problem.arrange([[0, 1, 2, 3, 4, 5, 6, 7]])[0]
    assert order.tolist() == [2, 3, 1, 4, 5, 6, 7, 0]
    assert problem.describe(np.arange(8))["thresholded"][7, 0]


def test_solvers_of_any_permutation_run_on_it() -> None:
    problem = DAGProblem(data())
    result = oe.solve(problem, "ils", budget=2000, seed=0)
    assert result.details["weights"].shape == (8, 8)
    assert result.fun <= problem.evaluate(np.arange(8.0)[None, :]).F[0, 0]


def test_the_residual_of_stationarity_tells_a_missing_edge() -> None:
    assert kkt_residual(COV, np.array([[0.0, 2.0], [0.0, 0.0]])) == 0.0
    assert kkt_residual(COV, np.zeros((2, 2))) == pytest.approx(2.0)


@pytest.mark.parametrize("graph", ["ER", "SF"])
def test_simulated_graphs_are_acyclic_and_of_their_density(graph: str) -> None:
    W = random_weights(np.random.default_rng(0), 100, 4, graph=graph)
    assert 340 <= (W != 0).sum() <= 460
    assert not np.linalg.matrix_power((W != 0).astype(float), 100).any()
    assert (np.abs(W[W != 0]) >= 0.5).all()
    assert (np.abs(W) <= 2.0).all()


@pytest.mark.parametrize("noise", ["gaussian", "exponential", "gumbel", "uniform"])
def test_simulated_data_keep_their_equations(noise: str) -> None:
    rng = np.random.default_rng(0)
    W = random_weights(rng, 5)
    X = simulate_linear(rng, W, 100_000, noise=noise, scale=[1, 2, 3, 1, 1])
    variance = {"gaussian": 1.0, "exponential": 1.0, "gumbel": np.pi**2 / 6, "uniform": 1 / 3}[noise]
    assert (X - X @ W).var(axis=0) == pytest.approx(variance * np.array([1, 4, 9, 1, 1]), rel=0.05)


def test_measures_by_hand() -> None:
    truth = np.array([[0, 1, 1], [0, 0, 0], [0, 0, 0]])
    found = np.array([[0, 0, 1], [1, 0, 1], [0, 0, 0]])  # one reversed, one superfluous
    assert shd(found, truth) == 2
    measures = compare_graphs(found, truth)
    assert measures == {"shd": 2, "precision": 1 / 3, "recall": 0.5, "f1": 0.4, "n_edges": 3, "n_true": 2}
    assert order_divergence([1, 0, 2], truth) == 1
    with pytest.raises(oe.ProblemError, match="square and of one size"):
        shd(found, truth[:2])


def wrong_data() -> dict[str, tuple[dict[str, Any], str]]:
    X = data()
    missing, constant, double, infinite = X.copy(), X.copy(), X.copy(), X.copy()
    missing[3, 2], constant[:, 5], double[:, 6], infinite[0, 0] = np.nan, 1.5, 2 * X[:, 1], np.inf
    lopsided, cyclic = COV.copy(), [(0, 1), (1, 2), (2, 0)]
    lopsided[0, 1] = 1.0
    return {
        "nothing": ({}, "data or covariance must be given, got neither"),
        "both": ({"data": X, "covariance": COV}, "got both"),
        "missing": ({"data": missing}, r"data must be finite, got nan at \[3, 2\]"),
        "infinite": ({"data": infinite}, r"data must be finite, got inf at \[0, 0\]"),
        "constant": ({"data": constant}, r"constant columns \[5\]"),
        "double": ({"data": double}, r"columns \[1, 6\] that depend on each other; .* ridge > 0"),
        "few rows": ({"data": X[:6]}, "more rows than columns, got 6 rows of 8; or give ridge > 0"),
        "text": ({"data": "table"}, "data must be a matrix of numbers, got str"),
        "one column": ({"data": X[:, :1]}, r"shape \(n, d\) with d >= 2, got \(200, 1\)"),
        "lopsided": ({"covariance": lopsided}, r"symmetric, got 1.0 at \[0, 1\] and 2.0 across"),
        "indefinite": (
            {"covariance": [[1.0, 2.0], [2.0, 1.0]]},
            "positive definite, got an eigenvalue of -1",
        ),
        "singular": ({"covariance": np.ones((2, 2))}, r"covariance .* columns \[0, 1\] that depend"),
        "no variance": ({"covariance": np.zeros((2, 2))}, "variances > 0, got 0.0"),
        "oblong": ({"covariance": np.ones((2, 3))}, "square matrix of at least two nodes"),
        "loss": ({"data": X, "loss": "lss"}, "loss must be one of .*, got 'lss'; did you mean 'ls'"),
        "ridge": ({"data": X, "ridge": -1}, "ridge must be a number >= 0, got -1"),
        "samples": ({"covariance": COV, "n_samples": 0}, "n_samples must be an integer >= 1 or None, got 0"),
        "penalty": ({"data": X, "penalty": "l2"}, "penalty must be one of .*, got 'l2'"),
        "no penalty": ({"data": X, "loss": "gaussian"}, "penalty must be 'bic' or 'l0' with loss='gaussian'"),
        "unweighted": ({"data": X, "penalty": "l0"}, "weight must be a number > 0 .*, got None"),
        "bic of ls": (
            {"data": X, "penalty": "bic"},
            "penalty='bic' needs loss='gaussian' and n_samples, got loss='ls'",
        ),
        "unsampled": (
            {"covariance": COV, "loss": "gaussian", "penalty": "bic"},
            "penalty='bic' needs loss='gaussian' and n_samples, got n_samples=None",
        ),
        "many": (
            {"covariance": np.eye(17), "penalty": "l0", "weight": 1, "selection": "exact"},
            "selection must be 'grow-shrink' beyond 16 nodes, got 'exact' for 17",
        ),
        "selection": ({"data": X, "selection": "all"}, "selection must be one of .*, got 'all'"),
        "selects nothing": (
            {"data": X, "penalty": "l1", "weight": 1, "selection": "exact"},
            "selection must be None but for penalty='bic' or 'l0', got 'exact'",
        ),
        "mismatched": (
            {"data": X, "loss": "gaussian", "penalty": "l1", "weight": 1},
            r"penalty must be one of \['bic', 'l0'\] with loss='gaussian', got 'l1'",
        ),
        "unweighted l1": ({"data": X, "penalty": "l1"}, "weight must be a number > 0 .*, got None"),
        "gamma": (
            {"data": X, "penalty": "mcp", "weight": 1, "gamma": 1},
            "gamma must be a number > 1, got 1",
        ),
        "hidden": ({"data": X, "loss": "mlp", "hidden": 0}, "hidden must be an integer >= 1, got 0"),
        "not binary": (
            {"data": np.where(X > np.median(X, axis=0), 2, 0), "loss": "logistic"},
            "data must be 0 or 1 in every column with loss='logistic', got 2.0 at ",
        ),
        "no data": (
            {"covariance": COV, "loss": "logistic"},
            "loss='logistic' needs data .* got a covariance",
        ),
        "no data of mlp": ({"covariance": COV, "loss": "mlp"}, "loss='mlp' needs data .* got a covariance"),
        "ridge of mlp": ({"data": X, "loss": "mlp", "ridge": 1}, "loss='mlp' needs .* no ridge, got ridge=1"),
        "forbidden": (
            {"data": X, "forbidden": [(0, 1)]},
            "penalty must be .* where edges are forbidden, got None",
        ),
        "both kinds": (
            {"data": X, "penalty": "l0", "weight": 1, "forbidden": [(0, 1)], "required": [(0, 1)]},
            r"forbidden must not hold required edges, got \(0, 1\) in both",
        ),
        "cyclic": ({"data": X, "required": cyclic}, r"required must be acyclic, got a cycle .* \[0, 1, 2\]"),
        "no node": ({"data": X, "required": [(0, 8)]}, r"two nodes in 0..7, got \(0, 8\)"),
        "no pairs": ({"data": X, "required": [1, 2, 3]}, "required must hold pairs"),
        "tiers": ({"data": X, "tiers": [[0, 1], [2, 3]]}, r"once, got tiers without \[4, 5, 6, 7\]"),
        "against": (
            {"data": X, "tiers": [[0, 1, 2, 3], [4, 5, 6, 7]], "required": [(5, 0)]},
            r"agree with tiers, got the edge \(5, 0\) from tier 1 to tier 0",
        ),
    }


@pytest.mark.parametrize("case", wrong_data())
def test_wrong_input_is_one_sentence(case: str) -> None:
    arguments, message = wrong_data()[case]
    with pytest.raises(oe.ProblemError, match=message) as caught:
        DAGProblem(**arguments)
    assert "\n" not in str(caught.value)


def test_a_ridge_admits_dependent_columns() -> None:
    X = data()
    X[:, 6] = X[:, 1]
    assert np.isfinite(DAGProblem(X, ridge=0.01).evaluate(np.arange(8.0)[None, :]).F).all()


def test_wrong_simulations_are_one_sentence() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(oe.ProblemError, match=r"graph must be one of .*, got 'er'"):
        random_weights(rng, 5, graph="er")
    with pytest.raises(oe.ProblemError, match="n_nodes must be an integer >= 2, got 1"):
        random_weights(rng, 1)
    with pytest.raises(oe.ProblemError, match="degree must be an integer >= 1, got 0"):
        random_weights(rng, 5, 0)
    with pytest.raises(oe.ProblemError, match="noise must be one of"):
        simulate_linear(rng, np.zeros((2, 2)), 5, noise="cauchy")
    with pytest.raises(oe.ProblemError, match="acyclic"):
        simulate_linear(rng, np.ones((2, 2)), 5)
