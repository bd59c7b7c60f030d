"""Pictures of mixtures, in the manner of scikit-learn's displays (needs ``pip install "mixtura[plots]"``).

Each picture is a class: ``from_estimator(found)`` takes the numbers from a Result, a Fit, a fitted GaussianMixture or
a Mixture, and draws them; ``plot(ax=…)`` draws them again elsewhere. Nothing global is changed: no pyplot figure is
opened, no setting touched, nothing shown. In a notebook a display shows itself; elsewhere there is
``display.figure_.savefig(…)``.
"""

# pyright: reportUnusedImport=false
# (the imports below tell type checkers what __getattr__ finds)
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixtura.plot.mixtures import (
        DensityDisplay,
        MixtureDisplay,
        PairsDisplay,
        ProjectionDisplay,
        UncertaintyDisplay,
    )
    from mixtura.plot.models import OverlapDisplay, ProfileDisplay, QQDisplay
    from mixtura.plot.searches import ChoiceDisplay, ConvergenceDisplay, EntropyDisplay
    from mixtura.plot.watching import Watching, watch

#: Where each public name lives; it is imported when it is first asked for.
_HOMES = {
    "MixtureDisplay": "mixtures",
    "DensityDisplay": "mixtures",
    "PairsDisplay": "mixtures",
    "ProjectionDisplay": "mixtures",
    "UncertaintyDisplay": "mixtures",
    "ProfileDisplay": "models",
    "OverlapDisplay": "models",
    "QQDisplay": "models",
    "ChoiceDisplay": "searches",
    "ConvergenceDisplay": "searches",
    "EntropyDisplay": "searches",
    "Watching": "watching",
    "watch": "watching",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mixtura.plot' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"mixtura.plot.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise ImportError('mixtura.plot draws with matplotlib: pip install "mixtura[plots]"') from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
