"""Two libraries take turns on one case."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self

import numpy as np

from benchmarks import reference
from benchmarks.cases import Case, Parameters, folder
from benchmarks.measure import busy, clean_environment, counts, ratio, spent
from benchmarks.rivals.peers import MIXTURA, Peer

#: Differences of the log-likelihood, in nats a row, from which on a result counts as another one.
SAME = {"float64": 1e-6, "float32": 1e-4}
#: A turn is quiet when other programs used less than this much of a core meanwhile; one that is not is taken again, …
QUIET = 0.1
#: … as long as there were fewer turns in all than this many times those that were asked for.
PATIENCE = 3


class Failed(Exception):
    """A library could not do what it was asked to; the text says why."""


class TooSlow(Failed):
    """It was given up."""


class Contestant:
    """A worker process (benchmarks.rivals.worker), told what to do and asked for its figures.

    Parameters
    ----------
    peer : Peer
    case : Case, optional
        Without one, only the version is asked for.
    dtype : str
    limit : float
        Seconds that a single answer may take.
    """

    def __init__(self, peer: Peer, case: Case | None = None, dtype: str = "float64", limit: float = 120.0) -> None:
        if not peer.interpreter.exists():
            raise Failed("not set up")
        self.limit = limit
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by __exit__)
        what = [] if case is None else [*map(str, case), dtype]
        self.process = subprocess.Popen(
            [peer.interpreter, "-W", "ignore", "-m", "benchmarks.rivals.worker", peer.name, *what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=clean_environment(),
            start_new_session=True,
        )
        try:
            answer = self._answer()
        except Failed:
            self.__exit__()
            raise
        self.version: str = answer["version"]
        self.processes: list[int] = answer.get("processes", [])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.errors.close()

    def run(self, iterations: int, *, peak: bool = False, save: Path | None = None) -> dict[str, Any]:
        """{"seconds", "peak"} of one call."""
        order = json.dumps({"iterations": iterations, "peak": peak, "save": save and str(save)})
        with suppress(BrokenPipeError):  # the answer says why
            self.process.stdin.write(order.encode() + b"\n")
            self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        end, line = time.monotonic() + self.limit, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TooSlow(f"more than {self.limit:.0f} s for one call")
            part = os.read(self.process.stdout.fileno(), 65_536)
            if not part:
                self.errors.seek(0)
                said = self.errors.read().strip().splitlines() or ["it ended without a word"]
                raise Failed(said[-1][-200:])
            line += part
        answer = json.loads(line)
        if "missing" in answer:
            raise Failed(f"not installed: {answer['missing']}")
        return answer


@dataclass
class Entry:
    """A contestant's place on a case, with the figures of every turn."""

    peer: str
    case: Case
    dtype: str
    failure: str = ""
    too_slow: bool = False
    seconds: float = float("nan")
    ratio: float = float("nan")  # to Mixtura, in the same turns
    peak: float = float("nan")  # MiB
    difference: float = float("nan")  # of the log-likelihood a row from the reference's, in nats
    checked_after: int = 0  # iterations
    disturbance: float = 0.0  # cores that other programs used, at the most

    @property
    def differs(self) -> bool:
        """Whether it ended elsewhere than the reference."""
        return bool(abs(self.difference) > SAME[self.dtype] or (self.checked_after and np.isnan(self.difference)))

    @property
    def marks(self) -> str:
        """What a reader of its figures should see at once."""
        return ("~" if self.disturbance >= QUIET else "") + ("*" if self.differs else "")


