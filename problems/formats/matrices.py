"""Two headers `a b` with a table behind them: job shops (JSPLIB) and market splits (QOBLIB); comments `# ...`.

Job shop: `jobs machines`, then a line a job of pairs `machine duration`, machines from 0.
Market split: `rows columns`, then a line a row: the coefficients and the right-hand side.
"""

from __future__ import annotations

import numpy as np

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.problems.arrays import Numbers
from optengine.problems.formats.base import FITS, NO, RESEMBLES, Format
from optengine.problems.formats.source import Source, is_integer
from optengine.problems.job_shop import JobShop
from optengine.problems.market_split import MarketSplit

SURE = FITS + 0.1  # rows that are permutations are no accident


def _table(source: Source) -> tuple[int, int, Numbers, int] | None:
    """The two numbers of the header, the numbers behind it, and the header's line; None if it is no such file."""
    filled = [i for i, line in enumerate(source.lines) if line.strip() and not line.lstrip().startswith("#")]
    head = source.lines[filled[0]].split() if filled else []
    if len(head) != 2 or not all(map(is_integer, head)) or int(head[0]) < 1 or int(head[1]) < 1:
        return None
    words = [word for i in filled[1:] for word in source.lines[i].split()]
    if not all(map(is_integer, words)):
        return None
    return int(head[0]), int(head[1]), np.array([int(word) for word in words], dtype=np.int64), filled[0]


def _recognise_jobs(source: Source) -> float:
    table = _table(source)
    if table is None or len(table[2]) != 2 * table[0] * table[1]:
        return NO
    machines = table[2].reshape(table[0], 2 * table[1])[:, ::2]
    return SURE if (np.sort(machines, axis=1) == np.arange(table[1])).all() else NO


def _parse_jobs(source: Source) -> list[Problem]:
    table = _table(source)
    assert table is not None  # recognised before
    pairs = table[2].reshape(table[0], 2 * table[1])
    try:
        return [JobShop(pairs[:, ::2], pairs[:, 1::2], name=source.name)]
    except ProblemError as error:
        raise source.error(str(error), table[3]) from None


def _recognise_split(source: Source) -> float:
    table = _table(source)
    if table is None or len(table[2]) != table[0] * (table[1] + 1):
        return NO
    lines = [line.split() for line in source.lines[table[3] + 1 :] if line.strip()]
    in_rows = len(lines) == table[0] and all(len(line) == table[1] + 1 for line in lines)
    return FITS if in_rows else RESEMBLES  # the same numbers, otherwise broken, may be a small set cover


def _parse_split(source: Source) -> list[Problem]:
    table = _table(source)
    assert table is not None  # recognised before
    rows = table[2].reshape(table[0], table[1] + 1)
    return [MarketSplit(rows[:, :-1], rows[:, -1], name=source.name)]


JSPLIB = Format(
    "job shop", "'jobs machines', then lines of pairs 'machine duration'", _recognise_jobs, _parse_jobs
)
MARKET = Format(
    "market split",
    "'rows columns', then lines of coefficients and a right-hand side",
    _recognise_split,
    _parse_split,
)
