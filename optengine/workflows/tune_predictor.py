"""Choosing how a predictor is used: k0, k1 and the radius, by runs of our own solver within a stated budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optengine.core.errors import OptionError, ProblemError
from optengine.engine import solve
from optengine.problems.milp import MILP
from optengine.report.primal import incumbents, primal_integral
from optengine.solvers.milp.predictor import ranked

if TYPE_CHECKING:
    from optengine.solvers.milp.learning.pools import Pool
    from optengine.solvers.milp.learning.predictor import Predictor

Settings = dict[str, Any]

SHARES = (0.3, 0.5, 0.7, 0.8, 0.9)  # tried as k0, first alone and then with the surest ones
SURE = 0.3  # share of a typical number of ones that is held near 1 in the second half
QUANTILE = 0.8  # of the wrong predictions over the validation instances: the radius
SLIGHT, HALF = 0.05, 0.5  # radii up to this are tried as 0, too, and all where no more than half is fixed
MOST = 0.3  # larger radii restrict nothing that helps
WHOLE: Settings = {"k0": 0.0, "k1": 0.0, "radius": 0.0}  # no prediction: the bare solver
USUAL: Settings = {"k0": 0.4, "k1": 0.0, "radius": 0.15}  # what the published settings have in common


# Tried with the best of the settings while the seconds last: without local search, with neighbourhoods of the incumbent
# after a third of the time, and behind the other backend.
WAYS: tuple[dict[str, Any], ...] = ({"jump": 0.0}, {"first": 0.3}, {"backend": "scip"}, {"backend": "highs"})


def candidates(predictor: Predictor, pools: Sequence[tuple[MILP, Pool]]) -> list[Settings]:
    """Settings worth a run, the bare solver first.

    The radius of each is what the predictions need on the validation instances: of the chosen binaries, those that
    differ from the nearest solution of the pool.
    """
    known = [
        (predictor.scores(problem)[problem.binaries], pool.X.astype(np.int64))
        for problem, pool in pools
        if len(pool)
    ]
    if not known:
        return [WHOLE, USUAL]
    ones = float(np.median([X[0].mean() for _, X in known]))
    found = [WHOLE]
    for k1 in (0.0, round(SURE * ones, 3)):
        for k0 in SHARES:
            if k0 + k1 > 1.0:
                continue
            radius = float(np.quantile([_wrong(scores, X, k0, k1) for scores, X in known], QUANTILE))
            if radius <= MOST:
                found.append({"k0": k0, "k1": k1, "radius": round(radius, 4)})
            slight = 0.0 < radius <= SLIGHT or (k0 <= HALF and radius > SLIGHT)
            if slight and k1 == 0.0:  # fixing shrinks the model, which may be worth a few errors
                found.append({"k0": k0, "k1": k1, "radius": 0.0})
    return found


def _wrong(scores: np.ndarray, X: np.ndarray, k0: float, k1: float) -> float:
    """Share of the chosen binaries that the nearest solution has otherwise."""
    order = ranked(scores)
    n0, n1 = round(k0 * len(order)), round(k1 * len(order))
    zeros, ones = order[:n0], order[len(order) - n1 :]
    wrong = X[:, zeros].sum(axis=1) + (1 - X[:, ones]).sum(axis=1)
    return float(wrong.min()) / max(1, n0 + n1)


def tune_predictor(
    predictor: Predictor,
    problems: Sequence[MILP],
    *,
    seconds: float,
    time_limit: float = 10.0,
    pools: Sequence[tuple[MILP, Pool]] = (),
    backend: str = "auto",
    bare: bool = True,
    jump: float | None = None,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> Predictor:
    """Return the predictor with the settings of the least mean primal integral on some problems.

    Every candidate runs on one problem; the better half goes on to the next, while the budget lasts. What is left of it
    goes to `jump`, `first` and `backend` of the search, unless they are given.

    Args:
        predictor: trained.
        problems: to try the settings on, none of those trained on, and of the size to be solved.
        seconds: of solving in all. time_limit: of each run.
        pools: validation problems and their solutions, which give the radii.
        backend, jump: of predict_and_search; "auto" and None leave them open.
        bare: whether the bare solver is a candidate: where it wins, the predictor is set to restrict nothing.
        seed: of the runs.
        say: told what came of each candidate.

    Raises:
        ProblemError: no problems. OptionError: a budget that does not last for two runs.
    """
    if not problems:
        raise ProblemError("problems to tune on must be one at least, got none")
    if not seconds >= 2 * time_limit:
        raise OptionError(
            f"tune_seconds must last for two runs of {time_limit:g} s at least, got {seconds!r}"
        )
    trials = _Trials(predictor, problems, seconds, time_limit, seed, say)
    given: dict[str, Any] = {} if backend == "auto" else {"backend": backend}
    given |= {} if jump is None else {"jump": jump}
    left = candidates(predictor, pools)[0 if bare else 1 :] or [USUAL]
    chosen = trials.best([given | one for one in left])
    ways = [chosen] + [chosen | way for way in WAYS if not any(name in given for name in way)]
    if len(ways) > 1 and trials.left >= len(ways):
        chosen = trials.best(ways)
    kept = {name: value for name, value in chosen.items() if name not in given}
    return predictor.tuned(kept, tune_runs=trials.n_runs, tune_limit=float(time_limit))


class _Trials:
    """Runs of our own solver within a budget of seconds."""

    def __init__(
        self,
        predictor: Predictor,
        problems: Sequence[MILP],
        seconds: float,
        time_limit: float,
        seed: int,
        say: Callable[[str], None] | None,
    ) -> None:
        self._predictor, self._problems, self._limit, self._seed = predictor, problems, time_limit, seed
        self._say, self._end, self.n_runs = say, time.perf_counter() + seconds, 0
        self._most = int(seconds // time_limit)

    @property
    def left(self) -> int:
        """Runs left: as many as the seconds last for, and no more where runs end before their limit."""
        lasting = int((self._end - time.perf_counter()) / self._limit + 0.1)
        return min(lasting, self._most - self.n_runs)

    def best(self, options: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The options of the least mean primal integral; the better half goes on to the next problem."""
        alive = list(range(len(options)))[: max(2, self.left)]
        scores: list[list[float]] = [[] for _ in options]
        for problem in self._problems:
            if len(alive) < 2 or self.left < len(alive):
                break
            traces = [self._run(problem, options[i]) for i in alive]
            values = [float(value[-1]) for _, value in traces if len(value)]
            best = (min if problem.signs[0] > 0 else max)(values, default=0.0)
            for i, (t, value) in zip(alive, traces, strict=True):
                scores[i].append(primal_integral(t, value, best, self._limit))
                if self._say is not None:
                    self._say(
                        f"tuning on {problem.name!r}: {options[i]} primal integral {scores[i][-1]:.4g} s"
                    )
            ranking = sorted(alive, key=lambda i: (float(np.mean(scores[i])), i))
            alive = ranking[: max(2, (len(alive) + 1) // 2)]
        return options[min(alive, key=lambda i: float(np.mean(scores[i])) if scores[i] else np.inf)]

    def _run(self, problem: MILP, options: dict[str, Any]) -> Any:
        self.n_runs += 1
        result = solve(
            problem,
            "predict_and_search",
            time_limit=self._limit,
            seed=self._seed,
            device="cpu",
            options={"predictor": self._predictor, **options},
        )
        return incumbents(result)
