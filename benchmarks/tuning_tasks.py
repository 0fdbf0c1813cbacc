"""What the benchmarks of tuning share: tasks on real and generated data, searches of ours and of peers, and a clock.

A search space is stated once, as `OptEngineSearchCV` takes it; `for_sklearn` and `suggest` read it for the peers.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn import datasets
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, _search, _validation, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

Space = list[dict[str, Any]]


@dataclass
class Task:
    """What is tuned, on which data; score is to be maximised.

    Attributes:
        resource: parameter that halving raises, and its largest amount; "n_samples" where there is none.
    """

    estimator: Any
    space: Space
    X: np.ndarray
    y: np.ndarray
    scoring: str
    cv: Any
    resource: str = "n_samples"
    most: Any = "auto"


def part(loaded: Any, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    X, y = loaded
    if len(X) <= n:
        return X, y
    X, _, y, _ = train_test_split(X, y, train_size=n, stratify=y, random_state=seed)
    return X, y


def svm(seed: int) -> Task:
    space = {
        "svc__C": (1e-3, 1e3, "log-uniform"),
        "svc__gamma": (1e-6, 1e1, "log-uniform"),
        "svc__kernel": ["rbf", "poly", "sigmoid"],
        "svc__degree": (2, 5),
        "svc__coef0": (0.0, 1.0),
    }
    X, y = part(datasets.load_digits(return_X_y=True), 400, seed)
    return Task(make_pipeline(StandardScaler(), SVC()), [space], X, y, "accuracy", folds(seed))


def forest(seed: int) -> Task:
    space = {
        "max_depth": (2, 20),
        "max_features": (0.02, 1.0),
        "min_samples_leaf": (1, 20),
        "min_samples_split": (2, 20),
        "criterion": ["gini", "entropy"],
        "bootstrap": [True, False],
    }
    X, y = part(datasets.load_digits(return_X_y=True), 300, seed)
    estimator = RandomForestClassifier(15, random_state=seed)
    return Task(estimator, [space], X, y, "accuracy", folds(seed), "n_estimators", 15)


def boosting(seed: int) -> Task:
    space = {
        "learning_rate": (1e-3, 1.0, "log-uniform"),
        "max_depth": (1, 6),
        "subsample": (0.2, 1.0),
        "min_samples_leaf": (1, 40),
        "max_features": (0.1, 1.0),
    }
    X, y = datasets.load_diabetes(return_X_y=True)
    estimator = GradientBoostingRegressor(n_estimators=40, random_state=seed)
    cv = KFold(3, shuffle=True, random_state=seed)
    return Task(estimator, [space], X, y, "r2", cv, "n_estimators", 40)


def mlp(seed: int) -> Task:
    space = {
        "mlpclassifier__hidden_layer_sizes": (4, 64, "log-uniform"),
        "mlpclassifier__alpha": (1e-6, 1e1, "log-uniform"),
        "mlpclassifier__learning_rate_init": (1e-4, 1e-1, "log-uniform"),
        "mlpclassifier__activation": ["relu", "tanh", "logistic"],
        "mlpclassifier__batch_size": (16, 128, "log-uniform"),
    }
    X, y = datasets.make_classification(300, 12, n_informative=6, n_classes=3, flip_y=0.05, random_state=seed)
    estimator = make_pipeline(StandardScaler(), MLPClassifier(max_iter=25, random_state=seed))
    return Task(estimator, [space], X, y, "neg_log_loss", folds(seed), "mlpclassifier__max_iter", 25)


def pipeline(seed: int) -> Task:
    before = {
        "scale": [StandardScaler(), MinMaxScaler(), "passthrough"],
        "reduce": ["passthrough", PCA(5), PCA(15)],
    }
    space = [
        {**before, "clf": [LogisticRegression(max_iter=300)], "clf__C": (1e-4, 1e3, "log-uniform")},
        {
            **before,
            "clf": [KNeighborsClassifier()],
            "clf__n_neighbors": (1, 40, "log-uniform"),
            "clf__p": [1, 2],
        },
        {
            **before,
            "clf": [SVC()],
            "clf__C": (1e-3, 1e3, "log-uniform"),
            "clf__gamma": (1e-5, 1e1, "log-uniform"),
        },
    ]
    X, y = datasets.make_classification(300, 25, n_informative=8, n_classes=2, flip_y=0.02, random_state=seed)
    steps = [("scale", StandardScaler()), ("reduce", "passthrough"), ("clf", LogisticRegression())]
    return Task(Pipeline(steps), space, X * np.logspace(-1, 1, 25), y, "accuracy", folds(seed))


def failing(seed: int) -> Task:
    """Half of the space asks for more components than there are features, which raises."""
    space = {
        "pca__n_components": (2, 60),
        "svc__C": (1e-3, 1e3, "log-uniform"),
        "svc__gamma": (1e-6, 1e1, "log-uniform"),
        "pca__whiten": [True, False],
    }
    X, y = datasets.load_breast_cancer(return_X_y=True)
    estimator = make_pipeline(StandardScaler(), PCA(random_state=0), SVC())
    return Task(estimator, [space], X, y, "accuracy", folds(seed))


TASKS: dict[str, Callable[[int], Task]] = {
    "svm": svm,
    "forest": forest,
    "boosting": boosting,
    "mlp": mlp,
    "pipeline": pipeline,
    "failing": failing,
}


def folds(seed: int) -> Any:
    return StratifiedKFold(3, shuffle=True, random_state=seed)


def autotune_space() -> Space:
    """The six classifiers of examples/autotune.py."""
    place = Path(__file__).resolve().parents[1] / "examples" / "autotune.py"
    spec = importlib.util.spec_from_file_location("autotune", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    space: Space = module.alternatives()
    return space


# -- one space for everybody -------------------------------------------------------------------------------------------


class LogInteger:
    """Whole numbers, uniform on a logarithmic scale, as scikit-learn's searches draw them."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def rvs(self, size: Any = None, random_state: Any = None) -> Any:
        u = np.random.default_rng(random_state.randint(2**31)).uniform(
            np.log(self.low - 0.5), np.log(self.high + 0.5)
        )
        return int(np.clip(round(float(np.exp(u))), self.low, self.high))


