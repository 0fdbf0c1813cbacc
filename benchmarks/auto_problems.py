"""The problems of benchmarks/auto.py: formulas and shipped generators of 22 kinds, an instance a seed.

A case makes its problem from a random generator: rotations, shifts, weights and data are drawn anew for each seed.
`true` gives the value (minimised) that a point is judged by where that is not what the solver saw (noise).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

import optengine as oe

Vector = np.ndarray
SECONDS = (2.0, 5.0, 10.0)
NAMES = ("small", "medium", "large")


@dataclass(frozen=True)
class Case:
    """A problem of the benchmark.

    Attributes:
        kind: class of problems. make: rng -> problem.
        budgets: evaluations, or seconds where the problem has a structure; one where nothing is evaluated.
        true: the point as the user sees it -> the value without noise.
        reference: (k,) upper corner of the hypervolume, for several objectives.
    """

    name: str
    kind: str
    make: Callable[[Generator], oe.Problem]
    budgets: tuple[float, ...]
    true: Callable[[Any, Any], float] | None = None
    reference: tuple[float, ...] | None = None

    @property
    def timed(self) -> bool:
        return isinstance(self.budgets[0], float)


def scaled(d: int, *steps: int) -> tuple[int, ...]:
    return tuple(d * step for step in steps or (10, 50, 300))


# -- real numbers ------------------------------------------------------------------------------------------------------


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
        problem.clean = clean  # type: ignore[attr-defined]
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


# -- mixed, categorical, tuning ------------------------------------------------------------------------------------


def mixed_ellipsoid(d: int) -> Callable[[Generator], oe.Problem]:
    """Reals, whole numbers and categories in equal parts, d of each, tied by a rotation of what they mean."""

    def make(rng: Generator) -> oe.Problem:
        R, optimum = (
            rotation(rng, 3 * d),
            np.concatenate([rng.uniform(-3, 3, d), rng.integers(-8, 9, d) / 3.0, rng.integers(0, 4, d)]),
        )
        levels = rng.normal(size=(d, 4)) * 2.0
        weights = np.logspace(0, 2, 3 * d)
        space = oe.Space(
            {f"r{i}": oe.Real(-5, 5) for i in range(d)}
            | {f"n{i}": oe.Integer(-10, 10) for i in range(d)}
            | {f"c{i}": oe.Categorical(list("abcd")) for i in range(d)}
        )
        meant = optimum.copy()
        meant[2 * d :] = levels[np.arange(d), optimum[2 * d :].astype(int)]

        def value(x: dict[str, Any]) -> float:
            z = np.array(
                [x[f"r{i}"] for i in range(d)]
                + [x[f"n{i}"] / 3.0 for i in range(d)]
                + [levels[i, "abcd".index(x[f"c{i}"])] for i in range(d)]
            )
            return float(weights @ (R @ (z - meant)) ** 2)

        return oe.Problem(value, space, call="dict")

    return make


def integer_rastrigin(d: int) -> Callable[[Generator], oe.Problem]:
    """Rastrigin with half of its variables whole numbers."""

    def make(rng: Generator) -> oe.Problem:
        optimum = np.concatenate([rng.uniform(-3, 3, d - d // 2), rng.integers(-3, 4, d // 2)])
        space = oe.Space({f"x{i}": oe.Real(-5, 5) if i < d - d // 2 else oe.Integer(-5, 5) for i in range(d)})
        return oe.Problem(
            lambda x: rastrigin(
                (np.array([x[f"x{i}"] for i in range(d)]) - optimum)
                * np.where(np.arange(d) < d - d // 2, 1.0, 0.7)
            ),
            space,
            call="dict",
        )

    return make


def vessel(rng: Generator) -> oe.Problem:
    """Sandgren's pressure vessel: thicknesses in sixteenths of an inch, two reals, three constraints."""
    space = oe.Space(
        shell=oe.Integer(1, 99), head=oe.Integer(1, 99), radius=oe.Real(10, 200), length=oe.Real(10, 240)
    )

    def value(x: dict[str, Any]) -> dict[str, float]:
        s, h, r, length = 0.0625 * x["shell"], 0.0625 * x["head"], x["radius"], x["length"]
        cost = 0.6224 * s * r * length + 1.7781 * h * r**2 + 3.1661 * s**2 * length + 19.84 * s**2 * r
        volume = math.pi * r**2 * length + 4 / 3 * math.pi * r**3
        return {"cost": cost, "a": 0.0193 * r - s, "b": 0.00954 * r - h, "c": 1 - volume / 1_296_000}

    return oe.Problem(value, space, call="dict", objectives="cost", constraints=["a", "b", "c"])


