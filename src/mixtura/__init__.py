"""Mixtura: Gaussian mixtures, fitted by expectation-maximisation to any table and reported honestly."""

# pyright: reportUnusedImport=false
# (the imports below tell type checkers what __getattr__ finds)
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mixtura._version import __version__

if TYPE_CHECKING:
    from mixtura import bridges, figures, plot
    from mixtura.agreement import CrossTable, Match, adjusted_rand_index, cross_table, match
    from mixtura.core.divergence import (
        cauchy_schwarz_divergence,
        js_divergence,
        kl_divergence,
        l2_distance,
    )
    from mixtura.core.em import Fit, em
    from mixtura.core.estep import e_step
    from mixtura.core.fixed import Fixed
    from mixtura.core.gaussian import Gaussian
    from mixtura.core.mixture import Mixture
    from mixtura.core.mstep import m_step
    from mixtura.core.noise import Noise
    from mixtura.core.overlap import Separation
    from mixtura.core.statistics import Statistics
    from mixtura.core.status import Status
    from mixtura.covariance.prior import ConjugatePrior
    from mixtura.estimators.gaussian_mixture import GaussianMixture
    from mixtura.estimators.selector import GaussianMixtureSelector
    from mixtura.io import load, save
    from mixtura.merging import Merging, merge
    from mixtura.result import Result, fit, select
    from mixtura.scores import score_table, write_scores
    from mixtura.sources.sql import Query

#: Where each public name lives; it is imported when it is first asked for.
_HOMES = {
    "Gaussian": "core.gaussian",
    "Mixture": "core.mixture",
    "Noise": "core.noise",
    "kl_divergence": "core.divergence",
    "js_divergence": "core.divergence",
    "l2_distance": "core.divergence",
    "cauchy_schwarz_divergence": "core.divergence",
    "Statistics": "core.statistics",
    "Fit": "core.em",
    "em": "core.em",
    "e_step": "core.estep",
    "Fixed": "core.fixed",
    "m_step": "core.mstep",
    "ConjugatePrior": "covariance.prior",
    "Status": "core.status",
    "GaussianMixture": "estimators.gaussian_mixture",
    "GaussianMixtureSelector": "estimators.selector",
    "Result": "result",
    "fit": "result",
    "select": "result",
    "score_table": "scores",
    "write_scores": "scores",
    "Query": "sources.sql",
    "load": "io",
    "save": "io",
    "Separation": "core.overlap",
    "Merging": "merging",
    "merge": "merging",
    "CrossTable": "agreement",
    "cross_table": "agreement",
    "adjusted_rand_index": "agreement",
    "Match": "agreement",
    "match": "agreement",
}

#: Modules that are at hand as attributes.
_MODULES = ("bridges", "figures", "plot")

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"mixtura.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'mixtura' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"mixtura.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
