"""Functions of real numbers for benchmarks/auto.py: smooth, rugged, noisy, wide, and with observed constraints."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

import optengine as oe

Vector = np.ndarray


def rotation(rng: Generator, d: int) -> Vector:
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


def sphere(z: Vector) -> float:
    return float(z @ z)


def ellipsoid(z: Vector) -> float:
    return float(np.logspace(0, 6, len(z)) @ z**2)


def discus(z: Vector) -> float:
    return float(1e6 * z[0] ** 2 + z[1:] @ z[1:])


def powers(z: Vector) -> float:
    return float(np.sqrt((np.abs(z) ** np.linspace(2, 6, len(z))).sum()))


def rosenbrock(z: Vector) -> float:
    y = z + 1.0
    return float((100.0 * (y[1:] - y[:-1] ** 2) ** 2 + (1.0 - y[:-1]) ** 2).sum())


def ridge(z: Vector) -> float:
    return float(z[0] ** 2 + 100.0 * np.sqrt(z[1:] @ z[1:]))


def rastrigin(z: Vector) -> float:
    return float((z**2 - 10.0 * np.cos(2.0 * np.pi * z) + 10.0).sum())


def ackley(z: Vector) -> float:
    rms, waves = math.sqrt((z**2).mean()), float(np.cos(2 * np.pi * z).mean())
    return 20.0 + math.e - 20.0 * math.exp(-0.2 * rms) - math.exp(waves)


def griewank(z: Vector) -> float:
    y = 20.0 * z
    return float(1.0 + y @ y / 4000.0 - np.prod(np.cos(y / np.sqrt(np.arange(1, len(y) + 1)))))


def levy(z: Vector) -> float:
    w = 1.0 + z / 2.0
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)).sum()
    return float(np.sin(np.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2))


def schwefel(z: Vector) -> float:
    y = 100.0 * z
    return float(418.9828872724339 * len(y) - (y * np.sin(np.sqrt(np.abs(y)))).sum())


def peaks(rng: Generator, d: int, n: int = 21) -> Callable[[Vector], float]:
    """Gallagher's landscape: n peaks of random heights and condition numbers; the highest has the value 0."""
    centres = rng.uniform(-4, 4, (n, d))
    heights = np.concatenate([[10.0], rng.uniform(1.1, 9.1, n - 1)])
    scales = 10.0 ** rng.uniform(-1, 1, (n, d))
    return lambda x: float(
        10.0 - (heights * np.exp(-0.5 / d * (scales * (x - centres) ** 2).sum(axis=1))).max()
    )


def box(
    f: Callable[[Vector], float], d: int, *, turned: bool = True, noise: float = 0.0, vectorized: bool = False
) -> Callable[[Generator], oe.Problem]:
    """f of turned and shifted coordinates in [-5, 5]^d, perhaps with noise of standard deviation noise (1 + f)."""

    def make(rng: Generator) -> oe.Problem:
        R = rotation(rng, d) if turned else np.eye(d)
        optimum, errors = rng.uniform(-3.5, 3.5, d), rng.spawn(1)[0]

        def clean(x: Any) -> float:
            return f(R @ (np.asarray(x) - optimum))

        def value(x: Vector) -> float:
            y = clean(x)
            return y + noise * (1.0 + abs(y)) * errors.standard_normal() if noise else y

        if vectorized:
            return oe.Problem(lambda X: np.array([clean(x) for x in X]), [(-5.0, 5.0)] * d, vectorized=True)
        problem = oe.Problem(value, [(-5.0, 5.0)] * d, call="array", noisy=noise > 0)
        problem.clean = clean  # type: ignore[attr-defined]  # judges noisy runs
        return problem

    return make


def gallagher(d: int) -> Callable[[Generator], oe.Problem]:
    return lambda rng: oe.Problem(peaks(rng, d), [(-5.0, 5.0)] * d, call="array")


