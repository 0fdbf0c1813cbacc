"""The arguments of solve, minimize and maximize: what they mean and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine import OptionError, Problem, ProblemError, SolverNotSuitable, SpaceError, StorageError
from optengine.testing import Climber

SPACE = oe.Space(a=oe.Real(0, 1), depth=oe.Integer(1, 9), kind=oe.Categorical(["x", "y"]))
X0 = {"a": 0.25, "depth": 3, "kind": "y"}


def loss(a: float, depth: int, kind: str) -> float:
    return a + depth + (kind == "x")


def run(**arguments: Any) -> oe.Result:
    return oe.minimize(loss, SPACE, **({"solver": "random", "budget": 12, "seed": 0} | arguments))


@dataclass(frozen=True)
class Fussy(Climber):
    """Refuses everything."""

    def refuses(self, problem: Problem) -> str | None:
        return "it does not like Mondays"


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"buget": 3}, OptionError, ("minimize", "'buget'", "did you mean 'budget'")),
        ({"direction": "maximize"}, OptionError, ("direction", "minimize", "'maximize'")),
        ({"seed": -1}, OptionError, ("seed", "-1")),
        ({"seed": 1.5}, OptionError, ("seed", "1.5")),
        ({"seed": True}, OptionError, ("seed", "True")),
        ({"seed": "7"}, OptionError, ("seed", "'7'")),
        ({"budget": 0}, OptionError, ("budget", "0")),
        ({"device": "tpu"}, OptionError, ("device", "'tpu'", "'cuda'")),
        ({"solver": "randon"}, OptionError, ("solver", "'randon'", "did you mean 'random'")),
        ({"solver": 5}, OptionError, ("solver", "5")),
        ({"solver": None}, OptionError, ("solver", "None")),
        ({"solver": Climber}, OptionError, ("solver", "class", "Climber()")),
        (
            {"solver": Climber(), "options": {"population": 3}},
            OptionError,
            ("options", "population", "Climber"),
        ),
        ({"options": {"populaton": 3}}, OptionError, ("'populaton'", "did you mean 'population'")),
        ({"options": {"population": 0}}, OptionError, ("population", "0")),
        ({"options": 5}, OptionError, ("options", "5")),
        ({"options": "population"}, OptionError, ("options", "'population'")),
        ({"solver": Fussy()}, SolverNotSuitable, ("'Fussy'", "does not like Mondays", "random")),
        ({"name": "plant"}, OptionError, ("name", "storage=")),
        ({"shared": True}, OptionError, ("shared", "storage=")),
        ({"storage": 5}, StorageError, ("storage", "5")),
        ({"storage": "runs.txt"}, StorageError, ("storage", "'runs.txt'")),
        ({"x0": {"a": 3, "depth": 1, "kind": "x"}}, SpaceError, ("a must lie in Real(0.0, 1.0)", "3")),
        ({"x0": {"a": 0.5, "depth": 1, "kind": "z"}}, SpaceError, ("kind must be one of", "'z'")),
        ({"x0": {"a": 0.5, "depth": 1}}, SpaceError, ("'kind'",)),
        ({"x0": 5}, SpaceError, ("x must be a dict", "5")),
        ({"data": 5}, OptionError, ("data", "(X, F)", "int")),
        ({"data": ([X0], [1.0], [1.0], [1.0])}, OptionError, ("data", "(X, F)")),
        ({"data": ([X0, X0], [1.0])}, OptionError, ("F of data", "(2, 1)", "(1,)")),
        ({"data": ([X0], ["much"])}, OptionError, ("F of data", "(1, 1)")),
        ({"data": ([X0], [1.0], [1.0])}, OptionError, ("G of data", "(1, 0)", "(1,)")),
        ({"data": (5, [1.0])}, SpaceError, ("x must be a dict", "5")),
        ({"data": ([{"a": 9, "depth": 1, "kind": "x"}], [1.0])}, SpaceError, ("a must lie in", "9")),
        ({"data": "plant"}, OptionError, ("data='plant'", "storage")),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(
    clear: Any, arguments: dict[str, Any], kind: Any, words: tuple[str, ...]
) -> None:
    with clear(kind, *words):
        run(**arguments)


def test_what_is_no_problem_is_refused(clear: Any) -> None:
    with clear(ProblemError, "problem must be a Problem", "loss", "Problem(function, space)"):
        oe.solve(loss, budget=3)  # type: ignore[arg-type]
    with clear(ProblemError, "does not accept"):
        oe.minimize(lambda: 0.0, SPACE, budget=3)


def test_a_name_that_never_arrives_is_said_at_the_first_evaluation(clear: Any) -> None:
    with clear(ProblemError, "no value for 'heat'", "did you mean 'heet'", "'depth'") as caught:
        oe.minimize(
            lambda x: {"f": 1.0, "heet": 2.0},
            SPACE,
            objectives="f",
            constraints=["heat"],
            solver="random",
            budget=4,
        )
    assert caught.value.result.n_evaluations == 0


def test_solvers_by_name_by_options_and_by_instance(same_run: Any) -> None:
    named = run(options={"population": 5})
    made = run(solver=oe.solvers.RandomSearch(population=5))
    same_run(named, made)
    assert named.solver == made.solver == "random"
    assert named.options == made.options == {"population": 5}
    assert run(solver=Climber()).solver == "Climber"


def test_auto_says_why(same_run: Any) -> None:
    result = run(solver="auto")
    assert result.reason
    assert result.reason in str(result)
    assert run().reason == ""
    same_run(result, run(solver=result.solver))


def test_a_seed_is_drawn_and_told(same_run: Any) -> None:
    first, second = run(seed=None), run(seed=None)
    assert first.seed != second.seed
    assert first.history.X.tobytes() != second.history.X.tobytes()
    assert type(first.seed) is int
    same_run(run(seed=first.seed), first)
    same_run(run(seed=np.int64(7)), run(seed=7))
    assert run(seed=7).history.X.tobytes() != run(seed=8).history.X.tobytes()


def test_maximize_is_minimize_of_the_negative() -> None:
    low = oe.minimize(lambda x: float(x[0]), [(0, 1)], solver=Climber(), budget=40, seed=0)
    high = oe.maximize(lambda x: -float(x[0]), [(0, 1)], solver=Climber(), budget=40, seed=0)
    assert low.history.X.tobytes() == high.history.X.tobytes()
    assert high.fun == -low.fun  # type: ignore[operator]


# -- x0 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 12])
def test_x0_comes_first_and_the_result_is_never_worse(batch_size: int) -> None:
    points = [X0, X0 | {"depth": 1, "a": 0.0}, X0 | {"kind": "x"}]
    result = run(x0=points, solver=Climber(), batch_size=batch_size)
    assert SPACE.decode(result.history.X[:3]) == points
    assert result.fun == 1.0
    assert result.n_evaluations == 12
    assert SPACE.decode(run(x0=X0).history.X[:1]) == [X0]
    short = run(x0=points, budget=2)
    assert SPACE.decode(short.history.X) == points[:2]
    exact = run(x0=points, target=1.0)
    assert (exact.status, exact.n_evaluations) == ("target_reached", 2)


def test_x0_is_repaired_like_any_other_point() -> None:
    space = oe.Space([(0, 1)] * 2, rows=[oe.Row([1, 1], upper=1)])
    result = oe.minimize(lambda x: -float(x.sum()), space, solver="random", x0=[1.0, 1.0], budget=5, seed=0)
    assert result.history.X[0].sum() <= 1 + 1e-9
    assert space.satisfies(result.history.X).all()


def test_the_rest_of_x0_is_evaluated_when_the_budget_grows(tmp_path: Path) -> None:
    points = [X0 | {"depth": depth} for depth in range(1, 9)]
    settings: dict[str, Any] = {"x0": points, "storage": tmp_path / "runs.db", "batch_size": 4}
    assert SPACE.decode(run(budget=3, **settings).history.X) == points[:3]
    assert SPACE.decode(run(budget=12, **settings).history.X[:8]) == points


# -- data -------------------------------------------------------------------------------------------------------------


class Listener:
    """A solver that keeps what it is told."""

    told: list[Any]


def listener() -> Any:
    heard: list[Any] = []

    @dataclass(frozen=True)
    class Hears(Climber):
        def start(self, problem: Problem, rng: Any) -> Any:
            inner = Climber(population=4).start(problem, rng)
            tell = inner.tell

            def hear(X: Any, evaluation: Any) -> None:
                heard.append(
                    (
                        X.copy(),
                        evaluation.F.copy(),
                        evaluation.G.copy(),
                        evaluation.ids.copy(),
                        evaluation.failed,
                    )
                )
                tell(X, evaluation)

            inner.tell = hear  # type: ignore[method-assign]
            return inner

    return Hears(), heard


BOUNDED = Problem(
    lambda x: {"gain": x[0], "heat": x[1] - 0.5},
    [(0, 1)] * 2,
    objectives="gain",
    constraints="heat",
    direction="maximize",
)
KNOWN_X = [[0.5, 0.25], [1.0, 1.0], [0.0, 0.0]]
KNOWN_F, KNOWN_G = [0.5, 1.0, float("nan")], [-0.25, 0.5, 0.0]


@pytest.mark.parametrize("form", ["lists", "arrays", "columns", "result", "journal", "journal here"])
def test_known_values_are_told_and_cost_nothing(form: str, tmp_path: Path) -> None:
    storage = tmp_path / "runs.db"
    more: dict[str, Any] = {}
    data: Any = (KNOWN_X, KNOWN_F, KNOWN_G)
    if form == "arrays":
        data = tuple(np.array(part) for part in data)
    if form == "columns":
        data = (np.array(KNOWN_X), np.array(KNOWN_F)[:, None], np.array(KNOWN_G)[:, None])
    if form in ("result", "journal", "journal here"):
        F = dict(zip(map(tuple, KNOWN_X), zip(KNOWN_F, KNOWN_G, strict=True), strict=True))
        before = Problem(
            lambda x: dict(zip(("gain", "heat"), F[tuple(x)], strict=True)),
            [(0, 1)] * 2, objectives="gain", constraints="heat", direction="maximize",
        )  # fmt: skip
        journal = {"storage": storage, "name": "before"} if "journal" in form else {}
        done = oe.solve(before, "random", x0=KNOWN_X, budget=3, catch=True, **journal)
        data = {"result": done, "journal": f"{storage}#before", "journal here": "before"}[form]
        more = {"storage": storage, "name": "after"} if form == "journal here" else {}
    solver, heard = listener()
    result = oe.solve(BOUNDED, solver, budget=8, data=data, seed=0, **more)
    X, F_told, G_told, ids, failed = heard[0]
    assert X.tolist() == KNOWN_X
    assert F_told[:2].tolist() == [[-0.5], [-1.0]]  # minimising
    assert G_told[:2].tolist() == [[-0.25], [0.5]]
    assert ids.tolist() == [-1, -1, -1]
    assert failed.tolist() == [False, False, True]
    assert result.n_evaluations == len(result.history) == 8
    assert not any(row.tolist() in KNOWN_X for row in result.history.X)
    assert np.concatenate([h[3] for h in heard[1:]]).tolist() == list(range(8))


def test_known_values_of_named_spaces() -> None:
    solver, heard = listener()
    pandas = pytest.importorskip("pandas")
    rows = [X0, X0 | {"depth": 4}]
    for data in (
        (rows, [1.0, 2.0]),
        (pandas.DataFrame(rows), pandas.Series([1.0, 2.0])),
        (X0, [1.0]),
        (tuple(rows), [[1], [2]]),
    ):
        heard.clear()
        run(solver=solver, data=data)
        assert SPACE.decode(heard[0][0])[0] == X0
    holes = oe.Space(on=oe.Binary(), a=oe.Real(0, 1, when=("on", True)))
    frame = pandas.DataFrame({"on": [True, False], "a": [0.5, None]})
    heard.clear()
    oe.minimize(lambda on, a: 0.0, holes, solver=solver, data=(frame, [1, 2]), budget=4)
    assert holes.decode(heard[0][0]) == [{"on": True, "a": 0.5}, {"on": False}]
    subsets = oe.Space(oe.Subset(4))
    heard.clear()
    oe.minimize(lambda x: float(len(x)), subsets, solver=solver, data=([[0], [1, 2]], [1, 2]), budget=4)
    assert heard[0][0].tolist() == [[1, 0, 0, 0], [0, 1, 1, 0]]


def test_data_of_another_shape_is_refused(clear: Any, tmp_path: Path) -> None:
    other = oe.minimize(lambda x: 0.0, [(0, 1)] * 5, solver="random", budget=2, seed=0)
    with clear(OptionError, "data", "2 columns", "got 5"):
        oe.solve(BOUNDED, "random", budget=2, data=other)
    with clear(OptionError, "data", "1 constraints", "(X, F)"):
        oe.solve(BOUNDED, "random", budget=2, data=(KNOWN_X, KNOWN_F))
    with clear(StorageError, "runs.db"):
        oe.solve(BOUNDED, "random", budget=2, data=f"{tmp_path / 'runs.db'}#plant")


# -- describe ---------------------------------------------------------------------------------------------------------


class Described(Problem):
    def describe(self, x: Any) -> Any:
        return {"length": len(x)} if len(x) == 2 else [len(x)]


def test_what_the_problem_says_of_x_is_in_the_details(clear: Any) -> None:
    assert oe.solve(Described(lambda x: 0.0, [(0, 1)] * 2), "random", budget=2).details == {"length": 2}
    with clear(ProblemError, "describe", "dict", "[3]"):
        oe.solve(Described(lambda x: 0.0, [(0, 1)] * 3), "random", budget=2)


def test_objectives_that_change_their_argument_do_not_change_the_run() -> None:
    def rude(x: Any) -> float:
        value = float((x**2).sum())
        x[:] = 7.0
        return value

    result = oe.minimize(rude, [(-1, 1)] * 2, solver=Climber(), budget=30, seed=0)
    polite = oe.minimize(lambda x: float((x**2).sum()), [(-1, 1)] * 2, solver=Climber(), budget=30, seed=0)
    assert result.history.X.tobytes() == polite.history.X.tobytes()
