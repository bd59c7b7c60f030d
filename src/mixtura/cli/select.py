"""``mixtura select``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mixtura.cli.fit import PROPOSED_FOLDER
from mixtura.cli.options import FORMATS, force_option, json_option, quiet_option
from mixtura.cli.output import INTERRUPTED, check_free, line_width, note, show_text, write_columns
from mixtura.cli.proposals import advised, command_in_force, proposed
from mixtura.cli.search import (
    NOT_CONVERGED,
    checkpoint_option,
    document_of,
    found_in,
    resume_option,
    search_options,
    table_of,
)

if TYPE_CHECKING:
    from mixtura.result import Result
    from mixtura.summary import Summary

JSON = "json"


@click.command()
@click.argument("table")
@search_options
@click.option("--out", metavar="FILE", help="Write all candidates to FILE, a row for each.")
@click.option(
    "--output-format", type=click.Choice([*(each for each in FORMATS if each != "npy"), JSON]),
    help="By default as the suffix of FILE says.",
)  # fmt: skip
@checkpoint_option
@resume_option
@force_option
@json_option(help="Print JSON.")
@quiet_option
@click.pass_context
def select(
    ctx: click.Context,
    *,
    table: str,
    out: str | None,
    output_format: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Compare models of TABLE: how many components, of which covariance family.

    The same search as that of mixtura fit, which takes the same options. Prints the criterion of every candidate: the
    one that fit would choose, those that are as good, and those that may not be chosen, for a component is empty or
    has collapsed.

    With --out, FILE (CSV, Parquet, Arrow or JSON) holds one row for each candidate: n_components, covariance, mclust
    (the name of the family there), n_parameters, loglik, bic, icl, aic and, if asked for, cv with cv_error; behind,
    what its criterion is above that of the chosen one; chosen, tie, eligible, converged, and the reason if there is no
    fit.
    """
    if output_format is not None and out is None:
        raise click.UsageError("--output-format needs --out.")
    check_free(out, force)
    opened = table_of(table, asked, force=force, quiet=quiet)
    result, interrupted = found_in(opened, asked, quiet=quiet)
    document = document_of(ctx, opened, result)
    if out is not None:
        _write(result, document, out, output_format)
        if not quiet:
            note(f"Wrote {len(result.cells)} candidates into {out}.")
    if as_json:
        from mixtura.summary import as_json as in_json

        show_text(in_json(_with_candidates(result, document)))
    else:
        show_text(_report(result, ctx))
    if interrupted:
        note("Interrupted: these are the best models up to then.")
        ctx.exit(INTERRUPTED)
    if not result.fit.converged:
        ctx.exit(NOT_CONVERGED)


def _with_candidates(result: Result, document: Summary) -> Summary:
    """Where the result comes from, what was chosen, and every candidate."""
    columns = result.table()
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    wanted = ("mixtura", "command", "seed", "table", "fingerprint", "rows", "weight", "columns", "criterion", "chosen")
    return {**{key: document[key] for key in (*wanted, "not_tried")}, "candidates": rows}


def _write(result: Result, document: Summary, out: str, output_format: str | None) -> None:
    """All candidates to a file."""
    if (output_format or Path(out).suffix.lower().removeprefix(".")) != JSON:
        write_columns(result.table(), out, output_format)
        return
    from mixtura.io import replacing
    from mixtura.summary import as_json

    with replacing(out) as stream:
        stream.write(f"{as_json(_with_candidates(result, document))}\n".encode("ascii"))


def _report(result: Result, ctx: click.Context) -> str:
    """The table, and commands to go on with."""
    from mixtura import text

    bold, width, numbers = partial(click.style, bold=True), line_width(), result.summary()
    first, *others = command_in_force(ctx, out=PROPOSED_FOLDER)
    kept = [[first[0], "fit"], *others]
    lines = [text.choice_as_text(result.survey, numbers, width, bold=bold), "", bold("Next")]
    lines += advised(ctx, numbers["advice"], width)
    lines += proposed("Keep the chosen model, with a label and probabilities for each row:", width, kept)
    return "\n".join(lines)
