"""OptEngineSearchCV inside scikit-learn: the same results, the same manners."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupKFold, KFold, RandomizedSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from optengine.core.errors import OptionError, StorageError
from optengine.integrations.sklearn import OptEngineSearchCV

X, Y = make_classification(90, 5, n_informative=3, flip_y=0.15, random_state=1)
SMOOTHING = {"var_smoothing": (1e-9, 1.0, "log-uniform")}
DEPTH = {"max_depth": (1, 8), "min_samples_leaf": (1, 20)}


def search(estimator: Any = None, space: Any = None, **arguments: Any) -> OptEngineSearchCV:
    estimator = DecisionTreeClassifier(random_state=0) if estimator is None else estimator
    settings = {"n_iter": 6, "cv": 3, "random_state": 0, "solver": "random"} | arguments
    return OptEngineSearchCV(estimator, DEPTH if space is None else space, **settings)


class Fragile(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fails where its parameter is above one half; scores by how near it is to 0.4."""

    def __init__(self, a: float = 0.0) -> None:
        self.a = a

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Fragile:
        if self.a > 0.5:
            raise MemoryError("out of memory")
        self.classes_ = np.unique(y)
        self.weight_ = sample_weight
        return self

    def predict(self, X: Any) -> Any:
        return np.resize(self.classes_, len(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        return 1.0 - abs(self.a - 0.4)


# -- its manners -------------------------------------------------------------------------------------------------------


def statuses(estimator: Any) -> dict[str, str]:
    """Checks of scikit-learn that did not pass: failed, or skipped for what is not installed here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = check_estimator(estimator, on_fail=None, on_skip=None)
    return {str(check["check_name"]): str(check["status"]) for check in checks if check["status"] != "passed"}


def test_scikit_learns_own_checks() -> None:
    """None fails; those skipped need packages for other kinds of arrays, for scikit-learn's own searches too."""
    ours = OptEngineSearchCV(
        LogisticRegression(), {"C": (1e-3, 1e3, "log-uniform")}, n_iter=3, cv=2, random_state=0
    )
    found = statuses(ours)
    assert set(found.values()) <= {"skipped"}
    assert all("array_api" in name for name in found)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [LogisticRegression(), Ridge()], ids=["classifier", "regressor"])
def test_the_same_checks_pass_as_for_scikit_learns_own_search(estimator: Any) -> None:
    name = "C" if isinstance(estimator, LogisticRegression) else "alpha"
    ours = OptEngineSearchCV(estimator, {name: (1e-3, 1e3, "log-uniform")}, n_iter=3, cv=2, random_state=0)
    theirs = RandomizedSearchCV(estimator, {name: loguniform(1e-3, 1e3)}, n_iter=3, cv=2, random_state=0)
    assert statuses(ours) == statuses(theirs)


def test_constructor_keeps_its_arguments_and_clones() -> None:
    first = search(space=[{"max_depth": [1, 2]}, {"max_depth": (3, 9)}], callbacks=None)
    twin = clone(first)
    assert twin.get_params(deep=False).keys() == first.get_params(deep=False).keys()
    assert repr(twin) == repr(first)
    assert first.search_space is first.get_params()["search_space"]


def test_pickles() -> None:
    fitted = pickle.loads(pickle.dumps(search().fit(X, Y)))
    assert fitted.score(X, Y) > 0.5
    assert fitted.optimizer_result_.n_evaluations == 6
    assert set(fitted.search_space_.names) == set(DEPTH)


# -- results -----------------------------------------------------------------------------------------------------------


def test_results_are_those_of_scikit_learn() -> None:
    """The candidates given to GridSearchCV give the same table but for the times."""
    from sklearn.model_selection import GridSearchCV

    ours = search(return_train_score=True).fit(X, Y)
    grid = [{k: [v] for k, v in params.items()} for params in ours.cv_results_["params"]]
    theirs = GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=3, return_train_score=True).fit(
        X, Y
    )
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for key, values in theirs.cv_results_.items():
        assert type(ours.cv_results_[key]) is type(values)
        if "time" not in key and key != "params":
            assert ours.cv_results_[key].dtype == values.dtype
            np.testing.assert_array_equal(ours.cv_results_[key], values)
    assert ours.best_index_ == theirs.best_index_
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == theirs.best_score_ == ours.optimizer_result_.fun
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert ours.refit_time_ > 0


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_same_candidates_whatever_the_jobs(n_jobs: int) -> None:
    fitted = search(n_jobs=n_jobs, batch_size=2, solver="tpe", n_iter=12).fit(X, Y)
    again = search(batch_size=2, solver="tpe", n_iter=12).fit(X, Y)
    assert fitted.cv_results_["params"] == again.cv_results_["params"]


