"""``mixtura export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mixtura.cli.options import force_option
from mixtura.cli.output import check_free, fail, note

if TYPE_CHECKING:
    from mixtura.bridges.graph import Precision


@click.command()
@click.argument("model")
@click.option("--to", "form", type=click.Choice(["onnx"]), required=True, help="The format to write.")
@click.option("--out", metavar="FILE", required=True, help="The file to write.")
@click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    default="float64",
    show_default=True,
    help="The type of the rows and of the results; the arithmetic is in double precision for both.",
)
@force_option
def export(*, model: str, form: str, out: str, dtype: Precision, force: bool) -> None:  # noqa: ARG001
    """Write MODEL for other programs: as an ONNX graph, which gives labels, probabilities and log densities."""
    import mixtura
    from mixtura.bridges import to_onnx
    from mixtura.sources.files import replacing

    check_free(out, force)
    mixture = mixtura.load(model).mixture
    try:
        made = to_onnx(mixture, dtype)
    except ImportError as error:
        fail(str(error), error)
    with replacing(out) as stream:
        stream.write(made.SerializeToString())
    note(f"Wrote {out}: input X; outputs {', '.join(each.name for each in made.graph.output)}.")
