"""Tables of batches: what they hold, whatever the workers, and what errors do to them."""

from __future__ import annotations

import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import optengine as oe
from optengine.batch import Row, run_batch

Named = Callable[..., oe.Problem]


def test_every_problem_solver_and_seed_makes_a_row_like_solve(problem_named: Named) -> None:
    problems = {"one": problem_named(), "two": problem_named(shift=0.7)}
    table = run_batch(problems, ["cem", "random"], 2, budget=40)
    assert [row.key for row in table] == [
        (p, s, seed) for p in problems for s in ("cem", "random") for seed in (0, 1)
    ]
    for row in table:
        alone = oe.solve(problems[row.problem], row.solver, budget=40, seed=row.seed)
        assert (row.value, row.status, row.n_evaluations) == (alone.fun, alone.status, 40)
        assert table.result(*row.key).x == alone.x


def test_results_do_not_depend_on_the_workers(problem_named: Named, same_facts: Callable[..., Any]) -> None:
    problems = {"one": problem_named(), "bad": problem_named(trouble="raise")}
    serial = run_batch(problems, ["cem", "random"], [3, 1], budget=30)
    parallel = run_batch(problems, ["cem", "random"], [3, 1], budget=30, workers=2)
    assert same_facts(serial) == same_facts(parallel)
    assert [row.message for row in serial] == [row.message for row in parallel]
    assert (
        parallel.result("one", "cem", 3).history.value.tolist()
        == serial.result("one", "cem", 3).history.value.tolist()
    )


def test_one_failing_run_does_not_stop_the_rest(problem_named: Named, tmp_path: Path) -> None:
    problems = [problem_named("good"), problem_named("bad", trouble="raise")]
    table = run_batch(problems, "random", 2, budget=50, out=tmp_path / "out")
    assert [row.status for row in table] == ["budget_exhausted"] * 2 + ["failed"] * 2
    assert all(row.value is None and "the furnace is cold" in row.message for row in table.failed)
    assert "the furnace is cold" in str(table)
    lines = list(csv.DictReader((tmp_path / "out" / "results.csv").read_text().splitlines()))
    assert [line["status"] for line in lines] == [row.status for row in table]
    assert lines[2]["value"] == ""
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert "ValueError: the furnace is cold" in index["runs"]["bad/random/0"]["traceback"]
    caught = run_batch(problems[1], "random", 1, budget=50, catch=ValueError)
    assert [row.status for row in caught] == ["budget_exhausted"]


def test_a_solver_that_refuses_a_problem_fails_alone(problem_named: Named) -> None:
    two = oe.Problem(lambda x: [x[0], 1 - x[0]], [(0.0, 1.0)], objectives=["a", "b"], name="two")
    table = run_batch([two, problem_named()], ["cem", "random"], budget=20)
    assert [row.status for row in table] == ["failed", *["budget_exhausted"] * 3]
    assert "one objective" in table.failed[0].message
    assert [row.value for row in table][1] is None  # several objectives have no single value
    assert table.result("two", "random", 0).front is not None


def test_a_worker_that_dies_fails_alone(problem_named: Named, tmp_path: Path) -> None:
    problems = [
        problem_named("good"),
        problem_named("deadly", trouble="die"),
        problem_named("fine", shift=0.1),
    ]
    table = run_batch(problems, "random", budget=40, workers=2, out=tmp_path)
    assert [row.status for row in table] == ["budget_exhausted", "failed", "budget_exhausted"]
    assert "process died" in table.failed[0].message


def test_results_csv_has_its_columns_and_full_numbers(problem_named: Named, tmp_path: Path) -> None:
    table = run_batch(problem_named(), ["cem", "random"], 2, budget=25, out=tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        lines = list(reader)
    assert reader.fieldnames == [
        "problem",
        "solver",
        "seed",
        "value",
        "bound",
        "status",
        "n_evaluations",
        "seconds",
    ]
    assert [float(line["value"]) for line in lines] == [row.value for row in table]
    assert [(line["problem"], line["solver"], int(line["seed"])) for line in lines] == [
        row.key for row in table
    ]
    assert {line["bound"] for line in lines} == {""}


def test_results_csv_grows_while_the_batch_runs(problem_named: Named, tmp_path: Path) -> None:
    seen = []

    def look(row: Row) -> None:
        seen.append(len((tmp_path / "results.csv").read_text().splitlines()) - 1)

    import optengine.batch.folder as folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "WRITE_SECONDS", 0.0)
        run_batch(problem_named(), "random", 3, budget=10, out=tmp_path, callbacks=look)
    assert seen == [1, 2, 3]


