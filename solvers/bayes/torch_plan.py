"""Which model and which acquisition function a problem gets, and what cannot be had together. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optengine.core.errors import SolverNotSuitable, did_you_mean
from optengine.core.space import REAL
from optengine.solvers.bayes.torch_options import TorchOptions

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.bo import BO

MANY_OBJECTIVES = 4  # beyond which the hypervolume is left for random scalarisations
LARGE_BATCH = 8  # points asked together, likewise
LARGEST_GRADIENTS = 12  # columns of a model of derivatives: it has n (columns + 1) rows
SEVERAL = ("qlognehvi", "qlognparego")
LOWER = ("mfkg", "mfmes", "gibbon")  # they choose point and fidelity together
THEN_LEVEL = ("logei", "qlognei")  # they choose the point, and what it tells per cost chooses the fidelity
ONE_MODEL = ("kg", "mfkg", "mes", "gibbon", "jes", "pes", "mfmes")
EXACT = ("gp", "mixed", "ibnn", "additive", "multifidelity")  # surrogates that are one exact Gaussian process
WARPED = ("gp", "mixed", "multifidelity")
NOISE_FREE = ("additive",)  # surrogates that fit the noise themselves and take none that is known


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        acquisition, surrogate: settled names. kernel: "rbf" or "matern52". warping: of numbers.
        lower: whether lower fidelities are evaluated. gradients: whether the problem gives derivatives.
        noise, reference_point, n_starts, n_raw, max_ask_seconds: the solver's options. torch: the engine's.
    """

    acquisition: str
    surrogate: str
    kernel: str
    warping: bool
    lower: bool
    gradients: bool
    noise: float | None
    reference_point: Sequence[float] | None
    n_starts: int
    n_raw: int
    max_ask_seconds: float | None
    torch: TorchOptions


def plan_for(options: BO, problem: Problem) -> Plan:
    """Return the plan of a run.

    Raises:
        SolverNotSuitable: the options cannot be had together on this problem.
    """
    reason = refusal(options, problem)
    if reason is not None:
        raise SolverNotSuitable(reason)
    acquisition = acquisition_for(options, problem)
    lower = below(options, problem, acquisition)
    return Plan(
        acquisition=acquisition,
        surrogate=surrogate_for(options, problem, lower),
        kernel="rbf" if options.kernel == "auto" else options.kernel,
        warping=bool(options.warping),
        lower=lower,
        gradients=options.surrogate == "gradients",
        noise=options.noise,
        reference_point=options.reference_point,
        n_starts=options.n_starts,
        n_raw=options.n_raw,
        max_ask_seconds=options.max_ask_seconds,
        torch=torch_options(options),
    )


def torch_options(options: BO) -> TorchOptions:
    """The engine's own options, or their defaults."""
    return options.torch or TorchOptions()


def acquisition_for(options: BO, problem: Problem) -> str:
    """The acquisition function by its name; "auto" settled."""
    if options.acquisition != "auto":
        return options.acquisition
    if problem.n_objectives > 1:
        few = problem.n_objectives <= MANY_OBJECTIVES and options.batch <= LARGE_BATCH
        return "qlognehvi" if few else "qlognparego"
    if torch_options(options).risk is not None:
        return "qlognei"
    if problem.space.fidelity and options.surrogate in ("auto", "multifidelity"):
        return "mfkg"
    return "qlognei" if problem.noisy or options.noise else "logei"


def below(options: BO, problem: Problem, acquisition: str) -> bool:
    """Whether lower fidelities are evaluated; one objective only, and not where another model was asked for."""
    if not problem.space.fidelity or problem.n_objectives > 1 or torch_options(options).risk is not None:
        return False
    return acquisition in LOWER or (
        acquisition in THEN_LEVEL and options.surrogate in ("auto", "multifidelity")
    )


def surrogate_for(options: BO, problem: Problem, lower: bool) -> str:
    """The model by its name; "auto" settled."""
    if options.surrogate != "auto":
        return options.surrogate
    return "multifidelity" if lower else "gp"


