"""Ways out of Mixtura and into it: scikit-learn, ONNX, data frames.

Each function takes what a mixture is in: the Result of ``mixtura.fit``, a Fit, a fitted GaussianMixture, a Mixture.
"""

# pyright: reportUnusedImport=false
# (the imports below tell type checkers what __getattr__ finds)
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixtura.bridges.frames import to_frame
    from mixtura.bridges.graph import to_onnx
    from mixtura.bridges.scikit_learn import from_sklearn, to_sklearn

#: Where each public name lives; it is imported when it is first asked for.
_HOMES = {
    "to_frame": "frames",
    "to_onnx": "graph",
    "from_sklearn": "scikit_learn",
    "to_sklearn": "scikit_learn",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mixtura.bridges' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mixtura.bridges.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
