"""What every form of the fast engine owes: a run taken up from its snapshot goes on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.problems import LinearCost, RunPool
from optengine.solvers.bayes import BO, Beliefs, Near


def bowl(x: Any) -> dict[str, float]:
    return {"f": float(((x - 0.4) ** 2).sum()), "g": float(x[0] - 0.7), "cost": 1.0 + float(x[1])}


def pool() -> RunPool:
    space = oe.Space(w=oe.Simplex(3), s=oe.Ordinal([0.1, 1.0], fidelity=True, target=1.0))
    runs = [
        {"w": w, "s": s} for w in np.random.default_rng(0).dirichlet(np.ones(3), size=12) for s in (0.1, 1.0)
    ]
    values = [float((r["w"] ** 2).sum() + r["s"]) for r in runs]
    return RunPool(space, runs, values, cost=LinearCost({"s": 1.0}))


PLACE = {"x": Near([0.3, 0.5])}
VARIANTS: dict[str, BO] = {
    "pibo": BO(beliefs=PLACE, n_initial=4),
    "colabo": BO(beliefs=Beliefs(place=PLACE, value=(0.0, 0.1), n_paths=64), n_initial=4),
    "config": BO(acquisition="config", n_initial=4),
    "variance": BO(acquisition="variance", n_initial=4),
    "cooling": BO(cooling=20.0, n_initial=4),
    "pool": BO(n_initial=2),
}


@pytest.mark.parametrize("name", list(VARIANTS))
def test_snapshots(name: str) -> None:
    solver = VARIANTS[name]
    constraints = ["g"] if name in ("config", "colabo") else []

    def value(x: Any) -> dict[str, float]:
        told = bowl(x)
        return told if constraints else {k: v for k, v in told.items() if k != "g"}

    box = oe.Problem(value, [(0, 1)] * 2, objectives="f", constraints=constraints)
    problem = pool() if name == "pool" else box
    run = solver.start(problem, np.random.default_rng(0))
    for _ in range(7):
        X = run.ask(1)
        run.tell(X, problem.evaluate(X))
    other = solver.start(problem, np.random.default_rng(5))
    other.restore(run.snapshot())
    for _ in range(2):
        X, Y = run.ask(1), other.ask(1)
        assert (X == Y).all()
        assert problem.space.contains(X).all()
        for one in (run, other):
            one.tell(X, problem.evaluate(X))
