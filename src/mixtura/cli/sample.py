"""``mixtura sample``."""

from __future__ import annotations

import click

from mixtura.cli.options import force_option, out_option, output_format_option
from mixtura.cli.output import check_free, fail, write_columns


@click.command()
@click.argument("model")
@click.option("-n", "--rows", metavar="N", type=click.IntRange(min=0), default=1000, show_default=True)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    help="The same seed gives the same rows.  [default: fresh chance]",
)
@click.option("--labels", is_flag=True, help="Add a column, label: the component of each row; -1 is noise.")
@out_option
@output_format_option
@force_option
def sample(
    *, model: str, rows: int, seed: int | None, labels: bool, out: str | None, output_format: str | None, force: bool
) -> None:
    """Draw rows from MODEL."""
    import mixtura
    from mixtura.summary import column_names

    check_free(out, force)
    mixture = mixtura.load(model).mixture
    if labels and "label" in column_names(mixture):
        fail(f"{model} has a column 'label' of its own: leave --labels out")
    drawn, components = mixture.sample(rows, seed, return_labels=True)
    hidden = {"label": components} if labels else {}
    write_columns({**hidden, **dict(zip(column_names(mixture), drawn.T, strict=True))}, out, output_format)
