"""Mixed, conditional and categorical functions, and several objectives, for benchmarks/auto.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from auto_reals import rastrigin, rotation
from numpy.random import Generator

import optengine as oe

Vector = np.ndarray


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
