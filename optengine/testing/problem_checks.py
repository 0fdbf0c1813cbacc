"""`check_problem`: whether a problem keeps the contract that solvers, workers and journals rely on."""

from __future__ import annotations

import json
import pickle

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.space import REAL, SIMPLEX, Space
from optengine.testing.failure import Subject

Floats = NDArray[np.float64]

N_POINTS = 24
N_MOVES = 40  # of each kind
REL_ROUNDING = 1e-9  # to which a sum of changes may differ from a change of sums
ORDERS = ("swap", "insertion", "reversal")
KINDS = (*ORDERS, "flip", "exchange", "level")


def check_problem(problem: Problem, *, seed: int = 0, quick: bool = True) -> None:
    """Check that a problem keeps its contract.

    Checked are: points encode, decode and map to the unit cube and back; evaluations have their shapes, repeat (unless
    `noisy`), do not depend on the batch, and leave their argument alone; the problem pickles and its fingerprint is
    JSON, the same for an equal problem; moves agree with evaluating anew; `describe` returns a dict; no random point
    beats `best_known`.

    Args:
        problem: to be checked; it is evaluated some hundred times.
        seed: of the random points.
        quick: False takes ten times as many points.

    Raises:
        CheckFailed: something is broken; the message names the problem and what.
    """
    rng, subject = default_rng(seed), Subject(f"problem {problem.name!r}")
    subject.expect(isinstance(problem, Problem), "it is no Problem")
    subject.expect(isinstance(problem.name, str) and problem.name, f"its name is {problem.name!r}, no text")
    with subject.during("drawing points"):
        X = _points(problem, N_POINTS if quick else 10 * N_POINTS, rng)
    _check_space(subject, problem.space, X)
    with subject.during("evaluate"):
        evaluation = problem.evaluate(X.copy())
    _check_evaluation(subject, problem, X, evaluation)
    _check_identity(subject, problem, X, evaluation)
    for kind in problem.moves:
        _check_moves(subject, problem, kind, X, rng, 4 if quick else 40)
    _check_described(subject, problem, X)
    _check_best_known(subject, problem, evaluation, X)


def _points(problem: Problem, n: int, rng: Generator) -> Floats:
    from optengine.backends.repair import Repair

    X = (
        Repair(problem.space).feasible_sample(n, rng)
        if problem.space.constrained
        else problem.space.sample(n, rng)
    )
    return np.ascontiguousarray(X)


def _check_space(subject: Subject, space: Space, X: Floats) -> None:
    subject.expect(X.shape == (len(X), space.width), f"its space draws points of shape {X.shape}")
    subject.expect(space.contains(X), "its space does not contain what it draws")
    subject.expect(space.satisfies(X), "a feasible sample breaks a known constraint")
    with subject.during("decode and encode"):
        points = space.decode(X)
        subject.expect(
            np.array_equal(space.encode(points), X), "a list of points does not encode to where it came from"
        )
        subject.expect(
            np.array_equal(space.encode(points[0]), X[:1]), "a point does not encode to where it came from"
        )
    with subject.during("to_unit and from_unit"):
        U = space.to_unit(X)
        back = space.from_unit(U)
    subject.expect((U >= 0) & (U <= 1), "to_unit leaves the unit cube")
    smooth = np.isin(space.kind, (REAL, SIMPLEX))
    subject.expect(back[:, ~smooth] == X[:, ~smooth], "from_unit does not undo to_unit")
    scale = np.maximum(np.abs(X), (space.upper - space.lower) * ~space.log)[:, smooth]
    subject.expect(np.abs(back - X)[:, smooth] <= 1e-6 * scale + 1e-12, "from_unit does not undo to_unit")
    json.dumps(space.fingerprint())


def _check_evaluation(subject: Subject, problem: Problem, X: Floats, first: Evaluation) -> None:
    n, failed = len(X), first.failed
    subject.expect(first.F.shape == (n, problem.n_objectives), f"F has shape {first.F.shape}")
    subject.expect(first.G.shape == (n, problem.n_constraints), f"G has shape {first.G.shape}")
    subject.expect(failed.shape == (n,), f"failed has shape {failed.shape}")
    subject.expect(np.isnan(first.F[failed]), "a failed row has a value")
    subject.expect(~np.isnan(first.F[~failed]), "a row has NaN and does not count as failed")
    subject.expect(~np.isnan(first.G[~failed]), "a row has a constraint of NaN and does not count as failed")
    subject.expect(first.violation >= 0, "a violation is negative")
    for name in ("cost", "seconds"):
        column = getattr(first, name)
        subject.expect(column is None or np.shape(column) == (n,), f"{name} has shape {np.shape(column)}")
    noise = first.noise
    subject.expect(noise is None or noise.shape == first.F.shape, "noise has another shape than F")
    given = X.copy()
    with subject.during("evaluate"):
        again = problem.evaluate(given)
        rows = Evaluation.concatenate([problem.evaluate(X[i : i + 1]) for i in range(min(n, 8))])
    subject.expect(np.array_equal(given, X), "evaluate changes its argument")
    if not problem.noisy:
        _expect_same(subject, again, first, "evaluated twice, it gives two values, and is not noisy")
        _expect_same(
            subject, rows, first.take(slice(0, len(rows))), "a row has another value alone than in a batch"
        )


