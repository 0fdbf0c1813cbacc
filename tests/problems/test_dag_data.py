"""Simulated data, measures of graphs against an oracle, networks: laws and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import optengine as oe
from optengine.problems import (
    BayesianNetwork,
    compare_graphs,
    order_divergence,
    random_weights,
    sid,
    simulate_linear,
    simulate_logistic,
    simulate_nonlinear,
    simulate_sachs,
)
from optengine.problems.dag.sachs import PROTEINS
from optengine.problems.dag.simulate import GRAPHS, NOISES, topological_order

CHAIN = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0]])


# -- graphs and data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_random_graph_is_acyclic_and_has_about_the_edges_asked_for(graph: str) -> None:
    counts = [
        (random_weights(np.random.default_rng(seed), 30, 2, graph=graph) != 0).sum() for seed in range(20)
    ]
    assert 45 < np.mean(counts) < 75
    for seed in range(20):
        W = random_weights(np.random.default_rng(seed), 12, 3, graph=graph)
        assert topological_order(W != 0) is not None
        assert ((np.abs(W[W != 0]) >= 0.5) & (np.abs(W[W != 0]) <= 2.0)).all()


def test_edges_of_a_bipartite_graph_leave_a_fifth_of_the_nodes() -> None:
    edges = random_weights(np.random.default_rng(0), 20, 2, graph="BP") != 0
    sources = edges.any(axis=1)
    assert sources.sum() == 4
    assert not edges[:, sources].any()
    assert random_weights(np.random.default_rng(0), 2, 1, graph="BP").any()


@pytest.mark.parametrize("noise", NOISES)
def test_linear_data_have_the_covariance_of_the_model(noise: str) -> None:
    scale = np.array([1.0, 0.5, 2.0])
    X = simulate_linear(np.random.default_rng(0), CHAIN, 200_000, noise=noise, scale=scale)
    unit = {
        "gaussian": 1.0,
        "exponential": 1.0,
        "gumbel": np.pi**2 / 6,
        "uniform": 1 / 3,
        "logistic": np.pi**2 / 3,
    }
    T = np.linalg.inv(np.eye(3) - CHAIN)
    assert np.cov(X.T) == pytest.approx(T.T @ np.diag(unit[noise] * scale**2) @ T, rel=0.05, abs=0.05)


def test_logistic_data_are_binary_with_the_odds_of_the_model() -> None:
    X = simulate_logistic(np.random.default_rng(0), CHAIN, 100_000)
    assert set(np.unique(X)) == {0.0, 1.0}
    assert X[:, 0].mean() == pytest.approx(0.5, abs=0.01)
    for column, parent, weight in ((1, 0, 2.0), (2, 1, -1.0)):
        for value in (0, 1):
            share = X[X[:, parent] == value, column].mean()
            assert share == pytest.approx(1 / (1 + np.exp(-weight * value)), abs=0.01)


@pytest.mark.parametrize("mechanism", ["mlp", "mim", "gp", "gp_add"])
def test_other_mechanisms_depend_on_the_parents_alone(mechanism: str) -> None:
    graph = np.zeros((4, 4), dtype=bool)
    graph[0, 2] = graph[1, 2] = True
    draw = lambda: simulate_nonlinear(np.random.default_rng(1), graph, 3000, mechanism=mechanism, scale=0.1)  # noqa: E731
    X = draw()
    assert np.array_equal(X, draw())
    assert X[:, [0, 1, 3]].std(axis=0) == pytest.approx([0.1] * 3, rel=0.1)
    wide = simulate_nonlinear(
        np.random.default_rng(1), graph, 3000, mechanism=mechanism, scale=[1, 1, 0.01, 1]
    )
    near = np.argsort(((wide[:, None, :2] - wide[None, :50, :2]) ** 2).sum(axis=2), axis=0)[1]
    jump = np.abs(wide[near, 2] - wide[:50, 2])  # of samples with nearly the same parents
    assert np.median(jump) < 0.25 * wide[:, 2].std()


def test_the_stand_in_for_protein_data() -> None:
    X, W = simulate_sachs(np.random.default_rng(0), 50)
    assert X.shape == (50, len(PROTEINS))
    assert (W != 0).sum() == 20
    assert topological_order(W != 0) is not None


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda r: random_weights(r, 5, graph="PB"), "graph must be one of .*, got 'PB'; did you mean 'BP'"),
        (lambda r: simulate_logistic(r, CHAIN + CHAIN.T, 5), "W must be acyclic"),
        (lambda r: simulate_logistic(r, CHAIN, 0), "n_samples must be an integer >= 1, got 0"),
        (lambda r: simulate_nonlinear(r, CHAIN[:2], 5), r"graph must be a square matrix, got shape \(2, 3\)"),
        (
            lambda r: simulate_nonlinear(r, CHAIN, 5, mechanism="nlp"),
            "mechanism .* 'nlp'; did you mean 'mlp'",
        ),
        (lambda r: simulate_nonlinear(r, CHAIN, 5, noise="gausian"), "did you mean 'gaussian'"),
        (
            lambda r: simulate_nonlinear(r, CHAIN, 5, scale=[1.0, 2.0]),
            "scale must be a number > 0 or 3 of them",
        ),
    ],
)
def test_bad_arguments_of_simulators_are_named(function: Any, match: str) -> None:
    with pytest.raises(oe.ProblemError, match=match):
        function(np.random.default_rng(0))


# -- measures ----------------------------------------------------------------------------------------------------------


def published() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The example of Peters and Buehlmann: X1 -> X2, both -> Y1, Y2, Y3; one edge more; and X1 - X2 reversed."""
    truth = np.zeros((5, 5), dtype=bool)
    truth[0, 1:] = truth[1, 2:] = True
    more, reversed_ = truth.copy(), truth.copy()
    more[2, 3] = True
    reversed_[0, 1], reversed_[1, 0] = False, True
    return truth, more, reversed_


