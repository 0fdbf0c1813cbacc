"""Mixed-integer programs with predicted binaries: bare solvers, PS, ConPaS, CoCo, hints and our default, side by side.

    python benchmarks/milp_prediction.py --table --dir prediction   # the table; goes on where it stopped
    python benchmarks/milp_prediction.py --quick --dir prediction   # the same four classes on two instances each
    python benchmarks/milp_prediction.py --full --dir prediction    # every method on every instance, 10 s and 60 s
    python benchmarks/milp_prediction.py --show benchmarks/peers/milp_prediction.jsonl    # tables of rows kept

Classes: set covering (SC), combinatorial auctions (CA), item placement (IP), workload apportionment (WA) of
optengine.problems.generators. Predictors learn from 40 "small" instances, seeds 0 to 39, a fifth for validation, pools
of 5 s of SCIP; whatever is chosen is chosen on "mid" instances from seed 500 on: the better bare backend, then k0, k1
and radius of CoCo and of PS behind it with the same seconds by their primal integrals at 5 s, then whether fixing half
of the binaries ends better at 10 s (ConPaS and the ablations take CoCo's k0 and k1, and the
radius that their own predictions need), then the default. Reported: unseen "mid" instances, seeds 1000 to 1009, one
thread. Plans and instances were fixed before anything was tuned; defaults of the losses were chosen on small instances
of SC.

Methods: HiGHS, SCIP and CP-SAT bare (CP-SAT for whole variables only); predict_and_search without its local search
(jump=0) with the loss of PS (cross-entropy) and ConPaS (InfoNCE) on the network of PS, and CoCo (contrastive loss,
competitive layer, graph norm, concatenated layers), behind the backend chosen; CoCo's prediction as a hint; ablations
of CoCo: without the competitive layer, and with cross-entropy in place of the contrastive loss. "default" is the best
on the tuning instances of our own searches (`RIVALS`), which begin with the local search.

Printed for each limit: mean primal gap in % to the best value of all runs, mean primal integral in seconds (gap 1
before the first incumbent), the gap over that of the bare backend on the same instances, and the 90 % bootstrap
interval of the difference of the gaps. Every objective is evaluated anew from x, every bound compared with the best
value of all runs. "At best" is the integral if what a backend shows only as it ends was found right after its incumbent
before: the default is held against the bare solvers at their best. Clocks count from the start of the search to the
limit, the prediction included, the loading of libraries not.

The table: 10 s for HiGHS, SCIP, CoCo, PS and the default on ten instances a class, the others on the first
three; 60 s for the backend chosen, CoCo and the default on the first instance of each class. From nothing,
on one core: pools 14 minutes, training 8, tuning some 22, runs some 65. --quick, given what --dir holds of an earlier
call: HiGHS, SCIP, CoCo, PS and the default on two instances a class at 10 s, seven minutes.
Needs `pip install 'optengine[learn]'`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from milp_table import BARE, BEHIND, CLASSES, show, show_wrong, wrong_zeros
from rows import Row, collect, load

import optengine as oe
from optengine.problems.generators import generate
from optengine.report.primal import incumbents, primal_gap, primal_integral

PACKAGES = ("optengine", "numpy", "scipy", "ortools", "torch")
FIRST, TUNING = 1000, 500  # seeds of the reported and of the tuning instances, all "mid"
EPOCHS = 40
SMALL = {"size": "small", "n": 40, "seconds": 5.0, "backend": "scip"}  # what predictors of a class learn from
FAMILY: dict[str, dict[str, Any]] = dict.fromkeys(CLASSES, SMALL) | {
    "WA": {
        "size": "mid",
        "n": 32,
        "seconds": 7.0,
        "backend": "neighbourhoods",
    }  # small ones are no miniature of it
}
N_TUNING, TUNE_LIMIT, TUNE_SECONDS = 2, 5.0, 50.0  # instances, seconds of a run, seconds for a predictor
PLAIN = {"competition": False, "graph_norm": False, "concatenate": False}
PREDICTORS: dict[str, dict[str, Any]] = {
    "coco": {},
    "ps": {"loss": "cross_entropy", **PLAIN},
    "conpas": {"loss": "info_nce", **PLAIN},
    "coco-no-competition": {"competition": False},
    "coco-no-contrast": {"loss": "cross_entropy"},
}
TUNED = ("coco", "ps")
WHOLE = ({"jump": 0.05, "first": 1.0}, {"jump": 0.05, "first": 0.4}, {"jump": 0.05, "first": 0.1})
N_WHOLE = 3  # tuning instances for them
HALF = {"k0": 0.5, "k1": 0.0, "radius": 0.0}  # half of the binaries fixed at 0
NOTHING = {"k0": 0.0, "k1": 0.0, "radius": 0.0, "first": 1.0}
# Our own searches, one of which becomes the default: solver, predictor, options; "best" is the backend chosen.
RIVALS: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "jump, highs": ("predict_and_search", None, {"backend": "highs", **NOTHING}),
    "jump, scip": ("predict_and_search", None, {"backend": "scip", **NOTHING}),
    "jump, neighbourhoods, highs": ("relaxation_induced", None, {"backend": "highs", "first": 0.0}),
    "jump, neighbourhoods, scip": ("relaxation_induced", None, {"backend": "scip", "first": 0.0}),
    "jump, coco, neighbourhoods": ("predict_and_search", "coco", {"backend": "best", "first": 0.3}),
    "jump, relaxation, neighbourhoods": (
        "predict_and_search",
        None,
        {"backend": "best", "first": 0.3, "k0": 0.8, "k1": 0.0, "radius": 0.0},
    ),
    "jump": ("feasibility_jump", None, {}),
}
# Methods and on how many instances each runs, by seconds.
MAIN = ("highs", "scip", "coco", "ps", "coco-whole", "ps-whole", "default")
PLANS: dict[str, dict[float, dict[str, int]]] = {
    "quick": {10.0: dict.fromkeys(MAIN, 2)},
    "table": {
        10.0: dict.fromkeys(MAIN, 10)
        | dict.fromkeys(("cpsat", "conpas", "hint", "coco-no-competition", "coco-no-contrast"), 3),
        60.0: {"best": 1, "coco": 1, "default": 1},
    },
    "full": {s: dict.fromkeys((*BARE, *PREDICTORS, "hint", "default"), 10) for s in (10.0, 60.0)},
}


# -- predictors ------------------------------------------------------------------------------------------------------


def _instances(name: str) -> list[Any]:
    """What the predictors of a class learn from, with those of validation."""
    return [generate(CLASSES[name], FAMILY[name]["size"], seed) for seed in range(FAMILY[name]["n"])]


def train(name: str, kind: str, plan: argparse.Namespace) -> Any:
    """The predictor of one class and kind, from its file or trained now."""
    from optengine.solvers.milp.learning.predictor import Predictor

    path = plan.dir / f"{name}-{kind}.pt"
    if path.exists():
        return Predictor.load(path)
    began = time.process_time()
    predictor = oe.train_predictor(
        _instances(name),
        pools=plan.dir / "pools",
        pool_seconds=FAMILY[name]["seconds"],
        pool_backend=FAMILY[name]["backend"],
        checkpoint=plan.dir / f"{name}-{kind}.checkpoint.pt",
        options={"epochs": EPOCHS, **PREDICTORS[kind]},
    )
    seconds = time.process_time() - began
    print(
        f"{name} {kind}: pools {predictor.details['pool_seconds']} s, training {predictor.details['train_seconds']} s "
        f"({seconds:.0f} CPU s), validation loss {predictor.details['validation_loss']:.4g}",
        flush=True,
    )
    predictor.save(path)
    return predictor


def validation_pools(name: str, plan: argparse.Namespace) -> list[Any]:
    """Validation problems of a class with their pools, as training has split them."""
    from optengine.workflows.train_predictor import _split, collect_pools

    _, held = _split(_instances(name), None, 0)
    wanted = {
        "seconds": FAMILY[name]["seconds"],
        "size": 20,
        "backend": FAMILY[name]["backend"],
        "threads": 1,
    }
    return list(zip(held, collect_pools(held, plan.dir / "pools", wanted), strict=True))


def settle(name: str, plan: argparse.Namespace) -> dict[str, Any]:
    """What is chosen on the tuning instances of a class: backend, settings by kind, default; kept in a file."""
    path = plan.dir / f"{name}-settings.json"
    stated: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for part, choose in (
        ("backend", _backend),
        ("settings", _settings),
        ("default", _default),
        ("whole", _whole),
    ):
        if part not in stated:
            stated |= choose(name, stated, plan)
            path.write_text(json.dumps(stated))
    return stated


def _tuning(name: str, n: int = N_TUNING) -> list[Any]:
    return [generate(CLASSES[name], "mid", TUNING + i) for i in range(n)]


def _backend(name: str, _: dict[str, Any], __: argparse.Namespace) -> dict[str, Any]:
    """The bare backend of the less primal integral."""
    problems = _tuning(name)
    traces = {b: [_solve(p, "milp", None, {"backend": b}, 10.0)[1] for p in problems] for b in BEHIND}
    score = _score(problems, traces)
    return {"backend": min(BEHIND, key=lambda b: score[b]), "bare": score}


def _settings(name: str, stated: dict[str, Any], plan: argparse.Namespace) -> dict[str, Any]:
    """k0, k1 and radius of each kind; those of CoCo's second phase are `kept`."""
    from optengine.workflows.tune_predictor import candidates, tune_predictor

    predictors = {kind: train(name, kind, plan) for kind in PREDICTORS}
    problems, known, settings = _tuning(name), validation_pools(name, plan), {}
    for kind in TUNED:
        tuned = tune_predictor(
            predictors[kind],
            problems,
            seconds=TUNE_SECONDS,
            time_limit=TUNE_LIMIT,
            pools=known,
            backend=stated["backend"],
            bare=False,
            jump=0.0,
            say=lambda text: print(text, flush=True),
        )
        settings[kind] = {key: tuned.settings[key] for key in ("k0", "k1", "radius")}
    kept = settings["coco"]
    if _ends_better(HALF, kept, predictors["coco"], stated["backend"], problems):
        settings = dict.fromkeys(TUNED, HALF)
    for kind in PREDICTORS:
        settings.setdefault(kind, _alike(settings["coco"], candidates(predictors[kind], known)))
    return {"settings": settings, "kept": kept}


