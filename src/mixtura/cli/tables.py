"""The table that a command reads, which may be a file, a folder, or in a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mixtura.cli.engines import ENGINES, engine_of
from mixtura.cli.options import input_format_option
from mixtura.cli.output import note, note_left_out

if TYPE_CHECKING:
    from mixtura.sources.reader import Opened

_OPTIONS = (
    click.option("--where", metavar="CONDITION", help="Which rows to use, e.g. \"dose > 3 and site == 'A'\"."),
    click.option("--sql", metavar="QUERY", help="Rows of the database TABLE, e.g. sqlite:///FILE, by a query."),
    click.option("--no-spool", is_flag=True, help="Copy nothing: read CSV files and databases again in every pass."),
    click.option("--engine", type=click.Choice(sorted(ENGINES)), help="Let a cluster read the files TABLE."),
    click.option("--scheduler", metavar="ADDRESS", help="Of Dask's scheduler, or Spark's master.  [default: here]"),
    input_format_option,
)


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what of a table is read, and how: they are passed on as ``source``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def opened_table(
    table: str, columns: Any, weights: str | None, source: dict[str, Any], *, quiet: bool, threads: int | None = None
) -> Opened:
    """The table as a source, with remarks about columns that were left out and about copies."""
    from mixtura.sources import Query, as_source

    if source["sql"] is not None and source["input_format"] is not None:
        raise click.UsageError("--input-format is for files, not for databases.")
    opened = as_source(
        table if source["sql"] is None else Query(source["sql"], table),
        columns=columns,
        weights=weights,
        where=source["where"],
        format=source["input_format"],
        n_threads=threads,
        spool=False if source["no_spool"] else None,
        told=_nothing if quiet else note,
        engine=engine_of(source["engine"], source["scheduler"]),
    )
    note_left_out(opened, quiet)
    return opened


def _nothing(_: str) -> None:
    """Say nothing."""
