"""The program itself: its commands together, and whatever can go wrong said in one sentence."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from mixtura._version import __version__
from mixtura.cli.compare import compare
from mixtura.cli.export import export
from mixtura.cli.fit import fit
from mixtura.cli.merge import merge
from mixtura.cli.output import INTERRUPTED, fail
from mixtura.cli.sample import sample
from mixtura.cli.score import score
from mixtura.cli.select import select
from mixtura.cli.show import show

#: Exit code where nobody reads the output any more.
BROKEN_PIPE = 141


class _Program(click.Group):
    """The commands, with whatever can go wrong said in one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        _write_whole()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted." if sys.stderr.isatty() else "Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _let_go()
            ctx.exit(BROKEN_PIPE)
        except (ValueError, OSError, MemoryError, ImportError) as error:
            if os.environ.get("MIXTURA_DEBUG"):
                raise
            if isinstance(error, OSError):
                _let_go()
            fail(_sentence(error), error)


def _write_whole() -> None:
    """Give standard output a buffer where it has none (``python -u``): without, a write may silently take a part."""
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(sys.stdout.fileno(), "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115


def _let_go() -> None:
    """Point standard output to nowhere, if it takes nothing more: what is left in its buffer must not be an error."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot {f'use {error.filename}' if error.filename else 'write'}: {error.strerror}"
    return str(error)


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 error, 2 misuse, 3 finished without converging, 130 interrupted.",
)
@click.version_option(__version__, prog_name="mixtura")
def main() -> None:
    """Gaussian mixtures for tables: fit and choose a model, then use it.

    Results go to standard output; progress, remarks and errors go to standard error.
    """


for command in (fit, select, score, compare, merge, sample, show, export):
    main.add_command(command)