def test_folds_are_the_same_for_all_candidates() -> None:
    fitted = search(Fragile(), {"a": (0.1, 0.10001)}, cv=KFold(3, shuffle=True), scoring="accuracy").fit(X, Y)
    assert len(np.unique(fitted.cv_results_["split0_test_score"])) == 1


def test_bayesian_search_finds_the_middle() -> None:
    fitted = search(Fragile(), {"a": (0.0, 0.5)}, solver="bo", n_iter=15).fit(X, Y)
    assert fitted.best_params_["a"] == pytest.approx(0.4, abs=0.01)


def test_auto_is_a_solver_that_asks_in_no_time() -> None:
    fitted = search(Fragile(), {"a": (0.0, 0.5)}, solver="auto", n_iter=12).fit(X, Y)
    named = search(Fragile(), {"a": (0.0, 0.5)}, solver="tpe", n_iter=12).fit(X, Y)
    assert fitted.optimizer_result_.solver == "tpe"
    assert "one metric" in fitted.optimizer_result_.reason
    assert fitted.cv_results_["params"] == named.cv_results_["params"]


def test_pipeline_with_alternatives_and_columns() -> None:
    columns = ColumnTransformer([("scaled", StandardScaler(), [0, 1, 2])], remainder="passthrough")
    pipeline = Pipeline([("columns", columns), ("clf", SVC())])
    space = [
        {
            "clf": [SVC(random_state=0)],
            "clf__C": (0.1, 10.0, "log-uniform"),
            "columns__scaled": [MinMaxScaler(), "drop"],
        },
        {"clf": [KNeighborsClassifier()], "clf__n_neighbors": (1, 9)},
    ]
    fitted = search(pipeline, space, n_iter=12).fit(X, Y)
    kinds = {type(params["clf"]) for params in fitted.cv_results_["params"]}
    assert kinds == {SVC, KNeighborsClassifier}
    assert np.ma.is_masked(fitted.cv_results_["param_clf__C"])
    assert space[0]["clf"][0] is not fitted.best_estimator_.named_steps["clf"]


def test_nested_cross_validation_and_search_in_a_pipeline() -> None:
    assert len(cross_val_score(search(n_iter=2), X, Y, cv=2)) == 2
    assert make_pipeline(StandardScaler(), search(n_iter=2)).fit(X, Y).score(X, Y) > 0.5


@pytest.mark.parametrize("optimize", [None, "recall", ["accuracy", "recall"]])
def test_several_metrics(optimize: Any) -> None:
    solver = "random"
    fitted = search(scoring=["accuracy", "recall"], refit="accuracy", optimize=optimize, solver=solver).fit(
        X, Y
    )
    results = fitted.cv_results_
    assert fitted.best_score_ == results["mean_test_accuracy"].max()
    assert fitted.multimetric_
    assert set(fitted.scorer_) == {"accuracy", "recall"}
    if optimize == ["accuracy", "recall"]:
        assert fitted.optimizer_result_.front is not None
    else:
        assert fitted.optimizer_result_.fun == results[f"mean_test_{optimize or 'accuracy'}"].max()


