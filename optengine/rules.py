"""The rules of `auto`: which solver, or which stages, a problem and a budget get, and why.

Decided by the problem, the budget and the workers alone, so that the same call chooses the same; only where a time
limit stands alone, the first evaluations are timed (solver `relay` with `seconds`). Chosen on other instances than
those that benchmarks/auto.py reports.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from optengine import registry
from optengine.core.space import BINARY, CATEGORICAL, INTEGER, ORDINAL, PERMUTATION, REAL, SUBSET

if TYPE_CHECKING:
    from optengine.core.problem import Problem

MODERATE = 100_000  # evaluations that a local search in Python spends in some ten seconds
FEWEST_FOR_FRONTS = 200  # evaluations: two generations of the default population
MANY = 2000  # evaluations a column from which a vectorised objective is taken for a cheap one
FEWEST_MIXED = 40  # evaluations a column below which a covariance over levels and categories is not learnt
MOST_BAYES = 100  # evaluations for which a model's 50 ms a point are spent without being asked
WIDEST_BAYES = 20  # columns up to which they are
MOST_MIXED = 200  # columns: a generation costs O(columns^2), and O(columns^3) now and then
FIRST = 50  # evaluations of a model before another method takes over what it found
HEAT = 10  # evaluations a column of each racer where two methods tie
LONG = 100  # evaluations a column from which a race costs little
FEW_CATEGORIES = 15  # evaluations a column below which densities of categories are all that can be learnt
SKETCH = 6  # evaluations a column of those densities before a strategy over categories goes on
LEARNT = 24  # and of the strategy before it gives way to crossover
MOST_FRONT_BAYES = (
    2  # objectives up to which a model's hypervolume is taken: with three it costs many times more
)
MOST_ARMS = 100  # evaluations for which a bandit's models are spent; they cost their square
DENSITIES = 250  # evaluations of `tpe` after it
MODEL_SECONDS = 0.05  # that a model takes for a point
MODEL_SHARE = 0.2  # of a run's seconds that models may take where evaluations were timed

Rule = tuple[str, dict[str, Any], str]  # solver, options, reason


@dataclass(frozen=True)
class Choice:
    """What `auto` takes: a solver's name and options, and why."""

    solver: str
    options: dict[str, Any]
    reason: str


def plan(
    problem: Problem,
    budget: int | None,
    workers: int,
    *,
    time_limit: float | None = None,
    seconds: float | None = None,
) -> Choice:
    """Return what `auto` takes, by the first rule that fits, and what more budget would change.

    d are the free columns, of conditional ones those active together; w workers. Where points spread evenly are wanted,
    they come from `sobol`, or under known constraints from `random`, which draws inside them.

    0. a structured problem (`registry.STRUCTURED`): the solver that reads its structure; for a table over categories
       alone, and with torch installed, `ram`.
    1. several objectives: `nsga2`, beyond three of them `nsga3`; with two, up to 20 columns, and no permutation or
       subset, called point by point, after 50 evaluations of `bo`. Without a model points are spread evenly where the
       budget is below two generations, or pymoo is not installed.
    2. w > budget / 5: nothing can be learnt in so few steps; points spread evenly.
    3. permutations, bits and subsets alone, without known constraints, and budget <= 100 000, or a problem that tells
       what its moves change: `ils`, which costs more a candidate and needs fewer of them.
    4. variables that hang on a choice, called point by point: `bandit`, a model for each value of the choice; with a
       budget above 100 for 50 evaluations, then `tpe` for 250, then `cmaes`.
    5. budget < 4 d: points spread evenly; `tpe` where there are categories.
    6. up to 20 columns, called point by point, with levels or categories, observed constraints or noise, budget <= 100:
       `bo`, which needs the fewest evaluations and some tens of milliseconds for each.
    7. real numbers: `hybrid`; `cmaes`, which takes a tenth of its time, for vectorised objectives with a budget above
       2000 d or none; with observed constraints (as in 6) `bo` first looks for what is feasible, 50 evaluations.
    8. categories alone: `tpe` below 15 d evaluations; else `tpe` for 6 d, `cmaes` for 24 d, and `ga`.
    9. numbers with levels, categories or bits: `cmaes` from 40 d evaluations on, and from 100 d on the winner of a race
       with `cem` of 10 d each; below, and with observed constraints (as in 6), `cmaes` after 50 evaluations of `bo`,
       whose best place is a trap for longer runs.
    10. otherwise `cem`, which treats every kind of variable.
    11. only a time limit, and called point by point: three evaluations are timed, and the rules above see how many fit.

    Args:
        problem, budget, workers: as for `solve`.
        time_limit: of the run in seconds; counts only where there is no budget.
        seconds: that an evaluation takes, where it was measured: models may take a fifth of the run.
    """
    facts = Facts(problem, workers, seconds)
    if budget is None and time_limit is not None and facts.timed:
        reason = "rule 11: only a time limit; the first evaluations are timed, and how many fit decides"
        return Choice("relay", {"seconds": float(time_limit), "workers": workers}, reason)
    solver, options, reason = _first(facts, budget)
    return Choice(solver, options, f"{reason}; {_more(facts, budget, solver, options)}")


