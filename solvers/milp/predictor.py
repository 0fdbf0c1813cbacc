"""What the search stage asks of a predictor, and which variables it chooses by its scores."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.problems.milp import MILP

LEVEL = 4  # decimals beyond which scores, or their logits, are level

Floats = NDArray[np.float64]
Columns = NDArray[np.int64]


@runtime_checkable
class Predictor(Protocol):
    """Scores a model's columns.

    A predictor may also carry `settings`, a dict with any of `k0`, `k1` (shares of the binaries) and `radius` (share of
    those chosen), tuned on validation instances; the solver's own options stand above them.
    """

    def scores(self, problem: MILP) -> Floats:
        """Return (n,) one number a column: the higher, the likelier is 1; columns that are not binary are ignored.

        Only the order counts. NaN leaves a column free.
        """
        ...


def checked_scores(predictor: Predictor, problem: MILP) -> Floats:
    """The scores (n,) of the binaries; NaN for every other column.

    Raises:
        ProblemError: the predictor returned another shape, or no number for any binary.
    """
    given = np.asarray(predictor.scores(problem), dtype=np.float64)
    if given.shape != (problem.n_variables,):
        raise ProblemError(
            f"scores of the predictor must have shape ({problem.n_variables},), got {given.shape}"
        )
    scores = np.full(problem.n_variables, np.nan)
    scores[problem.binaries] = given[problem.binaries]
    if np.isnan(scores).all():
        raise ProblemError(
            f"scores of the predictor must be numbers, got NaN for every binary of {problem!r}"
        )
    return scores


def ranked(scores: Floats) -> Columns:
    """The scored columns, those likeliest to be 0 first.

    Level scores stand in a random order, the same each time: where columns can be exchanged (the bins of item
    placement) a network cannot tell them apart, and choosing in their own order would choose whole blocks.

    Args:
        scores: (n,) NaN for columns that are left out.
    """
    scored = np.flatnonzero(~np.isnan(scores))
    given = scores[scored]
    if len(given) and given.min() > 0 and given.max() < 1:  # probabilities: told apart at both ends
        given = np.log(given) - np.log1p(-given)
    noise = np.random.default_rng(len(scored)).random(len(scored))
    return scored[np.lexsort((noise, np.round(given, LEVEL)))]


def choose(scores: Floats, k0: float, k1: float) -> tuple[Columns, Columns]:
    """The columns predicted to be 0 and to be 1, by rank.

    Args:
        scores: (n,) NaN for columns that must stay free.
        k0, k1: shares of the scored columns, together at most 1.

    Returns:
        The columns of the k0 lowest and of the k1 highest scores; see `ranked` for ties.
    """
    order = ranked(scores)
    n_ones = math.floor(k1 * len(order) + 0.5)
    n_zeros = min(math.floor(k0 * len(order) + 0.5), len(order) - n_ones)
    return np.sort(order[:n_zeros]), np.sort(order[len(order) - n_ones :])
