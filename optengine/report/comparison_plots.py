"""Pictures of a comparison of solvers; each returns axes on a figure of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.report.canvas import new_axes
from optengine.report.comparison import ACCURACY, ALPHA, FINEST, TARGETS, Comparison, Trace

Floats = NDArray[np.float64]

# Okabe and Ito (2008), then line styles: eight colours times three are told apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c8c8c")
STYLES = ("-", "--", ":")
SMALL, WIDE = (6.2, 3.6), (6.2, 3.9)  # inches
GRID = 120  # places of a convergence curve


def look(solvers: list[str], solver: str) -> dict[str, Any]:
    """Return the colour and line of a solver, the same in every picture."""
    i = solvers.index(solver)
    return {"color": COLORS[i % len(COLORS)], "linestyle": STYLES[i // len(COLORS) % len(STYLES)]}


def plot_runtimes(comparison: Comparison) -> Any:
    """The share of all targets reached over evaluations."""
    axes = _axes(
        "evaluations",
        "share of (problem, seed, target)",
        f"Targets reached: {TARGETS} a run, gap 1 to {FINEST:g} of the first",
    )
    last = max((t.n_evaluations for t in comparison.traces), default=1)
    for solver in comparison.solvers:
        x, share = comparison.runtime_distribution(solver)
        _curve(axes, x, share, last, comparison, solver)
    axes.set_xscale("log")
    return _done(axes)


def plot_performance(comparison: Comparison) -> Any:
    """Performance profiles."""
    axes = _axes(
        "evaluations, times those of the fastest",
        "share of problems",
        f"Performance profile: gap {ACCURACY:.0%} of the first",
    )
    curves = {solver: comparison.performance_profile(solver) for solver in comparison.solvers}
    last = max([2.0, *(float(x[-1]) for x, _ in curves.values() if len(x))])
    for solver, (x, share) in curves.items():
        _curve(axes, x, share, last, comparison, solver)
    axes.set_xscale("log")
    axes.set_xlim(left=1.0)
    return _done(axes)


def plot_data(comparison: Comparison) -> Any:
    """Data profiles."""
    axes = _axes(
        "evaluations / (columns + 1)", "share of problems", f"Data profile: gap {ACCURACY:.0%} of the first"
    )
    columns = {t.problem: t.columns for t in comparison.traces}
    last = max((t.n_evaluations / (columns[t.problem] + 1.0) for t in comparison.traces), default=1.0)
    for solver in comparison.solvers:
        _curve(axes, *comparison.data_profile(solver), last, comparison, solver)
    axes.set_xscale("log")
    return _done(axes)


def plot_ranks(comparison: Comparison) -> Any:
    """Mean ranks on a line, with bars over solvers that the critical difference does not tell apart."""
    ranks = comparison.ranks()
    k = len(ranks.solvers)
    axes = new_axes(size=(6.2, 1.3 + 0.24 * k))
    axes.set_title(f"Mean rank over {ranks.problems} problems (1 is best)", fontsize="medium", loc="left")
    axes.set_xlim(0.5, k + 0.5)
    axes.set_ylim(-0.6, k + 0.9)
    axes.invert_yaxis()
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    axes.xaxis.tick_top()
    axes.set_xticks(range(1, k + 1))
    axes.set_yticks([])
    for i, (solver, rank) in enumerate(zip(ranks.solvers, ranks.mean, strict=True)):
        color = look(comparison.solvers, solver)["color"]
        axes.plot([rank, rank], [-0.6, i], color=color, linewidth=1.0)
        axes.plot([rank], [i], "o", color=color, markersize=5)
        left = rank <= (k + 1) / 2
        axes.annotate(
            f"{solver}  {rank:.2f}",
            (rank, i),
            xytext=(7 if left else -7, 0),
            textcoords="offset points",
            ha="left" if left else "right",
            va="center",
            fontsize="small",
        )
    if np.isfinite(ranks.difference):
        groups = _cliques(ranks.mean, ranks.difference)
        for i, (a, b) in enumerate(groups):
            axes.plot(
                [ranks.mean[a] - 0.04, ranks.mean[b] + 0.04],
                [k - 0.2 + 0.35 * i] * 2,
                color="black",
                linewidth=2.5,
                solid_capstyle="butt",
            )
        axes.set_ylim(k + 0.2 + 0.35 * len(groups), -0.6)
        axes.set_xlabel(
            f"critical difference {ranks.difference:.2f} (Nemenyi, {1 - ALPHA:.0%}); "
            "a bar joins solvers that are not told apart",
            fontsize="small",
        )
    return axes


def _cliques(mean: Floats, difference: float) -> list[tuple[int, int]]:
    """Maximal runs of sorted ranks that lie within the difference."""
    found: list[tuple[int, int]] = []
    for a in range(len(mean)):
        b = int(np.searchsorted(mean, mean[a] + difference, "right")) - 1
        if b > a and not (found and found[-1][1] >= b):
            found.append((a, b))
    return found


def plot_convergence_of(comparison: Comparison, problem: str) -> Any:
    """Median and quartiles over seeds of the best value so far, for every solver."""
    known = problem in comparison.best_known
    axes = _axes("evaluations", "value", problem)
    last = max((t.n_evaluations for t in comparison.traces if t.problem == problem), default=1)
    grid = np.unique(np.round(np.geomspace(1, max(last, 2), GRID)))
    gaps = _log_gap(comparison, problem)
    for solver in comparison.solvers:
        runs = comparison.of(problem, solver)
        if not runs:
            continue
        curves = np.array([_at(comparison, t, grid, gaps) for t in runs])
        ends = max(t.n_evaluations for t in runs)
        shown = grid <= max(ends, 1)
        low, middle, high = (_quantile(curves[:, shown], q) for q in (0.25, 0.5, 0.75))
        style = look(comparison.solvers, solver)
        axes.plot(grid[shown], middle, label=solver, linewidth=1.6, drawstyle="steps-post", **style)
        if len(runs) > 1:
            axes.fill_between(
                grid[shown], low, high, step="post", color=style["color"], alpha=0.15, linewidth=0
            )
    axes.set_xscale("log")
    if gaps:
        axes.set_yscale("log")
        axes.set_ylabel("value - best known" if known else "value - best of all runs")
    else:
        axes.set_ylabel("best so far")
        if known:
            axes.axhline(comparison.best_known[problem], color="black", linewidth=0.8, linestyle=":")
    return _done(axes)


def _log_gap(comparison: Comparison, problem: str) -> bool:
    """Whether the gaps of the runs span more than two decades, so that a logarithmic axis shows more."""
    runs = [t for t in comparison.traces if t.problem == problem and len(t.best)]
    gaps = np.concatenate([comparison.regret(t, t.best) for t in runs]) if runs else np.empty(0)
    positive = gaps[gaps > 0]
    return bool(len(positive) and positive.max() > 100 * np.quantile(positive, 0.05))


def _at(comparison: Comparison, trace: Trace, grid: Floats, gaps: bool) -> Floats:
    """The value, or its gap, after so many evaluations; NaN before the first feasible one."""
    place = np.searchsorted(trace.evaluations, grid, "right") - 1
    if not len(trace.best):
        return np.full(len(grid), np.nan)
    values = comparison.regret(trace, trace.best) if gaps else trace.best
    values = np.where(values > 0, values, np.nan) if gaps else values
    return np.where(place >= 0, values[np.maximum(place, 0)], np.nan)


def _quantile(curves: Floats, q: float) -> Floats:
    """Quantile over runs, NaN where fewer than half of them have a value."""
    enough = (~np.isnan(curves)).mean(axis=0) >= 0.5
    found = np.full(curves.shape[1], np.nan)
    if enough.any():
        found[enough] = np.nanquantile(curves[:, enough], q, axis=0)
    return found


def _axes(x: str, y: str, title: str) -> Any:
    axes = new_axes(size=SMALL)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize="medium", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _curve(axes: Any, x: Floats, share: Floats, last: float, comparison: Comparison, solver: str) -> None:
    ends = float(share[-1]) if len(share) else 0.0
    first = [x[0]] if len(x) else [last / 10]  # a curve rises from 0; one that never does lies on the axis
    axes.plot(
        np.concatenate([first, x, [max(last, x[-1] if len(x) else last)]]),
        np.concatenate([[0.0], share, [ends]]),
        label=solver,
        drawstyle="steps-post",
        linewidth=1.6,
        **look(comparison.solvers, solver),
    )
    axes.set_ylim(-0.02, 1.02)


def _done(axes: Any) -> Any:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize="x-small", framealpha=0.85, edgecolor="none")
    return axes
