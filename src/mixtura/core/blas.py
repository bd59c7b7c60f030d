"""One thread for the linear algebra of a fit.

Factoring some matrices of a hundred columns takes a millisecond. OpenBLAS shares that out among threads which wait for
each other by spinning: five times slower on an idle machine, and a thousand times where another program has one of the
processors. Passes over rows have threads of their own. And sums are then taken in one order, so that a fit gives the
same bits on any number of processors, and beside others.

The number of threads is the process's own, so those who want one thread are counted, and whatever ends the last of
them, what was set before is set again: an interruption here or there, too, and in a process that was forked meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Any
from weakref import WeakSet


class _User:
    """Someone who wants one thread, for as long as it lives."""


_lock = RLock()  # whoever was interrupted may leave while the same thread collects garbage in here
_users: WeakSet[_User] = WeakSet()
#: Libraries with the number of threads that each had before.
_before: list[tuple[Any, int]] = []


@cache
def _libraries() -> list[Any]:
    from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]

    return ThreadpoolController().select(user_api="blas").lib_controllers


@contextmanager
def one_thread() -> Generator[None]:
    """BLAS on one thread; what was set before is set again by the last to leave."""
    user = _User()
    try:
        with _lock:
            if not _users and not _before:  # else someone was interrupted while leaving
                _before[:] = [(library, library.get_num_threads()) for library in _libraries()]
            _users.add(user)
            for library, _ in _before:
                library.set_num_threads(1)
        yield
    finally:
        with _lock:
            _users.discard(user)
            if not _users:
                _restore()


def _restore() -> None:
    for library, number in _before:
        library.set_num_threads(number)
    _before.clear()


def _forked() -> None:
    """In a forked process there is only the thread that forked, whatever the others were doing."""
    global _lock  # noqa: PLW0603 (the old one may be held for ever)
    _lock = RLock()
    _users.clear()
    _restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
