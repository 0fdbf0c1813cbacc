"""Min-max kernels against their NumPy definitions, dense and sparse, on random instances."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csc_array

from optengine.kernels import (
    minmax,
    minmax_cuda,
    minmax_kicks,
    minmax_lattice,
    minmax_quadratic,
    minmax_sparse,
)


def instance(seed: int, whole: bool = False) -> dict:
    """Errors, half widths and flat levels; every third one with ties (whole numbers)."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 400 if seed % 5 == 0 else 30), rng.integers(2, 9)
    A = rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.4)
    if whole:
        A = np.rint(2 * A)
    sizes = rng.integers(1, 7, n)
    values = np.concatenate([np.sort(rng.choice(30, k, replace=False)) for k in sizes]) / (
        1 if whole else 7.0
    )
    start, count = np.r_[0, np.cumsum(sizes)[:-1]], sizes.astype(np.int64)
    idx = rng.integers(0, count)
    x = values[start + idx]
    b = np.rint(A @ x + rng.normal(0, 3, m))
    half = rng.exponential(0.5, m) * (rng.random(m) < 0.3)
    return {
        "At": np.ascontiguousarray(A.T), "e": A @ x - b, "h": np.rint(half) if whole else half, "idx": idx,
        "values": values.astype(float), "start": start.astype(np.int64), "count": count,
    }  # fmt: skip


CASES = [instance(seed, seed % 3 == 0) for seed in range(200)]


def test_best_moves_are_the_definition() -> None:
    for case in CASES:
        expected = minmax.best_move_reference(**case)
        order = minmax.worst_first(case["e"], case["h"])
        assert minmax.best_move(**case, order=order) == pytest.approx(expected, abs=1e-12)
        A = csc_array(case["At"].T)
        rest = {k: v for k, v in case.items() if k != "At"}
        found = minmax_sparse.best_move_sparse(A.indptr, A.indices, A.data, **rest, order=order)
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("exchange", [False, True])
def test_best_pairs_are_the_definition(exchange: bool) -> None:
    for case in CASES:
        if exchange:  # a shared set of levels, so that trades exist
            n, levels = len(case["At"]), np.arange(4.0)
            idx = case["idx"] % 4
            case = case | {"values": levels, "start": np.zeros(n, dtype=np.int64), "idx": idx}
            case["count"] = np.full(n, 4)
        first = np.arange(0, len(case["At"]), 2)
        order = minmax.worst_first(case["e"], case["h"])
        expected = minmax.best_pair_reference(**case, first=first, exchange=exchange)
        assert minmax.best_pair(**case, first=first, exchange=exchange, order=order) == pytest.approx(
            expected
        )


def test_worst_rows_come_first() -> None:
    for case in CASES:
        order = minmax.worst_first(case["e"], case["h"])
        v = np.abs(case["e"]) - case["h"]
        assert sorted(order) == list(range(len(v)))
        front = v[order[: minmax.SLAB]]
        assert (np.diff(front) <= 0).all()
        assert (v[order[minmax.SLAB :]] <= front[-1]).all()


@pytest.mark.parametrize("squarings", [1, 2, 3, 4])
def test_annealing_keeps_its_books(squarings: int) -> None:
    """The errors it carries are those of the levels it leaves; the best it tells is that of the point it gives."""
    for number, case in enumerate(CASES[::10]):
        At, h, values, start, count = (case[k] for k in ("At", "h", "values", "start", "count"))
        b = At.T @ values[start + case["idx"]] - case["e"]
        now = minmax.violation(case["e"], h)
        for sparse in (False, True):
            e, idx, best = case["e"].copy(), case["idx"].copy(), case["idx"].copy()
            head = (e, h, idx, values, start, count, squarings, 1.0 / max(now, 1e-9), 0.3, 0.5)
            tail = (number, 0, 500, best, now)
            if sparse:
                A = csc_array(At.T)
                codes = minmax_quadratic.partners(At @ At.T, 3)[0]
                value, accepted = minmax_sparse.anneal_sparse(
                    A.indptr, A.indices, A.data, *head, codes, *tail
                )
            else:
                value, accepted = minmax.anneal(At, *head, *tail)
            assert ((idx >= 0) & (idx < count)).all()
            np.testing.assert_allclose(e, At.T @ values[start + idx] - b, atol=1e-9)
            told = minmax.violation_reference(At.T @ values[start + best] - b, h)
            assert value == pytest.approx(told, abs=1e-9)
            assert value <= now
            assert 0 <= accepted <= 500


def test_walks_do_not_depend_on_how_they_are_cut() -> None:
    case = instance(7)
    ends = []
    for cuts in ([600], [100, 200, 300]):
        e, idx, best = case["e"].copy(), case["idx"].copy(), case["idx"].copy()
        value, done = minmax.violation(e, case["h"]), 0
        for moves in cuts:
            value, _ = minmax.anneal(
                case["At"], e, case["h"], idx, case["values"], case["start"], case["count"],
                2, 0.5, 0.3, 0.5, 11, done, moves, best, value,
            )  # fmt: skip
            done += moves
        ends.append((value, idx.tolist(), best.tolist()))
    assert ends[0] == ends[1]


