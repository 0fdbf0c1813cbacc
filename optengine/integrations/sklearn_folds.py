"""Fitting candidates on folds: what one evaluation of a search is made of.

Every candidate meets the same folds, also where the splitter would draw new ones each time it is asked. Fits of a batch
run together in joblib's workers. What a fold gave is kept as plain numbers, so that a journal can hold it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.model_selection._validation import _fit_and_score
from sklearn.utils.parallel import Parallel, delayed

Floats = NDArray[np.float64]
Out = dict[
    str, Any
]  # of one fold: test_scores, train_scores, fit_time, score_time, n_test_samples, fit_error


@dataclass
class Trial:
    """One candidate on the folds.

    Attributes:
        parameters: set on the estimator. resource: what it was given of the resource, None without one.
        outs: one a fold, None where it was not fitted.
    """

    parameters: dict[str, Any]
    outs: list[Out | None]
    resource: float | None = None
    waiting: list[int] = field(default_factory=list)

    @property
    def error(self) -> str | None:
        """What the first failing fold said, None where none failed."""
        texts = [out["fit_error"] for out in self.outs if out is not None and out["fit_error"]]
        return texts[0].strip().splitlines()[-1] if texts else None

    @property
    def whole(self) -> bool:
        """Whether every fold was fitted."""
        return all(out is not None for out in self.outs)

    @property
    def seconds(self) -> float:
        """Seconds of fitting and scoring, over the folds."""
        return float(sum(out["fit_time"] + out["score_time"] for out in self.outs if out is not None))

    def scores(self, metric: str | None) -> Floats:
        """Test scores by fold (n_splits,), NaN where there is none; None: the first metric, or the only one."""
        return np.array(
            [math.nan if out is None else _score(out["test_scores"], metric) for out in self.outs]
        )


def _score(scores: Any, metric: str | None) -> float:
    if not isinstance(scores, dict):
        return float(scores)
    name = next(iter(scores)) if metric is None else metric
    return float(scores.get(name, math.nan))


class Folds:
    """Fits and scores candidates.

    Args:
        search: the search, for its settings. X, y: the data. scorers: as scikit-learn made them.
        routed: parameters of fit, score and split. cv: the splitter.

    Attributes:
        splits: (train, test) of each fold, the same for all candidates.
    """

    def __init__(self, search: Any, X: Any, y: Any, scorers: Any, routed: Any, cv: Any, seed: int) -> None:
        self._search, self._X, self._y = search, X, y
        self._estimator = clone(search.estimator)
        self.splits = [tuple(split) for split in cv.split(X, y, **routed.splitter.split)]
        self._orders: dict[int, NDArray[np.int64]] = {}
        self._seed = seed
        self.context: Any = None  # of scikit-learn's own callbacks, where there are any
        self._keywords = {
            "scorer": scorers,
            "fit_params": routed.estimator.fit,
            "score_params": routed.scorer.score,
            "return_train_score": search.return_train_score,
            "return_n_test_samples": True,
            "return_times": True,
            "error_score": search.error_score,
            "verbose": search.verbose,
        }
        self._parallel = Parallel(n_jobs=search.n_jobs, pre_dispatch=search.pre_dispatch)

    def __enter__(self) -> Folds:
        self._parallel.__enter__()
        return self

    def __exit__(self, *trouble: Any) -> None:
        self._parallel.__exit__(*trouble)

    @property
    def workers(self) -> int:
        """How many fits run at a time."""
        from joblib import effective_n_jobs

        return int(effective_n_jobs(self._search.n_jobs))

    def smallest(self) -> int:
        """Samples in the smallest training fold."""
        return min(len(train) for train, _ in self.splits)

    def new(self, parameters: dict[str, Any], resource: float | None = None) -> Trial:
        """Return a candidate with no fold fitted yet."""
        return Trial(parameters, [None] * len(self.splits), resource)

    def fit(self, trials: Sequence[Trial], share: Iterable[float] | None = None) -> None:
        """Fit the folds in each trial's `waiting`, all of them together.

        Args:
            trials: what waits in them is fitted.
            share: of the training samples to use, one a trial; None: all.
        """
        shares = [1.0] * len(trials) if share is None else list(share)
        pairs = [(i, fold) for i, trial in enumerate(trials) for fold in trial.waiting]
        if self._search.verbose > 0:
            n_splits = len(self.splits)
            print(  # noqa: T201  (as scikit-learn's own searches do)
                f"Fitting {n_splits} folds for each of {len(trials)} candidates, totalling {len(pairs)} fits"
            )
        outs = self._parallel(
            delayed(_fit_and_score)(
                clone(self._estimator),
                self._X,
                self._y,
                train=self._train(fold, shares[i]),
                test=self.splits[fold][1],
                parameters=trials[i].parameters,
                split_progress=(fold, len(self.splits)),
                candidate_progress=(i, len(trials)),
                **self._keywords,
                **context,
            )
            for (i, fold), context in zip(pairs, self._contexts(len(pairs)), strict=True)
        )
        for (i, fold), out in zip(pairs, outs, strict=True):
            trials[i].outs[fold] = plain(out)
        for trial in trials:
            trial.waiting = []

    def _train(self, fold: int, share: float) -> Any:
        if share >= 1.0:
            return self.splits[fold][0]
        if fold not in self._orders:
            classifies = is_classifier(self._search.estimator)
            self._orders[fold] = _stratified(self.splits[fold][0], self._y, classifies, self._seed)
        order = self._orders[fold]
        return np.sort(order[: max(1, math.ceil(share * len(order)))])

    def _contexts(self, n: int) -> list[dict[str, Any]]:
        """What scikit-learn's own callbacks (1.9) want to know of each fit; nothing where there are none."""
        if self.context is None:
            return [{}] * n
        # made ahead of time: a context must not change while an estimator is being pickled
        return [
            {
                "caller": self._search,
                "callback_ctx": self.context.subcontext(task_name="candidate-split-evaluation"),
            }
            for _ in range(n)
        ]


def _stratified(train: Any, y: Any, classifies: bool, seed: int) -> NDArray[np.int64]:
    """A random order of the training samples in which every beginning has the classes in their shares."""
    train = np.asarray(train)
    if train.dtype == bool:
        train = np.flatnonzero(train)
    rng = np.random.default_rng(seed)
    order = rng.permutation(train)
    labels = np.asarray(y)[order] if classifies and y is not None else None
    if labels is None or labels.ndim != 1:
        return order
    place = np.empty(len(order))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
        place[members[0]] = 0.0  # each class once, then in their shares
    return np.asarray(order[np.argsort(place, kind="stable")])


def plain(out: Out) -> Out:
    """Return what one fold gave in Python's own numbers."""

    def numbers(scores: Any) -> Any:
        if isinstance(scores, dict):
            return {name: float(value) for name, value in scores.items()}
        return float(scores)

    kept: Out = {"test_scores": numbers(out["test_scores"])}
    if "train_scores" in out:
        kept["train_scores"] = numbers(out["train_scores"])
    kept |= {name: float(out[name]) for name in ("fit_time", "score_time")}
    return kept | {"n_test_samples": int(out["n_test_samples"]), "fit_error": out["fit_error"]}


def missing(like: Out) -> Out:
    """Return the row of a fold that was not fitted: no scores, no seconds."""
    blank = (
        dict.fromkeys(like["test_scores"], math.nan) if isinstance(like["test_scores"], dict) else math.nan
    )
    out = {**like, "test_scores": blank, "fit_time": 0.0, "score_time": 0.0, "fit_error": None}
    return out | ({"train_scores": blank} if "train_scores" in like else {})