def _expect_same(
    subject: Subject, a: Evaluation, b: Evaluation, what: str, rel: float = REL_ROUNDING
) -> None:
    for one, other in ((a.F, b.F), (a.G, b.G)):
        subject.expect(np.allclose(one, other, rtol=rel, atol=rel, equal_nan=True), what)


def _check_identity(subject: Subject, problem: Problem, X: Floats, evaluation: Evaluation) -> None:
    """What travels to workers and what a journal recognises."""
    import cloudpickle

    with subject.during("pickling"):
        twin = pickle.loads(cloudpickle.dumps(problem))
        if not problem.noisy:
            _expect_same(subject, twin.evaluate(X), evaluation, "its pickled copy gives other values", 0.0)
    with subject.during("fingerprint"):
        text = json.dumps(problem.fingerprint(), sort_keys=True)
        subject.expect(json.dumps(problem.fingerprint(), sort_keys=True) == text, "its fingerprint changes")
        subject.expect(
            json.dumps(twin.fingerprint(), sort_keys=True) == text, "its pickled copy has another fingerprint"
        )
    subject.expect(" at 0x" not in text, "its fingerprint holds an address in memory, which changes")


def _check_described(subject: Subject, problem: Problem, X: Floats) -> None:
    for x in problem.space.decode(X[:3]):
        with subject.during("describe"):
            described = problem.describe(x)
        subject.expect(isinstance(described, dict), f"describe returns a {type(described).__name__}, no dict")
        subject.expect(all(isinstance(name, str) for name in described), "describe has a key that is no text")


def _check_best_known(subject: Subject, problem: Problem, evaluation: Evaluation, X: Floats) -> None:
    if problem.best_known is None:
        return
    subject.expect(problem.best_known_source, "best_known has no source")
    good = evaluation.feasible() & problem.space.at_target(X)
    value, sign = float(problem.best_known), float(problem.signs[0])
    if good.any() and not problem.noisy:
        best = float(evaluation.F[good, 0].min())
        subject.expect(
            best >= sign * value - REL_ROUNDING * max(1.0, abs(value)),
            f"best_known is {value:.12g}, and a random point has {sign * best:.12g}",
        )


# -- moves -------------------------------------------------------------------------------------------------------------


def _check_moves(
    subject: Subject, problem: Problem, kind: str, X: Floats, rng: Generator, n_points: int
) -> None:
    """Compare `delta` with evaluating what the moves make."""
    subject.expect(kind in KINDS, f"offers moves of kind {kind!r}, known are {', '.join(KINDS)}")
    for x in X[:n_points]:
        moves = _draw_moves(problem.space, kind, x, rng)
        if not len(moves):
            continue
        Y = moved(x, kind, moves)
        subject.expect(problem.space.contains(Y), f"a {kind} leaves the space")
        with subject.during(f"delta of {kind}"):
            dF, dG = problem.delta(x, kind, moves)
        k = len(moves)
        shapes = dF.shape == (k, problem.n_objectives) and dG.shape == (k, problem.n_constraints)
        subject.expect(shapes, f"delta of {kind} has shapes {dF.shape} and {dG.shape} for {k} moves")
        before, after = problem.evaluate(x[None, :]), problem.evaluate(Y)
        for change, old, new in ((dF, before.F, after.F), (dG, before.G, after.G)):
            size = np.maximum(1.0, np.maximum(np.abs(old), np.abs(new)))
            worst = float((np.abs(change - (new - old)) / size).max(initial=0.0))
            subject.expect(
                worst <= REL_ROUNDING, f"delta of {kind} is off by {worst:.3g}, relative to the value"
            )


def _draw_moves(space: Space, kind: str, x: Floats, rng: Generator) -> NDArray[np.int64]:
    """Random moves (k, 2) of one kind that lead to points of the space."""
    if kind in ORDERS:
        return rng.integers(space.width, size=(N_MOVES, 2))
    i, j = rng.integers(space.width, size=(2, 5 * N_MOVES))
    second = {"flip": i, "exchange": j, "level": rng.integers(np.maximum(space.n_levels[i], 1))}[kind]
    moves = np.stack([i, second], axis=1)
    moves = moves[x[i] != x[j]] if kind == "exchange" else moves
    return moves[space.contains(moved(x, kind, moves))][:N_MOVES]


def moved(x: Floats, kind: str, moves: NDArray[np.int64]) -> Floats:
    """Return the points (k, width) that moves (k, 2) make of x (width,).

    "swap", "insertion" and "reversal" as `kernels.permutation.apply_moves`; "flip" turns column i from 0 to 1 or back
    (j = i), "exchange" exchanges the values of columns i and j, "level" gives column i the level of index j.
    """
    from optengine.kernels.permutation import apply_moves

    if kind in ORDERS:
        return np.asarray(apply_moves(x.astype(np.int64), kind, moves), dtype=np.float64)
    Y, rows = np.repeat(x[None, :], len(moves), axis=0), np.arange(len(moves))
    i, j = moves.T
    if kind == "flip":
        Y[rows, i] = 1.0 - x[i]
    elif kind == "level":
        Y[rows, i] = j
    else:
        Y[rows, i], Y[rows, j] = x[j], x[i]
    return Y
