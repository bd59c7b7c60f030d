"""Sums as bytes, and what was asked for as a digest: what a checkpoint is made of (mixtura.sources.journal).

Without pickle: the bytes say what they are, and can become nothing but numbers, arrays and the classes that are made
``recordable``. An array comes back with the bits that it had, and in the order in memory, for that decides in which
order other functions add it up.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, fields, is_dataclass
from functools import partial
from hashlib import blake2b
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, TypeVar

import numpy as np

_Class = TypeVar("_Class", bound=type)

#: Bytes of a digest.
DIGEST = 16
_LENGTH = struct.Struct("<I")
#: Kinds of numbers that arrays may hold.
_KINDS = "biuf"
#: Depth at which a value is no sum any more.
_DEEPEST = 32


class NotRecordableError(TypeError):
    """A value that no bytes stand for, or a function that no digest does."""


_CLASSES: dict[str, type] = {}


def recordable(cls: _Class) -> _Class:
    """Let a dataclass, or a tuple of one kind of things, be recorded."""
    if _CLASSES.setdefault(cls.__name__, cls) is not cls:
        raise ValueError(f"there is a recordable {cls.__name__} already")
    return cls


def packed(value: Any) -> bytes:
    """The bytes of a sum.

    Raises
    ------
    NotRecordableError
        If there is something in it that cannot be recorded.
    """
    arrays: list[bytes] = []
    text = json.dumps(_tree(value, arrays), separators=(",", ":")).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *arrays])


def _tree(value: Any, arrays: list[bytes]) -> list[Any]:
    if value is None or isinstance(value, bool | int | str):
        return ["plain", value]
    if type(value) is float:
        return ["float", value.hex()]
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _KINDS:
        array = np.asarray(value)
        axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
        arrays.append(np.ascontiguousarray(array.transpose(axes), dtype=array.dtype.newbyteorder("<")).tobytes())
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return [kind, array.dtype.newbyteorder("<").str, [array.shape[axis] for axis in axes], axes]
    name = type(value).__name__
    if _CLASSES.get(name) is not type(value):
        raise NotRecordableError(f"a {name} cannot be recorded")
    parts: list[Any] = [*value] if isinstance(value, tuple) else [getattr(value, each.name) for each in _fields(value)]
    return ["parts", name, [_tree(part, arrays) for part in parts]]


def _fields(value: Any) -> tuple[Field[Any], ...]:
    return fields(value)


def unpacked(content: bytes) -> Any:
    """The sum that some bytes stand for.

    Raises
    ------
    ValueError
        If they are not what ``packed`` makes.
    """
    try:
        (length,) = _LENGTH.unpack_from(content)
        start = _LENGTH.size + length
        tree = json.loads(content[_LENGTH.size : start])
        reading = _Reading(content, start)
        value = reading.value(tree)
    except (struct.error, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"no record: {error}") from error
    if reading.start != len(content):
        raise ValueError("no record: it is too long")
    return value


class _Reading:
    """Arrays are taken one after the other from where they begin."""

    def __init__(self, content: bytes, start: int) -> None:
        self.content, self.start = content, start

    def value(self, tree: list[Any]) -> Any:
        return self._MAKE[tree[0]](self, *tree[1:])

    def _plain(self, value: Any) -> Any:
        return value

    def _float(self, text: str) -> float:
        return float.fromhex(text)

    def _array(self, kind: str, shape: list[int], axes: list[int]) -> Any:
        dtype = np.dtype(kind)
        count = math.prod(shape)
        if dtype.kind not in _KINDS or min(shape, default=0) < 0 or sorted(axes) != [*range(len(shape))]:
            raise ValueError("there is an array that does not hold numbers")
        flat = np.frombuffer(self.content, dtype, count, self.start).astype(dtype.newbyteorder("="))
        self.start += count * dtype.itemsize
        return flat.reshape(shape).transpose(np.argsort(axes))

    def _scalar(self, kind: str, shape: list[int], axes: list[int]) -> Any:
        return self._array(kind, shape, axes)[()]

    def _parts(self, name: str, trees: list[Any]) -> Any:
        cls = _CLASSES[name]
        parts = [self.value(tree) for tree in trees]
        return cls(parts) if issubclass(cls, tuple) else cls(*parts)

    _MAKE: dict[str, Callable[..., Any]] = {  # noqa: RUF012 (a constant)
        "plain": _plain,
        "float": _float,
        "array": _array,
        "scalar": _scalar,
        "parts": _parts,
    }


def digest(value: Any) -> bytes:
    """A digest of what a function is and of all its arguments: equal for the same question in another process.

    Raises
    ------
    NotRecordableError
        If a function in it has no name of its own.
    """
    asked = _Asked()
    asked.take(value)
    return asked.hasher.digest()


class _Asked:
    """Values are taken part by part, each after its kind and its length."""

    def __init__(self) -> None:
        self.hasher = blake2b(digest_size=DIGEST)
        self.depth = 0

    def take(self, value: Any) -> None:
        if self.depth > _DEEPEST:
            raise NotRecordableError(f"a {type(value).__name__} holds itself")
        way = next((way for kinds, way in self._WAYS if isinstance(value, kinds)), None)
        if way is None:
            way = _Asked._dataclass if is_dataclass(value) else _Asked._reduced
        way(self, value)

    def _say(self, *parts: Any) -> None:
        for part in parts:
            data = part if isinstance(part, bytes) else str(part).encode()
            self.hasher.update(_LENGTH.pack(len(data)))
            self.hasher.update(data)

    def _each(self, values: Iterable[Any]) -> None:
        self.depth += 1
        for value in values:
            self.take(value)
        self.depth -= 1

    def _array(self, value: Any) -> None:
        if value.dtype.kind not in _KINDS:
            raise NotRecordableError(f"an array of {value.dtype} has no digest")
        self._say("array", value.dtype.str, np.shape(value))
        self.hasher.update(np.ascontiguousarray(value).tobytes())

    def _plain(self, value: Any) -> None:
        self._say(type(value).__name__, value.hex() if type(value) is float else value)

    def _sequence(self, value: Any) -> None:
        self._say(type(value).__qualname__, len(value))
        self._each(value)

    def _dict(self, value: dict[Any, Any]) -> None:
        self._say("dict", len(value))
        self._each(value.items())

    def _partial(self, value: partial[Any]) -> None:
        self._say("partial")
        self._each((value.func, value.args, value.keywords))

    def _module(self, value: ModuleType) -> None:
        self._say("module", value.__name__)

    def _name(self, value: Any) -> None:
        if "<" in value.__qualname__:  # a lambda or a function within another one
            raise NotRecordableError(f"{value.__qualname__} has no name of its own")
        self._say("name", value.__module__, value.__qualname__)

    def _dataclass(self, value: Any) -> None:
        self._say("dataclass", type(value).__qualname__)
        self._each(getattr(value, field.name) for field in _fields(value))

    def _reduced(self, value: Any) -> None:
        """What an object would be made of again."""
        try:
            parts = value.__reduce_ex__(2)
        except TypeError as error:
            raise NotRecordableError(str(error)) from error
        if not isinstance(parts, tuple):
            raise NotRecordableError(f"a {type(value).__name__} has no digest")
        self._say("object")
        self._each(list(part) if isinstance(part, Iterator) else part for part in parts)  # type: ignore[misc]

    _WAYS: tuple[tuple[Any, Callable[..., None]], ...] = (
        ((np.ndarray, np.generic), _array),
        ((bool, int, float, str, bytes, type(None)), _plain),
        ((tuple, list), _sequence),
        (dict, _dict),
        (partial, _partial),
        (ModuleType, _module),
        ((FunctionType, BuiltinFunctionType, type), _name),
    )
