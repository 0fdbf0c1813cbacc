"""The text of an instance file, and the one way in which readers complain about it.

A reader never opens a file: it gets a `Source`, takes numbers from it by line, and raises what `Source.error` makes, so
that every message names the file and, where there is one, the line.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from optengine.core.errors import ProblemError, did_you_mean
from optengine.problems.arrays import Numbers

GZIP_MAGIC = b"\x1f\x8b"
# Bytes that no text holds; tab, line ends, form feed and the end mark of DOS files are text.
BINARY_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f\x1a"))
QUOTED = 40  # characters of a file shown in a message


@dataclass(frozen=True)
class Source:
    """One instance file, read and decoded."""

    path: Path
    text: str

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Source:
        """Read a text file, plain or gzip-compressed (told by its first bytes, not by its name).

        Raises:
            ProblemError: the file is missing, unreadable, empty, binary, or a damaged gzip file.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise ProblemError(f"{path}: no such file{did_you_mean(path.name, siblings)}") from None
        except OSError as error:
            raise ProblemError(f"{path}: cannot be read ({error.strerror})") from error
        if content.startswith(GZIP_MAGIC):
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error) as error:
                raise ProblemError(f"{path.name}: the gzip file is damaged or truncated ({error})") from error
        if content.translate(None, BINARY_BYTES) != content:
            raise ProblemError(
                f"{path.name}: holds binary data, expected a text file (or one compressed with gzip)"
            )
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")  # old collections have umlauts in their comments
        text = text.replace("\x1a", "")
        if not text.strip():
            raise ProblemError(f"{path.name}: is empty, expected an instance")
        return cls(path, text)

    @property
    def file(self) -> str:
        """Name of the file, without folders."""
        return self.path.name

    @property
    def name(self) -> str:
        """Name of the instance: the file's name without `.gz` and one more suffix."""
        path = self.path.with_suffix("") if self.path.suffix == ".gz" else self.path
        return path.stem

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def first_line(self) -> int:
        """Index of the first line that is not blank."""
        return next(i for i, line in enumerate(self.lines) if line.strip())

    def error(self, message: str, line: int | None = None) -> ProblemError:
        """The error for this file; `line` is an index from 0 and is shown from 1."""
        where = "" if line is None else f", line {line + 1}"
        return ProblemError(f"{self.file}{where}: {message}")

    def quote(self, line: int) -> str:
        """A line, shortened and quoted, for a message."""
        text = self.lines[line].strip()
        return repr(text if len(text) <= QUOTED else text[: QUOTED - 3] + "...")

    def numbers(self, start: int = 0, stop: int | None = None) -> Numbers:
        """All numbers of lines start to stop - 1, whatever their layout.

        Returns:
            int64 when every one is written as an integer and fits, else float64.

        Raises:
            ProblemError: a word that is not a finite number; the message names its line.
        """
        words = " ".join(self.lines[start:stop]).split()
        try:
            return np.array([int(word) for word in words], dtype=np.int64)
        except (ValueError, OverflowError):
            pass
        try:
            values = np.array([float(word) for word in words], dtype=np.float64)
        except ValueError:
            values = np.array([math.nan])
        if np.isfinite(values).all():
            return values
        for i, line in enumerate(self.lines[start:stop], start):
            for word in line.split():
                if not is_number(word):
                    raise self.error(f"expected a finite number, got {word[:QUOTED]!r}", i)
        raise AssertionError("a number was refused that no line holds")  # pragma: no cover


def is_number(word: str) -> bool:
    """Whether a word is a finite number."""
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def is_integer(word: str) -> bool:
    """Whether a word is an integer."""
    return word.lstrip("+-").isdecimal()