def test_limits_nearest_to_the_run_win(problem_named: Named) -> None:
    solvers = [{"name": "random"}, {"name": "random", "label": "longer", "budget": 30}]
    table = run_batch(problem_named(), solvers, budget=10)
    assert {row.solver: row.n_evaluations for row in table} == {"random": 10, "longer": 30}


def test_solvers_may_be_instances_tables_and_auto(problem_named: Named) -> None:
    solvers = {
        "wide": oe.solvers.CEM(population=40),
        "small": {"name": "cem", "population": 10},
        "chosen": "auto",
    }
    table = run_batch(problem_named(), solvers, budget=20)
    assert [table.result("bowl", label, 0).solver for label in solvers] == ["cem", "cem", "bo"]
    assert table.result("bowl", "small", 0).options["population"] == 10


def test_callbacks_see_each_row_and_may_end_the_batch(problem_named: Named) -> None:
    seen: list[Row] = []

    def stop_after_two(row: Row) -> bool:
        seen.append(row)
        return len(seen) == 2

    table = run_batch(problem_named(), "random", 5, budget=10, callbacks=stop_after_two)
    assert len(table) == len(seen) == 2
    assert table.interrupted
    assert "3 of 5 runs have not begun" in str(table)


def test_summary_compares_medians_in_the_users_direction() -> None:
    rows = [Row("p", s, i, v, None, "converged", 5, 1.0) for s, vs in {"a": [1, 9, 3], "b": [2, 2, 2]}.items()
            for i, v in enumerate(vs)]  # fmt: skip
    up, down = (
        oe.batch.BatchResult(rows, {"p": way}, {"p": 1.0}, 6).summary() for way in ("maximize", "minimize")
    )
    assert [row[4:6] for row in up.rows] == [["9", "3 *"], ["2", "2  "]]
    assert [row[4:6] for row in down.rows] == [["1", "3  "], ["2", "2 *"]]


def test_tables_pickle_and_become_frames(problem_named: Named) -> None:
    table = run_batch(problem_named(), "random", 2, budget=10)
    frame = pickle.loads(pickle.dumps(table)).to_frame()
    assert frame["value"].tolist() == [row.value for row in table]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"solvers": "cemm"}, "did you mean 'cem'"),
        ({"solvers": [{"name": "cem", "populaton": 5}]}, "did you mean 'population'"),
        ({"solvers": [{"name": "cem", "buget": 5}]}, "did you mean 'budget'"),
        ({"solvers": [{"nam": "cem"}]}, "did you mean 'name'"),
        ({"solvers": ["cem", oe.solvers.CEM()]}, "distinct labels"),
        ({"solvers": []}, "at least one solver"),
        ({"solvers": oe.solvers.CEM}, "instances"),
        ({"seeds": 0}, "seeds must be"),
        ({"seeds": [1, 1]}, "distinct"),
        ({"seeds": "3"}, "seeds must be"),
        ({"workers": 0}, "workers must be"),
        ({"budget": 0}, "budget must be"),
        ({"budget": None}, "needs budget or time_limit"),
        ({"callbacks": 3}, "not iterable|callbacks"),
        ({"problems": []}, "at least one problem"),
        ({"problems": 3}, "must be Problems, paths or tables"),
        ({"problems": "nowhere/*.dat"}, "matches no file"),
        ({"problems": "nowhere.dat"}, "nowhere.dat"),
        ({"problems": [{"fil": "a.dat"}]}, "did you mean 'file'"),
    ],
)
def test_what_is_stated_wrongly_is_told_before_anything_runs(
    problem_named: Named, arguments: dict[str, Any], message: str
) -> None:
    stated = {
        "problems": problem_named(trouble="die"),
        "solvers": "random",
        "seeds": 1,
        "budget": 5,
    } | arguments
    with pytest.raises((oe.OptEngineError, TypeError), match=message):
        run_batch(**stated)


def test_two_problems_of_one_name_need_labels(problem_named: Named) -> None:
    with pytest.raises(oe.ProblemError, match="'bowl' twice"):
        run_batch([problem_named(), problem_named()], "random", budget=5)
