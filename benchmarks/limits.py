"""What this machine could do at best: the rates of matrix products, exponentials and reading, and the limit they set.

python -m benchmarks.limits
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from benchmarks.cases import CASES, Case
from benchmarks.measure import machine, processors, restart_clean, seconds


class Rates(NamedTuple):
    """Of all cores together, by precision: "float64" and "float32"."""

    flops: dict[str, float]
    exponentials: dict[str, float]
    bytes: float

    def limit(self, case: Case, dtype: str) -> float:
        """Seconds that a perfect program would need for one pass.

        That is the case's flops at the rate of matrix products and N·K exponentials at theirs, or the time to read
        the rows if that is longer.
        """
        compute = case.flops / self.flops[dtype] + case.n_rows * case.n_components / self.exponentials[dtype]
        return max(compute, case.n_rows * case.n_features * np.dtype(dtype).itemsize / self.bytes)

    def best(self, other: Rates) -> Rates:
        """The higher of two measurements."""
        return Rates(
            {dtype: max(rate, other.flops[dtype]) for dtype, rate in self.flops.items()},
            {dtype: max(rate, other.exponentials[dtype]) for dtype, rate in self.exponentials.items()},
            max(self.bytes, other.bytes),
        )

    def __str__(self) -> str:
        return "; ".join(
            [f"{dtype} matrix products {rate / 1e9:.0f} Gflop/s" for dtype, rate in self.flops.items()]
            + [f"{dtype} exponentials {rate / 1e9:.2f} G/s" for dtype, rate in self.exponentials.items()]
            + [f"reading memory {self.bytes / 1e9:.1f} GB/s"]
        )


def _product_rate(dtype: str, size: int = 2048) -> float:
    a = np.random.default_rng(0).normal(size=(size, size)).astype(dtype)
    b, c = a.T.copy(), np.empty_like(a)
    return 2 * size**3 / min(seconds(lambda: np.matmul(a, b, out=c)) for _ in range(6))


def _exponential_rate(dtype: str, size: int = 16_384, rounds: int = 300) -> float:
    """Each core repeats over its own block in cache."""
    n = processors()
    blocks = [-np.random.default_rng(i).uniform(0, 30, size).astype(dtype) for i in range(n)]

    def repeat(block: np.ndarray) -> None:
        out = np.empty_like(block)
        for _ in range(rounds):
            np.exp(block, out=out)

    with ThreadPoolExecutor(n) as pool:
        return n * rounds * size / min(seconds(lambda: list(pool.map(repeat, blocks))) for _ in range(5))


def _reading_rate(size: int = 1 << 25) -> float:
    """The scalar product of an array with itself, which reads it once; BLAS shares it out among the cores."""
    rows = np.ones(size)
    return 8 * size / min(seconds(lambda: rows @ rows) for _ in range(8))


def measure() -> Rates:
    """All rates; a few seconds."""
    both = ("float64", "float32")
    return Rates(
        {dtype: _product_rate(dtype) for dtype in both},
        {dtype: _exponential_rate(dtype) for dtype in both},
        _reading_rate(),
    )


def main() -> None:
    """Print the rates and each case's limit; with --json, the rates alone for another program."""
    restart_clean("benchmarks.limits")
    rates = measure()
    if "--json" in sys.argv:
        print(json.dumps(rates))
        return
    print(f"{machine()}: {rates}")
    for case in CASES.values():
        print(case.name, *(f"{dtype} {1e3 * rates.limit(case, dtype):.2f} ms" for dtype in ("float64", "float32")))


if __name__ == "__main__":
    main()
