"""Mixed-integer programs with predicted binaries: bare solvers, PS, ConPaS, CoCo and hints, on the same instances.

    python benchmarks/milp_prediction.py --quick                    # two of the four classes, see below
    python benchmarks/milp_prediction.py --dir prediction           # everything; goes on where it stopped
    python benchmarks/milp_prediction.py --modes                    # seconds of the network's two forms

Classes: set covering (SC), combinatorial auctions (CA), item placement (IP), workload apportionment (WA) of
optengine.problems.generators. Predictors learn from "small" instances, seeds 0 to 74, a fifth for validation, pools of
SCIP; k0, k1 and the radius are tuned on "mid" instances from seed 500 on, with the same budget for every predictor.
Reported: unseen "mid" instances, seeds 1000 to 1009, one thread. Settings and instances were fixed before the first
reported run; defaults of the losses were chosen on small instances of SC.

Methods: HiGHS, SCIP and CP-SAT bare (CP-SAT for whole variables only); predict_and_search with the loss of PS
(cross-entropy) and ConPaS (InfoNCE) on the network of PS, and CoCo (contrastive loss, competitive layer, graph norm,
concatenated layers), each behind SCIP and HiGHS, the better of the two is shown; CoCo's prediction as a hint; and
ablations of CoCo: without the competitive layer, and with cross-entropy in place of the contrastive loss. "default" is
CoCo's prediction or none, behind SCIP or HiGHS, whichever of the four won on the tuning instances.

Printed for 10 s and 60 s (read off the same 60 s run): mean primal gap in % to the best value of all runs, mean primal
integral in seconds (gap 1 before the first incumbent), and the gap over that of the bare backend. Every objective is
evaluated anew from x, every bound compared with the best value of all runs. Clocks count from the start of the search
to the limit, the prediction included, the loading of libraries not.

--quick: SC and CA, three instances each, 10 s; 20 instances to learn from, 3 s a pool, tuning of 5 s runs for CoCo only
(the others take its k0 and k1, and their own radius); learned methods behind the backend that the tuning chose.
Rows are kept in DIR/rows.jsonl; those of bare solvers may come from benchmarks/peers/milp_prediction.jsonl, with
--peers, taken by this script on the machine that its first line names: seconds of one machine are not another's.
Needs `pip install 'optengine[learn]'`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from rows import Row, collect, load

import optengine as oe
from optengine.problems.generators import generate, set_cover
from optengine.report.primal import incumbents, primal_gap, primal_integral

CLASSES = {"SC": "set_cover", "CA": "auction", "IP": "item_placement", "WA": "workload"}
FIRST, TUNING = 1000, 500  # seeds of the reported and of the tuning instances, all "mid"
BARE = ("highs", "scip", "cpsat")
LEARNED = ("scip", "highs")  # backends behind predictions
PLAIN = {"competition": False, "graph_norm": False, "concatenate": False}
PREDICTORS: dict[str, dict[str, Any]] = {
    "coco": {},
    "ps": {"loss": "cross_entropy", **PLAIN},
    "conpas": {"loss": "info_nce", **PLAIN},
    "coco-no-competition": {"competition": False},
    "coco-no-contrast": {"loss": "cross_entropy"},
}
PEERS = Path(__file__).parent / "peers" / "milp_prediction.jsonl"


# -- predictors ------------------------------------------------------------------------------------------------------


def train(name: str, kind: str, plan: argparse.Namespace) -> Any:
    """The predictor of one class and kind, from its file or trained now; tuned where the plan says so."""
    from optengine.solvers.milp.learning.predictor import Predictor

    path = plan.dir / f"{name}-{kind}.pt"
    if path.exists():
        return Predictor.load(path)
    family, began = CLASSES[name], time.process_time()
    predictor = oe.train_predictor(
        [generate(family, "small", seed) for seed in range(plan.train)],
        pools=plan.dir / "pools",
        pool_seconds=plan.pool_seconds,
        checkpoint=plan.dir / f"{name}-{kind}.checkpoint.pt",
        workers=plan.workers,
        options={"epochs": plan.epochs, **PREDICTORS[kind]},
    )
    seconds = time.process_time() - began
    print(
        f"{name} {kind}: pools {predictor.details['pool_seconds']} s, training {predictor.details['train_seconds']} s "
        f"({seconds:.0f} CPU s), validation loss {predictor.details['validation_loss']:.4g}",
        flush=True,
    )
    predictor.save(path)
    return predictor


def radii(name: str, plan: argparse.Namespace) -> list[Any]:
    """Validation problems of a class with their pools, as training has split them."""
    from optengine.workflows.train_predictor import _split, collect_pools

    problems = [generate(CLASSES[name], "small", seed) for seed in range(plan.train)]
    _, held = _split(problems, None, 0)
    wanted = {"seconds": plan.pool_seconds, "size": 20, "backend": "scip", "threads": 1}
    return list(zip(held, collect_pools(held, plan.dir / "pools", wanted), strict=True))


def settle(name: str, plan: argparse.Namespace) -> tuple[str, dict[str, dict[str, Any]]]:
    """The default's backend, and settings by "kind/backend", chosen on the tuning instances; kept in a file."""
    import json

    from optengine.workflows.tune_predictor import WHOLE, candidates, tune_predictor

    path = plan.dir / f"{name}-settings.json"
    if path.exists():
        stored = json.loads(path.read_text())
        return stored["backend"], stored["settings"]
    problems = [generate(CLASSES[name], "mid", TUNING + i) for i in range(plan.tuning)]
    known, settings = radii(name, plan), {}
    kinds = ["coco"] if plan.quick else list(PREDICTORS)
    for kind in kinds:
        for backend in LEARNED:
            tuned = tune_predictor(
                train(name, kind, plan),
                problems,
                seconds=plan.tune_seconds,
                time_limit=plan.tune_limit,
                pools=known,
                backend=backend,
                bare=False,
            )
            settings[f"{kind}/{backend}"] = tuned.settings
    for kind in PREDICTORS:
        for backend in LEARNED:
            chosen = settings["coco/" + backend]
            own = [c for c in candidates(train(name, kind, plan), known) if c["k0"] == chosen["k0"]]
            settings.setdefault(f"{kind}/{backend}", own[0] if own else chosen)
    # The default: CoCo's prediction or none, behind either backend; whatever wins on the tuning instances.
    rivals = {
        (kind, behind): settings.get(f"{kind}/{behind}", WHOLE) for kind in ("coco", "") for behind in LEARNED
    }
    score = dict.fromkeys(rivals, 0.0)
    for problem in problems:
        traces = {
            rival: _solve(problem, rival[1], train(name, "coco", plan), chosen, plan.tune_limit)[1]
            for rival, chosen in rivals.items()
        }
        last = [values[-1] for _, values in traces.values() if len(values)]
        best = (min if problem.signs[0] > 0 else max)(last, default=0.0)
        for rival, trace in traces.items():
            score[rival] += primal_integral(*trace, best, plan.tune_limit)
    winner = min(score, key=lambda rival: score[rival])
    backend, settings["default"] = winner[1], rivals[winner]
    path.write_text(json.dumps({"backend": backend, "settings": settings}))
    print(f"{name}: default behind {backend}, {settings['default']}", flush=True)
    return backend, settings


