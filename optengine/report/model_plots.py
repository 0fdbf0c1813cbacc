"""Pictures of what a model fitted to a run's evaluations says; the numbers are those of `diagnostics` and `slices`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.result import Result
from optengine.report.canvas import BEST, SEEN, VIOLATED, head, legend, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from optengine.report.slices import Axis

Floats = NDArray[np.float64]

MOST_BARS = 20  # variables of a picture of importances
MOST_CELLS = 150  # combinations of levels whose deviations are written down
MOST_LABELS = 12  # levels whose names fit below an axis without being turned


def plot_convergence(
    result: Result,
    *,
    ax: Axes | None = None,
    optimum: float | None = None,
    x: str = "evaluations",
    title: str | None = None,
) -> Axes:
    """Draw the best value so far, or, where `optimum` is given, the regret against it on a logarithmic scale."""
    from optengine.report.diagnostics import convergence

    if x not in ("evaluations", "seconds"):
        raise OptionError(f"x must be 'evaluations' or 'seconds', got {x!r}")
    numbers, values = convergence(result, optimum)
    axes: Any = ax if ax is not None else new_axes()
    head(axes, result, title)
    across = numbers if x == "evaluations" else result.history.seconds
    known = np.isfinite(values)
    shown = values
    if optimum is not None:
        least = 1e-16 * max(abs(optimum), 1.0)  # a regret of zero is drawn at the bottom, where rounding is
        shown = np.maximum(values, least)
        if (values[known] > 0).any():
            axes.set_yscale("log")
    axes.plot(across[known], shown[known], drawstyle="steps-post", color=BEST, linewidth=1.8)
    axes.set_xlabel(x)
    axes.set_ylabel(f"best {result.objectives[0][0]}" if optimum is None else "regret")
    axes.set_xlim(left=0.0)
    drawn: Axes = axes
    return drawn


def plot_importance(
    result: Result, *, ax: Axes | None = None, target: str | None = None, title: str | None = None
) -> Axes:
    """Draw first-order and total Sobol indices of the model, the most important variable on top."""
    from optengine.report.diagnostics import importances

    found = importances(result, target=target)
    axes: Any = ax if ax is not None else new_axes()
    head(axes, result, title)
    k = min(len(found.names), MOST_BARS)
    places = np.arange(k)[::-1]
    axes.barh(places, found.total[:k], color=SEEN, height=0.7, label="with interactions (total)")
    axes.barh(places, found.first[:k], color=BEST, height=0.4, label="by itself (first order)")
    axes.set_yticks(places, found.names[:k])
    axes.set_xlabel(f"share of the variance of {found.target}")
    axes.set_xlim(0.0, max(1.0, float(found.total.max(initial=0.0)) * 1.02))
    legend(axes)
    drawn: Axes = axes
    return drawn


def plot_slice(
    result: Result,
    *,
    ax: Axes | None = None,
    name: str | None = None,
    at: Any = None,
    target: str | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the model along one variable with two standard deviations, the others at a point (default: the best)."""
    from optengine.report.slices import slice_through

    found = slice_through(result, name, at=at, target=target)
    axes: Any = ax if ax is not None else new_axes()
    head(axes, result, title)
    low, high = found.mean - 2 * found.deviation, found.mean + 2 * found.deviation
    if found.numeric:
        across = np.array(found.values, dtype=np.float64)
        axes.fill_between(
            across, low, high, color=BEST, alpha=0.2, linewidth=0, label="2 standard deviations"
        )
        axes.plot(across, found.mean, color=BEST, linewidth=1.8, label="model")
        if found.log:
            axes.set_xscale("log")
    else:
        axes.errorbar(
            np.arange(len(found.values)), found.mean, yerr=2 * found.deviation, linestyle="none", marker="o",
            color=BEST, capsize=3, label="model, 2 standard deviations",
        )  # fmt: skip
        _name_levels(axes, found.values, "x")
    axes.set_xlabel(found.name)
    axes.set_ylabel(found.target)
    legend(axes)
    drawn: Axes = axes
    return drawn


