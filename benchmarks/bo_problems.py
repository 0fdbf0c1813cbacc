"""Small expensive-looking problems for Bayesian optimization, with their optima: what bo_regret.py measures on.

Everything is minimised; constraints are satisfied where <= 0. Every variable has a name, so that each library is told
the same space in its own words. Where no closed form of the optimum exists, the docstring says how the value was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import optengine as oe

Point = dict[str, Any]
Outcome = tuple[float, tuple[float, ...]]  # objective, constraints


@dataclass(frozen=True)
class Case:
    """A problem of the benchmark.

    Attributes:
        variables: by name; `Real`, `Integer` and `Categorical` only.
        function: the true values at a point.
        optimum: the least feasible value; for the tuning tasks the best value ever seen, not proved.
        n_constraints: how many constraints `function` returns.
        noise: standard deviation of what is added to the objective that a method sees.
    """

    name: str
    variables: dict[str, Any]
    function: Callable[[Point], Outcome]
    optimum: float
    n_constraints: int = 0
    noise: float = 0.0

    @property
    def continuous(self) -> bool:
        """Whether there are real numbers on a linear scale only."""
        return all(isinstance(v, oe.Real) and not v.log for v in self.variables.values())


def reals(low: float, high: float, d: int) -> dict[str, Any]:
    return {f"x{i}": oe.Real(low, high) for i in range(d)}


def bounds(variable: Any) -> tuple[Any, Any]:
    """The bounds of a number as Python's own."""
    kind = int if isinstance(variable, oe.Integer) else float
    return kind(variable.low), kind(variable.high)


def vector(x: Point) -> np.ndarray:
    return np.array([float(value) for value in x.values()])


# -- synthetic functions -------------------------------------------------------------------------------------------


def branin(x: Point) -> Outcome:
    a, b = x["x0"], x["x1"]
    main = (b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6) ** 2
    return main + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10, ()


ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
A6 = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)  # fmt: skip
P6 = 1e-4 * np.array(
    [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
     [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]
)  # fmt: skip


def hartmann6(x: Point) -> Outcome:
    return -float(ALPHA @ np.exp(-(A6 * (vector(x) - P6) ** 2).sum(axis=1))), ()


SHIFT = np.random.default_rng(20).uniform(
    -16.0, 16.0, 10
)  # Ackley's optimum, away from the middle and the edges


def ackley10(x: Point) -> Outcome:
    z = vector(x) - SHIFT
    return -20 * math.exp(-0.2 * math.sqrt((z**2).mean())) - math.exp(
        np.cos(2 * math.pi * z).mean()
    ) + 20 + math.e, ()


def levy20(x: Point) -> Outcome:
    w = 1 + (vector(x) - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)).sum()
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return math.sin(math.pi * w[0]) ** 2 + float(middle) + last, ()


# -- constrained and mixed -----------------------------------------------------------------------------------------


def gramacy(x: Point) -> Outcome:
    """Gramacy et al. (2016), doi:10.1080/00401706.2015.1014065: a linear objective, two constraints, three basins."""
    a, b = x["x0"], x["x1"]
    c1 = 1.5 - a - 2 * b - 0.5 * math.sin(2 * math.pi * (a**2 - 2 * b))
    return a + b, (c1, a**2 + b**2 - 1.5)


def pressure_vessel(x: Point) -> Outcome:
    """Sandgren (1990), doi:10.1115/1.2912596: thicknesses in sixteenths of an inch."""
    shell, head, r, length = 0.0625 * x["shell"], 0.0625 * x["head"], x["radius"], x["length"]
    cost = (
        0.6224 * shell * r * length + 1.7781 * head * r**2 + 3.1661 * shell**2 * length + 19.84 * shell**2 * r
    )
    volume = math.pi * r**2 * length + 4 / 3 * math.pi * r**3
    return cost, (0.0193 * r - shell, 0.00954 * r - head, 1 - volume / 1_296_000)


