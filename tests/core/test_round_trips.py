"""Every kind of variable: sampled inside, encoded and decoded exactly, mapped to the unit cube and back."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

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
)
from optengine.core.space import CATEGORICAL, REAL, SIMPLEX
from optengine.core.spaceio import space_from_dict, space_to_dict
from optengine.core.variables import Variable

shapes = st.sampled_from([(), (), (1,), (3,), (2, 2)])
finite = st.floats(-1e6, 1e6)
positive = st.floats(1e-6, 1e6)
texts = st.text(min_size=0, max_size=4)
levels = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(-5, 5), texts, st.tuples(texts, texts)
)


def ordered(bounds: tuple[Any, Any]) -> tuple[Any, Any]:
    return min(bounds), max(bounds)


reals = st.builds(lambda b, s: Real(*ordered(b), shape=s), st.tuples(finite, finite), shapes)
logs = st.builds(lambda b, s: Real(*ordered(b), log=True, shape=s), st.tuples(positive, positive), shapes)
whole = st.integers(-(2**40), 2**40)
integers = st.builds(lambda b, s: Integer(*ordered(b), shape=s), st.tuples(whole, whole), shapes)
counts = st.integers(1, 2**30)
log_integers = st.builds(
    lambda b, s: Integer(*ordered(b), log=True, shape=s), st.tuples(counts, counts), shapes
)
distinct = st.lists(levels, min_size=1, max_size=5, unique_by=lambda v: (type(v).__name__, v))
categoricals = st.builds(lambda c, s: Categorical(c, shape=s), distinct, shapes)
numbers = st.lists(st.integers(-50, 50), min_size=1, max_size=5, unique=True).map(sorted)
ordinals = st.one_of(
    st.builds(lambda c, s: Ordinal(c, shape=s), numbers, shapes),
    st.builds(Ordinal, st.lists(numbers, min_size=1, max_size=4)),
    st.builds(lambda c: Ordinal([f"level {i}" for i in c]), numbers),
)
binaries = st.builds(lambda s: Binary(shape=s), shapes)
permutations = st.builds(lambda n, s: Permutation(n, shape=s), st.integers(1, 9), shapes)
sizes = st.tuples(st.integers(1, 8), st.integers(0, 8), st.integers(0, 8))
subsets = st.builds(
    lambda n, s: Subset(n[0], ordered((min(n[1], n[0]), min(n[2], n[0]))), shape=s), sizes, shapes
)
simplexes = st.builds(lambda n, s: Simplex(n, shape=s), st.integers(1, 9), shapes)

KINDS = {
    "real": reals,
    "log real": logs,
    "integer": integers,
    "log integer": log_integers,
    "categorical": categoricals,
    "ordinal": ordinals,
    "binary": binaries,
    "permutation": permutations,
    "subset": subsets,
    "simplex": simplexes,
}
HARD_CORNERS = np.array([0.0, 1.0, 0.5, 0.25])


def points(space: Space, seed: int) -> Any:
    """Random points, and those of the corners of the unit cube."""
    rng = np.random.default_rng(seed)
    corners = np.repeat(HARD_CORNERS[:, None], space.width, axis=1)
    return np.concatenate([space.sample(3, rng), space.from_unit(corners)])


def equal(a: Any, b: Any) -> bool:
    """Equality of decoded values of one kind."""
    return type(a) is type(b) and bool(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b)


@pytest.mark.parametrize("kind", KINDS)
def test_round_trips(kind: str) -> None:
    @settings(max_examples=500)
    @given(KINDS[kind], st.integers(0, 2**32 - 1), st.booleans())
    def check(variable: Variable, seed: int, named: bool) -> None:
        space = Space(v=variable) if named else Space(variable)
        X = points(space, seed)
        assert X.shape == (7, variable.n_columns)
        assert X.flags.c_contiguous
        assert space.contains(X).all()
        assert not np.signbit(X[X == 0]).any()  # two zeros would be two points to whoever compares bytes

        decoded = space.decode(X)
        encoded = space.encode(decoded)
        assert np.array_equal(encoded, X)
        again = space.decode(encoded)
        for one, other in zip(decoded, again, strict=True):
            assert equal(one["v"], other["v"]) if named else equal(one, other)
        single = space.encode(decoded[0])
        assert single.shape == (1, space.width)
        assert np.array_equal(single[0], X[0])

        U = space.to_unit(X)
        assert ((U >= 0) & (U <= 1)).all()
        back = space.from_unit(U)
        if variable.kind in (REAL, SIMPLEX):
            scale = np.abs(X) + (0 if space.log.any() else space.upper - space.lower)
            assert (np.abs(back - X) <= 1e-9 * scale + 1e-12).all()
        else:
            assert np.array_equal(back, X)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_columns_show_what_decode_shows(kind: str) -> None:
    @settings(max_examples=60)
    @given(KINDS[kind], st.integers(0, 2**32 - 1))
    def check(variable: Variable, seed: int) -> None:
        space = Space(v=variable)
        X = points(space, seed)
        table = space.columns(X)["v"]
        for row, x in zip(table, space.decode(X), strict=True):
            value = x["v"]
            if isinstance(variable, Subset) and not variable.shape:
                row = np.flatnonzero(row)
            if isinstance(value, np.ndarray):
                assert np.array_equal(row, value)
            else:
                assert row == value or (row is None and value is None)
        before = X.copy()
        table[...] = table[:1].copy()  # an objective may write into what it is given
        assert np.array_equal(X, before)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_are_points_one_step_away(kind: str) -> None:
    @settings(max_examples=100)
    @given(KINDS[kind], st.integers(0, 2**32 - 1))
    def check(variable: Variable, seed: int) -> None:
        space = Space(v=variable)
        X = points(space, seed)
        before = X.copy()
        Y = space.neighbours(X, np.random.default_rng(seed), scale=0.2)
        assert np.array_equal(X, before)
        assert space.contains(Y).all()
        changed = (X != Y).reshape(len(X), variable.size, -1).any(axis=2).sum(axis=1)
        assert (changed <= 1).all()
        movable = (space.lower < space.upper).any() and not (
            (isinstance(variable, (Permutation, Simplex)) and variable.n == 1)
            or (isinstance(variable, Subset) and variable.size_ in ((0, 0), (variable.n, variable.n)))
        )
        if variable.kind not in (REAL, SIMPLEX):
            assert (changed == (1 if movable else 0)).all()
        if variable.kind == CATEGORICAL and movable:
            assert (X != Y).any(axis=1).all()

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_spaces_come_back_from_json_and_pickle(kind: str) -> None:
    @settings(max_examples=40)
    @given(KINDS[kind], st.integers(0, 2**32 - 1), st.booleans())
    def check(variable: Variable, seed: int, named: bool) -> None:
        space = Space(v=variable) if named else Space(variable)
        X = points(space, seed)
        for twin in (space_from_dict(space_to_dict(space)), pickle.loads(pickle.dumps(space))):
            assert twin.fingerprint() == space.fingerprint()
            assert np.array_equal(twin.encode(space.decode(X)), X)
            assert np.array_equal(twin.lower, space.lower)
            assert np.array_equal(twin.upper, space.upper)

    check()