def test_refit_by_a_function_and_not_at_all() -> None:
    worst = search(refit=lambda results: int(results["rank_test_score"].argmax())).fit(X, Y)
    assert worst.best_index_ == worst.cv_results_["rank_test_score"].argmax()
    assert not hasattr(worst, "best_score_")
    none = search(refit=False).fit(X, Y)
    assert not hasattr(none, "best_estimator_")
    assert none.best_params_ == none.cv_results_["params"][none.best_index_]
    several = search(scoring=["accuracy", "recall"], refit=False).fit(X, Y)
    assert not hasattr(several, "best_index_")
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search(scoring=["accuracy", "recall"]).fit(X, Y)


def test_scoring_by_a_function_of_several_values() -> None:
    def scores(estimator: Any, X: Any, y: Any) -> dict[str, float]:
        return {"a": -estimator.get_params()["max_depth"], "b": 1.0}

    fitted = search(scoring=scores, refit="a").fit(X, Y)
    assert fitted.best_params_["max_depth"] == fitted.optimizer_result_.x["max_depth"]
    assert fitted.best_score_ == -fitted.best_params_["max_depth"] == fitted.optimizer_result_.fun


def test_fit_parameters_groups_and_weights() -> None:
    groups = np.arange(len(X)) % 6
    weights = np.arange(1.0, len(X) + 1)
    fitted = search(Fragile(), {"a": (0.0, 0.4)}, cv=GroupKFold(3), n_iter=2)
    fitted.fit(X, Y, groups=groups, sample_weight=weights)
    np.testing.assert_array_equal(fitted.best_estimator_.weight_, weights)


def test_routed_metadata() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = GaussianNB().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        routed = search(estimator, SMOOTHING, scoring=scorer, cv=GroupKFold(3), n_iter=2)
        routed.fit(X, Y, groups=np.arange(len(X)) % 6, sample_weight=np.ones(len(X)))
        assert routed.best_score_ > 0.5
        assert routed.get_metadata_routing() is not None
        with pytest.raises(TypeError, match="unexpected argument"):
            search(GaussianNB(), SMOOTHING, n_iter=2).fit(X, Y, nothing=np.ones(len(X)))


# -- failures ----------------------------------------------------------------------------------------------------------


def test_failing_candidates_are_told_as_failed_and_avoided() -> None:
    with pytest.warns(FitFailedWarning, match="fits failed"), pytest.warns(UserWarning, match="non-finite"):
        fitted = search(Fragile(), {"a": (0.0, 1.0)}, solver="bo", n_iter=20).fit(X, Y)
    failed = np.isnan(fitted.cv_results_["mean_test_score"])
    assert failed.any()
    assert fitted.optimizer_result_.history.failed.tolist() == failed.tolist()
    assert failed[10:].mean() < 0.3
    assert fitted.best_params_["a"] == pytest.approx(0.4, abs=0.05)


