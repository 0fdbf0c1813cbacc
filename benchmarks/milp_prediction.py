"""Mixed-integer programs with predicted binaries: bare solvers, PS, ConPaS, CoCo, hints and our default, side by side.

    python benchmarks/milp_prediction.py --table --dir prediction   # the table; goes on where it stopped
    python benchmarks/milp_prediction.py --quick --dir prediction   # the same four classes on two instances each
    python benchmarks/milp_prediction.py --full --dir prediction    # every method on every instance, 10 s and 60 s
    python benchmarks/milp_prediction.py --show benchmarks/peers/milp_prediction.jsonl    # tables of rows kept

Classes: set covering (SC), combinatorial auctions (CA), item placement (IP), workload apportionment (WA) of
optengine.problems.generators. Predictors learn from the "small" family, 40 instances, seeds 0 to 39, a fifth for
validation, pools of 5 s of SCIP; those of WA from the "mid" family, 32 instances, pools of 7 s of our own search, as
small ones are no miniature of it: trained on them CoCo ranks mid ones far worse than PS. Whatever is chosen is chosen
on other "mid" instances, from seed 500 on: the better bare backend, then k0, k1 and radius of CoCo and of PS behind it
with the same seconds by their primal integrals at 5 s, then whether fixing half of the binaries ends better at 10 s
(ConPaS and the ablations take CoCo's k0 and k1, and the radius that their own predictions need), then the default,
then the ways of the whole method. Reported: unseen "mid" instances, seeds 1000 to 1009, one thread. They were
fixed before anything was tuned; defaults of the losses were chosen on small instances of SC. The family of WA and the
whole method came after a first table, and were chosen on validation and tuning instances.

Methods: HiGHS, SCIP and CP-SAT bare (CP-SAT for whole variables only). "ps", "conpas", "coco": the search of the
papers, the trust region or fixing by rank and nothing else (jump=0, first=1), behind the backend chosen, with the loss
of PS (cross-entropy) and ConPaS (InfoNCE) on the network of PS, and with CoCo (contrastive loss, competitive layer,
graph norm, concatenated layers); CoCo's prediction as a hint; ablations of CoCo: without the competitive layer, and
with cross-entropy in place of the contrastive loss. "coco-whole" and "ps-whole": `predict_and_search` as it is meant to
be used, the local search first, then the same region behind the same backend, then neighbourhoods that the prediction
guides, where they paid on the tuning instances (`WHOLE`, by CoCo's gaps at 10 s, for both alike). "default" is the best
on the tuning instances of our own searches (`RIVALS`), which begin with the local search; but for CA it predicts
nothing, and so tells how much of the whole method's gain is the prediction's.

Printed for each limit: mean primal gap in % to the best value of all runs, mean primal integral in seconds (gap 1
before the first incumbent), the gap over that of the bare backend on the same instances, and the 90 % bootstrap
interval of the difference of the gaps. Every objective is evaluated anew from x, every bound compared with the best
value of all runs. "At best" is the integral if what a backend shows only as it ends was found right after its incumbent
before: the default is held against the bare solvers at their best. Clocks count from the start of the search to the
limit, the prediction included, the loading of libraries not. --wrong tells without any solver how the predictors rank
validation instances: a ranking by chance has 30 % of the ones among the lowest 30 % of the scores.

The table: 10 s for HiGHS, SCIP, CoCo, the whole method and the default on ten instances a class, PS with the whole
method on five, the others on the first three; 60 s for the backend chosen and the whole method on the first instance of
each class. From nothing, on one core: pools 14 minutes, training 12, tuning some 28, runs some 65. --quick, given what
--dir holds of an earlier call: the methods of ten instances on two a class at 10 s, nine minutes.
Needs `pip install 'optengine[learn]'`.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from milp_settle import PREDICTORS, run_once, settle, train, validation_pools
from milp_table import BARE, CLASSES, show, show_wrong, wrong_zeros
from rows import Row, collect, load

from optengine.problems.generators import generate

PACKAGES = ("optengine", "numpy", "scipy", "ortools", "torch")
FIRST = 1000  # first seed of the reported instances, all "mid"
# Methods and on how many instances each runs, by seconds.
MAIN = ("highs", "scip", "coco", "ps", "coco-whole", "default")
PLANS: dict[str, dict[float, dict[str, int]]] = {
    "quick": {10.0: dict.fromkeys(MAIN, 2)},
    "table": {
        10.0: dict.fromkeys(MAIN, 10)
        | {"ps-whole": 5}
        | dict.fromkeys(("cpsat", "conpas", "hint", "coco-no-competition", "coco-no-contrast"), 3),
        60.0: {"best": 1, "coco-whole": 1},
    },
    "full": {s: dict.fromkeys((*BARE, *PREDICTORS, "hint", "default"), 10) for s in (10.0, 60.0)},
}


# -- runs ------------------------------------------------------------------------------------------------------------


@cache
def _loaded(path: str) -> Any:
    from optengine.solvers.milp.learning.predictor import Predictor

    return Predictor.load(path)


def run(case: Row) -> Row:
    """One method on one instance; its incumbents, its bound, and its value evaluated anew."""
    family, seed = CLASSES[case["problem"].split("-")[0]], int(case["problem"].split("-")[1])
    problem, start = generate(family, "mid", seed), time.process_time()
    predictor = None if case["model"] is None else _loaded(case["model"])
    result, (seconds, values) = run_once(problem, case["solver"], predictor, case["options"], case["budget"])
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
    """The runs of a class, instance by instance; `n` is on how many of them a method runs."""
    stated = settle(name, plan)
    mixed = not generate(CLASSES[name], "small", 0).integrality.all()
    found: list[Row] = []
    for limit, methods in PLANS[plan.name].items():
        for i in range(max(methods.values())):
            for method in (m for m, count in methods.items() if i < count):
                case = _case(stated["backend"] if method == "best" else method, stated, name, plan)
                if not (mixed and method == "cpsat"):
                    which = {"problem": f"{name}-{FIRST + i}", "n": methods[method]}
                    found.append(case | which | {"seed": 0, "budget": limit})
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
    todo.sort(
        key=lambda case: (case["budget"], -case["n"], case["problem"].split("-")[1])
    )  # classes side by side
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
