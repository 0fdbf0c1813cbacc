"""Feasible points of a part by random walks.

Reals alone: hit-and-run from a cloud of points spread over the polytope beforehand, with directions drawn from the
cloud's covariance; every sample is a chain of its own. With whole numbers or cardinalities: each sample starts where
its own draw was repaired to and walks along lattice lines (single columns, exchanges of two, columns with reals that
make up for them in equality rows) and through the reals; its support stays that of the start.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from optengine.backends.parts import Part
from optengine.backends.polytope import null_space

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEPS, STEPS_EACH, MOST_STEPS = 20, 5, 2000  # of a chain: STEPS + STEPS_EACH * columns, at most MOST_STEPS
LINES = 128  # random directions drawn from each factor for one call, at least; chains pick among them
ROUNDS = 6  # walks of the cloud, each with the covariance that the last one left
CLOUD = 256  # chains that spread over the polytope beforehand, at most
CORNERS = 64  # linear programs whose optima spread the cloud at first, at most
KEPT = 256  # supports whose lattice lines are kept
LATTICE = 2000  # lattice lines of one part, at most
CHUNK = 2_000_000  # uniforms drawn at a time


class Chains:
    """Walks in one feasible part."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._equal = part.A[part.lower == part.upper]
        self._lines: dict[bytes, tuple[Floats, Floats]] = {}

    @cached_property
    def _cloud(self) -> tuple[Floats, list[Floats]]:
        """Points (c, k) spread over the polytope, and factors (f, k) from which lines are drawn.

        One factor is that of the cloud's covariance, the other has the polytope's width along each direction of a
        basis: where the first guess of the covariance is poor, the second finds the rest. Made with a fixed stream, so
        that samples do not depend on what was asked before.
        """
        part, shape = self._part, self._part.polytope
        assert shape.geometry is not None, "an empty part has no cloud"
        rng = default_rng(0)
        basis = shape.directions()
        centre = shape.lb + shape.scale * shape.geometry.centre
        if not len(basis):
            return np.clip(centre, part.lb, part.ub)[None, :], []
        few = 2 * len(basis) <= CORNERS
        costs = np.vstack([basis, -basis]) if few else rng.standard_normal((CORNERS, len(centre)))
        corners = np.vstack([shape.corners(costs), centre])
        along = ((corners - shape.lb) / np.where(shape.scale > 0, shape.scale, 1.0)) @ basis.T
        wide = (along.max(axis=0) - along.min(axis=0))[:, None] * basis * shape.scale
        X = rng.dirichlet(np.ones(len(corners)), min(64 + 2 * len(basis), CLOUD)) @ corners
        X = 0.7 * X + 0.3 * corners.mean(axis=0)  # off the boundary, where most lines lead nowhere
        factors = [_spread(X), wide]
        for _ in range(ROUNDS):
            X = self._walk(X, factors, np.empty((0, X.shape[1])), rng, part.lb[None, :], part.ub[None, :])
            factors[0] = _spread(X)
        return X, factors

    def reals(self, n: int, rng: Generator) -> Floats:
        """Draw n points (n, k) of a continuous part, near to uniform (log-uniform in columns on that scale)."""
        cloud, factors = self._cloud
        X = cloud[rng.integers(0, len(cloud), n)]
        part = self._part
        X = self._walk(X, factors, np.empty((0, X.shape[1])), rng, part.lb[None, :], part.ub[None, :])
        return np.where(part.holds(X)[:, None], X, cloud[rng.integers(0, len(cloud), n)])

    def spread(self, X: Floats, rng: Generator) -> Floats:
        """Walk from each feasible row of X (n, k) with whole numbers; the support of each row is kept."""
        part = self._part
        lb, ub = part.supports(X)
        groups: dict[bytes, list[int]] = {}
        for i, key in enumerate(lb == ub):
            groups.setdefault(key.tobytes(), []).append(i)
        out = X.copy()
        for members in groups.values() if len(lb) > 1 else [range(len(X))]:
            rows = np.array(members, dtype=np.int64)
            low, high = (b[rows] if len(b) > 1 else b for b in (lb, ub))
            factor, lattice = self._lines_of(low[0] < high[0])
            Y = self._walk(X[rows], [factor], lattice, rng, low, high)
            good = part.holds(Y)
            out[rows[good]] = Y[good]
        return out

    def _walk(
        self, X: Floats, factors: list[Floats], lattice: Floats, rng: Generator, lb: Floats, ub: Floats
    ) -> Floats:
        from optengine.kernels.walk import DRAWS, walk

        part = self._part
        n, k = X.shape
        lines = [
            rng.standard_normal((int(np.clip(2 * len(f), LINES, 8 * LINES)), len(f))) @ f
            for f in factors
            if len(f)
        ]
        log = np.flatnonzero(part.log)
        outside = ~(self._equal != 0).any(axis=0) & ~part.whole & part.log & (part.ub > part.lb)
        steps = min(STEPS + STEPS_EACH * k, MOST_STEPS)
        lb, ub = np.broadcast_to(lb, X.shape), np.broadcast_to(ub, X.shape)
        out = np.empty_like(X)
        size = max(1, CHUNK // (steps * DRAWS))
        for i in range(0, n, size):
            rows = slice(i, min(n, i + size))
            out[rows] = walk(
                np.clip(X[rows], lb[rows], ub[rows]),
                part.A,
                part.lower,
                part.upper,
                np.ascontiguousarray(lb[rows]),
                np.ascontiguousarray(ub[rows]),
                log,
                np.vstack([*lines, np.empty((0, k))]),
                lattice,
                np.flatnonzero(outside),
                rng.random((rows.stop - rows.start, steps, DRAWS)),
            )
        return out

    def _lines_of(self, free: Mask) -> tuple[Floats, Floats]:
        """Directions of the reals and of whole steps among the `free` columns (k,)."""
        key = free.tobytes()
        if key not in self._lines:
            if len(self._lines) >= KEPT:
                self._lines.clear()
            reals = free & ~self._part.whole
            factor = null_space(self._equal * self._part.scale, reals) * self._part.scale
            self._lines[key] = factor, self._lattice(free, reals)
        return self._lines[key]

    def _lattice(self, free: Mask, reals: Mask) -> Floats:
        """Directions (q, k) of whole steps that stay in every equality row."""
        part, E, k = self._part, self._equal, len(self._part.lb)
        columns = np.flatnonzero(free & part.whole)
        bound = (E[:, columns] != 0).any(axis=0) if len(E) else np.zeros(len(columns), dtype=bool)
        lines = [_unit(k, j) for j in columns[~bound]]
        lines += self._compensated(columns[bound], reals)
        rng = default_rng(0)
        pairs = (
            [(int(a), int(b)) for i, a in enumerate(columns) for b in columns[i + 1 :]]
            if len(columns) < 200
            else []
        )
        if len(columns) >= 200:
            pairs = [(int(a), int(b)) for a, b in rng.choice(columns, (4 * LATTICE, 2)) if a != b]
        if len(pairs) > LATTICE:
            pairs = [pairs[i] for i in rng.choice(len(pairs), LATTICE, replace=False)]
        for a, b in pairs:
            ratio = _ratio(E[:, a], E[:, b])
            if ratio is None:
                continue
            for sign in (1, -1) if not E[:, a].any() else (1,):
                line = _unit(k, b)
                line[a], line[b] = ratio.numerator * sign, -ratio.denominator
                lines.append(line)
        return np.array(lines).reshape(-1, k)

    def _compensated(self, columns: NDArray[np.int64], reals: Mask) -> list[Floats]:
        """A whole step of each column with the smallest change of the reals that keeps the equality rows."""
        E, scale = self._equal, self._part.scale
        if not len(columns) or not reals.any():
            return []
        inverse = np.linalg.pinv(E[:, reals] * scale[reals], rcond=1e-10)
        lines = []
        for j in columns:
            step = -inverse @ E[:, j]
            if np.abs(E[:, reals] @ (step * scale[reals]) + E[:, j]).max() <= 1e-10 * np.abs(E[:, j]).max():
                line = _unit(len(scale), j)
                line[reals] = step * scale[reals]
                lines.append(line)
        return lines


def _spread(X: Floats) -> Floats:
    """A factor (c, k) of the covariance of X (c, k): normal numbers times it have that covariance."""
    return np.asarray((X - X.mean(axis=0)) / np.sqrt(len(X)))


def _unit(k: int, j: int) -> Floats:
    line = np.zeros(k)
    line[j] = 1.0
    return line


def _ratio(a: Floats, b: Floats) -> Fraction | None:
    """Return the small fraction r with r a = b for two columns of equality rows, 1 where both are 0, None if none."""
    if not a.any() and not b.any():
        return Fraction(1)
    first = int(np.argmax(np.abs(a)))
    if a[first] == 0 or b[first] == 0:
        return None
    ratio = Fraction(b[first] / a[first]).limit_denominator(12)
    close = np.abs(a * float(ratio) - b).max() <= 1e-12 * np.abs(b).max()
    return ratio if close and abs(ratio.numerator) <= 12 else None
