"""Discrete min-max violation: `dmmv`, the published search `reference`, and `exact` for certificates."""

from optengine.solvers.minmax.dmmv import DMMV as DMMV
from optengine.solvers.minmax.exact import MinMaxExact as MinMaxExact
from optengine.solvers.minmax.reference import DMMVReference as DMMVReference
