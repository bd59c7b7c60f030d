"""Model files: a zip of ``model.json`` and ``.npy`` members, without pickle.

``model.json`` says what the arrays are; the arrays are little-endian float64, so a model comes back
with the same bits. A file is data from elsewhere: names, sizes, shapes, finiteness and positive
definiteness are checked before anything is built from it, and no more is read than a mixture of the
declared size can need. Members are stored as they are, so that what is read is never larger than the file.
"""

from __future__ import annotations

import io
import json
import math
import os
import reprlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import numpy as np

from mixtura._version import __version__
from mixtura.core.mixture import WEIGHT_TOLERANCE, Mixture
from mixtura.core.noise import Noise
from mixtura.core.statistics import Array
from mixtura.covariance import registry
from mixtura.covariance.structure import SingularError, Structure, from_parameters
from mixtura.sources.files import NONSENSE, FilePath, replacing

FORMAT = "mixtura-model"
FORMAT_VERSION = 2
#: What a model without a noise component is written as, so that an older Mixtura can read it.
_PLAIN_VERSION = 1

_HEADER = "model.json"
_HEADER_BYTES = 1 << 24  # the most that model.json may hold
_NPY = b"\x93NUMPY\1\0"  # how a .npy member begins
_NPY_BYTES = 1 << 12  # the most that its head may take
_LARGEST = 1_000_000  # the most components, and the most columns
_NUMBERS = 1 << 31  # the most numbers in one array
_WIDEST = 1e300  # the largest number in a covariance's factor or its inverse: what is made of them needs some room
_SAID = 120  # the most characters of what a library says of a file that a message repeats
_DTYPE = "<f8"

#: Arrays by structure, each axis K or D; and of the region of a noise component.
_ARRAYS = {"full": {"cholesky": "KDD"}, "tied": {"cholesky": "DD"}, "diagonal": {"scale": "KD"}}
_REGION = {"noise_origin": "D", "noise_edges": "DD"}
#: What is written of a noise component beside its region.
_NOISE = ("weight", "log_density", "estimated")


class ModelFileError(ValueError):
    """A model file that cannot be written or read: the message says why."""


@dataclass(frozen=True)
class SavedModel:
    """What a model file holds.

    Attributes
    ----------
    mixture : Mixture
        The model.
    family : str
        Name of its covariance family.
    metadata : dict
        What was saved beside it.
    format_version : int
        The version of the file.
    """

    mixture: Mixture
    family: str
    metadata: dict[str, Any]
    format_version: int


