"""Expected hypervolume improvement of independent normal objectives, exactly, on the logarithmic scale.

What is not dominated by the front, below the reference point, is cut into boxes (Lacour, Klamroth and Fonseca,
Computers & Operations Research 79, 2017; here by slices along one objective after the other). A new point y gains
from a box with corners l and u the volume of what it dominates there, and objectives are independent under the
models, so that

    E = sum over boxes of prod_j (EI_j(u_j) - EI_j(l_j)),    EI_j(t) = E max(t - y_j, 0)

(Yang, Emmerich, Deutz and Bäck, J. Global Optimization 75, 2019, doi:10.1007/s10898-019-00798-7). Logarithms as in
`acquisition`, after Ament et al., NeurIPS 2023, arXiv:2310.20708.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from optengine.solvers.bayes.acquisition import HALF_LOG_2PI, log_h

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Box = tuple[tuple[float, float], ...]  # lower and upper end of each objective


def non_dominated(F: Floats) -> NDArray[np.bool_]:
    """Return (n,) which rows of F (n, m), minimised, no other row dominates; of equal rows the first."""
    kept = np.zeros(len(F), dtype=bool)
    front = np.empty((0, F.shape[1]))
    for i in np.lexsort(F.T[::-1]):  # a row is dominated only by rows that come before it
        if not (front <= F[i]).all(axis=1).any():
            kept[i] = True
            front = np.concatenate([front, F[i : i + 1]])
    return kept


def slices(front: Floats, reference: Floats) -> list[Box]:
    """Return disjoint boxes that cover what is below `reference` (m,) and not dominated by `front` (n, m).

    The last objective is cut at the values of the front; boxes of the others that go on in the next slice are one.
    """
    front = front[(front < reference).all(axis=1)]
    if front.shape[1] == 1:
        return [((-math.inf, float(min(front.min(initial=math.inf), reference[0]))),)]
    cuts = [-math.inf, *np.unique(front[:, -1]).tolist(), float(reference[-1])]
    begun: dict[Box, float] = {}
    done: list[Box] = []
    for low in cuts[:-1]:
        below = front[front[:, -1] <= low][:, :-1]
        here = set(slices(below[non_dominated(below)], reference[:-1]))
        ended = [box for box in begun if box not in here]
        done += [(*box, (begun.pop(box), low)) for box in ended]
        for box in sorted(here):
            begun.setdefault(box, low)
    return done + [(*box, (start, cuts[-1])) for box, start in begun.items()]


@dataclass(frozen=True)
class Boxes:
    """The boxes of a front, their corners as places in one list of values an objective.

    Attributes:
        values: per objective, increasing, minus infinity first. lower, upper: (k, m) places of the corners.
    """

    values: list[Floats]
    lower: Ints
    upper: Ints

    @staticmethod
    def of(front: Floats, reference: Floats) -> Boxes:
        """Return the boxes of what `front` (n, m) leaves below `reference` (m,), minimised."""
        corners = np.array(slices(front, reference))  # (k, m, 2)
        values = [np.unique(corners[:, j]) for j in range(corners.shape[1])]
        places = [np.searchsorted(v, corners[:, j]) for j, v in enumerate(values)]
        both = np.stack(places, axis=1)
        return Boxes(values, both[..., 0], both[..., 1])


def log_ehvi(mean: Floats, variance: Floats, boxes: Boxes) -> tuple[Floats, Floats, Floats]:
    """Return the log of expected hypervolume improvement (p,), and its derivatives.

    Args:
        mean, variance: (p, m) of the objectives, minimised. boxes: (k) of what can be gained.

    Returns:
        (p,) values, (p, m) derivatives by the means, (p, m) derivatives by the variances.
    """
    p, m = mean.shape
    sigma = np.sqrt(variance)
    total = np.zeros((p, len(boxes.lower)))
    kept = []
    for j in range(m):
        t = boxes.values[j][1:]  # the first is minus infinity: nothing is gained below it
        z = np.concatenate([np.full((p, 1), -np.inf), (t - mean[:, [j]]) / sigma[:, [j]]], axis=1)
        log = np.full_like(z, -np.inf)
        log[:, 1:] = np.log(sigma[:, [j]]) + log_h(z[:, 1:])
        upper = log[:, boxes.upper[:, j]]
        length = upper + _log1mexp(upper - log[:, boxes.lower[:, j]])
        total += length
        kept.append((z, length))
    top = total.max(axis=1)
    with np.errstate(under="ignore"):
        weight = np.exp(total - top[:, None])
    share = weight.sum(axis=1)
    value = top + np.log(share)
    weight /= share[:, None]
    by_mean, by_sigma = np.empty((p, m)), np.empty((p, m))
    for j, (z, length) in enumerate(kept):
        low, high = boxes.lower[:, j], boxes.upper[:, j]
        with np.errstate(under="ignore"):
            chance, density = log_ndtr(z), -0.5 * z * z - HALF_LOG_2PI
            slope = np.exp(chance[:, high] - length) - np.exp(chance[:, low] - length)
            bend = np.exp(density[:, high] - length) - np.exp(density[:, low] - length)
        by_mean[:, j] = -(weight * slope).sum(axis=1)
        by_sigma[:, j] = (weight * bend).sum(axis=1)
    return value, by_mean, by_sigma / (2.0 * sigma)


def _log1mexp(x: Floats) -> Floats:
    """Return log(1 - exp(-x)) for x >= 0, with the smallest positive number in place of 0."""
    x = np.maximum(x, 1e-300)
    with np.errstate(under="ignore"):
        return np.where(x > math.log(2.0), np.log1p(-np.exp(-x)), np.log(-np.expm1(-x)))
