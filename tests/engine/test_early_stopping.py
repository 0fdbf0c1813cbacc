"""Evaluations that are stopped on their way: the rules, the ways to report, and what becomes of the values."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, ProblemError
from optengine.engine.curves import chance_below, extrapolate
from optengine.engine.stopper import Stopper
from optengine.engine.stopping import Curve, CurveRule, HalvingRule, MedianRule
from optengine.integrations.loops import KerasSteps, LightningSteps
from optengine.store import Journal

SPACE = {"x": oe.Real(0, 1)}
STEPS = 9


def value_at(x: float, step: int) -> float:
    return (x - 0.3) ** 2 + 1.0 / step


def by_yield(x: float) -> Iterator[tuple[int, float]]:
    for step in range(1, STEPS + 1):
        yield step, value_at(x, step)


def by_call(x: float) -> float:
    for step in range(1, STEPS + 1):
        oe.intermediate(step, value_at(x, step))
    return value_at(x, STEPS)


def politely(x: float) -> float:
    for step in range(1, STEPS + 1):
        if oe.intermediate(step, value_at(x, step), raises=False):
            return value_at(x, step)
    return value_at(x, STEPS)


def curve(key: int, values: list[float], ended: bool = True) -> Curve:
    return Curve(key, [float(i + 1) for i in range(len(values))], values, ended, not ended)


# -- the rules ---------------------------------------------------------------------------------------------------------


def test_median_rule() -> None:
    others = [curve(i, [float(i)] * 4) for i in range(5)]  # median 2
    rule = MedianRule(warm_up=1, n_curves=5)
    assert not rule.stop(curve(9, [9.0], False), others)  # warming up
    assert rule.stop(curve(9, [9.0, 2.5], False), others)
    assert not rule.stop(curve(9, [1.5, 9.0], False), others)  # its best counts
    assert not rule.stop(curve(9, [9.0, 9.0], False), others[:4])


def test_halving_keeps_a_third_at_each_rung() -> None:
    rule = HalvingRule(first=1, factor=3)
    others = [curve(i, [float(i)] * 9) for i in range(5)]
    assert not rule.stop(curve(9, [0.5], False), others)  # second of six: two are kept
    assert rule.stop(curve(9, [1.5], False), others)
    assert not rule.stop(curve(9, [0.5, 9.0], False), others)  # between rungs
    assert rule.stop(curve(9, [0.5, 0.5, 9.0], False), others)
    assert not rule.stop(curve(9, [5.0], False), [])


def test_brackets_start_at_their_own_rungs_and_are_kept_apart() -> None:
    rule = HalvingRule(first=1, factor=3, brackets=2)
    others = [curve(2 * i, [0.0] * 9) for i in range(5)]  # all in bracket 0
    assert rule.stop(curve(10, [1.0], False), others)
    assert not rule.stop(curve(11, [1.0], False), others)
    others = [curve(2 * i + 1, [0.0] * 9) for i in range(5)]
    assert not rule.stop(curve(11, [1.0], False), others)  # its first rung is step 3
    assert rule.stop(curve(11, [1.0, 1.0, 1.0], False), others)


@pytest.mark.parametrize(
    "shape",
    [lambda s: s**-0.7, lambda s: np.exp(-s / 8.0), lambda s: 1.0 / np.log(s + 2.0)],
    ids=["power", "exp", "log"],
)
def test_curves_are_extrapolated(shape: Any) -> None:
    steps = np.arange(1.0, 13.0)
    rng = np.random.default_rng(0)
    values = 0.2 + 0.8 * shape(steps) + 1e-3 * rng.normal(size=12)
    end = 0.2 + 0.8 * shape(40.0)
    mean, deviation, weight = extrapolate(steps, values, 40.0)
    assert weight.sum() == pytest.approx(1.0)
    guess = float(weight @ mean)
    spread = float(np.sqrt(weight @ (deviation**2 + (mean - guess) ** 2)))
    assert abs(guess - end) < max(3 * spread, 0.03)
    assert chance_below(steps, values, 40.0, end - 0.3) < 0.05
    assert chance_below(steps, values, 40.0, end + 0.3) > 0.95


def test_curve_rule_waits_for_an_end_and_spares_what_may_win() -> None:
    steps = np.arange(1, 31)
    good = curve(0, list(0.1 + 1.0 / steps))
    late = curve(1, list(0.05 + 1.2 / steps[:10]), False)  # behind, and will be ahead
    bad = curve(2, list(0.6 + 1.0 / steps[:10]), False)
    rule = CurveRule()
    assert not rule.stop(bad, [late])
    assert not rule.stop(late, [good])
    assert rule.stop(bad, [good])
    assert not rule.stop(curve(3, [9.0, 8.0], False), [good])  # too short to tell


@pytest.mark.parametrize(
    ("rule", "option", "value"),
    [
        (MedianRule, "warm_up", -1),
        (MedianRule, "n_curves", 0),
        (HalvingRule, "factor", 1.0),
        (HalvingRule, "first", 0),
        (HalvingRule, "brackets", 1.5),
        (CurveRule, "chance", 0.7),
        (CurveRule, "warm_up", 3),
    ],
)
def test_options_of_rules_are_checked(rule: Any, option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"{option} must be"):
        rule(**{option: value})


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [by_yield, by_call, politely])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_ways_to_report_give_the_same_run(objective: Any, direction: str, tmp_path: Path) -> None:
    sign = 1 if direction == "minimize" else -1

    def turned(x: float) -> Any:
        if objective is by_yield:
            return ((step, sign * value) for step, value in by_yield(x))
        for step in range(1, STEPS + 1):
            if objective is by_call:
                oe.intermediate(step, sign * value_at(x, step))
            elif oe.intermediate(step, sign * value_at(x, step), raises=False):
                return sign * value_at(x, step)
        return sign * value_at(x, STEPS)

    verb = getattr(oe, direction)
    result = verb(
        turned,
        SPACE,
        solver="random",
        budget=30,
        seed=0,
        early_stopping="halving",
        storage=tmp_path / "r.db",
        name="r",
    )
    with Journal(tmp_path / "r.db", readonly=True) as journal:
        notes = journal.read("r").evaluations.notes
    stopped = np.array(["stopped" in notes[i] for i in range(30)])
    assert 10 <= stopped.sum() < 30
    ends = sign * result.history.value
    whole = ~stopped
    assert result.fun == pytest.approx(sign * ends[whole].min())
    assert result.fun == pytest.approx(sign * value_at(result.x["x"], STEPS))  # an incumbent ran to its end
    assert (ends[stopped] >= ends[whole].min()).all()
    assert all(len(notes[i]["curve"]) == STEPS for i in np.flatnonzero(whole))
    at = [notes[i]["curve"][-1] for i in np.flatnonzero(stopped)]
    assert [notes[i]["stopped"] for i in np.flatnonzero(stopped)] == [step for step, _ in at]
    assert [notes[i]["value"] for i in np.flatnonzero(stopped)] == [value for _, value in at]


def test_the_solver_is_told_the_last_value_and_what_others_gained() -> None:
    stopper = Stopper(HalvingRule())
    problem = oe.Problem(lambda x: x, SPACE)
    for values in ([3.0, 2.0, 1.0], [2.5, 1.9, 1.2]):
        key = stopper.begin()
        for step, value in enumerate(values, 1):
            stopper._curves[key].steps.append(step)
            stopper._curves[key].values.append(value)
        stopper.ended(key)
    key = stopper.begin()
    stopper.report(key, 1, 5.0)
    assert stopper.told(key, 5.0) == pytest.approx(5.0 - (2.0 + 1.3) / 2)
    key = stopper.begin()
    stopper.report(key, 1, 2.0)
    assert stopper.told(key, 2.0) == 1.0  # never better than what ran to its end
    measured = stopper.finish(key, problem.read(oe.Partial(2.0, 1)))
    assert measured.f == (1.0,)
    assert measured.note == {"stopped": 1.0, "curve": [[1.0, 2.0]], "value": 2.0}


def test_without_a_rule_reports_do_nothing() -> None:
    assert oe.intermediate(1, 2.0) is False
    a = oe.minimize(by_yield, SPACE, solver="random", budget=5, seed=0)
    b = oe.minimize(by_call, SPACE, solver="random", budget=5, seed=0)
    assert a.history.F.tobytes() == b.history.F.tobytes()
    assert a.fun == pytest.approx(value_at(a.x["x"], STEPS))


@pytest.mark.parametrize("workers", ["threads", "processes", "stream"])
def test_workers_report_too(workers: str) -> None:
    def objective(x: float) -> Iterator[tuple[int, float]]:  # of this function: it travels by value
        for step in range(1, 10):
            yield step, (x - 0.3) ** 2 + 1.0 / step

    arguments: dict[str, Any] = {"workers": 2, "ordered": workers != "stream"}
    with ThreadPoolExecutor(2) as threads:
        if workers == "threads":
            arguments["executor"] = threads
        result = oe.minimize(
            objective, SPACE, solver="random", budget=24, seed=0, early_stopping="halving", options={"population": 8},
            **arguments,
        )  # fmt: skip
    assert result.n_evaluations == 24
    assert (~result.history._columns["counts"]).sum() >= 6
    assert result.fun == pytest.approx(value_at(result.x["x"], STEPS))


def test_a_resumed_run_knows_the_curves(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "solver": "random",
        "seed": 3,
        "early_stopping": "median",
        "options": {"population": 1},
    }
    whole = oe.minimize(by_yield, SPACE, budget=24, **arguments)
    storage: dict[str, Any] = {"storage": tmp_path / "r.db", "name": "r"}
    oe.minimize(by_yield, SPACE, budget=11, **storage, **arguments)
    resumed = oe.minimize(by_yield, SPACE, budget=24, **storage, **arguments)
    assert resumed.history.F.tobytes() == whole.history.F.tobytes()
    assert resumed.history._columns["counts"].tolist() == whole.history._columns["counts"].tolist()
    assert not whole.history._columns["counts"].all()


def test_a_target_is_not_reached_by_what_was_stopped() -> None:
    def partial(x: float) -> Any:
        return oe.Partial(-1.0) if x < 0.5 else 1.0

    result = oe.minimize(partial, SPACE, solver="random", budget=20, seed=0, target=0.0)
    assert result.status == "budget_exhausted"
    assert result.fun == 1.0


def test_failures_are_no_curves() -> None:
    def broken(x: float) -> Iterator[tuple[int, float]]:
        yield 1, 0.0
        raise RuntimeError("out of memory")

    result = oe.minimize(
        broken, SPACE, solver="random", budget=4, seed=0, catch=True, early_stopping="median"
    )
    assert result.history.failed.all()


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        (lambda x: iter_of([1.0]), r"must yield \(step, value\), got 1.0"),
        (lambda x: iter_of([]), r"yielded no \(step, value\)"),
        (lambda x: iter_of([(2, 1.0), (1, 1.0)]), "step must rise"),
        (lambda x: iter_of([(1, "a")]), "value of a reported value must be a number, got 'a'"),
    ],
)
def test_wrong_reports_are_refused(objective: Any, says: str) -> None:
    with pytest.raises(ProblemError, match=says):
        oe.minimize(objective, SPACE, solver="random", budget=2, seed=0, early_stopping="median")


def iter_of(items: list[Any]) -> Iterator[Any]:
    yield from items


@pytest.mark.parametrize(
    ("problem", "rule", "says"),
    [
        (oe.Problem(by_call, SPACE), "medain", "did you mean 'median'"),
        (oe.Problem(lambda x: x, SPACE, vectorized=True), "median", "point by point"),
        (oe.Problem(lambda x: x, SPACE, objectives=["a", "b"]), "median", "2 objectives"),
    ],
)
def test_what_cannot_be_stopped_says_so(problem: oe.Problem, rule: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        oe.solve(problem, solver="random", budget=2, early_stopping=rule)


# -- other libraries' loops --------------------------------------------------------------------------------------------


class Trainer:
    """As much of Lightning's as its callbacks see."""

    sanity_checking, should_stop, current_epoch = False, False, 0

    def fit(self, callback: Any, x: float) -> None:
        callback.setup(self, None, stage="fit")
        callback.on_train_start(self, None)
        while self.current_epoch < STEPS and not self.should_stop:
            self.callback_metrics = {"val_loss": value_at(x, self.current_epoch + 1)}
            callback.on_validation_end(self, None)
            self.current_epoch += 1