def reactor(rng: Generator) -> oe.Problem:
    """A made-up reaction: numbers, a solvent, and a reflux time that water does not have; the loss of yield."""
    solvents = ["water", "ethanol", "toluene", "hexane"]
    space = oe.Space(
        temperature=oe.Real(20, 90),
        catalyst=oe.Real(1e-4, 1e-1, log=True),
        solvent=oe.Categorical(solvents),
        reflux=oe.Real(0, 60, when=("solvent", solvents[1:])),
        stirring=oe.Integer(1, 10),
    )
    warm, much, ceiling = (
        rng.uniform(35, 80, 4),
        10.0 ** rng.uniform(-3.5, -1.5, 4),
        rng.permutation([61, 74, 82, 88]),
    )
    long, fast = rng.uniform(10, 50, 4), rng.integers(2, 10, 4)

    def loss(x: dict[str, Any]) -> float:
        k = solvents.index(x["solvent"])
        far = ((x["temperature"] - warm[k]) / 25) ** 2 + math.log(x["catalyst"] / much[k]) ** 2 / 4
        far += (x.get("reflux", long[k]) - long[k]) ** 2 / 3600 + (x["stirring"] - fast[k]) ** 2 / 50
        return 100.0 - float(ceiling[k]) / (1 + far)

    return oe.Problem(loss, space, call="dict")


def estimator(n_kinds: int) -> Callable[[Generator], oe.Problem]:
    """A tuning-like formula: a kind of estimator with 2 to 4 hyperparameters of its own."""

    def make(rng: Generator) -> oe.Problem:
        kinds = [f"k{i}" for i in range(n_kinds)]
        variables: dict[str, Any] = {
            "kind": oe.Categorical(kinds),
            "scale": oe.Categorical(["none", "unit", "rank"]),
        }
        floors, parts = rng.uniform(0.05, 0.3, n_kinds), []
        likes = rng.normal(0, 0.02, (n_kinds, 3))
        for i, kind in enumerate(kinds):
            own = {
                f"{kind}_rate": oe.Real(1e-5, 1.0, log=True, when=("kind", kind)),
                f"{kind}_depth": oe.Integer(1, 16, when=("kind", kind)),
                f"{kind}_share": oe.Real(0.0, 1.0, when=("kind", kind)),
                f"{kind}_loss": oe.Categorical(["a", "b", "c"], when=("kind", kind)),
            }
            kept = list(own)[: 2 + i % 3]
            variables |= {name: own[name] for name in kept}
            parts.append((kept, rng.uniform(0.2, 0.8, 4), rng.uniform(0.2, 1.5, 4), rng.normal(0, 0.05, 3)))

        def error(x: dict[str, Any]) -> float:
            i = kinds.index(x["kind"])
            kept, best, weight, lift = parts[i]
            total = floors[i] + likes[i, ["none", "unit", "rank"].index(x["scale"])]
            for k, name in enumerate(kept):
                v = x[name]
                if isinstance(v, str):
                    total += float(lift["abc".index(v)])
                    continue
                u = (
                    (math.log10(v) + 5) / 5
                    if name.endswith("rate")
                    else (v - 1) / 15
                    if name.endswith("depth")
                    else v
                )
                total += 0.4 * float(weight[k]) * (1 - math.exp(-8 * (u - float(best[k])) ** 2))
            return max(0.0, min(1.0, float(total)))

        return oe.Problem(error, oe.Space(variables), call="dict")

    return make


