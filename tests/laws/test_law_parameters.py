"""Every parameter changes something."""

from __future__ import annotations

import inspect
import threading
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from variants import overlapping, row_weights, start_for

import mixtura
from mixtura import ConjugatePrior, Fixed, Mixture, em
from mixtura.choice import search
from mixtura.core.em import Stop
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.ground import Candidate, Settings
from mixtura.sources import memory
from mixtura.sources.memory import Memory
from mixtura.start import by_labels, mixture_of

ROWS = overlapping()

SETTINGS: dict[str, Any] = {
    "n_init": 1,
    "tol": 1e-2,
    "max_iter": 3,
    "reg_covar": 0.5,
    "init_params": "random",
    "accelerate": False,
    "noise": True,
    "prior": ConjugatePrior(),
    "fixed": Fixed("equal"),
}

FIT: dict[str, Any] = {
    "n_components": 2,
    "covariance": "diag",
    "criterion": "aic",
    "sample_weight": row_weights(240),
    "columns": [2, 0],
    "n_init": 1,
    "tol": 1e-2,
    "max_iter": 3,
    "reg_covar": 0.5,
    "init_params": "random",
    "noise": True,
    "prior": "conjugate",
    "fixed": Fixed("equal"),
    "random_state": 1,
    "n_threads": 1,
    "progress": lambda _: True,
}

EM: dict[str, Any] = {
    "sample_weight": row_weights(240),
    "prior": Prior.absolute(0.5, 240, 3, 3),
    "fixed": Fixed("equal"),
    "tol": 1e-2,
    "max_iter": 3,
    "accelerate": False,
}


def marks(model: Mixture) -> tuple[bytes, ...]:
    return tuple(a.tobytes() for a in (model.weights, model.means, *model.structure.parameters().values()))


def test_every_setting_changes_the_fit():
    assert set(SETTINGS) == {field.name for field in fields(Settings)}

    def fitted(**settings: Any) -> tuple[object, ...]:
        candidates = [Candidate(4, registry.get("full"))]
        cell = search(Memory(ROWS), candidates, Settings(**settings), seed=0)[0]
        return (marks(cell.fit.model), cell.fit.trace, cell.n_starts)

    plain = fitted()
    assert plain == fitted()
    for name, value in SETTINGS.items():
        assert fitted(**{name: value}) != plain, name


def test_every_parameter_of_fit_changes_the_result():
    signature = inspect.signature(mixtura.fit).parameters
    of_files = {"where", "part", "spool", "checkpoint"}  # see tests/sources, tests/test_checkpoint.py
    assert set(FIT) == set(signature) - {"table"} - of_files

    def fitted(**kwargs: Any) -> tuple[object, ...]:
        known = {"n_components": 4, "covariance": "full", "init_params": "k-means++", "random_state": 0, **kwargs}
        result = mixtura.fit(ROWS, **known)
        return (marks(result.model), result.fit.trace, result.criterion, result.columns, result.best.n_starts)

    plain = fitted()
    assert plain == fitted()
    for name, value in FIT.items():
        if name != "n_threads":  # the same bits: see below
            assert fitted(**{name: value}) != plain, name


@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_number_of_threads_is_that_of_the_threads(n_threads, monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_ROWS", 5)
    gate = threading.Barrier(n_threads, timeout=10)
    seen = set()

    def work(block: memory.Block) -> int:
        if block.start < 5 * n_threads:
            gate.wait()  # all of them are at work at once
        seen.add(threading.get_ident())
        return 1

    assert sum(Memory(ROWS, n_threads=n_threads).map(work)) == 48
    assert len(seen) == n_threads


def test_every_parameter_of_em_changes_the_fit(family):
    assert set(EM) == set(inspect.signature(em).parameters) - {"start", "rows", "family"}
    start = start_for(family, ROWS)

    def fitted(**kwargs: Any) -> tuple[object, ...]:
        fit = em(start, ROWS, family, **kwargs)
        return (marks(fit.model), fit.trace)

    plain = fitted()
    for name, value in EM.items():
        if name != "accelerate" or family.tangent is not None:
            assert fitted(**{name: value}) != plain, name


def test_the_start_and_the_family_change_the_fit(family):
    other = next(f for f in registry.FAMILIES if f is not family)
    start = start_for(family, ROWS)
    assert marks(em(start, ROWS, family, max_iter=2).model) != marks(em(start, ROWS, other, max_iter=2).model)
    reverse = start_for(family, ROWS[::-1] * -1.0)
    assert marks(em(start, ROWS, family, max_iter=2).model) != marks(em(reverse, ROWS, family, max_iter=2).model)


def test_stop_is_what_em_stops_by():
    assert {field.name for field in fields(Stop)} == {"tol", "max_iter", "verify", "near"}


def test_leaning_makes_the_components_of_a_start_alike(family):
    labels = np.repeat([0, 1, 2], [3, 117, 120])
    starts = [
        mixture_of(by_labels(labels, 3), Memory(ROWS), 3, family, Prior.relative(ROWS, np.ones(240)), lean=lean)
        for lean in (0.0, 4.0, 1e9)
    ]
    spread = [np.ptp(start.structure.log_det()) for start in starts]
    if spread[0] < 1e-9:  # alike in this family, come what may
        assert spread == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)
    else:
        assert spread[0] > 2 * spread[1] > spread[2]
        assert spread[2] < 1e-4
