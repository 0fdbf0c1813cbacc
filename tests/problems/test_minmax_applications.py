"""Filters, tomography and quantized layers: constructions checked by hand values and by physics."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.core.errors import OptionError, ProblemError
from optengine.problems.applications.fir_filter import fir_filter, signed_powers
from optengine.problems.applications.quantize_linear import quantize_linear, quantize_model
from optengine.problems.applications.tomography import phantom, projector, tomography


def test_literature_grids_and_roundings() -> None:
    """Sizes, and the rounded minimax filter's error as published (A35/8: 0.0327)."""
    for letter, taps, rows in (
        ("A", 35, 560),
        ("B", 35, 560),
        ("C", 45, 719),
        ("E", 45, 720),
        ("A", 125, 2000),
    ):
        problem = fir_filter(taps, letter, 8)
        assert (problem.n_rows, problem.n_variables) == (rows, (taps + 1) // 2)


def test_response_is_that_of_the_taps() -> None:
    problem = fir_filter(5, [(0, 0.4, 1), (0.6, 1, 0, 2)], 4)
    x = np.array([0.5, 0.25, -0.125])
    taps = problem.impulse(x)
    assert taps.tolist() == [-0.125, 0.25, 0.5, 0.25, -0.125]
    w, amplitude = problem.response(x, 65)
    spectrum = np.exp(-1j * np.pi * np.outer(w, np.arange(-2, 3))) @ taps
    np.testing.assert_allclose(amplitude, spectrum.real, atol=1e-12)
    np.testing.assert_allclose(spectrum.imag, 0, atol=1e-12)
    X = problem.space.encode(x)
    weights = np.where(problem.grid <= 0.4, 1, 2)
    deviation = weights * np.abs(np.interp(problem.grid, w, amplitude) - problem.desired)
    assert problem.evaluate(X).F[0, 0] == pytest.approx(deviation.max(), abs=1e-3)


def test_signed_powers() -> None:
    assert signed_powers(1, 2).tolist() == [-1, -0.5, 0, 0.5, 1]
    assert signed_powers(2, 2).tolist() == [-1, -0.5, 0, 0.5, 1]
    assert len(signed_powers(2, 10)) == 149


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, "A"), "taps must be an odd integer"),
        ((5, "Z"), "bands must be a list or one of"),
        ((5, [(0, 0.5, 1), (0.4, 1, 0)]), "ascending and apart"),
        ((5, [(0.5, 0.4, 1)]), "edges of a band"),
        ((5, "A", 40), "bits must be in 1..24"),
    ],
)
def test_filters_refuse(arguments: tuple, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        fir_filter(*arguments)


def test_projector_measures_areas() -> None:
    angles = np.linspace(0, np.pi, 7, endpoint=False)
    P = projector((5, 8), angles)
    np.testing.assert_allclose(P.sum(axis=0), len(angles))  # every shadow holds the whole pixel
    assert P.data.min() > 0
    assert P.data.max() <= 1 + 1e-12
    upright = projector((3, 3), np.array([0.0, np.pi / 2]), 3).toarray()
    image = np.arange(9.0).reshape(3, 3)
    np.testing.assert_allclose(
        upright @ image.ravel(), [9, 12, 15, 21, 12, 3]
    )  # columns, then rows from below


def test_truth_explains_what_was_measured() -> None:
    rng = np.random.default_rng(0)
    truth = phantom(16, 3, rng)
    problem = tomography(truth, 6, noise=0.25, rng=rng)
    assert problem.sparse
    described = problem.describe(truth.ravel())
    assert 0 < described["values"][0] <= 0.25
    assert described["wrong_pixels"] == 0
    np.testing.assert_array_equal(described["image"], truth)
    with pytest.raises(ProblemError, match="rng must be given"):
        tomography(truth, 6, noise=0.25)


def test_gptq_by_hand() -> None:
    """Two columns: H = 2 [[1, .6], [.6, 1]]; the error of the first moves the second by 0.6 times it."""
    X = np.linalg.cholesky(np.array([[1.0, 0.6], [0.6, 1.0]])).T
    problem = quantize_linear(np.array([[0.4, 0.0], [1.0, 0.45]]), X, 1)
    # row 0: levels 0, 0.4, both exact. Row 1: levels 0.45 and 1: both exact.
    np.testing.assert_allclose(problem.gptq(damping=0.0), problem.W)
    wide = quantize_linear(np.array([[0.0, 0.45, 0.7, 1.0]]), np.eye(4)[:, [0, 1, 1, 3]] + 0.1 * np.eye(4), 1)
    assert set(np.unique(wide.gptq())) <= {0.0, 1.0}
    # w = (0.45, 0.5) on {0, 1}: first column to 0 with error 0.45; the second becomes 0.5 + 0.6 * 0.45 = 0.77 -> 1
    pair = quantize_linear(
        np.array([[0.45, 0.5, 0.0, 1.0]]), np.pad(X, ((0, 2), (0, 2))) + np.diag([0, 0, 1.0, 1]), 1
    )
    assert pair.nearest()[0].tolist()[:1] == [0.0]
    assert pair.gptq(damping=0.0)[0].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_layers_share_their_inputs() -> None:
    rng = np.random.default_rng(0)
    W, X = rng.standard_normal((3, 8)), rng.standard_normal((20, 8))
    problem = quantize_linear(W, X, 2, group_size=4)
    assert problem.space.width == 24
    Q = problem.nearest()
    value = problem.evaluate(problem.space.encode(Q)).F[0, 0]
    assert value == pytest.approx(np.abs(X @ (Q - W).T).max())
    np.testing.assert_allclose(problem.describe(Q)["values"], problem.worst_errors(Q))
    for row, q in zip(W, Q, strict=True):
        for part in (slice(0, 4), slice(4, 8)):
            assert np.isin(q[part], np.linspace(row[part].min(), row[part].max(), 4)).all()


def test_models_are_quantized_layer_by_layer() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    before = [p.clone() for p in model.parameters()]
    inputs = torch.randn(40, 6)
    quantized, report = quantize_model(
        model, inputs, 3, lambda p: p.nearest(), metric=lambda m: float(m(inputs).sum())
    )
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert len(torch.unique(quantized[0].weight[0])) <= 8
    assert [layer["ours"] == pytest.approx(layer["rtn"]) for layer in report["layers"]] == [True, True]
    assert report["before"] != report["after"]
    with pytest.raises(OptionError, match="method must be"):
        quantize_model(model, inputs, 3, "magic")
