"""Sums of Gaussian bumps: the definition against a plain loop, the fused forms against the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optengine.kernels.rbf_sums import rbf_sums, rbf_sums_cuda, rbf_sums_fused, source


def data(m: int, n: int, f: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(m + n + f)
    return scale * rng.normal(size=(m, f)), scale * rng.normal(size=(n, f)), rng.normal(size=n)


def test_the_definition_is_the_sum() -> None:
    A, B, w = data(3, 5, 2)
    value, slope = rbf_sums(A, B, w)
    for i, a in enumerate(A):
        bumps = [w[j] * math.exp(-0.5 * ((a - b) ** 2).sum()) for j, b in enumerate(B)]
        assert value[i] == pytest.approx(sum(bumps))
        np.testing.assert_allclose(slope[i], sum(e * (b - a) for e, b in zip(bumps, B, strict=True)))


def test_the_slope_is_the_derivative() -> None:
    A, B, w = data(1, 9, 3)
    _, slope = rbf_sums(A, B, w)
    for c in range(3):
        step = np.zeros((1, 3))
        step[0, c] = 1e-6
        change = (rbf_sums(A + step, B, w)[0] - rbf_sums(A - step, B, w)[0]) / 2e-6
        assert change[0] == pytest.approx(slope[0, c], rel=1e-5)


@pytest.mark.parametrize("m", [1, 4, 7])
@pytest.mark.parametrize(("n", "f"), [(1, 1), (5, 3), (256, 4), (700, 20), (513, 33), (1025, 5), (2100, 2)])
def test_the_fused_form_is_the_definition(m: int, n: int, f: int) -> None:
    A, B, w = data(m, n, f, 0.5)
    value, slope = rbf_sums(A, B, w)
    found = rbf_sums_fused(
        A.astype(np.float32), np.ascontiguousarray(B.T, dtype=np.float32), w.astype(np.float32)
    )
    size = np.abs(w).sum()
    np.testing.assert_allclose(found[0], value, atol=1e-6 * size)
    np.testing.assert_allclose(found[1], slope, atol=3e-6 * size)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_a_bump_is_as_exact_as_promised(shift: float) -> None:
    """One centre beside others of no weight, points up to eight lengthscales away, all far from the origin."""
    rng = np.random.default_rng(0)
    A, B = 2.0 * rng.normal(size=(200, 6)) + shift, 2.0 * rng.normal(size=(50, 6)) + shift
    A, B = A.astype(np.float32).astype(float), B.astype(np.float32).astype(float)
    w = np.zeros(50)
    w[7] = 1.0
    value = rbf_sums_fused(
        A.astype(np.float32), np.ascontiguousarray(B.T, dtype=np.float32), w.astype(np.float32)
    )[0]
    far = ((A - B.mean(axis=0)) ** 2).sum(axis=1) + ((B[7] - B.mean(axis=0)) ** 2).sum()
    squares = ((A - B[7]) ** 2).sum(axis=1)
    exact = np.exp(-0.5 * squares)
    seen = squares < 160  # below, a float32 number of full precision
    assert (np.abs(value / exact - 1)[seen] < 1e-6 * (1 + far[seen])).all()


def test_far_points_give_nothing() -> None:
    one = np.ones((1, 1), dtype=np.float32)
    value, slope = rbf_sums_fused(1e4 * one, -1e4 * one, one[0])
    assert abs(value[0]) < 1e-30
    assert abs(slope[0, 0]) < 1e-30


@pytest.mark.parametrize("arch", ["75", "90"])
def test_the_cuda_source_compiles(arch: str) -> None:
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"NVRTC does not load: {error}")
    compiler = nvrtc.createProgram(source(), "rbf_sums.cu", [], [])
    try:
        nvrtc.compileProgram(compiler, [f"--gpu-architecture=sm_{arch}"])
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(compiler))


@pytest.mark.gpu
def test_the_device_gives_the_definition() -> None:
    cupy = pytest.importorskip("cupy")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    for shape in ((1, 1, 1), (7, 300, 20), (65, 1000, 150)):
        A, B, w = data(*shape, 0.5)
        value, slope = rbf_sums(A, B, w)
        found = rbf_sums_cuda(*(cupy.asarray(x, dtype=cupy.float32) for x in (A, B, w)))
        size = np.abs(w).sum()
        np.testing.assert_allclose(cupy.asnumpy(found[0]), value, atol=1e-6 * size)
        np.testing.assert_allclose(cupy.asnumpy(found[1]), slope, atol=3e-6 * size)
