"""How long a full choice takes and how good it is, beside R's mclust: K = 1 … 9 in every covariance family.

python -m benchmarks.choice
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pyarrow import csv
from sklearn.datasets import load_breast_cancer

import mixtura
from benchmarks.cases import Array
from benchmarks.measure import clean_environment, machine, restart_clean, seconds, today
from mixtura.covariance import registry

EXAMPLES = Path(__file__).parents[1] / "examples"
COMPONENTS = range(1, 10)
#: Two criteria are the same within this, for each row.
SAME = 1e-6


class Table(NamedTuple):
    """Seconds, and the BIC of each cell, smaller being better, by number of components and mclust's name."""

    version: str
    seconds: float
    cells: dict[tuple[int, str], float]

    @property
    def best(self) -> tuple[int, str]:
        """The chosen cell."""
        return min(self.cells, key=self.cells.__getitem__)


def _example(name: str) -> Array:
    table = csv.read_csv(EXAMPLES / f"{name}.csv")
    return np.column_stack([table[column].to_numpy() for column in table.column_names if column != "class"])


def _wdbc(*columns: str) -> Array:
    data = load_breast_cancer()
    wanted = [list(data.feature_names).index(column) for column in columns or data.feature_names]
    return data.data[:, wanted]


def _large() -> Array:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(6, 10, 10)) / np.sqrt(10)
    weights, means = rng.dirichlet(np.full(6, 4.0)), 2 * rng.normal(size=(6, 10))
    return mixtura.Mixture(weights, means, roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(10)).sample(100_000, rng)


PROBLEMS: dict[str, Callable[[], Array]] = {
    "iris": lambda: _example("iris"),
    "diabetes": lambda: _example("diabetes"),
    "wdbc3": lambda: _wdbc("mean texture", "worst area", "worst smoothness"),
    "wdbc30": _wdbc,
    "large": _large,
}


def ours(rows: Array, families: list[str], seed: int, threads: int | None) -> Table:
    """Mixtura's table; a cell that may not be chosen has none."""
    found: list[mixtura.Result] = []

    def select() -> None:
        found[:] = [mixtura.select(rows, COMPONENTS, families, random_state=seed, n_threads=threads)]

    select()  # loads, and compiles where that pays
    taken = seconds(select)
    cells = {(c.n_components, registry.get(c.covariance).mclust): c.bic for c in found[0].cells if c.eligible}
    return Table(mixtura.__version__, taken, cells)


def theirs(rows: Array, families: list[str], limit: float) -> Table:
    """mclust's table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.ascontiguousarray(rows.T).tofile(folder / "rows.bin")
        script, models = Path(__file__).with_suffix(".R"), ",".join(registry.get(f).mclust for f in families)
        words = [folder / "rows.bin", *rows.shape, COMPONENTS[-1], models, folder / "out.txt"]
        command = ["Rscript", "--vanilla", script, *map(str, words)]
        subprocess.run(command, check=True, timeout=limit, env=clean_environment())
        version, taken, *lines = (folder / "out.txt").read_text().splitlines()
    cells = {(int(g), model): -float(value) for g, model, value in map(str.split, lines)}
    return Table(version, float(taken), cells)


def row(name: str, rows: Array, mine: Table, other: Table | None, why: str) -> str:
    """A line of the report."""
    size = f"{name}, {len(rows):,} × {rows.shape[1]}"
    k, family = mine.best
    start = f"| {size} | {mine.seconds:.2f} | {k} {family}, {mine.cells[mine.best]:.2f} |"
    if other is None:
        return f"{start} {why} | | | | | |"
    both = mine.cells.keys() & other.cells.keys()
    better = sum(mine.cells[cell] < other.cells[cell] - SAME * len(rows) for cell in both)
    worse = sorted(cell for cell in both if mine.cells[cell] > other.cells[cell] + SAME * len(rows))
    named = " ".join(f"{k}{family}" for k, family in worse) or "–"
    k, family = other.best
    return (
        f"{start} {other.seconds:.2f} | {k} {family}, {other.cells[other.best]:.2f} | "
        f"{other.seconds / mine.seconds:.2f} | {better} of {len(both)} | {named} | "
        f"{len(mine.cells.keys() - both)} / {len(other.cells.keys() - both)} |"
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choice", description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--families", nargs="+", default=list(registry.names()), help="all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="by default as many as there are processors; mclust has one")
    parser.add_argument("--limit", type=float, default=7200.0, help="seconds that mclust may take (7200)")
    options = parser.parse_args()
    restart_clean("benchmarks.choice")
    families = [registry.get(name).name for name in options.families]
    print(f"{today()}, {machine()}, K = 1 … {COMPONENTS[-1]}, {len(families)} families; BIC, smaller is better")
    header = ("rows", "Mixtura, s", "chosen", "mclust, s", "chosen", "times as fast", "cells better", "worse", "alone")
    print(f"| {' | '.join(header)} |")
    print(f"|{' --- |' * len(header)}", flush=True)
    for name in options.problems:
        rows = PROBLEMS[name]()
        mine = ours(rows, families, options.seed, options.threads)
        other, why = None, "R is not installed"
        if shutil.which("Rscript"):
            try:
                other = theirs(rows, families, options.limit)
            except subprocess.TimeoutExpired:
                why = f"more than {options.limit:.0f}"
            except subprocess.CalledProcessError as error:
                why = f"failed ({error.returncode})"
        print(row(name, rows, mine, other, why), flush=True)


if __name__ == "__main__":
    main()
