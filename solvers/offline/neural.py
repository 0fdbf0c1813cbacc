"""Ascent of neural surrogates: plain, conservative, ranking, line-integral; each with or without IGNITE.

- `gradient_ascent`: an ensemble by squared error or likelihood, climbed by its mean, minimum or mean - deviation.
- `coms`: conservative objective models (Trabucco et al., ICML 2021, arXiv:2107.06882).
- `ram`: ranking losses with output adaptation (Tan et al., ICLR 2025, arXiv:2410.11502).
- `match_opt`: gradients matched along lines (Hoang et al., ICML 2024).
- `ignite`: any of them with the sharpness regulariser (Dao et al., NeurIPS 2024, arXiv:2503.04242).

They differ from the published codes in size (ensembles of small networks trained for seconds on a CPU), in early
stopping by rank, and in the choice of the final batch, which all offline solvers here share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.random import Generator

from optengine import registry
from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.problems.offline import Offline
from optengine.solvers.offline.ensemble import AGGREGATES, Ensemble
from optengine.solvers.offline.run import OfflineRun, check_options, refuses_all_but_tables
from optengine.solvers.offline.table import Table
from optengine.surrogates.mlp_sequences import better_network, letters_of, with_filters
from optengine.surrogates.mlp_sharpness import KINDS, Sharpness

if TYPE_CHECKING:
    from optengine.core.problem import Problem

NETWORKS = ("auto", "dense", "filters")
CUDA_ROWS = 20_000  # below which a small network is trained as fast on a CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientAscent:
    """Ascent of an ensemble of small networks from the best rows. One step of training costs O(members batch hidden^2).

    Attributes:
        loss: "mse" or "nll" (and in `ram`, `coms`, `match_opt` theirs).
        aggregate: "mean", "min", or "lcb" (mean - deviation) of the members.
        members, hidden: networks, and units of each of their two layers. training_steps, batch: of Adam.
        sharpness: IGNITE's regulariser: "none", "fixed" or "lagrangian".
        network: "dense" layers, as published; "filters" before them, for one array of over 16 categories; "auto": what
            ranks held-out rows better after a short training of both.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False
    offline: ClassVar[bool] = True
    losses: ClassVar[tuple[str, ...]] = ("mse", "nll")

    loss: str = "mse"
    aggregate: str = "mean"
    members: int = 5
    hidden: int = 128
    training_steps: int = 600
    batch: int = 256
    sharpness: str = "none"
    network: str = "auto"

    def __post_init__(self) -> None:
        check_options(self, whole=("members", "hidden", "training_steps", "batch"))
        for name, known in (
            ("loss", self.losses),
            ("aggregate", AGGREGATES),
            ("sharpness", KINDS),
            ("network", NETWORKS),
        ):
            if getattr(self, name) not in known:
                raise OptionError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but an Offline problem; filters for what is no sequence."""
        reason = refuses_all_but_tables(problem)
        if reason is None and self.network == "filters" and not letters_of(problem.space):
            return "network='filters' reads one array of more than 16 categories of the same levels"
        return reason

    def start(self, problem: Problem, rng: Generator) -> NeuralRun:
        """Return a new run."""
        assert isinstance(problem, Offline)
        return NeuralRun(self, problem, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class COMs(GradientAscent):
    """Conservative objective models: an ensemble that is pressed down where ascent leads; see `GradientAscent`.

    The multiplier of the overestimation rises while it exceeds half a standard deviation of y, and falls below.
    """

    losses: ClassVar[tuple[str, ...]] = ("coms",)

    loss: str = "coms"
    members: int = 1
    training_steps: int = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class RaM(GradientAscent):
    """Ranking instead of regression: lists of `batch` rows, loss "listnet" or "rankcosine"; see `GradientAscent`."""

    losses: ClassVar[tuple[str, ...]] = ("listnet", "rankcosine")

    loss: str = "listnet"
    batch: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchOpt(GradientAscent):
    """Gradients matched along the lines between pairs of rows, beside squared error; see `GradientAscent`."""

    losses: ClassVar[tuple[str, ...]] = ("match_opt",)

    loss: str = "match_opt"
    batch: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignite:
    """Another solver of this folder with the sharpness regulariser on its surrogate: about twice its training time.

    Attributes:
        base: name of an offline solver that has the option `sharpness`.
        kind: "lagrangian" (the paper's IGNITE) or "fixed" (its IGNITE-2).
        base_options: options of the base, as a dict; None: its defaults.

    Raises:
        OptionError: a base without that option, options that it has not, or an unknown kind.
    """

    replayable: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False
    offline: ClassVar[bool] = True

    base: str = "gradient_ascent"
    kind: str = "lagrangian"
    base_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS[1:]:
            raise OptionError(f"kind must be one of {list(KINDS[1:])}, got {self.kind!r}")
        base = registry.load(self.base)
        if "sharpness" not in [f.name for f in dataclasses.fields(base)]:
            raise OptionError(f"base must be an offline solver with a neural surrogate, got {self.base!r}")
        if self.base_options is not None and not isinstance(self.base_options, Mapping):
            raise OptionError(f"base_options must be a dict or None, got {self.base_options!r}")
        self._ignited()

    def _ignited(self) -> Any:
        """The base with the regulariser."""
        return registry.make(self.base, dict(self.base_options or {}) | {"sharpness": self.kind})

    def refuses(self, problem: Problem) -> str | None:
        """What the base refuses."""
        reason: str | None = self._ignited().refuses(problem)
        return reason

    def start(self, problem: Problem, rng: Generator) -> OfflineRun:
        """Return a new run of the base."""
        run: OfflineRun = self._ignited().start(problem, rng)
        return run


class NeuralRun(OfflineRun):
    """State of one run."""

    def __init__(self, options: GradientAscent, problem: Offline, rng: Generator) -> None:
        super().__init__(problem, rng)
        self._options = options

    def fit(self, table: Table, control: Control) -> Ensemble:
        """Train the ensemble."""
        from optengine.surrogates.mlp import MLPEnsemble, Training

        options = self._options
        training = Training(
            members=options.members,
            hidden=options.hidden,
            loss=options.loss,
            steps=options.training_steps,
            batch=options.batch,
            sharpness=Sharpness(kind=options.sharpness),
        )
        device = device_for(control.device, len(table.t))
        letters = 0 if options.network == "dense" else letters_of(table.space)
        if letters:
            if options.network == "auto":
                parts = training, letters, self._rng, control.stop, device
                training = better_network(table.Z, table.t, *parts)
            else:
                training = with_filters(training, letters)
            self.details["network"] = "filters" if training.letters else "dense"
        model = MLPEnsemble(table.Z, table.t, training, self._rng, control.stop, device)
        self.details["held_out_spearman"] = model.curve
        if options.sharpness != "none":
            self.details["multiplier"] = model.multiplier
        return Ensemble([model], self.constraint_models(table), options.aggregate)


def device_for(device: str, rows: int) -> str:
    """Return "cpu" or "cuda": what was asked for, or the GPU where there is one and the table is large."""
    if device != "auto":
        return device
    if rows < CUDA_ROWS:
        return "cpu"
    from optengine.core.errors import require

    return "cuda" if require("torch", "bayes").cuda.is_available() else "cpu"
