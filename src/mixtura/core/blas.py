"""One thread for the linear algebra of a fit.

Factoring some matrices of a hundred columns takes a millisecond. OpenBLAS shares that out among threads which wait for
each other by spinning: five times slower on an idle machine, and a thousand times where another program has one of the
processors. Passes over rows have threads of their own. And sums are then taken in one order, so that a fit gives the
same bits on any number of processors, and beside others.

The number of threads is the process's own (but for libraries that run on OpenMP, where it is the thread's), so those
who want one thread are counted, and whatever ends the last of them, what was set before is set again: an interruption
here or there, too, and in a process that was forked meanwhile.
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


#: Libraries with the number of threads that each had before.
Numbers = list[tuple[Any, int]]

_lock = RLock()  # whoever was interrupted may leave while the same thread collects garbage in here
_users: WeakSet[_User] = WeakSet()
_before: Numbers = []


@cache
def _libraries() -> tuple[list[Any], list[Any]]:
    """Linear algebra whose number of threads is that of the process, and that of the thread."""
    from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    own = [library for library in found if getattr(library, "threading_layer", None) == "openmp"]
    return [library for library in found if library not in own], own


@contextmanager
def one_thread() -> Generator[None]:
    """BLAS on one thread; what was set before is set again by the last to leave."""
    user = _User()
    own: Numbers = []
    try:
        common, of_thread = _libraries()
        own += [(library, library.get_num_threads()) for library in of_thread]
        _limit(own)
        with _lock:
            if not _users and not _before:  # else someone was interrupted while leaving
                _before[:] = [(library, library.get_num_threads()) for library in common]
            _users.add(user)
            _limit(_before)
        yield
    finally:
        _restore(own)
        with _lock:
            _users.discard(user)
            if not _users:
                _restore(_before)


def _limit(numbers: Numbers) -> None:
    for library, _ in numbers:
        _set(library, 1)


def _restore(numbers: Numbers) -> None:
    for library, number in numbers:
        _set(library, number)
    numbers.clear()


def _set(library: Any, number: int) -> None:
    """Set a number of threads, from whichever thread: newer threadpoolctl lets one thread alone, until it gives up."""
    give_up = getattr(library, "clear_controlling_thread", None)
    if give_up is not None:
        give_up(force=True)
    library.set_num_threads(number)
    if give_up is not None:
        give_up(force=True)


def _forked() -> None:
    """In a forked process there is only the thread that forked, whatever the others were doing."""
    global _lock  # noqa: PLW0603 (the old one may be held for ever)
    _lock = RLock()
    _users.clear()
    _restore(_before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
