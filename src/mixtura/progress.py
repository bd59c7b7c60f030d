"""How far a long computation has come, in a terminal or in a notebook: nothing for two seconds, then true numbers."""

from __future__ import annotations

import html
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from mixtura.ground import Observer, Progress

#: Seconds until a bar appears, and between two changes of it.
DELAY, PERIOD = 2.0, 0.1
#: Characters of a bar in a terminal.
BAR = 20
#: Passes in each of which the gap must have shrunk before the time to the top is told.
MARKS = 6


class Seen(NamedTuple):
    """What a bar shows: what is being done, how much of it, and how far that is."""

    title: str
    done: int
    steps: int
    detail: str

    @classmethod
    def of(cls, progress: Progress, seconds: float, left: str = "") -> Seen:
        """What an observer was told, so many seconds after the beginning, with a word on the time that is left."""
        title, detail = _STAGES.get(progress.stage, (progress.stage, _climbs))
        done, steps = progress.climbs - progress.climbing, progress.climbs
        if not steps:  # nothing climbs yet
            done, steps = progress.rows, progress.n_rows
        told = [*detail(progress, done, steps), _clock(seconds), left, *_found(progress)]
        return cls(title, done, steps, ", ".join(filter(None, told)))  # what is cut off first comes last


def _climbs(progress: Progress, done: int, steps: int) -> list[str]:
    """Climbs that have arrived, and the pass with the share of its rows that are done."""
    told = [f"{done:,} of {steps:,} arrived", f"pass {progress.passes + progress.within:,}"]
    if progress.within:
        told[-1] += f" ({progress.rows / progress.n_rows:.0%})"
    return told


def _found(progress: Progress) -> list[str]:
    """The gap and the log-likelihood, where there are any."""
    gap = [f"gap {progress.gap:.0e}"] if math.isfinite(progress.gap) else []
    return gap if math.isnan(progress.loglik) else [*gap, f"log-likelihood {progress.loglik:.6g} a row"]


def _steps(_: Progress, done: int, steps: int) -> list[str]:
    return [f"{done:,} of {steps:,} steps"]


def _rows(_: Progress, done: int, steps: int) -> list[str]:
    return [f"{done:,} of {steps:,} rows"]


#: What each stage is called, and what is told of it.
_STAGES = {
    "sample": ("Sampling", _rows),
    "race": ("Racing starts", _climbs),
    "repair": ("Repairing", _climbs),
    "grow": ("More rows", _climbs),
    "climb": ("Climbing", _climbs),
    "folds": ("Validating", _climbs),
    "merge": ("Merging", _steps),
    "rows": ("Scoring", _rows),
    "report": ("Drawing", _steps),
}


class Mark(NamedTuple):
    """The end of a pass: when it was, how many there had been, and the gap that was left."""

    seconds: float
    passes: int
    gap: float


class Left:
    """How long something takes still, where there is ground to say so.

    Rows go by at an even pace, so what is left of them takes as long in proportion. On the climb over all rows the gap
    shrinks by about the same factor in each pass, or more: the passes down to the tolerance follow from the last few.
    """

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque(maxlen=MARKS)
        self._first: tuple[float, int] = 0.0, 0  # when rows of this pass were heard of first, and how many
        self._last = "", 0, 0

    def hear(self, progress: Progress, seconds: float) -> str:
        """A word on what is left, so many seconds after the beginning; nothing where it is not known."""
        done, rows = progress.rows, progress.n_rows
        if progress.stage == "rows":
            done, rows = progress.climbs - progress.climbing, progress.climbs
        stage, passes, before = self._last
        if progress.stage != stage or progress.passes < passes:
            self._marks.clear()
        if not (progress.stage == stage and progress.passes == passes and 0 < before < done):
            self._first = seconds, done
        if not progress.within:
            self._marks.append(Mark(seconds, progress.passes, progress.gap))
        self._last = progress.stage, progress.passes, done
        return self._to_the_top(progress, seconds) or self._of_rows(done, rows, seconds, bool(progress.within))

    def _to_the_top(self, progress: Progress, seconds: float) -> str:
        if progress.stage != "climb" or len(self._marks) < MARKS or not progress.gap > progress.tol > 0:
            return ""
        first, last = self._marks[0], self._marks[-1]
        if not (first.gap < math.inf and all(one.gap > two.gap for one, two in pairwise(self._marks))):
            return ""
        rate = math.log(first.gap / last.gap) / (last.passes - first.passes)
        each = (last.seconds - first.seconds) / (last.passes - first.passes)
        left = each * math.log(last.gap / progress.tol) / rate - (seconds - last.seconds)
        return f"about {_clock(round(left))} to the top" if left > 0 else ""

    def _of_rows(self, done: int, rows: int, seconds: float, within: bool) -> str:
        since, first = self._first
        if not first < done < rows:
            return ""
        left = (seconds - since) * (rows - done) / (done - first)
        return f"{_clock(round(left))} left{' of the pass' if within else ''}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Bar(Protocol):
    """Something that can show how far a computation is, and vanish."""

    def show(self, seen: Seen) -> None:
        """Show this from now on."""
        ...

    def close(self) -> None:
        """Leave no trace."""
        ...


