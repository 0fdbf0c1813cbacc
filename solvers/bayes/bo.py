"""Bayesian optimization: fit a model to all values so far, evaluate where an acquisition function is largest.

Frazier, A tutorial on Bayesian optimization, 2018, arXiv:1807.02811. Two engines stand behind the one solver: "fast",
a Gaussian process of our own (NumPy and SciPy, no torch), which suggests in milliseconds, and "botorch", which offers
what BoTorch does (Balandat et al., NeurIPS 2020, arXiv:1910.06403): knowledge gradient, entropy search, sparse and
fully Bayesian models, risk measures, any number of objectives.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from optengine.core.errors import OptionError
from optengine.solvers.bayes.beliefs import Beliefs, as_beliefs
from optengine.solvers.bayes.torch_options import TorchOptions
from optengine.solvers.bayes.torch_plan import refusal

if TYPE_CHECKING:
    from optengine.core.problem import Problem

ENGINES = ("auto", "fast", "botorch")
ACQUISITIONS: dict[str, tuple[str, ...]] = {  # name -> engines that have it
    "auto": ("fast", "botorch"),
    "logei": ("fast", "botorch"),
    "qlognei": ("fast", "botorch"),
    "ts": ("botorch",),
    "ucb": ("botorch",),
    "kg": ("botorch",),
    "mes": ("botorch",),
    "gibbon": ("botorch",),
    "jes": ("botorch",),
    "pes": ("botorch",),
    "config": ("fast",),
    "variance": ("fast",),
    "logehvi": ("fast",),
    "qlognehvi": ("botorch",),
    "qlognparego": ("botorch",),
    "mfkg": ("botorch",),
    "mfmes": ("botorch",),
}
SURROGATES: dict[str, tuple[str, ...]] = {
    "auto": ("fast", "botorch"),
    "gp": ("fast", "botorch"),
    "mixed": ("botorch",),
    "ibnn": ("botorch",),
    "gradients": ("botorch",),
    "saas": ("botorch",),
    "additive": ("botorch",),
    "robust": ("botorch",),
    "fully_bayesian": ("botorch",),
    "multitask": ("botorch",),
    "multifidelity": ("fast", "botorch"),
}
KERNELS = ("auto", "rbf", "matern52")
TORCH_RUN = "optengine.solvers.bayes.torch_run"
LARGEST_FAST = 400  # columns of the fast engine's model
MOST_OBJECTIVES = 4  # of the fast engine: beyond, the hypervolume has too many boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class BO:
    """Bayesian optimization (Frazier, 2018, arXiv:1807.02811) for functions whose evaluations are dear.

    Update: the model's hyperparameters are fitted to all values, and the next point maximises the acquisition function.
    One ask costs O(n^3) for n values, a few tens of milliseconds up to n = 100 and some hundreds at n = 500 in the fast
    engine; the botorch engine takes seconds.

    Attributes:
        engine: "fast" (our own Gaussian process), "botorch" (pip install 'optengine[bayes]'), or "auto": fast wherever
            it can, botorch for more than four objectives and for the acquisitions, surrogates and risks that only it
            has.
        acquisition: what the next point maximises. "auto": "logei", the logarithm of expected improvement (Ament et
            al., NeurIPS 2023, arXiv:2310.20708) where values are exact, "qlognei", the same over what the best of the
            evaluated points may be (Letham et al., 2019, arXiv:1706.07094) where they are noisy. Where there are
            fidelities, the fast engine asks the point that "qlognei" chooses for the target at the fidelity whose value
            explains most of the target's variance there per cost, and improves on the best value at the target
            whenever cheap ones have cost as much as one there; the botorch engine takes "mfkg", the
            knowledge gradient a unit of cost (Wu et al., UAI 2019, arXiv:1903.04703). Several objectives: "logehvi",
            the logarithm of the exact expected hypervolume improvement (Yang et al., 2019,
            doi:10.1007/s10898-019-00798-7), and in the botorch engine "qlognehvi" or "qlognparego". With constraints,
            times the probability of keeping them. "config" (Xu et al., ICML 2023, arXiv:2211.00162) minimises the
            objective's lower confidence bound where those of the constraints allow it, and declares the problem
            infeasible where they do so nowhere: `details["certificate"]`. "variance" explores: it reduces the variance
            integrated over the space (see `optengine.workflows.explore`). The others are BoTorch's ("ts": Thompson
            sampling).
        surrogate: "auto": a Gaussian process, over all fidelities where there are some ("multifidelity"); "gp": one
            over the target alone, and nothing below it is evaluated; the others are BoTorch's.
        kernel: "rbf", "matern52", or "auto": what the engine does best with.
        warping: whether numbers pass through fitted Kumaraswamy distributions (Snoek et al., ICML 2014,
            arXiv:1402.0929).
        noise: standard deviation of the values' noise, in the objective's unit, >= 0. None: fitted; known where the
            objective reports it.
        n_initial: points spread evenly before the model is used, >= 1; values known beforehand count. None: between
            5 and 12 by the number of columns.
        batch: points asked together, >= 1.
        max_ask_seconds: wall time after which an ask settles for the best point found, > 0; runs then are not
            replayable. None: no limit.
        trust_region: "auto": in spaces of more than 20 columns search a box around the incumbent that grows with
            successes and shrinks with failures (TuRBO, Eriksson et al., NeurIPS 2019, arXiv:1910.01739); True or False.
        n_starts: local searches of the acquisition function, >= 1. n_raw: points it is looked at before, >= 1.
        n_samples: sampled functions behind noisy and pending values, >= 1.
        reference_point: of several objectives: a point that all of the front is better than, in their own units and
            directions. None: inferred from the front so far.
        confidence: standard deviations between means and bounds of "config", > 0.
        cooling: total cost that will be spent, as `max_cost`, > 0: the acquisition is divided by the expected cost to a
            power that falls from 1 to 0 as the total is spent (Lee et al., 2020, arXiv:2003.10870). None: costs do not
            count, but between fidelities. Fast engine.
        beliefs: what is believed beforehand of the optimum, `Beliefs(...)`; a dict variable -> `Near(value, spread)`,
            or level -> weight of categories, states its place. Fast engine.
        torch: further options of the botorch engine.

    Raises:
        OptionError: a value outside its range.
    """

    engine: str = "auto"
    acquisition: str = "auto"
    surrogate: str = "auto"
    kernel: str = "auto"
    warping: bool = False
    noise: float | None = None
    n_initial: int | None = None
    batch: int = 1
    max_ask_seconds: float | None = None
    trust_region: bool | str = "auto"
    n_starts: int = 6
    n_raw: int = 512
    n_samples: int = 16
    reference_point: Sequence[float] | None = None
    confidence: float = 3.0
    cooling: float | None = None
    beliefs: Beliefs | Mapping[str, Any] | None = None
    torch: TorchOptions | None = None

    @property
    def stated(self) -> Beliefs | None:
        """The beliefs, a dict being those about the place."""
        return as_beliefs(self.beliefs)

    @property
    def replayable(self) -> bool:
        """Whether the same asks and tells rebuild the same run: not where the clock decides, nor under BoTorch.

        Where "auto" resolves to BoTorch only because of the problem, the run itself says so.
        """
        return self.max_ask_seconds is None and self._asked_engine() != "botorch"

    def __post_init__(self) -> None:
        for name, known in (
            ("engine", ENGINES),
            ("acquisition", tuple(ACQUISITIONS)),
            ("surrogate", tuple(SURROGATES)),
            ("kernel", KERNELS),
        ):
            if getattr(self, name) not in known:
                raise OptionError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")
        if not isinstance(self.warping, (bool, np.bool_)):
            raise OptionError(f"warping must be True or False, got {self.warping!r}")
        if self.trust_region != "auto" and not isinstance(self.trust_region, (bool, np.bool_)):
            raise OptionError(f"trust_region must be 'auto', True or False, got {self.trust_region!r}")
        for name, optional in (
            ("n_initial", True),
            ("batch", False),
            ("n_starts", False),
            ("n_raw", False),
            ("n_samples", False),
        ):
            value = getattr(self, name)
            whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1
            if not whole and not (optional and value is None):
                raise OptionError(f"{name} must be an integer >= 1{' or None' * optional}, got {value!r}")
        for name, words, least in (
            ("noise", ">= 0", 0.0),
            ("max_ask_seconds", "> 0", 1e-300),
            ("cooling", "> 0", 1e-300),
        ):
            value = getattr(self, name)
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if value is not None and not (number and least <= value < math.inf):
                raise OptionError(f"{name} must be a finite number {words} or None, got {value!r}")
        point = self.reference_point
        if point is not None and not _is_point(point):
            raise OptionError(f"reference_point must be a list of numbers or None, got {point!r}")
        if self.torch is not None and not isinstance(self.torch, TorchOptions):
            raise OptionError(f"torch must be TorchOptions(...) or None, got {self.torch!r}")
        self._check_beliefs()
        self._check_engine()

    def _check_beliefs(self) -> None:
        if not _is_point([self.confidence]) or not self.confidence > 0:
            raise OptionError(f"confidence must be a finite number > 0, got {self.confidence!r}")
        given = [name for name in ("beliefs", "cooling") if getattr(self, name) is not None]
        if self.acquisition == "config":
            given.append("acquisition 'config'")
        if len(given) > 1:
            raise OptionError(
                f"only one of beliefs, cooling and acquisition 'config' can be used, got {given}"
            )
        if self.cooling is not None and self._asked_engine() == "botorch":
            raise OptionError("cooling is for engine 'fast', got engine 'botorch' for it")
        if self.stated is not None and self._asked_engine() == "botorch":
            raise OptionError(
                f"beliefs are for engine 'fast', got engine {self._asked_engine()!r} for the others"
            )

    def _check_engine(self) -> None:
        for name, table in (("acquisition", ACQUISITIONS), ("surrogate", SURROGATES)):
            value = getattr(self, name)
            if self.engine != "auto" and self.engine not in table[value]:
                raise OptionError(
                    f"{name} of engine {self.engine!r} must be one of "
                    f"{[k for k, engines in table.items() if self.engine in engines]}, got {value!r}"
                )

    def _asked_engine(self) -> str:
        """The engine that the options alone settle, or "auto"."""
        only_torch = "fast" not in ACQUISITIONS[self.acquisition] or "fast" not in SURROGATES[self.surrogate]
        only_torch = only_torch or (self.torch is not None and self.torch.risk is not None)
        return "botorch" if self.engine == "auto" and only_torch else self.engine

    def engine_for(self, problem: Problem) -> str:
        """Return "fast" or "botorch": what `problem` gets."""
        engine = self._asked_engine()
        if engine == "auto":
            engine = "fast" if problem.n_objectives <= MOST_OBJECTIVES else "botorch"
        return engine

    def refuses(self, problem: Problem) -> str | None:
        """More objectives than the engine takes, spaces too wide for a model; BoTorch where it is not installed."""
        point = self.reference_point
        if point is not None and len(point) != problem.n_objectives:
            return f"reference_point must have {problem.n_objectives} numbers, one an objective, got {list(point)}"
        if self.engine_for(problem) == "botorch":
            return self._botorch_refusal(problem)
        beliefs, k, space = self.stated, problem.n_objectives, problem.space
        if beliefs is not None and (why := beliefs.misfit(problem)) is not None:
            return why
        if k > MOST_OBJECTIVES:
            return f"engine 'fast' takes at most {MOST_OBJECTIVES} objectives, and the problem has {k}"
        if self.acquisition != "auto" and (k > 1) != (self.acquisition == "logehvi"):
            right = "is for one objective" if k > 1 else "is for several objectives"
            return f"acquisition {self.acquisition!r} {right}, and the problem has {k}; use 'auto'"
        special = "" if self.cooling is None else "cooling"
        special = (
            f"acquisition {self.acquisition!r}" if self.acquisition in ("config", "variance") else special
        )
        if special and (space.fidelity or k > 1):
            return f"{special} is for one objective and spaces without fidelities; use the default"
        if self.surrogate == "multifidelity" and not (problem.space.fidelity and k == 1):
            return "surrogate 'multifidelity' needs a variable with fidelity=True, and one objective"
        if problem.space.width > LARGEST_FAST:
            return f"its model takes at most {LARGEST_FAST} columns, and the space has {problem.space.width}"
        return None

    def _botorch_refusal(self, problem: Problem) -> str | None:
        if importlib.util.find_spec(TORCH_RUN) is None:
            return "it has no engine for this problem"
        if importlib.util.find_spec("botorch") is None:
            needs = "needs BoTorch: pip install 'optengine[bayes]'"
            return f"engine 'botorch' {needs}"
        return refusal(self, problem)

    def start(self, problem: Problem, rng: Generator) -> Any:
        """Return a new run of the engine that `problem` gets."""
        if self.engine_for(problem) == "botorch":
            return importlib.import_module(TORCH_RUN).TorchRun(self, problem, rng)
        from optengine.solvers.bayes.fast import FastRun

        return FastRun(self, problem, rng)


def _is_point(point: object) -> bool:
    """Whether this is a list, tuple or array of finite numbers."""
    if isinstance(point, str) or not isinstance(point, (Sequence, np.ndarray)):
        return False
    return all(
        isinstance(v, (int, float, np.number)) and not isinstance(v, bool) and math.isfinite(v) for v in point
    )
