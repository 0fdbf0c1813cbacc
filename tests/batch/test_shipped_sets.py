"""The sets that ship, formulas for budgets, suites of other libraries, and one thread a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import optengine as oe
from optengine import registry, rules
from optengine.batch import run_batch
from optengine.batch.expression import budget_of
from optengine.batch.spec import read_set
from optengine.cli import main
from optengine.engine.threads import at_most, available
from optengine.problems import suite

SETS = Path(__file__).resolve().parents[2] / "sets"
NEEDS = {
    "blackbox": "ioh", "bits": "ioh", "milp": "ortools", "tuning": "sklearn", "fronts": "pymoo", "offline": "torch",
    "mixed": "cmaes",
}  # fmt: skip


FAMILIES = sorted(path.stem for path in SETS.glob("*.toml") if not path.stem.endswith("_small"))
FAMILIES.remove("quick")


@pytest.mark.parametrize("name", ["quick", *(f"{family}_small" for family in FAMILIES)])
def test_every_small_set_is_read_and_its_solvers_take_its_problems(name: str) -> None:
    pytest.importorskip(NEEDS.get(name.removesuffix("_small"), "numpy"))
    made = read_set(SETS / f"{name}.toml")
    assert len(made.problems) >= 2
    assert len(made.solvers) >= 2
    assert made.solvers[0].label == "auto"
    for entry in made.problems:
        assert len(entry.problem.space.sample(2, np.random.default_rng(0))) == 2
        for solver in made.solvers[1:]:
            assert registry.refusal(solver.solver, entry.problem) is None
        budget = budget_of(entry.budget or made.budget, entry.problem)
        assert rules.plan(entry.problem, budget, 1).reason
    limited = [e.budget or e.time_limit or made.budget or made.time_limit for e in made.problems]
    assert all(limited)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_large_set_is_read(name: str) -> None:
    pytest.importorskip(NEEDS.get(name, "numpy"))
    assert len(read_set(SETS / f"{name}.toml").problems) >= 3


def test_judged_problems_have_values(tmp_path: Path) -> None:
    made = read_set(SETS / "quick.toml").problems[0]
    made.problem.judge = lambda result: -result.fun  # type: ignore[attr-defined]
    (row,) = run_batch(made, "random", 1, budget=5, out=tmp_path)
    assert row.value is not None
    assert row.value < 0
    (again,) = run_batch(made, "random", 1, budget=5, out=tmp_path)
    assert again.value == row.value


def test_the_quick_set_runs(tmp_path: Path) -> None:
    made = read_set(SETS / "quick.toml")
    table = run_batch(made.problems, ["random", "auto"], 1, budget="2*d", out=tmp_path)
    assert not table.failed
    spent = {row.problem: row.n_evaluations for row in table if row.solver == "random"}
    assert spent["sphere10"] == 20
    assert spent["reactor"] == 10
    assert [p.problem.best_known for p in made.problems if p.label == "rastrigin5"] == [0.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1000*d", 2000),
        ("10 * (d + n)", 50),
        ("max(30, d**2)", 30),
        ("sqrt(n) * 10 / 2", 9),
        ("-3", 1),
        (7, 7),
    ],
)
def test_budgets_are_formulas(text: str | int, expected: int) -> None:
    problem = oe.Problem(lambda x: 0.0, oe.Space([(0, 1), (0, 1), (2, 2)]))
    assert budget_of(text, problem) == expected


@pytest.mark.parametrize(
    "text", ["", "d d", "1/0", "__import__('os')", "d.real", "x", "9**9**9", "'a'*3", "max()"]
)
def test_bad_formulas_are_one_sentence(text: str) -> None:
    problem = oe.Problem(lambda x: 0.0, [(0, 1)])
    with pytest.raises(oe.OptionError, match=r"budget must be an integer or a formula of d and n"):
        run_batch(problem, "random", budget=text)


def test_suites() -> None:
    pytest.importorskip("ioh")
    problems = suite("ioh:bbob", functions=[1, 8], instances=[1, 2], dimensions=3)
    assert [p.name for p in problems] == [
        "f1 Sphere d3 i1", "f1 Sphere d3 i2", "f8 Rosenbrock d3 i1", "f8 Rosenbrock d3 i2",
    ]  # fmt: skip
    assert {p.space.width for p in problems} == {3}
    pytest.importorskip("pymoo")
    assert [p.name for p in suite("pymoo:zdt")] == [f"zdt{i}" for i in range(1, 7)]
    assert suite("pymoo:ackley", n_var=4)[0].space.width == 4
    for wrong, says in (
        ("bbob", "must be 'LIBRARY:SUITE'"),
        ("ioh:bob", "did you mean 'bbob'"),
        ("pymoo:zzz", "no problem that begins with"),
    ):
        with pytest.raises(oe.ProblemError, match=says):
            suite(wrong)
    with pytest.raises(oe.ProblemError, match="takes no 'function'"):
        suite("ioh:bbob", function=1)
    with pytest.raises(oe.ProblemError, match="instances must hold numbers >= 1"):
        suite("ioh:bbob", instances=[0])


def test_a_run_uses_as_many_threads_as_are_granted(problem_named: Callable[..., oe.Problem]) -> None:
    from threadpoolctl import threadpool_info

    def seen(x: object) -> float:
        return float(max([pool["num_threads"] for pool in threadpool_info()], default=1))

    before = available()
    problem = oe.Problem(seen, [(0, 1)], name="threads")
    assert {row.value for row in run_batch(problem, "random", budget=3)} == {1.0}
    assert available() == before
    with at_most(3):
        assert available() == 3
        assert os.environ["OMP_NUM_THREADS"]
    with pytest.raises(oe.OptionError, match="threads must be an integer >= 1 or None, got 0"):
        run_batch(problem, "random", budget=3, threads=0)


def test_explain_says_what_auto_would_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.toml"
    path.write_text(
        'callable = "math:hypot"\nbudget = 100\n[space]\na = {kind = "real", low = 0, high = 1}\n'
        'b = {kind = "categorical", choices = ["u", "v"]}\n'
    )
    assert main(["explain", str(path)]) == 0
    out = capsys.readouterr().out
    assert "2 free columns (real, categorical)" in out
    assert "auto takes bo\n" in out
    assert "rule 6: 2 free columns, budget 100 <= 100; 10 times the budget would go to" in out.replace(
        "\n", " "
    )
    assert "race of cmaes and cem, 20 evaluations each" in out.replace("\n", " ")
    assert "10000" in out
    assert "others that take it" in out
    assert main(["explain", str(SETS.parent / "problems" / "data" / "clinic10.dat")]) == 0
    assert "ils" in capsys.readouterr().out
