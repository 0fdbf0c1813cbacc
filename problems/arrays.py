"""Array-like input at the border of the problem classes."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import OptionError, ProblemError, did_you_mean

Numbers: TypeAlias = NDArray[Any]  # int64 or float64

EXACT = 2.0**53  # below it float64 holds every integer


def square_matrix(matrix: ArrayLike, name: str) -> Numbers:
    """Return a read-only (n, n) copy: int64 where all entries are integers, else float64.

    Raises:
        ProblemError: not a square matrix of finite numbers; the message names `name`.
    """
    try:
        given = np.asarray(matrix)
        floats = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"{name} must be a matrix of numbers, got {type(matrix).__name__}") from None
    if floats.ndim != 2 or floats.shape[0] != floats.shape[1] or not floats.size:
        raise ProblemError(f"{name} must be a square matrix, got shape {floats.shape}")
    if not np.isfinite(floats).all():
        row, column = np.argwhere(~np.isfinite(floats))[0]
        raise ProblemError(f"{name} must be finite, got {floats[row, column]} at [{row}, {column}]")
    whole = given.dtype.kind in "iub" or bool((floats == np.floor(floats)).all())
    exact = whole and bool((np.abs(floats) < EXACT).all())
    result = np.array(given, dtype=np.int64 if exact else np.float64, order="C")
    result.setflags(write=False)
    return result


def positions(
    x: ArrayLike, kind: str, moves: ArrayLike, kinds: tuple[str, ...]
) -> tuple[NDArray[np.int64], ...]:
    """Check the arguments of a `delta` on one permutation.

    Returns:
        x (n,) and moves (k, 2), as integers.

    Raises:
        OptionError: a kind that is not among `kinds`.
        ProblemError: moves that are not pairs of positions 0..n-1.
    """
    if kind not in kinds:
        raise OptionError(f"kind must be one of {', '.join(kinds)}, got {kind!r}{did_you_mean(kind, kinds)}")
    items = np.asarray(x, dtype=np.int64)
    pairs = np.asarray(moves, dtype=np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ProblemError(f"moves must have shape (k, 2), got {pairs.shape}")
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= len(items)):
        wrong = pairs.min() if pairs.min() < 0 else pairs.max()
        raise ProblemError(f"moves must be positions in 0..{len(items) - 1}, got {wrong}")
    return items, pairs


def flip_moves(
    x: ArrayLike, kind: str, moves: ArrayLike, n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Check the arguments of a `delta` of flips of n bits.

    Returns:
        x (n,), and the bit (k,) of each move.

    Raises:
        OptionError: a kind that is not "flip".
        ProblemError: x of another length, or moves that name no bit.
    """
    if kind != "flip":
        raise OptionError(f"kind must be one of ['flip'], got {kind!r}{did_you_mean(kind, ['flip'])}")
    bits, pairs = np.asarray(x, dtype=np.float64), np.asarray(moves, dtype=np.int64)
    if bits.shape != (n,):
        raise ProblemError(f"x must hold {n} bits, got shape {bits.shape}")
    if pairs.ndim != 2 or (pairs.size and not (0 <= pairs.min() and pairs.max() < n)):
        raise ProblemError(f"moves must be pairs of bits in 0..{n - 1}, got shape {pairs.shape}")
    return bits, pairs[:, 0]
