"""What the benchmark of predicted binaries trains, and what it chooses on tuning instances."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from milp_table import BEHIND, CLASSES
from rows import Row

import optengine as oe
from optengine.problems.generators import generate
from optengine.report.primal import incumbents, primal_gap, primal_integral

TUNING = 500  # first seed of the tuning instances, all "mid"
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
    traces = {b: [run_once(p, "milp", None, {"backend": b}, 10.0)[1] for p in problems] for b in BEHIND}
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
        traces[rival] = [run_once(p, solver, predictor, options, 10.0)[1] for p in problems]
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
    values = run_once(problem, "predict_and_search", predictor, options, 10.0)[1][1]
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


def run_once(
    problem: Any, solver: str, predictor: Any, options: dict[str, Any], limit: float
) -> tuple[Any, tuple[np.ndarray, np.ndarray]]:
    chosen = options if predictor is None else {"predictor": predictor, **options}
    result = oe.solve(problem, solver, time_limit=limit, seed=0, workers=1, device="cpu", options=chosen)
    return result, incumbents(result)
