"""What `"module:function"` in a TOML file names."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optengine.core.errors import OptEngineError, ProblemError, did_you_mean


def load_object(text: Any, key: str, folder: Path | None) -> Any:
    """Return the object that `text` names: `module:function`, `module:Class.method` or `file.py:function`.

    Args:
        text: as written. key: of the table, for messages.
        folder: of the TOML file: modules and files there are found first; it stays on the path, because workers
            import what they unpickle.

    Raises:
        ProblemError: not such a name, or it cannot be imported.
    """
    module, _, attribute = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not module or not attribute:
        raise ProblemError(f"{key} must be 'module:function', got {text!r}")
    if module.endswith(".py"):
        path = (folder or Path()) / module
        if not path.is_file():
            raise ProblemError(f"{key} {text!r} names a file that does not exist: {path}")
        folder, module = path.resolve().parent, path.stem
    if folder is not None and str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    try:
        found: Any = importlib.import_module(module)
    except OptEngineError:
        raise
    except Exception as error:  # an import runs the module's own code
        raise ProblemError(f"{key} {text!r} cannot be imported ({type(error).__name__}: {error})") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ProblemError(f"{key} {text!r} names nothing in {module}{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
    return found


def call(function: Callable[..., Any], key: str, text: str, args: Any = ()) -> Any:
    """Return `function(*args)` or `function(**args)`.

    Raises:
        ProblemError: the arguments do not fit, or the function raised.
    """
    if not callable(function):
        raise ProblemError(f"{key} {text!r} must be a function, got {function!r}")
    positional, named = _split(args, key)
    try:
        inspect.signature(function).bind(*positional, **named)
    except TypeError as error:
        raise ProblemError(f"args of {key} {text!r} do not fit: {error}") from None
    except ValueError:  # some built-ins have no signature
        pass
    try:
        return function(*positional, **named)
    except OptEngineError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise ProblemError(f"{key} {text!r} raised {type(error).__name__}: {error}") from error


def takes(function: Any, parameter: str) -> bool:
    """Whether `function` has a parameter of that name."""
    try:
        return parameter in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def requires_arguments(function: Any) -> bool:
    """Whether `function` cannot be called without arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _split(args: Any, key: str) -> tuple[Sequence[Any], Mapping[str, Any]]:
    if isinstance(args, Mapping):
        return (), args
    if isinstance(args, (list, tuple)):
        return args, {}
    raise ProblemError(f"args of {key} must be a table of named arguments or a list, got {args!r}")