def for_sklearn(space: Space) -> Any:
    """The space as RandomizedSearchCV takes it."""

    def read(given: Any) -> Any:
        if not isinstance(given, tuple):
            return given
        low, high, log = given[0], given[1], len(given) == 3
        if isinstance(low, int):
            return LogInteger(low, high) if log else stats.randint(low, high + 1)
        return stats.loguniform(low, high) if log else stats.uniform(low, high - low)

    return [{name: read(given) for name, given in branch.items()} for branch in space]


def suggest(trial: Any, space: Space) -> dict[str, Any]:
    """The parameters that an Optuna trial suggests: define-by-run, a category first where there are alternatives."""
    i = trial.suggest_categorical("alternative", list(range(len(space)))) if len(space) > 1 else 0
    found: dict[str, Any] = {}
    for name, given in space[i].items():
        label = f"{i}:{name}"
        if isinstance(given, list):
            found[name] = given[trial.suggest_categorical(label, list(range(len(given))))]
        else:
            kind = trial.suggest_int if isinstance(given[0], int) else trial.suggest_float
            found[name] = kind(label, given[0], given[1], log=len(given) == 3)
    return found


# -- the clock ---------------------------------------------------------------------------------------------------------


class Clock:
    """CPU seconds inside fits and scores, so that the rest is the tuner's."""

    def __init__(self) -> None:
        self.inside = 0.0
        self._fit = _validation._fit_and_score

    def __enter__(self) -> Clock:
        from optengine.integrations import sklearn_folds

        self._places = [_validation, _search, sklearn_folds]
        for place in self._places:
            place._fit_and_score = self._timed
        return self

    def _timed(self, *arguments: Any, **keywords: Any) -> Any:
        began = time.process_time()
        try:
            return self._fit(*arguments, **keywords)
        finally:
            self.inside += time.process_time() - began

    def __exit__(self, *_: Any) -> None:
        for place in self._places:
            place._fit_and_score = self._fit


# -- searches ----------------------------------------------------------------------------------------------------------


