"""Spaces: what they refuse, in one sentence each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optengine import (
    Binary,
    Categorical,
    Integer,
    Permutation,
    Real,
    Simplex,
    Space,
    SpaceError,
    Subset,
)
from optengine.core.spaceio import space_from_dict


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Space(), ("at least one variable",)),
        (lambda: Space({}), ("at least one variable",)),
        (lambda: Space([]), ("space", "[]")),
        (lambda: Space(5), ("space", "5")),
        (lambda: Space("ab"), ("space", "'ab'")),
        (lambda: Space([(0, 1, 2)]), ("space", "(0, 1, 2)")),
        (lambda: Space([(1, 0)]), ("low", "high")),
        (lambda: Space([(0, float("nan"))]), ("high", "nan")),
        (lambda: Space({"a": Real(0, 1)}, a=Real(0, 1)), ("distinct", "'a'")),
        (lambda: Space({"a": 3}), ("a must be a variable", "3")),
        (lambda: Space({1: Real(0, 1)}), ("names of variables", "1")),
        (lambda: Space({"": Real(0, 1)}), ("names of variables", "''")),
        (lambda: Space([(0, 1)], a=Real(0, 1)), ("named all or not at all", "'a'")),
        (lambda: Space(a=Binary(), rows=Real(0, 1)), ("rows", "Real(0.0, 1.0)")),
        (lambda: Space(a=Real(0, 1), where=5), ("where", "5")),
        (lambda: Space(a=Real(0, 1, when=("kin", 1)), kind=Binary()), ("when of 'a'", "'kin'", "did you mean 'kind'")),
        (lambda: Space(a=Real(0, 1, when=("b", 1)), b=Real(0, 1)), ("when of 'a'", "discrete", "'b'")),
        (lambda: Space(a=Real(0, 1, when=("b", 9)), b=Integer(0, 3)), ("when of 'a'", "never", "9")),
        (lambda: Space(a=Binary(when=("b", 1)), b=Binary(when=("a", 1))), ("circle", "'a'", "'b'")),
        (lambda: Space(a=Binary(when=("a", True))), ("circle", "'a'")),
    ],
)  # fmt: skip
def test_bad_spaces_are_refused_in_one_sentence(clear: Any, make: Any, words: tuple[str, ...]) -> None:
    with clear(SpaceError, *words):
        make()


MIXED = Space(
    r=Real(0, 1),
    i=Integer(0, 10**10),
    c=Categorical(["a", "b"]),
    v=Real([0, 0], 1),
    p=Permutation(3),
    s=Subset(4, (1, 2)),
    w=Simplex(2),
    m=Subset(3, 1, shape=2),
    l=Categorical(["x", "y"], shape=2),
    e=Real(0, 1, when=("c", "b")),
)
GOOD: dict[str, Any] = {
    "r": 0.5, "i": 3, "c": "a", "v": [0, 1], "p": [2, 1, 0], "s": [0], "w": [0.5, 0.5],
    "m": [[1, 0, 0], [0, 1, 0]], "l": ["x", "y"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"r": 1.5}, ("r must lie in Real(0.0, 1.0)", "1.5")),
        ({"r": float("nan")}, ("r must be finite", "nan")),
        ({"r": "0.5"}, ("r must be a number", "'0.5'")),
        ({"r": None}, ("r must be", "None")),
        ({"r": [0.5]}, ("r must be finite and of shape ()", "[0.5]")),
        ({"i": 2.5}, ("i must be a whole number", "2.5")),
        ({"i": 10**10 + 5}, ("i must lie in", "10000000005")),
        ({"c": "d"}, ("c must be one of ['a', 'b']", "'d'")),
        ({"c": None}, ("c must be one of ['a', 'b']", "None")),
        ({"v": [0.5]}, ("v must be", "(2,)", "[0.5]")),
        ({"v": [0.5, 2]}, ("v must lie in", "[0.5, 2]")),
        ({"v": ["0", "1"]}, ("v must be a number or an array", "'0'")),
        ({"p": [0, 1, 1]}, ("p must hold each of 0..2 once", "[0, 1, 1]")),
        ({"p": [0, 1]}, ("p must be", "(3,)", "[0, 1]")),
        ({"s": [7]}, ("s must be distinct items in 0..3", "[7]")),
        ({"s": [1, 1]}, ("s must be distinct items", "[1, 1]")),
        ({"s": []}, ("s must hold 1 to 2 items", "0")),
        ({"s": 3}, ("s must be the chosen items", "3")),
        ({"w": [0.5, 0.6]}, ("w must be 2 shares", "sum to 1", "[0.5, 0.6]")),
        ({"w": [1.5, -0.5]}, ("w must be 2 shares", "[1.5, -0.5]")),
        ({"m": [[1, 0, 0], [1, 1, 0]]}, ("m must be 0/1 with 1 to 1 ones", "[1, 1, 0]")),
        ({"l": ["x"]}, ("l must have shape (2,)", "['x']")),
        ({"l": ["x", "z"]}, ("l must be one of ['x', 'y']", "'z'")),
        ({"q": 1}, ("x names 'q', which is no variable",)),
        ({"rr": 1}, ("x names 'rr'", "did you mean 'r'")),
        ({"c": "b"}, ("x must give a value for 'e'",)),
    ],
)
def test_values_outside_the_space_are_refused_in_one_sentence(
    clear: Any, change: dict[str, Any], words: tuple[str, ...]
) -> None:
    assert MIXED.encode(GOOD).shape == (1, MIXED.width)
    with clear(SpaceError, *words):
        MIXED.encode(GOOD | change)


@pytest.mark.parametrize("x", [5, "abc", None, [1, 2]])
def test_named_spaces_want_dicts(clear: Any, x: Any) -> None:
    with clear(SpaceError, "x must be a dict with the names ['a']"):
        Space(a=Real(0, 1)).encode(x)


def test_unknown_names_are_looked_up_with_a_hint(clear: Any) -> None:
    with clear(SpaceError, "'learning'", "did you mean 'learning_rate'"):
        Space(learning_rate=Real(0, 1))["learning"]
    with clear(SpaceError, "not readable"):
        space_from_dict({"named": True})
    with clear(SpaceError, "'Complex'"):
        space_from_dict({"named": True, "variables": {"a": {"kind": "Complex"}}})


def test_rounding_errors_are_taken_for_what_they_are() -> None:
    space = Space(a=Real(0, 1), i=Integer(0, 5), w=Simplex(3))
    X = space.encode({"a": 1 + 1e-12, "i": 3 - 1e-12, "w": [0.3333, 0.3333, 0.33340001]})
    assert space.contains(X).all()
    assert X[0, :2].tolist() == [1, 3]
    assert X[0, 2:].sum() == pytest.approx(1, abs=1e-15)


def test_contains_sees_every_departure() -> None:
    space = Space(r=Real(0, 1), i=Integer(0, 10**10), p=Permutation(3), s=Subset(3, 1), w=Simplex(2))
    good = space.encode({"r": 0.5, "i": 3, "p": [0, 2, 1], "s": [1], "w": [0.5, 0.5]})
    assert space.contains(good).all()
    for column, value in (
        (0, 1.1),
        (0, np.nan),
        (1, 2.5),
        (1, 1e10 + 4),
        (2, 1),
        (5, 1),
        (6, 0),
        (8, 0.6),
        (9, -0.1),
    ):
        bad = good.copy()
        bad[0, column] = value
        assert not space.contains(bad)[0], (column, value)
