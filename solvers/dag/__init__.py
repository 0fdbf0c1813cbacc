"""Learning directed acyclic graphs by the order of nodes: local search, and dynamic programming with a proof."""

from optengine.solvers.dag.exact import DAGExact as DAGExact
from optengine.solvers.dag.search import OrderSearch as OrderSearch
