"""MPS and LP: every section, the conventions where readers differ, damaged files, and the way back."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from scipy import sparse

import optengine as oe
from optengine.core.errors import ProblemError
from optengine.problems.milp import MILP

FULL = """\
* a comment
NAME          EVERY
OBJSENSE
    MAX
ROWS
 N  COST
 N  SPARE
 L  LIM
 G  MYG
 E  EQ
 E  EQN
COLUMNS
    X         COST         1.0   LIM          1.0
    X         MYG          1.0
    MARKER                 'MARKER'                 'INTORG'
    Y         COST         2.0   LIM          1.0
    Y         EQ          -1.0   SPARE        9.0
    Z         COST        -1.0   EQ           1.0
    B         EQ           1.5
    MARKER                 'MARKER'                 'INTEND'
    F         MYG          1.0D0 EQN          2.0
    U         COST         3.0
    N1        LIM          1.0
    N2        LIM          1.0
    FIX       LIM          1.0
RHS
    RHS       COST        -7.5   LIM          4.0
    RHS       MYG          1.0   EQ           7.0
    RHS       EQN          3.0
    OTHER     LIM        999.0
RANGES
    RNG       LIM          2.5   MYG          4.0
    RNG       EQ           2.0   EQN         -2.0
BOUNDS
 UP BND       X            4.0
 LI BND       Y           -1
 UI BND       Y            6
 FR BND       F
 MI BND       U
 UP BND       U            1e30
 UP BND       N1          -3.0
 LO BND       N2          -9.0
 UP BND       N2          -2.0
 FX BND       FIX          2.5
 BV BND       B
 XX OTHER2    X            1.0
ENDATA
"""


def write(folder: Path, text: str, name: str = "a.mps") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def read(folder: Path, text: str, name: str = "a.mps") -> MILP:
    problem = oe.problems.read(write(folder, text, name))
    assert isinstance(problem, MILP)
    return problem


def test_every_section_of_mps(tmp_path: Path) -> None:
    p = read(tmp_path, FULL.replace(" XX OTHER2    X            1.0\n", " UP OTHER     X            1.0\n"))
    inf = np.inf
    assert p.name == "EVERY"
    assert p.objectives[0].direction == "maximize"
    assert p.constant == 7.5
    assert p.names == ("X", "Y", "Z", "B", "F", "U", "N1", "N2", "FIX")
    assert p.row_names == ("LIM", "MYG", "EQ", "EQN")
    assert p.c.tolist() == [1, 2, -1, 0, 0, 3, 0, 0, 0]
    assert p.lower.tolist() == [1.5, 1, 7, 1]
    assert p.upper.tolist() == [4, 5, 9, 3]
    assert p.integrality.tolist() == [False, True, True, True, False, False, False, False, False]
    assert p.lb.tolist() == [0, -1, 0, 0, -inf, -inf, -inf, -9, 2.5]
    assert p.ub.tolist() == [4, 6, 1, 1, inf, inf, -3, -2, 2.5]  # Z has a marker and no bound: binary
    assert p.A.toarray().tolist() == [
        [1, 1, 0, 0, 0, 0, 1, 1, 1],
        [1, 0, 0, 0, 1, 0, 0, 0, 0],
        [0, -1, 1, 1.5, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 2, 0, 0, 0, 0],
    ]


def test_names_with_blanks_are_read_by_position(tmp_path: Path) -> None:
    text = (
        "NAME          BLANKS\nROWS\n N  MY COST\n G  ROW ONE\nCOLUMNS\n"
        "    COL A     MY COST            1.0   ROW ONE            1.0\n"
        "    COL B     MY COST            2.0   ROW ONE            1.0\n"
        "RHS\n    RHS       ROW ONE      2.0\nBOUNDS\n UP BND       COL A        1.0\nENDATA\n"
    )
    p = read(tmp_path, text)
    assert p.names == ("COL A", "COL B")
    assert p.ub.tolist() == [1, np.inf]
    assert oe.solve(p).fun == 3


def test_sets_may_be_left_out(tmp_path: Path) -> None:
    text = "NAME\nROWS\n N C\n L R\nCOLUMNS\n X C 1 R 1\nRHS\n R 4\nBOUNDS\n UP X 3\nENDATA\n"
    p = read(tmp_path, text)
    assert (p.upper.tolist(), p.ub.tolist(), p.name) == ([4], [3], "a")


def test_gzip_and_best_known(tmp_path: Path) -> None:
    path = tmp_path / "b.mps.gz"
    path.write_bytes(gzip.compress(b"ROWS\n N C\n G R\nCOLUMNS\n X C 1 R 1\nRHS\n RHS R 4\nENDATA\n"))
    (tmp_path / "INDEX.tsv").write_text("file\tbest_known\tstatus\treference\nb.mps\t4\topt\tby hand\n")
    p = oe.problems.read(path)
    assert (p.best_known, p.best_known_source) == (4.0, "proved optimal: by hand")
    assert oe.solve(p).fun == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" L  LIM", " Q  LIM", "sense of row 'LIM' must be N, L, G or E, got 'Q'"),
        (" G  MYG", " G  LIM", "names of rows must be distinct, got 'LIM' twice"),
        ("    F         MYG", "    X         MYG", "names of columns must be distinct, got 'X' twice"),
        ("X         MYG          1.0\n", "X         LIM          1.0\n", "must hold column 'X' once"),
        (
            "MYG          1.0D0",
            "MYG          1e25 ",
            "coefficient of 'F' in row 'MYG' must be finite, got '1e25'",
        ),
        ("MYG          1.0D0", "MYG          one  ", "must be a number, got 'one'"),
        ("MYG          1.0D0", "MYH          1.0  ", "there is no row 'MYH'; did you mean 'MYG'"),
        (" UP BND       X ", " UP BND       XX", "there is no column 'XX'"),
        (" UP BND       X            4.0", " SC BND       X            4.0", "semi-continuous"),
        (" BV BND       B", " XX BND       B", "a bound must be one of LO, UP"),
        ("    MAX", "    MAXI", "OBJSENSE must be MIN or MAX, got 'MAXI'"),
        ("RANGES", "QUADOBJ", "a section must be one of .*, got 'QUADOBJ'"),
        ("ENDATA", "", "has no ENDATA"),
        ("'INTEND'", "'INTOFF'", "MARKER must be INTORG or INTEND"),
        (
            " FX BND       FIX          2.5",
            " LO BND       X            5.0",
            "bounds of column 'X' must be lower",
        ),
    ],
)
def test_damaged_mps(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = FULL.replace(" XX OTHER2    X            1.0\n", "")
    assert old in text
    with pytest.raises(ProblemError, match=message) as caught:
        read(tmp_path, text.replace(old, new, 1))
    assert str(caught.value).startswith("a.mps")
    assert "\n" not in str(caught.value)


LP = r"""\ comment
Maximize
 obj: 3 x + 2.5y - z + 0.5 + \ another
      w
