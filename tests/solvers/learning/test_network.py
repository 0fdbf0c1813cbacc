"""The network's parts against cases worked by hand, and the two forms of the half convolution."""

from __future__ import annotations

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError
from optengine.problems.generators import generate

torch = pytest.importorskip("torch")

from optengine.solvers.milp.learning.batches import batch_graphs  # noqa: E402
from optengine.solvers.milp.learning.features import bipartite_graph  # noqa: E402
from optengine.solvers.milp.learning.network import (  # noqa: E402
    Competition,
    GraphNorm,
    HalfConvolution,
    Network,
    NetworkOptions,
)


def chain() -> oe.problems.MILP:
    """Rows {0, 1} and {1, 2}; every variable has a cost."""
    return oe.problems.MILP(
        [1.0, 2.0, 4.0], [[1.0, 1, 0], [0, 1, 1]], upper=1.0, bounds=(0, 1), integrality=1
    )


def test_competition_by_hand() -> None:
    """Means of the rows 2 and 4; of the rows of each variable 2, 3, 4: h minus these. The objective counts nowhere."""
    batch = batch_graphs([bipartite_graph(chain())])
    layer, h = Competition(), torch.tensor([[1.0], [3.0], [5.0]])
    assert layer(batch, h).flatten().tolist() == [-1.0, 0.0, 1.0]
    with torch.no_grad():
        layer.beta.fill_(0.5)
    assert layer(batch, h).flatten().tolist() == [0.0, 1.5, 3.0]
    assert batch.constraint_mean(h).flatten().tolist() == [2.0, 4.0, 0.0]


def test_graph_norm_treats_each_graph_alone() -> None:
    h = torch.tensor([[1.0], [3.0], [10.0], [10.0], [40.0]])
    out = GraphNorm(1)(h, torch.tensor([0, 0, 1, 1, 1]), torch.tensor([2.0, 3.0])).flatten()
    np.testing.assert_allclose(out.detach(), [-1, 1, -np.sqrt(0.5), -np.sqrt(0.5), np.sqrt(2)], rtol=1e-4)


def test_edge_convolution_is_its_formula() -> None:
    """Edge by edge, with W inside the sum as published."""
    torch.manual_seed(0)
    batch, layer = batch_graphs([bipartite_graph(chain())]), HalfConvolution(4, by_edge=True)
    senders, receivers = torch.randn(3, 4), torch.randn(3, 4)
    out = layer(batch, senders, receivers, True)
    for i in range(3):
        summed = torch.zeros(4)
        for row, column, value in zip(batch.row, batch.column, batch.value, strict=True):
            if row == i:
                met = layer.sender(senders[column]) + layer.receiver(receivers[i]) + layer.edge(value[None])
                summed = summed + layer.message(torch.relu(layer.norm(met)))
        expected = layer.update(torch.cat([layer.after(summed), receivers[i]]))
        torch.testing.assert_close(out[i], expected, rtol=1e-5, atol=1e-6)


def test_node_convolution_is_its_formula() -> None:
    torch.manual_seed(0)
    graph = bipartite_graph(chain())
    batch, layer = batch_graphs([graph]), HalfConvolution(4, by_edge=False)
    senders, receivers = torch.randn(3, 4), torch.randn(3, 4)
    weights = torch.zeros(3, 3)
    weights[batch.row, batch.column] = batch.value
    for to_rows, W in ((True, weights), (False, weights.T)):
        summed = layer.message(W @ torch.relu(layer.norm(layer.sender(senders))))
        expected = layer.update(torch.cat([layer.after(summed), receivers], dim=1))
        torch.testing.assert_close(layer(batch, senders, receivers, to_rows), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("convolution", ["edge", "node"])
def test_a_batch_is_its_graphs_side_by_side(convolution: str) -> None:
    torch.manual_seed(1)
    network = Network(NetworkOptions(width=8, convolution=convolution)).eval()
    graphs = [bipartite_graph(generate("item_placement", "tiny", seed)) for seed in range(3)]
    batch = batch_graphs(graphs)
    together = batch.split(network(batch))
    for graph, logits in zip(graphs, together, strict=True):
        torch.testing.assert_close(network(batch_graphs([graph])), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("convolution", ["edge", "node"])
def test_gradients_reach_every_weight_and_are_right(convolution: str) -> None:
    """The sparse product's own backward pass against finite differences."""
    torch.manual_seed(2)
    network = Network(NetworkOptions(width=6, depth=1, convolution=convolution)).eval()
    batch = batch_graphs([bipartite_graph(generate("item_placement", "tiny", 0))])
    network(batch).square().sum().backward()
    weight = network.layers[0].to_constraints.sender.weight
    without = {name for name, p in network.named_parameters() if p.grad is None}
    assert without <= {f"layers.0.norms.1.{name}" for name in ("share", "weight", "bias")}  # seen by no one
    step = 1e-2
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            weight[0, 0] += sign * step
            values.append(float(network(batch).double().square().sum()))
            weight[0, 0] -= sign * step
    slope = (values[0] - values[1]) / (2 * step)
    assert float(weight.grad[0, 0]) == pytest.approx(slope, rel=0.05, abs=1e-3)


def test_parts_can_be_left_out() -> None:
    full, plain = Network(NetworkOptions()), Network(NetworkOptions.predict_and_search())
    names = dict(plain.named_parameters())
    assert not any("competition" in name or "norms" in name for name in names)
    assert 0.2e6 < sum(p.numel() for p in full.parameters()) < 0.3e6
    assert plain.head[0].in_features == 64
    with pytest.raises(OptionError, match="convolution must be one of"):
        NetworkOptions(convolution="both")
    with pytest.raises(OptionError, match="width must be an integer >= 1"):
        NetworkOptions(width=0)