def refusal(options: BO, problem: Problem) -> str | None:
    """Return why the options cannot be had together on this problem, or None."""
    acquisition, k = acquisition_for(options, problem), problem.n_objectives
    lower = below(options, problem, acquisition)
    surrogate, torch = surrogate_for(options, problem, lower), torch_options(options)
    if not (problem.space.lower < problem.space.upper).any() and not problem.space.blocks:
        return None
    checks = (
        (
            k > 1 and acquisition not in (*SEVERAL, "ts"),
            f"acquisition {acquisition!r} is for one objective, and the problem has {k}; use 'qlognehvi'",
        ),
        (k > 1 and acquisition == "ts", "acquisition 'ts' is for one objective; use 'qlognparego'"),
        (k == 1 and acquisition in SEVERAL, f"acquisition {acquisition!r} is for several objectives"),
        (
            acquisition in ("mfkg", "mfmes") and not problem.space.fidelity,
            f"acquisition {acquisition!r} needs a variable with fidelity=True, and the space has none",
        ),
        (
            surrogate == "multifidelity" and not lower,
            "surrogate 'multifidelity' needs a variable with fidelity=True and an acquisition that uses it, as 'logei'",
        ),
        (
            lower and surrogate not in ("multifidelity", "gp", "mixed"),
            f"surrogate {surrogate!r} has no fidelities; use 'multifidelity'",
        ),
        (
            acquisition in ONE_MODEL and surrogate not in EXACT,
            f"acquisition {acquisition!r} needs one Gaussian process, and {surrogate!r} is none; use 'qlognei'",
        ),
        (
            options.trust_region is True,
            "engine 'botorch' has no trust region; use engine='fast' or trust_region='auto'",
        ),
        (
            bool(options.warping) and surrogate not in WARPED,
            f"surrogate {surrogate!r} has no warping; use surrogate='gp' or warping=False",
        ),
        (
            surrogate == "additive" and bool(problem.space.blocks),
            "surrogate 'additive' takes numbers and categories; use surrogate='gp' for this space",
        ),
        (
            options.noise is not None and surrogate in NOISE_FREE,
            f"surrogate {surrogate!r} fits the noise itself; leave noise=None",
        ),
    )
    for broken, reason in checks:
        if broken:
            return reason
    return _risk(torch, problem, acquisition, surrogate) or _gradients(problem, surrogate)


def _risk(torch: TorchOptions, problem: Problem, acquisition: str, surrogate: str) -> str | None:
    if torch.risk is None:
        return None
    if problem.n_objectives > 1 or problem.n_constraints:
        return f"risk={torch.risk!r} is for one objective without observed constraints"
    if acquisition != "qlognei" or surrogate not in ("gp", "mixed"):
        return f"risk={torch.risk!r} goes with 'qlognei' and surrogate 'gp', not {acquisition!r} and {surrogate!r}"
    reals = {
        name
        for name, v in problem.space.variables.items()
        if v.kind == REAL and name not in problem.space.fidelity
    }
    if not reals:
        return f"risk={torch.risk!r} needs a real variable that deviates, and the space has none"
    if isinstance(torch.input_noise, Mapping):
        for name in torch.input_noise:
            if name not in reals:
                return f"input_noise names {name!r}, which is no real variable{did_you_mean(name, reals)}"
    return None


def _gradients(problem: Problem, surrogate: str) -> str | None:
    if surrogate != "gradients":
        return None
    if not callable(getattr(problem, "gradient", None)):
        return "surrogate 'gradients' needs a problem with a method gradient(X) -> (n, width), and this one has none"
    space = problem.space
    if problem.n_objectives > 1 or problem.n_constraints or space.conditional or space.fidelity:
        return "surrogate 'gradients' is for one objective without observed constraints, conditions and fidelities"
    if (space.kind != REAL).any() or int((space.lower < space.upper).sum()) > LARGEST_GRADIENTS:
        return f"surrogate 'gradients' is for at most {LARGEST_GRADIENTS} reals, and the space is {space!r}"
    return None


def deviations(torch: TorchOptions, problem: Problem) -> dict[int, float]:
    """Return the standard deviation of each real column under `risk`, in the unit cube."""
    space, found = problem.space, {}
    for name, columns in space.slices.items():
        spread = (
            torch.input_noise.get(name, 0.0) if isinstance(torch.input_noise, Mapping) else torch.input_noise
        )
        for column in range(columns.start, columns.stop):
            free = space.kind[column] == REAL and space.lower[column] < space.upper[column]
            if free and name not in space.fidelity and np.isfinite(spread) and spread > 0:
                found[column] = float(spread)
    return found
