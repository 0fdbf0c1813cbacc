"""Portfolios: evaluations go to who brings something, bounds and incumbents of threads meet, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import optengine as oe
from optengine.solvers.portfolio import Portfolio
from optengine.solvers.portfolio.portfolio import suited
from optengine.testing import check_solver, small_problems


def bowl(x: Any) -> float:
    return float(((np.asarray(x) - 0.3) ** 2).sum())


BOX = oe.Problem(bowl, [(-5, 5)] * 4, name="bowl")


def test_evaluations_go_to_the_better_member() -> None:
    solver = Portfolio(members=["cem", "random"], share=False, exploration=0.2)
    shares = []
    for seed in range(3):
        result = oe.solve(BOX, solver, budget=1500, seed=seed)
        asked = {name: facts["asked"] for name, facts in result.details.items()}
        assert sum(asked.values()) >= 1500
        shares.append(result.details["cem"]["probability"])
        assert result.fun < 1e-3
    assert np.median(shares) > 0.6


def test_incumbents_are_told_to_all() -> None:
    """A member that never proposes well hears of the other's best point."""
    heard: list[float] = []

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Listener:
        replayable: ClassVar[bool] = True

        def refuses(self, problem: oe.Problem) -> str | None:
            return None

        def start(self, problem: oe.Problem, rng: Any) -> Any:
            return Ear()

    class Ear:
        batch = 4

        def ask(self, n: int | None = None) -> np.ndarray:
            return np.full((n or 4, 4), 4.9)

        def tell(self, X: np.ndarray, evaluation: Any) -> None:
            heard.extend(evaluation.F[evaluation.ids < 0, 0])

    result = oe.solve(BOX, Portfolio(members=[Listener(), "cem"]), budget=300, seed=0)
    assert min(heard) == pytest.approx(result.fun)
    assert (np.diff(heard) < 0).all()  # incumbents, each better than the last


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (oe.Space([(0, 1)] * 3), ["hybrid", "de", "cem"]),
        (oe.Space(oe.Permutation(6)), ["ils", "cem", "ga"]),
        (oe.Space(oe.Binary(shape=6)), ["ils", "fast_ea", "cem", "ga"]),
    ],
)
def test_members_by_kind(space: oe.Space, expected: list[str]) -> None:
    pytest.importorskip("pymoo")
    found = [name for name, _ in suited(oe.Problem(lambda x: 0.0, space))]
    assert [name for name in found if name in expected] == [name for name in expected if name in found]
    assert len(found) >= 2


def test_a_bound_and_an_incumbent_meet_in_one_result() -> None:
    pytest.importorskip("ortools")
    problem = oe.problems.MILP.random(np.random.default_rng(3), 30, 12, real=0.0)
    alone = oe.solve(problem, "milp", time_limit=20, seed=0)
    result = oe.solve(problem, "portfolio", time_limit=20, seed=0)
    assert result.status == "optimal"
    assert result.fun == pytest.approx(alone.fun)
    assert result.bound == pytest.approx(alone.fun, abs=1e-6)
    assert set(result.details["members"]) >= {"milp", "relaxation_induced"}
    assert sum(m["incumbents"] for m in result.details["members"].values()) >= 1


def test_a_member_that_breaks_off_does_not_stop_the_others() -> None:
    class Broken:
        def search(self, control: Any) -> None:
            raise oe.DeviceError("no device")

    class Honest:
        def search(self, control: Any) -> None:
            control.incumbent(np.full(4, 0.3))
            control.bound(0.0)
            control.spend(7)

    class Defective:
        def search(self, control: Any) -> None:
            raise ZeroDivisionError("a defect")

    def of(*runs: type[Any]) -> Portfolio:
        return Portfolio(members=[Searcher(run=run) for run in runs])

    result = oe.solve(BOX, of(Broken, Honest), budget=100)
    assert result.fun == 0.0
    assert result.status == "optimal"
    assert result.n_evaluations >= 7
    errors = [m.get("error") for m in result.details["members"].values()]
    assert errors == ["no device", None]
    with pytest.raises(oe.DeviceError, match="no device"):
        oe.solve(BOX, of(Broken, Broken), budget=100)
    with pytest.raises(ZeroDivisionError):
        oe.solve(BOX, of(Defective, Honest), budget=100)
    with pytest.raises(oe.OptionError, match="must all search by themselves or all be asked and told"):
        oe.solve(BOX, Portfolio(members=[Searcher(run=Honest), "cem"]), budget=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searcher:
    replayable: ClassVar[bool] = False
    run: type[Any]

    def refuses(self, problem: oe.Problem) -> str | None:
        return None

    def start(self, problem: oe.Problem, rng: Any) -> Any:
        return self.run()


def test_a_deadline_ends_all_threads() -> None:
    pytest.importorskip("ortools")
    problem = oe.problems.generators.generate("set_cover", "small", 0)
    result = oe.solve(problem, "portfolio", time_limit=1.0, seed=0)
    assert result.feasible
    assert result.seconds < 4
    assert result.bound is None or result.bound <= result.fun + 1e-6


def test_contract() -> None:
    wanted = ("maximized", "conditional", "permutation", "rows", "constraints", "one point")
    problems = {label: small_problems()[label] for label in wanted}
    assert check_solver(Portfolio(members=["cem", "random", "sobol"]), problems)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"members": "cem"}, "members must be a list"),
        ({"members": ["cem"]}, "at least 2 solvers, got 1"),
        ({"members": ["cem", "cemm"]}, "did you mean 'cem'"),
        ({"members": [{"population": 5}, "cem"]}, "must have name"),
        ({"exploration": 0}, "exploration must be"),
        ({"share": 1}, "share must be"),
    ],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(oe.OptionError, match=says):
        Portfolio(**options)


def test_a_table_is_refused() -> None:
    X = np.random.default_rng(0).random((20, 2))
    table = oe.problems.Offline([(0, 1)] * 2, X, X.sum(axis=1), 4)
    with pytest.raises(oe.SolverNotSuitable, match="there is only a table of values"):
        oe.solve(table, "portfolio")
