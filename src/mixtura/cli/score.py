"""``mixtura score``."""

from __future__ import annotations

from typing import Any

import click

from mixtura.cli.model_and_table import saved_and_source
from mixtura.cli.options import (
    columns_option,
    force_option,
    json_option,
    out_option,
    output_format_option,
    quiet_option,
)
from mixtura.cli.output import check_free, progress_bar, show_text
from mixtura.cli.tables import table_options


@click.command()
@click.argument("model")
@click.argument("table")
@columns_option(help="Columns that stand for the model's, in its order.  [default: those of the same names]")
@click.option("--total", is_flag=True, help="Print the log-likelihood, its mean a row and BIC instead.")
@click.option("--weights", metavar="COLUMN", help="With --total: a column of row weights.")
@json_option(help="With --total: print JSON.")
@table_options
@out_option
@output_format_option
@force_option
@quiet_option
def score(
    *,
    model: str,
    table: str,
    columns: str | None,
    total: bool,
    weights: str | None,
    as_json: bool,
    out: str | None,
    output_format: str | None,
    force: bool,
    quiet: bool,
    **source: Any,
) -> None:
    """Label the rows of TABLE by MODEL.

    Prints one line for each row, in their order: the most probable component (label), its probability, the log density
    in nats, and the probability of each component (p0, p1, ...). Where the model has a noise component, its label is
    -1, and its probability stands in the column noise. Columns are matched by name.
    """
    import mixtura
    from mixtura import summary, text

    for name, given in (("--weights", weights), ("--json", as_json)):
        if given and not total:
            raise click.UsageError(f"{name} needs --total.")
    for name, given in (("--out", out), ("--output-format", output_format)):
        if given and total:
            raise click.UsageError(f"{name} does not go with --total.")
    check_free(out, force)
    saved, opened = saved_and_source(model, table, columns, weights, source, quiet=quiet)
    if not total:
        path = "-" if out is None else out
        kind = output_format or ("csv" if path == "-" else None)
        with progress_bar(quiet or path == "-") as observer:
            mixtura.write_scores(saved.mixture, opened, path, format=kind, progress=observer)
        return
    free = summary.describe(saved.mixture, saved.family, saved.metadata)["chosen"]["n_parameters"]
    numbers = summary.totals(saved.mixture, saved.family, opened.source, free)
    show_text(summary.as_json(numbers) if as_json else text.totals_as_text(numbers))
