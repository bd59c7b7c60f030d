"""Dask and Spark: seconds a pass, what more workers gain, and what a pass costs that has nothing to do.

python -m benchmarks.engines spark       a pass beside that of Spark MLlib, on one session and the same rows
python -m benchmarks.engines choice      a whole choice over K = 1 … 9 beside MLlib's fits of K = 2 … 9
python -m benchmarks.engines dask        1, 2 and 4 worker processes
python -m benchmarks.engines overhead    16 partitions of 1,000 rows, and next to nothing to do
python -m benchmarks.engines bytes       what a pass sends out, and what comes back
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
from collections.abc import Callable, Iterable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import mixtura
from benchmarks.cases import CASES, load
from benchmarks.measure import alternate, counts, machine, ratio, restart_clean, seconds, slope, today
from mixtura.core.em import Stop, Task, climb_together
from mixtura.core.estep import of_block
from mixtura.covariance import registry
from mixtura.covariance.prior import Prior
from mixtura.sources.source import Block, Source

CASE = "full_1e6_4_10"
#: Numbers of components whose models share a pass in the measurement of Dask.
SHARED = range(1, 10)


def climb(source: Source, starts: Iterable[mixtura.Mixture], iterations: int) -> None:
    """So many steps of plain EM from each start, in shared passes."""
    full, none = registry.get("full"), Prior.none(source.n_features)
    climb_together([Task(start, full, none, Stop(0.0, iterations), accelerate=False) for start in starts], source)


def starts_of(rows: np.ndarray, sizes: Iterable[int]) -> list[mixtura.Mixture]:
    """A rough mixture of each size: means drawn from the rows, and the covariance of all of them."""
    rng = np.random.default_rng(0)
    scatter = np.cov(rows[:10_000].T)
    return [
        mixtura.Mixture(np.full(k, 1 / k), rows[rng.choice(len(rows), k, replace=False)], np.stack([scatter] * k))
        for k in sizes
    ]


# Spark


def spark_rows() -> tuple[Any, Any, np.ndarray, mixtura.Mixture]:
    """The rows as a cached DataFrame of numbers and as one of MLlib's vectors, both in the same partitions."""
    import pandas as pd
    from pyspark.ml.feature import VectorAssembler

    from benchmarks.rivals.adapters.spark_session import session

    rows, start = load(CASES[CASE])
    names = [f"x{i}" for i in range(rows.shape[1])]
    frame = session.createDataFrame(pd.DataFrame(rows, columns=names)).repartition(4).cache()
    vectors = VectorAssembler(inputCols=names, outputCol="features").transform(frame).select("features").cache()
    print(f"{frame.count():,} rows, {vectors.count():,} vectors, {frame.rdd.getNumPartitions()} partitions", flush=True)
    return frame, vectors, rows, mixtura.Mixture(start.weights, start.means, start.covariances)


def spark(repeats: int) -> None:
    """Seconds a pass of both."""
    from pyspark.ml.clustering import GaussianMixture

    from mixtura.sources import as_source

    frame, vectors, _, start = spark_rows()
    source, _ = as_source(frame)

    def mllib(iterations: int) -> None:
        model = GaussianMixture(k=start.n_components, maxIter=iterations, tol=0.0, seed=1).fit(vectors)
        if model.summary.numIter != iterations:
            raise RuntimeError(f"{model.summary.numIter} iterations instead of {iterations}")

    runs: dict[str, Callable[[int], None]] = {
        "MLlib": mllib,
        "Mixtura": lambda iterations: climb(source, [start], iterations),
    }
    figures = {}
    for name, run in runs.items():
        run(2)  # compiles, and warms Java up
        few, many = counts(seconds(lambda run=run: run(2)) / 2, budget=6)
        figures[name] = lambda run=run, few=few, many=many: slope(run, few, many)
    taken = alternate(figures, repeats)
    print(f"{today()}, {machine()}, {CASE}, local[2], median of {repeats} turns")
    print("| | s a pass | times MLlib |")
    print("| --- | ---: | ---: |")
    for name, mine in taken.items():
        print(f"| {name} | {median(mine):.3f} | {ratio(taken['MLlib'], mine):.1f} |")


def choice(sizes: Iterable[int]) -> None:
    """Seconds of a whole choice, and of MLlib's fits with its defaults."""
    from pyspark.ml.clustering import GaussianMixture

    frame, vectors, *_ = spark_rows()
    mixtura.fit(frame, 2, "full", random_state=0)  # compiles
    print(f"{today()}, {machine()}, {CASE}, local[2]")
    found: list[mixtura.Result] = []
    mine = seconds(lambda: found.append(mixtura.fit(frame, range(1, 10), "full", random_state=0)))
    result = found[0]
    print(f"Mixtura: K = 1 … 9 in {mine:.1f} s, {result.best.n_components} components", flush=True)
    total = 0.0
    for k in sizes:
        fits: list[Any] = []
        took = seconds(lambda k=k, fits=fits: fits.append(GaussianMixture(k=k, seed=1).fit(vectors)))
        total += took
        summary, cell = fits[0].summary, next(cell for cell in result.cells if cell.n_components == k)
        print(
            f"MLlib: K = {k} in {took:.1f} s, {summary.numIter} passes, log-likelihood {summary.logLikelihood:.1f}; "
            f"Mixtura's {cell.loglik:.1f}",
            flush=True,
        )
    print(f"MLlib: {total:.1f} s, {total / mine:.1f} times as long")


