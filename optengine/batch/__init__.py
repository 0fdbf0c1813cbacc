"""Problems x solvers x seeds: run them all, keep them in a folder, and compare.

`run_batch` is the verb. `spec` reads what a TOML file says (also for the command `optengine solve`), `entries` what
Python says; `running` runs, one after another or side by side; `folder` keeps journals, index and results.csv;
`reporting` draws the page.
"""

from typing import TYPE_CHECKING, Any

from optengine.batch.outcome import BatchResult as BatchResult
from optengine.batch.rows import Row as Row
from optengine.batch.run import run_batch as run_batch

if TYPE_CHECKING:
    from optengine.batch.reporting import write_report as write_report

__all__ = ["BatchResult", "Row", "run_batch", "write_report"]


def __getattr__(name: str) -> Any:
    """Load what draws only when it is asked for."""
    if name == "write_report":
        from optengine.batch.reporting import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
