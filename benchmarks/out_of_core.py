"""Rows that do not fit into memory: rows a second, and memory, of fits to Parquet files beside arrays.

``python -m benchmarks.out_of_core big`` makes 1e8 × 4 numbers in single precision, in row groups, and fits them in a
process of its own. ``python -m benchmarks.out_of_core speed`` compares passes over a file with passes over the same
rows in memory, from where computing dominates to where reading does, and with the reader alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

#: Rows of a row group.
ROW_GROUP = 1_000_000
#: Clusters in the data.
CLUSTERS = 3
#: Kind of file, N, D, and K of the models that share a pass. "nullable" is Parquet whose columns may have nulls.
PASSES = (
    ("parquet", 4_000_000, 8, (10,)),
    ("nullable", 4_000_000, 8, (10,)),
    ("arrow", 4_000_000, 8, (10,)),
    ("npy", 4_000_000, 8, (10,)),
    ("parquet", 2_000_000, 16, (10,)),
    ("parquet", 4_000_000, 8, tuple(range(1, 10))),
    ("nullable", 4_000_000, 8, tuple(range(1, 10))),
    ("parquet", 16_000_000, 4, (1,)),
    ("nullable", 16_000_000, 4, (1,)),
    ("arrow", 16_000_000, 4, (1,)),
)


def make(folder: Path, kind: str, n_rows: int, n_features: int) -> Path:
    """A file of rows around some centres, in single precision, made row group by row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    suffix = {"nullable": "nullable.parquet"}.get(kind, kind)
    path = folder / f"rows_{n_rows}_{n_features}.{suffix}"
    if path.exists():
        return path
    schema = pa.schema([pa.field(f"x{j + 1}", pa.float32(), nullable=kind == "nullable") for j in range(n_features)])
    batches = _batches(n_rows, n_features, schema)
    if kind == "npy":
        np.save(path, np.concatenate([np.stack(batch.columns, axis=1) for batch in batches]))
    elif kind == "arrow":
        with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_file(stream, schema) as writer:
            for batch in batches:
                for start in range(0, len(batch), 131_072):
                    writer.write_batch(batch.slice(start, 131_072))
    else:
        with pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=False) as writer:
            for batch in batches:
                writer.write_batch(batch)
    return path


def _batches(n_rows: int, n_features: int, schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    rng = np.random.default_rng(0)
    centres = 4 * rng.standard_normal((CLUSTERS, n_features), dtype=np.float32)
    for start in range(0, n_rows, ROW_GROUP):
        size = min(ROW_GROUP, n_rows - start)
        rows = rng.standard_normal((size, n_features), dtype=np.float32) + centres[rng.integers(0, CLUSTERS, size)]
        yield pa.record_batch([pa.array(column) for column in rows.T], schema=schema)


def peak() -> float:
    """The most memory that this process has held, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def fit_file(path: str, components: str, max_iter: int) -> None:
    """Fit a file, and print what that took, as JSON."""
    import mixtura

    seen: list[tuple[str, float]] = []

    def note(progress: Any) -> None:
        seen.append((progress.stage, time.perf_counter()))

    held = peak()
    began = time.perf_counter()
    counts = [int(k) for k in components.split(",")]
    result = mixtura.fit(path, counts, "full", max_iter=max_iter, random_state=0, progress=note)
    print(result)
    seconds = time.perf_counter() - began
    climbs = [at for stage, at in seen if stage == "climb"]
    each = statistics.median(np.diff(climbs)) if len(climbs) > 1 else float("nan")
    found = {
        "rows": result.n_rows,
        "seconds in all": seconds,
        "passes of the climb": len(climbs),
        "seconds a pass": each,
        "million rows a second": result.n_rows / each / 1e6,
        "MB at the beginning": held,
        "MB at the most": peak(),
    }
    print(json.dumps(found))


def big(folder: Path, n_rows: int, components: str, max_iter: int) -> None:
    """The large file, in a process of its own."""
    path = make(folder, "parquet", n_rows, 4)
    size = path.stat().st_size / 1e9
    print(f"{path}: {size:.2f} GB, {n_rows:,} rows × 4 float32 ({n_rows * 16 / 1e9:.2f} GB as an array)")
    command = [sys.executable, "-m", "benchmarks.out_of_core", "one", str(path), components, str(max_iter)]
    *text, last = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    print("\n".join(text))
    for name, value in json.loads(last).items():
        print(f"{name:>24}  {value:,.4g}" if isinstance(value, float) else f"{name:>24}  {value:,}")


class Passes:
    """One pass of EM over a file, over the same rows in memory, and the file with nothing to do for each block."""

    def __init__(self, path: Path, counts: tuple[int, ...]) -> None:
        from mixtura import Mixture
        from mixtura.core.em import _e_steps
        from mixtura.kernels import compiled
        from mixtura.sources import as_source
        from mixtura.sources.memory import Memory

        self.stream: Any = as_source(path, spool=False).source
        rows = np.concatenate([np.array(block.rows) for block in self.stream.map(lambda block: block)])
        self.rows = Memory(rows)
        rng = np.random.default_rng(1)
        d = rows.shape[1]
        models = tuple(
            Mixture(np.full(k, 1 / k), rows[rng.integers(0, len(rows), k)], np.stack([np.eye(d)] * k)) for k in counts
        )
        self.step = partial(_e_steps, models, compiled)

    def memory(self) -> None:
        """Over the array."""
        self.rows.total(self.step)

    def file(self) -> None:
        """Over the file."""
        self.stream.total(self.step)

    def reader(self) -> None:
        """The file through Mixtura, with nothing to do for each block."""
        self.stream.total(lambda block: len(block.rows))


def speed(folder: Path, turns: int) -> None:
    """Passes in turns; seconds of CPU, as the machine may have other work."""
    names = ("memory", "file", "reader")
    print(f"Million rows for each second of CPU, the best of {turns} turns; the file beside memory: CPU, wall (median)")
    print(f"{'file':>9} {'N':>10} {'D':>3} {'K':>6} " + " ".join(f"{name:>8}" for name in names))
    for kind, n_rows, n_features, counts in PASSES:
        passes = Passes(make(folder, kind, n_rows, n_features), counts)
        wall: dict[str, list[float]] = {name: [] for name in names}
        busy: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(turns + 1):
            for name in names:
                began, worked = time.perf_counter(), time.process_time()
                getattr(passes, name)()
                if turn:
                    wall[name].append(time.perf_counter() - began)
                    busy[name].append(time.process_time() - worked)
        rates = " ".join(f"{n_rows / min(busy[name]) / 1e6:8.1f}" for name in names)
        ratios = [min(busy["memory"]) / min(busy["file"]), statistics.median(np.divide(wall["memory"], wall["file"]))]
        k = str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
        print(f"{kind:>9} {n_rows:10,} {n_features:3} {k:>6} {rates}  {ratios[0]:.2f} {ratios[1]:.2f}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["big", "speed", "one"])
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help="a folder in which the files stay; by default a temporary one")
    parser.add_argument("--rows", type=float, default=1e8)
    parser.add_argument("--components", default="3,4,5")
    parser.add_argument("--max-iter", type=int, default=30)
    parser.add_argument("--turns", type=int, default=7)
    asked = parser.parse_args()
    if asked.what == "one":
        fit_file(asked.rest[0], asked.rest[1], int(asked.rest[2]))
        return
    folder = asked.home or Path(tempfile.mkdtemp(prefix="mixtura-"))
    try:
        if asked.what == "big":
            big(folder, int(asked.rows), asked.components, asked.max_iter)
        else:
            speed(folder, asked.turns)
    finally:
        if asked.home is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