def _default(name: str, stated: dict[str, Any], plan: argparse.Namespace) -> dict[str, Any]:
    """The best of our own searches and of the bare backends by primal integral."""
    problems, traces, rivals = _tuning(name), {}, {}
    for rival, (solver, kind, options) in RIVALS.items():
        options = options | (stated["kept"] if kind else {})
        options |= {"backend": stated["backend"]} if options.get("backend") == "best" else {}
        rivals[rival] = (solver, kind, options)
        predictor = train(name, kind, plan) if kind else None
        traces[rival] = [_solve(p, solver, predictor, options, 10.0)[1] for p in problems]
    score = _score(problems, traces)
    for rival, value in sorted(score.items(), key=lambda item: item[1]):
        print(f"{name}: {rival:36} primal integral {value:.3f} s on the tuning instances", flush=True)
    winner = min(RIVALS, key=lambda rival: score[rival])
    return {"winner": winner, "default": rivals[winner], "score": score}


def _whole(name: str, stated: dict[str, Any], plan: argparse.Namespace) -> dict[str, Any]:
    """The local search and the share of the first phase with which CoCo's runs of 10 s end best."""
    problems, predictor = _tuning(name, N_WHOLE), train(name, "coco", plan)
    found = []
    for way in WHOLE:
        options = {"backend": stated["backend"], **stated["settings"]["coco"], **way}
        found.append([_end(p, predictor, options) for p in problems])
    ends = np.array(found)
    signs = np.array([p.signs[0] for p in problems])
    best = np.nanmin(ends * signs, axis=0) * signs
    gaps = [float(np.mean([primal_gap(v, b) for v, b in zip(row, best, strict=True)])) for row in ends]
    print(f"{name}: {WHOLE} end at gaps of {gaps} on the tuning instances", flush=True)
    return {"whole": WHOLE[int(np.argmin(gaps))], "whole_gaps": gaps}


