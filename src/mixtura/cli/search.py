"""What the commands that fit many models share: their options, and the search itself."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mixtura._version import __version__
from mixtura.cli.interruption import listening, prepare_checkpoint, told_of_checkpoints
from mixtura.cli.options import as_counts, as_families, as_finite, as_names, checked, columns_option, given
from mixtura.cli.output import progress_bar
from mixtura.cli.proposals import command_in_force
from mixtura.cli.tables import opened_table, table_options

if TYPE_CHECKING:
    from mixtura.result import Result
    from mixtura.sources.reader import Opened
    from mixtura.summary import Summary

#: Exit code of a fit that finished without converging.
NOT_CONVERGED = 3

_OPTIONS = (
    click.option(
        "-k", "--components", metavar="K", default="1:9", show_default=True, callback=checked(as_counts),
        help="Numbers of components to try: 3, 1:9 or 2,4,6.",
    ),
    click.option(
        "--covariance", metavar="FAMILIES", callback=checked(as_families),
        help="Covariance families to try, e.g. full,tied,vee.  [default: all, or four of a large table]",
    ),
    columns_option(help="Columns to use, e.g. a,b.  [default: all that are numeric]"),
    click.option("--weights", metavar="COLUMN", help="A column of row weights: 2 counts a row twice."),
    click.option(
        "--criterion", type=click.Choice(["bic", "icl", "aic", "cv"]), default="bic", show_default=True,
        help="What to choose by; smaller is better.",
    ),
    click.option(
        "--starts", metavar="N", type=click.IntRange(min=1), default=4, show_default=True,
        help="Starts for each number of components, shared out among the families.",
    ),
    click.option(
        "--tol", metavar="NATS", type=click.FloatRange(min=0), default=1e-6, show_default=True,
        callback=checked(as_finite), help="Converged when no more than this is left to gain, in nats a row.",
    ),
    click.option(
        "--max-iter", metavar="N", type=click.IntRange(min=1), default=10_000, show_default=True,
        help="The most steps of each climb.",
    ),
    click.option(
        "--reg-covar", metavar="X", type=click.FloatRange(min=0), callback=checked(as_finite),
        help="Ridge in the squared units of the data.  [default: a tiny prior in their own units]",
    ),
    click.option(
        "--prior", type=click.Choice(["conjugate"]),
        help="Maximise the posterior under this prior of means and covariances.",
    ),
    click.option("--equal-weights", is_flag=True, help="All components have the same weight."),
    click.option("--noise", is_flag=True, help="Add a component for rows that belong to no Gaussian; its label is -1."),
    click.option(
        "--noise-density", metavar="X", type=click.FloatRange(min=0, min_open=True), callback=checked(as_finite),
        help="The density of the noise.  [default: even over the region of the rows]",
    ),
    click.option(
        "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True,
        help="The same seed gives the same result.",
    ),
    click.option("--threads", metavar="N", type=click.IntRange(min=1), help="[default: all processors]"),
    table_options,
)  # fmt: skip

checkpoint_option = click.option(
    "--checkpoint", metavar="FILE", help="Keep in FILE what each pass over all rows finds."
)
resume_option = click.option("--resume", is_flag=True, help="Go on from the checkpoint of a fit that was killed.")


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what is fitted to which rows: they are passed on as ``asked``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def table_of(table: str, asked: dict[str, Any], *, force: bool, quiet: bool) -> Opened:
    """The table that is asked about, once it is sure that the checkpoint is as it should be."""
    prepare_checkpoint(asked["checkpoint"], resume=asked["resume"], force=force, quiet=quiet)
    names = given(asked["columns"], as_names)
    return opened_table(table, names, asked["weights"], asked, quiet=quiet, threads=asked["threads"])


def found_in(opened: Opened, asked: dict[str, Any], *, quiet: bool) -> tuple[Result, bool]:
    """The result of the search in a table; and whether it was interrupted."""
    import mixtura

    density = asked["noise_density"]
    with told_of_checkpoints(quiet), progress_bar(quiet) as observer, listening(observer) as heard:
        result = mixtura.fit(
            opened,
            as_counts(asked["components"]),
            given(asked["covariance"], as_families),
            criterion=asked["criterion"],
            n_init=asked["starts"],
            tol=asked["tol"],
            max_iter=asked["max_iter"],
            reg_covar=asked["reg_covar"],
            prior=asked["prior"],
            fixed=mixtura.Fixed(weights="equal") if asked["equal_weights"] else None,
            noise=asked["noise"] if density is None else density,
            random_state=asked["seed"],
            progress=heard,
            checkpoint=asked["checkpoint"],
        )
    return result, heard.interrupted


def document_of(ctx: click.Context, opened: Opened, result: Result) -> Summary:
    """The summary of a result, and where it comes from."""
    from mixtura.sources.sql import without_password

    return {
        "mixtura": __version__,
        "command": without_password(shlex.join([word for words in command_in_force(ctx) for word in words])),
        "seed": ctx.params["seed"],
        "table": without_password(ctx.params["table"]),
        "left_out": opened.left_out,
        "fingerprint": result.fingerprint,
        **result.summary(),
    }
