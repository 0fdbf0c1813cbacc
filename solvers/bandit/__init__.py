"""Bandits over a choice at the top of a space: `bandit` (options and run), `arms` (spaces), `policies`."""

from optengine.solvers.bandit.bandit import Bandit as Bandit
