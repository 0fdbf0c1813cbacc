"""The loop of `OptEngineSearchCV`: ask, fit on the folds, tell; and what a journal brings back."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.problem import Failed, Objective, Partial, Problem
from optengine.core.result import Result
from optengine.engine import Candidate, Optimizer
from optengine.engine.limits import Limits
from optengine.engine.progress import ProgressBar
from optengine.engine.stopper import Stopper
from optengine.engine.stopping import HalvingRule
from optengine.integrations.sklearn_folds import Folds, Trial
from optengine.integrations.sklearn_space import SearchSpace

Floats = NDArray[np.float64]

FIRST_FOLDS = 2  # folds before a candidate may be dropped: fewer have no spread
SAMPLES = "n_samples"
USUAL = "tpe"  # solver of a search with one metric
WHY = "a search with one metric: folds differ by more than a model sees, and fits are often as cheap as its proposals"


class Scores(Problem):
    """The problem that a search states: its objective is called by scikit-learn's machinery, not by us."""

    def __init__(self, space: Any, metrics: Sequence[str | None], origin: dict[str, Any]) -> None:
        names = ["score" if metric is None else f"mean_test_{metric}" for metric in metrics]
        goals = [Objective(name, "maximize") for name in names]
        super().__init__(_scored, space, objectives=goals, call="dict", name="search")
        self._origin = origin

    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"origin": self._origin}


def _scored(x: dict[str, Any]) -> float:
    raise NotImplementedError("a search fits its candidates on folds")


def origin_of(search: Any, X: Any, y: Any, n_splits: int) -> dict[str, Any]:
    """What a journaled search must have in common with one that continues it: estimator, data, folds, scoring."""
    import joblib

    fields = {
        "estimator": _whole_repr(search.estimator),
        "data": joblib.hash((X, y)),
        "cv": repr(search.cv),
        "n_splits": n_splits,
        "scoring": repr(search.scoring) if not callable(search.scoring) else search.scoring.__qualname__,
        "resource": [
            repr(getattr(search, name)) for name in ("resource", "factor", "min_resource", "max_resource")
        ],
        "racing": repr(search.racing),
    }
    text = repr(sorted(fields.items())).encode()
    return {
        **{k: v for k, v in fields.items() if len(str(v)) < 200},
        "digest": hashlib.sha256(text).hexdigest()[:16],
    }


def _whole_repr(estimator: Any) -> str:
    """The repr of an estimator, which scikit-learn's own cuts short."""
    try:
        return str(estimator.__repr__(N_CHAR_MAX=1_000_000))
    except TypeError:  # a class of the user's with a repr of its own
        return repr(estimator)


def check(search: Any) -> None:
    """Refuse settings that are ours alone and out of range; what the solver takes it checks itself.

    Raises:
        OptionError: one sentence.
    """
    for name in ("n_iter", "batch_size"):
        value = getattr(search, name)
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1
        if not whole and not (name == "batch_size" and value is None):
            raise OptionError(
                f"{name} must be an integer >= 1{' or None' * (name == 'batch_size')}, got {value!r}"
            )
    level = search.racing
    if not isinstance(level, (bool, np.bool_)) and not (isinstance(level, float) and 0 < level < 1):
        raise OptionError(f"racing must be True, False or a level between 0 and 1, got {level!r}")
    if search.callbacks is not None and not (
        isinstance(search.callbacks, (list, tuple)) and all(callable(c) for c in search.callbacks)
    ):
        raise OptionError(f"callbacks must be a list of functions of a Snapshot, got {search.callbacks!r}")


