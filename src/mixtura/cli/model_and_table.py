"""What the commands take that use a model on a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mixtura.cli.options import as_names, given
from mixtura.cli.output import fail, note_left_out
from mixtura.cli.tables import opened_table

if TYPE_CHECKING:
    from mixtura.io import SavedModel
    from mixtura.sources.files import FileTable
    from mixtura.sources.reader import Opened


def saved_and_source(
    model: str, table: str, columns: str | None, weights: str | None, source: dict[str, Any], *, quiet: bool
) -> tuple[SavedModel, Opened]:
    """A model, and the columns of a table that stand for its own, wherever that table is."""
    import mixtura
    from mixtura.summary import column_names

    saved = mixtura.load(model)
    wanted = given(columns, as_names) or saved.mixture.columns
    opened = opened_table(table, wanted, weights, source, quiet=quiet)
    _check(model, saved, table, opened.columns or column_names(saved.mixture)[: opened.source.n_features])
    return saved, opened


def saved_and_table(
    model: str, table: str, columns: str | None, *, input_format: str | None, quiet: bool
) -> tuple[SavedModel, FileTable]:
    """A model, and a file in memory, with the columns of it that stand for the model's own."""
    import mixtura
    from mixtura.sources.files import read_table

    saved = mixtura.load(model)
    file = read_table(table, columns=given(columns, as_names) or saved.mixture.columns, format=input_format)
    note_left_out(file, quiet)
    _check(model, saved, table, file.columns)
    return saved, file


def _check(model: str, saved: SavedModel, table: str, columns: Sequence[str]) -> None:
    """End with an error unless there are as many columns as the model has."""
    if len(columns) != saved.mixture.n_features:
        fail(
            f"{model} is a model of {saved.mixture.n_features} columns, but {len(columns)} of {table} "
            f"were taken ({', '.join(columns)}): name the right ones with --columns"
        )