def test_kicked_descents_never_lose_the_best() -> None:
    for number, case in enumerate(CASES[::20]):
        At, h, values, start, count = (case[k] for k in ("At", "h", "values", "start", "count"))
        b = At.T @ values[start + case["idx"]] - case["e"]
        e, idx, best = case["e"].copy(), case["idx"].copy(), case["idx"].copy()
        now = minmax.violation(e, h)
        order = minmax.worst_first(e, h)
        value, _ = minmax_kicks.kicked_descents(
            At, e, h, idx, values, start, count, order, 4, number, 0, 5, best, now
        )
        assert value <= now
        assert value == pytest.approx(
            minmax.violation_reference(At.T @ values[start + best] - b, h), abs=1e-9
        )
        np.testing.assert_allclose(e, At.T @ values[start + idx] - b, atol=1e-9)


@pytest.mark.parametrize("pairs", [0.0, 0.7])
def test_annealing_squares_keeps_its_books(pairs: float) -> None:
    """The gains and the change of the sum of squares are those of the levels it leaves and of the best it gives."""
    for number, case in enumerate(CASES[::10]):
        At, values, start, count = (case[k] for k in ("At", "values", "start", "count"))
        G, e0, idx, best = At @ At.T, case["e"], case["idx"].copy(), case["idx"].copy()
        b, g = At.T @ values[start + idx] - e0, At @ e0
        codes, links = minmax_quadratic.partners(G, 3)
        change, lowest, accepted = minmax_quadratic.anneal_quadratic(
            G, g, idx, values, start, count, 5.0, pairs, codes, links, number, 0, 500, best
        )
        assert ((idx >= 0) & (idx < count)).all()
        e, e_best = At.T @ values[start + idx] - b, At.T @ values[start + best] - b
        np.testing.assert_allclose(g, At @ e, atol=1e-8)
        assert e @ e - e0 @ e0 == pytest.approx(change, abs=1e-6)
        assert e_best @ e_best - e0 @ e0 == pytest.approx(lowest, abs=1e-6)
        assert 0 <= accepted <= 500


def test_partners_are_the_columns_most_alike() -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((40, 300))
    A[:, 7] = -2 * A[:, 3] + 0.01 * A[:, 5]  # opposite columns: the same way makes up
    A[:, 9] = 0.0
    G = A.T @ A
    codes, links = minmax_quadratic.partners(G, 4)
    length = np.maximum(np.linalg.norm(A, axis=0), 1e-9)
    alike = np.abs(G / np.outer(length, length))
    np.fill_diagonal(alike, 0.0)
    for j in (0, 3, 150, 299):
        assert set(codes[j] >> 1) == set(np.argsort(-alike[j])[:4])
    assert 2 * 7 in codes[3]
    assert (codes[9] == 18).all()
    np.testing.assert_allclose(links, np.take_along_axis(G, codes >> 1, axis=1))


# -- lattices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "n"), [(12, 3), (60, 12), (9, 9)])
def test_shrinking_is_the_definition_and_shrinks(m: int, n: int) -> None:
    rng = np.random.default_rng(m)
    A, c = rng.standard_normal((m, n)), rng.standard_normal(m) * 0.1
    w = np.full(m, 1 / m)

    def log_volume(w: np.ndarray) -> float:
        x = np.linalg.lstsq(np.sqrt(w)[:, None] * A, np.sqrt(w) * c, rcond=None)[0]
        room = 1 - w @ (A @ x - c) ** 2
        return float(n / 2 * np.log(room) - np.linalg.slogdet(A.T @ (A * w[:, None]))[1] / 2)

    volumes = [log_volume(w)]
    for _ in range(5):
        again = minmax_lattice.shrink(A, c, w, 1)
        np.testing.assert_allclose(again, minmax_lattice.shrink_reference(A, c, w, 1), rtol=1e-8)
        w = again
        assert w.sum() == pytest.approx(1)
        volumes.append(log_volume(w))
    assert (np.diff(volumes) <= 1e-9).all()


def test_reduction_is_unimodular_and_reduced() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 7, 20):
        R = np.triu(rng.standard_normal((n, n)) * 10.0 ** -np.arange(n)[:, None] * 5) + 1e-9 * np.eye(n)
        U = minmax_lattice.reduced(R)
        assert abs(round(float(np.linalg.det(U.astype(float))))) == 1
        B = np.abs(np.diag(np.linalg.qr(R @ U, mode="r")))
        assert (B[1:] ** 2 >= (0.99 - 0.2501) * B[:-1] ** 2 * (1 - 1e-6)).all()  # Lovasz with |mu| <= 1/2


