"""What may come between a fit and its end: Ctrl-C, and a checkpoint that cannot be written."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from mixtura.cli.output import fail, note

if TYPE_CHECKING:
    from mixtura.ground import Observer, Progress


class Listening:
    """An observer that hears of Ctrl-C too, and passes on what another one is told.

    Attributes
    ----------
    interrupted : bool
        Whether the fit was asked to end.
    """

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self._said = self._begun = False
        self.interrupted = False

    def __call__(self, progress: Progress) -> bool:
        """Hear of a pass; whether the fit is to end."""
        self._begun = progress.stage != "sample"
        if self.interrupted and not self._said:
            self._said = True
            note("\nEnding with the best model so far, as soon as its likelihood is known. Ctrl-C again ends at once.")
        told = self._observer is not None and self._observer(progress)
        return bool(told) or self.interrupted

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """Hear of Ctrl-C: the first one after the first model asks for the end, any other is the end."""
        if self.interrupted or not self._begun:
            signal.default_int_handler(number, None)
        self.interrupted = True


@contextmanager
def listening(observer: Observer | None) -> Generator[Listening]:
    """An observer that ends a fit at Ctrl-C with the best model so far; a second Ctrl-C is KeyboardInterrupt."""
    heard = Listening(observer)
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before = signal.signal(signal.SIGINT, heard.interrupt)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)


def prepare_checkpoint(path: str | None, *, resume: bool, force: bool, quiet: bool) -> None:
    """See that a checkpoint is there or not, as it should be."""
    from mixtura.sources.journal import head_of

    if path is None:
        if resume:
            raise click.UsageError("--resume needs --checkpoint: the file to go on from.")
        return
    there = os.path.lexists(path)
    if resume:
        if not quiet:
            note(f"Going on from {path}." if there else f"There is no {path} to go on from: beginning anew.")
    elif there and not force:
        fail(f"{path} exists already: go on from there with --resume, or begin anew with --force")
    elif there:
        head_of(path)  # raises if it is something else
        Path(path).unlink()


@contextmanager
def told_of_checkpoints(quiet: bool) -> Generator[None]:
    """Warnings about checkpoints as remarks."""
    from mixtura.sources.journal import CheckpointWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", CheckpointWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if not issubclass(category, CheckpointWarning):
                usual(message, category, *place)
            elif not quiet:
                note(f"Warning: {message}.")

        warnings.showwarning = show
        yield
