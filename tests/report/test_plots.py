"""Pictures: what they show, that nothing global is touched, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe

pytest.importorskip("matplotlib")

from optengine.report.plots import check_file, plot_result


def bowl(x: Any) -> float:
    return float(((x - 0.3) ** 2).sum())


def run(function: Any = bowl, **arguments: Any) -> oe.Result:
    return oe.minimize(function, [(-5.0, 5.0)] * 3, **{"solver": "cem", "budget": 300, "seed": 0} | arguments)


def fronted(k: int) -> oe.Result:
    names = ["cost", "co2", "time", "noise"][:k]
    return oe.minimize(
        lambda x: [float(((x - i) ** 2).sum()) for i in range(k)],
        [(-3.0, 3.0)] * 2, objectives=names, solver="random", budget=200, seed=0,
    )  # fmt: skip


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.get_lines()}


def test_history_shows_every_evaluation_and_the_best(tmp_path: Path) -> None:
    result = run()
    axes = result.plot()
    drawn = lines(axes)
    assert len(drawn["evaluations"].get_xdata()) == 300
    assert drawn["best so far"].get_ydata()[-1] == result.fun
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("evaluations", "objective")
    assert axes.get_title(loc="left") == "bowl · cem"
    axes.figure.savefig(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 5000


def test_violated_and_failed_evaluations_look_different() -> None:
    def plant(a: float, b: float) -> dict[str, float]:
        if a > 0.9:
            raise ValueError("leak")
        return {"cost": a + b, "heat": 0.5 - a}

    result = oe.minimize(
        plant, oe.Space(a=oe.Real(0, 1), b=oe.Real(0, 1)), objectives=["cost"], constraints=["heat"],
        solver="random", budget=100, seed=0, catch=True,
    )  # fmt: skip
    drawn = lines(result.plot())
    counts = {label: len(drawn[label].get_xdata()) for label in ("evaluations", "violated", "failed")}
    assert sum(counts.values()) == 100
    assert min(counts.values()) > 0
    assert len({drawn[label].get_marker() for label in counts}) == 3


def test_the_value_axis_is_logarithmic_where_that_shows_more() -> None:
    small = run(budget=1500)
    assert small.plot().get_yscale() == "log"
    assert small.plot(log=False).get_yscale() == "linear"
    assert run(lambda x: bowl(x) + 100.0).plot().get_yscale() == "linear"
    assert run(lambda x: bowl(x) - 1.0, budget=1500).plot().get_yscale() == "linear"
    assert (
        oe.maximize(lambda x: -bowl(x), [(-5.0, 5.0)], solver="cem", budget=90, seed=0).plot().get_yscale()
        == "linear"
    )


@pytest.mark.parametrize("direction", [oe.minimize, oe.maximize])
def test_the_best_lies_inside_the_picture_and_far_values_outside(direction: Any) -> None:
    sign = 1.0 if direction is oe.minimize else -1.0
    result = direction(
        lambda x: sign * (1e6 if x[0] > 0.99 else bowl(x)), [(0.0, 1.0)], solver="random", budget=400, seed=0
    )
    low, high = result.plot(log=False).get_ylim()
    assert low < result.fun < high
    assert not low < sign * 1e6 < high


def test_the_bound_is_drawn() -> None:
    result = run()
    result.bound = -0.5
    axes = result.plot()
    assert set(lines(axes)["proved bound"].get_ydata()) == {-0.5}
    assert axes.get_ylim()[0] < -0.5


def test_seconds_on_the_axis_and_a_title_of_ones_own() -> None:
    axes = run().plot(x="seconds", title="mine")
    assert axes.get_xlabel() == "seconds"
    assert axes.get_title(loc="left") == "mine"


@pytest.mark.parametrize("k", [2, 3])
def test_fronts(k: int) -> None:
    result = fronted(k)
    assert result.front is not None
    axes = result.plot()
    assert axes.name == ("3d" if k == 3 else "rectilinear")
    assert axes.get_ylabel() == "co2"
    front = axes.collections[-1]
    assert f"({len(result.front)} points)" in front.get_label()
    if k == 2:
        np.testing.assert_array_equal(front.get_offsets(), result.front.F)


def test_axes_of_ones_own_and_no_global_state() -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert run().plot(ax=axes) is axes
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_result_without_evaluations_is_drawn() -> None:
    optimizer = oe.Optimizer(oe.Problem(bowl, [(0.0, 1.0)]), "random", budget=5)
    assert "no evaluations" in [text.get_text() for text in optimizer.result().plot().texts]


@pytest.mark.parametrize(
    ("k", "kind", "options", "message"),
    [
        (1, "histroy", {}, "did you mean 'history'"),
        (1, "history", {"lgo": True}, "did you mean 'log'"),
        (1, "history", {"x": "hours"}, "'evaluations' or 'seconds'"),
        (1, "front", {}, "2 or 3 objectives"),
        (2, "history", {}, "no single best"),
        (4, None, {}, "2 or 3 objectives"),
    ],
)
def test_what_cannot_be_drawn(k: int, kind: str | None, options: dict[str, Any], message: str) -> None:
    with pytest.raises(oe.OptionError, match=message):
        plot_result(run(budget=10) if k == 1 else fronted(k), kind, **options)


def test_log_needs_values_above_zero() -> None:
    with pytest.raises(oe.OptionError, match="log must be"):
        run(lambda x: bowl(x) - 1.0).plot(log=True)


def test_files_of_unknown_kind() -> None:
    check_file("a/b.PNG")
    with pytest.raises(oe.OptionError, match="must end in one of"):
        check_file("picture.txt")


def test_proposals_of_a_table_are_drawn() -> None:
    X = 0.5 * np.random.default_rng(0).random((60, 2))
    table = oe.problems.Offline([(0, 1)] * 2, X, X.sum(axis=1), 6, direction="maximize")
    result = oe.solve(table, seed=0)
    axes = result.plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert {"90 % interval", "prediction", "best row of the table"} <= set(labels)
    steps = result.plot("search").get_lines()[0].get_xdata()
    assert list(steps) == list(result.details["curve"]["steps"])
    seen = oe.minimize(lambda x: x[0], [(0, 1)], solver="random", budget=5)
    for kind in ("proposals", "search"):
        with pytest.raises(oe.OptionError, match=f"'{kind}' only for a result of an"):
            seen.plot(kind)
