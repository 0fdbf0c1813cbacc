"""Random numbers by counter, for compiled searches: draw number (seed, move, word) does not depend on threads."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, inline="always")
def draw(seed: int, move: int, word: int) -> int:
    """63 random bits, never negative: SplitMix64's finaliser, twice.

    Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195. Signed, so that indices made of it stay integers: Numba
    makes float64 of uint64 with int64.
    """
    x = np.uint64(move) * np.uint64(4) + np.uint64(word)
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) ^ (np.uint64(seed) * np.uint64(0xD1B54A32D192ED03))
    for _ in range(2):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return int(np.int64(x >> np.uint64(1)))


@numba.njit(cache=True, nogil=True, inline="always")
def exponential(seed: int, move: int, word: int) -> float:
    """A standard exponential variate."""
    return -np.log(1.0 - (draw(seed, move, word) >> 10) * (1.0 / 9007199254740992.0))
