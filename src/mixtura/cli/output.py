"""Where results, progress, remarks and errors go."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    import pyarrow as pa

    from mixtura.ground import Observer
    from mixtura.sources.files import FileTable
    from mixtura.sources.reader import Opened

#: Exit code of a command that was interrupted, whether or not it had something to show.
INTERRUPTED = 130
#: Lines are as wide as the terminal, within these bounds.
WIDTHS = (40, 120)
#: What stands for characters that an output cannot show.
_PLAIN = str.maketrans(
    {"█": "#", **dict.fromkeys("▉▊▋▌", "#"), **dict.fromkeys("▍▎▏", ""), "±": "+-", "×": "x", "…": "~"}
)

#: How a text begins that a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def fail(sentence: str, cause: Exception | None = None) -> NoReturn:
    """End with an error of one line."""
    from mixtura.text import harmless

    raise click.ClickException(harmless(" ".join(sentence.splitlines()))) from cause


@contextmanager
def output_folder(out: str | None, names: Iterable[str], force: bool) -> Generator[Path | None]:
    """The folder for outputs, checked before the work is done; one that was made goes if the work fails."""
    if out is None:
        yield None
        return
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        fail(f"{out} is a file: --out needs a folder")
    held = [name for name in names if os.path.lexists(folder / name)]
    if held and not force:
        fail(f"{out} holds {', '.join(held)} already: choose another folder, or replace them with --force")
    blocked = [name for name in held if (folder / name).is_dir()]
    if blocked:
        fail(f"{out} holds a folder {blocked[0]}, where a file would go: choose another folder")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        fail(f"cannot write into the folder {out}: permission denied")
    try:
        yield folder
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise


def progress_bar(quiet: bool) -> AbstractContextManager[Observer | None]:
    """An observer that draws a bar on standard error, if that is a terminal and it takes more than two seconds."""
    from mixtura.progress import on_terminal

    return on_terminal(quiet)


def note_left_out(file: FileTable | Opened, quiet: bool) -> None:
    """Say which columns of a file are not used."""
    for name, reason in file.left_out.items():
        if not quiet:
            note(f"Left out column {name!r}: {reason}.")


def arrow_table(columns: dict[str, Any]) -> pa.Table:
    """Columns as a table."""
    import pyarrow as pa

    return pa.table(columns)


def check_free(out: str | None, force: bool) -> None:
    """Refuse to replace a file unless that was allowed."""
    if out is not None and not force and Path(out).is_file():
        fail(f"{out} exists already: choose another name, or replace it with --force")


def write_columns(columns: dict[str, Any], out: str | None, output_format: str | None) -> None:
    """Columns to a file, or to standard output; a terminal gets no names that could steer it."""
    from mixtura.sources.files import kind_of_output, write_table
    from mixtura.text import harmless

    path = "-" if out is None else out
    kind = kind_of_output(path, output_format or ("csv" if path == "-" else None))
    table = arrow_table(columns)
    if path == "-" and sys.stdout.isatty():
        table = table.rename_columns([harmless(name) for name in columns])
    write_table(table, path, kind)
    formula = next((name for name in columns if name.startswith(_FORMULA)), None)
    if kind == "csv" and formula is not None:
        note(f"A spreadsheet may take the name of the column {formula!r} for a formula: do not let it run that.")


def line_width() -> int:
    """How wide a line may be."""
    narrowest, widest = WIDTHS
    return max(narrowest, min(shutil.get_terminal_size().columns, widest))


def show_text(text: str) -> None:
    """Text to standard output, in plainer characters where it cannot show ours."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    click.echo(text)


def note(text: str) -> None:
    """A remark on standard error."""
    from mixtura.text import harmless

    click.echo(harmless(text), err=True)
