"""Subspaces of problems: orthonormal bases, what coefficients stand for, and every solver's way through them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy.fft import idctn

import optengine as oe
from optengine.core.errors import ProblemError
from optengine.problems.transforms import SubspaceEmbedding, dct_basis, fft_basis, haar_basis


def image_loss(x: Any) -> float:
    return float((np.asarray(x) ** 2).sum())


def image(shape: tuple[int, ...] = (8, 8)) -> oe.Problem:
    return oe.Problem(image_loss, oe.Space(oe.Real(-1, 1, shape=shape)), name="image")


@pytest.mark.parametrize("waves", [dct_basis, fft_basis, haar_basis])
@pytest.mark.parametrize("k", [1, 3, 8])
def test_bases_are_orthonormal_and_begin_with_the_constant(waves: Any, k: int) -> None:
    B = waves(8, k)
    assert B.T @ B == pytest.approx(np.eye(k), abs=1e-12)
    assert np.ptp(B[:, 0]) < 1e-12


def test_the_cosines_are_scipys() -> None:
    Z = np.random.default_rng(0).normal(size=(3, 3))
    full = np.zeros((8, 8))
    full[:3, :3] = Z
    embedding = SubspaceEmbedding(image(), 3)
    assert embedding.B @ Z.ravel() == pytest.approx(idctn(full, norm="ortho").ravel())


def test_coefficients_move_around_the_centre_and_stay_in_the_box() -> None:
    centre = np.full((8, 8), 0.5)
    embedding = SubspaceEmbedding(image(), 2, centre=centre, radius=0.25)
    assert embedding.expand(np.zeros((1, 4)))[0] == pytest.approx(0.5)
    Z = np.random.default_rng(0).uniform(-1, 1, (50, 4))
    X = embedding.expand(Z)
    assert embedding.inner.space.contains(X).all()
    small = embedding.expand(0.1 * Z) - 0.5
    assert np.sqrt((small**2).mean(axis=1)) == pytest.approx(0.025 * np.sqrt((Z**2).mean(axis=1)))


def test_spheres() -> None:
    Z = np.random.default_rng(0).uniform(-1, 1, (5, 9))
    far = SubspaceEmbedding(image(), 3, radius=0.1, norm="inf").expand(Z)
    assert np.abs(far) == pytest.approx(0.1)
    round_ = SubspaceEmbedding(image(), 3, radius=0.5, norm="2").expand(Z)
    assert np.sqrt((round_**2).sum(axis=1)) == pytest.approx(0.5)


def test_logarithms_move_as_logarithms() -> None:
    problem = oe.Problem(lambda x: float(x.sum()), oe.Space(oe.Real(1e-4, 1, log=True, shape=4)))
    embedding = SubspaceEmbedding(problem, 1)
    assert embedding.expand(np.array([[0.0]]))[0] == pytest.approx(1e-2)
    assert embedding.expand(np.array([[1.0]]))[0] == pytest.approx(1.0)


@pytest.mark.parametrize("basis", ["dct", "fft", "haar", "random"])
def test_solvers_find_what_lies_in_the_subspace(basis: str) -> None:
    """The optimum of 64 numbers is found over 4; a search of all 64 is nowhere near with so few evaluations."""
    inner = image()
    truth = SubspaceEmbedding(inner, 2 if basis != "random" else 4, basis=basis).expand(
        [[0.6, -0.3, 0.2, 0.5]]
    )[0]
    problem = oe.Problem(lambda x: float(((x.ravel() - truth) ** 2).sum()), inner.space)
    embedding = SubspaceEmbedding(problem, 2 if basis != "random" else 4, basis=basis)
    result = oe.solve(embedding, solver="cmaes", budget=300, seed=0)
    assert result.fun < 1e-3
    assert result.details["embedded"].shape == (8, 8)
    assert problem.function(result.details["embedded"]) == pytest.approx(result.fun)
    assert oe.solve(problem, solver="cmaes", budget=300, seed=0).fun > 1.0


def test_directions_and_constraints_pass_through() -> None:
    space = oe.Space(a=oe.Real(0, 2), b=oe.Real(0, 2), c=oe.Real(0, 2))
    inner = oe.Problem(
        lambda a, b, c: {"gain": a + b + c, "g": a - 1.5}, space, objectives="gain", direction="maximize",
        constraints=["g"],
    )  # fmt: skip
    embedding = SubspaceEmbedding(inner, 1)
    result = oe.solve(embedding, solver="random", budget=200, seed=0)
    assert result.fun == pytest.approx(4.5, abs=0.1)
    assert result.feasible
    assert set(result.details["embedded"]) == {"a", "b", "c"}


def test_vectorised_problems_pickle_and_are_told_apart() -> None:
    inner = oe.Problem(_sums, [(-1, 1)] * 16, vectorized=True)
    embedding = SubspaceEmbedding(inner, (2, 3), shape=(4, 4))
    assert embedding.space.width == 6
    again = pickle.loads(pickle.dumps(embedding))
    Z = np.full((2, 6), 0.3)
    assert again.evaluate(Z).F == pytest.approx(embedding.evaluate(Z).F)
    assert again.fingerprint() == embedding.fingerprint()
    assert (
        SubspaceEmbedding(inner, (2, 3), shape=(4, 4), basis="fft").fingerprint() != embedding.fingerprint()
    )


def _sums(X: np.ndarray) -> np.ndarray:
    return np.asarray(X.sum(axis=1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"k": 9}, "k must be at most"),
        ({"k": 0}, "k must be an integer"),
        ({"k": 2, "basis": "dst"}, "did you mean 'dct'"),
        ({"k": 2, "shape": (3, 3)}, "shape must hold"),
        ({"k": 2, "norm": "inf"}, "radius must be"),
        ({"k": 2, "norm": "1", "radius": 1}, "norm must be"),
        ({"k": 2, "radius": -1}, "radius must be"),
        ({"k": 2, "centre": np.full(64, 3.0)}, "centre must be"),
        ({"k": 65, "basis": "random"}, "k must be at most 64"),
    ],
)
def test_what_does_not_fit(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        SubspaceEmbedding(image(), **arguments)


def test_spaces_without_subspaces() -> None:
    with pytest.raises(ProblemError, match="powers of two"):
        SubspaceEmbedding(image((6, 6)), 2, basis="haar")
    with pytest.raises(ProblemError, match="real numbers"):
        SubspaceEmbedding(oe.Problem(lambda n: 0.0, oe.Space(n=oe.Integer(0, 3))), 1)
    with pytest.raises(ProblemError, match="problem must be"):
        SubspaceEmbedding(image_loss, 1)  # type: ignore[arg-type]
