"""Where a learning curve is heading: small parametric families fitted by least squares, weighted by their fit.

Families c + a g(s): power laws s^-b, exponentials exp(-b s / last) and 1 / log(s + b), each on a grid of b, and the
constant. For given b the fit is linear, so that a whole grid is one batch of 2 x 2 systems: about 0.2 ms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POWERS = np.geomspace(0.1, 3.0, 16)
RATES = np.geomspace(0.3, 60.0, 30)
SHIFTS = np.array([1.5, 2.0, 4.0])
FLOOR = 1e-3  # of the values' range: nothing is known more exactly


def shapes(steps: Floats, last: float) -> Floats:
    """Return the decreasing functions g (families, n) at `steps` (n,), all positive; `last` sets the time scale."""
    s = np.maximum(steps, 1e-12)
    return np.concatenate(
        [
            s[None, :] ** -POWERS[:, None],
            np.exp(-RATES[:, None] * s[None, :] / last),
            1.0 / np.log(s[None, :] + SHIFTS[:, None]),
        ]
    )


def extrapolate(steps: Floats, values: Floats, last: float) -> tuple[Floats, Floats, Floats]:
    """Return mean, standard deviation and weight of each family's value at step `last`.

    Args:
        steps: (n,) rising, n >= 4. values: (n,) finite.
        last: a step beyond them.
    """
    scale = max(float(steps[0]), 1e-12)
    s, end = steps / scale, last / scale
    n = len(s)
    g = shapes(np.append(s, end), end)
    ahead, g = g[:, -1], g[:, :-1]
    centred = g - g.mean(axis=1, keepdims=True)
    power = (centred**2).sum(axis=1)
    usable = power > 1e-24
    slope = np.where(usable, (centred @ values) / np.where(usable, power, 1.0), 0.0)
    lever = np.where(usable, (ahead - g.mean(axis=1)) ** 2 / np.where(usable, power, 1.0), 0.0)
    mean = values.mean() + slope * (ahead - g.mean(axis=1))
    residual = values - values.mean() - slope[:, None] * centred
    mean = np.append(mean, values.mean())
    lever = np.append(lever, 0.0)
    squares = np.append((residual**2).sum(axis=1), ((values - values.mean()) ** 2).sum())
    n_free = np.append(np.full(len(g), 3.0), 1.0)  # c, a, b; c
    least = n * (FLOOR * max(float(np.ptp(values)), 1e-12)) ** 2
    variance = (squares + least) / np.maximum(n - n_free, 1.0)
    bic = n * np.log((squares + least) / n) + n_free * np.log(n)
    weight = np.exp(-0.5 * (bic - bic.min()))
    falling = np.append(slope >= 0, True)  # values that rise under training are no learning curve
    weight = np.where(falling, weight, 0.0)
    # a family that fits so far need not do so later: the further ahead, the less it is believed
    stretch = 1.0 + np.log(end / s[-1])
    return mean, np.sqrt(variance * (1.0 + 1.0 / n + lever)) * stretch, weight / weight.sum()


def chance_below(steps: Floats, values: Floats, last: float, best: float) -> float:
    """Return the probability that the curve's value at step `last` lies below `best`."""
    from scipy.special import stdtr

    mean, deviation, weight = extrapolate(steps, values, last)
    freedom = max(len(values) - 3, 1)
    return float(weight @ stdtr(freedom, (best - mean) / deviation))