class TerminalBar:
    """A bar on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        self._bars = Progress(
            TextColumn("{task.description:<13}", table_column=Column(min_width=13)),
            BarColumn(bar_width=BAR),
            TextColumn("{task.fields[detail]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bars.add_task("", detail="")
        self._bars.start()

    def show(self, seen: Seen) -> None:
        """Show this from now on."""
        self._bars.update(
            self._task, description=seen.title, total=seen.steps, completed=seen.done, detail=seen.detail, refresh=True
        )

    def close(self) -> None:
        """Leave no trace."""
        self._bars.stop()


class NotebookBar:
    """A bar in the output of a notebook's cell, which needs no widgets."""

    def __init__(self) -> None:
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports] (we are in a notebook)

        self._html = HTML
        self._place: Any = display(HTML(""), display_id=True)

    def show(self, seen: Seen) -> None:
        """Show this from now on."""
        said = html.escape(f"{seen.title}: {seen.detail}")
        self._place.update(
            self._html(
                f'<label style="font-variant-numeric:tabular-nums"><progress value="{seen.done}" max="{seen.steps}">'
                f"</progress> {said}</label>"
            )
        )

    def close(self) -> None:
        """Leave no trace."""
        self._place.update(self._html(""))


class Patient:
    """An observer that shows a bar once it has been two seconds, and changes it ten times a second at most.

    Parameters
    ----------
    make : callable
        Makes the bar when it is time.
    clock : callable
        Seconds from anywhere.
    """

    def __init__(self, make: Callable[[], Bar], clock: Callable[[], float] = time.monotonic) -> None:
        self._make, self._clock = make, clock
        self._start, self._last = clock(), -float("inf")
        self._bar: Bar | None = None
        self._left = Left()

    def __call__(self, progress: Progress) -> None:
        """Hear of a step."""
        now = self._clock()
        left = self._left.hear(progress, now - self._start)
        if now - self._start < DELAY or now - self._last < PERIOD:
            return
        self._bar, self._last = self._bar or self._make(), now
        self._bar.show(Seen.of(progress, now - self._start, left))

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


@contextmanager
def watched(progress: Observer | bool | None) -> Generator[Observer | None]:
    """The observer that was asked for, while something is done.

    A callable is that itself; True is a bar, False is none, and None is a bar where somebody is looking: in a notebook,
    or at the prompt of an interpreter.
    """
    if callable(progress):
        yield progress
        return
    wanted = _interactive() if progress is None else progress
    if not wanted:
        yield None
        return
    patient = Patient(NotebookBar if _notebook() else TerminalBar)
    try:
        yield patient
    finally:
        patient.close()


@contextmanager
def on_terminal(quiet: bool) -> Generator[Observer | None]:
    """A bar on standard error, if that is a terminal that can draw one; else, or if ``quiet``, none."""
    with watched(not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb") as observer:
        yield observer


def _interactive() -> bool:
    return _notebook() or (hasattr(sys, "ps1") and sys.stderr.isatty())


def _notebook() -> bool:
    """Whether a Jupyter kernel runs this."""
    ipython = sys.modules.get("IPython")
    shell: Any = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
