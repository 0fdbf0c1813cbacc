"""Problems of the sets: cheap, with known optima where they have them.

A problem with `judge`, a function of its Result, has that as its value in the table: the hypervolume of a front, the
hidden oracle's value of proposals.
"""

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


def mixed_bowl(d: int) -> oe.Problem:
    """d reals, d whole numbers and d categories, tied by a rotation of what they mean; optimum 0."""
    rng = np.random.default_rng(d)
    Q, levels = np.linalg.qr(rng.normal(size=(3 * d, 3 * d)))[0], 2.0 * rng.normal(size=(d, 4))
    best = np.concatenate([rng.uniform(-3, 3, d), rng.integers(-8, 9, d) / 3.0, levels[:, 1]])
    scale = np.logspace(0, 2, 3 * d)
    space = oe.Space(
        {f"r{i}": oe.Real(-5, 5) for i in range(d)}
        | {f"n{i}": oe.Integer(-10, 10) for i in range(d)}
        | {f"c{i}": oe.Categorical(list("abcd")) for i in range(d)}
    )

    def value(x: dict[str, Any]) -> float:
        meant = [levels[i, "abcd".index(x[f"c{i}"])] for i in range(d)]
        z = np.array([x[f"r{i}"] for i in range(d)] + [x[f"n{i}"] / 3.0 for i in range(d)] + meant)
        return float((Q @ (z - best)) ** 2 @ scale)

    problem = oe.Problem(value, space, call="dict", name=f"mixed bowl {3 * d}")
    problem.best_known, problem.best_known_source = 0.0, "by construction"
    return problem


def flow_shop(n: int) -> oe.Problem:
    """The makespan of n jobs on five machines, the same order on each."""
    T = np.random.default_rng(n).integers(1, 100, (n, 5))

    def makespan(x: Any) -> float:
        ready = np.zeros(5)
        for job in x:
            before = 0.0
            for machine in range(5):
                before = ready[machine] = max(before, ready[machine]) + T[job, machine]
        return float(ready[-1])

    return oe.Problem(makespan, oe.Space(oe.Permutation(n)), call="array", name=f"flow shop {n}")


def tardiness(n: int) -> oe.Problem:
    """The weighted tardiness of n jobs on one machine."""
    rng = np.random.default_rng(n)
    p, w = rng.integers(1, 100, n), rng.integers(1, 11, n)
    due = rng.uniform(0.2, 0.8, n) * p.sum()

    def late(x: Any) -> float:
        return float((w[x] * np.maximum(0.0, np.cumsum(p[x]) - due[x])).sum())

    return oe.Problem(late, oe.Space(oe.Permutation(n)), call="array", name=f"tardiness {n}")


def filter_taps(taps: int, bits: int) -> oe.Problem:
    """A low-pass filter with coefficients of few bits."""
    return oe.problems.fir_filter(
        taps, [(0.0, 0.4, 1.0), (0.5, 1.0, 0.0)], bits, name=f"filter {taps} {bits}b"
    )


def layer(m: int, n: int, bits: int) -> oe.Problem:
    """The weights of one output of a layer with n inputs, rounded to few bits, judged by m samples."""
    rng = np.random.default_rng(n)
    w = 0.05 * rng.standard_t(4, n)
    return oe.problems.quantize_linear(w, rng.normal(size=(m, n)), bits, name=f"layer {m}x{n} {bits}b")


def image(size: int, n_levels: int) -> oe.Problem:
    """A random image of few grey levels, from its projections."""
    from optengine.problems.applications.tomography import phantom

    rng = np.random.default_rng(size)
    return oe.problems.tomography(phantom(size, n_levels, rng), levels=np.arange(n_levels), rng=rng)


def front(name: str, reference: list[float]) -> oe.Problem:
    """A problem of pymoo's with several objectives, judged by the hypervolume below `reference`."""
    problem = oe.problems.suite(f"pymoo:{name}")[0]

    def volume(result: oe.Result) -> float:
        from pymoo.indicators.hv import HV

        F = result.front.F
        return float(HV(ref_point=np.array(reference))(F)) if len(F) else 0.0

    problem.judge = volume
    return problem


def offline(task: str, seed: int = 0, n_candidates: int = 128) -> oe.Problem:
    """A table of bad experiments, judged by the best proposal under the oracle: 0 the worst row, 1 the optimum."""
    made = oe.problems.offline_task(task, seed, n_candidates=n_candidates)
    made.problem.judge = lambda result: made.percentiles(result.details["candidates"])["p100"]
    return made.problem


def _box(function: Any, d: int, bounds: tuple[float, float], name: str, optimum: float) -> oe.Problem:
    problem = oe.Problem(function, [bounds] * d, call="encoded", vectorized=True, name=name)
    problem.best_known, problem.best_known_source = optimum, "by construction"
    return problem
