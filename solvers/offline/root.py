"""ROOT: learn to walk from low to high points of functions that could have made the table.

Dao et al., ROOT, NeurIPS 2025, arXiv:2509.16300. Gaussian processes with hyperparameters drawn at random, not fitted,
are conditioned on the table; from good rows, ascent and descent of each posterior mean make pairs of a high and a low
point; a Brownian bridge with classifier-free guidance (`surrogates.bridge`) learns the way between such pairs, and the
best rows of the table are walked along it.

Differs from the published code: the target value comes from the synthetic pairs, a quantile of their high ends, where
the code uses the oracle's maximum, which nobody has; lengthscales are stated relative to the distances of the table's
rows; the batch is chosen among the walks' ends, several for each row. The default sizes are for a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.core.space import BINARY, CATEGORICAL
from optengine.kernels.rbf_sums import rbf_gram, rbf_sums_fused
from optengine.problems.offline import Offline
from optengine.solvers.offline.ensemble import Ensemble
from optengine.solvers.offline.neural import device_for
from optengine.solvers.offline.relaxed import Relaxed
from optengine.solvers.offline.run import STARTS, OfflineRun, check_options, refuses_all_but_tables
from optengine.solvers.offline.searching import Pool
from optengine.solvers.offline.table import Table
from optengine.surrogates.posterior import Posterior, spread_rows, try_settings

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

CONTINUOUS, DISCRETE = (
    0.35,
    0.78,
)  # lengthscale over the root mean square distance of rows: the published l = 1 and 6.25
NOISE = 0.01
LEAST_GAIN = 1e-3  # of a pair, standard deviations of y
JUDGE_ROWS = 1500  # that the model which ranks the walks' ends is fitted to


@dataclass(frozen=True, slots=True, kw_only=True)
class ROOT:
    """Brownian bridges between low and high points of synthetic functions.

    Costs epochs * functions * (rows^3 / 3 + 2 * ascent_steps * starts * rows * d), then the network's training.

    Attributes:
        epochs, functions: rounds, and Gaussian processes drawn in each (published: 100 and 8).
        starts: best rows from which pairs are made (1024). rows: of the table a process is conditioned on.
        ascent_steps: up and down (100). ascent_rate: step, in units of the squared lengthscale.
        spread: of hyperparameters around their middle, as a share of it (0.25).
        training_steps, hidden: of the bridge's network. walk_steps: of the walk (200). eta: its noise.
        guidance: w of (1 + w) conditional - w unconditional; -1.5 as published: mostly unconditional.
        target_quantile: of the synthetic high ends' values, what the walk is conditioned on, in (0, 1].
        walks: from each row.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False
    offline: ClassVar[bool] = True

    epochs: int = 12
    functions: int = 4
    starts: int = 384
    rows: int = 800
    ascent_steps: int = 30
    ascent_rate: float = 0.1
    spread: float = 0.25
    training_steps: int = 1500
    hidden: int = 192
    walk_steps: int = 100
    eta: float = 0.2
    guidance: float = -1.5
    target_quantile: float = 0.9
    walks: int = 4

    def __post_init__(self) -> None:
        whole = (
            "epochs", "functions", "starts", "rows", "ascent_steps", "training_steps", "hidden", "walk_steps", "walks",
        )  # fmt: skip
        check_options(self, whole=whole, positive=("ascent_rate", "spread", "eta", "target_quantile"))
        if self.target_quantile > 1 or self.spread >= 1:
            raise OptionError(
                f"target_quantile must be <= 1 and spread < 1, got {self.target_quantile!r} and {self.spread!r}"
            )
        number = isinstance(self.guidance, (int, float)) and not isinstance(self.guidance, bool)
        if not number or not np.isfinite(self.guidance):
            raise OptionError(f"guidance must be a finite number, got {self.guidance!r}")
        if self.walk_steps < 2:
            raise OptionError(f"walk_steps must be >= 2, got {self.walk_steps!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but an Offline problem; spaces whose points are no vectors."""
        reason = refuses_all_but_tables(problem)
        if reason is None and (problem.space.blocks or problem.space.conditional):
            return "it walks in vectors: no permutations, subsets, simplexes or conditions"
        return reason

    def start(self, problem: Problem, rng: Generator) -> ROOTRun:
        """Return a new run."""
        assert isinstance(problem, Offline)
        return ROOTRun(self, problem, rng)


@dataclass
class Pairs:
    """High and low ends (n, f), standardised features, and their values (n,)."""

    high: Floats
    low: Floats
    y_high: Floats
    y_low: Floats


class ROOTRun(OfflineRun):
    """State of one run."""

    def __init__(self, options: ROOT, problem: Offline, rng: Generator) -> None:
        super().__init__(problem, rng)
        self._options = options

    def warm_up(self) -> None:
        """Compile or load the kernel, before the clock starts."""
        one = np.ones((1, 1), dtype=np.float32)
        rbf_sums_fused(one, one, one[0])

    def fit(self, table: Table, control: Control) -> Ensemble:
        """The model that ranks the walks' ends; the published method takes them as they come."""
        trial = try_settings(table.Z, table.t, self._rng)[0]
        self._setting, self._spearman = trial.setting, trial.extrapolation
        rows = spread_rows(table.t, JUDGE_ROWS, self._rng)
        model = Posterior(table.Z[rows], table.t[rows], trial.setting)
        return Ensemble([model], self.constraint_models(table))

    def candidates(self, table: Table, ensemble: Ensemble, control: Control) -> Pool:
        """Make pairs, learn the bridge, walk the best rows along it."""
        from optengine.surrogates.bridge import BridgeNetwork, BridgeTraining, walk

        options, rng = self._options, self._rng
        relaxed = Relaxed(table.space, table.features)
        spread = table.Z.std(axis=0)
        centre, scale = table.Z.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)
        S = (table.Z - centre) / scale
        bounds = (-centre / scale, (1.0 - centre) / scale)
        pairs = self._pairs(table, S, bounds, control)
        training = BridgeTraining(steps=options.training_steps, hidden=options.hidden)
        device = device_for(control.device, len(S))
        network = BridgeNetwork(
            pairs.high, pairs.low, pairs.y_high, pairs.y_low, training, rng, control.stop, device
        )
        target = float(np.quantile(pairs.y_high, options.target_quantile))
        self.details |= {"target": float(table.value(np.array(target))), "pairs": len(pairs.high)}
        best = np.repeat(np.argsort(-table.t, kind="stable")[:STARTS], options.walks)
        predict = network.guided(target, table.t[best], options.guidance)
        ends = walk(S[best], predict, rng, options.walk_steps, options.eta, stop=control.stop)
        V = ends * scale + centre
        X = table.kept(relaxed.decode(relaxed.clip(V)), rng)
        return Pool(X, ["bridge"] * len(X))

    def _pairs(self, table: Table, S: Floats, bounds: tuple[Floats, Floats], control: Control) -> Pairs:
        """Ascend and descend posterior means of random processes from good rows."""
        options, rng = self._options, self._rng
        hot = np.isin(table.space.kind, (CATEGORICAL, BINARY)).mean() > 0.5
        middle = (DISCRETE if hot else CONTINUOUS) * float(np.sqrt(2.0 * (S**2).sum(axis=1).mean()))
        top = np.argsort(-table.t, kind="stable")[: 2 * options.starts]
        parts: list[Pairs] = []
        for _ in range(options.epochs * options.functions):
            if parts and control.stop():
                break
            low, high = 1 - options.spread, 1 + options.spread
            length, size = middle * rng.uniform(low, high), rng.uniform(low, high)
            rows = spread_rows(table.t, options.rows, rng)
            from_ = S[rng.choice(top, min(options.starts, len(top)), replace=False)]
            parts.append(self._climbed(S[rows] / length, table.t[rows], size, from_ / length, length, bounds))
        joined = Pairs(
            *(np.concatenate([getattr(p, n) for p in parts]) for n in ("high", "low", "y_high", "y_low"))
        )
        kept = joined.y_high - joined.y_low > LEAST_GAIN
        kept = kept if kept.any() else np.ones(len(kept), dtype=bool)
        return Pairs(joined.high[kept], joined.low[kept], joined.y_high[kept], joined.y_low[kept])

    def _climbed(
        self, B: Floats, t: Floats, size: float, A: Floats, length: float, bounds: tuple[Floats, Floats]
    ) -> Pairs:
        """Pairs of one process; points in units of the lengthscale."""
        K = size * rbf_gram(B, B)
        K.flat[:: len(K) + 1] += NOISE
        alpha = (size * cho_solve(cho_factor(K, lower=True), t)).astype(np.float32)
        columns = np.ascontiguousarray(B.T, dtype=np.float32)
        low, high = (np.asarray(b / length, dtype=np.float32) for b in bounds)
        ends: list[Any] = []
        for sign in (1.0, -1.0):
            at = A.astype(np.float32)
            step = np.float32(sign * self._options.ascent_rate)
            for _ in range(self._options.ascent_steps):
                at = np.clip(at + step * rbf_sums_fused(at, columns, alpha)[1], low, high)
            ends += [at.astype(np.float64) * length, rbf_sums_fused(at, columns, alpha)[0].astype(np.float64)]
        return Pairs(ends[0], ends[2], ends[1], ends[3])
