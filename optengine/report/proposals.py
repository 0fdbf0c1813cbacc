"""Pictures of proposals made from a table: what is predicted for each, and how the search left the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optengine.core.errors import OptionError
from optengine.core.result import Result
from optengine.report.canvas import BEST, BOUND, SEEN, VIOLATED, head, legend, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_proposals(result: Result, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw the predictions of the proposals, best first, with their intervals; those far from the table are marked."""
    details = _details(result, "candidates", "proposals")
    axes: Any = ax if ax is not None else new_axes()
    name, direction = result.objectives[0]
    prediction = np.asarray(details["prediction"])
    order = np.argsort(prediction if direction == "minimize" else -prediction, kind="stable")
    rank, middle = np.arange(1, len(order) + 1), prediction[order]
    low, high = np.asarray(details["interval"])[order].T
    axes.vlines(rank, low, high, color=SEEN, linewidth=1.0, alpha=0.7, label="90 % interval")
    axes.plot(rank, middle, "o", color=BEST, markersize=3.5, markeredgewidth=0, label="prediction")
    far = np.asarray(details["distance"])[order] > details["far"]
    if far.any():
        axes.plot(
            rank[far], middle[far], "o", markersize=6, markeredgecolor=VIOLATED, markerfacecolor="none",
            markeredgewidth=1.0, label="far from the table",
        )  # fmt: skip
    axes.axhline(details["best_row"], color=BOUND, linewidth=1.4, label="best row of the table")
    axes.set_xlabel("proposal, best prediction first")
    axes.set_ylabel(name if direction == "minimize" else f"{name} (maximised)")
    head(axes, result, title)
    legend(axes)
    drawn: Axes = axes
    return drawn


def plot_search(result: Result, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Draw how the mean prediction of an ascent rises over its steps, and how far from the table it leads."""
    curve = _details(result, "curve", "search")["curve"]
    axes: Any = ax if ax is not None else new_axes()
    axes.plot(curve["steps"], curve["prediction"], "o-", color=BEST, markersize=4, label="mean prediction")
    axes.set_xlabel("steps of the ascent")
    axes.set_ylabel(f"mean predicted {result.objectives[0][0]}")
    other = axes.twinx()
    other.plot(curve["steps"], curve["distance"], "s--", color=VIOLATED, markersize=4)
    other.set_ylabel("distance to the nearest row, in usual ones", color=VIOLATED)
    other.set_ylim(bottom=0.0)
    axes.plot([], [], "s--", color=VIOLATED, markersize=4, label="distance to the table")
    head(axes, result, title)
    legend(axes)
    drawn: Axes = axes
    return drawn


def _details(result: Result, key: str, kind: str) -> dict[str, Any]:
    if key not in result.details:
        of = "an Offline problem" if kind == "proposals" else "an offline solver that climbs its model"
        raise OptionError(f"kind must be {kind!r} only for a result of {of}, got one of {result.solver!r}")
    return result.details
