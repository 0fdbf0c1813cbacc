"""Rows, cardinalities and predicates: what they mean, their violation by hand, what they refuse."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from optengine import (
    Binary,
    Cardinality,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Predicate,
    Real,
    Row,
    Simplex,
    Space,
    SpaceError,
    Subset,
)


def small(x: dict[str, Any]) -> bool:
    return bool(x["a"] <= 0.5)


def test_rows_become_columns() -> None:
    space = Space(
        a=Real(0, 10),
        v=Integer(0, 9, shape=3),
        s=Subset(3),
        w=Simplex(2),
        b=Binary(shape=(2, 2)),
        rows=[
            Row({"a": 1, "v": 2}, upper=10, name="sum"),
            Row({"v": [1, 0, -1], ("v", 2): 5}, lower=0),
            Row({("s", 1): 1, ("w", 0): 3.5, ("b", (1, 0)): 1}, 0, 4),
            Row({("b", 0): 1}, upper=1),
        ],
    )
    assert space.A.shape == (4, space.width)
    assert space.A[0].tolist() == [1, 2, 2, 2] + [0] * 9
    assert space.A[1].tolist() == [0, 1, 0, 4] + [0] * 9
    assert space.A[2].tolist() == [0] * 4 + [0, 1, 0, 3.5, 0, 0, 0, 1, 0]
    assert space.A[3].tolist() == [0] * 9 + [1, 1, 0, 0]
    assert space.row_lower.tolist() == [-np.inf, 0, 0, -np.inf]
    assert space.row_upper.tolist() == [10, np.inf, 4, 1]
    assert space.row_names == ("sum", "row 1", "row 2", "row 3")
    assert space.constrained


def test_rows_over_bounds_take_arrays_and_indices() -> None:
    space = Space(
        [(0, 1)] * 3, rows=[Row([1, 2, 3], upper=4), Row({0: 1, 2: -1}, lower=0), Row({"x": 1}, upper=3)]
    )
    assert space.A.tolist() == [[1, 2, 3], [1, 0, -1], [1, 1, 1]]
    one = Space([(0, 1)] * 2, rows=Row([1, 1], upper=1), where=Predicate(lambda x: x[0] < 0.9))
    assert len(one.row_upper) == 1
    assert len(one.predicates) == 1


def test_violation_by_hand() -> None:
    """Relative to max(1, |bound|, sum of the terms' sizes)."""
    space = Space(
        a=Real(0, 10), b=Real(0, 10), rows=[Row({"a": 1, "b": 1}, upper=4), Row({"a": 1, "b": -1}, lower=0)]
    )
    X = space.encode(
        [{"a": 1, "b": 1}, {"a": 4, "b": 4}, {"a": 5, "b": 5}, {"a": 1, "b": 3}, {"a": 0, "b": 0.5}]
    )
    assert space.row_violation(X).tolist() == [0, 4 / 8, 6 / 10, 2 / 4, 0.5 / 1]
    assert space.satisfies(X).tolist() == [True, False, False, False, False]


def test_inactive_variables_count_as_zero() -> None:
    space = Space(
        on=Binary(), a=Real(2, 5, when=("on", True)), b=Real(0, 5), rows=[Row({"a": 1, "b": 1}, upper=4)]
    )
    X = space.encode([{"on": False, "b": 4}, {"on": True, "a": 2, "b": 4}])
    assert space.row_violation(X).tolist() == [0, 2 / 6]
    assert space.satisfies(X).tolist() == [True, False]


def test_cardinalities_count_entries() -> None:
    space = Space(
        a=Real(0, 1, shape=3),
        b=Binary(),
        rows=[Cardinality(["a", "b"], 1, 2), Cardinality([("a", 0), "b"], upper=1)],
    )
    X = space.encode([{"a": a, "b": b} for a, b in (
        ([0, 0, 0], False), ([0.1, 0, 0], False), ([0, 0.1, 0.1], False), ([0, 0.1, 0.1], True), ([1, 0, 0], True)
    )])  # fmt: skip
    assert space.row_violation(X).tolist() == [1, 0, 0, 1, 1]
    assert [(c.tolist(), low, high) for c, low, high in space.cardinalities] == [
        ([0, 1, 2, 3], 1, 2),
        ([0, 3], 0, 1),
    ]
    assert Cardinality("a", upper=2).names == ("a",)
    assert Space(a=Binary(shape=4), rows=[Cardinality("a", 2)]).cardinalities[0][2] == 4


def test_predicates_see_the_users_x() -> None:
    space = Space(a=Real(0, 1), where=[Predicate(small)])
    assert space.predicates[0].name == "small"
    assert Predicate(lambda x: True, name="any").name == "any"
    assert space.satisfies(np.array([[0.4], [0.6], [1.4]])).tolist() == [True, False, False]
    assert space.contains(np.array([[0.4], [0.6], [1.4]])).tolist() == [True, True, False]


def test_stored_spaces_hold_no_functions() -> None:
    space = Space(a=Real(0, 1), rows=[Row({"a": 1}, upper=0.7)], where=[Predicate(lambda x: x["a"] < 0.5)])
    bare = space.without_functions()
    assert bare.predicates == ()
    assert np.array_equal(pickle.loads(pickle.dumps(bare)).A, space.A)
    assert Space(a=Real(0, 1)).without_functions().predicates == ()
    text = json.dumps(space.fingerprint())
    assert '"where"' in text
    assert json.loads(text) == space.fingerprint()


@settings(max_examples=200)
@given(
    st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    st.floats(-10, 10),
    st.floats(0, 10),
    st.integers(0, 2**32 - 1),
)
def test_violation_is_zero_exactly_where_the_row_holds(
    coefficients: list[float], lower: float, gap: float, seed: int
) -> None:
    space = Space([(-2, 3)] * 3, rows=[Row(coefficients, lower, lower + gap)])
    X = space.sample(20, np.random.default_rng(seed))
    sums = X @ np.array(coefficients)
    holds = (sums >= lower) & (sums <= lower + gap)
    clear_cut = np.minimum(abs(sums - lower), abs(sums - lower - gap)) > 1e-12
    assert ((space.row_violation(X) == 0) == holds)[clear_cut].all()
    assert (space.row_violation(X) >= 0).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Row({"a": 1}), ("Row", "finite lower or upper")),
        (lambda: Row({"a": 1}, 2, 1), ("lower of Row", "2", "1")),
        (lambda: Row({"a": 1}, upper=float("nan")), ("upper of Row", "NaN")),
        (lambda: Row({"a": 1}, upper="x"), ("upper of Row", "'x'")),
        (lambda: Space(a=Real(0, 1), rows=[Row({}, upper=1)]), ("coefficients", "none")),
        (lambda: Space(a=Real(0, 1), rows=[Row({"aa": 1}, upper=1)]), ("'aa'", "did you mean 'a'")),
        (lambda: Space(a=Real(0, 1), rows=[Row([1], upper=1)]), ("coefficients of Row", "dict", "[1]")),
        (lambda: Space([(0, 1)], rows=[Row([1, 2], upper=1)]), ("coefficients of Row", "(1,)", "[1, 2]")),
        (lambda: Space(a=Real(0, 1), rows=[Row({"a": "x"}, upper=1)]), ("coefficients of Row", "'x'")),
        (
            lambda: Space(a=Real(0, 1), rows=[Row({"a": np.nan}, upper=1, name="cap")]),
            ("coefficients of cap", "nan"),
        ),
        (lambda: Space(a=Real(0, 1, shape=3), rows=[Row({"a": [1, 2]}, upper=1)]), ("'a'", "1 or 3", "2")),
        (
            lambda: Space(a=Real(0, 1, shape=3), rows=[Row({("a", 7): 1}, upper=1)]),
            ("index of 'a'", "(3,)", "7"),
        ),
        (lambda: Space(a=Categorical([1, 2]), rows=[Row({"a": 1}, upper=1)]), ("'a'", "Predicate")),
        (lambda: Space(a=Ordinal([1, 2]), rows=[Row({"a": 1}, upper=1)]), ("'a'", "Predicate")),
        (lambda: Space(a=Permutation(3), rows=[Cardinality("a", 1)]), ("'a'", "Predicate")),
        (lambda: Space(a=Real(0, 1), rows=["a <= 1"]), ("rows", "'a <= 1'")),
        (lambda: Space(a=Real(0, 1), rows="a <= 1"), ("rows", "'a <= 1'")),
        (lambda: Space(a=Real(0, 1), where=[small]), ("where", "Predicate(function)")),
        (lambda: Cardinality("a", -1), ("Cardinality", "-1")),
        (lambda: Cardinality("a", 1.5), ("Cardinality", "1.5")),
        (lambda: Cardinality("a", 2, 1), ("Cardinality", "2", "1")),
        (lambda: Cardinality("a", None), ("Cardinality", "None")),
        (lambda: Cardinality("a", "2"), ("Cardinality", "'2'")),
        (lambda: Cardinality(None, 1), ("names of Cardinality",)),
        (lambda: Cardinality([], 0, 1), ("names of Cardinality", "()")),
        (lambda: Space(a=Binary(), rows=[Cardinality("a", 2)]), ("lower of Cardinality", "1", "2")),
        (lambda: Predicate(5), ("function of Predicate", "5")),
        (lambda: Predicate(small, repair=5), ("repair of Predicate", "5")),
    ],
)
def test_bad_constraints_are_refused_in_one_sentence(clear: Any, make: Any, words: tuple[str, ...]) -> None:
    with clear(SpaceError, *words):
        make()
