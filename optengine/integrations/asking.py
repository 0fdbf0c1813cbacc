"""A solver's run without a loop of ours: what hosts that keep the trials themselves ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optengine.core.errors import OptionError
from optengine.core.problem import Problem
from optengine.engine.limits import Limits
from optengine.engine.session import Session
from optengine.engine.setup import Setup, resolve


def setup_of(problem: Problem, solver: Any, options: Mapping[str, Any] | None, seed: int) -> Setup:
    """Check solver, options and whether they suit the problem; raises as `solve` does."""
    return resolve(
        problem,
        solver,
        limits=Limits(),
        seed=seed,
        x0=None,
        data=None,
        batch_size=1,
        workers=None,
        catch=True,
        device="auto",
        options=options,
        storage=None,
        name=None,
        shared=False,
        ordered=False,
    )


def session_of(problem: Problem, solver: Any, options: Mapping[str, Any] | None, seed: int) -> Session:
    """Return a session whose run is asked by `propose` and told by `run.tell`.

    Raises:
        OptionError: a solver that searches by itself; besides, what `solve` raises.
    """
    session = Session(setup_of(problem, solver, options, seed))
    if session.searches:
        raise OptionError(
            f"solver {session.setup.solver_name!r} searches by itself and cannot be asked for trials"
        )
    return session


def unevaluated(x: Any) -> float:
    """Stands as the function of a problem that the host evaluates."""
    raise NotImplementedError("the host evaluates")
