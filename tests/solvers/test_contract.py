"""What every run that is asked and told must keep, whatever it is told: random spaces, random tells."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.space import (
    Binary,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Real,
    Simplex,
    Space,
    Subset,
    Variable,
)
from optengine.solvers.cem import CEM
from optengine.solvers.random_search import RandomSearch
from optengine.solvers.sobol import Sobol

SOLVERS = (CEM(), CEM(population=6), CEM(population=2), RandomSearch(population=7), Sobol(population=5))

EVERY_KIND = Space(
    r=Real(-2, 3, shape=2),
    lr=Real(1e-5, 1e-1, log=True),
    one=Real(4, 4),
    k=Integer(-3, 9),
    lk=Integer(1, 1000, log=True),
    o=Ordinal([1, 10, 100]),
    c=Categorical(["u", "v", "w"]),
    b=Binary(shape=3),
    p=Permutation(5),
    pp=Permutation(3, shape=2),
    s=Subset(6, size=2),
    ss=Subset(4, size=(1, 3), shape=2),
    m=Simplex(3),
    svm=Real(0, 1, when=("c", "u")),
    tour=Permutation(4, when=("c", ["v", "w"])),
)


@st.composite
def variables(draw: st.DrawFn, when: Any = None) -> Variable:
    """One variable of any kind, the smallest and the degenerate ones included."""
    n, size = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    shape = draw(st.sampled_from([(), (size,)]))
    low = draw(st.floats(-1e6, 1e6))
    low_size = draw(st.integers(0, n))
    kinds: list[Variable] = [
        Real(low, low + draw(st.floats(0, 1e6)), shape=shape, when=when),
        Real(
            10.0 ** draw(st.integers(-9, 0)),
            10.0 ** draw(st.integers(0, 9)),
            log=True,
            shape=shape,
            when=when,
        ),
        Integer(round(low), round(low) + draw(st.integers(0, 10**6)), shape=shape, when=when),
        Integer(draw(st.integers(1, 5)), draw(st.integers(5, 10**6)), log=True, shape=shape, when=when),
        Ordinal([10.0**k for k in range(n)], shape=shape, when=when),
        Categorical(list(range(n)), shape=shape, when=when),
        Binary(shape=shape, when=when),
        Permutation(n, shape=shape, when=when),
        Subset(n, size=(low_size, draw(st.integers(low_size, n))), shape=shape, when=when),
        Simplex(n, shape=shape, when=when),
    ]
    return draw(st.sampled_from(kinds))


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """A few variables of any kind; some hang on a category."""
    free = draw(st.lists(variables(), min_size=1, max_size=4))
    hanging = draw(st.lists(variables(when=("which", ["a", "b"])), max_size=2))
    named: dict[str, Variable] = {f"v{i}": v for i, v in enumerate(free)}
    if hanging:
        named["which"] = Categorical(["a", "b", "c"])
        named |= {f"w{i}": v for i, v in enumerate(hanging)}
    return Space(named)


def nothing(X: np.ndarray) -> np.ndarray:
    return np.zeros(len(X))


def problem_over(space: Space) -> Problem:
    return Problem(nothing, space, call="encoded", vectorized=True)


def outcome(X: np.ndarray, rng: np.random.Generator, failing: float, constrained: bool) -> Evaluation:
    F = rng.integers(0, 5, (len(X), 1)).astype(float)  # many ties
    F[rng.random(len(X)) < failing] = np.nan
    return Evaluation.of(F, rng.normal(size=(len(X), 2)) if constrained else None)


CALM = {"solver": CEM(population=6), "seed": 0, "failing": 0.0, "constrained": False}


@example(space=Space(a=Real(0, 1), fixed=Real(0, 0), b=Real(0, 1)), **CALM)
@example(space=Space(a=Integer(1, 5, log=True), b=Real(708, 711)), **CALM)
@example(space=Space(a=Permutation(2), b=Simplex(2), c=Subset(2, size=0)), **CALM)
@given(
    space=spaces(),
    solver=st.sampled_from(SOLVERS),
    seed=st.integers(0, 10**6),
    failing=st.sampled_from([0.0, 0.3, 1.0]),
    constrained=st.booleans(),
)
def test_every_point_is_in_the_space_whatever_is_told(
    space: Space, solver: Any, seed: int, failing: float, constrained: bool
) -> None:
    rng = np.random.default_rng(seed)
    run = solver.start(problem_over(space), np.random.default_rng(seed))
    if rng.random() < 0.5:  # warm start
        X = space.sample(int(rng.integers(1, 30)), rng)
        warm = outcome(X, rng, failing, constrained)
        warm.ids = np.full(len(X), -1)
        run.tell(X, warm)
    pending: list[tuple[np.ndarray, np.ndarray]] = []
    asked = 0
    for _ in range(12):
        n = None if rng.random() < 0.3 else int(rng.integers(1, 2 * run.batch))
        X = run.ask(n)
        assert X.shape == (n or len(X), space.width)
        assert X.dtype == np.float64
        assert space.contains(X).all()
        pending.append((X, np.arange(asked, asked + len(X))))
        asked += len(X)
        if rng.random() < 0.6:  # tell some rows of several asks, out of order, some of them repaired
            X = np.concatenate([x for x, _ in pending])
            ids = np.concatenate([i for _, i in pending])
            order = rng.permutation(len(X))[: int(rng.integers(0, len(X) + 1))]
            repaired = np.where(rng.random((len(order), 1)) < 0.2, space.sample(len(order), rng), X[order])
            evaluation = outcome(repaired, rng, failing, constrained)
            evaluation.ids = ids[order]
            run.tell(repaired, evaluation)
            rest = np.setdiff1d(np.arange(len(X)), order)
            pending = [(X[rest], ids[rest])]


def travel(solver: Any, space: Space, seed: int, generations: int) -> tuple[Any, np.ndarray]:
    """A run on a fixed random linear function of the unit cube, and all that it asked."""
    run = solver.start(problem_over(space), np.random.default_rng(seed))
    slope = np.random.default_rng(99).normal(size=space.width)
    asked = []
    for _ in range(generations):
        X = run.ask()
        asked.append(X)
        run.tell(X, Evaluation.of(space.to_unit(X) @ slope))
    return run, np.concatenate(asked)


@pytest.mark.parametrize("solver", [CEM(population=20), RandomSearch(), Sobol()], ids=repr)
def test_a_seed_is_a_run(solver: Any) -> None:
    _, first = travel(solver, EVERY_KIND, 1, 6)
    _, again = travel(solver, EVERY_KIND, 1, 6)
    _, other = travel(solver, EVERY_KIND, 2, 6)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("solver", [CEM(population=20), RandomSearch(), Sobol()], ids=repr)
def test_a_pickled_run_goes_on_as_if_nothing_happened(solver: Any) -> None:
    run, _ = travel(solver, EVERY_KIND, 3, 5)
    X = run.ask(4)  # pending when it is pickled
    twin = pickle.loads(pickle.dumps(run))
    for each in (run, twin):
        each.tell(X, Evaluation.of(np.arange(4.0)))
    for _ in range(4):
        X, Y = run.ask(), twin.ask()
        np.testing.assert_array_equal(X, Y)
        for each in (run, twin):
            each.tell(X, Evaluation.of(X.sum(axis=1)))


@pytest.mark.parametrize("solver", [CEM(), RandomSearch(), Sobol()], ids=repr)
def test_fidelities_stand_at_their_targets(solver: Any) -> None:
    space = Space(
        x=Real(0, 1), epochs=Integer(1, 100, fidelity=True), size=Real(0.1, 1.0, fidelity=True, target=0.5)
    )
    run, X = travel(solver, space, 0, 3)
    assert (X[:, 1] == 100).all()
    assert (X[:, 2] == 0.5).all()
    assert space.at_target(run.ask(5)).all()


@pytest.mark.parametrize(
    ("solver", "option", "value"),
    [
        (RandomSearch, "population", 0),
        (RandomSearch, "population", 2.5),
        (RandomSearch, "population", True),
        (Sobol, "population", -1),
        (Sobol, "scramble", 1),
        (CEM, "population", 1),
        (CEM, "population", 64.0),
        (CEM, "elite_fraction", 0.0),
        (CEM, "elite_fraction", 1.5),
        (CEM, "elite_fraction", "0.1"),
        (CEM, "weights", "rank"),
        (CEM, "alpha_mean", 0),
        (CEM, "alpha_sigma", 2),
        (CEM, "beta", float("nan")),
        (CEM, "q", -7),
        (CEM, "q", float("inf")),
        (CEM, "alpha", None),
        (CEM, "floor", 1.0),
        (CEM, "sigma_0", 0.0),
        (CEM, "sigma_min", 1e-20),
        (CEM, "margin", 0),
        (CEM, "keep", -0.1),
        (CEM, "local", True),
        (CEM, "stagnation", 0),
        (CEM, "restarts", "sometimes"),
        (CEM, "growth", 0.5),
    ],
)
def test_options_are_checked(solver: Any, option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=option) as caught:
        solver(**{option: value})
    assert repr(value) in str(caught.value)
    assert "must be" in str(caught.value)


@pytest.mark.parametrize("solver", [CEM, RandomSearch, Sobol])
def test_options_are_frozen_and_keyword_only(solver: Any) -> None:
    with pytest.raises(AttributeError):
        solver().population = 3
    with pytest.raises(TypeError):
        solver(10)
    assert solver().replayable
