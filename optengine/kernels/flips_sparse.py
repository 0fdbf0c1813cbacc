"""One-flip searches on sparse quadratic functions of bits: tabu search on buckets of gains, and annealing.

The function, the gains and the tabu rule are those of `flips`; the neighbours of a bit stand in compressed rows.

The tabu search takes whole gains in a small range: bits stand in a bucket a gain, tabu bits in none, so that a step
costs O(degree) and ties are broken uniformly. The annealing sweeps over all bits by Metropolis' rule with a
temperature that falls linearly (Isakov, Zintchenko, Ronnow, Troyer, Optimised simulated annealing for Ising spin
glasses, Computer Physics Communications 192 (2015), doi:10.1016/j.cpc.2015.02.015).
"""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.flips import BEST_IS_HERE, IDLE, SEED, STEP
from optengine.kernels.minmax_random import draw

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int32]

HOPELESS = -30.0  # exponent below which no draw accepts


@numba.njit(cache=True, nogil=True, inline="always")
def _in(k: int, bucket: int, room: Small, sizes: Integers, place: Integers) -> None:
    """Put bit k into a bucket."""
    room[bucket, sizes[bucket]] = k
    place[k] = sizes[bucket]
    sizes[bucket] += 1


@numba.njit(cache=True, nogil=True)
def fill_buckets(
    gains: Integers, ring: Integers, chain: Integers, room: Small, sizes: Integers, place: Integers
) -> int:
    """Put every bit that is on no list of the ring into the bucket of its gain; returns the highest one filled.

    Args:
        gains: (n,) from -(b // 2) to b // 2. room: (b, n) buckets. sizes: (b,). place: (n,) in the bucket, -1 in none.
    """
    sizes[:] = 0
    place[:] = 0
    for head in ring:
        while head >= 0:
            place[head] = -1
            head = chain[head]
    half, top = len(sizes) // 2, 0
    for j in range(len(gains)):
        if place[j] == 0:
            bucket = gains[j] + half
            _in(j, bucket, room, sizes, place)
            top = max(top, bucket)
    return top


@numba.njit(cache=True, nogil=True)
def tabu_sparse(
    indptr: Integers,
    indices: Small,
    weights: Integers,
    gains: Integers,
    signs: Integers,
    ring: Integers,
    chain: Integers,
    room: Small,
    sizes: Integers,
    place: Integers,
    low: int,
    spread: int,
    state: Integers,
    fallen: Floats,
    best: Integers,
    steps: int,
    patience: int,
) -> int:
    """Walk on for at most `steps` steps, or until `patience` steps have brought no new best; returns the steps taken.

    Args:
        indptr, indices, weights: couplings in compressed rows, both directions, no diagonal, whole numbers.
        gains: (n,) whole numbers, of the present point. signs: (n,) +1 or -1. Both updated.
        room, sizes, place: buckets as `fill_buckets` leaves them; filled anew by every call.
        Others: as for `flips.tabu_dense`.
    """
    top = fill_buckets(gains, ring, chain, room, sizes, place)
    half, length = len(sizes) // 2, len(ring)
    step, idle, seed, here = state[STEP], state[IDLE], state[SEED], state[BEST_IS_HERE]
    taken = 0
    while taken < steps and idle < patience:
        slot = step % length
        k = ring[slot]
        while k >= 0:  # tabu no more
            bucket = gains[k] + half
            _in(k, bucket, room, sizes, place)
            top = max(top, bucket)
            k = chain[k]
        ring[slot] = -1
        while top >= 0 and sizes[top] == 0:
            top -= 1
        if top >= 0:  # else all bits are tabu: wait
            word = draw(seed, step, 0)
            k = room[top, word % sizes[top]]
            gain = gains[k]
            if gain <= 0 and here:  # about to leave a new best
                best[:] = signs
                here = 0
            _out(k, top, room, sizes, place)
            s = signs[k]
            for p in range(indptr[k], indptr[k + 1]):
                j = indices[p]
                bucket = gains[j] + half
                gains[j] -= weights[p] * s * signs[j]
                if place[j] >= 0:
                    _out(j, bucket, room, sizes, place)
                    bucket = gains[j] + half
                    _in(j, bucket, room, sizes, place)
                    top = max(top, bucket)
            signs[k], gains[k] = -s, -gain
            slot = (step + 1 + low + (word >> 32) % spread) % length
            chain[k] = ring[slot]
            ring[slot] = k
            fallen[0] += gain
            if fallen[0] > fallen[1]:
                fallen[1] = fallen[0]
                here, idle = 1, -1
        else:
            top = 0
        idle += 1
        step += 1
        taken += 1
    if here:
        best[:] = signs
        here = 0
    state[STEP], state[IDLE], state[BEST_IS_HERE] = step, idle, here
    return taken


@numba.njit(cache=True, nogil=True, inline="always")
def _out(k: int, bucket: int, room: Small, sizes: Integers, place: Integers) -> None:
    """Take bit k out of its bucket; the last one there takes its place."""
    sizes[bucket] -= 1
    last = room[bucket, sizes[bucket]]
    room[bucket, place[k]] = last
    place[last] = place[k]
    place[k] = -1


@numba.njit(cache=True, nogil=True)
def anneal_sparse(
    indptr: Integers,
    indices: Small,
    weights: Floats,
    gains: Floats,
    signs: Floats,
    hot: float,
    cold: float,
    sweep: int,
    n_sweeps: int,
    steps: int,
    seed: int,
    fallen: Floats,
    best: Floats,
) -> int:
    """Sweeps `sweep` to `sweep + steps` of `n_sweeps` in all; returns the number of flips.

    Args:
        indptr, indices, weights: couplings in compressed rows, both directions, no diagonal.
        gains, signs: (n,) of the present point, updated.
        hot, cold: first and last temperature, in the unit of f.
        fallen: (2,) f has fallen by since the start: now, and at the best. best: (n,) its signs. Both updated.
    """
    n = len(gains)
    now, flips = fallen[0], 0
    for t in range(sweep, min(sweep + steps, n_sweeps)):
        beta = 1.0 / (hot + (cold - hot) * t / max(1, n_sweeps - 1))
        for k in range(n):
            exponent = gains[k] * beta
            if exponent < 0.0:
                if exponent < HOPELESS:
                    continue
                u = ((draw(seed, t * n + k, 0) >> 10) + 1) * (1.0 / 9007199254740992.0)
                if u >= np.exp(exponent):
                    continue
            s, gain = signs[k], gains[k]
            for p in range(indptr[k], indptr[k + 1]):
                gains[indices[p]] -= weights[p] * s * signs[indices[p]]
            signs[k], gains[k] = -s, -gain
            now += gain
            flips += 1
        if now > fallen[1]:
            fallen[1] = now
            best[:] = signs
    fallen[0] = now
    return flips
