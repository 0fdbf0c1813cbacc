"""What was told, as a model wants it: usable rows, standardised targets to be maximised, scaled constraints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from numpy.typing import NDArray

from optengine.solvers.bayes.told import Told

Floats = NDArray[np.float64]

FAR = 4.0  # spans between median and 5 % quantile beyond which bad values are cut off


@dataclass
class Targets:
    """Targets of the rows that succeeded.

    Attributes:
        rows: (n,) indices into what was told. Y: (n, k) objectives, standardised, to be maximised.
        G: (n, m) constraints scaled to unit size, feasible where <= 0; zero stays zero.
        V: (n, k + m) variances of the noise in these units, or None where it is to be fitted.
        center, scale: (k,) of F: F = center - scale * Y.
        feasible: (n,) whether a row keeps the constraints.
    """

    rows: NDArray[np.int64]
    Y: Floats
    G: Floats
    V: Floats | None
    center: Floats
    scale: Floats
    feasible: NDArray[np.bool_]

    @property
    def outputs(self) -> Floats:
        """(n, k + m) all that is modelled."""
        return np.concatenate([self.Y, self.G], axis=1)


def targets(told: Told, noise: float | None, cut: bool, tasks: NDArray[np.int64] | None = None) -> Targets:
    """Return the targets of all rows told that did not fail.

    Args:
        noise: standard deviation of the first objective, in its unit, where the user knows it.
        cut: whether values much worse than the rest are cut off: they say little about the best.
        tasks: (rows told,) task of each row; every task is standardised on its own.
    """
    rows = np.flatnonzero(~told.failed)
    F, G = told.F[rows], told.G[rows]
    Y, center, scale = _standard(F, cut)
    if tasks is not None and len(rows):
        of = tasks[rows]
        if (of == 0).any():
            Y, center, scale = _standard(F[of == 0], cut)
            whole = np.empty_like(F)
            whole[of == 0] = Y
            for task in np.unique(of[of > 0]):
                whole[of == task] = _standard(F[of == task], cut)[0]
            Y = whole
    size = np.array([_size(column) for column in G.T]) if G.shape[1] else np.empty(0)
    bent = np.sign(G) * np.log1p(np.abs(G) / size) if G.shape[1] else G
    V = _variances(told.noise[rows], noise, scale, G.shape[1])
    feasible = np.asarray((G <= 0.0).all(axis=1))
    return Targets(rows, Y, bent, V, center, scale, feasible)


def reference(
    point: Sequence[float] | None, signs: Floats, t: Targets, usable: NDArray[np.bool_]
) -> torch.Tensor:
    """Return the reference point (k,), to be maximised beyond: the user's, or one a little behind the front so far.

    Args:
        point: the user's, in the objectives' units. signs: (k,) -1 where they are maximised.
        t, usable: what was told, and which rows count.
    """
    if point is not None:
        return torch.from_numpy(-(np.array(point) * signs - t.center) / t.scale)
    Y = torch.from_numpy(t.Y[usable] if usable.any() else t.Y)
    front = Y[is_non_dominated(Y)]
    if len(front) < 3:  # the nadir of so few points would shut out most of the front to come
        return torch.quantile(Y, 0.1, dim=0) - 0.1
    inferred: torch.Tensor = infer_reference_point(front)
    return inferred


def _standard(F: Floats, cut: bool) -> tuple[Floats, Floats, Floats]:
    """Return minus the standardised columns, their centers and scales."""
    if not len(F):
        return -F, np.zeros(F.shape[1]), np.ones(F.shape[1])
    if cut and len(F) >= 5:
        median, low = np.median(F, axis=0), np.quantile(F, 0.05, axis=0)
        F = np.minimum(F, median + FAR * np.maximum(median - low, 1e-12 + np.abs(median) * 1e-12))
    center, scale = F.mean(axis=0), F.std(axis=0)
    scale = np.where(scale > 1e-12 * np.maximum(1.0, np.abs(center)), scale, 1.0)
    return -(F - center) / scale, center, scale


def _size(g: Floats) -> float:
    """The usual size of a constraint's values."""
    usual = float(np.median(np.abs(g))) if len(g) else 1.0
    return usual if usual > 0 else float(np.abs(g).max(initial=0.0)) or 1.0


def _variances(noise: Floats, known: float | None, scale: Floats, n_constraints: int) -> Floats | None:
    if known is not None:
        V = np.full(noise.shape, known**2) / scale**2
    elif len(noise) and np.isfinite(noise).all():
        V = noise**2 / scale**2
    else:
        return None
    small = np.full((len(noise), n_constraints), 1e-4)  # constraints report no noise of their own
    return np.concatenate([V, small], axis=1)
