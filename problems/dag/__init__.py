"""Learning of directed acyclic graphs from data: the problem, simulated data and measures of a graph."""

from optengine.problems.dag.measures import compare_graphs as compare_graphs, shd as shd
from optengine.problems.dag.problem import DAGProblem as DAGProblem
from optengine.problems.dag.simulate import (
    random_weights as random_weights,
    simulate_linear as simulate_linear,
)
