"""``mixtura fit``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mixtura._version import __version__
from mixtura.cli.interruption import listening, prepare_checkpoint, told_of_checkpoints
from mixtura.cli.options import (
    as_counts,
    as_families,
    as_finite,
    as_names,
    checked,
    columns_option,
    force_option,
    given,
    json_option,
    quiet_option,
)
from mixtura.cli.output import INTERRUPTED, line_width, note, output_folder, progress_bar, show_text
from mixtura.cli.proposals import as_options, command_in_force, copyable
from mixtura.cli.tables import opened_table, table_options

if TYPE_CHECKING:
    from mixtura.race import Observer
    from mixtura.result import Result
    from mixtura.sources.reader import Opened
    from mixtura.summary import Summary

#: Exit code of a fit that finished without converging.
NOT_CONVERGED = 3
MODEL_FILE = "model.mixtura"
SUMMARY_FILE = "summary.json"
#: Where the output of the commands that are proposed goes.
PROPOSED_FOLDER = "fitted"


@click.command()
@click.argument("table")
@click.option(
    "-k", "--components", metavar="K", default="1:9", show_default=True, callback=checked(as_counts),
    help="Numbers of components to try: 3, 1:9 or 2,4,6.",
)  # fmt: skip
@click.option(
    "--covariance", metavar="FAMILIES", callback=checked(as_families),
    help="Covariance families to try, e.g. full,tied,vee, or all.  [default: full,tied,diag,spherical]",
)  # fmt: skip
@columns_option(help="Columns to use, e.g. a,b.  [default: all that are numeric]")
@click.option("--weights", metavar="COLUMN", help="A column of row weights: 2 counts a row twice.")
@click.option(
    "--criterion", type=click.Choice(["bic", "icl", "aic", "cv"]), default="bic", show_default=True,
    help="What to choose by; smaller is better.",
)  # fmt: skip
@click.option(
    "--starts", metavar="N", type=click.IntRange(min=1), default=4, show_default=True,
    help="Starts for each number of components, shared out among the families.",
)  # fmt: skip
@click.option(
    "--tol", metavar="NATS", type=click.FloatRange(min=0), default=1e-6, show_default=True, callback=checked(as_finite),
    help="Converged when no more than this is left to gain, in nats a row.",
)  # fmt: skip
@click.option(
    "--max-iter", metavar="N", type=click.IntRange(min=1), default=10_000, show_default=True,
    help="The most steps of each climb.",
)  # fmt: skip
@click.option(
    "--reg-covar", metavar="X", type=click.FloatRange(min=0), callback=checked(as_finite),
    help="Ridge in the squared units of the data.  [default: a tiny prior in their own units]",
)  # fmt: skip
@click.option(
    "--prior", type=click.Choice(["conjugate"]),
    help="Maximise the posterior under this prior of means and covariances.",
)  # fmt: skip
@click.option("--equal-weights", is_flag=True, help="All components have the same weight.")
@click.option("--noise", is_flag=True, help="Add a component for rows that belong to no Gaussian; its label is -1.")
@click.option(
    "--noise-density", metavar="X", type=click.FloatRange(min=0, min_open=True), callback=checked(as_finite),
    help="The density of the noise.  [default: even over the region of the rows]",
)  # fmt: skip
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True,
    help="The same seed gives the same result.",
)  # fmt: skip
@click.option("--threads", metavar="N", type=click.IntRange(min=1), help="[default: all processors]")
@table_options
@click.option("--out", metavar="DIR", help="Write the model, a label a row, the summary and a report into DIR.")
@click.option("--report/--no-report", default=None, help="With --out: write the report, as is the default, or do not.")
@click.option("--checkpoint", metavar="FILE", help="Keep in FILE what each pass over all rows finds.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of a fit that was killed.")
@force_option
@json_option(help="Print the summary as JSON.")
@quiet_option
@click.pass_context
def fit(
    ctx: click.Context,
    *,
    table: str,
    components: str,
    covariance: str | None,
    columns: str | None,
    weights: str | None,
    criterion: str,
    starts: int,
    tol: float,
    max_iter: int,
    reg_covar: float | None,
    prior: str | None,
    equal_weights: bool,
    noise: bool,
    noise_density: float | None,
    seed: int,
    threads: int | None,
    out: str | None,
    report: bool | None,
    checkpoint: str | None,
    resume: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    **source: Any,
) -> None:
    """Fit mixtures to TABLE and choose one.

    TABLE is a CSV, Parquet, Arrow or .npy file, a folder or pattern of such files, file.h5::/dataset, file.db::table, a
    database (see --sql), or - for standard input. It may be larger than memory. Without options, one to nine components
    are tried in every covariance family, and BIC chooses. Columns that are not numeric are left out.

    With --out, DIR holds afterwards model.mixtura (for the other commands), labels.csv (or as TABLE is: label,
    its probability, log density and the probability of each component, row for row), summary.json, and a report to
    read: report.html, one page with pictures that needs no other file, report.md and components.csv.

    With --engine, the workers of Dask or Spark read the files, which they must find under the same path as this
    command does. The result is the same for any number of workers.

    Ctrl-C ends the fit with the best model so far.
    """
    import mixtura
    from mixtura.report import COMPONENTS, PAGE, PLAIN
    from mixtura.sources.sql import without_password

    if report and out is None:
        raise click.UsageError("--report needs --out: the folder that it goes into.")
    prepare_checkpoint(checkpoint, resume=resume, force=force, quiet=quiet)
    opened = opened_table(table, given(columns, as_names), weights, source, quiet=quiet, threads=threads)
    labels = [f"labels.{opened.format or 'parquet'}"] if opened.source.ordered else []
    reports = [] if report is False else [PAGE, PLAIN, COMPONENTS]
    names = [MODEL_FILE, *labels, SUMMARY_FILE, *reports]
    with output_folder(out, names, force) as folder:
        with told_of_checkpoints(quiet), progress_bar(quiet) as observer, listening(observer) as heard:
            result = mixtura.fit(
                opened,
                as_counts(components),
                given(covariance, as_families),
                criterion=criterion,
                n_init=starts,
                tol=tol,
                max_iter=max_iter,
                reg_covar=reg_covar,
                prior=prior,
                fixed=mixtura.Fixed(weights="equal") if equal_weights else None,
                noise=noise if noise_density is None else noise_density,
                random_state=seed,
                progress=heard,
                checkpoint=checkpoint,
            )
        document = {
            "mixtura": __version__,
            "command": without_password(shlex.join([word for words in command_in_force(ctx) for word in words])),
            "seed": seed,
            "table": without_password(table),
            "left_out": opened.left_out,
            "fingerprint": result.fingerprint,
            **result.summary(),
        }
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
    if heard.interrupted:
        again = "" if checkpoint is None else "; the same command with --resume goes on from the checkpoint"
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

    def propose(sentence: str, *commands: list[list[str]]) -> None:
        lines.extend(text.wrapped(sentence, width, "  "))
        for command in commands:
            lines.extend(copyable(command, width))

    for advice in numbers["advice"]:
        if advice["change"]:
            propose(advice["sentence"], command_in_force(ctx, **as_options(advice["change"])))
    if folder is None:
        propose(
            "Keep this model, with a label and probabilities for each row:", command_in_force(ctx, out=PROPOSED_FOLDER)
        )
    else:
        if page is not None:
            propose("Read the report in a browser:", [[str(folder / page)]])
        model = [str(folder / MODEL_FILE)]
        propose(
            "Look closer, score a table, draw new rows:",
            [["mixtura", "show"], model, ["--verbose"]],
            [["mixtura", "score"], model, [ctx.params["table"]]],
            [["mixtura", "sample"], model, ["-n", "1000"]],
        )
    return "\n".join(lines)
