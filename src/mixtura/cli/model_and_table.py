"""What the commands take that use a model on a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixtura.cli.options import as_names, given
from mixtura.cli.output import fail, note_left_out

if TYPE_CHECKING:
    from mixtura.io import SavedModel
    from mixtura.sources.files import FileTable


def saved_and_table(
    model: str, table: str, columns: str | None, weights: str | None, *, input_format: str | None, quiet: bool
) -> tuple[SavedModel, FileTable]:
    """A model, and the columns of a table that stand for its own."""
    import mixtura
    from mixtura.sources.files import read_table

    saved = mixtura.load(model)
    wanted = given(columns, as_names) or saved.mixture.columns
    file = read_table(table, columns=wanted, weights=weights, format=input_format)
    note_left_out(file, quiet)
    if len(file.columns) != saved.mixture.n_features:
        fail(
            f"{model} is a model of {saved.mixture.n_features} columns, but {len(file.columns)} of {table} "
            f"were taken ({', '.join(file.columns)}): name the right ones with --columns"
        )
    return saved, file
