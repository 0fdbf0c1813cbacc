"""The cross-entropy method: options in `cem`, the run in `run`, one file a family of distributions."""

from optengine.solvers.cem.cem import CEM as CEM
from optengine.solvers.cem.gaussian import shifted as shifted
from optengine.solvers.cem.manifold import PoincareBall as PoincareBall, Sphere as Sphere
