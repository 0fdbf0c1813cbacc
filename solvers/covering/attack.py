"""Directional attacks: steps through a network's gradient, with covering direct search where they fail.

Bouchet and Vidal, 2025, arXiv:2510.01461. A round first attacks: sign-gradient (FGSM, Goodfellow et al., 2015) and
projected-gradient points (PGD, Madry et al., 2018) in a ball whose radius follows their success. Only where the attack
gains little does a round of `cdsm` follow, whose covering step carries the convergence guarantee; the attack is a
heuristic accelerator. Differs from the paper: violations enter the attacked function as a quadratic penalty, and points
of a round are evaluated as one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.evaluation import best_first
from optengine.core.solver import Control
from optengine.problems.neural import NNProblem
from optengine.solvers.covering.cdsm import CDSM, CDSMRun, reflected, refuses_but_reals

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

GAIN = 1e-3  # relative, above which an attack makes the direct search superfluous
MORE, SLIGHTLY_MORE, LESS = 1.3, 1.1, 1 / 1.3  # factors of the attack's radius
LEAST, MOST = 1e-5, 1.0
PENALTY = 10.0  # of squared violations in the attacked function
BACKWARD = 2  # evaluations counted for a gradient: one forward pass, one backward


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionalAttack:
    """Attack steps and covering direct search on an NNProblem. A gradient counts as two evaluations.

    Attributes:
        radius: first radius of both, in units of the unit cube, in (0, 1].
        steps: of projected gradient in an attack, >= 1; one step is the sign-gradient attack alone.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    radius: float = 0.2
    steps: int = 3

    def __post_init__(self) -> None:
        CDSM(radius=self.radius)
        if isinstance(self.steps, bool) or not isinstance(self.steps, (int, np.integer)) or self.steps < 1:
            raise OptionError(f"steps must be an integer >= 1, got {self.steps!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but an NNProblem."""
        return (
            refuses_but_reals(problem)
            if isinstance(problem, NNProblem)
            else "it needs the gradient of an NNProblem"
        )

    def start(self, problem: Problem, rng: Generator) -> DirectionalAttackRun:
        """Return a new run."""
        assert isinstance(problem, NNProblem)
        return DirectionalAttackRun(self, problem, rng)


class DirectionalAttackRun:
    """State of one run: that of the direct search, and the attack's radius."""

    def __init__(self, options: DirectionalAttack, problem: NNProblem, rng: Generator) -> None:
        self._options, self._problem, self._space = options, problem, problem.space
        self._direct = CDSMRun(CDSM(radius=options.radius), problem.space, rng)
        self._radius = options.radius
        self._repair: Any = None
        self._rng = rng
        self.details: dict[str, Any] = {"attacks": 0, "attacks_accepted": 0}

    def search(self, control: Control) -> None:
        """Attack; where that gains little, cover, search and poll."""
        if self._space.constrained:
            from optengine.backends.repair import Repair

            self._repair = Repair(self._space).repair
        self._try(self._space.from_unit(np.full((1, self._space.width), 0.5)), control)
        if control.x0 is not None:
            self._try(control.x0, control)
        while not control.stop():
            if self._direct.value is not None and self._attack(control) >= GAIN:
                continue
            if control.stop():
                break
            self._try(self._direct.ask(self._direct.round_size), control)

    def _left(self, control: Control) -> int:
        left: int | None = control.remaining  # type: ignore[attr-defined]  # of the engine's control
        return 2**31 if left is None else left

    def _try(self, X: Floats, control: Control) -> None:
        """Evaluate points, as many as the budget allows, and tell the direct search."""
        X = X[: self._left(control)]
        if not len(X):
            return
        X = X if self._repair is None else self._repair(X, self._rng)
        evaluation = self._problem.evaluate(X)
        control.spend(len(X))
        best = int(best_first(evaluation)[0])
        if not evaluation.failed[best]:
            control.incumbent(X[best])
        self._direct.tell(X, evaluation)

    def _attack(self, control: Control) -> float:
        """One attack from the incumbent; returns the relative gain."""
        run = self._direct
        assert run.value is not None
        before = merit(run)
        U0 = self._space.to_unit(run.x)
        U = U0.copy()
        points: list[Floats] = []
        for _ in range(self._options.steps):
            if self._left(control) < BACKWARD + 1:
                break
            slope = self._slope(U)
            control.spend(BACKWARD)
            step = self._radius if not points else self._radius / self._options.steps
            U = np.clip(U - step * np.sign(slope), U0 - self._radius, U0 + self._radius)
            U = reflected(np.clip(U, 0.0, 1.0))
            points.append(U[0])
        if not points:
            return 0.0
        self.details["attacks"] += 1
        radius = run.radius
        self._try(self._space.from_unit(np.array(points)), control)
        run.radius = max(
            radius, run.radius / 2.0
        )  # the polls' radius is theirs: an attack does not change it
        after = merit(run)
        gain = (before - after) / max(abs(before), 1e-12)
        factor = MORE if gain >= GAIN else SLIGHTLY_MORE if gain > 0 else LESS
        self._radius = float(np.clip(self._radius * factor, LEAST, MOST))
        self.details["attacks_accepted"] += gain > 0
        return gain

    def _slope(self, U: Floats) -> Floats:
        """Gradient (1, width) in the unit cube, through the network and the space's scaling."""
        X = self._space.from_unit(U)
        slope = self._problem.slope(X, PENALTY)
        span = self._space.upper - self._space.lower
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(self._space.upper / self._space.lower)
        return np.asarray(slope * np.where(self._space.log, X * logs, span))


def merit(run: CDSMRun) -> float:
    """The incumbent's value, plus what it violates."""
    assert run.value is not None
    return float(run.value.F[0, 0] + PENALTY * run.value.violation[0])
