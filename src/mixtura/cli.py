"""The command ``mixtura``: parse, one library call, print.

Results go to standard output; progress, remarks and errors go to standard error. Nothing heavy is imported before a
command needs it.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mixtura._version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

    from mixtura import race
    from mixtura.io import SavedModel
    from mixtura.race import Observer
    from mixtura.result import Result
    from mixtura.sources.files import FileTable
    from mixtura.summary import Summary

#: Exit codes beside 0, 1 (error) and 2 (misuse).
NOT_CONVERGED = 3
INTERRUPTED = 130
BROKEN_PIPE = 141

FORMATS = ("csv", "parquet", "arrow", "npy")
MODEL_FILE = "model.mixtura"
SUMMARY_FILE = "summary.json"
#: The most numbers of components to try, so that a slip of the pen is not a week's work.
MOST_COUNTS = 1000
#: Where the output of the commands that are proposed goes.
PROPOSED_FOLDER = "fitted"

#: Lines are as wide as the terminal, within these bounds.
WIDTHS = (40, 120)
#: What stands for characters that an output cannot show.
_PLAIN = str.maketrans(
    {"█": "#", **dict.fromkeys("▉▊▋▌", "#"), **dict.fromkeys("▍▎▏", ""), "±": "+-", "×": "x", "…": "~"}
)


class _Program(click.Group):
    """The commands, with whatever can go wrong said in one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        _write_whole()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted." if sys.stderr.isatty() else "Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _let_go()
            ctx.exit(BROKEN_PIPE)
        except (ValueError, OSError, MemoryError) as error:
            if os.environ.get("MIXTURA_DEBUG"):
                raise
            if isinstance(error, OSError):
                _let_go()
            _fail(_sentence(error), error)


