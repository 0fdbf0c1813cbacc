"""Drawings of directed acyclic graphs: layers from top to bottom, an edge as wide as its weight or its frequency."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import OptionError, require
from optengine.core.result import Result
from optengine.report.canvas import BEST, SEEN, VIOLATED, new_axes
from optengine.report.layers import Layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RADIUS = 0.3  # of a node; a layer has the height 1
WIDTHS = 0.5, 3.5  # points: the thinnest and the widest edge
ROOM = 0.75  # inches for a node, 0.9 for a layer
FACE = "#eef3f7"


def plot_graph(
    result: Result,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    names: Sequence[str] | None = None,
    frequency: ArrayLike | None = None,
) -> Axes:
    """Draw the thresholded graph of a result.

    Args:
        result: of a problem whose details have a graph, as a DAGProblem's.
        ax: axes to draw on. title: by default the problem's name and the solver's.
        names: of the nodes, by default those of the problem, else numbers.
        frequency: (d, d), as `bootstrap_edges` counts it: the width of the edges, by default their weight.
    """
    details = result.details
    if "thresholded" not in details or "weights" not in details:
        raise OptionError(
            f"kind must be 'graph' only for a problem whose details have a graph, got {result.problem}"
        )
    return draw_graph(
        np.asarray(details["thresholded"], dtype=bool),
        names=details.get("names") if names is None else names,
        weights=np.asarray(details["weights"]),
        frequency=frequency,
        ax=ax,
        title=title if title is not None else f"{result.problem} · {result.solver}",
    )


def draw_graph(
    graph: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    frequency: ArrayLike | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw a directed graph in layers; where it has cycles, edges of their weakest links are dashed and point up.

    Args:
        graph: (d, d) booleans, [i, j] for the edge from i to j.
        names: of the d nodes; default: their numbers.
        weights: (d, d); an edge is as wide as its absolute weight, and negative ones have another colour.
        frequency: (d, d) in [0, 1]; an edge is as wide as it is frequent, and its percentage stands beside it.
        ax: axes to draw on; default: a new figure that fits.
        title: above the picture.

    Returns:
        The axes; `ax.figure.savefig("graph.png")` writes the picture.

    Raises:
        OptionError: shapes or names that do not fit the graph.
        MissingDependency: matplotlib is not installed.
    """
    edges = np.asarray(graph, dtype=bool)
    if edges.ndim != 2 or edges.shape[0] != edges.shape[1] or not len(edges):
        raise OptionError(f"graph must be a square matrix, got shape {edges.shape}")
    signed = _same("weights", weights, edges)
    share = _same("frequency", frequency, edges)
    labels = [str(name) for name in (range(len(edges)) if names is None else names)]
    if len(labels) != len(edges):
        raise OptionError(f"names must name {len(edges)} nodes, got {len(labels)}")
    strength = share if share is not None else edges * 1.0 if signed is None else np.abs(signed)
    down = _acyclic(edges, strength)
    layout = Layout(down)
    axes = ax if ax is not None else new_axes(size=_size(layout.high - layout.low))
    widest = float(strength[edges].max()) if edges.any() else 1.0
    for i, j in np.argwhere(edges).tolist():
        color = VIOLATED if signed is not None and signed[i, j] < 0 else BEST
        width = np.interp(strength[i, j], [0.0, max(widest, 1e-300)], WIDTHS)
        path = layout.paths[i, j] if down[i, j] else layout.points[[i, j]]
        _arrow(axes, path, float(width), color, dashed=not down[i, j])
        if share is not None:
            _percentage(axes, path, float(share[i, j]))
    _nodes(axes, layout, labels)
    if title is not None:
        axes.set_title(title, fontsize="medium", loc="left")
    return axes


def _same(name: str, given: ArrayLike | None, edges: Bools) -> Floats | None:
    if given is None:
        return None
    matrix = np.asarray(given, dtype=np.float64)
    if matrix.shape != edges.shape or not np.isfinite(matrix).all():
        raise OptionError(f"{name} must be finite numbers of shape {edges.shape}, got shape {matrix.shape}")
    return matrix


def _acyclic(edges: Bools, strength: Floats) -> Bools:
    """The edges without those that close a cycle, the strongest first."""
    d = len(edges)
    reach, kept = np.eye(d, dtype=bool), np.zeros((d, d), dtype=bool)
    pairs = np.argwhere(edges)
    for i, j in pairs[np.argsort(-strength[edges], kind="stable")].tolist():
        if not reach[j, i]:
            kept[i, j] = True
            reach |= reach[:, i : i + 1] & reach[j : j + 1, :]
    return kept


def _size(extent: Floats) -> tuple[float, float]:
    wide, high = extent + 1.2
    return float(np.clip(ROOM * wide, 3.0, 24.0)), float(np.clip(0.9 * high, 2.5, 24.0))


def _arrow(axes: Any, points: Floats, width: float, color: str, *, dashed: bool) -> None:
    """A smooth curve through the points, from the rim of the first node to that of the last."""
    patches = require("matplotlib.patches", extra="plot")
    path = require("matplotlib.path", extra="plot").Path
    line = points.copy()
    for end, inner in ((0, 1), (-1, -2)):
        step = line[inner] - line[end]
        line[end] = line[end] + step * min(0.45, (RADIUS + 0.02) / float(np.hypot(*step)))
    if dashed:  # against the layers: a bow, so that it does not hide an edge between the same nodes
        style = {
            "connectionstyle": "arc3,rad=0.25",
            "posA": line[0],
            "posB": line[-1],
            "shrinkA": 0,
            "shrinkB": 0,
        }
    else:
        codes, vertices = [path.MOVETO], [line[0]]
        for a, b in pairwise(line):
            half = np.array([0.0, 0.35 * (b[1] - a[1])]) if len(line) > 2 else (b - a) / 3.0
            vertices += [a + half, b - half, b]
            codes += [path.CURVE4] * 3
        style = {"path": path(vertices, codes)}
    axes.add_patch(
        patches.FancyArrowPatch(
            arrowstyle="-|>",
            mutation_scale=7.0 + 2.0 * width,
            linewidth=width,
            color=color,
            alpha=0.8,
            linestyle="--" if dashed else "-",
            **style,
        )
    )


def _percentage(axes: Any, points: Floats, share: float) -> None:
    middle = points[len(points) // 2] if len(points) > 2 else points.mean(axis=0)
    axes.annotate(
        f"{share:.0%}", middle, fontsize=6, color=SEEN, ha="center", va="center", zorder=4,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.8},
    )  # fmt: skip


def _nodes(axes: Any, layout: Layout, labels: list[str]) -> None:
    patches = require("matplotlib.patches", extra="plot")
    long = max(len(label) for label in labels)
    for place, label in zip(layout.points, labels, strict=True):
        axes.add_patch(
            patches.Circle(place, RADIUS, facecolor=FACE, edgecolor="#44525e", linewidth=1.0, zorder=3)
        )
        axes.annotate(
            label, place, fontsize=9 if long < 5 else 7 if long < 8 else 5, ha="center", va="center", zorder=5
        )
    axes.set_xlim(layout.low[0] - 0.5, layout.high[0] + 0.5)
    axes.set_ylim(layout.low[1] - 0.5, layout.high[1] + 0.5)
    axes.set_aspect("equal")
    axes.set_axis_off()
