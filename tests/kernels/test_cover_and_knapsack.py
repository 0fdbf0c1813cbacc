"""The kernels of covers and knapsacks keep their books."""

from __future__ import annotations

import numpy as np

from optengine.kernels import knapsack
from optengine.problems import Knapsack, SetCover
from optengine.solvers.combinatorial.cover import _Books


def test_the_cover_search_keeps_its_books_however_it_is_cut() -> None:
    for seed in range(10):
        problem = SetCover.random(np.random.default_rng(seed), 40, 25, 0.12)
        ends = []
        for cuts in ([60], [1, 20, 39]):
            books = _Books(problem.covers, problem.costs, seed)
            books.begin(np.ones(40, dtype=np.int64))
            for cut in cuts:
                books.advance(cut)
                x, counts = books._chosen, problem.covers @ books._chosen
                assert books._counts.tolist() == counts.tolist()
                uncovered = books._uncovered[: books._state[2]]
                assert sorted(uncovered) == np.flatnonzero(counts == 0).tolist()
                for j in range(40):
                    rows = problem.covers[:, [j]].toarray()[:, 0] > 0
                    alone = rows & (counts == x[j])
                    assert books._scores[j] == books._weights[alone].sum()
            assert books.value[0] == problem.costs @ x
            assert (problem.covers @ books.best >= 1).all()
            assert books.value[1] == problem.costs @ books.best
            ends.append((books.best.tolist(), books.value.tolist()))
        assert ends[0] == ends[1]


def test_the_knapsack_search_stays_feasible_however_it_is_cut() -> None:
    for seed in range(10):
        problem = Knapsack.random(np.random.default_rng(seed), 30, 4, 0.4)
        profits, weights = problem.profits, np.ascontiguousarray(problem.weights.T)
        ends = []
        for cuts in ([80], [1, 30, 49]):
            chosen = np.zeros(30, dtype=np.int64)
            home, best, value = chosen.copy(), chosen.copy(), np.zeros(2)
            slack, state = np.r_[problem.capacities, problem.capacities], np.zeros(knapsack.STATE, np.int64)
            state[knapsack.SEED] = seed
            for cut in cuts:
                knapsack.search_knapsack(
                    profits, weights, 5, 25, 10.0, 20, chosen, slack, state, value, home, best, cut
                )
                for x, v in ((home, value[0]), (best, value[1])):
                    assert (problem.weights @ x <= problem.capacities).all()
                    assert profits @ x == v
                    assert set(x.tolist()) <= {0, 1}
            ends.append((best.tolist(), value.tolist()))
        assert ends[0] == ends[1]