class Side:
    """A warmed-up contestant that can be timed again and again."""

    def __init__(self, contestant: Contestant, entry: Entry, own_start: bool, scratch: Path) -> None:
        self.contestant, self.entry = contestant, entry
        contestant.run(1)  # compiles, loads, allocates
        once = contestant.run(1, peak=True)
        entry.peak = once["peak"]
        self.few, self.many = counts(once["seconds"])
        entry.checked_after = 0 if own_start else max(n for n in (self.few, self.many) if n <= reference.ITERATIONS)
        self.file = scratch / f"{entry.peer}.npz"

    def take(self) -> float:
        """Seconds an iteration."""
        took = {}
        for n in (self.few, self.many):
            keep = self.file if n == self.entry.checked_after and not self.file.exists() else None
            took[n] = self.contestant.run(n, save=keep)["seconds"]
        return (took[self.many] - took[self.few]) / (self.many - self.few)

    def check(self) -> None:
        """Compare where it ended with the reference."""
        if self.entry.checked_after:
            rows = np.load(folder(self.entry.case) / "rows.npy", mmap_mode="r")
            with np.load(self.file) as saved:
                found = Parameters(saved["weights"], saved["means"], saved["covariances"], self.entry.case.family)
            expected = reference.path(self.entry.case)[self.entry.checked_after]
            self.entry.difference = reference.loglik(rows, found) - expected


class Turn(NamedTuple):
    """Cores that other programs used meanwhile, and seconds an iteration of each side."""

    disturbance: float
    taken: tuple[float, ...]


def _turn(sides: tuple[Side, ...], backwards: bool) -> Turn:
    """Time every side once."""
    processes = [os.getpid(), *(process for side in sides for process in side.contestant.processes)]

    def others() -> float:
        return busy() - sum(map(spent, processes))

    began, before = time.monotonic(), others()
    taken = {id(side): side.take() for side in sides[:: -1 if backwards else 1]}
    disturbance = (others() - before) / (time.monotonic() - began)
    in_order = tuple(taken[id(side)] for side in sides)
    return Turn(disturbance if min(in_order) > 0 else np.inf, in_order)  # less than no time: it was disturbed


def _turns(sides: tuple[Side, ...], wanted: int) -> list[Turn]:
    """So many turns: the quietest of those that were taken."""
    turns: list[Turn] = []
    while len(turns) < PATIENCE * wanted and sum(turn.disturbance < QUIET for turn in turns) < wanted:
        turns.append(_turn(sides, backwards=len(turns) % 2 == 1))
    return sorted(turns)[:wanted]


def race(case: Case, dtype: str, peers: list[Peer], repeats: int, limit: float) -> list[Entry]:
    """Mixtura and each peer in turns; Mixtura's entry comes first and has its median over all turns."""
    folder(case)
    mine = Entry(MIXTURA.name, case, dtype, ratio=1.0)
    entries, home = [mine], []
    with tempfile.TemporaryDirectory() as name, Contestant(MIXTURA, case, dtype, limit) as own:
        at_home = Side(own, mine, own_start=False, scratch=Path(name))
        for peer in peers:
            entry = Entry(peer.name, case, dtype)
            entries.append(entry)
            try:
                with Contestant(peer, case, dtype, limit) as other:
                    visitor = Side(other, entry, peer.own_start, Path(name))
                    turns = _turns((visitor, at_home), repeats)
                    away, here = zip(*(turn.taken for turn in turns), strict=True)
                    entry.seconds, entry.ratio = median(away), ratio(away, here)
                    entry.disturbance = max(turn.disturbance for turn in turns)
                    home += [(turn.disturbance, seconds) for turn, seconds in zip(turns, here, strict=True)]
                    visitor.check()
            except Failed as failure:
                entry.failure, entry.too_slow = str(failure), isinstance(failure, TooSlow)
            print(summary(entry), flush=True)
        home = home or [(turn.disturbance, *turn.taken) for turn in _turns((at_home,), repeats)]
        mine.seconds = median(seconds for _, seconds in home)
        mine.disturbance = max(disturbance for disturbance, _ in home)
        at_home.check()
    print(summary(mine), flush=True)
    return entries


def summary(entry: Entry) -> str:
    """A line for the terminal."""
    head = f"{entry.case.name} {entry.dtype} {entry.peer}: "
    if entry.failure:
        return head + entry.failure
    away = f", {entry.difference:+.1e} nats after {entry.checked_after}" if entry.checked_after else ""
    warning = "  DIFFERS" if entry.differs else ""
    warning += f"  others used {entry.disturbance:.1f} cores" if entry.disturbance >= QUIET else ""
    return f"{head}{1e3 * entry.seconds:.2f} ms, ratio {entry.ratio:.2f}, {entry.peak:.0f} MiB{away}{warning}"