def save(
    model: Mixture,
    path: FilePath,
    *,
    family: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a mixture to a file, whole or not at all.

    The same model and metadata give the same bytes.

    Parameters
    ----------
    model : Mixture
        The model.
    path : str or path-like
        The file.
    family : str, optional
        The covariance family it was fitted with; by default the general one with its structure.
    metadata : dict, optional
        Anything that JSON can hold: how the model came about, say.
    overwrite : bool, default False
        Whether a file of that name may be replaced.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is false.
    ModelFileError
        If the metadata are no JSON, the name of a column is no text, the covariances are at the ends of double
        precision, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from mixtura.core.mixture import Mixture
    >>> path = tempfile.mkdtemp() + "/model.mixtura"
    >>> model = Mixture([0.3, 0.7], [[0, 0], [3, 1]], [[[1, 0], [0, 1]], [[2, 1], [1, 2]]])
    >>> save(model, path, metadata={"rows": 272})
    >>> saved = load(path)
    >>> saved.mixture == model, saved.family, saved.metadata
    (True, 'full', {'rows': 272})
    """
    if not isinstance(model, Mixture):
        part = next((name for name in ("model", "mixture_", "mixture") if hasattr(model, name)), None)
        hint = f": save its .{part}" if part else ""
        raise TypeError(f"a Mixture can be saved, not {type(model).__name__}{hint}")
    kind = model.structure.kind
    if family is None:
        family = next(known.name for known in registry.FAMILIES if known.kind == kind)
    if registry.get(family).kind != kind:
        raise ValueError(f"family {family!r} has {registry.get(family).kind} covariances, but the model's are {kind}")
    _check_readable(model)
    arrays = {"weights": model.weights, "means": model.means, **model.structure.parameters()}
    noise = model.noise
    arrays |= {} if noise is None else {f"noise_{name}": array for name, array in noise.parameters().items()}
    header = {
        "format": FORMAT,
        "format_version": _PLAIN_VERSION if noise is None else FORMAT_VERSION,
        "mixtura_version": __version__,
        "family": registry.get(family).name,
        "structure": kind,
        "columns": None if model.columns is None else list(model.columns),
        "n_components": model.n_components,
        "n_features": model.n_features,
        "arrays": _declared(_shapes(kind, model.n_components, model.n_features, "noise_origin" in arrays)),
        **({} if noise is None else {"noise": {name: getattr(noise, name) for name in _NOISE}}),
        "metadata": dict(metadata or {}),
    }
    try:
        text = json.dumps(header, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"metadata must be plain JSON, without NaN or infinity: {error}") from error
    if len(text) > _HEADER_BYTES:
        raise ModelFileError(f"metadata take {len(text)} bytes of JSON, but a model file holds {_HEADER_BYTES} at most")
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(f"{os.fspath(path)} exists already: choose another name, or allow it to be overwritten")
    try:
        with replacing(path) as stream, zipfile.ZipFile(stream, "w") as archive:
            _add(archive, _HEADER, text)
            for name, array in arrays.items():
                _add(archive, f"{name}.npy", _npy(array))
    except OSError as error:
        raise ModelFileError(f"cannot write {os.fspath(path)}: {error.strerror or error}") from error


def load(path: FilePath) -> SavedModel:
    """Read a mixture from a file that ``save`` wrote, checking everything before use.

    Parameters
    ----------
    path : str or path-like
        The file.

    Raises
    ------
    ModelFileError
        If it is missing, damaged, no model file, inconsistent, or written by a newer Mixtura.
    """
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as stream:
            return _read(stream)
    except FileNotFoundError:
        raise ModelFileError(f"there is no file {name}") from None
    except OSError as error:
        raise ModelFileError(f"cannot read {name}: {error.strerror or error}") from error
    except ModelFileError as error:
        raise ModelFileError(f"{name} {error}") from error.__cause__


def _check_readable(model: Mixture) -> None:
    """Raise ModelFileError if ``load`` would refuse the model."""
    odd = next((name for name in model.columns or () if not _is_text(name)), None)
    if odd is not None:
        raise ModelFileError(f"the name of the column {odd!r} is no text: rename it")
    if not _has_densities(model.structure):
        raise ModelFileError("the model's covariances leave the range of double precision: measure in other units")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """A stored member whose bytes do not depend on the day or the machine."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = 0o644 << 16
    archive.writestr(info, content, zipfile.ZIP_STORED)


def _npy(array: Array) -> bytes:
    content = io.BytesIO()
    little = np.ascontiguousarray(array, dtype=_DTYPE)
    np.lib.format.write_array(content, little, version=(1, 0), allow_pickle=False)
    return content.getvalue()


def _shapes(kind: str, n_components: int, n_features: int, region: bool) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a model, with the region of its noise or without."""
    axes = {"weights": "K", "means": "KD", **_ARRAYS[kind], **(_REGION if region else {})}
    size = {"K": n_components, "D": n_features}
    return {name: tuple(size[axis] for axis in letters) for name, letters in axes.items()}


def _declared(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    return {name: {"shape": list(shape), "dtype": _DTYPE} for name, shape in shapes.items()}


def _read(stream: BinaryIO) -> SavedModel:
    """The model in a zip; every complaint goes on from the name of the file."""
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ModelFileError("is cut short or no Mixtura model file: it is not a zip") from error
    with archive:
        size = stream.seek(0, io.SEEK_END)
        members = {member.filename: member for member in archive.infolist()}
        if _HEADER not in members:
            raise ModelFileError(f"is not a Mixtura model file: it has no {_HEADER}")
        if members[_HEADER].file_size > _HEADER_BYTES:
            raise ModelFileError(f"is refused: its {_HEADER} is larger than {_HEADER_BYTES} bytes")
        header = _header(_content(archive, members[_HEADER], size))
        kind, n_components, n_features = _size(header)
        shapes = _shapes(kind, n_components, n_features, _has_region(header))
        due = {_HEADER, *(f"{name}.npy" for name in shapes)}
        if set(members) != due or len(archive.infolist()) != len(due):
            raise ModelFileError(f"is refused: its members are not just {', '.join(sorted(due))}")
        arrays = {name: _array(archive, members[f"{name}.npy"], size, shape) for name, shape in shapes.items()}
    noise = _noise(header, arrays)
    _check_numbers(arrays, 0.0 if noise is None else noise.weight)
    structure = from_parameters(kind, arrays, n_components)
    if not _has_densities(structure):
        raise ModelFileError("is refused: its covariances leave the range of double precision")
    try:
        mixture = Mixture(arrays["weights"], arrays["means"], structure, columns=header.get("columns"), noise=noise)
    except ValueError as error:
        raise ModelFileError(f"is damaged: {_said(error)}") from error
    return SavedModel(mixture, header["family"], header["metadata"], header["format_version"])


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file_size: int) -> bytes:
    """The bytes of a member: as many as declared, which must lie within the file."""
    name, size = member.filename, member.file_size
    if member.compress_type != zipfile.ZIP_STORED:
        raise ModelFileError(f"is refused: its member {name!r} is compressed, which those of model files are not")
    if size != member.compress_size or member.header_offset + size > file_size:
        raise ModelFileError(f"is damaged: its member {name!r} claims {size} bytes that are not there")
    try:
        with archive.open(member) as content:
            data = content.read(size)
    except NONSENSE as error:
        raise ModelFileError(f"is damaged: its member {name!r} cannot be read ({_said(error)})") from error
    if len(data) != size:
        raise ModelFileError(f"is damaged: its member {name!r} is cut short")
    return data


def _said(error: Exception) -> str:
    """What a library says of a file, whatever the file had it say, in one short line."""
    words = " ".join(str(error).split()) or type(error).__name__
    plain = "".join(c if c.isprintable() else "?" for c in words)
    return plain if len(plain) <= _SAID else f"{plain[:_SAID]}…"


def _header(text: bytes) -> dict[str, Any]:
    """What model.json says, if it is one of ours and its version is known."""
    try:
        header: Any = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"is damaged: its {_HEADER} is no JSON ({_said(error)})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(f"is not a Mixtura model file: its {_HEADER} does not say {FORMAT!r}")
    version: Any = header.get("format_version")
    if not _is_count(version):
        raise ModelFileError(f"is damaged: its format version is {reprlib.repr(version)}")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"was written by a newer Mixtura ({reprlib.repr(header.get('mixtura_version'))}): its format version "
            f"is {reprlib.repr(version)}, this Mixtura reads up to {FORMAT_VERSION}; upgrade it"
        )
    family = header.get("family")
    if family not in registry.names():
        raise ModelFileError(
            f"has the covariance family {reprlib.repr(family)}, which this Mixtura does not know: upgrade it"
        )
    if not isinstance(header.get("metadata"), dict):
        raise ModelFileError("is damaged: its metadata are no JSON object")
    return header


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large")
    return number


def _size(header: Mapping[str, Any]) -> tuple[str, int, int]:
    """Structure, K and D, and that what else is declared agrees with them."""
    kind, n_components, n_features = (header.get(key) for key in ("structure", "n_components", "n_features"))
    if not isinstance(kind, str) or kind not in _ARRAYS:
        raise ModelFileError(f"is damaged: its structure is not one of {', '.join(_ARRAYS)}")
    if not (_is_count(n_components, _LARGEST) and _is_count(n_features, _LARGEST)):
        raise ModelFileError(f"is refused: its n_components and n_features must be from 1 to {_LARGEST}")
    shapes = _shapes(kind, n_components, n_features, _has_region(header))
    if max(map(math.prod, shapes.values())) > _NUMBERS:
        raise ModelFileError(f"is refused: {n_components} components in {n_features} columns are too many")
    if header.get("arrays") != _declared(shapes):
        raise ModelFileError(
            f"is damaged: the arrays that its {_HEADER} declares are not those of "
            f"{n_components} components in {n_features} columns"
        )
    names = header.get("columns")
    if names is not None and not _are_names(names, n_features):
        raise ModelFileError(f"is damaged: its columns are not {n_features} different names")
    if registry.get(header["family"]).kind != kind:
        raise ModelFileError(f"is damaged: its family {header['family']!r} does not have {kind} covariances")
    return kind, n_components, n_features


def _is_count(value: object, largest: float = math.inf) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= largest


def _are_names(names: object, n_features: int) -> bool:
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_text(name) for name in names):
        return False
    return len(names) == len(set(names)) == n_features


def _is_text(name: str) -> bool:
    """Whether every output can take it: half of a surrogate pair no file can."""
    return not any("\ud800" <= c <= "\udfff" for c in name)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file_size: int, shape: tuple[int, ...]) -> Array:
    """A .npy member of exactly this shape."""
    name, size = member.filename, 8 * math.prod(shape)
    if not size < member.file_size <= size + _NPY_BYTES:
        raise ModelFileError(f"is refused: its member {name!r} has {member.file_size} bytes, not about {size}")
    content = _content(archive, member, file_size)
    if not content.startswith(_NPY):
        raise ModelFileError(f"is damaged: its member {name!r} is no array, or of another version than 1.0")
    begin = len(_NPY) + 2
    begin += int.from_bytes(content[len(_NPY) : begin], "little")
    head = f"{{'descr': '{_DTYPE}', 'fortran_order': False, 'shape': {shape}, }}"
    if content[len(_NPY) + 2 : begin].rstrip() != head.encode() or len(content) - begin != size:
        raise ModelFileError(f"is damaged: its member {name!r} is not of type {_DTYPE} and shape {shape}")
    return np.frombuffer(content, dtype=_DTYPE, offset=begin).reshape(shape).astype(np.float64)


def _has_densities(structure: Structure) -> bool:
    """Whether factors of the covariances, and their inverses, are well within double precision."""
    with np.errstate(all="ignore"):
        try:
            arrays = structure.whitening, *structure.parameters().values()
        except SingularError:
            return False
        return all(bool((np.abs(array) <= _WIDEST).all()) for array in arrays)


def _has_region(header: Mapping[str, Any]) -> bool:
    """Whether the arrays that are declared hold the region of a noise component."""
    declared = header.get("arrays")
    return header.get("noise") is not None and isinstance(declared, dict) and "noise_origin" in declared


def _noise(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Noise | None:
    """The noise component, checked."""
    told: Any = header.get("noise")
    if told is None:
        return None
    if not isinstance(told, dict) or set(told) != set(_NOISE):
        raise ModelFileError(f"is damaged: its noise does not say just {', '.join(_NOISE)}")
    weight, log_density, estimated = (told[name] for name in _NOISE)
    if not (_is_number(weight) and _is_number(log_density) and isinstance(estimated, bool)):
        raise ModelFileError("is damaged: the weight or density of its noise is no number")
    try:
        region = arrays.get("noise_origin"), arrays.get("noise_edges")
        return Noise(float(weight), float(log_density), *region, estimated)
    except (ValueError, OverflowError) as error:
        raise ModelFileError(f"is damaged: {_said(error)}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_numbers(arrays: Mapping[str, Array], noise: float) -> None:
    """Finite numbers, a probability vector, and factors of positive definite matrices."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ModelFileError(f"is damaged: its {name} are not all finite")
    weights = arrays["weights"]
    if (weights < 0).any() or (weights > 1).any() or abs(weights.sum() + noise - 1) > WEIGHT_TOLERANCE:
        raise ModelFileError("is damaged: its weights are no probability vector")
    if "scale" in arrays and not (arrays["scale"] > 0).all():
        raise ModelFileError("is damaged: its standard deviations are not all positive")
    if "cholesky" in arrays:
        factor = arrays["cholesky"]
        if not (np.diagonal(factor, axis1=-2, axis2=-1) > 0).all() or np.triu(factor, 1).any():
            raise ModelFileError(
                "is damaged: a covariance is not positive definite, as its Cholesky factor is not "
                "lower triangular with a positive diagonal"
            )
