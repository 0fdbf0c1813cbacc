"""The Parzen estimator: no point twice, what it learns, and that it beats random search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.solver import StopAsking
from optengine.solvers.bayes.tpe import TPE

SMALL = oe.Space(a=oe.Categorical(["x", "y", "z"]), b=oe.Integer(1, 4), c=oe.Ordinal([1, 2, 4, 8, 16]))


def start(space: Any, seed: int = 0, noisy: bool = False, **options: Any) -> Any:
    problem = oe.Problem(np.sum, space, call="encoded", noisy=noisy)
    return TPE(**options).start(problem, np.random.default_rng(seed))


def drive(run: Any, function: Any, n: int) -> np.ndarray:
    asked = []
    for _ in range(n):
        X = run.ask(1)
        asked.append(X)
        run.tell(X, Evaluation.of(np.array([function(row) for row in X])))
    return np.concatenate(asked)


def best_of(solver: str, function: Any, space: Any, budget: int, seed: int, **more: Any) -> float:
    found = oe.minimize(function, space, solver=solver, budget=budget, seed=seed, **more).fun
    return float("inf") if found is None else found


def test_a_small_space_is_gone_through_without_a_duplicate() -> None:
    run = start(SMALL)
    X = drive(run, lambda row: row.sum(), 60)
    assert len(np.unique(X, axis=0)) == 60
    with pytest.raises(StopAsking):
        run.ask()


def test_pending_points_are_not_asked_again() -> None:
    run = start(SMALL, batch=7)
    X = np.concatenate([run.ask() for _ in range(8)])
    assert len(np.unique(X, axis=0)) == 56
    assert len(run.ask(9)) == 4


def test_points_of_others_are_pending_too() -> None:
    run = start(SMALL)
    others = SMALL.sample(200, np.random.default_rng(1))
    others = np.unique(others, axis=0)[:40]
    run.pend(others)
    X = np.concatenate([run.ask(1) for _ in range(20)])
    assert len(np.unique(np.concatenate([others, X]), axis=0)) == 60
    evaluation = Evaluation.of(others.sum(axis=1))
    evaluation.ids = np.full(40, -1)
    run.tell(others, evaluation)
    assert len(run._waiting) == 20  # its own


def test_a_used_up_space_converges() -> None:
    result = oe.minimize(lambda x: x["b"], SMALL, solver="tpe", budget=100, seed=0)
    assert result.status == "converged"
    assert result.n_evaluations == 60


def test_conditional_points_that_differ_only_where_nothing_counts_are_one() -> None:
    space = oe.Space(k=oe.Categorical(["a", "b"]), n=oe.Integer(0, 5, when=("k", "a")))
    run = start(space)
    assert len(np.unique(drive(run, lambda row: row.sum(), 7), axis=0)) == 7
    with pytest.raises(StopAsking):
        run.ask()


def test_known_constraints_leave_fewer_points() -> None:
    space = oe.Space(a=oe.Integer(0, 4), b=oe.Integer(0, 4), rows=[oe.Row({"a": 1, "b": 1}, upper=3)])
    X = drive(start(space), lambda row: row.sum(), 10)
    assert len(np.unique(X, axis=0)) == 10
    assert (X.sum(axis=1) <= 3).all()


def test_a_noisy_problem_may_repeat_but_failed_points_never_come_back() -> None:
    run = start(oe.Space(a=oe.Integer(0, 5)), noisy=True)
    X = drive(run, lambda row: np.nan if row[0] == 0 else row[0], 40)
    assert (X == 0).sum() <= 1
    assert len(X) > len(np.unique(X))


def test_failures_are_avoided_where_they_happen() -> None:
    run = start([(0.0, 1.0)] * 2)
    X = drive(run, lambda row: np.nan if row[0] > 0.5 else (row[0] - 0.4) ** 2 + row[1], 60)
    assert (X[30:, 0] > 0.5).mean() < 0.2


def test_pending_points_push_the_next_one_away() -> None:
    near, far = [], []
    for seed in range(10):
        run = start([(0.0, 1.0)] * 2, seed)
        drive(run, lambda row: ((row - 0.5) ** 2).sum(), 30)
        X = run.ask(6)
        gaps = np.linalg.norm(X[:, None] - X[None], axis=2)[np.triu_indices(6, 1)]
        near.append(gaps.min())
        far.append(np.median(gaps))
    assert min(near) > 1e-3
    assert np.median(far) > 0.01


@pytest.mark.parametrize("kind", ["real", "log", "mixed", "permutation", "subset", "simplex"])
def test_it_beats_random_search(kind: str) -> None:
    # Were it no better, eight wins of ten would come with probability 0.055.
    target = np.random.default_rng(5).random(12)
    cases: dict[str, tuple[Any, Any]] = {
        "real": ([(0.0, 1.0)] * 4, lambda x: ((x - target[:4]) ** 2).sum()),
        "log": (
            oe.Space(a=oe.Real(1e-6, 1, log=True), n=oe.Integer(1, 10_000, log=True)),
            lambda x: abs(np.log10(x["a"]) + 4) + abs(np.log10(x["n"]) - 1.5),
        ),
        "mixed": (
            oe.Space(a=oe.Real(0, 1), k=oe.Integer(0, 40), c=oe.Categorical(list("abcdefgh")), b=oe.Binary()),
            lambda x: abs(x["a"] - 0.3) + abs(x["k"] - 31) / 20 + (x["c"] != "d") + 0.3 * x["b"],
        ),
        "permutation": (oe.Permutation(8), lambda x: float(np.abs(x - np.argsort(target[:8])).sum())),
        "subset": (oe.Subset(12, size=4), lambda x: float(target[x].sum())),
        "simplex": (oe.Simplex(4), lambda x: float(((x - target[:4] / target[:4].sum()) ** 2).sum())),
    }
    space, function = cases[kind]
    wins = sum(
        best_of("tpe", function, space, 60, seed) < best_of("random", function, space, 60, seed)
        for seed in range(10)
    )
    assert wins >= 8


def test_it_finds_the_best_of_fifty_categories() -> None:
    value = np.random.default_rng(3).permutation(50)

    def function(x: dict[str, Any]) -> float:
        return float(value[x["g"]] / 10 + abs(x["a"] - 0.5))

    space = oe.Space(g=oe.Categorical(list(range(50))), a=oe.Real(0, 1))
    ranks = [
        value[oe.minimize(function, space, solver="tpe", budget=80, seed=seed).x["g"]] for seed in range(10)
    ]
    assert np.median(ranks) <= 2


def test_it_learns_the_better_branch_of_a_conditional_space() -> None:
    space = oe.Space(
        kind=oe.Categorical(["a", "b", "c"]),
        u=oe.Real(0, 1, when=("kind", "a")),
        v=oe.Real(1e-4, 1, log=True, when=("kind", "b")),
        w=oe.Integer(0, 9, when=("kind", ["b", "c"])),
    )

    def function(x: dict[str, Any]) -> float:
        if x["kind"] == "b":
            return abs(np.log10(x["v"]) + 2) + abs(x["w"] - 3) / 5
        return 1.0 + (x["u"] if x["kind"] == "a" else x["w"] / 9)

    run = [oe.minimize(function, space, solver="tpe", budget=60, seed=seed) for seed in range(10)]
    assert sum(r.x["kind"] == "b" for r in run) >= 9
    assert np.median([r.fun for r in run]) < 0.35


def test_observed_constraints_come_first() -> None:
    def function(x: np.ndarray) -> dict[str, float]:
        return {"f": float(x.sum()), "g": float(0.8 - x[0] * x[1])}

    wins = 0
    for seed in range(10):
        found = [
            best_of(solver, function, [(0.0, 1.0)] * 2, 60, seed, constraints=["g"])
            for solver in ("tpe", "random")
        ]
        wins += found[0] < found[1]
    assert wins >= 8


def test_two_objectives_give_a_better_front_than_random_points() -> None:
    import moocore

    def function(x: np.ndarray) -> tuple[float, float]:
        rest = 1 + 9 * x[1:].mean()
        return float(x[0]), float(rest * (1 - np.sqrt(x[0] / rest)))

    def volume(solver: str, seed: int) -> float:
        result = oe.minimize(
            function, [(0.0, 1.0)] * 5, solver=solver, objectives=["f", "g"], budget=100, seed=seed
        )
        assert result.front is not None
        return float(moocore.hypervolume(result.front.F, ref=[1.1, 11.0]))

    assert sum(volume("tpe", seed) > volume("random", seed) for seed in range(10)) >= 8


@pytest.mark.parametrize(
    ("option", "value"),
    [("n_initial", 0), ("good", 0.0), ("good", 1.0), ("n_candidates", 2.5), ("prior", -1.0), ("batch", True)],
)
def test_options_are_checked(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=option) as caught:
        TPE(**{option: value})
    assert repr(value) in str(caught.value)


def test_a_public_name() -> None:
    assert oe.solvers.TPE is TPE
