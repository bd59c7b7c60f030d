"""How long a full choice takes and how good it is, beside R's mclust: K = 1 … 9 in every covariance family.

python -m benchmarks.choice

Where R is not installed, mclust's criteria of most of the data sets are those recorded in tests/reference/data.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pyarrow import csv
from sklearn.datasets import load_breast_cancer

import mixtura
from benchmarks.cases import Array
from benchmarks.measure import clean_environment, machine, restart_clean, seconds, today
from mixtura.covariance import registry

ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "tests" / "reference" / "data" / "mclust_choice.json"
COMPONENTS = range(1, 10)
#: Two criteria are the same within this, for each row.
SAME = 1e-6
#: An optimum is spurious when a component has fewer rows than this above the number of columns, or a variance in some
#: direction that is less than this share of the least one of all rows.
FEW_ROWS, THIN = 1.5, 1e-3
#: mclust's names in one column.
IN_ONE_COLUMN = {"E": "EEE", "V": "VVV"}


class Table(NamedTuple):
    """Seconds, and the BIC of each cell, smaller being better, by number of components and mclust's name."""

    version: str
    seconds: float
    cells: dict[tuple[int, str], float]
    logliks: dict[tuple[int, str], float]

    @property
    def best(self) -> tuple[int, str]:
        """The chosen cell."""
        return min(self.cells, key=self.cells.__getitem__)


def _read(folder: str, name: str) -> Array:
    table = csv.read_csv(ROOT / folder / f"{name}.csv")
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
    **{
        name: partial(_read, "examples", name)
        for name in ("acidity", "galaxies", "faithful", "iris", "diabetes", "banknote")
    },
    **{name: partial(_read, "tests/reference/data", name) for name in ("cross", "chevron", "wreath")},
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
    eligible = {(c.n_components, c.mclust): c for c in found[0].cells if c.eligible}
    cells, logliks = ({key: getattr(c, name) for key, c in eligible.items()} for name in ("bic", "loglik"))
    return Table(mixtura.__version__, taken, cells, logliks)


def theirs(rows: Array, families: list[str], limit: float) -> Table:
    """mclust's table."""
    names = [registry.get(family).mclust for family in families]
    if rows.shape[1] == 1:
        names = [short for short, name in IN_ONE_COLUMN.items() if name in names]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.ascontiguousarray(rows.T, dtype=np.float64).tofile(folder / "rows.bin")
        script, models = Path(__file__).with_suffix(".R"), ",".join(names)
        words = [folder / "rows.bin", *rows.shape, COMPONENTS[-1], models, folder / "out.txt"]
        command = ["Rscript", "--vanilla", script, *map(str, words)]
        subprocess.run(command, check=True, timeout=limit, env=clean_environment())
        version, taken, *lines = (folder / "out.txt").read_text().splitlines()
    cells = {(int(g), IN_ONE_COLUMN.get(model, model)): -float(value) for g, model, value in map(str.split, lines)}
    return Table(version, float(taken), cells, {})


def recorded(name: str, families: list[str]) -> Table | None:
    """mclust's table as it was recorded, if it was; nobody knows how long it took on this machine."""
    tables = json.loads(RECORDED.read_text())["tables"]
    if name not in tables:
        return None
    wanted = {registry.get(family).mclust for family in families}
    cells = {(g, IN_ONE_COLUMN.get(model, model)): -bic for g, model, bic, *_ in tables[name]["cells"]}
    return Table("6.0.0, recorded", math.nan, {cell: bic for cell, bic in cells.items() if cell[1] in wanted}, {})


def worse_cells(rows: Array, mine: Table, other: Table) -> list[tuple[int, str]]:
    """The cells that both fitted in which mclust's criterion is better."""
    both = mine.cells.keys() & other.cells.keys()
    return sorted(cell for cell in both if mine.cells[cell] > other.cells[cell] + SAME * len(rows))


