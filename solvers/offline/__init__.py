"""Offline optimization from a table: models of it, searched for the batch to measure next."""

from optengine.solvers.offline.inner import SurrogateSearch as SurrogateSearch
from optengine.solvers.offline.neural import (
    COMs as COMs,
    GradientAscent as GradientAscent,
    Ignite as Ignite,
    MatchOpt as MatchOpt,
    RaM as RaM,
)
from optengine.solvers.offline.portfolio import GPPortfolio as GPPortfolio
from optengine.solvers.offline.root import ROOT as ROOT
