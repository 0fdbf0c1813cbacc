"""Travelling salesman: values by hand, TSPLIB's distances, deltas against re-evaluation, what users get wrong."""

from __future__ import annotations

import itertools
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st

from optengine.core.errors import OptionError, ProblemError
from optengine.kernels.permutation import apply_moves
from optengine.problems import tsp
from optengine.problems.tsp import METRICS, TSP


def test_value_by_hand() -> None:
    problem = TSP([[0, 1, 2], [10, 0, 20], [100, 200, 0]])
    assert not problem.symmetric
    assert problem.evaluate(np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]])).F[:, 0].tolist() == [121.0, 212.0]
    described = problem.describe(np.array([2, 0, 1]))
    assert described["tour"].tolist() == [0, 1, 2]
    assert described["lengths"].tolist() == [1, 20, 100]


@pytest.mark.parametrize(
    ("metric", "a", "b", "length"),
    [
        ("EUC_2D", (0, 0), (1, 1), 1),  # 1.41 to the nearest
        ("EUC_2D", (0, 0), (1.5, 2.0), 3),  # 2.5 goes up
        ("EUC_3D", (0, 0, 0), (2, 3, 6), 7),
        ("CEIL_2D", (0, 0), (1, 1), 2),
        ("MAN_2D", (0, 0), (1.2, 1.2), 2),
        ("MAN_3D", (0, 0, 0), (1, 2, 3), 6),
        ("MAX_2D", (0, 0), (1.4, 2.6), 3),
        ("MAX_3D", (0, 0, 0), (1, 2, 3), 3),
        ("ATT", (6734, 1453), (2233, 10), 1495),  # sqrt((4501^2 + 1443^2) / 10) = 1494.7
        ("ATT", (0, 0), (10, 0), 4),  # 3.16 goes up
        ("GEO", (16.47, 96.10), (16.47, 94.44), 153),  # cities 1 and 2 of burma14
        ("euclidean", (0, 0, 0, 0), (1, 1, 1, 1), 2.0),
    ],
)
def test_distances_by_hand(metric: str, a: tuple[float, ...], b: tuple[float, ...], length: float) -> None:
    problem = TSP(coordinates=[a, b, a], metric=metric)
    assert problem.distance[0, 1] == problem.distance[1, 0] == length
    assert problem.distance[0, 0] == 0
    assert problem.distance.dtype == (np.float64 if metric == "euclidean" else np.int64)


@given(
    n=st.integers(2, 9),
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(TSP.moves),
    data=st.sampled_from(["integers", "asymmetric", "floats", "asymmetric floats"]),
)
def test_delta_is_the_change_of_value(n: int, seed: int, kind: str, data: str) -> None:
    rng = np.random.default_rng(seed)
    d = rng.normal(size=(n, n)) if data.endswith("floats") else rng.integers(0, 100, (n, n))
    problem = TSP(d if data.startswith("asymmetric") else d + d.T)
    x = rng.permutation(n)
    moves = np.array(list(itertools.product(range(n), repeat=2)))
    dF, dG = problem.delta(x.astype(float), kind, moves)
    after = problem.evaluate(apply_moves(x, kind, moves).astype(float)).F
    before = problem.evaluate(x[np.newaxis].astype(float)).F
    assert dG.shape == (n * n, 0)
    np.testing.assert_allclose(dF, after - before, rtol=0, atol=1e-11 if data.endswith("floats") else 0.0)


@pytest.mark.parametrize("metric", [*METRICS, "euclidean"])
def test_large_instances_need_no_matrix(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    coordinates = rng.uniform(0, 90, (30, 3 if metric.endswith("3D") else 2))
    with_matrix = TSP(coordinates=coordinates, metric=metric)
    X = with_matrix.space.sample(20, rng)
    F = with_matrix.evaluate(X).F
    monkeypatch.setattr(tsp, "MATRIX_LIMIT", 10)
    without = TSP(coordinates=coordinates, metric=metric)
    assert (without.evaluate(X).F == F).all()
    moves = rng.integers(0, 30, (50, 2))
    for kind in TSP.moves:
        assert (without.delta(X[0], kind, moves)[0] == with_matrix.delta(X[0], kind, moves)[0]).all()
    assert without._matrix is None


def test_a_regular_polygon_is_its_own_tour() -> None:
    n = 8
    angles = 2 * math.pi * np.arange(n) / n
    problem = TSP(coordinates=np.column_stack([np.cos(angles), np.sin(angles)]))
    rest = np.array(list(itertools.permutations(range(1, n))), dtype=float)
    F = problem.evaluate(np.column_stack([np.zeros(len(rest)), rest])).F
    assert math.isclose(F.min(), 2 * n * math.sin(math.pi / n))
    assert math.isclose(problem.evaluate(np.arange(n, dtype=float)[np.newaxis]).F[0, 0], F.min())


def test_random_instances_follow_the_seed_and_pickle_without_the_matrix() -> None:
    one, same, other = (TSP.random(np.random.default_rng(seed), 200) for seed in (1, 1, 2))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    json.dumps(one.fingerprint())
    X = one.space.sample(5, np.random.default_rng(1))
    F = one.evaluate(X).F
    sent = pickle.dumps(one)
    assert len(sent) < 8 * 200 * 200 / 4
    assert (pickle.loads(sent).evaluate(X).F == F).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "either distance or coordinates, got none"),
        ({"distance": [[0, 1], [1, 0]], "coordinates": [[0, 0]]}, "got both"),
        ({"distance": [[0, 1, 2], [1, 0, 2]]}, r"square matrix, got shape \(2, 3\)"),
        ({"distance": [[0, np.inf], [1, 0]]}, r"distance must be finite, got inf at \[0, 1\]"),
        ({"distance": [[0]]}, "at least 2 cities, got 1"),
        ({"coordinates": [[0, 0], [1, np.nan]]}, "coordinates must be finite, got nan"),
        ({"coordinates": [[0, 0, 0], [1, 1, 1]], "metric": "GEO"}, r"shape \(n, 2\), got \(2, 3\)"),
        ({"coordinates": [[0, 0], [1, 1]], "metric": "EUC2D"}, "did you mean 'EUC_2D'"),
        ({"coordinates": [["a", "b"]]}, "coordinates must be numbers"),
        (
            {"distance": [[0, 1], [1, 0]], "display": [[0, 0]]},
            r"display must have shape \(2, 2\), got \(1, 2\)",
        ),
    ],
)
def test_bad_data_is_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ProblemError, match=says):
        TSP(**arguments)  # type: ignore[arg-type]


def test_an_unknown_move_is_named() -> None:
    with pytest.raises(OptionError, match="did you mean 'reversal'"):
        TSP([[0, 1], [1, 0]]).delta(np.arange(2), "reverse", np.array([[0, 1]]))
