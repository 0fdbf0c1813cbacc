"""REINFORCE: a policy over points that is moved along the gradient of its expected value.

Williams, Machine Learning 8, 1992, doi:10.1007/BF00992696, with the mean of the batch as baseline and Adam's steps
(Kingma and Ba, ICLR 2015). Numbers are normal in the unit cube, levels without order have a softmax each, all
independent: the policy that the offline-optimization literature searches surrogates with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.space import BINARY, CATEGORICAL, Batch, Space

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

MOMENTS = (0.9, 0.999)  # of Adam
TINY = 1e-8
NARROWEST = 1e-4  # standard deviation, of the unit cube


@dataclass(frozen=True, slots=True, kw_only=True)
class REINFORCE:
    """Policy gradient over numbers and categories; a baseline beside `cem`, which needs fewer evaluations as a rule.

    One batch costs O(population * width). Infeasible rows are valued by their violation behind all feasible ones,
    failed rows last. Known constraints are left to the engine's repair: the policy learns from repaired rows.

    Attributes:
        population: rows of a batch, and of one step; >= 2.
        rate: length of Adam's steps in means (of the unit cube), log deviations and logits, > 0.
        sigma0: first standard deviation of numbers, of the unit cube, in (0, 1].

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    population: int = 64
    rate: float = 0.05
    sigma0: float = 0.25

    def __post_init__(self) -> None:
        if isinstance(self.population, bool) or not isinstance(self.population, int) or self.population < 2:
            raise OptionError(f"population must be an integer >= 2, got {self.population!r}")
        for name, most in (("rate", np.inf), ("sigma0", 1.0)):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 < value <= most or value == np.inf:
                within = "> 0" if most == np.inf else f"in (0, {most:g}]"
                raise OptionError(f"{name} must be a finite number {within}, got {value!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, and permutations, subsets and simplexes."""
        if problem.n_objectives > 1:
            return f"it follows one objective, and the problem has {problem.n_objectives}"
        if problem.space.blocks:
            return "its policy has no permutations, subsets or simplexes"
        return None

    def start(self, problem: Problem, rng: Generator) -> REINFORCERun:
        """Return a new run."""
        return REINFORCERun(self, problem.space, rng)


class REINFORCERun:
    """State of one run: the policy, Adam's moments, and rows told since the last step."""

    def __init__(self, options: REINFORCE, space: Space, rng: Generator) -> None:
        self.batch = options.population
        self._options, self._space, self._rng = options, space, rng
        free = space.lower < space.upper
        unordered = np.isin(space.kind, (CATEGORICAL, BINARY))
        self._numbers, self._levels = np.flatnonzero(free & ~unordered), np.flatnonzero(free & unordered)
        counts = (space.upper - space.lower)[self._levels].astype(np.int64) + 1
        self._open = np.arange(counts.max(initial=1)) < counts[:, None]  # (levels, most): which logits exist
        n = len(self._numbers)
        self._policy = [
            np.full(n, 0.5),
            np.full(n, np.log(options.sigma0)),
            np.where(self._open, 0.0, -np.inf),
        ]
        self._first = [np.zeros_like(p) for p in self._policy]
        self._second = [np.zeros_like(p) for p in self._policy]
        self._steps = 0
        self._told: list[tuple[Batch, Floats, Floats]] = []

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width) drawn from the policy; None: a batch."""
        n = self.batch if n is None else n
        mean, log_sigma, logits = self._policy
        U = np.full((n, self._space.width), 0.5)
        noise = self._rng.standard_normal((n, len(self._numbers)))
        U[:, self._numbers] = np.clip(mean + np.exp(log_sigma) * noise, 0.0, 1.0)
        X = self._space.from_unit(U)
        if len(self._levels):
            # The largest of logits with Gumbel noise is a draw from their softmax.
            gumbel = self._rng.gumbel(size=(n, *logits.shape))
            X[:, self._levels] = self._space.lower[self._levels] + (logits + gumbel).argmax(axis=2)
        for column, target in self._space.fidelity.values():
            X[:, column] = target
        return self._space.canonical(X)

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Keep the rows; take a step when there is a batch of them."""
        self._told.append((X.copy(), evaluation.F[:, 0].copy(), evaluation.violation))
        if sum(len(rows) for rows, _, _ in self._told) < self.batch:
            return
        X, f, violation = (np.concatenate([part[i] for part in self._told]) for i in range(3))
        self._told = []
        advantage = -standardised(costs(f, violation))
        if advantage.any():
            self._step(self._gradient(X, advantage))

    def _gradient(self, X: Batch, advantage: Floats) -> list[Floats]:
        """Mean over the rows of advantage times the slope of their log-probability."""
        mean, log_sigma, logits = self._policy
        z = (self._space.to_unit(X)[:, self._numbers] - mean) / np.exp(log_sigma)
        p = np.exp(logits - logits.max(axis=1, keepdims=True, initial=0.0))
        p /= p.sum(axis=1, keepdims=True)
        level = (X[:, self._levels] - self._space.lower[self._levels]).astype(np.int64)
        chosen = level[:, :, None] == np.arange(p.shape[1])
        n = len(X)
        return [
            advantage @ z / np.exp(log_sigma) / n,
            advantage @ (z**2 - 1.0) / n,
            np.einsum("n,nlk->lk", advantage, chosen - p) / n,
        ]

    def _step(self, gradient: list[Floats]) -> None:
        """Adam's ascent."""
        self._steps += 1
        a, b = MOMENTS
        for i, g in enumerate(gradient):
            self._first[i] = a * self._first[i] + (1 - a) * g
            self._second[i] = b * self._second[i] + (1 - b) * g**2
            up = self._first[i] / (1 - a**self._steps)
            size = np.sqrt(self._second[i] / (1 - b**self._steps)) + TINY
            self._policy[i] = self._policy[i] + self._options.rate * up / size
        self._policy[0] = np.clip(self._policy[0], 0.0, 1.0)
        self._policy[1] = np.clip(self._policy[1], np.log(NARROWEST), 0.0)


def costs(f: Floats, violation: Floats) -> Floats:
    """Return finite costs (n,): f of feasible rows; behind them infeasible ones by violation, failed ones last."""
    feasible = (violation <= 0) & np.isfinite(f)
    failed = ~np.isfinite(violation) | ~np.isfinite(f)
    worst = f[feasible].max(initial=-np.inf) if feasible.any() else 0.0
    span = (worst - f[feasible].min()) if feasible.any() else 0.0
    unit = span if span > 0 else 1.0
    behind = worst + unit * (1.0 + violation / (1.0 + np.where(failed, 0.0, violation)))
    return np.where(failed, worst + 2.0 * unit, np.where(feasible, f, np.minimum(behind, worst + 2.0 * unit)))


def standardised(v: Floats) -> Floats:
    """Return v with mean 0 and variance 1; all zero where v does not vary."""
    spread = v.std()
    return np.asarray((v - v.mean()) / spread if spread > 0 else np.zeros_like(v))
