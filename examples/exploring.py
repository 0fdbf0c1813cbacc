"""Is one optimizer better than another, and where? Fifty trainings answer for the whole space, with their uncertainty.

python exploring.py [explored.png]
"""

import sys

import numpy as np

import optengine as oe
from optengine.workflows import explore

space = oe.Space(
    optimizer=oe.Categorical(["adam", "sgd"]),
    rate=oe.Real(1e-4, 1, log=True),
    batch=oe.Integer(16, 512, log=True),
    decay=oe.Real(1e-6, 1e-2, log=True),
)


def error(optimizer: str, rate: float, batch: int, decay: float) -> float:
    """Stands for a training: per cent wrong. The best rate depends on the optimizer and on the batch."""
    best = {"adam": -3.0, "sgd": -1.0}[optimizer] + 0.3 * np.log2(batch / 64)
    away = np.log10(rate) - best
    return 6 + 20 * (1 - np.exp(-0.5 * away**2)) + 0.6 * (np.log10(decay) + 4) ** 2


if __name__ == "__main__":
    found = explore(error, space, budget=50, seed=0)
    print("share of the variance, by itself and with interactions:")
    for name, alone, total in zip(found.names, found.first, found.total, strict=True):
        print(f"  {name:10s} {alone:5.0%} {total:5.0%}")
    better = found.share(less=({"optimizer": "adam"}, {"optimizer": "sgd"}))
    print(f"adam is better than sgd over {better} of the space")
    print(f"large batches are no worse over {found.share(less=({'batch': 512}, {'batch': 32}))} of it")
    print(f"the error is below 12 % over {found.share(below=12)} of it")
    path = sys.argv[1] if len(sys.argv) > 1 else "explored.png"
    found.plot().savefig(path)
    print(f"drawn in {path}")
