"""The noise component beside R's mclust: README.md tells where the numbers come from."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from reference_cases import dense_mixture, known_models, numbers_of

import mixtura
from mixtura import Mixture, Noise, em
from mixtura.choice import certainty
from mixtura.covariance import registry
from mixtura.denoise import noise_over
from mixtura.sources.memory import Memory
from mixtura.sources.sketch import sample
from mixtura.sources.source import Block

NUMBERS = numbers_of("mclust_noise")
CASES = [case for case in NUMBERS["chevron"] if case["model"] in known_models()]

#: mclust stops when a step gains less than this part of the log-likelihood: here up to 12 nats are then still missing.
STOP = 1e-5
#: Below the log-likelihood of mclust, whose starts (it is told which rows are noise) these searches did not find.
LOWER = {("spherical", 4)}


@cache
def rows_of_table(name: str) -> np.ndarray:
    with (Path(__file__).parent / "data" / f"{name}.csv").open(newline="") as file:
        return np.array([[float(x) for x in line[:2]] for line in list(csv.reader(file))[1:]])


def with_noise(model: str, numbers: dict, volume: float) -> Mixture:
    *weights, noise = numbers["pro"]
    plain = dense_mixture(model, {**numbers, "pro": weights})
    share = noise / sum(numbers["pro"])
    return Mixture(plain.weights * (1 - share), plain.means, plain.structure, noise=Noise(share, -np.log(volume)))


@pytest.mark.parametrize("name", ["chevron", "faithful_noise500"])
def test_the_volume(name):
    source = Memory(rows_of_table(name))
    assert np.exp(-noise_over(source, sample(source, 5000)).log_density) == pytest.approx(NUMBERS["volumes"][name])


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['model']}-{c['G']}-{c['init_noise']}")
def test_from_where_mclust_ended(case):
    rows, volume = rows_of_table("chevron"), NUMBERS["volumes"]["chevron"]
    start = with_noise(case["model"], case["parameters"], volume)
    assert start.loglik(rows) == pytest.approx(case["loglik"], rel=1e-12)
    step = em(start, rows, case["model"], tol=0.0, max_iter=1, accelerate=False)
    assert 0 <= step.loglik - case["loglik"] < STOP * (1 + abs(case["loglik"]))
    fit = em(start, rows, case["model"], tol=1e-12)
    assert fit.converged
    assert fit.loglik >= step.loglik
    assert fit.n_parameters + 1 == case["df"]  # of a volume that was given; mclust counts it
    assert np.bincount(start.predict(rows) + 1, minlength=case["G"] + 1).tolist() == case["sizes"]


@pytest.mark.parametrize("model", [m for m in known_models() if m in NUMBERS["faithful_noise500"]["bic"]["1"]])
def test_the_search_is_no_worse_than_mclust(model):
    rows = rows_of_table("faithful_noise500")
    family = registry.get(model)
    result = mixtura.fit(rows, range(1, 5), family, noise=True, random_state=0)
    for cell in result.cells:
        theirs = NUMBERS["faithful_noise500"]["bic"][str(cell.n_components)][model]
        if (cell.covariance, cell.n_components) not in LOWER:
            assert -cell.bic >= theirs - 1e-3, str(cell)


def test_the_model_that_mclust_selects():
    selected, rows = NUMBERS["faithful_noise500"]["selected"], rows_of_table("faithful_noise500")
    theirs = with_noise(selected["model"], selected["parameters"], NUMBERS["volumes"]["faithful_noise500"])
    loglik, sure = theirs.loglik(rows), certainty([theirs], Block(rows, None, 0))[0]
    penalty = selected["df"] * np.log(len(rows))
    assert 2 * loglik - penalty == pytest.approx(selected["bic"], rel=1e-12)
    assert 2 * loglik - penalty + 2 * sure == pytest.approx(selected["icl"], rel=1e-12)
    called = np.array([int(label) for label in selected["classification"]])
    assert np.array_equal(theirs.predict(rows), called - 1)
    cell = mixtura.fit(rows, selected["G"], selected["model"], noise=True, random_state=0).best
    assert cell.n_parameters == selected["df"]
    assert -cell.bic >= selected["bic"]
    assert (
        cell.fit.model.reorder(cell.fit.model.means[:, 0].argsort()[::-1]).predict(rows) == called - 1
    ).mean() > 0.97