def test_error_score() -> None:
    with pytest.raises(MemoryError, match="out of memory"):
        search(Fragile(), {"a": (0.0, 1.0)}, error_score="raise").fit(X, Y)
    with pytest.warns(FitFailedWarning):
        fitted = search(Fragile(), {"a": (0.0, 1.0)}, error_score=-5.0, n_iter=10).fit(X, Y)
    failed = fitted.cv_results_["mean_test_score"] == -5.0
    assert fitted.optimizer_result_.history.failed.tolist() == failed.tolist()
    with pytest.raises(ValueError, match="All the 18 fits failed"):
        search(Fragile(), {"a": (0.6, 1.0)}).fit(X, Y)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"solver": "boo"}, "did you mean 'bo'"),
        ({"n_iter": 0}, "n_iter must be an integer >= 1"),
        ({"batch_size": "a"}, "batch_size must be an integer >= 1"),
        ({"racing": 5}, "racing must be"),
        ({"callbacks": 3}, "callbacks must be a list"),
        ({"time_limit": -1}, "time_limit must be > 0"),
        ({"optimize": "recall", "scoring": ["accuracy"], "refit": "accuracy"}, "optimize must name metrics"),
        ({"resource": "n_estimators"}, "max_resource must be a number"),
        ({"resource": "n_samples", "racing": True}, "racing must be False beside resource"),
        ({"resource": "n_samples", "factor": 1}, "factor must be a number > 1"),
        ({"resource": "n_samples", "min_resource": 1000}, "min_resource must be > 0 and <= max_resource"),
        ({"storage": "x.db", "cv": KFold(3, shuffle=True)}, "cv must give the same folds each time"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        search(**arguments).fit(X, Y)


def test_a_parameter_that_the_estimator_lacks() -> None:
    with pytest.raises(ValueError, match="Invalid parameter 'max_dept'"):
        search(space={"max_dept": (1, 3)}).fit(X, Y)


# -- budget, callbacks -------------------------------------------------------------------------------------------------


def test_time_limit_callbacks_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[int] = []

    def watch(snapshot: Any) -> bool:
        seen.append(snapshot.n_evaluations)
        return snapshot.n_evaluations >= 4

    fitted = search(callbacks=[watch], progress=True, verbose=1).fit(X, Y)
    assert seen == [1, 2, 3, 4]
    assert len(fitted.cv_results_["params"]) == 4
    captured = capsys.readouterr()
    assert "Fitting 3 folds for each of 1 candidates, totalling 3 fits" in captured.out
    assert "4/6 evaluations" in captured.err
    hurried = search(n_iter=10_000, time_limit=0.2).fit(X, Y)
    assert hurried.optimizer_result_.status == "time_limit"
    assert 1 <= len(hurried.cv_results_["params"]) < 10_000


def test_a_finite_space_ends_the_search() -> None:
    fitted = search(space={"max_depth": [1, 2, 3]}, solver="tpe", n_iter=50).fit(X, Y)
    assert sorted(params["max_depth"] for params in fitted.cv_results_["params"]) == [1, 2, 3]
    assert fitted.optimizer_result_.status == "converged"


# -- resources and racing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["n_samples", "n_estimators"])
def test_a_resource_is_raised_for_the_best(resource: str) -> None:
    forest = RandomForestClassifier(random_state=0)
    limits = {"min_resource": 3, "max_resource": 27} if resource == "n_estimators" else {"min_resource": 20}
    fitted = search(
        forest, {"max_depth": (1, 8), "max_features": (0.1, 1.0)}, resource=resource, n_iter=9, **limits
    )
    if resource == "n_samples":
        fitted.set_params(estimator=RandomForestClassifier(3, random_state=0))
    fitted.fit(X, Y)
    table = fitted.cv_results_
    amounts, counts = np.unique(table["n_resources"], return_counts=True)
    assert amounts.tolist() == ([3, 9, 27] if resource == "n_estimators" else [20, 60])
    assert counts[0] == 9
    assert (np.diff(counts) < 0).all()
    assert table["n_resources"][fitted.best_index_] == amounts[-1]
    full = table["n_resources"] == amounts[-1]
    assert fitted.best_score_ == table["mean_test_score"][full].max() == fitted.optimizer_result_.fun
    assert len(fitted.optimizer_result_.history) == 9
    if resource == "n_estimators":
        assert fitted.best_estimator_.n_estimators == 27


def test_racing_leaves_out_folds_of_candidates_that_lose() -> None:
    flat = search(KNeighborsClassifier(), {"n_neighbors": (1, 50)}, cv=6, n_iter=14, scoring="neg_log_loss")
    full = clone(flat).fit(X, Y)
    raced = clone(flat).set_params(racing=0.05).fit(X, Y)
    folds = np.stack([raced.cv_results_[f"split{i}_test_score"] for i in range(6)])
    left_out = np.isnan(folds)
    assert 4 <= left_out.sum() < 14 * 4
    assert not left_out[:2].any()
    assert np.isnan(raced.cv_results_["mean_test_score"]).tolist() == left_out.any(axis=0).tolist()
    assert raced.best_params_ == full.best_params_
    everything = np.stack([full.cv_results_[f"split{i}_test_score"] for i in range(6)])
    np.testing.assert_array_equal(folds[~left_out], everything[~left_out])


def test_scikit_learns_own_callbacks_see_the_search() -> None:
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    if not hasattr(callback, "ScoringMonitor"):
        pytest.skip("no callback to try")
    monitored = search(n_iter=2).set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    monitored.fit(X, Y)
    assert monitored.best_score_ > 0.5


# -- the journal -------------------------------------------------------------------------------------------------------


def without_times(table: dict[str, Any]) -> dict[str, Any]:
    return {key: np.asarray(values).tolist() for key, values in table.items() if "time" not in key}


@pytest.mark.parametrize(
    "extra", [{}, {"resource": "n_samples", "min_resource": 20}, {"racing": True, "cv": 5}]
)
def test_a_stopped_search_goes_on_from_its_journal(tmp_path: Path, extra: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"solver": "tpe", "n_iter": 14, **extra}
    whole = search(**arguments).fit(X, Y)
    stored = {"storage": str(tmp_path / "s.db"), "name": "s", **arguments}
    search(callbacks=[lambda snapshot: snapshot.n_evaluations >= 5], **stored).fit(X, Y)
    fits: list[int] = []
    resumed = search(callbacks=[lambda snapshot: bool(fits.append(1))], **stored).fit(X, Y)
    assert len(fits) == 9
    assert without_times(resumed.cv_results_) == without_times(whole.cv_results_)
    assert resumed.best_params_ == whole.best_params_
    again = search(callbacks=[lambda snapshot: pytest.fail("fitted again")], **stored).fit(X, Y)
    assert without_times(again.cv_results_) == without_times(whole.cv_results_)
    for key in ("mean_fit_time", "mean_score_time"):
        np.testing.assert_array_equal(again.cv_results_[key], resumed.cv_results_[key])
    with pytest.raises(StorageError, match="cannot go on with"):
        search(**stored).fit(X[:-1], Y[:-1])


KILLED = """
import sys
from pathlib import Path
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from optengine.integrations.sklearn import OptEngineSearchCV

class Logged(ClassifierMixin, BaseEstimator):
    def __init__(self, a=0.0):
        self.a = a
    def fit(self, X, y):
        with open({log!r}, "a") as stream:
            print(repr(self.a), file=stream, flush=True)
        __import__("time").sleep(0.02)
        self.classes_ = np.unique(y)
        return self
    def predict(self, X):
        return np.resize(self.classes_, len(X))
    def score(self, X, y):
        return -self.a**2

X, y = load_iris(return_X_y=True)
search = OptEngineSearchCV(Logged(), {{"a": (-1.0, 1.0)}}, n_iter=40, cv=2, solver="random", random_state=0,
                           refit=False, storage={db!r}, name="killed").fit(X, y)
print(len(search.cv_results_["params"]), len({{p["a"] for p in search.cv_results_["params"]}}), flush=True)
"""


def test_a_killed_search_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    log = tmp_path / "fits.txt"
    script = KILLED.format(log=str(log), db=str(tmp_path / "k.db"))
    process = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + 60
    while time.monotonic() < until and (not log.exists() or len(log.read_text().splitlines()) < 17):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = log.read_text().splitlines()
    assert 17 <= len(before) < 80
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["40", "40"]
    fits = log.read_text().splitlines()
    repeated = len(fits) - 80  # folds of the candidate in flight
    assert 0 <= repeated <= 2
    assert len(set(fits)) == 40