# -- runs ------------------------------------------------------------------------------------------------------------


def _solve(
    problem: Any, backend: str, predictor: Any, options: dict[str, Any], limit: float
) -> tuple[Any, tuple[np.ndarray, np.ndarray]]:
    if predictor is None:
        solver, chosen = "milp", {"backend": backend}
    else:
        solver, chosen = "predict_and_search", {"backend": backend, "predictor": predictor, **options}
    result = oe.solve(problem, solver, time_limit=limit, seed=0, workers=1, device="cpu", options=chosen)
    return result, incumbents(result)


@cache
def _loaded(path: str) -> Any:
    from optengine.solvers.milp.learning.predictor import Predictor

    return Predictor.load(path)


def run(case: Row) -> Row:
    """One method on one instance; its incumbents, its bound, and its value evaluated anew."""
    family, seed = CLASSES[case["problem"].split("-")[0]], int(case["problem"].split("-")[1])
    problem, start = generate(family, "mid", seed), time.process_time()
    predictor = None if case["model"] is None else _loaded(case["model"])
    result, (seconds, values) = _solve(problem, case["backend"], predictor, case["options"], case["budget"])
    value = None
    if result.x is not None and result.feasible:
        evaluation = problem.evaluate(np.asarray(result.x, dtype=float)[None])
        value = float(evaluation.F[0, 0] * problem.signs[0])
        assert evaluation.feasible()[0], case
        assert abs(value - result.fun) <= 1e-6 * max(1.0, abs(value)), case
    return {
        **{name: case[name] for name in ("problem", "method", "seed", "budget", "backend")},
        "value": value,
        "bound": None if result.bound is None or not np.isfinite(result.bound) else float(result.bound),
        "status": str(result.status),
        "minimise": bool(problem.signs[0] > 0),
        "trace": [[round(float(t), 3), float(v)] for t, v in zip(seconds, values, strict=True)],
        "cpu": round(time.process_time() - start, 3),
    }


