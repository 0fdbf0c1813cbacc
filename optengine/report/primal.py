"""Primal gap and primal integral (Berthold, 2013, doi:10.1016/j.orl.2013.08.007): how good, and how soon."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.result import Result

Floats = NDArray[np.float64]


def primal_gap(values: ArrayLike, best: float) -> Floats:
    """|v - best| / max(|v|, |best|) in [0, 1], 1 where v is NaN or of the other sign; of one value or many."""
    v = np.asarray(values, dtype=np.float64)
    size = np.maximum(np.abs(v), abs(best))
    gap = np.abs(v - best) / np.where(size > 0, size, 1.0)
    return np.where(np.isnan(v) | (v * best < 0), 1.0, np.minimum(gap, 1.0))


def incumbents(result: Result) -> tuple[Floats, Floats]:
    """Seconds (k,) and values (k,) of the incumbents of a run, in the user's direction."""
    history = result.history
    best, seconds = np.asarray(history.best), np.asarray(history.seconds)
    known = ~np.isnan(best)
    best, seconds = best[known], seconds[known]
    new = np.ones(len(best), dtype=bool)
    new[1:] = best[1:] != best[:-1]
    return seconds[new], best[new]


def primal_integral(seconds: ArrayLike, values: ArrayLike, best: float, limit: float) -> float:
    """Integral of the primal gap over [0, limit], in seconds; the gap is 1 before the first incumbent.

    Args:
        seconds, values: (k,) incumbents, in order of time. best: what the gap is measured to. limit: seconds.
    """
    t = np.asarray(seconds, dtype=np.float64)
    inside = t < limit
    edges = np.concatenate([[0.0], t[inside], [limit]])
    gaps = np.concatenate([[1.0], primal_gap(np.asarray(values, dtype=np.float64)[inside], best)])
    return float((np.diff(edges) * gaps).sum())
