"""Several solvers on one problem: turns by what each brings, stages one after another, threads side by side."""

from optengine.solvers.portfolio.portfolio import Portfolio as Portfolio
from optengine.solvers.portfolio.relay import Relay as Relay

__all__ = ["Portfolio", "Relay"]
