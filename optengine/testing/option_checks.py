"""What `check_solver` asks of a solver before it runs: its form and its options."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from optengine import registry
from optengine.core.errors import OptionError
from optengine.testing.failure import CheckFailed, Subject


def solver_of(given: Any) -> tuple[Any, str]:
    """Return the solver that a name, a class or a solver stands for, and its name."""
    if isinstance(given, str):
        return registry.make(given), given
    solver = given() if isinstance(given, type) else given
    return solver, registry.name_of(solver)


def check_form(solver: Any, name: str) -> None:
    """A frozen dataclass that says whether it is replayable, with a docstring and both methods."""
    subject = Subject(name)
    subject.expect(dataclasses.is_dataclass(solver), "it is no dataclass of options")
    subject.expect(type(solver).__dataclass_params__.frozen, "its dataclass is not frozen")
    subject.expect(
        isinstance(getattr(solver, "replayable", None), bool), "it does not say whether it is replayable"
    )
    subject.expect(inspect.getdoc(type(solver)), "its class has no docstring")
    for method in ("refuses", "start"):
        subject.expect(callable(getattr(solver, method, None)), f"it has no method {method}")
    subject.expect(dataclasses.replace(solver) == solver, "a copy of it is not equal to it")


def check_options(solver: Any, name: str) -> None:
    """Every numeric option refuses NaN and text, with an OptionError that names it."""
    for option in dataclasses.fields(solver):
        value = getattr(solver, option.name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not option.init or not (
            number or (value is None and any(k in str(option.type) for k in ("int", "float")))
        ):
            continue
        for wrong in (float("nan"), "many"):
            subject = Subject(f"{name}({option.name}={wrong!r})")
            try:
                dataclasses.replace(solver, **{option.name: wrong})
            except OptionError as error:
                subject.expect(
                    option.name in str(error), f"the OptionError does not name {option.name}: {error}"
                )
            except Exception as error:
                raise CheckFailed(
                    f"{subject.text}: raised {type(error).__name__}, not OptionError"
                ) from error
            else:
                raise CheckFailed(f"{subject.text}: was accepted")
