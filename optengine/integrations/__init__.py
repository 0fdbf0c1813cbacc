"""optengine inside the tools that people already run; each module loads, and its tool with it, on first use."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optengine.integrations import optuna as optuna
else:
    from optengine.core.lazy import attach

    __getattr__, __dir__, __all__ = attach(__name__, {}, ["optuna"])
    del attach
