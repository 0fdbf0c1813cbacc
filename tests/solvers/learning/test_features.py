"""Features of a graph, and the signature of a class, against a case worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, ProblemError
from optengine.problems.generators import generate
from optengine.solvers.milp.learning.features import FLOOR, bipartite_graph, raw_features
from optengine.solvers.milp.learning.signature import difference, signature


def by_hand() -> oe.problems.MILP:
    """min 2 a - 4 b, a + 3 b <= 4, b - r >= 1; a, b binary, r real."""
    return oe.problems.MILP(
        [2.0, -4.0, 0.0],
        [[1.0, 3.0, 0.0], [0.0, 1.0, -1.0]],
        lower=[-np.inf, 1.0],
        upper=[4.0, np.inf],
        bounds=[(0, 1), (0, 1), (0, None)],
        integrality=[1, 1, 0],
    )


def test_raw_features_by_hand() -> None:
    variables, constraints, _ = raw_features(by_hand())
    assert variables.tolist() == [
        [2.0, 0.5, 1.0, 1.0, 1.0, 1.0],
        [-4.0, 2.0, 2.0, 3.0, 1.0, 1.0],
        [0.0, -0.5, 1.0, -1.0, -1.0, 0.0],
    ]
    assert constraints.tolist() == [[2.0, 2.0, 4.0, 0.0], [0.0, 2.0, 1.0, 1.0], [-1.0, 2.0, 0.0, 0.0]]


def test_normalised_features_and_edges_by_hand() -> None:
    graph, low = bipartite_graph(by_hand()), FLOOR
    np.testing.assert_allclose(
        graph.variables,
        [[0.5, 0.4, low, 0.5, 1, 1], [-1, 1, 1, 1, 1, 1], [0, low, low, low, low, low]],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        graph.constraints, [[1, 1, 1, low], [1 / 3, 1, 0.25, 1], [low, 1, low, low]], rtol=1e-6
    )
    assert graph.row.tolist() == [0, 0, 1, 1, 2, 2]
    assert graph.column.tolist() == [0, 1, 1, 2, 0, 1]
    np.testing.assert_allclose(graph.value, [1 / 3, 1, 1, -1, 0.5, -1], rtol=1e-6)
    assert graph.binaries.tolist() == [0, 1]
    assert set(bipartite_graph(by_hand(), "ones").value) == {1.0}


def test_maximising_is_seen_as_minimising() -> None:
    one = by_hand()
    other = oe.problems.MILP(
        -one.c, one.A, one.lower, one.upper, (one.lb, one.ub), one.integrality, sense="max"
    )
    assert np.array_equal(bipartite_graph(one).variables, bipartite_graph(other).variables)


def test_ranges_equalities_and_empty_rows() -> None:
    """A range is two rows, a row without sides none; a column without rows and a row without columns count 0."""
    problem = oe.problems.MILP(
        [1.0, 1.0, 0.0],
        [[1.0, 1, 0], [1, 0, 0], [2, 0, 0], [0, 0, 0]],
        lower=[1, -np.inf, 2, 0],
        upper=[2, np.inf, 2, np.inf],
        bounds=(0, 1),
        integrality=1,
    )
    variables, constraints, A = raw_features(problem)
    assert A.toarray().tolist() == [[1, 1, 0], [1, 1, 0], [2, 0, 0], [0, 0, 0]]
    assert constraints[:4, 2:].tolist() == [[2, 0], [1, 1], [2, 2], [0, 1]]
    assert variables[2].tolist() == [0, 0, 0, 0, 0, 1]


def test_problems_without_binaries_are_refused() -> None:
    with pytest.raises(ProblemError, match="must have binary variables"):
        bipartite_graph(oe.problems.MILP([1.0, 2.0]))
    with pytest.raises(OptionError, match="edges must be one of"):
        bipartite_graph(by_hand(), "weights")


def test_signatures_tell_classes_apart_and_sizes_not() -> None:
    families = ("set_cover", "auction", "item_placement", "workload", "p_median", "facilities", "assignment")
    known = {name: signature([generate(name, "small", seed) for seed in range(2)]) for name in families}
    for trained in families:
        for met in families:
            other = difference(known[trained], generate(met, "small", 9))
            assert (other is None) == (trained == met), (trained, met, other)
    for name in families[:4]:
        assert difference(known[name], generate(name, "mid", 9)) is None
