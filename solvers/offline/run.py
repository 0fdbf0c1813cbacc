"""What all offline solvers share: fit, search the model, choose the batch, say how far to trust it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.core.space import Batch
from optengine.problems.offline import Offline
from optengine.solvers.offline.choosing import SPACING, by_turns, choose, pessimistic
from optengine.solvers.offline.ensemble import Ensemble, Model
from optengine.solvers.offline.relaxed import Relaxed, ascend
from optengine.solvers.offline.searching import MOST_CHILDREN, Pool, all_points, in_chunks, substitute
from optengine.solvers.offline.table import Table
from optengine.solvers.offline.trust import Nearness, calibrate, warnings_of
from optengine.surrogates.posterior import Posterior, Setting, spread_rows

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

DEPTHS = (25, 50, 100, 200)  # steps of the ascent after which its points are candidates
HEDGED = (2, 8, 32, 128)  # the same where nothing was learnt: some stay beside the rows they start from
STARTS = 128  # best rows from which searches start
MOST_ROWS = 3000  # that a Gaussian process is fitted to
WORK = 2**17  # features of the children of one generation of substitutions: wide spaces look at fewer
CONSTRAINT = Setting(0.33, 1e-2, 0.1)  # of the models of observed constraints
NEUTRAL = Setting(0.33, 1e-2, 0.1)  # of intervals where no setting was chosen


def check_options(options: Any, whole: Sequence[str] = (), positive: Sequence[str] = ()) -> None:
    """Check numeric options: whole numbers >= 1, and positive finite numbers."""
    for name in whole:
        value = getattr(options, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise OptionError(f"{name} must be an integer >= 1, got {value!r}")
    for name in positive:
        value = getattr(options, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value < np.inf:
            raise OptionError(f"{name} must be a number > 0, got {value!r}")


def refuses_all_but_tables(problem: Problem) -> str | None:
    """The answer of `refuses` that all offline solvers share."""
    return None if isinstance(problem, Offline) else "it reads the table of an Offline problem"


class OfflineRun(ABC):
    """State of one run; `details` is what the result says beside the candidates."""

    def __init__(self, problem: Offline, rng: Generator) -> None:
        self._problem, self._rng = problem, rng
        self.details: dict[str, Any] = {}
        self._setting = NEUTRAL
        self._spearman: float | None = None
        self._hedged = False  # depths of the ascent and random draws take turns, whatever is predicted

    @abstractmethod
    def fit(self, table: Table, control: Control) -> Ensemble:
        """Return the models."""

    def search(self, control: Control) -> None:
        """Fit, search, choose, and report."""
        table = Table(self._problem)
        ensemble = self.fit(table, control)
        pool = self.candidates(table, ensemble, control)
        self._report(table, ensemble, pool, control)

    def constraint_models(self, table: Table) -> list[Model]:
        """A Gaussian process for each observed constraint."""
        rows = spread_rows(table.t, MOST_ROWS, self._rng)
        return [Posterior(table.Z[rows], column[rows], CONSTRAINT) for column in table.g.T]

    def candidates(self, table: Table, ensemble: Ensemble, control: Control) -> Pool:
        """Search the ensemble: every point of small spaces, else ascents, substitutions, or both."""
        score = lambda X: ensemble.score(table.features.of(X))  # noqa: E731  (a name for three uses)
        everything = all_points(table.space)
        if everything is not None:
            if table.space.constrained:
                everything = everything[table.space.satisfies(everything)]
            fresh = everything[table.new(everything)]
            f = in_chunks(score, fresh, control.stop)
            best = fresh[np.argsort(-f, kind="stable")[: 8 * self._problem.n_candidates]]
            return Pool(best, ["enumeration"] * len(best))
        pools = []
        starts = table.top(STARTS)
        relaxed = Relaxed(table.space, table.features)
        whole = np.isin(table.space.kind, (0,)).all()  # real numbers only
        if relaxed.possible:
            pools.append(self._climb(table, relaxed, ensemble, starts, control))
        if self._hedged:
            drawn = table.kept(table.space.sample(self._problem.n_candidates, self._rng), self._rng)
            pools.append(Pool(drawn, ["draw"] * len(drawn)))
        if not whole:
            first = starts if not pools else np.concatenate([starts, *(p.X for p in pools)])
            found = substitute(
                table.space,
                score,
                first,
                self._rng,
                control.stop,
                repair=table.kept,
                n=8 * self._problem.n_candidates,
                most=min(MOST_CHILDREN, max(256, WORK // table.features.n)),
            )
            pools.append(Pool(found, ["substitution"] * len(found)))
        return Pool.join(pools)

    def _climb(
        self, table: Table, relaxed: Relaxed, ensemble: Ensemble, starts: Batch, control: Control
    ) -> Pool:
        depths = HEDGED if self._hedged else DEPTHS
        reached = ascend(relaxed, ensemble.slope, table.features.of(starts), depths, 0.02, control.stop)
        reached = [table.kept(X, self._rng) for X in reached]
        near = Nearness.of(table.Z, self._rng)
        features = [
            table.Z[: len(starts)] * 0 + table.features.of(starts),
            *(table.features.of(X) for X in reached),
        ]
        self.details["curve"] = {
            "steps": np.array([0, *depths]),
            "prediction": table.value(np.array([ensemble.score(Z).mean() for Z in features])),
            "distance": np.array([near.distance(Z).mean() for Z in features]),
        }
        names = [f"ascent {depth}" for depth in depths for _ in starts]
        return Pool(np.concatenate(reached), names)

    def _report(self, table: Table, ensemble: Ensemble, pool: Pool, control: Control) -> None:
        """Choose the batch, describe it, and hand it over."""
        n = self._problem.n_candidates
        fresh = np.flatnonzero(table.new(pool.X))
        X, member = self._filled(table, pool.X[fresh], [pool.member[i] for i in fresh], n)
        Z = table.features.of(X)
        near = Nearness.of(table.Z, self._rng)
        P, violation = ensemble.members(Z), ensemble.violation(Z)
        standing = pessimistic(P) if ensemble.aggregate != "mean" or len(P) > 1 else P[0]
        standing = (by_turns(member) if self._hedged else standing) - 1e3 * violation
        kept = choose(Z, standing, n, SPACING * near.usual)
        X, Z, P, violation = X[kept], Z[kept], P[:, kept], violation[kept]
        calibration = calibrate(table.Z, table.t, self._setting, self._rng)
        middle, distance = P.mean(axis=0), near.distance(Z)
        ends = calibration.interval(Z)
        interval = np.sort(table.value(ends), axis=1)
        found = warnings_of(distance, near, self._spearman, float(middle.max() - table.t.max()))
        outside = ((middle < ends[:, 0]) | (middle > ends[:, 1]))[distance <= near.far]
        if outside.any() and outside.mean() > 0.5:
            found.append(
                f"{outside.mean():.0%} of the predictions near the table lie outside their intervals, which come from "
                "a Gaussian process: the two models disagree"
            )
        if len(X) < n:
            found.append(f"only {len(X)} of {n} candidates were found")
        self.details |= {
            "candidates": X,
            "prediction": table.value(middle),
            "spread": table.size(P.std(axis=0)),
            "distance": distance,
            "interval": interval,
            "far": near.far,
            "best_row": float(table.value(table.t.max())),
            "member": [member[i] for i in kept],
            "warnings": found,
        }
        if self._spearman is not None:
            self.details["extrapolation"] = self._spearman
        if violation.any():
            self.details["predicted_violation"] = violation
        message = "; ".join(["nothing was evaluated: predictions stand in details", *found])
        cast(Any, control).propose(X[0], float(violation[0]), message)

    def _filled(self, table: Table, X: Batch, member: list[str], n: int) -> tuple[Batch, list[str]]:
        """Add random neighbours of good rows where searches gave fewer than n new points."""
        for _ in range(20):
            if len(X) >= n:
                break
            base = X if len(X) else table.top(STARTS)
            more = table.kept(
                table.space.neighbours(np.resize(base, (4 * n, X.shape[1])), self._rng), self._rng
            )
            joined = np.concatenate([X, more])
            fresh = np.flatnonzero(table.new(joined))
            fresh = fresh[: max(n, len(X))] if len(fresh) > n else fresh
            names = [*member, *["neighbour"] * len(more)]
            X, member = joined[fresh], [names[i] for i in fresh]
        return X, member
