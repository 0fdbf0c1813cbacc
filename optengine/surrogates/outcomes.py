"""Values brought to a scale on which a Gaussian process is at ease."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """y -> (t(y) - centre) / spread, increasing, where t is the identity or presses large values together.

    Attributes:
        knee, width: values above `knee` are pressed: knee + width log(1 + (y - knee) / width); knee infinite: none.
    """

    centre: float
    spread: float
    knee: float = np.inf
    width: float = 1.0

    def __call__(self, y: Floats) -> Floats:
        return (self._pressed(y) - self.centre) / self.spread

    def inverse(self, t: Floats) -> Floats:
        """Return the values behind t (n,) of the new scale."""
        y = self.centre + self.spread * t
        if not np.isfinite(self.knee):
            return y
        above = np.minimum((y - self.knee) / self.width, 300.0)  # beyond, nothing is told apart any more
        return np.where(y > self.knee, self.knee + self.width * np.expm1(np.maximum(above, 0.0)), y)

    def _pressed(self, y: Floats) -> Floats:
        if not np.isfinite(self.knee):
            return y
        return np.where(
            y > self.knee, self.knee + self.width * np.log1p(np.maximum(y - self.knee, 0.0) / self.width), y
        )

    def noise(self, y: Floats, variance: Floats) -> Floats:
        """Return the variances of the noise of values y on the new scale."""
        slope = np.where(y > self.knee, self.width / (self.width + np.maximum(y - self.knee, 0.0)), 1.0)
        return variance * (slope / self.spread) ** 2


def objective_scaling(y: Floats, n_first: int | None = None) -> Scaling:
    """Return the scaling of values to be minimised, (n,): the upper part is pressed, as what is bad matters little.

    What counts as bad is settled by the first values, `n_first` of them, which are spread over the space: later ones
    crowd around the best.
    """
    first = y if n_first is None else y[: max(n_first, 2)]
    low, middle = float(first.min()), float(np.median(first))
    width = max(middle - low, 1e-12 * max(abs(middle), 1.0))
    scaling = Scaling(0.0, 1.0, middle, width)
    pressed = scaling(y)
    return Scaling(float(pressed.mean()), _spread(scaling(first)), middle, width)


def standard_scaling(y: Floats, reference: float) -> Scaling:
    """Return the scaling of one of several objectives, (n,): linear as far as hypervolume counts, pressed beyond.

    Args:
        y: values, minimised. reference: value beyond which nothing is gained.
    """
    low, knee = float(y.min()), max(reference, float(np.median(y)))
    width = max(knee - low, 1e-12 * max(abs(knee), 1.0))
    pressed = Scaling(0.0, 1.0, knee, width)(y)
    return Scaling(float(pressed.mean()), _spread(pressed), knee, width)


def constraint_scaling(g: Floats) -> Floats:
    """Return constraint values (n,) on a standard scale that keeps zero at zero."""
    size = max(float(np.median(np.abs(g))), 1e-9 * float(np.abs(g).max()), 1e-300)
    pressed = np.arcsinh(g / size)
    spread = _spread(pressed)
    return np.asarray(pressed / spread)


def _spread(y: Floats) -> float:
    size = max(float(np.abs(y).max()), 1e-300)
    spread = size * float((y / size).std())  # squares of large values overflow
    return spread if spread > 1e-12 * size else size
