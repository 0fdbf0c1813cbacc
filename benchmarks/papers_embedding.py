"""Subspaces: hard-label attacks on a digits classifier, over low frequencies and over all pixels.

Digits of scikit-learn enlarged to 24 x 24 pixels in [0, 1]; a network of 64 hidden units trained on 1200 of them. An
attack sees the predicted class only and searches for a change of size 0.16 in every pixel (the sphere of the maximum
norm) that turns it, within 500 queries: the objective is 0 where the class has changed, else 1. 30 images that the
network knows, the first of the test set; ten seeds; subspaces of 4 x 4 cosines, real waves and wavelets (those
on 32 x 32 pixels), of 16 random directions, and the full space. Size and k were chosen on the images
after the first 100 of the test set.

Claim: cosines succeed at least twice as often as the full space, with each of the solvers random, cem and sep_cmaes.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from papers_common import claim, spread

import optengine as oe
from optengine.problems import SubspaceEmbedding

QUERIES, IMAGES, SIZE, K = 500, 30, 0.16, 4
SOLVERS = ("random", "cem", "sep_cmaes")
SPACES = ("full", "dct", "fft", "haar", "random")


@functools.cache
def classifier(side: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Weights of the network, and the test images (n, side^2) that it knows with their classes."""
    import warnings

    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    X, y = load_digits(return_X_y=True)
    X = np.array([zoom(x.reshape(8, 8) / 16.0, side / 8, order=1).ravel() for x in X])
    net = MLPClassifier((64,), max_iter=60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(X[:1200], y[:1200])
    known = np.flatnonzero(net.predict(X[1200:]) == y[1200:]) + 1200
    return (net.coefs_, net.intercepts_), X[known], y[known]


def attack(side: int, image: int) -> tuple[oe.Problem, np.ndarray]:
    """The problem over all pixels: 0 where the class has changed."""
    (W, b), X, y = classifier(side)

    def label(batch: np.ndarray) -> np.ndarray:
        hidden = np.maximum(batch @ W[0] + b[0], 0.0)
        return ((hidden @ W[1] + b[1]).argmax(axis=1) == y[image]).astype(float)

    return oe.Problem(label, [(0.0, 1.0)] * side**2, vectorized=True, name="attack"), X[image]


def embedded(
    problem: oe.Problem, image: np.ndarray, side: int, basis: str, size: float, k: int
) -> oe.Problem:
    wide = {"full": side, "random": k * k}.get(basis, k)
    basis = "pixels" if basis == "full" else basis  # all directions of the same sphere
    return SubspaceEmbedding(
        problem, wide, shape=(side, side), centre=image, radius=size, norm="inf", basis=basis
    )


def successes(
    basis: str, solver: str, seed: int, images: range = range(IMAGES), size: float = SIZE, k: int = K
) -> float:
    """Share of the images whose class an attack turned."""
    side, won = 32 if basis == "haar" else 24, 0
    for image in images:
        problem, x = attack(side, image)
        result = oe.solve(
            embedded(problem, x, side, basis, size, k), solver=solver, budget=QUERIES, target=0.0, seed=seed
        )
        won += result.fun == 0.0
    return won / len(images)


def measure(seeds: int, workers: int) -> None:
    cases = [(basis, solver, seed) for basis in SPACES for solver in SOLVERS for seed in range(seeds)]
    table = dict(zip(cases, spread(successes, cases, workers), strict=True))
    print(
        f"share of {IMAGES} images turned within {QUERIES} queries, mean over {seeds} seeds (least .. most)"
    )
    mean = {}
    for solver in SOLVERS:
        for basis in SPACES:
            shares = [table[basis, solver, seed] for seed in range(seeds)]
            mean[basis, solver] = float(np.mean(shares))
            print(f"  {solver:8s} {basis:8s} {np.mean(shares):6.1%} ({min(shares):.1%} .. {max(shares):.1%})")
    for solver in SOLVERS:
        ratio = mean["dct", solver] / max(mean["full", solver], 1e-12)
        claim(
            f"{solver}: cosines succeed at least twice as often as pixels ({ratio:.3g} times)", ratio >= 2.0
        )
