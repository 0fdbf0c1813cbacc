"""What a class of instances looks like, coarsely: enough to refuse a predictor that was trained on another class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from optengine.problems.milp import MILP
from optengine.solvers.milp.learning.features import EQUAL, GREATER, LESS, sided_rows

# How far a share may lie outside the range met in training. Within a class shares drift with the size (those of the
# senses by 0.2 in item placement), classes differ by more, or by a kind that is there in one and absent in the other.
TOLERANCE = 0.35
SOME = 0.01  # a share above this is there; one of exactly 0 is absent

Shares = dict[str, float]
Signature = dict[str, list[float]]


def shares(problem: MILP) -> Shares:
    """Shares, each in [0, 1], that do not depend on the size of an instance."""
    model = problem.model
    A, _, sense = sided_rows(model)
    m, n = max(1, A.shape[0]), max(1, model.n_variables)
    entries = max(1, A.nnz)
    binary = len(problem.binaries) / n
    return {
        "binary variables": binary,
        "other whole variables": (float(model.integrality.sum()) - len(problem.binaries)) / n,
        "real variables": 1.0 - float(model.integrality.sum()) / n,
        "<= rows": float((sense == LESS).sum()) / m,
        ">= rows": float((sense == GREATER).sum()) / m,
        "== rows": float((sense == EQUAL).sum()) / m,
        "coefficients equal to 1": float((A.data == 1.0).sum()) / entries,
        "negative coefficients": float((A.data < 0.0).sum()) / entries,
        "variables with a cost": float((model.c != 0.0).sum()) / n,
        "costs that fall": float((model.c < 0.0).sum()) / n,
    }


def signature(problems: Sequence[MILP]) -> Signature:
    """The range [low, high] of every share over the instances of a class."""
    table = [shares(problem) for problem in problems]
    return {
        name: [float(np.min([row[name] for row in table])), float(np.max([row[name] for row in table]))]
        for name in table[0]
    }


def difference(known: Mapping[str, Sequence[float]], problem: MILP) -> str | None:
    """What sets the problem apart from the class, or None."""
    for name, value in shares(problem).items():
        if name not in known:
            continue
        low, high = known[name]
        far = not low - TOLERANCE <= value <= high + TOLERANCE
        if far or (high == 0.0 and value > SOME) or (low > SOME and value == 0.0):
            was = f"{low:.0%}" if round(low, 2) == round(high, 2) else f"{low:.0%} to {high:.0%}"
            return f"the share of {name} is {value:.0%} and was {was} in training"
    return None
