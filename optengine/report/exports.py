"""A comparison as files: pictures, tables, and runs in formats that other tools read.

IOHprofiler (IOHanalyzer reads a folder of it): one JSON file and one data file a problem and solver, format version
0.3.4. COCO-like: `.info`, `.dat` and `.tdat` of each problem and solver, with differences to the reference in place of
function values, as cocopp's reader of bbob data wants them; the suite's names are ours, so its own tables stay empty.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from optengine.core.errors import MissingDependency, require
from optengine.report.comparison import Comparison, Trace
from optengine.report.comparison_plots import (
    plot_convergence_of,
    plot_data,
    plot_performance,
    plot_ranks,
    plot_runtimes,
)
from optengine.report.page import gap_rows

UNSAFE = re.compile(r"[^A-Za-z0-9._+=-]+")
RUN_COLUMNS = ("problem", "solver", "seed", "value", "bound", "status", "n_evaluations", "total")


def export(comparison: Comparison, folder: Path) -> None:
    """Write everything below `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    _pictures(comparison, folder / "pictures")
    _tables(comparison, folder / "tables")
    write_iohprofiler(comparison, folder / "iohprofiler")
    write_coco(comparison, folder / "coco")


def _pictures(comparison: Comparison, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    drawn: dict[str, Any] = {
        "ranks": plot_ranks(comparison),
        "runtimes": plot_runtimes(comparison),
        "performance": plot_performance(comparison),
        "data": plot_data(comparison),
    }
    for name, problem in _names(comparison.problems).items():
        drawn[f"convergence-{name}"] = plot_convergence_of(comparison, problem)
    for name, axes in drawn.items():
        for ending in ("svg", "png"):
            axes.figure.savefig(folder / f"{name}.{ending}")


# -- tables ------------------------------------------------------------------------------------------------------------


def _tables(comparison: Comparison, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    gaps = gap_rows(comparison.gaps())
    runs = [{name: getattr(trace, name) for name in RUN_COLUMNS} for trace in comparison.traces]
    ranks = comparison.ranks()
    ranked = [
        {"solver": solver, "mean_rank": float(rank)}
        for solver, rank in zip(ranks.solvers, ranks.mean, strict=True)
    ]
    for name, rows in (("gaps", gaps), ("runs", runs), ("ranks", ranked)):
        _csv(folder / f"{name}.csv", rows)
        (folder / f"{name}.tex").write_text(latex(rows), encoding="utf-8")
        _parquet(folder / f"{name}.parquet", rows)


def _csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write Parquet where pandas and pyarrow are installed; it is the CSV in another form."""
    try:
        require("pyarrow", extra="frame")
        pandas = require("pandas", extra="frame")
    except MissingDependency:
        return
    pandas.DataFrame(rows).to_parquet(path, index=False)


def latex(rows: list[dict[str, Any]]) -> str:
    """Return rows as a `tabular` of the package booktabs."""
    if not rows:
        return ""
    heads = list(rows[0])
    numeric = [all(isinstance(row[h], (int, float, type(None))) for row in rows) for h in heads]
    lines = [
        r"\begin{tabular}{" + "".join("r" if right else "l" for right in numeric) + "}",
        r"\toprule",
        " & ".join(_escaped(h.replace("_", " ")) for h in heads) + r" \\",
        r"\midrule",
        *(" & ".join(_cell(row[h]) for h in heads) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "--"
    if isinstance(value, float):
        return r"$\infty$" if np.isinf(value) else f"{value:.6g}"
    return _escaped(str(value))


def _escaped(text: str) -> str:
    marks = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(marks.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)


# -- IOHprofiler -------------------------------------------------------------------------------------------------------


def write_iohprofiler(comparison: Comparison, folder: Path) -> None:
    """Write one folder a solver: IOHprofiler_f<i>_<problem>.json and its data file."""
    for solver_name, solver in _names(comparison.solvers).items():
        for i, (name, problem) in enumerate(_names(comparison.problems).items(), start=1):
            runs = [t for t in comparison.of(problem, solver) if len(t.best)]
            if not runs:
                continue
            home, columns = folder / solver_name, runs[0].columns
            data = home / f"data_f{i}_{name}" / f"IOHprofiler_f{i}_DIM{columns}.dat"
            data.parent.mkdir(parents=True, exist_ok=True)
            data.write_text("".join(_ioh_run(t) for t in runs), encoding="utf-8")
            facts = _ioh_facts(comparison, i, name, problem, solver, runs, data.relative_to(home))
            (home / f"IOHprofiler_f{i}_{name}.json").write_text(
                json.dumps(facts, indent=1) + "\n", encoding="utf-8"
            )


def _ioh_run(trace: Trace) -> str:
    lines = ["evaluations raw_y"]
    lines += [f"{int(n)} {v:.16g}" for n, v in zip(trace.evaluations, trace.best, strict=True)]
    if int(trace.evaluations[-1]) < trace.n_evaluations:
        lines.append(f"{trace.n_evaluations} {trace.best[-1]:.16g}")
    return "\n".join(lines) + "\n"


def _ioh_facts(
    comparison: Comparison, i: int, name: str, problem: str, solver: str, runs: list[Trace], data: Path
) -> dict[str, Any]:
    from optengine.report.machine import machine

    return {
        "version": "0.3.4",
        "suite": "optengine",
        "function_id": i,
        "function_name": name,
        "maximization": comparison.sign(problem) < 0,
        "algorithm": {
            "name": solver,
            "info": f"optengine {machine()['packages'].get('optengine', '')}".strip(),
        },
        "attributes": ["evaluations", "raw_y"],
        "scenarios": [
            {
                "dimension": runs[0].columns,
                "path": data.as_posix(),
                "runs": [
                    {
                        "instance": t.seed,
                        "evals": t.n_evaluations,
                        "best": {"evals": int(t.evaluations[-1]), "y": float(t.best[-1])},
                    }
                    for t in runs
                ],
            }
        ],
    }


# -- COCO --------------------------------------------------------------------------------------------------------------


def write_coco(comparison: Comparison, folder: Path) -> None:
    """Write one folder a solver: bbobexp_f<i>.info and data_f<i>/bbobexp_f<i>_DIM<d>.{dat,tdat}."""
    for solver_name, solver in _names(comparison.solvers).items():
        for i, problem in enumerate(comparison.problems, start=1):
            runs = [t for t in comparison.of(problem, solver) if len(t.best)]
            if not runs:
                continue
            home, columns = folder / solver_name, runs[0].columns
            stem = f"data_f{i}/bbobexp_f{i}_DIM{columns}"
            (home / f"data_f{i}").mkdir(parents=True, exist_ok=True)
            text = "".join(_coco_run(comparison, t) for t in runs)
            for ending in ("dat", "tdat"):
                (home / f"{stem}.{ending}").write_text(text, encoding="utf-8")
            ends = ", ".join(
                f"{t.seed + 1}:{t.n_evaluations}|{float(comparison.regret(t, t.best[-1])):.1e}" for t in runs
            )
            info = (
                f"funcId = {i}, DIM = {columns}, Precision = 1.000e-08, algId = '{solver}'\n"
                f"% problem {problem}\n{stem}.dat, {ends}\n"
            )
            (home / f"bbobexp_f{i}.info").write_text(info, encoding="utf-8")


def _coco_run(comparison: Comparison, trace: Trace) -> str:
    head = "% f evaluations | g evaluations | best noise-free fitness - Fopt | measured | best measured\n"
    gaps = comparison.regret(trace, trace.best)
    lines = [
        f"{int(n)} 0 {gap:+.9e} {v:+.9e} {v:+.9e}"
        for n, gap, v in zip(trace.evaluations, gaps, trace.best, strict=True)
    ]
    if int(trace.evaluations[-1]) < trace.n_evaluations:
        v, gap = trace.best[-1], gaps[-1]
        lines.append(f"{trace.n_evaluations} 0 {gap:+.9e} {v:+.9e} {v:+.9e}")
    return head + "\n".join(lines) + "\n"


def _names(labels: list[str]) -> dict[str, str]:
    """File names for labels, distinct, in their order."""
    found: dict[str, str] = {}
    for label in labels:
        name = base = UNSAFE.sub("-", label)[:60].strip("-.") or "x"
        n = 2
        while name.lower() in {known.lower() for known in found}:
            name, n = f"{base}-{n}", n + 1
        found[name] = label
    return found
