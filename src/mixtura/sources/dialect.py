"""What the head of a CSV file says of the rest: its encoding, delimiter, decimal mark and header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mixtura.sources.coerce import TableError

#: How files in UTF-16 begin.
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
#: Bytes from which the dialect, and the format of a file, are told.
HEAD = 1 << 18


class Dialect(NamedTuple):
    """How a CSV file is written."""

    encoding: str
    delimiter: str
    decimal_mark: str

    def options(self, block_size: int, odd: Callable[[Any], str] | None = None, **convert: Any) -> dict[str, Any]:
        """What pyarrow's readers of CSV take; a row of the wrong length is an error, or what ``odd`` makes of it."""
        import pyarrow.csv

        return {
            # only a single thread knows the numbers of the rows
            "read_options": pyarrow.csv.ReadOptions(
                encoding=self.encoding, block_size=block_size, use_threads=odd is None
            ),
            "parse_options": pyarrow.csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=odd
            ),
            "convert_options": pyarrow.csv.ConvertOptions(decimal_point=self.decimal_mark, **convert),
        }

    @property
    def as_bytes(self) -> Dialect:
        """One in which any byte is a letter; pyarrow stumbles over a row that it cannot decode."""
        return self if self.encoding == "utf-16" else self._replace(encoding="latin-1")


def dialect_of(head: bytes) -> Dialect:
    """The dialect of a file that begins like this.

    Raises
    ------
    TableError
        If the first line seems to be data.
    """
    encoding = _encoding(head)
    text = head.decode(encoding, errors="ignore").removeprefix("\ufeff")
    delimiter = max(",;\t", key=_first_line(text).count)
    _check_header(text, delimiter)
    return Dialect(encoding, delimiter, _decimal_mark(text, delimiter))


def odd_row_sentence(row: Any) -> str:
    """What is wrong with a row that has another number of fields than the header, as pyarrow describes it."""
    return (
        f"has {row.actual_columns} fields in row {row.number - 1} (rows counted from 1) but "
        f"{row.expected_columns} in its header: make them equal"
    )


def _encoding(head: bytes) -> str:
    if head.startswith(UTF_16):
        return "utf-16"
    line = head.partition(b"\n")[0]
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return "utf-8" if error.end == len(head) else "latin-1"  # cut short, or before Unicode
    return "utf-8"


def _first_line(text: str) -> str:
    """The first line that is not blank, with a letter for each quoted field."""
    bare = re.sub(r'"(?:[^"]|"")*"', "q", text)
    return next((line for line in bare.splitlines() if line.strip()), "")


def _check_header(text: str, delimiter: str) -> None:
    """Raise TableError if the first line seems to be data."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [field.strip() for field in next((line for line in lines if line), [])]
    if all(_is_finite(field) for field in header):
        names = ", ".join(f"x{j + 1}" for j in range(len(header[:4])))
        raise TableError(
            f"seems to lack a header, as its first line holds numbers ({', '.join(header[:4])}): "
            f"begin it with a line of column names, e.g. {names}"
        )


def _is_finite(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _decimal_mark(text: str, delimiter: str) -> str:
    """A comma if numbers are written with one, as they may be where another mark parts fields."""
    if delimiter == ",":
        return "."
    edge = rf'[{delimiter}"\r\n]'
    marks = re.findall(rf"(?:^|{edge})\s*[+-]?\d+([.,])\d+\s*(?={edge}|$)", text)
    return "," if "," in marks and "." not in marks else "."
