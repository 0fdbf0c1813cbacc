"""Fooling a classifier that only says which digit it sees: over 16 low frequencies, or over all 576 pixels.

python attack_digits.py [attack.png]
"""

import sys
import warnings

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import optengine as oe
from optengine.problems import SubspaceEmbedding

SIDE, SIZE, QUERIES = 24, 0.15, 500  # pixels, change of each pixel, questions asked

if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    X = np.array([zoom(x.reshape(8, 8) / 16, SIDE / 8, order=1).ravel() for x in X])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = MLPClassifier((64,), max_iter=60, random_state=0).fit(X[:1200], y[:1200])
    print(f"the network reads {network.score(X[1200:], y[1200:]):.1%} of the digits it has not seen")

    figure = Figure(figsize=(9, 4.6), dpi=150, layout="constrained")
    axes = figure.subplots(2, 6)
    turned = {"frequencies": 0, "pixels": 0}
    for column, image in enumerate(range(1200, 1206)):
        right = network.predict(X[image : image + 1])[0]
        problem = oe.Problem(
            lambda batch, right=right: (network.predict(batch) == right).astype(float),  # 0: fooled
            [(0, 1)] * SIDE**2,
            vectorized=True,
        )
        around = {"shape": (SIDE, SIDE), "centre": X[image], "radius": SIZE, "norm": "inf"}
        spaces = {
            "frequencies": SubspaceEmbedding(problem, 4, basis="dct", **around),
            "pixels": SubspaceEmbedding(problem, SIDE, basis="pixels", **around),
        }
        for row, (name, space) in enumerate(spaces.items()):
            result = oe.solve(space, solver="cem", budget=QUERIES, target=0, seed=0)
            turned[name] += result.fun == 0
            seen = result.details["embedded"]
            label = network.predict(seen[None, :])[0]
            axes[row, column].imshow(seen.reshape(SIDE, SIDE), cmap="gray_r", vmin=0, vmax=1)
            axes[row, column].set_title(f"{name}\nread as {label} ({result.n_evaluations})", fontsize="small")
            axes[row, column].axis("off")
    print(f"fooled within {QUERIES} questions: {turned} of 6")
    path = sys.argv[1] if len(sys.argv) > 1 else "attack.png"
    figure.savefig(path)
    print(f"drawn in {path}")
