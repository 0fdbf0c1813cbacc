"""The cross-entropy method: sample a distribution, refit it to the best samples, repeat.

Rubinstein, The cross-entropy method for combinatorial and continuous optimization, Methodol. Comput. Appl. Probab. 1,
1999, doi:10.1023/A:1010091220143; de Boer et al., A tutorial on the cross-entropy method, Ann. Oper. Res. 134, 2005,
doi:10.1007/s10479-005-5724-z. The distribution is a product: Gaussians over numbers, probabilities over bits and
categories, memberships over subsets, log ratios over simplexes, matrices over permutations, in one run.

What differs from the tutorial: elites are weighted by rank; some are kept from one generation to the next (Pinneri et
al., Sample-efficient cross-entropy method, CoRL 2020, arXiv:2008.06389); stalled runs restart; and in spaces with
permutations a share of each batch is drawn as single moves of elites. The families say what differs in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.errors import OptionError
from optengine.core.space import PERMUTATION, Batch
from optengine.solvers.cem.manifold import Manifold

if TYPE_CHECKING:
    from optengine.core.problem import Problem

LARGEST_PERMUTATION = 4000  # items; the matrix of probabilities takes 128 MB
LARGEST_FULL = 2000  # columns; the covariance takes 32 MB, and its axes seconds a generation
CHOICES: dict[str, tuple[str, ...]] = {
    "family": ("auto", "diagonal", "full", "lowrank", "mixture"),
    "permutation": ("position", "transition", "plackett-luce"),
    "at_bounds": ("truncated", "reflected"),
    "weights": ("log", "equal"),
    "restarts": ("alternating", "growing", "never"),
}
SHARE = ("in (0, 1]", lambda value: 0 < value <= 1)
POSITIVE = ("> 0 and finite", lambda value: 0 < value < math.inf)
NOT_NEGATIVE = (">= 0 and finite", lambda value: 0 <= value < math.inf)
RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "elite_fraction": ("in (0, 1] or None", SHARE[1]),
    "alpha_mean": ("in (0, 1] or None", SHARE[1]),
    "alpha_sigma": ("in (0, 1] or None", SHARE[1]),
    "beta": SHARE,
    "alpha": SHARE,
    "margin": SHARE,
    "q": POSITIVE,
    "sigma_0": ("in (0, 1] or None", SHARE[1]),
    "sigma_min": ("in [1e-15, 1]", lambda value: 1e-15 <= value <= 1),  # doubles tell no finer points apart
    "floor": ("in [0, 1)", lambda value: 0 <= value < 1),
    "keep": ("in [0, 1] or None", lambda value: 0 <= value <= 1),
    "local": ("in [0, 1] or None", lambda value: 0 <= value <= 1),
    "growth": (">= 1 and finite", lambda value: 1 <= value < math.inf),
    "gamma": (">= 1 and finite", lambda value: 1 <= value < math.inf),
    "b": ("in [0, 1]", lambda value: 0 <= value <= 1),
    "nu": ("> 0 and finite or None", POSITIVE[1]),
    "delta": ("> 0 and finite or None", POSITIVE[1]),
    "z_0": NOT_NEGATIVE,
    "z_T": POSITIVE,
    "noise_beta": NOT_NEGATIVE,
    "epsilon_0": NOT_NEGATIVE,
    "epsilon_T": POSITIVE,
}
COUNTS = (
    ("population", 2, True),
    ("stagnation", 1, True),
    ("r", 1, False),
    ("K", 1, False),
    ("n_again", 0, False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CEM:
    """Cross-entropy method (Rubinstein, 1999) over every kind of variable.

    Rubinstein, Methodol. Comput. Appl. Probab. 1, 1999, doi:10.1023/A:1010091220143. Update, with elite weights w and
    smoothing alpha: mean <- mean + alpha_mean (sum w x - mean), sigma^2 <- sigma^2 + beta_t (sum w (x - mean)^2 -
    sigma^2), p <- p + alpha (sum w [x = level] - p).
    One generation costs O(population * d); d^2 in place of d for a full covariance, n^2 in place of n for each
    permutation of n items.
    Known constraints are left to the engine's repair: the run refits to the repaired points it is told.
    Points known beforehand (x0, data) are elites of the first generation, move its mean, and, from five on, its width.

    Attributes:
        family: of the distribution over numbers: "diagonal" (independent columns), "full" (covariance), "lowrank"
            (diagonal plus rank r), "mixture" (K diagonal components), or "auto": "full" for 2 to 60 columns that are
            all reals, unconditional and without noise, else "diagonal" (`models.family_of` has the whole rule).
        permutation: family of permutations: "position" (assignments), "transition" (tours) or "plackett-luce" (orders).
        population: N, rows of a generation. None: the largest any kind of variable asks for: 8 * floor(3 ln d) + 4,
            at least 64, for d numbers or shares (4 + floor(3 ln d) in the full family, K times as many in a mixture); 2
            a free probability of bits, members and categories, 5 a position of a permutation, both in 64 ... 1000.
        gamma: factor by which the population falls each generation, down to twice the elites, >= 1 (the iCEM's, 1.25).
        elite_fraction: rho, share of a generation refitted, in (0, 1]; at least 5 rows. None: 0.5 in the full family
            (as in the CMA-ES), 0.3 in the lowrank family, else 0.1 (the tutorial's).
        weights: of the elites: "log" (by rank, as in the CMA-ES), or "equal" (the tutorial's).
        alpha_mean: smoothing of the mean of numbers and shares, in (0, 1]. None: 1 in the full family, else 0.9.
        alpha_sigma: where the dynamic smoothing of their sigma stops falling, in (0, 1]. None: m / (m + 12) for
            m = 1 / sum w^2, the number of elites that really count.
        beta: where it begins, in (0, 1] (the tutorial's beta, 0.8 to 0.99).
        q: how long it stays there, > 0 (the tutorial's q, 5 to 10).
        alpha: smoothing of probabilities, in (0, 1] (the tutorial's alpha).
        floor: how many discrete coordinates of a row are drawn from all values alike, on average, in [0, 1).
        sigma_0: first sigma of numbers, in units of the unit cube, in (0, 1]. None: 0.3 in the full family, else 0.5.
        sigma_min: least sigma of reals, same unit, in [1e-15, 1]; a run whose sigmas all reached it has converged.
        margin: rows a generation in which an integer leaves its level when the others are certain, in (0, 1].
        at_bounds: "truncated" or "reflected" samples in the diagonal family; the other families reflect.
        nu: degrees of freedom of Student-t samples in the diagonal and full families, > 0 (1: Cauchy). None: normal.
        b: shrinkage of the full family's elite covariance towards its diagonal, in [0, 1] (Ledoit and Wolf, 2004).
        cumulation: whether the full family follows the evolution paths of the CMA-ES (Hansen, arXiv:1604.00772).
        r: rank of the lowrank family, >= 1. K: components of the mixture family, >= 1.
        delta: largest KL divergence of a distribution of numbers from the one before, nats a generation, > 0; diagonal
            and full families (Abdolmaleki et al., NeurIPS 2015, epsilon there). None: no bound.
        z_0, z_T: what is added to the variances in generation t: max(z_0 - t z_0 / z_T, 0), cube units squared and
            generations (Szita and Lorincz, 2006, doi:10.1162/neco.2006.18.12.2936).
        polish: whether one row of a generation of the full family is the minimiser of a quadratic fitted to the latest
            points (Hansen, GECCO 2019, doi:10.1145/3321707.3321842); reals without observed constraints only.
        noise_beta: exponent of the power spectrum 1 / f^beta of samples along the first axis of array variables, >= 0
            (the iCEM's beta, 2 to 4 for plans over time); `details["elites"]` and `shifted` start the next plan.
        keep: share of the elites that stays among the candidates for the next ones, in [0, 1]. None: 0 if the problem
            is noisy (a lucky value would stay for ever) and n_again is 0, 1 if the space is discrete, else 0.3 (the
            iCEM's).
        n_again: kept elites that are evaluated again in each generation, >= 0; their mean value counts.
        epsilon_0, epsilon_T: violations up to epsilon_0 (1 - t / epsilon_T)^5 count as feasible in generation
            t < epsilon_T (Takahama and Sakai, CEC 2006, doi:10.1109/CEC.2006.1688283); epsilon_0 has the unit of
            the constraints.
        guide: function of sampled rows (n, width) that returns the rows to evaluate instead, called between sampling
            and evaluation: a safe controller, a projection (Zheng et al., safe CEM-MPC, 2021). Rows it moves are
            learnt as moved. It must be deterministic.
        manifold: object with `exp` and `log` between the numbers and a tangent space, in which they are searched.
        sigma_schedule: (first, last, generations) of sigma in the tangent space (HERD's: 0.2, 0.01, 3000).
        local: share of a batch drawn as an elite with one swap, insertion or reversal of one permutation, or with a few
            bits flipped, in [0, 1]. None: 0.5 in spaces with permutations, else 0.
        stagnation: generations without a better elite after which a run has stalled. None: 20 + 30 d / N.
        restarts: what follows convergence or a stall: "alternating" (growing and small populations, BIPOP), "growing"
            (IPOP), or "never" (the run ends).
        growth: factor of growing populations, >= 1.
        descend: whether each row goes down by single moves before it counts, where a problem of bits or of one
            permutation tells what its moves change (Laguna, Duarte and Marti, 2009); `population` is then 50 unless
            given, and each delta counts as an evaluation.
        fused: whether compiled objectives and those on a GPU are searched in place, in float32, with incumbents
            evaluated again in float64; False asks and tells them as others, which `Optimizer` needs.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    family: str = "auto"
    permutation: str = "position"
    population: int | None = None
    gamma: float = 1.0
    elite_fraction: float | None = None
    weights: str = "log"
    alpha_mean: float | None = None
    alpha_sigma: float | None = None
    beta: float = 0.8
    q: float = 7.0
    alpha: float = 0.3
    floor: float = 0.3
    sigma_0: float | None = None
    sigma_min: float = 1e-10
    margin: float = 1.0
    at_bounds: str = "truncated"
    nu: float | None = None
    b: float = 0.0
    cumulation: bool = True
    r: int = 8
    K: int = 3
    delta: float | None = None
    z_0: float = 0.0
    z_T: float = 50.0  # noqa: N815 (the paper's symbol)
    polish: bool = True
    noise_beta: float = 0.0
    keep: float | None = None
    n_again: int = 0
    epsilon_0: float = 0.0
    epsilon_T: float = 100.0  # noqa: N815
    guide: Callable[[Batch], Batch] | None = None
    manifold: Manifold | None = None
    sigma_schedule: tuple[float, float, int] = (0.2, 0.01, 3000)
    local: float | None = None
    stagnation: int | None = None
    restarts: str = "alternating"
    growth: float = 2.0
    descend: bool = False
    fused: bool = True

    def __post_init__(self) -> None:
        for name, least, optional in COUNTS:
            value = getattr(self, name)
            if not (_whole(value) and value >= least) and not (optional and value is None):
                raise OptionError(
                    f"{name} must be an integer >= {least}{' or None' * optional}, got {value!r}"
                )
        for name, (words, holds) in RANGES.items():
            value = getattr(self, name)
            if not (_number(value) and holds(value)) and not (value is None and words.endswith("None")):
                raise OptionError(f"{name} must be {words}, got {value!r}")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise OptionError(f"{name} must be one of {list(known)}, got {getattr(self, name)!r}")
        for name in ("cumulation", "polish", "descend", "fused"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise OptionError(f"{name} must be True or False, got {getattr(self, name)!r}")
        self._check_hooks()

    def _check_hooks(self) -> None:
        if self.guide is not None and not callable(self.guide):
            raise OptionError(f"guide must be a function of rows (n, width) or None, got {self.guide!r}")
        if self.manifold is not None and not isinstance(self.manifold, Manifold):
            raise OptionError(f"manifold must have the methods exp and log, got {self.manifold!r}")
        schedule = self.sigma_schedule
        right = (
            isinstance(schedule, (tuple, list))
            and len(schedule) == 3
            and all(_number(v) and v > 0 for v in schedule)
        )
        if not right:
            raise OptionError(
                f"sigma_schedule must be (first, last, generations), each > 0, got {schedule!r}"
            )

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, and permutations or covariances too large for their matrices."""
        if problem.n_objectives != 1:
            return f"it minimises one objective, and the problem has {problem.n_objectives}"
        if self.descend:
            from optengine.solvers.cem.descent import refusal

            reason = refusal(problem)
            if reason is not None:
                return reason
        longest = max((b.stop - b.start for b in problem.space.blocks if b.kind == PERMUTATION), default=0)
        if longest > LARGEST_PERMUTATION:
            return f"permutations of {longest} items need more than {LARGEST_PERMUTATION}^2 probabilities"
        if self.family == "full" and problem.space.width > LARGEST_FULL:
            return f"family='full' has a covariance for at most {LARGEST_FULL} columns, got {problem.space.width}"
        return None

    def start(self, problem: Problem, rng: Generator) -> Any:
        """Return a new run; compiles the kernels of permutations where there are any.

        A run that searches by itself with `descend=True`, and where the objective is compiled (`array="numba"`) or
        lives on a GPU (`array="cupy"`) and the space allows it (`fused.fits`, `device.fits`); else one that is asked
        and told.
        """
        from optengine.solvers.cem import descent, device, fused
        from optengine.solvers.cem.run import CEMRun

        if self.descend:
            return descent.DescendingRun(self, problem, rng)
        if self.fused and fused.fits(problem, self):
            return fused.FusedRun(self, problem, rng)
        if self.fused and device.fits(problem, self):
            return device.DeviceRun(self, problem, rng)

        return CEMRun(self, problem, rng)


def _number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
