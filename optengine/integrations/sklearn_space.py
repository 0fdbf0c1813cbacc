"""A search space as users of scikit-learn write it, read into a `Space` of ours.

Understood for each parameter: our variables; SciPy's frozen distributions; (low, high), (low, high, "log-uniform");
lists of choices. Lists of such dicts are alternatives: a choice at the top, each dict's parameters hanging on it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from optengine.core.errors import SpaceError
from optengine.core.space import Categorical, Integer, Real, Space, Variable

ALTERNATIVE = "alternative"  # name of the choice among several dicts
TAIL = 1e-6  # probability left out at each end of a distribution that is searched by its quantiles
SCALES = ("uniform", "log-uniform")

Read = Callable[[Any], Any]


class SearchSpace:
    """A space and the way from its x to the parameters of an estimator.

    Args:
        stated: a Space, a dict, or a list of dicts or Spaces.

    Attributes:
        space: what is searched.

    Raises:
        SpaceError: what cannot be read, with what would be right.
    """

    def __init__(self, stated: Any) -> None:
        self._parameter: dict[str, str] = {}  # variable -> parameter, where they differ
        self._branch_read: dict[tuple[int, str], Read] = {}  # by (alternative, name), while these are read
        self._read: dict[
            str, Read
        ] = {}  # variable -> the way to the parameter's value, where it is not x's own
        if isinstance(stated, Space):
            if not stated.named:
                raise SpaceError("search_space must name its parameters, got a Space without names")
            self.space = stated
        elif isinstance(stated, Mapping):
            self.space = Space(self._variables(stated))
        elif isinstance(stated, Iterable) and not isinstance(stated, (str, bytes)):
            self.space = self._alternatives(list(stated))
        else:
            raise SpaceError(f"search_space must be a Space, a dict or a list of dicts, got {stated!r}")

    def parameters(self, x: Mapping[str, Any]) -> dict[str, Any]:
        """Return what to set on the estimator at x: the active variables' values by parameter."""
        named = {}
        for variable, value in x.items():
            parameter = self._parameter.get(variable, variable)
            if parameter:
                named[parameter] = self._read[variable](value) if variable in self._read else value
        return named

    def _variables(self, stated: Mapping[str, Any]) -> dict[str, Variable]:
        if not stated:
            raise SpaceError("search_space must name at least one parameter, got an empty dict")
        variables = {}
        for name, given in stated.items():
            if not isinstance(name, str):
                raise SpaceError(f"search_space must name parameters by strings, got {name!r}")
            variables[name], read = variable_of(name, given)
            if read is not None:
                self._read[name] = read
        return variables

    def _alternatives(self, stated: list[Any]) -> Space:
        """Several spaces as one, with a choice at the top; a variable that several state alike is theirs together."""
        if not stated:
            raise SpaceError("search_space must hold at least one dict, got an empty list")
        branches = [self._branch(i, given) for i, given in enumerate(stated)]
        if len(branches) == 1:
            self._read = {name: read for (_, name), read in self._branch_read.items()}
            return Space(branches[0])
        self._parameter[ALTERNATIVE] = ""
        if any(ALTERNATIVE in branch for branch in branches):
            raise SpaceError(f"search_space must not name a parameter {ALTERNATIVE!r} beside alternatives")
        together: dict[str, Variable] = {ALTERNATIVE: Categorical(list(range(len(branches))))}
        for i, branch in enumerate(branches):
            shared = {name: self._holders(name, branches, i) for name in branch}
            new = {
                name: name if len(shared[name]) > 1 or _alone(name, branches) else f"{name}#{i}"
                for name in branch
            }
            for name, variable in branch.items():
                if shared[name][0] != i:  # stated by an earlier one already
                    continue
                if new[name] != name:
                    self._parameter[new[name]] = name
                if (i, name) in self._branch_read:
                    self._read[new[name]] = self._branch_read[i, name]
                together[new[name]] = _hang(variable, shared[name], new)
        return Space(together)

    def _branch(self, i: int, given: Any) -> dict[str, Variable]:
        """The variables of one alternative; how to read them is kept by (alternative, name)."""
        if isinstance(given, Space):
            if given.constrained or not given.named:
                raise SpaceError(
                    f"search_space[{i}] must be a dict or a named Space without rows, got {given!r}"
                )
            return dict(given.variables)
        if not isinstance(given, Mapping):
            raise SpaceError(f"search_space[{i}] must be a dict, got {given!r}")
        self._read = {}
        variables = self._variables(given)
        self._branch_read |= {(i, name): read for name, read in self._read.items()}
        self._read = {}
        return variables

    def _holders(self, name: str, branches: list[dict[str, Variable]], i: int) -> list[int]:
        """The alternatives that share variable `name` of alternative i: all that have it, if they state it alike."""
        variable = branches[i][name]
        holders = [k for k, branch in enumerate(branches) if name in branch]
        plain = not variable.conditions and not any((k, name) in self._branch_read for k in holders)
        alike = plain and all(_alike(branches[k][name], variable) for k in holders)
        return holders if alike else [i]


