"""The objective as a local method sees it: values, gradients by finite differences, failures, observed constraints.

Everything lives in the unit cube of the free columns. All points of a gradient are requested together.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optengine.solvers.local.conversation import Evaluate, Floats

CACHED = 8  # points whose values and gradients are remembered: methods ask for both in turn


class Ended(Exception):
    """Raised inside a method to end this start: it stalls, or its first point has no value."""


class Objective:
    """Counts, caches and scales what a method wants to know.

    Args:
        evaluate: gives the values of points (k, d).
        step: of finite differences, in edges of the cube.
        central: two points a coordinate instead of one.

    Attributes:
        best: best value found in this start. scale: factor applied to values and gradients handed out.
    """

    def __init__(self, evaluate: Evaluate, step: float, central: bool) -> None:
        self._evaluate, self._step, self._central = evaluate, step, central
        self._values: dict[bytes, Floats] = {}
        self._slopes: dict[bytes, Floats] = {}
        self.best, self.worst = math.inf, -math.inf
        self.scale = 1.0

    # -- values ------------------------------------------------------------------------------------------------

    def value(self, u: Floats) -> float:
        """Return the scaled objective at u (d,)."""
        return float(self.row(u)[0]) * self.scale

    def constraints(self, u: Floats) -> Floats:
        """Return the observed constraints (m,) at u, feasible where <= 0."""
        return self.row(u)[1:]

    def row(self, u: Floats) -> Floats:
        """Return objective and constraints (1 + m,) at u."""
        u = np.clip(u, 0.0, 1.0)
        key = u.tobytes()
        if key not in self._values:
            self._keep(self._values, key, self._known(self._evaluate(u[np.newaxis])[0]))
        return self._values[key]

    def _known(self, row: Floats) -> Floats:
        """Take note of a row; where the evaluation failed, stand in for it what is worse than all seen so far."""
        if np.isfinite(row[0]) and not np.isnan(row).any():
            self.best, self.worst = min(self.best, float(row[0])), max(self.worst, float(row[0]))
            return row
        if not math.isfinite(self.best):
            raise Ended("the first point failed")
        barrier = np.where(np.isfinite(row), row, 1.0)
        barrier[0] = self.worst + max(self.worst - self.best, 1.0)
        return barrier

    # -- gradients ---------------------------------------------------------------------------------------------

    def gradient(self, u: Floats) -> Floats:
        """Return the scaled gradient (d,) at u."""
        return np.asarray(self.slopes(u)[0] * self.scale)

    def jacobian(self, u: Floats) -> Floats:
        """Return the constraints' derivatives (m, d) at u."""
        return self.slopes(u)[1:]

    def both(self, u: Floats) -> tuple[float, Floats]:
        """Return scaled value and gradient, requested together."""
        self.slopes(u)
        return self.value(u), self.gradient(u)

    def slopes(self, u: Floats) -> Floats:
        """Return the derivatives (1 + m, d) of objective and constraints at u.

        A step goes inwards where it would leave the cube. A coordinate whose point failed has slope 0: nothing is
        known of it.
        """
        u = np.clip(u, 0.0, 1.0)
        key = u.tobytes()
        if key in self._slopes:
            return self._slopes[key]
        d = len(u)
        ahead = np.where(u + self._step <= 1.0, self._step, -self._step)
        behind = np.where((u - ahead >= 0.0) & (u - ahead <= 1.0), -ahead, 2.0 * ahead)
        fresh = key not in self._values
        parts = [u[np.newaxis]] if fresh else []
        parts += [u + np.diag(ahead)] + ([u + np.diag(behind)] if self._central else [])
        rows = self._evaluate(np.concatenate(parts))
        if fresh:
            self._keep(self._values, key, self._known(rows[0]))
            rows = rows[1:]
        for row in rows:
            if np.isfinite(row[0]):
                self.best = min(self.best, float(row[0]))
        change = rows - self._values[key]
        slopes = change[:d] / ahead[:, np.newaxis]
        if self._central:
            far = change[d:] / behind[:, np.newaxis]
            even = behind == -ahead  # a mean of both sides; else the one-sided formula of second order
            slopes = np.where(even[:, np.newaxis], 0.5 * (slopes + far), 2.0 * slopes - far)
        slopes = np.where(np.isfinite(slopes), slopes, 0.0).T
        self._keep(self._slopes, key, slopes)
        return slopes

    def _keep(self, store: dict[bytes, Floats], key: bytes, value: Floats) -> None:
        store[key] = value
        while len(store) > CACHED:
            del store[next(iter(store))]


class Stall:
    """Ends a start whose iterations have stopped paying.

    Over the last `window` iterations the best value must have fallen by more than `share` of what it fell over the ten
    before them.
    """

    def __init__(self, objective: Objective, window: int, share: float) -> None:
        self._objective, self._window, self._share = objective, window, share
        self._best: list[float] = []

    def __call__(self, *_: Any) -> None:
        """Called once an iteration."""
        best, w = self._best, self._window
        best.append(self._objective.best)
        k = len(best) - 1
        if k > w and best[k - w] - best[k] <= self._share * (best[max(0, k - 10)] - best[k - w]):
            raise Ended("progress has stalled")
