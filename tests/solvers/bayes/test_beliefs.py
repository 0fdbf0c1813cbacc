"""What a user believes beforehand: densities, reweighted functions, and what becomes of right and wrong beliefs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.backends.repair import Repair
from optengine.core.errors import OptionError
from optengine.solvers.bayes import BO, Beliefs, Near
from optengine.solvers.bayes.believed import BelievedModel
from optengine.solvers.bayes.place import Place
from optengine.solvers.bayes.score import Score
from optengine.surrogates.features import Features

SPACE = oe.Space(
    rate=oe.Real(1e-4, 1, log=True), kind=oe.Categorical(["a", "b", "c"]), on=oe.Binary(), n=oe.Integer(1, 9)
)
BELIEFS = Beliefs(
    place={"rate": Near(1e-2, 0.1), "kind": {"b": 8, "a": 1}, "on": {1: 3, 0: 1}, "n": Near(3, 0.2)}
)


def place_of(space: oe.Space, beliefs: Beliefs) -> tuple[Place, Features]:
    features = Features(space)
    return Place(space, features, beliefs), features


def test_density_of_a_place_is_the_product_of_its_parts() -> None:
    place, features = place_of(SPACE, BELIEFS)
    X = SPACE.encode(
        [{"rate": 1e-2, "kind": "b", "on": 1, "n": 3}, {"rate": 1e-2, "kind": "c", "on": 1, "n": 3}]
    )
    log, _ = place.log(features.of(X))
    top = (math.exp(log[0]) - 0.05) / 0.95  # the product itself
    assert math.exp(log[1]) == pytest.approx(0.95 * top / 8 + 0.05)
    assert log[0] > 0  # more than under no belief


def test_density_integrates_to_one_and_its_gradient_is_right() -> None:
    space = oe.Space([(0, 1)])
    place, _ = place_of(space, Beliefs(place={"x": Near([0.9], 0.2)}, mix=0.1))
    Z = np.linspace(0, 1, 4001)[:, None]
    log, gradient = place.log(Z)
    assert np.trapezoid(np.exp(log), Z[:, 0]) == pytest.approx(1.0, abs=1e-6)
    assert gradient[1:-1, 0] == pytest.approx((log[2:] - log[:-2]) / (2 * Z[1, 0]), abs=1e-4)


def test_samples_follow_the_belief() -> None:
    place, _ = place_of(SPACE, BELIEFS)
    X = place.sample(4000, np.random.default_rng(0))
    assert SPACE.contains(X).all()
    assert (X[:, 1] == 1).mean() == pytest.approx(0.95 * 0.8 + 0.05 / 3, abs=0.03)
    assert SPACE.to_unit(X)[:, 0].mean() == pytest.approx(0.5, abs=0.02)
    mode = SPACE.decode_one(place.mode()[0])
    assert (mode["kind"], mode["on"], mode["n"]) == ("b", 1, 3)
    assert mode["rate"] == pytest.approx(1e-2)


def wave(x: Any) -> float:
    """Two equal basins, at 0.2 and at 0.8."""
    return float(-np.exp(-50 * (x[0] - 0.2) ** 2) - np.exp(-50 * (x[0] - 0.8) ** 2))


@pytest.mark.parametrize("method", ["pibo", "colabo"])
def test_the_belief_decides_between_equal_basins(method: str) -> None:
    """Without the density, or without the weights, the points would not know that 0.8 is believed in."""
    problem = oe.Problem(wave, [(0, 1)])
    for centre in (0.2, 0.8):
        beliefs = Beliefs(place={"x": Near(centre, 0.08)}, method=method)
        near = 0
        for seed in range(4):
            run = BO(beliefs=beliefs, n_initial=3).start(problem, np.random.default_rng(seed))
            X = np.array([[0.05], [0.5], [0.95]])  # symmetric: nothing in the values tells the basins apart
            run.tell(X, problem.evaluate(X))
            near += abs(run.ask(1)[0, 0] - centre) < 0.2
        assert near >= 3


def believed(beliefs: Beliefs, space: oe.Space, seed: int = 0) -> tuple[BelievedModel, oe.Problem]:
    problem = oe.Problem(lambda x: float(x[0]), space)
    features, rng = Features(space), np.random.default_rng(seed)
    return BelievedModel(BO(beliefs=beliefs), problem, features, rng, None, Repair(space)), problem


def test_preferences_weigh_functions_as_bayes_says() -> None:
    """Of two independent standard normals, the difference given its sign has mean 2 / sqrt(pi)."""
    model, _ = believed(Beliefs(preferences=[([0.1], [0.9])], mix=1e-9), oe.Space([(0, 1)]))
    paths = np.random.default_rng(0).standard_normal((2, 40_000))
    weights = np.exp(model.log_weights(np.array([[0.1], [0.9]]), paths))
    difference = (weights * (paths[1] - paths[0])).sum() / weights.sum()
    assert difference == pytest.approx(2 / math.sqrt(math.pi), abs=0.02)


def test_value_weighs_functions_by_what_their_optimum_is_worth() -> None:
    """In the user's direction and unit: of maxima at 2 and 5, the latter is believed, by the normal's ratio."""
    space = oe.Space([(0, 1)])
    problem = oe.Problem(lambda x: float(x[0]), space, direction="maximize")
    model = BelievedModel(
        BO(beliefs=Beliefs(value=(5.0, 1.0), mix=1e-9)), problem, Features(space), np.random.default_rng(0), None,
        Repair(space),
    )  # fmt: skip
    from optengine.surrogates.outcomes import Scaling

    model.scaling = Scaling(centre=1.0, spread=2.0)
    minima = np.array([-2.0, -5.0])
    paths = np.stack([np.full(2, 9.0), (minima - 1.0) / 2.0])
    log = model.log_weights(np.array([[0.1], [0.9]]), paths)
    assert log == pytest.approx([-4.5, 0.0], abs=1e-3)


def test_scaling_has_an_inverse() -> None:
    from optengine.surrogates.outcomes import objective_scaling

    y = np.array([-3.0, 0.0, 1.0, 2.0, 50.0, 1000.0])
    scaling = objective_scaling(y)
    assert scaling.inverse(scaling(y)) == pytest.approx(y)


def test_colabo_reports_its_effective_sample_size_and_conditions_on_the_data() -> None:
    problem = oe.Problem(lambda x: float(((x - 0.3) ** 2).sum()), [(0, 1)] * 2)
    beliefs = Beliefs(place={"x": Near(0.3, 0.1)}, value=(0.0, 0.05), n_paths=512)
    run = BO(beliefs=beliefs, n_initial=4).start(problem, np.random.default_rng(0))
    X = np.array([[0.1, 0.2], [0.9, 0.5], [0.4, 0.8], [0.6, 0.1]])
    run.tell(X, problem.evaluate(X))
    run.ask(1)
    facts = run.details["beliefs"]
    assert facts["method"] == "colabo"
    assert 1 <= facts["effective_sample_size"] < 512
    score: Score = run._model.score(run._told)
    mean = score.main.look(run._features.of(X)).mean
    exact = run._model.scaling(problem.evaluate(X).F[:, 0])
    assert mean == pytest.approx(np.repeat(exact[:, None], mean.shape[1], axis=1), abs=0.05)


def test_a_wrong_belief_is_recovered_from() -> None:
    problem = oe.Problem(lambda x: float(((x - 0.2) ** 2).sum()), [(0, 1)] * 2)
    for method in ("pibo", "colabo"):
        beliefs = Beliefs(place={"x": Near(0.9, 0.05)}, method=method, n_paths=256)
        assert oe.solve(problem, solver=BO(beliefs=beliefs), budget=25, seed=0).fun < 1e-2


def test_noise_constraints_and_pending_points_go_along() -> None:
    problem = oe.Problem(
        lambda x: {"f": float(x[0]), "g": 0.3 - float(x[1])}, [(0, 1)] * 2, objectives="f", constraints=["g"],
        noisy=True,
    )  # fmt: skip
    beliefs = Beliefs(place={"x": Near([0.1, 0.5])}, method="colabo", n_paths=64)
    run = BO(beliefs=beliefs, n_initial=4).start(problem, np.random.default_rng(0))
    X = run.ask(4)
    run.tell(X, problem.evaluate(X))
    assert problem.space.contains(run.ask(3)).all()


@pytest.mark.parametrize(
    ("beliefs", "words"),
    [
        ({"x": 3}, "place of 'x' must be Near"),
        (3, "beliefs must be Beliefs"),
        ({}, "must hold a place"),
    ],
)
def test_what_is_no_belief(beliefs: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        BO(beliefs=beliefs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"value": (1.0, 0.0)}, "value must be"),
        ({"preferences": [(1,)]}, "preferences must be"),
        ({"value": (1.0, 1.0), "method": "pibo"}, "about the place only"),
        ({"value": (1.0, 1.0), "decay": 0}, "decay"),
        ({"value": (1.0, 1.0), "mix": 1.0}, "mix"),
        ({"value": (1.0, 1.0), "n_paths": 5}, "n_paths"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Beliefs(**options)


def test_beliefs_that_do_not_fit_the_problem() -> None:
    with pytest.raises(OptionError, match="spread of Near"):
        Near(1, 0)
    with pytest.raises(OptionError, match="engine 'fast'"):
        BO(beliefs={"x": Near(1)}, engine="botorch")
    problem = oe.Problem(lambda rate, kind, on, n: 0.0, SPACE)
    for place, words in (
        ({"rat": Near(1e-2)}, "did you mean 'rate'"),
        ({"kind": Near(1)}, "dicts of weights"),
        ({"rate": Near(7.0)}, "do not fit"),
        ({"kind": {"z": 1}}, "do not fit"),
        ({"kind": {"a": -1}}, "weights must be numbers > 0"),
    ):
        assert words in str(BO(beliefs=place).refuses(problem))
    several = oe.Problem(lambda x: (0.0, 1.0), [(0, 1)], objectives=["a", "b"])
    assert "one objective" in str(BO(beliefs={"x": Near(0.5)}).refuses(several))
    assert "preferences" in str(
        BO(beliefs=Beliefs(preferences=[([5.0], [0.5])])).refuses(oe.Problem(wave, [(0, 1)]))
    )
