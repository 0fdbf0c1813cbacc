"""Objectives of the sets: cheap, with known optima where they have them."""

from __future__ import annotations

from typing import Any

import numpy as np

import optengine as oe


def sphere(d: int) -> oe.Problem:
    """Shifted sphere; optimum 0."""
    return _box(lambda X: ((X - 0.7) ** 2).sum(axis=1), d, (-5.0, 5.0), f"sphere{d}", 0.0)


def rosenbrock(d: int) -> oe.Problem:
    """Rosenbrock's valley; optimum 0."""
    return _box(
        lambda X: (100.0 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1.0 - X[:, :-1]) ** 2).sum(axis=1),
        d,
        (-5.0, 10.0),
        f"rosenbrock{d}",
        0.0,
    )


def rastrigin(d: int) -> oe.Problem:
    """Shifted Rastrigin; optimum 0."""

    def value(X: np.ndarray) -> np.ndarray:
        Z = X - 0.7
        return (Z**2 - 10.0 * np.cos(2.0 * np.pi * Z) + 10.0).sum(axis=1)

    return _box(value, d, (-5.0, 5.0), f"rastrigin{d}", 0.0)


def ellipsoid(d: int) -> oe.Problem:
    """A rotated ellipsoid of condition 1e6; optimum 0."""
    Q = np.linalg.qr(np.random.default_rng(d).normal(size=(d, d)))[0]
    scale = np.logspace(0, 6, d)
    return _box(lambda X: (X @ Q) ** 2 @ scale, d, (-5.0, 5.0), f"ellipsoid{d}", 0.0)


def low_autocorrelation(n: int) -> oe.Problem:
    """Binary sequences of low autocorrelation: the merit factor, maximised."""

    def merit(X: np.ndarray) -> np.ndarray:
        S = 2.0 * X - 1.0
        energy = sum(((S[:, :-k] * S[:, k:]).sum(axis=1) ** 2 for k in range(1, n)), np.zeros(len(S)))
        return n * n / (2.0 * energy)

    return oe.Problem(
        merit,
        oe.Space(oe.Binary(shape=n)),
        objectives="merit",
        direction="maximize",
        call="encoded",
        vectorized=True,
        name=f"labs{n}",
    )


def reactor() -> oe.Problem:
    """The yield of a made-up reaction: numbers, a solvent, and a reflux time that water does not have."""
    space = oe.Space(
        temperature=oe.Real(20, 90),
        catalyst=oe.Real(1e-4, 1e-1, log=True),
        solvent=oe.Categorical(["water", "ethanol", "toluene"]),
        reflux=oe.Real(0, 60, when=("solvent", ["ethanol", "toluene"])),
        stirring=oe.Integer(1, 10),
    )
    return oe.Problem(_yield, space, objectives="yield", direction="maximize", name="reactor")


def _yield(x: dict[str, Any]) -> float:
    best = {"water": (55, 3e-3, 61), "ethanol": (70, 8e-3, 88), "toluene": (80, 2e-2, 74)}
    warm, much, ceiling = best[x["solvent"]]
    loss = ((x["temperature"] - warm) / 25) ** 2 + np.log(x["catalyst"] / much) ** 2 / 4
    loss += (x.get("reflux", 30) / 60 - 0.5) ** 2 + (x["stirring"] - 6) ** 2 / 50
    return float(ceiling / (1 + loss))


def _box(function: Any, d: int, bounds: tuple[float, float], name: str, optimum: float) -> oe.Problem:
    problem = oe.Problem(function, [bounds] * d, call="encoded", vectorized=True, name=name)
    problem.best_known, problem.best_known_source = optimum, "by construction"
    return problem
