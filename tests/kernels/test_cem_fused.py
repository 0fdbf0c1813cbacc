"""Counter-based normals: their law, one number whichever thread makes it, and the CUDA text."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import kstest, norm

from optengine.kernels import cem_device, cem_fused
from optengine.kernels.cem_fused import generation_key, normals_reference, uniforms_reference


@numba.njit(nogil=True)
def weighted_sum(x: np.ndarray) -> float:
    total = 0.0
    for j in range(len(x)):
        total += (j + 1) * x[j]
    return total


def test_normals_are_normal() -> None:
    Z = normals_reference(generation_key(7, 3), np.arange(20_000), 20).astype(float)
    assert kstest(Z.ravel()[:100_000], "norm").pvalue > 1e-3
    assert abs(Z.mean()) < 5 / np.sqrt(Z.size)
    assert abs((Z**4).mean() - 3) < 0.05
    correlation = np.corrcoef(Z, rowvar=False) - np.eye(20)
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)
    neighbours = np.corrcoef(Z[:-1, 0], Z[1:, 0])[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(20_000)


def test_rows_and_generations_differ() -> None:
    keys = [generation_key(seed, t) for seed in range(20) for t in range(20)]
    assert len(set(keys)) == 400
    Z = np.concatenate([normals_reference(key, np.arange(100), 3) for key in keys])
    assert len(np.unique(Z, axis=0)) > 39_990


def test_the_quotient_is_the_quantile_function() -> None:
    """The same bits give the uniform number and the normal one: z = Phi^-1(u) to five digits."""
    key, rows = generation_key(1, 1), np.arange(50_000)
    U = ((cem_fused.hashes_reference(key, rows, 8) >> np.uint32(8)) + 0.5) / 2**24
    np.testing.assert_allclose(uniforms_reference(key, rows, 8), U, rtol=1e-7, atol=3e-8)
    np.testing.assert_allclose(normals_reference(key, rows, 8), norm.ppf(U), rtol=1e-5, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 60), d=st.integers(1, 40), seed=st.integers(0, 2**62), first=st.integers(0, 10**9))
def test_the_loop_is_its_definition(n: int, d: int, seed: int, first: int) -> None:
    rng = np.random.default_rng(seed)
    mean, sigma = rng.random(d, np.float32), rng.random(d, np.float32)
    origin, extent = rng.normal(size=d).astype(np.float32), (1 + rng.random(d)).astype(np.float32)
    key, rows = generation_key(seed, 5), first + np.arange(n)
    Z = normals_reference(key, rows, d)
    X = origin + extent * cem_fused.fold_reference(mean + sigma * Z)
    ours = cem_fused.regenerate(key, rows, mean, sigma, origin, extent)
    np.testing.assert_allclose(ours, X, atol=2e-5)
    F = np.empty(n)
    fused(key, int(first), mean, sigma, origin, extent, F)
    np.testing.assert_allclose(F, ours @ np.arange(1.0, d + 1), rtol=1e-6, atol=1e-4)


@functools.cache
def loop() -> Callable[..., None]:
    return cem_fused.fused(weighted_sum)


def fused(key: int, *arguments: object) -> None:
    loop()(np.uint64(key), *arguments)


def test_threads_do_not_matter() -> None:
    d, n, key = 30, 4000, generation_key(3, 4)
    evaluate = loop()
    half, unit = np.full(d, 0.5, np.float32), np.ones(d, np.float32)
    alone, spread = np.empty(n), np.empty(n)
    evaluate(np.uint64(key), 0, half, half, half, unit, alone)
    edges = np.linspace(0, n, 8).astype(int)
    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(evaluate, np.uint64(key), int(a), half, half, half, unit, spread[a:b])
            for a, b in itertools.pairwise(edges)
        ]
        [job.result() for job in jobs]
    assert (alone == spread).all()


@pytest.mark.parametrize(
    "objective", ["", "__device__ float objective(const float* x, int d) { return x[d - 1]; }"]
)
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_cuda_text_compiles(objective: str, architecture: str) -> None:
    pytest.importorskip("cupy", reason="the CUDA text is compiled where cupy and NVRTC are installed")
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"NVRTC does not load: {error}")
    text = cem_device.program(objective, 10)
    compiler = nvrtc.createProgram(text, "cem.cu", [], [])
    try:
        nvrtc.compileProgram(compiler, [f"--gpu-architecture={architecture}", "--std=c++17"])
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(compiler))
    names = ["normals", "uniforms", "gaussian_rows", "bits", "categories"] + ["fused", "evaluate"] * bool(
        objective
    )
    code = nvrtc.getCUBIN(compiler) if hasattr(nvrtc, "getCUBIN") else nvrtc.getPTX(compiler)
    assert all(
        name.encode() in bytes(code, "latin-1") if isinstance(code, str) else name.encode() in code
        for name in names
    )


@pytest.mark.gpu
def test_cuda_kernels_are_their_definition() -> None:
    cupy = pytest.importorskip("cupy", reason="needs cupy")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device")
    host, device = cem_device.Host(), cem_device.CudaSampler()
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, d = int(rng.integers(1, 200)), int(rng.integers(1, 60))
        key = generation_key(int(rng.integers(2**62)), 1)
        np.testing.assert_allclose(
            cupy.asnumpy(device.normals(key, n, d)), host.normals(key, n, d), atol=2e-5
        )
        p = rng.random(d).astype(np.float32)
        assert (cupy.asnumpy(device.bits(key, n, cupy.asarray(p))) == host.bits(key, n, p)).all()