def chain(n: int, q: int) -> Callable[[Generator], oe.Problem]:
    """n categories of q values on a ring: a random table of costs for each pair of neighbours."""

    def make(rng: Generator) -> oe.Problem:
        T = rng.exponential(size=(n, q, q))
        following = np.roll(np.arange(n), -1)

        def cost(x: Any) -> float:
            codes = np.asarray(x, dtype=np.int64)
            return float(T[np.arange(n), codes, codes[following]].sum() / n)

        return oe.Problem(cost, oe.Space(oe.Categorical(list(range(q)), shape=n)), call="array")

    return make


def nk(n: int, k: int, q: int) -> Callable[[Generator], oe.Problem]:
    """Kauffman's landscape: each of n sites has a value that depends on k others; q = 2 is over bits."""

    def make(rng: Generator) -> oe.Problem:
        ties = np.array(
            [
                np.concatenate([[i], rng.choice(np.delete(np.arange(n), i), k, replace=False)])
                for i in range(n)
            ]
        )
        T, base = rng.random((n, q ** (k + 1))), q ** np.arange(k + 1)

        def cost(x: Any) -> float:
            return float(-T[np.arange(n), np.asarray(x, dtype=np.int64)[ties] @ base].mean())

        variable = oe.Binary(shape=n) if q == 2 else oe.Categorical(list(range(q)), shape=n)
        return oe.Problem(cost, oe.Space(variable), call="array")

    return make


def pest(rng: Generator) -> oe.Problem:
    """Pest control (Oh et al., 2019): one of five treatments at each of 20 stages; tolerance grows with use."""
    n, price = 20, np.array([0.0, 1.0, 0.8, 0.7, 0.5])
    spread, strength = rng.beta(1.0, 17.0 / 3.0, (n, 5)), rng.uniform(0.5, 1.0, 5)

    def cost(x: Any) -> float:
        share, used, total = 0.3, np.zeros(5), 0.0
        for stage, treatment in enumerate(np.asarray(x, dtype=np.int64)):
            share = min(1.0, share + (1 - share) * float(spread[stage, 0]) * 1.5)
            if treatment:
                share *= 1.0 - float(strength[treatment]) * 0.8 ** used[treatment] * 0.7
                total += float(price[treatment]) * 0.95 ** used[treatment]
                used[treatment] += 1
            total += 4.0 * max(0.0, share - 0.1)
        return total

    return oe.Problem(cost, oe.Space(oe.Categorical(list(range(5)), shape=n)), call="array")


# -- bits and permutations as black boxes ------------------------------------------------------------------------------


def bits(
    f: Callable[[Generator, int], Callable[[Vector], float]], n: int
) -> Callable[[Generator], oe.Problem]:
    def make(rng: Generator) -> oe.Problem:
        flips, inner = rng.integers(0, 2, n), f(rng, n)
        return oe.Problem(
            lambda x: float(inner(np.asarray(x, dtype=np.int64) ^ flips)),
            oe.Space(oe.Binary(shape=n)),
            call="array",
        )

    return make


def linear_bits(rng: Generator, n: int) -> Callable[[Vector], float]:
    w = rng.uniform(0.5, 2.0, n)
    return lambda x: float(w @ (1 - x))


def autocorrelation(rng: Generator, n: int) -> Callable[[Vector], float]:
    def energy(x: Vector) -> float:
        s = 2.0 * x - 1.0
        return float((np.correlate(s, s, "full")[n:] ** 2).sum())

    return energy


def ising(rng: Generator, n: int) -> Callable[[Vector], float]:
    side = math.isqrt(n)
    J, K = rng.normal(size=(side, side)), rng.normal(size=(side, side))

    def energy(x: Vector) -> float:
        S = (2.0 * x - 1.0)[: side * side].reshape(side, side)
        return float(-(J * S * np.roll(S, 1, 0) + K * S * np.roll(S, 1, 1)).sum())

    return energy


