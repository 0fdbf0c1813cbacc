"""Readers on small files: what they read, how they recognise it, and what they say of bad files."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from optengine.core.errors import ProblemError
from optengine.problems.formats import FORMATS, bundled, read, read_all, read_solution
from optengine.problems.formats.source import Source
from optengine.problems.qap import QAP
from optengine.problems.tsp import TSP

QAPLIB = "3\n\n0 3 1\n2 0 0\n0 4 0\n\n0 10 20\n10 0 5\n30 5 0\n"
TSPLIB = """NAME : five
TYPE : TSP
COMMENT : Städte
DIMENSION : 5
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 0 0
2 3.0e+00 0
3 3 4
4 0 4
5 -3 4
EOF
"""
MATRIX = np.array([[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]])
WEIGHTS = {
    "FULL_MATRIX": "0 1 2 3 1 0 4 5 2 4 0 6 3 5 6 0",
    "UPPER_ROW": "1 2 3 4 5 6",
    "LOWER_ROW": "1 2 4 3 5 6",
    "UPPER_COL": "1 2 4 3 5 6",
    "LOWER_COL": "1 2 3 4 5 6",
    "UPPER_DIAG_ROW": "0 1 2 3 0 4 5 0 6 0",
    "LOWER_DIAG_ROW": "0 1 0 2 4 0 3 5 6 0",
    "UPPER_DIAG_COL": "0 1 0 2 4 0 3 5 6 0",
    "LOWER_DIAG_COL": "0 1 2 3 0 4 5 0 6 0",
}


def explicit(layout: str, weights: str, kind: str = "TSP") -> str:
    return (
        f"NAME: four\nTYPE: {kind}\nDIMENSION: 4\nEDGE_WEIGHT_TYPE: EXPLICIT\n"
        f"EDGE_WEIGHT_FORMAT: {layout}\nEDGE_WEIGHT_SECTION\n{weights}\nEOF\n"
    )


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# -- what is read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [str, lambda text: "3\n" + text[2:].replace("\n", " ")])
def test_qaplib_takes_any_layout(tmp_path: Path, layout: Callable[[str], str]) -> None:
    problem = read(write(tmp_path, "tiny.dat", layout(QAPLIB)))
    assert isinstance(problem, QAP)
    assert problem.name == "tiny"
    assert problem.flow.tolist() == [[0, 3, 1], [2, 0, 0], [0, 4, 0]]
    assert problem.distance.tolist() == [[0, 10, 20], [10, 0, 5], [30, 5, 0]]
    assert problem.best_known is None


@given(n=st.integers(1, 6), seed=st.integers(0, 10**6), breaks=st.integers(1, 30))
def test_qaplib_round_trip(tmp_path_factory: pytest.TempPathFactory, n: int, seed: int, breaks: int) -> None:
    rng = np.random.default_rng(seed)
    flow, distance = rng.integers(-5, 999, (2, n, n))
    words = [str(v) for v in [*flow.ravel(), *distance.ravel()]]
    lines = [" ".join(words[i : i + breaks]) for i in range(0, len(words), breaks)]
    path = write(tmp_path_factory.mktemp("qap"), "x", f"\n  {n}  \r\n" + "\r\n".join(lines))
    problem = read(path)
    assert isinstance(problem, QAP)
    assert (problem.flow == flow).all()
    assert (problem.distance == distance).all()


@pytest.mark.parametrize(
    ("header", "value", "source"),
    [("3 90 90", 90.0, "proved optimal"), ("3 -80 90", 90.0, "best known, not proved")],
)
def test_qaplib_with_known_values(tmp_path: Path, header: str, value: float, source: str) -> None:
    problem = read(write(tmp_path, "tiny.qap", QAPLIB.replace("3\n", header + "\n", 1)))
    assert problem.best_known == value
    assert problem.best_known_source == f"{source}: stated in tiny.qap"


def test_qaplib_floats(tmp_path: Path) -> None:
    problem = read(write(tmp_path, "f.dat", "2\n0 0.5\n1e1 0\n0 1\n1 0\n"))
    assert isinstance(problem, QAP)
    assert problem.flow.dtype == problem.distance.dtype == np.float64
    assert problem.evaluate(np.array([[0.0, 1.0]])).F[0, 0] == 10.5


def test_tsplib_coordinates(tmp_path: Path) -> None:
    problem = read(write(tmp_path, "five.tsp", TSPLIB))
    assert isinstance(problem, TSP)
    assert (problem.name, problem.metric, problem.n_cities) == ("five", "EUC_2D", 5)
    assert problem.evaluate(np.arange(5.0)[np.newaxis]).F[0, 0] == 3 + 4 + 3 + 3 + 5


def test_tsplib_places_cities_by_their_numbers(tmp_path: Path) -> None:
    mixed = TSPLIB.replace("1 0 0\n2 3.0e+00 0\n", "2 3.0e+00 0\n1 0 0\n")
    straight, swapped = read(write(tmp_path, "a.tsp", TSPLIB)), read(write(tmp_path, "b.tsp", mixed))
    assert straight.fingerprint() == swapped.fingerprint()


def test_tsplib_old_encoding_and_gzip(tmp_path: Path) -> None:
    content = TSPLIB.encode("latin-1") + b"\x1a"
    plain = read(write(tmp_path, "five.tsp", content))
    packed = read(write(tmp_path, "five.tsp.gz", gzip.compress(content)))
    disguised = read(write(tmp_path, "five.dat", gzip.compress(content)))
    assert plain.fingerprint() == packed.fingerprint() == disguised.fingerprint()


@pytest.mark.parametrize("layout", WEIGHTS)
def test_tsplib_explicit_weights(tmp_path: Path, layout: str) -> None:
    broken_up = WEIGHTS[layout].replace(" ", "\n", 4)
    problem = read(write(tmp_path, "four.tsp", explicit(layout, broken_up)))
    assert isinstance(problem, TSP)
    assert problem.distance.tolist() == MATRIX.tolist()
    assert problem.distance.dtype == np.int64


def test_tsplib_asymmetric(tmp_path: Path) -> None:
    weights = "9999 1 2 3 4 9999 5 6 7 8 9999 9 10 11 12 9999"
    problem = read(write(tmp_path, "four.atsp", explicit("FULL_MATRIX", weights, kind="ATSP")))
    assert isinstance(problem, TSP)
    assert not problem.symmetric
    assert problem.evaluate(np.arange(4.0)[np.newaxis]).F[0, 0] == 1 + 5 + 9 + 10


def test_tsplib_type_with_author_and_display_data(tmp_path: Path) -> None:
    text = explicit("UPPER_ROW", WEIGHTS["UPPER_ROW"], kind="TSP (M.~Hofmeister)")
    text = text.replace("EOF\n", "DISPLAY_DATA_SECTION\n1 0 0\n2 1 0\n3 1 1\n4 0 1\nEOF\n")
    problem = read(write(tmp_path, "four.tsp", text))
    assert isinstance(problem, TSP)
    assert problem.coordinates is None
    assert problem.display is not None
    assert problem.display.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    assert isinstance(read(write(tmp_path, "a.tsp", QAPLIB)), QAP)
    assert isinstance(read(write(tmp_path, "a.dat", TSPLIB)), TSP)
    assert isinstance(QAP.load(tmp_path / "a.tsp"), QAP)
    with pytest.raises(ProblemError, match="holds a QAP, not a TSP"):
        TSP.load(tmp_path / "a.tsp")


def test_index_of_a_file_with_one_problem(tmp_path: Path) -> None:
    path = write(tmp_path, "a.dat", QAPLIB)
    assert len(read_all(path)) == 1
    assert read(path, index=0).fingerprint() == read(path, index=-1).fingerprint()
    with pytest.raises(ProblemError, match=r"index must be an integer in 0..0, got 1"):
        read(path, index=1)


@pytest.mark.parametrize(
    ("text", "x", "value"),
    [
        ("3 165\n3 1 2\n", [2, 0, 1], 165.0),
        ("165\n 3 1\n 2\n", [2, 0, 1], 165.0),
        ("3 165\n2 0 1", [2, 0, 1], 165.0),
        ("NAME: t\nTYPE: TOUR\nDIMENSION: 3\nTOUR_SECTION\n3\n1\n2\n-1\nEOF\n", [2, 0, 1], None),
        ("TYPE: TOUR\nTOUR_SECTION\n3 1 2\nEOF\n", [2, 0, 1], None),
    ],
)
def test_solutions(tmp_path: Path, text: str, x: list[int], value: float | None) -> None:
    solution = read_solution(write(tmp_path, "solution", text))
    assert (solution.x.tolist(), solution.value) == (x, value)


def test_a_solution_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="expected a permutation"):
        read_solution(write(tmp_path, "x.sln", "3 165\n1 1 2\n"))


# -- best-known values -------------------------------------------------------------------------------------------


def test_best_known_from_an_index_above(tmp_path: Path) -> None:
    (tmp_path / "qap").mkdir()
    path = write(tmp_path / "qap", "tiny.dat.gz", gzip.compress(QAPLIB.encode()))
    index = "file\tclass\tbest_known\tstatus\treference\nqap/other.dat\tqap\t1\topt\tX\nqap/tiny.dat\tqap\t85\topt\tY\n"
    write(tmp_path, "INDEX.tsv", index)
    problem = read(path)
    assert problem.best_known == 85.0
    assert problem.best_known_source == "proved optimal: Y"
    write(tmp_path, "INDEX.tsv", index.replace("85\topt", "-\t"))
    assert read(path).best_known is None
    write(tmp_path, "INDEX.tsv", index.replace("85", "many"))
    with pytest.raises(ProblemError, match=r"INDEX.tsv, line 3: best_known of qap/tiny.dat .* got 'many'"):
        read(path)
    write(tmp_path, "INDEX.tsv", index.replace("85", "85;86"))
    with pytest.raises(ProblemError, match="holds 1 problems, but its index lists 2"):
        read(path)
    write(tmp_path, "INDEX.tsv", "no table at all\n")
    assert read(path).best_known is None


def test_a_value_that_a_random_point_beats_is_not_believed(tmp_path: Path) -> None:
    path = write(tmp_path, "tiny.dat", QAPLIB)
    write(tmp_path, "INDEX.tsv", "file\tbest_known\tstatus\treference\ntiny.dat\t9999\topt\tZ\n")
    problem = read(path)
    assert problem.best_known is None
    assert problem.best_known_source is not None
    assert problem.best_known_source.startswith(
        "none: 9999 (proved optimal: Z) cannot belong to this instance"
    )


# -- bad files ---------------------------------------------------------------------------------------------------

TRUNCATED = gzip.compress(TSPLIB.encode())[:-20]
BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "bad.dat: is empty"),
    "blank": (" \n\t\n", "bad.dat: is empty"),
    "binary": (b"3\n\x00\x01\x02", "bad.dat: holds binary data"),
    "image": (b"\x89PNG\r\n\x1a\n\x00\x00", "bad.dat: holds binary data"),
    "truncated gzip": (TRUNCATED, "bad.dat: the gzip file is damaged or truncated"),
    "prose": ("Dear Sir,\nplease find", "bad.dat, line 1: no known format begins with 'Dear Sir,' .*QAPLIB"),
    "truncated qaplib": (
        QAPLIB[:-8],
        r"n = 3 needs two 3 x 3 matrices, 18 numbers .* got 15 \(truncated\?\)",
    ),
    "long qaplib": (QAPLIB + "7", "18 numbers after the first line, got 19$"),
    "nan": (QAPLIB.replace("20", "nan"), "bad.dat, line 7: expected a finite number, got 'nan'"),
    "infinite": (QAPLIB.replace("20", "1e999"), "line 7: expected a finite number, got '1e999'"),
    "word": (QAPLIB.replace("20", "2o"), "line 7: expected a finite number, got '2o'"),
    "truncated tsplib": (
        TSPLIB[:-12],
        r"line 6: NODE_COORD_SECTION with DIMENSION 5 needs 5 lines, got 4 \(truncated\?\)",
    ),
    "header only": (TSPLIB[: TSPLIB.index("NODE")], r"EUC_2D needs a NODE_COORD_SECTION, got none"),
    "coordinate lost": (
        TSPLIB.replace("3 3 4", "3 3"),
        "line 9: expected a city and 2 coordinates, got '3 3'",
    ),
    "coordinate nan": (TSPLIB.replace("3 3 4", "3 3 nan"), "line 9: expected a finite number, got 'nan'"),
    "city twice": (TSPLIB.replace("3 3 4", "2 3 4"), "line 6: city 2 is listed twice"),
    "no dimension": (TSPLIB.replace("DIMENSION : 5\n", ""), "DIMENSION must be an integer >= 2, got none"),
    "dimension": (TSPLIB.replace(": 5", ": five"), "line 4: DIMENSION must be an integer >= 2, got 'five'"),
    "one city": (TSPLIB.replace(": 5", ": 1"), "DIMENSION must be an integer >= 2, got '1'"),
    "metric": (TSPLIB.replace("EUC_2D", "EUC2D"), "line 5: .* got EUC2D; did you mean 'EUC_2D'"),
    "type": (TSPLIB.replace(": TSP", ": CVRP"), "line 2: TYPE must be TSP or ATSP, got CVRP"),
    "tour": (TSPLIB.replace(": TSP", ": TOUR"), "got TOUR; .*read_solution reads tours"),
    "prose inside": (TSPLIB.replace("COMMENT : ", "My "), "line 3: expected 'KEYWORD : value' or a section"),
    "fixed edges": (TSPLIB.replace("EOF", "FIXED_EDGES_SECTION\n1 2\n-1\nEOF"), "FIXED_EDGES_SECTION is not"),
    "layout": (
        explicit("UPPERROW", "1"),
        "line 5: EDGE_WEIGHT_FORMAT .* got UPPERROW; did you mean 'UPPER_ROW'",
    ),
    "weights": (
        explicit("UPPER_ROW", "1 2 3"),
        r"line 6: UPPER_ROW with DIMENSION 4 needs 6 numbers, got 3 \(tr",
    ),
    "too many": (explicit("UPPER_ROW", WEIGHTS["FULL_MATRIX"]), "needs 6 numbers, got 16$"),
    "weight nan": (explicit("UPPER_ROW", "1 2 3\n4 5 nan"), "line 8: expected a finite number, got 'nan'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named_in_one_sentence(tmp_path: Path, case: str) -> None:
    content, says = BAD[case]
    with pytest.raises(ProblemError, match=says) as caught:
        read(write(tmp_path, "bad.dat", content))
    assert "bad.dat" in str(caught.value)
    assert "\n" not in str(caught.value)


@given(content=st.binary(min_size=1, max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_is_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    with pytest.raises(ProblemError):
        read(write(tmp_path_factory.mktemp("bad"), "bad", content))


@given(cut=st.integers(1, 300), text=st.sampled_from([TSPLIB, explicit("UPPER_ROW", "1 2 3 4 5 6")]))
def test_a_file_cut_short_never_reads_as_a_smaller_problem(
    tmp_path_factory: pytest.TempPathFactory, cut: int, text: str
) -> None:
    path = write(tmp_path_factory.mktemp("cut"), "cut.tsp", text[: min(cut, len(text) - 6)])
    try:
        problem = read(path)
    except ProblemError:
        return
    assert isinstance(problem, TSP)
    assert problem.n_cities == int(re.findall(r"DIMENSION *: (\d)", text)[0])


def test_missing_files_and_folders(tmp_path: Path) -> None:
    write(tmp_path, "nug12.dat", QAPLIB)
    with pytest.raises(ProblemError, match=r"nug21.dat: no such file; did you mean 'nug12.dat'"):
        read(tmp_path / "nug21.dat")
    with pytest.raises(ProblemError, match="no such file"):
        read(tmp_path / "none" / "x.dat")
    with pytest.raises(ProblemError, match="cannot be read"):
        read(tmp_path)


# -- the table ---------------------------------------------------------------------------------------------------


def test_recognisers_are_sure_of_their_own_only(tmp_path: Path) -> None:
    for name, text in {"QAPLIB": QAPLIB, "TSPLIB": TSPLIB}.items():
        source = Source.open(write(tmp_path, name, text))
        sure = {other: format.recognise(source) for other, format in FORMATS.items()}
        assert max(sure, key=sure.__getitem__) == name
        assert sorted(sure.values())[-2] < sure[name]
    for name, format in FORMATS.items():
        assert format.name == name


def test_bundled_instances() -> None:
    assert isinstance(read(bundled("clinic10.dat")), QAP)
    with pytest.raises(ProblemError, match=r"no bundled instance is named 'x'; there are: .*clinic10.dat"):
        bundled("x")