METALS = {  # shear-resistant stress, Young's modulus, shear modulus (psi); cost of weld and of bar (per cubic inch)
    "steel": (30e3, 30e6, 12e6, 0.1047, 0.0481),
    "cast_iron": (8e3, 14e6, 6e6, 0.0489, 0.0224),
    "aluminium": (5e3, 10e6, 4e6, 0.5235, 0.2405),
    "brass": (8e3, 16e6, 6e6, 0.5584, 0.2566),
}


def welded_beam(x: Point) -> Outcome:
    """Mixed form of Deb and Goyal (1996): metal, two or four welded sides, weld and bar thickness in sixteenths.

    The optimum: every choice of the discrete variables on a grid of the two reals, the best sixty refined by SLSQP.
    Constraints are relative to their limits: shear, bending, buckling, deflection, weld not thicker than the bar.
    """
    load, span = 6000.0, 14.0  # lb, in
    stress, young, shear, weld_cost, bar_cost = METALS[x["metal"]]
    h, long, t, b = 0.0625 * x["weld"], x["length"], x["height"], 0.0625 * x["bar"]
    arm = h * long * ((h + t) ** 2 / 4 + long**2 / 12)
    if x["sides"] == "two":
        area, polar = math.sqrt(2) * h * long, math.sqrt(2) * arm
        reach, volume = math.hypot(long, h + t) / 2, h**2 * long
    else:
        area = math.sqrt(2) * h * (t + long)
        polar = math.sqrt(2) * (arm + h * t * ((h + long) ** 2 / 4 + t**2 / 12))
        reach, volume = max(math.hypot(long, h + t), math.hypot(t, h + long)) / 2, h**2 * (t + long)
    direct, torsion = load / area, load * (span + long / 2) * reach / polar
    cosine = long / (2 * reach)
    total = math.sqrt(direct**2 + torsion**2 + 2 * direct * torsion * cosine)
    bending, deflection = 6 * load * span / (b * t**2), 4 * load * span**3 / (young * t**3 * b)
    buckling = (
        4.013
        * t
        * b**3
        * math.sqrt(young * shear)
        / (6 * span**2)
        * (1 - t / (4 * span) * math.sqrt(young / shear))
    )
    cost = (1 + weld_cost) * volume + bar_cost * t * b * (span + long)
    limits = (
        total / (0.577 * stress) - 1,
        bending / stress - 1,
        1 - buckling / load,
        deflection / 0.25 - 1,
        h / b - 1,
    )
    return cost, limits


TRAITS = np.random.default_rng(50).random((50, 2))  # what nobody is told about each of the fifty grades


def grades50(x: Point) -> Outcome:
    """Fifty unordered grades with two hidden traits; each has its own best setting of two reals and one integer."""
    a, b = TRAITS[int(x["grade"][1:])]
    base = 4 * ((a - 0.7) ** 2 + (b - 0.3) ** 2)
    setting = (
        (x["heat"] - a) ** 2
        + 2 * (x["flow"] - 0.5 * (a + b)) ** 2
        + 0.02 * (x["passes"] - 1 - round(8 * b)) ** 2
    )
    return base + setting, ()


# -- tuning tasks --------------------------------------------------------------------------------------------------


@cache
def digits() -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X, _, y, _ = train_test_split(X / 16.0, y, train_size=900, stratify=y, random_state=0)
    parts = train_test_split(X, y, train_size=400, stratify=y, random_state=1)
    return tuple(parts)


