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
LINES = 256  # random directions drawn for one call, at least; chains pick among them
LATTICE = 2000  # lattice lines of one part, at most
CHUNK = 2_000_000  # uniforms drawn at a time


class Chains:
    """Walks in one feasible part."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._equal = part.A[part.lower == part.upper]

    @cached_property
    def _cloud(self) -> tuple[Floats, Floats]:
        """Points (c, k) spread over the polytope, and a factor (f, k) of their covariance.

        Made with a fixed stream, so that samples do not depend on what was asked before.
        """
        part, shape = self._part, self._part.polytope
        assert shape.geometry is not None, "an empty part has no cloud"
        rng = default_rng(0)
        basis = shape.directions()
        factor = basis * shape.scale
        centre = np.clip(shape.lb + shape.scale * shape.geometry.centre, part.lb, part.ub)
        X = np.tile(centre, (64 + 2 * len(basis), 1))
        if not len(basis):
            return X[:1], factor
        for _ in range(3):
            X = self._walk(X, factor, np.empty((0, X.shape[1])), rng, part.lb[None, :], part.ub[None, :])
            along = ((X - X.mean(axis=0)) / np.where(shape.scale > 0, shape.scale, 1.0)) @ basis.T
            spread = along.T @ along / len(X)
            spread += 1e-6 * np.trace(spread) / len(spread) * np.eye(len(spread)) + 1e-30 * np.eye(
                len(spread)
            )
            factor = np.linalg.cholesky(spread).T @ basis * shape.scale
        return X, factor

    def reals(self, n: int, rng: Generator) -> Floats:
        """Draw n points (n, k) of a continuous part, near to uniform (log-uniform in columns on that scale)."""
        cloud, factor = self._cloud
        X = cloud[rng.integers(0, len(cloud), n)]
        part = self._part
        X = self._walk(X, factor, np.empty((0, X.shape[1])), rng, part.lb[None, :], part.ub[None, :])
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
            free = low[0] < high[0]
            reals = free & ~part.whole
            factor = null_space(self._equal * part.scale, reals) * part.scale
            Y = self._walk(X[rows], factor, self._lattice(free, reals), rng, low, high)
            good = part.holds(Y)
            out[rows[good]] = Y[good]
        return out

    def _walk(
        self, X: Floats, factor: Floats, lattice: Floats, rng: Generator, lb: Floats, ub: Floats
    ) -> Floats:
        from optengine.kernels.walk import DRAWS, walk

        part = self._part
        n, k = X.shape
        lines = np.empty((0, k))
        if len(factor):
            lines = rng.standard_normal((max(LINES, 4 * len(factor)), len(factor))) @ factor
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
                np.ascontiguousarray(lines),
                lattice,
                np.flatnonzero(outside),
                rng.random((rows.stop - rows.start, steps, DRAWS)),
            )
        return out

    def _lattice(self, free: Mask, reals: Mask) -> Floats:
        """Directions (q, k) of whole steps that stay in every equality row."""
        part, E, k = self._part, self._equal, len(self._part.lb)
        columns = np.flatnonzero(free & part.whole)
        bound = (E[:, columns] != 0).any(axis=0) if len(E) else np.zeros(len(columns), dtype=bool)
        lines = [np.eye(k)[j] for j in columns[~bound]]
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
                line = np.zeros(k)
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
                line = np.zeros(len(scale))
                line[j], line[reals] = 1.0, step * scale[reals]
                lines.append(line)
        return lines


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
