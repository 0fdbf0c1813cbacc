"""Tables, BIF networks, Tetrad's graphs and knowledge, networkx and GraphML: what they read, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.problems import DAGProblem, read, read_graph, read_knowledge, read_network, read_table

ROWS = [[1.0, 2.5, 3.0], [4.0, 5.0, 6.5], [0.0, 1.0, -1.0], [2.0, 7.0, 1e-1], [3.0, 3.0, 4.0]]
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def write(folder: Path, content: str, name: str = "file.txt") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def table(separator: str, head: str = "", quote: str = "", numbered: bool = False) -> str:
    lines = [head + separator.join(f"{quote}{name}{quote}" for name in ("raf", "mek", "p38"))]
    for k, row in enumerate(ROWS):
        start = f"row{k}{separator}" if numbered else ""
        lines.append(start + separator.join(map(str, row)))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        table("\t"), table(","), table(", "), table(";"), table("  "), table(",", quote='"'), table(" ", quote='"'),
        table(",", head=",", numbered=True), table("\t", numbered=True), table(" ", numbered=True), "\n" + table(","),
    ],
)  # fmt: skip
def test_a_table_is_data_for_a_graph(tmp_path: Path, text: str) -> None:
    problem = read(write(tmp_path, text, "cells.csv"))
    assert isinstance(problem, DAGProblem)
    assert problem.names == ("raf", "mek", "p38")
    assert problem.name == "cells"
    assert problem.gram == pytest.approx(DAGProblem(ROWS).gram)
    result = oe.solve(problem, "dag_exact")
    assert result.details["names"] == ["raf", "mek", "p38"]
    data, names = read_table(tmp_path / "cells.csv")
    assert data.tolist() == ROWS
    assert names == ["raf", "mek", "p38"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (table(",").replace("6.5", "NA"), "line 3: expected a finite number in column 'p38', got 'NA'; drop"),
        (table(",").replace("6.5", "inf"), "line 3: expected a finite number in column 'p38', got 'inf'"),
        (table(",").replace("7.0,", ""), "line 5: expected 3 columns as in the header, got 2"),
        (table(",").replace("mek", "raf"), "line 1: names of columns must differ, got 'raf' twice"),
        ("a b\n1 2\n1 3\n1 4\n", "columns a, b are no data for a graph: .*constant columns"),
        (
            "kind,size,cost\na,1,2\nb,2,1\nb,3,5\n",
            "line 2: expected a finite number in column 'kind', got 'a'",
        ),
        ("just a text\nof two lines\n", "no known format begins with 'just a text'"),
        ("1 2 3\n4 5 6\n", "no known format"),
    ],
)
def test_a_bad_table_is_told_where(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(oe.ProblemError, match=match):
        read(write(tmp_path, text))


def test_numbers_alone_are_no_table_with_names(tmp_path: Path) -> None:
    with pytest.raises(oe.ProblemError, match="expected a header line with names of columns, got '1 2'"):
        read_table(write(tmp_path, "1 2\n3 4\n5 6\n"))


BIF = """// a comment
network "garden" { property author someone; }
variable rain { type discrete [ 2 ] { no, yes }; property p; }
variable hose { type discrete[2] {off, on}; }
variable wet { type discrete [ 3 ] { no, some, much }; }
probability ( rain ) { table 0.75, 0.25; }
probability ( hose | rain ) { (no) 0.6, 0.4; (yes) 0.99, 0.01; /* rarely */ }
probability ( wet | rain, hose ) {
  default 0.1, 0.3, 0.6;
  (no, off) 1.0, 0.0, 0.0;
}
"""


def test_a_network_in_bif(tmp_path: Path) -> None:
    network = read_network(write(tmp_path, BIF))
    assert network.name == "garden"
    assert network.names == ("rain", "hose", "wet")
    assert network.parents == ((), (0,), (0, 1))
    assert network.tables[1].tolist() == [[0.6, 0.4], [0.99, 0.01]]
    assert network.tables[2][0, 0].tolist() == [1.0, 0.0, 0.0]
    assert network.tables[2][1, 0].tolist() == [0.1, 0.3, 0.6]
    assert network.sample(np.random.default_rng(0), 10).shape == (10, 3)
    with pytest.raises(oe.ProblemError, match=r"network 'garden', no data: read it with .*read_network"):
        read(write(tmp_path, BIF))


def test_one_table_has_the_states_of_the_child_slowest(tmp_path: Path) -> None:
    text = BIF.replace("(no) 0.6, 0.4; (yes) 0.99, 0.01;", "table 0.6, 0.99, 0.4, 0.01;")
    assert read_network(write(tmp_path, text)).tables[1].tolist() == [[0.6, 0.4], [0.99, 0.01]]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("(no) 0.6, 0.4;", "(no) 0.6, 0.3, 0.1;", "table of hose needs 2 numbers, got 3"),
        ("(no) 0.6, 0.4;", "", "table of hose must have a line for each state of its parents"),
        ("(no) 0.6, 0.4;", "(nn) 0.6, 0.4;", "no state 'nn' of rain; did you mean 'no'"),
        ("(no) 0.6, 0.4;", "(no, no) 0.6, 0.4;", "needs 1 states"),
        ("(no) 0.6, 0.4;", "(no) 0.6, 0.5;", "'hose' must hold probabilities with sums of 1"),
        ("(no) 0.6, 0.4;", "(no) 0.6, x;", "expected probabilities of hose"),
        ("hose | rain", "hose | rains", "no variable 'rains'; did you mean 'rain'"),
        ("( rain ) {", "( rain | wet ) {", "table of rain needs 6 numbers, got 2"),
        ("probability ( rain ) { table 0.75, 0.25; }", "", "got none of rain"),
        ("[2] {off, on}", "[2] {off}", "hose must have 2 states, got 1"),
        ("type discrete[2] {off, on}", "type continuous", "expected 3 discrete variables, got 2"),
        ('network "garden" { property author someone; }', "", "expected a network in BIF"),
    ],
)
def test_a_bad_network_is_told_where(tmp_path: Path, old: str, new: str, match: str) -> None:
    assert old in BIF
    with pytest.raises(oe.ProblemError, match=match):
        read_network(write(tmp_path, BIF.replace(old, new)))


GRAPH = (
    "Graph Nodes:\nraf;mek;p38\n\nGraph Edges:\n1. raf --> mek\n2. p38 <-- raf\n\nGraph Attributes:\nBIC 3\n"
)
KNOWLEDGE = (
    "/knowledge\naddtemporal\n\n1 raf\n2* mek p38\n\nforbiddirect\nraf p38\n\nrequiredirect\nraf mek\n"
)


def test_graphs_and_knowledge_of_tetrad(tmp_path: Path) -> None:
    names, edges = read_graph(write(tmp_path, GRAPH))
    assert names == ["raf", "mek", "p38"]
    assert np.argwhere(edges).tolist() == [[0, 1], [0, 2]]
    known = read_knowledge(write(tmp_path, KNOWLEDGE), names)
    assert known == {"tiers": [[0], [1, 2]], "forbidden": [(0, 2), (1, 2), (2, 1)], "required": [(0, 1)]}
    free = read_knowledge(write(tmp_path, KNOWLEDGE.replace("2* mek p38", "2 p38")), names)
    assert free == {"tiers": None, "forbidden": [(0, 2), (2, 0)], "required": [(0, 1)]}  # mek is in no tier
    none = read_knowledge(write(tmp_path, "/knowledge\naddtemporal\n1\n2\n"), names)
    assert none == {"tiers": None, "forbidden": [], "required": []}
    problem = DAGProblem(ROWS, loss="gaussian", penalty="bic", **known)
    assert oe.solve(problem, "dag_exact").details["graph"][0, 1]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (GRAPH.replace("2. p38 <-- raf", "2. p38 --- raf"), "line 6: expected a directed edge"),
        (
            GRAPH.replace("2. p38 <-- raf", "2. p28 <-- raf"),
            "line 6: no node is named 'p28'; did you mean 'p38'",
        ),
        ("Graph Nodes:\na;b\n", "expected 'Graph Nodes:' and 'Graph Edges:'"),
    ],
)
def test_a_bad_graph_is_told_where(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(oe.ProblemError, match=match):
        read_graph(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (KNOWLEDGE.replace("raf p38", "raf"), "line 8: expected a section"),
        (KNOWLEDGE.replace("raf p38", "raf p48"), "line 8: no node is named 'p48'"),
        (KNOWLEDGE.replace("1 raf", "first raf"), "line 4: expected the number of a tier, got 'first'"),
        (GRAPH, "expected '/knowledge'"),
    ],
)
def test_bad_knowledge_is_told_where(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(oe.ProblemError, match=match):
        read_knowledge(write(tmp_path, text), ["raf", "mek", "p38"])


def test_export_to_networkx_and_graphml(tmp_path: Path) -> None:
    networkx = pytest.importorskip("networkx")
    W = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    names, share = ["raf", "mek", "p38"], np.full((3, 3), 0.5)
    graph = oe.problems.to_networkx(W, names=names, frequency=share)
    assert list(graph.nodes) == names
    assert graph.edges["raf", "mek"] == {"weight": 2.0, "frequency": 0.5}
    assert list(oe.problems.to_networkx(W != 0).edges(data=True)) == [(0, 1, {}), (1, 2, {})]
    path = tmp_path / "graph.graphml"
    oe.problems.write_graphml(path, W, names=names)
    again = networkx.read_graphml(path)
    assert sorted(again.edges(data="weight")) == [("mek", "p38", -1.0), ("raf", "mek", 2.0)]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"graph": np.eye(2)[:1]}, r"graph must be a square matrix, got shape \(1, 2\)"),
        ({"names": ["a", "a", "b"]}, "names must be 3 different ones"),
        ({"frequency": np.eye(2)}, "frequency must have the graph's shape"),
    ],
)
def test_what_export_refuses(arguments: dict[str, Any], match: str) -> None:
    pytest.importorskip("networkx")
    with pytest.raises(oe.ProblemError, match=match):
        oe.problems.to_networkx(**{"graph": np.zeros((3, 3)), **arguments})


@pytest.mark.skipif(not (SHARED / "dag").is_dir(), reason="the collection of data is not here")
def test_files_of_the_collection() -> None:
    problem = read(SHARED / "dag" / "sachs.2005.logxplus10.continuous.txt")
    assert isinstance(problem, DAGProblem)
    assert problem.n_nodes == 11
    names, edges = read_graph(SHARED / "dag" / "sachs.2005.ground.truth.graph.txt")
    assert names == list(problem.names or ())
    assert edges.sum() == 20
    assert len(read_knowledge(SHARED / "dag" / "sachs.2005.knowledge.txt", names)["required"]) == 20
    for file, d, n_edges in (("asia", 8, 8), ("cancer", 5, 4), ("earthquake", 5, 4), ("sachs", 11, 17)):
        network = read_network(SHARED / "combinatorial" / "dag" / f"{file}.bif")
        assert (len(network.names), network.graph.sum()) == (d, n_edges)
