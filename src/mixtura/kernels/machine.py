"""Functions that Numba compiles when they are first called, and keeps in its cache."""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

#: Seconds after which a compilation is announced on a terminal; a cached one is loaded sooner.
PATIENCE = 0.7

#: What the loading of a damaged cache may raise.
DAMAGED = (AttributeError, EOFError, ImportError, IndexError, pickle.UnpicklingError)

_compiled: dict[tuple[str, str, Hashable], Callable[..., Any]] = {}
_lock = threading.Lock()


def _forked() -> None:
    """In a forked process there is no thread that could be compiling."""
    global _lock  # noqa: PLW0603 (the old one may be held for ever)
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def run(module: str, name: str, types: Hashable, arguments: tuple[Any, ...]) -> Any:
    """Call a function of a module in this package, compiled for arguments of these types before the first call."""
    key = module, name, types
    with _lock:
        if key not in _compiled:
            source = _imported(f"{__package__}.{module}")
            notice = threading.Timer(PATIENCE, _announce)
            if sys.stderr is not None and sys.stderr.isatty():
                notice.start()
            try:
                _compiled[key] = _build(getattr(source, name), arguments)
            finally:
                notice.cancel()
    return _compiled[key](*arguments)


def _announce() -> None:
    sys.stderr.write("Mixtura compiles its kernels for this machine; this happens once.\n")


def _imported(name: str) -> ModuleType:
    """The module, imported in a thread, where no Ctrl-C can leave that half done."""
    if name in sys.modules:
        return importlib.import_module(name)
    with ThreadPoolExecutor(1) as worker:
        return worker.submit(importlib.import_module, name).result()


def _build(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Machine code for arguments of these types, from the cache where there is one."""
    import numba

    signature = tuple(numba.typeof(argument) for argument in arguments)
    compiler = numba.njit(nogil=True, error_model="numpy")
    compiled = compiler(function)
    try:
        compiled.enable_caching()
        compiled.compile(signature)
    except (RuntimeError, OSError, *DAMAGED):  # nowhere to write, or what was written is damaged
        if not compiled.signatures:
            compiled = compiler(function)
            compiled.compile(signature)
    compiled.disable_compile()
    return compiled
