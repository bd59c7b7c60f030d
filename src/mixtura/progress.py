"""How far a long computation has come, in a terminal or in a notebook: nothing for two seconds, then true numbers."""

from __future__ import annotations

import html
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from mixtura.race import Observer, Progress

#: Seconds until a bar appears, and between two changes of it.
DELAY, PERIOD = 2.0, 0.1


class Seen(NamedTuple):
    """What a bar shows: what is being done, how much of it, and how far that is."""

    title: str
    done: int
    steps: int
    detail: str

    @classmethod
    def of(cls, progress: Progress, seconds: float) -> Seen:
        """What an observer was told, so many seconds after the beginning."""
        title, detail = _STAGES.get(progress.stage, (progress.stage, _PASSES))
        done = progress.climbs - progress.climbing
        said = detail.format(done=done, steps=progress.climbs, passes=progress.passes)
        return cls(title, done, progress.climbs, f"{said}, {_clock(seconds)}")


_PASSES = "{done:,} of {steps:,} arrived, pass {passes:,}"
#: What each stage is called, and what is counted in it.
_STAGES = {
    "race": ("Racing starts", _PASSES),
    "repair": ("Repairing", _PASSES),
    "grow": ("More rows", _PASSES),
    "climb": ("Climbing", _PASSES),
    "folds": ("Validating", _PASSES),
    "merge": ("Merging", "{done:,} of {steps:,} steps"),
    "rows": ("Scoring", "{done:,} of {steps:,} rows"),
    "report": ("Drawing", "{done:,} of {steps:,} steps"),
}


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

        self._bars = Progress(
            TextColumn("{task.description:<13}"),
            BarColumn(),
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

    def __call__(self, progress: Progress) -> None:
        """Hear of a step."""
        now = self._clock()
        if now - self._start < DELAY or now - self._last < PERIOD:
            return
        self._bar, self._last = self._bar or self._make(), now
        self._bar.show(Seen.of(progress, now - self._start))

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
