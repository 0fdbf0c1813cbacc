"""Networks inside a problem: directional_attack against cdsm alone and CMA-ES at equal passes through the network.

    python benchmarks/attacks.py [--evaluations 400] [--seeds 5]

Three problems, each with a network trained here in seconds: `design` (30 numbers; maximise a learnt response, a learnt
stress bounded), `counterfactual` (40 numbers; the smallest change of an input that a classifier sees as the other
class), `inverse` (20 numbers; reach a wanted output of a learnt simulator, with a bound on a second one). A gradient
counts as two evaluations. Printed: medians and ranges over seeds of the best feasible value, minimised, and how many
runs were feasible; then paired differences with their 90 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
import torch
from rows import verdict

import optengine as oe
from optengine.problems import NNProblem

SOLVERS = ("directional_attack", "cdsm", "cmaes")


def trained(X: np.ndarray, Y: np.ndarray, steps: int, loss: object) -> torch.nn.Module:
    """A small network fitted to data."""
    torch.manual_seed(0)
    first, second, last = torch.nn.Linear(X.shape[1], 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, 2)
    net = torch.nn.Sequential(first, torch.nn.Tanh(), second, torch.nn.Tanh(), last)
    inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(Y)
    adam = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(steps):
        rows = torch.randint(len(X), (256,))
        value = loss(net(inputs[rows]), targets[rows])  # type: ignore[operator]  # a module by an untyped name
        adam.zero_grad()
        value.backward()
        adam.step()
    return net


def design() -> NNProblem:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (4000, 30))
    response = np.sin(2 * X[:, :10]).sum(axis=1) + X[:, 10:20].sum(axis=1) * X[:, 20:].mean(axis=1)
    stress = (X**2).mean(axis=1) * 6 - 2 + 0.3 * X[:, 0]
    net = trained(X, np.stack([response, stress], 1).astype(np.float32), 600, torch.nn.functional.mse_loss)
    return NNProblem(
        net, lambda x, out: -out[:, 0], [(-1, 1)] * 30, c=lambda x, out: out[:, 1] - 0.5, name="design"
    )


def counterfactual() -> NNProblem:
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (4000, 40))
    labels = (np.sin(3 * X[:, :8]).sum(axis=1) + X[:, 8:16].sum(axis=1) > 0).astype(np.int64)
    net = trained(X, labels, 600, torch.nn.functional.cross_entropy)
    given = torch.tensor(X[labels == 0][0], dtype=torch.float32)
    return NNProblem(
        net,
        lambda x, out: ((x - given) ** 2).sum(dim=1),
        [(-1, 1)] * 40,
        c=lambda x, out: out[:, 0] - out[:, 1] + 0.1,
        name="counterfactual",
    )


def inverse() -> NNProblem:
    rng = np.random.default_rng(2)
    X = rng.uniform(-1, 1, (4000, 20))
    a = np.tanh(X @ rng.normal(size=20)) + 0.5 * np.cos(3 * X[:, 0])
    b = (X[:, :5] ** 2).sum(axis=1) - X[:, 5]
    net = trained(X, np.stack([a, b], 1).astype(np.float32), 600, torch.nn.functional.mse_loss)
    return NNProblem(
        net,
        lambda x, out: (out[:, 0] - 1.2) ** 2 + 0.02 * (x**2).sum(dim=1),
        [(-1, 1)] * 20,
        c=lambda x, out: out[:, 1] - 0.2,
        name="inverse",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for make in (design, counterfactual, inverse):
        problem = make()
        values: dict[str, np.ndarray] = {}
        print(f"\n{problem.name}, {problem.space.width} numbers, {options.evaluations} evaluations")
        for solver in SOLVERS:
            found = [
                oe.solve(problem, solver, budget=options.evaluations, seed=seed)
                for seed in range(options.seeds)
            ]
            feasible = sum(r.feasible for r in found)
            values[solver] = np.array([r.fun if r.feasible else 1e3 for r in found])
            v = values[solver]
            print(
                f"  {solver:20s} median {np.median(v):9.4f} ({v.min():.4f}..{v.max():.4f}), feasible {feasible}"
            )
        for peer in SOLVERS[1:]:
            word, low, high = verdict(values[SOLVERS[0]] - values[peer])
            print(f"  against {peer:12s} {word} [{low:+.4f}, {high:+.4f}]")


if __name__ == "__main__":
    main()
