"""The network of CoCo-MILP (AAAI 2026) in plain PyTorch, and by its switches that of Predict-and-Search.

A layer sends messages from variables to constraints and back (half convolutions), subtracts from each variable what
the variables of its constraints have in common (the intra-constraint competitive layer), and normalises each graph.

Two forms of the half convolution: "edge" is the published one, with a non-linearity on each edge; "node" moves it to
the sending node, so that a layer is two sparse products. CPU seconds of one thread for forward and backward pass of the
full network at width 64 and depth 2, by `python benchmarks/milp_parts.py --modes` (x86-64 with AVX-512, shared):

| set covering, rows x columns | edges   | edge  | node  |
|---|---|---|---|
| 200 x 400                    | 4 400   | 0.023 | 0.011 |
| 500 x 1000                   | 26 000  | 0.088 | 0.027 |
| 1000 x 2000                  | 102 000 | 0.36  | 0.053 |
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optengine.core.errors import OptionError
from optengine.solvers.milp.learning.batches import GraphBatch
from optengine.solvers.milp.learning.features import CONSTRAINT_FEATURES, VARIABLE_FEATURES

CONVOLUTIONS = ("edge", "node")
EPSILON = 1e-5  # in the variance of a normalisation


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """The shape of a network. `published()` and `predict_and_search()` are those of the papers."""

    width: int = 64  # features of a node inside the network
    depth: int = 2  # layers, each one way and back
    convolution: str = "node"  # or "edge"
    competition: bool = True  # the intra-constraint competitive layer
    graph_norm: bool = True
    concatenate: bool = True  # the head sees the outputs of all layers

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"{name} must be an integer >= 1, got {value!r}")
        if self.convolution not in CONVOLUTIONS:
            raise OptionError(f"convolution must be one of {list(CONVOLUTIONS)}, got {self.convolution!r}")

    @classmethod
    def predict_and_search(cls, convolution: str = "node") -> NetworkOptions:
        """The network of Predict-and-Search, and of ConPaS here: none of the three additions."""
        return cls(convolution=convolution, competition=False, graph_norm=False, concatenate=False)


class HalfConvolution(nn.Module):
    """Messages from one side to the other: m_ij = W ReLU(LayerNorm(S h_j + b + e_ij w + R h_i)), summed over j.

    The receiving node becomes MLP([LayerNorm(sum), h_i]). In node mode m_ij = e_ij ReLU(LayerNorm(S h_j + b)), and W
    comes after the sum. In edge mode it does too, which is the same as it is linear: W sum_j r_ij + degree_i * bias.
    """

    def __init__(self, width: int, by_edge: bool) -> None:
        super().__init__()
        self.by_edge = by_edge
        self.sender = nn.Linear(width, width)
        if by_edge:
            self.receiver = nn.Linear(width, width, bias=False)
            self.edge = nn.Linear(1, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.message = nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, batch: GraphBatch, senders: Tensor, receivers: Tensor, to_rows: bool) -> Tensor:
        if self.by_edge:
            source, target = (batch.column, batch.row) if to_rows else (batch.row, batch.column)
            sent = self.sender(senders).index_select(0, source)
            met = self.receiver(receivers).index_select(0, target)
            each = torch.relu(self.norm(sent + met + self.edge(batch.value[:, None])))
            total = torch.zeros_like(receivers).index_add(0, target, each)
            degree = batch.row_degree if to_rows else batch.column_degree
            summed = total @ self.message.weight.T + degree[:, None] * self.message.bias
        else:
            each = torch.relu(self.norm(self.sender(senders)))
            summed = self.message(batch.weights(each, to_rows))
        out: Tensor = self.update(torch.cat([self.after(summed), receivers], dim=1))
        return out


class Competition(nn.Module):
    """Intra-constraint competitive layer: h_j <- h_j - beta * mean over its constraints of their variables' mean.

    A learned high-pass filter against the smoothing by messages; the objective takes no part. beta starts at 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, batch: GraphBatch, h: Tensor) -> Tensor:
        return h - self.beta * batch.variable_mean(batch.constraint_mean(h))


class GraphNorm(nn.Module):
    """Normalise the nodes of each graph (Cai et al., 2021, arXiv:2009.03294) with a learned share of the mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.ones(width))
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, h: Tensor, graph: Tensor, count: Tensor) -> Tensor:
        """Nodes (n, width), the graph (n,) each belongs to, and how many nodes a graph has (g,)."""
        centred = h - self.share * _mean(h, graph, count).index_select(0, graph)
        variance = _mean(centred * centred, graph, count).index_select(0, graph)
        return self.weight * centred / torch.sqrt(variance + EPSILON) + self.bias


def _mean(h: Tensor, graph: Tensor, count: Tensor) -> Tensor:
    total = torch.zeros(len(count), h.shape[1], dtype=h.dtype, device=h.device).index_add(0, graph, h)
    return total / count[:, None]


class Layer(nn.Module):
    """Variables to constraints and back, competition, normalisation."""

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        by_edge = options.convolution == "edge"
        self.to_constraints = HalfConvolution(options.width, by_edge)
        self.to_variables = HalfConvolution(options.width, by_edge)
        self.competition = Competition() if options.competition else None
        self.norms = (
            nn.ModuleList([GraphNorm(options.width), GraphNorm(options.width)])
            if options.graph_norm
            else None
        )

    def forward(self, batch: GraphBatch, variables: Tensor, constraints: Tensor) -> tuple[Tensor, Tensor]:
        constraints = self.to_constraints(batch, variables, constraints, True)
        variables = self.to_variables(batch, constraints, variables, False)
        if self.competition is not None:
            variables = self.competition(batch, variables)
        if self.norms is not None:
            variables = self.norms[0](variables, batch.variable_graph, batch.variable_count)
            constraints = self.norms[1](constraints, batch.constraint_graph, batch.constraint_count)
        return variables, constraints


class Network(nn.Module):
    """Logits (k,) of all binaries of a batch of graphs."""

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        self.options, width = options, options.width
        self.variable_input = _embedding(len(VARIABLE_FEATURES), width)
        self.constraint_input = _embedding(len(CONSTRAINT_FEATURES), width)
        self.layers = nn.ModuleList([Layer(options) for _ in range(options.depth)])
        if options.concatenate:
            sizes = [width * (options.depth + 1), 512, 128, 1]
        else:
            sizes = [width, width, 1]
        head: list[nn.Module] = []
        for size, following in itertools.pairwise(sizes):
            head += [nn.Linear(size, following), nn.ReLU()]
        self.head = nn.Sequential(*head[:-1])

    def forward(self, batch: GraphBatch) -> Tensor:
        variables: Tensor = self.variable_input(batch.variables)
        constraints: Tensor = self.constraint_input(batch.constraints)
        outputs = [variables]
        for layer in self.layers:
            variables, constraints = layer(batch, variables, constraints)
            outputs.append(variables)
        last = torch.cat(outputs, dim=1) if self.options.concatenate else variables
        logits: Tensor = self.head(last.index_select(0, batch.binaries))
        return logits[:, 0]


def _embedding(n_features: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm1d(n_features),
        nn.Linear(n_features, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
    )
