"""Public names of a package that load on first use.

`import optengine` must stay cheap, so its packages list their names as text and import the module behind a
name when somebody asks for it (PEP 562). The imports for type checkers stand under `TYPE_CHECKING` beside the
table; a test compares the two.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any


def attach(
    package: str, names: Mapping[str, Collection[str]], subpackages: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` and `__all__` of a lazily resolving package.

    Args:
        package: the package's `__name__`.
        names: full name of a module -> public names it defines, e.g. `{"optengine.solvers.cem": ["CEM"]}`.
        subpackages: packages inside `package` that are public themselves.
    """
    home = {name: module for module, its_names in names.items() for name in its_names}
    public = sorted({*home, *subpackages})

    def resolve(name: str) -> Any:
        if name in home:
            value = getattr(importlib.import_module(home[name]), name)
        elif name in subpackages:
            value = importlib.import_module(f"{package}.{name}")
        else:
            from optengine.core.errors import did_you_mean

            raise AttributeError(f"module {package!r} has no attribute {name!r}{did_you_mean(name, public)}")
        setattr(sys.modules[package], name, value)  # the next look-up does not come here
        return value

    def listing() -> list[str]:
        return sorted({*vars(sys.modules[package]), *public})

    return resolve, listing, public