def network_digits(x: Point) -> Outcome:
    """Logarithm of the cross-entropy of a small network on 500 digits after 15 passes over 400."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    train, test, y, y_test = digits()
    model = MLPClassifier(
        (x["hidden"],), activation=x["activation"], solver=x["descent"], alpha=x["decay"], batch_size=x["batch"],
        learning_rate_init=x["rate"], max_iter=15, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        model.fit(train, y)
    shares = model.predict_proba(test)
    if not np.isfinite(shares).all():
        return math.log(20.0), ()
    return math.log(min(log_loss(y_test, shares), 20.0)), ()


@cache
def cancer() -> tuple[np.ndarray, ...]:
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    X, y = load_breast_cancer(return_X_y=True)
    parts = train_test_split(X, y, train_size=250, stratify=y, random_state=0)
    return tuple(parts)


def boosting_cancer(x: Point) -> Outcome:
    """Logarithm of the cross-entropy of gradient boosting on 319 tumours after training on 250."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.metrics import log_loss

    train, test, y, y_test = cancer()
    model = GradientBoostingClassifier(
        learning_rate=x["rate"], n_estimators=x["trees"], max_depth=x["depth"], subsample=x["share"],
        min_samples_leaf=x["leaf"], max_features=x["features"], random_state=0,
    )  # fmt: skip
    return math.log(log_loss(y_test, model.fit(train, y).predict_proba(test))), ()


# -- the list ------------------------------------------------------------------------------------------------------

BRANIN, HARTMANN6, GRAMACY = 0.397887357729738, -3.322368011391339, 0.599788052
CASES = {
    case.name: case
    for case in (
        Case("branin", {"x0": oe.Real(-5, 10), "x1": oe.Real(0, 15)}, branin, BRANIN),
        Case("hartmann6", reals(0, 1, 6), hartmann6, HARTMANN6),
        Case("ackley10", reals(-32.8, 32.8, 10), ackley10, 0.0),
        Case("levy20", reals(-10, 10, 20), levy20, 0.0),
        Case("gramacy", reals(0, 1, 2), gramacy, GRAMACY, 2),
        Case(
            "pressure_vessel",
            {
                "shell": oe.Integer(1, 99),
                "head": oe.Integer(1, 99),
                "radius": oe.Real(10, 200),
                "length": oe.Real(10, 200),
            },
            pressure_vessel,
            6059.714335,
            3,
        ),
        Case(
            "welded_beam",
            {
                "metal": oe.Categorical(list(METALS)),
                "sides": oe.Categorical(["two", "four"]),
                "weld": oe.Integer(1, 32),
                "bar": oe.Integer(1, 32),
                "length": oe.Real(0.1, 10),
                "height": oe.Real(2, 20),
            },
            welded_beam,
            1.9489555744942,
            5,
        ),
        Case("noisy_hartmann6", reals(0, 1, 6), hartmann6, HARTMANN6, noise=0.2),
        Case(
            "grades50",
            {
                "grade": oe.Categorical([f"g{i}" for i in range(50)]),
                "heat": oe.Real(0, 1),
                "flow": oe.Real(0, 1),
                "passes": oe.Integer(1, 9),
            },
            grades50,
            float((4 * ((TRAITS - [0.7, 0.3]) ** 2).sum(axis=1)).min()),
        ),
        Case(
            "network_digits",
            {
                "hidden": oe.Integer(8, 64, log=True),
                "activation": oe.Categorical(["relu", "tanh", "logistic"]),
                "descent": oe.Categorical(["adam", "sgd"]),
                "decay": oe.Real(1e-6, 1e1, log=True),
                "batch": oe.Integer(16, 200, log=True),
                "rate": oe.Real(1e-4, 1.0, log=True),
            },
            network_digits,
            np.nan,
        ),
        Case(
            "boosting_cancer",
            {
                "rate": oe.Real(1e-3, 1.0, log=True),
                "trees": oe.Integer(5, 80, log=True),
                "depth": oe.Integer(1, 6),
                "leaf": oe.Integer(1, 30, log=True),
                "share": oe.Real(0.2, 1.0),
                "features": oe.Real(0.05, 1.0),
            },
            boosting_cancer,
            np.nan,
        ),
    )
}  # fmt: skip
