"""The device's tabu walks: the sources compile; run block by block on the host they are the definitions."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optengine.kernels import assignment, flips, walks_cuda

sys.path.insert(0, str(Path(__file__).parent))
from host_cuda import compiled

TEAM = 8
CALL = r"""
extern "C" void run_block(int threads, %s) {
    std::barrier<> here(threads);
    gate = &here;
    blockIdx.x = 0;
    blockDim.x = threads;
    std::vector<std::thread> team;
    for (int t = 0; t < threads; t++)
        team.emplace_back([=] { threadIdx.x = t; %s; });
    for (auto& member : team) member.join();
}
"""
FLIP_CALL = CALL % (
    "const float* c, int n, float* g, signed char* s, int* u, const long long* seeds, int first, int steps, int low, "
    "int spread, float minus, double* fallen, signed char* best",
    "tabu_flips(c, n, g, s, u, seeds, first, steps, low, spread, minus, fallen, best)",
)
EXCHANGE_CALL = CALL % (
    "const float* f, const float* d, int n, int* p, int* u, const long long* seeds, int first, int steps, int low, "
    "int spread, float penalty, double* fallen, int* best",
    "tabu_exchanges(f, d, n, p, u, seeds, first, steps, low, spread, penalty, fallen, best)",
)


@pytest.mark.parametrize("arch", ["80", "90"])
@pytest.mark.parametrize("source", [walks_cuda.FLIPS, walks_cuda.ASSIGNMENT], ids=lambda p: p.name)
def test_cuda_sources_compile(arch: str, source: Path) -> None:
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("cupy is not installed")
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"NVRTC does not load: {error}")
    program = nvrtc.createProgram(source.read_text(), source.name, [], [])
    try:
        nvrtc.compileProgram(program, [f"--gpu-architecture=sm_{arch}", *walks_cuda.OPTIONS])
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))


def pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)


def test_a_block_of_flips_is_the_definition(tmp_path: Path) -> None:
    library = compiled(walks_cuda.FLIPS, tmp_path, FLIP_CALL)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(5, 150))
        upper = np.triu(rng.integers(-3, 4, (n, n)), 1)
        coupling, linear = (upper + upper.T).astype(np.float32), rng.integers(-5, 6, n).astype(float)
        x, low, spread = rng.integers(0, 2, n), max(1, min(5, n // 4)), 3
        expected, fell = flips.tabu_reference(linear, coupling.astype(float), x, low, spread, seed, 40)
        gains = flips.gains_of(linear, coupling.astype(float), x.astype(float)).astype(np.float32)
        minus = flips.penalty(float((np.abs(coupling).sum(axis=1) + np.abs(linear)).max()))
        signs, until = (2 * x - 1).astype(np.int8), np.zeros(n, np.int32)
        fallen, best, seeds = np.zeros(2), signs.copy(), np.array([seed], dtype=np.int64)
        for first, steps in ((0, 1), (1, 39)):
            library.run_block(
                TEAM, pointer(coupling), n, pointer(gains), pointer(signs), pointer(until), pointer(seeds), first,
                steps, low, spread, ctypes.c_float(minus), pointer(fallen), pointer(best),
            )  # fmt: skip
        assert fallen[1] == fell
        assert (best > 0).astype(int).tolist() == expected.tolist()


def test_a_block_of_exchanges_is_the_definition(tmp_path: Path) -> None:
    library = compiled(walks_cuda.ASSIGNMENT, tmp_path, EXCHANGE_CALL)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(4, 16))
        flow, distance = (np.triu(rng.integers(0, 9, (n, n)), 1) for _ in range(2))
        flow, distance = ((m + m.T).astype(np.float32) for m in (flow, distance))
        p = rng.permutation(n)
        expected, fell = assignment.robust_tabu_reference(
            flow.astype(np.int64), distance.astype(np.int64), p, 4, 3, seed, 40
        )
        places, until = p.astype(np.int32), np.zeros((n, n), np.int32)
        fallen, best, seeds = np.zeros(2), p.astype(np.int32), np.array([seed], dtype=np.int64)
        for first, steps in ((0, 7), (7, 33)):
            library.run_block(
                TEAM, pointer(flow), pointer(distance), n, pointer(places), pointer(until), pointer(seeds), first,
                steps, 4, 3, ctypes.c_float(2.0**20), pointer(fallen), pointer(best),
            )  # fmt: skip
        assert fallen[1] == fell
        assert best.tolist() == expected.tolist()


@pytest.mark.gpu
def test_the_device_walks_as_the_definition() -> None:
    if not walks_cuda.available():
        pytest.skip("no CUDA device")
    rng = np.random.default_rng(0)
    n, s = 100, 40
    upper = np.triu(rng.integers(-3, 4, (n, n)), 1)
    coupling, linear = (upper + upper.T).astype(float), rng.integers(-5, 6, n).astype(float)
    X = rng.integers(0, 2, (s, n))
    gains = np.array([flips.gains_of(linear, coupling, x.astype(float)) for x in X])
    minus = flips.penalty(float((np.abs(coupling).sum(axis=1) + np.abs(linear)).max()))
    walks = walks_cuda.FlipWalks(coupling, 3, 4, minus)
    walks.begin(X, gains, np.arange(s))
    walks.advance(20)
    fallen = walks.advance(30)
    for k in range(0, s, 7):
        expected, fell = flips.tabu_reference(linear, coupling, X[k], 3, 4, k, 50)
        assert fallen[k, 1] == fell
        assert walks.best(k).tolist() == expected.tolist()
