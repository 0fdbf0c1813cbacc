"""How far to believe proposals: spread, distance to the data, conformal intervals, the search's curve, warnings.

Intervals: split conformal prediction (Papadopoulos et al., ECML 2002; Lei et al., JASA 2018) with scores
|t - mean| / (deviation + floor) on rows held out at random from the better half of the table. For a new point drawn as
those rows were, the interval covers the value with the stated probability; for points far from the table nothing is
promised, which is what the warning is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.solvers.offline.choosing import nearest_distance
from optengine.surrogates.posterior import Posterior, Setting, diagonal, spread_rows

Floats = NDArray[np.float64]

LEVEL = 0.9  # stated coverage
HELD_OUT = 200  # rows, at most, that calibrate
FITTED = 1000  # rows that the calibrated model is fitted to
FLOOR = 0.05  # added to deviations, standard deviations of y
SAMPLE = 500  # rows whose nearest distances tell what is usual
FAR = 0.95  # quantile of the usual distances beyond which a proposal has left the data
LEAST_SPEARMAN = 0.2  # of the extrapolation check, below which predictions are not to be believed
DEVIATIONS = 3.0  # of a rank correlation of noise: the best of some thirty settings reaches two and more


@dataclass(frozen=True)
class Calibration:
    """A model whose errors were seen on held-out rows.

    Attributes:
        model: fitted without them. factor: half width of an interval in units of deviation + FLOOR.
    """

    model: Posterior
    factor: float

    def half_width(self, Z: Floats) -> Floats:
        """Return the half widths (m,) of intervals at Z (m, f), in units of the targets."""
        return self.factor * (self.model.deviation(Z) + FLOOR)

    def interval(self, Z: Floats) -> Floats:
        """Return the ends (m, 2) of intervals at Z (m, f): about the predictions whose errors were seen."""
        middle, half = self.model.mean(Z), self.half_width(Z)
        return np.stack([middle - half, middle + half], axis=1)


def calibrate(Z: Floats, t: Floats, setting: Setting, rng: Generator, level: float = LEVEL) -> Calibration:
    """Hold out rows of the better half, fit the others, and take the quantile of the scaled errors."""
    better = np.argsort(-t, kind="stable")[: len(t) // 2]
    held = rng.choice(better, min(HELD_OUT, max(1, len(t) // 5)), replace=False)
    rest = np.setdiff1d(np.arange(len(t)), held)
    rows = rest[spread_rows(t[rest], FITTED, rng)]
    model = Posterior(Z[rows], t[rows], setting, diagonal(Z))
    scores = np.sort(np.abs(t[held] - model.mean(Z[held])) / (model.deviation(Z[held]) + FLOOR))
    rank = math.ceil((len(scores) + 1) * level)
    return Calibration(model, float(scores[min(rank, len(scores)) - 1]))


@dataclass(frozen=True)
class Nearness:
    """Distances of a table's rows to each other, against which proposals are held.

    Attributes:
        Z: (n, f) features. usual: distance to the nearest other row, median over rows; far: its quantile FAR.
    """

    Z: Floats
    usual: float
    far: float

    @staticmethod
    def of(Z: Floats, rng: Generator) -> Nearness:
        rows = rng.choice(len(Z), min(SAMPLE, len(Z)), replace=False)
        R = (Z[rows] ** 2).sum(axis=1)[:, None] + (Z**2).sum(axis=1) - 2.0 * Z[rows] @ Z.T
        R[np.arange(len(rows)), rows] = np.inf
        d = np.sqrt(np.maximum(R.min(axis=1), 0.0))
        usual = float(np.median(d)) or float(d.max()) or 1.0
        return Nearness(Z, usual, float(np.quantile(d, FAR)) / usual)

    def distance(self, Z: Floats) -> Floats:
        """Return the distance (m,) of each row to the nearest row of the table, in units of the usual one."""
        return nearest_distance(Z, self.Z) / self.usual


def warnings_of(distance: Floats, near: Nearness, spearman: float | None, beyond: float) -> list[str]:
    """Return what a user must know before measuring the proposals.

    Args:
        distance: (n,) of the proposals. spearman: of the extrapolation check, or None.
        beyond: by how many standard deviations of y the best prediction exceeds the best row.
    """
    found = []
    least = max(LEAST_SPEARMAN, DEVIATIONS / math.sqrt(max(len(near.Z) // 4, 1)))
    share = float((distance > near.far).mean())
    if share > 0.5:
        found.append(
            f"the search left the data: {share:.0%} of the proposals are farther from the table than 95% of its rows "
            f"are from each other, and their intervals promise nothing"
        )
    if spearman is not None and spearman < least:
        found.append(
            f"the model does not extrapolate on this table (rank correlation {spearman:.2f} on the best quarter, "
            "fitted to the others): treat the proposals as guesses"
        )
    if beyond <= 0:
        found.append("no proposal is predicted to beat the best row of the table")
    return found
