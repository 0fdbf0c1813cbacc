"""Pictures of one result, drawn on matplotlib's objects alone: no window, no global state, no display needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError, did_you_mean, require
from optengine.core.result import Result
from optengine.report.canvas import BEST, BOUND, SEEN, VIOLATED, head, legend, new_axes
from optengine.report.graphs import plot_graph
from optengine.report.model_plots import (
    plot_contour,
    plot_convergence,
    plot_cross_validation,
    plot_importance,
    plot_slice,
)
from optengine.report.proposals import plot_proposals, plot_search

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

LOG_FROM = 30.0  # the axis is logarithmic when typical values lie so many times above the best
MANY = 3000  # evaluations: paler dots, kept as pixels in vector files


def plot_result(result: Result, kind: str | None = None, **options: Any) -> Axes:
    """Draw a result.

    Args:
        result: what to draw.
        kind: "history" (every evaluation and the best so far), "front" (2 or 3 objectives), "convergence" (the best so
            far, or the regret against a known optimum), "graph" (what a DAGProblem's result found); of a model fitted
            to the evaluations: "importance" (Sobol indices), "slice" (along one variable), "contour" (over two),
            "cross_validation" (leave-one-out); of an Offline problem's proposals: "proposals" (predictions and
            intervals), "search" (how the ascent left the table). None takes the front of several objectives, the
            proposals of a table, else the history.
        options: of every kind: `ax`, axes to draw on (default: a new figure), and `title`; of the history: `x`,
            "evaluations" or "seconds", and `log`, whether the value axis is logarithmic (None: where that shows
            more); of a front of 2 objectives: `log`, whether both axes are; of the convergence: `optimum`, `x`; of a
            graph: see `graphs.plot_graph`; of the model's kinds: `target`, an objective or constraint, of a slice:
            `name`, `at`, of a contour: `names`, `at`.

    Returns:
        The axes; `ax.figure.savefig("run.png")` writes the picture.

    Raises:
        OptionError: an unknown kind or option, or a kind that this result has not.
        MissingDependency: matplotlib is not installed.
    """
    if kind is None:
        usual = "proposals" if "candidates" in result.details else "history"
        kind = "front" if len(result.objectives) > 1 else usual
    if kind not in KINDS:
        raise OptionError(f"kind must be one of {list(KINDS)}, got {kind!r}{did_you_mean(str(kind), KINDS)}")
    draw = KINDS[kind]
    known = [name for name in inspect.signature(draw).parameters if name != "result"]
    for option in options:
        if option not in known:
            raise OptionError(
                f"a plot of kind {kind!r} has no option {option!r}, only {known}{did_you_mean(option, known)}"
            )
    axes: Axes = draw(result, **options)
    return axes


def check_file(path: str) -> None:
    """Raise OptionError unless matplotlib can write a picture under this name.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    backends = require("matplotlib.backend_bases", extra="plot")
    known = sorted(backends.FigureCanvasBase.get_supported_filetypes())
    ending = Path(path).suffix.lower().lstrip(".")
    if ending not in known:
        raise OptionError(f"a picture must end in one of {known}, got {path!r}{did_you_mean(ending, known)}")


# -- history -------------------------------------------------------------------------------------------------------


def plot_history(
    result: Result,
    *,
    ax: Axes | None = None,
    x: str = "evaluations",
    log: bool | None = None,
    title: str | None = None,
) -> Axes:
    """Draw every evaluation as a dot and the best so far as a line; violated and failed ones look different."""
    if len(result.objectives) > 1:
        raise OptionError(
            f"kind must be 'front' for {len(result.objectives)} objectives, which have no single best, got 'history'"
        )
    if x not in ("evaluations", "seconds"):
        raise OptionError(f"x must be 'evaluations' or 'seconds', got {x!r}")
    axes = ax if ax is not None else new_axes()
    history, (name, direction) = result.history, result.objectives[0]
    across = history.number.astype(np.float64) if x == "evaluations" else history.seconds
    head(axes, result, title)
    axes.set_xlabel("evaluations" if x == "evaluations" else "seconds")
    axes.set_ylabel(name if direction == "minimize" else f"{name} (maximised)")
    if not len(history):
        axes.text(0.5, 0.5, "no evaluations", ha="center", va="center", transform=axes.transAxes)
        return axes
    _dots(axes, result, across)
    _best_line(axes, result, across, x)
    _bound_line(axes, result, across)
    _scale(axes, result, log)
    _failures(axes, result, across)
    axes.set_xlim(left=0.0)
    legend(axes)
    return axes


