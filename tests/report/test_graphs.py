"""Drawings of graphs: where nodes stand, what an edge looks like, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import optengine as oe
from optengine.problems import DAGProblem, random_weights
from optengine.report.layers import BEND, Layout, layers

pytest.importorskip("matplotlib")

from matplotlib.patches import Circle, FancyArrowPatch

from optengine.report.graphs import draw_graph


@given(st.integers(0, 10**6))
def test_edges_point_down_and_nodes_have_room(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = random_weights(rng, int(rng.integers(2, 25)), int(rng.integers(1, 4))) != 0
    layout = Layout(edges)
    assert set(layout.paths) == {(i, j) for i, j in np.argwhere(edges).tolist()}
    for (i, j), path in layout.paths.items():
        assert np.array_equal(path[[0, -1]], layout.points[[i, j]])
        assert (np.diff(path[:, 1]) == -1).all()
    for level in np.unique(layout.points[:, 1]):
        places = np.sort(layout.points[layout.points[:, 1] == level, 0])
        assert (np.diff(places) > 2 * BEND - 1e-9).all()


def test_a_layer_is_one_below_the_lowest_parent() -> None:
    edges = np.zeros((4, 4), dtype=bool)
    edges[0, 1] = edges[1, 2] = edges[0, 2] = True
    assert layers(edges) == [0, 1, 2, 0]
    assert len(Layout(edges).paths[0, 2]) == 3  # the long edge has a bend


def arrows(axes: Any) -> list[Any]:
    return [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


def test_a_result_is_drawn(tmp_path: Path) -> None:
    problem = DAGProblem.random(np.random.default_rng(0), 8, 1)
    problem.names = tuple("abcdefgh")
    result = oe.solve(problem, "order_search", budget=2000, seed=0)
    axes = result.plot(kind="graph")
    assert len(arrows(axes)) == result.details["thresholded"].sum()
    assert sum(isinstance(patch, Circle) for patch in axes.patches) == 8
    assert {text.get_text() for text in axes.texts} == set("abcdefgh")
    assert axes.get_title(loc="left").endswith("order_search")
    axes.figure.savefig(tmp_path / "graph.png")
    assert (tmp_path / "graph.png").stat().st_size > 5000
    numbered = result.plot(kind="graph", names=range(8), title="mine")
    assert "7" in {text.get_text() for text in numbered.texts}
    assert numbered.get_title(loc="left") == "mine"


def test_width_says_weight_or_frequency_and_colour_the_sign() -> None:
    W = np.array([[0.0, 2.0, -1.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    wide, middle, thin = arrows(draw_graph(W != 0, weights=W))
    assert wide.get_linewidth() > middle.get_linewidth() > thin.get_linewidth()
    assert wide.get_edgecolor() == thin.get_edgecolor() != middle.get_edgecolor()
    share = np.array([[0.0, 0.2, 0.9], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    axes = draw_graph(W != 0, weights=W, frequency=share)
    first, second, third = arrows(axes)
    assert second.get_linewidth() > third.get_linewidth() > first.get_linewidth()
    assert {"20%", "90%", "50%"} < {text.get_text() for text in axes.texts}


def test_the_weakest_edge_of_a_cycle_is_dashed() -> None:
    W = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0]])
    drawn = arrows(draw_graph(W != 0, weights=W))
    assert [arrow.get_linestyle() for arrow in drawn] == ["-", "-", "--"]
    assert len(arrows(draw_graph(np.zeros((3, 3))))) == 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"graph": np.zeros((2, 3))}, r"graph must be a square matrix, got shape \(2, 3\)"),
        ({"names": ["a"]}, "names must name 3 nodes, got 1"),
        ({"weights": np.full((3, 3), np.nan)}, "weights must be finite numbers"),
        ({"frequency": np.zeros((2, 2))}, r"frequency must be finite numbers of shape \(3, 3\)"),
    ],
)
def test_what_a_drawing_refuses(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(oe.OptionError, match=match):
        draw_graph(**{"graph": np.zeros((3, 3)), **arguments})


def test_a_result_without_a_graph_is_refused() -> None:
    result = oe.minimize(lambda x: float(x[0]), [(0.0, 1.0)], solver="random", budget=5, seed=0)
    with pytest.raises(
        oe.OptionError, match="kind must be 'graph' only for a problem whose details have a graph"
    ):
        result.plot(kind="graph")
    with pytest.raises(oe.OptionError, match="a plot of kind 'graph' has no option 'log'"):
        result.plot(kind="graph", log=True)
