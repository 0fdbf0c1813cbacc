"""A real tuning problem on the data sets that come with scikit-learn.

Choose a kind of estimator, its scaling and its hyperparameters so that its cross-validated error is least: a mixed,
conditional space of 12 variables, of which 4 to 6 are active at a time. It is deterministic (fixed folds and random
states), needs no download, and one evaluation takes about 0.02 to 0.3 s on one core.

Data: digits (1,797 images, 10 classes), breast_cancer (569, 2 classes), wine (178, 3 classes) and diabetes (442,
regression) of `sklearn.datasets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from optengine.core.errors import ProblemError, did_you_mean, require
from optengine.core.problem import Problem
from optengine.core.space import Categorical, Integer, Real, Space

DATASETS = ("digits", "breast_cancer", "wine", "diabetes")
REPEATS = {
    "digits": 1,
    "breast_cancer": 2,
    "wine": 4,
    "diabetes": 2,
}  # small data need more folds for a smooth error
N_FOLDS = 3
DIGITS_USED = 800  # of 1,797: keeps an evaluation under 0.3 s

SPACE = {
    "scaling": Categorical(["standard", "minmax", "robust"]),
    "kind": Categorical(["svm", "forest", "knn", "ridge"]),
    "svm_kernel": Categorical(["rbf", "poly", "sigmoid"], when=("kind", "svm")),
    "svm_c": Real(1e-2, 1e3, log=True, when=("kind", "svm")),
    "svm_gamma": Real(1e-5, 1e1, log=True, when=("kind", "svm")),
    "svm_degree": Integer(2, 5, when={"kind": "svm", "svm_kernel": "poly"}),
    "forest_trees": Integer(5, 40, log=True, when=("kind", "forest")),
    "forest_depth": Integer(2, 16, when=("kind", "forest")),
    "forest_features": Real(0.05, 1.0, when=("kind", "forest")),  # share of features tried at a split
    "knn_neighbours": Integer(1, 40, log=True, when=("kind", "knn")),
    "knn_weights": Categorical(["uniform", "distance"], when=("kind", "knn")),
    "ridge_alpha": Real(1e-3, 1e4, log=True, when=("kind", "ridge")),
}


def sklearn_tuning(dataset: str = "digits", *, seed: int = 0) -> Problem:
    """Tune an estimator on one of scikit-learn's bundled data sets; minimised.

    The objective `error` is the cross-validated share of wrong answers (digits, breast_cancer, wine), or the root mean
    squared error in units of the target's standard deviation (diabetes: predicting the mean gives about 1).

    Args:
        dataset: "digits", "breast_cancer", "wine" or "diabetes".
        seed: of the folds and the estimators; the same seed gives the same problem.

    Raises:
        ProblemError: an unknown data set, or a seed that is not an integer >= 0.
        MissingDependency: scikit-learn is not installed.
    """
    if dataset not in DATASETS:
        raise ProblemError(
            f"dataset must be one of {', '.join(DATASETS)}, got {dataset!r}{did_you_mean(dataset, DATASETS)}"
        )
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ProblemError(f"seed must be an integer >= 0, got {seed!r}")
    require("sklearn", "hpo")
    return Tuning(_CrossValidation(dataset, int(seed)))


class Tuning(Problem):
    """What `sklearn_tuning` returns."""

    def __init__(self, function: _CrossValidation) -> None:
        super().__init__(
            function, Space(SPACE), call="dict", objectives=["error"], name=f"tuning-{function.dataset}"
        )
        self.origin = {"dataset": function.dataset, "seed": function.seed}

    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"origin": self.origin}


@dataclass(frozen=True)
class _CrossValidation:
    """The objective. Holds names only; data and folds are loaded where it is called and never pickled."""

    dataset: str
    seed: int

    @property
    def classifies(self) -> bool:
        return self.dataset != "diabetes"

    @cached_property
    def _folds(self) -> list[tuple[Any, Any, Any, Any]]:
        """Training inputs and targets, test inputs and targets, of each fold."""
        X, y = getattr(require("sklearn.datasets", "hpo"), f"load_{self.dataset}")(return_X_y=True)
        selection = require("sklearn.model_selection", "hpo")
        if self.dataset == "digits":
            X, _, y, _ = selection.train_test_split(
                X, y, train_size=DIGITS_USED, stratify=y, random_state=self.seed
            )
        splitter = selection.RepeatedStratifiedKFold if self.classifies else selection.RepeatedKFold
        folds = splitter(n_splits=N_FOLDS, n_repeats=REPEATS[self.dataset], random_state=self.seed)
        y = y if self.classifies else (y - y.mean()) / y.std()
        return [(X[train], y[train], X[test], y[test]) for train, test in folds.split(X, y)]

    def __getstate__(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "seed": self.seed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __call__(self, x: dict[str, Any]) -> float:
        """Cross-validated error of the estimator that x describes."""
        errors = []
        for X, y, X_test, y_test in self._folds:
            scaler = self._scaler(x["scaling"])
            predicted = self._estimator(x).fit(scaler.fit_transform(X), y).predict(scaler.transform(X_test))
            errors.append(
                np.mean(predicted != y_test) if self.classifies else np.mean((predicted - y_test) ** 2)
            )
        mean = float(np.mean(errors))
        return mean if self.classifies else mean**0.5

    def _scaler(self, name: str) -> Any:
        classes = {"standard": "StandardScaler", "minmax": "MinMaxScaler", "robust": "RobustScaler"}
        return getattr(require("sklearn.preprocessing", "hpo"), classes[name])()

    def _estimator(self, x: dict[str, Any]) -> Any:
        if x["kind"] == "svm":
            svm = require("sklearn.svm", "hpo")
            options = {"kernel": x["svm_kernel"], "C": x["svm_c"], "gamma": x["svm_gamma"]}
            options |= {"degree": x["svm_degree"]} if x["svm_kernel"] == "poly" else {}
            return svm.SVC(**options) if self.classifies else svm.SVR(**options)
        if x["kind"] == "forest":
            ensemble = require("sklearn.ensemble", "hpo")
            make = ensemble.RandomForestClassifier if self.classifies else ensemble.RandomForestRegressor
            return make(
                n_estimators=x["forest_trees"],
                max_depth=x["forest_depth"],
                max_features=x["forest_features"],
                random_state=self.seed,
            )
        if x["kind"] == "knn":
            neighbors = require("sklearn.neighbors", "hpo")
            make = neighbors.KNeighborsClassifier if self.classifies else neighbors.KNeighborsRegressor
            return make(n_neighbors=x["knn_neighbours"], weights=x["knn_weights"])
        linear = require("sklearn.linear_model", "hpo")
        make = linear.RidgeClassifier if self.classifies else linear.Ridge
        return make(alpha=x["ridge_alpha"])
