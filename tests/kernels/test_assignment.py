"""The robust tabu search of assignments against its definition, however it is cut."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels import assignment
from optengine.kernels.permutation import assignment_costs_reference
from optengine.problems.qap import QAP
from optengine.solvers.combinatorial.assignment_walk import AssignmentWalk


@pytest.mark.parametrize("kind", ["symmetric", "one asymmetric", "asymmetric", "diagonals", "real"])
def test_the_walk_is_its_definition_however_it_is_cut(kind: str) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(3, 22))
        flow, distance = (rng.integers(0, 9, (n, n)).astype(float) for _ in range(2))
        if kind == "real":
            flow, distance = (rng.normal(size=(n, n)) for _ in range(2))
        if kind in ("symmetric", "one asymmetric"):
            distance = distance + distance.T
            np.fill_diagonal(distance, 0)
        if kind == "symmetric":
            flow = flow + flow.T
        if kind == "asymmetric":
            np.fill_diagonal(flow, 0)
        p = rng.permutation(n)
        problem = QAP(flow, distance)
        for cuts in ([90], [1, 29, 60]):
            walk = AssignmentWalk(problem, seed, 5, 4)
            walk.begin(p, 1 << 40)
            assert walk.scale * walk.changes[:n, :n][~np.eye(n, dtype=bool)] == pytest.approx(
                assignment.exchanges_reference(flow, distance, p)[~np.eye(n, dtype=bool)], abs=1e-4
            )
            assert sum(walk.advance(cut) for cut in cuts) == 90
            cost = assignment_costs_reference(flow, distance, walk.best[None])[0]
            assert walk.value == pytest.approx(cost, abs=1e-9)
            if kind != "real":
                expected, fallen = assignment.robust_tabu_reference(
                    flow, distance, p, 5, 4, walk.walk_seed, 90
                )
                assert walk.best.tolist() == expected.tolist()
                assert walk.scale * walk.fallen[1] == fallen
