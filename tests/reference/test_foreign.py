"""Numbers that the test-suites of other projects hold themselves to (README.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_cases import HERE, numbers_of, rows_of

import mixtura
from mixtura import Gaussian, Mixture, e_step, em, m_step
from mixtura.covariance.structure import Diagonal

CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in numbers_of("foreign")["cases"]}


def diagonal(case: dict[str, Any]) -> Mixture:
    weights = np.array(case["weights"])
    structure = Diagonal.from_variances(np.array(case["variances"], dtype=float))
    return Mixture(weights / weights.sum(), case["means"], structure)


def faithful32() -> np.ndarray:
    return rows_of("faithful").astype(np.float32)


def test_spark_one_column():
    case = CASES["spark_univariate"]
    expected, exact = case["expected"], case["exact"]
    for means in ([[5.0], [-3.0]], [[1.0], [-1.0]], [[2.0], [-1.0]]):
        fit = em(Mixture([0.5, 0.5], means, [1.0, 1.0]), case["X"], tol=1e-14)
        assert fit.loglik == pytest.approx(exact["loglik"], rel=1e-11)
        assert fit.model.means.ravel() == pytest.approx(np.ravel(expected["means"]), abs=1e-3)
        assert fit.model.weights == pytest.approx(exact["weights"], abs=1e-8)
        assert fit.model.means.ravel() == pytest.approx(np.ravel(exact["means"]), rel=1e-7)
        assert fit.model.covariances.ravel() == pytest.approx(np.ravel(exact["covariances"]), rel=1e-6)


def test_spark_two_columns_against_mixtools():
    case = CASES["spark_bivariate_vs_R_mixtools"]
    result = mixtura.fit(case["X"], 2, "full", tol=1e-13, random_state=0)
    model = result.model.reorder([1, 0])
    assert result.fit.loglik == pytest.approx(case["exact"]["loglik"], rel=1e-7)
    assert model.weights == pytest.approx(case["exact"]["weights"], abs=1e-6)
    assert model.means == pytest.approx(np.array(case["exact"]["means"]), abs=1e-5)
    assert model.covariances == pytest.approx(np.array(case["exact"]["covariances"]), abs=1e-5)


@pytest.mark.parametrize("name", ["spark_single_singular", "spark_single_sparse_singular"])
def test_one_component_where_the_covariance_is_singular(name):
    case = CASES[name]
    result = mixtura.fit(case["X"], 1, "full", random_state=0)
    assert result.model.means == pytest.approx(np.array(case["expected"]["means"], dtype=float))
    assert result.model.covariances == pytest.approx(np.array(case["expected"]["covariances"]), abs=1e-5)
    assert {note.name for note in result.best.notes} & {"few rows", "linear relation"}


def test_densities_of_mlpack():
    for case in CASES["mlpack_phi"]["cases"]:
        assert Gaussian(case["mean"], case["cov"]).pdf([case["x"]])[0] == pytest.approx(case["density"], rel=1e-9)


def test_matrices_that_are_not_symmetric_are_refused():
    for case in CASES["mlpack_phi_asymmetric"]["cases"]:
        with pytest.raises(ValueError, match="not symmetric"):
            Gaussian(case["mean"], case["cov"])


def test_mixture_densities_of_mlpack():
    case = CASES["mlpack_mixture_density"]
    model = Mixture(case["weights"], case["means"], case["covariances"])
    for point in case["points"]:
        assert model.pdf(point["x"]) == pytest.approx(point["density"], rel=1e-9)
        assert np.exp(model.log_joint(point["x"])) == pytest.approx(point["weighted_component_densities"], rel=1e-8)


def test_labels_of_mlpack():
    case = CASES["mlpack_classify"]
    model = Mixture(case["weights"], case["means"], case["covariances"])
    assert model.predict(case["X"]).tolist() == case["labels"]


@pytest.mark.parametrize(
    "name", ["bob_likelihood", "bob_likelihood_variance", "bob_likelihood_weight", "bob_matlab_loglik"]
)
def test_densities_of_bob(name):
    case = CASES[name]
    assert diagonal(case).logpdf(case["X"]) == pytest.approx(case["score_samples"], rel=1e-9)


def test_one_step_of_bob():
    case = CASES["bob_one_em_step"]
    start = diagonal(case["init"])
    statistics = e_step(start, case["X"])
    expected = case["expected"]
    assert statistics.n / 5 == pytest.approx(expected["weights"], abs=1e-8)
    assert statistics.centre + statistics.shift() == pytest.approx(np.array(expected["means"]), abs=1e-8)
    assert statistics.scatter() / statistics.n[:, None] == pytest.approx(np.array(expected["variances"]), abs=1e-6)


def test_statistics_of_bob():
    case = CASES["bob_faithful_estep_stats"]
    expected = case["expected"]
    model = diagonal(case)
    statistics = e_step(model, faithful32())
    assert statistics.rows == expected["T"]
    assert statistics.loglik == pytest.approx(expected["log_likelihood"], rel=1e-12)
    assert statistics.n == pytest.approx(expected["n"], rel=1e-12)
    about_zero = statistics.recentre(np.zeros((2, 2)))
    assert about_zero.s1 == pytest.approx(np.array(expected["sumPx"]), rel=1e-11)
    assert about_zero.s2 == pytest.approx(np.array(expected["sumPxx"]), rel=1e-11)


def test_a_fit_of_bob():
    case = CASES["bob_faithful_ML"]
    fit = em(diagonal(case["init"]), faithful32(), "diag", tol=1e-13)
    expected = case["converged"]
    assert fit.loglik == pytest.approx(expected["loglik"], rel=1e-9)
    assert fit.model.weights == pytest.approx(expected["weights"], abs=1e-6)
    assert fit.model.means == pytest.approx(np.array(expected["means"]), rel=1e-6)
    assert np.einsum("kii->ki", fit.model.covariances) == pytest.approx(np.array(expected["variances"]), rel=1e-5)


def test_the_way_of_torch3vision():
    """25 steps of EM in 45 columns: where each is, and where they end."""
    case = CASES["bob_torch3vision_ML_5gauss"]
    rows = np.load(HERE / "data" / case["X_file"])
    model, logliks = diagonal(case["init"]), []
    for _ in range(25):
        statistics = e_step(model, rows)
        logliks.append(statistics.loglik)
        model = m_step(model, statistics, "diag")
    logliks.append(model.loglik(rows))
    assert logliks == pytest.approx(case["loglik_trajectory"], rel=1e-12)
    ends = {"weights": model.weights, "means": model.means, "variances": np.einsum("kii->ki", model.covariances)}
    for name, end in ends.items():
        assert end == pytest.approx(np.array(case["expected"][name]), abs=case["tolerance"][name])
    fit = em(diagonal(case["init"]), rows, "diag")
    assert fit.loglik > logliks[-1]


def test_conditionals_of_gmr():
    case = CASES["gmr_conditional"]
    model = Mixture(case["weights"], case["means"], case["covariances"])
    for query in case["queries"]:
        given = dict(zip(query["given_index"], query["given_value"], strict=True))
        component = model.component(query["component"]).condition(given)
        assert component.mean == pytest.approx(query["mean"])
        assert component.cov == pytest.approx(np.array(query["cov"]))


def test_regression_of_gmr():
    case = CASES["gmr_regression"]
    model = Mixture(case["weights"], case["means"], case["covariances"])
    given = dict(zip(case["given_index"], case["given_value"], strict=True))
    assert model.condition(given).mean == pytest.approx(case["expected"], abs=1e-8)


def test_pairs_of_pyspark():
    # Two rows a component: the likelihood has no maximum, so only means, labels and weights are to be had.
    case = CASES["pyspark_doctest"]
    result = mixtura.fit(case["X"], case["K"], "spherical", random_state=0)
    labels = result.model.predict(case["X"])
    assert sorted(np.bincount(labels).tolist()) == case["expected"]["cluster_sizes"]
    assert np.abs(result.model.means - case["expected"]["one_mean"]).sum(1).min() < 1e-3
    assert result.model.weights == pytest.approx(case["expected"]["weights"], abs=1e-3)
    assert m_step(result.model, e_step(result.model, case["X"]), "spherical").weights.sum() == pytest.approx(1)


def test_every_case_is_tested():
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in CASES if f'"{name}"' not in source] == []