def _dots(axes: Axes, result: Result, across: Floats) -> None:
    history = result.history
    feasible, ok = history.violation <= 0.0, ~history.failed
    many = len(history) > MANY
    size = float(
        np.clip(3.5 * (1000 / len(history)) ** 0.4, 1.2, 3.5)
    )  # points; all dots together stay as dark
    alpha = 0.3 if many else 0.6
    for mask, marker, edge, color, label in (
        (feasible & ok, "o", 0.0, SEEN, "evaluations"),
        (~feasible & ok, "x", 0.8, VIOLATED, "violated"),
    ):
        if mask.any():
            axes.plot(
                across[mask], history.value[mask], linestyle="none", marker=marker, color=color, label=label,
                markersize=size, markeredgewidth=edge, alpha=alpha, rasterized=many,
            )  # fmt: skip


def _best_line(axes: Axes, result: Result, across: Floats, x: str) -> None:
    best = result.history.best
    known = np.isfinite(best)
    if not known.any():
        return
    last = result.n_evaluations if x == "evaluations" else result.seconds
    ends = np.append(across[known], max(last, across[-1]))  # a search records its incumbents only
    axes.plot(
        ends,
        np.append(best[known], best[-1]),
        drawstyle="steps-post",
        color=BEST,
        linewidth=1.8,
        label="best so far",
    )


def _bound_line(axes: Axes, result: Result, across: Floats) -> None:
    bound = result.history.bound
    known = np.isfinite(bound)
    if result.bound is None and not known.any():
        return
    final = result.bound if result.bound is not None else float(bound[known][-1])
    if known.any():
        left, right = axes.get_xlim()
        axes.plot(
            np.append(across[known], max(right, across[-1])), np.append(bound[known], final),
            drawstyle="steps-post", color=BOUND, linewidth=1.4, label="proved bound",
        )  # fmt: skip
        axes.set_xlim(left, right)
    else:
        axes.axhline(final, color=BOUND, linewidth=1.4, label="proved bound")


def _scale(axes: Axes, result: Result, log: bool | None) -> None:
    """Set the value axis so that the line fills the picture; single values far off stay outside."""
    history = result.history
    shown = history.value[~history.failed & np.isfinite(history.value)]
    if not len(shown):
        return
    worst_first = result.objectives[0][1] == "minimize"
    line = history.best[np.isfinite(history.best)]
    best = float(line[-1]) if len(line) else float(shown.min() if worst_first else shown.max())
    typical = float(np.median(shown))
    positive = bool((shown > 0).all()) and (result.bound is None or result.bound > 0)
    if log is None:
        log = positive and worst_first and best > 0 and typical / best > LOG_FROM
    if log:
        if not positive:
            raise OptionError(f"log must be False or None where values are not all > 0, got {log!r}")
        axes.set_yscale("log")
        return
    low, high = np.quantile(shown, [0.0, 0.95] if worst_first else [0.05, 1.0])
    fixed = [best, *([result.bound] if result.bound is not None else [])]
    low, high = min(float(low), *fixed), max(float(high), *fixed)
    pad = 0.05 * (high - low) or max(abs(high), 1.0) * 0.05
    axes.set_ylim(low - pad, high + pad)


