"""REINFORCE: its gradient against finite differences, its policy's draws, and problems with known answers."""

from __future__ import annotations

import numpy as np
import pytest

import optengine as oe
from optengine.core.evaluation import Evaluation
from optengine.solvers.reinforce import REINFORCE, costs
from optengine.testing import check_solver

MIXED = oe.Space(x=oe.Real(-1, 3), k=oe.Integer(0, 9), c=oe.Categorical(["a", "b", "c"]), b=oe.Binary())


def told(f: np.ndarray) -> Evaluation:
    return Evaluation(f[:, None], np.empty((len(f), 0)), ~np.isfinite(f))


def test_gradient_is_the_slope_of_the_expected_advantage() -> None:
    run = REINFORCE(population=8).start(
        oe.Problem(lambda x: 0.0, oe.Space(x=oe.Real(-1, 3), c=oe.Categorical(["a", "b", "c"]))),
        np.random.default_rng(0),
    )
    X = run.ask(8)
    advantage = np.random.default_rng(1).normal(size=8)

    def likelihood() -> float:
        mean, log_sigma, logits = run._policy
        z = (run._space.to_unit(X)[:, [0]] - mean) / np.exp(log_sigma)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        logs = (-0.5 * z**2 - log_sigma).sum(axis=1) + np.log(p[0, X[:, 1].astype(int)])
        return float(advantage @ logs) / 8

    found = run._gradient(X, advantage)
    for part, slope in zip(run._policy, found, strict=True):
        for place in np.ndindex(part.shape):
            part[place] += 1e-6
            above = likelihood()
            part[place] -= 2e-6
            below = likelihood()
            part[place] += 1e-6
            assert slope[place] == pytest.approx((above - below) / 2e-6, abs=1e-7)


def test_mixed_problem_with_a_known_optimum() -> None:
    function = lambda x: (x["x"] - 1.2) ** 2 + abs(x["k"] - 7) + (x["c"] != "b") + (x["b"] != 1)  # noqa: E731
    result = oe.minimize(function, MIXED, solver="reinforce", budget=4000, seed=0)
    assert result.fun < 0.01
    assert (result.x["k"], result.x["c"], result.x["b"]) == (7, "b", 1)


def test_infeasible_and_failed_rows_stand_behind_the_feasible() -> None:
    values = costs(np.array([1.0, 3.0, 0.0, 0.0, np.nan]), np.array([0.0, 0.0, 0.5, 9.0, np.inf]))
    assert np.isfinite(values).all()
    assert list(np.argsort(values)) == [0, 1, 2, 3, 4]
    assert np.isfinite(costs(np.full(3, np.nan), np.full(3, np.inf))).all()


def test_a_flat_batch_moves_nothing() -> None:
    run = REINFORCE(population=4).start(oe.Problem(lambda x: 0.0, MIXED), np.random.default_rng(0))
    before = [part.copy() for part in run._policy]
    X = run.ask()
    run.tell(X, told(np.ones(4)))
    assert all((a == b).all() for a, b in zip(before, run._policy, strict=True))


def test_contract() -> None:
    check_solver(REINFORCE(population=8))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"population": 1}, "population"), ({"rate": 0}, "rate"), ({"sigma0": 2.0}, "sigma0"), ({"rate": "fast"}, "rate")],
)  # fmt: skip
def test_options_are_checked(options: dict[str, object], words: str) -> None:
    with pytest.raises(oe.OptionError, match=words):
        REINFORCE(**options)  # type: ignore[arg-type]


def test_refuses_permutations_and_fronts() -> None:
    tour = oe.Problem(lambda x: 0.0, oe.Space(oe.Permutation(4)))
    assert "permutations" in str(REINFORCE().refuses(tour))
    front = oe.Problem(lambda x: (0.0, 1.0), oe.Space([(0, 1)]), objectives=["a", "b"])
    assert "2" in str(REINFORCE().refuses(front))
