"""One thread for the linear algebra of a climb.

Factoring some matrices of a hundred columns takes a millisecond. OpenBLAS shares that out among threads which wait for
each other by spinning: five times slower on an idle machine, and a thousand times where another program has one of the
processors. Passes over rows have threads of their own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import cache
from threading import Lock
from typing import Any

#: Matrices of fewer columns are not shared out anyway.
LEAST_COLUMNS = 32

_lock = Lock()
_inside = 0
_held = ExitStack()


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread(n_features: int) -> Generator[None]:
    """BLAS on one thread, for matrices of that many columns; what was set before is set again by the last to leave."""
    global _inside  # noqa: PLW0603 (the setting is the process's own)
    if n_features < LEAST_COLUMNS:
        yield
        return
    with _lock:
        if _inside == 0:
            _held.enter_context(_controller().limit(limits=1))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _held.close()
