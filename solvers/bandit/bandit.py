"""A bandit over the choice at the top: which algorithm, and its own hyperparameters, searched together (CASH).

Each value of the choice is an arm with a solver of its own on the variables that then count; a policy gives the next
evaluation to one of them. Rising bandits: Li et al., AAAI 2020, arXiv:2012.04371. MaxUCB: arXiv:2505.05226. Differs
from both: any solver inside the arms, points pending in several arms at once, values instead of rewards in [0, 1].
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine import registry
from optengine.core.errors import OptionError, did_you_mean
from optengine.core.evaluation import Evaluation
from optengine.core.solver import StopAsking
from optengine.core.space import BINARY, CATEGORICAL, ORDINAL, Batch
from optengine.solvers.bandit.arms import arms_of, start, top_of
from optengine.solvers.bandit.policies import MaxUCB, Record, Rising

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

POLICIES = ("maxucb", "rising")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandit:
    """A bandit over the values of one category, level or bit on which other variables hang.

    Attributes:
        policy: "maxucb" or "rising".
        inner: solver inside the arms, a name or a solver that is asked and told; "auto": `tpe`, which spreads its
            points where scores are noisy and asks in a millisecond. Where values are exact and dear, "bo" needs fewer.
        top: name of the choice; None: the one on which most columns hang.
        n_initial: evaluations of each arm before MaxUCB compares them, >= 1: an arm's first point says little. Also the
            first points of "bo" inside it.
        alpha: of MaxUCB: weight of what few pulls may hide, > 0.
        smoothing: of rising bandits: pulls over which an arm's progress is measured, >= 1.
        horizon: of rising bandits: evaluations of the run, >= 1; None: as many again as there were so far.
        limit: of rising bandits: value below which the objective cannot fall (above which, if maximised); None: none.
        cost_aware: count pulls in units of their cost, or of their seconds where the objective reports no cost.

    Raises:
        OptionError: a value outside its range.
    """

    policy: str = "maxucb"
    inner: Any = "auto"
    top: str | None = None
    n_initial: int = 3
    alpha: float = 0.5
    smoothing: int = 7
    horizon: int | None = None
    limit: float | None = None
    cost_aware: bool = False

    @property
    def replayable(self) -> bool:
        """Whether the same seed gives the same run: not where seconds decide, nor where the inner solver is not."""
        return not self.cost_aware and bool(self._inner().replayable)

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            near = did_you_mean(str(self.policy), POLICIES)
            raise OptionError(f"policy must be one of {list(POLICIES)}, got {self.policy!r}{near}")
        if isinstance(self.inner, str):
            if self.inner != "auto":
                registry.load(self.inner)
        elif not (dataclasses.is_dataclass(self.inner) and hasattr(self.inner, "start")):
            raise OptionError(f"inner must be 'auto', a solver's name or a solver, got {self.inner!r}")
        if self.top is not None and not isinstance(self.top, str):
            raise OptionError(f"top must be the name of a variable or None, got {self.top!r}")
        for name in ("n_initial", "smoothing", "horizon"):
            value = getattr(self, name)
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1
            if not whole and not (name == "horizon" and value is None):
                raise OptionError(f"{name} must be an integer >= 1, got {value!r}")
        if not _number(self.alpha) or not self.alpha > 0:
            raise OptionError(f"alpha must be a finite number > 0, got {self.alpha!r}")
        if self.limit is not None and not _number(self.limit):
            raise OptionError(f"limit must be a finite number or None, got {self.limit!r}")
        if not isinstance(self.cost_aware, (bool, np.bool_)):
            raise OptionError(f"cost_aware must be True or False, got {self.cost_aware!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Spaces without a choice on which something hangs, known constraints, several objectives."""
        space = problem.space
        if problem.n_objectives > 1:
            return f"its arms are compared by one objective, and the problem has {problem.n_objectives}"
        if space.constrained:
            return "it takes the space apart by its choice, and known constraints may tie the parts together"
        if space.fidelity:
            return "its arms are compared at one fidelity"
        if self.top is not None and self.top not in space.names:
            return f"top={self.top!r} is no variable of the space{did_you_mean(self.top, space.names)}"
        top = self.top or top_of(space)
        if top is None:
            return "no other variable hangs on a category, level or bit of the space"
        chosen = space.variables[top]
        if chosen.shape or chosen.conditions or chosen.kind not in (CATEGORICAL, ORDINAL, BINARY):
            return f"top={top!r} must be one unconditional category, level or bit, and is {chosen!r}"
        for arm in arms_of(space, top):
            if arm.space is not None:
                reason: str | None = self._inner().refuses(arm.problem(problem))
                if reason is not None:
                    return f"its inner solver refuses arm {arm.value!r}: {reason}"
        return None

    def _inner(self) -> Any:
        """The solver inside the arms."""
        if not isinstance(self.inner, str):
            return self.inner
        if self.inner == "bo":
            return registry.make("bo", {"n_initial": self.n_initial})
        return registry.make("tpe" if self.inner == "auto" else self.inner)

    def start(self, problem: Problem, rng: Generator) -> BanditRun:
        """Return a new run."""
        return BanditRun(self, problem, rng)


