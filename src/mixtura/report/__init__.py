"""A result as a page to read: one HTML file, the same as Markdown without pictures, and the components as CSV."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mixtura.ground import Observer, Progress
from mixtura.report.content import Content, Remedy, compose
from mixtura.report.pictures import Pictures, gather
from mixtura.summary import Summary

if TYPE_CHECKING:
    from mixtura.result import Result

#: Files that a report consists of where it is written into a folder.
PAGE, PLAIN, COMPONENTS = "report.html", "report.md", "components.csv"


class Report(NamedTuple):
    """What a report says, what it shows, and the summary that both are of."""

    content: Content
    pictures: Pictures
    document: Summary

    def html(self) -> str:
        """As one page that needs no other file."""
        from mixtura.report.page import render

        return render(self.content, self.pictures, self.document)

    def markdown(self) -> str:
        """As plain text, without pictures."""
        from mixtura.report.markdown import render

        return render(self.content)


def of(
    result: Result,
    document: Summary,
    remedy: Remedy,
    model_file: str | None = None,
    progress: Observer | None = None,
) -> Report:
    """The report on a result.

    Parameters
    ----------
    result : Result
    document : dict
        What summary.json holds, see ``content.compose``.
    remedy : callable
        From arguments of ``mixtura.fit`` to change to the command that does it.
    model_file : str, optional
        Where the model was saved.
    progress : callable, optional
        Is told of each step; the stage is "report".
    """

    def tell(done: int, steps: int) -> None:
        if progress is not None:
            progress(Progress("report", done, steps - done, steps))

    pictures = gather(result, tell)
    return Report(compose(result, pictures, document, remedy, model_file), pictures, document)


#: By the suffix of a file, how a report is written into it.
_FORMS: dict[str, Callable[[Report], str]] = {".md": Report.markdown, ".markdown": Report.markdown}


def write(
    path: str | PathLike[str],
    result: Result,
    document: Summary,
    remedy: Remedy,
    *,
    overwrite: bool = False,
    progress: Observer | None = None,
) -> None:
    """Write the report to a file, whole or not at all; see ``of``."""
    from mixtura.sources.files import replacing

    if not overwrite and os.path.lexists(path):
        raise FileExistsError(f"{os.fspath(path)} exists already: choose another name, or allow it to be overwritten")
    form = _FORMS.get(Path(path).suffix.lower(), Report.html)
    text = form(of(result, document, remedy, progress=progress))
    with replacing(path) as stream:
        stream.write(text.encode())


def components_csv(document: Summary) -> bytes:
    """The components as CSV: a line each with its weight, rows, and the mean and standard deviation of each column.

    A noise component, which has neither, comes last.
    """
    import pyarrow as pa
    from pyarrow import csv

    noise = document["noise"]
    parts = [*document["components"], *([{"component": "noise", **noise}] if noise else [])]
    names = document["columns"]
    columns = {
        "component": [str(part["component"]) for part in parts],
        "weight": [part["weight"] for part in parts],
        "rows": [part["rows"] for part in parts],
    }
    for key in ("mean", "sd"):
        columns |= {f"{key} {name}": [part[key][name] if key in part else None for part in parts] for name in names}
    out = io.BytesIO()
    csv.write_csv(pa.table(columns), out)
    return out.getvalue()
