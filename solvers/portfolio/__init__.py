"""Several solvers on one problem: evaluations shared by what they bring, or threads side by side."""

from optengine.solvers.portfolio.portfolio import Portfolio as Portfolio

__all__ = ["Portfolio"]
