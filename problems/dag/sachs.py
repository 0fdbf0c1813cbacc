"""A simulated stand-in for protein-signalling data: the published graph of 11 proteins with random weights.

Sachs, Perez, Pe'er, Lauffenburger and Nolan, Causal protein-signaling networks derived from multiparameter single-cell
data, Science 308 (2005), doi:10.1126/science.1105809. The edges are those of the consensus with its later supplement.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.problems.dag.simulate import simulate_linear

Floats = NDArray[np.float64]

PROTEINS = ("raf", "mek", "plc", "pip2", "pip3", "erk", "akt", "pka", "pkc", "p38", "jnk")
EDGES = """erk>akt mek>erk pip2>pkc pip3>akt pip3>pip2 pip3>plc pka>akt pka>erk pka>jnk pka>mek pka>p38 pka>raf
pkc>jnk pkc>mek pkc>p38 pkc>pka pkc>raf plc>pip2 plc>pkc raf>mek"""


def simulate_sachs(rng: Generator, n_samples: int = 1000, *, noise: str = "gumbel") -> tuple[Floats, Floats]:
    """Data (n, 11) of a random linear model on the published graph, columns as in PROTEINS, and its weights (11, 11).

    Args:
        rng: random numbers; weights are +-U(0.4, 1.2), scales of the noise U(0.8, 1.2).
        n_samples: n >= 1.
        noise: as for `simulate_linear`.

    Raises:
        ProblemError: a value outside its range.
    """
    d = len(PROTEINS)
    W = np.zeros((d, d))
    for edge in EDGES.split():
        start, end = (PROTEINS.index(name) for name in edge.split(">"))
        W[start, end] = rng.uniform(0.4, 1.2) * rng.choice([-1.0, 1.0])
    return simulate_linear(rng, W, n_samples, noise=noise, scale=rng.uniform(0.8, 1.2, d)), W
