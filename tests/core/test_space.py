"""Spaces: layout of the columns, conditions, what they refuse, what they say about themselves."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine import (
    Binary,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Real,
    Simplex,
    Space,
    Subset,
    as_space,
)
from optengine.core.spaceio import space_from_dict, space_to_dict
from optengine.core.variables import Variable

# -- random spaces ----------------------------------------------------------------------------------------------------

PARENTS: dict[str, tuple[Variable, list[Any]]] = {
    "choice": (Categorical(["svm", "knn", None]), ["svm", "knn", None]),
    "depth": (Integer(1, 3), [1, 2, 3]),
    "size": (Ordinal([16, 64]), [16, 64]),
    "flag": (Binary(), [True, False]),
}


def leaf(kind: str, when: Any) -> Variable:
    made: dict[str, Variable] = {
        "real": Real(-1, 2, when=when),
        "log": Real(1e-4, 1.0, log=True, shape=2, when=when),
        "integer": Integer(-2, 2, when=when),
        "choice": Categorical([None, "a", ("b", 1)], when=when),
        "levels": Ordinal([1, 4, 9], shape=2, when=when),
        "flags": Binary(shape=2, when=when),
        "order": Permutation(4, when=when),
        "set": Subset(5, (1, 3), when=when),
        "shares": Simplex(3, when=when),
    }
    return made[kind]


LEAVES = ["real", "log", "integer", "choice", "levels", "flags", "order", "set", "shares"]


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Some of the parents, a second generation that hangs on them, a third that hangs on those, in any order."""
    parents = draw(st.lists(st.sampled_from(sorted(PARENTS)), min_size=1, max_size=4, unique=True))
    variables: dict[str, Variable] = {name: PARENTS[name][0] for name in parents}

    def condition(names: list[str]) -> Any:
        chosen = draw(st.lists(st.sampled_from(names), min_size=0, max_size=2, unique=True))
        pick = {name: PARENTS[name.rstrip("'")][1] for name in chosen}
        return {
            n: draw(st.lists(st.sampled_from(v), min_size=1, unique=True)) for n, v in pick.items()
        } or None

    for name in parents:  # the same kinds once more, conditional: parents that may be inactive
        if draw(st.booleans()):
            variable = {
                "choice": lambda when: Categorical(["svm", "knn", None], when=when),
                "depth": lambda when: Integer(1, 3, when=when),
                "size": lambda when: Ordinal([16, 64], when=when),
                "flag": lambda when: Binary(when=when),
            }[name]
            variables[name + "'"] = variable(condition(parents))
    possible = list(variables)
    for i, kind in enumerate(draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=5))):
        variables[f"{kind}{i}"] = leaf(kind, condition(possible))
    names = draw(st.permutations(list(variables)))
    return Space({name: variables[name] for name in names})


def holds(space: Space, name: str, x: dict[str, Any]) -> bool:
    """Whether a variable is active in the point x, read off its conditions: the definition."""
    return all(p in x and any(x[p] is v or x[p] == v for v in values) for p, values in space[name].conditions)


