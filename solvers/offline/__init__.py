"""Offline optimization from a table: models of it, searched for the batch to measure next."""

from optengine.solvers.offline.portfolio import GPPortfolio as GPPortfolio
