"""``mixtura show``."""

from __future__ import annotations

from functools import partial

import click

from mixtura.cli.options import json_option
from mixtura.cli.output import line_width, show_text


@click.command()
@click.argument("model")
@click.option("-v", "--verbose", is_flag=True, help="Every column, and the correlations within each component.")
@json_option(help="Print JSON; with --verbose, with the correlations.")
def show(*, model: str, verbose: bool, as_json: bool) -> None:
    """Print what MODEL is: its components, and how its fit ended."""
    import mixtura
    from mixtura import summary, text

    saved = mixtura.load(model)
    numbers = summary.describe(saved.mixture, saved.family, saved.metadata)
    if as_json:
        more = {"correlations": summary.correlations(saved.mixture)} if verbose else {}
        show_text(summary.as_json({**numbers, **more, "metadata": saved.metadata}))
        return
    width, bold = line_width(), partial(click.style, bold=True)
    most_columns = None if verbose else text.COLUMNS_SHOWN
    show_text(text.as_text(numbers, width, most_columns=most_columns, bold=bold))
    if verbose and saved.mixture.n_features > 1:
        show_text("\n" + text.correlations_as_text(saved.mixture, width, bold=bold))
