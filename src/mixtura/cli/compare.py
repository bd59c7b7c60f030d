"""``mixtura compare``."""

from __future__ import annotations

import click

from mixtura.cli.model_and_table import saved_and_table
from mixtura.cli.options import columns_option, input_format_option, json_option, quiet_option
from mixtura.cli.output import fail, line_width, show_text


@click.command()
@click.argument("model")
@click.argument("table")
@click.option("--labels", metavar="COLUMN", required=True, help="The column of TABLE that holds the labels.")
@columns_option(help="Columns that stand for the model's, in its order.  [default: those of the same names]")
@json_option(help="Print JSON.")
@input_format_option
@quiet_option
def compare(
    *, model: str, table: str, labels: str, columns: str | None, as_json: bool, input_format: str | None, quiet: bool
) -> None:
    """Compare the components of MODEL with given labels.

    Prints how often each label of TABLE meets each component, the adjusted Rand index, and the share of rows that agree
    when labels and components are paired as well as can be. Rows without a label are left out, and counted.
    """
    from mixtura import agreement, summary, text

    saved, file = saved_and_table(model, table, columns, input_format=input_format, quiet=quiet)
    if labels not in file.table.column_names:
        fail(f"{table} has no column {labels!r}: it has {', '.join(file.table.column_names)}")
    found = agreement.cross_table(file.table.column(labels), saved.mixture.predict(file.rows))
    show_text(summary.as_json(found.summary()) if as_json else text.cross_table_as_text(found, line_width()))
