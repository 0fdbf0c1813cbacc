"""Ensembles of small neural networks, trained together as one batch of matrices.

Training stops early by rank: the weights kept of each member are those that ranked a held-out tenth of the table best
(Spearman), looked at now and then. Torch, of the extra `bayes`; all random numbers come from the generator given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import DeviceError, OptionError, require
from optengine.surrogates import mlp_losses as losses
from optengine.surrogates.mlp_sequences import SequenceNetwork
from optengine.surrogates.mlp_sharpness import Regulariser, Sharpness
from optengine.surrogates.posterior import spearman

Floats = NDArray[np.float64]

CHECKS = 8  # times that held-out rows are ranked while training
HELD_OUT = 0.1  # share of the rows
FEWEST_HELD = 8  # rows, below which nothing is held out
CHUNK = 8192  # rows predicted together
ACTIVATIONS = ("leaky_relu", "tanh")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How an ensemble is trained.

    Attributes:
        members, hidden, layers: networks, and their size. activation: "leaky_relu" or "tanh".
        loss: one of `mlp_losses.LOSSES`. steps: of Adam, at most. batch: rows of a step, the length of a list.
        rate, decay: of Adam. sharpness: the regulariser.
        ascent_steps, ascent_rate: of COMs' adversarial points, in standardised inputs (times the root of their number).
        alpha, alpha_rate, overestimation: COMs' multiplier at the start, its step, and the overestimation allowed.
        letters: levels of each place of a sequence, whose network begins with filters; 0: dense layers alone.
    """

    members: int = 5
    hidden: int = 128
    layers: int = 2
    activation: str = "leaky_relu"
    loss: str = "mse"
    steps: int = 600
    batch: int = 256
    rate: float = 2e-3
    decay: float = 1e-5
    sharpness: Sharpness = field(default_factory=Sharpness)
    ascent_steps: int = 8
    ascent_rate: float = 0.05
    alpha: float = 0.1
    alpha_rate: float = 0.01
    overestimation: float = 0.5
    letters: int = 0

    def __post_init__(self) -> None:
        if self.loss not in losses.LOSSES:
            raise OptionError(f"loss must be one of {list(losses.LOSSES)}, got {self.loss!r}")
        if self.activation not in ACTIVATIONS:
            raise OptionError(f"activation must be one of {list(ACTIVATIONS)}, got {self.activation!r}")


class Network:
    """k networks of one shape; the last layer has a second output, the raw deviation of `nll`.

    Attributes:
        weights: tensors (k, in, out) and (k, 1, out) by turns.
    """

    def __init__(self, inputs: int, training: Training, rng: Generator, device: str = "cpu") -> None:
        torch = require("torch", "bayes")
        self._activation = torch.tanh if training.activation == "tanh" else torch.nn.functional.leaky_relu
        sizes = [inputs, *[training.hidden] * training.layers, 2]
        self.weights: list[Any] = []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt(1.0 / max(n_in, 1))
            for shape in ((training.members, n_in, n_out), (training.members, 1, n_out)):
                values = rng.uniform(-bound, bound, shape).astype(np.float32)
                self.weights.append(torch.tensor(values, device=device, requires_grad=True))

    def heads(self, inputs: Any) -> Any:
        """Return both outputs (k, b, 2) at inputs (k, b, f)."""
        torch = require("torch", "bayes")
        h = inputs
        for i in range(0, len(self.weights), 2):
            h = torch.baddbmm(self.weights[i + 1], h, self.weights[i])
            if i + 2 < len(self.weights):
                h = self._activation(h)
        return h

    def __call__(self, inputs: Any) -> Any:
        """Return the predictions (k, b) at inputs (k, b, f)."""
        return self.heads(inputs)[..., 0]


