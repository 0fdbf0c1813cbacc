"""Learning directed acyclic graphs by the order of nodes: local search, the published swaps, and proofs."""

from optengine.solvers.dag.exact import DAGExact as DAGExact
from optengine.solvers.dag.search import OrderSearch as OrderSearch
from optengine.solvers.dag.topo import TOPO as TOPO