def test_a_whole_enumeration_is_exhaustive() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        m, n = 12, 3
        A, c = rng.standard_normal((m, n)), rng.standard_normal(m) * 2
        grid = np.stack(np.meshgrid(*[np.arange(-3, 4)] * n), -1).reshape(-1, n)
        optimum = np.abs(grid @ A.T - c).max(axis=1).min()
        E = np.abs(c).max()  # the value of 0
        w = minmax_lattice.shrink(A / E, c / E, np.full(m, 1 / m), 30) / E**2
        S = np.sqrt(w)[:, None] * A
        U = minmax_lattice.reduced(np.linalg.qr(S, mode="r"))
        Q, R = np.linalg.qr(S @ U)
        sign = np.sign(np.diag(R))
        t = np.sqrt(w) * c
        y = Q.T @ t
        value, best, calls = np.array([E, 0.0]), np.zeros(n, dtype=np.int64), 0
        state, dist, centre = np.zeros(3 * n + 1, dtype=np.int64), np.zeros(n + 1), np.zeros(n)
        done = minmax_lattice.RUNNING
        while done == minmax_lattice.RUNNING:
            done = minmax_lattice.enumerate_points(
                np.ascontiguousarray(R * sign[:, None]), y * sign, float(t @ t - y @ y), np.array([0, 0, w.sum()]),
                np.ones(n), np.ascontiguousarray(A @ U), c, np.zeros(m), U, np.full(n, -3), np.full(n, 3),
                np.arange(m), state, dist, centre, best, value, 7,
            )  # fmt: skip
            calls += 1
        assert calls > 1
        assert value[0] == pytest.approx(min(E, optimum))
        assert np.abs(A @ best - c).max() == pytest.approx(value[0])


# -- the device ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["80", "90"])
@pytest.mark.parametrize("flags", [(), ("-DDOUBLE",)])
def test_cuda_sources_compile(arch: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    """Compile only, no device needed: through NVRTC where cupy ships it, else through nvcc."""
    source = minmax_cuda.SOURCE.read_text()
    if importlib.util.find_spec("cupy") is not None:
        try:
            from cupy.cuda import nvrtc

            nvrtc.getVersion()
        except (ImportError, OSError, RuntimeError) as error:
            pytest.skip(f"NVRTC does not load: {error}")
        compiler = nvrtc.createProgram(source, "minmax.cu", [], [])
        try:
            nvrtc.compileProgram(compiler, [f"--gpu-architecture=sm_{arch}", *minmax_cuda.OPTIONS, *flags])
        except nvrtc.NVRTCError:
            pytest.fail(nvrtc.getProgramLog(compiler))
        return
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("neither cupy nor nvcc is installed")
    out = tmp_path / "x.cubin"
    subprocess.run(
        [nvcc, "-cubin", f"-arch=sm_{arch}", *flags, str(minmax_cuda.SOURCE), "-o", str(out)], check=True
    )


def batch(dtype: type) -> tuple:
    rng = np.random.default_rng(3)
    n, m, s = 12, 40, 5
    At = rng.standard_normal((n, m)).astype(dtype)
    values, start, count = np.linspace(-1, 1, 8, dtype=dtype), np.zeros(n, np.int32), np.full(n, 8, np.int32)
    idx = rng.integers(0, 8, (s, n)).astype(np.int32)
    E = (values[idx] @ At - rng.standard_normal((s, m))).astype(dtype)
    return At, E, np.zeros_like(E), idx, values, start, count


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batched_descent_is_the_single_one(dtype: type) -> None:
    """The definition of the device's kernel takes the moves of the exact one in float64."""
    At, E, H, idx, values, start, count = batch(dtype)
    found = minmax_cuda.descend_reference(At, E, H, idx, values, start, count, 3)
    assert found.moves.min() > 0
    for s in range(len(E)):
        e, x = E[s].astype(float), idx[s].astype(np.int64)
        for _ in range(found.moves[s]):
            order = minmax.worst_first(e, H[s].astype(float))
            value, j, k = minmax.best_move(
                At.astype(float), e, H[s].astype(float), x, values.astype(float), start.astype(np.int64),
                count.astype(np.int64), order,
            )  # fmt: skip
            e += (float(values[k]) - float(values[x[j]])) * At[j]
            x[j] = k
            assert value == pytest.approx(minmax.violation(e, H[s].astype(float)))
        assert x.tolist() == found.idx[s].tolist()


@pytest.mark.gpu
@pytest.mark.parametrize("double", [False, True])
def test_device_descends_as_the_definition(double: bool) -> None:
    At, E, H, idx, values, start, count = batch(np.float64 if double else np.float32)
    expected = minmax_cuda.OnHost(At, values, start, count, double).descend(E, H, idx, 20)
    found = minmax_cuda.Resident(At, values, start, count, double).descend(E, H, idx, 20)
    assert found.idx.tolist() == expected.idx.tolist()
    assert found.moves.tolist() == expected.moves.tolist()
    np.testing.assert_array_equal(found.value, expected.value)