Subject To
 c1: x + y + z <= 10
 c2: - 2 <= x - y <= 8
 c3: 5 >= w
 x + 2 z >= -4.5
 e: 2 w - x + 3 = 4
Bounds
 x <= 4
 -inf <= y <= 6
 z free
 w >= 1
 -1 <= b1 <= 1
 k = 3
General
 w k
Binaries
 b1
End
"""


def test_every_section_of_lp(tmp_path: Path) -> None:
    p = read(tmp_path, LP, "a.lp")
    inf = np.inf
    assert p.objectives[0].direction == "maximize"
    assert p.constant == 0.5
    assert p.names == ("x", "y", "z", "w", "b1", "k")
    assert p.row_names == ("c1", "c2", "c3", "R4", "e")
    assert p.c.tolist() == [3, 2.5, -1, 1, 0, 0]
    assert p.lower.tolist() == [-inf, -2, -inf, -4.5, 1]
    assert p.upper.tolist() == [10, 8, 5, inf, 1]
    assert p.A.toarray()[:, :4].tolist() == [
        [1, 1, 1, 0],
        [1, -1, 0, 0],
        [0, 0, 0, 1],
        [1, 0, 2, 0],
        [-1, 0, 0, 2],
    ]
    assert p.lb.tolist() == [0, -inf, -inf, 1, 0, 3]
    assert p.ub.tolist() == [4, 6, inf, inf, 1, 3]
    assert p.integrality.tolist() == [False, False, False, True, True, True]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("End", "", "has no End"),
        ("c2:", "c1:", "names of rows must be distinct, got 'c1' twice"),
        ("x + y + z <= 10", "x + y z <= 10", r"expected a relation in row 'c1', got 'z'"),
        ("x + y + z <= 10", "x + [ y ^ 2 ] <= 10", "quadratic terms are not supported"),
        ("x + y + z <= 10", "x + y + z <= x", "expected a number on the right of row 'c1'"),
        ("x + y + z <= 10", "x + 1e30 y <= 10", "a coefficient must be finite"),
        (" x <= 4", " x <= -4", "column 'x' must have a lower bound beside its upper bound -4"),
        ("Binaries", "Semi-Continuous", "semi-continuous variables are not supported"),
        ("General\n w k", "General\n w 3", "expected a column, got '3'"),
        ("z free", "z loose", "expected a relation or 'free'"),
        ("Binaries\n b1", "SOS\n s1: S1:: x:1 y:2", "special ordered sets"),
    ],
)
def test_damaged_lp(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in LP
    with pytest.raises(ProblemError, match=message) as caught:
        read(tmp_path, LP.replace(old, new, 1), "a.lp")
    assert "\n" not in str(caught.value)


def test_lp_of_ortools_is_read(tmp_path: Path) -> None:
    helper = pytest.importorskip("ortools.linear_solver.python.model_builder")
    model = helper.Model()
    x, y = model.new_bool_var("x"), model.new_int_var(-2, 5, "y")
    z = model.new_num_var(-1.5, 1e100, "z")
    model.add(2 * x + y - z <= 3)
    model.add(x + z >= 0.5)
    model.maximize(x + 3 * y - z + 2)
    p = read(tmp_path, model.export_to_lp_string(), "o.lp")
    assert oe.solve(p).fun == pytest.approx(15)
    q = read(tmp_path, model.export_to_mps_string(), "o.mps")
    assert oe.solve(q).fun == pytest.approx(15)


# -- the way back ------------------------------------------------------------------------------------------------------


def same(p: MILP, q: MILP) -> None:
    """Equal up to the order of columns."""
    assert q.names is not None
    names = p.names if p.names and set(p.names) == set(q.names) else [f"x{j}" for j in range(p.n_variables)]
    order = [q.names.index(name) for name in names]
    for field in ("c", "lb", "ub", "integrality"):
        assert np.array_equal(getattr(p, field), getattr(q, field)[order]), field
    for field in ("lower", "upper"):  # MPS keeps a difference
        np.testing.assert_allclose(getattr(p, field), getattr(q, field), rtol=1e-14, atol=1e-6)
    assert np.array_equal(p.A.toarray(), q.A.toarray()[:, order])
    assert (p.constant, p.objectives[0].direction) == (q.constant, q.objectives[0].direction)


numbers = st.floats(-1e9, 1e9, allow_subnormal=False).map(lambda v: float(f"{v:.12g}"))


@st.composite
def models(draw: st.DrawFn) -> MILP:
    n, m = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    values = st.one_of(st.just(0.0), numbers)
    A = np.array(draw(st.lists(values, min_size=n * m, max_size=n * m))).reshape(m, n)
    ends: dict[str, Any] = {}
    for label, count in (("rows", m), ("columns", n)):
        low = np.array([draw(st.one_of(st.just(-np.inf), numbers)) for _ in range(count)])
        width = np.array([draw(st.sampled_from([0.0, 1.0, 2.5, np.inf])) for _ in range(count)])
        top = np.array([draw(st.one_of(st.just(np.inf), numbers)) for _ in range(count)])
        high = np.where(np.isfinite(low), np.where(np.isfinite(low), low, 0.0) + width, top)
        ends[label] = (low, high)
    return MILP(
        np.array([draw(values) for _ in range(n)]),
        sparse.csr_array(A),
        *ends["rows"],
        ends["columns"],
        [draw(st.booleans()) for _ in range(n)],
        draw(st.sampled_from(["min", "max"])),
        draw(st.sampled_from([None, *([f"{word}{j}" for j in range(n)] for word in ("a.", "e", "b "))])),
        constant=draw(values),
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problem=models(), suffix=st.sampled_from(["mps", "lp", "mps.gz", "lp.gz"]))
def test_what_is_written_is_read_back(tmp_path: Path, problem: MILP, suffix: str) -> None:
    path = tmp_path / f"model.{suffix}"
    problem.save(path)
    same(problem, MILP.load(path))


def test_a_file_of_another_name_is_not_written(tmp_path: Path) -> None:
    problem = MILP([1.0])
    with pytest.raises(ProblemError, match=r"path must end in .mps or .lp, .* got 'a.txt'"):
        problem.save(tmp_path / "a.txt")
    with pytest.raises(ProblemError, match="cannot be written"):
        problem.save(tmp_path / "none" / "a.mps")


def test_miplib(combinatorial: Path, tmp_path: Path) -> None:
    files = sorted((combinatorial / "miplib").glob("*.mps"))
    assert len(files) >= 17
    for path in files:
        problem = oe.problems.read(path)
        assert problem.best_known is not None
        assert problem.best_known_source.startswith("proved optimal")
        for name in ("a.mps", "a.lp"):
            problem.save(tmp_path / name)
            same(problem, MILP.load(tmp_path / name))
