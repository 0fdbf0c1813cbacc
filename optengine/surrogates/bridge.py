"""A Brownian bridge between paired points, learnt and walked back: low ends become high ones.

Li et al., BBDM, CVPR 2023, arXiv:2205.07680, as ROOT uses it (Dao et al., NeurIPS 2025, arXiv:2509.16300). Between a
high end a and a low end b, at times 0 < m < 1,

    x_m = (1 - m) a + m b + sqrt(v) e,  v = 2 s (m - m^2),

and a network learns m (b - a) + sqrt(v) e = x_m - a. Walking back from m to m' < m keeps these marginals:

    x_m' = (1 - m') a^ + m' b + sqrt((v' - c^2) / v) (x_m - (1 - m) a^ - m b) + c e',
    c^2 = eta^2 (v - v' (1 - m)^2 / (1 - m')^2) v' / v,   a^ = x_m - network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import require

Floats = NDArray[np.float64]
Predict = Callable[[Floats, float], Floats]  # (x (m, f), time m) -> x - high end

FIRST, LAST = 1e-3, 0.999  # times nearest to the ends


def variance(m: Floats | float, s: float = 1.0) -> Any:
    """Return v of a bridge at times m."""
    return 2.0 * s * (m - m * m)


def times(n: int) -> Floats:
    """Return n times from the low end (LAST) to the high end (FIRST)."""
    return np.linspace(LAST, FIRST, n)


def bridged(high: Floats, low: Floats, m: Floats, noise: Floats, s: float = 1.0) -> Floats:
    """Return points (k, f) of bridges at times m (k, 1), for standard normal noise (k, f)."""
    return np.asarray((1.0 - m) * high + m * low + np.sqrt(variance(m, s)) * noise)


def walk(
    low: Floats,
    predict: Predict,
    rng: Generator,
    steps: int = 100,
    eta: float = 0.2,
    s: float = 1.0,
    stop: Callable[[], bool] = lambda: False,
    visit: Callable[[float, Floats], None] | None = None,
) -> Floats:
    """Walk bridges back from their low ends (k, f) and return the predicted high ends.

    Args:
        predict: the network. steps: of the walk. eta: share of the posterior's deviation that is drawn anew.
        stop: whether to end early. visit: called with each time and its points.
    """
    schedule = times(steps)
    m = float(schedule[0])
    # the first prediction is made at the low end itself; a start without it would be off by the way to LAST, and each
    # step would magnify that
    high = low - predict(low, m)
    x = bridged(high, low, np.full((len(low), 1), m), rng.standard_normal(low.shape), s)
    high = x - predict(x, m)
    for following in schedule[1:]:
        n = float(following)
        v, w = variance(m, s), variance(n, s)
        c2 = eta**2 * max(v - w * (1.0 - m) ** 2 / (1.0 - n) ** 2, 0.0) * w / v
        mean = (1.0 - n) * high + n * low
        kept = np.sqrt(max(w - c2, 0.0) / v) * (x - (1.0 - m) * high - m * low)
        x, m = mean + kept + np.sqrt(c2) * rng.standard_normal(low.shape), n
        if visit is not None:
            visit(m, x)
        high = x - predict(x, m)
        if stop():
            break
    return np.asarray(high)


@dataclass(frozen=True, kw_only=True)
class BridgeTraining:
    """How the network is trained.

    Attributes:
        hidden, layers: of the network, with Swish. steps, batch, rate: of Adam on the L1 loss.
        dropout: share of rows whose conditions are hidden. average: of the exponential mean of the weights.
    """

    hidden: int = 192
    layers: int = 3
    steps: int = 1500
    batch: int = 256
    rate: float = 1e-3
    dropout: float = 0.15
    average: float = 0.99


class BridgeNetwork:
    """A network that predicts x - high end from x, time and the two ends' values, with or without the values.

    Differs from the published network: the time is fed as m in (0, 1), not as a step number up to 999, and values
    reach the sampler in the order in which the network was trained on them.

    Args:
        high, low: (n, f) paired ends. y_high, y_low: (n,) their values.
    """

    def __init__(
        self,
        high: Floats,
        low: Floats,
        y_high: Floats,
        y_low: Floats,
        training: BridgeTraining,
        rng: Generator,
        stop: Callable[[], bool] = lambda: False,
        device: str = "cpu",
    ) -> None:
        torch = require("torch", "bayes")
        self._torch, self._device = torch, device
        f = high.shape[1]
        sizes = [f + 3, *[training.hidden] * training.layers, f]
        layers: list[Any] = []
        seed = int(rng.integers(2**62))
        generator = torch.Generator().manual_seed(seed)
        for i, (a, b) in enumerate(pairwise(sizes)):
            linear = torch.nn.Linear(a, b)
            with torch.no_grad():
                linear.weight.copy_(torch.randn(b, a, generator=generator) / np.sqrt(a))
                linear.bias.zero_()
            layers += [linear] if i + 2 == len(sizes) else [linear, torch.nn.SiLU()]
        self._net = torch.nn.Sequential(*layers).to(device)
        self._train(high, low, y_high, y_low, training, rng, stop)

    def _train(
        self,
        high: Floats,
        low: Floats,
        y_high: Floats,
        y_low: Floats,
        training: BridgeTraining,
        rng: Generator,
        stop: Callable[[], bool],
    ) -> None:
        torch = self._torch
        adam = torch.optim.Adam(self._net.parameters(), lr=training.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, training.steps)
        mean = [p.detach().clone() for p in self._net.parameters()]
        for _ in range(training.steps):
            if stop():
                break
            rows = rng.integers(len(high), size=training.batch)
            m = rng.uniform(FIRST, LAST, (training.batch, 1))
            x = bridged(high[rows], low[rows], m, rng.standard_normal((training.batch, high.shape[1])))
            values = np.stack([y_high[rows], y_low[rows]], axis=1)
            values[rng.random(training.batch) < training.dropout] = 0.0
            inputs = self._tensor(np.concatenate([x, m, values], axis=1))
            loss = (self._net(inputs) - self._tensor(x - high[rows])).abs().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
            with torch.no_grad():
                for average, p in zip(mean, self._net.parameters(), strict=True):
                    average.lerp_(p, 1.0 - training.average)
        with torch.no_grad():
            for average, p in zip(mean, self._net.parameters(), strict=True):
                p.copy_(average)

    def _tensor(self, array: Floats) -> Any:
        return self._torch.tensor(np.asarray(array, dtype=np.float32), device=self._device)

    def guided(self, y_high: float, y_low: Floats, weight: float) -> Predict:
        """Return the prediction with classifier-free guidance: (1 + weight) conditional - weight unconditional."""

        def predict(x: Floats, m: float) -> Floats:
            time = np.full((len(x), 1), m)
            values = np.stack([np.full(len(x), y_high), y_low], axis=1)
            with self._torch.no_grad():
                with_values = self._net(self._tensor(np.concatenate([x, time, values], axis=1)))
                without = self._net(self._tensor(np.concatenate([x, time, 0.0 * values], axis=1)))
            guided = (1.0 + weight) * with_values - weight * without
            return np.asarray(guided.cpu().numpy(), dtype=np.float64)

        return predict
