"""Choose among six classifiers and tune the chosen one at the same time: a bandit over the kinds of classifier.

    python examples/autotune.py

Each classifier is an alternative with hyperparameters of its own. The bandit gives most evaluations to those that lead
or may still come to lead, and searches inside each with a model of its own.
"""

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from optengine.integrations.sklearn import OptEngineSearchCV

KINDS = ("logistic", "svm", "neighbours", "quadratic", "forest", "boosting")


def alternatives() -> list[dict[str, Any]]:
    """The six classifiers, in the order of `KINDS`, each with its own space."""
    return [
        {"clf": [LogisticRegression(max_iter=500)], "clf__C": (1e-4, 1e3, "log-uniform")},
        {
            "clf": [SVC(random_state=0)],
            "clf__kernel": ["rbf", "poly", "sigmoid"],
            "clf__C": (1e-3, 1e3, "log-uniform"),
            "clf__gamma": (1e-5, 1e1, "log-uniform"),
        },
        {
            "clf": [KNeighborsClassifier()],
            "clf__n_neighbors": (1, 40, "log-uniform"),
            "clf__weights": ["uniform", "distance"],
            "clf__p": [1, 2],
        },
        {"clf": [QuadraticDiscriminantAnalysis()], "clf__reg_param": (1e-4, 1.0, "log-uniform")},
        {
            "clf": [RandomForestClassifier(random_state=0)],
            "clf__n_estimators": (5, 40, "log-uniform"),
            "clf__max_depth": (2, 16),
            "clf__max_features": (0.05, 1.0),
        },
        {
            "clf": [GradientBoostingClassifier(random_state=0)],
            "clf__n_estimators": (5, 40, "log-uniform"),
            "clf__learning_rate": (1e-2, 1.0, "log-uniform"),
            "clf__max_depth": (1, 5),
            "clf__subsample": (0.3, 1.0),
        },
    ]


def autotune(X: Any, y: Any, *, n_iter: int = 60, **arguments: Any) -> OptEngineSearchCV:
    """Return the best classifier found for X (n, features) and y (n,), fitted; the search is `arguments`'."""
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", LogisticRegression())])
    settings = {"solver": "bandit", "cv": 3, "random_state": 0} | arguments
    return OptEngineSearchCV(pipeline, alternatives(), n_iter=n_iter, **settings).fit(X, y)


def draw(search: OptEngineSearchCV, path: str) -> None:
    """Every candidate's score by its kind, and the best so far."""
    import matplotlib.pyplot as plt

    table = search.cv_results_
    names = [type(params["clf"]).__name__ for params in table["params"]]
    scores, number = np.asarray(table["mean_test_score"]), np.arange(1, len(names) + 1)
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name in dict.fromkeys(names):
        mine = np.array([other == name for other in names])
        axes.scatter(number[mine], scores[mine], s=24, label=f"{name} ({mine.sum()})")
    axes.step(number, np.fmax.accumulate(scores), where="post", color="black", lw=1, label="best so far")
    axes.set(xlabel="candidate", ylabel="accuracy, three folds", ylim=(max(0.8, np.nanmin(scores)), 1.0))
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    search = autotune(X, y, n_iter=40)
    arms = search.optimizer_result_.details["arms"]
    for kind, arm in zip(KINDS, arms.values(), strict=True):
        best = f"{arm['best']:.4f}" if arm["best"] is not None else "none"
        print(f"{kind:12} {arm['pulls']:3} candidates, best {best}")
    print(
        f"chosen: {type(search.best_params_['clf']).__name__}, {search.best_score_:.4f} on the folds, ",
        end="",
    )
    print(f"{search.score(X_test, y_test):.4f} on {len(y_test)} patients not seen")
    draw(search, "autotune.png")
    print("drawn: autotune.png")
