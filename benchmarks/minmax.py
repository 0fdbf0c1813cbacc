"""Discrete min-max violation: ours against the published search, exact solvers and GPTQ, each on one core.

    python benchmarks/minmax.py [--quick] [--seconds 10] [--only TEXT] [--seeds 3]

Every row is a process of its own (OR-Tools' and SciPy's HiGHS do not share one), with one thread and equal seconds of
wall time; `cpu` is what the process spent in the solve, so that a busy machine shows. Columns: objective (median over
seeds, with the range), proved bound, gap, seconds to the best. SCIP runs through OR-Tools' linear wrapper, which tells
no time of the incumbent; CP-SAT gets the MILP in whole numbers, rounded to 1e-7 of a row's unit. The MILP has integer
steps where levels are equally spaced, else one binary a level. Then come the lines of the claims (filters within 0.2 s,
and the proofs), and the rates of the kernels beside the memory bandwidth that this machine shows in the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

from optengine import solve
from optengine.core.linear import LinearModel
from optengine.problems.applications.fir_filter import fir_filter
from optengine.problems.applications.quantize_linear import QuantizedLinear, quantize_linear
from optengine.problems.applications.tomography import phantom, tomography
from optengine.problems.minmax import MinMaxViolation
from optengine.solvers.minmax import DMMV, DMMVReference, MinMaxExact
from optengine.solvers.minmax.exact import indices_of, model_of
from optengine.solvers.minmax.form import forms

CLAIMS: dict[str, tuple[float, float]] = {  # instance -> value, seconds
    "fir_A35_8": (0.02998, 0.2),
    "fir_B35_9": (0.0772, 0.2),
    "fir_C45_8": (0.0162, 0.2),
    "fir_D45_9": (0.0262, 0.2),
    "fir_E45_8": (0.02888, 0.2),
    "fir_A35_10spt2": (0.0270, 1.0),
    "fir_A125_21": (1.07e-5, 60.0),
}


def layer(m: int, n: int, bits: int, seed: int = 1) -> QuantizedLinear:
    """Student-t weights; inputs of rank n / 8 with 10 % noise, 2 % of the channels ten times as large."""
    rng = np.random.default_rng(seed)
    w = 0.05 * rng.standard_t(4, n)
    rank = n // 8
    X = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n)) / np.sqrt(rank)
    X += 0.1 * rng.standard_normal((m, n))
    X[:, rng.choice(n, max(1, n // 50), replace=False)] *= 10
    return quantize_linear(w, X, bits, name=f"quant_{m}x{n}_{bits}b")


def scan(size: int, angles: int, levels: int) -> MinMaxViolation:
    rng = np.random.default_rng(1)
    image = phantom(size, levels, rng)
    return tomography(image, angles, noise=0.5, rng=rng, name=f"tomo_{size}_a{angles}_l{levels}")


INSTANCES: dict[str, Callable[[], MinMaxViolation]] = {
    "fir_A35_8": lambda: fir_filter(35, "A", 8),
    "fir_A45_8": lambda: fir_filter(45, "A", 8),
    "fir_B35_9": lambda: fir_filter(35, "B", 9),
    "fir_C45_8": lambda: fir_filter(45, "C", 8),
    "fir_D45_9": lambda: fir_filter(45, "D", 9),
    "fir_E45_8": lambda: fir_filter(45, "E", 8),
    "fir_A35_10spt2": lambda: fir_filter(35, "A", 10, powers_of_two=2),
    "fir_A125_21": lambda: fir_filter(125, "A", 21),
    "tomo_32_a8_l2": lambda: scan(32, 8, 2),
    "tomo_32_a16_l4": lambda: scan(32, 16, 4),
    "tomo_64_a16_l2": lambda: scan(64, 16, 2),
    "tomo_64_a16_l4": lambda: scan(64, 16, 4),
    "quant_512x128_3b": lambda: layer(512, 128, 3),
    "quant_2048x256_4b": lambda: layer(2048, 256, 4),
}
PROOFS = (
    "fir_A35_8",
    "fir_A45_8",
    "fir_B35_9",
    "fir_C45_8",
    "fir_D45_9",
    "fir_E45_8",
    "fir_A35_10spt2",
    "tomo_32_a8_l2",
)
FINE = 1e-7  # step of CP-SAT's whole numbers, in units of the middle levels' value
QUICK = ("fir_A35_8", "fir_C45_8", "fir_A35_10spt2", "tomo_32_a8_l2", "quant_512x128_3b")
SOLVERS = ("dmmv", "dmmv_reference", "highs", "scip", "cp-sat", "gptq", "rtn")


# -- one run, in its own process -------------------------------------------------------------------------------------


def run_ours(
    problem: MinMaxViolation, solver: Any, seconds: float, seed: int, target: float | None
) -> dict[str, Any]:
    cpu = time.process_time()
    result = solve(problem, solver, time_limit=seconds, seed=seed, target=target)
    best = float(result.history.seconds[-1]) if len(result.history) else float("nan")
    return {"value": result.fun, "bound": result.bound, "best_at": best, "status": str(result.status)} | {
        "seconds": result.seconds,
        "cpu": time.process_time() - cpu,
    }


def run_highs(problem: MinMaxViolation, seconds: float) -> dict[str, Any]:
    from optengine.backends import solve_linear

    model, unit = unlimited(problem)
    result = solve_linear(model, time_limit=seconds, threads=1)
    return milp_row(problem, result.x, result.bound * unit, result.seconds)


def unlimited(problem: MinMaxViolation) -> tuple[LinearModel, float]:
    """The MILP without an incumbent to cut it off, and its unit: the value of the middle levels."""
    form = forms(problem)[0]
    unit = form.value(form.nearest((form.lowest + form.highest) / 2))
    model = model_of(form, unit)
    upper = np.append(model.ub[:-1], 1e3)
    return LinearModel(model.c, model.A, model.lower, model.upper, model.lb, upper, model.integrality), unit


def run_scip(problem: MinMaxViolation, seconds: float) -> dict[str, Any]:
    from ortools.linear_solver import pywraplp

    model, unit = unlimited(problem)
    solver = pywraplp.Solver.CreateSolver("SCIP")
    solver.SetTimeLimit(int(1000 * seconds))
    x = []
    for low, high, whole in zip(model.lb, model.ub, model.integrality, strict=True):
        x.append(solver.IntVar(low, high, "") if whole else solver.NumVar(low, high, ""))
    infinity = solver.infinity()
    A = model.A.tocsr()
    for i in range(model.n_rows):
        low, high = model.lower[i], model.upper[i]
        row = solver.Constraint(
            low if np.isfinite(low) else -infinity, high if np.isfinite(high) else infinity
        )
        for p in range(A.indptr[i], A.indptr[i + 1]):
            row.SetCoefficient(x[A.indices[p]], float(A.data[p]))
    solver.Objective().SetCoefficient(x[-1], 1.0)
    solver.Objective().SetMinimization()
    began = time.perf_counter()
    status = solver.Solve()
    took = time.perf_counter() - began
    found = status in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE)
    point = np.array([v.solution_value() for v in x]) if found else None
    bound = solver.Objective().BestBound() * unit if found else 0.0
    return milp_row(problem, point, bound, took)


def run_cp_sat(problem: MinMaxViolation, seconds: float) -> dict[str, Any]:
    """The same MILP in whole numbers: rows and t in units of FINE; the bound gives way for the rounding."""
    from ortools.sat.python import cp_model

    linear, unit = unlimited(problem)
    A, n = linear.A.tocsr(), len(linear.c) - 1
    model = cp_model.CpModel()
    x = [model.new_int_var(0, int(high), "") for high in linear.ub[:n]]
    x.append(model.new_int_var(0, round(linear.ub[-1] / FINE), ""))
    lost = 0.0
    for i in range(linear.n_rows):
        part = slice(A.indptr[i], A.indptr[i + 1])
        columns, data = A.indices[part], A.data[part]
        scale = 1 / FINE if n in columns else 1.0  # the other rows pick one level each
        whole = np.rint(np.where(columns == n, data, data * scale)).astype(np.int64)
        inside = columns != n
        slip = np.abs(whole - data * scale)[inside] @ linear.ub[columns[inside]] + 1
        lost = max(lost, float(slip)) if scale > 1 else lost
        low, high = linear.lower[i] * scale, linear.upper[i] * scale
        total = cp_model.LinearExpr.weighted_sum([x[j] for j in columns], [int(a) for a in whole])
        if np.isfinite(low):
            model.add(total >= int(np.rint(low)))
        if np.isfinite(high):
            model.add(total <= int(np.rint(high)))
    model.minimize(x[-1])
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds, solver.parameters.num_workers = seconds, 1
    began = time.perf_counter()
    status = solver.solve(model)
    took = time.perf_counter() - began
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    point = np.array([solver.value(v) for v in x], dtype=np.float64) if found else None
    return milp_row(problem, point, (solver.best_objective_bound - lost) * FINE * unit, took)


def milp_row(problem: MinMaxViolation, x: np.ndarray | None, bound: float, seconds: float) -> dict[str, Any]:
    form = forms(problem)[0]
    value = None if x is None else form.value(indices_of(form, x))
    return {
        "value": value,
        "bound": max(0.0, bound),
        "best_at": float("nan"),
        "seconds": seconds,
        "status": "",
        "cpu": seconds,
    }


def run_one(name: str, solver: str, seconds: float, seed: int, target: float | None) -> dict[str, Any]:
    problem = INSTANCES[name]()
    if solver == "dmmv":
        return run_ours(problem, DMMV(threads=1), seconds, seed, target)
    if solver == "dmmv_reference":
        return run_ours(problem, DMMVReference(), seconds, seed, target)
    if solver == "minmax_exact":
        return run_ours(problem, MinMaxExact(), seconds, seed, target)
    if solver == "highs":
        return run_highs(problem, seconds)
    if solver == "scip":
        return run_scip(problem, seconds)
    if solver == "cp-sat":
        return run_cp_sat(problem, seconds)
    assert isinstance(problem, QuantizedLinear)
    began = time.perf_counter()
    Q = problem.gptq() if solver == "gptq" else problem.nearest()
    took = time.perf_counter() - began
    value = float(problem.worst_errors(Q)[0])
    return {"value": value, "bound": 0.0, "best_at": took, "seconds": took, "status": "", "cpu": took}


def child(
    name: str, solver: str, seconds: float, seed: int = 0, target: float | None = None
) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", json.dumps([name, solver, seconds, seed, target])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3 * seconds + 120, check=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, IndexError, ValueError) as error:
        return {
            "value": None,
            "bound": 0.0,
            "best_at": float("nan"),
            "status": f"failed: {error}"[:60],
            "cpu": 0.0,
        }


# -- tables ----------------------------------------------------------------------------------------------------------


def compare(names: list[str], seconds: float, seeds: int) -> None:
    print(
        f"{'instance':18} {'solver':15} {'objective':>12} {'range':>23} {'bound':>11} {'gap':>7} "
        f"{'best at':>8} {'cpu':>6}"
    )
    for name in names:
        for solver in SOLVERS:
            if solver in ("gptq", "rtn") and not name.startswith("quant"):
                continue
            runs = [child(name, solver, seconds, s) for s in range(seeds if solver.startswith("dmmv") else 1)]
            values = [run["value"] for run in runs if run["value"] is not None]
            if not values:
                print(f"{name:18} {solver:15} {'none':>12}   {runs[0]['status']}")
                continue
            middle, bound = statistics.median(values), max(run["bound"] or 0.0 for run in runs)
            spread = f"{min(values):.5g} .. {max(values):.5g}"
            gap = (middle - bound) / middle if middle else 0.0
            at = statistics.median(run["best_at"] for run in runs)
            cpu = statistics.median(run["cpu"] for run in runs)
            print(
                f"{name:18} {solver:15} {middle:12.6g} {spread:>23} {bound:11.5g} {gap:7.1%} {at:8.3f} {cpu:6.2f}",
                flush=True,
            )


def claims(names: list[str]) -> None:
    print("\nclaims: value reached by dmmv, seeds 0, 1, 2 (seconds of wall time, CPU seconds of the process)")
    for name, (value, seconds) in CLAIMS.items():
        if name not in names:
            continue
        runs = [child(name, "dmmv", max(seconds, 2.0), seed, value) for seed in range(3)]
        words = [
            f"{run['value']:.6g} ({run['seconds']:.3f}, {run['cpu']:.3f})" for run in runs if run["value"]
        ]
        print(f"{name:18} <= {value:<9g} in {seconds:<5g} {'  '.join(words)}", flush=True)
    for name in PROOFS:
        if name in names:
            run = child(name, "minmax_exact", 60.0)
            print(
                f"{name:18} proof: {run['status']}, {run['value']}, {run['seconds']:.2f} s, {run['cpu']:.2f} CPU s",
                flush=True,
            )


def rates() -> None:
    """Rates of the kernels on one core, beside the bandwidth and the flop/s that this machine shows in this process."""
    from optengine.kernels import minmax, minmax_quadratic

    m, n, levels, moves = 4096, 768, 8, 2000
    rng = np.random.default_rng(0)
    At = rng.standard_normal((n, m)).astype(np.float32)
    values, start, count = np.linspace(-1, 1, levels), np.zeros(n, dtype=np.int64), np.full(n, levels)
    idx = rng.integers(0, levels, n)
    e = (values[idx] @ At - rng.standard_normal(m)).astype(np.float32)
    h, best, now = np.zeros(m, dtype=np.float32), idx.copy(), float(np.abs(e).max())
    big, square = np.zeros(2**26, dtype=np.float32), rng.standard_normal((1024, 1024)).astype(np.float32)
    copying = big.nbytes / timed(lambda: np.copyto(big[: 2**25], big[2**25 :])) / 1e9  # read and written
    peak = 2 * 1024**3 / timed(lambda: square @ square) / 1e9

    def anneal(tau: float, tries: int) -> Callable[[], Any]:
        head = (At, e.copy(), h, idx.copy(), values, start, count, 2, 1 / now, tau)
        return lambda: minmax.anneal(*head, 0.0, 1, 0, tries, best, 0.0)

    wide, e64, h64 = At.astype(np.float64), e.astype(np.float64), h.astype(np.float64)
    order = minmax.worst_first(e64, h64)
    one = timed(lambda: minmax.best_move(wide, e64, h64, idx, values, start, count, order))
    whole = timed(anneal(1e30, moves)) / moves
    numpy_ = timed(lambda: np.abs(e + np.float32(0.25) * At[7]).max())
    G, near = wide @ wide.T, minmax_quadratic.partners(wide @ wide.T, 8)
    g, cold = wide @ e64, float(np.diag(G).mean()) * 1e-3
    squares = timed(
        lambda: minmax_quadratic.anneal_quadratic(
            G, g.copy(), idx.copy(), values, start, count, cold, 0.3, *near, 1, 0, 100 * moves, best
        )
    ) / (100 * moves)
    touched, flops = (
        28 * m / whole / 1e9,
        13 * m / whole / 1e9,
    )  # 7 float32 a row; 8 operations to price, 5 to apply
    print(f"\nkernels at m = {m}, n = {n}, {levels} levels, one core")
    print(f"copying {copying:.1f} GB/s, sgemm {peak:.1f} Gflop/s: the peaks measured here")
    print(
        f"best_move         {n * (levels - 1) / one / 1e6:8.2f} M moves/s, a neighbourhood in {1e3 * one:.2f} ms"
    )
    print(f"one move, NumPy   {1e-6 / numpy_:8.2f} M moves/s")
    print(f"anneal, applied   {1e-6 / whole:8.2f} M moves/s, all rows, from cache: {touched:.1f} GB/s,")
    print(
        f"                  {touched / copying:.0%} of copying; {flops:.1f} Gflop/s, {flops / peak:.0%} of sgemm"
    )
    print(f"anneal_quadratic  {1e-6 / squares:8.2f} M moves/s", flush=True)
    device_rates(At, e, h, idx, values, start, count)


def device_rates(At: Any, e: Any, h: Any, idx: Any, values: Any, start: Any, count: Any) -> None:
    """Whole neighbourhoods of 32 starts on the device, in moves evaluated a second; nothing without one."""
    from optengine.kernels import minmax_cuda

    if not minmax_cuda.available():
        print("device                    none here")
        return
    starts, steps = 32, 50
    for double in (False, True):
        resident = minmax_cuda.Resident(At, values, start, count, double)
        E, H, points = (np.repeat(a[None, :], starts, axis=0) for a in (e, h, idx))
        resident.descend(E, H, points, 2)
        began = time.perf_counter()
        resident.descend(E, H, points, steps)
        took = time.perf_counter() - began
        rate = starts * steps * len(At) * (int(count[0]) - 1) / took / 1e6
        print(f"device, float{64 if double else 32}           {rate:8.2f} M moves/s, transfers included")


def timed(function: Callable[[], Any]) -> float:
    """CPU seconds of a call, the least of five."""
    function()
    taken = []
    for _ in range(5):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return max(min(taken), 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="five instances, 2 seconds, one seed")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="instances whose name holds this text")
    parser.add_argument("--claims", action="store_true", help="the claims only")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, solver, seconds, seed, target = json.loads(given.one)
        if solver.startswith(("dmmv", "minmax")):  # load compiled code before the clock starts
            run_one("fir_A35_8" if not name.startswith("tomo") else name, solver, 0.3, 0, None)
        print(json.dumps(run_one(name, solver, seconds, seed, target)))
        return
    names = [name for name in (QUICK if given.quick else INSTANCES) if given.only in name]
    if not given.claims:
        compare(names, 2.0 if given.quick else given.seconds, 1 if given.quick else given.seeds)
    claims(names)
    rates()


if __name__ == "__main__":
    main()
