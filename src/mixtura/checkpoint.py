"""What a checkpoint says that it is of: the table, the options, and the versions on which the bits of a fit depend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mixtura._version import __version__
from mixtura.ground import Settings
from mixtura.sources.files import FilePath
from mixtura.sources.journal import head_of
from mixtura.sources.record import NotRecordableError, digest
from mixtura.sources.source import Source

#: Packages that compute, beside Mixtura itself.
PACKAGES = ("numpy", "scipy", "numba")


def seed_in(path: FilePath) -> int | None:
    """The seed of the fit that a checkpoint is of, if there is one."""
    head = head_of(path)
    return None if head is None else int(head["the"]["seed"])


def head_for(source: Source, settings: Settings, seed: int, options: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The head of the checkpoint of a fit to the rows of a source."""
    said = {field.name: getattr(settings, field.name) for field in fields(settings)} | dict(options)
    return {
        "the version of": {"mixtura": __version__, **{name: _version(name) for name in PACKAGES}},
        "the table's number of": {"rows": str(source.n_rows), "columns": str(source.n_features)},
        "the table's": {"type": source.dtype.name},
        "the option": {name: _text(value) for name, value in said.items()},
        "the": {"seed": str(seed)},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _text(value: Any) -> str:
    """A value as it is written, if that tells all of it."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list | tuple) and all(isinstance(each, int | str) for each in value):
        return ", ".join(map(str, value))
    try:
        return f"{type(value).__name__} {digest(value).hex()}"
    except NotRecordableError:
        return type(value).__name__
