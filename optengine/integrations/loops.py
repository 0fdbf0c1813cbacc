"""Early stopping inside training loops that other libraries run: callbacks without their libraries.

Each hands the monitored value to `oe.intermediate` and ends the training where the run's rule says so. They answer
every hook that their library may call and do nothing in the others, so that neither library is imported.
"""

from __future__ import annotations

from typing import Any

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.steps import intermediate


def _nothing(*_: Any, **__: Any) -> None:
    """A hook that is of no interest."""


class _Hooks:
    """Answers hooks by doing nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("on_", "set_", "setup", "teardown")):
            return _nothing
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


def _monitored(metrics: Any, name: str) -> float:
    if name not in metrics:
        near = did_you_mean(name, [str(known) for known in metrics])
        raise ProblemError(f"monitor must be one of {sorted(map(str, metrics))}, got {name!r}{near}")
    return float(metrics[name])


class LightningSteps(_Hooks):
    """A callback for Lightning's Trainer: reports a metric after each validation.

    Args:
        monitor: name of the metric, logged by the module, in the direction of the objective.
    """

    def __init__(self, monitor: str = "val_loss") -> None:
        self.monitor = monitor

    @property
    def state_key(self) -> str:
        return f"LightningSteps({self.monitor!r})"

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        if getattr(trainer, "sanity_checking", False):
            return
        value = _monitored(trainer.callback_metrics, self.monitor)
        if intermediate(trainer.current_epoch + 1, value, raises=False):
            trainer.should_stop = True


class KerasSteps(_Hooks):
    """A callback for Keras' `fit`: reports a metric after each epoch.

    Args:
        monitor: name of the metric in the epoch's logs, in the direction of the objective.
    """

    async_safe = False  # Keras asks

    def __init__(self, monitor: str = "val_loss") -> None:
        self.monitor = monitor
        self.model: Any = None

    def set_model(self, model: Any) -> None:
        self.model = model

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if intermediate(epoch + 1, _monitored(logs or {}, self.monitor), raises=False):
            self.model.stop_training = True
