"""Models of orders: each family recovers an objective of its own form, and nothing is trusted that does not predict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optengine.kernels import local_moves
from optengine.solvers.local_search.families import NONE, families_of
from optengine.solvers.local_search.learned import Learned

N = 8


def random_model(parts: str, symmetric: bool, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    made = {p: rng.normal(size=(N, N)) for p in parts}
    if "F" in parts:  # diagonals cost places, which is another family
        made = {p: m * ~np.eye(N, dtype=bool) for p, m in made.items()}
    if symmetric:
        made = {p: m + m.T for p, m in made.items()}
    return [made.get(p, NONE) for p in "ABPFD"]


FAMILIES = {family.name: family for family in families_of(N)}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_recovers_its_own_form(name: str) -> None:
    family = {f.name: f for f in families_of(N)}[name]
    rng = np.random.default_rng(1)
    matrices = random_model(family.parts, family.symmetric, 2)
    X = np.array([rng.permutation(N) for _ in range(12 * family.unknowns)], dtype=np.int64)
    y = local_moves.order_values(X, *matrices, family.wrap)
    y = (y - y.mean()) / y.std()
    old = len(X) * 4 // 5
    for _ in range(5):  # starts of the alternating regression are random
        family.fit(X[:old], y[:old], rng)
        unexplained = np.var(y[old:] - family.values(X[old:]))
        if unexplained < 1e-6:
            break
        family.score = -np.inf
    assert unexplained < 1e-6


def test_noise_is_not_trusted() -> None:
    rng = np.random.default_rng(0)
    model = Learned(N, rng)
    for _ in range(500):
        model.add(rng.permutation(N).astype(float), float(rng.normal()))
    assert not model.trusted
    assert model.propose(np.arange(N, dtype=float)) is None


def test_a_trusted_model_proposes_better_orders_and_waits_after_failures() -> None:
    rng = np.random.default_rng(3)
    P = rng.normal(size=(N, N))
    model = Learned(N, rng)
    for _ in range(400):
        x = rng.permutation(N)
        model.add(x.astype(float), float(P[np.arange(N), x].sum()))
    assert model.trusted
    x = rng.permutation(N).astype(float)
    y = model.propose(x)
    assert y is not None
    assert P[np.arange(N), y.astype(int)].sum() < P[np.arange(N), x.astype(int)].sum()
    first = model.screen(x, np.array([1.0, 0.0, 0.0]))[0]
    assert first[0] == 0
    for _ in range(3):
        model.judge(y, 5.0, False)
    assert model.propose(x) is None


def test_constant_and_infinite_values_do_no_harm() -> None:
    rng = np.random.default_rng(4)
    model = Learned(N, rng)
    for k in range(200):
        model.add(rng.permutation(N).astype(float), np.inf if k % 10 == 0 else 1.0)
    assert not model.trusted
