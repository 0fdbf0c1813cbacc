"""A directed acyclic graph from data: a least-squares search, then the proved best sparse graph with knowledge."""

import numpy as np

import optengine as oe
from optengine.problems import DAGProblem, compare_graphs, random_weights, simulate_linear

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    truth = random_weights(rng, 12, 2)  # truth[i, j] != 0: an edge from i to j
    data = simulate_linear(rng, truth, 500, noise="gumbel")

    result = oe.solve(DAGProblem(data), budget=50_000, seed=0)
    print(result.solver, "least squares", compare_graphs(result.details["thresholded"], truth))

    source, target = np.argwhere(truth)[
        0
    ]  # suppose that one edge is known to be there, and its reverse is not
    known = DAGProblem(
        data, loss="gaussian", penalty="bic", required=[(source, target)], forbidden=[(target, source)]
    )
    result = oe.solve(known, "dag_exact")
    print(result.status, "BIC", compare_graphs(result.details["graph"], truth))
    assert result.details["graph"][source, target]
