"""Points as vectors that a gradient can move: numbers in the unit cube, bits in [0, 1], logits of categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from optengine.core.space import BINARY, CATEGORICAL, Batch, Space
from optengine.surrogates.features import Features

Floats = NDArray[np.float64]
Slope = Callable[[Floats], tuple[Floats, Floats]]

SURE = 0.7  # share of its own level in a relaxed category at the start
HOT = np.sqrt(0.5)  # value of a category's feature at its level
BETA_1, BETA_2, TINY = 0.9, 0.999, 1e-12  # of Adam


class Relaxed:
    """The features of a space as free variables.

    Spaces with permutations, subsets, simplexes or conditions have none: `possible` is False.
    """

    def __init__(self, space: Space, features: Features) -> None:
        free = space.lower < space.upper
        self.possible = not space.blocks and not space.conditional
        self._space = space
        self._numbers = np.flatnonzero(free & ~np.isin(space.kind, (CATEGORICAL, BINARY)))
        self._bits = np.flatnonzero(free & (space.kind == BINARY))
        self._categories = np.flatnonzero(free & (space.kind == CATEGORICAL))
        self._n_plain = len(self._numbers) + len(self._bits)
        sizes = space.n_levels[self._categories].astype(np.int64)
        self._starts = self._n_plain + np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._groups = [
            slice(int(a), int(b)) for a, b in zip(self._starts[:-1], self._starts[1:], strict=True)
        ]
        self._template = np.where(free, 0.0, space.lower)
        self._n = features.n

    def start(self, Z: Floats) -> Floats:
        """Return the variables (m, f) of points with features Z: logits in the place of categories."""
        V = Z.copy()
        for group in self._groups:
            k = group.stop - group.start
            own = Z[:, group] > 0.5 * HOT
            V[:, group] = np.where(own, np.log(SURE), np.log((1.0 - SURE) / max(k - 1, 1)))
        return V

    def features(self, V: Floats) -> Floats:
        """Return the relaxed features (m, f) of variables."""
        Z = V.copy()
        for group in self._groups:
            Z[:, group] = HOT * _softmax(V[:, group])
        return Z

    def pull(self, Z: Floats, gradient: Floats) -> Floats:
        """Return the gradient by the variables, from that by the relaxed features Z (m, f)."""
        result = gradient.copy()
        for group in self._groups:
            p, g = Z[:, group] / HOT, gradient[:, group] * HOT
            result[:, group] = p * (g - (p * g).sum(axis=1, keepdims=True))
        return result

    def clip(self, V: Floats) -> Floats:
        """Return the variables inside their bounds."""
        V[:, : self._n_plain] = np.clip(V[:, : self._n_plain], 0.0, 1.0)
        return V

    def decode(self, V: Floats) -> Batch:
        """Return the points (m, width) nearest to the variables: whole numbers, the likeliest levels."""
        n = len(self._numbers)
        U = np.zeros((len(V), self._space.width))
        U[:, self._numbers] = V[:, :n]
        X = self._space.from_unit(U)
        X[:, self._bits] = np.rint(V[:, n : self._n_plain])
        for column, group in zip(self._categories, self._groups, strict=True):
            X[:, column] = V[:, group].argmax(axis=1)
        fixed = self._space.lower >= self._space.upper
        X[:, fixed] = self._space.lower[fixed]
        return np.ascontiguousarray(X)


def _softmax(V: Floats) -> Floats:
    E = np.exp(V - V.max(axis=1, keepdims=True))
    return np.asarray(E / E.sum(axis=1, keepdims=True))


def ascend(
    relaxed: Relaxed,
    slope: Slope,
    Z: Floats,
    depths: Sequence[int],
    rate: float,
    stop: Callable[[], bool],
    logit_rate: float = 0.3,
) -> list[Batch]:
    """Climb by projected Adam and return the points (m, width) at several depths.

    Args:
        slope: relaxed features (m, f) -> values (m,) and gradient (m, f).
        Z: (m, f) features of the starts. depths: numbers of steps, rising.
        rate: step of numbers and bits, in units of the unit cube; logit_rate: of logits.
        stop: whether to end early; what was reached then stands for the depths left.
    """
    V = relaxed.start(Z)
    rates = np.full(V.shape[1], logit_rate)
    rates[: relaxed._n_plain] = rate
    m, v = np.zeros_like(V), np.zeros_like(V)
    reached: list[Batch] = []
    for step in range(1, max(depths) + 1):
        if stop():
            break
        relaxed_features = relaxed.features(V)
        gradient = relaxed.pull(relaxed_features, slope(relaxed_features)[1])
        m, v = BETA_1 * m + (1 - BETA_1) * gradient, BETA_2 * v + (1 - BETA_2) * gradient**2
        size = np.sqrt(v / (1 - BETA_2**step)) + TINY
        V = relaxed.clip(V + rates * (m / (1 - BETA_1**step)) / size)
        if step in depths:
            reached.append(relaxed.decode(V))
    return reached + [relaxed.decode(V)] * (len(depths) - len(reached))