def reasons(name: str, rows: Array, mine: Table, other: Table) -> Iterator[str]:
    """For each of those cells by how much, and what is known of mclust's optimum."""
    tables = json.loads(RECORDED.read_text())["tables"]
    known = {(g, IN_ONE_COLUMN.get(m, m)): rest for g, m, _, *rest in tables.get(name, {"cells": []})["cells"]}
    least = float(np.linalg.eigvalsh(np.atleast_2d(np.cov(rows.T)))[0])
    for k, family in worse_cells(rows, mine, other):
        lost = (mine.cells[k, family] - other.cells[k, family]) / 2
        said = f"- {name} {k} {family}: mclust's log-likelihood is {lost:.2f} higher"
        if (k, family) in known:
            variance, count = known[k, family]
            thin, few = variance < THIN * least, count < rows.shape[1] + FEW_ROWS
            verdict = "spurious" if thin or few else "not spurious"
            said += f"; {verdict}: least variance {variance / least:.1e} of that of all rows, {count:.1f} rows there"
        yield said


def many_starts(tables: dict[str, Table], problems: dict[str, Array]) -> str:
    """In how many of the recorded cases the best optimum of many starts, if it is not spurious, was reached.

    Mixtura refuses an optimum with a component that is narrower in some direction than rounding alone would leave it;
    of these cases the variance of the component in its narrowest direction and that of the rounding are recorded.
    """
    cases = [case for case in json.loads(RECORDED.read_text())["many_starts"] if case["data"] in tables]
    missed: list[str] = []
    refused: list[str] = []
    for case in cases:
        model = IN_ONE_COLUMN.get(case["model"], case["model"])
        reached = tables[case["data"]].logliks.get((case["G"], model), -math.inf)
        if reached < case["best"] - SAME * len(problems[case["data"]]):
            narrow = case.get("variance_and_rounding")
            named = f"{case['data']} {case['G']} {model} by {case['best'] - reached:.2f}"
            if narrow is None:
                missed.append(named)
            else:
                refused.append(f"{named} (variance {narrow[0]:.1e} where rounding leaves {narrow[1]:.1e})")
    done = len(cases) - len(missed) - len(refused)
    defaults = sum(case["default"] >= case["best"] - 0.1 for case in cases)
    return (
        f"Best of many starts: reached in {done} of {len(cases)} cases ({', '.join(missed) or 'none'} missed, "
        f"{', '.join(refused) or 'none'} refused); mclust's default start comes within 0.1 of it in {defaults}."
    )


def row(name: str, rows: Array, mine: Table, other: Table | None, why: str) -> str:
    """A line of the report."""
    size = f"{name}, {len(rows):,} × {rows.shape[1]}"
    k, family = mine.best
    start = f"| {size} | {mine.seconds:.2f} | {k} {family}, {mine.cells[mine.best]:.2f} |"
    if other is None:
        return f"{start} {why} | | | | | |"
    both = mine.cells.keys() & other.cells.keys()
    better = sum(mine.cells[cell] < other.cells[cell] - SAME * len(rows) for cell in both)
    named = " ".join(f"{k}{family}" for k, family in worse_cells(rows, mine, other)) or "–"
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
    parser.add_argument("--families", nargs="+", help="all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="by default as many as there are processors; mclust has one")
    parser.add_argument("--limit", type=float, default=7200.0, help="seconds that mclust may take (7200)")
    options = parser.parse_args()
    restart_clean("benchmarks.choice")
    print(f"{today()}, {machine()}, K = 1 … {COMPONENTS[-1]}; BIC, smaller is better")
    header = ("rows", "Mixtura, s", "chosen", "mclust, s", "chosen", "times as fast", "cells better", "worse", "alone")
    print(f"| {' | '.join(header)} |")
    print(f"|{' --- |' * len(header)}", flush=True)
    tables: dict[str, Table] = {}
    problems: dict[str, Array] = {}
    said: list[str] = []
    for name in options.problems:
        rows = problems[name] = PROBLEMS[name]()
        families = [family.name for family in registry.several(options.families or "all", rows.shape[1])]
        mine = tables[name] = ours(rows, families, options.seed, options.threads)
        other, why = recorded(name, families), "R is not installed"
        if shutil.which("Rscript"):
            try:
                other = theirs(rows, families, options.limit)
            except subprocess.TimeoutExpired:
                why = f"more than {options.limit:.0f}"
            except subprocess.CalledProcessError as error:
                why = f"failed ({error.returncode})"
        print(row(name, rows, mine, other, why), flush=True)
        if other is not None:
            said += reasons(name, rows, mine, other)
    print("", *said, "", many_starts(tables, problems), sep="\n")


if __name__ == "__main__":
    main()
