"""Exact solution of mixed-integer programs: published optima, and what our layer adds to a backend's time.

    python benchmarks/milp_exact.py [FOLDER] [--quick] [--seconds 60] [--backends highs scip cpsat] [--out rows.jsonl]

Every file of FOLDER (default: combinatorial/miplib under the environment's OPTENGINE_DATA, else ../shared/data) is
solved by each backend that takes it, on one thread, by `solve(problem, "milp")` and by the library called directly with
the same seed and limits: HiGHS inside SciPy, SCIP through MathOpt, CP-SAT through its own model. Ours is timed from the
call of `solve` to its Result, after processes have started and libraries are loaded; theirs from the call of their
solve to its return, without building the model. SCIP is given an empty callback: when incumbents are asked for it
searches another tree than when they are not. Times are CPU seconds of this process and its children.

Held: every proved optimum is the published one (relative 1e-6, and half of the last published digit), the value is that
of a feasible point, no bound is beyond the published optimum; overhead <= 5 % of the backend's time + 50 ms where both
proved. `--quick`: files below 30 kB, 10 s. Rows go to --out as they come; a second call goes on with them.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rows import cpu_seconds, header

import optengine as oe
from optengine.backends.terms import BACKENDS, refusal

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("OPTENGINE_DATA", ROOT.parent / "shared" / "data")) / "combinatorial" / "miplib"
SEED = 7
PACKAGES = ("optengine", "numpy", "scipy", "ortools")
SHORT = 2.0  # seconds below which a run is repeated
REPEATS = 3  # the least of them counts, for both sides
QUICK_BYTES, QUICK_SECONDS = 30_000, 10.0
SHARE, MORE = 0.05, 0.050  # overhead allowed: of the backend's time, and seconds


def ours(problem: oe.problems.MILP, backend: str, seconds: float) -> dict[str, Any]:
    solver = oe.solvers.MILPExact(backend=backend, threads=1, seed=SEED)
    solver.start(problem, np.random.default_rng(0)).warm_up()
    cpu = cpu_seconds()
    result = oe.solve(problem, solver, time_limit=seconds, seed=0)
    return {
        "cpu": cpu_seconds() - cpu,
        "wall": result.seconds,
        "status": str(result.status),
        "value": result.fun if result.feasible else None,
        "bound": result.bound,
    }


def direct_highs(problem: oe.problems.MILP, seconds: float) -> float:
    from scipy.optimize._highspy import _core

    model, highs = problem.model, _core._Highs()
    options = {
        "output_flag": False, "mip_rel_gap": 0.0, "time_limit": seconds, "threads": 1, "random_seed": SEED
    }  # fmt: skip
    for name, value in options.items():
        highs.setOptionValue(name, value)
    A = model.A
    lb = np.where(model.integrality, np.ceil(model.lb - 1e-9), model.lb)
    ub = np.where(model.integrality, np.floor(model.ub + 1e-9), model.ub)
    highs.passModel(
        model.n_variables, model.n_rows, int(A.nnz), int(_core.MatrixFormat.kRowwise),
        int(_core.ObjSense.kMinimize), 0.0, model.c, lb, ub, model.lower, model.upper,
        A.indptr.astype(np.int32), A.indices.astype(np.int32), A.data, model.integrality.astype(np.int32),
    )  # fmt: skip
    cpu = cpu_seconds()
    highs.run()
    return cpu_seconds() - cpu


def direct_scip(problem: oe.problems.MILP, seconds: float) -> float:
    from ortools.math_opt.python import mathopt

    from optengine.backends.mathopt import _model_proto

    model = mathopt.Model.from_model_proto(_model_proto(problem.model, problem.model.c))
    limits = mathopt.SolveParameters(
        time_limit=timedelta(seconds=seconds), relative_gap_tolerance=0.0, threads=1, random_seed=SEED
    )
    asked = mathopt.CallbackRegistration(events={mathopt.Event.MIP_SOLUTION})
    nothing = mathopt.CallbackResult()
    cpu = cpu_seconds()
    mathopt.solve(model, mathopt.SolverType.GSCIP, params=limits, callback_reg=asked, cb=lambda _: nothing)
    return cpu_seconds() - cpu


def direct_cpsat(problem: oe.problems.MILP, seconds: float) -> float:
    from ortools.sat.python import cp_model

    from optengine.backends.cpsat import _state
    from optengine.backends.whole import whole_model

    model, solver = cp_model.CpModel(), cp_model.CpSolver()
    _state(model.proto, whole_model(problem.model), None)
    solver.parameters.max_time_in_seconds, solver.parameters.num_workers = seconds, 1
    solver.parameters.random_seed, solver.parameters.relative_gap_limit = SEED, 0.0
    cpu = cpu_seconds()
    solver.solve(model)
    return cpu_seconds() - cpu


DIRECT = {"highs": direct_highs, "scip": direct_scip, "cpsat": direct_cpsat}


def measure(path: Path, backend: str, seconds: float) -> dict[str, Any]:
    """Both sides on one file; short runs are repeated, in turns."""
    problem = oe.problems.read(path)
    mine = ours(problem, backend, seconds)
    theirs = DIRECT[backend](problem, seconds)
    for _ in range(REPEATS - 1 if mine["cpu"] < SHORT else 0):
        again = ours(problem, backend, seconds)
        mine["cpu"], mine["wall"] = min(mine["cpu"], again["cpu"]), min(mine["wall"], again["wall"])
        theirs = min(theirs, DIRECT[backend](problem, seconds))
    return {
        "file": path.name,
        "backend": backend,
        "seconds": seconds,
        **mine,
        "direct": theirs,
        "best_known": problem.best_known,
        "sense": problem.objectives[0].direction,
    }


def faults(row: dict[str, Any]) -> list[str]:
    """What a row breaks of what is to be held."""
    found, known = [], row["best_known"]
    if known is not None:
        digits = len(repr(known).partition(".")[2])
        slack = 1e-6 * max(1.0, abs(known)) + 0.5 * 10.0**-digits * (known != int(known))
        sign = 1.0 if row["sense"] == "minimize" else -1.0
        if row["status"] == "optimal" and abs(row["value"] - known) > slack:
            found.append("another optimum than published")
        if row["bound"] is not None and sign * (row["bound"] - known) > slack:
            found.append("an invalid bound")
        if row["value"] is not None and sign * (known - row["value"]) > slack:
            found.append("better than the published optimum")
    if row["status"] == "optimal" and row["cpu"] - row["direct"] > SHARE * row["direct"] + MORE:
        found.append("overhead")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=DATA)
    parser.add_argument("--quick", action="store_true", help="small files, 10 s")
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of a run")
    parser.add_argument("--backends", nargs="+", choices=sorted(DIRECT), default=list(DIRECT))
    parser.add_argument("--out", type=Path, help="jsonl file of rows; a second call goes on with it")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"FOLDER must hold MPS or LP files, got {str(arguments.folder)!r}, which is no folder")
    seconds = QUICK_SECONDS if arguments.quick else arguments.seconds
    files = sorted(p for p in arguments.folder.iterdir() if p.suffix in (".mps", ".lp", ".gz"))
    files = [p for p in files if not arguments.quick or p.stat().st_size < QUICK_BYTES]
    rows = _known(arguments.out)
    print(
        f"{'file':16} {'backend':7} {'status':11} {'value':>14} {'bound':>14} {'published':>12} "
        f"{'CPU s':>8} {'direct':>8} {'more':>8}"
    )
    for path in files:
        model = oe.problems.read(path).model
        for backend in arguments.backends:
            if refusal(model, backend) is not None or not BACKENDS[backend].integers:
                continue
            row = rows.get((path.name, backend, seconds))
            if row is None:
                row = rows[path.name, backend, seconds] = measure(path, backend, seconds)
                if arguments.out is not None:
                    with arguments.out.open("a") as stream:
                        stream.write(json.dumps(row) + "\n")
            _print(row)
    shown = [row for (name, _, limit), row in rows.items() if limit == seconds]
    proved = [row for row in shown if row["status"] == "optimal"]
    broken = [row for row in shown if faults(row)]
    more = np.array([row["cpu"] - row["direct"] for row in proved])
    print(f"\n{len(proved)} of {len(shown)} runs proved an optimum; {len(broken)} break a line")
    if len(more):
        print(
            f"overhead where proved: median {1e3 * np.median(more):.0f} ms, "
            f"90 % below {1e3 * np.quantile(more, 0.9):.0f} ms, largest {1e3 * more.max():.0f} ms"
        )


def told() -> dict[str, Any]:
    """The first line of a file of rows: command, machine, and the versions of what was measured."""
    from scipy.optimize._highspy import _core

    first = header(PACKAGES)
    first["versions"]["highs in scipy"] = ".".join(
        str(getattr(_core, f"HIGHS_VERSION_{part}")) for part in ("MAJOR", "MINOR", "PATCH")
    )
    return first


def _known(out: Path | None) -> dict[tuple[str, str, float], dict[str, Any]]:
    if out is None:
        return {}
    if not out.exists():
        out.write_text(json.dumps(told()) + "\n")
    read = [json.loads(line) for line in out.read_text().splitlines()]
    return {(row["file"], row["backend"], row["seconds"]): row for row in read if "backend" in row}


def _print(row: dict[str, Any]) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.8g}"

    more = row["cpu"] - row["direct"]
    print(
        f"{row['file']:16} {row['backend']:7} {row['status']:11} {number(row['value']):>14} {number(row['bound']):>14} "
        f"{number(row['best_known']):>12} {row['cpu']:8.3f} {row['direct']:8.3f} {more:8.3f}  {', '.join(faults(row))}",
        flush=True,
    )


if __name__ == "__main__":
    main()
