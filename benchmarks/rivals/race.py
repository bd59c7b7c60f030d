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
from typing import Any, Self

import numpy as np

from benchmarks import reference
from benchmarks.cases import Case, Parameters, folder
from benchmarks.measure import clean_environment, counts, ratio
from benchmarks.rivals.peers import MIXTURA, Peer

#: Differences of the log-likelihood, in nats a row, from which on a result counts as another one.
SAME = {"float64": 1e-6, "float32": 1e-4}


class Failed(Exception):
    """A library could not do what it was asked to; the text says why."""


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
            self.version = self._answer()["version"]
        except Failed:
            self.__exit__()
            raise

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
                raise Failed(f"more than {self.limit:.0f} s for one call")
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
    seconds: float = float("nan")
    ratio: float = float("nan")  # to Mixtura, in the same turns
    peak: float = float("nan")  # MiB
    difference: float = float("nan")  # of the log-likelihood a row from the reference's, in nats
    checked_after: int = 0  # iterations

    @property
    def differs(self) -> bool:
        """Whether it ended elsewhere than the reference."""
        return bool(abs(self.difference) > SAME[self.dtype] or (self.checked_after and np.isnan(self.difference)))


class Turns:
    """A warmed-up contestant that can be timed again and again."""

    def __init__(self, contestant: Contestant, entry: Entry, own_start: bool, scratch: Path) -> None:
        self.contestant, self.entry = contestant, entry
        contestant.run(1)  # compiles, loads, allocates
        once = contestant.run(1, peak=True)
        entry.peak = once["peak"]
        self.few, self.many = counts(once["seconds"])
        entry.checked_after = 0 if own_start else max(n for n in (self.few, self.many) if n <= reference.ITERATIONS)
        self.file = scratch / f"{entry.peer}.npz"
        self.figures: list[float] = []

    def take(self) -> float:
        """Seconds an iteration."""
        took = {}
        for n in (self.few, self.many):
            keep = self.file if n == self.entry.checked_after and not self.file.exists() else None
            took[n] = self.contestant.run(n, save=keep)["seconds"]
        self.figures.append((took[self.many] - took[self.few]) / (self.many - self.few))
        self.entry.seconds = median(self.figures)
        return self.figures[-1]

    def check(self) -> None:
        """Compare where it ended with the reference."""
        if self.entry.checked_after:
            rows = np.load(folder(self.entry.case) / "rows.npy", mmap_mode="r")
            with np.load(self.file) as saved:
                found = Parameters(saved["weights"], saved["means"], saved["covariances"], self.entry.case.family)
            expected = reference.path(self.entry.case)[self.entry.checked_after]
            self.entry.difference = reference.loglik(rows, found) - expected


def race(case: Case, dtype: str, peers: list[Peer], repeats: int, limit: float) -> list[Entry]:
    """Mixtura and each peer in turns; Mixtura's entry comes first and has its median over all turns."""
    folder(case)
    mine = Entry(MIXTURA.name, case, dtype, ratio=1.0)
    entries = [mine]
    with tempfile.TemporaryDirectory() as name, Contestant(MIXTURA, case, dtype, limit) as own:
        home_side = Turns(own, mine, own_start=False, scratch=Path(name))
        if not peers:
            for _ in range(repeats):
                home_side.take()
        for peer in peers:
            entry = Entry(peer.name, case, dtype)
            entries.append(entry)
            try:
                with Contestant(peer, case, dtype, limit) as other:
                    visitor = Turns(other, entry, peer.own_start, Path(name))
                    pairs = []
                    for turn in range(repeats):
                        order = (home_side, visitor) if turn % 2 else (visitor, home_side)
                        taken = {id(side): side.take() for side in order}
                        pairs.append((taken[id(visitor)], taken[id(home_side)]))
                    entry.ratio = ratio(*zip(*pairs, strict=True))
                    visitor.check()
            except Failed as failure:
                entry.failure = str(failure)
            print(summary(entry), flush=True)
        home_side.check()
    print(summary(mine), flush=True)
    return entries


def summary(entry: Entry) -> str:
    """A line for the terminal."""
    head = f"{entry.case.name} {entry.dtype} {entry.peer}: "
    if entry.failure:
        return head + entry.failure
    away = f", {entry.difference:+.1e} nats after {entry.checked_after}" if entry.checked_after else ""
    warning = "  DIFFERS" if entry.differs else ""
    return f"{head}{1e3 * entry.seconds:.2f} ms, ratio {entry.ratio:.2f}, {entry.peak:.0f} MiB{away}{warning}"