def _alike(one: Variable, other: Variable) -> bool:
    if isinstance(one, Categorical) and isinstance(other, Categorical):  # estimators print alike and differ
        same = len(one.choices) == len(other.choices)
        return same and all(
            a is b or _plainly_equal(a, b) for a, b in zip(one.choices, other.choices, strict=True)
        )
    return one == other


def _plainly_equal(a: Any, b: Any) -> bool:
    return isinstance(a, (str, int, float, bool, type(None))) and type(a) is type(b) and bool(a == b)


def _alone(name: str, branches: list[dict[str, Variable]]) -> bool:
    return sum(name in branch for branch in branches) == 1


def _hang(variable: Variable, alternatives: list[int], new: Mapping[str, str]) -> Variable:
    """The variable with the further condition that one of `alternatives` is chosen, its parents renamed."""
    hung = copy.copy(variable)
    conditions = tuple((new.get(parent, parent), values) for parent, values in variable.conditions)
    hung._set(when=(*conditions, (ALTERNATIVE, tuple(alternatives))))
    return hung


def variable_of(name: str, given: Any) -> tuple[Variable, Read | None]:
    """Read what was stated for one parameter; with it the way from the variable's value to the parameter's, if any.

    Raises:
        SpaceError: it is none of what is understood.
    """
    if isinstance(given, Variable):
        return given, None
    if isinstance(given, tuple):
        return _range(name, given), None
    if isinstance(given, (list, np.ndarray)):
        try:
            return Categorical(list(given)), None
        except SpaceError as error:
            raise SpaceError(f"search_space[{name!r}]: {error}") from None
    if hasattr(given, "dist") and hasattr(given, "ppf"):
        return _frozen(name, given)
    if hasattr(given, "icdf"):  # SciPy's newer random variables
        return Real(TAIL, 1.0 - TAIL), _Quantile(given, "icdf")
    raise SpaceError(
        f"search_space[{name!r}] must be a variable, a frozen SciPy distribution, (low, high), "
        f"(low, high, 'log-uniform') or a list of choices, got {given!r}"
    )


def _range(name: str, given: tuple[Any, ...]) -> Variable:
    numbers = [v for v in given[:2] if isinstance(v, (int, float, np.number)) and not isinstance(v, bool)]
    scale = given[2] if len(given) == 3 else "uniform"
    if len(numbers) != 2 or len(given) > 3 or scale not in SCALES:
        raise SpaceError(
            f"search_space[{name!r}] must be (low, high) or (low, high, 'log-uniform'), got {given!r}; choices are "
            "written as a list"
        )
    whole = all(isinstance(v, (int, np.integer)) for v in numbers)
    try:
        return (Integer if whole else Real)(numbers[0], numbers[1], log=scale == "log-uniform")
    except SpaceError as error:
        raise SpaceError(f"search_space[{name!r}]: {error}") from None


def _frozen(name: str, given: Any) -> tuple[Variable, Read | None]:
    """SciPy's uniform, loguniform and randint as the variables they are, others by their quantiles."""
    low, high = (float(v) for v in given.support())
    family = given.dist.name
    if family == "uniform":
        return Real(low, high), None
    if family in ("loguniform", "reciprocal"):
        return Real(low, high, log=True), None
    if family == "randint":
        return Integer(int(low), int(high)), None
    whole = not hasattr(given.dist, "pdf")
    if whole and np.isfinite([low, high]).all() and low == high:
        return Integer(int(low), int(high)), None
    return Real(TAIL, 1.0 - TAIL), _Quantile(given, "ppf", whole)


class _Quantile:
    """The quantile function of a distribution: the search follows its prior, as drawing from it would."""

    def __init__(self, distribution: Any, method: str, whole: bool = False) -> None:
        self._distribution, self._method, self._whole = distribution, method, whole

    def __call__(self, u: float) -> float:
        value = float(getattr(self._distribution, self._method)(u))
        return int(value) if self._whole else value
