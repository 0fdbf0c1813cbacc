"""Local search for the smallest vertex cover, the complement of the largest independent set.

Cai, Su, Luo, Sattar, NuMVC: an efficient local search algorithm for minimum vertex cover, Journal of Artificial
Intelligence Research 46 (2013), doi:10.1613/jair.3907: a cover one node too small is looked for by exchanging a node of
the cover for one end of an open edge; open edges gain weight; a node that left comes back only after a neighbour moved.
"""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw

Integers: TypeAlias = NDArray[np.int64]

STEP, SEED, N_OPEN, SIZE, HEAVY = 0, 1, 2, 3, 4
STATE = 5
SAMPLED = 400  # nodes of a cover from which the node that leaves is the best of a sample
SAMPLE = 50
FORGET, KEPT = 0.5, 3  # mean weight, in units of the nodes, at which weights shrink to KEPT tenths


@numba.njit(cache=True, nogil=True)
def begin_vertex_cover(
    ends: Integers, indptr: Integers, around: Integers, inside: Integers, weights: Integers, scores: Integers,
    open_edges: Integers, place: Integers, members: Integers, at: Integers, state: Integers,
) -> None:  # fmt: skip
    """Fill the books for the cover `inside` (n,), with the weights as they are.

    Args:
        ends: (m, 2). indptr, around: edges around each node. scores: (n,) change of the weight of open edges for the
            better, were the node flipped. open_edges, place: (m,) list of open edges. members, at: (n,) list of the
            cover.
    """
    place[:], at[:], scores[:] = -1, -1, 0
    n_open, size = 0, 0
    for e in range(len(ends)):
        a, b = ends[e]
        if inside[a] + inside[b] == 0:
            open_edges[n_open], place[e] = e, n_open
            n_open += 1
            scores[a] += weights[e]
            scores[b] += weights[e]
        elif inside[a] + inside[b] == 1:
            scores[a if inside[a] else b] -= weights[e]
    for k in range(len(inside)):
        if inside[k]:
            members[size], at[k] = k, size
            size += 1
    state[N_OPEN], state[SIZE] = n_open, size


@numba.njit(cache=True, nogil=True)
def search_vertex_cover(
    ends: Integers, indptr: Integers, around: Integers, inside: Integers, weights: Integers, scores: Integers,
    open_edges: Integers, place: Integers, members: Integers, at: Integers, since: Integers, may: Integers,
    state: Integers, best: Integers, n_best: int, steps: int,
) -> int:  # fmt: skip
    """`steps` exchanges; returns the size of the smallest cover, which is `best`; `n_best` is its size before.

    Args:
        since: (n,) step of each node's last flip. may: (n,) whether a node may enter (its neighbourhood has changed).
    """
    n, m = len(inside), len(ends)
    seed = state[SEED]
    for step in range(state[STEP], state[STEP] + steps):
        while state[N_OPEN] == 0 and state[SIZE] > 0:
            n_best = state[SIZE]
            best[:] = inside
            k = _leaving(members, state[SIZE], scores, since, draw(seed, step, 3))
            _flip(
                k, ends, indptr, around, inside, weights, scores, open_edges, place, members, at, may, state
            )
        if state[N_OPEN] == 0 or state[SIZE] == 0:
            break
        k = _leaving(members, state[SIZE], scores, since, draw(seed, step, 0))
        _flip(k, ends, indptr, around, inside, weights, scores, open_edges, place, members, at, may, state)
        since[k], may[k] = step, 0
        a, b = ends[open_edges[draw(seed, step, 1) % state[N_OPEN]]]
        if not may[a] or (
            may[b] and (scores[b] > scores[a] or (scores[b] == scores[a] and since[b] < since[a]))
        ):
            a = b
        _flip(a, ends, indptr, around, inside, weights, scores, open_edges, place, members, at, may, state)
        since[a] = step
        for q in range(state[N_OPEN]):
            e = open_edges[q]
            weights[e] += 1
            scores[ends[e, 0]] += 1
            scores[ends[e, 1]] += 1
        state[HEAVY] += state[N_OPEN]
        if state[HEAVY] > FORGET * n * m:
            state[HEAVY] = 0
            for e in range(m):
                weights[e] = max(1, weights[e] * KEPT // 10)
                state[HEAVY] += weights[e] - 1
            begin_vertex_cover(
                ends, indptr, around, inside, weights, scores, open_edges, place, members, at, state
            )
    state[STEP] += steps
    return n_best


@numba.njit(cache=True, nogil=True)
def _leaving(members: Integers, size: int, scores: Integers, since: Integers, word: int) -> int:
    """The node of the cover that opens the least weight, the oldest of equals; the best of a sample of large covers."""
    k = members[word % size]
    if size > SAMPLED:
        for q in range(SAMPLE):
            word = draw(word, q, 0)
            j = members[word % size]
            if scores[j] > scores[k] or (scores[j] == scores[k] and since[j] < since[k]):
                k = j
        return k
    for q in range(size):
        j = members[q]
        if scores[j] > scores[k] or (scores[j] == scores[k] and since[j] < since[k]):
            k = j
    return k


@numba.njit(cache=True, nogil=True)
def _flip(
    k: int, ends: Integers, indptr: Integers, around: Integers, inside: Integers, weights: Integers, scores: Integers,
    open_edges: Integers, place: Integers, members: Integers, at: Integers, may: Integers, state: Integers,
) -> None:  # fmt: skip
    """Node k enters or leaves the cover."""
    entering = inside[k] == 0
    inside[k] = 1 if entering else 0
    scores[k] = -scores[k]
    n_open, size = state[N_OPEN], state[SIZE]
    if entering:
        members[size], at[k] = k, size
        size += 1
    else:
        size -= 1
        last = members[size]
        members[at[k]], at[last] = last, at[k]
        at[k] = -1
    for p in range(indptr[k], indptr[k + 1]):
        e = around[p]
        j = ends[e, 0] + ends[e, 1] - k
        may[j] = 1
        w = weights[e]
        if inside[j]:
            scores[j] += w if entering else -w
        elif entering:
            scores[j] -= w
            n_open -= 1
            last = open_edges[n_open]
            open_edges[place[e]], place[last] = last, place[e]
            place[e] = -1
        else:
            scores[j] += w
            open_edges[n_open], place[e] = e, n_open
            n_open += 1
    state[N_OPEN], state[SIZE] = n_open, size
