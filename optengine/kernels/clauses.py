"""probSAT on weighted clauses: a random literal of a random unsatisfied clause, the likelier the less it breaks.

Balint, Schöning, Choosing probability distributions for stochastic local search and the role of make versus break, SAT
2012, doi:10.1007/978-3-642-31612-8_3: a bit is chosen with a probability proportional to (EPSILON + break)^-POWER.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EPSILON, POWER = 0.9, 2.3
STEP, SEED, N_OPEN = 0, 1, 2
STATE = 3


@numba.njit(cache=True, nogil=True)
def begin_clauses(
    indptr: Integers,
    bits: Integers,
    wanted: Integers,
    x: Integers,
    counts: Integers,
    open_: Integers,
    place: Integers,
) -> int:
    """Count the true literals of each clause, and list the unsatisfied ones; returns how many."""
    n_open = 0
    for c in range(len(counts)):
        counts[c] = 0
        place[c] = -1
        for p in range(indptr[c], indptr[c + 1]):
            counts[c] += x[bits[p]] == wanted[p]
        if counts[c] == 0:
            open_[n_open], place[c] = c, n_open
            n_open += 1
    return n_open


@numba.njit(cache=True, nogil=True)
def search_clauses(  # noqa: C901 - one compiled loop
    indptr: Integers, bits: Integers, wanted: Integers, weights: Floats, of_ptr: Integers, of: Integers, x: Integers,
    counts: Integers, open_: Integers, place: Integers, chances: Floats, state: Integers, value: Floats, best: Integers,
    steps: int,
) -> None:  # fmt: skip
    """`steps` flips.

    Args:
        indptr, bits, wanted: literals of each clause. weights: (m,), 1 on average.
        of_ptr, of: the literals (places in `bits`) of each bit, coded as 2 clause + wanted.
        x, counts, open_, place: the assignment and the books of `begin_clauses`. chances: scratch, the longest clause.
        state: (STATE,). value: (2,) weight unsatisfied now, and at `best`. All updated.
    """
    seed = state[SEED]
    for step in range(state[STEP], state[STEP] + steps):
        if state[N_OPEN] == 0:
            break
        c = open_[draw(seed, step, 0) % state[N_OPEN]]
        begin, total = indptr[c], 0.0
        for p in range(begin, indptr[c + 1]):
            k, broken = bits[p], 0.0
            for q in range(of_ptr[k], of_ptr[k + 1]):
                clause = of[q] >> 1
                if counts[clause] == 1 and x[k] == (of[q] & 1):
                    broken += weights[clause]
            chances[p - begin] = (EPSILON + broken) ** -POWER
            total += chances[p - begin]
        left = total * ((draw(seed, step, 1) >> 10) * (1.0 / 9007199254740992.0))
        k = bits[begin]
        for p in range(begin, indptr[c + 1]):
            k = bits[p]
            left -= chances[p - begin]
            if left < 0.0:
                break
        x[k] ^= 1
        for q in range(of_ptr[k], of_ptr[k + 1]):
            clause = of[q] >> 1
            if x[k] == (of[q] & 1):
                counts[clause] += 1
                if counts[clause] == 1:
                    state[N_OPEN] -= 1
                    last = open_[state[N_OPEN]]
                    open_[place[clause]], place[last] = last, place[clause]
                    place[clause] = -1
                    value[0] -= weights[clause]
            else:
                counts[clause] -= 1
                if counts[clause] == 0:
                    open_[state[N_OPEN]], place[clause] = clause, state[N_OPEN]
                    state[N_OPEN] += 1
                    value[0] += weights[clause]
        if value[0] < value[1] - 1e-9:
            value[1] = value[0]
            best[:] = x
    state[STEP] += steps