def choose(problem: Problem, budget: int | None, workers: int) -> tuple[str, str]:
    """Return the name of the solver that `auto` takes, and the rule that chose it."""
    solver, _, reason = _first(Facts(problem, workers, None), budget)
    return solver, reason


class Facts:
    """What the rules look at, each found once."""

    def __init__(self, problem: Problem, workers: int, seconds: float | None) -> None:
        self.problem, self.space, self.workers, self.seconds = problem, problem.space, workers, seconds

    @cached_property
    def structure(self) -> Rule | None:
        """Rule 0, or None."""
        for kind in type(self.problem).__mro__:
            place = f"{kind.__module__}:{kind.__qualname__}"
            if place in registry.STRUCTURED:
                solver, why = registry.STRUCTURED[place]
                if not self.problem.evaluable and self.kinds == {CATEGORICAL} and _installed("torch"):
                    return "ram", {}, f"rule 0: {why}; sequences of categories"
                if registry.load(solver)().refuses(self.problem) is None:
                    return solver, {}, f"rule 0: {why}"
        return None

    @cached_property
    def d(self) -> int:
        """Columns that are not fixed; of conditional ones those active together, in the largest of 64 draws."""
        free = self.space.lower < self.space.upper
        if not self.space.conditional:
            return int(free.sum())
        active = self.space.active(self.space.sample(64, np.random.default_rng(0)))
        return int((active & free).sum(axis=1).max())

    @cached_property
    def kinds(self) -> set[int]:
        """Kinds of the columns that are not fixed."""
        return {int(kind) for kind in self.space.kind[self.space.lower < self.space.upper]}

    @cached_property
    def single(self) -> bool:
        """Whether the objective is called point by point: a model's time is spent on it without being asked."""
        return not self.problem.vectorized and self.problem.array == "numpy" and not self.problem.moves

    @cached_property
    def timed(self) -> bool:
        """Whether the seconds of an evaluation decide what a time limit allows."""
        return self.problem.evaluable and self.single and self.structure is None

    @cached_property
    def hangs(self) -> bool:
        """Whether variables hang on one choice, as `bandit` wants it."""
        return self.space.conditional and registry.load("bandit")().refuses(self.problem) is None

    @cached_property
    def modelled(self) -> bool:
        """Whether `bo` may be taken: few columns without permutations or subsets, called point by point."""
        known = self.kinds <= {REAL, INTEGER, ORDINAL, CATEGORICAL, BINARY}
        return self.single and known and 0 < self.d <= WIDEST_BAYES

    @cached_property
    def harder(self) -> bool:
        """Whether a model helps with one objective: levels or categories, observed constraints, or noise."""
        why = self.kinds != {REAL} or self.problem.n_constraints > 0 or self.problem.noisy
        return self.modelled and why and self.kinds != {BINARY}

    def affords(self, points: int, budget: int) -> bool:
        """Whether a model's time for so many points is small beside that of the run, where that is known."""
        if self.seconds is None:
            return True
        return points * MODEL_SECONDS <= MODEL_SHARE * budget * self.seconds / self.workers

    @property
    def even(self) -> str:
        """Who spreads points evenly."""
        return "random" if self.space.constrained else "sobol"


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _first(facts: Facts, budget: int | None) -> Rule:
    """The first rule that fits."""
    if facts.structure is not None:
        return facts.structure
    problem, k = facts.problem, facts.problem.n_objectives
    if k > 1:
        return _fronts(facts, budget, k)
    if budget is not None and facts.workers > budget / 5:
        return facts.even, {}, f"rule 2: {facts.workers} workers share budget {budget}"
    if facts.kinds and facts.kinds <= {BINARY, PERMUTATION, SUBSET} and not facts.space.constrained:
        if problem.moves:
            return "ils", {}, f"rule 3: {', '.join(problem.moves)} evaluated by their changes"
        if budget is not None and budget <= MODERATE:
            return "ils", {}, f"rule 3: permutations, bits or subsets alone, budget {budget} <= {MODERATE}"
    if budget is not None and facts.single and facts.hangs and facts.affords(min(budget, MOST_ARMS), budget):
        return _arms(facts, budget)
    if budget is not None and budget < 4 * facts.d:
        said = f"rule 5: budget {budget} < 4 x {facts.d} columns"
        return ("tpe" if CATEGORICAL in facts.kinds and facts.single else facts.even), {}, said
    if budget is not None and budget <= MOST_BAYES and facts.harder and facts.affords(budget, budget):
        return "bo", {}, f"rule 6: {facts.d} free columns, budget {budget} <= {MOST_BAYES}"
    if facts.kinds == {REAL}:
        return _reals(facts, budget)
    if facts.kinds == {CATEGORICAL}:
        return _categories(facts, budget)
    return _mixed(facts, budget)


