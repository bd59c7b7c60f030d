"""``mixtura fit``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mixtura.cli.options import force_option, json_option, quiet_option
from mixtura.cli.output import INTERRUPTED, line_width, note, output_folder, progress_bar, show_text
from mixtura.cli.proposals import advised, as_options, command_in_force, proposed
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
    from mixtura.ground import Observer
    from mixtura.result import Result
    from mixtura.sources.reader import Opened
    from mixtura.summary import Summary

MODEL_FILE = "model.mixtura"
SUMMARY_FILE = "summary.json"
#: Where the output of the commands that are proposed goes.
PROPOSED_FOLDER = "fitted"


@click.command()
@click.argument("table")
@search_options
@click.option("--out", metavar="DIR", help="Write the model, a label a row, the summary and a report into DIR.")
@click.option("--report/--no-report", default=None, help="With --out: write the report, as is the default, or do not.")
@checkpoint_option
@resume_option
@force_option
@json_option(help="Print the summary as JSON.")
@quiet_option
@click.pass_context
def fit(
    ctx: click.Context,
    *,
    table: str,
    out: str | None,
    report: bool | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Fit mixtures to TABLE and choose one.

    TABLE is a CSV, Parquet, Arrow or .npy file, a folder or pattern of such files, file.h5::/dataset, file.db::table, a
    database (see --sql), or - for standard input. It may be larger than memory. Without options, one to nine components
    are tried in every covariance family (of a large table in four: the result tells), and BIC chooses. Columns that are
    not numeric are left out.

    With --out, DIR holds afterwards model.mixtura (for the other commands), labels.csv (or as TABLE is: label,
    its probability, log density and the probability of each component, row for row), summary.json, and a report to
    read: report.html, one page with pictures that needs no other file, report.md and components.csv.

    With --engine, the workers of Dask or Spark read the files, which they must find under the same path as this
    command does. The result is the same for any number of workers.

    Ctrl-C ends the fit with the best model so far.
    """
    from mixtura.report import COMPONENTS, PAGE, PLAIN

    if report and out is None:
        raise click.UsageError("--report needs --out: the folder that it goes into.")
    opened = table_of(table, asked, force=force, quiet=quiet)
    labels = [f"labels.{opened.format or 'parquet'}"] if opened.source.ordered else []
    reports = [] if report is False else [PAGE, PLAIN, COMPONENTS]
    names = [MODEL_FILE, *labels, SUMMARY_FILE, *reports]
    with output_folder(out, names, force) as folder:
        result, interrupted = found_in(opened, asked, quiet=quiet)
        document = document_of(ctx, opened, result)
        if folder is not None:
            with progress_bar(quiet) as observer:
                _write_fit(folder, names, _Fitted(result, opened, document, ctx), observer)
    if folder is not None and not quiet:
        note(f"Wrote {', '.join(names)} into {folder}.")
        if not labels:
            note("No labels were written, for Spark reads rows in an order of its own: see mixtura.score_table.")
    if as_json:
        from mixtura.summary import as_json as in_json

        show_text(in_json(document))
    else:
        show_text(_report(result.summary(), ctx, folder, page=PAGE if PAGE in names else None))
    if interrupted:
        again = "" if asked["checkpoint"] is None else "; the same command with --resume goes on from the checkpoint"
        note(f"Interrupted: this is the best model up to then{again}.")
        ctx.exit(INTERRUPTED)
    if not result.fit.converged:
        if as_json and not quiet:
            note(result.fit.status.value)
        ctx.exit(NOT_CONVERGED)


class _Fitted(NamedTuple):
    """A result, the table that it is of, the summary with its origin, and the command that led there."""

    result: Result
    opened: Opened
    document: Summary
    ctx: click.Context

    def remedy(self, change: Mapping[str, Any]) -> str:
        """The command with other arguments of mixtura.fit."""
        command = command_in_force(self.ctx, **as_options(dict(change)))
        return shlex.join([word for words in command for word in words])


def _write_fit(folder: Path, names: list[str], fitted: _Fitted, observer: Observer | None) -> None:
    """All the outputs of a fit, in place together or not at all."""
    from tempfile import TemporaryDirectory

    import mixtura
    from mixtura import report, summary

    result, opened, document, _ = fitted
    told = {key: document[key] for key in ("command", "seed", "table", "fingerprint")}
    with TemporaryDirectory(dir=folder, prefix=".mixtura-") as name:
        staged = Path(name)
        metadata = told | summary.remember(document)
        mixtura.save(result.model, staged / MODEL_FILE, family=result.best.covariance, metadata=metadata)
        for labels_file in (each for each in names if each.startswith("labels.")):
            mixtura.write_scores(result.model, opened, staged / labels_file, progress=observer)
        (staged / SUMMARY_FILE).write_text(f"{summary.as_json(document)}\n", encoding="ascii")
        if report.PAGE in names:
            found = report.of(result, document, fitted.remedy, str(folder / MODEL_FILE), observer)
            (staged / report.PAGE).write_bytes(found.html().encode())
            (staged / report.PLAIN).write_bytes(found.markdown().encode())
            (staged / report.COMPONENTS).write_bytes(report.components_csv(document))
        for each in names:
            (staged / each).replace(folder / each)


def _report(numbers: Summary, ctx: click.Context, folder: Path | None, page: str | None) -> str:
    """The summary of a fit, and commands to go on with."""
    from mixtura import text

    bold, width = partial(click.style, bold=True), line_width()
    lines = [text.as_text(numbers, width, changes=False, bold=bold), "", bold("Next")]
    lines += advised(ctx, numbers["advice"], width)
    if folder is None:
        kept = command_in_force(ctx, out=PROPOSED_FOLDER)
        lines += proposed("Keep this model, with a label and probabilities for each row:", width, kept)
    else:
        if page is not None:
            lines += proposed("Read the report in a browser:", width, [[str(folder / page)]])
        model = [str(folder / MODEL_FILE)]
        lines += proposed(
            "Look closer, score a table, draw new rows:",
            width,
            [["mixtura", "show"], model, ["--verbose"]],
            [["mixtura", "score"], model, [ctx.params["table"]]],
            [["mixtura", "sample"], model, ["-n", "1000"]],
        )
    return "\n".join(lines)
