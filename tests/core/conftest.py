"""What the tests of the core share: how an error must read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from optengine import OptEngineError

Clear = Callable[..., AbstractContextManager[pytest.ExceptionInfo[Any]]]


@pytest.fixture
def clear() -> Clear:
    """`with clear(SpaceError, "low", "5"):` expects that error, in one line, with these words in it."""

    @contextmanager
    def expect(kind: type[BaseException], *words: str) -> Iterator[pytest.ExceptionInfo[Any]]:
        with pytest.raises(kind) as caught:
            yield caught
        message = str(caught.value)
        assert isinstance(caught.value, OptEngineError)
        assert message
        assert "\n" not in message
        assert message.endswith("...") or not message.endswith((".", "!"))
        for word in words:
            assert word in message, f"{word!r} is missing in: {message}"

    return expect