def _number(value: Any) -> bool:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return number and math.isfinite(value)


class BanditRun:
    """State of one run: an inner run and a record for each arm."""

    batch = 1

    def __init__(self, options: Bandit, problem: Problem, rng: Generator) -> None:
        self._options, self._space = options, problem.space
        self._top = options.top or str(top_of(problem.space))
        self._column = problem.space.slices[self._top].start
        self._arms = arms_of(problem.space, self._top)
        streams = rng.spawn(len(self._arms))
        self._runs = [
            start(arm, options._inner(), problem, stream)
            for arm, stream in zip(self._arms, streams, strict=True)
        ]
        for arm, run in zip(self._arms, self._runs, strict=True):
            if hasattr(run, "search"):
                raise OptionError(
                    f"inner must be a solver that is asked and told, got one that searches {arm.value!r}"
                )
        self._records = [Record() for _ in self._arms]
        self._values: list[float] = []  # finite ones, of all arms
        self._sign = float(problem.signs[0])
        limit = -math.inf if options.limit is None else options.limit * self._sign
        self._rising = Rising(options.smoothing, limit, options.horizon, bool(options.cost_aware))
        self._maxucb = MaxUCB(options.alpha, bool(options.cost_aware), options.n_initial)

    @property
    def details(self) -> dict[str, Any]:
        """What became of each arm."""
        return {
            "arms": {
                str(arm.value): {
                    "pulls": len(record.best),
                    "best": record.value * self._sign if math.isfinite(record.value) else None,
                    "dropped": record.dropped,
                }
                for arm, record in zip(self._arms, self._records, strict=True)
            }
        }

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width), each of the arm that the policy chooses, fewer where all are used up.

        Raises:
            StopAsking: no arm has a further point.
        """
        rows: list[Floats] = []
        while len(rows) < (self.batch if n is None else n):
            k = self._choose()
            if k is None:
                break
            try:
                inside = self._runs[k].ask(1)
            except StopAsking:
                self._records[k].exhausted = True
                continue
            self._records[k].pending += 1
            rows.append(self._whole(k, inside[0]))
        if not rows:
            raise StopAsking
        return np.stack(rows)

    def _choose(self) -> int | None:
        if self._options.policy == "rising":
            return self._rising.choose(self._records)
        return self._maxucb.choose(self._records, np.array(self._values))

    def _whole(self, k: int, inside: Floats) -> Floats:
        """The row (width,) of the whole space at the arm's row."""
        arm, row = self._arms[k], self._space.lower[None, :].copy()
        row[0, arm.columns] = inside
        row[0, self._column] = arm.code
        whole: Floats = self._space.canonical(row)[0]
        return whole

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width): each arm those of its own points."""
        for k, arm in enumerate(self._arms):
            mine = np.flatnonzero(X[:, self._column] == arm.code)
            if not len(mine):
                continue
            told = evaluation.take(mine)
            self._runs[k].tell(np.ascontiguousarray(X[mine][:, arm.columns]), told)
            self._enter(self._records[k], told)

    def _enter(self, record: Record, told: Evaluation) -> None:
        asked = len(told) if told.ids is None else int((told.ids >= 0).sum())
        record.pending = max(0, record.pending - asked)
        values = np.where(told.feasible(), told.F[:, 0], np.inf)
        for value in values.tolist():
            record.best.append(min(record.value, value))
        self._values += values[np.isfinite(values)].tolist()
        price = told.cost if told.cost is not None else told.seconds
        record.cost += 0.0 if price is None else float(np.nansum(price))
