"""Jobs made of several solves; names resolve on first use."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optengine.workflows.bootstrap import (
        EdgeFrequencies as EdgeFrequencies,
        bootstrap_edges as bootstrap_edges,
    )
    from optengine.workflows.exploration import Exploration as Exploration, explore as explore
    from optengine.workflows.hypergradient import (
        Hypergradient as Hypergradient,
        implicit_hypergradient as implicit_hypergradient,
    )
else:
    from optengine.core.lazy import attach

    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "optengine.workflows.bootstrap": ["EdgeFrequencies", "bootstrap_edges"],
            "optengine.workflows.exploration": ["Exploration", "explore"],
            "optengine.workflows.hypergradient": ["Hypergradient", "implicit_hypergradient"],
        },
    )
    del attach
