"""Small pools without a solver: greedy packings of an auction."""

from __future__ import annotations

import numpy as np
import pytest

import optengine as oe
from optengine.problems.generators import generate


def greedy(problem: oe.problems.MILP, rng: np.random.Generator) -> np.ndarray:
    """Bids in a noisy order of price, taken while they fit."""
    A, x = problem.A.toarray(), np.zeros(problem.n_variables)
    free = np.ones(problem.n_rows, dtype=bool)
    for j in np.argsort(-problem.c * rng.uniform(0.8, 1.2, len(x))):
        if free[A[:, j] > 0].all():
            x[j] = 1.0
            free &= A[:, j] == 0
    return x


@pytest.fixture(scope="session")
def auctions() -> list[oe.problems.MILP]:
    return [generate("auction", "tiny", seed) for seed in range(6)]


@pytest.fixture(scope="session")
def solutions(auctions: list[oe.problems.MILP]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(X, values) of each auction, values minimised, best first."""
    found = []
    for seed, problem in enumerate(auctions):
        rng = np.random.default_rng(seed)
        X = np.unique([greedy(problem, rng) for _ in range(4)], axis=0)
        values = problem.model.value(X)
        order = np.argsort(values)
        found.append((X[order].astype(np.uint8), values[order]))
    return found
