"""What a model says about a run: numbers in the user's words, on any run with a history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, ProblemError

SPACE = oe.Space(
    lr=oe.Real(1e-5, 1e-1, log=True),
    depth=oe.Integer(1, 12),
    kind=oe.Categorical(["gini", "entropy"]),
    drop=oe.Real(0, 0.9, when=("kind", "gini")),
    idle=oe.Real(0, 1),
)


def loss(x: dict[str, Any]) -> float:
    own = 0.5 + x["drop"] if x["kind"] == "gini" else 0.0
    return float((np.log10(x["lr"]) + 3) ** 2 + 0.05 * (x["depth"] - 5) ** 2 + own)


def run(function: Any = loss, space: Any = SPACE, **arguments: Any) -> oe.Result:
    arguments = {"solver": "random", "budget": 60, "seed": 0, "direction": "minimize"} | arguments
    problem_words = {
        k: arguments.pop(k) for k in ("direction", "constraints", "objectives") if k in arguments
    }
    return oe.solve(oe.Problem(function, space, **problem_words), **arguments)


@pytest.fixture(scope="module")
def result() -> oe.Result:
    return run()


def test_importances_name_what_matters(result: oe.Result) -> None:
    found = oe.report.importances(result)
    assert found.names[0] == "lr"
    assert set(found.names) == {"lr", "depth", "kind", "drop", "idle"}
    assert found.total[0] > 0.5
    assert found.total[found.names.index("idle")] < 0.05
    assert (np.diff(found.total) <= 0).all()
    frame = found.to_frame()
    assert list(frame.columns) == ["name", "first", "total"]
    again = oe.report.importances(result)
    np.testing.assert_array_equal(found.total, again.total)


@pytest.mark.parametrize("solver", ["cem", "tpe", "sobol", "lbfgsb", "bo"])
def test_any_solver_will_do(solver: str) -> None:
    found = oe.report.importances(
        run(lambda x: float(9 * x[0] ** 2 + x[1]), [(-1.0, 1.0)] * 3, solver=solver, budget=40)
    )
    assert found.names[0] == "x[0]"


def test_maximised_values_stay_in_the_users_direction() -> None:
    plain, turned = run(), run(lambda x: -loss(x), direction="maximize")
    there = oe.report.recommendation(plain), oe.report.recommendation(turned)
    assert there[0].x == there[1].x
    assert there[0].mean == pytest.approx(-there[1].mean, abs=1e-6)
    assert oe.report.convergence(turned, optimum=0.0)[1][-1] == pytest.approx(-turned.fun)


def test_a_slice_follows_the_function(result: oe.Result) -> None:
    found = oe.report.slice_through(result, "lr")
    truth = [loss({**found.at, "lr": lr}) for lr in found.values]
    assert found.log
    assert len(found.values) == 60
    assert found.values[0] == pytest.approx(1e-5)
    assert np.corrcoef(found.mean, truth)[0, 1] > 0.97
    inside = np.abs(found.mean - truth) <= 3 * found.deviation + 1e-3
    assert inside.mean() > 0.9


def test_levels_keep_their_names(result: oe.Result) -> None:
    kinds = oe.report.slice_through(result, "kind")
    assert kinds.values == ("gini", "entropy")
    assert not kinds.numeric
    assert kinds.mean[0] > kinds.mean[1]
    depths = oe.report.slice_through(result, "depth")
    assert depths.values == tuple(range(1, 13))
    ordinal = run(lambda x: x["size"], oe.Space(size=oe.Ordinal([1, 10, 100])), budget=8)
    assert oe.report.slice_through(ordinal).values == (1, 10, 100)


def test_a_conditional_variable_is_looked_at_where_it_counts(result: oe.Result) -> None:
    found = oe.report.slice_through(result, "drop")
    assert found.at["kind"] == "gini"
    assert found.mean[-1] > found.mean[0] + 0.3
    with pytest.raises(OptionError, match="in which"):
        oe.report.slice_through(result, "drop", at={"lr": 1e-3, "depth": 3, "kind": "entropy", "idle": 0.5})


def test_a_contour_is_the_slices_beside_one_another(result: oe.Result) -> None:
    found = oe.report.contour_over(result, ("lr", "kind"), n=7)
    assert found.mean.shape == (2, 7)
    line = oe.report.slice_through(result, "lr", at=found.at, n=7)
    row = ("gini", "entropy").index(found.at["kind"])
    np.testing.assert_allclose(found.mean[row], line.mean)
    assert set(oe.report.contour_over(result).names) == {"lr", "depth"}


def test_cross_validation_tells_a_good_model_from_none(result: oe.Result) -> None:
    good = oe.report.cross_validation(result)
    assert good.r2 > 0.9
    assert 0.85 <= good.coverage <= 1.0
    assert good.number.tolist() == list(range(1, 61))
    assert list(good.to_frame().columns) == ["number", "observed", "predicted", "deviation"]
    noise = np.random.default_rng(0)
    none = oe.report.cross_validation(run(lambda x: float(noise.normal())))
    assert none.r2 < 0.3
    assert 0.85 <= none.coverage <= 1.0


def test_under_noise_the_model_recommends_better_than_luck() -> None:
    wins = 0
    for seed in range(8):
        noise = np.random.default_rng(seed)

        def noisy(x: np.ndarray, noise: np.random.Generator = noise) -> float:
            return float((x**2).sum() + noise.normal())

        found = oe.report.recommendation(run(noisy, [(-2.0, 2.0)] * 2, seed=seed, budget=80))
        wins += (found.x**2).sum() <= (found.best_x**2).sum()
        assert found.best_observed <= found.observed
        assert "model's best" in str(found)
    assert wins >= 6  # were the two equally good, 14 % of the time


def test_failed_and_infeasible_points() -> None:
    def partly(x: np.ndarray) -> dict[str, float]:
        if x[0] > 0.8:
            raise RuntimeError("it broke")
        return {"f": float(x.sum()), "g": float(0.5 - x[0])}

    result = run(partly, [(0.0, 1.0)] * 2, constraints=["g"], objectives="f", catch=True)
    found = oe.report.recommendation(result)
    assert found.x[0] >= 0.5
    assert oe.report.cross_validation(result, target="g").r2 > 0.99
    assert oe.report.importances(result, target="g").names[0] == "x[0]"
    bad = run(lambda x: {"f": 1.0, "g": 1.0}, [(0.0, 1.0)], constraints=["g"], objectives="f", budget=8)
    with pytest.raises(ProblemError, match="feasible"):
        oe.report.recommendation(bad)


def test_several_objectives_need_a_target() -> None:
    result = run(lambda x: (float(x[0]), float(x[1])), [(0.0, 1.0)] * 2, objectives=["cost", "heat"])
    assert oe.report.importances(result, target="heat").names[0] == "x[1]"
    with pytest.raises(OptionError, match=r"\['cost', 'heat'\]"):
        oe.report.importances(result)
    for refused in (oe.report.recommendation, oe.report.convergence):
        with pytest.raises(OptionError, match="one objective"):
            refused(result)


def test_every_kind_of_variable_has_a_model() -> None:
    space = oe.Space(p=oe.Permutation(4), s=oe.Subset(5, size=2), m=oe.Simplex(3), b=oe.Binary(shape=2))
    result = run(lambda x: float(x["p"][0] + 0.1 * x["b"][1]), space)
    assert oe.report.importances(result).names[0] == "p"
    assert oe.report.slice_through(result).name.startswith("b[")
    with pytest.raises(OptionError, match="number, a category or a bit"):
        oe.report.slice_through(result, "p")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: oe.report.importances(r, target="objektive"), "did you mean 'objective'"),
        (lambda r: oe.report.importances(r, n=100), "power of two"),
        (lambda r: oe.report.slice_through(r, "dept"), "did you mean 'depth'"),
        (lambda r: oe.report.contour_over(r, ("lr", "lr")), "two different"),
        (lambda r: oe.report.contour_over(r, "lr"), "two different"),
        (lambda r: oe.report.convergence(r, optimum=100.0), "not beaten"),
        (lambda r: r.plot("importances"), "did you mean 'importance'"),
        (lambda r: r.plot("slice", nam="lr"), "did you mean 'name'"),
        (lambda r: r.plot("convergence", x="hours"), "'evaluations' or 'seconds'"),
    ],
)
def test_mistakes_are_named(result: oe.Result, call: Any, words: str) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(OptionError, match=words):
        call(result)


def test_too_few_evaluations() -> None:
    with pytest.raises(ProblemError, match="at least 5"):
        oe.report.importances(run(budget=4))


PICTURES: list[tuple[str, dict[str, Any]]] = [
    ("importance", {}),
    ("slice", {}),
    ("slice", {"name": "kind", "title": "by kind"}),
    ("slice", {"name": "drop"}),
    ("contour", {}),
    ("contour", {"names": ("kind", "depth")}),
    ("cross_validation", {}),
    ("convergence", {}),
    ("convergence", {"optimum": 0.0, "x": "seconds"}),
]


@pytest.mark.parametrize(("kind", "options"), PICTURES, ids=lambda value: str(value))
def test_pictures(result: oe.Result, kind: str, options: dict[str, Any], tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    axes = result.plot(kind, **options)
    assert axes.get_title(loc="left") == options.get("title", "loss · random")
    axes.figure.savefig(tmp_path / "it.png")
    assert (tmp_path / "it.png").stat().st_size > 3000


def test_a_picture_goes_on_the_axes_given(result: oe.Result) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    left, right = figure.subplots(1, 2)
    assert result.plot("slice", name="lr", ax=left) is left
    assert left.get_xlabel() == "lr"
    assert left.get_xscale() == "log"
    assert result.plot("importance", ax=right) is right
    assert right.get_yticklabels()[0].get_text() == "lr"
