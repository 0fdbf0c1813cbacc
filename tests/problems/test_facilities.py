"""p-median and maximum coverage: optima by enumeration, what users get wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import ProblemError
from optengine.problems import MaxCoverage, PMedian


@pytest.mark.parametrize("seed", range(2))
def test_optima_are_those_of_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    median, coverage = PMedian.random(rng, 7, 6), MaxCoverage.random(rng, 8, 12)
    result = oe.solve(median, time_limit=20, seed=0)
    choices = [list(c) for c in itertools.combinations(range(7), median.k)]
    assert result.fun == pytest.approx(min(median.distance[:, c].min(axis=1).sum() for c in choices))
    assert result.details["distance"] == pytest.approx(result.fun)
    result = oe.solve(coverage, time_limit=20, seed=0)
    covers = coverage.covers.toarray() > 0
    choices = [list(c) for c in itertools.combinations(range(8), coverage.k)]
    assert result.fun == pytest.approx(max(coverage.weights[covers[:, c].any(axis=1)].sum() for c in choices))
    assert result.details["weight"] == pytest.approx(result.fun)


def test_bad_input_is_named() -> None:
    with pytest.raises(ProblemError, match=r"k must be an integer in 1\.\.2, got 3"):
        PMedian([[1, 2]], 3)
    with pytest.raises(ProblemError, match="distance must be finite"):
        PMedian([[1, np.inf]], 1)
    with pytest.raises(ProblemError, match="weights must be 1 numbers"):
        MaxCoverage([[1, 0]], 1, [-1])