def plot_contour(
    result: Result,
    *,
    ax: Axes | None = None,
    names: tuple[str, str] | None = None,
    at: Any = None,
    target: str | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the model over two variables: colours its mean, dashed lines its deviation, dots evaluations."""
    from optengine.report.slices import contour_over

    found = contour_over(result, names, at=at, target=target)
    axes: Any = ax if ax is not None else new_axes()
    head(axes, result, title)
    axes.grid(visible=False)
    first, second = found.columns
    across, down = _places(first), _places(second)
    if min(found.mean.shape) < 2:
        raise OptionError(f"names must be variables of two values and more, got {found.names!r}")
    smooth = first.numeric and second.numeric
    if smooth:
        filled = axes.contourf(across, down, found.mean, levels=20, cmap="viridis")
        if np.ptp(found.deviation) > 0:
            lines = axes.contour(
                across, down, found.deviation, levels=4, colors="white", linewidths=0.8, linestyles="dashed"
            )
            axes.clabel(lines, fontsize=7, fmt="sd %.2g")
    else:  # nothing lies between two categories
        filled = axes.pcolormesh(across, down, found.mean, shading="nearest", cmap="viridis")
        if found.mean.size <= MOST_CELLS:
            for (row, column), deviation in np.ndenumerate(found.deviation):
                axes.text(
                    across[column],
                    down[row],
                    f"±{deviation:.1g}",
                    fontsize=6,
                    color="white",
                    ha="center",
                    va="bottom",
                )
    axes.figure.colorbar(filled, ax=axes, label=found.target)
    dots = [_on(axis, found.points[:, i]) for i, axis in enumerate((first, second))]
    axes.plot(*dots, linestyle="none", marker="o", markersize=3, color="black", alpha=0.6)
    for axis, side in ((first, "x"), (second, "y")):
        if not axis.numeric:
            _name_levels(axes, axis.values, side)
        elif axis.log:
            getattr(axes, f"set_{side}scale")("log")
        getattr(axes, f"set_{side}label")(axis.name)
    if smooth:
        axes.set_xlim(across[0], across[-1])
        axes.set_ylim(down[0], down[-1])
    drawn: Axes = axes
    return drawn


def plot_cross_validation(
    result: Result, *, ax: Axes | None = None, target: str | None = None, title: str | None = None
) -> Axes:
    """Draw each value against what the model says from all the others, with two standard deviations."""
    from optengine.report.diagnostics import cross_validation

    found = cross_validation(result, target=target)
    axes: Any = ax if ax is not None else new_axes()
    head(axes, result, title)
    axes.errorbar(
        found.observed, found.predicted, yerr=2 * found.deviation, linestyle="none", marker="o", markersize=3.5,
        color=BEST, ecolor=SEEN, elinewidth=0.7, alpha=0.8,
        label=f"R2 {found.r2:.2f}, {found.coverage:.0%} within 2 standard deviations",
    )  # fmt: skip
    ends = [float(found.observed.min()), float(found.observed.max())]
    axes.plot(ends, ends, color=VIOLATED, linewidth=1.0, label="exact")
    axes.set_xlabel(f"{found.target}, observed")
    axes.set_ylabel("from all other evaluations")
    legend(axes)
    drawn: Axes = axes
    return drawn


def _places(axis: Axis) -> Floats:
    return (
        np.array(axis.values, dtype=np.float64)
        if axis.numeric
        else np.arange(len(axis.values), dtype=np.float64)
    )


def _on(axis: Axis, column: Floats) -> Floats:
    """Where encoded values of a column stand on its axis."""
    if not axis.numeric:
        return np.asarray(column - axis.grid[0])
    return np.asarray(np.interp(column, axis.grid, np.array(axis.values, dtype=np.float64)))


def _name_levels(axes: Any, values: tuple[Any, ...], side: str) -> None:
    names = [str(value) for value in values]
    turned = side == "x" and (len(names) > MOST_LABELS or sum(map(len, names)) > 70)
    getattr(axes, f"set_{side}ticks")(np.arange(len(names)), names, rotation=60 if turned else 0)
