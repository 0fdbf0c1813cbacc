"""Search around a prediction: the trust region of predict-and-search, hints, and fixing.

Han, Yang, Chen, Zhou, Zhang, Wang, Sun, Luo, A GNN-guided predict-and-search framework for mixed-integer linear
programming, ICLR 2023, arXiv:2302.05636. Chosen binaries X0 (predicted 0) and X1 (predicted 1) may together leave
their values at most `radius` times:

    sum over X0 of x_j  +  sum over X1 of (1 - x_j)  <=  radius,

one row on the binaries themselves, without auxiliary variables. What differs from the paper: a restricted model that
is infeasible, exhausted, or without any point after a tenth of the time, is relaxed, step by step, down to the whole
model; a bound of a restricted model is never reported, one of the whole model is. After the first phase the prediction
guides neighbourhoods of the incumbent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.terms import BACKENDS, LinearResult, LinearStatus, installed, refusal
from optengine.core.errors import OptionError, require
from optengine.core.solver import Control
from optengine.problems.milp import MILP
from optengine.solvers.milp.exact import backend_for, ready
from optengine.solvers.milp.jump import JUMP, first_incumbent, warm
from optengine.solvers.milp.neighbourhoods import Neighbourhoods
from optengine.solvers.milp.options import check_backend_option, check_count, check_share
from optengine.solvers.milp.predictor import Columns, Predictor, checked_scores, choose
from optengine.solvers.milp.relaxation import Relaxation
from optengine.solvers.milp.reporting import Desk
from optengine.solvers.milp.restrict import fixed, near
from optengine.solvers.milp.stage import Stage

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

MODES = ("trust_region", "hint", "fix")
RADIUS = 0.15
USUAL: dict[str, Any] = {  # where neither options nor predictor say anything
    "mode": "trust_region", "k0": 0.4, "k1": 0.0, "radius": RADIUS, "jump": JUMP, "first": 1.0, "backend": "auto"
}  # fmt: skip
GROWTH = 2.0  # of the radius when a restricted model is done
BARREN_GROWTH = 4.0  # of the radius when a restricted model has shown nothing
PATIENCE, LEAST_PATIENCE = 0.1, 0.2  # share of the time left, and seconds, in which it must show something


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictAndSearch:
    """Search around predicted values of binaries; the whole model at the end, so that it may prove optimality.

    A relaxation costs one call of the backend. Without a predictor, the linear relaxation predicts.

    Attributes:
        predictor: an object with `scores(problem)`, see `Predictor`; or None.
        model: file of a trained predictor, instead of `predictor`.
        mode: "trust_region" (a row that keeps most predictions), "hint" (predictions as the backend's starting point)
            or "fix" (predictions fixed; the trust region of radius 0).
        k0, k1: shares of the binaries predicted to be 0 and 1; radius: share of those chosen that may differ.
        jump: share of the time limit, at most, for the local search of `FeasibilityJump` before anything else; it ends
            when it pays no more. Its point is the first incumbent, and where a backend may start.
        first: share of the time left then for the search around the prediction; what is left goes to neighbourhoods of
            the incumbent that the prediction guides. 1: the first phase takes all.
        mode, k0, k1, radius, jump, first: None: what the predictor was tuned to, else "trust_region", 0.4, 0, 0.15,
            0.05 and 1.
        backend: "highs", "scip", "cpsat" or "auto": what the predictor was tuned to if it takes the model, else as
            for `milp`. gap: relative gap at which a solution counts as optimal.
        threads: None: those of the run.

    Raises:
        OptionError: a value outside its range, or predictor and model together.
    """

    replayable: ClassVar[bool] = False
    needs_limit: ClassVar[bool] = False

    predictor: Predictor | None = None
    model: str | None = None
    mode: str | None = None
    k0: float | None = None
    k1: float | None = None
    radius: float | None = None
    jump: float | None = None
    first: float | None = None
    backend: str = "auto"
    gap: float = 0.0
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in MODES:
            raise OptionError(f"mode must be one of {list(MODES)} or None, got {self.mode!r}")
        if self.predictor is not None and not callable(getattr(self.predictor, "scores", None)):
            raise OptionError(f"predictor must have a method scores(problem), got {self.predictor!r}")
        if self.model is not None and not isinstance(self.model, (str, Path)):
            raise OptionError(f"model must be a path of a trained predictor or None, got {self.model!r}")
        if self.model is not None and self.predictor is not None:
            raise OptionError(f"model must be None where a predictor is given, got {self.model!r}")
        for name in ("k0", "k1", "radius", "jump", "first"):
            if getattr(self, name) is not None:
                check_share(getattr(self, name), name)
        if (self.k0 or 0.0) + (self.k1 or 0.0) > 1:
            raise OptionError(f"k0 + k1 must be at most 1, got {self.k0} and {self.k1}")
        check_backend_option(self.backend, ("auto",))
        check_share(self.gap, "gap", np.inf)
        check_count(self.threads, "threads")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a MILP with binaries, and models that the backend does not take."""
        if not isinstance(problem, MILP):
            return "it reads the rows of a MILP"
        if not len(problem.binaries):
            return "it needs binary variables to predict, and the model has none; solve it with 'milp'"
        refuses = getattr(self.predictor, "refuses", None)
        if refuses is not None and (reason := refuses(problem)) is not None:
            return str(reason)
        if self.backend in BACKENDS:
            return refusal(problem.model, self.backend)
        return None

    def start(self, problem: Problem, rng: Generator) -> PredictAndSearchRun:
        """Return a new run."""
        assert isinstance(problem, MILP)
        return PredictAndSearchRun(self, problem, rng)


class PredictAndSearchRun:
    """One prediction and the search around it."""

    def __init__(self, options: PredictAndSearch, problem: MILP, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._predictor = _predictor(options)
        self._way = _way(options, self._predictor)
        self._backend = _backend(options, self._way, problem)
        self.details: dict[str, Any] = {}

    def warm_up(self) -> None:
        """Start the backend's process or load its library before the clock starts."""
        if self._way["jump"] > 0:
            warm()
        ready(self._backend, self._problem.model)

    def search(self, control: Control) -> None:
        """Predict, search, relax; see the class."""
        desk = Desk(self._problem, control)
        if desk.stop():
            return
        options = self._options
        stage = Stage(
            self._problem.model,
            desk,
            self._backend,
            options.threads or control.threads,
            options.gap,
            self._rng,
        )
        first_incumbent(self._problem, desk, self._rng, float(self._way["jump"]), self.details)
        stage.reserve(float(self._way["first"]))
        scores = self._scores()
        zeros, ones, radius = self._chosen(scores)
        self.details |= {
            "backend": self._backend,
            "predicted": [len(zeros), len(ones)],
            "radii": [],
        }
        if self._search_near(stage, zeros, ones, radius):
            return
        if self._way["first"] < 1 and desk.best is not None and not desk.stop():
            stage.reserve(1.0)
            doubtful = (
                1.0 - float(self._way["k0"]) - float(self._way["k1"])
            )  # what the prediction is not sure of
            neighbourhoods = Neighbourhoods(
                self._problem, stage, self._rng, scores, self.details, doubtful=doubtful
            )
            if neighbourhoods.search():
                return
        desk.close()

    def _scores(self) -> Floats:
        """The prediction; NaN where the settings make nothing of it."""
        if self._way["k0"] + self._way["k1"] == 0 and self._way["first"] >= 1:
            return np.full(self._problem.n_variables, np.nan)
        return checked_scores(self._predictor, self._problem)

    def _chosen(self, scores: Floats) -> tuple[Columns, Columns, int]:
        """The columns predicted to be 0 and 1, and how many of them may differ."""
        k0, k1, radius = (float(self._way[name]) for name in ("k0", "k1", "radius"))
        zeros, ones = choose(scores, min(k0, 1.0 - min(k1, 1.0)), min(k1, 1.0))
        chosen = len(zeros) + len(ones)
        return zeros, ones, 0 if self._way["mode"] == "fix" else math.ceil(radius * chosen)

    def _search_near(self, stage: Stage, zeros: Columns, ones: Columns, radius: int) -> bool:
        """The first phase; True when the run is decided."""
        model, mode = self._problem.model, self._way["mode"]
        if mode == "hint" or not len(zeros) + len(ones):
            hint = np.full(model.n_variables, np.nan)
            hint[zeros], hint[ones] = 0.0, 1.0
            result = stage.solve(model, whole=True, hint=hint if stage.desk.best is None else None)
            return stage.desk.conclude(result, self._options.gap)
        chosen = len(zeros) + len(ones)
        while radius < chosen and not stage.over:
            self.details["radii"].append(radius)
            restricted = fixed(model, zeros, ones) if radius == 0 else near(model, zeros, ones, radius)
            patience = max(PATIENCE * stage.seconds, LEAST_PATIENCE) if np.isfinite(stage.seconds) else np.inf
            result = stage.solve(restricted, patience=patience)
            barren = stage.desk.best is None
            if not _done(result) and not barren:
                return False
            growth = GROWTH if _done(result) else BARREN_GROWTH
            radius = max(1, math.ceil(growth * radius)) if radius else max(1, math.ceil(RADIUS * chosen / 4))
        if stage.over:
            return False
        self.details["radii"].append(None)  # the whole model
        return stage.desk.conclude(stage.solve(model, whole=True), self._options.gap)


def _way(options: PredictAndSearch, predictor: Predictor) -> dict[str, Any]:
    """How to search: what the options say, else what the predictor was tuned to, else what is usual."""
    tuned = dict(getattr(predictor, "settings", None) or {})
    found = {name: tuned.get(name, usual) for name, usual in USUAL.items()}
    return found | {name: asked for name in USUAL if (asked := getattr(options, name)) not in (None, "auto")}


def _backend(options: PredictAndSearch, way: dict[str, Any], problem: MILP) -> str:
    """The backend of the options; one that the predictor was tuned to only where it is there and takes the model."""
    name = str(way["backend"])
    if options.backend != "auto":
        return name
    usable = name in BACKENDS and installed(name) and refusal(problem.model, name) is None
    return name if usable else backend_for(problem.model, 1)


def _done(result: LinearResult) -> bool:
    """Whether a restricted model has nothing left to give."""
    return result.status in (LinearStatus.OPTIMAL, LinearStatus.INFEASIBLE, LinearStatus.UNBOUNDED)


def _predictor(options: PredictAndSearch) -> Predictor:
    if options.predictor is not None:
        return options.predictor
    if options.model is None:
        return Relaxation()
    require("torch", "learn")
    loaded: Predictor = import_module("optengine.solvers.milp.learning.predictor").Predictor.load(
        options.model
    )
    return loaded