class MLPEnsemble:
    """A trained ensemble; it predicts standardised targets, maximised.

    Args:
        Z: (n, f) features. y: (n,) standardised targets. training: how. rng: of weights and batches.
        stop: whether to end training early. device: "cpu" or "cuda".

    Attributes:
        curve: (checks, members) rank correlation with the held-out rows. multiplier: of IGNITE at the end, (members,).
    """

    def __init__(
        self,
        Z: Floats,
        y: Floats,
        training: Training,
        rng: Generator,
        stop: Callable[[], bool] = lambda: False,
        device: str = "cpu",
    ) -> None:
        torch = require("torch", "bayes")
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError("device='cuda' needs a CUDA device that torch sees, and it sees none")
        self._torch, self._device, self.training = torch, device, training
        spread = Z.std(axis=0)
        self._centre, self._scale = Z.mean(axis=0), 1.0 / np.where(spread > 1e-9, spread, 1.0)
        kind = SequenceNetwork if training.letters else Network
        self._network: Any = kind(Z.shape[1], training, rng, device)
        self.curve = np.empty((0, training.members))
        self.multiplier: Floats = np.zeros(training.members)
        self._shift = np.zeros((training.members, 1))
        self._unit = np.ones((training.members, 1))
        self._train(Z, y, rng, stop)
        if training.loss in losses.RANKING:  # output adaptation: ranks have no scale of their own
            f = self._raw(Z)
            size = f.std(axis=1, keepdims=True)
            self._shift, self._unit = f.mean(axis=1, keepdims=True), np.where(size > 1e-9, size, 1.0)

    # -- training ----------------------------------------------------------------------------------------------

    def _train(self, Z: Floats, y: Floats, rng: Generator, stop: Callable[[], bool]) -> None:
        torch, training, network = self._torch, self.training, self._network
        order = rng.permutation(len(y))
        n_held = round(HELD_OUT * len(y))
        held, rows = (order[:n_held], order[n_held:]) if n_held >= FEWEST_HELD else (order[:0], order)
        inputs = torch.tensor(self._standardised(Z), device=self._device)
        targets = torch.tensor(y.astype(np.float32), device=self._device)
        adam = torch.optim.Adam(network.weights, lr=training.rate, weight_decay=training.decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, training.steps)
        regulariser = Regulariser(training.sharpness, training.members, self._device)
        alpha = torch.full((training.members,), training.alpha, device=self._device)
        best = np.full(training.members, -np.inf)
        kept = [w.detach().clone() for w in network.weights]
        every = max(1, training.steps // CHECKS)
        for step in range(1, training.steps + 1):
            if stop():
                break
            drawn = rng.choice(rows, (training.members, min(training.batch, len(rows))))
            A, t = inputs[drawn], targets[drawn]
            loss, gap = self._loss(A, t, alpha)
            adam.zero_grad()
            loss.sum().backward()
            if training.sharpness.kind != "none":
                for w in network.weights:
                    w.grad = torch.zeros_like(w) if w.grad is None else w.grad
                regulariser.add(lambda A=A: network(A).mean(dim=1), network.weights)  # type: ignore[misc]  # the default binds it
            adam.step()
            schedule.step()
            if gap is not None:
                alpha = (alpha + training.alpha_rate * (gap.detach() - training.overestimation)).clamp_(
                    min=0.0
                )
            if len(held) and (step % every == 0 or step == training.steps):
                best = self._keep_best(Z[held], y[held], best, kept)
        if len(held) and len(self.curve):
            with torch.no_grad():
                for w, value in zip(network.weights, kept, strict=True):
                    w.copy_(value)
        self.multiplier = regulariser.multiplier.cpu().numpy().astype(np.float64)

    def _keep_best(self, Z: Floats, y: Floats, best: Floats, kept: list[Any]) -> Floats:
        """Keep the weights of the members that rank held-out rows better than before."""
        ranks = np.array([spearman(f, y) for f in self._raw(Z)])
        self.curve = np.concatenate([self.curve, ranks[None, :]])
        for member in np.flatnonzero(ranks > best):
            for w, value in zip(self._network.weights, kept, strict=True):
                value[member] = w.detach()[member]
        better: Floats = np.maximum(best, ranks)
        return better

    def _loss(self, A: Any, t: Any, alpha: Any) -> tuple[Any, Any]:
        """The loss (k,) of a batch, and COMs' overestimation."""
        training, network = self.training, self._network
        if training.loss == "nll":
            heads = network.heads(A)
            return losses.nll(heads[..., 0], heads[..., 1], t), None
        if training.loss == "match_opt":
            half = A.shape[1] // 2
            dt = t[:, half : 2 * half] - t[:, :half]
            along = losses.line_integral(network, A[:, :half], A[:, half : 2 * half], dt)
            return along + losses.mse(network(A), t), None
        if training.loss == "coms":
            rate = training.ascent_rate * float(np.sqrt(A.shape[2]))
            gap = losses.conservative(network, A, training.ascent_steps, rate)
            return losses.mse(network(A), t) + alpha * gap, gap
        return getattr(losses, training.loss)(network(A), t), None

    # -- predictions -------------------------------------------------------------------------------------------

    def _standardised(self, Z: Floats) -> NDArray[np.float32]:
        return np.ascontiguousarray((Z - self._centre) * self._scale, dtype=np.float32)

    def _inputs(self, Z: Floats) -> Any:
        part = self._torch.tensor(self._standardised(Z), device=self._device)
        return part.unsqueeze(0).expand(self.training.members, -1, -1)

    def _raw(self, Z: Floats) -> Floats:
        with self._torch.no_grad():
            parts = [
                self._network(self._inputs(Z[i : i + CHUNK])).cpu().numpy() for i in range(0, len(Z), CHUNK)
            ]
        return np.concatenate(parts, axis=1).astype(np.float64)

    def mean(self, Z: Floats) -> Floats:
        """Return the predictions (members, m) at Z (m, f)."""
        found: Floats = (self._raw(Z) - self._shift) / self._unit
        return found

    def slope(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the predictions (members, m) and their gradients (members, m, f)."""
        inputs = self._inputs(Z).clone().requires_grad_(True)
        f = self._network(inputs)
        (slopes,) = self._torch.autograd.grad(f.sum(), inputs)
        value = (f.detach().cpu().numpy().astype(np.float64) - self._shift) / self._unit
        gradient = slopes.cpu().numpy().astype(np.float64) * self._scale / self._unit[:, :, None]
        return value, gradient
