"""The cross-entropy method around a compiled objective: sampling and evaluation in one pass over threads.

Chosen where the problem declares `array="numba"`, its variables are reals on linear scales and nothing constrains
them. Each row of a generation is sampled, evaluated and forgotten in registers and cache; the elites' rows are made
again from their numbers. Samples and objective are float32; the best row of a generation that improves is offered to
the engine, which evaluates it in float64. Update, restarts and options are those of the diagonal family with
reflection at the bounds; the answer does not depend on the number of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import REAL
from optengine.kernels.cem_fused import fused, generation_key, moments_about, regenerate
from optengine.kernels.elites import log_weights
from optengine.solvers.cem.gaussian import (
    diagonal_population,
    dynamic_smoothing,
    mean_smoothing,
    variance_noise,
)
from optengine.solvers.cem.restarts import Progress, Regimes

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.core.solver import Control
    from optengine.solvers.cem.cem import CEM

Floats = NDArray[np.float64]

WAVE_SECONDS = 0.04  # between two looks at the clock
FIRST_WAVE = 256  # rows, before their time is known
SMALLEST_CHUNK = 256  # rows a thread; fewer cost more in hand-over than they take
FINEST = 3e-7  # of the cube; float32 tells no finer points apart


def fits(problem: Problem, options: CEM) -> bool:
    """Whether the fused run can treat `problem` under `options`."""
    space = problem.space
    plain = bool((space.kind == REAL).all()) and not space.log.any() and not space.named
    simple = not (
        space.constrained or space.conditional or space.fidelity or problem.n_constraints or problem.noisy
    )
    hooks = options.guide is not None or options.manifold is not None or options.noise_beta > 0
    usual = (
        options.family in ("auto", "diagonal") and options.nu is None and options.delta is None and not hooks
    )
    return problem.array == "numba" and plain and simple and usual and problem.n_objectives == 1


class FusedRun:
    """State of one run: mean and sigma in the unit cube. A generation costs O(population d)."""

    def __init__(self, options: CEM, problem: Problem, rng: Generator) -> None:
        self._options, self._problem = options, problem
        self._seed = int(rng.integers(2**63))
        self._rng = rng
        space = problem.space
        self._lower, self._upper = space.lower, space.upper
        self._extent = space.upper - space.lower
        self._sign = float(problem.signs[0])
        self.batch = options.population or diagonal_population(space.width)
        self._regimes = Regimes(self.batch, options.growth, options.restarts == "alternating")
        self._generations = self._restarts = 0
        self._evaluate: Any = None
        self._rate = 0.0  # rows a second and thread
        self._begin(None, 1.0)

    @property
    def details(self) -> dict[str, Any]:
        """What a result tells of the run."""
        return {
            "generations": self._generations,
            "restarts": self._restarts,
            "population": self.batch,
            "fused": True,
        }

    def _begin(self, rng: Generator | None, spread: float) -> None:
        d = len(self._lower)
        self._mean = np.full(d, 0.5) if rng is None else rng.random(d)
        self._sigma = np.full(d, (self._options.sigma_0 or 0.5) * spread)
        self._age = self._spent = 0
        self._progress = Progress()
        self._kept: tuple[NDArray[np.float32], Floats] | None = None

    def warm_up(self) -> None:
        """Compile the objective into the loop, before the clock starts."""
        self._evaluate = fused(self._problem.function)
        half = np.full(len(self._lower), 0.5)
        X = regenerate(0, np.zeros(1, np.int64), *self._arguments(half, half))
        moments_about(X, np.zeros(1, np.int64), np.ones(1), half, *self._arguments(half, half)[2:])
        self._evaluate(np.uint64(0), 0, *self._arguments(half, half), np.empty(1))

    def search(self, control: Control) -> None:
        """Sample, evaluate and refit until told to stop."""
        if self._evaluate is None:
            self.warm_up()
        if control.x0 is not None:
            self._mean = np.clip((control.x0[0] - self._lower) / np.maximum(self._extent, 1e-300), 0.0, 1.0)
        best = math.inf
        with ThreadPoolExecutor(max(1, control.threads)) as pool:
            while not control.stop():
                left = getattr(control, "remaining", None)
                n = self.batch if left is None else min(self.batch, left)
                key = generation_key(self._seed, self._generations)
                F = self._evaluate_rows(key, n, pool, control)
                control.spend(len(F))
                if not len(F):
                    break
                F *= self._sign
                F[np.isnan(F)] = np.inf
                row = int(np.argmin(F))
                if F[row] < best:
                    best = float(F[row])
                    control.incumbent(self._rows(key, np.array([row]), self._mean, self._sigma)[0])
                if len(F) == n and not self._refit(key, F):
                    break

    def _evaluate_rows(self, key: int, n: int, pool: ThreadPoolExecutor, control: Control) -> Floats:
        """Values (m,) of the first m rows of a generation; m < n only where the run must stop."""
        F = np.empty(n)
        arguments = self._arguments(self._mean, self._sigma)
        threads = max(1, control.threads)
        done = 0
        while done < n:
            wave = min(n - done, int(self._rate * WAVE_SECONDS * threads) or FIRST_WAVE)
            chunks = min(threads, max(1, wave // SMALLEST_CHUNK))
            began = time.perf_counter()
            if chunks == 1:
                self._evaluate(np.uint64(key), done, *arguments, F[done : done + wave])
            else:
                jobs = [
                    pool.submit(partial(self._evaluate, np.uint64(key), start, *arguments, F[start:stop]))
                    for start, stop in _parts(done, done + wave, chunks)
                ]
                for job in jobs:
                    job.result()
            self._rate = wave / chunks / max(time.perf_counter() - began, 1e-9)
            done += wave
            if done < n and control.stop():
                break
        return F[:done]

    def _refit(self, key: int, F: Floats) -> bool:
        """Move towards the elites; False when the run has ended by itself."""
        o, n = self._options, len(F)
        self._generations += 1
        self._age += 1
        self._spent += n
        k = max(math.ceil((o.elite_fraction or 0.1) * n), min(5, (n + 1) // 2))
        rows = np.argpartition(F, k - 1)[:k] if k < n else np.arange(n)
        rows = np.sort(rows)
        X = regenerate(key, rows, *self._arguments(self._mean, self._sigma))
        values = F[rows]
        if self._kept is not None:
            X, values = np.concatenate([self._kept[0], X]), np.concatenate([self._kept[1], values])
        order = np.argsort(values, kind="stable")[:k]
        values = values[order]
        n_kept = math.ceil((0.3 if o.keep is None else o.keep) * k)
        self._kept = (X[order[:n_kept]], values[:n_kept]) if n_kept else None
        weights = log_weights(k) if o.weights == "log" else np.full(k, 1.0 / k)
        _, _, origin, extent = self._arguments(self._mean, self._sigma)
        step, moment = moments_about(X, order, weights, self._mean, origin, extent)
        beta = dynamic_smoothing(o, self._age, weights)
        variance = self._sigma**2
        variance += beta * (moment - variance) + variance_noise(o, self._age)
        self._mean = np.clip(self._mean + mean_smoothing(o) * step, 0.0, 1.0)
        self._sigma = np.clip(np.sqrt(variance), max(o.sigma_min, 0.5 * FINEST), 1.0)
        self._progress.update(0.0, float(weights @ np.clip(values, -1e300, 1e300)))
        patience = o.stagnation or 20 + math.ceil(30 * len(self._mean) / self.batch)
        if self._progress.stale < patience and (self._sigma > max(o.sigma_min, FINEST)).any():
            return True
        if o.restarts == "never":
            return False
        self._restarts += 1
        self.batch, spread = self._regimes.next(self._spent, self._rng)
        self._begin(self._rng, spread)
        return True

    def _arguments(self, mean: Floats, sigma: Floats) -> tuple[NDArray[np.float32], ...]:
        return tuple(a.astype(np.float32) for a in (mean, sigma, self._lower, self._extent))

    def _rows(self, key: int, rows: NDArray[np.int64], mean: Floats, sigma: Floats) -> Floats:
        """The rows (k, d) of a generation as float64, inside the bounds."""
        X = regenerate(key, rows, *self._arguments(mean, sigma)).astype(np.float64)
        return np.clip(X, self._lower, self._upper)


def _parts(start: int, stop: int, n: int) -> Iterator[tuple[int, int]]:
    edges = np.linspace(start, stop, n + 1).astype(int)
    return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
