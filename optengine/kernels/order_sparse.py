"""Orders of many nodes whose parents are chosen among all nodes before them: what each node has at its best place.

Two rules choose the parents of node v among its predecessors S, both along a path of picks, from the Gram matrix G:

GROW: grow-shrink, as in BOSS (Andrews et al., 2023, arXiv:2310.17679) with grow-shrink (Margaritis and Thrun, 1999).
    Pick the node that lowers the residual variance most, until `ahead` picks in a row did not lower
    base(variance) + weight |P|; then drop the parent whose loss costs least as long as that lowers it. A local optimum
    over the subsets of S, no proof.
COORDINATE: coordinate descent on base + sum of penalties rho(|w|), L1 or MCP (Zhang, 2010, arXiv:1002.4734), over the
    nodes picked; pick the node whose slope exceeds the weight most, until none does. The optimum for L1; for MCP a
    stationary point.

Either path stays as it is where S loses a node that was never picked, or gains one that would never be picked, which
takes O(m^2) to see for a path of m picks (`picks`); else the node is fitted anew, O(|S| m^2) (`fit`). Required parents
are picked first, and not penalised by COORDINATE; forbidden ones never.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optengine.kernels.order_penalty import CLOSE, PASSES, charge, shrink_to

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

GROW, COORDINATE = 0, 1
MOST_PICKS = 128  # of one path: it bounds the memory, 130 kB a node
LEAP = 3  # passes of coordinate descent before the next direct solution
DEPENDENT = 1e-12  # share of its variance left below which a node counts as a combination of others


class Rules(NamedTuple):
    """How parents are chosen: a rule, its numbers, and what is known, must[v, u] and never[v, u] of the edge u -> v."""

    kind: int
    weight: float
    gamma: float  # of MCP; 0: L1
    log: bool  # half the logarithm of the variance in place of half the variance; GROW only
    ahead: int  # picks in a row that do not pay by themselves, after which GROW ends, >= 1
    must: Bools
    never: Bools


class Paths(NamedTuple):
    """A path for each node, and two rows more to try with; then scratch memory."""

    nodes: Integers  # (d + 2, K) picks
    length: Integers  # (d + 2,)
    stage: Floats  # (d + 2, K + 1, K) rows of the Cholesky factor, or the coefficients after each pick
    cross: Floats  # (d + 2, K) GROW: the factor's row of the node itself
    mark: Floats  # (d + 2, K) by what each pick was the best; inf: required
    rest: Floats  # (d + 2,) GROW: variance at the end of the path
    idle: Integers  # (d + 2,) GROW: last picks that do not pay by themselves
    value: Floats  # (d + 2,) local scores
    kept: Bools  # (d + 2, K) which picks are parents
    weights: Floats  # (d + 2, K) their coefficients
    work: Floats  # (d, K)
    inverse: Floats  # (K, K)
    column: Floats  # (K,)
    vectors: Floats  # (2, d)
    choice: Integers  # (d,)
    members: Integers  # (d,)


def empty_paths(d: int) -> Paths:
    """Memory for the paths of d nodes; the rows d and d + 1 are for trials."""
    K, rows = min(d, MOST_PICKS), d + 2
    return Paths(
        nodes=np.zeros((rows, K), np.int64),
        length=np.zeros(rows, np.int64),
        stage=np.zeros((rows, K + 1, K)),
        cross=np.zeros((rows, K)),
        mark=np.zeros((rows, K)),
        rest=np.zeros(rows),
        idle=np.zeros(rows, np.int64),
        value=np.zeros(rows),
        kept=np.zeros((rows, K), np.bool_),
        weights=np.zeros((rows, K)),
        work=np.zeros((d, K)),
        inverse=np.zeros((K, K)),
        column=np.zeros(K),
        vectors=np.zeros((2, d)),
        choice=np.zeros(d, np.int64),
        members=np.zeros(d, np.int64),
    )


@njit(cache=True, nogil=True)
def base(variance: float, log: bool) -> float:
    """Half the variance, or half its logarithm."""
    return 0.5 * np.log(variance) if log else 0.5 * variance


@njit(cache=True, nogil=True)
def fit(G: Floats, v: int, S: Integers, rules: Rules, paths: Paths, row: int) -> float:
    """Local score of node v among S; its path goes to a row of `paths`."""
    n = 0
    for u in S:
        if not rules.never[v, u]:
            paths.choice[n] = u
            n += 1
    if rules.kind == GROW:
        _grow(G, v, n, rules, paths, row)
        _shrink(v, rules, paths, row)
    else:
        _descend(G, v, n, rules, paths, row)
    return paths.value[row]


@njit(cache=True, nogil=True)
def _grow(G: Floats, v: int, n: int, rules: Rules, paths: Paths, row: int) -> None:
    """The path of GROW over the first n of `paths.choice`."""
    work, choice = paths.work, paths.choice
    var, cov = paths.vectors[0], paths.vectors[1]
    forced = 0
    for i in range(n):
        u = choice[i]
        var[u], cov[u] = G[u, u], G[u, v]
        forced += rules.must[v, u]
    rest, m, idle = G[v, v], 0, 0
    while n > 0 and m < paths.nodes.shape[1] and idle < rules.ahead:
        best, gain = -1, 0.0
        for i in range(n):
            u = choice[i]
            if forced > 0:
                if rules.must[v, u] and (best < 0 or u < choice[best]):
                    best, gain = i, np.inf
            elif var[u] > DEPENDENT * G[u, u] and cov[u] * cov[u] / var[u] > gain:
                best, gain = i, cov[u] * cov[u] / var[u]
        if best < 0:
            break
        idle = 0 if forced > 0 or _helps(rest, gain, rules) else idle + 1
        forced -= forced > 0
        p = choice[best]
        n -= 1
        choice[best] = choice[n]
        r = np.sqrt(var[p])
        z = cov[p] / r
        paths.nodes[row, m], paths.cross[row, m], paths.mark[row, m] = p, z, gain
        for k in range(m):
            paths.stage[row, m, k] = work[p, k]
        paths.stage[row, m, m] = r
        for i in range(n):
            u = choice[i]
            a = G[u, p]
            for k in range(m):
                a -= work[u, k] * work[p, k]
            a /= r
            work[u, m] = a
            var[u] -= a * a
            cov[u] -= a * z
        rest -= z * z
        m += 1
    paths.length[row], paths.rest[row], paths.idle[row] = m, rest, idle


@njit(cache=True, nogil=True)
def _helps(rest: float, gain: float, rules: Rules) -> bool:
    """Whether a fall of the variance by `gain` is worth a parent."""
    if gain >= rest:
        return rest > 0.0
    return base(rest - gain, rules.log) + rules.weight < base(rest, rules.log)


@njit(cache=True, nogil=True)
def _solve(paths: Paths, row: int) -> None:
    """The inverse of the Gram matrix of the picks of GROW, and their coefficients, from the factor; O(m^3)."""
    m, R, H, b = paths.length[row], paths.stage[row], paths.inverse, paths.weights[row]
    T = paths.work  # inverse of the factor: H = T' T and b = T' cross
    for i in range(m):
        for j in range(i):
            t = 0.0
            for k in range(j, i):
                t -= R[i, k] * T[k, j]
            T[i, j] = t / R[i, i]
        T[i, i] = 1.0 / R[i, i]
    for i in range(m):
        b[i] = 0.0
        for k in range(i, m):
            b[i] += T[k, i] * paths.cross[row, k]
        for j in range(i + 1):
            h = 0.0
            for k in range(i, m):
                h += T[k, i] * T[k, j]
            H[i, j] = H[j, i] = h


@njit(cache=True, nogil=True)
def _shrink(v: int, rules: Rules, paths: Paths, row: int) -> None:
    """Drop picks of GROW as long as it pays; fills value, kept and weights."""
    m, rest, H = paths.length[row], paths.rest[row], paths.inverse
    b, kept, parents = paths.weights[row], paths.kept[row], paths.length[row]
    _solve(paths, row)
    kept[:m] = True
    while True:
        worst, loss = -1, np.inf
        for i in range(m):
            if kept[i] and not rules.must[v, paths.nodes[row, i]] and b[i] * b[i] / H[i, i] < loss:
                worst, loss = i, b[i] * b[i] / H[i, i]
        if worst < 0 or base(rest + loss, rules.log) - rules.weight >= base(rest, rules.log):
            break
        kept[worst] = False
        parents -= 1
        rest += loss
        for i in range(m):
            if kept[i]:  # columns of dropped ones are not read again
                f = H[i, worst] / H[worst, worst]
                b[i] -= f * b[worst]
                H[i, :m] -= f * H[worst, :m]
        b[worst] = 0.0
    paths.value[row] = base(rest, rules.log) + rules.weight * parents


@njit(cache=True, nogil=True)
def _pass(G: Floats, v: int, m: int, rules: Rules, paths: Paths, row: int) -> float:
    """Update each of m coefficients once, and the slopes of all; returns the largest standardised change."""
    P, w, r, moved = paths.nodes[row], paths.weights[row], paths.column, 0.0
    for k in range(m):
        p = P[k]
        weight = 0.0 if rules.must[v, p] else rules.weight
        step = shrink_to(r[k] + G[p, p] * w[k], G[p, p], weight, rules.gamma) - w[k]
        if step != 0.0:
            w[k] += step
            for j in range(m):
                r[j] -= step * G[P[j], p]
            moved = max(moved, abs(step) * np.sqrt(G[p, p]))
    return moved


@njit(cache=True, nogil=True)
def _target(G: Floats, v: int, index: Integers, rules: Rules, paths: Paths, row: int, x: Floats) -> bool:
    """Fill x (n,): where all slopes are 0 for the signs, and pieces of MCP, of the coefficients `index` (n,)."""
    P, w, L = paths.nodes[row], paths.weights[row], paths.inverse
    for i in range(len(index)):
        p, own = P[index[i]], w[index[i]]
        weight = 0.0 if rules.must[v, p] else rules.weight
        bend = rules.gamma > 0.0 and abs(own) < rules.gamma * weight
        kept = weight if rules.gamma == 0.0 or bend else 0.0
        x[i] = G[p, v] - (kept if own > 0.0 else -kept)
        for j in range(i + 1):
            t = G[p, P[index[j]]] - (1.0 / rules.gamma if bend and i == j else 0.0)
            for l in range(j):  # noqa: E741
                t -= L[i, l] * L[j, l]
            if j == i and t <= DEPENDENT * G[p, p]:
                return False
            L[i, j] = t / L[j, j] if j < i else np.sqrt(t)
        for l in range(i):  # noqa: E741
            x[i] -= L[i, l] * x[l]
        x[i] /= L[i, i]
    for i in range(len(index) - 1, -1, -1):
        for l in range(i + 1, len(index)):  # noqa: E741
            x[i] -= L[l, i] * x[l]
        x[i] /= L[i, i]
    return True


@njit(cache=True, nogil=True)
def _leap(G: Floats, v: int, m: int, rules: Rules, paths: Paths, row: int) -> None:
    """Go to the target, or as far as coefficients keep their signs and pieces of the penalty.

    Coordinate descent takes thousands of passes where columns are alike; this is one Cholesky factor, O(m^3 / 6).
    """
    P, w, r = paths.nodes[row], paths.weights[row], paths.column
    index = np.flatnonzero(w[:m])
    x = np.empty(len(index))
    if not _target(G, v, index, rules, paths, row, x):
        return
    share, first = 1.0, -1
    for i in range(len(index)):
        k = index[i]
        if rules.must[v, P[k]]:
            continue
        for edge in (0.0, rules.gamma * rules.weight):
            a, b = abs(w[k]) - edge, (x[i] if w[k] > 0.0 else -x[i]) - edge
            if a * b < 0.0 and a / (a - b) < share:
                share, first = a / (a - b), (k if edge == 0.0 else -1)
    for i in range(len(index)):
        w[index[i]] += share * (x[i] - w[index[i]])
    if first >= 0:
        w[first] = 0.0
    for k in range(m):
        r[k] = G[P[k], v]
        for j in index:
            r[k] -= G[P[k], P[j]] * w[j]


@njit(cache=True, nogil=True)
def _steepest(
    G: Floats, v: int, n: int, m: int, rules: Rules, paths: Paths, row: int
) -> tuple[int, float, float]:
    """Which of the first n of `paths.choice` exceeds the weight most, by how much, and its slope; -1: none."""
    best, most, slope = -1, 1e-9 * np.sqrt(G[v, v]), 0.0
    for i in range(n):
        u = paths.choice[i]
        g = G[u, v]
        for k in range(m):
            g -= paths.weights[row, k] * G[u, paths.nodes[row, k]]
        excess = (abs(g) - rules.weight) / np.sqrt(G[u, u])
        if excess > most:
            best, most, slope = i, excess, g
    return best, most, slope


@njit(cache=True, nogil=True)
def _descend(G: Floats, v: int, n: int, rules: Rules, paths: Paths, row: int) -> None:
    """The path of COORDINATE over the first n of `paths.choice`; fills value, kept and weights."""
    choice, P, w, r = paths.choice, paths.nodes[row], paths.weights[row], paths.column
    close, m, i = CLOSE * np.sqrt(G[v, v]), 0, 0
    while i < n:  # the required ones first
        if rules.must[v, choice[i]] and m < len(P):
            P[m], w[m], r[m], paths.mark[row, m] = choice[i], 0.0, G[choice[i], v], np.inf
            m, n = m + 1, n - 1
            choice[i] = choice[n]
        else:
            i += 1
    while True:
        for k in range(PASSES):
            if _pass(G, v, m, rules, paths, row) <= close:
                break
            if k % LEAP == LEAP - 1:
                _leap(G, v, m, rules, paths, row)
        paths.stage[row, m, :m] = w[:m]
        best, most, slope = _steepest(G, v, n if m < len(P) else 0, m, rules, paths, row)
        if best < 0:
            break
        P[m], w[m], r[m], paths.mark[row, m] = choice[best], 0.0, slope, most
        m, n = m + 1, n - 1
        choice[best] = choice[n]
    value = 0.5 * G[v, v]
    for k in range(m):
        required = rules.must[v, P[k]]
        value -= 0.5 * w[k] * (G[P[k], v] + r[k])
        value += 0.0 if required else charge(abs(w[k]), rules.weight, rules.gamma)
        paths.kept[row, k] = required or w[k] != 0.0
    paths.length[row], paths.value[row] = m, value


@njit(cache=True, nogil=True)
def picks(G: Floats, v: int, u: int, rules: Rules, paths: Paths, row: int) -> bool:
    """Whether the path of node v in a row of `paths` would be another one, were u among its predecessors too."""
    if rules.never[v, u]:
        return False
    if rules.must[v, u]:
        return True
    m, a = paths.length[row], paths.column
    full = m == paths.nodes.shape[1]
    if rules.kind == COORDINATE:
        for l in range(m + 1):  # noqa: E741
            if (l < m and paths.mark[row, l] == np.inf) or (l == m and full):
                continue
            g = G[u, v]
            for k in range(l):
                g -= paths.stage[row, l, k] * G[u, paths.nodes[row, k]]
            least = paths.mark[row, l] if l < m else 1e-9 * np.sqrt(G[v, v])
            if (abs(g) - rules.weight) / np.sqrt(G[u, u]) > least:
                return True
        return False
    var, cov = G[u, u], G[u, v]
    for l in range(m):  # noqa: E741
        if var > DEPENDENT * G[u, u] and cov * cov / var > paths.mark[row, l]:
            return True
        t = G[u, paths.nodes[row, l]]
        for k in range(l):
            t -= a[k] * paths.stage[row, l, k]
        t /= paths.stage[row, l, l]
        a[l] = t
        var -= t * t
        cov -= t * paths.cross[row, l]
    return not full and paths.idle[row] < rules.ahead and var > DEPENDENT * G[u, u] and cov != 0.0


@njit(cache=True, nogil=True)
def picked(u: int, paths: Paths, row: int) -> bool:
    """Whether u is on a path."""
    on = False
    for k in range(paths.length[row]):
        on = on or paths.nodes[row, k] == u
    return on
