"""Local search over discrete spaces: `ils` and `fast_ea` are the solvers, the other files their parts."""

from optengine.solvers.local_search.fast_ea import FastEA as FastEA
from optengine.solvers.local_search.ils import ILS as ILS
