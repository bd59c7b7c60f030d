"""Entropies, uncertainties, ICL and merging as in R's mclust: README.md tells where the numbers come from."""

from __future__ import annotations

import numpy as np
import pytest
from reference_cases import cases, numbers_of, rows_of

from mixtura import Mixture, adjusted_rand_index, em, merge
from mixtura.choice import bic, certainty
from mixtura.merging import _bend
from mixtura.sources.memory import Memory

MODELS = numbers_of("mclust_reading")["models"]
MERGING = numbers_of("mclust_reading")["merging"]


@pytest.mark.parametrize("case", MODELS, ids=lambda case: f"{case['data_set']}-{case['model']}-{case['G']}")
def test_entropy_uncertainty_and_icl_at_parameters_of_mclust(case):
    rows = rows_of(case["data_set"])
    model = Mixture(case["pro"], case["mean"], case["sigma"])
    found = model.separation(rows)
    assert found.entropy == pytest.approx(case["entropy"], rel=1e-10)
    assert found.error_rate * len(rows) == pytest.approx(case["sum_uncertainty"], rel=1e-10)
    assert model.uncertainty(rows).max() == pytest.approx(case["max_uncertainty"], rel=1e-9)
    sure = Memory(rows).total(lambda block: certainty([model], block))[0]
    icl = bic(model.loglik(rows), case["df"], len(rows)) - 2 * sure
    assert icl == pytest.approx(-case["icl"], rel=1e-11)


def at_the_loglik_of_mclust(name: str) -> Mixture:
    """EM from mclust's start, stopped where mclust stopped by its tolerance."""
    numbers, rows = MERGING[name], rows_of(name)
    (case,) = (c for c in cases() if c.begins == (name, numbers["model"], numbers["G"], "hard"))
    for steps in range(1, 40):
        model = em(case.begins.begin(), rows, case.begins.family, tol=0.0, max_iter=steps, accelerate=False).model
        if model.loglik(rows) == pytest.approx(numbers["loglik"], rel=1e-12):
            return model
    raise AssertionError("EM never passes mclust's log-likelihood")


@pytest.mark.parametrize("name", ["faithful", "diabetes"])
def test_the_same_tree_entropies_and_labels(name):
    numbers, rows = MERGING[name], rows_of(name)
    merging = merge(at_the_loglik_of_mclust(name), rows)
    assert merging.curve[1] == pytest.approx(numbers["entropy"], rel=1e-9, abs=1e-12)
    for n, labels in enumerate(numbers["classification"], start=1):
        assert adjusted_rand_index(labels, merging.predict(rows, n)) == 1
    assert merging.suggested == numbers["optimal"]


@pytest.mark.parametrize("name", MERGING)
def test_the_suggested_number_of_clusters(name):
    numbers = MERGING[name]
    before = reversed(numbers["classification"][1:])
    merged = [sum(int(x) in pair for x in labels) for labels, pair in zip(before, numbers["merged"], strict=True)]
    assert _bend(np.cumsum([0, *merged[::-1]]), np.array(numbers["entropy"])) == numbers["optimal"]