def cases(name: str, plan: argparse.Namespace) -> list[Row]:
    backend, settings = settle(name, plan)
    mixed = not generate(CLASSES[name], "small", 0).integrality.all()
    found: list[Row] = []
    for i in range(plan.instances):
        shared = {
            "problem": f"{name}-{FIRST + i}",
            "seed": 0,
            "budget": plan.limit,
            "model": None,
            "options": {},
        }
        found += [
            {**shared, "method": bare, "backend": bare} for bare in BARE if not (mixed and bare == "cpsat")
        ]
        for kind in PREDICTORS:
            for behind in (backend,) if plan.quick else LEARNED:
                model = str(plan.dir / f"{name}-{kind}.pt")
                options = settings[f"{kind}/{behind}"]
                found.append(
                    {
                        **shared,
                        "method": f"{kind}+{behind}",
                        "backend": behind,
                        "model": model,
                        "options": options,
                    }
                )
        hint = {"mode": "hint", **settings[f"coco/{backend}"]}
        model = str(plan.dir / f"{name}-coco.pt")
        found.append(
            {**shared, "method": f"hint+{backend}", "backend": backend, "model": model, "options": hint}
        )
        usual = {"backend": backend, "model": model, "options": settings["default"]}
        found.append({**shared, "method": "default", **usual})
    return found


# -- what is printed -------------------------------------------------------------------------------------------------


def show(rows: list[Row], limits: list[float]) -> None:
    best, n_wrong = {}, 0
    for row in rows:
        if row["value"] is not None:
            pick = min if row["minimise"] else max
            best[row["problem"]] = pick(best.get(row["problem"], row["value"]), row["value"])
    for row in rows:
        known, bound = best.get(row["problem"]), row["bound"]
        if known is None or bound is None:
            continue
        beyond = (bound - known) if row["minimise"] else (known - bound)
        n_wrong += beyond > 1e-6 * max(1.0, abs(known))
    for name in CLASSES:
        mine = [row for row in rows if row["problem"].startswith(f"{name}-") and row["problem"] in best]
        if not mine:
            continue
        print(f"\n{name}, {len({row['problem'] for row in mine})} instances")
        for limit in limits:
            print(f"  {limit:g} s{'':27}gap %   integral s   gap / bare")
            table = {method: measure(mine, method, best, limit) for method in {row["method"] for row in mine}}
            backends = {row["method"]: row["backend"] for row in mine}
            for method, (gap, integral) in sorted(table.items(), key=lambda item: item[1][1]):
                bare = table.get(backends[method], (np.nan, np.nan))[0]
                over = "" if method in BARE else f"{gap / bare if bare > 0 else np.nan:12.2f}"
                print(f"    {method:28}{100 * gap:8.3f}{integral:12.3f} {over}")
    print(f"\n{len(rows)} runs, every objective evaluated anew; {n_wrong} invalid bounds")


