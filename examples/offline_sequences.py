"""From a CSV of measured DNA sequences to a ranked list of the next ones, with intervals and a picture.

    python examples/offline_sequences.py [table.csv] [--out proposals.csv] [--picture curve.png]

The CSV has the columns `x` (eight letters of A, C, G, T) and `y` (affinity, more is better). Without one, a table of a
made-up binding site is written and read, so that the proposals can be compared with the truth.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np

import optengine as oe
from optengine.problems import Offline

LETTERS = "ACGT"


def affinity(X: np.ndarray) -> np.ndarray:
    """A made-up site: letters at their places add up, and two pairs of neighbours count double."""
    rng = np.random.default_rng(4)
    weights, pairs = rng.normal(size=(8, 4)), rng.normal(size=(7, 4, 4))
    X = X.astype(int)
    value = weights[np.arange(8), X].sum(axis=1)
    return value + pairs[np.arange(7), X[:, :-1], X[:, 1:]].sum(axis=1)


def made_up(path: Path) -> None:
    """Write the worse half of 3000 random sequences."""
    X = np.unique(np.random.default_rng(0).integers(0, 4, (3000, 8)), axis=0)
    y = affinity(X)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["x", "y"])
        rows.writerows(["".join(LETTERS[i] for i in X[k]), y[k]] for k in np.argsort(y)[: len(X) // 2])


def picture(path: Path, table: Offline, result: oe.Result) -> None:
    """Predictions with their intervals, over the best row of the table."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    details = result.details
    order = np.argsort(-details["prediction"])
    middle, interval = details["prediction"][order], details["interval"][order]
    figure, axes = pyplot.subplots(figsize=(7, 4))
    place = np.arange(len(middle))
    axes.fill_between(place, interval[:, 0], interval[:, 1], alpha=0.25, label="90 % interval")
    axes.plot(place, middle, label="prediction")
    axes.axhline(table.y.max(), color="grey", linestyle="--", label="best row of the table")
    axes.set(xlabel="proposal, by prediction", ylabel="y")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", nargs="?", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    space = oe.Space(oe.Categorical(list(LETTERS), shape=8))
    with tempfile.TemporaryDirectory() as folder:
        path = options.table or Path(folder) / "table.csv"
        if options.table is None:
            made_up(path)
        table = Offline.load(path, space, "y", 32, direction="maximize")
    result = oe.solve(table, seed=0)
    print(result)
    frame = table.proposals(result)
    frame["x"] = ["".join(x) for x in frame["x"]]
    print(frame.head(10).to_string(index=False, float_format="%.3f"))
    if options.table is None:
        true = affinity(result.details["candidates"])
        print(
            f"best row {table.y.max():.2f}; proposals in truth: best {true.max():.2f}, median {np.median(true):.2f}"
        )
    if options.out is not None:
        frame.to_csv(options.out, index=False)
    if options.picture is not None:
        picture(options.picture, table, result)


if __name__ == "__main__":
    main()
