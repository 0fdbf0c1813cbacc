"""The cross-entropy method on a GPU: sampling, evaluation, elites and update stay on the device.

Chosen where the problem declares `array="cupy"` and its one array variable is of plain reals (diagonal or full
Gaussian), bits (Bernoulli) or categories, all of one kind and unconstrained. The objective is a vectorised function
of CuPy arrays (n, d) float32, or a `DeviceObjective`, which is then called in the kernel that samples. What crosses
over in a generation are a few numbers: the best value, the elites' level, the largest sigma. Incumbents are evaluated
again in float64 by the engine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from optengine.core.space import BINARY, CATEGORICAL, REAL
from optengine.kernels.cem_device import CudaSampler, Sampler
from optengine.kernels.cem_fused import fold_reference, generation_key
from optengine.kernels.elites import log_weights
from optengine.solvers.cem.gaussian import dynamic_smoothing, mean_smoothing
from optengine.solvers.cem.restarts import Progress, Regimes

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.core.solver import Control
    from optengine.solvers.cem.cem import CEM

DEFAULT_POPULATION = 65_536  # rows that fill a large GPU
FINEST = 3e-7  # of the cube; float32 tells no finer points apart
KINDS = {REAL: "gaussian", BINARY: "bits", CATEGORICAL: "categories"}


def fits(problem: Problem, options: CEM) -> bool:
    """Whether the device run can treat `problem` under `options`."""
    space = problem.space
    alike = len(np.unique(space.kind)) == 1 and int(space.kind[0]) in KINDS and not space.log.any()
    simple = not (
        space.constrained or space.conditional or space.fidelity or problem.n_constraints or problem.noisy
    )
    hooks = options.guide is not None or options.manifold is not None or options.noise_beta > 0
    usual = options.family in ("auto", "diagonal", "full") and options.nu is None and options.delta is None
    return problem.array == "cupy" and alike and not space.named and simple and usual and not hooks


class DeviceRun:
    """State of one run, as arrays of the sampler's device.

    Args:
        sampler: default the GPU's; the tests give `Host`, which computes the same on NumPy arrays.
    """

    def __init__(
        self, options: CEM, problem: Problem, rng: Generator, sampler: Sampler | None = None
    ) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._seed = int(rng.integers(2**63))
        self._sampler: Any = sampler
        space = problem.space
        self._kind = KINDS[int(space.kind[0])]
        self._full = self._kind == "gaussian" and options.family == "full"
        self._sign = float(problem.signs[0])
        self.batch = options.population or DEFAULT_POPULATION
        self._regimes = Regimes(self.batch, options.growth, options.restarts == "alternating")
        self._generations = self._restarts = 0

    @property
    def details(self) -> dict[str, Any]:
        """What a result tells of the run."""
        return {"generations": self._generations, "restarts": self._restarts, "population": self.batch}

    def warm_up(self) -> None:
        """Find the device, compile the kernels and put the constants on it, before the clock starts."""
        if self._sampler is None:
            self._sampler = CudaSampler()
        xp, space = self._sampler.xp, self._problem.space
        self._origin = xp.asarray(space.lower, dtype=xp.float32)
        self._extent = xp.asarray(space.upper - space.lower, dtype=xp.float32)
        self._offsets = np.concatenate([[0], np.cumsum(np.maximum(space.n_levels, 1))])
        self._begin(None, 1.0)
        self._values(*self._generation(0, 8), 0, 8)

    def _begin(self, rng: Generator | None, spread: float) -> None:
        xp, d = self._sampler.xp, self._problem.space.width
        self._age = self._spent = 0
        self._progress = Progress()
        if self._kind == "gaussian":
            self._mean = xp.asarray(np.full(d, 0.5) if rng is None else rng.random(d), dtype=xp.float32)
            width = (self._options.sigma_0 or 0.5) * spread
            self._sigma = xp.full(d, width, dtype=xp.float32)
            self._C = xp.eye(d, dtype=xp.float64) * width**2 if self._full else None
        elif self._kind == "bits":
            p = np.full(d, 0.5) if rng is None else 0.25 + 0.5 * rng.random(d)
            self._p = xp.asarray(p, dtype=xp.float32)
        else:
            levels = np.diff(self._offsets)
            p = np.repeat(1.0 / levels, levels)
            if rng is not None:
                lean = rng.standard_exponential(len(p))
                p = 0.5 * (p + lean / np.repeat(np.add.reduceat(lean, self._offsets[:-1]), levels))
            self._p = xp.asarray(p, dtype=xp.float32)

    def search(self, control: Control) -> None:
        """Sample, evaluate and refit until told to stop."""
        self.warm_up()
        if control.x0 is not None and self._kind == "gaussian":
            xp = self._sampler.xp
            start = (xp.asarray(control.x0[0], dtype=xp.float32) - self._origin) / self._extent
            self._mean = xp.clip(start, 0.0, 1.0)
        best = math.inf
        while not control.stop():
            left = getattr(control, "remaining", None)
            n = self.batch if left is None else min(self.batch, left)
            if n < 1:
                return
            key = generation_key(self._seed, self._generations)
            X, arguments = self._generation(key, n)
            F = self._values(X, arguments, key, n)
            control.spend(n)
            k = max(math.ceil((self._options.elite_fraction or 0.1) * n), min(5, (n + 1) // 2))
            rows = self._elite_rows(F, k)
            elites = self._rows(X, arguments, key, rows)
            weights = self._weights(k)
            level = float(self._sampler.numpy(weights @ self._sampler.xp.minimum(F[rows], 1e30)))
            lowest = float(F[rows[0]])
            if lowest < best:
                best = lowest
                control.incumbent(self._as_row(elites[0]))
            if not self._close(elites, weights, n, level):
                return

    # -- steps -----------------------------------------------------------------------------------------------------

    def _generation(self, key: int, n: int) -> tuple[Any, tuple[Any, ...]]:
        """Return the samples (n, d), or None where they are made in the objective's kernel, and its arguments."""
        s = self._sampler
        if self._kind == "bits":
            return s.bits(key, n, self._p), ()
        if self._kind == "categories":
            return s.categories(key, n, s.xp.asarray(self._offsets), self._cumulative()), ()
        if self._full:
            root = s.xp.linalg.cholesky(self._C).astype(s.xp.float32)
            Z = s.normals(key, n, len(self._mean)) @ root.T + self._mean
            return self._origin + self._extent * _folded(Z, s.xp), ()
        arguments = (self._mean, self._sigma, self._origin, self._extent)
        if hasattr(self._problem.function, "source"):
            return None, arguments
        return s.gaussian_rows(key, s.xp.arange(n), *arguments), arguments

    def _values(self, X: Any, arguments: tuple[Any, ...], key: int, n: int) -> Any:
        """Values (n,) on the device, minimising; NaN is as bad as can be."""
        xp = self._sampler.xp
        F = self._problem.function(X) if X is not None else None
        if X is None:
            F = self._sampler.fused(self._problem.function, key, n, *arguments)
            if F is None:
                F = self._problem.function(self._rows(None, arguments, key, xp.arange(n)))
        F = xp.asarray(F, dtype=xp.float32).reshape(n) * self._sign
        return xp.where(xp.isnan(F), xp.inf, F)

    def _elite_rows(self, F: Any, k: int) -> Any:
        """Numbers (k,) of the best rows, best first."""
        xp = self._sampler.xp
        rows = xp.argpartition(F, k - 1)[:k] if k < len(F) else xp.arange(len(F))
        rows = xp.sort(rows)
        return rows[xp.argsort(F[rows])]

    def _rows(self, X: Any, arguments: tuple[Any, ...], key: int, rows: Any) -> Any:
        return X[rows] if X is not None else self._sampler.gaussian_rows(key, rows, *arguments)

    def _weights(self, k: int) -> Any:
        weights = log_weights(k) if self._options.weights == "log" else np.full(k, 1.0 / k)
        return self._sampler.xp.asarray(weights, dtype=self._sampler.xp.float32)

    def _as_row(self, x: Any) -> Any:
        space = self._problem.space
        return np.clip(self._sampler.numpy(x).astype(np.float64), space.lower, space.upper)

    def _close(self, elites: Any, weights: Any, n: int, level: float) -> bool:
        """Refit, and restart where that leads nowhere any more; False when the run has ended."""
        o = self._options
        self._generations += 1
        self._age += 1
        self._spent += n
        self._refit(elites, weights)
        self._progress.update(0.0, level)
        patience = o.stagnation or 20 + math.ceil(30 * self._problem.space.width / self.batch)
        settled = self._kind == "gaussian" and float(self._sigma.max()) <= max(o.sigma_min, FINEST)
        if self._progress.stale < patience and not settled:
            return True
        if o.restarts == "never":
            return False
        self._restarts += 1
        self.batch, spread = self._regimes.next(self._spent, self._rng)
        self._begin(self._rng, spread)
        return True

    def _refit(self, elites: Any, weights: Any) -> None:
        o, xp = self._options, self._sampler.xp
        if self._kind == "bits":
            d = len(self._p)
            least = o.floor / (2 * d)
            self._p = xp.clip(self._p + o.alpha * (weights @ elites - self._p), least, 1 - least)
        elif self._kind == "categories":
            self._refit_categories(elites, weights)
        else:
            k = len(weights)
            host = log_weights(k) if o.weights == "log" else np.full(k, 1.0 / k)
            beta = dynamic_smoothing(o, self._age, host)
            D = (elites - self._origin) / self._extent - self._mean
            if self._full:
                moment = (D.T * weights) @ D
                if o.b > 0:
                    moment = (1 - o.b) * moment + o.b * xp.diag(xp.diagonal(moment))
                effective = 1.0 / float(host @ host)
                rate = min(beta, 2 * effective / ((len(self._mean) + 2) ** 2 + effective))
                self._C = self._C + rate * (moment - self._C) + 1e-16 * xp.eye(len(self._mean))
                variance = xp.diagonal(self._C)
            else:
                variance = self._sigma**2 + beta * (weights @ (D * D) - self._sigma**2)
            least = max(o.sigma_min, 0.5 * FINEST)
            self._sigma = xp.clip(xp.sqrt(variance), least, 1.0).astype(xp.float32)
            self._mean = xp.clip(self._mean + mean_smoothing(o) * (weights @ D), 0.0, 1.0).astype(xp.float32)

    def _refit_categories(self, elites: Any, weights: Any) -> None:
        o, xp = self._options, self._sampler.xp
        offsets = xp.asarray(self._offsets)
        cells = (offsets[:-1] + elites.astype(xp.int64)).ravel()
        spread = xp.repeat(weights, elites.shape[1])
        frequencies = xp.bincount(cells, weights=spread, minlength=len(self._p))
        levels = np.diff(self._offsets)
        least = xp.asarray(np.repeat(o.floor / (len(levels) * levels), levels), dtype=xp.float32)
        p = xp.maximum(self._p + o.alpha * (frequencies - self._p), least)
        self._p = (p / self._per_level(p)).astype(xp.float32)

    def _per_level(self, p: Any) -> Any:
        """The sum of each column's entries, repeated for its levels."""
        xp = self._sampler.xp
        column = xp.asarray(np.repeat(np.arange(len(self._offsets) - 1), np.diff(self._offsets)))
        return xp.bincount(column, weights=p)[column]

    def _cumulative(self) -> Any:
        """Cumulative probabilities within each column."""
        xp = self._sampler.xp
        total = xp.cumsum(self._p.astype(xp.float64))
        starts = xp.asarray(np.repeat(self._offsets[:-1], np.diff(self._offsets)))
        before = xp.where(starts > 0, total[starts - 1], 0.0)
        return (total - before).astype(xp.float32)


def _folded(U: Any, xp: Any) -> Any:
    """`fold_reference` on any device."""
    if xp is np:
        return fold_reference(U)
    U = U - 2.0 * xp.floor(0.5 * U)
    return 1.0 - xp.abs(U - 1.0)
