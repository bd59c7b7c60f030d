"""Peak memory of fit and of the methods that go over all rows, above the rows and the array that is returned (Linux).

python -m benchmarks.memory
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import numpy as np

import mixtura
from benchmarks.measure import clean_environment, peak_above

METHODS = ("fit", "predict", "predict_proba", "score_samples")
ITERATIONS = 5  # of the fit: later ones need what the first need


def _measure(method: str, n_rows: int, n_features: int, n_components: int, covariance: str) -> float:
    """MiB above what is held once the kernels are loaded, the rows are there and, but for fit, the model is."""
    truth = mixtura.Mixture(
        np.full(n_components, 1 / n_components),
        np.random.default_rng(0).normal(size=(n_components, n_features)) * 3,
        np.tile(np.eye(n_features), (n_components, 1, 1)),
    )
    rows = truth.sample(n_rows, 1)
    few = rows[: max(50 * n_components, 200_000)]
    estimator = mixtura.GaussianMixture(
        n_components, covariance_type=covariance, max_iter=ITERATIONS, random_state=0
    ).fit(few)
    if method == "fit":
        peak, returned = peak_above(lambda: estimator.fit(rows))[0], None
    else:
        getattr(estimator, method)(few)
        peak, returned = peak_above(lambda: getattr(estimator, method)(rows))
    return peak - (0 if returned is None else returned.nbytes / 2**20)


def main() -> None:
    """The command; one process a figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=4)
    parser.add_argument("--components", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--covariances", nargs="+", default=["full", "diag"])
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "COVARIANCE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        method, covariance = options.one
        print(json.dumps(_measure(method, options.rows, options.features, options.components[0], covariance)))
        return
    print(f"MiB above the rows and the result, {options.rows} × {options.features}")
    print(f"| covariance, K | {' | '.join(METHODS)} |")
    print("| --- " + "| ---: " * len(METHODS) + "|")
    for covariance in options.covariances:
        for k in options.components:
            figures = []
            for method in METHODS:
                command = [sys.executable, "-W", "ignore", "-m", "benchmarks.memory", "--one", method, covariance]
                sizes = ["--rows", options.rows, "--features", options.features, "--components", k]
                done = subprocess.run(
                    [*command, *map(str, sizes)], env=clean_environment(), stdout=subprocess.PIPE, check=True
                )
                figures.append(f"{json.loads(done.stdout):.1f}")
            print(f"| {covariance}, {k} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
