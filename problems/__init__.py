"""Problem classes with structure, the readers of their files, and adapters to other libraries' problems.

A new family adds one line to each of the two tables; nothing loads before it is asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optengine.problems import generators as generators
    from optengine.problems.adapters import (
        from_botorch as from_botorch,
        from_ioh as from_ioh,
        from_pymoo as from_pymoo,
    )
    from optengine.problems.applications.fir_filter import fir_filter as fir_filter
    from optengine.problems.applications.quantize_linear import (
        quantize_linear as quantize_linear,
        quantize_model as quantize_model,
    )
    from optengine.problems.applications.tomography import tomography as tomography
    from optengine.problems.dag import (
        BayesianNetwork as BayesianNetwork,
        DAGProblem as DAGProblem,
        compare_graphs as compare_graphs,
        order_divergence as order_divergence,
        random_weights as random_weights,
        shd as shd,
        sid as sid,
        simulate_linear as simulate_linear,
        simulate_logistic as simulate_logistic,
        simulate_nonlinear as simulate_nonlinear,
        simulate_sachs as simulate_sachs,
        to_networkx as to_networkx,
        write_graphml as write_graphml,
    )
    from optengine.problems.facilities import MaxCoverage as MaxCoverage, PMedian as PMedian
    from optengine.problems.formats import (
        FORMATS as FORMATS,
        read as read,
        read_all as read_all,
        read_graph as read_graph,
        read_knowledge as read_knowledge,
        read_network as read_network,
        read_table as read_table,
    )
    from optengine.problems.independent_set import Clique as Clique, IndependentSet as IndependentSet
    from optengine.problems.job_shop import JobShop as JobShop
    from optengine.problems.knapsack import Knapsack as Knapsack
    from optengine.problems.linear_ordering import LinearOrdering as LinearOrdering
    from optengine.problems.market_split import MarketSplit as MarketSplit
    from optengine.problems.max_sat import MaxSAT as MaxSAT
    from optengine.problems.maxcut import MaxCut as MaxCut
    from optengine.problems.milp import MILP as MILP
    from optengine.problems.milp_model import Model as Model
    from optengine.problems.minmax import MinMaxViolation as MinMaxViolation
    from optengine.problems.mixtures import (
        LinearCost as LinearCost,
        RunPool as RunPool,
        TableCost as TableCost,
    )
    from optengine.problems.neural import NNProblem as NNProblem
    from optengine.problems.offline import Offline as Offline
    from optengine.problems.offline_tasks import OfflineTask as OfflineTask, offline_task as offline_task
    from optengine.problems.qap import QAP as QAP
    from optengine.problems.qubo import QUBO as QUBO
    from optengine.problems.set_cover import SetCover as SetCover
    from optengine.problems.suites import suite as suite
    from optengine.problems.timing import timed as timed
    from optengine.problems.transforms import SubspaceEmbedding as SubspaceEmbedding
    from optengine.problems.tsp import TSP as TSP
    from optengine.problems.tuning import sklearn_tuning as sklearn_tuning
else:
    from optengine.core.lazy import attach

    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "optengine.problems.adapters": ["from_botorch", "from_ioh", "from_pymoo"],
            "optengine.problems.suites": ["suite"],
            "optengine.problems.applications.fir_filter": ["fir_filter"],
            "optengine.problems.applications.quantize_linear": ["quantize_linear", "quantize_model"],
            "optengine.problems.applications.tomography": ["tomography"],
            "optengine.problems.dag": [
                "BayesianNetwork",
                "DAGProblem",
                "compare_graphs",
                "order_divergence",
                "random_weights",
                "shd",
                "sid",
                "simulate_linear",
                "simulate_logistic",
                "simulate_nonlinear",
                "simulate_sachs",
                "to_networkx",
                "write_graphml",
            ],
            "optengine.problems.facilities": ["MaxCoverage", "PMedian"],
            "optengine.problems.formats": [
                "FORMATS",
                "read",
                "read_all",
                "read_graph",
                "read_knowledge",
                "read_network",
                "read_table",
            ],
            "optengine.problems.independent_set": ["Clique", "IndependentSet"],
            "optengine.problems.job_shop": ["JobShop"],
            "optengine.problems.knapsack": ["Knapsack"],
            "optengine.problems.linear_ordering": ["LinearOrdering"],
            "optengine.problems.market_split": ["MarketSplit"],
            "optengine.problems.max_sat": ["MaxSAT"],
            "optengine.problems.maxcut": ["MaxCut"],
            "optengine.problems.milp": ["MILP"],
            "optengine.problems.milp_model": ["Model"],
            "optengine.problems.minmax": ["MinMaxViolation"],
            "optengine.problems.mixtures": ["LinearCost", "RunPool", "TableCost"],
            "optengine.problems.neural": ["NNProblem"],
            "optengine.problems.offline": ["Offline"],
            "optengine.problems.offline_tasks": ["OfflineTask", "offline_task"],
            "optengine.problems.qap": ["QAP"],
            "optengine.problems.qubo": ["QUBO"],
            "optengine.problems.set_cover": ["SetCover"],
            "optengine.problems.timing": ["timed"],
            "optengine.problems.transforms": ["SubspaceEmbedding"],
            "optengine.problems.tsp": ["TSP"],
            "optengine.problems.tuning": ["sklearn_tuning"],
        },
        subpackages=["generators"],
    )
    del attach
