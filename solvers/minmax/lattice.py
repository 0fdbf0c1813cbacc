"""Weighted lattice enumeration, for few variables with equally spaced levels.

Two ways share the kernels of `kernels.minmax_lattice`. Rounds: a random order of the variables gives a new reduced
basis, in which the nearest points of an ellipsoid shrunk to a value a little below the incumbent's are visited; many
short rounds in many bases find more than one long one (extreme pruning: Gama, Nguyen, Regev 2010,
doi:10.1007/978-3-642-13190-5_13). The sweep: one basis, and a share of the ellipsoid that grows to the whole of it; a
whole sweep proves, in floating point, that nothing is better than the incumbent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.kernels import minmax_lattice as kernel
from optengine.solvers.minmax.form import Form

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_VARIABLES = 320  # LLL costs O(n^4)
FEWEST_LEVELS = 4  # with fewer, nearly every lattice point lies outside the box
SMALL = 80  # variables up to which the compiled shrinking beats BLAS
TARGET = 0.97  # a round looks for values below this share of the incumbent's
JITTER = 0.3  # sigma of the log weights, every other round: another ellipsoid, other nearest points
FLOPS = 4e9  # of shrinking an ellipsoid, at most
FIRST_SLACK, GROWTH = 0.2, 1.25  # share of the ellipsoid that a sweep opens, and how it grows
REBUILD = 0.99  # a sweep takes a new basis when the incumbent falls below this share of the old one
HOPELESS = 40.0  # log of the nodes beyond which no sweep is begun
SOFT = 1e3  # slope of the rows that stand for the box, in units of the first value


def suits(form: Form) -> bool:
    """Whether lattice enumeration is worth while."""
    _, n = form.shape
    if form.sparse or not 1 <= n <= MOST_VARIABLES or np.isnan(form.spacing()[1]).any():
        return False
    return float(np.median(form.count)) >= FEWEST_LEVELS


class Basis:
    """One ellipsoid, its reduced basis, and the state of an enumeration in it."""

    def __init__(self, lattice: Lattice, E: float, order: Integers, jitter: Floats | None) -> None:
        A, c, h = lattice.A, lattice.c, lattice.h
        w = lattice.weights if jitter is None else lattice.weights * jitter
        W = w / w.sum() / (E + h) ** 2
        root = np.sqrt(W)
        S = root[:, None] * A
        self.U = np.empty((len(order), len(order)), dtype=np.int64)
        self.U[order] = kernel.reduced(np.linalg.qr(S[:, order]).R)
        Q, R = np.linalg.qr(S @ self.U)
        sign = np.where(np.diag(R) < 0, -1.0, 1.0)
        t = root * c
        self.R, self.y = np.ascontiguousarray(R * sign[:, None]), (Q.T @ t) * sign
        self.rho2 = max(0.0, float(t @ t - self.y @ self.y))
        self.widths = np.array([float(W @ h**2), float(W @ h), float(W.sum())])
        self.rows: Floats = np.ascontiguousarray(A @ self.U)
        self.order = np.argsort(-w, kind="stable")
        self.E = E
        self.restart()

    def restart(self) -> None:
        n = len(self.y)
        self.state, self.dist, self.centre = np.zeros(3 * n + 1, dtype=np.int64), np.zeros(n + 1), np.zeros(n)

    def log_nodes(self, E: float, slack: float) -> float:
        """Gaussian heuristic: log of the number of nodes of a sweep."""
        room = self.widths[0] + 2 * E * self.widths[1] + E * E * self.widths[2] - self.rho2
        if room <= 0:
            return 0.0
        n = len(self.y)
        k = np.arange(1, n + 1)
        lengths = np.cumsum(np.log(np.maximum(np.diag(self.R)[::-1], 1e-300)))
        gamma = np.array([math.lgamma(j / 2 + 1) for j in k])
        return float((k / 2 * math.log(math.pi * room * slack) - gamma - lengths).max())


class Lattice:
    """Enumeration for one right-hand side; `effort` in (0, 1] scales what is spent on the first ellipsoid.

    Attributes:
        best, value: incumbent, level indices (n,) and its value. proved: whether nothing is better.
        spent: nodes visited since last asked.
    """

    def __init__(self, form: Form, best: Integers, rng: Generator, effort: float = 1.0) -> None:
        origin, step = form.spacing()
        n = form.shape[1]
        self._form, self._rng = form, rng
        self.best, self.value = best.copy(), form.value(best)
        self.proved, self.spent = self.value <= 0, 0
        A, c, h = form.A * step, form.centre - form.A @ origin, form.half
        unbounded = form.shape[0] < 2 * n or np.linalg.matrix_rank(A) < n
        if unbounded or form.count.min() <= 32:  # the box matters: rows that only points outside violate
            slope = SOFT * max(self.value, 1e-300)
            half = (form.count - 1) / 2
            A = np.concatenate([A, slope * np.eye(n)])
            c, h = np.concatenate([c, slope * half]), np.concatenate([h, slope * half])
        self.A, self.c, self.h = np.ascontiguousarray(A), c, h
        m = len(c)
        self._steps = int(np.clip(effort * FLOPS / (4.0 * m * n * n), 3, 40))
        self.weights = np.full(m, 1.0 / m)
        self._shrink(self.value, self._steps)
        self._low, self._high = np.zeros(n, dtype=np.int64), form.count - 1
        self._slack, self._rounds = 0.1, 0
        self._sweep: Basis | None = None
        self._share = FIRST_SLACK

    def take(self, best: Integers, value: float) -> None:
        """Learn of a better incumbent."""
        if value < self.value:
            self.best, self.value = best.copy(), value

    def _shrink(self, E: float, steps: int) -> None:
        width = E + self.h
        shrink = kernel.shrink if self.A.shape[1] <= SMALL else kernel.shrink_reference
        self.weights = shrink(self.A / width[:, None], self.c / width, self.weights, steps)

    def _enumerate(self, basis: Basis, slack: float, n_nodes: int) -> bool:
        """Go on with an enumeration; returns whether it is complete."""
        value = np.array([self.value, 0.0])
        best: Any = self.best.copy()
        done = kernel.enumerate_points(
            basis.R, basis.y, basis.rho2, basis.widths, np.full(len(basis.y), slack), basis.rows, self.c, self.h,
            basis.U, self._low, self._high, basis.order, basis.state, basis.dist, basis.centre, best, value, n_nodes,
        )  # fmt: skip
        self.spent += int(value[1])
        if value[0] < self.value:
            exact = self._form.value(best)  # the kernel's sums are those of the reduced basis
            if exact < self.value:
                self.best, self.value = best, exact
                self.proved = exact <= 0
        return bool(done == kernel.DONE)

    def round(self, n_nodes: int) -> None:
        """One round: a random basis, up to `n_nodes` nodes."""
        if self.proved:
            return
        E = TARGET * self.value
        self._shrink(E, max(1, self._steps // 4))
        m, n = self.A.shape
        jitter = np.exp(JITTER * self._rng.standard_normal(m)) if self._rounds % 2 else None
        basis = Basis(self, E, self._rng.permutation(n), jitter)
        complete = self._enumerate(basis, self._slack, n_nodes)
        self._slack = min(1.0, self._slack * 1.03) if complete else self._slack / 1.03
        self._rounds += 1

    def _basis(self) -> Basis:
        """The sweep's basis, a new one where the incumbent has become much better."""
        if self._sweep is None or self.value < REBUILD * self._sweep.E:
            self._shrink(self.value, self._steps)
            self._sweep = Basis(self, self.value, np.arange(self.A.shape[1]), None)
        return self._sweep

    def log_nodes(self) -> float:
        """Log of the nodes that a whole sweep visits, by the Gaussian heuristic."""
        return self._basis().log_nodes(self.value, 1.0)

    def sweep(self, n_nodes: int) -> bool:
        """Go on with the sweep for up to `n_nodes` nodes; returns False if it would never end."""
        if self.proved:
            return True
        basis = self._basis()
        if basis.log_nodes(self.value, self._share) > HOPELESS:
            return False
        if self._enumerate(basis, self._share, n_nodes):
            if self._share >= 1.0:
                self.proved = True
            self._share = min(1.0, self._share * GROWTH)
            basis.restart()
        return True