def _fronts(facts: Facts, budget: int | None, k: int) -> Rule:
    said, after = f"rule 1: {k} objectives", "nsga2" if k <= 3 else "nsga3"
    modelled = (
        budget is not None and k <= MOST_FRONT_BAYES and facts.modelled and facts.affords(FIRST, budget)
    )
    if not _installed("pymoo"):
        return facts.even, {}, f"{said}, and pymoo is not installed: pip install 'optengine[moo]'"
    if modelled:
        return _stages([_model(), after], said)
    if budget is not None and budget < FEWEST_FOR_FRONTS:
        return facts.even, {}, f"{said}, budget {budget} < {FEWEST_FOR_FRONTS}"
    return after, {}, said


def _arms(facts: Facts, budget: int) -> Rule:
    said = "rule 4: variables that hang on a choice"
    if budget <= MOST_ARMS or not _installed("cmaes"):
        return "bandit", {}, said
    densities = {"name": "tpe", "evaluations": DENSITIES}
    return _stages([{"name": "bandit", "evaluations": FIRST}, densities, "cmaes"], said)


def _reals(facts: Facts, budget: int | None) -> Rule:
    said = f"rule 7: real numbers, {facts.d} free columns"
    if facts.problem.vectorized and (budget is None or budget > MANY * facts.d):
        return "cmaes", {}, f"{said}, vectorised, many evaluations"
    if facts.problem.n_constraints and facts.harder and budget is not None and facts.affords(FIRST, budget):
        return _stages([_model(), "hybrid"], f"{said}, observed constraints")
    return "hybrid", {}, said


def _categories(facts: Facts, budget: int | None) -> Rule:
    said = f"rule 8: categories alone, {facts.d} free columns"
    if budget is not None and budget < FEW_CATEGORIES * facts.d:
        return ("tpe" if facts.single else "cem"), {}, said
    if not _installed("cmaes") or facts.d > MOST_MIXED:
        return "cem", {}, said
    if budget is None or not _installed("pymoo") or not facts.single:
        return "cmaes", {}, said
    first = {"name": "tpe", "evaluations": SKETCH * facts.d}
    return _stages([first, {"name": "cmaes", "evaluations": LEARNT * facts.d}, "ga"], said)


def _mixed(facts: Facts, budget: int | None) -> Rule:
    numbers = facts.kinds & {REAL, INTEGER, ORDINAL} and not facts.kinds & {PERMUTATION, SUBSET}
    said = f"rule 9: numbers and levels or categories, {facts.d} free columns"
    if numbers and facts.d <= MOST_MIXED and not _installed("cmaes"):
        return "cem", {}, f"{said}, and cmaes is not installed: pip install 'optengine[evolution]'"
    enough = numbers and facts.d <= MOST_MIXED and (budget is None or budget >= FEWEST_MIXED * facts.d)
    if enough and not facts.problem.n_constraints:
        if budget is None or budget < LONG * facts.d or not facts.single:
            return "cmaes", {}, said
        return _stages([{"members": ["cmaes", "cem"], "race": HEAT * facts.d}], said)
    if numbers and budget is not None and facts.harder and facts.affords(FIRST, budget):
        return _stages([_model(), "cmaes"], said)
    if enough:
        return "cmaes", {}, said
    return "cem", {}, f"rule 10: every kind of variable, {facts.d} free columns"


def _model() -> dict[str, Any]:
    return {"name": "bo", "evaluations": FIRST}


def _stages(stages: list[Any], said: str) -> Rule:
    options = {"stages": stages}
    return "relay", options, f"{said}: {said_of('relay', options)}, told all that was evaluated"


# -- in words ----------------------------------------------------------------------------------------------------------


def _more(facts: Facts, budget: int | None, solver: str, options: dict[str, Any]) -> str:
    """What `auto` would take with more to spend."""
    if not facts.problem.evaluable:
        return "there is nothing to spend"
    if budget is None or facts.structure is not None:
        return "more time or evaluations would go to the same"
    for times in (10, 100):
        other, others, reason = _first(facts, times * budget)
        if (other, others) != (solver, options):
            return f"{times} times the budget would go to {said_of(other, others)} ({reason.split(':')[0]})"
    return "10 or 100 times the budget would go to the same"


def said_of(solver: str, options: dict[str, Any]) -> str:
    """A solver in words: of a relay, its stages with their evaluations, and its races."""
    if solver != "relay" or not options.get("stages"):
        return solver
    return " -> ".join(_stage(stage) for stage in options["stages"])


def _stage(stage: Any) -> str:
    if isinstance(stage, str):
        return stage
    if "members" in stage:
        return f"race of {' and '.join(stage['members'])}, {stage['race']} evaluations each"
    return f"{stage['name']}, {stage['evaluations']} evaluations"
