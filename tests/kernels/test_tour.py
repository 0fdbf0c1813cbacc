"""The tour search keeps its books, whatever it moves; its tours are local optima of the moves."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels import tour as kernel
from optengine.kernels.permutation import apply_moves
from optengine.problems import TSP
from optengine.solvers.combinatorial.tour import _Tour


@pytest.mark.parametrize("n", [8, 9, 11, 20, 60])
@pytest.mark.parametrize("kind", ["plane", "random", "ties"])
def test_books_are_kept_however_it_is_cut(n: int, kind: str) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        if kind == "plane":
            problem = TSP(coordinates=rng.integers(0, 1000, (n, 2)), metric="EUC_2D")
        else:
            D = np.triu(rng.integers(0, 3 if kind == "ties" else 1000, (n, n)), 1)
            problem = TSP(D + D.T)
        distance = problem.distance.astype(float)
        ends = []
        for cuts in ([9000], [1] * 200 + [1800, 7000]):
            books = _Tour(distance, 6, seed)
            books.begin(np.random.default_rng(seed).permutation(n))
            for cut in cuts:
                books.advance(cut, 5.0)
                assert sorted(books.tour.tolist()) == list(range(n))
                assert books._place[books._tour].tolist() == list(range(n))
                assert kernel.tour_length(distance, books.tour) == books.length[0]
            assert kernel.tour_length(distance, books.best) == books.length[2]
            assert books.n_kicks > 10
            ends.append((books.best.tolist(), books.length.tolist()))
        assert ends[0] == ends[1]


def test_local_optima_leave_no_improving_move() -> None:
    """With all cities as neighbours, no 2-opt move improves, before the first kick."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        problem = TSP(coordinates=rng.integers(0, 10_000, (25, 2)), metric="EUC_2D")
        books = _Tour(problem.distance.astype(float), 24, seed)
        books.begin(rng.permutation(25))
        while books.n_kicks == 0:
            now = books.tour.copy()
            books.advance(1, 0.0)
            if books.n_kicks == 0:
                now = books.tour.copy()
        best = books.best.astype(np.int64)
        pairs = np.array([(i, j) for i in range(25) for j in range(i + 1, 25)])
        moved = apply_moves(best, "reversal", pairs).astype(float)
        assert problem.evaluate(moved).F.min() >= books.length[2]
        assert len(now) == 25
