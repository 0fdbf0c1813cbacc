"""Covering direct search, alone and with attack steps through a network."""

from optengine.solvers.covering.attack import DirectionalAttack as DirectionalAttack
from optengine.solvers.covering.cdsm import CDSM as CDSM