def _failures(axes: Axes, result: Result, across: Floats) -> None:
    """Mark failed evaluations, which have no value, on the lower edge."""
    failed = result.history.failed
    if failed.any():
        at = across[failed]
        axes.plot(
            at, np.full(len(at), 0.015), linestyle="none", marker="|", markersize=7, color=VIOLATED, label="failed",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip


# -- front ---------------------------------------------------------------------------------------------------------


def plot_front(
    result: Result, *, ax: Axes | None = None, title: str | None = None, log: bool = False
) -> Axes:
    """Draw the points that no other dominates over all feasible ones, for 2 or 3 objectives."""
    k = len(result.objectives)
    if result.front is None or k not in (2, 3):
        raise OptionError(f"kind must be 'front' only for 2 or 3 objectives, got a result with {k}")
    axes: Any = ax if ax is not None else new_axes(projection="3d" if k == 3 else None)
    if (axes.name == "3d") is not (k == 3):
        raise OptionError(
            f"ax must be {'3-d' if k == 3 else 'plain'} axes for {k} objectives, got {axes.name!r}"
        )
    history, front = result.history, result.front.F
    usable = (history.violation <= 0.0) & ~history.failed
    seen = history.F[usable]
    if k == 3 and len(front):
        seen = _near(seen, front)
    if log and (k == 3 or not (seen > 0).all()):
        raise OptionError("log must be False for 3 objectives and where values are not all > 0, got True")
    if log:
        axes.set(xscale="log", yscale="log")
    size = 4 if len(seen) > MANY else 12
    if len(seen):
        axes.scatter(
            *seen.T, s=size, c=SEEN, alpha=0.35, linewidths=0, label="evaluations",
            rasterized=len(seen) > MANY,
        )  # fmt: skip
    if len(front):
        axes.scatter(*front.T, s=26, c=BEST, linewidths=0, label=f"front ({len(front)} points)", zorder=3)
    if k == 2 and len(front) > 1:
        rises = result.objectives[1][1] == "maximize"
        first_up = result.objectives[0][1] == "maximize"
        # What one point dominates is a corner: the step shows what is attained between two of them.
        axes.plot(
            *front.T,
            color=BEST,
            linewidth=1.0,
            alpha=0.7,
            drawstyle="steps-pre" if first_up else "steps-post",
        )
        _zoom(axes, seen, front, rises, first_up)
    labels = [name if way == "minimize" else f"{name} (maximised)" for name, way in result.objectives]
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    if k == 3:
        axes.set_zlabel(labels[2])
        axes.set_box_aspect(None, zoom=0.9)  # the labels of the third axis stay inside
        axes.view_init(elev=22, azim=40)  # the corner that minimises everything faces the reader
        for each in (axes.xaxis, axes.yaxis, axes.zaxis):
            each.get_major_locator().set_params(nbins=5)
    head(axes, result, title)
    legend(axes)
    drawn: Axes = axes
    return drawn


def _near(seen: Floats, front: Floats) -> Floats:
    """Return the points around the front: axes in 3-d show everything, and far points would shrink it to a dot."""
    low, high = front.min(axis=0), front.max(axis=0)
    room = 0.3 * (high - low)
    near = ((seen >= low - room) & (seen <= high + room)).all(axis=1)
    return np.asarray(seen[near])


def _zoom(axes: Any, seen: Floats, front: Floats, second_up: bool, first_up: bool) -> None:
    """Leave the worst tenth of the points outside, so that the front fills the picture."""
    if len(seen) < 20:
        return
    for column, up, setter in ((0, first_up, axes.set_xlim), (1, second_up, axes.set_ylim)):
        cut = np.quantile(seen[:, column], 0.1 if up else 0.9)
        low = min(front[:, column].min(), cut if up else seen[:, column].min())
        high = max(front[:, column].max(), seen[:, column].max() if up else cut)
        if axes.get_xscale() == "log":  # the same margin on the logarithms
            factor = (high / low) ** 0.05
            setter(low / factor, high * factor)
        else:
            pad = 0.05 * (high - low) or 1.0
            setter(low - pad, high + pad)


KINDS: dict[str, Callable[..., Any]] = {
    "history": plot_history,
    "front": plot_front,
    "graph": plot_graph,
    "convergence": plot_convergence,
    "importance": plot_importance,
    "slice": plot_slice,
    "contour": plot_contour,
    "cross_validation": plot_cross_validation,
    "proposals": plot_proposals,
    "search": plot_search,
}
