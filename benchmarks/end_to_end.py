"""From an array to a fit: Mixtura's defaults against scikit-learn's, start included, on 1e6 × 4 rows with K = 10.

python -m benchmarks.end_to_end
"""

from __future__ import annotations

import argparse
import time
import warnings
from statistics import median

from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import mixtura
from benchmarks import reference
from benchmarks.cases import CASES, Array, Parameters, load
from benchmarks.measure import machine, restart_clean, today


def _fit(cls: type, rows: Array, n_components: int, seed: int, **options: int) -> tuple[float, object]:
    """Seconds, and the fitted estimator."""
    estimator = cls(n_components, random_state=seed, **options)
    start = time.perf_counter()
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        estimator.fit(rows)
    return time.perf_counter() - start, estimator


def _loglik(rows: Array, estimator: object) -> float:
    """Of all rows, by neither library's own code."""
    return reference.loglik(rows, Parameters(estimator.weights_, estimator.means_, estimator.covariances_, "full"))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="seeds; the libraries take turns (3)")
    parser.add_argument("--rows", type=int, help="fewer rows than the case has")
    options = parser.parse_args()
    restart_clean("benchmarks.end_to_end")
    case = CASES["full_1e6_4_10"]
    case = case._replace(n_rows=min(case.n_rows, options.rows or case.n_rows))
    rows, _ = load(case)
    contestants = {"Mixtura": mixtura.GaussianMixture, "scikit-learn": GaussianMixture}
    for cls in contestants.values():  # loads and compiles
        _fit(cls, rows[: len(rows) // 4], case.n_components, 0, max_iter=1)
    print(f"{today()}, {machine()}, {len(rows)} rows")
    print("| seed | library | seconds | log-likelihood a row | iterations | reported gap |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    ratios, gains = [], []
    for seed in range(options.repeats):
        order = list(contestants.items())[:: -1 if seed % 2 else 1]
        taken, reached = {}, {}
        for name, cls in order:
            taken[name], estimator = _fit(cls, rows, case.n_components, seed)
            reached[name] = _loglik(rows, estimator)
            gap = getattr(estimator, "gap_", None)
            print(f"| {seed} | {name} | {taken[name]:.2f} | {reached[name]:.6f} | {estimator.n_iter_} "
                  f"| {'–' if gap is None else f'{gap:.1e}'} |", flush=True)  # fmt: skip
        ratios.append(taken["scikit-learn"] / taken["Mixtura"])
        gains.append(reached["Mixtura"] - reached["scikit-learn"])
    print(f"\nMedian of the ratios of seconds: {median(ratios):.1f}. Log-likelihood a row above scikit-learn's: "
          f"median {median(gains):+.2e}, least {min(gains):+.2e}.")  # fmt: skip


if __name__ == "__main__":
    main()
