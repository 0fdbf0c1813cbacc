"""From a problem and a solver to a result: evaluation, budget, incumbent, seeds, resume."""

from optengine.engine.drive import Snapshot as Snapshot
from optengine.engine.optimizer import (
    Candidate as Candidate,
    Candidates as Candidates,
    Optimizer as Optimizer,
)
from optengine.engine.solving import maximize as maximize, minimize as minimize, solve as solve

__all__ = ["Candidate", "Candidates", "Optimizer", "Snapshot", "maximize", "minimize", "solve"]
