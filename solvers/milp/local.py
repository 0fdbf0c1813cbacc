"""Neighbourhood search around incumbents: the anytime fall-back for models too hard for a proof, without a prediction.

See `neighbourhoods` for the methods and their papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.backends.terms import BACKENDS, refusal
from optengine.core.solver import Control
from optengine.problems.milp import MILP
from optengine.solvers.milp.exact import backend_for, ready
from optengine.solvers.milp.jump import JUMP, first_incumbent, warm
from optengine.solvers.milp.neighbourhoods import Neighbourhoods
from optengine.solvers.milp.options import check_backend_option, check_count, check_share
from optengine.solvers.milp.reporting import Desk
from optengine.solvers.milp.stage import Stage

if TYPE_CHECKING:
    from optengine.core.problem import Problem

FIRST_NODES = 200  # of the first call where the run has no time limit


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxationInduced:
    """Relaxation-induced neighbourhood search (Danna et al. 2005), beside random neighbourhoods.

    A local search looks for an incumbent, a share of the time goes to the whole model, for a better one and a bound;
    then come restricted models, each around the incumbent. One iteration costs one call of the backend. The budget
    counts branch-and-bound nodes; with one there is no local search.

    Attributes:
        jump: share of the time limit for the local search of `FeasibilityJump`, at most: it ends when it pays no more.
        first: share of the time limit for the whole model; it goes on until there is an incumbent.
        backend: "auto", "highs", "scip" or "cpsat". gap: relative gap at which a solution counts as optimal.
        threads: None: those of the run.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = False
    needs_limit: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("relaxation", "random")

    jump: float = JUMP
    first: float = 0.2
    backend: str = "auto"
    gap: float = 0.0
    threads: int | None = None

    def __post_init__(self) -> None:
        check_share(self.jump, "jump")
        check_share(self.first, "first")
        check_backend_option(self.backend, ("auto",))
        check_share(self.gap, "gap", np.inf)
        check_count(self.threads, "threads")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a MILP with whole variables, and models that the backend does not take."""
        if not isinstance(problem, MILP):
            return "it reads the rows of a MILP"
        if not problem.integrality.any():
            return "it needs whole variables, and the model has none; solve it with 'milp'"
        return refusal(problem.model, self.backend) if self.backend in BACKENDS else None

    def start(self, problem: Problem, rng: Generator) -> NeighbourhoodRun:
        """Return a new run."""
        assert isinstance(problem, MILP)
        return NeighbourhoodRun(self, problem, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBranching(RelaxationInduced):
    """Local branching (Fischetti, Lodi 2003): a row keeps all but k binaries; beside it random neighbourhoods.

    Time, cost and attributes as for `RelaxationInduced`; it needs binaries.
    """

    kinds: ClassVar[tuple[str, ...]] = ("branching", "random")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a MILP with binaries, and models that the backend does not take."""
        if isinstance(problem, MILP) and not len(problem.binaries):
            return "it needs binary variables, and the model has none; solve it with 'milp'"
        return RelaxationInduced.refuses(self, problem)


class NeighbourhoodRun:
    """The whole model first, then neighbourhoods of the incumbent."""

    def __init__(self, options: RelaxationInduced, problem: MILP, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._backend = backend_for(problem.model, 1) if options.backend == "auto" else options.backend
        self.details: dict[str, Any] = {}

    def warm_up(self) -> None:
        """Start the backend's process or load its library before the clock starts."""
        if self._options.jump > 0:
            warm()
        ready(self._backend, self._problem.model)

    def search(self, control: Control) -> None:
        """Search and report; see the class."""
        options, desk = self._options, Desk(self._problem, control)
        if desk.stop():
            return
        self.details["backend"] = self._backend
        stage = Stage(
            self._problem.model,
            desk,
            self._backend,
            options.threads or control.threads,
            options.gap,
            self._rng,
        )
        limited = np.isfinite(desk.seconds_left)
        first_incumbent(self._problem, desk, self._rng, options.jump, self.details)
        if desk.stop():
            return
        stage.reserve(options.first)
        nodes = None if limited else FIRST_NODES
        skipped = options.first == 0 and desk.best is not None
        if skipped or not desk.conclude(
            stage.solve(self._problem.model, whole=True, nodes=nodes), options.gap
        ):
            stage.reserve(1.0)
            if desk.best is None and not desk.stop():
                stage.reserve(0.5)
                if desk.conclude(stage.solve(self._problem.model, whole=True), options.gap):
                    return
                stage.reserve(1.0)
            if not Neighbourhoods(
                self._problem, stage, self._rng, None, self.details, options.kinds
            ).search():
                desk.close()