@settings(max_examples=200)
@given(spaces(), st.integers(0, 2**32 - 1))
def test_conditional_spaces(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = space.sample(6, rng)
    assert space.contains(X).all()
    assert space.satisfies(X).all()
    assert np.array_equal(space.canonical(X), X)

    points = space.decode(X)
    for x in points:  # the inactive are absent, the active are there
        assert set(x) == {name for name in space.names if holds(space, name, x)}
    assert np.array_equal(space.encode(points), X)
    keywords = [{name: x.get(name) for name in space.names} for x in points]
    assert np.array_equal(space.encode(keywords), X)  # None by keyword stands for absent

    active = space.active(X)
    for row, x in zip(active, points, strict=True):
        for name, columns in space.slices.items():
            assert (row[columns] == (name in x)).all()
    assert np.allclose(space.from_unit(space.to_unit(X)), X, rtol=1e-12, atol=1e-12)

    Y = space.neighbours(X, rng)
    assert space.contains(Y).all()
    twin = space_from_dict(json.loads(json.dumps(space_to_dict(space))))
    assert np.array_equal(twin.encode(points), X)
    assert pickle.loads(pickle.dumps(space)).decode(X)[0].keys() == points[0].keys()


def test_inactive_parents_make_their_children_inactive() -> None:
    space = Space(
        kernel=Categorical(["rbf", "poly"], when=("kind", "svm")),
        degree=Integer(2, 5, when={"kind": "svm", "kernel": "poly"}),
        kind=Categorical(["svm", "ridge"]),
        gamma=Real(1, 2, when=("kernel", ["rbf"])),
    )
    assert space.decode(space.encode({"kind": "ridge", "kernel": "poly", "degree": 4})) == [{"kind": "ridge"}]
    assert space.encode({"kind": "ridge"}).tolist() == [[0, 2, 1, 1]]
    assert space.active(np.array([[0.0, 5, 1, 2]])).tolist() == [
        [False, False, True, False]
    ]  # kernel=rbf is not live
    assert not space.contains(np.array([[1.0, 2, 1, 1]]))[
        0
    ]  # an inactive column away from its canonical value
    assert space.decode(space.encode({"kind": "svm", "kernel": "poly", "degree": 3})) == [
        {"kernel": "poly", "degree": 3, "kind": "svm"}
    ]
    assert space.parents.tolist() == [0, 2]


# -- layout -----------------------------------------------------------------------------------------------------------


def test_columns_and_their_constants() -> None:
    space = Space(
        lr=Real(1e-5, 1e-1, log=True),
        depth=Integer(1, 12),
        kind=Categorical(["gini", "entropy"]),
        size=Ordinal([[1, 2, 4], [8, 16]]),
        on=Binary(),
        order=Permutation(3),
        chosen=Subset(4, 2),
        share=Simplex(2),
    )
    assert space.width == len(space.kind) == 3 + 2 + 1 + 3 + 4 + 2
    assert space.kind.tolist() == [0, 1, 2, 3, 3, 4, 5, 5, 5, 6, 6, 6, 6, 7, 7]
    assert space.n_levels.tolist() == [0, 12, 2, 3, 2, 2, 3, 3, 3, 2, 2, 2, 2, 0, 0]
    assert space.lower.tolist() == [1e-5, 1] + [0] * 13
    assert space.upper.tolist() == [1e-1, 12, 1, 2, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1]
    assert space.log.tolist() == [True] + [False] * 14
    assert [(b.start, b.stop, b.size_low, b.size_high) for b in space.blocks] == [
        (6, 9, 0, 0),
        (9, 13, 2, 2),
        (13, 15, 0, 0),
    ]
    assert space.column_names()[:6] == ["lr", "depth", "kind", "size[0]", "size[1]", "on"]
    assert space.column_names()[-2:] == ["share[0]", "share[1]"]
    x = space.decode(space.encode([{"lr": 1e-3, "depth": 3, "kind": "gini", "size": [4, 8], "on": True,
                                    "order": [2, 0, 1], "chosen": {3, 1}, "share": [0.25, 0.75]}]))[0]  # fmt: skip
    assert (x["lr"], x["depth"], x["kind"], x["on"]) == (1e-3, 3, "gini", True)
    assert [type(x[name]) for name in ("lr", "depth", "on")] == [float, int, bool]
    assert x["size"].tolist() == [4, 8]
    assert x["order"].tolist() == [2, 0, 1]
    assert x["chosen"].tolist() == [1, 3]
    assert x["share"].tolist() == [0.25, 0.75]
    assert len(space) == 8
    assert "lr" in space
    assert "eta" not in space
    assert space.fidelity == {}
    assert not space.constrained
    assert not space.conditional
    assert "lr=Real(1e-05, 0.1, log=True)" in repr(space)


def test_unnamed_spaces_show_arrays() -> None:
    bounds = as_space([(0, 1), (2, 5)])
    assert not bounds.named
    assert bounds.decode(bounds.encode([0.5, 3]))[0].tolist() == [0.5, 3.0]
    assert bounds.encode([[0, 2], [1, 5]]).shape == (2, 2)
    assert bounds.columns(bounds.encode([[0, 2], [1, 5]])).shape == (2, 2)
    assert repr(as_space(Permutation(12))) == "Space(Permutation(12))"
    assert as_space(Permutation(3)).encode([[2, 1, 0], [0, 1, 2]]).shape == (2, 3)
    assert as_space(Real(0, 1)).encode([0.1, 0.2, 0.3]).shape == (3, 1)
    assert as_space(Real(0, 1)).decode(np.array([[0.5]])) == [0.5]
    chosen = as_space(Subset(5))
    assert chosen.encode([0, 3]).tolist() == [[1, 0, 0, 1, 0]]
    assert chosen.encode({0, 3}).tolist() == [[1, 0, 0, 1, 0]]
    assert chosen.encode([]).tolist() == [[0, 0, 0, 0, 0]]
    assert chosen.encode([[0], [], [1, 2]]).shape == (3, 5)
    assert chosen.encode([(0,), {1, 2}]).shape == (2, 5)
    masks = as_space(Subset(3, shape=2))
    assert masks.encode([[1, 0, 0], [1, 1, 0]]).tolist() == [[1, 0, 0, 1, 1, 0]]
    pairs = as_space(Categorical([("a", 1), ("b", 2)]))
    assert pairs.encode(("b", 2)).tolist() == [[1]]
    assert pairs.encode([("b", 2), ("a", 1)]).tolist() == [[1], [0]]
    grid = as_space(Categorical([("a", 1), ("b", 2)], shape=2))
    assert grid.encode([("b", 2), ("a", 1)]).tolist() == [[1, 0]]
    same = as_space({"a": Real(0, 1)})
    assert as_space(same) is same


def test_a_space_of_one_hundred_thousand_columns_is_quick() -> None:
    space = as_space(Ordinal([1.0, 1.5, 4.0], shape=100_000))
    X = space.sample(2, np.random.default_rng(0))
    assert space.columns(X).shape == (2, 100_000)
    assert space.decode_one(X[0]).shape == (100_000,)
    different = as_space(Ordinal([[1.0, 2.0 + i] for i in range(2000)]))
    X = different.sample(2, np.random.default_rng(0))
    assert np.array_equal(different.columns(X)[1], different.decode_one(X[1]))
    assert np.array_equal(different.encode(different.decode_one(X[0])), X[:1])


@pytest.mark.parametrize(
    ("space", "count"),
    [
        (Space(a=Real(0, 1)), None),
        (Space(a=Real(1, 1), b=Integer(1, 3)), 3),
        (Space(a=Categorical(["abc"]), b=Ordinal([1, 2]), c=Binary(shape=2)), 8),
        (Space(a=Permutation(4)), 24),
        (Space(a=Subset(4), b=Subset(4, 2), c=Subset(4, (1, 2))), 16 * 6 * 10),
        (Space(a=Simplex(2)), None),
        (Space(a=Simplex(1)), 1),
    ],
)
def test_number_of_points(space: Space, count: int | None) -> None:
    assert space.cardinality() == count


def test_samples_are_uniform() -> None:
    """Each level, each first item, each pair as often as any other: within five standard errors."""
    n = 20_000
    space = Space(
        i=Integer(0, 4), c=Categorical([1, 2, 3]), p=Permutation(4), s=Subset(5, 2), b=Binary(), x=Simplex(3)
    )
    X = space.sample(n, np.random.default_rng(7))
    columns = space.columns(X)
    for values, k in (
        (columns["i"], 5),
        (columns["c"].astype(int), 3),
        (columns["p"][:, 0], 4),
        (columns["b"], 2),
    ):
        counts = np.unique(values, return_counts=True)[1]
        assert len(counts) == k
        assert (abs(counts - n / k) < 5 * np.sqrt(n / k)).all()
    pairs = np.unique(X[:, space.slices["s"]], axis=0, return_counts=True)[1]
    assert len(pairs) == 10
    assert (abs(pairs - n / 10) < 5 * np.sqrt(n / 10)).all()
    first = columns["x"][:, 0]  # uniform on the simplex: Beta(1, 2), mean 1/3, variance 1/18
    assert abs(first.mean() - 1 / 3) < 5 * np.sqrt(1 / 18 / n)
    logs = Space(a=Real(1e-4, 1.0, log=True)).sample(n, np.random.default_rng(8))[:, 0]
    assert abs((logs < 1e-2).mean() - 0.5) < 5 * np.sqrt(0.25 / n)


def test_simplexes_of_a_thousand_shares_survive_the_unit_cube() -> None:
    space = as_space(Simplex(2000))
    x = np.zeros(2000)
    x[[3, 700]] = 0.8, 0.2
    assert np.allclose(space.from_unit(space.to_unit(x[None])), x, atol=1e-12)


def test_fidelities_know_their_targets() -> None:
    space = Space(
        x=Real(0, 1),
        epochs=Integer(1, 50, fidelity=True),
        data=Ordinal([0.1, 0.5, 1.0], fidelity=True, target=0.5),
    )
    assert space.fidelity == {"epochs": (1, 50.0), "data": (2, 1.0)}
    X = space.encode([{"x": 0, "epochs": 50, "data": 0.5}, {"x": 0, "epochs": 50, "data": 1.0}])
    assert space.at_target(X).tolist() == [True, False]


def test_public_names() -> None:
    assert oe.Space is Space
    with pytest.raises(AttributeError, match="did you mean 'Space'"):
        _ = oe.Spaec
