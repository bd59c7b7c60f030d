"""Passes over the rows until the top is a given gap away: Mixtura's accelerated steps against plain EM.

python -m benchmarks.passes

Sixty problems of overlapping components, twenty of each kind. Both ways start from the same k-means++ partition, and
each is measured against the top of the hill that it climbs itself: its own end, followed further by accelerated steps
to rounding.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import mixtura
from benchmarks.cases import Array
from benchmarks.measure import restart_clean
from mixtura import Mixture

#: Nats a row.
GAP = 1e-6
LLOYD_STEPS = 5
WIDENING = 0.02  # of the rows' own variance, added to the start's covariances


HEAD = (
    "problems",
    "plain EM, median passes",
    "accelerated, median (most)",
    "plain / accelerated, geometric mean",
    "the same to the reported gap",
    "failures",
    "said so too early (the true gap then)",
    "final log-likelihood a row, mean difference",
)


class Kind(NamedTuple):
    """Size and overlap of a problem: ``spread`` is that of the means, where components are about 1 wide."""

    n_rows: int
    n_features: int
    n_components: int
    spread: float


KINDS = {
    "D2K5": Kind(3_000, 2, 5, 1.5),
    "D8K10": Kind(5_000, 8, 10, 1.0),
    "D8K10 hard": Kind(5_000, 8, 10, 0.6),
}


def rows_of(kind: Kind, seed: int) -> Array:
    """Rows of a random mixture; the variances of a component differ by up to a factor of ten."""
    rng = np.random.default_rng(seed)
    n, d, k, spread = kind
    labels = rng.choice(k, n, p=rng.dirichlet(np.full(k, 5.0)))
    means = rng.normal(size=(k, d)) * spread
    rows = np.empty((n, d))
    for j in range(k):
        turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
        factor = turn * np.sqrt(np.exp(rng.uniform(np.log(0.3), np.log(3), d)))
        here = labels == j
        rows[here] = means[j] + rng.normal(size=(here.sum(), d)) @ factor.T
    return rows


def start_of(rows: Array, n_components: int, seed: int) -> Mixture:
    """k-means++ and a few Lloyd steps in coordinates where all rows together are round, then an M-step."""
    rng = np.random.default_rng(1000 + seed)
    cov = np.cov(rows.T)
    white = np.linalg.solve(np.linalg.cholesky(cov), (rows - rows.mean(0)).T).T
    centres = white[[rng.integers(len(white))]]
    for _ in range(n_components - 1):
        nearest = _distances(white, centres).min(1)
        centres = np.vstack([centres, white[rng.choice(len(white), p=nearest / nearest.sum())]])
    for _ in range(LLOYD_STEPS):
        labels = _distances(white, centres).argmin(1)
        for j in np.unique(labels):
            centres[j] = white[labels == j].mean(0)
    labels = _distances(white, centres).argmin(1)
    groups = [rows[labels == j] for j in range(n_components)]
    return Mixture(
        [len(group) / len(rows) for group in groups],
        [group.mean(0) for group in groups],
        [np.cov(group.T, bias=True) + WIDENING * cov for group in groups],
    )


def _distances(rows: Array, centres: Array) -> Array:
    return np.square(rows[:, None] - centres).sum(2)


@dataclass(frozen=True)
class Climb:
    """One way up one hill: where it leads, how many passes brought it near the top, and after how many it said so."""

    top: float  # nats a row
    true_passes: float  # infinite when it never came that near
    reported_passes: float  # those that check it counted
    gap_then: float  # the true gap when it said so, nats a row
    fault: str


def climb(rows: Array, start: Mixture, family: str, *, accelerate: bool, max_iter: int) -> Climb:
    """Follow one way up, well beyond the gap that is asked for."""
    n = len(rows)
    asked = mixtura.em(start, rows, family, accelerate=accelerate, tol=GAP, max_iter=max_iter)
    fit = mixtura.em(start, rows, family, accelerate=accelerate, tol=GAP / 1000, max_iter=max_iter)
    further = mixtura.em(fit.model, rows, family, tol=1e-14, max_iter=2000)
    top = max(fit.objective, further.objective) / n
    true = next((step.passes for step in fit.trace if top - step.objective / n <= GAP), np.inf)
    reported = asked.n_iter if asked.converged else np.inf
    fault = fit.status.name if fit.status.failed else "" if true < np.inf else "not near the top"
    return Climb(top, true, reported, top - asked.objective / n, fault)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.passes", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="problems of each kind (20)")
    parser.add_argument("--covariance", default="full", help="the family to fit (full)")
    parser.add_argument("--max-iter", type=int, default=10_000)
    options = parser.parse_args()
    restart_clean("benchmarks.passes")
    print(f"{options.seeds} problems of each kind, covariance {options.covariance}, gap {GAP:g} nats a row")
    print(f"| {' | '.join(HEAD)} |\n| --- " + "| ---: " * (len(HEAD) - 1) + "|")
    pairs: list[tuple[Climb, Climb]] = []
    for name, kind in KINDS.items():
        mine = [_pair(kind, seed, options.covariance, options.max_iter) for seed in range(options.seeds)]
        pairs += mine
        print(_line(name, mine), flush=True)
    print(_line("all", pairs))


def _pair(kind: Kind, seed: int, family: str, max_iter: int) -> tuple[Climb, Climb]:
    rows = rows_of(kind, seed)
    start = start_of(rows, kind.n_components, seed)
    plain, fast = (climb(rows, start, family, accelerate=fast, max_iter=max_iter) for fast in (False, True))
    return plain, fast


def _line(name: str, pairs: list[tuple[Climb, Climb]]) -> str:
    plain, fast = zip(*pairs, strict=True)
    passes = np.array([climb.true_passes for climb in fast])
    cells = [
        name,
        f"{np.median([climb.true_passes for climb in plain]):.0f}",
        f"{np.median(passes):.0f} ({passes.max():.0f})",
        _geometric_mean([(a.true_passes, b.true_passes) for a, b in pairs]),
        _geometric_mean([(a.true_passes, b.reported_passes) for a, b in pairs]),
        f"plain {sum(bool(c.fault) for c in plain)}, accelerated {sum(bool(c.fault) for c in fast)}",
        f"plain {_too_early(plain)}, accelerated {_too_early(fast)}",
        f"{np.mean([b.top - a.top for a, b in pairs]):+.1e}",
    ]
    return "| " + " | ".join(cells) + " |"


def _too_early(climbs: tuple[Climb, ...]) -> str:
    """How many reported the gap before they were that near, and by how much at the most."""
    gaps = [climb.gap_then for climb in climbs if climb.gap_then > GAP]
    return f"{len(gaps)}" + (f" (to {max(gaps):.0e})" if gaps else "")


def _geometric_mean(counts: list[tuple[float, float]]) -> str:
    """Of the ratios, over the problems where both came near; says how many did not."""
    ratios = [a / b for a, b in counts if np.isfinite(a) and np.isfinite(b)]
    missing = len(counts) - len(ratios)
    return f"{np.exp(np.mean(np.log(ratios))):.2f}×" + (f" ({missing} left out)" if missing else "")


if __name__ == "__main__":
    main()
