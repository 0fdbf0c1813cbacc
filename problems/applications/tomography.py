"""Discrete tomography: an image of few grey levels from its shadows in some directions.

Minimise the largest |(A x)_i - b_i| over the pixels x, where b_i is what detector i measured and row i of A holds the
area of each pixel inside the detector's strip (parallel beam, exact areas, in pixel units). An image that explains the
measurements to within their noise has a value of at most the noise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, require
from optengine.problems.minmax import MinMaxViolation

Floats = NDArray[np.float64]


class Tomography(MinMaxViolation):
    """Pixels of an image, row by row, from a sinogram; minimised, in the sinogram's unit.

    Attributes:
        size: (rows, columns) of the image. angles: (a,) radians. truth: the image measured, or None.
    """

    def __init__(
        self,
        A: Any,
        sinogram: ArrayLike,
        levels: ArrayLike,
        size: tuple[int, int],
        angles: Floats,
        truth: Floats | None = None,
        name: str | None = None,
    ) -> None:
        self.size, self.angles, self.truth = size, angles, truth
        b = np.asarray(sinogram, dtype=np.float64)
        super().__init__(A, b, b, levels, name=name or "tomography")

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """Besides the values: `image`, and against the truth `wrong_pixels` (a share) and `mean_error`."""
        image = np.asarray(x, dtype=np.float64).reshape(self.size)
        described = super().describe(x) | {"image": image}
        if self.truth is not None:
            described["wrong_pixels"] = float((image != self.truth).mean())
            described["mean_error"] = float(np.abs(image - self.truth).mean())
        return described

    def draw(self, x: ArrayLike, figure: Any = None) -> Any:
        """Draw the reconstruction, beside the truth where it is known; returns a matplotlib Figure."""
        require("matplotlib", extra="plot")
        import matplotlib.pyplot as plt

        pictures = [("reconstruction", np.reshape(x, self.size))]
        if self.truth is not None:
            pictures += [("truth", self.truth), ("difference", np.reshape(x, self.size) - self.truth)]
        figure = plt.figure(figsize=(3.2 * len(pictures), 3.2)) if figure is None else figure
        for place, (title, picture) in enumerate(pictures, 1):
            axes = figure.add_subplot(1, len(pictures), place, title=title)
            axes.imshow(picture, cmap="gray" if title != "difference" else "coolwarm")
            axes.set_axis_off()
        return figure


def tomography(
    image: ArrayLike,
    angles: int | ArrayLike = 16,
    detectors: int | None = None,
    noise: float = 0.0,
    *,
    levels: ArrayLike | None = None,
    rng: Generator | None = None,
    name: str | None = None,
) -> Tomography:
    """Measure an image and ask for it back.

    Args:
        image: (rows, columns), the truth.
        angles: how many, equally spaced in [0, pi), or the angles themselves in radians.
        detectors: strips of one pixel's width, centred; default: enough for the diagonal.
        noise: measurements are off by a uniform variate within +-noise, in units of the sinogram.
        levels: grey levels; default: those of the image.
        rng: random numbers, needed where noise > 0.
        name: name of the instance.

    Raises:
        ProblemError: an image that is none, or noise without `rng`.
    """
    truth = np.asarray(image, dtype=np.float64)
    if truth.ndim != 2 or not truth.size or not np.isfinite(truth).all():
        raise ProblemError(f"image must be a matrix of finite numbers, got shape {truth.shape}")
    if not 0 <= noise < math.inf:
        raise ProblemError(f"noise must be >= 0 and finite, got {noise}")
    directions = np.arange(angles) * np.pi / angles if isinstance(angles, int) else np.asarray(angles, float)
    if directions.ndim != 1 or not len(directions):
        raise ProblemError(f"angles must be a number >= 1 or a list of radians, got {angles!r}")
    rows, columns = truth.shape
    A = projector((rows, columns), directions, detectors)
    seen = np.diff(A.tocsr().indptr) > 0  # strips beside the image say nothing
    A = A.tocsr()[seen].tocsc()
    b = A @ truth.ravel()
    if noise > 0:
        if rng is None:
            raise ProblemError(f"rng must be given where noise > 0, got noise={noise} without it")
        b = b + rng.uniform(-noise, noise, len(b))
    known = np.unique(truth) if levels is None else np.asarray(levels, dtype=np.float64)
    return Tomography(A, b, known, (rows, columns), directions, truth, name)


def projector(size: tuple[int, int], angles: Floats, detectors: int | None = None) -> Any:
    """Areas of pixels inside the strips of a parallel beam, CSC (angles * detectors, rows * columns).

    A pixel's shadow on the detector is a trapezoid: the cumulative area left of t is known in closed form.
    """
    from scipy.sparse import coo_array

    rows, columns = size
    strips = math.ceil(math.hypot(rows, columns)) if detectors is None else detectors
    if strips < 1:
        raise ProblemError(f"detectors must be >= 1, got {detectors}")
    y, x = np.divmod(np.arange(rows * columns), columns)
    x, y = x - (columns - 1) / 2, (rows - 1) / 2 - y
    parts = []
    for number, angle in enumerate(angles):
        c, s = math.cos(angle), math.sin(angle)
        centre = x * c + y * s + strips / 2  # in strips, from the edge of the first
        first = np.floor(centre - (abs(c) + abs(s)) / 2).astype(np.int64)
        for strip in range(3):  # a shadow is at most sqrt(2) strips wide
            k = first + strip
            area = _shadow(k + 1 - centre, c, s) - _shadow(k - centre, c, s)
            some = (area > 1e-12) & (k >= 0) & (k < strips)
            parts.append((area[some], number * strips + k[some], np.flatnonzero(some)))
    data, i, j = (np.concatenate(column) for column in zip(*parts, strict=True))
    return coo_array((data, (i, j)), shape=(len(angles) * strips, rows * columns)).tocsc()


def _shadow(t: Floats, c: float, s: float) -> Floats:
    """Area of a unit pixel, centred at 0, whose projection on direction (c, s) lies left of t."""
    wide, narrow = max(abs(c), abs(s)), min(abs(c), abs(s))
    outer, inner = (wide + narrow) / 2, (wide - narrow) / 2
    if narrow < 1e-12:
        return np.clip(t / wide + 0.5, 0.0, 1.0)
    u = np.clip(np.abs(t), 0.0, outer)
    flat = np.minimum(u, inner) / wide
    slope = np.where(u > inner, (narrow**2 - (outer - u) ** 2) / (2 * wide * narrow), 0.0)
    return np.asarray(0.5 + np.sign(t) * (flat + slope))


def phantom(size: int, n_levels: int, rng: Generator) -> Floats:
    """A random image (size, size) of overlapping ellipses with grey levels 0 ... n_levels - 1."""
    y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    image = np.zeros((size, size))
    for _ in range(4 * n_levels):
        a, b = rng.uniform(0.1, 0.45, 2)
        u, v = rng.uniform(-0.5, 0.5, 2)
        turn = rng.uniform(0, np.pi)
        p, q = (
            (x - u) * np.cos(turn) + (y - v) * np.sin(turn),
            (y - v) * np.cos(turn) - (x - u) * np.sin(turn),
        )
        image[(p / a) ** 2 + (q / b) ** 2 <= 1] = rng.integers(0, n_levels)
    return image
