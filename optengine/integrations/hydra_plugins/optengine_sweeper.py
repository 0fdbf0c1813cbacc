"""Where Hydra looks for plugins: `hydra_plugins` is a folder without `__init__.py` that all plugins share."""

from hydra.core.config_store import ConfigStore

from optengine.integrations.hydra import SweeperConf, SweeperOfJobs


class OptEngineSweeper(SweeperOfJobs):
    """The sweeper that `hydra/sweeper=optengine` takes; Hydra accepts classes of this folder only."""


ConfigStore.instance().store(group="hydra/sweeper", name="optengine", node=SweeperConf, provider="optengine")
