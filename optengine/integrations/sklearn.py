"""`OptEngineSearchCV`: any solver of ours as scikit-learn's hyperparameter search.

A drop-in for `RandomizedSearchCV`: the same attributes, the same `cv_results_`, nested and in pipelines, with routed
metadata. Works with scikit-learn 1.6 and newer; of its private parts only those are used that its own searches share.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, Self

import numpy as np

from optengine.core.errors import OptionError, require

require("sklearn", "hpo")

from sklearn.base import _fit_context, clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._split import _yields_constant_splits
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import check_random_state, indexable
from sklearn.utils.validation import _check_method_params

from optengine.integrations.sklearn_folds import Folds, missing
from optengine.integrations.sklearn_search import Search, origin_of


class OptEngineSearchCV(BaseSearchCV):  # type: ignore[misc]  # scikit-learn ships no types
    """Hyperparameter search by cross-validation, with any solver of optengine.

    A candidate whose fit raises is a failure: told to the solver as such, scored `error_score` in `cv_results_`. The
    solver is told the mean score, its standard error (see `noise`) and the seconds that fitting took.

    Args:
        estimator: what is tuned.
        search_space: parameter -> what it may be: a variable of ours; (low, high) or (low, high, "log-uniform"), whole
            numbers if both are; a frozen distribution of SciPy, which is searched by its quantiles where it is none of
            uniform, loguniform and randint; a list of choices. A list of such dicts: alternatives, of which each
            candidate takes one. Or a `Space`, with conditions and known constraints.
        n_iter: candidates, >= 1.
        solver: a registered name, a solver, or "auto": `tpe` for one metric, which asks in about a millisecond; where a
            fit takes minutes and its score says much, `bo` may do with fewer. As in `solve` for several metrics.
        options: settings of the solver named.
        time_limit: seconds after which no further candidate is begun.
        batch_size: candidates fitted together; None: as many as keep `n_jobs` busy. The candidates depend on it.
        scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score: as in scikit-learn's own
            searches. All candidates meet the same folds, also where `cv` would draw new ones each time.
        optimize: metric that is maximised, or a list of metrics for a front of candidates; default `refit` where it
            names one, else the first metric.
        random_state: of the solver.
        noise: tell the solver the standard error of each mean score. What a fold adds to the scores of all candidates
            is taken off before, as it does not bear on which is better.
        racing: stop a candidate's folds once a paired t-test against the best candidate says that it is worse; True
            (level 0.05) or the level. The folds left out are NaN in `cv_results_`, and so is the candidate's mean.
        resource: name of a parameter (e.g. "n_estimators"), or "n_samples", that is raised step by step for candidates
            that stay among the best (successive halving). Then `cv_results_` has one row a candidate and amount, with
            columns `n_resources` and `iter`, as in scikit-learn's halving searches.
        min_resource, max_resource, factor: smallest amount (default max_resource / factor^2), largest amount (default
            all samples; needed otherwise), and what it is multiplied with.
        storage, name: journal, e.g. "sqlite:///runs.db", and the search's name there: the same `fit` continues a search
            that was killed; nothing finished is fitted again.
        callbacks: functions of a `Snapshot`, called after each batch; one that returns True ends the search.
        progress: draw a progress bar.

    Attributes:
        cv_results_, best_index_, best_params_, best_score_, best_estimator_, refit_time_, scorer_, n_splits_,
            multimetric_, classes_, n_features_in_, feature_names_in_: as in scikit-learn's own searches.
        optimizer_result_: the run as a `Result`. search_space_: the `Space` that was searched.

    Raises:
        SpaceError, OptionError, StorageError: one sentence each.
        ValueError: every fit failed, as in scikit-learn.
    """

    def __init__(
        self,
        estimator: Any,
        search_space: Any,
        *,
        n_iter: int = 50,
        solver: Any = "auto",
        options: Mapping[str, Any] | None = None,
        time_limit: float | None = None,
        batch_size: int | None = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        optimize: Any = None,
        random_state: Any = None,
        noise: bool = True,
        racing: bool | float = False,
        resource: str | None = None,
        min_resource: float | None = None,
        max_resource: float | None = None,
        factor: float = 3,
        storage: Any = None,
        name: str | None = None,
        callbacks: Any = None,
        progress: bool = False,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.search_space = search_space
        self.n_iter = n_iter
        self.solver = solver
        self.options = options
        self.time_limit = time_limit
        self.batch_size = batch_size
        self.optimize = optimize
        self.random_state = random_state
        self.noise = noise
        self.racing = racing
        self.resource = resource
        self.min_resource = min_resource
        self.max_resource = max_resource
        self.factor = factor
        self.storage = storage
        self.name = name
        self.callbacks = callbacks
        self.progress = progress

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Search, and fit the best candidate on all data unless `refit` is False.

        Args:
            X: (n_samples, n_features). y: (n_samples,) or (n_samples, n_outputs), None without supervision.
            params: passed to the estimator's `fit`, the scorer and the splitter, as in scikit-learn's own searches.
        """
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        context = self._begin_callbacks(X, y, params)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        seed = self._seed(cv)
        origin = {} if self.storage is None else origin_of(self, X, y, self.n_splits_)
        with Folds(self, X, y, scorers, routed, cv, seed or 0) as folds:
            if len(folds.splits) != self.n_splits_:
                raise ValueError(
                    "cv.split and cv.get_n_splits returned inconsistent results: expected "
                    f"{self.n_splits_} splits, got {len(folds.splits)}"
                )
            if context is not None:
                folds.context = context.subcontext(
                    task_name="search", max_subtasks=None
                ).call_on_fit_task_begin(estimator=self)
            search = Search(self, folds, self._metrics(scorers), origin, seed)
            self.search_space_ = search.space.space
            self.optimizer_result_ = search.run()
            if folds.context is not None:
                folds.context.call_on_fit_task_end(estimator=self)
        self.cv_results_ = self._results(search)
        self._choose(search, refit_metric)
        if self.refit:
            self._refit(X, y, routed, params, context)
        self.scorer_ = getattr(scorers, "_scorers", scorers)  # several as a dict, the only one as itself
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y, metadata=_weights(params))
        return self

    def _seed(self, cv: Any) -> int | None:
        """The solver's seed; a journaled search keeps its own, and its folds must come again."""
        if self.storage is not None and not _yields_constant_splits(cv):
            raise OptionError(
                f"cv must give the same folds each time for storage=, set its random_state, got {cv!r}"
            )
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        if self.random_state is None and self.storage is not None:
            return None
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _metrics(self, scorers: Any) -> list[str | None]:
        """What is maximised."""
        if self.optimize is not None:
            wanted = [self.optimize] if isinstance(self.optimize, str) else list(self.optimize)
            known = getattr(scorers, "_scorers", None)
            if known is not None and not set(wanted) <= set(known):
                raise OptionError(
                    f"optimize must name metrics of scoring, {list(known)}, got {self.optimize!r}"
                )
            return list(wanted)
        return [self.refit] if isinstance(self.refit, str) else [None]

    # -- the end -----------------------------------------------------------------------------------------------

    def _results(self, search: Search) -> dict[str, Any]:
        """`cv_results_`, and the warnings that scikit-learn gives of failed fits."""
        trials = [trial for number in sorted(search.trials) for trial in search.trials[number]]
        outs = [dict(out) for trial in trials for out in trial.outs if out is not None]
        if not outs:
            raise ValueError("No fits were performed. Were there no candidates?")
        _warn_or_raise_about_fit_failures(outs, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(outs, self.error_score)
        given = iter(outs)
        filled = [missing(outs[0]) if out is None else next(given) for trial in trials for out in trial.outs]
        self.multimetric_ = isinstance(outs[0]["test_scores"], dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(outs[0]["test_scores"])
        more: dict[str, list[Any]] = {}
        if self.resource is not None:
            rungs = [i for number in sorted(search.trials) for i in range(len(search.trials[number]))]
            more = {"iter": rungs, "n_resources": [trial.resource for trial in trials]}
        with warnings.catch_warnings():
            if self.racing:  # folds left out are no surprise
                warnings.filterwarnings("ignore", "One or more of the", UserWarning)
            results: dict[str, Any] = self._format_results(
                [trial.parameters for trial in trials], self.n_splits_, filled, more
            )
        return results

    def _choose(self, search: Search, refit_metric: Any) -> None:
        """Set `best_index_`, `best_params_` and `best_score_`, where scikit-learn does."""
        results = self.cv_results_
        metric = self.refit if self.multimetric_ else refit_metric
        if not self.refit and self.multimetric_:
            return
        if self.resource is not None and not callable(self.refit):
            last = results["n_resources"] == results["n_resources"].max()
            rank = np.where(last, results[f"rank_test_{metric}"], np.iinfo(np.int32).max)
            self.best_index_ = int(rank.argmin())
        else:
            self.best_index_ = self._select_best_index(self.refit, metric, results)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _refit(self, X: Any, y: Any, routed: Any, params: Mapping[str, Any], context: Any) -> None:
        """Fit the best candidate on all data."""
        best = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        around: Any = nullcontext()
        if context is not None:
            context = context.subcontext(task_name="refit-with-best-params")
            around = context.propagate_callback_context(best)
        with around:
            if context is not None:
                context.call_on_fit_task_begin(estimator=self, X=X, y=y, metadata=_weights(params))
            began = time.time()
            best.fit(*((X,) if y is None else (X, y)), **routed.estimator.fit)
            self.refit_time_ = time.time() - began
        self.best_estimator_ = best
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y, metadata=_weights(params))

    def _begin_callbacks(self, X: Any, y: Any, params: Mapping[str, Any]) -> Any:
        """The root of scikit-learn's own callbacks (1.9); None before there were any."""
        if not hasattr(self, "_init_callback_context"):
            return None
        context = self._init_callback_context(max_subtasks=1 + (self.refit is not False))
        return context.call_on_fit_task_begin(estimator=self, X=X, y=y, metadata=_weights(params))


def _weights(params: Mapping[str, Any]) -> dict[str, Any] | None:
    given = params.get("sample_weight")
    return None if given is None else {"sample_weight": given}


__all__ = ["OptEngineSearchCV"]
