"""Where evaluations succeed: a Gaussian process of the labels, used as a chance once something has failed.

Least-squares classification (Rasmussen and Williams, 2006, section 6.5): simple, and calibrated enough to steer away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from optengine.solvers.bayes.torch_features import Features
from optengine.surrogates.botorch_models import Fitter, Inputs

Floats = NDArray[np.float64]

NOISE = 0.1  # variance of the labels
SHORTEST = 0.2  # length-scale: labels jump, and a short one would let the jump be looked for again and again
STEPS = 30  # of the fit
MARGIN = 0.4  # mean of labels (-1 and 1) that counts as even odds: the edge itself is not worth a failure
STEEP, SLACK = 2.5, 0.1  # how fast the odds turn, and the variance at which they do so more slowly


class Success:
    """The chance that an evaluation gives a value.

    Attributes:
        log_chance: features (b, d) -> log chance (b,); None while nothing has failed.
    """

    def __init__(self, features: Features) -> None:
        inputs = Inputs(
            groups=features.groups, categorical=features.categorical, fidelities=[], shortest=SHORTEST
        )
        self._fitter = Fitter("gp", inputs, STEPS)
        self._model: Any = None
        self._n = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_model": None}

    @property
    def log_chance(self) -> Any:
        return None if self._model is None else self._evaluate

    def learn(self, Z: Floats, failed: NDArray[np.bool_]) -> None:
        """Fit to rows (n, d), failed or not."""
        if not failed.any() or (self._n == len(failed) and self._model is not None):
            return
        label = np.where(failed, -1.0, 1.0)[:, None]
        self._model = self._fitter.fit(Z, label, np.full_like(label, NOISE), self._n != len(failed))
        self._n = len(failed)

    def _evaluate(self, Z: torch.Tensor) -> torch.Tensor:
        posterior = self._model.posterior(Z.unsqueeze(1))
        mean, variance = posterior.mean.flatten(), posterior.variance.flatten()
        chance: torch.Tensor = torch.special.log_ndtr(
            STEEP * (mean - MARGIN) / (SLACK + variance.clamp_min(0.0)).sqrt()
        )
        return chance
