"""optengine inside the tools that people run already: each module needs its tool, and loads on first use."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optengine.integrations.ax import OptEngineNode as OptEngineNode
    from optengine.integrations.hydra import SweeperOfJobs as SweeperOfJobs
    from optengine.integrations.loops import KerasSteps as KerasSteps, LightningSteps as LightningSteps
    from optengine.integrations.optuna import (
        OptEnginePruner as OptEnginePruner,
        OptEngineSampler as OptEngineSampler,
    )
    from optengine.integrations.ray import OptEngineSearcher as OptEngineSearcher
    from optengine.integrations.sklearn import OptEngineSearchCV as OptEngineSearchCV
    from optengine.integrations.trackers import (
        MLflowTracker as MLflowTracker,
        TensorBoardTracker as TensorBoardTracker,
        WandbTracker as WandbTracker,
    )

# Public name -> the module that defines it; the module is public too.
NAMES = {
    "KerasSteps": "loops",
    "LightningSteps": "loops",
    "MLflowTracker": "trackers",
    "OptEngineNode": "ax",
    "OptEnginePruner": "optuna",
    "OptEngineSampler": "optuna",
    "OptEngineSearchCV": "sklearn",
    "OptEngineSearcher": "ray",
    "SweeperOfJobs": "hydra",
    "TensorBoardTracker": "trackers",
    "WandbTracker": "trackers",
}


def __getattr__(name: str) -> Any:
    if name in NAMES:
        return getattr(importlib.import_module(f"{__name__}.{NAMES[name]}"), name)
    if name in NAMES.values():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}, only {sorted(NAMES)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES, *NAMES.values()})
