"""Blocks that threads work on, a few at a time, and whose results come in block order."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from queue import SimpleQueue
from threading import Lock, Thread, get_ident
from typing import Any, Generic, TypeVar

from mixtura.sources.source import Block, Result, Source, Sum

#: Blocks whose results wait for those before them, for each thread: what is held at once is bounded by that.
WAITING = 4

Item = TypeVar("Item")
#: Makes a block, in whatever thread calls it; called once.
Recipe = Callable[[], Block]


class Threaded(Source):
    """A source that says how to make its blocks; the two verbs follow.

    Parameters
    ----------
    n_threads : int, optional
        How many blocks to work on at once; by default as many as this process may use processors. Results are the
        same bits for any number.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n_threads = n_threads or processors()
        self._made: tuple[int, ThreadPoolExecutor] | None = None

    @abstractmethod
    def _recipes(self) -> Generator[Recipe]:
        """How to make each block, in order: one thread at a time asks for the next one."""

    @property
    def _threads(self) -> int:
        """How many threads there is work for."""
        return self.n_threads

    def _pool(self) -> ThreadPoolExecutor:
        """Threads that stay, for starting them costs as much as a small pass; a forked process needs its own."""
        if self._made is None or self._made[0] != os.getpid():
            self._made = os.getpid(), ThreadPoolExecutor(self._threads, thread_name_prefix="mixtura")
        return self._made[1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": None}

    def map(self, function: Callable[[Block], Result]) -> Iterator[Result]:
        with closing(self._recipes()) as recipes:
            if self._threads <= 1:
                yield from (function(recipe()) for recipe in recipes)
                return
            pending: deque[Future[Result]] = deque()
            try:
                for recipe in recipes:
                    pending.append(self._submitted(function, recipe))
                    if len(pending) >= WAITING * self._threads:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()
                wait(pending)

    def _submitted(self, function: Callable[[Block], Result], recipe: Recipe) -> Future[Result]:
        try:
            return self._pool().submit(_made_of, function, recipe)
        except RuntimeError:  # no thread is to be had
            done = Future[Result]()
            done.set_result(function(recipe()))
            return done

    def total(self, function: Callable[[Block], Sum]) -> Sum:
        with closing(self._recipes()) as recipes:
            return self._together(_Recipes(self._counted(function), recipes, WAITING * self._threads))

    def _counted(self, function: Callable[[Block], Result]) -> Callable[[Block], Result]:
        """The function; whoever watches is told of the rows that it has been called with."""
        return function if self._tell is None else _Counted(function, self._tell)

    def _together(self, work: Adding[Sum]) -> Sum:
        """The sum, when all threads have worked on it."""
        in_threads(work.work, self._pool, self._threads - 1)
        return work.sum


class _Counted(Generic[Result]):
    """A function that counts rows, and tells of them in the thread that made it."""

    def __init__(self, function: Callable[[Block], Result], tell: Callable[[int], object]) -> None:
        self.function, self.tell = function, tell
        self.thread, self.lock = get_ident(), Lock()
        self.rows = 0

    def __call__(self, block: Block) -> Result:
        result = self.function(block)
        with self.lock:
            self.rows += len(block.rows)
        if get_ident() == self.thread:
            self.tell(self.rows)
        return result


def in_threads(work: Callable[[], None], pool: Callable[[], ThreadPoolExecutor], more: int) -> None:
    """Work in this thread and in so many more, until all have come back."""
    helpers: list[Future[None]] = []
    try:
        with suppress(RuntimeError):  # no more threads are to be had: those that there are do it all
            helpers.extend(pool().submit(work) for _ in range(more))
        work()
    finally:
        wait(helpers)
    for helper in helpers:
        helper.result()


def _made_of(function: Callable[[Block], Result], recipe: Recipe) -> Result:
    return function(recipe())


class Adding(ABC, Generic[Sum]):
    """A pass: any number of threads may ``work``, and ``sum`` is there when all have come back."""

    sum: Sum

    def __init__(self) -> None:
        self._adding = Lock()
        self._waiting: dict[int, Sum] = {}
        self._added = 0

    @abstractmethod
    def work(self) -> None:
        """Take one piece of work after the other, as long as there are any."""

    def _add(self, number: int, result: Sum) -> None:
        """Add the result of a block, when those of the blocks before it are there."""
        with self._adding:
            self._waiting[number] = result
            while self._added in self._waiting:
                result = self._waiting.pop(self._added)
                self.sum = self.sum + result if self._added else result
                self._added += 1
                self._room()

    def _room(self) -> None:
        """One result less is waiting."""


class _Room:
    """A semaphore. An interrupt may leave Python's own locked for ever, but not a queue of tokens."""

    def __init__(self, most: int) -> None:
        self._tokens = SimpleQueue[None]()
        for _ in range(most):
            self.release()

    def acquire(self) -> None:
        """Wait until there is room, and take it."""
        self._tokens.get()

    def release(self) -> None:
        """Give room back."""
        self._tokens.put(None)


class _Recipes(Adding[Sum]):
    """Block after block, each taken by whoever is free."""

    def __init__(self, function: Callable[[Block], Sum], recipes: Iterator[Recipe], most: int) -> None:
        super().__init__()
        self._function, self._recipes = function, enumerate(recipes)
        self._space = _Room(most)  # for results that wait for those of earlier blocks
        self._taking = Lock()
        self._over = False

    def work(self) -> None:
        try:
            while True:
                self._space.acquire()
                with self._taking:
                    taken = None if self._over else next(self._recipes, None)
                if taken is None:
                    break
                number, recipe = taken
                self._add(number, self._function(recipe()))
        finally:  # at the end, or where something went wrong, the others come back too
            self._over = True
            self._space.release()

    def _room(self) -> None:
        self._space.release()


def ahead(items: Generator[Item], most: int) -> Generator[Item]:
    """The same items, made in a thread of their own before they are asked for; at most so many wait."""
    room, ready = _Room(most), SimpleQueue[tuple[bool, Any]]()
    over = False

    def make() -> None:
        try:
            while True:
                room.acquire()
                if over:
                    break
                ready.put((True, next(items)))
        except BaseException as error:  # noqa: BLE001 (raised where the items are asked for)
            ready.put((False, error))
        finally:
            items.close()

    thread = Thread(target=make, name="mixtura-reader", daemon=True)
    thread.start()
    try:
        while True:
            made, item = ready.get()
            if not made:
                if isinstance(item, StopIteration):
                    return
                raise item
            yield item
            room.release()
    finally:
        over = True
        room.release()
        thread.join()


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
