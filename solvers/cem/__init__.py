"""The cross-entropy method: options and run in `cem`, one file a family of distributions."""

from optengine.solvers.cem.cem import CEM as CEM