def _end(problem: Any, predictor: Any, options: dict[str, Any]) -> float:
    """The value with which a run of 10 s around the prediction ends."""
    values = _solve(problem, "predict_and_search", predictor, options, 10.0)[1][1]
    return float(values[-1]) if len(values) else np.nan


def _ends_better(new: Row, old: Row, predictor: Any, backend: str, problems: list[Any]) -> bool:
    """Whether CoCo's runs of 10 s end with a smaller mean gap with the new settings than with the old ones."""
    total = 0.0
    for problem in problems:
        ends = [_end(problem, predictor, {"backend": backend, "jump": 0.0, **s}) for s in (new, old)]
        best = float((np.nanmin if problem.signs[0] > 0 else np.nanmax)(ends))
        total += float(primal_gap(ends[0], best)) - float(primal_gap(ends[1], best))
    return total < 0


def _alike(chosen: dict[str, Any], own: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a predictor's own candidates that with CoCo's k0 and k1, fixing what CoCo's fixes; else CoCo's settings."""
    for one in own:
        same = all(abs(one[name] - chosen[name]) < 1e-9 for name in ("k0", "k1"))
        if same and (one["radius"] == 0) == (chosen["radius"] == 0):
            return one
    return chosen


def _score(problems: list[Any], traces: dict[str, list[Any]]) -> dict[str, float]:
    """Mean primal integral at 10 s of each method, against the best of all."""
    score = dict.fromkeys(traces, 0.0)
    for i, problem in enumerate(problems):
        last = [found[i][1][-1] for found in traces.values() if len(found[i][1])]
        best = float((min if problem.signs[0] > 0 else max)(last, default=0.0))
        for method, found in traces.items():
            score[method] += primal_integral(*found[i], best, 10.0) / len(problems)
    return score


# -- runs ------------------------------------------------------------------------------------------------------------


def _solve(
    problem: Any, solver: str, predictor: Any, options: dict[str, Any], limit: float
) -> tuple[Any, tuple[np.ndarray, np.ndarray]]:
    chosen = options if predictor is None else {"predictor": predictor, **options}
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
    result, (seconds, values) = _solve(problem, case["solver"], predictor, case["options"], case["budget"])
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
    """The runs of a class, instance by instance."""
    stated = settle(name, plan)
    mixed = not generate(CLASSES[name], "small", 0).integrality.all()
    found: list[Row] = []
    for limit, methods in PLANS[plan.name].items():
        for i in range(max(methods.values())):
            for method in (m for m, count in methods.items() if i < count):
                case = _case(stated["backend"] if method == "best" else method, stated, name, plan)
                if not (mixed and method == "cpsat"):
                    found.append(case | {"problem": f"{name}-{FIRST + i}", "seed": 0, "budget": limit})
    return found


def _case(method: str, stated: dict[str, Any], name: str, plan: argparse.Namespace) -> Row:
    """How a method runs: solver, model and options."""
    if method in BARE:
        return {
            "method": method, "backend": method, "solver": "milp", "model": None, "options": {"backend": method}
        }  # fmt: skip
    backend = stated["backend"]
    if method == "default":
        solver, kind, options = stated["default"]
    else:
        kind = "coco" if method == "hint" else method.removesuffix("-whole")
        solver, options = "predict_and_search", {"backend": backend, "jump": 0.0, **stated["settings"][kind]}
        options |= {"mode": "hint"} if method == "hint" else {}
        options |= stated["whole"] if method.endswith("-whole") else {}
    model = str(plan.dir / f"{name}-{kind}.pt") if kind else None
    return {"method": method, "backend": backend, "solver": solver, "model": model, "options": options}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group(required=True)
    for name in PLANS:
        which.add_argument(f"--{name}", dest="name", action="store_const", const=name)
    which.add_argument(
        "--show", type=Path, metavar="ROWS", help="print the tables of a file of rows, no more"
    )
    add("--dir", type=Path, help="keeps pools, predictors, settings and rows; the same line goes on")
    add("--classes", nargs="+", choices=list(CLASSES), default=list(CLASSES))
    add("--minutes", type=float, default=1e9, help="start no run after so many")
    add("--settle", action="store_true", help="train and tune, no more")
    add("--wrong", action="store_true", help="tell how well the predictors rank, no more")
    plan = parser.parse_args()
    if plan.show is not None:
        show(load(plan.show))
        return
    if plan.dir is None:
        parser.error(
            "training and tuning take minutes: name a folder with --dir, from which the same line goes on"
        )
    plan.dir = plan.dir.resolve()
    plan.dir.mkdir(parents=True, exist_ok=True)
    if plan.wrong:
        for name in plan.classes:
            pools = validation_pools(name, plan)
            show_wrong(name, {kind: wrong_zeros(train(name, kind, plan), pools) for kind in PREDICTORS})
        return
    todo = [case for name in plan.classes for case in cases(name, plan)]
    if plan.settle:
        return
    todo.sort(key=lambda case: (case["budget"], case["problem"].split("-")[1]))  # all classes side by side
    rows = collect(todo, run, plan.dir / "rows.jsonl", [], 1, plan.minutes, PACKAGES)
    print(f"{plan.name}: classes {', '.join(plan.classes)}; one thread; {len(rows)} of {len(todo)} runs")
    for name in plan.classes:
        stated = settle(name, plan)
        print(
            f"{name}: behind {stated['backend']}; CoCo {stated['settings']['coco']}; default: {stated['winner']}"
        )
    show(rows)


if __name__ == "__main__":
    main()
