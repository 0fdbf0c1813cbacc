"""optengine solve, optengine show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import optengine as oe
from optengine.problems.formats import bundled

Command = Callable[..., tuple[int, str, str]]
CLINIC = bundled("clinic10.dat")


def test_a_job_file_is_solved_as_python_would(optengine: Command, folder: Path) -> None:
    code, out, err = optengine("solve", "job.toml", "--json", "r.json")
    assert (code, err) == (0, "")
    result = oe.Result.from_json(folder / "r.json")
    assert out == f"{result}\n"
    assert (result.solver, result.seed, result.n_evaluations) == ("cem", 1, 60)
    assert result.options["population"] == 20
    assert len(result.history) == 60


def test_flags_stand_above_the_file(optengine: Command, folder: Path) -> None:
    flags = [
        "--budget",
        30,
        "--seed",
        5,
        "--option",
        "population=10",
        "--option",
        "weights=equal",
        "--target",
        -1,
    ]
    assert optengine("solve", "job.toml", "--json", "r.json", *flags)[0] == 0
    result = oe.Result.from_json(folder / "r.json")
    assert (result.n_evaluations, result.seed) == (30, 5)
    assert (result.options["population"], result.options["weights"]) == (10, "equal")
    assert (
        optengine("solve", "job.toml", "--json", "r.json", "--solver", "random")[0] == 0
    )  # not cem's options
    assert oe.Result.from_json(folder / "r.json").solver == "random"


def test_an_instance_file_is_solved(optengine: Command) -> None:
    code, out, _ = optengine("solve", CLINIC, "--budget", 200, "--seed", 0)
    assert code == 0
    assert "clinic10" in out
    assert "rule" in out  # why auto chose its solver


def test_journaled_runs_are_listed_and_shown(optengine: Command, folder: Path) -> None:
    optengine("solve", "job.toml", "--storage", "runs.db", "--name", "first")
    _, again, _ = optengine("solve", "job.toml", "--storage", "runs.db", "--name", "first")
    optengine("solve", "job.toml", "--storage", "runs.db", "--name", "second", "--budget", 20)
    code, out, err = optengine("show", "runs.db")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines()[3:]}
    assert (rows["first"][1:4], rows["second"][1:4]) == (
        ["cem", "budget_exhausted", "60"],
        ["cem", "budget_exhausted", "20"],
    )
    code, shown, _ = optengine("show", "runs.db#first")
    assert code == 0
    assert shown.startswith(again)
    assert "improvements" in shown or "evaluation" in shown
    assert optengine("show", "first", "--storage", "sqlite:///runs.db")[1] == shown


def test_a_run_that_was_interrupted_shows_what_it_has(optengine: Command, folder: Path) -> None:
    text = (
        (folder / "job.toml")
        .read_text()
        .replace(":bowl", ":leaks")
        .replace('kind = {kind = "cat', '# {kind = "cat')
    )
    (folder / "leaks.toml").write_text(text)
    code, _, err = optengine("solve", "leaks.toml", "--storage", "runs.db", "--name", "leaky")
    assert code == 2
    assert "leak" in err
    code, shown, _ = optengine("show", "runs.db#leaky", "--json", "r.json")
    assert code == 0
    assert "stopped" in shown
    result = json.loads((folder / "r.json").read_text())
    assert result["fun"] is None or result["fun"] <= 0.5


def test_ctrl_c_prints_the_best_so_far(optengine: Command, folder: Path) -> None:
    text = (
        (folder / "job.toml")
        .read_text()
        .replace(":bowl", ":impatient")
        .replace('kind = {kind = "cat', '# {kind = "cat')
    )
    (folder / "impatient.toml").write_text(text)
    code, out, _ = optengine("solve", "impatient.toml")
    assert code == 130
    assert "stopped" in out
    assert "24 in" in out


def test_pictures(optengine: Command, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("run.png", "run.svg", "run.pdf"):
        assert optengine("solve", "job.toml", "--storage", "runs.db", "--name", "p", "--plot", name)[0] == 0
        assert (folder / name).stat().st_size > 5000
    assert optengine("show", "runs.db#p", "--plot", "shown.png")[0] == 0
    assert (folder / "shown.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve"], "SPEC"),
        (["solve", "none.toml"], "none.toml"),
        (["solve", "none.dat"], "none.dat"),
        (["solve", "letter.dat"], "letter.dat"),
        (["solve", "letter.toml"], "is not a TOML file"),
        (["solve", "job.toml", "--budgett", "5"], "did you mean '--budget'"),
        (["solve", "job.toml", "--budget", "five"], "invalid int value: 'five'"),
        (["solve", "job.toml", "--budget", "0"], "budget must be"),
        (["solve", "job.toml", "--option", "populaton=5"], "did you mean 'population'"),
        (["solve", "job.toml", "--option", "population"], "KEY=VALUE"),
        (["solve", "job.toml", "--solver", "ceem"], "did you mean 'cem'"),
        (["solve", "job.toml", "--index", "1"], "--index"),
        (["solve", "set.toml"], "run it with optengine batch"),
        (["solve", "job.toml", "--name", "x"], "storage"),
        (["solve", "job.toml", "--storage", "x.txt"], "storage must be"),
        (["solve", "job.toml", "--json", "nowhere/x.json"], "folder that exists"),
        (["solve", "job.toml", "--json", "."], "the folder"),
        (["solve", "job.toml", "--plot", "x.jpx"], "must end in one of"),
        (["solve", str(CLINIC)], "needs budget"),
        (["solve", str(CLINIC), "--option", "population=4"], "need a solver by name"),
        (["solve", str(CLINIC), "--index", "3"], "index"),
        (["show", "none.db"], "does not exist"),
        (["show", "letter.db"], "letter.db"),
        (["show", "something"], "--storage"),
        (["show", "."], "holds no index.json"),
        (["show", "none.db", "--plot", "x.png"], "one run"),
        (["solvers", "--problem", "none.dat"], "none.dat"),
        (["batch", "job.toml"], "--out"),
        (["batch", "job.toml", "--out", "o"], "no key 'callable'"),
        (["batch", "none.toml", "--out", "o"], "No such file"),
        (["batch", "letter.dat", "--out", "o"], "is not a TOML file"),
        (["slove", "job.toml"], "did you mean 'solve'"),
        (["reprot"], "did you mean 'report'"),
        (["--nonsense"], "COMMAND"),
        ([], "COMMAND"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_code_2(
    optengine: Command, folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "set.toml").write_text('[[problem]]\nfile = "*.dat"\n')
    for name in ("letter.dat", "letter.toml", "letter.db"):
        (folder / name).write_text("Dear sirs,\nplease find enclosed 3 4 5\n")
    code, out, err = optengine(*arguments)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    assert out == ""


def test_developers_see_where_an_error_arose(optengine: Command, folder: Path) -> None:
    with pytest.raises(oe.ProblemError):
        optengine("solve", "none.toml", "--traceback")
    with pytest.raises(oe.ProblemError):
        optengine("--traceback", "solve", "none.toml")


def test_a_failed_objective_tells_what_was_evaluated_before(optengine: Command, folder: Path) -> None:
    text = (folder / "job.toml").read_text().replace('kind = {kind = "cat', '# {kind = "cat')
    (folder / "leaks.toml").write_text(text.replace(":bowl", ":leaks"))
    code, out, err = optengine("solve", "leaks.toml")
    assert code == 2
    assert "ValueError: leak" in err
    (folder / "caught.toml").write_text("catch = true\n" + text.replace(":bowl", ":always"))
    code, out, err = optengine("solve", "caught.toml")
    assert code == 1
    assert "failed" in out