def traps(rng: Generator, n: int) -> Callable[[Vector], float]:
    where = rng.permutation(n).reshape(-1, 5)

    def cost(x: Vector) -> float:
        ones = x[where].sum(axis=1)
        return float(np.where(ones == 5, 0, ones + 1).sum())

    return cost


def penalised_knapsack(rng: Generator, n: int) -> Callable[[Vector], float]:
    w, p = rng.uniform(1, 10, n), rng.uniform(1, 10, n)
    return lambda x: float(-(p @ x) + 20.0 * max(0.0, w @ x - 0.4 * w.sum()))


def orders(
    f: Callable[[Generator, int], Callable[[Vector], float]], n: int
) -> Callable[[Generator], oe.Problem]:
    def make(rng: Generator) -> oe.Problem:
        inner = f(rng, n)
        return oe.Problem(
            lambda x: inner(np.asarray(x, dtype=np.int64)), oe.Space(oe.Permutation(n)), call="array"
        )

    return make


def tour_length(rng: Generator, n: int) -> Callable[[Vector], float]:
    P = rng.random((n, 2))
    return lambda x: float(np.hypot(*(P[x] - P[np.roll(x, 1)]).T).sum())


def assignment_cost(rng: Generator, n: int) -> Callable[[Vector], float]:
    A, B = rng.integers(0, 10, (n, n)), rng.integers(0, 10, (n, n))
    return lambda x: float((A * B[np.ix_(x, x)]).sum())


def ordering_cost(rng: Generator, n: int) -> Callable[[Vector], float]:
    C = rng.integers(0, 100, (n, n))
    return lambda x: float(np.tril(C[np.ix_(x, x)], -1).sum())


def makespan(rng: Generator, n: int) -> Callable[[Vector], float]:
    T = rng.integers(1, 100, (n, 5))

    def cost(x: Vector) -> float:
        ready = np.zeros(5)
        for job in x:
            before = 0.0
            for machine in range(5):
                before = ready[machine] = max(before, ready[machine]) + T[job, machine]
        return float(ready[-1])

    return cost


def tardiness(rng: Generator, n: int) -> Callable[[Vector], float]:
    p, w = rng.integers(1, 100, n), rng.integers(1, 11, n)
    due = rng.uniform(0.2, 0.8, n) * p.sum()
    return lambda x: float((w[x] * np.maximum(0.0, np.cumsum(p[x]) - due[x])).sum())


# -- several objectives --------------------------------------------------------------------------------------------


def fronts(
    f: Callable[[Vector, Vector], tuple[float, ...]], d: int, k: int, low: float = 0.0, high: float = 1.0
) -> Callable[[Generator], oe.Problem]:
    """f(x, shift): the shift moves the optimum of what must be zero."""

    def make(rng: Generator) -> oe.Problem:
        shift = rng.uniform(0.2, 0.8, d)
        return oe.Problem(
            lambda x: f(x, shift), [(low, high)] * d, call="array", objectives=[f"f{i}" for i in range(k)]
        )

    return make


def zdt1(x: Vector, s: Vector) -> tuple[float, ...]:
    g = 1 + 9 * float(np.abs(x[1:] - s[1:]).mean())
    return float(x[0]), g * (1 - math.sqrt(x[0] / g))


def zdt3(x: Vector, s: Vector) -> tuple[float, ...]:
    g = 1 + 9 * float(np.abs(x[1:] - s[1:]).mean())
    return float(x[0]), g * (1 - math.sqrt(x[0] / g) - x[0] / g * math.sin(10 * math.pi * x[0]))