def ours(solver: str, options: dict[str, Any] | None = None) -> Callable[[Task, int, int], np.ndarray]:
    """A search of ours: scores (budget,) in the order of the candidates, NaN where they failed."""

    def run(task: Task, budget: int, seed: int) -> np.ndarray:
        from optengine.integrations.sklearn import OptEngineSearchCV

        search = OptEngineSearchCV(
            task.estimator, task.space, n_iter=budget, solver=solver, options=options, scoring=task.scoring, cv=task.cv,
            refit=False, random_state=seed,
        )  # fmt: skip
        return np.asarray(search.fit(task.X, task.y).cv_results_["mean_test_score"])

    return run


def randomized(task: Task, budget: int, seed: int) -> np.ndarray:
    from sklearn.model_selection import RandomizedSearchCV

    search = RandomizedSearchCV(
        task.estimator, for_sklearn(task.space), n_iter=budget, scoring=task.scoring, cv=task.cv, refit=False,
        random_state=seed,
    )  # fmt: skip
    return np.asarray(search.fit(task.X, task.y).cv_results_["mean_test_score"])


def halving(task: Task, budget: int, seed: int) -> np.ndarray:
    """HalvingRandomSearchCV with the fits of `budget` whole candidates in sum; its choice is scored on the whole."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV

    most = len(task.X) if task.most == "auto" else task.most
    first = max(most // 9, 30 if task.resource == "n_samples" else 1)
    rungs = [first]
    while rungs[-1] * 3 <= most:
        rungs.append(rungs[-1] * 3)
    price = sum(
        amount / most / 3**i for i, amount in enumerate(rungs)
    )  # of one first candidate, in whole ones
    search = HalvingRandomSearchCV(
        clone(task.estimator), for_sklearn(task.space), n_candidates=max(1, int((budget - 1) / price)), factor=3,
        resource=task.resource, max_resources=most, min_resources=first, scoring=task.scoring, cv=task.cv, refit=False,
        random_state=seed,
    )  # fmt: skip
    search.fit(task.X, task.y)
    return np.array([score(task, search.best_params_)])


def score(task: Task, parameters: dict[str, Any]) -> float:
    """Mean score over the folds."""
    from sklearn.model_selection import cross_val_score

    estimator = clone(task.estimator).set_params(**clone(parameters, safe=False))
    values = cross_val_score(estimator, task.X, task.y, scoring=task.scoring, cv=task.cv, error_score="raise")
    return float(values.mean())


def optuna(sampler: str) -> Callable[[Task, int, int], np.ndarray]:
    """A study of Optuna; what raises is recorded as failed."""

    def run(task: Task, budget: int, seed: int) -> np.ndarray:
        import optuna as library

        library.logging.set_verbosity(library.logging.CRITICAL)
        made = getattr(library.samplers, sampler)(seed=seed)
        study = library.create_study(direction="maximize", sampler=made)
        study.optimize(
            lambda trial: score(task, suggest(trial, task.space)), n_trials=budget, catch=(Exception,)
        )
        return np.array([np.nan if t.value is None else t.value for t in study.trials])

    return run


METHODS: dict[str, Callable[[Task, int, int], np.ndarray]] = {
    "optengine": ours("auto"),
    "optengine_bo": ours("bo"),
    "optuna_tpe": optuna("TPESampler"),
    "optuna_gp": optuna("GPSampler"),
    "random": randomized,
    "halving": halving,
    "bandit": ours("bandit"),
    "rising": ours("bandit", {"policy": "rising", "horizon": 60}),
    "joint_bo": ours("bo"),
    "joint_tpe": ours("tpe"),
}


def measure(task: Task, method: str, budget: int, seed: int) -> dict[str, Any]:
    """Run one search; values are minimised (minus the score)."""
    with warnings.catch_warnings(), Clock() as clock:
        warnings.simplefilter("ignore")
        began = time.process_time()
        scores = METHODS[method](task, budget, seed)
        total = time.process_time() - began
    late = np.isnan(scores[15:])
    return {
        "budget": budget,
        "value": -float(np.nanmax(scores)),
        "early": -float(np.nanmax(scores[: max(1, budget // 5)])) if len(scores) > 1 else None,
        "failed_late": float(late.mean()) if len(late) else None,
        "cpu": round(total, 3),
        "cpu_tuner": round(total - clock.inside, 3),
    }
