"""Bits and orders as black boxes, for benchmarks/auto.py."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator

import optengine as oe

Vector = np.ndarray


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