def measure(rows: list[Row], method: str, best: dict[str, float], limit: float) -> tuple[float, float]:
    """Mean primal gap and integral of a method at a limit."""
    gaps, integrals = [], []
    for row in rows:
        if row["method"] == method:
            t, v = (np.array([p[i] for p in row["trace"]], dtype=float) for i in (0, 1))
            inside = v[t <= limit]
            gaps.append(float(primal_gap(inside[-1], best[row["problem"]])) if len(inside) else 1.0)
            integrals.append(primal_integral(t, v, best[row["problem"]], limit))
    return float(np.mean(gaps)), float(np.mean(integrals))


def modes() -> None:
    """CPU seconds of one thread, forward and backward, of the edge and the node form."""
    import torch

    from optengine.solvers.milp.learning.batches import batch_graphs
    from optengine.solvers.milp.learning.features import bipartite_graph
    from optengine.solvers.milp.learning.network import Network, NetworkOptions

    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{'rows x columns':16}{'edges':>8}  mode   forward   forward + backward   ({device}, seconds)")
    for m, n in ((200, 400), (500, 1000), (1000, 2000)):
        batch = batch_graphs([bipartite_graph(set_cover(0, m, n))], device)
        for convolution in ("edge", "node"):
            torch.manual_seed(0)
            network = Network(NetworkOptions(convolution=convolution)).to(device)
            times = []
            for backward in (False, True):
                each = []
                for _ in range(7):
                    start = time.process_time()
                    value = network(batch).sum()
                    if backward:
                        value.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
                    float(value.detach())
                    each.append(time.process_time() - start)
                times.append(float(np.median(each[2:])))
            print(f"{f'{m} x {n}':16}{len(batch.row):>8}  {convolution}  {times[0]:8.4f}   {times[1]:8.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true")
    add("--modes", action="store_true")
    add("--dir", type=Path, help="keeps pools, predictors and rows; the same line goes on")
    add("--classes", nargs="+", choices=list(CLASSES))
    add("--workers", type=int, default=1, help="pools and runs side by side; one core each")
    add("--minutes", type=float, default=1e9, help="start no run after so many")
    add("--peers", action="store_true", help="take bare solvers from benchmarks/peers")
    plan = parser.parse_args()
    if plan.modes:
        modes()
        return
    numbers: dict[str, Any] = (
        {"train": 25, "pool_seconds": 3.0, "epochs": 30, "tuning": 2, "tune_seconds": 80.0, "tune_limit": 5.0}
        | {"instances": 3, "limit": 10.0}
        if plan.quick
        else {"train": 75, "pool_seconds": 20.0, "epochs": 100, "tuning": 5, "tune_seconds": 300.0}
        | {"tune_limit": 10.0, "instances": 10, "limit": 60.0}
    )
    vars(plan).update(numbers)
    names = plan.classes or (["SC", "CA"] if plan.quick else list(CLASSES))
    if plan.dir is None and not plan.quick:
        parser.error("the full run takes hours: name a folder with --dir, from which the same line goes on")
    with tempfile.TemporaryDirectory() as scratch:
        plan.dir = (plan.dir or Path(scratch)).resolve()
        plan.dir.mkdir(parents=True, exist_ok=True)
        todo = [case for name in names for case in cases(name, plan)]
        known = [row for row in load(PEERS) if plan.peers and row["budget"] == plan.limit]
        rows = collect(todo, run, plan.dir / "rows.jsonl", known, plan.workers, plan.minutes)
        covered = ", ".join(names)
        print(f"classes {covered}; {plan.instances} mid instances each; {plan.limit:g} s, one thread", end="")
        print(f"; {len(rows)} of {len(todo)} runs" if len(rows) < len(todo) else "")
        show(rows, [10.0] if plan.quick else [10.0, 60.0])


if __name__ == "__main__":
    main()
