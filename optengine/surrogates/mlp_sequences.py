"""Networks for sequences of letters: the same small filters at every place, and the strongest answer of each.

A motif that counts wherever it stands is learnt once instead of at every place (Alipanahi et al., DeepBind, Nature
Biotechnology 2015). Sequences whose places have meanings of their own are learnt better by dense layers: a trial on
held-out rows tells which.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from optengine.core.errors import require
from optengine.core.space import CATEGORICAL, Space
from optengine.surrogates.mlp_sharpness import Sharpness

if TYPE_CHECKING:
    from optengine.surrogates.mlp import Training

Floats = NDArray[np.float64]

WIDTH = 8  # letters that a filter sees
FILTERS = 32
BATCH, RATE = 64, 5e-3  # of their training: a step costs several times one of dense layers, and fewer rows do
LONG = 2 * WIDTH  # letters, up to which filters see nearly everything and have no advantage
TRIAL_STEPS = 200  # of the training that tells which network ranks better
TRIAL_MEMBERS = 2


def letters_of(space: Space) -> int:
    """Return how many letters a space of sequences has: one array of categories, longer than `LONG`; 0 for others."""
    if len(space.names) != 1 or space.conditional or space.blocks or space.width <= LONG:
        return 0
    plain = (space.kind == CATEGORICAL).all() and (space.lower < space.upper).all()
    return int(space.n_levels[0]) if plain and (space.n_levels == space.n_levels[0]).all() else 0


class SequenceNetwork:
    """k networks of one shape: filters, their maxima over places, dense layers; see `mlp.Network`.

    Attributes:
        weights: tensors (k, in, out) and (k, 1, out) by turns.
    """

    def __init__(self, inputs: int, training: Training, rng: Generator, device: str = "cpu") -> None:
        torch = require("torch", "bayes")
        self._letters = training.letters
        sizes = [WIDTH * training.letters, FILTERS, *[training.hidden] * (training.layers - 1), 2]
        self.weights: list[Any] = []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt(1.0 / n_in)
            for shape in ((training.members, n_in, n_out), (training.members, 1, n_out)):
                values = rng.uniform(-bound, bound, shape).astype(np.float32)
                self.weights.append(torch.tensor(values, device=device, requires_grad=True))

    def heads(self, inputs: Any) -> Any:
        """Return both outputs (k, b, 2) at inputs (k, b, places * letters)."""
        torch = require("torch", "bayes")
        k, b, _ = inputs.shape
        edge = self._letters * (WIDTH // 2)  # half a filter may hang over either end
        windows = torch.nn.functional.pad(inputs, (edge, edge)).unfold(
            2, WIDTH * self._letters, self._letters
        )
        places = windows.shape[2]
        answers = torch.baddbmm(self.weights[1], windows.reshape(k, b * places, -1), self.weights[0])
        h = torch.nn.functional.leaky_relu(answers.reshape(k, b, places, -1).max(dim=2).values)
        for i in range(2, len(self.weights), 2):
            h = torch.baddbmm(self.weights[i + 1], h, self.weights[i])
            if i + 2 < len(self.weights):
                h = torch.nn.functional.leaky_relu(h)
        return h

    def __call__(self, inputs: Any) -> Any:
        """Return the predictions (k, b) at inputs (k, b, places * letters)."""
        return self.heads(inputs)[..., 0]


def with_filters(training: Training, letters: int) -> Training:
    """Return the training of a network with filters for sequences of so many letters."""
    batch, rate = min(training.batch, BATCH), max(training.rate, RATE)
    return dataclasses.replace(training, letters=letters, batch=batch, rate=rate)


def better_network(
    Z: Floats,
    y: Floats,
    training: Training,
    letters: int,
    rng: Generator,
    stop: Callable[[], bool],
    device: str,
) -> Training:
    """Return `training`, or its form with filters where those rank held-out rows better after a short training."""
    from optengine.surrogates.mlp import MLPEnsemble

    filtered = with_filters(training, letters)
    seed, best = int(rng.integers(2**62)), []
    for kind in (training, filtered):
        trial = dataclasses.replace(
            kind,
            members=TRIAL_MEMBERS,
            loss="mse",
            steps=min(training.steps, TRIAL_STEPS),
            batch=filtered.batch,
            rate=filtered.rate,
            sharpness=Sharpness(),
        )
        model = MLPEnsemble(Z, y, trial, default_rng(seed), stop, device)
        best.append(model.curve.max(axis=0, initial=-1.0).mean())
    return filtered if best[1] > best[0] else training
