"""Equal weights, and row weights, beside R's mclust: README.md tells where the numbers come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference_cases import dense_mixture, distance, known_models, numbers_of, rows_of

from mixtura import Fixed, em
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.sources.memory import Memory
from mixtura.start import by_labels, mixture_of

EQUAL = [case for case in numbers_of("mclust_equal")["cases"] if case["model"] in known_models()]
WEIGHTED = [case for case in numbers_of("mclust_weighted")["cases"] if case["model"] in known_models()]

#: Families whose M-step iterates or has several optima go another way; that of mclust for VVE is no maximum, nor, with
#: equal weights, that for EVV, which ends up to 285 nats lower.
ITERATIVE = ("VEI", "VEV", "VEE", "EVE", "VVE", "EVV")
#: Where mclust gives no equal weights, but n_k/G.
WRONG = ("VVI",)


def named(case: dict[str, Any]) -> str:
    return f"{case['data_set']}-{case['model']}-{case['G']}" + (f"-{case['weights']}" if "weights" in case else "")


def start_of(labels: str, case: dict[str, Any], weights: np.ndarray | None = None):
    rows = rows_of(case["data_set"])
    rule = by_labels(np.array([int(c) for c in labels]), case["G"])
    none = Prior.none(rows.shape[1])
    return mixture_of(rule, Memory(rows, weights), case["G"], registry.get(case["model"]), none)


@pytest.mark.parametrize("case", EQUAL, ids=named)
def test_equal_weights(case):
    rows, fixed = rows_of(case["data_set"]), Fixed(weights="equal")
    fit = em(
        start_of(case["start"], case), rows, case["model"], fixed=fixed, tol=1e-13, max_iter=20_000, accelerate=False
    )
    assert fit.n_parameters == case["df"]
    if case["model"] not in ITERATIVE + WRONG:
        assert fit.loglik == pytest.approx(case["loglik"], rel=1e-8)
        assert distance(fit.model, dense_mixture(case["model"], case["parameters"]), rows) < 1e-3
    assert case["model"] in WRONG or fit.loglik >= case["loglik"] - 1e-6
    quick = em(start_of(case["start"], case), rows, case["model"], fixed=fixed, tol=1e-11)
    assert quick.converged
    assert case["model"] not in WRONG or sum(case["parameters"]["pro"]) > 2
    assert quick.model.weights.tolist() == [1 / case["G"]] * case["G"]


def weights_of(case: dict[str, Any]) -> np.ndarray:
    i = np.arange(1, len(rows_of(case["data_set"])) + 1)
    return (1 + i % 3 if case["weights"] == "one_plus_imod3" else i % 4).astype(float)


@pytest.mark.parametrize("case", WEIGHTED, ids=named)
def test_row_weights(case):
    rows, weights = rows_of(case["data_set"]), weights_of(case)
    labels = numbers_of(f"mclust_{case['data_set']}")["starts"][case["start"]][str(case["G"])]
    start = start_of(labels, case, weights)
    fit = em(start, rows, case["model"], sample_weight=weights, tol=1e-13, max_iter=20_000, accelerate=False)
    assert fit.loglik == pytest.approx(case["loglik"], rel=1e-8)
    assert distance(fit.model, dense_mixture(case["model"], case["parameters"]), rows) < 1e-3
