"""Learning of directed acyclic graphs from data: the problem, simulated data, measures of a graph, and its export."""

from optengine.problems.dag.export import to_networkx as to_networkx, write_graphml as write_graphml
from optengine.problems.dag.measures import (
    compare_graphs as compare_graphs,
    order_divergence as order_divergence,
    shd as shd,
    sid as sid,
)
from optengine.problems.dag.mechanisms import (
    simulate_logistic as simulate_logistic,
    simulate_nonlinear as simulate_nonlinear,
)
from optengine.problems.dag.network import BayesianNetwork as BayesianNetwork
from optengine.problems.dag.problem import DAGProblem as DAGProblem
from optengine.problems.dag.sachs import simulate_sachs as simulate_sachs
from optengine.problems.dag.simulate import (
    random_weights as random_weights,
    simulate_linear as simulate_linear,
)
