"""Tables, pictures and HTML of finished runs, and what a model fitted to a run's evaluations says about it.

Nothing loads before it is asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optengine.report.diagnostics import (
        convergence as convergence,
        cross_validation as cross_validation,
        importances as importances,
        recommendation as recommendation,
    )
    from optengine.report.plots import plot_result as plot_result
    from optengine.report.slices import contour_over as contour_over, slice_through as slice_through
else:
    from optengine.core.lazy import attach

    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "optengine.report.diagnostics": [
                "convergence",
                "cross_validation",
                "importances",
                "recommendation",
            ],
            "optengine.report.plots": ["plot_result"],
            "optengine.report.slices": ["contour_over", "slice_through"],
        },
    )
    del attach
