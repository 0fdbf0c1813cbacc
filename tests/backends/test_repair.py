"""The shared repair: everything it returns satisfies the space, what satisfied it stays, and it goes near."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng

from optengine.backends.repair import Repair
from optengine.core.errors import OptEngineError, SpaceError
from optengine.core.space import (
    Binary,
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

SEEDS = st.integers(0, 2**32 - 1)
KINDS = ["real", "simplex", "integer", "subset", "mixed", "conditional", "cardinality", "predicate"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(SEEDS)
def test_repaired_rows_satisfy_and_feasible_rows_stay(kind: str, makers: Any, seed: int) -> None:
    rng = default_rng(seed)
    space = makers[kind](rng)
    repair = Repair(space)
    X = space.sample(6, rng)
    if not space.blocks:
        X[:3] += rng.normal(size=X[:3].shape) * 0.3 * (space.upper - space.lower)  # outside the box too
    before = X.copy()
    Y = repair.repair(X, default_rng(1))
    assert space.satisfies(Y, tol=1e-9).all()
    assert np.array_equal(X, before)
    good = space.satisfies(X)
    assert np.array_equal(Y[good], X[good])
    assert np.array_equal(repair.repair(Y, rng), Y)
    assert np.array_equal(Repair(space).repair(X, default_rng(1)), Y)


def test_a_trivial_space_needs_no_repair() -> None:
    space = Space(x=Real(0, 1), k=Integer(0, 3), p=Permutation(4), w=Simplex(3), s=Subset(4, size=2))
    repair = Repair(space)
    X = space.sample(5, default_rng(0))
    assert repair.trivial
    assert repair.repair(X, default_rng(0)) is X
    assert not Repair(Space([(0, 1)] * 2, rows=[Row([1, 1], upper=1)])).trivial
    broken = np.array([[2.0, 1.4, 3, 3, 0, 1, 0.5, 0.5, 0.5, 1, 1, 1, 0]])
    assert space.contains(repair.repair(broken, default_rng(0))).all()


def test_the_nearest_point_in_the_unit_cube() -> None:
    space = Space(a=Real(0, 1), b=Real(0, 100), rows=[Row({"a": 1, "b": 0.01}, upper=1)])
    Y = Repair(space).repair(np.array([[0.8, 80.0]]), default_rng(0))
    np.testing.assert_allclose(Y, [[0.5, 50.0]], atol=1e-9)


def test_mixtures_keep_their_sum() -> None:
    space = Space(w=Simplex(3), rows=[Row({("w", 0): 1}, lower=0.5)])
    Y = Repair(space).repair(np.array([[0.2, 0.5, 0.3]]), default_rng(0))
    np.testing.assert_allclose(Y, [[0.5, 0.35, 0.15]], atol=1e-12)


def test_logarithmic_columns_move_on_their_scale() -> None:
    space = Space(
        a=Real(1e-4, 1, log=True), b=Real(1e-4, 1, log=True), rows=[Row({"a": 1, "b": 1}, upper=0.02)]
    )
    X = space.from_unit(np.array([[0.9, 0.3]]))
    Y = Repair(space).repair(X, default_rng(0))
    U, V = space.to_unit(X), space.to_unit(Y)
    grid = np.linspace(1e-4, 0.0199, 4000)
    candidates = np.stack([grid, np.minimum(X[0, 1], 0.02 - grid)], axis=1)
    best = np.sqrt(((space.to_unit(candidates) - U) ** 2).sum(axis=1).min())
    assert np.linalg.norm(V - U) <= 1.01 * best


def test_whole_numbers_are_near_the_exact_nearest(makers: Any) -> None:
    for kind in ("integer", "subset", "mixed", "cardinality"):
        ratios = []
        for seed in range(40):
            rng = default_rng(seed)
            space = makers[kind](rng)
            repair = Repair(space)
            X = space.sample(4, rng)
            X = X[~space.satisfies(X)]
            if not len(X):
                continue
            part, columns = repair.part(X[0]), repair.layout.columns(X[0])
            Z = np.clip(X[:, columns], part.lb, part.ub)
            Y, found = part.repair(Z)
            for y, z in zip(Y[found], Z[found], strict=True):
                nearest = part.exact.nearest(z)
                assert nearest is not None
                assert part.holds(nearest[None])[0]
                near, away = (np.abs((p - z) / part.scale).sum() for p in (nearest, y))
                ratios.append((away + 1e-9) / (near + 1e-9))
        assert np.median(ratios) <= 1.1, kind
        assert np.mean(ratios) <= 1.5, kind


def test_nearly_parallel_rows_and_single_points() -> None:
    rng = default_rng(0)
    a = rng.normal(size=10)
    rows = [Row(a + 1e-7 * rng.normal(size=10) * k, upper=float(a.sum() / 2)) for k in range(3)]
    space = Space([(0, 1)] * 10, rows=[*rows, Row(-a, upper=-float(a.sum() / 2) + 1e-6)])
    X = space.sample(200, rng)
    assert space.satisfies(Repair(space).repair(X, rng)).all()
    point = Space([(0, 1)] * 2, rows=[Row([1, 1], lower=2), Row([1, -1], 0, 0)])
    np.testing.assert_allclose(Repair(point).repair(point.sample(3, rng), rng), 1.0, atol=1e-12)


def test_parents_keep_their_values() -> None:
    space = Space(
        kind=Categorical(["u", "v"]),
        a=Real(0, 10, when=("kind", "u")),
        b=Integer(0, 10, when=("kind", "v")),
        c=Real(0, 10),
        rows=[Row({"a": 1, "b": 1, "c": 1}, 5, 6)],
    )
    X = space.sample(200, default_rng(0))
    Y = Repair(space).repair(X, default_rng(0))
    assert np.array_equal(X[:, 0], Y[:, 0])
    assert (Y[X[:, 0] == 1, 1] == 0).all()


def test_parents_that_leave_no_point_are_drawn_again() -> None:
    space = Space(
        kind=Categorical(["none", "some"]),
        on=Binary(),
        a=Real(1, 10, when=("kind", "some")),
        rows=[Row({"a": 1, "on": 1}, lower=4)],
    )
    X = space.sample(100, default_rng(0))
    Y = Repair(space).repair(X, default_rng(0))
    assert space.satisfies(Y).all()
    assert (Y[:, 0] == 1).all()
    assert space.satisfies(Repair(space).feasible_sample(50, default_rng(1))).all()


def test_a_real_that_must_not_be_0() -> None:
    space = Space(x=Real(0, 1, shape=4), rows=[Cardinality(["x"], 2, 2), Row({"x": 1}, upper=0.5)])
    Y = Repair(space).repair(np.zeros((3, 4)), default_rng(0))
    assert (np.count_nonzero(Y, axis=1) == 2).all()
    Y = Repair(space).repair(np.ones((3, 4)), default_rng(0))
    assert (np.count_nonzero(Y, axis=1) == 2).all()


def test_counting_bits_needs_no_exact_backend() -> None:
    space = Space(b=Binary(shape=30), c=Binary(), rows=[Cardinality(["b", "c"], 3, 5, name="some")])
    repair, rng = Repair(space), default_rng(0)
    Y = repair.repair(space.sample(50, rng), rng)
    assert space.satisfies(Y).all()
    assert not repair.part(Y[0]).cardinalities


def test_parents_count_in_cardinalities() -> None:
    space = Space(
        on=Binary(),
        x=Real(0, 1, shape=3, when=("on", True)),
        y=Real(0, 1, shape=3),
        rows=[Cardinality(["on", "x", "y"], 2, 3), Row({"x": 1, "y": 1}, lower=1)],
    )
    repair, rng = Repair(space), default_rng(0)
    X = space.sample(40, rng)
    Y = repair.repair(X, rng)
    assert space.satisfies(Y).all()
    assert np.array_equal(X[:, 0], Y[:, 0])


def test_a_whole_solution_whose_reals_are_a_single_point_is_settled() -> None:
    """The exact backend answers within 1e-6; what it means is found again exactly."""
    rows = [Row({"k": 7, "x": 1}, 20.5, 20.5), Row({"k": 1, "x": -1}, upper=3.0)]
    space = Space(k=Integer(0, 9), x=Real(0, 20), rows=rows)
    part = Repair(space).part(np.zeros(2))
    point = part.settle(np.array([9.0, 20.0]), np.array([1.9999996, 6.5000004]))
    assert point is not None
    assert point.tolist() == [2.0, 6.5]
    assert part.settle(np.array([9.0, 20.0]), np.array([9.0, 0.0])) is None


def test_a_broken_backend_leaves_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    space = Space(b=Binary(shape=8), rows=[Row({"b": [1, 2, 4, 8, 16, 32, 64, 128]}, 77, 77)])
    repair = Repair(space)
    part = repair.part(np.zeros(8))

    def broken(*_: Any, **__: Any) -> None:
        raise OptEngineError("HiGHS broke down")

    monkeypatch.setattr(part.exact, "_solve", broken)
    assert part.exact.nearest(np.ones(8)) is None


def test_hard_rows_go_to_the_exact_backend_and_are_remembered() -> None:
    rng = default_rng(0)
    a = rng.integers(1000, 9999, 12)
    target = int(a[:5].sum())
    space = Space(b=Binary(shape=12), rows=[Row({"b": a}, target, target)])
    repair = Repair(space)
    X = space.sample(4, rng)
    Y = repair.repair(X, rng)
    assert space.satisfies(Y).all()
    part = repair.part(X[0])
    assert 0 < len(part._known) <= 4
    part.exact.nearest = None  # type: ignore[assignment,method-assign]  # not asked again
    assert np.array_equal(repair.repair(X, rng), Y)


def test_predicates_use_their_own_repair() -> None:
    calls = []

    def even(x: dict[str, Any]) -> bool:
        return x["k"] % 2 == 0

    def make_even(x: dict[str, Any]) -> dict[str, Any]:
        calls.append(x)
        return x | {"k": x["k"] - 1}

    space = Space(
        k=Integer(0, 9),
        x=Real(0, 1),
        rows=[Row({"k": 1, "x": 1}, lower=3)],
        where=[Predicate(even, make_even)],
    )
    X = np.array([[5.0, 0.25], [4.0, 0.5]])
    Y = Repair(space).repair(X, default_rng(0))
    assert Y.tolist() == [[4.0, 0.25], [4.0, 0.5]]
    assert calls == [{"k": 5, "x": 0.25}]


def test_predicates_without_a_repair_move_to_a_neighbour() -> None:
    space = Space(x=Real(0, 1), y=Real(0, 1), where=[Predicate(lambda x: x["x"] >= x["y"], name="ordered")])
    X = space.sample(100, default_rng(0))
    Y = Repair(space).repair(X, default_rng(0))
    assert space.satisfies(Y).all()
    assert np.abs(X - Y).max(axis=1)[~space.satisfies(X)].mean() < 0.5


def test_a_predicate_nobody_meets_is_named() -> None:
    space = Space(
        x=Real(0, 1), where=[Predicate(lambda x: True, name="fine"), Predicate(lambda x: False, name="never")]
    )
    with pytest.raises(
        SpaceError, match=r"predicate 'never' of space was met by none of \d+ feasible samples"
    ):
        Repair(space).repair(np.array([[0.5]]), default_rng(0))


def test_a_repair_that_leaves_the_space_is_named() -> None:
    space = Space(x=Real(0, 1), where=[Predicate(lambda x: x["x"] > 0.9, lambda x: {"x": 2.0}, name="high")])
    with pytest.raises(SpaceError, match="repair of predicate 'high' must return a point of the space"):
        Repair(space).repair(np.array([[0.5]]), default_rng(0))


def test_rows_that_contradict_each_other_are_named() -> None:
    rows = [
        Row({"a": 1}, lower=5, name="demand"),
        Row({"a": 1, "b": 1}, upper=4, name="cap"),
        Row({"b": 1}, upper=100, name="harmless"),
    ]
    space = Space(a=Real(0, 10), b=Real(0, 1), rows=rows)
    with pytest.raises(SpaceError, match=r"rows \['demand', 'cap'\] of space have no feasible point"):
        Repair(space).repair(space.sample(2, default_rng(0)), default_rng(0))


@pytest.mark.parametrize(
    ("variables", "rows", "named"),
    [
        ({"k": Integer(0, 9, shape=2)}, [Row({"k": [2, 4]}, 5, 5)], "row 0"),  # odd
        ({"s": Subset(4, size=3)}, [Row({"s": 1}, upper=2, name="few")], "few"),
        ({"w": Simplex(3)}, [Cardinality(["w"], 0, 2), Row({"w": 1}, lower=2, name="much")], "much"),
        ({"w": Simplex(3)}, [Cardinality(["w"], 0, 0, name="none")], "none"),
        ({"x": Real(1, 2)}, [Row({"x": 0.0}, lower=1, name="empty")], "empty"),
    ],
)
def test_what_no_point_satisfies_is_proved(variables: dict[str, Any], rows: list[Any], named: str) -> None:
    space = Space(variables, rows=rows)
    with pytest.raises(SpaceError, match=f"'{named}'"):
        Repair(space).repair(space.sample(1, default_rng(0)), default_rng(0))


def test_conditions_that_leave_no_point_at_all() -> None:
    space = Space(
        kind=Categorical(["u", "v"]), a=Real(0, 1, when=("kind", "u")), rows=[Row({"a": 1}, lower=2)]
    )
    with pytest.raises(SpaceError, match="no feasible point"):
        Repair(space).feasible_sample(3, default_rng(0))


def test_what_is_no_batch_is_said() -> None:
    repair = Repair(Space([(0, 1)] * 2, rows=[Row([1, 1], upper=1)]))
    with pytest.raises(SpaceError, match=r"X must have shape \(n, 2\), got \(2,\)"):
        repair.repair(np.zeros(2), default_rng(0))
    with pytest.raises(SpaceError, match="X must be finite"):
        repair.repair(np.array([[0.0, np.nan]]), default_rng(0))
    assert repair.repair(np.zeros((0, 2)), default_rng(0)).shape == (0, 2)


def test_it_pickles(makers: Any) -> None:
    rng = default_rng(0)
    space = makers["mixed"](rng)
    repair = Repair(space)
    X = space.sample(5, rng)
    Y = repair.repair(X, default_rng(0))
    assert np.array_equal(pickle.loads(pickle.dumps(repair)).repair(X, default_rng(0)), Y)


def random_reals(seed: int) -> Space:
    rng = default_rng(seed)
    d, m = int(rng.integers(2, 30)), int(rng.integers(1, 8))
    low = rng.normal(size=d)
    high = low + 10.0 ** rng.uniform(-3, 3, d)
    inside, A = low + (high - low) * rng.random(d), rng.normal(size=(m, d))
    at, wide = A @ inside, np.abs(A) @ (high - low) * 0.03 * (rng.random(m) < 0.6)
    return Space(Real(low, high), rows=[Row(a, t - w, t + w) for a, t, w in zip(A, at, wide, strict=True)])


@pytest.mark.parametrize("n", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_no_candidate_of_ten_real_spaces_violates(n: int) -> None:
    for seed in range(10):
        space, rng = random_reals(seed), default_rng(seed)
        Y = Repair(space).repair(space.sample(n // 10, rng), rng)
        assert space.contains(Y).all()
        assert space.row_violation(Y).max() <= 1e-9


@pytest.mark.parametrize("n", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_candidate_of_ten_mixed_spaces_violates(n: int, makers: Any) -> None:
    for seed in range(10):
        rng = default_rng(seed)
        space = makers[["mixed", "cardinality", "conditional", "integer", "subset"][seed % 5]](rng)
        Y = Repair(space).repair(space.sample(n // 10, rng), rng)
        assert space.satisfies(Y, tol=1e-9).all()
