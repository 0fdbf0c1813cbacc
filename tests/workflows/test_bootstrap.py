"""Edge frequencies: what they count, that workers change nothing, and how failures are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.problems import DAGProblem, simulate_linear, simulate_sachs
from optengine.workflows import EdgeFrequencies, bootstrap_edges

CHAIN = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0]])


def data(n: int = 300) -> np.ndarray:
    return simulate_linear(np.random.default_rng(0), CHAIN, n)


def test_frequencies_of_a_clear_graph() -> None:
    found = bootstrap_edges(data(), replicates=12, seed=0, names=["a", "b", "c"])
    assert isinstance(found, EdgeFrequencies)
    assert found.graph(1.0).tolist() == (CHAIN != 0).tolist()
    assert found.edges(1.0) == [("a", "b", 1.0), ("b", "c", 1.0)]
    assert found.weights[0, 1] == pytest.approx(2.0, abs=0.2)
    assert found.n_replicates == 12
    assert "a -> b  100%" in str(found)


def test_adjacency_counts_either_direction() -> None:
    X = np.random.default_rng(0).standard_normal((60, 1)) @ np.ones((1, 3))
    X = X + 0.5 * np.random.default_rng(1).standard_normal((60, 3))  # directions are a matter of luck
    found = bootstrap_edges(X, replicates=20, seed=0)
    assert np.array_equal(found.adjacency, found.adjacency.T)
    assert found.adjacency == pytest.approx(found.directed + found.directed.T)
    assert (found.directed[0] < 1).all()


def test_workers_change_nothing_and_the_seed_does() -> None:
    X, _ = simulate_sachs(np.random.default_rng(0), 80)
    plain = bootstrap_edges(X, replicates=6, seed=3)
    with ThreadPoolExecutor(2) as executor:
        threads = bootstrap_edges(X, replicates=6, seed=3, executor=executor)
    processes = bootstrap_edges(X, replicates=6, seed=3, workers=2)
    for other in (threads, processes):
        assert np.array_equal(plain.directed, other.directed)
        assert np.array_equal(plain.weights, other.weights)
    assert not np.array_equal(plain.weights, bootstrap_edges(X, replicates=6, seed=4).weights)
    drawn = bootstrap_edges(X, replicates=2)
    assert np.array_equal(drawn.weights, bootstrap_edges(X, replicates=2, seed=drawn.seed).weights)


def test_knowledge_and_solvers_pass_through() -> None:
    known = {"penalty": "bic", "loss": "gaussian", "forbidden": [(0, 1)], "required": [(2, 1)]}
    found = bootstrap_edges(data(), replicates=4, seed=0, problem=known, solver="dag_exact")
    assert found.directed[0, 1] == 0
    assert found.directed[2, 1] == 1
    again = bootstrap_edges(data(), replicates=3, seed=0, solver=oe.solvers.TOPO())
    assert again.n_replicates == 3


def failing(share: float) -> np.ndarray:
    """Data whose last column is constant but for a few rows, so that some draws leave it constant."""
    X = data(12)
    X[:, 2] = 0.0
    X[: max(1, round(share * 12)), 2] = 1.0
    return X


def test_a_replicate_that_fails_is_reported() -> None:
    with pytest.raises(oe.EvaluationFailed, match=r"replicate \d+ failed: data must vary in every column"):
        bootstrap_edges(failing(0.08), replicates=20, seed=0)
    found = bootstrap_edges(failing(0.08), replicates=20, seed=0, catch=oe.ProblemError)
    assert 0 < len(found.failures) < 20
    assert found.n_replicates == 20 - len(found.failures)
    assert "replicates failed, number" in str(found)
    with ThreadPoolExecutor(2) as executor:
        threads = bootstrap_edges(
            failing(0.08), replicates=20, seed=0, catch=oe.ProblemError, executor=executor
        )
    assert threads.failures == found.failures


def test_when_all_fail_the_first_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise oe.ProblemError("no luck")

    monkeypatch.setattr("optengine.workflows.bootstrap.learn", broken)
    with pytest.raises(oe.EvaluationFailed, match="all 3 replicates failed, the first: no luck"):
        bootstrap_edges(data(), replicates=3, catch=oe.ProblemError)


def test_the_bar_ends_full(capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap_edges(data(), replicates=3, seed=0, progress=True)
    assert "3/3" in capsys.readouterr().err


def test_the_drawing_shows_percentages() -> None:
    pytest.importorskip("matplotlib")
    axes = bootstrap_edges(data(), replicates=4, seed=0, names="abc").plot()
    assert "100%" in {text.get_text() for text in axes.texts}
    assert axes.get_title(loc="left") == "edges in at least 50% of 4"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"replicates": 0}, oe.OptionError, "replicates must be an integer >= 1, got 0"),
        ({"workers": 1.5}, oe.OptionError, "workers must be an integer >= 1, got 1.5"),
        (
            {"workers": 2, "executor": ThreadPoolExecutor()},
            oe.OptionError,
            "workers must be None where an executor",
        ),
        ({"names": ["a"]}, oe.OptionError, "names must name 3 nodes, got 1"),
        ({"problem": {"covariance": np.eye(3)}}, oe.OptionError, "problem must leave 'covariance' out"),
        ({"problem": {"penalty": "bic"}}, oe.ProblemError, "penalty='bic' needs"),
        ({"solver": "ordersearch"}, oe.EvaluationFailed, "replicate 0 failed: .*did you mean 'order_search'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        bootstrap_edges(data(), **{"replicates": 2, **arguments})
    with pytest.raises(oe.OptionError, match=r"at_least must be in \(0, 1\], got 0"):
        bootstrap_edges(data(), replicates=1, seed=0).graph(0)


def test_a_small_problem_gives_the_exact_share() -> None:
    X, seed = data(30), 5
    found = bootstrap_edges(X, replicates=3, seed=seed, solver="dag_exact")
    graphs = []
    for own in np.random.SeedSequence(seed).spawn(3):
        rng = np.random.default_rng(own)
        problem = DAGProblem(X[rng.integers(0, 30, 30)])
        graphs.append(oe.solve(problem, "dag_exact").details["thresholded"])
    assert found.directed == pytest.approx(np.mean(graphs, axis=0))