class Model:
    """As much of Keras' as its callbacks see."""

    stop_training = False

    def fit(self, callback: Any, x: float) -> None:
        callback.set_params({})
        callback.set_model(self)
        for epoch in range(STEPS):
            callback.on_epoch_begin(epoch)
            self.loss = value_at(x, epoch + 1)
            callback.on_epoch_end(epoch, {"val_loss": self.loss})
            if self.stop_training:
                break


def test_callbacks_of_training_loops() -> None:
    def lightning(x: float) -> float:
        trainer = Trainer()
        trainer.fit(LightningSteps("val_loss"), x)
        return float(trainer.callback_metrics["val_loss"])

    def keras(x: float) -> float:
        model = Model()
        model.fit(KerasSteps(), x)
        return model.loss

    arguments: dict[str, Any] = {"solver": "random", "budget": 20, "seed": 0, "early_stopping": "halving"}
    wanted = oe.minimize(by_yield, SPACE, **arguments)
    for objective in (lightning, keras):
        result = oe.minimize(objective, SPACE, **arguments)
        assert result.history.F.tobytes() == wanted.history.F.tobytes()
    with pytest.raises(ProblemError, match=r"monitor must be one of .*did you mean 'val_loss'"):
        KerasSteps("val_los").on_epoch_end(0, {"val_loss": 1.0})
    with pytest.raises(AttributeError):
        KerasSteps().nothing_of_the_kind  # noqa: B018
