"""The instances that come with optengine: their optima, by enumeration."""

from __future__ import annotations

import itertools

import numpy as np

from optengine.problems.formats import bundled, read
from optengine.problems.qap import QAP


def test_clinic_has_one_optimum() -> None:
    problem = read(bundled("clinic10.dat"))
    assert isinstance(problem, QAP)
    assert not problem.symmetric
    assert problem.best_known_source is not None
    assert problem.best_known_source.startswith("proved optimal")
    rest = np.array(list(itertools.permutations(range(8))))
    values, points = [], []
    for first, second in itertools.permutations(range(10), 2):
        items = np.array([k for k in range(10) if k not in (first, second)])
        head = np.broadcast_to([first, second], (len(rest), 2))
        X = np.column_stack([head, items[rest]]).astype(np.float64)
        F = problem.evaluate(X).F[:, 0]
        best = F.min()
        values += [best] * int((F == best).sum())
        points += X[best == F].astype(int).tolist()
    optima = [x for x, value in zip(points, values, strict=True) if value == min(values)]
    assert min(values) == problem.best_known == 23277
    assert optima == [[1, 2, 3, 7, 4, 5, 8, 9, 0, 6]]
