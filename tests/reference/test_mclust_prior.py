"""Fits under the conjugate prior beside R's mclust: README.md tells where the numbers come from."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from reference_cases import dense_mixture, distance, known_models, numbers_of, rows_of

from mixtura import ConjugatePrior, Mixture, em
from mixtura.core.em import Fit
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.sources.memory import Memory
from mixtura.start import by_labels, mixture_of

CASES = [case for case in numbers_of("mclust_prior")["cases"] if case["model"] in known_models()]

#: Whose M-step mclust has wrong: it forgets the scale of the prior (EII), or does not shrink the means (EEI).
WRONG = ("EII", "EEI")
#: Families whose closed form is known to be that of mclust.
CLOSED = ("E", "V", "VII", "VVI", "EEE", "VVV")


def named(case: dict[str, Any]) -> str:
    return f"{case['data_set']}-{case['model']}-{case['G']}"


def prior_of(case: dict[str, Any]) -> Prior:
    hyper, rows = case["hyper"], rows_of(case["data_set"])
    given = ConjugatePrior(hyper["shrinkage"], hyper["mean"], hyper["dof"], hyper["scale"])
    return given.for_rows(rows, case["model"], case["G"])


def fitted(case: dict[str, Any]) -> tuple[np.ndarray, Prior, Fit]:
    return _fitted(CASES.index(case))


@cache
def _fitted(i: int) -> tuple[np.ndarray, Prior, Fit]:
    case = CASES[i]
    rows, prior = rows_of(case["data_set"]), prior_of(case)
    rule = by_labels(np.array([int(c) for c in case["start"]]), case["G"])
    start = mixture_of(rule, Memory(rows), case["G"], registry.get(case["model"]), prior)
    return rows, prior, em(start, rows, case["model"], prior=prior, tol=0.0, max_iter=20_000, accelerate=False)


@pytest.mark.parametrize("case", [c for c in CASES if c["model"] in CLOSED], ids=named)
def test_the_same_top(case):
    rows, _, fit = fitted(case)
    assert fit.loglik == pytest.approx(case["loglik"], rel=1e-9)
    assert distance(fit.model, dense_mixture(case["model"], case["parameters"]), rows) < 1e-4


@pytest.mark.parametrize("case", [c for c in CASES if c["model"] in CLOSED], ids=named)
def test_the_end_of_mclust_is_a_fixed_point(case):
    rows, prior = rows_of(case["data_set"]), prior_of(case)
    end = dense_mixture(case["model"], case["parameters"])
    step = em(end, rows, case["model"], prior=prior, tol=0.0, max_iter=1, accelerate=False)
    assert step.trace[0].gradient_norm < 1e-4


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_top_is_that_of_the_formulas(case):
    # Fraley & Raftery (2007), with the responsibilities at the end: also where mclust has it wrong.
    rows, _, fit = fitted(case)
    model, hyper, k, d = fit.model, case["hyper"], case["G"], rows.shape[1]
    share = model.responsibilities(rows)
    n = share.sum(0)
    mean = share.T @ rows / n[:, None]
    kappa, nu, centre = hyper["shrinkage"], hyper["dof"], np.array(hyper["mean"])
    expected_means = (n[:, None] * mean + kappa * centre) / (n[:, None] + kappa)
    scatter = np.stack([(share[:, [j]] * (rows - mean[j])).T @ (rows - mean[j]) for j in range(k)])
    pull = (kappa * n / (kappa + n))[:, None, None] * (mean - centre)[:, :, None] * (mean - centre)[:, None, :]
    t, scale = scatter + pull, np.array(hyper["scale"], dtype=float)
    matrix = scale if scale.ndim == 2 else scale * np.eye(d)
    total, eye = len(rows), np.eye(d)
    sigma = {
        "VVV": lambda: (matrix + t) / (nu + n + d + 2)[:, None, None],
        "V": lambda: (matrix + t) / (nu + n + 3)[:, None, None],
        "EEE": lambda: (matrix + t.sum(0)) / (nu + total + d + k + 1),
        "E": lambda: (matrix + t.sum(0)) / (nu + total + k + 2),
        "VVI": lambda: (matrix + t) * eye / (nu + n + 3)[:, None, None],
        "EEI": lambda: (matrix + t.sum(0)) * eye / (nu + total + k + 2),
        "VII": lambda: eye * ((scale + np.trace(t, axis1=1, axis2=2)) / (nu + (n + 1) * d + 2))[:, None, None],
        "EII": lambda: eye * ((scale + np.trace(t.sum(0))) / (nu + (total + k) * d + 2)),
    }.get(case["model"])
    assert model.means == pytest.approx(expected_means, rel=1e-6)
    if sigma is not None:
        top = Mixture(model.weights, expected_means, np.broadcast_to(sigma(), (k, d, d)))
        assert distance(model, top, rows) < 1e-6
    if case["model"] in WRONG:
        assert fit.loglik != pytest.approx(case["loglik"], rel=1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if c["model"] in ("EEE", "VVV")], ids=named)
def test_the_defaults_are_those_of_mclust(case):
    by_default, given = ConjugatePrior().for_rows(rows_of(case["data_set"]), case["model"], case["G"]), prior_of(case)
    assert by_default.count == pytest.approx(given.count)
    assert by_default.scatter == pytest.approx(given.scatter)
    assert by_default.mean == pytest.approx(given.mean)
