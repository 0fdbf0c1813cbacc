"""How much of which data to train on: four sources of digits, three training sizes, one classifier.

Runs at small sizes are cheap and tell where to make the few full ones. python mixing_data.py [mixture.png]
"""

import sys

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB

import optengine as oe
from optengine.problems import LinearCost

NAMES = ["low digits", "high digits", "turned", "half mislabelled"]
SIZES = [60, 240, 960]
X, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
X = X / 16 + 0.05 * rng.random(X.shape)
rest = np.arange(500, len(X))
SOURCES = [
    (X[rest[y[rest] < 5]], y[rest[y[rest] < 5]]),
    (X[rest[y[rest] >= 5]], y[rest[y[rest] >= 5]]),
    (np.array([np.rot90(x.reshape(8, 8)).ravel() for x in X[rest]]), y[rest]),
    (X[rest], np.where(rng.random(len(rest)) < 0.5, rng.integers(0, 10, len(rest)), y[rest])),
]


def loss(mixture: np.ndarray, images: int) -> float:
    """Log loss on 500 clean digits after training on `images` images drawn by the mixture."""
    draw = np.random.default_rng(1)
    parts = [(X[rest][y[rest] == c][:2], np.full(2, c)) for c in range(10)]
    for (A, b), share in zip(SOURCES, mixture, strict=True):
        rows = draw.permutation(len(b))[: round(share * images)]
        parts.append((A[rows], b[rows]))
    A, b = (np.concatenate(part) for part in zip(*parts, strict=True))
    return log_loss(y[:500], 0.98 * GaussianNB(var_smoothing=0.1).fit(A, b).predict_proba(X[:500]) + 0.002)


if __name__ == "__main__":
    space = oe.Space(mixture=oe.Simplex(4), images=oe.Ordinal(SIZES, fidelity=True, target=960))
    problem = oe.Problem(loss, space, cost=LinearCost({"images": 1 / 960}))  # in full runs
    result = oe.solve(problem, solver="bo", max_cost=8, seed=0)
    alone = oe.solve(problem, solver="bo", options={"surrogate": "gp"}, budget=8, seed=0)
    print(result)
    print(f"eight full runs alone reach {alone.fun:.4f}, equal shares {loss(np.full(4, 0.25), 960):.4f}")

    figure = Figure(figsize=(8, 4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.barh(NAMES, result.x["mixture"], color="#0072b2")
    left.set(title=f"best mixture, loss {result.fun:.3f}", xlabel="share")
    shares, level = result.history.X[:, :4], result.history.X[:, 4].astype(int)
    for i, size in enumerate(SIZES):
        clean = shares[level == i][:, :2].sum(axis=1)
        right.scatter(clean, result.history.F[level == i, 0], label=f"{size} images", s=18)
    right.set(xlabel="share of clean images", ylabel="loss", yscale="log", title="all runs")
    right.legend()
    path = sys.argv[1] if len(sys.argv) > 1 else "mixture.png"
    figure.savefig(path)
    print(f"drawn in {path}")