def test_sid_of_the_published_example() -> None:
    truth, more, reversed_ = published()
    assert (sid(truth, truth), sid(more, truth), sid(reversed_, truth)) == (0, 0, 8)


def test_sid_by_hand() -> None:
    chain, nothing = CHAIN != 0, np.zeros((3, 3), dtype=bool)
    assert (
        sid(nothing, chain) == 3
    )  # 1 on 0, 2 on 0, 2 on 1 are not adjusted for; 0 and 1 on what follows are right
    assert sid(chain.T, chain) == 6
    assert sid(chain, nothing) == 0


def effects_misjudged(H: np.ndarray, G: np.ndarray, rng: np.random.Generator) -> int:
    """The same from a linear model of G: regressions on i and its parents in H against the effects themselves."""
    d = len(G)
    W = G * rng.uniform(0.5, 2.0, (d, d)) * rng.choice([-1, 1], (d, d))
    T = np.linalg.inv(np.eye(d) - W)
    C = T.T @ np.diag(rng.uniform(0.5, 2.0, d)) @ T
    wrong = 0
    for i in range(d):
        given = [i, *np.flatnonzero(H[:, i])]
        for j in set(range(d)) - {i}:
            claim = 0.0 if H[j, i] else np.linalg.solve(C[np.ix_(given, given)], C[given, j])[0]
            wrong += abs(claim - T[i, j]) > 1e-7
    return wrong


@given(st.integers(0, 10**6))
def test_sid_counts_the_effects_that_regressions_get_wrong(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 8))
    H, G = (random_weights(rng, d, int(rng.integers(1, 4))) != 0 for _ in range(2))
    assert sid(H, G) == effects_misjudged(H, G, rng)


def test_measures_of_a_perfect_and_of_an_empty_graph() -> None:
    truth = CHAIN != 0
    assert compare_graphs(truth, truth)["f1"] == 1.0
    found = compare_graphs(np.zeros((3, 3)), truth)
    assert (found["precision"], found["recall"], found["f1"], found["shd"]) == (1.0, 0.0, 0.0, 2)
    assert compare_graphs(truth.T, truth) | {"f1": 0.0} == compare_graphs(truth.T, truth)
    assert order_divergence([2, 1, 0], truth) == 2
    with pytest.raises(oe.ProblemError, match="graph must be acyclic"):
        sid(truth | truth.T, truth)


# -- networks ----------------------------------------------------------------------------------------------------------


def rain() -> BayesianNetwork:
    return BayesianNetwork(
        names=("rain", "wet"),
        states=(("no", "yes"), ("no", "some", "much")),
        parents=((), (0,)),
        tables=(np.array([0.75, 0.25]), np.array([[0.9, 0.1, 0.0], [0.1, 0.3, 0.6]])),
    )


def test_samples_of_a_network_have_its_probabilities() -> None:
    X = rain().sample(np.random.default_rng(0), 100_000)
    assert X.dtype == np.int64
    assert X[:, 0].mean() == pytest.approx(0.25, abs=0.01)
    for value, row in enumerate(rain().tables[1]):
        share = np.bincount(X[X[:, 0] == value, 1], minlength=3) / (X[:, 0] == value).sum()
        assert share == pytest.approx(row, abs=0.01)
    assert rain().graph.tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"parents": ((1,), (0,))}, "acyclic graph, got a cycle in 'network'"),
        ({"tables": (np.array([0.7, 0.2]), rain().tables[1])}, "table of 'rain' must hold probabilities"),
        ({"tables": (np.array([0.5, 0.5]), np.eye(3))}, r"'wet' must have shape \(2, 3\), got \(3, 3\)"),
    ],
)
def test_a_network_that_is_none_is_refused(change: dict[str, Any], match: str) -> None:
    values = {name: getattr(rain(), name) for name in ("names", "states", "parents", "tables")}
    with pytest.raises(oe.ProblemError, match=match):
        BayesianNetwork(**values | change)
