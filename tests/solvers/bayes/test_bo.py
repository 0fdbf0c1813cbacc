"""Bayesian optimization, the fast engine: what it promises in each kind of space."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.solver import StopAsking
from optengine.core.space import (
    Binary,
    Categorical,
    Integer,
    Permutation,
    Predicate,
    Real,
    Row,
    Simplex,
    Space,
)
from optengine.solvers.bayes import BO, TorchOptions
from optengine.solvers.bayes.points import all_points
from optengine.solvers.bayes.region import LEAST, Region


def branin(x: Any) -> float:
    a, b = x
    ridge = b - 5.1 / (4 * np.pi**2) * a * a + 5 / np.pi * a - 6
    return float(ridge**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10 - 0.397887)


BRANIN = oe.Problem(branin, [(-5, 10), (0, 15)], name="branin")


def gramacy(x: Any) -> dict[str, float]:
    a, b = x
    wave = np.sin(2 * np.pi * (a * a - 2 * b))
    return {"f": a + b, "c1": 1.5 - a - 2 * b - 0.5 * wave, "c2": a * a + b * b - 1.5}


def run_on(problem: oe.Problem, n: int, seed: int = 0, **options: Any) -> tuple[Any, np.ndarray]:
    """A run asked and told n times, and what it asked."""
    run = BO(**options).start(problem, np.random.default_rng(seed))
    asked = []
    for i in range(n):
        X = run.ask(1)
        evaluation = problem.evaluate(X)
        evaluation.ids = np.array([i])
        run.tell(X, evaluation)
        asked.append(X[0])
    return run, np.array(asked)


def test_branin() -> None:
    assert oe.solve(BRANIN, solver="bo", budget=35, seed=1).fun < 0.05


def test_constraints() -> None:
    problem = oe.Problem(gramacy, [(0, 1)] * 2, objectives="f", constraints=["c1", "c2"])
    result = oe.solve(problem, solver="bo", budget=30, seed=1)
    assert result.feasible
    assert result.fun < 0.5998 + 1e-3


def test_nothing_feasible_yet() -> None:
    """A feasible corner of a thousandth of the space is found by the probability of feasibility."""
    problem = oe.Problem(
        lambda x: {"f": float(x[0]), "g": float(((x - 0.93) ** 2).sum()) - 0.02},
        [(0, 1)] * 3,
        objectives="f",
        constraints=["g"],
    )
    assert oe.solve(problem, solver="bo", budget=30, seed=0).feasible


def test_noise() -> None:
    rng = np.random.default_rng(0)
    problem = oe.Problem(lambda x: branin(x) + 3.0 * rng.normal(), [(-5, 10), (0, 15)], noisy=True)
    result = oe.solve(problem, solver="bo", budget=35, seed=0)
    assert np.median([branin(x) for x in result.history.X[-8:]]) < 5.0  # of random points it is 38
    assert result.details["noise"] > 1e-4


def test_reported_and_given_noise_are_used() -> None:
    problem = oe.Problem(branin, [(-5, 10), (0, 15)])
    run, _ = run_on(problem, 12, noise=2.0)
    run.ask(1)
    noise = run._model.data[2]
    assert np.isfinite(noise).all()


@pytest.mark.parametrize("acquisition", ["logei", "qlognei"])
@pytest.mark.parametrize("noisy", [False, True])
def test_both_acquisitions_take_exact_and_noisy_values(acquisition: str, noisy: bool) -> None:
    problem = oe.Problem(branin, [(-5, 10), (0, 15)], noisy=noisy)
    run, asked = run_on(problem, 14, acquisition=acquisition)
    assert min(branin(x) for x in asked) < 20
    score = run._model.score(run._told)
    assert len(score.best) == (16 if acquisition == "qlognei" else 1)


def test_a_small_space_is_used_up_without_a_duplicate() -> None:
    space = Space(a=Categorical(list("xyz")), b=Categorical(list("rstu")), c=Categorical(list("abcde")))
    problem = oe.Problem(lambda a, b, c: float(ord(a) * ord(b) % 7 + (c == "d")), space)
    run, asked = run_on(problem, 60)
    assert len(np.unique(asked, axis=0)) == 60
    with pytest.raises(StopAsking):
        run.ask(1)
    result = oe.solve(problem, solver="bo", budget=100, seed=0)
    assert (result.n_evaluations, str(result.status)) == (60, "converged")


def test_a_last_batch_may_be_short() -> None:
    run = BO().start(oe.Problem(lambda x: 0.0, Space(Integer(0, 4))), np.random.default_rng(0))
    assert run.ask(3).shape == (3, 1)
    assert run.ask(3).shape == (2, 1)
    with pytest.raises(StopAsking):
        run.ask(1)


def test_all_points() -> None:
    conditional = Space(kind=Categorical(["u", "v"]), a=Integer(0, 3, when=("kind", "u")), b=Binary())
    points = all_points(conditional)
    assert points is not None
    assert len(points) == (4 + 1) * 2
    ordered = all_points(Space(p=Permutation(3), k=Integer(0, 1)))
    assert ordered is not None
    assert len(ordered) == 12
    held = all_points(Space(Binary(shape=4), rows=[Row([1, 1, 1, 1], upper=1)]))
    assert held is not None
    assert len(held) == 5
    assert all_points(Space(Binary(shape=20))) is None
    assert all_points(Space(x=Real(0, 1))) is None


def test_no_duplicates_in_a_large_discrete_space() -> None:
    space = Space(n=Integer(0, 300), m=Integer(0, 300), c=Categorical(list("abc")))
    problem = oe.Problem(lambda n, m, c: float((n - 40) ** 2 + (m - 200) ** 2 + (c == "b")), space)
    _, asked = run_on(problem, 30)
    assert len(np.unique(asked, axis=0)) == 30


def test_pending_points_are_apart() -> None:
    run, _ = run_on(BRANIN, 8)
    pending = np.concatenate([run.ask(1) for _ in range(4)])
    U = BRANIN.space.to_unit(pending)
    apart = np.abs(U[:, None, :] - U[None, :, :]).max(axis=2)[np.triu_indices(4, 1)]
    assert apart.min() > 1e-3
    evaluation = BRANIN.evaluate(pending[[2, 0]])
    evaluation.ids = np.array([10, 8])
    run.tell(pending[[2, 0]], evaluation)
    np.testing.assert_array_equal(run._told.pending, pending[[1, 3]])


def test_a_batch_in_a_constrained_problem() -> None:
    problem = oe.Problem(gramacy, [(0, 1)] * 2, objectives="f", constraints=["c1", "c2"])
    assert oe.solve(problem, solver="bo", budget=28, batch_size=4, seed=2).fun < 0.65


def test_a_region_that_fails_is_left() -> None:
    def half(x: Any) -> float:
        if x[0] > 0.5:
            raise ValueError("out of memory")
        return float(((x - 0.8) ** 2).sum())  # the best value lies beyond the edge

    problem = oe.Problem(half, [(0, 1)] * 3)
    result = oe.solve(problem, solver="bo", budget=60, seed=0, catch=True, options={"n_initial": 10})
    failed = result.history.failed
    enough = int(np.flatnonzero(np.cumsum(failed) >= min(15, failed.sum()))[0]) + 1
    assert (result.history.X[enough:, 0] > 0.5).mean() < 0.2 if enough < 60 else failed.sum() <= 15
    assert result.fun == pytest.approx(0.09, abs=0.02)


def test_failed_points_are_not_asked_again() -> None:
    space = Space(n=Integer(0, 40), m=Integer(0, 800))
    problem = oe.Problem(lambda n, m: float("nan") if n < 20 else float(n + m), space)
    result = oe.solve(problem, solver="bo", budget=40, seed=1, catch=True)
    assert len(np.unique(result.history.X, axis=0)) == 40


def test_known_constraints_hold_and_are_used() -> None:
    space = Space([(0, 1)] * 3, rows=[Row([1, 1, 1], upper=1.0)])
    problem = oe.Problem(lambda x: -float(x[0] + 2 * x[1] + 0.5 * x[2]), space)
    result = oe.solve(problem, solver="bo", budget=25, seed=0)
    assert space.satisfies(result.history.X).all()
    assert result.fun < -1.95
    odd = Space(a=Real(0, 1), n=Integer(0, 40), where=[Predicate(lambda x: x["n"] * x["a"] <= 9)])
    problem = oe.Problem(lambda a, n: -a * n - 0.01 * n, odd)
    assert oe.solve(problem, solver="bo", budget=20, seed=0).fun < -8


def test_mixed_and_structured_spaces() -> None:
    space = Space(
        kind=Categorical(["u", "v", "w"]),
        a=Real(0, 1),
        n=Integer(1, 1000, log=True),
        extra=Real(0, 1, when=("kind", "v")),
        p=Permutation(5),
        m=Simplex(3),
    )

    def f(x: dict[str, Any]) -> float:
        value = (
            (x["a"] - 0.3) ** 2 + 0.1 * abs(np.log(x["n"] / 50)) + {"u": 0.4, "v": 0.0, "w": 0.6}[x["kind"]]
        )
        value += 0.05 * float(np.abs(np.asarray(x["p"]) - np.arange(5)).sum()) + float(
            ((x["m"] - 1 / 3) ** 2).sum()
        )
        return float(value + abs(x.get("extra", 0.9) - 0.5))

    problem = oe.Problem(f, space, call="dict")
    ours = oe.solve(problem, solver="bo", budget=40, seed=0).fun
    assert ours < oe.solve(problem, solver="random", budget=40, seed=0).fun
    assert ours < 0.5


def test_permutations() -> None:
    target = np.random.default_rng(3).permutation(12)
    problem = oe.Problem(
        lambda x: float(np.abs(np.argsort(x) - np.argsort(target)).sum()), Space(Permutation(12))
    )
    assert oe.solve(problem, solver="bo", budget=60, seed=0).fun < 20  # of random points the best is about 34


def test_more_than_twenty_reals_get_a_trust_region() -> None:
    problem = oe.Problem(lambda x: float(((x - 0.3) ** 2).sum()), [(0, 1)] * 24)
    run, asked = run_on(problem, 45)
    assert run._region is not None
    values = [problem.function(x) for x in asked]
    assert min(values[20:]) < 0.5 * min(values[:20])
    assert run_on(BRANIN, 12, trust_region=True)[0]._region is not None


def test_a_trust_region_grows_shrinks_and_begins_anew() -> None:
    region = Region(4, 1)
    region.tell(np.array([5.0, 4.0, 3.0]), 3)
    assert region.length == 1.6
    for n in range(200):
        region.tell(np.array([9.0]), 4 + n)
        assert region.length >= LEAST
    assert region.n_restarts >= 1
    low, high = region.box(np.array([0.5, 0.0]), np.array([0.1, 1.0]))
    assert (low <= [0.5, 0.0]).all()
    assert high[1] > high[0] - low[0] > 0


def test_values_known_beforehand_replace_the_first_points() -> None:
    X = BRANIN.space.sample(25, np.random.default_rng(0))
    known = oe.solve(BRANIN, solver="random", budget=25, seed=0)
    run = BO().start(BRANIN, np.random.default_rng(1))
    evaluation = BRANIN.evaluate(X)
    evaluation.ids = np.full(25, -1)
    run.tell(X, evaluation)
    run.ask(1)
    assert run._model.objective.hyper is not None  # the model chose already
    assert oe.solve(BRANIN, solver="bo", budget=12, seed=0, data=known).fun < known.fun


def test_the_users_point_comes_first_and_else_the_middle() -> None:
    result = oe.solve(BRANIN, solver="bo", budget=6, seed=0, x0=[3.0, 2.0])
    assert result.history.X[0].tolist() == [3.0, 2.0]
    assert not (result.history.X == [2.5, 7.5]).all(axis=1).any()
    assert oe.solve(BRANIN, solver="bo", budget=6, seed=0).history.X[0].tolist() == [2.5, 7.5]


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e300, -7e8])
def test_flat_values(value: float) -> None:
    result = oe.solve(oe.Problem(lambda x: value, [(0, 1)] * 2), solver="bo", budget=12, seed=0)
    assert len(np.unique(result.history.X, axis=0)) == 12


def test_huge_and_tiny_values() -> None:
    problem = oe.Problem(lambda x: 10.0 ** (300 * x[0] - 150), [(0, 1)] * 2)
    assert oe.solve(problem, solver="bo", budget=20, seed=0).fun <= 1e-140


def test_a_deadline_shortens_an_ask() -> None:
    assert not BO(max_ask_seconds=1e-3).replayable
    _, asked = run_on(BRANIN, 12, max_ask_seconds=1e-4)
    assert BRANIN.space.contains(asked).all()


def test_thousands_of_values_are_cropped() -> None:
    from optengine.solvers.bayes import model

    run = BO().start(BRANIN, np.random.default_rng(0))
    n = model.MOST_POINTS + 500
    X = BRANIN.space.sample(n, np.random.default_rng(1))
    run.tell(X, Evaluation.of(np.array([branin(x) for x in X])))
    assert len(run._model._kept(run._told)) <= model.MOST_POINTS


@pytest.mark.parametrize("options", [{}, {"trust_region": True}])
def test_snapshots_go_on_as_if_nothing_happened(options: dict[str, Any]) -> None:
    space = Space([(0.0, 1.0)] * 2, where=[Predicate(lambda x: x[0] + x[1] < 1.5)])
    problem = oe.Problem(lambda x: float(((x - 0.3) ** 2).sum()), space)
    run, _ = run_on(problem, 9, **options)
    twin = BO(**options).start(problem, np.random.default_rng(5))
    twin.restore(run.snapshot())
    for i in range(3):
        X, Y = run.ask(1), twin.ask(1)
        np.testing.assert_array_equal(X, Y)
        for each in (run, twin):
            evaluation = problem.evaluate(X)
            evaluation.ids = np.array([9 + i])
            each.tell(X, evaluation)


def test_the_fast_engine_never_loads_torch() -> None:
    code = """
        import sys
        import optengine as oe
        assert "scipy.optimize" not in sys.modules
        r = oe.minimize(lambda x: float(((x - 0.3) ** 2).sum()), [(0, 1)] * 2, solver="bo", budget=9, seed=0)
        assert r.n_evaluations == 9
        assert not {"torch", "gpytorch", "botorch"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("engine", "slow"),
        ("acquisition", "ei"),
        ("surrogate", "tree"),
        ("kernel", "linear"),
        ("warping", 1),
        ("noise", -1.0),
        ("n_initial", 0),
        ("batch", 1.5),
        ("max_ask_seconds", 0.0),
        ("trust_region", "yes"),
        ("n_starts", True),
        ("n_raw", 0),
        ("n_samples", None),
    ],
)
def test_options_are_checked(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=option) as caught:
        BO(**{option: value})
    assert repr(value) in str(caught.value)


def test_what_only_botorch_has() -> None:
    with pytest.raises(OptionError, match="acquisition of engine 'fast'"):
        BO(engine="fast", acquisition="kg")
    assert BO(acquisition="kg").engine_for(BRANIN) == "botorch"
    assert BO(torch=TorchOptions(risk="var")).engine_for(BRANIN) == "botorch"
    assert BO(torch=TorchOptions()).engine_for(BRANIN) == "fast"
    assert BO().engine_for(BRANIN) == "fast"
