"""Descents on the device: the source compiles; its blocks, run on the CPU, and a device take the Numba form's moves."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from optengine.core.errors import DeviceError, MissingDependency
from optengine.kernels import order_cuda
from optengine.kernels.order_descent import descend_orders, descend_orders_numpy

sys.path.insert(0, str(Path(__file__).parent))
from host_cuda import compiled

MOST = 1 << 60


def instance(seed: int, d: int, r: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Gram matrix, orders, who stands before whom, and the nodes' turns."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((3 * d, d)) @ (np.eye(d) + np.triu(rng.standard_normal((d, d)), 1) / 3)
    before = np.zeros((d, d), dtype=bool)
    if seed % 2:
        early, late = np.arange(d // 3), np.arange(d // 3, d)
        before[np.ix_(early, late[::3])] = True
    orders, nodes = (rng.permuted(np.tile(np.arange(d), (r, 1)), axis=1) for _ in range(2))
    if seed % 2:
        orders = np.argsort(np.argsort(orders, axis=1) + d * (before.any(axis=0)), axis=1)
    return X.T @ X / len(X), orders, before, nodes


@pytest.mark.parametrize("arch", ["80", "90"])
def test_cuda_source_compiles(arch: str, tmp_path: Path) -> None:
    """Compile only, no device needed: through NVRTC where cupy ships it, else through nvcc."""
    if importlib.util.find_spec("cupy") is not None:
        try:
            from cupy.cuda import nvrtc

            nvrtc.getVersion()
        except (ImportError, OSError, RuntimeError) as error:
            pytest.skip(f"NVRTC does not load: {error}")
        compiler = nvrtc.createProgram(order_cuda.SOURCE.read_text(), "order_search.cu", [], [])
        try:
            nvrtc.compileProgram(compiler, [f"--gpu-architecture=sm_{arch}", *order_cuda.OPTIONS])
        except nvrtc.NVRTCError:
            pytest.fail(nvrtc.getProgramLog(compiler))
        return
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("neither cupy nor nvcc is installed")
    out = tmp_path / "x.cubin"
    subprocess.run([nvcc, "-cubin", f"-arch=sm_{arch}", str(order_cuda.SOURCE), "-o", str(out)], check=True)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return compiled(order_cuda.SOURCE, tmp_path_factory.mktemp("host"))


def on_host(
    host: ctypes.CDLL, threads: int, G: np.ndarray, orders: np.ndarray, before: np.ndarray, nodes: np.ndarray,
    swaps: bool, limit: int, wide: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    r, d = orders.shape
    found, visit = orders.astype(np.int32), nodes.astype(np.int32)
    values, seen, ended = np.empty(r), np.empty(r, np.int64), np.empty(r, np.uint8)
    tails, room = np.empty((r, d, d)), np.empty((r, d, d + 1))
    known = before.astype(np.uint8)
    at = [
        a.ctypes.data_as(ctypes.c_void_p) for a in (G, known, found, visit, values, seen, ended, tails, room)
    ]
    for block in range(r):
        host.run_block(
            block, threads, *at[:4], d, int(swaps), ctypes.c_double(1e-12), ctypes.c_longlong(limit), *at[4:8],
            at[8] if wide else None,
        )  # fmt: skip
    return found, values, seen, ended.astype(bool)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("swaps", [False, True])
def test_a_block_takes_the_moves_of_the_compiled_form(host: ctypes.CDLL, threads: int, swaps: bool) -> None:
    cases = ((0, 2, MOST), (1, 9, MOST), (3, 17, 200), (4, 17, 333), (2, 17, MOST), (5, 24, MOST))
    for seed, d, limit in cases[: 3 if threads == 5 else 6]:  # barriers of many threads on few cores are slow
        G, orders, before, nodes = instance(seed, d, 2)
        expected = descend_orders(G, orders, before, nodes, swaps, 1e-12, limit)
        found = on_host(host, threads, G, orders, before, nodes, swaps, limit, wide=seed % 2 == 0)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_compiled_form_is_the_definition() -> None:
    G, orders, before, nodes = instance(1, 9)
    found, values, _, ended = order_cuda.OnHost(G, before).descend(orders, nodes, True, 1e-12, MOST)
    expected, scores = descend_orders_numpy(G, orders, before, nodes, True, 1e-12)
    assert np.array_equal(found, expected)
    assert np.allclose(values, scores, rtol=1e-10)
    assert ended.all()


def test_without_a_device_the_error_says_so() -> None:
    if order_cuda.available():
        pytest.skip("there is a device")
    with pytest.raises((MissingDependency, DeviceError), match="cupy"):
        order_cuda.Resident(np.eye(3), np.zeros((3, 3), dtype=bool))


@pytest.mark.gpu
@pytest.mark.parametrize(("seed", "d"), [(0, 20), (1, 31), (2, 60), (3, 100), (4, 200)])
@pytest.mark.parametrize("swaps", [False, True])
def test_the_device_descends_as_the_compiled_form(seed: int, d: int, swaps: bool) -> None:
    G, orders, before, nodes = instance(seed, d, 8)
    expected = descend_orders(G, orders, before, nodes, swaps, 1e-12, MOST)
    found = order_cuda.descend_orders(G, orders, before, nodes, swaps, 1e-12, MOST)
    assert np.allclose(found[1], expected[1], rtol=1e-9)
    assert np.array_equal(found[0], expected[0])
    assert found[3].all()