class Search:
    """One search.

    Args:
        search: the estimator whose settings count. folds: where candidates are fitted.
        metrics: what is maximised: names of scores, or None for the only one.
        origin: of the problem's fingerprint. seed: of the solver, None draws one.

    Attributes:
        trials: what was fitted, by candidate; with a resource once for each amount.
    """

    def __init__(
        self,
        search: Any,
        folds: Folds,
        metrics: Sequence[str | None],
        origin: dict[str, Any],
        seed: int | None,
    ) -> None:
        check(search)
        self._search, self._folds, self._metrics = search, folds, list(metrics)
        self.space = SearchSpace(search.search_space)
        self._problem = Scores(self.space.space, metrics, origin)
        self._seed = seed
        self.trials: dict[int, list[Trial]] = {}
        self._rungs = self._amounts()
        first = self._rungs[0] if self._rungs else 1.0
        self._stopper = Stopper(HalvingRule(first=first or 1.0, factor=float(search.factor)), -1.0)

    # -- the loop ----------------------------------------------------------------------------------------------

    def run(self) -> Result:
        """Search to the end of the budget and return the run."""
        search = self._search
        limits = Limits(budget=search.n_iter, time_limit=search.time_limit)
        watchers = [] if search.callbacks is None else list(search.callbacks)
        with ExitStack() as stack:
            optimizer = stack.enter_context(self._optimizer())
            if search.progress:
                watchers.append(stack.enter_context(ProgressBar(limits, type(search.estimator).__name__)))
            self._take_up(optimizer)
            waiting: Sequence[Candidate] = optimizer.pending
            while waiting or not optimizer.done:
                if not waiting:
                    waiting = list(optimizer.ask(self._batch()))
                if waiting:
                    optimizer.tell(waiting, self._values(waiting))
                    snapshot = optimizer.snapshot()
                    answers = [watcher(snapshot) for watcher in watchers]
                    if any(answer is True for answer in answers):
                        break
                waiting = []
            result = optimizer.result()
            return dataclasses.replace(result, reason=WHY) if self._usual else result

    @property
    def _usual(self) -> bool:
        """Whether the solver is ours to choose, and one metric is maximised."""
        solver = self._search.solver
        return isinstance(solver, str) and solver == "auto" and len(self._metrics) == 1

    def _optimizer(self) -> Optimizer:
        search = self._search
        return Optimizer(
            self._problem,
            USUAL if self._usual else search.solver,
            seed=self._seed,
            budget=search.n_iter,
            time_limit=search.time_limit,
            batch_size=self._batch(),
            storage=search.storage,
            name=search.name,
            options=search.options,
        )

    def _batch(self) -> int:
        """Candidates fitted together: as many as keep the workers busy."""
        given = self._search.batch_size
        return int(given) if given is not None else max(1, -(-self._folds.workers // len(self._folds.splits)))

    def _take_up(self, optimizer: Optimizer) -> None:
        """Take in what earlier sessions of a journaled search fitted."""
        for candidate, note in optimizer.told:
            if note is None or "fits" not in note:
                continue
            self.trials[candidate.number] = self._noted(candidate, note)
            if self._rungs:
                self._enter_curve(self.trials[candidate.number])

    def _noted(self, candidate: Candidate, note: dict[str, Any]) -> list[Trial]:
        parameters = self.space.parameters(candidate.x)
        return [Trial(self._with(parameters, amount), outs, amount) for amount, outs in note["fits"]]

    # -- candidates --------------------------------------------------------------------------------------------

    def _values(self, candidates: Sequence[Candidate]) -> list[Any]:
        """Fit candidates and return what the solver is told of each."""
        for candidate in candidates:
            self.trials[candidate.number] = []
        if self._rungs:
            stopped = self._climb(candidates)
        else:
            stopped = self._fit(candidates)
        return [self._value(self.trials[c.number], stopped.get(c.number)) for c in candidates]

    def _fit(self, candidates: Sequence[Candidate]) -> dict[int, float]:
        """Fit all folds, or with racing those that are needed; return the scores told of candidates dropped."""
        started = [self._folds.new(self.space.parameters(c.x)) for c in candidates]
        for candidate, trial in zip(candidates, started, strict=True):
            self.trials[candidate.number] = [trial]
        n = len(self._folds.splits)
        if not self._search.racing or n <= FIRST_FOLDS:
            for trial in started:
                trial.waiting = list(range(n))
            self._folds.fit(started)
            return {}
        dropped: dict[int, float] = {}
        low, racing = 0, dict(zip((c.number for c in candidates), started, strict=True))
        while low < n and racing:
            wave = max(FIRST_FOLDS if low == 0 else 1, self._folds.workers // len(racing))
            high = min(n, low + wave)
            for trial in racing.values():
                trial.waiting = list(range(low, high))
            self._folds.fit(list(racing.values()))
            low = high
            for number, trial in list(racing.items()):
                told = self._lost(trial) if low < n else None
                if told is not None:
                    dropped[number] = told
                    del racing[number]
        return dropped

    def _lost(self, trial: Trial) -> float | None:
        """What is told of a candidate that cannot win: on the folds so far it is worse than the best candidate.

        A one-sided paired t-test of the differences on the folds that both have, at level `racing` (True: 0.05).
        """
        from scipy.special import stdtr

        metric = self._metrics[0]
        whole = [
            t for fits in self.trials.values() for t in fits if t.whole and t is not trial and t.error is None
        ]
        means = [float(t.scores(metric).mean()) for t in whole]
        if not whole or not np.isfinite(means).any():
            return None
        best = whole[int(np.nanargmax(means))].scores(metric)
        mine = trial.scores(metric)
        lag = (best - mine)[~np.isnan(mine)]
        if trial.error is not None or len(lag) < FIRST_FOLDS or lag.mean() <= 0:
            return None
        spread = float(lag.std(ddof=1)) / math.sqrt(len(lag))
        level = 0.05 if self._search.racing is True else float(self._search.racing)
        chance = 0.0 if spread == 0 else float(stdtr(len(lag) - 1, -lag.mean() / spread))
        return float(best.mean() - lag.mean()) if chance < level else None

    # -- a resource --------------------------------------------------------------------------------------------

    def _amounts(self) -> list[float]:
        """Amounts of the resource at the rungs, the last one being all; empty without a resource."""
        search = self._search
        if search.resource is None:
            return []
        if search.racing:
            raise OptionError(f"racing must be False beside resource, got racing={search.racing!r}")
        if not isinstance(search.factor, (int, float)) or not search.factor > 1:
            raise OptionError(f"factor must be a number > 1, got {search.factor!r}")
        most = search.max_resource
        if most is None and search.resource == SAMPLES:
            most = self._folds.smallest()
        if most is None:
            raise OptionError(f"max_resource must be a number for resource={search.resource!r}, got None")
        least = (
            search.min_resource if search.min_resource is not None else max(1, round(most / search.factor**2))
        )
        if not 0 < least <= most:
            raise OptionError(f"min_resource must be > 0 and <= max_resource {most}, got {least!r}")
        whole = float(most).is_integer() and float(least).is_integer()
        amounts = [float(least)]
        while amounts[-1] * search.factor < most * 0.999:
            amounts.append(amounts[-1] * search.factor)
        if amounts[-1] < most:
            amounts.append(float(most))
        return [int(a) for a in amounts] if whole else amounts

    def _with(self, parameters: dict[str, Any], amount: float | None) -> dict[str, Any]:
        resource = self._search.resource
        return parameters if amount is None or resource == SAMPLES else {**parameters, resource: amount}

    def _climb(self, candidates: Sequence[Candidate]) -> dict[int, float]:
        """Fit with more and more of the resource what is not stopped; return the scores told of those stopped."""
        keys = {c.number: self._stopper.begin() for c in candidates}
        going, stopped = list(candidates), {}
        for amount in self._rungs:
            shares = None
            if self._search.resource == SAMPLES:
                shares = [amount / self._rungs[-1]] * len(going)
            fits = [self._folds.new(self._with(self.space.parameters(c.x), amount), amount) for c in going]
            for candidate, trial in zip(going, fits, strict=True):
                trial.waiting = list(range(len(self._folds.splits)))
                self.trials[candidate.number].append(trial)
            self._folds.fit(fits, shares)
            still = []
            for candidate, trial in zip(going, fits, strict=True):
                key, score = keys[candidate.number], float(trial.scores(self._metrics[0]).mean())
                if math.isnan(score) or trial.error is not None:
                    continue  # failed
                if self._stopper.report(key, amount, score) and amount < self._rungs[-1]:
                    stopped[candidate.number] = -self._stopper.told(key, -score)
                elif amount < self._rungs[-1]:
                    still.append(candidate)
                else:
                    self._stopper.ended(key)
            going = still
            if not going:
                break
        return stopped

    def _enter_curve(self, fits: list[Trial]) -> None:
        """Enter what a journal kept of one candidate among the curves."""
        key = self._stopper.begin()
        for trial in fits:
            score = float(trial.scores(self._metrics[0]).mean())
            if math.isnan(score) or trial.error is not None:
                return
            self._stopper.report(key, float(trial.resource or 0.0), score)
        if fits and fits[-1].resource == self._rungs[-1]:
            self._stopper.ended(key)

    # -- what the solver is told -------------------------------------------------------------------------------

    def _value(self, fits: list[Trial], stopped: float | None) -> Any:
        note = {"fits": [[trial.resource, trial.outs] for trial in fits]}
        last = fits[-1]
        means = [float(last.scores(metric).mean()) for metric in self._metrics]
        if stopped is not None:
            means = [stopped, *means[1:]]
        if last.error is not None or any(math.isnan(mean) for mean in means):
            return Failed(last.error or "a score is NaN", note)
        told: dict[str, Any] = {o.name: m for o, m in zip(self._problem.objectives, means, strict=True)}
        told |= {"cost": sum(trial.seconds for trial in fits), "note": note}
        if stopped is not None:
            return Partial(told, None if last.resource is None else float(last.resource))
        if self._search.noise:
            told["noise"] = [self._noise(last, metric) for metric in self._metrics]
        return told

    def _noise(self, trial: Trial, metric: str | None) -> float:
        """Standard error of a candidate's mean, without what all candidates share: the folds' own difficulty.

        Candidates meet the same folds. What a fold adds to the scores of all says nothing about which candidate is
        better; the deviations that remain, once the folds' mean effects so far are taken off, do.
        """
        rows = [
            t.scores(metric)
            for fits in self.trials.values()
            for t in fits[-1:]
            if t.whole and t.error is None
        ]
        table = np.array([row for row in rows if np.isfinite(row).all()])
        n = len(self._folds.splits)
        if len(table) < 3 or n < 2:
            return math.nan
        effect = np.median(table - table.mean(axis=1, keepdims=True), axis=0)
        rest = trial.scores(metric) - effect
        return float(rest.std(ddof=1)) / math.sqrt(n)
