"""``mixtura merge``."""

from __future__ import annotations

from typing import Any

import click

from mixtura.cli.model_and_table import saved_and_source
from mixtura.cli.options import (
    columns_option,
    force_option,
    json_option,
    output_format_option,
    quiet_option,
)
from mixtura.cli.output import check_free, line_width, progress_bar, show_text, write_columns
from mixtura.cli.tables import table_options


@click.command()
@click.argument("model")
@click.argument("table")
@click.option("--clusters", metavar="N", type=click.IntRange(min=1), help="With --out.  [default: as suggested]")
@columns_option(help="Columns that stand for the model's, in its order.  [default: those of the same names]")
@click.option("--weights", metavar="COLUMN", help="A column of row weights.")
@json_option(help="Print JSON.")
@table_options
@click.option("--out", metavar="FILE", help="Write the cluster of each row to FILE.")
@output_format_option
@force_option
@quiet_option
def merge(
    *,
    model: str,
    table: str,
    clusters: int | None,
    columns: str | None,
    weights: str | None,
    as_json: bool,
    out: str | None,
    output_format: str | None,
    force: bool,
    quiet: bool,
    **source: Any,
) -> None:
    """Unite the components of MODEL into clusters.

    Step by step, the two clusters are united between which the rows of TABLE are least certain. Prints the entropy that
    is left after each step. With --out, FILE holds one line for each row, in their order: its cluster, its probability,
    and the probability of each cluster (c0, c1, ...).
    """
    from mixtura import merging, summary, text

    for name, given in (("--clusters", clusters), ("--output-format", output_format)):
        if given and out is None:
            raise click.UsageError(f"{name} needs --out.")
    check_free(out, force)
    saved, (rows, _) = saved_and_source(model, table, columns, weights, source, quiet=quiet)
    with progress_bar(quiet) as observer:
        found = merging.merge(saved.mixture, rows, progress=observer)
    if out is not None:
        share = found.responsibilities(rows, clusters)
        each = {f"c{j}": column for j, column in enumerate(share.T)}
        write_columns({"cluster": merging.called(share), "probability": share.max(1), **each}, out, output_format)
    show_text(summary.as_json(found.summary()) if as_json else text.merging_as_text(found, line_width()))