def dtlz2(k: int) -> Callable[[Vector, Vector], tuple[float, ...]]:
    def f(x: Vector, s: Vector) -> tuple[float, ...]:
        g, angles = 1 + float(((x[k - 1 :] - s[k - 1 :]) ** 2).sum()), x[: k - 1] * math.pi / 2
        out = []
        for i in range(k):
            value = g * float(np.prod(np.cos(angles[: k - 1 - i])))
            out.append(value * (math.sin(angles[k - 1 - i]) if i else 1.0))
        return tuple(out)

    return f


def kursawe(x: Vector, s: Vector) -> tuple[float, ...]:
    return (
        float((-10 * np.exp(-0.2 * np.sqrt(x[:-1] ** 2 + x[1:] ** 2))).sum()),
        float((np.abs(x) ** 0.8 + 5 * np.sin(x**3)).sum()),
    )


def binh(x: Vector) -> dict[str, float]:
    a, b = x
    return {
        "f": float(4 * a**2 + 4 * b**2), "g": float((a - 5) ** 2 + (b - 5) ** 2),
        "c": float((a - 5) ** 2 + b**2 - 25), "e": float(7.7 - (a - 8) ** 2 - (b + 3) ** 2),
    }  # fmt: skip


def two_knapsacks(n: int) -> Callable[[Generator], oe.Problem]:
    def make(rng: Generator) -> oe.Problem:
        w, p, q = rng.uniform(1, 10, n), rng.uniform(1, 10, n), rng.uniform(1, 10, n)

        def value(x: Any) -> tuple[float, float]:
            v = np.asarray(x)
            over = 20.0 * max(0.0, float(w @ v - 0.5 * w.sum()))
            return 1 - float(p @ v) / float(p.sum()) + over, 1 - float(q @ v) / float(q.sum()) + over

        return oe.Problem(value, oe.Space(oe.Binary(shape=n)), call="array", objectives=["a", "b"])

    return make


# -- structure -----------------------------------------------------------------------------------------------------


def structured(name: str, kind: str, make: Callable[[Generator], oe.Problem]) -> Case:
    return Case(name, kind, make, SECONDS)


def generated(family: str, size: str) -> Callable[[Generator], oe.Problem]:
    return lambda rng: oe.problems.generators.generate(family, size, int(rng.integers(10**6)))


def offline(name: str) -> Callable[[Generator], oe.Problem]:
    def make(rng: Generator) -> oe.Problem:
        task = oe.problems.offline_task(name, int(rng.integers(10**6)), n_candidates=64)
        task.problem.task = task  # type: ignore[attr-defined]
        return task.problem

    return make


def quantized(m: int, n: int, bits: int) -> Callable[[Generator], oe.Problem]:
    return lambda rng: oe.problems.quantize_linear(0.05 * rng.standard_t(4, n), rng.normal(size=(m, n)), bits)


def _structured() -> list[Case]:
    P = oe.problems
    return [
        structured("qubo 100", "qubo", lambda r: P.QUBO.random(r, 100)),
        structured("qubo 500", "qubo", lambda r: P.QUBO.random(r, 500)),
        structured("cut 100", "maxcut", lambda r: P.MaxCut.random(r, 100)),
        structured("cut 400", "maxcut", lambda r: P.MaxCut.random(r, 400, 0.1)),
        structured("qap 15", "qap", lambda r: P.QAP.random(r, 15)),
        structured("qap 40", "qap", lambda r: P.QAP.random(r, 40)),
        structured("tsp 60", "tsp", lambda r: P.TSP.random(r, 60)),
        structured("tsp 300", "tsp", lambda r: P.TSP.random(r, 300)),
        structured("knapsack 5x100", "knapsack", lambda r: P.Knapsack.random(r, 100, 5)),
        structured("knapsack 20x250", "knapsack", lambda r: P.Knapsack.random(r, 250, 20)),
        structured("cover 100x500", "cover", lambda r: P.SetCover.random(r, 500, 100, 0.03)),
        structured("cover 200x1500", "cover", lambda r: P.SetCover.random(r, 1500, 200, 0.02)),
        structured("auction small", "milp", generated("auction", "small")),
        structured("placement small", "milp", generated("item_placement", "small")),
        structured("facilities small", "milp", generated("facilities", "small")),
        structured("assignment small", "milp", generated("assignment", "small")),
        structured("dag 10", "dag", lambda r: P.DAGProblem.random(r, 10)),
        structured("dag 30", "dag", lambda r: P.DAGProblem.random(r, 30, 4)),
        structured("min-max 40x16", "min-max", lambda r: P.MinMaxViolation.random(r, 40, 16)),
        structured("quantize 256x64", "min-max", quantized(256, 64, 3)),
        structured("order 60", "linear order", lambda r: P.LinearOrdering.random(r, 60)),
        structured("order 150", "linear order", lambda r: P.LinearOrdering.random(r, 150)),
        structured("independent 200", "sets and clauses", lambda r: P.IndependentSet.random(r, 200, 0.1)),
        structured("clauses 250", "sets and clauses", lambda r: P.MaxSAT.random(r, 250, 1250)),
        structured("shop 10x8", "shop", lambda r: P.JobShop.random(r, 10, 8)),
        structured("shop 20x10", "shop", lambda r: P.JobShop.random(r, 20, 10)),
        *[Case(f"offline {n}", "offline", offline(n), (1,)) for n in ("hartmann6", "ackley20", "nk20k4")],
    ]


