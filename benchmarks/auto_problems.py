"""The problems of benchmarks/auto.py: formulas and shipped generators of 25 kinds, an instance a seed.

A case makes its problem from a random generator: rotations, shifts, weights and data are drawn anew for each seed.
`true` gives the value (minimised) that a point is judged by where that is not what the solver saw (noise).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from auto_discrete import (
    assignment_cost,
    autocorrelation,
    bits,
    ising,
    linear_bits,
    makespan,
    ordering_cost,
    orders,
    penalised_knapsack,
    tardiness,
    tour_length,
    traps,
)
from auto_mixed import (
    binh,
    chain,
    dtlz2,
    estimator,
    fronts,
    integer_rastrigin,
    kursawe,
    mixed_ellipsoid,
    nk,
    pest,
    reactor,
    two_knapsacks,
    vessel,
    zdt1,
    zdt3,
)
from auto_reals import (
    ackley,
    beam,
    bounded,
    box,
    cut_ellipsoid,
    discus,
    disk,
    ellipsoid,
    g06,
    gallagher,
    griewank,
    levy,
    powers,
    rastrigin,
    ridge,
    rosenbrock,
    schwefel,
    sphere,
    spring,
)
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


# -- structure -----------------------------------------------------------------------------------------------------


def structured(name: str, kind: str, make: Callable[[Generator], oe.Problem]) -> Case:
    return Case(name, kind, make, SECONDS)


def generated(family: str, size: str) -> Callable[[Generator], oe.Problem]:
    return lambda rng: oe.problems.generators.generate(family, size, int(rng.integers(10**6)))


def offline(name: str) -> Callable[[Generator], oe.Problem]:
    def make(rng: Generator) -> oe.Problem:
        task = oe.problems.offline_task(name, int(rng.integers(10**6)), n_candidates=64)
        task.problem.task = task  # type: ignore[attr-defined]  # the oracle travels along
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


__all__ = ["NAMES", "Case", "cases", "front_of", "hypervolume"]
