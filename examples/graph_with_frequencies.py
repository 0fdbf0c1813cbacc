"""How sure is a learned graph? Protein data, or a stand-in: edge frequencies of the bootstrap, drawn.

    python examples/graph_with_frequencies.py [--data sachs.csv] [--truth graph.txt] [--replicates 100] [--workers 2]

--data: any table with a header line; without it, 11 simulated proteins. --truth: a graph in Tetrad's text format.
"""

import argparse
from pathlib import Path

import numpy as np

import optengine as oe
from optengine.problems.dag.sachs import PROTEINS

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--replicates", type=int, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args()

    if options.data is None:
        data, truth = oe.problems.simulate_sachs(np.random.default_rng(0), 400)
        names, problem = PROTEINS, {}
    else:
        data, names = oe.problems.read_table(options.data)
        truth = None
        # Noise of equal variances, on which the least-squares score rests, is too much to ask of real data.
        problem = {"loss": "gaussian", "penalty": "bic", "threshold": 0.0}
    if options.truth is not None:
        known, truth = oe.problems.read_graph(options.truth)
        order = [known.index(name) for name in names]
        truth = truth[np.ix_(order, order)]

    found = oe.workflows.bootstrap_edges(
        data,
        replicates=options.replicates,
        seed=0,
        workers=options.workers,
        names=names,
        problem=problem,
        progress=True,
    )
    print(found)
    if truth is not None:
        graph = found.graph(0.5)
        print(oe.problems.compare_graphs(graph, truth))
        skeleton, true = graph | graph.T, (truth != 0) | (truth.T != 0)
        print(
            f"of {true.sum() // 2} true pairs {(skeleton & true).sum() // 2} are found, of {skeleton.sum() // 2}"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    picture = options.out / "graph_with_frequencies.png"
    found.plot(0.5).figure.savefig(picture)
    oe.problems.write_graphml(
        options.out / "graph_with_frequencies.graphml",
        found.graph(0.5),
        names=names,
        frequency=found.directed,
    )
    print(f"drawn in {picture}")
