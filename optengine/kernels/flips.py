"""One-flip tabu search on quadratic functions of bits: the definition and the dense Numba form.

    f(x) = constant + sum_i linear[i] x[i] + sum_{i<j} coupling[i, j] x[i] x[j],   x[i] in {0, 1}, minimised.

Every step flips the bit that lowers f most (or raises it least) among those that are not tabu; a flipped bit is tabu
for `low + below(spread)` steps (Glover, Lu, Hao, Diversification-driven tabu search for unconstrained binary
quadratic problems, 4OR 8 (2010), doi:10.1007/s10288-009-0115-y).

What makes it fast: the gains of all bits are kept, so that a flip costs one pass over one row; the pass also leaves
the largest gain of each of 64 interleaved lanes, which vectorises where a maximum of neighbours would not; a tabu bit
has PENALTY taken off its gain, so that the scan needs no test; bits leave the tabu list by a ring of expiry times.
Ties are broken by where the scan begins, which is random: the lowest index would ruin sparse graphs with weights of
+-1.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw

Numbers: TypeAlias = NDArray[Any]  # float32 or float64
Integers: TypeAlias = NDArray[np.int64]

LANES = 64  # bit j stands in lane j % LANES, whose largest gain is kept
EXACT_32 = 2.0**22  # gains below it stay exact in float32 even with the penalty taken off
# Slots of `state`: the walk goes on where it was cut.
STEP, IDLE, SEED, BEST_IS_HERE = 0, 1, 2, 3
STATE = 4


def penalty(gains_below: float) -> float:
    """The power of two that is taken off the gains of tabu bits, for gains of at most that size."""
    return float(2.0 ** (np.ceil(np.log2(max(gains_below, 1.0))) + 1))


def gains_of(linear: Numbers, coupling: Numbers, x: Numbers) -> Numbers:
    """How much f falls when each bit alone is flipped, (n,); the definition. `coupling` symmetric, zero diagonal."""
    return (2.0 * x - 1.0) * (linear + coupling @ x)


def tabu_reference(
    linear: Numbers, coupling: Numbers, x: Integers, low: int, spread: int, seed: int, steps: int
) -> tuple[Integers, float]:
    """The best x of a walk of `steps` steps and how much lower f is there; the definition, O(n^2) a step."""
    x, n = x.copy(), len(x)
    until = np.zeros(n, dtype=np.int64)
    fallen, best, at_best = 0.0, 0.0, x.copy()
    for step in range(steps):
        gains = gains_of(linear, coupling, x.astype(np.float64))
        gains[until > step] -= penalty(float(np.abs(gains).max()) * 4 + 1)
        k = first_largest(gains, seed, step)
        fallen += float(gains_of(linear, coupling, x.astype(np.float64))[k])
        x[k] ^= 1
        until[k] = step + 1 + low + draw(seed, step, 1) % spread
        if fallen > best:
            best, at_best = fallen, x.copy()
    return at_best, best


def first_largest(gains: Numbers, seed: int, step: int) -> int:
    """The index of a largest gain: the first lane that has one from a random lane on, and so inside the lane."""
    word, top = draw(seed, step, 0), gains.max()
    lanes = (word % LANES + np.arange(LANES)) % LANES
    lane = next(lane for lane in lanes.tolist() if (gains[lane::LANES] == top).any())
    size = -(-len(gains) // LANES)
    order = lane + ((word >> 24) % size + np.arange(size)) % size * LANES
    order = order[order < len(gains)]
    return int(order[np.argmax(gains[order] == top)])


def padded(n: int) -> int:
    """The next multiple of LANES."""
    return -(-n // LANES) * LANES


@numba.njit(cache=True, nogil=True)
def tabu_dense(
    coupling: Numbers,
    gains: Numbers,
    signs: Numbers,
    ring: Integers,
    chain: Integers,
    low: int,
    spread: int,
    minus: float,
    state: Integers,
    fallen: Numbers,
    best: Numbers,
    steps: int,
    patience: int,
) -> int:
    """Walk on for at most `steps` steps, or until `patience` steps have brought no new best; returns the steps taken.

    Args:
        coupling: (n, m) symmetric, zero diagonal, filled with zeros to m = `padded(n)` columns; float32 where exact
            (see `EXACT_32`), else float64.
        gains: (m,) of `coupling`'s dtype, of the present point, less `minus` where tabu, -4 `minus` beyond n; updated.
        signs: (m,) +1 where x = 1, -1 where x = 0, of the same dtype; updated.
        ring, chain: (low + spread + 1,) heads and (n,) links of the bits whose tabu ends at a step; -1: none; updated.
        low, spread: tenure is low + below(spread), spread >= 1.
        minus: the penalty.
        state: (STATE,) counters, updated. fallen: (2,) f has fallen by since the start: now, and at the best; updated.
        best: (m,) signs of the best point; updated.
    """
    m, length = len(gains), len(ring)
    big = gains.dtype.type(minus)
    maxima, folded = np.empty(LANES, gains.dtype), np.empty(LANES, gains.dtype)
    maxima[:] = gains[:LANES]
    for begin in range(LANES, m, LANES):
        for lane in range(LANES):
            maxima[lane] = max(maxima[lane], gains[begin + lane])
    step, idle, seed, here = state[STEP], state[IDLE], state[SEED], state[BEST_IS_HERE]
    taken = 0
    while taken < steps and idle < patience:
        slot = step % length
        k = ring[slot]
        while k >= 0:  # tabu no more
            gains[k] += big
            maxima[k % LANES] = max(maxima[k % LANES], gains[k])
            k = chain[k]
        ring[slot] = -1
        word = draw(seed, step, 0)
        k = _first_largest(gains, maxima, folded, word)
        gain = np.float64(gains[k])
        if gain < -0.5 * minus:  # all bits are tabu
            gain += minus
            gains[k] += big
            _leave(ring, chain, k)
        if gain <= 0.0 and here:  # about to leave a new best
            best[:] = signs
            here = 0
        s, after = signs[k], -gains[k] - big
        row = coupling[k]
        maxima[:] = -4 * big
        _flip_row(row, gains, signs, s, maxima, m // LANES)
        signs[k], gains[k] = -s, after
        top = after
        for j in range(k % LANES, m, LANES):
            top = max(top, gains[j])
        maxima[k % LANES] = top
        slot = (step + 1 + low + draw(seed, step, 1) % spread) % length
        chain[k] = ring[slot]
        ring[slot] = k
        fallen[0] += gain
        idle += 1
        if fallen[0] > fallen[1]:
            fallen[1] = fallen[0]
            here, idle = 1, 0
        step += 1
        taken += 1
    if here:
        best[:] = signs
        here = 0
    state[STEP], state[IDLE], state[BEST_IS_HERE] = step, idle, here
    return taken


@numba.njit(cache=True, nogil=True)
def _flip_row(row: Numbers, gains: Numbers, signs: Numbers, s: float, maxima: Numbers, blocks: int) -> None:
    """Update all gains for the flip of one bit and take their maxima by lane; on its own, or it does not vectorise."""
    for block in range(blocks):
        begin = block * LANES
        for lane in range(LANES):
            v = gains[begin + lane] - row[begin + lane] * (s * signs[begin + lane])
            gains[begin + lane] = v
            top = maxima[lane]
            maxima[lane] = v if v > top else top  # noqa: FURB136 - max() does not vectorise


@numba.njit(cache=True, nogil=True, inline="always")
def _first_largest(gains: Numbers, maxima: Numbers, folded: Numbers, word: int) -> int:
    """`first_largest` from the maxima of the lanes."""
    half = LANES // 2
    for lane in range(half):
        folded[lane] = max(maxima[lane], maxima[lane + half])
    while half > 4:
        half //= 2
        for lane in range(half):
            folded[lane] = max(folded[lane], folded[lane + half])
    top = max(max(folded[0], folded[1]), max(folded[2], folded[3]))
    lane = word % LANES
    while maxima[lane] != top:
        lane = (lane + 1) % LANES
    k = lane + (word >> 24) % (len(gains) // LANES) * LANES
    while gains[k] != top:
        k += LANES
        if k >= len(gains):
            k = lane
    return k


@numba.njit(cache=True, nogil=True)
def _leave(ring: Integers, chain: Integers, k: int) -> None:
    """Take bit k out of the list of the ring that it is on."""
    for slot in range(len(ring)):
        p = ring[slot]
        if p == k:
            ring[slot] = chain[k]
            return
        while p >= 0:
            if chain[p] == k:
                chain[p] = chain[k]
                return
            p = chain[p]
