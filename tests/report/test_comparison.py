"""Statistics of comparisons against cases worked by hand, and the files that are made of them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optengine.report.comparison import Comparison, Trace, bootstrap, improvements, median_of


def trace(
    problem: str, solver: str, seed: int, steps: dict[int, float], spent: int = 100, **facts: Any
) -> Trace:
    numbers, best = np.array(list(steps), dtype=float), np.array(list(steps.values()), dtype=float)
    value = float(best[-1]) if len(best) else None
    given: dict[str, Any] = {"status": "budget_exhausted", "message": "", "bound": None, "columns": 3} | facts
    return Trace(
        problem, solver, seed, given["status"], given["message"], numbers, best, 0.01 * numbers, value, given["bound"],
        spent, 1.0, given["columns"],
    )  # fmt: skip


@pytest.fixture
def two() -> Comparison:
    """On p (best known 0) solver a halves the gap at 10 and ends it at 20, b halves it at 40; on q b is first."""
    return Comparison(
        [
            trace("p", "a", 0, {1: 8.0, 10: 4.0, 20: 0.0}),
            trace("p", "b", 0, {1: 8.0, 40: 4.0}),
            trace("q", "a", 0, {1: -5.0, 50: 10.0}),
            trace("q", "b", 0, {1: -5.0, 5: 10.0}),
        ],
        {"p": "minimize", "q": "maximize"},
        {"p": 0.0},
    )


def test_references_are_the_best_known_or_the_best_seen(two: Comparison) -> None:
    assert two.references == {"p": 0.0, "q": 10.0}
    better = Comparison([trace("p", "a", 0, {1: 3.0})], {"p": "minimize"}, {"p": 7.0})
    assert better.references == {"p": 3.0}


def test_runtimes_are_when_the_gap_shrinks(two: Comparison) -> None:
    first = two.of("p", "a")[0]
    np.testing.assert_array_equal(two.runtimes(first, np.array([1.0, 0.5, 0.4, 1e-8])), [1, 10, 20, 20])
    np.testing.assert_array_equal(two.runtimes(two.of("p", "b")[0], np.array([0.5, 0.4])), [40, np.inf])
    x, share = two.runtime_distribution("b")
    # 51 targets a problem, decades 8 / 50 apart: on p those >= 0.5 are reached (2 of 51), on q all.
    assert list(x) == [1, 5, 40]
    np.testing.assert_allclose(share, [2 / 102, 52 / 102, 53 / 102])


def test_profiles_by_hand(two: Comparison) -> None:
    x, share = two.performance_profile("a")
    np.testing.assert_allclose(x, [1, 10])
    np.testing.assert_allclose(share, [0.5, 1.0])
    x, share = two.performance_profile("b")  # never within 1 % on p
    np.testing.assert_allclose(x, [1])
    np.testing.assert_allclose(share, [0.5])
    x, share = two.data_profile("a")
    np.testing.assert_allclose(x, [5.0, 12.5])
    np.testing.assert_allclose(share, [0.5, 1.0])


def test_gaps_are_shares_of_the_reference() -> None:
    runs = [trace("p", "a", s, {1: v}) for s, v in enumerate([110.0, 120.0, 130.0])]
    runs.append(trace("p", "b", 0, {}, status="failed"))
    comparison = Comparison(runs, {"p": "minimize"}, {"p": 100.0})
    a, b = comparison.gaps()
    assert (a.best, a.median, a.gap, a.runs, a.valued) == (110.0, 120.0, pytest.approx(0.2), 3, 3)
    assert a.low == pytest.approx(0.1)
    assert a.high == pytest.approx(0.3)
    assert math.isnan(b.median)
    assert b.gap == math.inf


def test_ranks_and_critical_difference_as_published() -> None:
    """Demšar 2006, section 3.2.2: four algorithms, fourteen data sets, q = 2.569: CD = 1.25."""
    rng = np.random.default_rng(0)
    order = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0}
    runs = [trace(f"p{i}", s, 0, {1: v + 0.1 * rng.random()}) for i in range(14) for s, v in order.items()]
    ranks = Comparison(runs, dict.fromkeys([f"p{i}" for i in range(14)], "minimize")).ranks()
    assert ranks.solvers == ["a", "b", "c", "d"]
    np.testing.assert_allclose(ranks.mean, [1, 2, 3, 4])
    assert ranks.difference == pytest.approx(1.25, abs=0.005)
    assert ranks.p < 1e-6
    assert ranks.problems == 14


def test_ties_share_their_rank_and_missing_runs_leave_the_problem_out() -> None:
    runs = [trace("p", "a", 0, {1: 1.0}), trace("p", "b", 0, {1: 1.0}), trace("q", "a", 0, {1: 1.0})]
    ranks = Comparison(runs, {}).ranks()
    np.testing.assert_allclose(ranks.mean, [1.5, 1.5])
    assert ranks.problems == 1
    assert math.isnan(ranks.difference)


def test_medians_take_infinite_values_and_intervals_cover() -> None:
    assert median_of(np.array([1.0, 2.0, np.inf, np.inf])) == 2.0
    assert median_of(np.array([np.inf, 1.0, np.inf])) == math.inf
    rng, hits = np.random.default_rng(1), 0
    for _ in range(200):
        low, high = bootstrap(rng.normal(size=25), rng)
        hits += low <= 0 <= high
    assert 0.8 < hits / 200 < 0.97  # stated 90 %, 25 values


def test_improvements_drop_what_did_not_change() -> None:
    number, best, seconds = improvements(
        [1, 2, 3, 4], np.array([np.nan, 3.0, 3.0, 1.0]), np.array([0.1, 0.2, 0.3, 0.4])
    )
    assert list(number) == [2, 4]
    assert list(best) == [3.0, 1.0]
    assert list(seconds) == [0.2, 0.4]


# -- page and files ----------------------------------------------------------------------------------------------------


def test_the_page_is_one_file_that_says_everything(two: Comparison) -> None:
    pytest.importorskip("matplotlib")
    from optengine.report.page import page

    two.left_out.append("front")
    two.traces.append(trace("p", "c<b>", 0, {}, status="failed"))
    facts = {
        "name": "a & b",
        "command": "optengine batch x.toml --out y",
        "machine": {"python": "3", "cores": 2, "packages": {"numpy": "2"}},
        "failures": [("p/c<b>/0", "the furnace is cold")],
        "runs": 7,
    }
    text = page(two, facts)
    for words in (
        "a &amp; b", "c&lt;b&gt;", "the furnace is cold", "optengine batch x.toml", "numpy 2", "5 runs of 7",
        "several objectives: front",
    ):  # fmt: skip
        assert words in text
    assert "<script" not in text
    assert not re.search(r'(src|href)="(?!#|data:)', text)  # nothing from elsewhere
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:xlink:href|href)="#([^"]+)"', text)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)
    assert text.count("<svg") == 1 + 3 + 2
    assert text == page(two, facts)


def test_exports(two: Comparison, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from optengine.report.exports import export, latex

    two.traces.append(trace("P", "a", 0, {1: 2.0}))  # a label that file systems take for p
    export(two, tmp_path / "x")
    names = {
        path.relative_to(tmp_path / "x").as_posix() for path in (tmp_path / "x").rglob("*") if path.is_file()
    }
    assert {"pictures/ranks.svg", "pictures/runtimes.png", "pictures/convergence-p.svg"} <= names
    assert {"tables/gaps.csv", "tables/runs.tex", "tables/ranks.csv"} <= names
    facts = json.loads((tmp_path / "x/iohprofiler/a/IOHprofiler_f2_q.json").read_text())
    assert facts["maximization"] is True
    run = facts["scenarios"][0]["runs"][0]
    assert run == {"instance": 0, "evals": 100, "best": {"evals": 50, "y": 10.0}}
    data = (tmp_path / "x/iohprofiler/a" / facts["scenarios"][0]["path"]).read_text().splitlines()
    assert data == ["evaluations raw_y", "1 -5", "50 10", "100 10"]
    info = (tmp_path / "x/coco/b/bbobexp_f1.info").read_text()
    assert "funcId = 1, DIM = 3" in info
    assert "1:100|4.0e+00" in info
    rows = (tmp_path / "x/coco/b/data_f1/bbobexp_f1_DIM3.dat").read_text().splitlines()
    assert rows[1].split()[:3] == ["1", "0", "+8.000000000e+00"]
    assert latex([{"a_b": "50 %", "n": None}]).splitlines()[2:5] == [
        r"a b & n \\",
        r"\midrule",
        r"50 \% & -- \\",
    ]