def _write_whole() -> None:
    """Give standard output a buffer where it has none (``python -u``): without, a write may silently take a part."""
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(sys.stdout.fileno(), "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115


def _let_go() -> None:
    """Point standard output to nowhere, if it takes nothing more: what is left in its buffer must not be an error."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot {f'use {error.filename}' if error.filename else 'write'}: {error.strerror}"
    return str(error)


def _fail(sentence: str, cause: Exception | None = None) -> NoReturn:
    from mixtura.text import harmless

    raise click.ClickException(harmless(" ".join(sentence.splitlines()))) from cause


# What options may say. They stay text until they are used, so that they can be shown as they were written.


def _counts(text: str) -> list[int]:
    """Numbers of components: ``3``, ``1:9`` or ``2,4,6``."""
    counts: dict[int, None] = {}
    for part in text.split(","):
        first, colon, last = part.partition(":")
        try:
            span = range(int(first), int(last if colon else first) + 1)
        except ValueError:
            raise click.BadParameter(f"{text!r} is no number of components: write 3, 1:9 or 2,4,6") from None
        if span.start < 1 or not span:
            raise click.BadParameter(f"{text!r} must count up, from 1 or more")
        if len(span) > MOST_COUNTS:
            raise click.BadParameter(f"{text!r} are more than {MOST_COUNTS} numbers of components: name fewer")
        counts.update(dict.fromkeys(span))
    return list(counts)


def _families(text: str) -> str | list[str]:
    """Names of covariance families, separated by commas, or "all"."""
    from mixtura.covariance import registry

    if text.strip().lower() == "all":
        return "all"
    try:
        return [registry.get(name.strip()).name for name in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _names(text: str) -> list[str]:
    """Names of columns, separated by commas; one that holds a comma stands in double quotes."""
    import csv

    return next(csv.reader([text], skipinitialspace=True), [])


def _finite(number: float) -> float:
    import math

    if not math.isfinite(number):
        raise click.BadParameter(f"{number} is not a finite number")
    return number


def _checked(parse: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that lets only what can be parsed pass, as it is."""

    def callback(_ctx: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        if value is not None:
            parse(value)
        return value

    return callback


def _given(text: str | None, parse: Callable[[str], Any]) -> Any:
    return None if text is None else parse(text)


_columns_option = partial(click.option, "--columns", metavar="NAMES", callback=_checked(_names))
_input_format = click.option(
    "--input-format", type=click.Choice(FORMATS), help="What TABLE must be; by default its first bytes tell."
)
_json_option = partial(click.option, "--json", "as_json", is_flag=True)
_quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks on standard error.")
_force_option = click.option("--force", is_flag=True, help="Replace outputs that exist.")
_out_option = click.option("--out", metavar="FILE", help="Write to FILE, not to standard output.")
_output_format = click.option(
    "--output-format", type=click.Choice(FORMATS), help="By default as the suffix of FILE says; CSV on standard output."
)


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 error, 2 misuse, 3 finished without converging.",
)
@click.version_option(__version__, prog_name="mixtura")
def main() -> None:
    """Gaussian mixtures for tables: fit and choose a model, then use it.

    Results go to standard output; progress, remarks and errors go to standard error.
    """


# mixtura fit


@main.command()
@click.argument("table")
@click.option(
    "-k", "--components", metavar="K", default="1:9", show_default=True, callback=_checked(_counts),
    help="Numbers of components to try: 3, 1:9 or 2,4,6.",
)  # fmt: skip
@click.option(
    "--covariance", metavar="FAMILIES", callback=_checked(_families),
    help="Covariance families to try, e.g. full,tied,vee, or all.  [default: full,tied,diag,spherical]",
)  # fmt: skip
@_columns_option(help="Columns to use, e.g. a,b.  [default: all that are numeric]")
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
    "--tol", metavar="NATS", type=click.FloatRange(min=0), default=1e-6, show_default=True, callback=_checked(_finite),
    help="Converged when no more than this is left to gain, in nats a row.",
)  # fmt: skip
@click.option(
    "--max-iter", metavar="N", type=click.IntRange(min=1), default=10_000, show_default=True,
    help="The most steps of each climb.",
)  # fmt: skip
@click.option(
    "--reg-covar", metavar="X", type=click.FloatRange(min=0), callback=_checked(_finite),
    help="Ridge in the squared units of the data.  [default: a tiny prior in their own units]",
)  # fmt: skip
@click.option(
    "--prior", type=click.Choice(["conjugate"]),
    help="Maximise the posterior under this prior of means and covariances.",
)  # fmt: skip
@click.option("--equal-weights", is_flag=True, help="All components have the same weight.")
@click.option("--noise", is_flag=True, help="Add a component for rows that belong to no Gaussian; its label is -1.")
@click.option(
    "--noise-density", metavar="X", type=click.FloatRange(min=0, min_open=True), callback=_checked(_finite),
    help="The density of the noise.  [default: even over the region of the rows]",
)  # fmt: skip
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True,
    help="The same seed gives the same result.",
)  # fmt: skip
@click.option("--threads", metavar="N", type=click.IntRange(min=1), help="[default: all processors]")
@_input_format
@click.option("--out", metavar="DIR", help="Write the model, a label a row and the summary into DIR.")
@_force_option
@_json_option(help="Print the summary as JSON.")
@_quiet_option
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
    input_format: str | None,
    out: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit mixtures to TABLE and choose one.

    TABLE is a CSV, Parquet, Arrow or .npy file, or - for standard input. Without options, one to nine components are
    tried in every covariance family, and BIC chooses. Columns that are not numeric are left out.

    With --out, DIR holds afterwards model.mixtura (for the other commands), labels.csv (or as TABLE is: label,
    its probability, log density and the probability of each component, row for row) and summary.json.
    """
    import mixtura
    from mixtura.sources.files import read_table

    file = read_table(table, columns=_given(columns, _names), weights=weights, format=input_format)
    _note_left_out(file, quiet)
    names = [MODEL_FILE, f"labels.{file.format}", SUMMARY_FILE]
    with _folder(out, names, force) as folder:
        with _progress(quiet) as observer:
            result = mixtura.fit(
                _arrow(dict(zip(file.columns, file.rows.T, strict=True))),
                _counts(components),
                _given(covariance, _families),
                criterion=criterion,
                sample_weight=file.weights,
                n_init=starts,
                tol=tol,
                max_iter=max_iter,
                reg_covar=reg_covar,
                prior=prior,
                fixed=mixtura.Fixed(weights="equal") if equal_weights else None,
                noise=noise if noise_density is None else noise_density,
                random_state=seed,
                n_threads=threads,
                progress=observer,
            )
        document = {
            "mixtura": __version__,
            "command": shlex.join([word for words in _command(ctx) for word in words]),
            "seed": seed,
            "table": table,
            "left_out": file.left_out,
            **result.summary(),
        }
        if folder is not None:
            _write_fit(folder, names, result, file, document)
    if folder is not None and not quiet:
        _note(f"Wrote {', '.join(str(folder / name) for name in names)}.")
    if as_json:
        from mixtura.summary import as_json as in_json

        _print(in_json(document))
    else:
        _print(_report(result.summary(), ctx, folder))
    if not result.fit.converged:
        if as_json and not quiet:
            _note(result.fit.status.value)
        ctx.exit(NOT_CONVERGED)


def _write_fit(folder: Path, names: list[str], result: Result, file: FileTable, document: Summary) -> None:
    """All the outputs of a fit, in place together or not at all."""
    from tempfile import TemporaryDirectory

    import mixtura
    from mixtura import summary
    from mixtura.sources.files import write_table

    model_file, labels_file, summary_file = names
    metadata = {key: document[key] for key in ("command", "seed", "table")} | summary.remember(document)
    with TemporaryDirectory(dir=folder, prefix=".mixtura-") as name:
        staged = Path(name)
        mixtura.save(result.model, staged / model_file, family=result.best.covariance, metadata=metadata)
        write_table(_arrow(summary.per_row(result.model, file.rows)), staged / labels_file)
        (staged / summary_file).write_text(f"{summary.as_json(document)}\n", encoding="ascii")
        for each in names:
            (staged / each).replace(folder / each)


def _report(numbers: Summary, ctx: click.Context, folder: Path | None) -> str:
    """The summary of a fit, and commands to go on with."""
    from mixtura import text

    bold, width = partial(click.style, bold=True), _width()
    lines = [text.as_text(numbers, width, changes=False, bold=bold), "", bold("Next")]

    def propose(sentence: str, *commands: list[list[str]]) -> None:
        lines.extend(text.wrapped(sentence, width, "  "))
        for command in commands:
            lines.extend(_copyable(command, width))

    for advice in numbers["advice"]:
        if advice["change"]:
            propose(advice["sentence"], _command(ctx, **_as_options(advice["change"])))
    if folder is None:
        propose("Keep this model, with a label and probabilities for each row:", _command(ctx, out=PROPOSED_FOLDER))
    else:
        model = [str(folder / MODEL_FILE)]
        propose(
            "Look closer, score a table, draw new rows:",
            [["mixtura", "show"], model, ["--verbose"]],
            [["mixtura", "score"], model, [ctx.params["table"]]],
            [["mixtura", "sample"], model, ["-n", "1000"]],
        )
    return "\n".join(lines)


def _as_options(change: dict[str, Any]) -> dict[str, Any]:
    """Arguments of mixtura.fit as options of ``mixtura fit``."""
    options = {{"n_components": "components", "n_init": "starts"}.get(name, name): x for name, x in change.items()}
    return {name: f"{x[0]}:{x[-1]}" if isinstance(x, list) else x for name, x in options.items()}


def _command(ctx: click.Context, **change: Any) -> list[list[str]]:
    """The command in force, as it was written but for some options: words that belong together in lists."""
    words = [["mixtura", str(ctx.info_name)]]
    for parameter in ctx.command.params:
        name = str(parameter.name)
        written = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        value = change.get(name, ctx.params[name] if written else None)
        if isinstance(parameter, click.Argument):
            words.append([str(value)])
        elif name in change or (written and name not in {"out", "force", "as_json", "quiet"}):
            option = max(parameter.opts, key=len)
            words.append([option] if getattr(parameter, "is_flag", False) else [option, str(value)])
    return words


def _copyable(command: list[list[str]], width: int) -> list[str]:
    """A command in lines that can be copied together."""
    from mixtura.text import display_width, harmless

    lines: list[str] = []
    for words in command:
        text = harmless(shlex.join(words))
        if lines and display_width(lines[-1]) + 1 + display_width(text) + 2 <= width:
            lines[-1] += f" {text}"
        else:
            lines.append(f"{'      ' if lines else '    '}{text}")
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


@contextmanager
def _folder(out: str | None, names: Iterable[str], force: bool) -> Generator[Path | None]:
    """The folder for outputs, checked before the work is done; one that was made goes if the work fails."""
    if out is None:
        yield None
        return
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        _fail(f"{out} is a file: --out needs a folder")
    held = [name for name in names if os.path.lexists(folder / name)]
    if held and not force:
        _fail(f"{out} holds {', '.join(held)} already: choose another folder, or replace them with --force")
    blocked = [name for name in held if (folder / name).is_dir()]
    if blocked:
        _fail(f"{out} holds a folder {blocked[0]}, where a file would go: choose another folder")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        _fail(f"cannot write into the folder {out}: permission denied")
    try:
        yield folder
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _progress(quiet: bool) -> Generator[Observer | None]:
    """An observer that draws a bar on standard error, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    stages = {"race": "Racing starts", "repair": "Repairing", "climb": "Climbing", "folds": "Validating"}
    with Progress(
        TextColumn("{task.description:<13}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("arrived, pass {task.fields[passes]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        task = bars.add_task("", visible=False, passes=0)

        def observe(seen: race.Progress) -> None:
            bars.update(
                task,
                description=stages.get(seen.stage, seen.stage),
                total=seen.climbs,
                completed=seen.climbs - seen.climbing,
                passes=seen.passes,
                visible=True,
            )

        yield observe


def _note_left_out(file: FileTable, quiet: bool) -> None:
    for name, reason in file.left_out.items():
        if not quiet:
            _note(f"Left out column {name!r}: {reason}.")


# mixtura score


@main.command()
@click.argument("model")
@click.argument("table")
@_columns_option(help="Columns that stand for the model's, in its order.  [default: those of the same names]")
@click.option("--total", is_flag=True, help="Print the log-likelihood, its mean a row and BIC instead.")
@click.option("--weights", metavar="COLUMN", help="With --total: a column of row weights.")
@_json_option(help="With --total: print JSON.")
@_input_format
@_out_option
@_output_format
@_force_option
@_quiet_option
def score(
    *,
    model: str,
    table: str,
    columns: str | None,
    total: bool,
    weights: str | None,
    as_json: bool,
    input_format: str | None,
    out: str | None,
    output_format: str | None,
    force: bool,
    quiet: bool,
) -> None:
    """Label the rows of TABLE by MODEL.

    Prints one line for each row, in their order: the most probable component (label), its probability, the log density
    in nats, and the probability of each component (p0, p1, ...). Where the model has a noise component, its label is
    -1, and its probability stands in the column noise. Columns are matched by name.
    """
    from mixtura import summary, text

    for name, given in (("--weights", weights), ("--json", as_json)):
        if given and not total:
            raise click.UsageError(f"{name} needs --total.")
    for name, given in (("--out", out), ("--output-format", output_format)):
        if given and total:
            raise click.UsageError(f"{name} does not go with --total.")
    _check_free(out, force)
    saved, file = _saved_and_table(model, table, columns, weights, input_format=input_format, quiet=quiet)
    if not total:
        _write(summary.per_row(saved.mixture, file.rows), out, output_format)
        return
    free = summary.describe(saved.mixture, saved.family, saved.metadata)["chosen"]["n_parameters"]
    numbers = summary.totals(saved.mixture, saved.family, file.rows, file.weights, free)
    _print(summary.as_json(numbers) if as_json else text.totals_as_text(numbers))


def _saved_and_table(
    model: str, table: str, columns: str | None, weights: str | None, *, input_format: str | None, quiet: bool
) -> tuple[SavedModel, FileTable]:
    """A model, and the columns of a table that stand for its own."""
    import mixtura
    from mixtura.sources.files import read_table

    saved = mixtura.load(model)
    wanted = _given(columns, _names) or saved.mixture.columns
    file = read_table(table, columns=wanted, weights=weights, format=input_format)
    _note_left_out(file, quiet)
    if len(file.columns) != saved.mixture.n_features:
        _fail(
            f"{model} is a model of {saved.mixture.n_features} columns, but {len(file.columns)} of {table} "
            f"were taken ({', '.join(file.columns)}): name the right ones with --columns"
        )
    return saved, file


# mixtura compare


@main.command()
@click.argument("model")
@click.argument("table")
@click.option("--labels", metavar="COLUMN", required=True, help="The column of TABLE that holds the labels.")
@_columns_option(help="Columns that stand for the model's, in its order.  [default: those of the same names]")
@_json_option(help="Print JSON.")
@_input_format
@_quiet_option
def compare(
    *, model: str, table: str, labels: str, columns: str | None, as_json: bool, input_format: str | None, quiet: bool
) -> None:
    """Compare the components of MODEL with given labels.

    Prints how often each label of TABLE meets each component, the adjusted Rand index, and the share of rows that agree
    when labels and components are paired as well as can be. Rows without a label are left out, and counted.
    """
    from mixtura import agreement, summary, text

    saved, file = _saved_and_table(model, table, columns, None, input_format=input_format, quiet=quiet)
    if labels not in file.table.column_names:
        _fail(f"{table} has no column {labels!r}: it has {', '.join(file.table.column_names)}")
    found = agreement.cross_table(file.table.column(labels), saved.mixture.predict(file.rows))
    _print(summary.as_json(found.summary()) if as_json else text.cross_table_as_text(found, _width()))


# mixtura merge


@main.command()
@click.argument("model")
@click.argument("table")
@click.option("--clusters", metavar="N", type=click.IntRange(min=1), help="With --out.  [default: as suggested]")
@_columns_option(help="Columns that stand for the model's, in its order.  [default: those of the same names]")
@click.option("--weights", metavar="COLUMN", help="A column of row weights.")
@_json_option(help="Print JSON.")
@_input_format
@click.option("--out", metavar="FILE", help="Write the cluster of each row to FILE.")
@_output_format
@_force_option
@_quiet_option
def merge(
    *,
    model: str,
    table: str,
    clusters: int | None,
    columns: str | None,
    weights: str | None,
    as_json: bool,
    input_format: str | None,
    out: str | None,
    output_format: str | None,
    force: bool,
    quiet: bool,
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
    _check_free(out, force)
    saved, file = _saved_and_table(model, table, columns, weights, input_format=input_format, quiet=quiet)
    found = merging.merge(saved.mixture, file.rows, file.weights)
    if out is not None:
        share = found.responsibilities(file.rows, clusters)
        each = {f"c{j}": column for j, column in enumerate(share.T)}
        _write({"cluster": merging.called(share), "probability": share.max(1), **each}, out, output_format)
    _print(summary.as_json(found.summary()) if as_json else text.merging_as_text(found, _width()))


# mixtura sample


@main.command()
@click.argument("model")
@click.option("-n", "--rows", metavar="N", type=click.IntRange(min=0), default=1000, show_default=True)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(min=0),
    help="The same seed gives the same rows.  [default: fresh chance]",
)
@click.option("--labels", is_flag=True, help="Add a column, label: the component of each row; -1 is noise.")
@_out_option
@_output_format
@_force_option
def sample(
    *, model: str, rows: int, seed: int | None, labels: bool, out: str | None, output_format: str | None, force: bool
) -> None:
    """Draw rows from MODEL."""
    import mixtura
    from mixtura.summary import column_names

    _check_free(out, force)
    mixture = mixtura.load(model).mixture
    if labels and "label" in column_names(mixture):
        _fail(f"{model} has a column 'label' of its own: leave --labels out")
    drawn, components = mixture.sample(rows, seed, return_labels=True)
    hidden = {"label": components} if labels else {}
    _write({**hidden, **dict(zip(column_names(mixture), drawn.T, strict=True))}, out, output_format)


# mixtura show


@main.command()
@click.argument("model")
@click.option("-v", "--verbose", is_flag=True, help="Every column, and the correlations within each component.")
@_json_option(help="Print JSON; with --verbose, with the correlations.")
def show(*, model: str, verbose: bool, as_json: bool) -> None:
    """Print what MODEL is: its components, and how its fit ended."""
    import mixtura
    from mixtura import summary, text

    saved = mixtura.load(model)
    numbers = summary.describe(saved.mixture, saved.family, saved.metadata)
    if as_json:
        more = {"correlations": summary.correlations(saved.mixture)} if verbose else {}
        _print(summary.as_json({**numbers, **more, "metadata": saved.metadata}))
        return
    width, bold = _width(), partial(click.style, bold=True)
    most_columns = None if verbose else text.COLUMNS_SHOWN
    _print(text.as_text(numbers, width, most_columns=most_columns, bold=bold))
    if verbose and saved.mixture.n_features > 1:
        _print("\n" + text.correlations_as_text(saved.mixture, width, bold=bold))


# Input and output


def _arrow(columns: dict[str, Any]) -> pa.Table:
    import pyarrow as pa

    return pa.table(columns)


def _check_free(out: str | None, force: bool) -> None:
    """Refuse to replace a file unless that was allowed."""
    if out is not None and not force and Path(out).is_file():
        _fail(f"{out} exists already: choose another name, or replace it with --force")


def _write(columns: dict[str, Any], out: str | None, output_format: str | None) -> None:
    """Columns to a file, or to standard output."""
    from mixtura.sources.files import write_table

    path = "-" if out is None else out
    write_table(_arrow(columns), path, output_format or ("csv" if path == "-" else None))


def _width() -> int:
    narrowest, widest = WIDTHS
    return max(narrowest, min(shutil.get_terminal_size().columns, widest))


def _print(text: str) -> None:
    """Text to standard output, in plainer characters where it cannot show ours."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    click.echo(text)


def _note(text: str) -> None:
    """A remark on standard error."""
    from mixtura.text import harmless

    click.echo(harmless(text), err=True)
