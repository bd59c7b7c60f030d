"""What options may say, and those that several commands share.

What they say stays text until it is used, so that it can be shown as it was written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

FORMATS = ("csv", "parquet", "arrow", "npy")
#: The most numbers of components to try, so that a slip of the pen is not a week's work.
MOST_COUNTS = 1000


def as_counts(text: str) -> list[int]:
    """Numbers of components: ``3``, ``1:9`` or ``2,4,6``."""
    found: dict[int, None] = {}
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
        found.update(dict.fromkeys(span))
    return list(found)


def as_families(text: str) -> str | list[str]:
    """Names of covariance families, separated by commas, or "all"."""
    from mixtura.covariance import registry

    if text.strip().lower() == "all":
        return "all"
    try:
        return [registry.get(name.strip()).name for name in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def as_names(text: str) -> list[str]:
    """Names of columns, separated by commas; one that holds a comma stands in double quotes."""
    import csv

    return next(csv.reader([text], skipinitialspace=True), [])


def as_finite(number: float) -> float:
    """A finite number."""
    import math

    if not math.isfinite(number):
        raise click.BadParameter(f"{number} is not a finite number")
    return number


def checked(parse: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that lets only what can be parsed pass, as it is."""

    def callback(_ctx: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        if value is not None:
            parse(value)
        return value

    return callback


def given(text: str | None, parse: Callable[[str], Any]) -> Any:
    """What an option says; None where it is left out."""
    return None if text is None else parse(text)


columns_option = partial(click.option, "--columns", metavar="NAMES", callback=checked(as_names))
input_format_option = click.option(
    "--input-format", type=click.Choice(FORMATS), help="What TABLE must be; by default its first bytes tell."
)
json_option = partial(click.option, "--json", "as_json", is_flag=True)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks on standard error.")
force_option = click.option("--force", is_flag=True, help="Replace outputs that exist.")
out_option = click.option("--out", metavar="FILE", help="Write to FILE, not to standard output.")
output_format_option = click.option(
    "--output-format", type=click.Choice(FORMATS), help="By default as the suffix of FILE says; CSV on standard output."
)
