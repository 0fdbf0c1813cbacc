"""Linear-phase FIR filters with coefficients of few bits: the least largest deviation from the wanted response.

A type-I filter of N = 2 M + 1 taps has the amplitude H(w) = h_0 + sum over k = 1..M of 2 h_k cos(k w), where h_0 is the
centre tap and h_k the two taps k away from it. The problem is: minimise the largest of weight * |H(w) - desired| over
a grid of the bands. Literature filters: Kodek 1980; Filip, Istoan, de Dinechin, Hanrot 2018,
doi:10.1109/TSP.2018.2812739.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, require
from optengine.problems.minmax import MinMaxViolation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """Edges in units of pi, wanted amplitude, and weight of the deviation."""

    low: float
    high: float
    desired: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise ProblemError(
                f"edges of a band must be 0 <= low < high <= 1, got {self.low} and {self.high}"
            )
        if not self.weight > 0:
            raise ProblemError(f"weight of a band must be > 0, got {self.weight}")


LITERATURE: dict[str, tuple[Band, ...]] = {
    "A": (Band(0, 0.4, 1), Band(0.5, 1, 0)),
    "B": (Band(0, 0.4, 1), Band(0.5, 1, 0, 10)),
    "C": (Band(0, 0.24, 1), Band(0.4, 0.68, 0), Band(0.84, 1, 1)),
    "D": (Band(0, 0.24, 1), Band(0.4, 0.68, 0, 10), Band(0.84, 1, 1)),
    "E": (Band(0.02, 0.42, 1), Band(0.52, 0.98, 0)),
}


class FIRFilter(MinMaxViolation):
    """Coefficients (h_0, ..., h_M) of a type-I linear-phase filter on a grid of its bands; minimised.

    Attributes:
        taps: N. bands: the `Band`s. grid: (m,) frequencies in units of pi. desired: (m,).
    """

    def __init__(
        self, taps: int, bands: Sequence[Band], levels: ArrayLike, density: int = 16, name: str | None = None
    ) -> None:
        self.taps, self.bands = taps, tuple(bands)
        self.grid, self.desired, weights = _grid(self.bands, density * taps)
        k = np.arange((taps - 1) // 2 + 1)
        A = 2.0 * np.cos(np.pi * np.outer(self.grid, k))
        A[:, 0] = 1.0
        super().__init__(A, self.desired, self.desired, levels, weights, name=name or f"fir{taps}")

    def impulse(self, x: ArrayLike) -> Floats:
        """All N taps, symmetric, of the coefficients x (M + 1,)."""
        half = np.asarray(x, dtype=np.float64)
        return np.concatenate([half[:0:-1], half])

    def response(self, x: ArrayLike, n: int = 2048) -> tuple[Floats, Floats]:
        """Frequencies (n,) in units of pi, from 0 to 1, and the amplitude there."""
        w, half = np.linspace(0, 1, n), np.asarray(x, dtype=np.float64)
        cosines = np.cos(np.pi * np.outer(w, np.arange(len(half))))
        return w, np.asarray(2.0 * cosines @ half - half[0])

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """Besides the values: `impulse` (N,), `frequency` and `response` (2048,)."""
        w, amplitude = self.response(x)
        return super().describe(x) | {"impulse": self.impulse(x), "frequency": w, "response": amplitude}

    def draw(self, x: ArrayLike, axes: Any = None) -> Any:
        """Draw the amplitude in decibels with the bands; returns matplotlib Axes."""
        require("matplotlib", extra="plot")
        import matplotlib.pyplot as plt

        axes = plt.subplots(figsize=(7, 4))[1] if axes is None else axes
        w, amplitude = self.response(x)
        axes.plot(w, 20 * np.log10(np.maximum(np.abs(amplitude), 1e-8)), lw=1)
        for band in self.bands:
            axes.axvspan(band.low, band.high, color="C2" if band.desired else "C3", alpha=0.12)
        axes.set(xlabel="frequency / pi", ylabel="amplitude / dB", xlim=(0, 1), title=self.name)
        return axes


def fir_filter(
    taps: int,
    bands: Sequence[Band | tuple[float, ...]] | str,
    bits: int = 8,
    *,
    powers_of_two: int | None = None,
    density: int = 16,
    name: str | None = None,
) -> FIRFilter:
    """Make a filter problem.

    Args:
        taps: N, odd.
        bands: (low, high, desired, weight) each, edges in units of pi; or the letter of a literature specification.
        bits: word length w: levels are k / 2^(w-1), k = -2^(w-1), ..., 2^(w-1) - 1.
        powers_of_two: if given, levels are sums of at most so many signed powers 2^0 ... 2^-(w-1), in [-1, 1].
        density: grid points for each tap, shared among the bands by their width; a band's edges belong to it.
        name: name of the instance.

    Raises:
        ProblemError: an even number of taps, overlapping bands, or numbers outside their range.
    """
    if not isinstance(taps, int) or isinstance(taps, bool) or taps < 1 or taps % 2 == 0:
        raise ProblemError(f"taps must be an odd integer >= 1, got {taps!r}")
    if isinstance(bands, str):
        if bands not in LITERATURE:
            raise ProblemError(f"bands must be a list or one of {sorted(LITERATURE)}, got {bands!r}")
        name = name or f"fir_{bands}{taps}_{bits if powers_of_two is None else f'{bits}spt{powers_of_two}'}"
        bands = LITERATURE[bands]
    made = [band if isinstance(band, Band) else Band(*band) for band in bands]
    if not made or any(a.high > b.low for a, b in pairwise(made)):
        raise ProblemError(f"bands must be at least one, ascending and apart, got {made}")
    if not 1 <= bits <= 24:
        raise ProblemError(f"bits must be in 1..24, got {bits}")
    if density < 1:
        raise ProblemError(f"density must be >= 1, got {density}")
    scale = 2.0 ** (bits - 1)
    if powers_of_two is None:
        levels = np.arange(-scale, scale) / scale
    else:
        levels = signed_powers(powers_of_two, bits)
    return FIRFilter(taps, made, levels, density, name)


def signed_powers(terms: int, bits: int) -> Floats:
    """All sums of at most `terms` signed powers 2^0 ... 2^-(bits-1) within [-1, 1], ascending."""
    if terms < 1:
        raise ProblemError(f"powers_of_two must be >= 1, got {terms}")
    powers = 2.0 ** -np.arange(bits)
    sums = np.zeros(1)
    for _ in range(terms):
        sums = np.unique(np.concatenate([sums, np.add.outer(sums, np.r_[powers, -powers]).ravel()]))
    return sums[np.abs(sums) <= 1]


def _grid(bands: Sequence[Band], points: int) -> tuple[Floats, Floats, Floats]:
    """Frequencies, wanted amplitudes and weights; points shared among the bands by width."""
    total = sum(band.high - band.low for band in bands)
    counts = [max(2, round(points * (band.high - band.low) / total)) for band in bands]
    grid = np.concatenate([np.linspace(b.low, b.high, k) for b, k in zip(bands, counts, strict=True)])
    desired = np.repeat([band.desired for band in bands], counts).astype(np.float64)
    return grid, desired, np.repeat([band.weight for band in bands], counts).astype(np.float64)
