"""Plain EM in float64 NumPy, block by block: what every library's result is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from benchmarks.cases import Array, Case, Parameters, folder, load

BLOCK = 20_000
#: Iterations of which the reference keeps the log-likelihood.
ITERATIONS = 8


def _log_joint(rows: Array, parameters: Parameters) -> Array:
    """(B, K) log weight plus log density."""
    weights, means, covariances, family = parameters
    d = rows.shape[1]
    distance = np.empty((len(rows), len(weights)))
    if family == "diag":
        centre = means.mean(0)
        shifted, mu = rows - centre, means - centre
        precision = 1 / covariances
        distance[:] = np.square(shifted) @ precision.T - 2 * shifted @ (precision * mu).T + (precision * mu * mu).sum(1)
        log_det = np.log(covariances).sum(1)
    else:
        factors = np.linalg.cholesky(np.broadcast_to(covariances, (len(weights), d, d)))
        for k, (mu, factor) in enumerate(zip(means, factors, strict=True)):
            distance[:, k] = np.square((rows - mu) @ np.linalg.inv(factor).T).sum(1)
        log_det = 2 * np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
    return np.log(weights) - 0.5 * (distance + log_det + d * np.log(2 * np.pi))


def _responsibilities(rows: Array, parameters: Parameters) -> tuple[float, Array]:
    """Σ log p(x) of a block, and the responsibilities."""
    joint = _log_joint(rows, parameters)
    top = joint.max(1, keepdims=True)
    share = np.exp(joint - top)
    total = share.sum(1, keepdims=True)
    return float((top + np.log(total)).sum()), share / total


def loglik(rows: Array, parameters: Parameters) -> float:
    """Log-likelihood a row, in nats."""
    plain = Parameters(*(np.asarray(array, np.float64) for array in parameters[:3]), parameters.family)
    blocks = (rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK))
    return sum(_responsibilities(block, plain)[0] for block in blocks) / len(rows)


def climb(rows: Array, start: Parameters, iterations: int) -> Iterator[tuple[float, Parameters]]:
    """(log-likelihood a row, parameters) of the start and after each iteration of EM."""
    parameters, family = start, start.family
    for _ in range(iterations + 1):
        n, s1, total = 0.0, 0.0, 0.0
        s2: float | Array = 0.0
        for i in range(0, len(rows), BLOCK):
            block = rows[i : i + BLOCK]
            gained, share = _responsibilities(block, parameters)
            total += gained
            n = n + share.sum(0)
            deviations = block - parameters.means[:, None]  # (K, B, D), about the means in force
            s1 = s1 + np.einsum("bk,kbd->kd", share, deviations)
            if family == "diag":
                s2 = s2 + np.einsum("bk,kbd->kd", share, np.square(deviations))
            else:
                scatter = np.swapaxes(deviations * share.T[:, :, None], 1, 2) @ deviations
                s2 = s2 + (scatter.sum(0) if family == "tied" else scatter)
        yield total / len(rows), parameters
        shift = s1 / n[:, None]
        if family == "diag":
            covariances = s2 / n[:, None] - np.square(shift)
        elif family == "full":
            covariances = s2 / n[:, None, None] - shift[:, :, None] * shift[:, None, :]
        else:
            covariances = (s2 - (shift * n[:, None]).T @ shift) / len(rows)
        parameters = Parameters(n / len(rows), parameters.means + shift, covariances, family)


def path(case: Case) -> list[float]:
    """Log-likelihoods a row after 0, 1, … ``ITERATIONS`` iterations from a case's start; computed once, then kept."""
    kept = folder(case) / "reference.json"
    if not kept.exists():
        rows, start = load(case)
        kept.write_text(json.dumps([value for value, _ in climb(rows, start, ITERATIONS)]), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))
