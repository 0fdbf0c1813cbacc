"""Quadratic assignment: values by hand, deltas against re-evaluation, what users get wrong."""

from __future__ import annotations

import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st

from optengine.core.errors import OptionError, ProblemError
from optengine.kernels.permutation import apply_moves
from optengine.problems.qap import QAP

FLOW, DISTANCE = [[0, 3, 1], [2, 0, 0], [0, 4, 0]], [[0, 10, 20], [10, 0, 5], [30, 5, 0]]


def test_value_by_hand() -> None:
    problem = QAP(FLOW, DISTANCE)
    # Facilities 0, 1, 2 stand at locations 2, 0, 1.
    by_hand = 3 * 30 + 1 * 5 + 2 * 20 + 4 * 10
    assert problem.evaluate(np.array([[2.0, 0.0, 1.0]])).F.tolist() == [[by_hand]]
    described = problem.describe(np.array([2, 0, 1]))
    assert described["facility"].tolist() == [1, 2, 0]
    assert described["costs"].sum() == by_hand


@given(n=st.integers(1, 8), seed=st.integers(0, 10**6), integral=st.booleans())
def test_delta_is_the_change_of_value(n: int, seed: int, integral: bool) -> None:
    rng = np.random.default_rng(seed)
    flow, distance = (rng.integers(-9, 99, (n, n)) if integral else rng.normal(size=(n, n)) for _ in range(2))
    problem = QAP(flow, distance)
    x, moves = rng.permutation(n), rng.integers(0, n, (9, 2))
    dF, dG = problem.delta(x.astype(float), "swap", moves)
    after = problem.evaluate(apply_moves(x, "swap", moves).astype(float)).F
    before = problem.evaluate(x[np.newaxis].astype(float)).F
    assert dF.shape == (9, 1)
    assert dG.shape == (9, 0)
    np.testing.assert_allclose(dF, after - before, rtol=0, atol=0.0 if integral else 1e-11)


def test_large_integers_stay_exact_or_become_floats() -> None:
    exact = QAP(np.full((3, 3), 2**20), np.full((3, 3), 2**20 + 1))
    assert exact.flow.dtype == np.int64
    assert exact.evaluate(np.array([[0.0, 1.0, 2.0]])).F[0, 0] == 9 * 2**20 * (2**20 + 1)
    beyond = QAP(np.full((3, 3), 2**40), np.full((3, 3), 2**40))
    assert beyond.flow.dtype == np.float64
    assert beyond.evaluate(np.array([[0.0, 1.0, 2.0]])).F[0, 0] == 9 * 2.0**80


def test_random_instances_follow_the_seed() -> None:
    one, same, other = (QAP.random(np.random.default_rng(seed), 12) for seed in (1, 1, 2))
    assert one.symmetric
    assert one.flow.dtype == np.int64
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    json.dumps(one.fingerprint())


def test_pickles() -> None:
    problem = QAP.random(np.random.default_rng(0), 10)
    X = problem.space.sample(5, np.random.default_rng(1))
    assert (pickle.loads(pickle.dumps(problem)).evaluate(X).F == problem.evaluate(X).F).all()


def test_optimum_of_a_line_is_found_by_enumeration() -> None:
    """Facilities with flow only to the next one, on a line: the order of the line is optimal, n - 1 steps each way."""
    n = 6
    line = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    problem = QAP(line == 1, line)
    X = np.array(list(itertools.permutations(range(n))), dtype=float)
    F = problem.evaluate(X).F[:, 0]
    assert F.min() == 2 * (n - 1)
    assert {tuple(x) for x in X[F == F.min()]} == {tuple(range(n)), tuple(reversed(range(n)))}


@pytest.mark.parametrize(
    ("flow", "distance", "says"),
    [
        ([[0, 1]], DISTANCE, r"flow must be a square matrix, got shape \(1, 2\)"),
        ([[0, 1], [1, 0]], DISTANCE, r"must have one shape, got \(2, 2\) and \(3, 3\)"),
        (FLOW, [[0, 1, 2], [1, 0, np.nan], [1, 1, 0]], r"distance must be finite, got nan at \[1, 2\]"),
        ("abc", DISTANCE, "flow must be a matrix of numbers, got str"),
        ([], [], "flow must be a square matrix"),
    ],
)
def test_bad_data_is_named(flow: object, distance: object, says: str) -> None:
    with pytest.raises(ProblemError, match=says):
        QAP(flow, distance)  # type: ignore[arg-type]


def test_bad_moves_are_named() -> None:
    problem, x = QAP(FLOW, DISTANCE), np.arange(3)
    with pytest.raises(OptionError, match="kind must be one of swap, got 'swop'; did you mean 'swap'"):
        problem.delta(x, "swop", np.array([[0, 1]]))
    with pytest.raises(ProblemError, match=r"positions in 0..2, got 3"):
        problem.delta(x, "swap", np.array([[0, 3]]))
    with pytest.raises(ProblemError, match=r"shape \(k, 2\), got \(2,\)"):
        problem.delta(x, "swap", np.array([0, 1]))
    dF, dG = problem.delta(x, "swap", np.empty((0, 2), dtype=int))
    assert dF.shape == (0, 1)
    assert dG.shape == (0, 0)
