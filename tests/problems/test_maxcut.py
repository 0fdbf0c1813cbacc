"""Max-cut: values by hand and by definition, deltas against re-evaluation, what users get wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import optengine as oe
from optengine.kernels import cut
from optengine.problems import MaxCut


def graph(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    W = np.triu(rng.integers(-3, 4, (n, n)) * (rng.random((n, n)) < 0.6), 1).astype(float)
    return np.asarray(W + W.T)


def test_a_triangle_by_hand() -> None:
    problem = MaxCut([[0, 1, 2], [1, 0, 4], [2, 4, 0]])
    X = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    assert (-problem.evaluate(X).F[:, 0]).tolist() == [0, 3, 5, 6]
    assert problem.n_edges == 3


@pytest.mark.parametrize("n", [2, 7, 40])
def test_kernels_are_their_definitions(n: int) -> None:
    for seed in range(70):
        W, rng = graph(seed, n), np.random.default_rng(seed)
        problem = MaxCut(sp.csr_array(W) if seed % 2 else W)
        X = rng.integers(0, 2, (int(rng.integers(1, 150)), n)).astype(float)
        np.testing.assert_allclose(-problem.evaluate(X).F[:, 0], cut.cuts_numpy(W, X))
        nodes = rng.integers(0, n, 9)
        change, _ = problem.delta(X[0], "flip", np.column_stack([nodes, nodes]))
        np.testing.assert_allclose(-change[:, 0], cut.flips_numpy(W, X[0], nodes))
        Y = np.tile(X[0], (9, 1))
        Y[np.arange(9), nodes] = 1 - Y[np.arange(9), nodes]
        np.testing.assert_allclose(problem.evaluate(Y).F - problem.evaluate(X[:1]).F, change, atol=1e-9)


@pytest.mark.parametrize(
    ("W", "words"),
    [
        (np.ones((2, 3)), "square"),
        ([[0.0, np.nan], [np.nan, 0.0]], "finite"),
        ([[1.0, 2.0], [2.0, 0.0]], "loop at node 0"),
        ([[0.0, 2.0], [1.0, 0.0]], "symmetric"),
    ],
)
def test_bad_weights_are_one_sentence(W: Any, words: str) -> None:
    with pytest.raises(oe.ProblemError, match=words):
        MaxCut(W)


def test_bad_moves_are_one_sentence() -> None:
    problem = MaxCut(graph(0, 5))
    with pytest.raises(oe.OptionError, match="kind must be"):
        problem.delta(np.zeros(5), "swap", [[0, 1]])
    with pytest.raises(oe.ProblemError, match=r"nodes in 0\.\.4"):
        problem.delta(np.zeros(5), "flip", [[5, 5]])
    with pytest.raises(oe.ProblemError, match="sides of 5 nodes"):
        problem.delta(np.zeros(4), "flip", [[0, 0]])


def test_the_best_cut_of_a_small_graph_is_found() -> None:
    W = graph(1, 14)
    every = ((np.arange(2**13)[:, None] >> np.arange(14)) & 1).astype(float)
    problem = MaxCut(W)
    best = -problem.evaluate(every).F.min()
    result = oe.solve(problem, budget=3000, seed=0)
    assert result.fun == best
    first, second = result.details["sides"]
    assert W[np.ix_(first, second)].sum() == best
