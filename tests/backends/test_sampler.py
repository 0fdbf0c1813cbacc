"""The feasible sampler: always feasible, repeatable, and spread as it says."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng

from optengine.backends.repair import Repair, feasible_sample
from optengine.core.errors import SpaceError
from optengine.core.space import (
    Cardinality,
    Categorical,
    Integer,
    Permutation,
    Predicate,
    Real,
    Row,
    Simplex,
    Space,
    Subset,
)

KINDS = ["real", "simplex", "integer", "subset", "mixed", "conditional", "cardinality", "predicate"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_samples_are_feasible_and_repeatable(kind: str, makers: Any, seed: int) -> None:
    space = makers[kind](default_rng(seed))
    X = Repair(space).feasible_sample(7, default_rng(1))
    assert X.shape == (7, space.width)
    assert space.satisfies(X, tol=1e-9).all()
    warm = Repair(space)
    warm.feasible_sample(3, default_rng(5))
    assert np.array_equal(warm.feasible_sample(7, default_rng(1)), X)


def test_nothing_to_satisfy_and_nothing_asked() -> None:
    free = Space([(0, 1)] * 2)
    assert np.array_equal(feasible_sample(free, 4, default_rng(0)), free.sample(4, default_rng(0)))
    tight = Space([(0, 1)] * 2, rows=[Row([1, 1], 1, 1)])
    assert feasible_sample(tight, 0, default_rng(0)).shape == (0, 2)


def test_reals_are_near_to_uniform_on_a_simplex() -> None:
    n = 6000
    space = Space(w=Simplex(5), t=Real(0, 1), rows=[Row({"w": 1, "t": 1}, upper=1.001)])
    X = feasible_sample(space, n, default_rng(0))
    mean, variance = X[:, :5].mean(axis=0), X[:, :5].var(axis=0)
    expected = 0.2 * 0.8 / 6
    assert np.abs(mean - 0.2).max() < 5 * np.sqrt(expected / n)  # five standard errors: false alarm 3e-6
    assert np.abs(variance - expected).max() < 0.1 * expected


def test_logarithmic_columns_are_near_to_log_uniform() -> None:
    variables = {"a": Real(1e-4, 1, log=True), "b": Real(1e-3, 10, log=True), "c": Real(0, 1)}
    space = Space(variables, rows=[Row({"a": 1, "b": 1, "c": 1}, upper=0.02)])
    X = feasible_sample(space, 4000, default_rng(0))
    reference = space.sample(400_000, default_rng(1))
    reference = reference[space.satisfies(reference)]
    for column in range(2):
        ours, theirs = np.log10(X[:, column]), np.log10(reference[:, column])
        assert abs(ours.mean() - theirs.mean()) < 5 * ours.std() * np.sqrt(1 / 4000 + 1 / len(reference))


def test_every_assignment_of_whole_numbers_is_reached() -> None:
    weights = np.array([1, 2, 3, 4, 5])
    space = Space(k=Integer(0, 4, shape=5), rows=[Row({"k": weights}, 17, 17)])
    possible = [z for z in itertools.product(range(5), repeat=5) if weights @ z == 17]
    drawn, counts = np.unique(
        feasible_sample(space, 100 * len(possible), default_rng(0)), axis=0, return_counts=True
    )
    assert len(drawn) == len(possible)
    assert counts.min() > 30
    assert counts.max() < 300


def test_every_subset_and_support_is_reached() -> None:
    subsets = Space(s=Subset(8, size=3), rows=[Row({"s": [5, 4, 3, 2, 1, 1, 1, 1]}, upper=4)])
    assert len(np.unique(feasible_sample(subsets, 500, default_rng(0)), axis=0)) == 4 + 6
    shares = Space(w=Simplex(5), rows=[Cardinality(["w"], 2, 2)])
    support = feasible_sample(shares, 500, default_rng(0)) > 0
    assert len(np.unique(support, axis=0)) == 10


def test_reals_follow_the_whole_numbers() -> None:
    """k1 + 2 k2 + x1 + x2 / 2 = 5.5: each pair (k1, k2) in proportion to the length it leaves to x1."""
    space = Space(
        k=Integer(0, 3, shape=2), x=Real(0, 2, shape=2), rows=[Row({"k": [1, 2], "x": [1, 0.5]}, 5.5, 5.5)]
    )
    X = feasible_sample(space, 6000, default_rng(0))
    pairs, counts = np.unique(X[:, :2], axis=0, return_counts=True)
    lengths = []
    for pair in pairs:
        x1 = np.linspace(0, 2, 2001)
        x2 = (5.5 - pair @ [1, 2] - x1) / 0.5
        lengths.append(((x2 >= 0) & (x2 <= 2)).mean())
    share = np.array(lengths) / np.sum(lengths)
    assert np.abs(counts / 6000 - share).max() < 0.04


def test_uncoupled_columns_and_conditions_vary() -> None:
    space = Space(
        kind=Categorical(["u", "v", "never"]),
        p=Permutation(3),
        a=Real(0, 1, when=("kind", "u")),
        b=Real(0, 1, when=("kind", "v")),
        c=Real(0, 1),
        rows=[Row({"a": 1, "b": 1, "c": 1}, 1.5, 1.5)],
    )
    X = feasible_sample(space, 300, default_rng(0))
    assert set(X[:, 0]) == {0.0, 1.0}
    assert len(np.unique(X[:, 1:4], axis=0)) == 6


def test_rare_conditions_are_found() -> None:
    space = Space(
        kind=Categorical(list(range(400))),
        a=Real(0, 1, when=("kind", 123)),
        rows=[Row({"a": 1}, 0.5, 0.5)],
    )
    X = feasible_sample(space, 5, default_rng(0))
    assert (X == [[123, 0.5]]).all()


def test_conditions_on_wide_integers() -> None:
    wide = Integer(0, 10**6)
    space = Space(n=wide, a=Real(0, 1, when=("n", [77, 900_000])), rows=[Row({"a": 1}, lower=0.5)])
    X = feasible_sample(space, 20, default_rng(0))
    assert space.satisfies(X).all()
    assert set(X[:, 0]) == {77.0, 900_000.0}


def test_what_could_not_be_proved_is_not_called_proved() -> None:
    wide = Integer(0, 10**6)
    rows = [Row({"n": 1, "a": 1}, 77.5, 77.5)]
    space = Space(n=wide, a=Real(0, 1, when=("n", 78)), rows=rows)
    with pytest.raises(SpaceError, match="in any of 1024 conditions drawn"):
        feasible_sample(space, 1, default_rng(0))


def test_predicates_are_met_or_named() -> None:
    space = Space(x=Real(0, 1), where=[Predicate(lambda x: x["x"] > 0.99)])
    assert (feasible_sample(space, 20, default_rng(0)) > 0.99).all()
    with pytest.raises(SpaceError, match="predicate 'never'"):
        feasible_sample(
            Space(x=Real(0, 1), where=[Predicate(lambda x: False, name="never")]), 1, default_rng(0)
        )


def test_thin_and_long_polytopes_are_filled() -> None:
    """A rod across the cube, a thousandth thick: samples lie along all of it."""
    d = 6
    rows = [Row(np.eye(d)[i] - np.eye(d)[i + 1], -1e-3, 1e-3) for i in range(d - 1)]
    space = Space([(0, 1)] * d, rows=rows)
    X = feasible_sample(space, 1000, default_rng(0))
    position = X.mean(axis=1)
    assert np.histogram(position, bins=10, range=(0, 1))[0].min() > 50


def test_ranges_far_wider_than_the_feasible_set() -> None:
    space = Space(a=Real(0, 1e9), b=Real(0, 1e9), rows=[Row({"a": 1, "b": 1}, upper=10)])
    X = feasible_sample(space, 500, default_rng(0))
    assert 2 < X[:, 0].mean() < 5
