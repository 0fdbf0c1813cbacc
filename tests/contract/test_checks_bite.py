"""The checks themselves: a solver or a problem that breaks a clause of its contract is found, and the clause named."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import optengine as oe
from optengine import Problem
from optengine.testing import CheckFailed, Climber, check_problem, check_solver, small_problems
from optengine.testing.examples import ClimberRun

CASES = {name: small_problems()[name] for name in ("conditional", "bounds", "two objectives")}
CLOCK = itertools.count()


class Honest(Climber):
    """A Climber whose run the tests may change."""

    run: ClassVar[type[ClimberRun]] = ClimberRun

    def start(self, problem: Problem, rng: Any) -> Any:
        return self.run(self, problem.space, rng)


class OutOfBounds(ClimberRun):
    def ask(self, n: int | None = None) -> Any:
        return super().ask(n) * 1.5


class WrongNumber(ClimberRun):
    def ask(self, n: int | None = None) -> Any:
        return super().ask(None if n is None else max(1, n - 1))


class Nan(ClimberRun):
    def ask(self, n: int | None = None) -> Any:
        X = super().ask(n)
        X[0, 0] = np.nan
        return X


class OwnSeed(ClimberRun):
    def __init__(self, options: Any, space: Any, rng: Any) -> None:
        super().__init__(options, space, np.random.default_rng(0))


class NoSeed(ClimberRun):
    def __init__(self, options: Any, space: Any, rng: Any) -> None:
        super().__init__(options, space, np.random.default_rng(time.time_ns()))


class Meddler(ClimberRun):
    def tell(self, X: Any, evaluation: Any) -> None:
        evaluation.F[:] = 0.0
        super().tell(X, evaluation)


class Brittle(ClimberRun):
    def tell(self, X: Any, evaluation: Any) -> None:
        if evaluation.failed.any():
            raise ZeroDivisionError("no value to divide by")
        super().tell(X, evaluation)


class Expectant(ClimberRun):
    """Takes it for granted that it is told just what it asked."""

    _asked: Any = ()

    def ask(self, n: int | None = None) -> Any:
        self._asked = super().ask(n)
        return self._asked

    def tell(self, X: Any, evaluation: Any) -> None:
        if len(X) != len(self._asked):
            raise IndexError("told something else than was asked")
        super().tell(X, evaluation)


class Locked(ClimberRun):
    def __init__(self, options: Any, space: Any, rng: Any) -> None:
        super().__init__(options, space, rng)
        self._lock = threading.Lock()


class Forgetful(ClimberRun):
    """Counts in a variable outside its state: a resumed run starts elsewhere."""

    def ask(self, n: int | None = None) -> Any:
        if next(CLOCK) % 3 == 0:
            self._rng.random()
        return super().ask(n)


class Lazy(ClimberRun):
    def ask(self, n: int | None = None) -> Any:
        raise RuntimeError("not today")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (OutOfBounds, ("'conditional'", "outside")),
        (WrongNumber, ("ask(3)", "shape")),
        (Nan, ("ask(None)", "NaN")),
        (OwnSeed, ("seeds 0 and 1", "same candidates")),
        (NoSeed, ("same seed", "other candidates")),
        (Meddler, ("tell changed",)),
        (Brittle, ("evaluations fail", "ZeroDivisionError", "no value to divide by")),
        (Expectant, ("IndexError", "told something else")),
        (Locked, ("pickling a run", "lock")),
        (Forgetful, ("'conditional'",)),
        (Lazy, ("RuntimeError", "not today")),
    ],
)
def test_runs_that_break_the_contract_are_found(run: Any, words: tuple[str, ...]) -> None:
    broken = type("Broken", (Honest,), {"run": run})
    with pytest.raises(CheckFailed) as caught:
        check_solver(broken, CASES)
    for word in ("Broken", *words):
        assert word in str(caught.value)


class Unsure(Honest):
    def refuses(self, problem: Problem) -> str | None:
        return ""


class Picky(Honest):
    def refuses(self, problem: Problem) -> str | None:
        return "it wants another problem"


class Undecided(Honest):
    """Says no when it is asked, and yes when it is to solve."""

    asked: ClassVar[itertools.count[int]] = itertools.count()

    def refuses(self, problem: Problem) -> str | None:
        return "not this one" if next(self.asked) % 2 == 0 else None


@dataclass(frozen=True, kw_only=True)
class Careless(Honest):
    scale: float = 0.1

    def __post_init__(self) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Rude(Honest):
    rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate is not None and not 0 < self.rate < 1:
            raise ValueError("rate")


@dataclass(frozen=True, kw_only=True)
class Vague(Honest):
    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except oe.OptionError:
            raise oe.OptionError("something is wrong") from None


@dataclass
class Melting:
    """Not frozen."""

    replayable: ClassVar[bool] = True


class Silent(Honest):
    replayable: ClassVar[Any] = None


class Plain:
    pass


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (Unsure, ("no sentence",)),
        (Picky, ("refuses every problem",)),
        (Undecided, ("refuses it and solves it",)),
        (Careless, ("Careless(population=nan)", "accepted")),
        (Rude, ("Rude(rate=nan)", "ValueError", "not OptionError")),
        (Vague, ("Vague(population=nan)", "does not name population")),
        (Melting, ("not frozen",)),
        (Silent, ("replayable",)),
        (Plain, ("no dataclass",)),
    ],
)
def test_solvers_that_break_the_contract_are_found(solver: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(CheckFailed) as caught:
        check_solver(solver, CASES)
    for word in words:
        assert word in str(caught.value)


# -- solvers that search by themselves --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Walker:
    """Steps from neighbour to neighbour."""

    replayable: ClassVar[bool] = True
    step: ClassVar[Callable[[Any, Any, Problem], Any]] = staticmethod(lambda control, x, problem: None)

    def refuses(self, problem: Problem) -> str | None:
        return None if problem.n_objectives == 1 else "it minimises one objective"

    def start(self, problem: Problem, rng: Any) -> Any:
        return Walk(self, problem, rng)


class Walk:
    def __init__(self, solver: Walker, problem: Problem, rng: Any) -> None:
        self._problem, self._rng, self._step = problem, rng, solver.step

    def search(self, control: Any) -> None:
        x = self._problem.space.sample(1, self._rng) if control.x0 is None else control.x0[:1]
        while not control.stop():
            control.spend(1)
            control.incumbent(x[0])
            x = self._problem.space.neighbours(x, self._rng)
            self._step(control, x, self._problem)


def test_searching_solvers_keep_the_contract_too() -> None:
    ran = check_solver(Walker())
    assert "two objectives" not in ran
    assert len(ran) > 15


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda control, x, problem: control.spend(6), ("spent", "of a budget of")),
        (lambda control, x, problem: control.conclude("optimal"), ("optimal without a proved bound",)),
        (lambda control, x, problem: control.conclude("stopped"), ("status 'stopped'",)),
        (
            lambda control, x, problem: control.incumbent(x[0] + np.random.default_rng().random()),
            ("outside", "seed"),
        ),
        (lambda control, x, problem: 1 / 0, ("ZeroDivisionError",)),
    ],
)
def test_searches_that_break_the_contract_are_found(step: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(CheckFailed) as caught:
        check_solver(type("Broken", (Walker,), {"step": staticmethod(step)}), {"bounds": CASES["bounds"]})
    assert any(word in str(caught.value) for word in words), str(caught.value)


# -- problems ---------------------------------------------------------------------------------------------------------

BOX = [(-1.0, 1.0)] * 2


def sphere(x: Any) -> float:
    return float((x**2).sum())


class Encoded(Problem):
    """A structured problem that the tests may break."""

    def __init__(self, function: Any = None, space: Any = None, **more: Any) -> None:
        super().__init__(
            function or self.value, space or oe.Space(oe.Permutation(6)), call="encoded", vectorized=True
        )
        for name, value in more.items():
            setattr(self, name, value)

    def value(self, X: Any) -> Any:
        return (X * np.arange(X.shape[1])).sum(axis=1)


class WrongDelta(Encoded):
    moves = ("swap",)

    def delta(self, x: Any, kind: str, moves: Any) -> Any:
        return np.zeros((len(moves), 1)), np.zeros((len(moves), 0))


class FlatDelta(WrongDelta):
    def delta(self, x: Any, kind: str, moves: Any) -> Any:
        return np.zeros(len(moves)), np.zeros(0)


class OddMoves(WrongDelta):
    moves = ("teleport",)


class RightDelta(Encoded):
    """Bits with a price, and moves of two kinds."""

    moves = ("flip", "exchange")

    def __init__(self) -> None:
        super().__init__(space=oe.Space(oe.Binary(shape=6)))

    def delta(self, x: Any, kind: str, moves: Any) -> Any:
        i, j = np.asarray(moves).T
        change = (1 - 2 * x[i]) * i
        change = change + (1 - 2 * x[j]) * j if kind == "exchange" else change
        return change[:, None].astype(float), np.zeros((len(i), 0))


class Describes(Encoded):
    def describe(self, x: Any) -> Any:
        return ["a list"]


class Changing(Encoded):
    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"time": next(CLOCK)}


class Addressed(Encoded):
    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"where": "<object at 0x7f00>"}


class Batchwise(Encoded):
    def value(self, X: Any) -> Any:
        return X[:, 0] - X[:, 0].mean()


class Scribbler(Encoded):
    def value(self, X: Any) -> Any:
        X[:, 0] = 0
        return X[:, 1].copy()


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (lambda: Problem(lambda x: float(next(CLOCK)), BOX), ("evaluated twice", "not noisy")),
        (Batchwise, ("alone than in a batch",)),
        (Scribbler, ("changes its argument",)),
        (WrongDelta, ("delta of swap is off",)),
        (FlatDelta, ("delta of swap has shapes",)),
        (OddMoves, ("'teleport'",)),
        (Describes, ("describe returns a list",)),
        (Changing, ("fingerprint changes",)),
        (Addressed, ("address in memory",)),
        (
            lambda: Encoded(best_known=1e9, best_known_source="hearsay"),
            ("best_known is 1000000000", "random point"),
        ),
        (lambda: Encoded(best_known=0.0), ("best_known has no source",)),
        (lambda: Encoded(name=""), ("no text",)),
        (lambda: Encoded(lock=threading.Lock()), ("pickling",)),
        (lambda: Problem(lambda x: 1 / 0, BOX), ("evaluate", "ZeroDivisionError")),
    ],
)
def test_problems_that_break_the_contract_are_found(problem: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(CheckFailed) as caught:
        check_problem(problem())
    for word in words:
        assert word in str(caught.value)


def test_problems_that_keep_the_contract_pass() -> None:
    check_problem(Problem(sphere, BOX))
    check_problem(RightDelta())
    check_problem(Problem(lambda x: float(next(CLOCK)), BOX, noisy=True))
    check_problem(Problem(lambda x: float(x[0]) if x[0] > 0 else float("nan"), BOX))
    assert issubclass(CheckFailed, AssertionError)
