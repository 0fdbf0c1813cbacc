"""Chosen parents of many nodes: against their definitions, and paths kept through moves against fits anew."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels import order_sparse as kernels, order_sparse_moves as moves
from optengine.kernels.order_sparse import COORDINATE, GROW, Rules
from optengine.kernels.order_sparse_moves import carry, fit_all, sparse_kicks, sparse_sweep, total
from optengine.kernels.order_sparse_numpy import coordinate_numpy, grow_shrink_numpy

KINDS = [(GROW, 0.0, False), (GROW, 0.0, True), (COORDINATE, 0.0, False), (COORDINATE, 3.0, False)]


def instance(
    seed: int, d: int, kind: tuple[int, float, bool], weight: float = 0.03
) -> tuple[np.ndarray, Rules]:
    rng = np.random.default_rng(seed)
    A = np.triu(rng.random((d, d)) < 2.5 / d, 1) * rng.uniform(-2, 2, (d, d))
    X = rng.standard_normal((10 * d, d)) @ np.linalg.inv(np.eye(d) - A)
    must = rng.random((d, d)) < 0.5 / d
    never = (rng.random((d, d)) < 1 / d) & ~must
    mix = rng.permutation(d)
    return (X.T @ X / len(X))[np.ix_(mix, mix)], Rules(
        kind[0], weight, kind[1], kind[2], 1 + seed % 3, must, never
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(10))
def test_a_fit_is_that_of_the_definition(seed: int, kind: tuple[int, float, bool]) -> None:
    G, rules = instance(seed, 12, kind)
    rng, paths = np.random.default_rng(seed), kernels.empty_paths(12)
    for _ in range(8):
        nodes = rng.permutation(12)[: rng.integers(1, 13)]
        v, S = int(nodes[0]), nodes[1:]
        value = kernels.fit(G, v, S, rules, paths, 12)
        found = {
            int(paths.nodes[12, k]): paths.weights[12, k]
            for k in range(paths.length[12])
            if paths.kept[12, k]
        }
        if kind[0] == GROW:
            expected, parents = grow_shrink_numpy(G, v, S.tolist(), rules)
            w = dict(zip(parents, np.linalg.solve(G[np.ix_(parents, parents)], G[parents, v]), strict=True))
        else:
            expected, w = coordinate_numpy(G, v, S.tolist(), rules)
            w = {u: c for u, c in w.items() if c or rules.must[v, u]}
        assert value == pytest.approx(expected, rel=1e-9)
        assert found == pytest.approx(w, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_l1_is_at_the_optimum(seed: int) -> None:
    G, rules = instance(seed, 30, KINDS[2], weight=0.1)
    order = np.random.default_rng(seed).permutation(30)
    W = moves.coefficients(G, order, rules, kernels.empty_paths(30))
    slope = G @ (W - np.eye(30))
    place = np.argsort(order)
    for u in range(30):
        for v in range(30):
            if place[u] < place[v] and not rules.never[v, u]:
                weight = 0.0 if rules.must[v, u] else 0.1
                if W[u, v]:
                    assert abs(slope[u, v] + weight * np.sign(W[u, v])) < 1e-6
                else:
                    assert abs(slope[u, v]) <= weight + 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_paths_kept_through_moves_are_those_of_fits_anew(seed: int, kind: tuple[int, float, bool]) -> None:
    d = 25
    G, rules = instance(seed, d, kind)
    rng, order = np.random.default_rng(seed), np.arange(d)
    before = np.zeros((d, d), dtype=bool)
    before[3, 7] = before[1, 20] = True
    paths, home = kernels.empty_paths(d), kernels.empty_paths(d)
    value = fit_all(G, order, rules, paths)
    dirty = np.zeros(d, dtype=bool)
    for _ in range(30):
        i, j = rng.integers(d, size=2)
        carry(G, order, rules, paths, before, dirty, i, j)
        expected = moves.terms(G, order, 0, d, rules, kernels.empty_paths(d))
        assert paths.value[order] == pytest.approx(expected, rel=1e-9)
    value = total(paths)
    seen, moved = sparse_sweep(G, order, rules, paths, before, dirty, rng.permutation(d), 10**6, 1e-12)
    assert seen > d
    assert moved > 0
    again = total(paths)
    assert again < value
    nodes = np.array([rng.permutation(d) for _ in range(10)])
    seen, _, rounds = sparse_kicks(
        G, order, rules, paths, home, before, nodes, rng.random((10, 3, 2)), 10**6, 1e-12
    )
    assert rounds == 10
    assert total(paths) <= again + 1e-11
    expected = moves.terms(G, order, 0, d, rules, kernels.empty_paths(d))
    assert paths.value[order] == pytest.approx(expected, rel=1e-9)
    place = np.argsort(order)
    assert place[3] < place[7]
    assert place[1] < place[20]
