"""What a format is: a name, a test on the text, and a parser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optengine.core.problem import Problem
from optengine.problems.formats.source import Source

# How sure a recogniser is. The surest format reads the file; the middle values leave room between.
CERTAIN = 1.0  # a keyword that only this format has
FITS = 0.6  # no keyword, but the structure and all the counts are right
RESEMBLES = (
    0.2  # begins as this format does, but the counts are wrong: its parser says precisely what is wrong
)
NO = 0.0


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: short name, as in the literature.
        description: what such a file begins with, for the message when no format is recognised.
        recognise: from the text alone, how sure it is that the file has this format, in [0, 1].
        parse: the problems of a file, in their order; raises ProblemError (made by `Source.error`).
    """

    name: str
    description: str
    recognise: Callable[[Source], float]
    parse: Callable[[Source], Sequence[Problem]]