def bounded(
    f: Callable[[Vector], tuple[float, ...]], bounds: list[tuple[float, float]]
) -> Callable[[Generator], oe.Problem]:
    """A formula with observed constraints; the instance is always the same one."""
    names = [f"g{i}" for i in range(len(f(np.array([(a + b) / 2 for a, b in bounds]))) - 1)]

    def value(x: Vector) -> dict[str, float]:
        out = f(x)
        return {"f": out[0], **dict(zip(names, out[1:], strict=True))}

    return lambda rng: oe.Problem(value, bounds, call="array", objectives="f", constraints=names)


def disk(d: int) -> Callable[[Generator], oe.Problem]:
    """Rosenbrock's valley inside a ball that leaves its optimum out, and above a random plane."""

    def make(rng: Generator) -> oe.Problem:
        normal = rng.normal(size=d)
        normal /= np.linalg.norm(normal)

        def value(x: Vector) -> dict[str, float]:
            return {
                "f": rosenbrock(x - 1.0),
                "ball": float(x @ x) - 0.6 * d,
                "plane": float(normal @ x) - 0.2,
            }

        return oe.Problem(
            value, [(-3.0, 3.0)] * d, call="array", objectives="f", constraints=["ball", "plane"]
        )

    return make


def cut_ellipsoid(d: int) -> Callable[[Generator], oe.Problem]:
    """An ellipsoid of condition 100 whose optimum lies behind d / 2 random planes."""

    def make(rng: Generator) -> oe.Problem:
        R, optimum = rotation(rng, d), rng.uniform(-3, 3, d)
        A = rng.normal(size=(d // 2, d))
        b = A @ optimum - np.abs(rng.normal(size=d // 2)) - 0.5
        names = [f"g{i}" for i in range(d // 2)]
        weights = np.logspace(0, 2, d)

        def value(x: Vector) -> dict[str, float]:
            return {
                "f": float(weights @ (R @ (x - optimum)) ** 2),
                **dict(zip(names, (A @ x - b).tolist(), strict=True)),
            }

        return oe.Problem(value, [(-5.0, 5.0)] * d, call="array", objectives="f", constraints=names)

    return make


def spring(x: Vector) -> tuple[float, ...]:
    """Tension spring (Belegundu): wire, coil, number of coils."""
    w, D, n = x
    return (
        (n + 2) * D * w**2,
        1 - D**3 * n / (71785 * w**4),
        (4 * D**2 - w * D) / (12566 * (D * w**3 - w**4)) + 1 / (5108 * w**2) - 1,
        1 - 140.45 * w / (D**2 * n),
        (w + D) / 1.5 - 1,
    )


def g06(x: Vector) -> tuple[float, ...]:
    a, b = x
    return (
        (a - 10) ** 3 + (b - 20) ** 3,
        100 - (a - 5) ** 2 - (b - 5) ** 2,
        (a - 6) ** 2 + (b - 5) ** 2 - 82.81,
    )


def beam(x: Vector) -> tuple[float, ...]:
    """Welded beam (Rao): four real sizes, shear, bending, buckling, deflection."""
    h, length, t, b = x
    load, span = 6000.0, 14.0
    direct = load / (math.sqrt(2) * h * length)
    reach = math.sqrt(length**2 / 4 + ((h + t) / 2) ** 2)
    polar = 2 * math.sqrt(2) * h * length * (length**2 / 12 + ((h + t) / 2) ** 2)
    torsion = load * (span + length / 2) * reach / polar
    shear = math.sqrt(direct**2 + direct * torsion * length / reach + torsion**2)
    buckling = (
        4.013
        * 30e6
        * math.sqrt(t**2 * b**6 / 36)
        / span**2
        * (1 - t / (2 * span) * math.sqrt(30e6 / (4 * 12e6)))
    )
    return (
        1.10471 * h**2 * length + 0.04811 * t * b * (14 + length),
        shear / 13600 - 1,
        504000 / (b * t**2) / 30000 - 1,
        h - b,
        1 - buckling / load,
        2.1952 / (t**3 * b) / 0.25 - 1,
    )