# Dask


def dask(repeats: int, workers: Iterable[int], n_rows: int) -> None:
    """Seconds a pass that nine models share, for each number of worker processes."""
    import dask.array as da
    from distributed import Client, LocalCluster

    from mixtura.sources import as_source

    rows = np.tile(load(CASES[CASE])[0], (max(n_rows // CASES[CASE].n_rows, 1), 1))[:n_rows]
    starts = starts_of(rows, SHARED)
    figures: dict[int, list[float]] = {}
    for n_workers in workers:
        with (
            LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster),
        ):
            source, _ = as_source(da.from_array(rows, chunks=(-(-n_rows // 16), -1)).persist())
            climb(source, starts, 1)
            figures[n_workers] = [slope(partial(climb, source, starts), 1, 5) for _ in range(repeats)]
    print(f"{today()}, {machine()}, {n_rows:,} × 4, K = 1 … 9 together, 16 partitions, median of {repeats}")
    print("| workers | s a pass | times as fast |")
    print("| ---: | ---: | ---: |")
    first = median(next(iter(figures.values())))
    for n_workers, mine in figures.items():
        print(f"| {n_workers} | {median(mine):.3f} | {first / median(mine):.2f} |")


# What a pass costs in any case


def _n_rows(block: Block) -> int:
    return len(block.rows)


def overhead(repeats: int, master: str) -> None:
    """Milliseconds of a pass that has next to nothing to do."""
    import dask.array as da
    from distributed import Client, LocalCluster
    from pyspark.sql import SparkSession

    from mixtura.sources import as_source

    rows = np.random.default_rng(0).normal(size=(16_000, 10))

    def passes(source: Source) -> str:
        source.total(_n_rows)
        taken = sorted(seconds(lambda: source.total(_n_rows)) for _ in range(repeats))
        return f"{1e3 * median(taken):.0f} | {1e3 * taken[0]:.0f}"

    print(f"{today()}, {machine()}, 16 partitions of 1,000 × 10, of {repeats}")
    print("| engine | ms a pass | the quickest |")
    print("| --- | ---: | ---: |")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        lazy = da.from_array(rows, chunks=(1000, -1))
        print(f"| Dask, 2 workers, recipes | {passes(as_source(lazy).source)} |")
        print(f"| Dask, 2 workers, kept rows | {passes(as_source(lazy.persist()).source)} |", flush=True)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master(master)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "OFF")
        .config("spark.executorEnv.PYTHONPATH", os.pathsep.join(sys.path))
        .getOrCreate()
    )
    columns = [f"rand({i}) as x{i}" for i in range(10)]
    frame = session.range(0, 16_000, 1, 16).selectExpr(*columns).cache()
    source: Any = as_source(frame).source
    for tasks in (source._tasks, 4, 16):
        source._tasks = tasks
        print(f"| Spark, {master}, {tasks} tasks | {passes(source)} |", flush=True)
    session.stop()


def sizes() -> None:
    """Bytes of the parameters of a pass, and of what a partition returns."""
    import cloudpickle

    from mixtura.kernels import reference
    from mixtura.sources.partitions import Layout, Task

    print("| K | D | out: bytes | numbers × 8 | back: bytes | numbers × 8 |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for k, d in ((1, 4), (10, 4), (10, 10), (10, 30), (50, 100)):
        rows = np.random.default_rng(0).normal(size=(k + d, d))
        model = mixtura.Mixture(np.full(k, 1 / k), rows[:k], np.stack([np.eye(d)] * k))
        task = Task(Layout.of(None, d), partial(of_block, model, reference))
        answer = task(0, 0, [rows])
        out, back = len(cloudpickle.dumps(task)), len(pickle.dumps(answer))
        print(f"| {k} | {d} | {out:,} | {8 * k * (1 + d + d * d):,} | {back:,} | {8 * k * (1 + 2 * d + d * d):,} |")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["spark", "choice", "dask", "overhead", "bytes"])
    parser.add_argument("--repeats", type=int, default=5, help="turns (5)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rows", type=int, default=4_000_000, help="for Dask (4,000,000)")
    parser.add_argument("--master", default="local[2]", help="of Spark, for the overhead (local[2])")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(range(2, 10)), help="of MLlib's fits (2 … 9)")
    options = parser.parse_args()
    restart_clean("benchmarks.engines")
    {
        "spark": lambda: spark(options.repeats),
        "choice": lambda: choice(options.sizes),
        "dask": lambda: dask(options.repeats, options.workers, options.rows),
        "overhead": lambda: overhead(options.repeats, options.master),
        "bytes": sizes,
    }[options.what]()


if __name__ == "__main__":
    main()
