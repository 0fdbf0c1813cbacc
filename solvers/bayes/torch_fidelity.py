"""The logarithm of what an evaluation costs, as BoTorch's acquisition functions want it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from optengine.core.space import Space
from optengine.solvers.bayes.fidelity import Costs, levels_of
from optengine.solvers.bayes.torch_features import Features


def log_costs(costs: Costs, features: Features, space: Space, power: float) -> Any:
    """Return features Z (b, d) -> power * log cost (b,), by the fidelities alone at a middle point.

    The search holds fidelities fixed while it moves the rest, so that no gradient is needed.
    """
    table: dict[bytes, float] = {}
    levels = levels_of(space)
    columns = list(levels)
    middle = space.from_unit(np.full((1, space.width), 0.5))
    grids = np.meshgrid(*levels.values(), indexing="ij")
    X = np.repeat(middle, grids[0].size, axis=0)
    X[:, columns] = np.stack([g.ravel() for g in grids], axis=1)
    keys = features(X)[:, features.fidelity].round(9) + 0.0
    for key, cost in zip(keys, costs(X), strict=True):
        table[key.tobytes()] = power * float(np.log(cost))

    def log_cost(Z: torch.Tensor) -> torch.Tensor:
        rows = Z.detach().numpy()[:, features.fidelity].round(9) + 0.0
        return torch.tensor([table[row.tobytes()] for row in rows])

    return log_cost
