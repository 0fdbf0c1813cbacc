"""Offline solvers: they beat the table, say how far to believe them, and keep observed constraints."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, SolverNotSuitable
from optengine.problems import Offline
from optengine.solvers.offline.choosing import choose, pessimistic
from optengine.solvers.offline.ensemble import Ensemble
from optengine.solvers.offline.relaxed import Relaxed, ascend
from optengine.solvers.offline.searching import all_points, substitute, substitutions
from optengine.solvers.offline.trust import Nearness, calibrate
from optengine.surrogates.features import Features
from optengine.surrogates.posterior import Posterior, Setting, spearman, spread_rows, try_settings

DNA = oe.Space(oe.Categorical(list("ACGT"), shape=6))


def hill(X: np.ndarray) -> np.ndarray:
    return -((X - 0.6) ** 2).sum(axis=1)


def hill_table(n: int = 300, d: int = 3, **options: Any) -> Offline:
    """The worst 70 % of a hill."""
    X = np.random.default_rng(0).random((n, d))
    y = hill(X)
    worst = np.argsort(y)[: int(0.7 * n)]
    return Offline([(0, 1)] * d, X[worst], y[worst], 16, direction="maximize", **options)


# -- the posterior -----------------------------------------------------------------------------------------------------


def test_the_posterior_interpolates_and_its_slope_is_its_derivative() -> None:
    rng = np.random.default_rng(0)
    Z, y = rng.random((40, 3)), rng.normal(size=40)
    for trend in (0.0, 1.0):
        model = Posterior(Z, y, Setting(0.3, 1e-8, trend))
        np.testing.assert_allclose(model.mean(Z), y, atol=1e-4)
        assert (model.deviation(Z) < 1e-2).all()
        at = rng.random((5, 3))
        value, slope = model.slope(at)
        np.testing.assert_allclose(value, model.mean(at))
        for c in range(3):
            step = np.zeros(3)
            step[c] = 1e-5
            change = (model.mean(at + step) - model.mean(at - step)) / 2e-5
            np.testing.assert_allclose(change, slope[:, c], rtol=1e-3, atol=1e-4)


def test_a_trend_extrapolates_a_parabola() -> None:
    rng = np.random.default_rng(0)
    Z = rng.random((200, 4))
    y = hill(Z)
    low = np.argsort(y)[:150]
    t = (y - y[low].mean()) / y[low].std()
    best = np.full((1, 4), 0.6)
    with_trend = Posterior(Z[low], t[low], Setting(0.5, 1e-2, 1.0)).mean(best)
    assert with_trend[0] > t[low].max()
    trials = try_settings(Z[low], t[low], rng)
    assert trials[0].merit == max(trial.merit for trial in trials) > 0.8


def test_rows_are_the_best_and_some_of_the_rest() -> None:
    y = np.arange(100.0)
    rows = spread_rows(y, 20, np.random.default_rng(0))
    assert len(np.unique(rows)) == 20
    assert set(range(90, 100)) <= set(rows.tolist())
    assert len(spread_rows(y, 500, np.random.default_rng(0))) == 100
    assert spearman(y, y**3) == pytest.approx(1.0)
    assert spearman(y, np.ones(100)) == 0.0


# -- searching ---------------------------------------------------------------------------------------------------------


def test_points_survive_the_way_to_variables_and_back() -> None:
    space = oe.Space(
        a=oe.Real(-1, 2),
        k=oe.Categorical(list("uvw")),
        b=oe.Binary(shape=2),
        n=oe.Integer(0, 7),
        one=oe.Real(3, 3),
    )
    X = space.sample(50, np.random.default_rng(0))
    features = Features(space)
    relaxed = Relaxed(space, features)
    np.testing.assert_allclose(relaxed.decode(relaxed.start(features.of(X))), X, atol=1e-12)
    assert not Relaxed(oe.Space(oe.Permutation(4)), Features(oe.Space(oe.Permutation(4)))).possible


def test_ascent_climbs_reals_and_logits() -> None:
    features = Features(DNA)
    relaxed = Relaxed(DNA, features)
    goal = features.of(np.array([[3.0, 2, 1, 0, 3, 2]]))[0]
    start = features.of(np.zeros((4, 6)))
    found = ascend(
        relaxed, lambda Z: (Z @ goal, np.tile(goal, (len(Z), 1))), start, (5, 60), 0.02, lambda: False
    )
    assert len(found) == 2
    np.testing.assert_array_equal(found[1], np.tile([3.0, 2, 1, 0, 3, 2], (4, 1)))
    stopped = ascend(relaxed, lambda Z: (Z @ goal, Z), start, (5, 60), 0.02, lambda: True)
    np.testing.assert_array_equal(stopped[1], np.zeros((4, 6)))


def test_substitutions_change_one_column() -> None:
    rng = np.random.default_rng(0)
    X = DNA.sample(3, rng)
    children = substitutions(DNA, X, rng)
    assert len(children) == 3 * 6 * 3
    assert DNA.contains(children).all()
    assert ((children[:, None] != X).sum(axis=2).min(axis=1) == 1).all()
    assert len(substitutions(DNA, X, rng, most=10)) == 10


def test_substitution_finds_the_best_sequence() -> None:
    weights = np.random.default_rng(1).normal(size=(6, 4))

    def score(X: np.ndarray) -> np.ndarray:
        return weights[np.arange(6), X.astype(int)].sum(axis=1)

    found = substitute(DNA, score, np.zeros((2, 6)), np.random.default_rng(0), lambda: False)
    np.testing.assert_array_equal(found[0], weights.argmax(axis=1))
    assert len(np.unique(found, axis=0)) == len(found)
    everything = all_points(DNA)
    assert everything is not None
    assert len(np.unique(everything, axis=0)) == 4**6
    assert all_points(oe.Space([(0, 1)])) is None


def test_the_batch_is_spread_and_never_short() -> None:
    Z = np.array([[0.0], [0.01], [0.02], [1.0], [2.0]])
    score = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert choose(Z, score, 3, 0.5).tolist() == [0, 3, 4]
    assert choose(Z, score, 4, 0.5).tolist() == [0, 2, 3, 4] or len(choose(Z, score, 4, 0.5)) == 4
    assert len(choose(np.zeros((4, 1)), np.arange(4.0), 4, 0.5)) == 4
    P = np.array([[0.0, 1.0, 2.0], [20.0, 10.0, 0.0]])
    np.testing.assert_allclose(pessimistic(P), [-np.sqrt(1.5), 0.0, -np.sqrt(1.5)])


class Line:
    """A model of one slope."""

    def __init__(self, slope: float) -> None:
        self._slope = slope

    def mean(self, Z: np.ndarray) -> np.ndarray:
        return self._slope * Z[:, 0]

    def slope(self, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.mean(Z), np.full_like(Z, self._slope)


@pytest.mark.parametrize(("aggregate", "expected"), [("mean", 2.0), ("min", 1.0), ("lcb", 2.0 - 1.0)])
def test_aggregates_by_hand(aggregate: str, expected: float) -> None:
    ensemble = Ensemble([Line(1.0), Line(3.0)], aggregate=aggregate)
    Z = np.array([[1.0], [2.0]])
    np.testing.assert_allclose(ensemble.score(Z), expected * Z[:, 0])
    np.testing.assert_allclose(ensemble.slope(Z)[0], expected * Z[:, 0])
    np.testing.assert_allclose(ensemble.slope(Z)[1], expected)


# -- solvers -----------------------------------------------------------------------------------------------------------

NEURAL = {"members": 2, "hidden": 32, "training_steps": 150}
SOLVERS: dict[str, dict[str, Any]] = {
    "gp_portfolio": {},
    "gradient_ascent": NEURAL,
    "ram": NEURAL | {"loss": "rankcosine"},
    "match_opt": NEURAL,
    "surrogate_search": NEURAL | {"inner": "cem", "evaluations": 600},
    "root": {
        "epochs": 2,
        "functions": 2,
        "starts": 64,
        "training_steps": 200,
        "hidden": 32,
        "walk_steps": 20,
    },
}


@pytest.mark.parametrize("name", SOLVERS)
def test_proposals_are_better_than_the_table(name: str) -> None:
    if name != "gp_portfolio":
        pytest.importorskip("torch")
    table = hill_table()
    result = oe.solve(table, name, seed=0, options=SOLVERS[name])
    values = hill(result.details["candidates"])
    assert result.status == "unverified"
    assert result.fun is None
    assert np.median(values) > np.median(table.y)
    assert values.max() > table.y.max()


def test_auto_is_the_portfolio_and_says_why() -> None:
    result = oe.solve(hill_table(), seed=0)
    assert result.solver == "gp_portfolio"
    assert "table" in result.reason
    assert "nothing was evaluated" in result.message
    assert result.details["curve"]["prediction"].shape == (5,)
    assert hill(result.details["candidates"]).max() > -0.01


def test_auto_takes_ranking_networks_for_sequences() -> None:
    X = DNA.sample(60, np.random.default_rng(0))
    table = Offline(DNA, X, X.sum(axis=1), 4, encoded=True, duplicates="mean")
    has_torch = importlib.util.find_spec("torch") is not None
    assert oe.registry.choose(table, None, 1)[0] == ("ram" if has_torch else "gp_portfolio")


def test_minimising_is_maximising_upside_down() -> None:
    table = hill_table()
    mirrored = Offline([(0, 1)] * 3, table.X, -table.y, 16)
    up, down = oe.solve(table, seed=0), oe.solve(mirrored, seed=0)
    np.testing.assert_allclose(up.details["candidates"], down.details["candidates"])
    np.testing.assert_allclose(up.details["prediction"], -down.details["prediction"])


def test_observed_constraints_are_predicted_and_kept() -> None:
    X = np.random.default_rng(0).random((300, 2))
    heat = X[:, 0] - 0.45
    table = Offline([(0, 1)] * 2, X, hill(X), 16, direction="maximize", constraints={"heat": heat})
    result = oe.solve(table, seed=0)
    found = result.details["candidates"]
    assert (found[:, 0] <= 0.46).mean() > 0.9
    assert result.feasible


def test_ignite_is_its_base_with_the_regulariser() -> None:
    pytest.importorskip("torch")
    table = hill_table(120)
    one = oe.solve(table, "gradient_ascent", seed=0, options=NEURAL | {"sharpness": "fixed"})
    assert (one.details["multiplier"] == np.float32(0.01)).all()
    other = oe.solve(table, oe.solvers.Ignite(kind="fixed", base_options=NEURAL), seed=0)
    np.testing.assert_array_equal(other.details["candidates"], one.details["candidates"])
    plain = oe.solve(table, "gradient_ascent", seed=0, options=NEURAL)
    assert not np.array_equal(one.details["candidates"], plain.details["candidates"])
    with pytest.raises(OptionError, match="base must be an offline solver"):
        oe.solvers.Ignite(base="gp_portfolio")
    with pytest.raises(OptionError, match="kind must be one of"):
        oe.solvers.Ignite(kind="none")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("gp_portfolio", {"members": 0}, "members must be an integer >= 1"),
        ("gradient_ascent", {"loss": "listnet"}, "loss must be one of"),
        ("gradient_ascent", {"aggregate": "max"}, "aggregate must be one of"),
        ("ram", {"loss": "mse"}, "loss must be one of"),
        ("surrogate_search", {"inner": "ram"}, "inner must be a solver that evaluates"),
        ("root", {"target_quantile": 1.5}, "target_quantile must be <= 1"),
        ("root", {"guidance": np.inf}, "guidance must be a finite number"),
        ("root", {"walk_steps": 1}, "walk_steps must be >= 2"),
    ],
)
def test_options_are_checked(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        oe.registry.make(name, options)


def test_unsuitable_problems_are_refused() -> None:
    with pytest.raises(SolverNotSuitable, match="table of an Offline problem"):
        oe.solve(oe.Problem(lambda x: 0.0, [(0, 1)]), "gp_portfolio", budget=1)
    space = oe.Space(oe.Permutation(5))
    X = space.sample(30, np.random.default_rng(0))
    table = Offline(space, X, X @ np.arange(5.0), 4, encoded=True, duplicates="mean")
    with pytest.raises(SolverNotSuitable, match="walks in vectors"):
        oe.solve(table, "root")


# -- trust -------------------------------------------------------------------------------------------------------------


def test_intervals_cover_values_of_points_like_the_held_out_rows() -> None:
    """90 % stated; over 20 tables of 400 rows with noise, the share covered is within three deviations of that."""
    covered, n = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.random((600, 3))
        y = np.sin(5 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.normal(size=600)
        t = (y - y[:400].mean()) / y[:400].std()
        calibration = calibrate(X[:400], t[:400], Setting(0.3, 1e-2, 0.0), rng)
        fresh, truth = X[400:], t[400:]
        good = truth > np.median(t[:400])
        half = calibration.half_width(fresh[good])
        covered += int((np.abs(calibration.model.mean(fresh[good]) - truth[good]) <= half).sum())
        n += int(good.sum())
    # calibration sets of 80 rows: their own error dominates
    error = np.sqrt(0.09 / n + 0.09 / (20 * 80))
    assert covered / n == pytest.approx(0.9 + 0.5 / 81, abs=3 * error)


def test_the_warning_fires_where_the_search_left_the_data() -> None:
    """All rows in a corner, a slope that leads away from it."""
    X = 0.2 * np.random.default_rng(0).random((200, 4))
    away = oe.solve(Offline([(0, 1)] * 4, X, X.sum(axis=1), 8, direction="maximize"), seed=0)
    assert "left the data" in away.message
    assert np.median(away.details["distance"]) > 2
    flat = 1.0 - ((X - 0.1) ** 2).sum(axis=1)
    space = oe.Space(oe.Binary(shape=8))
    B = np.unique(space.sample(400, np.random.default_rng(0)), axis=0)
    inside = oe.solve(Offline(space, B, B.sum(axis=1), 8, direction="maximize", encoded=True), seed=0)
    assert "left the data" not in inside.message
    near = Nearness.of(X, np.random.default_rng(0))
    assert near.distance(X + 1e-6).max() < 0.1
    assert flat.max() <= 1.0


def test_a_table_of_noise_is_called_that() -> None:
    rng = np.random.default_rng(0)
    table = Offline([(0, 1)] * 5, rng.random((200, 5)), rng.normal(size=200), 8)
    result = oe.solve(table, seed=0)
    assert "does not extrapolate" in result.message
    assert set(result.details["member"]) == {"ascent 2", "ascent 8", "ascent 32", "ascent 128", "draw"}
