"""The bandit: its arms, its policies on arms whose answer is known, and what it is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine import Problem, Space
from optengine.core.errors import OptionError, SolverNotSuitable
from optengine.solvers.bandit.arms import arms_of, top_of
from optengine.solvers.bandit.policies import MaxUCB, Record, Rising, price

SPACE = Space(
    kind=oe.Categorical(["svm", "forest", "naive"]),
    scale=oe.Binary(),
    kernel=oe.Categorical(["rbf", "poly"], when=("kind", "svm")),
    degree=oe.Integer(2, 5, when={"kind": "svm", "kernel": "poly"}),
    c=oe.Real(1e-2, 1e2, log=True, when=("kind", "svm")),
    depth=oe.Integer(1, 9, when=("kind", "forest")),
    trees=oe.Integer(5, 50, when=("kind", ["forest"])),
)


def record(*values: float, cost: float = 0.0, pending: int = 0) -> Record:
    return Record(np.minimum.accumulate(values).tolist(), cost or float(len(values)), pending)


def loss(x: dict[str, Any]) -> float:
    """svm ends lowest and begins worse than forest."""
    if x["kind"] == "svm":
        return float(0.1 + 0.1 * np.log10(x["c"]) ** 2 + 0.05 * (x["kernel"] == "poly"))
    return 0.3 + 0.01 * abs(x["depth"] - 4) if x["kind"] == "forest" else 0.5


# -- the arms ----------------------------------------------------------------------------------------------------------


def test_arms_hold_what_counts_beside_their_value() -> None:
    assert top_of(SPACE) == "kind"
    svm, forest, naive = arms_of(SPACE, "kind")
    assert [arm.value for arm in (svm, forest, naive)] == ["svm", "forest", "naive"]
    assert svm.space is not None and svm.space.names == ("scale", "kernel", "degree", "c")  # noqa: PT018
    assert svm.space.variables["degree"].conditions == (("kernel", ("poly",)),)
    assert svm.space.variables["c"].conditions == ()
    assert forest.space is not None and forest.space.names == ("scale", "depth", "trees")  # noqa: PT018
    assert naive.space is not None and naive.space.names == ("scale",)  # noqa: PT018
    assert svm.columns.tolist() == [1, 2, 3, 4]


def test_arms_may_hang_on_bits_and_hold_nothing() -> None:
    space = Space(on=oe.Binary(), x=oe.Real(0, 1, when=("on", True)))
    assert top_of(space) == "on"
    off, on = arms_of(space, "on")
    assert off.space is None
    assert on.value is True
    assert on.space is not None and on.space.names == ("x",)  # noqa: PT018
    seen: list[dict[str, Any]] = []

    def objective(x: dict[str, Any]) -> float:
        seen.append(x)
        return x["x"] if x["on"] else 0.5

    result = oe.minimize(
        objective, space, solver="bandit", budget=15, seed=0, options={"inner": "tpe"}, call="dict"
    )
    assert result.fun < 0.2
    assert sum(not x["on"] for x in seen) == 1  # one point, deterministic: asked once


@pytest.mark.parametrize("policy", ["rising", "maxucb"])
@pytest.mark.parametrize("inner", ["tpe", "bo", "random"])
def test_every_point_is_in_the_space_and_told_to_its_arm(policy: str, inner: str) -> None:
    solver = oe.solvers.Bandit(policy=policy, inner=inner)
    run = solver.start(Problem(loss, SPACE, call="dict"), np.random.default_rng(0))
    problem = Problem(loss, SPACE, call="dict")
    for n in (1, 3, 5, 1):
        X = run.ask(n)
        assert SPACE.contains(X).all()
        evaluation = problem.evaluate(X)
        evaluation.ids = np.arange(len(X))
        run.tell(X[::-1], evaluation.take(np.arange(len(X))[::-1]))
    arms = run.details["arms"]
    assert sum(arm["pulls"] for arm in arms.values()) == 10
    assert all(r.pending == 0 for r in run._records)


# -- the policies ------------------------------------------------------------------------------------------------------


def test_rising_drops_the_arm_that_cannot_catch_up() -> None:
    flat = record(*[0.5] * 9)
    steep = record(*np.linspace(0.9, 0.6, 9))
    best = record(*np.linspace(0.5, 0.4, 9))
    records = [flat, steep, best]
    Rising(smoothing=7, limit=-np.inf, horizon=40, priced=False).choose(records)
    assert [r.dropped for r in records] == [True, False, False]
    records = [flat, steep, best]
    Rising(smoothing=7, limit=-np.inf, horizon=30, priced=False).choose(
        records
    )  # too few left for the steep one
    assert [r.dropped for r in records] == [True, True, False]


def test_rising_drops_an_arm_that_brings_nothing() -> None:
    records = [record(*[np.inf] * 8), record(*[0.5] * 6), record(*[np.inf] * 7)]
    Rising(smoothing=7, limit=-np.inf, horizon=None, priced=False).choose(records)
    assert [r.dropped for r in records] == [True, False, False]


def test_rising_knows_a_limit_and_the_price() -> None:
    steep, best = record(*np.linspace(0.9, 0.3, 9)), record(*[0.2] * 9)
    policy = Rising(smoothing=7, limit=0.25, horizon=40, priced=False)
    policy.choose([steep, best])
    assert steep.dropped  # hope ends at the limit, which the other has passed
    dear, cheap = record(*np.linspace(0.9, 0.6, 9), cost=90.0), record(*[0.4] * 9, cost=9.0)
    Rising(smoothing=7, limit=-np.inf, horizon=26, priced=True).choose([dear, cheap])
    assert dear.dropped
    assert price([dear, cheap], 0) == pytest.approx(10 / 5.5)


def test_rising_pulls_in_turn_and_spares_the_young() -> None:
    records = [record(0.5, 0.5), record(0.9), record(0.7, 0.7, pending=2)]
    assert Rising(smoothing=7, limit=-np.inf, horizon=None, priced=False).choose(records) == 1
    assert not any(r.dropped for r in records)


def test_maxucb_prefers_few_pulls_and_high_rewards() -> None:
    policy = MaxUCB(alpha=0.5, priced=False)
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert policy.choose([record(0.1), Record(), record(0.3)], values) == 1  # never pulled
    assert policy.choose([record(*[0.1] * 20), record(*[0.3] * 20)], values) == 0
    assert policy.choose([record(*[0.12] * 40), record(0.3)], values) == 1
    gone = record(0.1)
    gone.exhausted = True
    assert policy.choose([gone], values) is None


@pytest.mark.parametrize("policy", ["rising", "maxucb"])
def test_most_pulls_go_to_the_best_arm(policy: str) -> None:
    for seed in range(3):
        result = oe.minimize(
            loss,
            SPACE,
            call="dict",
            solver="bandit",
            budget=60,
            seed=seed,
            options={"policy": policy, "inner": "tpe"},
        )
        arms = result.details["arms"]
        assert result.x["kind"] == "svm"
        assert arms["svm"]["pulls"] > arms["forest"]["pulls"] + arms["naive"]["pulls"]
        assert arms["svm"]["best"] == pytest.approx(result.fun)


def test_costs_move_pulls_to_the_cheap_arm() -> None:
    space = Space(
        kind=oe.Categorical(["cheap", "dear"]),
        a=oe.Real(0, 1, when=("kind", "cheap")),
        b=oe.Real(0, 1, when=("kind", "dear")),
    )

    def priced(x: dict[str, Any]) -> dict[str, float]:
        value = x.get("a", x.get("b", 0.0))
        return {"value": value**2, "cost": 1.0 if x["kind"] == "cheap" else 20.0}

    def spent(aware: bool) -> int:
        result = oe.minimize(
            priced,
            space,
            call="dict",
            solver="bandit",
            budget=40,
            seed=0,
            options={"inner": "random", "cost_aware": aware, "policy": "rising"},
        )
        return int(result.details["arms"]["dear"]["pulls"])

    assert spent(True) < spent(False)


def test_failures_and_infeasible_points_do_not_lead() -> None:
    def fails(x: dict[str, Any]) -> float:
        if x["kind"] == "svm":
            raise RuntimeError("no")
        return loss(x)

    result = oe.minimize(
        fails, SPACE, call="dict", solver="bandit", budget=40, seed=0, catch=True, options={"inner": "tpe"}
    )
    assert result.x["kind"] == "forest"
    assert result.details["arms"]["svm"]["best"] is None
    assert result.details["arms"]["forest"]["pulls"] > result.details["arms"]["svm"]["pulls"]


def test_it_ends_when_every_arm_is_used_up() -> None:
    space = Space(
        kind=oe.Categorical(["a", "b"]),
        a=oe.Integer(0, 3, when=("kind", "a")),
        b=oe.Binary(when=("kind", "b")),
    )
    result = oe.minimize(
        lambda x: 0.0, space, call="dict", solver="bandit", budget=50, seed=0, options={"inner": "tpe"}
    )
    assert result.status == "converged"
    assert result.n_evaluations == 6


# -- what it refuses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "options", "says"),
    [
        (Space(x=oe.Real(0, 1)), {}, "no other variable hangs"),
        (SPACE, {"top": "kid"}, "did you mean 'kind'"),
        (SPACE, {"top": "depth"}, "must be one unconditional category"),
        (
            Space(
                k=oe.Categorical(["a", "b"]),
                x=oe.Real(0, 1, when=("k", "a")),
                rows=[oe.Row({"x": 1.0}, upper=0.5)],
            ),
            {},
            "constraints",
        ),
        (SPACE, {"inner": "nelder_mead"}, "its inner solver refuses arm"),
    ],
)
def test_what_it_cannot_take_apart(space: Space, options: dict[str, Any], says: str) -> None:
    with pytest.raises(SolverNotSuitable, match=says):
        oe.minimize(loss, space, call="dict", solver="bandit", budget=3, options=options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("policy", "ucb"),
        ("inner", 3),
        ("inner", "tpee"),
        ("top", 1),
        ("alpha", 0),
        ("smoothing", 0),
        ("horizon", 0),
        ("limit", "a"),
        ("cost_aware", 2),
    ],
)
def test_options_are_checked(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match="must be"):
        oe.solvers.Bandit(**{option: value})
