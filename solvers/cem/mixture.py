"""A mixture of K diagonal Gaussians: several valleys at once.

The elites' mixture is approached by expectation and maximisation about the present components (Kroese, Porotsky and
Rubinstein, The cross-entropy method for continuous multi-extremal optimization, Methodol. Comput. Appl. Probab. 8,
2006, doi:10.1007/s11009-006-9753-0, for one component; EM: Dempster, Laird and Rubin, 1977). No component's weight
falls below 1 / (4 K), so that none dies before its valley has been looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import Space
from optengine.kernels.cem_gaussian import reflected
from optengine.solvers.cem.gaussian import GaussianModel, dynamic_smoothing, mean_smoothing, variance_noise
from optengine.solvers.cem.models import Floats, Mask

if TYPE_CHECKING:
    from optengine.solvers.cem.cem import CEM

NARROWER = 0.4  # first sigma of a component, in those of one Gaussian: alike, they would stay alike
EM_STEPS = 2  # a generation: the next one goes on where this one stopped


class MixtureModel(GaussianModel):
    """K diagonal Gaussians, reflected into the unit cube. Sampling costs O(rows d), refitting O(elites K d)."""

    def __init__(self, space: Space, columns: NDArray[np.int64], options: CEM) -> None:
        super().__init__(space, columns, options)
        self.population *= options.K

    @property
    def converged(self) -> bool:
        real = ~self._discrete
        heaviest = self.sigmas[int(np.argmax(self.weights))]
        return bool(real.any() and (heaviest[real] <= self._options.sigma_min).all())

    def restart(self, rng: Generator | None, spread: float) -> None:
        super().restart(rng, spread)
        K, d = self._options.K, self.dimension
        # Without a generator the centres are spread by a fixed low-discrepancy rule (golden ratio along each column).
        steps = np.arange(1, K + 1)[:, np.newaxis] * (np.sqrt(5) - 1) / 2 + np.arange(d) * np.sqrt(2)
        centres = steps % 1.0 if rng is None else rng.random((K, d))
        self.means = centres if K > 1 else self.mean[np.newaxis].copy()
        self.sigmas = np.tile(self.sigma * (NARROWER if K > 1 else 1.0), (K, 1))
        self.weights = np.full(K, 1.0 / K)

    def seed(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        before = self.mean
        super().seed(elites, weights, active)
        self.means = np.clip(self.means + self.mean - before, 0.0, 1.0)

    def sample(self, n: int, rng: Generator) -> Floats:
        which = rng.choice(len(self.weights), n, p=self.weights)
        Z = rng.standard_normal((n, self.dimension))
        Z *= self.sigmas[which]
        Z += self.means[which]
        return self._unit.from_unit(reflected(Z))

    def refit(self, elites: Floats, weights: Floats, active: Mask | None) -> None:
        o, K = self._options, self._options.K
        self._generation += 1
        U = self._unit.to_unit(elites)
        means, sigmas, shares = self.means, self.sigmas, self.weights
        for _ in range(EM_STEPS):
            R = weights * responsibilities(U, means, sigmas, shares)  # (K, k)
            shares = R.sum(axis=1)
            W = R / np.maximum(shares, 1e-300)[:, np.newaxis]
            # A component with no elites of its own stays where it is instead of joining the others'.
            moves = np.minimum(1.0, 4 * K * shares)[:, np.newaxis]
            D = U - self.means[:, np.newaxis]  # about the old means, (K, k, d)
            if active is not None:
                D = D * active
            means = np.clip(self.means + mean_smoothing(o) * moves * np.einsum("ij,ijk->ik", W, D), 0.0, 1.0)
            moments = np.einsum("ij,ijk->ik", W, D * D)
            beta = np.array([dynamic_smoothing(o, self._generation, w) if w.any() else 0.0 for w in W])[
                :, None
            ]
            old = self.sigmas**2
            variance = old + beta * (moments - old)
            sigmas = np.sqrt(np.maximum(variance, o.sigma_min**2))
        self.means, self.weights = (
            means,
            floored(self.weights + mean_smoothing(o) * (shares - self.weights), 1 / (4 * K)),
        )
        self.sigmas = np.sqrt(sigmas**2 + variance_noise(o, self._generation))
        self._keep_floors()

    def _keep_floors(self) -> None:
        for i in range(len(self.weights)):
            self.mean, self.sigma = self.means[i], self.sigmas[i]
            self._keep_floor()
            self.sigmas[i] = self.sigma
        heaviest = int(np.argmax(self.weights))
        self.mean, self.sigma = self.means[heaviest], self.sigmas[heaviest]


def responsibilities(U: Floats, means: Floats, sigmas: Floats, shares: Floats) -> Floats:
    """Probability (K, k) that each row of U (k, d) comes from each component; columns sum to 1."""
    Z = (U - means[:, np.newaxis]) / sigmas[:, np.newaxis]
    logs = (
        np.log(np.maximum(shares, 1e-300))[:, None]
        - np.log(sigmas).sum(axis=1)[:, None]
        - 0.5 * (Z * Z).sum(axis=2)
    )
    logs -= logs.max(axis=0)
    densities = np.exp(logs)
    return np.asarray(densities / densities.sum(axis=0))


def floored(shares: Floats, least: float) -> Floats:
    """Shares (K,) that sum to 1, none below `least` <= 1 / K; what the others lack is taken in proportion."""
    above = np.maximum(shares / shares.sum() - least, 0.0)
    return np.asarray(least + above * ((1 - least * len(shares)) / max(float(above.sum()), 1e-300)))
