"""Rows that do not fit into memory: rows a second, and memory, of fits to Parquet files beside arrays.

``python -m benchmarks.out_of_core big`` makes 1e8 × 4 numbers in single precision, in row groups, and fits them in a
process of its own. ``python -m benchmarks.out_of_core speed`` compares passes over a file with passes over the same
rows in memory, where computing dominates and where reading does, and with the reader alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

#: Rows of a row group.
ROW_GROUP = 1_000_000
#: Clusters in the data.
CLUSTERS = 3


def make(path: Path, n_rows: int, n_features: int) -> None:
    """A Parquet file of rows around some centres, in single precision, made row group by row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.exists() and pq.ParquetFile(path).metadata.num_rows == n_rows:
        return
    rng = np.random.default_rng(0)
    centres = 4 * rng.standard_normal((CLUSTERS, n_features), dtype=np.float32)
    schema = pa.schema([(f"x{j + 1}", pa.float32()) for j in range(n_features)])
    with pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=False) as writer:
        for start in range(0, n_rows, ROW_GROUP):
            size = min(ROW_GROUP, n_rows - start)
            rows = rng.standard_normal((size, n_features), dtype=np.float32) + centres[rng.integers(0, CLUSTERS, size)]
            writer.write_batch(pa.record_batch([pa.array(column) for column in rows.T], schema=schema))


def peaks() -> dict[str, float]:
    """The most memory that this process has held, in MB: all, and without pages of files that the system may drop."""
    with Path("/proc/self/status").open() as status:
        lines = dict(line.split(":", 1) for line in status)
    return {
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "file MB": int(lines["RssFile"].split()[0]) / 1024,
    }


def fit_file(path: str, n_components: str, max_iter: int) -> None:
    """Fit a file, and print what that took, as JSON."""
    import mixtura

    counts = [int(k) for k in n_components.split(",")]
    passes: list[tuple[str, float]] = []
    began = time.perf_counter()

    def note(progress: Any) -> None:
        passes.append((progress.stage, time.perf_counter()))

    before = peaks()
    result = mixtura.fit(path, counts, "full", max_iter=max_iter, random_state=0, progress=note)
    seconds = time.perf_counter() - began
    climbs = [at for stage, at in passes if stage == "climb"]
    each = statistics.median(np.diff(climbs)) if len(climbs) > 1 else float("nan")
    found = {
        "rows": result.n_rows, "chosen": result.best.n_components, "status": result.fit.status.name,
        "gap": result.fit.gap, "seconds": seconds, "passes on all rows": len(climbs),
        "seconds a pass": each, "rows a second in a pass": result.n_rows / each, "MB before": before["peak MB"], **peaks(),
    }  # fmt: skip
    print(json.dumps(found))


def big(folder: Path, n_rows: int, components: str, max_iter: int) -> None:
    """The large file, in a process of its own."""
    path = folder / f"rows_{n_rows}_4.parquet"
    make(path, n_rows, 4)
    print(
        f"{path}: {path.stat().st_size / 1e9:.2f} GB, {n_rows:,} rows × 4 float32 ({n_rows * 16 / 1e9:.2f} GB as an array)"
    )
    command = [sys.executable, "-m", "benchmarks.out_of_core", "one", str(path), components, str(max_iter)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    for name, value in found.items():
        print(f"{name:>24}  {value:,.6g}" if isinstance(value, float) else f"{name:>24}  {value}")


def median(function: Callable[[], Any], turns: int) -> float:
    """The median time of a call, in seconds."""
    function()
    times: list[float] = []
    for _ in range(turns):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def speed(folder: Path, turns: int) -> None:
    """Passes over a file and over the same rows in memory, in turns; and the reader alone."""
    from functools import partial

    from mixtura import Mixture
    from mixtura.core.em import _e_steps
    from mixtura.kernels import compiled
    from mixtura.sources import as_source
    from mixtura.sources.memory import Memory

    print(
        f"{'N × D, K':>22} {'memory':>10} {'file':>10} {'reader':>10}  million rows a second, medians of {turns}; ratio of file to memory, to reader"
    )
    for n_rows, n_features, n_components in ((4_000_000, 8, 10), (4_000_000, 4, 3), (16_000_000, 4, 1)):
        path = folder / f"rows_{n_rows}_{n_features}.parquet"
        make(path, n_rows, n_features)
        stream = as_source(path, spool=False).source
        rows = np.concatenate([np.array(block.rows) for block in stream.map(lambda block: block)])
        memory = Memory(np.asfortranarray(rows))
        rng = np.random.default_rng(1)
        model = Mixture(
            np.full(n_components, 1 / n_components),
            rows[rng.integers(0, n_rows, n_components)],
            np.stack([np.eye(n_features)] * n_components),
        )
        step = partial(_e_steps, (model,), compiled)

        def read() -> None:
            reader = stream.choice.reader
            for _ in reader.batches(stream.choice.columns):
                pass

        stream.total(step), memory.total(step), read()
        taken: dict[str, list[float]] = {"memory": [], "file": [], "reader": []}
        for _ in range(turns):
            for name, call in (
                ("memory", lambda: memory.total(step)),
                ("file", lambda: stream.total(step)),
                ("reader", read),
            ):
                began = time.perf_counter()
                call()
                taken[name].append(time.perf_counter() - began)
        rate = {name: n_rows / statistics.median(times) / 1e6 for name, times in taken.items()}
        ratios = [statistics.median(np.divide(taken[other], taken["file"])) for other in ("memory", "reader")]
        print(
            f"{f'{n_rows:.0e} × {n_features}, {n_components}':>22} "
            + " ".join(f"{rate[name]:10.1f}" for name in taken)
            + f"  {ratios[0]:.2f} {ratios[1]:.2f}"
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["big", "speed", "one"])
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rows", type=float, default=1e8)
    parser.add_argument("--components", default="3,4,5")
    parser.add_argument("--max-iter", type=int, default=30)
    parser.add_argument("--turns", type=int, default=7)
    asked = parser.parse_args()
    if asked.what == "one":
        fit_file(asked.rest[0], asked.rest[1], int(asked.rest[2]))
        return
    folder = asked.home or Path(tempfile.gettempdir()) / "mixtura-out-of-core"
    folder.mkdir(parents=True, exist_ok=True)
    if asked.what == "big":
        big(folder, int(asked.rows), asked.components, asked.max_iter)
    else:
        speed(folder, asked.turns)
    if asked.home is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
