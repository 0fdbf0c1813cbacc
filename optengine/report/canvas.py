"""What all pictures share: fresh axes without global state, colours, titles, legends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optengine.core.errors import require
from optengine.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008): told apart by colour-blind readers, and in print.
BEST, BOUND, VIOLATED, SEEN = "#0072b2", "#009e73", "#d55e00", "#8c8c8c"
SIZE, SIZE_3D = (7.0, 4.2), (6.0, 5.4)  # inches
DPI = 150


def new_axes(projection: str | None = None, size: tuple[float, float] | None = None) -> Any:
    """Return axes on a figure of their own."""
    size = size or (SIZE if projection is None else SIZE_3D)
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=size, dpi=DPI, layout="constrained")
    if projection == "3d":
        require("mpl_toolkits.mplot3d", extra="plot")  # registers the projection
    return figure.add_subplot(projection=projection)


def legend(axes: Axes) -> None:
    """Add a legend where there is more than one thing to tell apart."""
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(fontsize="small", framealpha=0.85, edgecolor="none")


def head(axes: Axes, result: Result, title: str | None) -> None:
    """Set the title and the look."""
    axes.set_title(
        title if title is not None else f"{result.problem} · {result.solver}", fontsize="medium", loc="left"
    )
    if axes.name != "3d":
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
