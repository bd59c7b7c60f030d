"""Commands to go on with, as they can be copied."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import click

#: Options that a command which is proposed does not repeat.
_NOT_PROPOSED = {"out", "output_format", "report", "force", "as_json", "quiet", "checkpoint", "resume"}


def as_options(change: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of mixtura.fit as options of ``mixtura fit``."""
    options = {{"n_components": "components", "n_init": "starts"}.get(name, name): x for name, x in change.items()}
    return {name: f"{x[0]}:{x[-1]}" if isinstance(x, list) else x for name, x in options.items()}


def command_in_force(ctx: click.Context, **change: Any) -> list[list[str]]:
    """The command in force, as it was written but for some options: words that belong together in lists."""
    words = [["mixtura", str(ctx.info_name)]]
    for parameter in ctx.command.params:
        name = str(parameter.name)
        written = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        value = change.get(name, ctx.params[name] if written else None)
        if isinstance(parameter, click.Argument):
            words.append([str(value)])
        elif name in change or (written and name not in _NOT_PROPOSED):
            option = max(parameter.opts, key=len)
            words.append([option] if getattr(parameter, "is_flag", False) else [option, str(value)])
    return words


def copyable(command: list[list[str]], width: int) -> list[str]:
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


def proposed(sentence: str, width: int, *commands: list[list[str]]) -> list[str]:
    """A sentence, and commands that can be copied."""
    from mixtura.text import wrapped

    return [*wrapped(sentence, width, "  "), *(line for command in commands for line in copyable(command, width))]


def advised(ctx: click.Context, advice: Iterable[Mapping[str, Any]], width: int) -> list[str]:
    """The advice that asks for other options, each with the command."""
    return [
        line
        for each in advice
        if each["change"]
        for line in proposed(each["sentence"], width, command_in_force(ctx, **as_options(each["change"])))
    ]
