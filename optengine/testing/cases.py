"""Small problems of every kind of variable and constraint, on which `check_solver` runs a solver.

Their objectives are functions of this module, so that worker processes can import them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.known import Cardinality, Predicate, Row
from optengine.core.problem import Objective, Problem
from optengine.core.space import (
    Binary,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Real,
    Simplex,
    Space,
    Subset,
)

Floats = NDArray[np.float64]

WEIGHTS = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0, 8.0])
GRID = np.abs(np.subtract.outer(np.arange(7.0), np.arange(7.0) ** 1.1))  # distances of an asymmetric line


def small_problems() -> dict[str, Problem]:
    """Return the problems by name: each kind of variable, of known and of observed constraint, and of objective."""
    box = [(-5.0, 5.0)] * 3
    conditional = Space(
        kind=Categorical(["svm", "forest"]),
        c=Real(1e-2, 1e3, log=True, when=("kind", "svm")),
        kernel=Categorical(["rbf", "poly"], when=("kind", "svm")),
        degree=Integer(2, 5, when={"kind": "svm", "kernel": "poly"}),
        trees=Integer(1, 200, log=True, when=("kind", "forest")),
        scale=Binary(),
        order=Permutation(3, when=("scale", True)),
    )
    named = Space(a=Real(0, 1), n=Integer(0, 9), size=Ordinal([16, 32, 64, 128]))
    return {
        "bounds": Problem(_sphere, box, name="bounds"),
        "vectorized": Problem(_spheres, box, vectorized=True, name="vectorized"),
        "maximized": Problem(_hill, named, direction="maximize", name="maximized"),
        "log": Problem(_logs, Space(lr=Real(1e-5, 1e-1, log=True), wd=Real(1e-8, 1, log=True)), name="log"),
        "integers": Problem(_sphere, Space(Integer([-9, 0, 3], [9, 50, 3])), name="integers"),
        "levels": Problem(
            _sphere, Space(Ordinal([[-1.0, 0.5, 2.0], [0.25, 3.0], [-4.0, -0.5, 0.0, 1.0]])), name="levels"
        ),
        "conditional": Problem(_tuning, conditional, name="conditional"),
        "permutation": Problem(_tour, Space(Permutation(7)), name="permutation"),
        "subset": Problem(_chosen, Space(Subset(8, (2, 4))), name="subset"),
        "simplex": Problem(_shares, Space(Simplex(4)), name="simplex"),
        "binaries": Problem(_knapsack, Space(Binary(shape=12)), name="binaries"),
        "one point": Problem(_sphere, Space([(1.0, 1.0), (2.0, 2.0)]), name="one point"),
        "rows": Problem(
            _sphere, Space(box, rows=[Row([1, 1, 1], lower=2), Row([1, -1, 0], upper=1)]), name="rows"
        ),
        "integer rows": Problem(
            _knapsack, Space(Binary(shape=12), rows=[Row({"x": WEIGHTS}, upper=20)]), name="integer rows"
        ),
        "cardinality": Problem(
            _sphere,
            Space(Real(0, 1, shape=6), rows=[Cardinality("x", 1, 2), Row({"x": 1}, 0.5, 1)]),
            name="cardinality",
        ),
        "predicate": Problem(_hill, Space(named.variables, where=[Predicate(_affordable)]), name="predicate"),
        "constraints": Problem(
            _plant, box, objectives="cost", constraints=["heat", "sound"], name="constraints"
        ),
        "two objectives": Problem(
            _trade,
            box,
            objectives=["cost", Objective("gain", "maximize")],
            constraints="heat",
            name="two objectives",
        ),
        "front": Problem(_trades, box, objectives=["near", "far"], name="front"),
        "fidelity": Problem(
            _training,
            Space(x=Real(0, 1), y=Integer(0, 20), epochs=Integer(1, 27, log=True, fidelity=True)),
            name="fidelity",
        ),
    }


def _sphere(x: Any) -> float:
    return float(((np.asarray(x, dtype=np.float64) - 0.3) ** 2).sum())


def _spheres(X: Floats) -> Floats:
    total: Floats = ((X - 0.3) ** 2).sum(axis=1)
    return total


def _hill(a: float, n: int, size: int) -> float:
    return n - 4 * (a - 0.7) ** 2 - abs(size - 64) / 32


def _affordable(x: dict[str, Any]) -> bool:
    return bool(x["n"] * x["size"] <= 300)


def _logs(lr: float, wd: float) -> float:
    return float((np.log10(lr) + 3) ** 2 + (np.log10(wd) + 4) ** 2)


def _tuning(x: dict[str, Any]) -> float:
    value = float(np.log10(x["c"]) ** 2) if x["kind"] == "svm" else abs(x["trees"] - 60) / 60
    value += 0.2 * abs(x.get("degree", 3) - 3) + 0.1 * (x.get("kernel") == "rbf")
    return float(value) + (0.05 * int(x["order"][0]) if x["scale"] else 0.4)


def _tour(x: Any) -> float:
    return float(GRID[x, np.roll(x, -1)].sum())


def _chosen(x: Any) -> float:
    return float(abs(WEIGHTS[x].sum() - 13) + 0.1 * len(x))


def _shares(x: Any) -> float:
    return float(((x - np.array([0.5, 0.3, 0.2, 0.0])) ** 2).sum())


def _knapsack(x: Any) -> float:
    return -float((np.arange(1, 13) % 7) @ x) + max(0.0, float(WEIGHTS @ x) - 25)


def _plant(x: Any) -> dict[str, float]:
    return {"cost": _sphere(x), "heat": 1 - float(x[0]), "sound": float(x[1] ** 2) - 4}


def _trade(x: Any) -> dict[str, float]:
    return {"cost": _sphere(x), "gain": float(x[0] + x[1]), "heat": float(x[2]) - 2}


def _trades(x: Any) -> tuple[float, float]:
    return _sphere(x), _sphere(x - 2.0)


def _training(x: float, y: int, epochs: int) -> dict[str, float]:
    return {"error": (x - 0.4) ** 2 + abs(y - 7) / 20 + 1 / epochs, "cost": float(epochs)}