def cases() -> list[Case]:
    """All of them, by kind."""
    return [
        *[
            Case(f"{f.__name__} {d}", "smooth", box(f, d), scaled(d))
            for f, d in ((sphere, 10), (ellipsoid, 10), (rosenbrock, 5), (discus, 20), (powers, 10), (ridge, 10))
        ],
        *[
            Case(f"{f.__name__} {d}", "multimodal", box(f, d, turned=turned), scaled(d))
            for f, d, turned in (
                (rastrigin, 5, True), (ackley, 10, True), (griewank, 10, True), (levy, 5, False), (schwefel, 5, False),
            )
        ],
        Case("peaks 5", "multimodal", gallagher(5), scaled(5)),
        *[
            Case(f"noisy {f.__name__} {d}", "noisy", box(f, d, noise=0.1), scaled(d), true=_clean)
            for f, d in ((sphere, 5), (ellipsoid, 5), (levy, 5), (ackley, 8))
        ],
        *[
            Case(f"{f.__name__} {d} wide", "wide", box(f, d), scaled(d, 5, 20, 100))
            for f, d in ((ellipsoid, 60), (rastrigin, 40), (rosenbrock, 50))
        ],
        *[
            Case(f"{f.__name__} {d} vectorised", "vectorised", box(f, d, vectorized=True), scaled(d, 100, 300, 1000))
            for f, d in ((sphere, 8), (rosenbrock, 4), (rastrigin, 4))
        ],
        Case("valley in a ball", "constrained", disk(5), scaled(5)),
        Case("ellipsoid behind planes", "constrained", cut_ellipsoid(8), scaled(8)),
        Case("spring", "constrained", bounded(spring, [(0.05, 2.0), (0.25, 1.3), (2.0, 15.0)]), scaled(3)),
        Case("g06", "constrained", bounded(g06, [(13.0, 100.0), (0.0, 100.0)]), scaled(2)),
        Case("beam", "constrained", bounded(beam, [(0.1, 2.0), (0.1, 10.0), (0.1, 10.0), (0.1, 2.0)]), scaled(4)),
        Case("mixed ellipsoid", "mixed", mixed_ellipsoid(3), scaled(9)),
        Case("mixed ellipsoid, wider", "mixed", mixed_ellipsoid(6), scaled(18, 5, 30, 150)),
        Case("mixed rastrigin", "mixed", integer_rastrigin(8), scaled(8)),
        Case("vessel", "mixed", vessel, scaled(4)),
        Case("reactor", "mixed", reactor, scaled(5)),
        Case("estimators 3", "tuning", estimator(3), (20, 60, 200)),
        Case("estimators 4", "tuning", estimator(4), (20, 60, 200)),
        Case("estimators 8", "tuning", estimator(8), (30, 90, 300)),

        Case("chain 25", "categorical", chain(25, 4), scaled(25, 4, 20, 100)),
        Case("chain 12", "categorical", chain(12, 8), scaled(12)),
        Case("landscape of 4 letters", "categorical", nk(16, 3, 4), scaled(16)),
        Case("pest", "categorical", pest, scaled(20, 4, 20, 100)),
        Case("linear bits", "bits", bits(linear_bits, 60), scaled(60, 2, 10, 50)),
        Case("autocorrelation", "bits", bits(autocorrelation, 40), scaled(40, 3, 20, 100)),
        Case("ising", "bits", bits(ising, 64), scaled(64, 3, 20, 100)),
        Case("traps", "bits", bits(traps, 50), scaled(50, 3, 20, 100)),
        Case("landscape of bits", "bits", nk(40, 3, 2), scaled(40, 3, 20, 100)),
        Case("penalised knapsack", "bits", bits(penalised_knapsack, 50), scaled(50, 3, 20, 100)),
        *[
            Case(f"{f.__name__.replace('_', ' ')} {n}", "permutation", orders(f, n), scaled(n, 5, 30, 200))
            for f, n in (
                (tour_length, 30), (assignment_cost, 15), (ordering_cost, 25), (makespan, 20), (tardiness, 20),
            )
        ],
        Case("zdt1", "fronts", fronts(zdt1, 8, 2), (100, 500, 3000), reference=(1.1, 6.0)),
        Case("zdt3", "fronts", fronts(zdt3, 8, 2), (100, 500, 3000), reference=(1.1, 6.0)),
        Case("kursawe", "fronts", fronts(kursawe, 3, 2, -5, 5), (60, 300, 2000), reference=(-4.0, 20.0)),
        Case("dtlz2", "fronts", fronts(dtlz2(3), 7, 3), (100, 500, 3000), reference=(2.0, 2.0, 2.0)),
        Case("dtlz2, four", "fronts", fronts(dtlz2(4), 8, 4), (100, 500, 3000), reference=(2.0, 2.0, 2.0, 2.0)),
        Case(
            "binh", "fronts",
            lambda r: oe.Problem(binh, [(0, 5), (0, 3)], call="array", objectives=["f", "g"], constraints=["c", "e"]),
            (60, 300, 2000), reference=(140.0, 50.0),
        ),
        Case("two knapsacks", "fronts", two_knapsacks(40), (100, 500, 3000), reference=(1.0, 1.0)),
        *_structured(),
    ]  # fmt: skip


