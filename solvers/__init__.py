"""The solvers, one file or small folder a method.

Their names come from `optengine.registry`; a new method adds its line there and its import for type checkers here.
Nothing loads before it is asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optengine.solvers.cem import CEM as CEM
    from optengine.solvers.local_search import ILS as ILS, FastEA as FastEA
    from optengine.solvers.random_search import RandomSearch as RandomSearch
    from optengine.solvers.sobol import Sobol as Sobol
else:
    from optengine.core.lazy import attach
    from optengine.registry import SOLVERS

    _places = [place.split(":") for place in SOLVERS.values()]
    __getattr__, __dir__, __all__ = attach(
        __name__, {module: [name for home, name in _places if home == module] for module, _ in _places}
    )
    del attach, SOLVERS
