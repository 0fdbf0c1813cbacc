"""Set files and job files: what they may say, and what is said when they are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import optengine as oe
from optengine.batch import run_batch
from optengine.batch.spec import read_set, read_solve
from optengine.problems.formats import bundled

Write = Callable[[str], Path]
SOLVER = '[[solver]]\nname = "random"\nbudget = 5\n'
BOWL = """
[[problem]]
callable = "objectives_of_set:bowl"
[problem.space]
lr = {kind = "real", low = 0.0, high = 1.0}
kind = {kind = "categorical", choices = ["a", "b"]}
"""


def labels(path: Path) -> list[str]:
    return [entry.label for entry in read_set(path).problems]


def test_a_whole_set(write_set: Write) -> None:
    path = write_set(
        'name = "all"\nseeds = [4, 7]\nbudget = 9\nworkers = 2\n'
        + BOWL
        + '[[solver]]\nname = "cem"\nlabel = "small"\npopulation = 5\ntime_limit = 3.5\n[[solver]]\nname = "auto"\n'
    )
    read = read_set(path)
    assert (read.name, read.seeds, read.budget, read.workers) == ("all", [4, 7], 9, 2)
    small, auto = read.solvers
    assert (small.label, small.time_limit, small.budget, small.solver.population) == ("small", 3.5, None, 5)
    assert (auto.label, auto.solver) == ("auto", "auto")
    table = run_batch(read.problems, read.solvers, read.seeds, budget=read.budget)
    assert [row.key for row in table] == [("bowl", s, seed) for s in ("small", "auto") for seed in (4, 7)]


def test_files_are_beside_the_set_and_may_be_many(write_set: Write, tmp_path: Path) -> None:
    text = bundled("clinic10.dat").read_text()
    for name in ("b", "a"):
        (tmp_path / f"{name}.dat").write_text(text)
    assert labels(write_set('[[problem]]\nfile = "*.dat"\n' + SOLVER)) == ["a", "b"]
    assert labels(write_set('[[problem]]\nfile = ["b.dat", "a.dat"]\n' + SOLVER)) == ["b", "a"]
    named = write_set('[[problem]]\nfile = "b.dat"\nname = "clinic"\ntarget = 23277\n' + SOLVER)
    assert [(e.label, e.problem.name, e.target) for e in read_set(named).problems] == [
        ("clinic", "clinic", 23277)
    ]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('generator = "objectives_of_set:sized"\nargs = {n = 3}', ["sized3"]),
        ('generator = "objectives_of_set:sized"\nargs = [3, 4]', ["sized3"]),
        ('generator = "objectives_of_set:several"\nargs = {n = 3}', ["sized1", "sized2", "sized3"]),
        ('generator = "objectives_of_set:random_bowl"\nargs = {n = 2}\nseed = 0', ["shifted 0.637"]),
        ('generator = "optengine.problems.qap:QAP.random"\nargs = {n = 5}\nseed = 1', ["random5"]),
        ('callable = "objectives_of_set:ready"', ["ready"]),
        ('callable = "objectives_of_set:sized"\nargs = {n = 2}', ["sized2"]),
        ('callable = "objectives_of_set:stated"', ["stated"]),
        (
            'callable = "objectives_of_set.py:bowl"\nspace = {lr = {kind = "real", low = 0, high = 1}}',
            ["bowl"],
        ),
        ('callable = "objectives_of_set:bowl"\nspace = [[0, 1], [0, 1]]\nname = "flat"', ["flat"]),
    ],
)
def test_where_problems_come_from(write_set: Write, table: str, expected: list[str]) -> None:
    assert labels(write_set(f"[[problem]]\n{table}\n{SOLVER}")) == expected


def test_objectives_constraints_and_direction(write_set: Write) -> None:
    path = write_set(
        '[[problem]]\ncallable = "objectives_of_set:both"\n'
        'objectives = ["cost", {name = "gain", direction = "maximize"}]\n'
        'constraints = [{name = "heat", upper = 0.25}]\n'
        '[problem.space]\nlr = {kind = "real", low = 0, high = 1}\nkind = {kind = "binary"}\n' + SOLVER
    )
    problem = read_set(path).problems[0].problem
    assert problem.objectives == (oe.Objective("cost"), oe.Objective("gain", "maximize"))
    assert problem.constraints == (oe.Constraint("heat", upper=0.25),)
    result = oe.solve(problem, "random", budget=50, seed=0)
    assert result.front is not None
    assert (result.front.F[:, 0] <= 0.75).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seds = 3\n" + BOWL + SOLVER, r"set.toml has no key 'seds'.*did you mean 'seeds'"),
        (BOWL.replace("callable", "calable") + SOLVER, r"\[\[problem\]\] 1 of set.toml.*did you mean 'callable'"),
        (BOWL.replace("[problem.space]", "noisi = true\n[problem.space]") + SOLVER, "did you mean 'noisy'"),
        (BOWL + "budget = 3\n" + SOLVER, "keys of the problem itself stand above its space"),
        (BOWL.replace('"real"', '"reel"') + SOLVER, "kind of 'lr'.*did you mean 'real'"),
        (BOWL.replace("low", "lo") + SOLVER, "variable 'lr' has no key 'lo'.*did you mean 'low'"),
        (BOWL.replace(", high = 1.0", "") + SOLVER, "variable 'lr' needs high"),
        (BOWL.replace(":bowl", ":bowel") + SOLVER, "did you mean 'bowl'"),
        (BOWL.replace("objectives_of_set:", "objectives_of_sett:") + SOLVER, "cannot be imported"),
        (BOWL.replace("objectives_of_set:bowl", "nowhere.py:bowl") + SOLVER, "does not exist"),
        (BOWL.replace(":bowl", "") + SOLVER, "must be 'module:function'"),
        (BOWL + '[[solver]]\nname = "ceem"\n', "did you mean 'cem'"),
        (BOWL + '[[solver]]\nname = "cem"\npopulaton = 3\n', r"\[solver\]\] 1 of .*did you mean 'population'"),
        (BOWL + '[[solver]]\nname = "cem"\npopulation = 1\n', "population must be"),
        (BOWL + '[[solver]]\nname = "auto"\npopulation = 9\n', "'auto' takes no options"),
        (BOWL + "[[solver]]\nbudget = 3\n", "must have name"),
        (BOWL, r"at least one \[\[solver\]\]"),
        (SOLVER, r"at least one \[\[problem\]\]"),
        ("problem = 3\n" + SOLVER, r"at least one \[\[problem\]\]"),
        ("[[problem]]\nname = 'x'\n" + SOLVER, "must have one of"),
        ('[[problem]]\nfile = "a"\ngenerator = "b:c"\n' + SOLVER, "must have one of"),
        ('[[problem]]\nfile = "none.dat"\n' + SOLVER, "none.dat"),
        ('[[problem]]\nfile = 3\n' + SOLVER, "file must be a path"),
        ('[[problem]]\nfile = "*.dat"\nargs = {}\n' + SOLVER, "no key 'args' beside 'file'"),
        ('[[problem]]\ngenerator = "objectives_of_set:sized"\nargs = {m = 3}\n' + SOLVER, "do not fit"),
        ('[[problem]]\ngenerator = "objectives_of_set:sized"\nargs = 3\n' + SOLVER, "args of generator"),
        ('[[problem]]\ngenerator = "objectives_of_set:broken"\n' + SOLVER, "raised RuntimeError: no licence"),
        ('[[problem]]\ngenerator = "objectives_of_set:bowl"\nargs = {lr = 0.5}\n' + SOLVER, "must return a Problem"),
        ('[[problem]]\ngenerator = "objectives_of_set:sized"\nseed = 1\n' + SOLVER, "neither rng nor seed"),
        ('[[problem]]\ngenerator = "objectives_of_set:several"\nargs = [2]\nname = "x"\n' + SOLVER, "name .* left out"),
        ('[[problem]]\ncallable = "objectives_of_set:bowl"\n' + SOLVER, "needs a space"),
        ('[[problem]]\ncallable = "objectives_of_set:bowl"\nargs = [1.0]\n' + SOLVER, "must be or return a Problem"),
        ('[[problem]]\ncallable = "objectives_of_set:ready"\nnoisy = true\n' + SOLVER, "needs a space beside 'noisy'"),
        (BOWL.replace("[problem.space]", "args = [1]\n[problem.space]") + SOLVER, "args .* must be left out"),
        (BOWL + SOLVER + "seeds = 3\n", "no key 'seeds'"),  # a key below a table belongs to the table
        ("seeds = 0\n" + BOWL + SOLVER, "seeds must be"),
        ("seeds = [", "is not a TOML file"),
        ("10\n 0 1 2\n", "is not a TOML file"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_the_nearest_right_word(write_set: Write, text: str, message: str) -> None:
    with pytest.raises(oe.OptEngineError, match=message) as caught:
        read_set(write_set(text))
    assert "\n" not in str(caught.value).strip()


def test_files_that_are_no_sets(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(bytes(range(128, 256)))
    with pytest.raises(oe.ProblemError, match="not a text file"):
        read_set(tmp_path / "bytes.toml")
    with pytest.raises(oe.ProblemError, match="cannot be read"):
        read_set(tmp_path)
    with pytest.raises(oe.ProblemError, match="No such file"):
        read_set(tmp_path / "none.toml")


def test_a_text_file_that_is_not_the_instance_it_says(write_set: Write, tmp_path: Path) -> None:
    (tmp_path / "fake.dat").write_text("Dear sirs,\nplease find enclosed 3 4 5\n")
    with pytest.raises(oe.ProblemError, match=r"fake\.dat"):
        read_set(write_set('[[problem]]\nfile = "fake.dat"\n' + SOLVER))


def test_the_main_job_states_what_it_says() -> None:
    pytest.importorskip("sklearn")
    job = read_set(Path(__file__).parents[2] / "examples" / "main_job.toml")
    assert [entry.label for entry in job.problems] == ["tuning-digits", "clinic10"]
    assert [entry.label for entry in job.solvers] == ["cem", "random"]
    assert job.seeds == [0, 1, 2]


# -- jobs ----------------------------------------------------------------------------------------------------------

JOB = """
callable = "objectives_of_set:bowl"
solver = "cem"
budget = 40
seed = 3
{}
[space]
lr = {{kind = "real", low = 0.0, high = 1.0}}
[options]
population = 10
"""


def test_a_job_holds_the_arguments_of_solve(write_set: Write, tmp_path: Path) -> None:
    job = read_solve(write_set(JOB.format('storage = "sqlite:///runs.db"\nname = "try"\ntarget = 0.001')))
    assert job.solver == "cem"
    assert job.problem.name == "try"
    assert job.arguments == {
        "budget": 40, "seed": 3, "target": 0.001, "options": {"population": 10}, "name": "try",
        "storage": str(tmp_path / "runs.db"),
    }  # fmt: skip
    assert oe.solve(job.problem, job.solver, **job.arguments).seed == 3
    assert (tmp_path / "runs.db").is_file()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sed = 3", "no key 'sed'; did you mean 'seed'"),
        ('solvr = "cem"', "did you mean 'solver'"),
        ("index = 2", "no key 'index' beside 'callable'"),
        ('storag = "x.db"', "did you mean 'storage'"),
    ],
)
def test_mistakes_in_a_job(write_set: Write, line: str, message: str) -> None:
    with pytest.raises(oe.OptEngineError, match=message):
        read_solve(write_set(JOB.format(line)))


def test_a_job_is_one_problem(write_set: Write) -> None:
    with pytest.raises(oe.ProblemError, match="must state one problem, got 2"):
        read_solve(write_set('generator = "objectives_of_set:several"\nargs = [2]\n'))
    with pytest.raises(oe.OptionError, match=r"solver of set\.toml must be a name"):
        read_solve(write_set('callable = "objectives_of_set:ready"\nsolver = {name = "cem"}\n'))
