"""What `order_sparse` computes, in plain NumPy: the definitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.kernels.order_penalty import CLOSE, PASSES, charge, shrink_to
from optengine.kernels.order_sparse import Rules

Floats = NDArray[np.float64]


def grow_shrink_numpy(G: Floats, v: int, S: list[int], rules: Rules) -> tuple[float, list[int]]:
    """Local score and parents of node v by GROW; the definition, each variance by a new solution."""

    def cost(P: list[int]) -> float:
        variance = G[v, v] - (G[v, P] @ np.linalg.solve(G[np.ix_(P, P)], G[P, v]) if P else 0.0)
        return float(0.5 * (np.log(variance) if rules.log else variance) + rules.weight * len(P))

    free = [u for u in S if not rules.never[v, u] and not rules.must[v, u]]
    P, idle = [u for u in S if rules.must[v, u]], 0
    while (left := [u for u in free if u not in P]) and idle < rules.ahead:
        best = min(left, key=lambda u: cost([*P, u]))
        idle = 0 if cost([*P, best]) < cost(P) else idle + 1
        P = [*P, best]
    while droppable := [u for u in P if not rules.must[v, u]]:
        worst = min(droppable, key=lambda u: cost([q for q in P if q != u]))
        without = [q for q in P if q != worst]
        if cost(without) >= cost(P):
            break
        P = without
    return cost(P), sorted(P)


def coordinate_numpy(G: Floats, v: int, S: list[int], rules: Rules) -> tuple[float, dict[int, float]]:
    """Local score and coefficients of node v by COORDINATE; the definition, in plain loops."""
    scale, picked = float(np.sqrt(G[v, v])), [u for u in S if rules.must[v, u]]
    w: dict[int, float] = dict.fromkeys(picked, 0.0)
    while True:
        for _ in range(PASSES):
            moved = 0.0
            for u in w:
                b = G[u, v] - sum(w[q] * G[u, q] for q in w if q != u)
                new = shrink_to(b, G[u, u], 0.0 if rules.must[v, u] else rules.weight, rules.gamma)
                moved, w[u] = max(moved, abs(new - w[u]) * float(np.sqrt(G[u, u]))), new
            if moved <= CLOSE * scale:
                break
        slopes = {
            u: (abs(G[u, v] - sum(w[q] * G[u, q] for q in w)) - rules.weight) / float(np.sqrt(G[u, u]))
            for u in S
            if u not in w and not rules.never[v, u]
        }
        best = max(slopes, key=lambda u: slopes[u], default=-1)
        if best < 0 or slopes[best] <= 1e-9 * scale:
            P, c = list(w), np.array(list(w.values()))
            value = 0.5 * (G[v, v] - 2.0 * G[v, P] @ c + c @ G[np.ix_(P, P)] @ c) if P else 0.5 * G[v, v]
            charged = [abs(w[u]) for u in P if not rules.must[v, u]]
            return float(value + sum(charge(x, rules.weight, rules.gamma) for x in charged)), w
        w[best] = 0.0
