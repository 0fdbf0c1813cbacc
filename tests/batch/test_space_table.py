"""Spaces written as tables are the spaces that Python states."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

import optengine as oe
from optengine.batch.space_table import space_from_table

EVERY_KIND = """
lr = {kind = "real", low = 1e-5, high = 0.1, log = true}
depth = {kind = "integer", low = 1, high = 12, when = ["model", "tree"]}
model = {kind = "categorical", choices = ["svm", "tree", 3]}
size = {kind = "ordinal", levels = [16, 32, 64]}
flags = {kind = "binary", shape = [2, 2]}
order = {kind = "permutation", n = 5}
team = {kind = "subset", n = 6, size = [2, 3]}
mix = {kind = "simplex", n = 3, when = {model = ["svm", "tree"]}}
fine = {kind = "integer", low = 1, high = 27, fidelity = true, target = 27}
kernel = {kind = "Categorical", choices = ["rbf"], when = [["model", "svm"], ["size", 16]]}
rows = {kind = "real", low = 0, high = 1}
"""


def space(text: str) -> oe.Space:
    return space_from_table(tomllib.loads(text))


def test_every_kind_of_variable() -> None:
    named = {
        "lr": oe.Real(1e-5, 0.1, log=True),
        "depth": oe.Integer(1, 12, when=("model", "tree")),
        "model": oe.Categorical(["svm", "tree", 3]),
        "size": oe.Ordinal([16, 32, 64]),
        "flags": oe.Binary(shape=(2, 2)),
        "order": oe.Permutation(5),
        "team": oe.Subset(6, (2, 3)),
        "mix": oe.Simplex(3, when={"model": ["svm", "tree"]}),
        "fine": oe.Integer(1, 27, fidelity=True, target=27),
        "kernel": oe.Categorical(["rbf"], when=[("model", "svm"), ("size", 16)]),
        "rows": oe.Real(0, 1),
    }
    assert space(EVERY_KIND).fingerprint() == oe.Space(named).fingerprint()


def test_known_constraints() -> None:
    read = space(
        """
        a = {kind = "real", low = 0, high = 1, shape = 3}
        b = {kind = "integer", low = 0, high = 9}
        rows = [{coefficients = {a = [1, 2, 3], b = 0.5}, upper = 4}, {coefficients = {"a[1]" = 1}, lower = 0.1},
                {names = ["a", "b"], upper = 2}]
        where = ["math:isfinite"]
        """
    )
    stated = oe.Space(
        a=oe.Real(0, 1, shape=3),
        b=oe.Integer(0, 9),
        rows=[oe.Row({"a": [1, 2, 3], "b": 0.5}, upper=4), oe.Row({("a", 1): 1}, lower=0.1),
              oe.Cardinality(["a", "b"], upper=2)],
        where=[oe.Predicate(lambda x: True, name="math:isfinite")],
    )  # fmt: skip
    assert read.fingerprint() == stated.fingerprint()


@pytest.mark.parametrize(
    ("value", "stated"),
    [
        ([[0, 1], [-2, 2]], oe.Space([(0, 1), (-2, 2)])),
        ({"kind": "permutation", "n": 4}, oe.Space(oe.Permutation(4))),
        ({"kind": {"kind": "binary"}}, oe.Space(kind=oe.Binary())),
    ],
)
def test_unnamed_spaces(value: Any, stated: oe.Space) -> None:
    assert space_from_table(value).fingerprint() == stated.fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 3", "variable 'x' must be a table"),
        ("x = {low = 0, high = 1}", "must be a table like"),
        ('x = {kind = "permutaton", n = 3}', "did you mean 'permutation'"),
        ('x = {kind = "real", low = 0, hihg = 1}', "no key 'hihg'.*did you mean 'high'"),
        ('x = {kind = "real"}', "needs low and high"),
        ('x = {kind = "real", low = 2, high = 1}', "low of Real"),
        ('x = {kind = "binary", when = ["y", 1]}', "'y'"),
        ('x = {kind = "binary"}\nrows = [{upper = 1}]', "rows must be tables"),
        ('x = {kind = "binary"}\nrows = [{coefficients = {z = 1}, upper = 1}]', "'z'"),
        ('x = {kind = "binary"}\nrows = [{coefficients = {x = 1}, uper = 1}]', "did you mean 'upper'"),
        ('x = {kind = "binary"}\nwhere = ["nothing"]', "where must be 'module:function'"),
        ("", "space must be a table"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(oe.OptEngineError, match=message):
        space(text)
