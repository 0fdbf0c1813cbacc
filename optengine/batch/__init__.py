"""Problems x solvers x seeds: run them all, keep them in a folder, and compare.

`run_batch` is the verb. `spec` reads what a TOML file says (also for the command `optengine solve`), `entries` what
Python says; `running` runs, one after another or side by side; `folder` keeps journals, index and results.csv.
"""

from optengine.batch.outcome import BatchResult as BatchResult
from optengine.batch.rows import Row as Row
from optengine.batch.run import run_batch as run_batch

__all__ = ["BatchResult", "Row", "run_batch"]