def _clean(problem: Any, x: Any) -> float:
    return float(problem.clean(x))


def hypervolume(F: Vector, corner: Vector) -> float:
    """Volume that points F (n, k), minimised, dominate below `corner`, by slicing along the last objective."""
    F = F[(F < corner).all(axis=1)]
    if not len(F):
        return 0.0
    if F.shape[1] == 1:
        return float(corner[0] - F.min())
    F = F[np.argsort(F[:, -1], kind="stable")]
    edges = np.append(F[:, -1], corner[-1])
    if F.shape[1] == 2:
        lowest = np.minimum.accumulate(F[:, 0])
        return float((np.diff(edges) * (corner[0] - lowest)).sum())
    total = 0.0
    for i, depth in enumerate(np.diff(edges).tolist()):
        if depth > 0:
            total += depth * hypervolume(_front(F[: i + 1, :-1]), corner[:-1])
    return total


def _front(F: Vector) -> Vector:
    """The rows that no other row dominates."""
    kept: list[int] = []
    for i in np.lexsort(F.T[::-1]):
        if not any((F[j] <= F[i]).all() for j in kept):
            kept.append(int(i))
    return F[kept]


def front_of(F: Vector) -> Vector:
    return _front(F)


__all__ = ["NAMES", "Case", "cases", "front_of", "hypervolume", "itertools"]
